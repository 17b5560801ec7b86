# `make` alone lists the commands.
PYTHON ?= python3
VENV ?= .venv
export VENV
# What was typed after `make`, for the lab to check: not what another Makefile passes down, nor a shell's own variables.
ifeq ($(MAKELEVEL),0)
loadtest lesson predict compare report claims up experiments: export TYPED_AFTER_MAKE := $(MAKEOVERRIDES)
endif

.DEFAULT_GOAL := help

help: ## this list
	@echo "Start with make loadtest, which ends with an answer and a report."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

loadtest: ## measure: EXPERIMENT= QUICK=1 USERS=1,10,50 LATENCY= APP= LAB_ENGINE=
	@$(PYTHON) -m loadtests run

predict: ## what theory says, without load: LATENCY=0.3 USERS=200
	@$(PYTHON) -m loadtests predict

compare: ## what changed between two runs: A=results/… B=results/…
	@$(PYTHON) -m loadtests compare --a="$$A" --b="$$B"

report: ## open the latest report: RUN=results/…, or its plots: SVG=folder
	@$(PYTHON) -m loadtests report

lesson: ## ask a class, measure, ask again: N=1 to 8 (docs/lessons/)
	@$(PYTHON) -m loadtests lesson

claims: ## run every experiment and write docs/claims.md: QUICK=1
	@$(PYTHON) -m loadtests claims

up: ## bring the lab up with Locust's web UI, until Ctrl-C
	@$(PYTHON) -m loadtests up

experiments: ## the questions that can be asked, and their length
	@$(PYTHON) -m loadtests list

test: dev ## all that a change can break, in containers too if it can
	@$(VENV)/bin/python -m pytest -n 3

test-slow: dev ## every experiment in containers, quickly, and the long trials
	@$(VENV)/bin/python -m pytest -m slow

check: dev ## ruff and mypy
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

bench: dev ## what the parts of the lab can do on this machine
	@$(VENV)/bin/python -m benchmarks

lock: dev ## compile requirements/ from pyproject.toml
	@for group in dev lab api serve aggregator loadtests; do \
	  $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	    --no-header --group $$group --constraints requirements/dev.txt --output-file requirements/$$group.txt || exit 1; \
	done

docs: ## write docs/experiments.md from the experiments' own words
	@$(PYTHON) -m loadtests list --document >docs/experiments.md.part && mv docs/experiments.md.part docs/experiments.md

picture: dev ## the README's pictures, from the latest run (needs Chromium)
	@PYTHONPATH=. $(VENV)/bin/python docs/pictures/take.py
	@COMPARE_PICTURE=docs/pictures/compare.png $(VENV)/bin/python -m pytest -q tests/e2e/test_compare.py -k fits

clean: ## remove results and the virtual environments
	@rm -rf results/2* results/latest results/index.html .mypy_cache .pytest_cache .ruff_cache
	@test ! -e "$(VENV)/installed.sha256" || rm -rf "$(VENV)" "$(VENV)"-own-*

dev:
	@$(PYTHON) -m loadtests install dev

.PHONY: help loadtest predict compare claims docs up experiments test test-slow check bench lock picture clean dev
