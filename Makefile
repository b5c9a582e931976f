# make demo: the whole chain on real pictures. make test: everything but training.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-train setup-bench setup-workflow demo test test-train weights lint bench bench-science lock clean-demo

help: ## Say what there is.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-12s %s\n' "$$name" "$$text"; done

setup: ## PostgreSQL with PostGIS and Q3C, and .venv, where they are missing.
	@workflow/setup.sh base

setup-train: ## The same with torch, in .venv-train.
	@workflow/setup.sh train

setup-bench: ## The same with SAHI, which is measured against, in .venv-bench.
	@workflow/setup.sh bench

setup-workflow: ## Snakemake, for the cluster workflow, in .venv-workflow.
	@workflow/setup.sh workflow

demo: setup ## Pictures to a crater catalogue and a density map, in demo-output/.
	@.venv/bin/python -m workflow.demo

test: setup setup-workflow ## All tests but those of training; on a server of their own.
	@.venv/bin/python -m pytest --ignore=tests/train

test-train: setup-train ## The tests of training, with torch.
	@.venv-train/bin/python -m pytest tests/train

weights: setup-train ## A detector like the shipped one, from random weights: hours.
	@workflow/weights.sh

lint: setup ## Style, formatting and types.
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

# Those that compare with torch say in their own words how they are run.
bench: setup-bench ## How fast it is, beside what people use today: a quarter of an hour.
	@for name in planet side_by_side exactness neighbours large_scene; do \
	  echo "== benchmarks.$$name" >&2; \
	  .venv-bench/bin/python -m "benchmarks.$$name"; \
	done

bench-science: setup-bench ## How often the methods are wrong, on planets made for it: an hour.
	@for name in secondaries rays sources; do \
	  echo "== benchmarks.$$name" >&2; \
	  .venv-bench/bin/python -m "benchmarks.$$name"; \
	done

lock: ## Resolve the newest versions into both lock files.
	@workflow/lock.sh

clean-demo: ## Stop the embedded server; delete its data and demo-output/.
	@if [ -x .venv/bin/cda ]; then .venv/bin/cda db remove --cluster main --yes; fi
	@rm -rf demo-output
