"""The real playbook keeps its runs where a store is configured; its host here has no login."""

import subprocess
from pathlib import Path

from mailwitness.store.database import Database
from mailwitness.store.history import History
from tests.lab.audit import ROOT, playbook

_INVENTORY = """\
[mail]
nowhere ansible_host=127.0.0.1 ansible_port=1 mailwitness_ports=[1]
"""


def test_the_playbook_saves_its_run(tmp_path: Path) -> None:
    inventory, store = tmp_path / "hosts.ini", tmp_path / "history.sqlite"
    inventory.write_text(_INVENTORY)
    options = ("-e", f"mailwitness_store={store}", "-e", "mailwitness_fail_on=never")
    done = subprocess.run(
        playbook(inventory, tmp_path / "run", *options),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "saved as run 1" in done.stdout, done.stdout + done.stderr
    history = History(Database(str(store), create=False))
    (saved,) = history.runs()
    (host,) = history.report(saved)["hosts"]
    assert (host["name"], host["status"]) == ("nowhere", "outside-only")
