"""Where the trials of a search are kept, and how none of them is lost."""
