# Two commands do everything: `make demo` and `make test`. Both set up .venv on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check lint types bench bench-index bench-latency soak setup clean

setup: $(READY)

# torch by pip and pinned: on Linux a plain `torch` pulls gigabytes of CUDA. constraints.txt pins all the rest.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "sc2lsp needs Python 3.11 or later, set PYTHON"'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[runtime,dev]'
	@touch $(READY)

# A hole in a small real workspace: what the context engine chose, the completion in its place, and the timings.
demo: $(READY)
	@$(BIN)/sc2lsp complete tests/fixtures/shelf/shelf/store.py:49:28 --explain

test: $(READY)
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy
	$(BIN)/pyright

check: lint types test

# The README's figures, measured here: start, memory and keystrokes of the server; decoding beside transformers and, where
# it is installed, llama.cpp; what typing costs the model, in the repositories ROOTS.
ROOTS ?= .
bench: $(READY)
	$(BIN)/python -m tests.benchmarks.bench
	$(BIN)/python -m tests.benchmarks.peers --threads 1
	$(BIN)/python -m tests.benchmarks.trace $(ROOTS)

# A keystroke's overhead, with a model that answers at once; beside tabby-agent where TABBY names the folder of its npm package.
TABBY ?=
bench-latency: $(READY)
	$(BIN)/python -m tests.benchmarks.latency $(if $(TABBY),--tabby $(TABBY))

# What no test has the time for: hundreds of thousands of broken messages, edits, cancelled requests, killed processes.
soak: $(READY)
	$(BIN)/python -m tests.soak

# Indexing beside universal-ctags: make bench-index ROOTS="DIR..."
bench-index: $(READY)
	$(BIN)/python -m tests.benchmarks.index $(ROOTS)

clean:
	rm -rf $(VENV) build dist *.egg-info
