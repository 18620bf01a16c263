"""Why a source can reach a port or cannot, and how lists fare, as text for a terminal."""

from collections.abc import Iterable, Iterator

from tabulate import tabulate

from mailwitness.correlate.allowlist import ListAnswer
from mailwitness.correlate.filtered import Filters, shares
from mailwitness.evidence.missing import Missing
from mailwitness.firewall.addresses import EVERYTHING, IntervalSet, format_address
from mailwitness.firewall.verdict import Answer, Reachability, networks
from mailwitness.policy.outcome import few
from mailwitness.report.text import printable

_WIDTHS = [20, 16, 5, 8, 22, 22]
MOST_TRACES = 4  # of one network: one for each thing that decides


def allowlists(found: Iterable[tuple[str, ListAnswer]]) -> str:
    """A table of lists by host and port, and the reason for each that is not wholly admitted."""
    rows, notes = [], []
    for host, answer in found:
        name = printable(host)
        rows.append(
            [
                name,
                printable(answer.allowlist.name),
                answer.port,
                answer.admitted,
                few(answer.missing),
                few(answer.unknown),
            ]
        )
        if isinstance(answer.filtered, Missing):
            notes.append(printable(f"{host}: {answer.filtered.reason}"))
        else:
            notes += [printable(f"{host} {answer.port}: {why}") for why in _reasons(answer)]
    headers = ["host", "allowlist", "port", "admitted", "missing", "not known"]
    table = tabulate(rows, headers, maxcolwidths=_WIDTHS, disable_numparse=True)
    return "\n".join([table, *([""] if notes else []), *dict.fromkeys(notes)]) + "\n"


def _reasons(answer: ListAnswer) -> Iterator[str]:
    for access in answer.listed:
        share = access.share
        if share.answer is not Answer.ADMITTED:
            yield (
                f"{few(answer.networks([access]))} {share.answer}{share.why}: {share.decided_by}"
            )


def way(filters: Filters, of: Reachability, sources: IntervalSet | None) -> str:
    """One way into the host: all sources and what decides, or each rule for the given ones."""
    head = f"{of.address} port {of.port}, over {of.interface}"
    lines = [head]
    for share in shares(of, EVERYTHING if sources is None else sources):
        sourced = few(list(networks(of.family, share.sources)))
        lines.append(f"  {share.answer:9} {sourced}{share.why}")
        lines.append(f"            by {share.decided_by}")
    if sources is not None:
        for share in list(shares(of, sources))[:MOST_TRACES]:
            first, _ = next(share.sources.intervals(128))
            lines += _trace(filters, of, format_address(of.family, first))
    return "\n".join(printable(line) for line in lines) + "\n"


def _trace(filters: Filters, of: Reachability, source: str) -> Iterator[str]:
    trace = filters.trace(source, of)
    yield f"  {source}, step by step:"
    for step in trace.steps:
        reply = ", the answer" if step.reply else ""
        perhaps = "" if step.matched == "yes" else f" ({step.matched})"
        yield f"    {step.hook}{reply}: {step.decider}{perhaps} -> {step.effect}"
    result = trace.result
    yield f"    the packet filters: {result.answer} by {result.decided_by}"
    final = of.of(source)
    if (final.answer, final.decided_by) != (result.answer, result.decided_by):
        yield f"    then {final.answer} by {final.decided_by}"
