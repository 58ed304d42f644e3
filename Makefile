# The two commands are `make run` and `make test`. They need Rust, gcc, make and Python; what else
# there is to bring, they bring: into target/, or as root with apt.

TOOLS := $(CURDIR)/target/tools
export PATH := $(TOOLS)/bin:$(PATH)
CARGO ?= cargo
ALL := --workspace --all-features

# What `make fuzz` tries, and for how many seconds each.
FUZZ ?= token jose jwks config proof path headers forwarding call
FUZZ_SECONDS ?= 600

.PHONY: help run check test test-keycloak bench fuzz deny release static sbom deb cmake counterparts

help:
	@echo 'make run     see it work: gateway, backend and identity provider on this machine'
	@echo 'make test    everything: unit and behaviour tests, and the real counterparts'
	@echo 'make check   the fast one: format, lints, documentation, unit tests'
	@echo 'make test-keycloak  what deploy/ has for Keycloak, with a real one (needs Java and Maven)'
	@echo 'make bench   decision times, and CPU time per request beside other proxies'
	@echo 'make fuzz    look for inputs that break what must hold (needs rustup with nightly, and cargo-fuzz)'
	@echo 'make release the binaries to ship: target/release/postern and mcp-backend'
	@echo 'make static  the same without any library of the system, as the images have them, and proof of that'
	@echo 'make sbom    what is in them: target/sbom (needs cargo-cyclonedx)'
	@echo 'make deb     a Debian package: target/debian (needs cargo-deb)'
	@echo 'make deny    licences, bans and sources of every dependency (needs cargo-deny)'

run: cmake
	$(CARGO) build $(ALL)
	exec target/debug/postern dev $(ARGS)

check: cmake
	$(CARGO) fmt --all -- --check
	rustfmt --check mcp-backend/src/tools/*.rs # their list is a macro, which hides them from cargo
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(ALL) --no-deps --document-private-items
	$(CARGO) test $(ALL) --lib

# The binaries first: the tests start both, and cargo hands them only one.
test: cmake counterparts
	$(CARGO) build $(ALL)
	$(CARGO) test $(ALL)

# Not part of `test`: Keycloak is 170 MB, and nobody needs Java for the rest.
test-keycloak: cmake counterparts
	$(CARGO) build $(ALL)
	tests/deploy/keycloak.sh target/debug

bench: cmake
	benches/prepare.sh
	$(CARGO) bench -p proxy

# The kept corpus is where it starts; what is new goes to target/, what breaks to tests/fuzz/artifacts.
fuzz: cmake
	cp Cargo.lock tests/fuzz/Cargo.lock
	set -e; for target in $(FUZZ); do \
		mkdir -p target/fuzz/corpus/$$target; \
		$(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz -s none $$target \
			target/fuzz/corpus/$$target tests/fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -dict=tests/fuzz/json.dict; \
	done

# Without the laptop's identity provider.
release: cmake
	$(CARGO) build --release --workspace

STATIC := x86_64-unknown-linux-musl
static: cmake
	.ci/bring-musl
	$(CARGO) build --release --workspace --target $(STATIC)
	tests/deploy/image.sh target/$(STATIC)/release

# It writes beside each Cargo.toml, and only there.
sbom:
	$(CARGO) cyclonedx --format json --spec-version 1.5 --target all --override-filename sbom.cdx
	mkdir -p target/sbom
	mv proxy/sbom.cdx.json target/sbom/postern.cdx.json
	mv mcp-backend/sbom.cdx.json target/sbom/mcp-backend.cdx.json

deb: release
	$(CARGO) deb -p proxy --no-build --output target/debian/

deny:
	$(CARGO) deny check licenses bans sources

# One of pingora's dependencies is built with it.
cmake:
	@command -v cmake >/dev/null || .ci/bring-cmake '$(TOOLS)'

counterparts:
	tests/e2e/prepare.sh
	tests/deploy/prepare.sh
