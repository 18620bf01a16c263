"""JUnit's XML, as CI systems show it: a suite for each host, a case for each question."""

import re
from typing import Any
from xml.etree import ElementTree as ET

from mailwitness.report.interface import Format
from mailwitness.report.text import printable

# Beside the controls, XML 1.0 §2.2 has no way to write these.
_NO_CHARACTER = re.compile("[\ufffe\uffff]")
_SKIPPED = ("not-assessed", "not-applicable", "waived", "accepted")


def _render(report: dict[str, Any]) -> str:
    root = ET.Element("testsuites", name="mailwitness")
    for host in report["hosts"]:
        root.append(_suite(host, report["collected_at"]))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _suite(host: dict[str, Any], moment: str) -> ET.Element:
    outcomes = [finding["outcome"] for finding in host["findings"]]
    suite = ET.Element(
        "testsuite",
        name=_text(host["name"]),
        timestamp=moment.removesuffix("Z"),
        tests=str(len(outcomes)),
        failures=str(outcomes.count("fail")),
        errors=str(outcomes.count("error")),
        skipped=str(sum(outcome in _SKIPPED for outcome in outcomes)),
    )
    suite.extend(_case(finding, host["name"]) for finding in host["findings"])
    return suite


def _case(finding: dict[str, Any], host: str) -> ET.Element:
    name = f"{finding['check']} {finding['endpoint'] or ''}".rstrip()
    case = ET.Element("testcase", classname=_text(f"{host}.{finding['check']}"), name=_text(name))
    outcome, detail = finding["outcome"], _text(finding["detail"])
    if outcome == "fail":
        failure = ET.SubElement(case, "failure", type=finding["severity"], message=detail)
        failure.text = "\n".join(
            _text(f"{each['view']} ({each['source']}): {each['says']}")
            for each in finding["witnesses"]
        )
    elif outcome == "error":
        ET.SubElement(case, "error", type="error", message=detail)
    elif outcome in _SKIPPED:
        ET.SubElement(case, "skipped", message=f"{outcome}: {detail}")
    return case


def _text(text: str) -> str:
    return _NO_CHARACTER.sub("\ufffd", printable(text))


FORMAT = Format("junit", "JUnit XML, for CI systems", _render)
