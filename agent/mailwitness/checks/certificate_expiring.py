"""The certificate has been renewed in time."""

from mailwitness.checks._certificate_remedies import install
from mailwitness.checks._served import expires_soon, moment, served
from mailwitness.policy.check import Case, Check, Remedy, Scope
from mailwitness.policy.outcome import Severity, Verdict, failed, not_applicable, passed


def _judge(case: Case) -> Verdict:
    now = moment(case)
    certificates = served(case.session)
    if not certificates:
        return not_applicable("no TLS is offered")
    valid = [one for one in certificates if one.leaf.not_before <= now <= one.leaf.not_after]
    if not valid:
        return not_applicable("not valid now, which certificate-expired judges")
    soon = []
    for certificate in valid:
        leaf = certificate.leaf
        left = leaf.not_after - now
        if expires_soon(leaf, now):
            soon.append(
                case.says(
                    f"{certificate.where}, {left.days} days left, until {leaf.not_after:%Y-%m-%d}"
                )
            )
    if soon:
        return failed("the certificate expires soon and has not been renewed", soon)
    last = min(certificate.leaf.not_after for certificate in valid)
    return passed(f"valid until {last:%Y-%m-%d}")


CHECK = Check(
    id="certificate-expiring",
    title="The certificate expires soon",
    severity=Severity.MEDIUM,
    rationale="From the moment it expires every client that verifies is locked out; a renewal "
    "that should have taken place by now has not, or is not served.",
    references=("RFC 5280 §4.1.2.5", "https://eff-certbot.readthedocs.io/en/stable/using.html"),
    scope=Scope.LOOK,
    judge=_judge,
    dated=True,
    always=True,
    remedies=(
        Remedy(
            "",
            "",
            "Renew it and reload what serves it. With certbot: certbot renew --dry-run shows why "
            "it was not renewed, systemctl list-timers whether anything tries.",
        ),
        *install(postfix=("Debian 12",)),
    ),
)
