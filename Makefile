# Everything that this needs it gets by itself: uv, Python 3.13 and the environments (.venv, .local/).
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh
.DEFAULT_GOAL := help

# Any Python since 3.8 can start; a pyenv shim for a version that is not installed cannot.
PYTHON3 := $(shell for p in python3.13 python3 /usr/bin/python3 /usr/local/bin/python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && echo $$p && break; done)
ifeq ($(PYTHON3),)
PYTHON3 := uv run --quiet --no-project --python 3.13 python
endif

BOOTSTRAP := $(PYTHON3) infra/local/bootstrap.py
PYTHON := .venv/bin/python
STACK := $(PYTHON) -m infra.local.stack
SAM := SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/.local/venv-sam/bin:$$PATH" sam
EXPORT := export --frozen --no-dev --no-emit-project --no-header --format requirements-txt --quiet
STAGE ?=
ARCH ?= arm64
ARGS ?=
# What the local stack runs on: native, or scalekit (a fake one).
BACKEND ?= native
export BACKEND

.PHONY: help demo test unit e2e clients conformance refresh fuzz bench check format up down status logs deploy build \
	lock clean env env-all env-oidc env-clients env-conformance env-scalekit

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
		while IFS="$$(printf '\t')" read -r name what; do printf '  make %-11s %s\n' "$$name" "$$what"; done

demo: env-all ## the whole system on this machine, walked through once; it stays up
	@$(PYTHON) -m infra.local.demo $(ARGS)

test: env-all env-oidc env-clients env-conformance env-scalekit ## every test, end to end on both backends; the local stack is down afterwards
	@$(STACK) run -- $(PYTHON) -m pytest tests $(ARGS)
	@BACKEND=scalekit $(STACK) run -- $(PYTHON) -m pytest tests/e2e $(ARGS) || [ $$? -eq 5 ] # none chosen

unit: env ## the tests that need no stack: seconds
	@$(PYTHON) -m pytest tests/unit tests/functions tests/adapters tests/infra -m "not emulator and not scalekit" -n 2 $(ARGS)

e2e: env-all env-oidc ## the end-to-end tests, on the local stack
	@$(STACK) run -- $(PYTHON) -m pytest tests/e2e $(ARGS)

clients: env-all env-oidc env-clients ## the README's MCP clients, on the local stack
	@$(STACK) run -- $(PYTHON) -m pytest tests/clients $(ARGS)

conformance: env-all env-conformance ## the official MCP conformance suite, on the local stack
	@$(STACK) run -- $(PYTHON) -m pytest tests/conformance $(ARGS)

refresh: env-oidc ## refreshing against a certified OAuth server: processes, deaths, lost answers
	@$(PYTHON) -m pytest tests/refresh $(ARGS)

fuzz: env ## ten thousand odd requests to the MCP endpoint, others each time
	@$(PYTHON) -m pytest tests/fuzz $(ARGS)

bench: env-all ## our MCP function beside its peers: start, requests, memory, size (ARGS=--quick)
	@$(PYTHON) -m infra.bench $(ARGS)

check: env-all ## linters, types, import rules, template, lock files
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	PYTHONPATH=functions .venv/bin/lint-imports
	.venv/bin/cfn-lint template.yaml tests/conformance/template.yaml
	AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint
	@uv=$$($(BOOTSTRAP) uv) && $$uv lock --check --quiet && \
		$$uv $(EXPORT) | diff functions/requirements.txt - >/dev/null || \
		{ echo 'check: uv.lock or functions/requirements.txt is out of date: make lock'; exit 1; }
	@! grep -nE '(url|registry) = "https?://' uv.lock | \
		grep -vE '"https://(pypi\.org|files\.pythonhosted\.org)/' || \
		{ echo 'check: uv.lock names a private index'; exit 1; }

format: env ## ruff, to fix what it can
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

up: env-all ## start the local stack: AWS 4566, API 8400, fake Google 4700, app 8500 (BACKEND=scalekit: 4900)
	@$(STACK) up

down: env ## stop the local stack
	@$(STACK) down

status: env ## what of the local stack runs
	@$(STACK) status

logs: env ## the local stack's logs (ARGS="-f" to follow)
	@$(STACK) logs $(ARGS)

deploy: ## build and deploy to AWS: make deploy STAGE=dev|staging|prod
	@case "$(STAGE)" in dev|staging|prod) ;; *) echo 'make deploy STAGE=dev|staging|prod'; exit 2;; esac
	@$(MAKE) build
	@$(SAM) deploy --config-env $(STAGE) $(ARGS)

build: env-all ## the package for AWS, bytecode inside (ARCH=arm64)
	$(SAM) build --cached --parallel --parameter-overrides Architecture=$(ARCH)
	@$(PYTHON) -m infra.local.packaging .aws-sam/build

lock: ## resolve the dependencies again
	@uv=$$($(BOOTSTRAP) uv) && $$uv lock && $$uv $(EXPORT) -o functions/requirements.txt
	@echo 'lock: uv.lock and functions/requirements.txt are in step'

clean: ## remove what was built and installed
	@[ ! -x $(PYTHON) ] || $(STACK) down
	rm -rf .local .venv .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

env:
	@$(BOOTSTRAP) dev

env-all:
	@$(BOOTSTRAP) dev emulator sam $(filter scalekit,$(BACKEND))

env-oidc:
	@$(BOOTSTRAP) dev emulator oidc

env-clients:
	@$(BOOTSTRAP) dev clients-mcp1 clients-mcp2 clients

env-scalekit:
	@$(BOOTSTRAP) dev scalekit

env-conformance:
	@$(BOOTSTRAP) dev conformance
