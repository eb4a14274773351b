# m4a1 - `make` builds it; `make help` lists the goals.

BUILD ?= build
PREFIX ?= /usr/local
VERSION := 0.1.0
DOC_DIR = $(DESTDIR)$(PREFIX)/share/doc/m4a1

# Outside libraries; each has one owner (docs/design/001-layout.md).
PACKAGES := sqlite3 libcurl libcjson libmicrohttpd libavformat libavcodec libavutil \
            libswscale libjpeg libcrypto libzstd libutf8proc libpcre2-8 gumbo

# Asked once, and only when something is compiled: before `make setup` there may be no pkg-config.
pkg_config = $(eval answer := $(shell pkg-config --$(1) $(PACKAGES) 2>/dev/null || echo MISSING))$(if \
             $(filter MISSING,$(answer)),$(error Libraries are missing: run `make setup` first),$(answer))
PKG_CFLAGS = $(eval PKG_CFLAGS := $(call pkg_config,cflags))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(call pkg_config,libs))$(PKG_LIBS)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wstrict-prototypes \
            -Wmissing-prototypes -Wformat=2 -Werror=implicit-function-declaration
OPTIMISE ?= -O2 -g
CPPFLAGS_ALL = -I. -D_XOPEN_SOURCE=700 -D_DEFAULT_SOURCE -DM4A1_VERSION='"$(VERSION)"' \
               -include m4a1/base/banned.h $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL = -std=c11 -fvisibility=hidden -pthread $(WARNINGS) $(OPTIMISE) $(CFLAGS)
# oneDNN has no .pc file; it runs on OpenMP, whose threads annotate/clip/linear.c keeps away.
LIBS_ALL = $(PKG_LIBS) -ldnnl -lgomp -lm -pthread $(LDFLAGS)

