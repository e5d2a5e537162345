# The commands of a checkout: set it up, show it, check it, test it, measure it.
# Nothing here compiles a package, and nothing but `make test` as root (tests/packages.txt) installs outside this folder.
# No RFC speaks here; .ci/venv and .ci/packages do the two jobs that take more than a line.

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

BIN := .venv/bin
READY := .venv/.ready

.PHONY: help
help: ## This list
	@echo 'radiusd2fa: a RADIUS server that puts a hardware token behind every login'
	@echo
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{printf "%-14s%s\n", $$1, $$2}'
	@echo
	@echo 'Each of them sets up .venv first, if that is not done yet. ARGS="..." reaches the program that is run,'
	@echo 'e.g. make test ARGS="-k hotp"; PYTHON=... chooses the Python.'

.PHONY: demo
demo: $(READY) ## Start a server, log in with a key fob and a security key (KEY=usb: your own), run until Ctrl-C
	@exec $(BIN)/radiusd2fa demo $(if $(KEY),--key $(KEY)) $(ARGS)

.PHONY: test
test: $(READY) ## Run all tests; as root on Debian, install the real programs that some need
	@.ci/packages
	@.ci/nfc
	@exec $(BIN)/python -m pytest --numprocesses auto --dist worksteal -m 'not soak' $(ARGS)

.PHONY: check
check: $(READY) ## Style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict

.PHONY: bench
bench: $(READY) ## Measure logins a second
	@exec $(BIN)/python bench/run.py $(ARGS)

.PHONY: soak
soak: $(READY) ## Run the tests that take minutes
	@exec $(BIN)/python -m pytest -m soak $(ARGS)

.PHONY: wheel
wheel: $(READY) ## Build dist/*.whl: the daemon (systemd/README.md installs it), and radiusd2fa-key for laptops
	@$(BIN)/hatchling build --target wheel
	@cd radiusd2fa/laptop && ../../$(BIN)/hatchling build --target wheel --directory ../../dist

.PHONY: lock
lock: $(READY) ## Pin again what pyproject.toml asks for; ARGS=--upgrade takes newer releases
	@.ci/lock $(ARGS)

.PHONY: clean
clean: ## Remove .venv and all that was built
	@rm -rf .venv build dist demo-state bench/build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt constraints-dev.txt .ci/venv
	@.ci/venv
	@touch $@
