"""Every combination of the witnesses of a port, and what is said of it.

The table in `truth_table.txt` is the stated outcome; ``python -m tests.policy.truth_table``
writes it anew, to be read line by line before it is kept.
"""

from dataclasses import replace
from functools import cache, lru_cache
from itertools import product
from pathlib import Path

from mailwitness.checks import all_checks
from mailwitness.correlate.endpoint import Configured, Endpoint, Outside, Running
from mailwitness.correlate.filtered import Filtered
from mailwitness.correlate.fleet import read
from mailwitness.correlate.host import Host
from mailwitness.evidence.missing import Missing
from mailwitness.evidence.probe import Reach
from mailwitness.firewall.addresses import WIDTH, prefix
from mailwitness.firewall.verdict import Answer, Decider, Layer, Share
from mailwitness.policy.engine import Finding, judge, questions
from mailwitness.policy.folding import fold
from mailwitness.policy.outcome import Outcome
from mailwitness.policy.profile import load
from tests.lab.audit import RECORDED

TABLE = Path(__file__).with_name("truth_table.txt")
UNKNOWN = Missing("could not be read")

# Those that hold the witnesses against each other, one that judges a conversation, and the
# one that says whether clients have the service.
CHECKS = (
    "certificate-not-reloaded",
    "foreign-listener",
    "imap-available",
    "listener-down",
    "listener-not-configured",
    "outside-differs",
    "tls-modern-version",
    "unexpected-exposure",
    "upstream-blocked",
)
WITNESSES: dict[str, tuple[str, ...]] = {
    "configured": ("yes", "no", "unknown"),
    "running": ("listens", "nothing", "unknown"),
    "filtered": ("admits", "blocks", "unknown"),
    "outside": ("connects", "refused", "no answer", "unknown"),
}
Row = tuple[str, ...]


def rows() -> list[Row]:
    """Each way for the four witnesses to be, in the order of the table."""
    return list(product(*WITNESSES.values()))


@lru_cache(maxsize=1)
def _good() -> tuple[Host, Endpoint]:
    (host,) = (each for each in read(RECORDED).hosts if each.plan.name == "good")
    (endpoint,) = (each for each in host.endpoints if each.port == 993)
    return host, endpoint


def host(row: Row) -> Host:
    """The lab's sound host with IMAP's port alone, and its witnesses as the row has them."""
    sound, endpoint = _good()
    configured, running, filtered, outside = row
    assert isinstance(endpoint.configured, Configured)
    assert isinstance(endpoint.running, Running)
    assert isinstance(endpoint.filtered, Filtered)
    running_as: dict[str, Running | Missing] = {
        "listens": endpoint.running,
        "nothing": Running((), (), Missing("nothing listens")),
        "unknown": UNKNOWN,
    }
    changed = replace(
        endpoint,
        configured={"yes": endpoint.configured, "no": None, "unknown": UNKNOWN}[configured],
        running=running_as[running],
        filtered=UNKNOWN if filtered == "unknown" else _to_all(endpoint.filtered, filtered),
        outside=tuple(_seen(seen, outside) for seen in endpoint.outside),
    )
    return replace(sound, endpoints=(changed,), allowlists=())


def _to_all(filtered: Filtered, word: str) -> Filtered:
    """The same ways in, and one answer to everyone."""
    answer = Answer.ADMITTED if word == "admits" else Answer.BLOCKED
    decider = Decider(Layer.RULE, word, "nft", "inet", "filter", "input", "handle 4")
    ways = tuple(
        replace(way, shares=(Share(answer, prefix(0, 0, WIDTH[way.family]), "", decider),))
        for way in filtered.ways
    )
    return replace(filtered, ways=ways)


def _seen(seen: Outside, word: str) -> Outside:
    if word == "unknown":
        return replace(seen, observation=UNKNOWN)
    assert not isinstance(seen.observation, Missing)
    if word == "connects":
        return seen
    state = "refused" if word == "refused" else "filtered"
    detail = "timed out" if word == "no answer" else "connection refused"
    source = seen.observation.reach.source_address
    reach = Reach(state, detail, 1.0, source)  # type: ignore[arg-type]
    session = Missing("no connection")
    return replace(seen, observation=seen.observation._replace(reach=reach, session=session))


@cache
def said(row: Row) -> tuple[Finding, ...]:
    """What the checks find, folded."""
    its = host(row)
    checks = [check for check in all_checks() if check.id in CHECKS]
    return fold(its, judge(its, questions([load("mailbox-connector-2017")], checks)))


def _words(findings: tuple[Finding, ...], outcome: Outcome) -> str:
    found = sorted(
        f"({finding.check.id})" if finding.causes else finding.check.id
        for finding in findings
        if finding.outcome is outcome
    )
    return " ".join(found) or "-"


def line(row: Row) -> str:
    """The row of the table."""
    findings = said(row)
    cells = [
        *(word.ljust(10) for word in row),
        _words(findings, Outcome.FAIL).ljust(56),
        _words(findings, Outcome.NOT_ASSESSED),
    ]
    return "  ".join(cells).rstrip()


def table() -> str:
    """The whole of it."""
    head = "  ".join((*(word.ljust(10) for word in WITNESSES), "fails".ljust(56), "not assessed"))
    return (
        "A port for IMAP over TLS, by its four witnesses. In brackets: folded under what fails.\n"
        "Written by: python -m tests.policy.truth_table\n\n"
        f"{head}\n" + "".join(f"{line(row)}\n" for row in rows())
    )


if __name__ == "__main__":
    TABLE.write_text(table())
