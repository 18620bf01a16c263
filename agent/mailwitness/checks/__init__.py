"""All checks, one file each: whatever module of this folder has a CHECK is one."""

import importlib
import pkgutil
from functools import lru_cache

from mailwitness.policy.check import Check


@lru_cache(maxsize=1)
def all_checks() -> tuple[Check, ...]:
    """Every check, by id."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in _modules())
    return tuple(sorted((module.CHECK for module in modules), key=lambda check: check.id))


def _modules() -> list[pkgutil.ModuleInfo]:
    # What several checks share stands in files with an underscore.
    return [found for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_")]
