"""The speed of ``medzoo serve`` beside other ways to put a model behind an address."""
