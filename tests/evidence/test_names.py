import pytest

from mailwitness.evidence.names import client_names


@pytest.mark.parametrize(
    "name",
    [
        "mail.example.com",
        "MAIL.Example.COM",
        "mail.example.com.",
        "a.io",
        "xn--bcher-kva.example",
        "bücher.example",
        "imap_1.example.com",
        "1.2.3.4.example",
        "m" * 63 + ".example",
    ],
)
def test_a_fully_qualified_name_is_one_for_clients(name: str) -> None:
    assert client_names([name]) == (name,)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "mail1",
        "localhost",
        "192.0.2.1",
        "192.0.2.1.",
        "2001:db8::1",
        "::ffff:192.0.2.1",
        "[::1]",
        "mail..example.com",
        ".example.com",
        "-mail.example.com",
        "mail-.example.com",
        "mail.example.com:993",
        "mail example.com",
        "mail.example.com\n",
        "m" * 64 + ".example",
        "a." * 127 + "example",
        "mail.example.com/../x",
    ],
)
def test_an_address_an_alias_or_no_name_at_all_is_not(name: str) -> None:
    assert client_names([name]) == ()


def test_names_keep_their_order_and_come_once() -> None:
    candidates = ["b.example.com", "mail1", "a.example.com", "b.example.com", "192.0.2.1"]
    assert client_names(candidates) == ("b.example.com", "a.example.com")


def test_no_candidates_no_names() -> None:
    assert client_names([]) == ()


def test_a_very_long_candidate_is_judged_at_once() -> None:
    assert client_names(["a" * 1_000_000, "a." * 500_000, "-" * 1_000_000]) == ()
