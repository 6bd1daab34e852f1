"""`python -m meshconv.cli`."""

import sys

from meshconv.cli import main

sys.exit(main())
