"""The remedies of a report as an Ansible playbook, to be read by a human and then run."""

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from mailwitness.checks import all_checks
from mailwitness.policy.check import NEW_CHAIN, NEW_KEY, SERVICE, Remedy
from mailwitness.report.text import printable

_HEAD = """\
# Remedies for what the audit of {collected} found, written by mailwitness {version}.
# Read it, then see what it would do, then do it:
#   ansible-playbook -i INVENTORY THIS_FILE --check --diff
#   ansible-playbook -i INVENTORY THIS_FILE --diff
# Changed files are kept beside themselves (backup). Settings are tried on a copy of the
# configuration first; a daemon is reloaded only with one that it takes itself.
"""
_MAIN, _MASTER = "/etc/postfix/main.cf", "/etc/postfix/master.cf"
_DOVECOT, _DROP_IN = "/etc/dovecot/dovecot.conf", "/etc/dovecot/mailwitness.conf"
_TESTS = {"dovecot": ["doveconf", "-n"], "postfix": ["postfix", "check"]}
_RELOADS = {"dovecot": ["doveadm", "reload"], "postfix": ["postfix", "reload"]}

Json = dict[str, Any]


@dataclass
class _Plan:
    """What a host needs: settings with the reasons for each, reloads, and what a hand must do."""

    settings: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # by product
    reloads: dict[str, list[str]] = field(default_factory=dict)
    restarts: dict[str, list[str]] = field(default_factory=dict)
    by_hand: list[tuple[str, str]] = field(default_factory=list)


def playbook(report: Json, hosts: Sequence[str]) -> str:
    """The playbook for these hosts of a report.json; what cannot be written stands in comments."""
    chosen = [host for host in report["hosts"] if host["name"] in hosts]
    parts = [
        _HEAD.format(collected=printable(report["collected_at"]), version=report["tool"]["version"])
    ]
    plays = []
    for host in chosen:
        plan = _plan(host)
        parts.append(_comments(host["name"], plan))
        if plan.settings or plan.reloads or plan.restarts:
            plays.append(_play(host["name"], plan))
    parts.append(yaml.dump(plays, Dumper=_Plain, sort_keys=False, explicit_start=True, width=96))
    return "".join(parts)


