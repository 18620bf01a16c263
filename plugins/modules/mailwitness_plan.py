"""Documentation of an action plugin; nothing here is shipped to a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mailwitness_plan
short_description: Plan an audit of mail hosts
description:
  - Writes C(evidence/run.json), which says what the run sets out to do, and builds the agent.
  - Runs on the controller alone; the hosts are those of the play, in C(mail) and C(vantage).
author: The mailwitness authors
options:
  output:
    description: The folder of the run; empty for C(reports/<UTC time>) beside the inventory.
    type: str
    default: ""
  note:
    description: A sentence for the top of every report.
    type: str
    default: ""
  specification:
    description: The C(argument_specs.yml) of the role, which the variables of all hosts must fit.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Plan
  mailwitness.mailwitness.mailwitness_plan:
    output: /srv/reports/tonight
    specification: "{{ role_path }}/meta/argument_specs.yml"
  register: mailwitness__run
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
output:
  description: The folder of the run, for the tasks that follow.
  returned: success
  type: str
"""
