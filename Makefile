# The commands of this project. Each does its own set-up first (bin/install.py), which is skipped when up to date.

PYTHON ?= python3
# Each starts a Spark and servers of its own; more than there are processors wait for each other.
WORKERS ?= 2
MAKEFLAGS += --no-print-directory

# The caller's own environment must not reach into the project's.
unexport CONDA_PREFIX PYTHONHOME PYTHONPATH SPARK_HOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup demo ui test check docs faults bench lock clean

help: ## Show this.
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-8s %s\n", $$1, $$2 }'

setup: ## Install what is needed: .venv, Java, Spark's jars. The others do it by themselves.
	@$(PYTHON) -E -s bin/install.py

demo: setup ## Start the sandbox and run the whole chain on it, to the marts.
	@.venv/bin/data-platform demo

ui: setup ## Open Dagster's UI on http://localhost:3000.
	@.venv/bin/data-platform ui

test: setup ## Run the tests in two processes; make test WORKERS=0 runs them in one.
	@.venv/bin/pytest -n $(WORKERS) --dist loadfile -m "not fault"

check: setup ## Lint, format, types and SQL, changing nothing.
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/sqlfluff lint dbt_project

docs: setup ## Write the pages on gold's models, columns and lineage: .data/docs/index.html.
	@.venv/bin/python -m data_platform.gold.documents

faults: setup ## Kill it everywhere and compare with the truth; make faults FAULTS=<name> runs one.
	@.venv/bin/python -m tests.faults $(FAULTS)

bench: ## Measure it against its peers; make bench BENCH=<name> runs one.
	@$(PYTHON) -E -s bin/install.py bench
	@.venv/bin/python -m benchmarks $(BENCH)

lock: ## Write the lock files again, from pyproject.toml and the requirements.in files.
	@$(PYTHON) -E -s bin/install.py lock

clean: ## Remove what set-up and the tools made; the data in .data stays.
	rm -rf .venv .venv-bench .venv-snowflake .tools build *.egg-info .mypy_cache .pytest_cache .ruff_cache dbt_project/target dbt_project/logs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
