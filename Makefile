# Every target sets up what it needs. PYTHON picks the interpreter (3.10 to 3.13), TORCH_INDEX the build of torch:
#   make TORCH_INDEX=https://download.pytorch.org/whl/cpu demo
PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=
PYTEST := -m pytest
# Each worker has its own database and browser. Tests of a file stay together: some go on where the one before ended.
JOBS ?= auto
SPREAD := -n $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
VENV := .venv
BIN := $(VENV)/bin
PINS := requirements/dev.txt
READY := $(VENV)/.ready
TRIAL := $(VENV)/.trial

.DEFAULT_GOAL := help
.PHONY: help venv demo test quick check lint ruff format mypy button wheel docs pins sbom audit bench clean system

help: ## show this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

venv: $(READY) ## create .venv, or bring it up to date

# A first look needs a tenth of what the tests need; where they were set up already, nothing more is installed.
demo: $(if $(wildcard $(READY)),$(READY),$(TRIAL)) ## track the shipped clip into demo_output/
	$(BIN)/agss demo $(ARGS)

system: ## programs that some tests use, where apt-get may install them
	@sh requirements/debian.sh

test: $(READY) system ## the whole test suite
	$(BIN)/python $(PYTEST) $(SPREAD) $(ARGS)

quick: $(READY) ## the tests that take seconds
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

check: lint ## ruff, mypy and the quick tests
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

lint: ruff format mypy ## ruff, its format, and mypy

ruff: $(READY)
	$(BIN)/ruff check .

format: $(READY)
	$(BIN)/ruff format --check .

mypy: $(READY)
	$(BIN)/mypy

button: ## syntax and types of the CVAT button, where node is
	@command -v node >/dev/null || { echo "The button is not checked: node is not here."; exit 0; }; \
	cd serverless/cvat_ui; for file in src/*.js agss-vos.js; do node --check "$$file" || exit 1; done; \
	if [ -x node_modules/.bin/tsc ]; then npm run --silent check; \
	else echo "The button's types are not checked: npm ci in serverless/cvat_ui brings TypeScript."; fi

wheel: $(READY) ## build the wheel and try it in a clean environment
	@.ci/wheel

docs: $(READY) ## build the pages into site/, where mkdocs is installed (pip install -e '.[docs]')
	@if $(BIN)/python -c "import mkdocs, material, mkdocstrings" 2>/dev/null; then \
	  $(BIN)/python -m mkdocs build --quiet --strict; \
	else echo "The pages are not built: mkdocs is not in .venv."; fi

# What the deployed images hold, and what is known against it: these three ask the package index.
SUPPLY := $(VENV)/.supply
FUNCTIONS := requirements/function-cpu.txt requirements/function-gpu.txt

$(SUPPLY): $(READY)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c $(PINS) -e '.[supply]'
	@touch $@

pins: $(SUPPLY) ## pin what the function's images install, with hashes
	PATH="$(CURDIR)/$(BIN):$$PATH" requirements/pin.sh

sbom: $(SUPPLY) ## bills of material of these images (CycloneDX), into dist/
	@mkdir -p dist
	for file in $(FUNCTIONS); do $(BIN)/cyclonedx-py requirements $$file --pyproject pyproject.toml \
	  --output-reproducible -o dist/$$(basename $$file .txt).cdx.json || exit 1; done

audit: $(SUPPLY) ## known holes in what is deployed and developed with
	PATH="$(CURDIR)/$(BIN):$$PATH" requirements/audit.sh

bench: $(READY) ## time per frame by object count and module
	$(BIN)/agss bench $(ARGS)

clean: ## remove caches, builds and the demo's output; .venv stays
	rm -rf build dist site demo_output .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +

# The stamp comes last, so an interrupted installation is taken up again. torch goes first: only it may come from
# TORCH_INDEX, and everything it needs comes from the usual index with the second line.
$(READY): EXTRAS := [dev]
$(READY) $(TRIAL): pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "$(PYTHON) is missing or is not Python 3.10 to 3.13; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory new-venv
	$(BIN)/python -m pip install --disable-pip-version-check -c $(PINS) \
	  $(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX)) "$$(grep '^torch==' $(PINS))"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c $(PINS) -e '.$(EXTRAS)'
	@touch $@

# Distributions such as Debian package ensurepip apart; the interpreter's own pip can stand in for it.
.PHONY: new-venv
new-venv:
	@if $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
	  $(PYTHON) -m venv --clear $(VENV); \
	elif $(PYTHON) -c 'import venv, pip' 2>/dev/null; then \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; \
	else \
	  echo "$(PYTHON) can create no virtual environment: its module venv, ensurepip or pip is missing." >&2; \
	  echo "Install it (Debian and Ubuntu: apt-get install python3-venv; Fedora: dnf install python3-pip)" >&2; \
	  echo "and run make again." >&2; exit 1; \
	fi
