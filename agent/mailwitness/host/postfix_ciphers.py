"""The list of ciphers that Postfix puts together from a grade and its exclusions."""

from collections.abc import Mapping
from typing import Union

from mailwitness.evidence.missing import Missing

# tls_set_ciphers() of src/tls/tls_misc.c; Postfix asks the library for level 0 beforehand.
SECURITY_LEVEL = 0
_GRADES = ("high", "medium", "low", "export", "null")


def enforces_tls(settings: Mapping[str, str]) -> bool:
    """Whether a service speaks to nobody without TLS: then the mandatory_ settings hold.

    postconf(5): wrappermode does whatever the level says; `encrypt` and the levels above it,
    which smtpd takes for it, do; without a level smtpd_enforce_tls does.
    """
    if settings.get("smtpd_tls_wrappermode") == "yes":
        return True
    level = settings.get("smtpd_tls_security_level", "")
    if level:
        return level not in ("none", "may")
    return settings.get("smtpd_enforce_tls") == "yes"


def cipher_list(settings: Mapping[str, str]) -> Union[str, Missing]:
    """In OpenSSL's notation, for the settings of one service."""
    mandatory = enforces_tls(settings)
    grade = settings.get("smtpd_tls_mandatory_ciphers" if mandatory else "smtpd_tls_ciphers", "")
    if grade.lower() not in _GRADES:
        return Missing(f"Postfix knows no cipher grade {grade!a}")
    # From 3.8 on the two lowest are the medium one, and their own lists are empty.
    text = settings.get(f"tls_{grade.lower()}_cipherlist") or settings.get("tls_medium_cipherlist")
    if not text:
        return Missing(f"tls_{grade.lower()}_cipherlist is not known")
    excluded = [settings.get("smtpd_tls_exclude_ciphers", "")]
    if mandatory:
        excluded.append(settings.get("smtpd_tls_mandatory_exclude_ciphers", ""))
    if "yes" in (settings.get("smtpd_tls_ask_ccert"), settings.get("smtpd_tls_req_ccert")):
        excluded.append("aNULL")  # who asks for a certificate must show one
    words = " ".join(excluded).replace(",", " ").replace(":", " ").split()
    for word in words:
        if word[0] in "!+-@":
            return Missing(f"Postfix refuses {word!a} among the ciphers to exclude")
    return ":".join((text, *(f"!{word}" for word in words)))
