# Everything works from a fresh clone with Python, pip and make; .venv is made on demand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: env demo test campaign lint format docs bench clean

env: $(STAMP)

$(STAMP): pyproject.toml pgmpy_em_ext/_version.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/pgmpy-em demo

test: $(STAMP)
	$(BIN)/python -m pytest -m "not campaign" -n auto --dist loadscope

# Everything, with twenty times as many random cases: some minutes.
campaign: $(STAMP)
	HYPOTHESIS_PROFILE=campaign $(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

# With the peers, in about half an hour; the page of benchmarks is written anew.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]"
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/page.py --output docs/benchmarks.md

clean:
	rm -rf $(VENV) benchmarks/.cache docs/_build docs/api .pytest_cache .mypy_cache .ruff_cache .hypothesis
