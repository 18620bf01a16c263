"""Whose name answers, after postconf(5) and Dovecot's dns_match_wildcard()."""

import pytest

from mailwitness.resolver import server_name


@pytest.mark.parametrize(
    ("block", "answers"),
    [
        ("a.lab.example", True),
        ("A.Lab.Example", True),
        ("b.example a.lab.example", True),
        ("*.lab.example", True),
        ("?.lab.example", True),
        ("*.example", False),  # one label
        ("lab.example", False),
        (".lab.example", False),
        ("a.lab.exampl[e]", False),
    ],
)
def test_blocks_of_dovecot(block: str, answers: bool) -> None:  # noqa: FBT001
    assert server_name.of_dovecot(block, "a.lab.example") is answers


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        ({"a.lab.example", ".lab.example"}, "a.lab.example"),
        ({".lab.example", ".example"}, ".lab.example"),
        ({".example", "lab.example", "b.lab.example"}, ".example"),
        ({"lab.example", ".a.lab.example"}, None),
    ],
)
def test_the_closest_entry_of_postfix(names: set[str], taken: str | None) -> None:
    assert server_name.of_postfix(names, "A.lab.example") == taken
