"""Draw the packages of medzoo and their imports: docs/images/rooms.svg.

    python docs/gen_rooms.py            # write the picture
    python docs/gen_rooms.py --check    # only say whether it is up to date

The arrows are read from the source files, so that the picture cannot differ from the code. An
arrow that follows from others is left out: `training` imports `evaluation`, which imports
`inference`, so there is none from `training` to `inference`.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "rooms.svg"
BASE = "errors, files, cache, ..."
IN_BASE = (
    "errors",
    "device",
    "distributed",
    "escape",
    "files",
    "lazy",
    "randomness",
    "timeout",
    "cache",
)
ROOMS = {
    "cli": ("the medzoo command", "publish"),
    "serving": ("models over HTTP", "publish"),
    "web": ("pages about models, in the browser", "publish"),
    "publishing": ("model cards, the Hub", "publish"),
    "search": ("better recipes, by trial", "train"),
    "training": ("recipes, augmentation, Trainer", "train"),
    "prediction": ("files to labels, heat maps", "use"),
    "evaluation": ("scores, intervals, reports, plots", "use"),
    "deployment": ("ONNX, torch.export, 8-bit integers", "use"),
    "inference": ("a model over many images", "use"),
    "models": ("one architecture per file, create_model", "model"),
    "weights": ("weights files, the index, the Hub", "model"),
    "transforms": ("from an image to a model's input", "data"),
    "spec": ("ModelSpec: what a model is", "model"),
    "datasets": ("splits, readers, storage, leakage", "data"),
    "images": ("from one file or array to pixels", "data"),
    BASE: ("also device, distributed, lazy", "base"),
}
"""From top to bottom: what each package holds, and the colour of its box."""
NOT_DRAWN = {"__init__", "__main__", "model_names", "timm_registration"}
"""Entry points: Python's, the list of models, and the hook by which timm finds the models."""

WIDTH, ROW, BOX, LEFT, RIGHT, TOP = 480, 50, 40, 4, 400, 6
COLOURS = {
    "data": "#2e86c1",
    "model": "#009688",
    "use": "#c98a00",
    "train": "#c0567a",
    "publish": "#8062b8",
    "base": "#7a7f85",
}
# Every rule begins with the class, because the page that shows the picture holds its text. There,
# the page's own colour of text is known; elsewhere, only whether the reader prefers a dark one.
STYLE = [
    "svg.rooms { display: block; width: 100%; max-width: 560px; margin: auto; }",
    ".rooms text { font-family: system-ui, sans-serif; fill: var(--md-default-fg-color, #222); }",
    ".rooms .name { font-size: 15.5px; font-weight: 600; }",
    ".rooms .what { font-size: 13px; opacity: 0.9; }",
    ".rooms rect { stroke-width: 1.4; fill-opacity: 0.13; }",
    *(f".rooms .{kind} {{ fill: {c}; stroke: {c}; }}" for kind, c in COLOURS.items()),
    ".rooms .arrow { fill: none; stroke: #7a7f85; stroke-width: 1.5; }",
    ".rooms .head { fill: #7a7f85; }",
    ".rooms .wrong { stroke: #d32f2f; stroke-dasharray: 5 3; }",
    "@media (prefers-color-scheme: dark) {",
    ".rooms text { fill: var(--md-default-fg-color, #ddd); }",
    "}",
]


def read_imports(package: Path) -> dict[str, set[str]]:
    """Return which rooms each room of a package imports, wherever in its files.

    Args:
        package: The folder of the package.

    Raises:
        ValueError: If there is a module or sub-package that `ROOMS` does not describe.
    """
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        if part in NOT_DRAWN:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for other in {part} | set(_imported(tree, package.name)) - NOT_DRAWN:
            found[_room(part)].add(_room(other))
    return {room: others - {room} for room, others in found.items()}


def _room(part: str) -> str:
    room = BASE if part in IN_BASE else part
    if room not in ROOMS:
        raise ValueError(f"describe medzoo.{part} in ROOMS of docs/gen_rooms.py")
    return room


def _imported(tree: ast.Module, package: str) -> Iterable[str]:
    """List the parts of the package that a file imports: absolute imports, as ruff's rules ask."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == package and len(parts) > 1 and not parts[1].startswith("__"):
                yield parts[1]


def without_implied(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Leave out each import that follows from others (the transitive reduction).

    Args:
        imports: What each room imports. Those that go upwards are kept, whatever follows.
    """
    order = {room: place for place, room in enumerate(ROOMS)}
    down = {
        room: {other for other in others if order[other] > order[room]}
        for room, others in imports.items()
    }
    reached: dict[str, set[str]] = {}
    for room in reversed(ROOMS):  # all that a room imports was looked at before it
        reached[room] = down[room].union(*(reached[other] for other in down[room]))
    return {
        room: (imports[room] - down[room])
        | {
            other
            for other in down[room]
            if not any(other in reached[between] for between in down[room] - {other})
        }
        for room in ROOMS
    }


def draw(imports: Mapping[str, set[str]]) -> str:
    """Draw rooms and arrows.

    Args:
        imports: What each room imports.

    Returns:
        The SVG file's text. It has no empty lines, so that Markdown takes it as one block.
    """
    height = TOP + ROW * len(ROOMS)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" class="rooms" '
        'role="img" aria-labelledby="rooms-title">',
        '<title id="rooms-title">The packages of medzoo. Arrows are imports, and all of them '
        "point down.</title>",
        "<style>",
        *STYLE,
        "</style>",
    ]
    top = {room: TOP + ROW * place for place, room in enumerate(ROOMS)}
    for room, others in without_implied(imports).items():
        for other in sorted(others, key=top.__getitem__):
            lines += _arrow(top[room], top[other])
    for room, (what, kind) in ROOMS.items():
        y = top[room]
        lines += [
            f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{RIGHT - LEFT}" height="{BOX}" '
            'rx="6"/>',
            f'<text class="name" x="{LEFT + 10}" y="{y + 17}">{escape(room)}</text>',
            f'<text class="what" x="{LEFT + 10}" y="{y + 33}">{escape(what)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def _arrow(start: float, end: float) -> list[str]:
    """Draw one arrow beside the boxes, the wider the further it goes."""
    y, target = start + 0.68 * BOX, end + 0.32 * BOX
    reach = RIGHT + 14 + min(0.2 * abs(target - y), 85)
    kind = "arrow" if end > start else "arrow wrong"
    return [
        f'<path class="{kind}" d="M{RIGHT} {y:g} C{reach:g} {y:g} {reach:g} {target:g} '
        f'{RIGHT + 7} {target:g}"/>',
        f'<path class="head" d="M{RIGHT + 1} {target:g} l9 -4.5 v9 z"/>',
    ]


def main(arguments: list[str] | None = None) -> int:
    """Write the picture, or check it.

    Args:
        arguments: The command line's; by default those of this process.

    Returns:
        The exit code: 1 if the picture is checked and not up to date.
    """
    parser = argparse.ArgumentParser(description="Draw docs/images/rooms.svg.")
    parser.add_argument("--check", action="store_true", help="only check that it is up to date")
    check = parser.parse_args(arguments).check
    picture = draw(read_imports(ROOT / "medzoo"))
    if not check:
        PICTURE.write_text(picture, encoding="utf-8")
        return 0
    if PICTURE.is_file() and PICTURE.read_text(encoding="utf-8") == picture:
        return 0
    print(f"{PICTURE.relative_to(ROOT)} is out of date; run: python docs/gen_rooms.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
