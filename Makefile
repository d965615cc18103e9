# provision: from a bare host to an environment that is up, and to a tested change.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help up test test-swarm containers machines host host-vm host-browser venv lint docs site picture fuzz format unit e2e test-vm test-podman thorough soak wheel bench bench-vm bench-registry scale lock clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z].*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: host venv  ## everything from nothing to envs/dev.yaml up in Docker and verified
	$(BIN)/provision trust envs/dev.yaml --allow host-code # whoever runs make runs this repository's code
	$(BIN)/provision up envs/dev.yaml --backend docker

test: host-vm venv  ## lint, then every test on real containers and real machines side by side, and the wheel
	$(MAKE) lint
	$(MAKE) --jobs=2 --output-sync=recurse containers machines

containers:
	$(MAKE) unit
	$(MAKE) e2e
	$(MAKE) wheel

host:  ## what this host lacks for Docker, from its distribution; asks before it installs
	@scripts/host-setup python docker

host-vm: host
	@scripts/host-setup vm tests

host-browser: host
	@scripts/host-setup browser

venv: $(STAMP)  ## the virtual environment, with the package and the developers' tools

$(STAMP): pyproject.toml requirements/dev.txt
	"$$(scripts/find-python)" -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --constraint requirements/dev.txt --group dev --editable .
	$(BIN)/python -m compileall -q provision # as an installed one is: some environments write no bytecode
	touch $@

lint: venv  ## ruff, mypy --strict, shellcheck, and the links of the documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict
	$(BIN)/shellcheck $$(grep -lE '^#!.*sh$$' scripts/* .ci/run provision/inventory/*.sh)
	$(MAKE) --no-print-directory site

docs:  ## generate the published schema, docs/spec.md, and the list of decisions
	@python3 scripts/spec-page

site: venv  ## build the documentation in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

picture: venv  ## draw the terminal sessions in docs/images again, from real runs
	$(BIN)/python scripts/terminal-picture

fuzz: venv  ## twenty thousand mutated specs through reading, rendering and the judges
	FUZZ_EXAMPLES=20000 $(BIN)/pytest --numprocesses 2 tests/unit/test_spec_fuzz.py
	FUZZ_EXAMPLES=20000 $(BIN)/pytest tests/e2e/test_judges.py -k mutated

format: venv  ## let ruff lay out the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test-swarm: venv  ## a Swarm of three real engines: its life, drained, killed and cut off nodes; needs root
	$(BIN)/pytest --durations 20 tests/e2e/test_swarm.py tests/e2e/test_swarm_nodes.py

unit: venv  ## tests without an engine: unit and golden
	$(BIN)/pytest --numprocesses 2 tests/unit tests/golden

e2e: venv  ## tests on the real Docker engine, and the judges of both renderings
	$(BIN)/pytest -m 'not thorough' --durations 40 --backend docker $(CONTAINERS)

CONTAINERS := --ignore-glob='*/test_vm_*' --ignore-glob='*/test_qemu_*' tests/contract tests/e2e

# What is asked of machines each time: the ten rules and the life of one of QEMU, the reference
# environment file by file and with libvirt, what goes wrong with libvirt, VirtualBox's own judge,
# several machines that need each other, one on another host, and an example that only a machine can
# be. Emulated machines are slow: test-vm asks all the rest.
RULES := $(patsubst %,tests/contract/test_%.py,checks lifecycle rules services)
SEVERAL := a_machine_starts_when_those_that_it_needs_are_ready_setup_included \
  each_is_reached_by_its_name_hostname_and_aliases
MACHINES := $(patsubst %,tests/e2e/test_%.py,qemu_disks qemu_hangs qemu_same qemu_memory vm_both vm_elsewhere vm_faults vm_virtualbox) \
  $(patsubst %,tests/contract/test_machines.py::test_%[vm],$(SEVERAL)) \
  tests/e2e/test_examples.py::test_an_example_comes_up_and_is_what_it_says[vm-kernel]

machines:
	$(BIN)/pytest -m 'not thorough' --durations 40 --backend vm $(RULES) $(MACHINES)

test-vm: host-vm venv  ## all of the suite on virtual machines; PROVIDER=libvirt for another than the first
	$(BIN)/pytest --backend vm $(if $(PROVIDER),--provider $(PROVIDER)) tests/contract tests/e2e/test_examples.py tests/e2e/test_qemu_*.py tests/e2e/test_vm_*.py

test-podman: host-vm venv  ## the whole contract on Podman's service instead of Docker's engine
	scripts/podman-service $(BIN)/pytest --backend docker tests/contract

thorough: host-browser venv  ## what make e2e leaves out for time
	$(BIN)/pytest -m thorough --backend docker $(CONTAINERS)

soak: host venv  ## kill it anywhere for an hour; SOAK_MINUTES, SOAK_KILLS, SOAK_SEED, SOAK_BACKEND=vm say otherwise
	$(BIN)/python -m tests.soak

wheel: venv  ## the wheel, installed elsewhere, brings an environment up
	scripts/wheel-check

bench: host venv  ## the comparisons with peers; writes bench/results.md
	$(BIN)/python bench

bench-vm: host-vm venv  ## the same for virtual machines; writes bench/results-vm.md
	$(BIN)/python bench --machines

bench-registry: host-vm venv  ## what a registry saves, as root; writes bench/results-registry.md
	$(BIN)/python bench/registry.py

scale: venv  ## simulate a thousand developers from bench/scale.yaml; writes bench/results-scale.md
	$(BIN)/python bench/scale.py

lock: venv  ## renew requirements/dev.txt with today's versions
	$(BIN)/pip install --quiet --upgrade --upgrade-strategy eager --group dev --editable .
	{ echo "# The versions that lint and tests are run with; renewed by: make lock"; \
	  $(BIN)/pip freeze --exclude-editable; } >requirements/dev.txt.new
	mv requirements/dev.txt.new requirements/dev.txt
	touch $(STAMP)

clean:  ## remove what was made here, but not what runs
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
