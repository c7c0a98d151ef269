"""After `import medzoo`, timm knows medzoo's architectures, whichever is imported first.

timm has no way for a package to announce its models; they are registered when their modules are
imported. To import them with medzoo would cost seconds (PyTorch) that most uses of the package do
not need, so medzoo waits for somebody to import timm: a finder in front of Python's own lets timm's
models be imported as ever, and imports medzoo's after them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_AWAITED = "timm.models"


def register_with_timm() -> None:
    """Register medzoo's architectures with timm: now if it is imported, else as soon as it is."""
    if _AWAITED in sys.modules:
        _import_architectures()
    else:
        sys.meta_path.insert(0, _TimmFinder())


class _TimmFinder:
    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find timm's models as Python does; leave all else to the other finders."""
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
        # Whoever imports timm may not need medzoo; whoever needs it gets the error itself.
        warnings.warn(
            f"timm works, but does not know medzoo's architectures: {error!r}. "
            "`import medzoo.models` shows the whole error",
            RuntimeWarning,
            stacklevel=2,
        )
