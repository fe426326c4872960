# One command per thing. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install run test quick lint format demo savings faults engines lock clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(STAMP): requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) (first time: a minute or two)"
	@$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

install: $(STAMP)  ## make .venv with the locked dependencies
run: $(STAMP)      ## start the gateway on the embedded default (loopback, ./var)
	@$(BIN)/dgis serve --home ./var

test: lint         ## lint, types, layers and every test
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

quick: $(STAMP)    ## the tests without the slow ones
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

lint: $(STAMP)     ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP)   ## put the code into its canonical form
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

demo: $(STAMP)     ## the whole story on synthetic phantoms, about a minute
	@$(BIN)/dgis demo

faults: $(STAMP)   ## kill -9 at every step of receive and publish, 25 times each
	@$(BIN)/python -m tests.tools.kill_matrix

savings: $(STAMP)  ## what record and companion save: make savings FOLDER=series
	@$(BIN)/dgis record savings $(FOLDER)

engines:           ## install what some tests talk to (Debian, root): dcmtk, PostgreSQL, strace
	@deploy/engines.sh

lock:              ## resolve the dependencies anew, with hashes and no index address
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet uv
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements/run.txt
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --group dev -c requirements/run.txt pyproject.toml requirements/build.in -o requirements/dev.txt
	@rm -rf $(VENV)-lock

clean:             ## remove what was built, not what was stored
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
