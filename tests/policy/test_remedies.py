"""What a finding on a port says to do is for the daemon of that port."""

from dataclasses import replace

import pytest

from mailwitness.checks import all_checks
from mailwitness.correlate import fleet
from mailwitness.correlate.host import Host, Witnesses, correlate
from mailwitness.evidence.codec import loads
from mailwitness.evidence.host import HostEvidence, Postfix, PostfixInstance
from mailwitness.evidence.probe import ProbeEvidence
from mailwitness.policy.audit import load_policy
from mailwitness.policy.check import Remedy
from mailwitness.policy.engine import judge, questions
from tests.lab.audit import RECORDED

CHECKS = all_checks()
WRONG = "tls-legacy-version"


def of_legacy(inside: HostEvidence) -> Host:
    run = fleet.read(RECORDED).run
    (plan,) = (each for each in run.hosts if each.name == "legacy")
    seen = (RECORDED / "legacy" / "probe@controller.json").read_text()
    outside = (("controller", loads(seen, ProbeEvidence)),)
    return correlate(plan, Witnesses(inside, outside), run.started_at)


@pytest.fixture
def inside() -> HostEvidence:
    return loads((RECORDED / "legacy" / "host.json").read_text(), HostEvidence)


def remedies(host: Host) -> dict[str, tuple[Remedy, ...]]:
    findings = judge(host, questions([load_policy("rfc", CHECKS)], CHECKS))
    return {
        each.endpoint.id: each.remedies
        for each in findings
        if each.check.id == WRONG and each.endpoint and each.remedies
    }


def test_the_product_of_the_port_alone_is_named(inside: HostEvidence) -> None:
    found = remedies(of_legacy(inside))
    assert {each.product for each in found["imap:143"]} == {"dovecot"}
    assert {each.product for each in found["submission:587"]} == {"postfix"}


def test_another_instance_of_postfix_is_what_is_set(inside: HostEvidence) -> None:
    assert isinstance(inside.postfix, Postfix)
    there = "/etc/postfix out"
    moved = inside.postfix._replace(config_directory=there)
    instance = PostfixInstance("out", there, enabled=True, postfix=moved)
    nothing = inside.postfix._replace(services=())
    found = remedies(of_legacy(replace(inside, postfix=nothing, postfix_instances=(instance,))))
    (usual,) = remedies(of_legacy(inside))["submission:587"]
    (remedy,) = found["submission:587"]
    assert remedy.text == f"export MAIL_CONFIG='{there}'\n{usual.text}"
    assert found["imap:143"] == remedies(of_legacy(inside))["imap:143"]
