# ctgrid: `make demo` and `make test` need Python 3.11+ and make, nothing else.

PYTHON ?= python3
SEED ?= 5
SLICES ?= 201
EXTRAS ?= all
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo soak test lint audit docs benchmark wheel-smoke release clean

help:
	@echo "make demo         make the environment without extras, synthesise a chest CT with the embedded model into demo/"
	@echo "make test         make the environment with all extras and the tests' own, run the whole test suite"
	@echo "make soak         damaged files, kills and other accidents for SECONDS=1200"
	@echo "make install      make the environment with all extras ($(VENV)); make install EXTRAS=train,video for some"
	@echo "make lint         ruff check, ruff format --check, mypy, codespell"
	@echo "make docs         build the documentation site into build/docs, and build/ctgrid-docs.zip of it"
	@echo "make audit        ask for known weaknesses of the pinned packages (needs a network; reports, never fails)"
	@echo "make benchmark    time the usual work here and compare with the last time (minutes; nothing else should run)"
	@echo "make wheel-smoke  build the wheel and try it in a clean environment"
	@echo "make release      build sdist and wheel into dist/, check them, write their SHA-256"
	@echo "make clean        remove what the above made, except $(VENV) and runs/"

# The stamps are made last, so an interrupted installation is taken up again; they are older than pyproject.toml
# or constraints.txt when something has to be installed anew.
install: $(VENV)/.installed-$(EXTRAS)
	@echo "ready: $(BIN)/ctgrid"

$(VENV)/.installed: pyproject.toml constraints.txt
	$(call install_ctgrid,.)

$(VENV)/.installed-test: pyproject.toml constraints.txt
	$(call install_ctgrid,.[test$(,)dev])
	@touch $(VENV)/.installed-all

# Extras, and tools that neither use nor tests need, which are installed by what wants them.
$(VENV)/.installed-%: pyproject.toml constraints.txt
	$(call install_ctgrid,.[$*])

, := ,
define install_ctgrid
	$(call make_venv)
	@echo "installing ctgrid ($(1)) and what it needs into $(VENV) (minutes at the first time)"
	@$(BIN)/python .ci/install.py -e '$(1)'
	@$(BIN)/python -m compileall -q -j 0 ctgrid cli configs
	@touch $(VENV)/.installed $@
endef

define make_venv
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("ctgrid needs Python 3.11 or newer; choose one: make PYTHON=python3.12")'
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
endef

demo: $(VENV)/.installed
	@mkdir -p demo
	$(BIN)/ctgrid synthesize --slices $(SLICES) --seed $(SEED) --out demo/volume.nii.gz --overwrite
	@echo "volume: demo/volume.nii.gz   picture: demo/volume.png   record: demo/volume.run.json"

# Compiled tests and modules are kept whatever the environment says: many processes load them.
test: $(VENV)/.installed-test
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

soak: $(VENV)/.installed-test
	$(BIN)/python tests/hostile/soak.py $(or $(SECONDS),1200) $(SOAK_SEED)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@cd build && rm -f ctgrid-docs.zip && ../$(BIN)/python -m zipfile -c ctgrid-docs.zip docs
	@echo "site: build/docs/index.html   to carry away: build/ctgrid-docs.zip"

audit: # its needs include pip itself, so it has an environment of its own
	@$(PYTHON) -m venv .venv-audit && .venv-audit/bin/pip install -qq pip-audit || \
	    { echo "audit: NOT AUDITED: pip-audit could not be installed"; exit 0; }; \
	    .venv-audit/bin/python .ci/audit.py

release: $(VENV)/.installed-release
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	@cd dist && sha256sum * >SHA256SUMS && cat SHA256SUMS

benchmark: $(VENV)/.installed-all
	$(BIN)/python benchmarks/benchmark.py

wheel-smoke: $(VENV)/.installed-test
	bash .ci/wheel-smoke $(BIN)/python

clean:
	rm -rf build dist *.egg-info demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
