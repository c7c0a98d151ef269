"""From sections to HTML: every value is escaped, in one place, whatever it contains."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medzoo.escape import for_display
from medzoo.html.document import NOTICE, Section

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"


def page(title: str, lead: str, sections: Sequence[Section], footer: str) -> str:
    """Return a whole page: one file without scripts that loads nothing.

    Args:
        title: Its title.
        lead: A sentence below the title.
        sections: What it shows.
        footer: A sentence at its end.
    """
    values = {"title": title, "lead": lead, "sections": sections, "footer": footer}
    return _environment().get_template("page.html").render(values, notice=NOTICE)


def card(title: str, sections: Sequence[Section] = ()) -> str:
    """Return what an object shows of itself in a notebook.

    Args:
        title: What it is.
        sections: What it shows.
    """
    return _environment().get_template("card.html").render(title=title, sections=sections)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _visible(value: Any) -> Any:
    """Show characters that hide or reorder text; autoescaping does the rest."""
    return for_display(value) if type(value) is str else value
