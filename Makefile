# All targets do all of their set-up: create .venv, install, run.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= results
# What is installed: the checkout, or a wheel that make dist has built.
PACKAGE ?= --editable .
# Compilation takes most of the time and one core: two workers take turns at the files of tests.
WORKERS ?= -n 2 --dist loadfile

# On Linux the PyTorch of PyPI brings CUDA, several GB: this index has builds without it.
TORCH ?= torch --index-url https://download.pytorch.org/whl/cpu
# make bench PEERS=none leaves PyTorch and JAX as they are, installed or not.
PEERS ?= all

.PHONY: bench demo dist docs test install
bench: install
ifneq ($(PEERS),none)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet $(PACKAGE)'[bench]'
endif
	$(BIN)/python -m benchmarks

demo: install
	$(BIN)/lazyactive verify mle-one-neuron --out $(RESULTS)

# The wheel is built of what the sdist holds.
dist:
	rm -rf build
	$(PYTHON) -m venv build/builder
	build/builder/bin/python -m pip install --quiet build
	build/builder/bin/python -m build --outdir build/dist . >/dev/null

# One reading serves both: the pages, and the code in them. Warnings are errors.
docs: install
	rm -rf docs/source/api/generated
	$(BIN)/python -m pip install --quiet $(PACKAGE)'[docs]'
	$(BIN)/python -m sphinx -q -W --keep-going -d docs/build/doctrees -b html docs/source docs/build/html
	$(BIN)/python -m sphinx -q -W --keep-going -d docs/build/doctrees -b doctest docs/source docs/build/doctest
	@echo "open docs/build/html/index.html"

test: install
	$(BIN)/python -m pytest -m "not slow" $(WORKERS)

install: $(VENV)/.installed
$(VENV)/.installed: setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "lazyactive needs Python >= 3.11; name one: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(PACKAGE)'[test]'
	touch $@
