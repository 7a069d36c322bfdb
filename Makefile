# `make demo` and `make test` set everything up by themselves: all they need is Python ≥ 3.11, git and make.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Processes that run the tests, a thread each: small models gain little from several threads.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS)
READY := $(VENV)/.ready

.PHONY: demo test fast lint bench clean

demo: $(READY)
	$(RUN) main.py --cfg_file configs/demo.yaml

test: $(READY) lint
	$(PYTEST)

fast: $(READY)
	$(PYTEST) -m "not slow"

lint: $(READY)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(READY)
	$(RUN) -m benchmarks.one_pass

clean:
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The environment is marked ready only when every package is in: a stopped set-up is taken up again.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=python3.12")'
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@echo "Installing (about 5.5 GB with torch; once)..."
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
