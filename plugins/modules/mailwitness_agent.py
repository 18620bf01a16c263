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
notes:
  - It belongs to the role. The folder of the run is that of C(mailwitness__run), which the plan has
    registered; C(mailwitness_timeout) and C(mailwitness_sudo) are obeyed as the role has them. As
    arguments they would be templates, which Ansible compiles again for each host.
"""

EXAMPLES = r"""
- name: Run the agent
  mailwitness.mailwitness.mailwitness_agent:
    command: inspect
"""

RETURN = r"""
msg:
  description: Why there is no evidence.
  returned: failed
  type: str
"""
