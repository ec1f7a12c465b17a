# talkies: `make demo` walks the whole road, `make test` proves it. Both need only Debian's python3, python3-venv and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_WORKERS ?= 2
PARALLEL := --numprocesses $(TEST_WORKERS) --dist loadgroup --no-loadscope-reorder

# Otherwise each of the many processes that the tests start would compile the package and all its imports again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo quick test check format docs wheel-check bench soak test-gpu gpu clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/talkies demo --workspace demo

# Under three minutes on two cores: no killed processes, no browser, no real films, no launched ranks.
quick: setup
	$(BIN)/pytest $(PARALLEL) -m 'not slow and not kills and not browser and not real_data and not ranks'

test: setup
	$(BIN)/pytest $(PARALLEL)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --quiet --noconftest tests/test_layers.py tests/test_shape.py tests/test_language.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

wheel-check: setup
	.ci/wheel

bench: setup
	$(BIN)/python benchmarks/end_to_end.py

soak: setup
	$(BIN)/python benchmarks/soak.py
	TALKIES_SOAK=1 $(BIN)/pytest tests/training/test_killed_runs.py tests/training/test_lack_of_memory.py tests/training/test_train_modes.py tests/training/test_adapted_runs.py tests/training/test_rank_failures.py tests/training/test_ray_training.py tests/ingestion/test_profiles.py tests/ingestion/test_sync_and_frame_truth.py tests/e2e/test_real_road.py

test-gpu: setup
	$(BIN)/pytest -m gpu tests/gpu

# Nine minutes on a machine with a CUDA device; it takes the Python that has PyTorch there if nothing was set up.
gpu:
	$(if $(wildcard $(READY)),$(BIN)/python,$(PYTHON)) -m benchmarks.gpu $(GPU_OPTIONS)

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
