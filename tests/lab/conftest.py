"""What lab tests share beside the lab."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.controller import controller
from tests.lab.lab import Lab
from tests.lab.machine import Machine


@pytest.fixture
def control(lab: Lab, tmp_path: Path) -> Iterator[Machine]:
    """A host that audits another one."""
    with controller(lab, tmp_path / "wheels") as machine:
        yield machine
