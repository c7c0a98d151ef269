"""Registering medzoo's architectures with timm, whichever of the two is imported first.

timm has no entry point for the models of other packages: models are registered when their modules
are imported. Importing them in `import medzoo` would take seconds (PyTorch), also for users who do
not need them. So medzoo waits until timm is imported: an import finder lets Python import timm's
models as usual, and then imports medzoo's.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_AWAITED = "timm.models"


def register_with_timm() -> None:
    """Register medzoo's architectures with timm: now or as soon as timm is imported."""
    if _AWAITED in sys.modules:
        _import_architectures()
    else:
        sys.meta_path.insert(0, _TimmFinder())


class _TimmFinder:
    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find ``timm.models`` as Python does; leave all other modules to the other finders."""
        spec = PathFinder.find_spec(name, path, target) if name == _AWAITED else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _TimmLoader(spec.loader.name, spec.loader.path)
        return spec


class _TimmLoader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        _import_architectures()


def _import_architectures() -> None:
    try:
        import medzoo.models  # noqa: F401
    except Exception as error:
        # Users of timm alone must not see an error; `import medzoo.models` raises it.
        warnings.warn(
            f"timm works, but does not know medzoo's architectures: {error!r}. "
            "`import medzoo.models` shows the whole error",
            RuntimeWarning,
            stacklevel=2,
        )
