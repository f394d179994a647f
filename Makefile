# balancer: `make run` shows it on the embedded simulated site, `make test` passes its tests. Nothing else is needed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: run test fast-tests lab-tests test-all bench docs lint audit image-check clean

run: $(VENV)/.for-use
	$(BIN)/balancer run

# On a crowded machine an emulated guest may stand still after a migration, once in some hundred: a lab test may try twice,
# and says so (`RERUN`). Two labs side by side, since most of a lab's time is waiting; whole files,
# since the stories share hosts whose power is proven, which takes minutes.
LAB_TESTS := $(BIN)/pytest -q --reruns 1 --durations=10 --numprocesses 2 --dist loadfile

# Three processes, since a part of the time is waiting for services to begin; each with whole files, since some share a server.
FAST_TESTS := nice $(BIN)/pytest -q --numprocesses 3 --dist loadfile

# Side by side: the lab mostly waits, for guests that boot and memory that is copied, and goes first where both want the processor.
# What each says comes when it has ended.
test: lint
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target fast-tests lab-tests

fast-tests:
	$(FAST_TESTS) -m "not lab and not long"

lab-tests:
	$(LAB_TESTS) -m "lab and not long"

test-all: lint
	$(FAST_TESTS) -m "not lab"
	$(LAB_TESTS) -m "lab"
	sh tests/image/check.sh

# For the whole of docs/benchmarks.md, the largest clusters too: make bench BENCH=--large
bench: $(VENV)/.for-tests
	sh tests/bench/install.sh
	$(BIN)/python -m tests.bench $(BENCH)
	$(BIN)/python -m tests.web.scale
ifdef TRACES
	$(PIP) --editable ".[bench]"
	$(BIN)/python -m tests.bench.forecasts --traces $(TRACES)
	$(BIN)/python -m tests.bench.planetlab --traces $(TRACES) --keep planetlab.jsonl --picture planetlab.svg $(PLANETLAB)
endif

lint: $(VENV)/.for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml balancer

# Known holes in what constraints.txt pins, as PyPI knows them: wants the network, so it is no part of `test`. What could not
# be looked up is a failure too. The tool lives apart from what it looks at.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt $(AUDIT)

# The documentation as a site, in site/: `python3 -m http.server --directory site` shows it, its search too.
docs: $(VENV)/.for-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

image-check:
	sh tests/image/check.sh

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build site *.egg-info

$(BIN)/python:
	@sh tests/setup/make-venv.sh $(PYTHON) $(VENV)

$(VENV)/.for-use: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[web]"
	@touch $@

$(VENV)/.for-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[docs]"
	@touch $@

# The lab (real libvirt, QEMU and BMCs) needs packages of the system: they are installed where that is allowed, and
# where it is not the tests that need them say what is missing.
$(VENV)/.for-tests: pyproject.toml constraints.txt tests/lab/packages.txt tests/web/install.sh tests/notifying/install.sh | $(BIN)/python
	sh tests/lab/install.sh
	sh tests/web/install.sh
	sh tests/notifying/install.sh
	$(PIP) --editable ".[dev,docs,ipmi,redfish,influx,notify,postgres,tune,web,traces]"
	@if pkg-config --exists libvirt 2>/dev/null; then $(PIP) --editable ".[libvirt]"; \
	else echo "libvirt-dev is missing: tests of the libvirt platform will be skipped"; fi
	@touch $@
