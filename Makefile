# `make demo` shows the shop, `make test` runs the suite; each makes the environment it needs.
# DATABASE_URL and REDIS_URL put the demo on a database and a Redis that run already.

PYTHON ?= python3
VENV ?= .venv
ORDERS ?= 0
FOLDER ?= .demo
ARGS ?=
PEERS ?=
MINUTES ?= 10
SEED ?= $(or $(EDA_TEST_SEED),1)
SOAK ?= .soak
PICTURES ?= $(CURDIR)/build/screenshots
# The shell reads these from its environment, so that they may hold blanks and quotes.
export FOLDER SOAK PICTURES

.DEFAULT_GOAL := help
.PHONY: help demo test soak recovery bench graphs screenshots mutants lint clean

help: ## Say what there is.
	@sed -n 's/^\([a-z]*\):.*## /  make \1 \t/p' Makefile
	@echo "  make demo ORDERS=200   sends that many customers, prints a table and ends."
	@echo "  make demo FOLDER=.demo/second   runs another one beside it, in that folder."
	@echo "  make test ARGS='...'   hands these arguments to pytest."
	@echo "  make test SEED=7       draws other examples, and another order of the tests, than SEED=1."
	@echo "  make soak MINUTES=30 SEED=7   on the database that DATABASE_URL or EDA_TEST_DATABASE names."
	@echo "  make bench ARGS='...'  hands these to the benchmark; ARGS=--help lists them."
	@echo "  make mutants ARGS='eda_django.retry.*'   tries those whose names these are, or match."
	@echo "  make bench PEERS=1     measures other packages too; it installs them into .peers."

demo: $(VENV)/.has-demo ## Run the shop: web server, relay, a worker for each service.
	@exec $(VENV)/bin/python -m example_project.demo --orders=$(ORDERS) --folder="$$FOLDER"

test: $(VENV)/.has-test ## Run the suite on every database that can be reached.
	@exec env EDA_TEST_SEED=$(SEED) $(VENV)/bin/python -m tests $(ARGS)

soak: $(VENV)/.has-test ## Run for MINUTES while everything is killed, and count what was lost.
	@exec $(VENV)/bin/python -m tests.soak --minutes=$(MINUTES) --seed=$(SEED) --folder="$$SOAK"

recovery: $(VENV)/.has-test ## Measure how long it takes after a death until all is as before.
	@exec $(VENV)/bin/python -m tests.soak.recovery --folder="$$SOAK/recovery" $(ARGS)

bench: $(VENV)/.has-demo ## Measure this library beside the limit and beside plain django-rq.
	@exec $(VENV)/bin/python -m benchmarks $(if $(filter 1,$(PEERS)),--peers) $(ARGS)

graphs: $(VENV)/.has-demo ## Measure again what the graphs of docs/explanation/performance.md show.
	@exec $(VENV)/bin/python -m benchmarks.graphs $(ARGS)

# pngquant, where it is installed, makes them a third as large.
screenshots: $(VENV)/.has-test ## Take the pictures of the console in docs/images anew.
	EDA_TEST_DATABASE=sqlite EDA_SCREENSHOTS="$$PICTURES" \
		$(VENV)/bin/python -m pytest -q tests/browser/test_looking.py -k desktop_and_phone
	cp "$$PICTURES"/console-overview-desktop-light.png docs/images/console-overview.png
	cp "$$PICTURES"/console-group-desktop-light.png docs/images/console-failures.png
	cp "$$PICTURES"/console-failures-desktop-light.png docs/images/console-causes.png
	cp "$$PICTURES"/console-deliveries-desktop-light.png docs/images/console-deliveries.png
	cp "$$PICTURES"/console-catalogue-desktop-light.png docs/images/console-catalogue.png
	cp "$$PICTURES"/console-event-phone-dark.png docs/images/console-event-phone.png
	if command -v pngquant; then pngquant --force --ext .png 64 docs/images/console-*.png; fi

mutants: $(VENV)/.has-mutants ## Break the library in small ways, and count what no test notices.
	@exec $(VENV)/bin/python -m tests.mutation $(ARGS)

lint: $(VENV)/.has-test ## Check format, style, types, imports and migrations.
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	DATABASE_URL=sqlite://:memory: $(VENV)/bin/python manage.py makemigrations --check --dry-run
	EDA_TEST_DATABASE=sqlite $(VENV)/bin/python manage.py makemigrations --settings=tests.settings \
		--check --dry-run

# Never what a variable names: FOLDER is a common name, and the environment may have one.
clean: ## Remove what these commands have made here, and no other folder that you named.
	rm -rf .venv .demo .soak .peers mutants build dist *.egg-info htmlcov .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# What is installed must be what setup.cfg asks for now.
$(VENV)/.has-demo: setup.cfg pyproject.toml | $(VENV)/bin/pip
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.has-test: setup.cfg pyproject.toml | $(VENV)/bin/pip
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[demo,test]'
	@touch $@ $(VENV)/.has-demo

$(VENV)/.has-mutants: setup.cfg pyproject.toml | $(VENV)/bin/pip
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[demo,test,mutants]'
	@touch $@ $(VENV)/.has-demo $(VENV)/.has-test

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)
