"""Making the files that the package ships: trained backbones, bundled weights and their index."""
