"""Documentation of an action plugin; nothing here is shipped to a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mailwitness_agent
short_description: Run the mailwitness agent on a host and keep its evidence
description:
  - One round trip where the host has the same agent already, two more where it has not.
  - The evidence, or the reason why there is none, is written on the controller.
  - In check mode nothing stays on the host.
author: The mailwitness authors
options:
  command:
    description: Inspect this host, or probe the fleet from it, as a vantage.
    type: str
    choices: [inspect, probe]
    required: true
  output:
    description: The folder of the run on the controller, as C(mailwitness_plan) has made it.
    type: path
    required: true
  sudo:
    description: Whether a login without root asks sudo for what needs root.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Run the agent
  mailwitness.mailwitness.mailwitness_agent:
    command: inspect
    output: "{{ mailwitness__run.output }}"
"""

RETURN = r"""
msg:
  description: Why there is no evidence.
  returned: failed
  type: str
"""
