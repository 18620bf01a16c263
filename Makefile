# The one command surface; CI calls the same targets.
.DELETE_ON_ERROR:
.PHONY: docs demo test unit lab-test lint types contract ansible-lint setup agent lab-up lab-down lab-shell lab-status record kernel-trials resolver-trials engine-coverage screenshots golden clean help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the tests need of Debian beside Python; installed where we are root on Debian.
PACKAGES := ca-certificates chromium debootstrap ipset iproute2 iptables nftables openssh-client openssl postgresql python3-venv systemd-container
# How many trials `make kernel-trials` makes.
TRIALS := 100000
# How many configurations of each Debian release `make resolver-trials` makes.
CONFIGURATIONS := 200

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 15

demo: setup ## audit the lab's mail hosts by the real playbook, and print where the report lies
	@$(BIN)/python -m tests.lab demo

test: setup lint types contract ansible-lint agent ## every check and every test, on real hosts where the machine can
	$(BIN)/pytest

unit: setup ## the tests that need neither root nor a network nor a browser
	$(BIN)/pytest -m "not lab and not browser"

lab-test: setup ## the tests on real hosts
	$(BIN)/pytest -m lab

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

contract: setup
	$(BIN)/lint-imports

ansible-lint: setup
	$(BIN)/ansible-lint --profile production --offline

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml constraints.txt Makefile
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $(PACKAGES) >/dev/null 2>&1; then \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(PACKAGES); fi
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("mailwitness needs Python 3.11 or newer on the control node")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

agent: setup ## build the agent that is shipped to hosts, and print its size
	$(BIN)/mailwitness agent build/mailwitness-agent.pyz

lab-up: setup ## boot the lab's hosts and leave them up
	$(BIN)/python -m tests.lab up

lab-down: setup ## end them
	$(BIN)/python -m tests.lab down

lab-status: setup ## which hosts there are, and which are up
	$(BIN)/python -m tests.lab status

lab-shell: setup ## a shell in a host: make lab-shell HOST=good
	$(BIN)/python -m tests.lab shell $(HOST)

record: setup ## record the lab's evidence anew, for machines that cannot boot it
	$(BIN)/python -m tests.lab record

screenshots: setup ## the pictures of the pages in docs
	$(BIN)/python -m tests.browser

golden: setup ## what each format makes of a report, for the tests to compare
	$(BIN)/python -m tests.report.golden

kernel-trials: setup ## the packet-filter engine against this kernel: make kernel-trials TRIALS=1000000
	nice $(BIN)/python -m tests.firewall.kernel --trials $(TRIALS) $(if $(SEED),--seed $(SEED))

resolver-trials: setup ## what the resolver foretells against real daemons: make resolver-trials CONFIGURATIONS=200
	nice $(BIN)/python -m tests.resolver --trials $(CONFIGURATIONS) $(if $(SEED),--seed $(SEED))

engine-coverage: setup ## the share of the engine that questions which the kernel answered reach
	rm -f build/engine.coverage*
	nice $(BIN)/python -m coverage run -p --data-file=build/engine.coverage --source=agent/mailwitness/firewall -m pytest -q tests/firewall/test_cases.py
	nice $(BIN)/python -m coverage run -p --data-file=build/engine.coverage --source=agent/mailwitness/firewall -m tests.firewall.kernel --trials 15000
	$(BIN)/python -m coverage combine --data-file=build/engine.coverage
	$(BIN)/python -m coverage report --data-file=build/engine.coverage -m

clean: ## remove what was built here; the lab's state goes with its folder .lab, after lab-down
	rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

docs: setup ## generate what is generated: the role's README, the pages of the checks
	$(BIN)/python -m tests.docs
