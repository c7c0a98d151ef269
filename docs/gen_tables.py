"""Build hook: fills `<!-- build:... -->` markers with what the library itself says.

So that no page repeats by hand what the code knows: data sets, architectures, references, the
command line's help, and the list of public names of each package.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import gen_landing  # noqa: E402

import medzoo  # noqa: E402
import medzoo.training  # noqa: E402  # the topmost package, so this imports every module
from benchmarks.reproduction.cost_plot import cost_plot  # noqa: E402

MARKER = re.compile(r"^<!-- build:(\w+) ?(.*?) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace every marker of a page; mkdocs calls this for each page."""
    return MARKER.sub(lambda match: BUILDERS[match[1]](match[2]), markdown)


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Lay rows out as a Markdown table."""
    cells = [list(header)]
    cells += [["---"] * len(cells[0]), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def datasets(_: str) -> str:
    """Table of MedMNIST's 2D data sets."""
    infos = [medzoo.dataset_info(name) for name in medzoo.list_datasets()]
    return table(
        ("Name", "Task", "Classes", "Images", "Train / val / test", "Licence"),
        (
            (
                f"[`{info.name}`](#{info.name})",
                info.task,
                info.num_classes,
                "RGB" if info.channels == 3 else "gray",
                " / ".join(f"{count:,}" for count in info.n_samples.values()),
                info.licence,
            )
            for info in infos
        ),
    )


def dataset_details(_: str) -> str:
    """One section a data set: its description in medmnist's words, and its classes."""
    parts = []
    for info in map(medzoo.dataset_info, medzoo.list_datasets()):
        sizes = ", ".join(map(str, info.sizes))
        classes = "; ".join(f"{index} {name}" for index, name in enumerate(info.classes))
        kind = "Labels" if info.multi_label else "Classes"
        parts.append(
            f"### {info.title} {{ #{info.name} }}\n\n{info.description}\n\n"
            f"{kind}: {classes}.\n\nSizes: {sizes} pixels."
        )
    return "\n\n".join(parts)


def unofficial(_: str) -> str:
    """Table of the unofficial files that the library recognises."""
    from medzoo.datasets.storage.md5 import known_files

    return table(
        ("md5", "Note in titles and reports"),
        ((f"`{md5}`", note) for md5, note in known_files().items()),
    )


@cache
def architectures(_: str) -> str:
    """Table of medzoo's architectures, each counted on a colour and a gray data set."""
    rows = []
    for name in medzoo.list_models():
        model = medzoo.create_model(name, num_classes=7, in_chans=3)
        summary = (type(model).__doc__ or "").splitlines()[0]
        maps = ", ".join(f"{level['num_chs']} at 1/{level['reduction']}" for level in stages(model))
        rows.append((f"`{name}`", summary, f"{count(model):,}", maps))
    return table(("Name", "What it is", "Parameters", "Feature maps: channels at scale"), rows)


def stages(model: Any) -> list[dict[str, Any]]:
    """Return the levels of a model's feature pyramid."""
    return model.feature_info


def count(model: Any) -> int:
    """Return a model's number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def references(_: str) -> str:
    """Table of published figures that ours are compared with."""
    entries = reported()["reference"]
    names = [key for key in entries[0] if key in medzoo.list_datasets()]

    def cell(scores: dict[str, float] | None) -> str:
        if not scores:
            return "-"
        auc = f"{scores['auc']:.3f} / " if "auc" in scores else ""
        return f"{auc}{scores['acc']:.3f}"

    return table(
        ("AUC / ACC, or ACC alone", *(medzoo.dataset_info(name).title for name in names)),
        ((entry["name"], *(cell(entry.get(name)) for name in names)) for entry in entries),
    )


def reported_rows(_: str) -> str:
    """Table of the reported results that reproduce.py sets out to reproduce."""
    return table(
        ("Data set", "Model", "Reported", "Score", "Parameters", "Note"),
        (
            (
                medzoo.dataset_info(row["dataset"]).title,
                row["title"],
                f"{100 * row['reported']:.2f} %",
                row["metric"].replace("acc", "ACC").replace("_", " "),
                f"{row['parameters']:,}" if "parameters" in row else "not given",
                row.get("note", ""),
            )
            for row in reported()["row"]
        ),
    )


@cache
def reported() -> dict[str, Any]:
    """Read the reported results and references."""
    return tomllib.loads((ROOT / "benchmarks" / "reported.toml").read_text(encoding="utf-8"))


def command(arguments: str) -> str:
    """Show what ``medzoo ...`` or ``python ...`` prints."""
    program, *rest = arguments.split()
    start = ["-m", program] if program == "medzoo" else []
    done = subprocess.run(
        [sys.executable, *start, *rest],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "88"},
        capture_output=True,
        text=True,
        check=True,
    )
    return f"```console\n$ {arguments}\n{done.stdout.rstrip()}\n```"


def source(path: str) -> str:
    """Show a Python file of the repository."""
    return f"```python\n{(ROOT / path).read_text(encoding='utf-8').rstrip()}\n```"


def api(package: str) -> str:
    """List a package's public names, for mkdocstrings to document each."""
    names = [name for name in import_module(package).__all__ if not name.startswith("__")]
    return "\n\n".join(f"::: {identifier(package, name)}" for name in names)


def identifier(package: str, name: str) -> str:
    """Return where a public name is documented; a module of the same name would hide it."""
    getattr(import_module(package), name)  # imported now, if the package imports it on first use
    hidden = f"{package}.{name}" in sys.modules
    return f"{package}.{name}.{name}" if hidden else f"{package}.{name}"


def public_names(_: str) -> str:
    """Table of what `import medzoo` offers, each linked to its own reference."""
    rows = []
    for name in medzoo.__all__:
        if name.startswith("__"):
            continue
        value = getattr(medzoo, name)
        package = ".".join(value.__module__.split(".")[:2])
        summary = (value.__doc__ or "").splitlines()[0]
        rows.append((f"[`medzoo.{name}`][{identifier(package, name)}]", summary))
    return table(("Name", "What it is"), rows)


BUILDERS: dict[str, Callable[[str], str]] = {
    "api": api,
    "architectures": architectures,
    "command": command,
    "cost_plot": lambda _: cost_plot(),
    "dataset_details": dataset_details,
    "datasets": datasets,
    "figures": gen_landing.figures,
    "public_names": public_names,
    "references": references,
    "reported_rows": reported_rows,
    "samples": gen_landing.samples,
    "source": source,
    "unofficial": unofficial,
}
