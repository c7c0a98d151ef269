"""The structure of the source: imports in one direction, no circles, small files and folders."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import medzoo

ROOT = Path(medzoo.__file__).parent
BENCHMARKS = ROOT.parent / "benchmarks"
TESTS = Path(__file__).parent
ORDER = [
    {
        "errors",
        "device",
        "distributed",
        "escape",
        "files",
        "lazy",
        "randomness",
        "timeout",
    },
    {"cache"},
    {"images"},
    {"html"},
    {"datasets"},
    {"spec"},
    {"transforms"},
    {"weights"},
    {"model_names"},
    {"models"},
    {"timm_registration"},
    {"inference"},
    {"deployment"},
    {"evaluation"},
    {"prediction"},
    {"training"},
    {"search"},
    {"publishing"},
    {"web"},
    {"serving"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
MODULES = sorted(p.relative_to(ROOT) for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")
MAX_FILES = 14  # Python files in one folder
MAX_LINES = 400  # lines in one Python file


# Reading imports


def import_statements(
    tree: ast.AST, lazy_package: bool = False
) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports of a module, also those inside functions.

    Imports under ``if TYPE_CHECKING`` are left out: they are never executed, so they cannot fail
    or load anything, and annotations may refer to a class that is defined in a later part. But in
    a package that exports its names lazily, they say what is imported on first use.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in (*(node.body if lazy_package else ()), *node.orelse):
                yield from import_statements(ast.Module([other], []))
        else:
            yield from import_statements(node)


def imported_names(root: Path, path: Path) -> set[str]:
    """The full names that a module of the package at `root` imports from that package.

    ``from a.b import c`` gives ``a.b.c``, whether that is a module or something in one.
    """
    package = [root.name, *path.parent.parts]
    found = set()
    source = (root / path).read_text(encoding="utf-8")
    # The root's own names come from everywhere; nothing below the command line imports them.
    is_lazy = "export_lazily(" in source and path.name == "__init__.py" and len(path.parts) > 1
    for node in import_statements(ast.parse(source), is_lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            base = package[: len(package) + 1 - node.level] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            found |= {".".join([*base, alias.name]) for alias in node.names}
    return {name for name in found if name.split(".")[0] == root.name}


def imported_files(root: Path, path: Path) -> set[Path]:
    """The files of the package at `root` that are executed when a module of it is imported.

    To import ``a.b.c`` is also to execute ``a/__init__.py`` and ``a/b/__init__.py``, except in the
    packages that the importing module itself belongs to: these are being imported already.
    """
    found = set()
    for name in imported_names(root, path):
        parts = name.split(".")[1:]
        packages = [Path(*parts[:depth]) for depth in range(len(parts) + 1)]
        # The last part may be a class or a function instead of a module.
        module = next(p for p in reversed(packages) if file_of(root, p))
        for package in (*module.parents, module):
            if package == module or package not in path.parents:
                found.add(file_of(root, package))
    return found - {None, path}


def file_of(root: Path, module: Path) -> Path | None:
    """The file of a module or package, relative to `root`."""
    candidates = [module / "__init__.py"]
    if module.name:
        candidates.append(module.with_suffix(".py"))
    return next((c for c in candidates if (root / c).is_file()), None)


# One direction


def imported_parts(path: Path) -> set[str]:
    """The top-level parts of medzoo that a module imports."""
    names = (name.split(".") for name in imported_names(ROOT, path))
    return {parts[1] for parts in names if len(parts) > 1} - {"__version__"}


def part_of(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def test_imports_are_found_wherever_they_are():
    trainer = imported_parts(Path("training/trainer.py"))
    assert trainer >= {"errors", "datasets", "models", "distributed"}
    assert imported_parts(Path("transforms.py")) >= {"datasets", "images"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_module_imports_from_a_later_part(path):
    own = part_of(path)
    assert own in RANK, f"say in ORDER where medzoo.{own} belongs"
    for other in imported_parts(path) - {own}:
        assert RANK[other] < RANK[own] or {own, other} <= ORDER[0], f"{path} imports {other}"


# No circles


def circles(root: Path) -> list[list[str]]:
    """Groups of files that import each other, directly or by way of others."""
    files = [path.relative_to(root) for path in root.rglob("*.py")]
    graph = {path: imported_files(root, path) for path in files}
    reached = {path: reachable(graph, path) for path in files}
    found = {
        tuple(sorted(str(other) for other in reached[path] if path in reached[other]))
        for path in files
    }
    return [list(group) for group in sorted(found) if group]


def reachable(graph: dict[Path, set[Path]], start: Path) -> set[Path]:
    found: set[Path] = set()
    waiting = list(graph[start])
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += graph[path]
    return found


def write_package(root: Path, files: dict[str, str]) -> Path:
    for name in {"__init__.py"} | {str(Path(file).parent / "__init__.py") for file in files}:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for name, content in files.items():
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.py": "import p.b", "b.py": "from p.a import x"}, ["a.py", "b.py"]),
        ({"a.py": "from p import b", "b.py": "def f():\n    from . import a"}, ["a.py", "b.py"]),
        (
            {"a.py": "from p.b import x", "b.py": "import p.c", "c.py": "from .a import y"},
            ["a.py", "b.py", "c.py"],
        ),
        (
            {"q/__init__.py": "from p.q.a import x", "q/a.py": "from p.q import y"},
            ["q/__init__.py", "q/a.py"],
        ),
        # What a package exports lazily is imported as well, only later.
        (
            {
                "q/__init__.py": "if TYPE_CHECKING:\n    from p.q.a import x\nexport_lazily(1)",
                "q/a.py": "from p.q import y",
            },
            ["q/__init__.py", "q/a.py"],
        ),
        # The package of an imported module is executed, too.
        (
            {"a.py": "from p.q.b import x", "q/__init__.py": "import p.a", "q/b.py": ""},
            ["a.py", "q/__init__.py"],
        ),
    ],
)
def test_circles_are_found(tmp_path, files, expected):
    assert circles(write_package(tmp_path / "p", files)) == [expected]


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "import p.b\nfrom p.b import x", "b.py": "import os"},
        {"q/__init__.py": "from p.q.a import x", "q/a.py": "from p.q.b import y", "q/b.py": ""},
        {"a.py": "import p.b", "b.py": "if TYPE_CHECKING:\n    import p.a"},
        {
            "a.py": "import p.b",
            "b.py": "if typing.TYPE_CHECKING:\n    def f():\n        import p.a",
        },
    ],
)
def test_what_is_not_a_circle_is_not_found(tmp_path, files):
    assert circles(write_package(tmp_path / "p", files)) == []


def test_the_package_has_no_import_circle():
    assert circles(ROOT) == []


# Small files and folders


def python_files(root: Path) -> Iterable[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("root", [ROOT, BENCHMARKS], ids=lambda root: root.name)
def test_no_folder_is_overfull(root):
    files = python_files(root)
    assert files
    counts = {
        str(folder.relative_to(root.parent)): sum(path.parent == folder for path in files)
        for folder in {path.parent for path in files}
    }
    assert {folder: count for folder, count in counts.items() if count > MAX_FILES} == {}


@pytest.mark.parametrize("root", [ROOT, BENCHMARKS, TESTS], ids=lambda root: root.name)
def test_no_file_is_too_long(root):
    lines = {
        str(path.relative_to(root.parent)): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(root)
    }
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


# The cost of an import

HEAVY = ["torch", "timm", "medmnist", "sklearn", "numpy", "PIL", "matplotlib", "huggingface_hub"]


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, medzoo; print([n for n in {HEAVY} if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize(
    "work",
    [
        "medzoo.list_datasets(); medzoo.dataset_info('octmnist')",
        "medzoo.list_models(); medzoo.list_models(pretrained=True)",
        "medzoo.weights.weights_index(); medzoo.ModelSpec; medzoo.InputSpec",
    ],
)
def test_lists_and_descriptions_load_nothing_heavy(work):
    code = f"import sys, medzoo; {work}; print([n for n in {HEAVY} if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("package", ["datasets", "spec", "weights"])
def test_a_package_that_describes_things_loads_nothing_heavy(package):
    code = f"import sys, medzoo.{package}; print([n for n in {HEAVY} if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
