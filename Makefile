# One list of commands; CI runs these and nothing else. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install demo test check soak bench docs fix clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

install: $(STAMP)  ## make .venv with everything in it, kernels compiled
	@$(BIN)/fjarrvakt warm

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'Python 3.11 or newer is missing: apt-get install python3 python3-venv (or make PYTHON=python3.12 ...)' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'The module venv is missing: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --require-hashes --only-binary :all: -r constraints.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: install  ## 40 simulated facilities, two years of history, then live
	$(BIN)/fjarrvakt demo

test: install  ## every test but the slow forms
	$(BIN)/python -m pytest

check: install  ## format, lint, types, and the tests that need no server
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest -m 'not slow and not db and not concurrent and not foreign and not browser'

soak: install  ## the long forms: many kills under load, long fuzzing
	$(BIN)/python -m pytest -m slow

bench: install  ## measure everything the documentation promises; rewrites docs/benchmarks.md
	$(BIN)/fjarrvakt bench --all --write docs/benchmarks.md

docs: install  ## rewrite the generated pages: settings, commands, metrics
	$(BIN)/python -m fjarrvakt.reference docs

fix: install  ## format, and mend what the linter can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:  ## remove what was installed and cached here, not the data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
