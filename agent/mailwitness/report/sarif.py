"""SARIF 2.1.0, as code hosts and security dashboards read it: what failed and what is not known."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from mailwitness.report.interface import Format
from mailwitness.report.text import printable

Json = dict[str, Any]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
# GitHub's scale, "SARIF support for code scanning": critical is over 9.0, high from 7.0, medium
# from 4.0.
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0", "info": "0.1"}
_BORNE = ("waived", "accepted")
_KNOWN = ("fail", *_BORNE)
# §3.11.6: in a message this is a link, which only the tool itself may set.
_LINK = re.compile(r"\[([^\[\]]*)\](?=\()")


def _render(report: Json) -> str:
    findings = [(host, finding) for host in report["hosts"] for finding in host["findings"]]
    rules = {finding["check"]: _rule(finding) for _, finding in findings}
    for _, finding in findings:
        if finding["outcome"] in _KNOWN:
            score = _SCORES[finding["severity"]]
            its = rules[finding["check"]]["properties"]
            # Code hosts ask the rule: the worst of what it found.
            its["security-severity"] = max(its.get("security-severity", score), score, key=float)
    run = {
        "tool": {
            "driver": {
                "name": report["tool"]["name"],
                "version": report["tool"]["version"],
                "rules": list(rules.values()),
            }
        },
        "automationDetails": {"id": f"mailwitness/{report['collected_at']}"},
        "results": [result for each in findings for result in _results(*each)],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(finding: Json) -> Json:
    return {
        "id": finding["check"],
        "shortDescription": {"text": finding["title"]},
        "fullDescription": {"text": finding["rationale"]},
        "help": {"text": "\n".join([finding["rationale"], *finding["references"]])},
        "properties": {"tags": ["security", "mail"]},
    }


def _results(host: Json, finding: Json) -> Iterator[Json]:
    """What failed, what is borne, and what could not be told; what is in order is not shown."""
    outcome = finding["outcome"]
    if outcome in ("pass", "not-applicable"):
        return
    known = outcome in _KNOWN
    place = "/".join(filter(None, (host["name"], finding["endpoint"])))
    same = _digest(finding["check"], place)  # what makes it the same finding in the next run
    said = [finding["detail"]]
    said += (f"{each['view']} ({each['source']}): {each['says']}" for each in finding["witnesses"])
    said += (remedy["text"] for remedy in finding["remedies"])
    result: Json = {
        "ruleId": finding["check"],
        # §3.27.9: "open" is a question whose answer is not known yet.
        "kind": "fail" if known else "open",
        "level": _LEVELS[finding["severity"]] if known else "none",
        "message": {"text": "\n".join(map(_plain, said))},
        "locations": [
            {
                # Code hosts show nothing that has no file; the host stands for one.
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(host["name"], safe="")},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [{"fullyQualifiedName": printable(place), "kind": "resource"}],
            }
        ],
        "partialFingerprints": {
            "mailwitness/v1": same,
            "primaryLocationLineHash": f"{same[:16]}:1",
        },
    }
    if outcome in _BORNE:
        waiver = finding["waiver"]
        why = f"{waiver['owner']}: {waiver['reason']}" if waiver else "accepted by the baseline"
        result["suppressions"] = [{"kind": "external", "justification": printable(why)}]
    yield result


def _plain(text: str) -> str:
    return _LINK.sub(r"\\[\1\\]", printable(text, keep="\n"))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


FORMAT = Format("sarif", "SARIF 2.1.0, for code hosts and security dashboards", _render)
