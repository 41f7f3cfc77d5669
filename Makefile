# make            builds the program and its plugins
# make check      runs the tests
# make install    puts program, plugins, headers and Swift's runtime under PREFIX, relocatable as a whole

PREFIX ?= /usr/local
BUILD = .build/release
RUNTIME = $(dir $(shell command -v swift))../lib/swift/linux

.PHONY: all check install
all:
	swift build -c release

check:
	swift test -c release

install: all
	install -d "$(PREFIX)/bin" "$(PREFIX)/lib/martlet" "$(PREFIX)/lib/pkgconfig" "$(PREFIX)/lib/cmake/martlet" \
	    "$(PREFIX)/include" "$(PREFIX)/share/martlet/plugins" "$(PREFIX)/share/martlet/PluginKit/Sources"
	install -m 755 $(BUILD)/martlet "$(PREFIX)/bin/martlet"
	for manifest in Plugins/*/*/plugin.json; do \
	    library=$$(sed -n 's/.*"library": "\([^"]*\)".*/\1/p' $$manifest); \
	    [ -f $(BUILD)/$$library ] || continue; \
	    place="$(PREFIX)/share/martlet/plugins/$$(basename $$(dirname $$(dirname $$manifest)))/$$(basename $$(dirname $$manifest))"; \
	    install -d "$$place"; \
	    install -m 644 $$manifest "$$place/plugin.json"; \
	    install -m 755 $(BUILD)/$$library "$(PREFIX)/lib/martlet/"; \
	    patchelf --set-rpath '$$ORIGIN' "$(PREFIX)/lib/martlet/$$library"; \
	done
	for library in $$(ldd $(BUILD)/martlet $(BUILD)/*.so | sed -n 's|.*=> \(.*/swift/linux/[^ ]*\) .*|\1|p' | sort -u); do \
	    install -m 755 $$library "$(PREFIX)/lib/martlet/"; done
	patchelf --set-rpath '$$ORIGIN/../lib/martlet' "$(PREFIX)/bin/martlet"
	cp -R Sources/PluginAPI/include/martlet "$(PREFIX)/include/"
	install -m 644 Sources/PluginAPI/exports.map "$(PREFIX)/share/martlet/exports.map"
	[ ! -d Resources ] || cp -R Resources "$(PREFIX)/share/martlet/"
	[ -f "$(PREFIX)/share/martlet/plugins.json" ] || \
	    printf '{\n  "schema": 1,\n  "directories": ["plugins"]\n}\n' > "$(PREFIX)/share/martlet/plugins.json"
	cp -R Sources/PluginAPI Sources/PluginKit Sources/JSON "$(PREFIX)/share/martlet/PluginKit/Sources/"
	install -m 644 Tools/PluginKit.package.swift "$(PREFIX)/share/martlet/PluginKit/Package.swift"
	printf 'prefix=$${pcfiledir}/../..\nincludedir=$${prefix}/include\n\nName: martlet\nDescription: The contract of plugins for Martlet\nVersion: 0.1.0\nCflags: -I$${includedir}\n' \
	    > "$(PREFIX)/lib/pkgconfig/martlet.pc"
	printf 'add_library(martlet::plugin_api INTERFACE IMPORTED)\nset_target_properties(martlet::plugin_api PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "$${CMAKE_CURRENT_LIST_DIR}/../../../include")\n' \
	    > "$(PREFIX)/lib/cmake/martlet/martlet-config.cmake"
