"""What all tests share: unit tests have no network but loopback, lab tests have the lab."""

import os
from collections.abc import Iterator

import pytest
import pytest_socket

from tests.lab.lab import Lab, unavailable

LOOPBACK = ["127.0.0.1", "::1"]


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("lab") is None:
        pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture(scope="session")
def bootable() -> None:
    """Hosts can boot here; in CI it is a failure if not."""
    reason = unavailable()
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab with all its hosts up."""
    request.getfixturevalue("bootable")
    its = Lab()
    found_up = any(up for _, up in its.status())
    its.up()
    yield its
    if not found_up:
        its.down()
