"""The ``medzoo`` command, which ``python -m medzoo`` runs as well."""

from __future__ import annotations

import os
import sys
import warnings

_INTERRUPTED = 130


def main() -> int:
    """Run the command line as the program of this process.

    Returns:
        The exit code; see `medzoo.cli.main`.
    """
    _replace_closed_streams()
    try:
        # Here, because Ctrl-C may come during the imports, too.
        from medzoo.cli.main import format_warning
        from medzoo.cli.main import main as run

        warnings.formatwarning = format_warning  # type: ignore[assignment]
        code = run()
    except KeyboardInterrupt:
        print("medzoo: interrupted", file=sys.stderr)
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        # Python would wait for threads, print a traceback if Ctrl-C is pressed once more, and may
        # end with another code, if the first one came while an import executed text.
        sys.stdout.flush()
        os._exit(code)
    return code


def _replace_closed_streams() -> None:
    """Read nothing from, and write nothing to, streams that the process was started without.

    They are None in Python, and the next files that are opened would get their numbers.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115  # until the end


if __name__ == "__main__":
    sys.exit(main())
