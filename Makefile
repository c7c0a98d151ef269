# Start with `make reproduce` or `make test`. Both set up a virtual environment.
VENV ?= .venv
PYTHON ?= python3
PEER ?= .peer
RUN := $(VENV)/bin/python

.PHONY: reproduce speed peer wheels test test-slow lint types docs tables check-tables wheel clean

reproduce: $(VENV)/.bench  ## evaluate the published weights and print the results table
	$(RUN) benchmarks/reproduce.py

speed: $(VENV)/.bench peer  ## measure speed against other tools; takes an hour on an idle machine
	$(RUN) benchmarks/speed.py --peer-python $(PEER)/bin/python
	$(RUN) benchmarks/tables.py --plots

# fastai needs other packages than medzoo, so it has an environment of its own.
peer: $(PEER)/.ready  ## set up the environment of fastai, with which `make speed` compares

$(PEER)/.ready:
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet fastai
	touch $@

# Without their dependencies, and only what is the same for every version of Python.
GPU_WHEELS := medmnist timm

wheels: | $(VENV)/bin/python  ## collect what benchmarks/gpu_pass.sh needs into wheels/
	rm -rf wheels
	$(RUN) -m pip download --quiet --no-deps --only-binary :all: --dest wheels $(GPU_WHEELS)

# One process per processor, with one thread each: small networks gain little from more threads.
# The byte code of the tests, with pytest's assertions, is written once, whatever else is set.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest \
  --numprocesses=logical --dist=worksteal

test: $(VENV)/.dev  ## run the tests
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.dev  ## run the tests that take longer: whole pipelines, all published weights
	$(PYTEST) -m slow

lint: $(VENV)/.dev  ## check style and format
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/.dev  ## check types
	$(RUN) -m mypy

docs: $(VENV)/.dev  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

tables: $(VENV)/.bench  ## write the generated tables into README.md and docs/
	$(RUN) benchmarks/tables.py

check-tables: $(VENV)/.bench  ## check that the generated tables are up to date
	$(RUN) benchmarks/tables.py --check

wheel: $(VENV)/.dev  ## build the wheel and the source distribution into dist/
	$(RUN) -m build --outdir dist .

clean:
	rm -rf $(VENV) $(PEER) dist site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.bench: pyproject.toml | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --editable ".[bench]"
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --editable ".[dev]"
	touch $(VENV)/.bench $@
