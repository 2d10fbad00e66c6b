# Every path is relative, so the tree may lie anywhere, under a name with spaces too.
PYTHON ?= python3
VENV := .venv
BENCH := .venv-bench
# Tests run side by side, and a small network's matrix products are too short to share: a BLAS
# that starts threads of its own would only slow them.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
WORKERS ?= 2
PYTEST_ARGS ?=
FUZZ_ARGS ?=
PIP_INSTALL := -m pip install -qq --disable-pip-version-check

.DELETE_ON_ERROR:
.PHONY: help demo test docs fuzz proof bench accuracy clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      train a classifier on handwritten digits, check a gradient three ways"
	@echo "make test      lint, check the types, run the tests    (PYTEST_ARGS='tests/test_x.py -x')"
	@echo "make docs      build the documentation site: build/site/html/index.html"
	@echo "make fuzz      compiled against eager, random functions without end   (FUZZ_ARGS='--seed 1')"
	@echo "make proof     measure every derivative anew: docs/derivatives.md, choices.md, functions.md (minutes)"
	@echo "make accuracy  train on digits and Fashion-MNIST with three seeds each (half an hour)"
	@echo "make bench     measure against PyTorch, JAX and autograd, in an environment of its own"
	@echo "make clean     remove what these made"

demo: $(VENV)/.demo
	@$(ONE_THREAD) $(VENV)/bin/python examples/digits.py

test: $(VENV)/.test
	@echo "ruff";    $(VENV)/bin/python -m ruff check --quiet .
	@echo "pyright"; $(VENV)/bin/python -m pyright --warnings
	@echo "pytest";  $(ONE_THREAD) $(VENV)/bin/python -m pytest -q -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

docs: $(VENV)/.docs
	@$(ONE_THREAD) $(VENV)/bin/python docs/website/build.py build/site

fuzz: $(VENV)/.test
	@$(ONE_THREAD) $(VENV)/bin/python -m gradarray.testing.fuzz $(FUZZ_ARGS)

proof: $(VENV)/.test
	@$(ONE_THREAD) $(VENV)/bin/python -m gradarray.testing.ulps docs
	@$(ONE_THREAD) $(VENV)/bin/python -m gradarray.testing.hosted docs
	@$(ONE_THREAD) $(VENV)/bin/python -m gradarray.testing.proof docs

accuracy: $(VENV)/.demo
	@$(ONE_THREAD) $(VENV)/bin/python benchmarks/accuracy.py

bench: $(BENCH)/.bench
	@set -e; for script in $(filter-out benchmarks/accuracy.py,$(wildcard benchmarks/[!_]*.py)); do \
	    echo "$$script"; $(ONE_THREAD) $(BENCH)/bin/python "$$script"; done

clean:
	rm -rf $(VENV) $(BENCH) .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last: an installation that was cut short is taken up again by the next make.
$(VENV)/.demo $(VENV)/.test $(VENV)/.docs: $(VENV)/.%: pyproject.toml | $(VENV)/.made
	@echo "installing gradarray and what 'make $*' needs into $(VENV)"
	@$(VENV)/bin/python $(PIP_INSTALL) --editable '.[$*]'
	@$(VENV)/bin/python -m compileall -q src
	@touch $@

$(BENCH)/.bench: pyproject.toml benchmarks/requirements.txt | $(BENCH)/.made
	@echo "installing gradarray and its peers into $(BENCH)"
	@$(BENCH)/bin/python $(PIP_INSTALL) --requirement benchmarks/requirements.txt --editable .
	@touch $@

%/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "gradarray needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "making $*"
	@$(PYTHON) -m venv $*
	@touch $@
