"""Imports inside the package go one way, and `import medzoo` itself costs next to nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import medzoo

ROOT = Path(medzoo.__file__).parent
ORDER = [
    {"errors", "device", "distributed", "files", "optional"},
    {"cache"},
    {"images"},
    {"datasets"},
    {"transforms"},
    {"weights"},
    {"models"},
    {"timm_registration"},
    {"inference"},
    {"deployment"},
    {"evaluation"},
    {"prediction"},
    {"training"},
    {"publishing"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
MODULES = sorted(p.relative_to(ROOT) for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def imported(path: Path) -> set[str]:
    """The top-level parts of medzoo that a module imports, wherever in it."""
    package = ["medzoo", *path.parent.parts]
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            names = [".".join([*base, alias.name]) for alias in node.names]
        parts = [name.split(".") for name in names]
        found |= {part[1] for part in parts if part[0] == "medzoo" and len(part) > 1}
    return found - {"__version__"}


def part_of(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def test_imports_are_found_wherever_they_are():
    assert imported(Path("training/trainer.py")) >= {"errors", "datasets", "models", "distributed"}
    assert imported(Path("transforms.py")) == {"datasets"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_imports_from_a_later_part(path):
    own = part_of(path)
    assert own in RANK, f"say in ORDER where medzoo.{own} belongs"
    for other in imported(path) - {own}:
        assert RANK[other] < RANK[own] or {own, other} <= ORDER[0], f"{path} imports {other}"


HEAVY = ["torch", "timm", "medmnist", "sklearn", "numpy", "PIL", "matplotlib", "huggingface_hub"]


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, medzoo; print([n for n in {HEAVY} if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_data_sets_are_described_without_a_deep_learning_library_of_models():
    code = (
        "import sys, medzoo; medzoo.list_datasets(); medzoo.dataset_info('octmnist');"
        "print([n for n in ('timm', 'medmnist', 'sklearn', 'pandas') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
