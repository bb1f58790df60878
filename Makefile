# SPDX-License-Identifier: Apache-2.0
# make run        start the phone system from this clone
# make test       the tests that belong to every change; make test-all adds the slow ones
# make frontend   the web pages (console, softphone), when their sources have changed; needs npm
# make check      style, types, layers
# make screenshots  pictures of every page, for docs/screens.md
# make bench      what a call through the server costs, beside Kamailio; about an hour (BENCH=--quick: three minutes)
# make clean      remove what was made (not your data)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
# The first Python that is new enough; `make PYTHON=/path/to/python` picks another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools
BIN := $(VENV)/bin
# What the compiled kernel is made from.
KERNEL := setup.py $(wildcard src/ringback/kernel/*.pyx src/ringback/kernel/*.pxi)
# The web pages, and what they are made from.
PAGES := src/ringback/web/static/index.html
PAGE_SOURCES := tools/build_frontend.sh docs/diagnostics.md $(shell find frontend -name node_modules -prune -o -type f ! -name schema.ts ! -name '.*' -print)
# Arguments for `make run`, for example: make run ARGS="--demo"
ARGS ?=
# Arguments for pytest, for example: make test TESTS=tests/sip
TESTS ?= tests
JOBS ?= auto
# Arguments for `make bench`, for example: make bench BENCH="--only call --runs 1"
BENCH ?=

.PHONY: help run frontend test test-all peers check bench format docs screenshots clean

help:
	@sed -n '/^# make/s/^# //p' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml src/ringback/version.py $(KERNEL)
	@test -n "$(PYTHON)" || { \
	    echo "make: Ringback needs Python 3.11 or newer; on Debian or Ubuntu:  apt install python3 python3-venv" >&2; \
	    exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || test -x $(BIN)/pip || { \
	    echo "make: this Python cannot make virtual environments; on Debian or Ubuntu:  apt install python3-venv" >&2; \
	    exit 1; }
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv --clear $(VENV)
	@echo "make: installing Ringback into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(TOOLS): $(INSTALLED)
	@echo "make: installing the tools for tests and checks into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(PAGES): $(PAGE_SOURCES)
	@tools/build_frontend.sh

frontend: $(PAGES)

run: $(INSTALLED) frontend
	@exec $(BIN)/ringback serve $(ARGS)

# First everything that runs side by side, then the real phones one after another: they speak in real time.
# A test that fails is run once more, and the report shows its first failure whole: see CONTRIBUTING.md.
test: $(TOOLS) peers frontend
	$(BIN)/python -m pytest -n $(JOBS) --reruns 1 -m "not slow and not interop" $(TESTS)
	$(BIN)/python -m pytest --reruns 1 -m "interop and not slow" tests/interop

test-all: $(TOOLS) peers frontend
	$(BIN)/python -m pytest -n $(JOBS) -m "not interop" $(TESTS)
	$(BIN)/python -m pytest -m interop tests/interop

peers:
	@tools/install_peers.sh

check: $(TOOLS)
	$(BIN)/ruff check src tests bench tools
	$(BIN)/ruff format --check src tests bench tools
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TOOLS)
	$(BIN)/ruff check --fix src tests bench tools
	$(BIN)/ruff format src tests bench tools

# A server with an office in it, its pages in Chromium: docs/screenshots/ and docs/screens.md.
screenshots: $(TOOLS) peers frontend
	$(BIN)/python tools/take_screenshots.py

docs: $(INSTALLED)
	$(BIN)/ringback config reference > docs/settings.md
	$(BIN)/python tools/draw_state_machines.py
	$(BIN)/python tools/write_diagnostics.py

bench: $(TOOLS)
	@tools/install_peers.sh bench
	$(BIN)/python bench/run.py $(BENCH)

clean:
	rm -rf $(VENV) build dist frontend/node_modules src/ringback/web/static src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -f src/ringback/kernel/*.so
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
