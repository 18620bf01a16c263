"""What is measured as pip would have installed it: with its bytecode."""

import compileall
from pathlib import Path

_ROOT = Path(__file__).parent.parent


def compile_sources() -> None:
    """Done at an installation: compiling anew is no part of what a run costs."""
    for sources in ("agent", "plugins"):
        compileall.compile_dir(_ROOT / sources, quiet=1)
