# `make demo` and `make test` set everything up themselves: they only need Python ≥ 3.11, git and make.

PYTHON ?= python3
# An environment for each given interpreter, and for each choice of packages: the newest, those of the lock file
# (LOCKED=1), the oldest that pyproject.toml allows (LOWEST=1).
VERSION := $(if $(filter-out file default,$(origin PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
VENV ?= .venv$(VERSION)$(if $(LOCKED),-locked)$(if $(LOWEST),-lowest)
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
PINS := $(if $(LOCKED),requirements.lock)$(if $(LOWEST),$(VENV)/lowest.txt)
READY := $(VENV)/.ready
# Processes that run the tests, with one thread each: small models gain little from several threads.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses $(JOBS) --dist worksteal

.PHONY: help demo truth test test-rest test-all test-lowest test-unlinted lint fix mutants bench kills fuzz docs release install lock clean

# List these commands.
help:
	@awk '/^# /{said=substr($$0,3)} /^[a-z-]+:/{split($$1,name,":"); if(said) printf "  make %-12s %s\n", name[1], said} !/^# /{said=""}' Makefile

# A first look: networks that were taught appearance, motion or both, in one picture.
demo: $(READY)
	$(RUN) main.py demo

# All checks and quick tests.
test: $(READY) lint
	$(PYTEST) -m "not slow"

# The same checks on further large models, and long runs.
test-rest: $(READY)
	$(PYTEST) -m slow

# All quick and slow tests.
test-all: test test-rest

# The tests with the oldest packages that are allowed.
test-lowest:
	$(MAKE) LOWEST=1 test-unlinted

test-unlinted: $(READY)
	$(PYTEST)

# Formatting, style, types, and imports between packages.
lint: $(READY)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Format, and fix what can be fixed automatically.
fix: $(READY)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

# Put faults into the measuring code, one at a time: fails if the tests miss too many.
mutants: $(READY)
	$(RUN) -m benchmarks.mutants --jobs $(JOBS)

# Tables and pictures about units and networks of known bias: the accuracy of every estimator.
truth: $(READY)
	OMP_NUM_THREADS=$(JOBS) $(RUN) -m benchmarks.truth

# The time that one pass over all stages saves.
bench: $(READY)
	$(RUN) -m benchmarks.one_pass

# Stop runs at random moments, and compare what the next run makes of it with a run that was never stopped.
kills: $(READY)
	OMP_NUM_THREADS=1 $(RUN) -m benchmarks.kills

# The site, in docs/_build/html: fails on a warning, a dead link, or a notebook that does not run.
docs: $(READY)
	$(RUN) -m sphinx -q -b html -W --keep-going docs docs/_build/html

# Feed the toolkit random arguments and files with changed bytes, for SECONDS (an hour): fails on a traceback.
fuzz: $(READY)
	OMP_NUM_THREADS=1 $(RUN) -m benchmarks.fuzz --seconds $(or $(SECONDS),3600)

# Check and build a release into dist/, from a clean checkout; it does not upload anything.
release: $(READY)
	@test -z "$$(git status --porcelain)" || { echo "A release is built from a clean checkout: commit or stash first." >&2; exit 2; }
	$(PYTEST) tests/test_project.py tests/test_wheel.py
	$(PIP) build twine
	rm -rf dist
	$(RUN) -m build --no-isolation --outdir dist .
	$(RUN) -m twine check --strict dist/*
	@version=$$($(RUN) -c 'import static_dynamic; print(static_dynamic.__version__)') && \
	  printf 'Ready in dist/. To release it:\n  git tag -a v%s -m "Version %s" && git push origin v%s\n' $$version $$version $$version && \
	  echo "  $(RUN) -m twine upload dist/*"

# Only set up.
install: $(READY)

# Update requirements.lock to match pyproject.toml; UPGRADE=1 takes the newest versions.
lock: | $(RUN)
	$(PIP) uv
	$(RUN) -m uv pip compile --quiet --universal --all-extras --no-annotate $(if $(UPGRADE),--upgrade) pyproject.toml --output-file requirements.lock

# Remove environments and caches.
clean:
	rm -rf .venv* dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The environment is marked ready only when every package is installed: a stopped set-up is resumed.
$(READY): pyproject.toml $(PINS) | $(RUN)
	@echo "Installing into $(VENV) (about 5.5 GB with torch; once)..."
	@$(PIP) --editable '.[$(if $(LOWEST),test,dev)]' $(addprefix --constraint ,$(PINS))
	@touch $@

$(VENV)/lowest.txt: pyproject.toml | $(RUN)
	@$(PIP) uv
	@$(RUN) -m uv pip compile --quiet --upgrade --resolution lowest-direct --extra test pyproject.toml --output-file $@

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required; give one with make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
