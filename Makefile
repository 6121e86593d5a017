# Pacenote. `make demo` on a fresh machine installs what it needs and opens with a report; `make help` lists the rest.
# Two environments: .venv runs Pacenote, .venv-blender runs Blender (bpy wants Python 3.11 and numpy 1).

PYTHON ?= python3.11
VENV ?= .venv
BLENDER_VENV ?= .venv-blender
TORCH ?= torch==2.13.0
JOBS ?= 2
DEMO_OUT ?= runs/demo
PHOTOS ?=
CLIP ?=

BIN := $(VENV)/bin
CORE := $(VENV)/.installed
BLENDER := $(BLENDER_VENV)/.installed
SYSTEM := $(VENV)/.system
# What bpy and SUMO link to beyond a bare Debian 12 or Ubuntu 22.04.
DEBS := libx11-6 libxext6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libxt6 libgl1 libatomic1 libexpat1
SITE = lib/python3*/site-packages
LINKED = $(BLENDER_VENV)/$(SITE)/bpy/__init__.so $(VENV)/$(SITE)/sumo/bin/netconvert $(VENV)/$(SITE)/sumo/bin/sumo

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test lint format pytest pins clean
.DELETE_ON_ERROR:

help:
	@echo "make setup                       both environments, pinned, and the system libraries"
	@echo "make demo [PHOTOS=DIR] [CLIP=F]  streets, scores and advisories in $(DEMO_OUT)/report.html"
	@echo "make test                        lint, types, layers, then all tests"
	@echo "make lint                        ruff, mypy and import-linter alone"
	@echo "make clean                       remove both environments and all caches"
	@echo "PYTHON=python3.11 TORCH=torch==2.13.0 JOBS=2 may be overridden"

setup: $(SYSTEM)

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or give PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# torch first and exactly: later packages must not pull another build of it.
$(CORE): constraints.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q $(TORCH) -c constraints.txt
	$(BIN)/python -m pip install -q -e '.[all,test]' -c constraints.txt
	@touch $@

$(BLENDER_VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Blender's bpy needs Python 3.11: give PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(BLENDER_VENV)

$(BLENDER): constraints-blender.txt | $(BLENDER_VENV)/bin/python
	$(BLENDER_VENV)/bin/python -m pip install -q -r constraints-blender.txt
	@touch $@

$(SYSTEM): $(CORE) $(BLENDER)
	@missing=$$(ldd $(LINKED) 2>/dev/null | awk '/not found/ {print $$1}' | sort -u | tr '\n' ' '); \
	if [ -z "$$missing" ]; then touch $@; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing system libraries (missing: $$missing)"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBS) && touch $@; \
	else \
		echo "system libraries are missing: $$missing"; \
		echo "install them, then run make again:  sudo apt-get install -y $(DEBS)"; exit 1; \
	fi

demo: $(SYSTEM)
	$(BIN)/pacenote demo --out $(DEMO_OUT) $(if $(PHOTOS),--photos '$(PHOTOS)') $(if $(CLIP),--clip '$(CLIP)')

lint: $(CORE)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(CORE)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

pytest: $(SYSTEM)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

test: $(SYSTEM)
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory pytest

# Write down the versions of the working environments; the files name no machine and no index.
pins: $(CORE) $(BLENDER)
	$(BIN)/python -m pip freeze --exclude-editable --exclude pacenote | sed -E 's/\+cpu$$//; /@ /d' > constraints.txt
	$(BLENDER_VENV)/bin/python -m pip freeze | sed -E '/@ /d' > constraints-blender.txt
	@touch $(CORE) $(BLENDER)

clean:
	rm -rf $(VENV) $(BLENDER_VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
