# One command per thing. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install run test quick lint format demo savings faults failover race scale bench-decision engines kerberos lock clean planted mutations bench bench-deid

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

faults: $(STAMP)   ## kill -9 at every step of receive and publish, 25 times each; nodes damaged, away, simulated
	@$(BIN)/python -m tests.tools.kill_matrix
	@DGIS_TEST_DAMAGED_OBJECTS=1000 DGIS_TEST_NODE_OUTAGES=20 DGIS_TEST_NODE_SCHEDULES=10000 \
		$(BIN)/python -m pytest -q -n 2 --timeout 0 tests/faults/test_node_damage.py tests/faults/test_node_outage.py \
		tests/faults/test_drain_kill.py tests/property/test_replica_simulation.py

failover: $(STAMP)  ## kill PostgreSQL's primary under load, with Patroni: make failover TIMES=10
	@DGIS_TEST_FAILOVERS=$(or $(TIMES),5) $(BIN)/python -m pytest -q --timeout 0 tests/engines/test_failover_patroni.py

scale: $(STAMP)    ## what the index costs at 10 k, 100 k and 1 M studies in PostgreSQL, with plans: make scale STUDIES=1000000
	@$(BIN)/python -m tests.tools.scale $(or $(STUDIES),1000000)

race: $(STAMP)     ## two gateways race over series: make race SERIES=1000
	@DGIS_TEST_RACING_SERIES=$(or $(SERIES),1000) $(BIN)/python -m pytest -q --timeout 0 tests/engines/test_gateways_postgres.py

mutations: $(STAMP) ## de-identify mutated files, 100,000 or: make mutations CASES=n SEED=n
	@DGIS_TEST_MUTATED_FILES=$(or $(CASES),100000) DGIS_TEST_SEED=$(or $(SEED),1) \
		$(BIN)/python -m pytest -n 2 -k mutated_files tests/property/test_deid_mutations.py

bench: $(STAMP)    ## gateway and peers side by side: make bench PARTS="store find" BENCH="--rounds 5"
	@$(BIN)/python -m tests.bench $(PARTS) $(BENCH)

bench-deid: $(STAMP) .venv-bench/.installed ## de-identifiers side by side: leaks, breaks, errors, speed
	@command -v gdcmanon >/dev/null || ! command -v apt-get >/dev/null || test "$$(id -u)" != 0 \
		|| apt-get install -q -y --no-install-recommends libgdcm-tools >/dev/null
	@$(BIN)/python -m tests.bench.deid --json bench-deid.json

.venv-bench/.installed: requirements/bench.txt
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@

savings: $(STAMP)  ## what record and companion save: make savings FOLDER=series
	@$(BIN)/dgis record savings $(FOLDER)

bench-decision: $(STAMP)  ## what the decision costs a query and a retrieve, on SQLite and PostgreSQL
	@$(BIN)/python -m tests.tools.decision_cost

planted: $(STAMP)  ## hunt for planted identity in what deid makes of more corpora: make planted SEEDS=20
	@DGIS_TEST_PLANTED_SEEDS="$$(seq -s ' ' 1 $(or $(SEEDS),10))" $(BIN)/python -m pytest -q --show-capture=no --timeout 0 tests/conformance/test_deid_planted.py

engines:           ## install what some tests talk to (Debian, root): dcmtk, PostgreSQL, Patroni, Ceph, ...
	@deploy/engines.sh

kerberos: $(VENV)/.kerberos  ## the extra for Kerberos tickets, built against libkrb5-dev (make engines)
$(VENV)/.kerberos: requirements/kerberos-build.txt requirements/kerberos.txt $(STAMP)
	@$(BIN)/pip install --quiet --require-hashes -r requirements/kerberos-build.txt
	@$(BIN)/pip install --quiet --require-hashes --no-build-isolation -r requirements/kerberos.txt
	@touch $@

lock:              ## resolve the dependencies anew, with hashes and no index address
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet uv
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements/run.txt
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --group dev -c requirements/run.txt pyproject.toml requirements/build.in -o requirements/dev.txt
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --extra traces -c requirements/run.txt pyproject.toml -o requirements/traces.txt
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header requirements/bench.in -o requirements/bench.txt
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header requirements/kerberos-build.in -o requirements/kerberos-build.txt
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header requirements/kerberos.in -o requirements/kerberos.txt
	@$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -c requirements/dev.txt requirements/build.in -o requirements/build.txt
	@rm -rf $(VENV)-lock

clean:             ## remove what was built, not what was stored
	rm -rf $(VENV) .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
