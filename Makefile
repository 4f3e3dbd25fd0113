# Two commands: `make demo` rebuilds the whole release on built-in data; `make test` proves the code.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export DAGSTER_HOME ?= $(CURDIR)/dagster_home
export PYTHONHASHSEED ?= 0
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo ui test test-slow lint format bench lock clean clean-demo

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: ## Make .venv from the pinned, hashed locks
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.11 or 3.12, or run make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) scripts/bootstrap.py

demo: setup ## Raw motion to nine checkpoints and a report, on built-in data (about ten minutes)
	@STICKGEN_PROFILE=demo $(BIN)/stickgen fetch deepmimic || echo "notice: the demo goes on with synthetic motion only"
	@STICKGEN_PROFILE=demo $(BIN)/stickgen build $(ARGS)

ui: setup ## Dagster's UI on loopback (STICKGEN_PROFILE chooses the profile)
	@STICKGEN_PROFILE=$${STICKGEN_PROFILE:-demo} $(BIN)/dg dev --host 127.0.0.1 $(ARGS)

# A process a core, each with neighbouring tests, so that a file's fixtures are made once; each takes up to 2 GB. ARGS=-n0 for a single one.
test: setup ## The tests (under 10 minutes on two cores)
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal $(ARGS)

test-slow: setup ## The longer proofs: kills, full widths, learning
	@$(BIN)/python -m pytest -m slow --timeout 7200 $(ARGS)

lint: setup ## Style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup ## Put the code into the house style
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: setup ## Every benchmark, short form (make bench ARGS="store" for one; --json for a machine)
	@$(BIN)/python -m bench $(or $(ARGS),--quick all)

lock: setup ## Pin and hash the dependencies anew
	@$(BIN)/python scripts/lock.py

clean: ## Remove caches only; never data or checkpoints
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

clean-demo: ## Remove what `make demo` built
	@rm -rf data/demo
