"""Imports that wait until they are needed: of public names, and of packages that extras install."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def export_lazily(
    package: str, homes: Mapping[str, Iterable[str]], modules: Iterable[str] = ()
) -> None:
    """Let the public names of a package be imported when they are first used.

    Type checkers and editors do not see this: they need the same imports below
    ``if TYPE_CHECKING``, and names that do not exist remain errors to them.

    Args:
        package: The package, ``__name__`` in its ``__init__.py``.
        homes: Public names, by the module of the package that defines them.
        modules: Modules of the package that are attributes as well.
    """
    home_of = {name: home for home, names in homes.items() for name in names}
    attributes = {"_homes": home_of, "_modules": frozenset(modules)}
    sys.modules[package].__class__ = type("LazyPackage", (_LazyPackage,), attributes)


def import_optional(module: str, what: str = "ONNX models need", extra: str = "onnx") -> Any:
    """Import a module that an extra installs.

    Args:
        module: Its full name, e.g. ``"onnxruntime.quantization"``.
        what: What needs it, for the message.
        extra: The extra.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} the package {module.partition('.')[0]} ({error}); "
            f"install it with: pip install 'medzoo[{extra}]'"
        ) from error


class _LazyPackage(ModuleType):
    _homes: Mapping[str, str]
    _modules: frozenset[str]

    def __getattr__(self, name: str) -> Any:
        if name in self._homes:
            value = getattr(import_module(f"{self.__name__}.{self._homes[name]}"), name)
        elif name in self._modules:
            value = import_module(f"{self.__name__}.{name}")
        else:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Python binds each imported module to its package. A public name of the same spelling
        # must not depend on whether its module was imported before.
        if name in self._homes and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self)["__all__"], *self._modules})
