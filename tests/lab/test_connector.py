"""What the report says of a mailbox connector, held to a real client on the same hosts."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.connector import Connector, another_address
from tests.lab.description import all_hosts
from tests.lab.lab import Lab
from tests.lab.network import ADDRESSES
from tests.lab.test_audit import MAIL, Run, run

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def audited(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(lab, tmp_path_factory.mktemp("connector"))


def connector(lab: Lab, name: str) -> Connector:
    host = all_hosts()[name]
    return Connector(
        name=host.names[0],
        address=host.ipv4,
        user="tester",
        password=lab.password,
        root=Path(lab.authority.root),
        source=ADDRESSES[0],
    )


@pytest.mark.parametrize("name", MAIL)
def test_a_real_client_connects_exactly_where_the_report_says_so(
    lab: Lab, audited: Run, name: str
) -> None:
    (said,) = audited.host(name)["eligibility"]
    client = connector(lab, name)
    if client.connects():
        found = "eligible"
    elif replace(client, verify=False).connects():
        found = "eligible-with-exception"
    else:
        found = "not-eligible"
    # Of a host that is down nobody can tell; no client connects to it either.
    expected = {"unknown": "not-eligible"}.get(said["answer"], said["answer"])
    assert found == expected, said


def test_from_an_address_that_the_allowlist_lacks(lab: Lab, audited: Run) -> None:
    lists = {entry["port"]: entry for entry in audited.host("allowlisted")["allowlists"]}
    assert lists[993]["missing"] == ["198.51.100.0/24"]
    assert lists[587]["missing"] == []
    listed = connector(lab, "allowlisted")
    assert listed.reads_by(993)
    with another_address("198.51.100.7") as source:
        lacking = replace(listed, source=source)
        assert not lacking.reads_by(993)
        assert lacking.sends_by(587)
