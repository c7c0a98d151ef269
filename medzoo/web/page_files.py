"""The page that asks models about images: its files, ready to be served or exported."""

from __future__ import annotations

from importlib.resources import files

_BACKEND = "backend.js"


def page_files(backend: str = "server_backend.js") -> dict[str, bytes]:
    """Return the files of the page by name; all belong beside each other at one address.

    Args:
        backend: The module of the page that becomes its ``backend.js``: what the page asks about
            models and images. The other backends are left out.

    Returns:
        The content of each file. ``index.html`` is the page itself.

    Raises:
        ValueError: If the page has no such backend.

    Example:
        >>> sorted(page_files())[:3]
        ['answer.css', 'answer.js', 'backend.js']
    """
    found = {
        file.name: file.read_bytes()
        for file in files("medzoo.web").joinpath("page").iterdir()
        if file.is_file()
    }
    backends = {name for name in found if name.endswith(f"_{_BACKEND}")}
    if backend not in backends:
        raise ValueError(f"the page has no backend {backend!r}; expected one of {sorted(backends)}")
    kept = {name: content for name, content in found.items() if name not in backends}
    return kept | {_BACKEND: found[backend]}
