# Everything a person or a machine runs here. Each target makes the environment it needs; python3.11 or newer is enough.
#
#   make demo    calibrate an epidemic model, recorded; a minute on a fresh machine
#   make test    format, lint, types, tests, and the tests again on the built wheel
#   make bench   what recording costs, against named peers

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# The first interpreter that is new enough; override with make PYTHON=...
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

# How many tests run at once; `make test WORKERS=0` runs them one after the other.
WORKERS ?= 2

# More arguments for pytest, as in `make test PYTEST_ARGS=-x`.
PYTEST_ARGS ?=
PYTEST_FLAGS = -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

VENV := .venv
WHEEL_VENV := .venv-wheel
WHEEL_DIR := build/wheel
SOURCES := $(shell find src -type f -not -name '*.pyc')
NATIVE := hatch_build.py $(wildcard src/native/*)

.NOTPARALLEL:
.PHONY: help demo test check unit python wheel bench freeze clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo-ready
	$(VENV)/bin/clew run examples/influenza

test: check unit python wheel

unit: $(VENV)/.dev-ready
	$(VENV)/bin/python -m pytest $(PYTEST_FLAGS)

# Recording once more without the compiled module: by the Python that is its reference.
python: $(VENV)/.dev-ready
	CLEW_COMPILED=false $(VENV)/bin/python -m pytest $(PYTEST_FLAGS) --ignore-glob 'tests/record/test_compiled*.py' \
		tests/record tests/crash/test_reentrancy.py tests/crash/test_kill.py

# From inside the second environment, with -P: neither the checkout nor its src can be imported by accident.
wheel: $(WHEEL_VENV)/.ready
	cd $(WHEEL_VENV) && CLEW_TEST_WHEEL=1 bin/python -P -m pytest -c ../pyproject.toml --rootdir .. -p no:cacheprovider \
		$(PYTEST_FLAGS) ../tests

check: $(VENV)/.dev-ready
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy
	for example in examples/*/; do MYPYPATH="$$example" $(VENV)/bin/mypy "$$example"; done

bench: $(VENV)/.dev-ready
	$(VENV)/bin/python -m benchmarks

# An environment counts as made only by its stamp, which is written last: one that was left half made is started
# afresh, one that is merely older than its description is brought up to date.
define make-venv
	@test -n "$(PYTHON)" || { echo "Clew needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python" >&2; exit 1; }
	compgen -G '$(1)/.*ready' >/dev/null || "$(PYTHON)" -m venv --clear $(1)
	rm -f $(1)/.*ready
endef

PIP_INSTALL := bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

$(VENV)/.demo-ready: pyproject.toml constraints.txt $(NATIVE)
	$(call make-venv,$(VENV))
	$(VENV)/$(PIP_INSTALL) hatchling editables setuptools
	$(VENV)/$(PIP_INSTALL) --no-build-isolation --editable '.[optuna]'
	touch $@

$(VENV)/.dev-ready: pyproject.toml constraints.txt $(NATIVE)
	$(call make-venv,$(VENV))
	$(VENV)/$(PIP_INSTALL) hatchling editables setuptools
	$(VENV)/$(PIP_INSTALL) --no-build-isolation --editable '.[dev]'
	touch $(VENV)/.demo-ready $@

# The wheel as a user gets it, with none of the extras, and only what runs the tests beside it.
$(WHEEL_VENV)/.ready: $(VENV)/.dev-ready $(SOURCES) README.md LICENSE
	rm -rf $(WHEEL_DIR)
	$(VENV)/bin/python -m build --wheel --no-isolation --outdir $(WHEEL_DIR) . >/dev/null
	$(call make-venv,$(WHEEL_VENV))
	$(WHEEL_VENV)/$(PIP_INSTALL) pytest pytest-xdist hypothesis
	$(WHEEL_VENV)/$(PIP_INSTALL) --force-reinstall --no-deps $(WHEEL_DIR)/*.whl
	$(WHEEL_VENV)/$(PIP_INSTALL) $(WHEEL_DIR)/*.whl
	touch $@

# Writes down what is installed now; run it after trying newer versions in $(VENV).
freeze: $(VENV)/.dev-ready
	{ head -n 1 constraints.txt; $(VENV)/bin/python -m pip freeze --exclude-editable | LC_ALL=C sort -f; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) $(WHEEL_VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis src/clew/record/_hotpath*.so
