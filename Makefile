PYTHON ?= $(shell command -v python3.11 || command -v python3)
READY := .venv/ready

.PHONY: demo test
demo: $(READY)
	.venv/bin/datapipe run pipelines/recipes/default.yaml --input sample_data/documents --output out/demo

test: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -n 2

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
