# Two commands set everything up: `make run` and `make test`. Neither needs more than python3 (3.11+), its venv and pip.
PYTHON ?= python3
LOCK := envs/requirements.lock
BIN := .venv/bin

.PHONY: run test test-slow test-exhaustive environment

run: environment
	@PATH="$(CURDIR)/$(BIN):$$PATH" snakemake
	@$(BIN)/python scripts/show_winrates.py results/winrate.csv --report results/report.html

test: environment
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: environment
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest -n 2 --dist loadfile -m "slow and not exhaustive"

# What takes too long for every change; among the slow tests there is a smaller one of each kind.
test-exhaustive: environment
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest -n 2 --dist loadfile -m exhaustive

# Installs only where the lock file differs from the one that .venv was installed from.
environment:
	@if ! cmp -s $(LOCK) .venv/requirements.lock; then \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)' && \
		echo "Installing the packages of $(LOCK) into .venv, which takes some minutes" && \
		{ [ -x $(BIN)/python ] || $(PYTHON) -m venv .venv; } && \
		echo "pip's output is in .venv/pip.log" && \
		{ $(BIN)/python -m pip install --disable-pip-version-check -r $(LOCK) > .venv/pip.log 2>&1 || \
			{ tail -n 20 .venv/pip.log; exit 1; }; } && \
		cp $(LOCK) .venv/requirements.lock; \
	fi
