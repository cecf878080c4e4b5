# envoxyd: everything that is built, run and checked goes through here.
#
#   make run         build, then serve examples/cards on http://127.0.0.1:8080/ (PORT=8080 BIND=127.0.0.1)
#   make test-quick  the tests that need nothing but Go and Python, without the race detector: under two minutes
#   make test        all tests; installs what they need (Debian packages, Python packages in .venv)
#   make site        the documentation as a web site, in dist/site
#   make lint        formatters and analysers; nothing is changed
#
# PYTHON is the interpreter that .venv is made from and whose headers the worker is compiled with.

PYTHON ?= python3
GO ?= go
PREFIX ?= /usr/local
# Where make run serves.
BIND ?= 127.0.0.1
PORT ?= 8080
DESTDIR ?=
SYSCONFDIR ?= /etc
# systemd does not look below every prefix.
UNITDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib,$(SYSCONFDIR))/systemd/system
# Not empty: install puts libzmq beside what uses it.
BUNDLE_LIBZMQ ?=
FUZZTIME ?= 60s

VENV := .venv
VERSION ?= $(shell packaging/version build)
STATICCHECK_VERSION := v0.8.2
STATICCHECK := .cache/bin/staticcheck-$(STATICCHECK_VERSION)
HELM_VERSION := v3.22.0
HELM := .cache/bin/helm-$(HELM_VERSION)

# The worker is loaded by a python3 that is not known yet, so its Python symbols stay unresolved here.
# (-Wno-unused-parameter: Go's own runtime/cgo does not compile under -Wextra without it.)
PYTHON_INCLUDE = $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')
export CGO_CFLAGS = -O2 -Wall -Wextra -Wno-unused-parameter -Werror -I$(PYTHON_INCLUDE)
export CGO_LDFLAGS = -Wl,--unresolved-symbols=ignore-all
export CGO_LDFLAGS_ALLOW = -Wl,--unresolved-symbols=.*

GO_SOURCES := go.mod go.sum $(shell find cmd emperor gateway master otlp router worker modules uwsgiopts protocol transports internal \
	\( -name '*.go' -o -name '*.c' -o -name '*.h' \) ! -name '*_test.go')
