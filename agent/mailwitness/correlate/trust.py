"""Whether a served chain leads to a CA that clients trust."""

import contextlib
import datetime
import os
import re
import ssl
import warnings
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification

from mailwitness.correlate.certificate import Certificate
from mailwitness.evidence.missing import Missing

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

# Where distributions keep their bundle when the ssl module's own default is not there.
_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Alpine
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora, RHEL
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
)


@dataclass(frozen=True, eq=False)
class Store:
    """The CAs that a client trusts."""

    certificates: tuple[x509.Certificate, ...]

    @cached_property
    def prepared(self) -> verification.Store:
        """As a verifier wants them."""
        return verification.Store(list(self.certificates))

    @cached_property
    def turns(self) -> tuple[datetime.datetime, ...]:
        """The moments from which on one of them is valid, or no longer is; ascending."""
        return tuple(
            sorted(
                turn
                for each in self.certificates
                for turn in _turns(each.not_valid_before_utc, each.not_valid_after_utc)
            )
        )


def _turns(
    not_before: datetime.datetime, not_after: datetime.datetime
) -> tuple[datetime.datetime, datetime.datetime]:
    # RFC 5280 §4.1.2.5: valid through notAfter, inclusive, and dates have whole seconds.
    return not_before, not_after + datetime.timedelta(seconds=1)


@lru_cache(maxsize=1)
def _system_store() -> Store | Missing:
    """The CAs that the control node's own TLS clients trust."""
    paths = ssl.get_default_verify_paths()
    named = os.environ.get(paths.openssl_cafile_env)
    for path in (Path(named or paths.openssl_cafile), *_BUNDLES):
        if path.is_file():
            return Store(_load(path.read_text("ascii", "replace")))
    return Missing("the control node has no store of CA certificates (package ca-certificates)")


def given_store(pem: str) -> tuple[x509.Certificate, ...] | Missing:
    """The CAs of a PEM file that the inventory names."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError as error:
        return Missing(f"mailwitness_trust_store is no list of PEM certificates: {error}")


@lru_cache(maxsize=256)
def store(pem: str | None) -> Store | Missing:
    """The system's CAs and, where a PEM text is given, those too."""
    system = _system_store()
    if pem is None:
        return system
    given = given_store(pem)
    if isinstance(given, Missing):
        return given
    return Store(given if isinstance(system, Missing) else (*system.certificates, *given))


@lru_cache(maxsize=256)  # of a host, whose chains several checks ask about
def chain_problem(
    leaf: Certificate,
    intermediates: tuple[Certificate, ...],
    roots: Store,
    at: datetime.datetime,
) -> str | None:
    """None where a chain can be built from `leaf` to one of `roots`, else why not.

    Names and the leaf's own dates are other checks' matter: the time is moved into the
    leaf's validity, and extensions are read as mail clients read them (OpenSSL asks for
    basicConstraints of an issuer and little more; company CAs often have no more).
    """
    moment = min(max(at, leaf.not_before), leaf.not_after)
    # All moments between two turns have one answer, so that it is worked out once for all the
    # conversations that showed the chain.
    turns = [leaf.not_before]
    for each in intermediates:
        turns += (turn for turn in _turns(each.not_before, each.not_after) if turn <= moment)
    place = bisect_right(roots.turns, moment)
    turns += roots.turns[place - 1 : place]
    return _problem(leaf, intermediates, roots, max(turns))


@lru_cache(maxsize=4096)
def _problem(
    leaf: Certificate, given: tuple[Certificate, ...], roots: Store, moment: datetime.datetime
) -> str | None:
    verifier = (
        verification.PolicyBuilder()
        .store(roots.prepared)
        .time(moment)
        .extension_policies(ca_policy=_issuer_policy(), ee_policy=_leaf_policy())
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf.x509, [certificate.x509 for certificate in given])
    except (verification.VerificationError, ValueError) as error:
        return str(error).removeprefix("validation failed: ")
    return None


@lru_cache(maxsize=1)
def _leaf_policy() -> verification.ExtensionPolicy:
    return verification.ExtensionPolicy.permit_all()


@lru_cache(maxsize=1)
def _issuer_policy() -> verification.ExtensionPolicy:
    return verification.ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, _must_be_ca
    )


def _must_be_ca(
    _policy: verification.Policy, _certificate: x509.Certificate, extension: x509.BasicConstraints
) -> None:
    if not extension.ca:
        raise ValueError("an issuer in the chain is no CA")


def _load(bundle: str) -> tuple[x509.Certificate, ...]:
    """A system's bundle; an odd certificate in it costs itself alone."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for pem in _BLOCK.findall(bundle):
            with contextlib.suppress(ValueError):
                found.append(x509.load_pem_x509_certificate(pem.encode("ascii", "replace")))
    return tuple(found)
