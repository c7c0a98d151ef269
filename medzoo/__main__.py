"""``python -m medzoo`` is the ``medzoo`` command."""

import sys

from medzoo.cli import main

sys.exit(main())
