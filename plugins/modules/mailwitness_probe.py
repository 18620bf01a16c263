"""Documentation of an action plugin; nothing here is shipped to a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mailwitness_probe
short_description: Look at the fleet of a run from the controller
description:
  - What clients get on the mail ports of every host of the plan, by Ansible's own process.
  - Test accounts (C(mailwitness_login)) are used from here alone.
author: The mailwitness authors
options:
  output:
    description: The folder of the run, as C(mailwitness_plan) has made it.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Probe the fleet from the controller
  mailwitness.mailwitness.mailwitness_probe:
    output: "{{ mailwitness__run.output }}"
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description: Why there is no evidence.
  returned: failed
  type: str
"""
