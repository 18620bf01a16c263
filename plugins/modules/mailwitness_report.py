"""Documentation of an action plugin; nothing here is shipped to a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mailwitness_report
short_description: Judge the evidence of a run and report
description:
  - Runs C(mailwitness judge) on the controller, shows its summary, and fails by its exit status.
author: The mailwitness authors
options:
  output:
    description: The folder of the run; C(report.json) and C(index.html) come into it.
    type: path
    required: true
  fail_on:
    description: The least severity of a failed finding that fails the task.
    type: str
    choices: [critical, high, medium, low, info, never]
    required: true
  baseline:
    description: A file made by C(mailwitness baseline), whose failures are accepted; or empty.
    type: str
    default: ""
  store:
    description:
      - Where the run is kept, a file or a URL of PostgreSQL. Nowhere where it is empty.
    type: str
"""

EXAMPLES = r"""
- name: Judge what the witnesses say
  mailwitness.mailwitness.mailwitness_report:
    output: "{{ mailwitness__run.output }}"
    fail_on: high
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
rc:
  description: The exit status of C(mailwitness judge).
  returned: always
  type: int
report:
  description: The page to open.
  returned: always
  type: str
"""
