"""The tasks that speed.py measures; each function returns rows of its table."""
