"""What postscreen(8) is told where it speaks to a client itself, in the words of smtpd's settings.

By itself it hands a client on before the greeting, and smtpd has the conversation. Tests that come
after the greeting keep new clients with it, and tlsproxy(8) does TLS for it.
"""

from collections.abc import Mapping

_AFTER_GREETING = (
    "postscreen_bare_newline_enable",
    "postscreen_non_smtp_command_enable",
    "postscreen_pipelining_enable",
)
_ANNOUNCING = (
    "postscreen_discard_ehlo_keywords",
    "postscreen_enforce_tls",
    "postscreen_tls_security_level",
    "postscreen_use_tls",
)
_OF_TLS = (
    "tlsproxy_enforce_tls",
    "tlsproxy_tls_ask_ccert",
    "tlsproxy_tls_cert_file",
    "tlsproxy_tls_chain_files",
    "tlsproxy_tls_ciphers",
    "tlsproxy_tls_dcert_file",
    "tlsproxy_tls_dkey_file",
    "tlsproxy_tls_eccert_file",
    "tlsproxy_tls_eckey_file",
    "tlsproxy_tls_exclude_ciphers",
    "tlsproxy_tls_key_file",
    "tlsproxy_tls_mandatory_ciphers",
    "tlsproxy_tls_mandatory_exclude_ciphers",
    "tlsproxy_tls_mandatory_protocols",
    "tlsproxy_tls_protocols",
    "tlsproxy_tls_req_ccert",
    "tlsproxy_tls_security_level",
    "tlsproxy_use_tls",
)
# The older names of 3.5 and before, and those that have taken their place.
_KEEPING_OUT = (
    "postscreen_access_list",
    "postscreen_allowlist_interfaces",
    "postscreen_blacklist_action",
    "postscreen_denylist_action",
    "postscreen_dnsbl_action",
    "postscreen_dnsbl_sites",
    "postscreen_upstream_proxy_protocol",
    "postscreen_whitelist_interfaces",
)
PARAMETERS = (*_AFTER_GREETING, *_ANNOUNCING, *_OF_TLS, *_KEEPING_OUT)


def speaks_itself(settings: Mapping[str, str]) -> bool:
    """Whether new clients get postscreen's own answers."""
    return any(settings.get(name) == "yes" for name in _AFTER_GREETING)


def announced(settings: Mapping[str, str]) -> dict[str, str]:
    """By which it says whether there is STARTTLS."""
    return _as_of_smtpd(settings, _ANNOUNCING)


def of_tls(settings: Mapping[str, str]) -> dict[str, str]:
    """By which TLS is done; postscreen knows no AUTH."""
    beneath = {
        name: value for name, value in settings.items() if name.startswith(("tls_", "mail_"))
    }
    return {**beneath, **_as_of_smtpd(settings, _OF_TLS)}


def _as_of_smtpd(settings: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {f"smtpd_{name.partition('_')[2]}": settings[name] for name in names if name in settings}
