PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALL := .venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: demo check test test-all
demo: .venv/warm
	.venv/bin/datapipe run pipelines/recipes/default.yaml --input sample_data/documents --output out/demo

test: check
	.venv/bin/pytest -n 2 --dist loadgroup

# Hours: kernels with their bounds checked; kills, faults and damaged files by the hundred and thousand, for a night.
KERNELS := $(addprefix tests/datapipe/,text filters dedup flow mix) tests/tokenizer_training
test-all: check .venv/nightly
	NUMBA_BOUNDSCHECK=1 .venv/bin/pytest -n 2 --dist loadgroup $(KERNELS)
	NIGHTLY=1 .venv/bin/pytest -n 2 --dist loadgroup

check: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

.venv/base: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) .
	touch $@

.venv/warm: .venv/base
	.venv/bin/datapipe warmup
	touch $@

.venv/dev: .venv/base
	$(INSTALL) '.[dev]'
	touch $@

.venv/nightly: .venv/dev
	$(INSTALL) '.[dev,nightly]'
	touch $@
