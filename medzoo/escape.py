"""Names from files and folders of unknown origin, shown where some characters have a meaning."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of control characters, marks of direction, surrogates and line separators."""
_JOINERS = "\u200c\u200d"  # part of words in several scripts, and harmless
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def for_display(text: str) -> str:
    r"""Return text as one line without characters that control a terminal, hide or reorder text.

    Args:
        text: The text, e.g. the name of a class or file.

    Example:
        >>> print(for_display("a\x1b[2Jb\nc"))
        a\x1b[2Jb\nc
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    if unicodedata.category(char) not in _HIDDEN or char in _JOINERS:
        return char
    if "\udc80" <= char <= "\udcff":  # a byte of a file's name that is not UTF-8
        return f"\\x{ord(char) & 0xFF:02x}"
    return char.encode("unicode_escape").decode()


def for_spreadsheet(text: str) -> str:
    """Return the text of a cell so that no spreadsheet takes it for a formula.

    Args:
        text: The text; numbers are left as they are.

    Returns:
        The text, after an apostrophe if it would be calculated.

    Example:
        >>> for_spreadsheet("=1+1"), for_spreadsheet("-1.5"), for_spreadsheet("nevi")
        ("'=1+1", '-1.5', 'nevi')
    """
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def for_markdown(text: str) -> str:
    r"""Return text as one line of Markdown that shows it literally, also within a table.

    Args:
        text: The text; white space becomes single spaces.

    Example:
        >>> print(for_markdown("<b>a|b</b>"))
        \<b\>a\|b\</b\>
    """
    line = for_display(" ".join(text.split()))
    line = re.sub(r"[\\`*~\[\]<>|$&]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", line)
    return re.sub(r"^(\d*)([-+#=.)])", r"\1\\\2", line)


def as_markdown_code(text: str) -> str:
    """Return text as code in Markdown, whatever it contains.

    Args:
        text: The text; white space becomes single spaces.

    Example:
        >>> print(as_markdown_code("a`b"))
        ``a`b``
    """
    line = for_display(" ".join(text.split()))
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{space}{line}{space}{ticks}"
