# What a person does with hlspub's source. `make` alone lists it.

PYTHON  ?= python3
PREFIX  ?= /usr/local
ETC     ?= /etc/hlspub
UNITS   ?= /etc/systemd/system
PYTEST  ?=

VENV    := .venv
PY      := $(VENV)/bin/python
PIP     := $(PY) -m pip --disable-pip-version-check --quiet
PINS    := .ci/constraints.txt
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow chaos lint format bench install clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

venv: $(VENV)/.dev ## make .venv with hlspub and the tools that test it

demo: $(VENV)/.run $(VENV)/.ffmpeg ## publish a live test pattern on this machine; Ctrl-C ends it
	@bash -c 'set -m; $(PY) -m hlspub demo; exit $$?' # in a process group of its own: Ctrl-C reaches the demo alone, not make

test: lint $(VENV)/.ffmpeg ## lint, types, layers, and every test but the slow ones
	@$(PY) -m pytest -m "not slow" $(PYTEST)

test-slow: $(VENV)/.dev $(VENV)/.ffmpeg ## the tests that take minutes
	@$(PY) -m pytest -m slow $(PYTEST)

chaos: $(VENV)/.dev ## kill the daemon more than 300 times over 20 seeds, and look for anything lost (20 minutes)
	@$(PY) -m tests.chaos $(CHAOS)

lint: $(VENV)/.dev ## style, types and the rules of who may import whom
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(VENV)/bin/basedpyright
	@$(VENV)/bin/lint-imports

format: $(VENV)/.dev ## put the source into form
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: $(VENV)/.dev $(VENV)/.ffmpeg ## measure, on this machine; fails when a figure misses what it must reach
	@command -v npm >/dev/null && [ ! -d tests/node/node_modules ] \
	  && (cd tests/node && npm install --no-package-lock --no-audit --no-fund --silent) || true
	@missed=; for each in bench/bench_*.py; do echo "== $$each"; $(PY) "$$each" || missed="$$missed $$each"; done; \
	  [ -z "$$missed" ] || { echo "Missed in:$$missed"; exit 1; }

install: ## install for the whole machine (as root): program, unit, example configuration
	@$(MAKE) --no-print-directory check-python
	$(PYTHON) -m venv $(PREFIX)/lib/hlspub
	$(PREFIX)/lib/hlspub/bin/python -m pip --disable-pip-version-check --quiet install -c $(PINS) --upgrade pip
	$(PREFIX)/lib/hlspub/bin/python -m pip --quiet install -c $(PINS) --upgrade .
	install -d $(PREFIX)/bin $(PREFIX)/share/doc/hlspub $(ETC) $(UNITS)
	ln -sf $(PREFIX)/lib/hlspub/bin/hlspub $(PREFIX)/bin/hlspub
	install -m 644 README.md config.example.toml $(PREFIX)/share/doc/hlspub
	sed 's|/usr/local|$(PREFIX)|; s|/etc/hlspub|$(ETC)|' systemd/hlspub.service > $(UNITS)/hlspub.service
	@echo "Next: hlspub init --path DIR; hlspub check; systemctl enable --now hlspub"

clean: ## take away everything that make made here
	rm -rf $(VENV) demo build dist .hypothesis .pytest_cache .ruff_cache .import_linter_cache tests/node/node_modules tests/node/*/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: check-python
check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "hlspub needs Python 3.11 or newer: apt-get install python3, or make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "hlspub needs Python's venv module: apt-get install python3-venv"; exit 1; }

$(PY):
	@$(MAKE) --no-print-directory check-python
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -c $(PINS) --upgrade pip

$(VENV)/.run: $(PY) pyproject.toml $(PINS)
	@echo "Installing hlspub and its libraries into $(VENV) ..."
	@$(PIP) install -c $(PINS) hatchling editables
	@$(PIP) install -c $(PINS) --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing the tools that test it ..."
	@$(PIP) install -c $(PINS) --group dev
	@touch $@

# A ffmpeg of the system, else the one that a Python package brings.
$(VENV)/.ffmpeg: $(VENV)/.run
	@if command -v ffmpeg >/dev/null; then :; \
	else echo "No ffmpeg on PATH: fetching one (apt-get install ffmpeg gives you the system's) ..."; \
	  $(PIP) install -c $(PINS) imageio-ffmpeg \
	    && ln -sf "$$($(PY) -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" $(VENV)/bin/ffmpeg \
	    || { echo "No ffmpeg: apt-get install ffmpeg"; exit 1; }; \
	fi
	@touch $@
