"""Robustness: medzoo's corruptions beside those of medmnistc, and models on damaged images."""
