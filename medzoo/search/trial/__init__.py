"""One trial of a search: which recipe it tries, how it is trained, and when it ends early."""
