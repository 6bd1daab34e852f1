# Everything from a fresh machine: `make demo`, `make test`, `make check`, `make docs`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# one thread per job: tests and benchmarks run side by side on two cores
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
ifneq ($(wildcard ../shared/data),)
export MESHCONV_DATA ?= $(abspath ../shared/data)
endif

.PHONY: demo test check bench docs wheel format clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[view,learn,scale,excel,exchange,bench,docs,test,dev]'
	touch $@

demo: $(READY)  ## the main job on generated data; pictures in out/demo
	$(BIN)/meshconv demo --out out/demo

test: $(READY)  ## all tests, on two processes
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(READY)  ## formatting, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## rewrite to the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## every benchmark, ratios to peers; JSON in benchmarks/results
	for script in io operators repair maps density registration layer classify layers adrenal; do $(BIN)/python benchmarks/$$script.py || exit 1; done

docs: $(READY)  ## the site, without a network, in docs/_build/html; every example and link tried
	$(BIN)/python docs/_ext/run_code.py & pages=$$!; \
	$(BIN)/python -m sphinx -E -W --keep-going -q -b html docs docs/_build/html; built=$$?; \
	wait $$pages && exit $$built
	$(BIN)/python -m pytest -m slow tests/docs

wheel: $(READY)  ## the wheel in fresh environments: each extra, newest and lowest versions
	$(BIN)/python benchmarks/wheel.py

clean:  ## remove the virtual environment and outputs
	rm -rf $(VENV) out dist docs/_build docs/auto_gallery docs/api docs/faults.md
