# make                builds the program and its plugins
# make check          runs the tests
# make install        puts program, plugins, headers and Swift's runtime under PREFIX, relocatable as a whole
# make install-built  the same from what is built already

PREFIX ?= /usr/local
BUILD = .build/release
RUNTIME = $(dir $(shell command -v swift))../lib/swift/linux
SHARE = $(PREFIX)/share/martlet
COPY = cp -RL

.PHONY: all check install install-built install-program install-contract
all:
	swift build -c release

check:
	swift test -c release

install: all
	$(MAKE) install-built

install-built: install-program install-contract

# The program, its plugins and their manifests, its data files, and the Swift libraries that they need. Each finds the
# others from its own place ($$ORIGIN).
install-program:
	install -d "$(PREFIX)/bin" "$(PREFIX)/lib/martlet" "$(SHARE)/plugins"
	install -m 755 $(BUILD)/martlet "$(PREFIX)/bin/martlet"
	patchelf --set-rpath '$$ORIGIN/../lib/martlet' "$(PREFIX)/bin/martlet"
	for manifest in Plugins/*/*/plugin.json; do \
	    library=$$(sed -n 's/.*"library": "\([^"]*\)".*/\1/p' $$manifest); \
	    place="$(SHARE)/plugins/$$(basename $$(dirname $$(dirname $$manifest)))/$$(basename $$(dirname $$manifest))"; \
	    install -d "$$place" && install -m 644 $$manifest "$$place/plugin.json" && \
	    install -m 755 $(BUILD)/$$library "$(PREFIX)/lib/martlet/" && \
	    patchelf --set-rpath '$$ORIGIN' "$(PREFIX)/lib/martlet/$$library" || exit 1; \
	done
	for library in $$(ldd $(BUILD)/martlet $(BUILD)/*.so | sed -n 's|.*=> \(.*/swift/linux/[^ ]*\) .*|\1|p' | sort -u); do \
	    install -m 755 $$library "$(PREFIX)/lib/martlet/" || exit 1; done
	$(COPY) Resources/. "$(SHARE)/"
	[ -f "$(SHARE)/plugins.json" ] || \
	    printf '{\n  "schema": 1,\n  "directories": ["plugins"]\n}\n' > "$(SHARE)/plugins.json"

# What plugins are built against: headers for C and C++, PluginKit for Swift, a crate for Rust, and the examples that
# `martlet plugin new` starts from.
install-contract:
	install -d "$(PREFIX)/include" "$(PREFIX)/lib/pkgconfig" "$(PREFIX)/lib/cmake/martlet" "$(SHARE)/PluginKit" "$(SHARE)/rust" \
	    "$(SHARE)/examples"
	$(COPY) Sources/PluginAPI/include/martlet "$(PREFIX)/include/"
	install -m 644 Sources/PluginAPI/exports.map "$(SHARE)/exports.map"
	$(COPY) Tools/PluginKit/Package.swift Tools/PluginKit/Sources "$(SHARE)/PluginKit/"
	$(COPY) Sources/PluginRust/Cargo.toml Sources/PluginRust/src "$(SHARE)/rust/"
	tar -C Examples -h --exclude=.build --exclude=target --exclude='*.so' --exclude='*.lock' --exclude='*.resolved' -cf - plugins | \
	    tar -C "$(SHARE)/examples" -xf -
	install -m 644 Tools/martlet.pc "$(PREFIX)/lib/pkgconfig/martlet.pc"
	install -m 644 Tools/martlet-config.cmake "$(PREFIX)/lib/cmake/martlet/martlet-config.cmake"
