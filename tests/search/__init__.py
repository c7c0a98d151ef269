"""Tests of medzoo.search."""
