# Each target makes `.venv` by itself on first use; all they need is Python 3.11 or later with its venv module.
#   make check    run the shipped specs on the simulators
#   make test     the tests (those on a real Kafka broker need Java 17 and Maven, else they are skipped)
#   make lint     format, style, types, import directions
#   make bench    the benchmarks, with their figures
#   make schema   write mqverify.schema.json, which editors use
#   make docs     write docs/reference and the picture in README: what the code says of itself, and runs of specs
#   make contents write specs/README.md: every claim, what came of it, the verdicts on each system

PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,\
  $(shell $(python) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(python))))
BIN := .venv/bin
STAMP := .venv/.made-from-pyproject
# In the order in which the article asks.
QUESTIONS := retention partitions streams groups membership settling effects catch-up persistent ordering parking concurrency \
  lost-replies network replication load read-models

.PHONY: check test lint format bench schema docs contents clean
.DEFAULT_GOAL := check

check: $(STAMP)
	$(BIN)/mqverify check specs/

test: $(STAMP)
	$(BIN)/pytest -n 4 --dist loadgroup $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

schema: $(STAMP)
	$(BIN)/mqverify schema > .venv/schema.json
	mv .venv/schema.json mqverify.schema.json

docs: $(STAMP)
	$(BIN)/python -m docs.generator

contents: $(STAMP)
	$(BIN)/mqverify contents $(QUESTIONS:%=specs/%) --relative-to specs > .venv/contents.md
	mv .venv/contents.md specs/README.md

clean:
	rm -rf .venv

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "mqverify needs Python 3.11 or later. Install it, or say where it is: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is older than 3.11, or has no venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,eventstore]'
	@touch $@
