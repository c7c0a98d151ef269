"""Search: better recipes and architectures for a data set, found by trial and validation."""
