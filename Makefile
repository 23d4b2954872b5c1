# The project's tasks. `make help` lists them.
PYTHON ?= python3.11 python3.12 python3.13 python3
FITS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# The first of them that is there and fits. uv also finds others.
FOUND = $(firstword $(shell for name in $(PYTHON); do $$name -c '$(FITS)' 2>/dev/null && echo $$name; done; true))
MISSING := Python 3.11, 3.12 or 3.13 with venv (Debian: python3-venv) is missing: install one, or uv, or write PYTHON=/its/path
, := ,
UV := $(shell command -v uv)
BIN := .venv/bin
# uv compiles what it installs only on request, pip always: otherwise, with PYTHONDONTWRITEBYTECODE, each command compiles TensorFlow again.
PIP = $(if $(UV),uv pip install --python .venv --compile-bytecode,$(BIN)/pip install)
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install demo table tune test test-faults test-cluster bench lint format lock notebook docs clean

JOBS ?= 2
TABLES := cifar100_small cifar100_small_newer digits
BUNDLES = $(TABLES:%=docs/data/%.jsonl.gz)
# Bundles with tables of their own: their rows are not compared with those of other bundles.
APART := digits_ten digits_tuned
PAGES = $(filter-out $(APART:%=docs/results/%.md),$(shell grep -lx '<!-- results:start [A-Za-z0-9_.]* -->' README.md docs/*.md docs/*/*.md))
SIX := soft_logits,fitnet,at,ab,kd_svd,mhgd
METHODS := teacher,student,soft_logits,fitnet,at,fsp
FRACTION ?= 0.1
TRIALS ?= 20
VALIDATION ?= 0.1

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/development ## make .venv with all locked dependencies; demo and table need the core only

# What runs and tables need.
.venv/core: requirements.txt
ifdef UV
	uv venv --quiet --allow-existing --seed --python '$(or $(FOUND),>=3.11$(,)<3.14)' .venv
else
	$(or $(FOUND),$(error $(MISSING))) -m venv .venv
endif
	$(PIP) --quiet --require-hashes --requirement $<
	@touch $@

# What tests, linters, docs and searches need, too.
.venv/development: requirements-dev.txt .venv/core
	$(PIP) --quiet --require-hashes --requirement $<
	@touch $@

demo: .venv/core ## a real sweep on the digits, then its table: minutes on two CPU cores
	$(BIN)/python run.py -m hydra/launcher=joblib hydra.launcher.n_jobs=$(JOBS) method=$(METHODS) fraction=1.0,0.5,0.25,0.1 seed=0,1,2
	@$(BIN)/python aggregate.py

table: .venv/core ## rewrite the tables and pictures of README and docs/ from docs/data/; print those of outputs/
	$(BIN)/python aggregate.py --outputs $(BUNDLES) --update $(PAGES) --plots docs/results
	$(BIN)/python aggregate.py --outputs $(APART:%=docs/data/%.jsonl.gz) --update $(APART:%=docs/results/%.md)
	$(BIN)/python aggregate.py --outputs docs/data/cifar100_small.jsonl.gz --methods $(SIX) --plots build/pictures
	cp build/pictures/cifar100-wrn_16_2_wrn_10_1_stride_2-gains.svg docs/results/six-gains.svg
	@if [ -n "$$(find -L outputs -name result.json -print -quit)" ]; then \
		$(BIN)/python aggregate.py; fi

tune: METHODS := student,soft_logits,fitnet,at,fsp
tune: install ## tune METHODS at FRACTION by TRIALS trials each on held-out training images, then test the best of each
	$(BIN)/python tune.py --methods $(METHODS) --trials $(TRIALS) --validation $(VALIDATION) --jobs $(JOBS) fraction=$(FRACTION)
	@$(BIN)/python aggregate.py

test: install ## run all tests, JOBS of them at a time
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal --ignore tests/faults --ignore tests/cluster

test-faults: install ## real runs with kills, full disks, damaged files and races: minutes
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal tests/faults

test-cluster: install ## real sweeps on a real Slurm of one host (needs Debian's slurm-wlm and munge): minutes
	$(BIN)/python -m pytest tests/cluster

bench: install ## compare speed and memory with lower bounds; needs an idle machine, about 15 minutes on two cores
	$(BIN)/python -m benchmarks

lint: install ## check style, formatting, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The core's versions are those of the development lock, so that both fit into one .venv.
LOCK = uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	--python-version 3.11 --universal pyproject.toml

lock: ## renew requirements-dev.txt and requirements.txt from pyproject.toml (needs uv)
	$(if $(UV),,$(error uv is missing: pip install uv))
	$(LOCK) --upgrade --extra dev --output-file requirements-dev.txt
	$(LOCK) --upgrade --constraint requirements-dev.txt --output-file requirements.txt

notebook: install ## execute docs/tutorial.ipynb again and keep its output
	folder=$$(mktemp -d) && cp docs/tutorial.ipynb $$folder && \
		PYTHONPATH=$(CURDIR) $(BIN)/python -m jupyter execute --inplace $$folder/tutorial.ipynb && \
		cp $$folder/tutorial.ipynb docs && rm -r $$folder

docs: install ## build the site of docs/ and README into build/site, with a page of all published runs
	PYTHONPATH=. $(BIN)/python docs/config_keys.py
	$(BIN)/python aggregate.py --outputs $(BUNDLES) --html build/runs.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## remove .venv and caches; outputs/ stays
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache
