# make setup | image | boot | test | soak | bench: each installs what is missing first.
PYTHON ?= python3
VENV := .venv
PYEMU := $(VENV)/bin/pyemu
SOURCES_C := $(wildcard emu/engine/native/*.[ch] emu/net/native/*.c machine/net/native/*.[ch] trace/native/*.[ch])

.PHONY: setup wheel image boot test soak bench lint types unit
.PHONY: packages image-packages test-packages

setup: $(VENV)/.installed

# Compiled here: where Python is told not to (PYTHONDONTWRITEBYTECODE), each start would take 0.4 s more.
$(VENV)/.installed: pyproject.toml $(SOURCES_C) | packages
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -e '.[dev]'
	$(VENV)/bin/python -m compileall -q emu machine roms trace images
	touch $@

# --- Debian packages ---

AS_ROOT := $(shell test "$$(id -u)" = 0 || echo sudo)
packages: packages.txt
image-packages: images/packages.txt
test-packages: tests/packages.txt
packages image-packages test-packages:
	@wanted=$$(grep -v '^#' $<); \
	dpkg-query -W -f '$${db:Status-Status}\n' $$wanted 2>&1 | grep -qv '^installed$$' || exit 0; \
	$(AS_ROOT) apt-get update -q && \
	$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive \
		apt-get install -qy --no-install-recommends $$wanted

# --- images, each built when it is missing or older than what it is made from ---

IMAGE_SOURCES := $(wildcard images/*.py) $(shell find images/rootfs -type f)

image: images/out/cirros.img images/out/mini.img images/out/mini32.img

images/out/%.img: $(IMAGE_SOURCES) | setup image-packages
	$(VENV)/bin/python -m pyemu.images $*

# --- the demonstration: a traced boot to the login, then the trace ---

boot: setup images/out/cirros.img
	$(VENV)/bin/python tests/boot/demo.py

# --- a wheel that installs without a compiler ---

wheel: setup
	rm -rf build/wheel dist
	$(VENV)/bin/pip wheel -q --disable-pip-version-check --no-deps -w build/wheel .
	PATH=$(CURDIR)/$(VENV)/bin:$$PATH $(VENV)/bin/auditwheel repair -w dist build/wheel/*.whl

# --- checks ---

test: lint types test-packages image
	$(VENV)/bin/pytest

# The long form, two hours; with SHORT=1 what `make test` does of it.
soak: setup test-packages image
	$(VENV)/bin/pytest tests/soak -s $(if $(SHORT),,--soak-boots 200 --soak-minutes 60)

bench: setup test-packages image
	$(VENV)/bin/python tests/bench/run.py --out docs/performance.md

lint: setup
	$(VENV)/bin/ruff check .

# mypy cannot see through package-dir, so it is shown the packages as a tree of links.
types: setup
	@rm -rf build/types && mkdir -p build/types/pyemu
	@ln -s $(CURDIR)/emu/* build/types/pyemu/
	@ln -s $(CURDIR)/machine $(CURDIR)/roms $(CURDIR)/trace $(CURDIR)/images build/types/pyemu/
	MYPYPATH=build/types $(VENV)/bin/mypy -p pyemu

unit: setup
	$(VENV)/bin/pytest tests/unit
