"""The ``medzoo`` command, which ``python -m medzoo`` runs as well."""

from __future__ import annotations

import signal
import sys
import warnings


def main() -> int:
    """Run the command line as the program of this process.

    Returns:
        The exit code; see `medzoo.cli.main`.
    """
    try:
        # Ctrl-C may come during the imports, too.
        from medzoo.cli.main import format_warning
        from medzoo.cli.main import main as run

        warnings.formatwarning = format_warning  # type: ignore[assignment]
        return run()
    except KeyboardInterrupt:
        print("medzoo: interrupted", file=sys.stderr)
        return 130
    finally:
        # When Python ends, it prints a traceback of every further one.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
