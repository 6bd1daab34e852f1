"""``python -m meshconv``: the command line."""

from meshconv.cli import main

raise SystemExit(main())
