# make app    serve the app on http://127.0.0.1:8501 (sets everything up the first time)
# make test   set up and run every check and test
# make bench  print the tables of tests/benchmarks
# make audit  ask the Python Packaging Advisory Database what is known against the packages installed here (needs a network)
# PYTHON=...       the interpreter to build .venv with (3.11, 3.12 or 3.13)
# TORCH_INDEX=...  a package index to take torch from, for instance PyTorch's CPU index
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: app test bench audit clean
app: .venv/app-ready
	$(BIN)/python -m streamlit run app.py

# Two test processes share the processors: more threads in each would only wait for one another.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: export NUMBA_NUM_THREADS = 1
test: .venv/test-ready
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: .venv/test-ready
	$(BIN)/python -W ignore -m tests.benchmarks.demo

# In an environment of its own, so that what is audited is what is used.
audit: .venv/test-ready
	test -x .venv/audit/bin/pip-audit || { $(PYTHON) -m venv .venv/audit && .venv/audit/bin/python -m pip install \
		--quiet --disable-pip-version-check 'pip-audit>=2.9,<3'; }
	.venv/audit/bin/pip-audit --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

.venv/app-ready: requirements.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Install one, or name it: make app PYTHON=/path/to/python"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) $(shell grep '^torch' requirements.txt))
	$(PIP) -r requirements.txt
	@touch $@

.venv/test-ready: .venv/app-ready tests/requirements.txt
	$(PIP) -r tests/requirements.txt
	@sh tests/browser.sh
	@touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
