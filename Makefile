# `make` lists the targets. Everything runs in .venv, which the first target that needs it makes.
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: help
help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name it with PYTHON=…"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: install
install: .venv/installed  ## Make .venv with the `revenue` command in it

.PHONY: run
run: .venv/installed  ## Start everything; on a first start with demo data
	$(BIN)/revenue up $(ARGS)

.PHONY: test
test: .venv/installed-dev  ## Run the whole test suite in three processes
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

.PHONY: check
check: .venv/installed-dev  ## ruff, import-linter, mypy, sqlfluff: all findings at once
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/lint-imports || status=1; \
	$(BIN)/mypy || status=1; \
	$(BIN)/sqlfluff lint sql || status=1; \
	exit $$status

.PHONY: audit
audit: .venv/installed-dev  ## Known vulnerabilities of the pinned packages (asks the network)
	$(BIN)/pip-audit --require-hashes -r requirements.lock

.PHONY: bench
bench: .venv/installed-dev  ## Measure the targets of docs/performance.md; prints ratios
	$(BIN)/python -m tests.bench $(ARGS)

.PHONY: docs
docs: .venv/installed  ## Write docs/reference/ anew from settings, commands, rules and schema
	$(BIN)/python docs/generate.py

.PHONY: sql
sql: .venv/installed  ## Write sql/schema.sql anew from the migrations
	$(BIN)/python -m tests.schema > sql/schema.sql.part
	mv sql/schema.sql.part sql/schema.sql

.PHONY: powerbi
powerbi: .venv/installed  ## Write powerbi/ anew from the metrics and the gold schema, and lint it
	$(BIN)/python -m app.powerbi

.PHONY: screenshots
screenshots: .venv/installed-dev  ## Take docs/screenshots/ anew (needs Chromium)
	$(BIN)/python -m tests.screenshots

.PHONY: lock
lock: .venv/installed-dev  ## Pin every package with hashes, after a change of pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--no-header --strip-extras --allow-unsafe --extra build -o requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--no-header --strip-extras --allow-unsafe --extra build --extra dev -o requirements-dev.lock pyproject.toml

.PHONY: clean
clean:  ## Delete .venv and caches; data stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
