# copier-ml itself. Python 3.11 or newer, git and make are enough.
PYTHON ?= python3
READY := .venv/ready
DEMO := var/demo
SCRIPTS := .ci/run $(wildcard tests/containers/*.sh tests/containers/*/*.sh)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# What would lead to another environment, Python or repository than that of here.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH PYTHONIOENCODING PYTHONOPTIMIZE PYTHONSAFEPATH MYPYPATH
unexport PIP_PREFIX PIP_ROOT PIP_TARGET PIP_USER
unexport UV_EXCLUDE_NEWER UV_PRERELEASE UV_PROJECT UV_RESOLUTION UV_SYSTEM_PYTHON UV_WORKING_DIR UV_WORKING_DIRECTORY
unexport GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX GIT_COMMON_DIR GIT_OBJECT_DIRECTORY
export PYTHONUTF8 := 1
# Thousands of small files are made and removed in memory in half the time, where there is room.
IN_MEMORY := $(shell df --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 > 4e6 { print "TMPDIR=/dev/shm" }')
KEEP_FAILED := -o tmp_path_retention_policy=failed
# How often a test that fails is run again, as one may for want of time beside others; those are listed with what they said.
RERUNS ?= 0
PYTEST := pytest --reruns $(RERUNS) --rerun-show-tracebacks

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## generate a project with the defaults and run it
	@if [ -d $(DEMO) ]; then \
	    echo "demo: $(DEMO) is there already; for a fresh one remove it first"; \
	else \
	    echo "demo: copier copy --defaults . $(DEMO)"; \
	    copier copy --defaults --quiet --vcs-ref HEAD "$(CURDIR)" $(DEMO); \
	fi
	@echo "demo: cd $(DEMO) && make develop"
	@$(MAKE) --no-print-directory -C $(DEMO) develop
	@printf '%s\n' "" "Today's recommendations, from nothing. Go on there:" "    cd $(DEMO)" \
	    "    make explore     a first look at the orders" "    make check       format, lint, types, tests" \
	    "    make             all the verbs"

quick: $(READY) ## the tests of what is written, in a minute
	$(IN_MEMORY) $(PYTEST) -n 2 $(KEEP_FAILED) tests/rendered

test: $(READY) ## all tests; generated projects are really installed, updated, run and deployed
	@$(MAKE) --no-print-directory --jobs 2 alone quick updated installed # in this order: as one ends, the next begins
	@$(MAKE) --no-print-directory shown deployed

updated: $(READY)
	$(IN_MEMORY) $(PYTEST) -n 2 --dist worksteal $(KEEP_FAILED) tests/updated

alone: $(READY) # beside which nothing may use the engine, and no browser run
	$(PYTEST) -m alone tests/deployed

installed: $(READY) # what needs no container engine
	$(PYTEST) -n 3 --dist worksteal -m "not browser" tests/installed

shown: $(READY) # the pages of what is installed
	$(PYTEST) -n 3 --dist worksteal -m browser tests/installed

deployed: $(READY)
	$(PYTEST) -n 4 --dist worksteal -m "not alone" tests/deployed

engines: $(READY) ## the tests of what runs beyond one machine; some of them take minutes
	$(PYTEST) -n 3 --dist loadfile tests/engines --ignore tests/engines/test_kubeflow.py
	$(PYTEST) tests/engines/test_kubeflow.py # whose runner lists all images, which fails where one is being removed

check: $(READY) ## format, lint, types and the template's own rules
	ruff format --check
	ruff check
	mypy
	python hooks/rules.py
	shellcheck $(SCRIPTS)
	shfmt -d $(SCRIPTS) template workspace # as .editorconfig says; its scripts are linted as they are generated, by tests/rendered

bench: $(READY) ## how fast, each beside its floor, into bench/RESULTS.md; goes on where it was broken off (FRESH=1, MINUTES=)
	python bench $(if $(FRESH),--fresh) $(if $(MINUTES),--minutes $(MINUTES))

example: $(READY) ## the default project as it is generated, into example/, and what each answer changes, into docs/answers/
	python docs/example.py
	python docs/differences.py

docs: $(READY) ## the documentation as a website, into var/website/; a broken link fails
	python docs/website.py

pictures: $(READY) ## those of the documentation, into docs/pictures/; needs chromium
	python docs/pictures.py

pins: $(READY) ## newer versions in requirements.txt
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --group dev --generate-hashes \
	    --no-emit-index-url --no-header --no-annotate pyproject.toml --output-file requirements.txt

release: ## the tag and the release of pyproject.toml's version, with what CHANGELOG.md says of it
	@version=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml); \
	if git rev-parse --quiet --verify "refs/tags/$$version" >/dev/null; then \
	    echo "release: $$version is one already"; \
	else \
	    awk -v "heading=## $$version" '/^## / { told = $$0 == heading; next } told' CHANGELOG.md | \
	        gh release create "$$version" --target "$$(git rev-parse HEAD)" --title "$$version" --notes-file -; \
	fi

$(READY): requirements.txt
	@echo "setup: what this template works with, into .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "setup: Python 3.11 or newer is needed: make PYTHON=python3.12" >&2; exit 1; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv || \
	    { echo "setup: this Python makes no environments: on Debian, install python3-venv" >&2; exit 1; }
	@command -v uv >/dev/null || .venv/bin/python -m pip install --quiet --disable-pip-version-check \
	    "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.txt)"
	@uv pip install --quiet --require-hashes --requirements requirements.txt --python .venv/bin/python
	@touch $(READY)

.PHONY: help demo quick test updated alone installed shown deployed engines check bench docs example pictures pins release
.DEFAULT_GOAL := help
