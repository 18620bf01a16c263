"""What a report format is, and all there are."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LONGEST = 4000  # of one text, in characters: more than any sentence that a reader would read


@dataclass(frozen=True)
class Format:
    """A name for the command line and a pure function from the value of report.json to text."""

    name: str
    title: str
    render: Callable[[dict[str, Any]], str]


@lru_cache(maxsize=1)
def all_formats() -> dict[str, Format]:
    """Whatever module of this folder has a FORMAT, by name."""
    package = __name__.rpartition(".")[0]
    folder = importlib.import_module(package).__path__
    modules = [
        importlib.import_module(f"{package}.{found.name}") for found in pkgutil.iter_modules(folder)
    ]
    formats = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    return {form.name: form for form in sorted(formats, key=lambda form: form.name)}
