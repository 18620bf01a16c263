"""Audits the TLS, certificates, logins and allowlists of mail hosts, from inside and outside."""

__version__ = "0.1.0"
