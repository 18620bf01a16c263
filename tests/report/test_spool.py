"""A report whose hosts are on disk says the same as one whose hosts are in memory."""

import json
from pathlib import Path

import pytest

from mailwitness.report import html
from mailwitness.report.interface import LONGEST, all_formats
from mailwitness.report.spool import Spool, brief, compact, readable
from tests.report import golden

REPORT = golden.source()


def spooled(folder: Path) -> Spool:
    hosts = Spool(folder)
    for host in REPORT["hosts"]:
        hosts.append(hosts.write(host))
    return hosts


@pytest.mark.parametrize("name", all_formats())
def test_each_format_is_the_same(name: str, tmp_path: Path) -> None:
    form = all_formats()[name]
    with spooled(tmp_path) as hosts:
        assert form.render({**REPORT, "hosts": hosts}) == form.render(REPORT)


def test_the_text_and_the_index_need_the_brief_hosts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "ONE_PAGE", 1)
    with spooled(tmp_path) as hosts:
        report = {**REPORT, "hosts": hosts}
        assert all_formats()["text"].render(brief(report)) == all_formats()["text"].render(REPORT)
        assert html.fleet_page(report) == html.fleet_page(REPORT)
        for host, whole in zip(hosts, REPORT["hosts"], strict=True):
            assert html.one_host(report, host) == html.one_host(REPORT, whole)
        assert len(compact(hosts.brief)) < len(compact(REPORT["hosts"])) / 4


def test_a_host_can_be_another_one_later(tmp_path: Path) -> None:
    with spooled(tmp_path) as hosts:
        hosts[1] = hosts.write({**hosts[1], "name": "another"})
        assert [host["name"] for host in hosts] == [golden.HOSTS[0], "another", golden.HOSTS[2]]
        assert hosts.brief[1]["name"] == "another"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value",
    [
        "§ 4 of it…",
        "é, \U0001f600 and \ud800",
        'a "quotation" \\x \\U',
        "\x00\b\f\n\r\t\x1f\x7f",
        {"number": 10**30, "words": ("a", 1.5, None, True)},
    ],
)
def test_json_is_that_of_the_standard_library(value: object) -> None:
    as_json = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    assert compact(value) == as_json.encode("ascii")


@pytest.mark.parametrize("before", [0, 1, 777, LONGEST])
@pytest.mark.parametrize("sign", ["a", '"', "\\", "é", "\n"])
def test_what_is_too_long_is_cut_wherever_it_stands(before: int, sign: str) -> None:
    host = {**REPORT["hosts"][0], "name": "n" * before, "reason": sign * (LONGEST + 1)}
    assert json.loads(readable(host))["reason"] == sign * LONGEST + "…"
