"""``python -m mailwitness.cli``: the command by the Python that runs this."""

import sys

from mailwitness.cli import main

sys.exit(main())
