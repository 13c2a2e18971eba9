# `make demo` and `make test` work in a fresh clone; both may be repeated and then start at once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH  ?= torch==2.13.0
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

export OMP_WAIT_POLICY = passive

.PHONY: demo test bench crosscheck fuzz crash soak clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.stamp
	$(BIN)/mho train --compare digital,residual-learning,analog-sgd --seeds 5 --seed 10 --deterministic --out runs/demo

test: $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# AIHWKIT_PYTHON names an interpreter that has aihwkit, see benchmarks/README.md; BENCH holds options
bench: $(VENV)/demo.stamp
	$(BIN)/python benchmarks/run.py $(BENCH)

# random configurations of every record, with a report; FUZZ holds options such as --examples 500
fuzz: $(VENV)/test.stamp
	$(BIN)/python tests/fuzzing.py $(FUZZ)

# kill -9 at 200 random moments and at 120 steps of writes; goes on where it stopped; CRASH holds options such as --seed 2
crash: $(VENV)/test.stamp
	$(BIN)/python tests/crash.py --report build/crash.jsonl $(CRASH)

# 200,000 training steps, with memory that stays flat; SOAK holds options
soak: $(VENV)/test.stamp
	nice $(BIN)/python tests/soak.py $(SOAK)

# against aihwkit, if AIHWKIT_PYTHON names it; CROSSCHECK holds options. Fails if anything differs without a reason
crosscheck: $(VENV)/demo.stamp
	$(BIN)/python benchmarks/crosscheck $(CROSSCHECK)

# torch comes first and by itself, so that TORCH can name another version or another index
$(VENV)/torch.stamp:
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	touch $@

$(VENV)/demo.stamp: $(VENV)/torch.stamp pyproject.toml
	$(PIP) --editable .
	touch $@

$(VENV)/test.stamp: $(VENV)/torch.stamp pyproject.toml
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/demo.stamp

clean:
	rm -rf $(VENV) runs
