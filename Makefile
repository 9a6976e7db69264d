# `make help` lists what there is. Everything runs in .venv, which is built when first needed.
.DEFAULT_GOAL := help
.PHONY: help run test faults mail-faults resilience bench lint format protos lock clean
BIN := .venv/bin

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/complete ## start the clinic on this machine (Ctrl-C stops it)
	@$(BIN)/caremesh up

test: lint ## all tests, after the linters
	@$(BIN)/python -m pytest

faults: .venv/complete ## every fault scenario in full size, an hour or two; NAMES="races pages", SEED=1, SHARE=1
	@$(BIN)/python -m tests.faults --seed $(or $(SEED),1) --share $(or $(SHARE),1) $(NAMES)

mail-faults: .venv/complete ## those of mail alone
	@$(MAKE) --no-print-directory faults NAMES="mail mail-defects relay-away hostile"

resilience: .venv/complete ## what the mesh is worth when something dies, measured, half an hour; NAMES="killed", SEED=1, SHARE=1
	@$(BIN)/python -m benchmarks --seed $(or $(SEED),1) --share $(or $(SHARE),1) $(if $(JSON),--json $(JSON)) $(NAMES)

bench: .venv/complete ## what a call costs and how fast it is when nothing is wrong, beside plain grpclib stubs
	@$(MAKE) --no-print-directory resilience NAMES="nothing-wrong saturation latency"

lint: .venv/complete ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: .venv/complete ## put the code into ruff's form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

protos: .venv/complete ## remake the generated code from protos/*.proto
	@$(BIN)/python -m protos.generate

lock: ## renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra clinic --extra dev pyproject.toml -o requirements.lock

clean: ## remove the environment and what tools left; data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

.venv/complete: requirements.lock tools/environment.sh
	@tools/environment.sh
