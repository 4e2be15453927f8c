PYTHON ?= python3
SERVE ?= 1
VENV := .venv
RUN := $(VENV)/bin/python
EXTRAS := .[notebook,plots]
MAKEFLAGS += --jobs=2

.DEFAULT_GOAL := help
.PHONY: help demo test lint types front-end build format compatibility clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Run the quickstart, then serve it in JupyterLab (SERVE=0: only run it)
	@$(RUN) scripts/demo.py $(if $(filter 0,$(SERVE)),--no-serve)

test: $(VENV)/.test $(VENV)/clarify-browser lint types front-end ## Run every check and every test
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.test ## Check the style of the Python code
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.test ## Check the types of the Python code
	$(VENV)/bin/mypy

front-end: $(VENV)/.created ## Check and test the front end, and that its committed bundle is current
	$(RUN) scripts/front_end.py check

build: $(VENV)/.created ## Build the front end into clarify_widget/static
	$(RUN) scripts/front_end.py build

format: $(VENV)/.test ## Format the Python and front-end code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	npm --prefix js run --silent fix

compatibility: $(VENV)/.test $(VENV)/clarify-browser ## Test with the oldest packages and the newest (two environments, 12 GB)
	CLARIFY_CHROMIUM="$$(cat $(VENV)/clarify-browser)" $(RUN) scripts/compatibility.py

clean: ## Remove everything that these commands have made
	rm -rf $(VENV) js/node_modules outputs test-results .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.created:
	@$(PYTHON) scripts/make_venv.py $(VENV)
	@touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.created
	@$(RUN) scripts/install.py --editable '$(EXTRAS)'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.created
	@$(RUN) scripts/install.py --editable '$(EXTRAS)' --group test
	@touch $(VENV)/.demo $@

$(VENV)/clarify-browser: $(VENV)/.test
	@$(RUN) scripts/find_browser.py $@
