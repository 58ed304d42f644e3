# The two commands are `make run` and `make test`. They need Rust, gcc, make and Python; what else
# there is to bring, they bring: into target/, or as root with apt.

TOOLS := $(CURDIR)/target/tools
export PATH := $(TOOLS)/bin:$(PATH)
CARGO ?= cargo
ALL := --workspace --all-features

.PHONY: help run check test bench deny release cmake counterparts

help:
	@echo 'make run     see it work: gateway, backend and identity provider on this machine'
	@echo 'make test    everything: unit and behaviour tests, and the real counterparts'
	@echo 'make check   the fast one: format, lints, documentation, unit tests'
	@echo 'make bench   decision times, and CPU time per request beside other proxies'
	@echo 'make release the binaries to ship: target/release/postern and mcp-backend'
	@echo 'make deny    licences, bans and sources of every dependency (needs cargo-deny)'

run: cmake
	$(CARGO) build $(ALL)
	exec target/debug/postern dev $(ARGS)

check: cmake
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(ALL) --no-deps --document-private-items
	$(CARGO) test $(ALL) --lib

# The binaries first: the tests start both, and cargo hands them only one.
test: cmake counterparts
	$(CARGO) build $(ALL)
	$(CARGO) test $(ALL)

bench: cmake
	benches/prepare.sh
	$(CARGO) bench -p proxy

# Without the laptop's identity provider.
release: cmake
	$(CARGO) build --release --workspace

deny:
	$(CARGO) deny check licenses bans sources

# One of pingora's dependencies is built with it.
cmake:
	@command -v cmake >/dev/null || .ci/bring-cmake '$(TOOLS)'

counterparts:
	tests/e2e/prepare.sh
