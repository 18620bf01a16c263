"""How a new certificate is put in place, which several checks of certificates advise."""

from mailwitness.policy.check import NEW_CHAIN, NEW_KEY, Remedy


def install(
    *, dovecot: tuple[str, ...] = (), dovecot_2_4: tuple[str, ...] = (), postfix: tuple[str, ...]
) -> tuple[Remedy, ...]:
    """For each daemon, with the releases on which it has been proven for the check."""
    return (
        _dovecot("<2.4", f"ssl_cert = <{NEW_CHAIN}", f"ssl_key = <{NEW_KEY}", dovecot),
        _dovecot(
            ">=2.4",
            f"ssl_server_cert_file = {NEW_CHAIN}",
            f"ssl_server_key_file = {NEW_KEY}",
            dovecot_2_4,
        ),
        _postfix("<3.4", f"smtpd_tls_cert_file={NEW_CHAIN}", f"smtpd_tls_key_file={NEW_KEY}"),
        _postfix(">=3.4", f"smtpd_tls_chain_files={NEW_KEY}, {NEW_CHAIN}", proven=postfix),
    )


def _dovecot(versions: str, chain: str, key: str, proven: tuple[str, ...]) -> Remedy:
    text = f"{chain}\n{key}\nThen: doveconf -n >/dev/null && doveadm reload"
    return Remedy("dovecot", versions, text, settings=(chain, key), proven=proven)


def _postfix(versions: str, *settings: str, proven: tuple[str, ...] = ()) -> Remedy:
    words = " ".join(f"'{setting}'" for setting in settings)
    return Remedy(
        "postfix",
        versions,
        f"postconf -e {words}; postfix check && postfix reload",
        settings=tuple(f"-e '{setting}'" for setting in settings),
        proven=proven,
    )
