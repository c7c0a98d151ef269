"""Every public name exists, is documented and says its types."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import medzoo
from tests.processes import run_program

ROOT = Path(medzoo.__file__).parent
PACKAGES = [
    "datasets",
    "deployment",
    "evaluation",
    "images",
    "inference",
    "models",
    "prediction",
    "publishing",
    "spec",
    "training",
    "weights",
]
LAZY = ["medzoo", "medzoo.datasets"]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def printed_by(code: str, folder: Path) -> str:
    """What a program prints that has imported nothing of medzoo before."""
    (folder / "program.py").write_text(code)
    return run_program(folder / "program.py", folder=folder)


def test_every_name_resolves():
    for name in medzoo.__all__:
        assert getattr(medzoo, name) is not None
    assert list(medzoo.__all__) == sorted(medzoo.__all__)
    assert dir(medzoo) == sorted({*medzoo.__all__, *medzoo._modules})


@pytest.mark.parametrize("package", LAZY)
def test_lazy_table_type_imports_and_all_agree(package):
    module = importlib.import_module(package)
    assert {*module._homes} == {*module.__all__} - {"__version__"}
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    typed = {(a.name, node.module) for node in block.body for a in node.names}
    assert typed == {
        *((name, f"{package}.{home}") for name, home in module._homes.items()),
        *((name, package) for name in module._modules),
    }


def test_a_name_does_not_depend_on_whether_its_module_was_imported_before(tmp_path):
    for first in ("", "import medzoo.datasets.synthetic; "):
        code = f"{first}from medzoo.datasets import synthetic; print(type(synthetic).__name__)"
        assert printed_by(code, tmp_path) == "function\n"


@pytest.mark.parametrize("package", LAZY)
def test_unknown_attribute(package):
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'creat_model'"):
        module.creat_model  # noqa: B018


@pytest.mark.slow
def test_type_checkers_know_the_names(tmp_path):
    (tmp_path / "user.py").write_text(
        "import medzoo\nmedzoo.images.read_image\nmedzoo.list_models()\nmedzoo.nothing\n"
        "medzoo.datasets.resplit\nmedzoo.datasets.nothing\n"
    )
    root = ROOT.parent  # whose types `make types` checks, and keeps what it finds of PyTorch's
    options = ["--config-file", root / "pyproject.toml", "--cache-dir", root / ".mypy_cache"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "user.py", *options],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert [line.split(":")[1] for line in done.stdout.splitlines()[:-1]] == ["4", "6"]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_export_what_they_say(package):
    module = importlib.import_module(f"medzoo.{package}")
    assert all(hasattr(module, name) for name in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)


def test_version_is_one_that_packaging_understands():
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc|\.dev)\d+)?", medzoo.__version__)


def test_typed_marker_is_shipped():
    assert (ROOT / "py.typed").is_file()


def overload(node: Definition) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list)


def setter(node: Definition) -> bool:
    """Whether it sets a property, which is documented where it is read."""
    return any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in node.decorator_list)


def public(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Definition]]:
    for node in body:
        hidden = isinstance(node, Definition) and (
            node.name.startswith("_") or overload(node) or setter(node)
        )
        if isinstance(node, Definition) and not hidden:
            name = f"{prefix}.{node.name}"
            yield name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, name)


def missing(name: str, node: Definition) -> Iterator[str]:
    """What a definition does not say."""
    if not ast.get_docstring(node):
        yield f"{name} has no docstring"
    if isinstance(node, ast.ClassDef):
        return
    if node.returns is None:
        yield f"{name} does not say what it returns"
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    arguments += [a for a in (node.args.vararg, node.args.kwarg) if a]
    for argument in arguments:
        if not argument.annotation and argument.arg not in ("self", "cls"):
            yield f"{name}: {argument.arg} has no type"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_are_short_and_all_that_is_public_is_documented_and_annotated(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert len(text.splitlines()) < 400
    assert [one for found in public(tree.body, path.stem) for one in missing(*found)] == []


def test_what_a_definition_does_not_say_is_found():
    tree = ast.parse("class A:\n  def f(self, x) -> int: ''\n  def _g(self): pass\ndef h(): 'Do.'")
    assert [one for found in public(tree.body, "m") for one in missing(*found)] == [
        "m.A has no docstring",
        "m.A.f has no docstring",
        "m.A.f: x has no type",
        "m.h does not say what it returns",
    ]


@pytest.mark.parametrize("name", [n for n in medzoo.__all__ if n != "__version__"])
def test_documented_arguments_are_those_of_the_signature(name):
    value = getattr(medzoo, name)
    if isinstance(value, type) and issubclass(value, Exception):
        return
    documented = inspect.getdoc(value).partition("Args:\n")[2].partition("\n\n")[0]
    names = re.findall(r"^    \**(\w+):", documented, re.MULTILINE)
    if names:
        assert names == [n for n in inspect.signature(value).parameters if n != "self"]


@pytest.mark.parametrize(
    "name", ["training.Recipe", "images.read_image", "spec.spec_of", "device.resolve_device"]
)
def test_packages_are_reachable_after_a_plain_import(name, tmp_path):
    code = f"import medzoo; print(medzoo.{name}.__name__)"
    assert printed_by(code, tmp_path).strip() == name.partition(".")[2]


def test_every_documented_package_is_reachable():
    assert {*PACKAGES} <= medzoo._modules
    assert all(getattr(medzoo, name).__name__ == f"medzoo.{name}" for name in medzoo._modules)


@pytest.mark.parametrize("first", ["", "import medzoo; medzoo.search; "])
def test_modules_behind_a_function_of_the_same_name_can_be_imported(first, tmp_path):
    code = f"{first}import medzoo.search.goals as goals; import medzoo; print(goals.__name__)"
    code += "; print(medzoo.search.default_space.__name__, medzoo.search.__name__)"
    found = printed_by(code, tmp_path).split()
    assert found == ["medzoo.search.goals", "default_space", "search"]
