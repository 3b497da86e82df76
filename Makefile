# Keywright: `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
PORT ?= 8080
DATA ?= data
BOOT := .cache/uv
UV := $(BOOT)/bin/uv
# Behind a company's proxy the system knows certificates that uv does not bring along.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS := 1
endif
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)
RUN := .venv/bin/python -m
BABEL := .venv/bin/pybabel -q

# What the lanes of the test suite need from the system, beside Python.
PACKAGES := pcscd libccid vsmartcard-vpcd libpcsclite-dev gcc python3-dev chromium postgresql \
  xvfb python3-tk python3-venv curl

.PHONY: help setup run tour test test-unit conformance system dev bench bench-full bench-panel bench-cards gallery lint types messages format clean test-oracle

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Keywright needs Python 3.11 or newer (PYTHON=...)." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory system PACKAGES=python3-venv
	$(PYTHON) -m venv $(BOOT)
	$(BOOT)/bin/python -m pip install --quiet 'uv>=0.13,<1'

setup: $(UV) ## Install the product into .venv
	$(UV) sync --quiet --locked --no-dev --extra demo --inexact
	@echo "Installed: .venv/bin/keywright, .venv/bin/keywright-reader"

run: setup ## Start the whole product on this machine (demo mode)
	@exec .venv/bin/keywright demo --data $(DATA) --port $(PORT)

tour: setup ## Run the main job once, narrated in this terminal
	@exec .venv/bin/keywright tour

dev: $(UV) system
	@$(UV) sync --quiet --locked --all-extras

system: # Debian packages that the device and e2e lanes need; `make test` installs them itself
	@missing=""; \
	for package in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  $(AS_ROOT) true 2>/dev/null || { echo "These Debian packages are missing and need root to install:$$missing" >&2; exit 1; }; \
	  echo "Installing$$missing"; \
	  $(AS_ROOT) apt-get update -qq && $(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	fi

test: dev ## Run the whole suite: unit, device (pcscd + virtual reader), e2e (Chromium)
	@$(RUN) pytest -q tests -n 2 --dist loadgroup --all-lanes $(ARGS)

test-unit: $(UV) ## Run the unit lane only
	@$(UV) sync --quiet --locked --extra demo --inexact
	@$(RUN) pytest tests -q -n 2 --ignore tests/device --ignore tests/e2e -m "not postgresql" $(ARGS)

test-oracle: dev ## Ask the oracle: 20,000 filters and PATCH sequences on each database (TEST_EXAMPLES)
	@TEST_EXAMPLES=$${TEST_EXAMPLES:-20000} $(RUN) pytest -q -rP -n 2 tests/conformance/test_filter_oracle.py tests/conformance/test_patch_oracle.py tests/conformance/test_members_oracle.py $(ARGS)

conformance: $(UV) ## Write scim/CONFORMANCE.md: each demand of the RFCs and the tests that hold it
	@$(UV) sync --quiet --locked --all-extras --inexact
	@$(RUN) tests.conformance.matrix

bench: dev ## Measure beside the goals: hello route, scim2-server (two minutes)
	@UV=$(CURDIR)/$(UV) $(RUN) tests.bench $(ARGS)

bench-full: dev ## The same with growth, memory, full syncs and many connections
	@UV=$(CURDIR)/$(UV) $(RUN) tests.bench --full $(ARGS)

bench-cards: dev ## Cards per minute in a batch; from the click to the verified enrolment
	@$(RUN) tests.bench.cards $(ARGS)

bench-panel: dev ## The panel's pages with 100,000 users: milliseconds and queries beside the goal
	@$(RUN) tests.bench.panel $(ARGS)

gallery: dev ## Take a picture of every page, into gallery/
	@$(RUN) tests.pages $(ARGS)

lint: $(UV) ## Check style
	@$(UV) sync --quiet --locked --all-extras --inexact
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

types: $(UV) ## Check types, strictly
	@$(UV) sync --quiet --locked --all-extras --inexact
	@$(RUN) mypy

messages: ## Extract every string into the catalogues, and compile these
	@$(BABEL) extract -F pyproject.toml -k _l -k lazy_gettext --no-location --sort-output -o .cache/messages.pot enrollment provisioning templates
	@$(BABEL) update -i .cache/messages.pot -d provisioning/translations -w 100 --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	@$(BABEL) compile -d provisioning/translations

format: ## Put the code in shape
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

clean: ## Remove what the targets above made, the demo's data folder excepted
	rm -rf .venv .cache dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
