"""Who has been told what, where several controllers share a store."""

from pathlib import Path

from mailwitness.notify.due import due
from mailwitness.store.database import Database
from mailwitness.store.history import History, SavedRun
from mailwitness.store.notices import Notices
from tests.store import samples

CONTACT = "ops@example.com"


def test_a_contact_of_two_controllers_misses_no_host_of_the_other(
    location: str, tmp_path: Path
) -> None:
    database = Database(location, create=True)
    notices = Notices(database)

    def night(day: int, controller: str, host: str) -> SavedRun:
        folder = samples.evidence(tmp_path / f"{controller}{day}", day, (host,))
        report = samples.report(folder)
        report["hosts"][0]["contacts"] = [CONTACT]
        history = History(database, controller)
        history.save(folder, report)
        return history.find("latest")

    history = History(database)
    for controller, host in (("east", "legacy"), ("west", "good")):
        run = night(1, controller, host)
        (letter,) = due(history, notices, run)
        assert letter.to == CONTACT
        notices.tell(CONTACT, run)
        assert notices.told(controller) == {CONTACT: run.id}
    for controller, host in (("east", "legacy"), ("west", "good")):
        run = night(2, controller, host)
        assert list(due(history, notices, run)) == []
        notices.tell(CONTACT, run)
        assert notices.told(controller) == {CONTACT: run.id}
