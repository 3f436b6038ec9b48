# `make demo` and `make test` each set up a fresh machine by themselves: Python 3.11 or newer is all they need.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-slow lint types unit bench bench-gpu reproductions stubs docs clean

demo: $(READY)
	$(BIN)/fallline compare digits --out results
	@echo "Open results/report.html in a browser."

test: lint types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest -n 2 -m "not slow"

test-slow: $(READY)
	$(BIN)/pytest -m slow

bench: $(READY)
	$(BIN)/python -m benchmarks.steps

bench-gpu: $(READY)
	$(BIN)/python -m benchmarks.gpu

reproductions: $(READY)
	$(BIN)/python -m reproductions

stubs: $(READY)
	$(BIN)/python -m fallline.optim.stubs

docs: $(READY)
	$(BIN)/mkdocs build --strict
	@echo "Open build/site/index.html in a browser."

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; set PYTHON=... ($(PYTHON) is `$(PYTHON) --version`)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf .venv results build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
