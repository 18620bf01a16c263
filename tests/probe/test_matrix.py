"""What the hellos find of servers of OpenSSL is what these are configured for."""

import asyncio
from pathlib import Path

import pytest

from tests.probe.looking import Port, negotiated, versions_alone
from tests.probe.matrix import (
    GROUP_NAMES,
    VERSIONS,
    Configuration,
    configurations,
    expected_suites,
    make_keys,
    serving,
)

pytestmark = pytest.mark.lab  # sixty servers, one after the other


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder)
    return folder


@pytest.mark.parametrize("configuration", list(configurations()), ids=str)
def test_it_is_found_as_it_is_configured(configuration: Configuration, keys: Path) -> None:
    with serving(configuration, keys) as port:
        _, found, _ = negotiated(Port(port))
        alone = asyncio.run(versions_alone(Port(port)))
    suites = {one.version: frozenset(one.names) for one in found.suites}
    expected = {version: expected_suites(configuration, version) for version in VERSIONS}
    assert suites == {version: names for version, names in expected.items() if names}
    # Where it can serve nothing at all, OpenSSL's server ends itself at the first connection.
    refused = False if suites else None
    accepted = {version: True if names else refused for version, names in expected.items()}
    assert alone == {"SSLv2": refused, "SSLv3": refused, **accepted}
    assert all(isinstance(one.rest, str) for one in (*found.suites, *found.groups))
    if configuration.groups:
        names = {GROUP_NAMES[group] for group in configuration.groups}
        assert [set(one.names) for one in found.groups] == [names, names]
    for one in found.suites:
        if len(one.names) > 1 and one.version != "TLSv1.3":
            assert one.order == ("server" if configuration.server_order else "client")
