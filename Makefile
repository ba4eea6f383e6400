# `make` alone lists what there is. Every target sets up what it needs; a second run finds it done.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 5000
STORE ?=
ARGS ?=
ONLY ?=
NEXT ?=
# How many processes share the tests; 0 runs them in pytest's own, for a debugger.
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal
# The tests of `make quick`: no page, no program other than Python, nothing that waits.
QUICK := tests/core tests/codec tests/flask --ignore-glob='*/test_*page*' --ignore-glob='*/test_charts.py' \
	-m 'not (slow or browser or redis or memcached or mongodb or dynamodb or mariadb or postgresql)'
# The interpreter that .venv is made with; the first one that works when not given.
PYTHON ?= $(shell scripts/find-python)

.PHONY: help
help: ## List the targets
	@echo "usage: make <target> [PYTHON=python3.12] [ARGS=...]"
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-15s %s\n", $$1, $$2 }'

.PHONY: setup
setup: $(VENV)/.dev ## Make .venv with Holdfast, its tests and its checks

.PHONY: demo
demo: $(VENV)/.run ## Serve the demo shop on 127.0.0.1 (PORT=5000, STORE=sqlite:///shop.db)
	@PORT='$(PORT)' STORE='$(STORE)' $(BIN)/python examples/demo

.PHONY: test
test: $(VENV)/.dev ## Run the tests (ARGS="-k cookie" picks some, WORKERS=0 uses one process)
	@scripts/install-test-tools
	@$(PYTEST) $(ARGS)

.PHONY: quick
quick: $(VENV)/.dev ## Run the tests of the core, the codec and Flask on memory and SQLite (ARGS="-x")
	@$(PYTEST) $(QUICK) $(ARGS)

.PHONY: latest
latest: ## Run the tests on the newest release of everything, in .venv-latest
	@scripts/install-test-tools
	@PYTHON='$(PYTHON)' scripts/ahead latest $(ARGS)

.PHONY: next
next: ## Run the tests on Flask and Werkzeug as they will be, in .venv-next (NEXT="../flask ../werkzeug")
	@scripts/install-test-tools
	@PYTHON='$(PYTHON)' NEXT='$(NEXT)' scripts/ahead next $(ARGS)

.PHONY: check
check: lint types layers docs site ## Run every check but the tests

.PHONY: fmt
fmt: $(VENV)/.dev ## Format the code and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: lint
lint: $(VENV)/.dev ## Check style, formatting, and a sentence on every test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/interrogate --quiet tests

.PHONY: types
types: $(VENV)/.dev ## Check types, strictly, and that those of public names are complete
	@$(BIN)/mypy
	@$(BIN)/python scripts/check_types.py

.PHONY: layers
layers: $(VENV)/.dev ## Check which module imports which
	@$(BIN)/lint-imports

.PHONY: trace
trace: $(VENV)/.dev ## Print how many files a read, a write and a login pass (ARGS=--list names them)
	@$(BIN)/python scripts/trace_path.py $(ARGS)

.PHONY: cov
cov: $(VENV)/.dev ## Run the tests with branch coverage; htmlcov/index.html shows the lines
	@scripts/install-test-tools
	@$(BIN)/python -m pytest --cov --cov-report=term-missing --cov-report=html $(ARGS)

.PHONY: docs
docs: $(VENV)/.dev ## Check links, code blocks and spelling in the docs, and what docstrings say
	@$(BIN)/python scripts/check_docs.py
	@$(BIN)/python scripts/check_docstrings.py
	@$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs examples scripts src tests

.PHONY: site
site: $(VENV)/.dev ## Build the documentation in build/site, and check its links and entries
	@$(BIN)/sphinx-build --quiet --fail-on-warning -d build/site-parsed docs build/site
	@$(BIN)/python scripts/check_site.py build/site

.PHONY: pages
pages: $(VENV)/.dev ## Write into the docs what the code and the tests say
	@for script in scripts/write_*.py; do $(BIN)/python $$script; done

.PHONY: screenshots
screenshots: $(VENV)/.dev ## Photograph the ready pages for docs/images
	@scripts/install-test-tools
	@PYTHONPATH=tests $(BIN)/python scripts/screenshots.py

.PHONY: bench
bench: $(VENV)/.dev ## Measure what a session costs on every backend (ARGS="redis sqlite --samples 2000")
	@PYTHONPATH=tests $(BIN)/python -m benchmarks $(ARGS)

.PHONY: overlaps
overlaps: $(VENV)/.dev ## Count updates lost and logouts undone by overlapping requests, beside Flask-Session
	@scripts/install-test-tools
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.overlaps

.PHONY: bench-observers
bench-observers: $(VENV)/.dev ## Measure what it costs to be watched
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.observers

