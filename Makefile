# talkies: `make demo` shows the whole road, `make test` proves it. Both need Debian's python3, python3-venv and make alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Or each of the many processes that the tests begin would compile the package and all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test check format bench soak test-gpu clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/talkies demo --workspace demo

test: setup
	$(BIN)/pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --quiet tests/test_layers.py tests/test_shape.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python benchmarks/road.py

soak: setup
	$(BIN)/python benchmarks/soak.py
	TALKIES_SOAK=1 $(BIN)/pytest tests/training/test_killed_runs.py tests/e2e/test_real_road.py

test-gpu: setup
	$(BIN)/pytest -m gpu

clean:
	rm -rf $(VENV) demo .pytest_cache .ruff_cache .mypy_cache .hypothesis
