# make run                a demo in the foreground; CONFIG=path: your own configuration
# make test               the tests; INSTALL=1: install the servers they need first (root, Debian);
#                         WORKERS=2: mailroute serves with two workers wherever a test does not
#                         choose; TESTS=tests.integration.test_matrix: only these
# make lint               ruff and mypy
# make dist               the wheel and the source distribution, tried in empty environments
# make test-lowest        the tests that need no server, with the oldest libraries that are allowed
# make docs               the documentation, in docs/_build/html, and the man pages
# make test-package       the Debian package, tried in a clean Debian (root; see .ci/test-package)
# make bench              what it costs beside other proxies (an hour); BENCH="--quick": minutes;
#                         BENCH="--help": more; as root it can measure more
# make soak               mixed load for 15 minutes; SECONDS=60: shorter; SOAK="--help": more
# make lookups            what one look-up costs, by kind of table; LOOKUPS="--help": more
# PYTHON=...              which Python makes the virtual environment (3.11 or newer); unless said,
#                         the system's if it will do, else the first in PATH

# The system's is what the package runs on, and Debian builds it with the compiler's profile.
PYTHON ?= $(shell for each in /usr/bin/python3 python3; do \
  $$each -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
  done; echo $$each)
VENV ?= .venv
INSTALL ?=
CONFIG ?=
TESTS ?= tests
WORKERS ?= 1
BENCH ?=
SECONDS ?= 900
SOAK ?=
LOOKUPS ?=

SOURCES := $(shell find mailroute twisted -name '*.py')

.PHONY: help run test lint docs dist test-lowest test-package bench soak lookups servers clean
.DELETE_ON_ERROR:

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

run: $(VENV)/.installed
ifeq ($(CONFIG),)
	@exec $(VENV)/bin/python -m mailroute.demo
else
	@exec $(VENV)/bin/twistd --nodaemon --pidfile= mailroute --config "$(CONFIG)"
endif

test: $(VENV)/.tools
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	MAILROUTE_TEST_WORKERS=$(WORKERS) $(VENV)/bin/python -m twisted.trial --temp-directory="$$folder/trial" $(TESTS)

lint: $(VENV)/.tools
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

dist:
	@PYTHON="$(PYTHON)" .ci/check-distribution

test-lowest:
	@PYTHON="$(PYTHON)" .ci/test-lowest

test-package:
	@.ci/test-package

docs: $(VENV)/.tools
	@$(VENV)/bin/python docs/generate.py
	$(VENV)/bin/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	$(VENV)/bin/python -m sphinx -q -W --keep-going -b man docs docs/_build/man

bench: $(VENV)/.installed
	@$(VENV)/bin/python -m benchmarks $(BENCH)

soak: $(VENV)/.installed
	@$(VENV)/bin/python -m benchmarks.soak --seconds $(SECONDS) $(SOAK)

lookups: $(VENV)/.tools
	@$(VENV)/bin/python -m benchmarks.lookups $(LOOKUPS)

# Only with INSTALL=1: the one target that changes the system.
servers:
	@.ci/install-servers

clean:
	rm -rf $(VENV) build *.egg-info

# Made anew when the requirements may have changed; an update of the sources is installed into it.
$(VENV)/.created: pyproject.toml setup.py | $(if $(filter 1,$(INSTALL)),servers)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mailroute: $(PYTHON) is not Python 3.11 or newer; choose one with PYTHON=path" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "mailroute: $(PYTHON) cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	@echo "mailroute: creating the virtual environment in $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created $(SOURCES)
	@echo "mailroute: installing into $(VENV) (the first time this loads Twisted and the drivers)"
	@rm -rf build
	@$(VENV)/bin/python -m pip install --quiet --use-pep517 .
	@rm -rf build
	@touch $@

$(VENV)/.tools: $(VENV)/.installed | $(if $(filter 1,$(INSTALL)),servers)
	@echo "mailroute: installing what the tests and linters need into $(VENV)"
	@$(VENV)/bin/python -m pip install --quiet '.[dev]'
	@touch $@
