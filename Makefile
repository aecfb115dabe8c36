# Every target sets up what it needs in .venv; nothing is installed globally.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: help setup demo demo-base test lint check-constraints clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rlkd needs Python 3.11 or newer; name one with PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pipeline,train,gym,dev]'
	@touch $(STAMP)

setup: $(STAMP)  ## create .venv and install everything

demo: $(STAMP)  ## distil the demo student end to end; writes runs/demo/report.html
	$(BIN)/rlkd run demo --output runs/demo

demo-base: $(STAMP)  ## pre-train the demo's base student again (see its model card for the time it takes)
	$(BIN)/python -m rlkd.demo.pretrain --output rlkd/models/demo_base

lint: $(STAMP)  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(STAMP) lint  ## lint, type check, then every test
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest

clean:  ## remove the virtual environment and caches; runs are kept
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
