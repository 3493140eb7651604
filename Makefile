# Two commands for a fresh machine with Python 3.11, git and make:
#   make rank   sets up what it needs and ranks the targets of the breast-cancer model
#   make test   sets up what it needs and runs the tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CODE := cascade tests analyses docs

.PHONY: rank setup test test-slow lint docs

rank: setup
	$(BIN)/cascade rank breast --quick --out rank

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

lint: setup
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

# The site is docs/_build/html/index.html; notebooks that did not change are not executed again.
docs: setup
	CASCADE_DOCS_NOTEBOOKS=cache $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
