"""Names in data sets: of splits, and those that are written in several ways."""
