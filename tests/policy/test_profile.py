"""Policies as files: what comes with the program, and what somebody writes on top."""

from pathlib import Path

import pytest

from mailwitness.checks import all_checks
from mailwitness.policy.audit import load_policy
from mailwitness.policy.profile import Profile, ProfileError, load, names

OWN = """
extends = "rfc"
title = "The company's: RSA keys of 3072 bits"

[keys]
rsa_bits = { is = 3072, paragraph = "Security handbook 4.2" }

[requires]
certificate-expired = false
auth-password-available = "Security handbook 7"
"""


def own(folder: Path, text: str) -> Profile:
    file = folder / "company.toml"
    file.write_text(text)
    return load_policy(str(file), all_checks())


@pytest.mark.parametrize("name", names())
def test_every_number_has_its_paragraph(name: str) -> None:
    profile = load_policy(name, all_checks())
    assert {"tls.minimum", "tls.forbidden"} <= set(profile.citations)
    assert bool(profile.keys) == ("keys.rsa_bits" in profile.citations)
    assert all(citation.paragraph for citation in profile.citations.values())
    assert profile.date[:2] == "20"


@pytest.mark.parametrize("name", names())
def test_port_25_is_never_judged_as_access_is(name: str) -> None:
    profile = load(name)
    assert profile.relay_why
    strict = {"tls-legacy-version", "tls-modern-version", "certificate-untrusted"}
    assert not strict & set(profile.relay_requires)


def test_what_was_not_read_in_the_document_is_marked() -> None:
    bsi = load("bsi-tr-02102-2")
    marked = {number: citation.read for number, citation in bsi.citations.items()}
    assert marked["keys.rsa_bits"] == "secondary"
    assert marked["keys.ec_bits"] == "recalled"
    assert "source" not in marked.values()


def test_grades() -> None:
    tls = load("ncsc-nl-2025-05").tls
    graded = [tls.grade(version) for version in ("TLSv1.3", "TLSv1.2", "TLSv1")]
    assert graded == ["good", "sufficient", "insufficient"]
    assert not load("rfc").tls.grade("TLSv1")


def test_a_policy_of_ones_own_extends_another(tmp_path: Path) -> None:
    profile, rfc = own(tmp_path, OWN), load("rfc")
    assert profile.id == "company"
    assert profile.tls == rfc.tls
    assert profile.keys
    assert profile.keys.rsa_bits == 3072
    assert str(profile.citations["keys.rsa_bits"]) == "Security handbook 4.2"
    assert profile.requires.keys() - rfc.requires.keys() == {"auth-password-available"}
    assert rfc.requires.keys() - profile.requires.keys() == {"certificate-expired"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("extends = ", "company.toml: not TOML: "),
        ('extends = "nosuch"', "company.toml: extends: no policy 'nosuch'; there are: bsi-"),
        ('extends = "rfc"\nminimum = "TLSv1.3"', "company.toml: minimum: no such key"),
        ('extends = "rfc"\ntitle = 3', "company.toml: title: a text is expected"),
        ('title = "Ours"', "company.toml: source: is not there"),
        (
            'extends = "rfc"\n[tls]\nminimum = "TLSv1.3"',
            "company.toml: tls.minimum: a table is expected",
        ),
        (
            'extends = "rfc"\n[tls]\nminimum = { is = "TLSv1.3" }',
            "company.toml: tls.minimum.paragraph: is not there",
        ),
        (
            'extends = "rfc"\n[tls]\nminimum = { is = "TLS1.3", paragraph = "4" }',
            "company.toml: tls: 'TLS1.3' is none of SSLv2, SSLv3, ",
        ),
        (
            'extends = "rfc"\n[tls]\nminimum = { is = "TLSv1", paragraph = "4" }',
            "company.toml: tls: minimum: TLSv1 is forbidden",
        ),
        (
            'extends = "rfc"\n[keys]\nrsa_bits = { is = "many", paragraph = "4" }',
            "company.toml: keys.rsa_bits.is: a whole number is expected",
        ),
        (
            'extends = "rfc"\n[keys]\nrsa_bits = { is = 4096, paragraph = "4", read = "once" }',
            "company.toml: keys.rsa_bits.read: 'once' is none of source, secondary, recalled",
        ),
        (
            'extends = "rfc"\n[requires]\ncertificate-expird = "4"',
            "no check 'certificate-expird'; did you mean certificate-expired?",
        ),
        (
            'extends = "mailbox-connector-2017"\n[requires]\ncertificate-weak-key = "4"',
            "policy company: keys: certificate-weak-key goes by this table",
        ),
        ('extends = "rfc"\ntls = false', "company.toml: tls.minimum: is not there"),
    ],
)
def test_what_is_wrong_names_the_file_and_the_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ProfileError) as raised:
        own(tmp_path, text)
    assert problem in str(raised.value)


def test_a_file_does_not_take_the_name_of_another_policy(tmp_path: Path) -> None:
    file = tmp_path / "rfc.toml"
    file.write_text('extends = "rfc"')
    with pytest.raises(ProfileError, match=r"rfc\.toml: rfc is a policy of its own"):
        load(str(file))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="No such file"):
        load(str(tmp_path / "company.toml"))
    with pytest.raises(ProfileError, match="no policy 'company'"):
        load("company", tmp_path)
