"""How a certificate is put in place, which several checks of certificates advise."""

from mailwitness.policy.check import Remedy

INSTALL = (
    Remedy(
        "dovecot",
        "<2.4",
        "ssl_cert = </path/fullchain.pem\nssl_key = </path/privkey.pem\n"
        "Then: doveconf -n >/dev/null && doveadm reload",
    ),
    Remedy(
        "dovecot",
        ">=2.4",
        "ssl_server_cert_file = /path/fullchain.pem\nssl_server_key_file = /path/privkey.pem\n"
        "Then: doveconf -n >/dev/null && doveadm reload",
    ),
    Remedy(
        "postfix",
        "<3.4",
        "postconf -e smtpd_tls_cert_file=/path/fullchain.pem smtpd_tls_key_file=/path/privkey.pem; "
        "postfix check && postfix reload",
    ),
    Remedy(
        "postfix",
        ">=3.4",
        "postconf -e 'smtpd_tls_chain_files=/path/privkey.pem, /path/fullchain.pem'; "
        "postfix check && postfix reload",
    ),
)