LIB_SRC := $(sort $(filter-out m4a1/cli/%,$(wildcard m4a1/*/*.c schema/*.c collectors/*.c \
           collectors/*/*.c annotate/*.c annotate/*/*.c export/*.c)))
CLI_SRC := $(sort $(wildcard m4a1/cli/*.c))
# Unit tests mirror the tree: tests/schema/test_store.c is the program build/tests/schema/test_store.
TEST_SRC := $(sort $(wildcard tests/*/test_*.c tests/*/*/test_*.c))
SUPPORT_SRC := $(sort $(wildcard tests/support/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SRC := $(sort $(wildcard tests/bench/bench_*.c))
# Programs that end-to-end tests run: $(BUILD)/tests/tools/NAME.
TOOL_SRC := $(sort $(wildcard tests/tools/*.c))
ALL_SRC := $(LIB_SRC) $(CLI_SRC) $(SUPPORT_SRC) $(TEST_SRC) $(FUZZ_SRC) $(BENCH_SRC) $(TOOL_SRC)
C_FILES = $(shell find annotate collectors export m4a1 schema tests -name '*.[ch]')

# Objects lie apart, because build/m4a1 is the program.
OBJ := $(BUILD)/obj
LIBS := $(BUILD)/libsupport.a $(BUILD)/libm4a1.a
TESTS := $(TEST_SRC:%.c=$(BUILD)/%)
FUZZERS := $(FUZZ_SRC:%.c=$(BUILD)/%)
BENCHES := $(BENCH_SRC:%.c=$(BUILD)/%)
TOOLS := $(TOOL_SRC:%.c=$(BUILD)/%)

# A goal that installs first must look at the machine again afterwards: it calls make anew,
# with a job a core unless the user said how many.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))
SUBMAKE = $(MAKE) --no-print-directory $(JOBS)

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
DEBUG := -O1 -g -fno-omit-frame-pointer
FUZZ_SECONDS ?= 20
# Tests to run: `make test T=store` takes those with "store" in their path.
T ?=

# `make V=1` shows whole command lines.
V ?= 0
ifeq ($(V),0)
Q := @
say = @echo '  $(1)'
endif

.DEFAULT_GOAL := all
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all help setup setup-test setup-bench demo install uninstall test test-long asan tsan \
        fuzz bench check check-format check-layout check-gcc check-clang check-tidy check-cppcheck \
        check-shell format clean tests benches fuzzers objects tidy FORCE

## Build

all: ## build build/m4a1
	+@$(SUBMAKE) $(BUILD)/m4a1

setup: ## install the packages that the build needs (Debian; as root or through sudo)
	@scripts/setup build

setup-test: ## install the packages that tests and checks need, too
	@scripts/setup test

setup-bench: ## install the packages that benchmarks need, too
	@scripts/setup bench

demo: setup ## install what is missing, build, and run the whole pipeline in a scratch folder
	+@$(SUBMAKE) $(BUILD)/m4a1
	@$(BUILD)/m4a1 demo

install: all ## install the program and its documents (PREFIX=/usr/local, DESTDIR=)
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DOC_DIR)/docs/design'
	install -m 755 $(BUILD)/m4a1 '$(DESTDIR)$(PREFIX)/bin/m4a1'
	install -m 644 LICENSE $(wildcard *.md) '$(DOC_DIR)'
	install -m 644 $(wildcard docs/*.md) '$(DOC_DIR)/docs'
	install -m 644 $(wildcard docs/design/*.md) '$(DOC_DIR)/docs/design'

uninstall: ## remove what `make install` put there
	rm -f '$(DESTDIR)$(PREFIX)/bin/m4a1'
	rm -rf '$(DOC_DIR)'

clean: ## remove everything that was built
	rm -rf build

## Test

test: setup-test ## run every unit and end-to-end test (T=WORD: those with WORD in their path)
	+@$(SUBMAKE) tests
	@tests/run --build $(BUILD) $(T)

test-long: setup-test ## the same with the big counts (M4A1_LONG=1)
	+@$(SUBMAKE) tests
	@M4A1_LONG=1 tests/run --build $(BUILD) --scale 10 $(T)

asan: setup-test ## the same under AddressSanitizer, LeakSanitizer and UBSan
	+@$(SUBMAKE) tests BUILD=build/asan OPTIMISE='$(DEBUG)' CFLAGS='$(SANITIZE)'
	@tests/run --build build/asan --scale 4 $(T)

tsan: setup-test ## the same under ThreadSanitizer
	+@$(SUBMAKE) tests BUILD=build/tsan OPTIMISE='$(DEBUG)' CFLAGS='-fsanitize=thread'
	@tests/run --build build/tsan --scale 8 $(T)

fuzz: setup-test ## feed each parser broken input for FUZZ_SECONDS (20) each
	+@$(SUBMAKE) fuzzers BUILD=build/fuzz CC=clang OPTIMISE='$(DEBUG)' \
	    CFLAGS='-fsanitize=fuzzer-no-link $(SANITIZE)'
	@scripts/fuzz build/fuzz $(FUZZ_SECONDS) $(T)

bench: setup-bench ## measure, and print the figures for docs/benchmarks.md
	+@$(SUBMAKE) benches
	@for b in $(BENCHES); do echo "$$b"; $$b || exit 1; done

## Check

check: setup-test ## everything below, and a line each
	+@MAKE='$(MAKE)' scripts/check format layout gcc clang tidy cppcheck shell

check-format: ## the layout of the C files (mended by `make format`)
	@clang-format --dry-run --Werror $(C_FILES)

check-layout: ## floors, include paths, owners of libraries, names of files and guards
	@scripts/check-layout

check-gcc: ## no warning from gcc in any file
	+@$(SUBMAKE) -k objects BUILD=build/check-gcc CC=gcc OPTIMISE=-O1 CFLAGS=-Werror

check-clang: ## no warning from clang in any file
	+@$(SUBMAKE) -k objects BUILD=build/check-clang CC=clang OPTIMISE=-O1 CFLAGS=-Werror

check-tidy: ## clang-tidy with the checks in .clang-tidy
	+@$(SUBMAKE) -k tidy BUILD=build/check-clang CC=clang OPTIMISE=-O1 CFLAGS=-Werror

check-cppcheck: ## cppcheck with the suppressions in .cppcheck
	@mkdir -p build/cppcheck
	@cppcheck --quiet -j 2 --cppcheck-build-dir=build/cppcheck --error-exitcode=1 --std=c11 \
	    --enable=warning,performance,portability --suppressions-list=.cppcheck --inline-suppr \
	    --template='{file}:{line}: {severity}: {message} [{id}]' -I. \
	    '-DM4A1_VERSION="$(VERSION)"' $(LIB_SRC) $(CLI_SRC)

check-shell: ## shellcheck, on every script
	@shellcheck -x -P SCRIPTDIR -S warning .ci/run scripts/* tests/run $$(find tests -name '*.sh')

format: ## lay the C files out anew
	clang-format -i $(C_FILES)

help: ## this list
	@echo 'm4a1: multi-view, multi-LLM dialogues for cost-aware routing. The goals of make:'
	@awk '/^## / { printf "\n%s\n", substr($$0, 4) } \
	    match($$0, /^[a-z-]+:.* ## /) { goal = $$1; sub(/:.*/, "", goal); \
	    printf "  make %-15s %s\n", goal, substr($$0, RLENGTH + 1) }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'New here: `make demo`. Changing something: `make test`, then `make check`.'
	@echo 'One compiler or option for a run: make CC=clang CFLAGS=-O0 BUILD=build/mine'

# What a goal above asks a second make for.

tests: $(BUILD)/m4a1 $(TESTS) $(TOOLS)
fuzzers: $(FUZZERS)
benches: $(BENCHES)
objects: $(ALL_SRC:%.c=$(OBJ)/%.o) $(BUILD)/m4a1
tidy: $(LIB_SRC:%.c=$(OBJ)/%.tidy) $(CLI_SRC:%.c=$(OBJ)/%.tidy)

# Changes only when the compiler or an option does; then everything is built again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo "$(subst ",\",$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL))" >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# A file that EMBED() names is a dependency as a header is.
$(OBJ)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC    $<)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
	@tr '\n' ' ' <$< | grep -o '\bEMBED([a-z0-9_]*, *"[^"]*"' | \
	    sed 's|.*"\(.*\)"|$@: \1\n\1:|' >>$(@:.o=.d) || true

# fopencookie() is GNU's; `private` keeps the option out of $(BUILD)/flags.
$(OBJ)/m4a1/cli/terminal.o $(OBJ)/m4a1/cli/terminal.tidy: private override CPPFLAGS += -D_GNU_SOURCE

# A product and a sum in one instruction, where the processor has it.
$(OBJ)/annotate/clip/tower_kernels.o: private override CPPFLAGS += -ffp-contract=fast

# Never here: training gives the same bits on every processor.
$(OBJ)/m4a1/tmo/mlp_kernels.o: private override CPPFLAGS += -ffp-contract=off

$(BUILD)/libm4a1.a: $(LIB_SRC:%.c=$(OBJ)/%.o)
$(BUILD)/libsupport.a: $(SUPPORT_SRC:%.c=$(OBJ)/%.o)
$(LIBS):
	@rm -f $@
	$(call say,AR    $@)
	$(Q)$(AR) rcs $@ $^

$(BUILD)/m4a1: $(CLI_SRC:%.c=$(OBJ)/%.o) $(BUILD)/libm4a1.a
	$(call say,LINK  $@)
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS_ALL)

$(BUILD)/tests/%: $(OBJ)/tests/%.o $(LIBS)
	@mkdir -p $(@D)
	$(call say,LINK  $@)
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $^ -lcmocka -lssl $(LIBS_ALL)

$(BUILD)/tests/bench/%: $(OBJ)/tests/bench/%.o $(LIBS)
	@mkdir -p $(@D)
	$(call say,LINK  $@)
	$(Q)$(CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS_ALL)

$(BUILD)/tests/fuzz/%: $(OBJ)/tests/fuzz/%.o $(LIBS)
	@mkdir -p $(@D)
	$(call say,LINK  $@)
	$(Q)$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LIBS_ALL)

$(OBJ)/%.tidy: %.c $(OBJ)/%.o .clang-tidy tests/support/analyzer.h
	$(call say,TIDY  $<)
	$(Q)clang-tidy --quiet $< -- -std=c11 $(CPPFLAGS_ALL) \
	    $(if $(filter %/error.c,$<),,-include tests/support/analyzer.h) >$@.log 2>&1 || \
	    { grep -v 'warnings generated' $@.log; exit 1; }
	@touch $@

-include $(ALL_SRC:%.c=$(OBJ)/%.d)
