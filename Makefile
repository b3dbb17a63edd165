# Everything a developer types. `make` alone lists it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# On Linux, PyPI's torch brings CUDA (3 GB). For the small CPU build:
#   make install TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := .venv/bin
STAMP := .venv/.installed
# Much of a test is waiting for servers, so three at once suit two cores. WORKERS=0 is one after the other.
WORKERS ?= 3

.PHONY: help install demo test test-all lint bench docs samples clean

help:  ## List these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## Make .venv with everything in it

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + ": make install PYTHON=python3.11") if not (3, 11) <= sys.version_info < (3, 14) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(STAMP)

demo: install  ## The whole story on full-simulation showers, in a few minutes
	$(BIN)/catalog demo

test: install  ## The fast tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-all: install  ## All tests, also those that take minutes
	$(BIN)/python -m pytest -m "slow or not slow"

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install  ## All benchmarks; results go to benchmarks/results
	$(BIN)/catalog bench startup
	$(BIN)/catalog bench adapt

docs: install  ## Rewrite docs/cli.md from the code
	$(BIN)/python docs/make_cli.py

samples: install  ## Train the sample models again (about an hour on 2 cores)
	$(BIN)/python -m sample_models.train --all

clean:  ## Remove what was built
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
