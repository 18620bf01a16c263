"""A report whose hosts are on disk says the same as one whose hosts are in memory."""

from pathlib import Path

import pytest

from mailwitness.report import html
from mailwitness.report.interface import all_formats
from mailwitness.report.spool import Spool, brief, compact, entry
from tests.report import golden

REPORT = golden.source()


def spooled(folder: Path) -> Spool:
    hosts = Spool(folder)
    for host in REPORT["hosts"]:
        hosts.append(entry(host))
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
        hosts[1] = entry({**hosts[1], "name": "another"})
        assert [host["name"] for host in hosts] == [golden.HOSTS[0], "another", golden.HOSTS[2]]
        assert hosts.brief[1]["name"] == "another"
    assert not list(tmp_path.iterdir())
