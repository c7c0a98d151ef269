"""Studies: measurements behind decisions about recipes, architectures and methods."""