class _Plain(yaml.SafeDumper):
    """As people write it: lists indented, no references from one place to another."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002
        return super().increase_indent(flow, indentless=False)


def _plan(host: Json) -> _Plan:
    plan = _Plan()
    by_id = {check.id: check for check in all_checks()}
    products = {endpoint["id"]: _product(endpoint) for endpoint in host["endpoints"]}
    services = {endpoint["id"]: _service(endpoint) for endpoint in host["endpoints"]}
    failing = {each["check"] for each in host["findings"] if each["outcome"] == "fail"}
    for finding in host["findings"]:
        if finding["outcome"] != "fail" or finding["causes"]:
            continue
        where = finding["endpoint"] or ""
        why = f"{finding['check']} {where}".strip()
        product = products.get(where)
        stated = {(each["product"], each["versions"], each["text"]) for each in finding["remedies"]}
        check = by_id.get(finding["check"])
        remedies = check.remedies if check else ()
        fitting = [
            remedy
            for remedy in (each.of_service(services.get(where, "")) for each in remedies)
            if remedy.product == product
            and (remedy.product, remedy.versions, remedy.text) in stated
        ]
        # More than one fits where the version is not known, and none where the text is for another
        # instance of Postfix than the one that a playbook sets: somebody must look.
        if len(fitting) == 1 and _can_be_written(fitting[0], failing):
            _add(plan, fitting[0], why)
        else:
            texts = [e["text"] for e in finding["remedies"] if e["product"] in (product, "")]
            others = texts or [each["text"] for each in finding["remedies"]] or [finding["detail"]]
            plan.by_hand += ((why, text) for text in others)
    return plan


def _product(endpoint: Json) -> str:
    configured = endpoint["configured"]
    if "product" in configured:
        return str(configured["product"])
    return "postfix" if endpoint["protocol"] == "smtp" else "dovecot"


def _can_be_written(remedy: Remedy, failing: set[str]) -> bool:
    named = not any(SERVICE in setting for setting in remedy.settings)
    return remedy.by_playbook and named and not failing & {*remedy.after}


def _service(endpoint: Json) -> str:
    """Of master.cf, as the source of a port of Postfix has it."""
    source = str(endpoint["configured"].get("source", ""))
    return source.rpartition(", service ")[2].removesuffix("/inet")


def _add(plan: _Plan, remedy: Remedy, why: str) -> None:
    for setting in remedy.settings:
        reasons = plan.settings.setdefault(remedy.product, {}).setdefault(setting, [])
        reasons += [] if why in reasons else [why]
    if not remedy.settings:
        daemons = plan.restarts if remedy.restart else plan.reloads
        reasons = daemons.setdefault(remedy.product, [])
        reasons += [] if why in reasons else [why]


def _comments(name: str, plan: _Plan) -> str:
    if not plan.by_hand:
        return ""
    lines = [f"#\n# {printable(name)}, by hand:"]
    for why, text in dict.fromkeys(plan.by_hand):
        lines.append(f"#   {printable(why)}")
        for line in text.splitlines():
            wrapped = textwrap.wrap(printable(line), 90, break_on_hyphens=False)
            lines += (f"#     {part}" for part in wrapped)
    return "\n".join(lines) + "\n"


def _play(name: str, plan: _Plan) -> Json:
    tasks: list[Json] = []
    given = any(_needs_files(setting) for its in plan.settings.values() for setting in its)
    if given:
        tasks += _files_given()
    for product, settings in plan.settings.items():
        steps = _postfix(settings) if product == "postfix" else _dovecot(settings)
        tasks += _staged(product, steps)
    for product, reasons in plan.reloads.items():
        tasks.append(
            {
                "name": _for(f"Have {product.title()} read its files again", reasons),
                "ansible.builtin.debug": {"msg": "The configuration stays as it is."},
                "changed_when": True,
                "notify": f"Reload {product.title()}",
            }
        )
    for product, reasons in plan.restarts.items():
        tasks += _restart(product, reasons)
    products = [*plan.settings, *plan.reloads]
    return {
        "name": f"Remedies for {name}",
        # The name is the inventory's; as a pattern it must be nothing else.
        "hosts": name,
        "gather_facts": False,
        **({"vars": {"certificate": "", "certificate_key": ""}} if given else {}),
        "tasks": tasks,
        "handlers": [step for product in dict.fromkeys(products) for step in _reload(product)],
    }


def _for(what: str, reasons: Sequence[str]) -> str:
    return f"{what} ({', '.join(reasons)})"


def _needs_files(setting: str) -> bool:
    return NEW_CHAIN in setting or NEW_KEY in setting


def _with_files(setting: str) -> str:
    return setting.replace(NEW_CHAIN, "{{ certificate }}").replace(NEW_KEY, "{{ certificate_key }}")


# What is to be set to files that nobody has named is left as it is.
_GIVEN: Json = {"when": "certificate | length > 0"}


def _if_given(setting: str) -> Json:
    return _GIVEN if _needs_files(setting) else {}


def _files_given() -> Iterator[Json]:
    """What is seen of a new certificate and its key before anything is set to them."""
    yield {
        "name": "Without a new certificate what needs one is left as it is",
        "ansible.builtin.debug": {
            "msg": "Put it on the host, with its intermediates and with its key, and name both: "
            "-e certificate=/path/fullchain.pem -e certificate_key=/path/privkey.pem"
        },
        "when": "certificate | length == 0",
    }
    for register, argv in (
        ("of_certificate", ["openssl", "x509", "-in", "{{ certificate }}", "-noout", "-pubkey"]),
        ("of_key", ["openssl", "pkey", "-in", "{{ certificate_key }}", "-pubout"]),
    ):
        yield {
            "name": f"Read the public key {register.replace('_', ' ')}",
            "ansible.builtin.command": {"argv": argv},
            "register": register,
            **_GIVEN,
            **_QUIET,
        }
    yield {
        "name": "See that the certificate is one for the key",
        "ansible.builtin.assert": {"that": "of_certificate.stdout == of_key.stdout", "quiet": True},
        **_GIVEN,
    }


def _restart(product: str, reasons: Sequence[str]) -> Iterator[Json]:
    yield {
        "name": f"See that {product.title()} takes its configuration",
        "ansible.builtin.command": {"argv": _TESTS[product]},
        **_QUIET,
    }
    yield {
        "name": _for(f"Start {product.title()}, now and with the host", reasons),
        "ansible.builtin.systemd_service": {
            "name": product,
            "state": "restarted",
            "enabled": True,
        },
    }


def _staged(product: str, steps: Iterator[Json]) -> list[Json]:
    """The steps, with a copy of the configuration for as long as they last."""
    folder = f"{product}_stage"
    make = {
        "name": f"A place to try {product.title()}'s settings",
        "ansible.builtin.tempfile": {"state": "directory", "prefix": "mailwitness-"},
        "register": folder,
        **_QUIET,
    }
    remove = {
        "name": "Take that place away",
        "ansible.builtin.file": {"path": f"{{{{ {folder}.path }}}}", "state": "absent"},
        **_QUIET,
    }
    copy = {
        "name": f"Copy {product.title()}'s configuration there",
        "ansible.builtin.command": {
            "argv": ["cp", "-a", f"/etc/{product}/.", f"{{{{ {folder}.path }}}}/"]
        },
        **_QUIET,
    }
    name = f"Set {product.title()}"
    return [make, {"name": name, "block": [copy, *steps], "always": [remove]}]


# In check mode, too: it is the copy alone that changes.
_QUIET: Json = {"check_mode": False, "changed_when": False}


def _postfix(settings: dict[str, list[str]]) -> Iterator[Json]:
    stage = "{{ postfix_stage.path }}"
    for setting, reasons in settings.items():
        words = map(_with_files, shlex.split(setting))
        yield {
            "name": _for("Set on the copy", reasons),
            "ansible.builtin.command": {"argv": ["postconf", "-c", stage, *words]},
            **_if_given(setting),
            **_QUIET,
        }
    yield {
        "name": "See that Postfix takes the copy",
        "ansible.builtin.command": {"argv": ["postconf", "-c", stage, "-n"]},
        "register": "postfix_taken",
        "failed_when": "postfix_taken.rc != 0 or 'warning' in postfix_taken.stderr",
        **_QUIET,
    }
    for path in (_MAIN, _MASTER):
        file = path.rpartition("/")[2]
        read = f"postfix_{file.partition('.')[0]}"
        yield {
            "name": f"Read the copy of {file}",
            "ansible.builtin.slurp": {"src": f"{stage}/{file}"},
            "register": read,
            "check_mode": False,
        }
        yield {
            "name": f"Put {file} in place",
            "ansible.builtin.copy": {
                "content": f"{{{{ {read}.content | b64decode }}}}",
                "dest": path,
                "backup": True,
                "mode": "0644",
            },
            "notify": "Reload Postfix",
        }


def _dovecot(settings: dict[str, list[str]]) -> Iterator[Json]:
    stage = "{{ dovecot_stage.path }}"
    drop_in = f"{stage}/mailwitness.conf"
    for setting, reasons in settings.items():
        yield {
            "name": _for("Set on the copy", reasons),
            "ansible.builtin.lineinfile": _line(drop_in, setting),
            **_if_given(setting),
            **_QUIET,
        }
    yield {
        "name": "Have the copy read them last, where they hold",
        "ansible.builtin.lineinfile": {
            "path": f"{stage}/dovecot.conf",
            "line": f"!include {drop_in}",
            "insertafter": "EOF",
        },
        **_QUIET,
    }
    for setting in settings:
        name, _, value = (part.strip() for part in setting.partition("="))
        if NEW_KEY in value:
            continue  # doveconf shows no keys
        asked, wrong = ["-h", name], f"dovecot_taken.stdout | trim != {value!r}"
        if NEW_CHAIN in value:  # 2.4 shows files in a block of its own, and not by their setting
            asked, wrong = ["-n"], "certificate not in dovecot_taken.stdout"
        yield {
            "name": f"See that Dovecot takes the copy, and has {name} of it",
            "ansible.builtin.command": {
                "argv": ["doveconf", "-c", f"{stage}/dovecot.conf", *asked]
            },
            "register": "dovecot_taken",
            "failed_when": f"dovecot_taken.rc != 0 or {wrong}",
            **_if_given(setting),
            **_QUIET,
        }
    for setting, reasons in settings.items():
        yield {
            "name": _for(f"Set {setting.partition('=')[0].strip()}", reasons),
            "ansible.builtin.lineinfile": {
                **_line(_DROP_IN, setting),
                "backup": True,
            },
            **_if_given(setting),
            "notify": "Reload Dovecot",
        }
    yield {
        "name": "Have Dovecot read them last, where they hold",
        "ansible.builtin.lineinfile": {
            "path": _DOVECOT,
            "line": f"!include_try {_DROP_IN}",
            "insertafter": "EOF",
            "backup": True,
            "validate": "doveconf -c %s -n",
        },
        "notify": "Reload Dovecot",
    }


def _line(path: str, setting: str) -> Json:
    name = setting.partition("=")[0].strip()
    return {
        "path": path,
        "regexp": rf"^{name}\s*=",
        "line": _with_files(setting),
        "create": True,
        "mode": "0644",
    }


def _reload(product: str) -> Iterator[Json]:
    test, reload = _TESTS[product], _RELOADS[product]
    listen = f"Reload {product.title()}"
    for name, argv in ((f"See that {product.title()} takes it", test), (listen, reload)):
        yield {
            "name": f"{name} now",
            "listen": listen,
            "ansible.builtin.command": {"argv": argv},
            "changed_when": argv is reload,
        }
