"""How good and how fast medzoo is: every published figure, and the code that measured it.

README.md in this folder says which command measures what.
"""
