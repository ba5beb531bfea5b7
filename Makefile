# make chat: the triage chat on http://127.0.0.1:8501      make test: all fast tests
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check
INSTALL = $(PIP) install --quiet --constraint constraints.txt

.PHONY: chat test test-slow lint check clean

chat: $(VENV)/.installed
	$(BIN)/daozhen chat

test: $(VENV)/.installed-for-tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-slow: $(VENV)/.installed-for-tests
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: $(VENV)/.installed
	$(BIN)/daozhen knowledge check

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "daozhen needs Python 3.11 or newer; run: make PYTHON=python3.12 chat")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing daozhen into $(VENV) ..."
	$(INSTALL) --editable .
	@touch $@

# torch by its exact version first: any other spelling may bring gigabytes of GPU libraries
$(VENV)/.installed-for-tests: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing daozhen and what its tests need into $(VENV) ..."
	$(INSTALL) torch==2.13.0
	$(INSTALL) --editable '.[dev,finetune]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
