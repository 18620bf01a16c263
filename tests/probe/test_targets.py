"""Targets as somebody writes them, and as the playbook hands them on."""

import pytest

from mailwitness.evidence.codec import EvidenceError
from mailwitness.probe.targets import parse, read_targets


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("mail.example.com", ("mail.example.com", None)),
        ("mail.example.com:993", ("mail.example.com", 993)),
        ("192.0.2.1", ("192.0.2.1", None)),
        ("192.0.2.1:25", ("192.0.2.1", 25)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
        ("localhost", ("localhost", None)),
    ],
)
def test_a_target(text: str, meant: tuple[str, int | None]) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "neither a name nor an address"),
        (":993", "neither a name nor an address"),
        ("mail example", "neither a name nor an address"),
        ("mail.example.com:", "not a port number"),
        ("mail.example.com:imaps", "not a port number"),
        ("mail.example.com:0", "not a port number"),
        ("mail.example.com:65536", "not a port number"),
        ("mail.example.com:٩٩", "not a port number"),
        ("mail.example.com:99:3", r"written \[2001:db8::1\]:993"),
        ("2001:db8::1:99999", r"written \[2001:db8::1\]:993"),
        ("[2001:db8::1]:", "not a port number"),
        ("[mail.example.com]:993", "mail.example.com"),
        ("[2001:db8::1", r"written \[2001:db8::1\]:993"),
    ],
)
def test_what_is_no_target_is_named(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(text)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: dict is expected"),
        ('{"host": "m"}', "line 2: target is not there"),
        ("[" * 100_000, "line 2: nested too deeply"),
        (
            '{"host": "m", "target": "m", "names": [], "ports": [0], "account": null}',
            "0 is not between",
        ),
    ],
)
def test_a_line_that_is_no_target_is_named(line: str, problem: str) -> None:
    with pytest.raises(EvidenceError) as error:
        list(read_targets(["\n", line]))
    assert str(error.value).startswith(problem) or problem in str(error.value)
