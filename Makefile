# `make demo` and `make test` each do all the set-up a fresh machine needs; a second run skips what is done.
# Settings: PYTHON=... (3.11 or 3.12), PIP_EXTRA="..." (more options for pip), MOWE_CACHE=... (weights).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
RUN := $(VENV)/bin/python
PIP_EXTRA ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
export PYTHONUNBUFFERED := 1

# nvidia-smi can be there without a card behind it, so it has to answer
GPU := $(shell nvidia-smi -L >/dev/null 2>&1 && echo yes)
CONSTRAINTS := $(if $(GPU),,-c constraints-cpu.txt)

# a stamp carries a checksum of what it stands for, so changed requirements install again
checksum = $(shell cat $(1) /dev/null 2>/dev/null | cksum | cut -d' ' -f1)
RUNTIME := $(VENV)/.runtime-$(call checksum,requirements.txt constraints-cpu.txt)
DEV := $(VENV)/.dev-$(call checksum,requirements.txt requirements-dev.txt constraints-cpu.txt)
PINS := $(wildcard mowe/weights/catalogue.py)
BENCH := .venv-bench/.installed-$(call checksum,benchmarks/requirements.txt)
WEIGHTS := $(VENV)/.weights-$(call checksum,$(PINS))-$(shell echo "$${MOWE_CACHE-}" | cksum | cut -d' ' -f1)

.PHONY: help setup demo test test-slow test-gpu check mutants format train corpus bundle eval bench cost clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(DEV) $(WEIGHTS)  ## .venv with everything, weights fetched and verified

demo: $(RUNTIME) $(WEIGHTS)  ## start the app and print its address
	$(RUN) app.py

test: $(DEV) $(WEIGHTS)  ## every test that needs neither a GPU nor the network
	@scripts/browser.sh
	$(RUN) -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

test-slow: $(DEV) $(WEIGHTS)  ## the slow tests
	@scripts/browser.sh
	$(RUN) -m pytest --run-slow -m slow $(PYTEST_ARGS)

test-gpu: $(DEV) $(WEIGHTS)  ## what only an NVIDIA GPU can show, in a few minutes
	$(RUN) -m pytest --run-gpu -m gpu $(PYTEST_ARGS)

check: $(DEV)  ## lint, format check, types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	@scripts/types.sh $(RUN)

mutants: $(DEV)  ## break the paper's mechanism line by line: which lines does no test notice?
	$(RUN) scripts/mutants.py

format: $(DEV)  ## apply the formatter and the safe fixes
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# small tries everything out in minutes. No command makes the very tensors that ship: their model card tells how
# they came about (assets/mowe-mini/README.md), and runs/mini.sh goes the same way from an empty disk.
SIZE ?= full
SUFFIX := $(if $(filter small,$(SIZE)),-small)

CORPUS ?= built/corpus$(SUFFIX)
CORPUS_ARGS ?=
corpus: $(RUNTIME)  ## build training data: make corpus SIZE=small CORPUS_ARGS="--esc10 FOLDER"
	$(RUN) -m mowe corpus --out $(CORPUS) --size $(SIZE) --jobs 2 $(CORPUS_ARGS)

CONFIG ?= mowe/training/recipes/mini$(SUFFIX).json
train: $(RUNTIME) $(WEIGHTS)  ## train: make train SIZE=small, or CONFIG=path/to/run.json
	$(RUN) -m mowe train --config $(CONFIG)

BUNDLE_ARGS ?=
bundle: $(RUNTIME) $(WEIGHTS)  ## corpus, weights and project in small files, to train on another machine
	$(RUN) -m mowe.training.bundle --corpus $(CORPUS) --recipe $(CONFIG) --out built/bundle $(BUNDLE_ARGS)

# with SIZE=small a look at the table, of too few questions to compare anything by
EVAL_ARGS ?= --suite mini --manifest $(CORPUS)/manifest.jsonl --baselines all $(if $(SUFFIX),--limit 3) \
  --out results/mini$(SUFFIX).json
eval: $(RUNTIME) $(WEIGHTS)  ## score the shipped checkpoint beside baselines on held-out lines of a built corpus
	$(RUN) -m mowe eval $(EVAL_ARGS)
	$(if $(filter results/mini.json,$(EVAL_ARGS)),$(RUN) -m mowe.evaluation.table results/mini.json --readme README.md)

bench: $(RUNTIME) $(WEIGHTS)  ## speed and memory of answers, beside a cascade, of training and analysis
	@$(MAKE) $(BENCH) || echo "the cascade cannot be installed here and is left out"
	$(RUN) -m benchmarks.latency $(BENCH_ARGS)
	$(RUN) -m benchmarks.training
	$(RUN) -m benchmarks.analysis
	$(RUN) -m benchmarks.decoding

COST_ARGS ?=
cost: $(RUNTIME) $(WEIGHTS)  ## what the mixture costs at mini and at the paper's size; 10 GB of memory
	$(RUN) -m benchmarks.cost $(COST_ARGS)

clean:  ## remove caches (not .venv, not the weights)
	rm -rf .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/.created:
	@if ! $(RUN) -m pip --version >/dev/null 2>&1; then \
	  python=$$(scripts/find-python.sh "$${PYTHON-}"); \
	  echo "creating $(VENV) with $$python"; "$$python" -m venv $(VENV); fi
	@touch $@

$(RUNTIME): | $(VENV)/.created
	$(RUN) -m pip install -r requirements.txt $(CONSTRAINTS) $(PIP_EXTRA)
	@rm -f $(VENV)/.runtime-* && touch $@

$(DEV): | $(RUNTIME)
	$(RUN) -m pip install -r requirements-dev.txt $(CONSTRAINTS) $(PIP_EXTRA)
	@rm -f $(VENV)/.dev-* && touch $@

# apart from .venv: what only the comparison needs must not change what the app runs with
$(BENCH): | $(RUNTIME)
	$(RUN) -m venv .venv-bench
	.venv-bench/bin/python -m pip install -r benchmarks/requirements.txt $(PIP_EXTRA)
	@rm -f .venv-bench/.installed-* && touch $@

$(WEIGHTS): | $(RUNTIME)
	$(RUN) -m mowe doctor --fetch
	@rm -f $(VENV)/.weights-* && touch $@
