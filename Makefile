# make setup | image | boot | test | bench: each installs what is missing first.
PYTHON ?= python3
VENV := .venv
PYEMU := $(VENV)/bin/pyemu
SOURCES_C := $(wildcard emu/engine/native/*.[ch] trace/native/*.[ch])

.PHONY: setup lint types unit image image-tools

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml $(SOURCES_C)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@

lint: setup
	$(VENV)/bin/ruff check .

# mypy cannot see through package-dir, so it is shown the packages as a tree of links.
types: setup
	rm -rf build/types && mkdir -p build/types/pyemu
	ln -s $(CURDIR)/emu/* build/types/pyemu/
	ln -s $(CURDIR)/machine $(CURDIR)/roms $(CURDIR)/trace $(CURDIR)/images build/types/pyemu/
	MYPYPATH=build/types $(VENV)/bin/mypy -p pyemu

unit: setup
	$(VENV)/bin/pytest tests/unit

# The images, each built when it is missing or older than what it is made from.
AS_ROOT := $(shell test "$$(id -u)" = 0 || echo sudo)
IMAGE_TOOLS := $(shell grep -v '^\#' images/packages.txt)
IMAGE_SOURCES := $(wildcard images/*.py) $(shell find images/rootfs -type f)

image: images/out/mini.img

images/out/%.img: $(IMAGE_SOURCES) | setup image-tools
	$(VENV)/bin/python -m pyemu.images $*

image-tools:
	@dpkg-query -s $(IMAGE_TOOLS) >/dev/null 2>&1 || { $(AS_ROOT) apt-get update -q && \
	$(AS_ROOT) apt-get install -qy --no-install-recommends $(IMAGE_TOOLS); }