SHARED_SOURCES := $(filter-out %_test.c,$(wildcard worker/shared/*.c)) $(wildcard worker/shared/*.h)
WORKER_PYTHON := $(shell find worker/python -name __pycache__ -prune -o -print)
MODULES_PYTHON := $(shell find modules/python -name __pycache__ -prune -o -print)

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.PHONY: build run go-version test test-quick test-go test-python compat lint fuzz bench docs site helm manifests screenshot packages install install-completions uninstall clean headers tools install-programs install-system image-test

# ---- build -----------------------------------------------------------------

build: go-version headers bin/envoxyd bin/envoxy-alembic bin/envoxy-celery lib/envoxyd/envoxyd-gateway lib/envoxyd/envoxyd-otlp lib/envoxyd/envoxyd-router lib/envoxyd/envoxyd-zmq lib/envoxyd/_envoxyd.abi3.so lib/envoxyd/_envoxyd_zygote.abi3.so lib/envoxyd/_envoxyd_shared.abi3.so lib/envoxyd/python/.copied lib/envoxyd/modules/.copied

# Everything is made under another name and moved into place: a server that runs from here keeps its own files.
bin/envoxyd: $(GO_SOURCES)
	@mkdir -p $(@D)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.build=$(VERSION)' -o $@.new ./cmd/envoxyd
	@mv $@.new $@

bin/envoxy-%: packaging/command.in packaging/write-command
	@mkdir -p $(@D)
	@packaging/write-command $* $(@D)

lib/envoxyd/envoxyd-gateway: $(GO_SOURCES)
	@mkdir -p $(@D)
	CGO_ENABLED=0 $(GO) build -trimpath -o $@.new ./cmd/envoxyd-gateway
	@mv $@.new $@

lib/envoxyd/envoxyd-otlp: $(GO_SOURCES)
	@mkdir -p $(@D)
	CGO_ENABLED=0 $(GO) build -trimpath -o $@.new ./cmd/envoxyd-otlp
	@mv $@.new $@

lib/envoxyd/envoxyd-router: $(GO_SOURCES)
	@mkdir -p $(@D)
	CGO_ENABLED=0 $(GO) build -trimpath -o $@.new ./cmd/envoxyd-router
	@mv $@.new $@

# The only one that links libzmq; one that lies beside it is taken before the system's.
lib/envoxyd/envoxyd-zmq: $(GO_SOURCES)
	@mkdir -p $(@D)
	CGO_ENABLED=1 CGO_CFLAGS=-O2 CGO_LDFLAGS='-Wl,--disable-new-dtags,-rpath,$$ORIGIN' $(GO) build -trimpath -o $@.new ./cmd/envoxyd-zmq
	@mv $@.new $@

lib/envoxyd/_envoxyd.abi3.so: $(GO_SOURCES)
	@mkdir -p $(@D)
	CGO_ENABLED=1 $(GO) build -trimpath -buildmode=c-shared -o $@.new ./worker/so
	@rm -f $@.h lib/envoxyd/_envoxyd.abi3.h
	@mv $@.new $@

lib/envoxyd/_envoxyd_zygote.abi3.so: worker/zygote/zygote.c
	@mkdir -p $(@D)
	$(CC) $(CGO_CFLAGS) $(LDFLAGS) -fPIC -shared -o $@.new $<
	@mv $@.new $@

lib/envoxyd/_envoxyd_shared.abi3.so: $(SHARED_SOURCES)
	@mkdir -p $(@D)
	$(CC) $(CGO_CFLAGS) $(LDFLAGS) -fPIC -fvisibility=hidden -shared -pthread -o $@.new $(filter %.c,$^)
	@mv $@.new $@

lib/envoxyd/python/.copied: $(WORKER_PYTHON)
	@PYTHON=$(PYTHON) packaging/copy-python worker/python $(@D)
	@touch $@

lib/envoxyd/modules/.copied: $(MODULES_PYTHON)
	@PYTHON=$(PYTHON) packaging/copy-python modules/python $(@D)
	@touch $@

# A Go that is too old fetches the one of go.mod by itself, unless it may not or is older than 1.21.
go-version:
	@packaging/go-version $(GO)

headers:
	@test -e $(PYTHON_INCLUDE)/Python.h || packaging/debian-install gcc libc6-dev python3-dev
	@command -v gcc >/dev/null || packaging/debian-install gcc libc6-dev
	@pkg-config --exists libzmq 2>/dev/null || packaging/debian-install libzmq3-dev pkg-config

# ---- run -------------------------------------------------------------------

run: build $(VENV)/.cards
	bin/envoxyd --http $(BIND):$(PORT) --virtualenv $(VENV) --set conf=examples/cards/envoxy.json

$(VENV)/bin/python3:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || packaging/debian-install python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/.cards: examples/cards/requirements.txt | $(VENV)/bin/python3
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# ---- tests and checks ------------------------------------------------------

$(VENV)/.tests: compat_test/requirements.txt $(VENV)/.cards
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

tools:
	@packaging/debian-install nginx-light util-linux procps postgresql pgbouncer mosquitto redis-server openssl curl snmp e2fsprogs prometheus haproxy

test:
	@echo "make test: about 30 minutes on two cores. It installs Debian packages (nginx, PostgreSQL, mosquitto, redis, prometheus, chromium and others; as"
	@echo "root or by sudo) and, into .venv, what compat_test/requirements.txt names. make test-quick needs none of them."
	@$(MAKE) --no-print-directory test-go test-python compat

test-quick: build $(VENV)/.tests
	$(GO) test ./...
	.ci/test-python $(VENV)/bin/python3

test-go: build
	.ci/test-go

test-python: lib/envoxyd/_envoxyd_shared.abi3.so $(VENV)/.tests
	.ci/test-python $(VENV)/bin/python3

compat: build tools $(HELM) $(VENV)/.tests
	$(VENV)/bin/python3 -m pytest compat_test $(COMPAT_ARGS)

$(STATICCHECK):
	@mkdir -p $(@D)
	GOBIN=$(CURDIR)/.cache/bin $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	@mv .cache/bin/staticcheck $@

# For the tests of the chart; about a minute and a half on two cores, once.
helm: $(HELM)

$(HELM):
	@mkdir -p $(@D)
	GOBIN=$(CURDIR)/.cache/bin $(GO) install -trimpath -ldflags='-s -w' helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)
	@mv .cache/bin/helm $@

lint: headers $(STATICCHECK) $(VENV)/.tests
	.ci/lint $(STATICCHECK) $(VENV)/bin/ruff $(VENV)/bin/hadolint

fuzz:
	.ci/fuzz $(FUZZTIME)

bench: build
	bench/run

docs:
	$(GO) generate ./...
	$(PYTHON) docs/python_api/write.py

site:
	packaging/site/build dist/site

manifests: $(HELM)
	HELM=$(CURDIR)/$(HELM) packaging/kubernetes/render

screenshot: build $(VENV)/.tests
	@packaging/debian-install chromium
	$(VENV)/bin/pip install --quiet --disable-pip-version-check pillow
	$(VENV)/bin/python3 docs/screenshot.py docs/status-page.png

# ---- install ---------------------------------------------------------------

SHARE := $(PREFIX)/share
COMPLETIONS := $(addprefix $(SHARE)/,bash-completion/completions/envoxyd zsh/site-functions/_envoxyd fish/vendor_completions.d/envoxyd.fish)
MANUALS := $(addprefix $(SHARE)/man/man1/,envoxyd.1.gz envoxy-alembic.1.gz envoxy-celery.1.gz)
UNITS := $(addprefix $(UNITDIR)/,$(notdir $(wildcard packaging/systemd/*.service packaging/systemd/*.socket)))
LOGROTATE := $(SYSCONFDIR)/logrotate.d/envoxyd
# What the administrator fills; uninstall leaves one that is not empty.
OWN_DIRS := $(SYSCONFDIR)/envoxyd /var/log/envoxyd

install: install-programs install-system

install-programs: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/envoxyd
	install -m 755 bin/envoxyd bin/envoxy-alembic bin/envoxy-celery $(DESTDIR)$(PREFIX)/bin/
	install -m 755 lib/envoxyd/_envoxyd.abi3.so lib/envoxyd/_envoxyd_zygote.abi3.so lib/envoxyd/_envoxyd_shared.abi3.so lib/envoxyd/envoxyd-gateway lib/envoxyd/envoxyd-otlp lib/envoxyd/envoxyd-router lib/envoxyd/envoxyd-zmq $(DESTDIR)$(PREFIX)/lib/envoxyd/
	PYTHON=$(PYTHON) packaging/copy-python worker/python $(DESTDIR)$(PREFIX)/lib/envoxyd/python
	PYTHON=$(PYTHON) packaging/copy-python modules/python $(DESTDIR)$(PREFIX)/lib/envoxyd/modules
	test -z "$(BUNDLE_LIBZMQ)" || packaging/bundle-libzmq $(DESTDIR)$(PREFIX)/lib/envoxyd

install-completions: bin/envoxyd
	install -d $(addprefix $(DESTDIR),$(dir $(COMPLETIONS)))
	bin/envoxyd completion bash >$(DESTDIR)$(word 1,$(COMPLETIONS))
	bin/envoxyd completion zsh >$(DESTDIR)$(word 2,$(COMPLETIONS))
	bin/envoxyd completion fish >$(DESTDIR)$(word 3,$(COMPLETIONS))

# What a machine has beside the programs; the Debian package is made of it, too. A logrotate file that is there has an owner.
install-system: install-completions
	install -d $(addprefix $(DESTDIR),$(dir $(MANUALS)) $(SHARE)/doc/envoxyd/examples $(dir $(LOGROTATE)) $(OWN_DIRS))
	$(PYTHON) packaging/manpage.py bin/envoxyd "$$(packaging/version)" "$$(packaging/version time)" $(addprefix $(DESTDIR),$(MANUALS))
	packaging/write-units $(DESTDIR)$(UNITDIR) $(PREFIX)
	install -m 644 packaging/deb/example.ini $(DESTDIR)$(SHARE)/doc/envoxyd/examples/
	install -m 644 LICENSE $(DESTDIR)$(SHARE)/doc/envoxyd/copyright
	gzip -9n <CHANGELOG.md >$(DESTDIR)$(SHARE)/doc/envoxyd/CHANGELOG.md.gz
	test -e $(DESTDIR)$(LOGROTATE) || sed 's,/usr/share/,$(SHARE)/,' packaging/deb/logrotate >$(DESTDIR)$(LOGROTATE)
	chmod 750 $(DESTDIR)/var/log/envoxyd
	test "$$(id -u)" != 0 || ! getent passwd www-data >/dev/null || ! getent group adm >/dev/null || chown www-data:adm $(DESTDIR)/var/log/envoxyd

uninstall:
	rm -f $(addprefix $(DESTDIR),$(addprefix $(PREFIX)/bin/,envoxyd envoxy-alembic envoxy-celery) $(COMPLETIONS) $(MANUALS) $(UNITS) $(LOGROTATE))
	rm -rf $(addprefix $(DESTDIR),$(PREFIX)/lib/envoxyd $(SHARE)/doc/envoxyd)
	for dir in $(addprefix $(DESTDIR),$(OWN_DIRS)); do test ! -d $$dir || rmdir --ignore-fail-on-non-empty $$dir; done

# ---- packages --------------------------------------------------------------

packages:
	packaging/packages

# As root; the wheel of this machine's architecture is taken from dist/.
image-test:
	packaging/test-image

clean:
	rm -rf bin lib dist .venv .cache
