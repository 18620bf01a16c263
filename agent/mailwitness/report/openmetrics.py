"""Numbers for Prometheus, by node_exporter's textfile collector or any scraper of OpenMetrics."""

from datetime import datetime
from typing import Any

from mailwitness.policy.outcome import Severity
from mailwitness.report.interface import Format
from mailwitness.report.plots import expiries
from mailwitness.report.text import printable
from mailwitness.report.worklist import roots

_STATUSES = ("audited", "partial", "unreachable", "failed")


def _render(report: dict[str, Any]) -> str:
    """Gauges alone, so that the older text format of Prometheus reads them, too."""
    # Every command knows all formats; this takes longer to import than all others together.
    from prometheus_client import CollectorRegistry, Gauge  # noqa: PLC0415
    from prometheus_client.openmetrics.exposition import generate_latest  # noqa: PLC0415

    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"mailwitness_{name}", meaning, labels, registry=registry)

    evidence = gauge("evidence_timestamp_seconds", "When the evidence was taken.")
    status = gauge("host_status", "1 for the status that the host has.", "host", "status")
    failures = gauge("failures", "Failed findings, without what follows.", "host", "severity")
    unknown = gauge("not_assessed", "Questions that could not be answered.", "host")
    eligible = gauge(
        "eligible", "1 for the answer to the policy's question.", "host", "policy", "answer"
    )
    expires = gauge(
        "certificate_expiry_timestamp_seconds",
        "When a served certificate expires.",
        "host",
        "endpoint",
        "sha256",
    )
    evidence.set(_seconds(report["collected_at"]))
    for host in report["hosts"]:
        name = printable(host["name"])
        for each in _STATUSES:
            status.labels(name, each).set(each == host["status"])
        failed = [each["severity"] for each in roots(host) if each["outcome"] == "fail"]
        for level in Severity:
            failures.labels(name, level.value).set(failed.count(level))
        outcomes = [finding["outcome"] for finding in host["findings"]]
        unknown.labels(name).set(outcomes.count("not-assessed") + outcomes.count("error"))
        for entry in host["eligibility"]:
            eligible.labels(name, entry["policy"], entry["answer"]).set(1)
    for expiry in expiries(report):
        for name, endpoint in expiry.places:
            labels = (printable(name), endpoint, expiry.sha256[:16])
            expires.labels(*labels).set(_seconds(expiry.not_after))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.decode()


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


FORMAT = Format("openmetrics", "numbers for Prometheus", _render)