.PHONY: bench-operator
bench-operator: $(VENV)/.dev ## Measure the operator's page with a million sessions (ARGS=10000)
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.operator_page $(ARGS)

.PHONY: growth
growth: $(VENV)/.dev ## Measure 1,000 to a million sessions, and their room (half an hour; ARGS="sqlite --most 5")
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.growth $(ARGS)

.PHONY: many
many: $(VENV)/.dev ## Measure 3,000 sessions of one user, and a store above its bare driver (ARGS="1000 redis")
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.many $(ARGS)

.PHONY: flat
flat: $(VENV)/.dev ## Measure memory, files and SQLite's log over 200,000 requests (5 minutes; ARGS=20000)
	@$(BIN)/python -m benchmarks.flat $(ARGS)

.PHONY: explore
explore: $(VENV)/.dev ## Run every schedule of all groups of three requests (half an hour; ARGS=pairs is short)
	@PYTHONPATH=tests $(BIN)/python -m explorer $(ARGS)

.PHONY: storm
storm: $(VENV)/.dev ## Run browsers on real servers while faults happen (10 minutes; ARGS="--seconds 10 sqlite redis")
	@scripts/install-test-tools
	@PYTHONPATH=tests $(BIN)/python -m storm $(ARGS)

.PHONY: dynamodb
dynamodb: $(VENV)/.dev ## Run the contract on both servers of DynamoDB, moto's and dynalite, and the security tests (15 minutes)
	@scripts/install-test-tools
	@HOLDFAST_TEST_DYNAMODB_AT_LENGTH=1 $(BIN)/python -m pytest -o faulthandler_timeout=0 --timeout=300 -m dynamodb tests/stores/test_dynamodb.py tests/security $(ARGS)

.PHONY: move
move: $(VENV)/.dev ## Move sessions of Flask-Session 0.5, 0.6, 0.7 and 0.8 on real servers (15 minutes; ARGS=folder for environments)
	@scripts/install-test-tools
	@PYTHONPATH=tests $(BIN)/python tests/moving_in/campaign.py $(ARGS)

.PHONY: sign-ins
sign-ins: $(VENV)/.dev ## Sign in twice at once, in a real browser, 20 times in each way (15 minutes; HOLDFAST_SIGN_INS=20)
	@scripts/install-test-tools
	@HOLDFAST_SIGN_INS=$${HOLDFAST_SIGN_INS:-20} $(BIN)/python -m pytest -o faulthandler_timeout=0 tests/browser/test_sign_in_in_browser.py

.PHONY: forgery
forgery: $(VENV)/.dev ## Try every forgery of 1,000 cookies and sealed records of each kind (20 minutes; ARGS=20)
	@PYTHONPATH=tests $(BIN)/python -m bad_input.forgery $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.dev ## Feed 1,000,000 cookies and as many records, guided by coverage (an hour; ARGS=10000)
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/fuzz.txt
	@PYTHONPATH=tests $(BIN)/python -m bad_input.fuzzing $(ARGS)

.PHONY: matrix
matrix: $(VENV)/.dev ## Run the tests on every Python found and on the oldest Flask (ONLY="3.10 3.13")
	@scripts/install-test-tools
	@ONLY='$(ONLY)' scripts/matrix $(ARGS)

.PHONY: upstream
upstream: $(VENV)/.dev ## Run the suites of Flask, Flask-Login and Flask-WTF on Holdfast (ARGS="flask==2.3.3")
	@$(BIN)/python scripts/upstream $(ARGS)

.PHONY: dist
dist: $(VENV)/.dev ## Build the wheel and the source archive in dist/, check them, and install the wheel on every Python found
	@rm -rf dist
	@$(BIN)/python -m hatchling build
	@$(BIN)/python scripts/check_dist.py --install
	@$(BIN)/python scripts/check_types.py --required

.PHONY: lock
lock: $(VENV)/bin/python ## Renew what requirements/ locks, and show what changed (ONLY="flask redis" moves no other)
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/lock.txt
	@$(BIN)/python scripts/lock.py $(ONLY)

.PHONY: clean
clean: ## Remove what the other targets made, .venv too
	rm -rf $(VENV) .venv-latest .venv-matrix .venv-next build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Two stamps, so that `make demo` does not wait for the test tools. Both are renewed when a lock or pyproject.toml changes.
$(VENV)/bin/python:
	@test -n '$(PYTHON)' || { echo "Holdfast needs Python 3.10 or later with venv; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/.run: pyproject.toml requirements/build.txt requirements/run.txt | $(VENV)/bin/python
	scripts/install-locked $(BIN)/python run
	@touch $@

$(VENV)/.dev: pyproject.toml requirements/build.txt requirements/dev.txt | $(VENV)/bin/python
	scripts/install-locked $(BIN)/python dev
	@touch $@ $(VENV)/.run
