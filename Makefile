# m4a1 - `make help` lists the goals.

CC ?= cc
BUILD ?= build
PREFIX ?= /usr/local
VERSION := 0.1.0

# Outside libraries; each has one owner (docs/design/001-layout.md).
PACKAGES := sqlite3 libcurl libcjson libmicrohttpd libavformat libavcodec libavutil \
            libswscale libjpeg libcrypto libzstd libutf8proc
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
PKG_LIBS = $(shell pkg-config --libs $(PACKAGES))

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wstrict-prototypes \
            -Wmissing-prototypes -Wformat=2
OPTIMISE ?= -O2 -g
CPPFLAGS_ALL = -I. -D_XOPEN_SOURCE=700 -D_DEFAULT_SOURCE -DM4A1_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
CFLAGS_ALL = -std=c11 -fvisibility=hidden -pthread $(WARNINGS) $(OPTIMISE) $(CFLAGS)
LIBS_ALL = $(PKG_LIBS) -lm -pthread $(LDFLAGS)

LIB_SRC := $(sort $(wildcard m4a1/base/*.c m4a1/http/*.c schema/*.c collectors/*.c \
           collectors/*/*.c annotate/*.c export/*.c m4a1/tmo/*.c m4a1/simulate/*.c))
CLI_SRC := $(sort $(wildcard m4a1/cli/*.c))
# Unit tests mirror the tree: tests/schema/test_store.c is the program build/tests/schema/test_store.
TEST_SRC := $(sort $(wildcard tests/m4a1/*/test_*.c tests/schema/test_*.c \
            tests/collectors/test_*.c tests/collectors/*/test_*.c tests/annotate/test_*.c \
            tests/export/test_*.c))
SUPPORT_SRC := $(sort $(wildcard tests/support/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SRC := $(sort $(wildcard tests/bench/bench_*.c))

LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)
SUPPORT_OBJ := $(SUPPORT_SRC:%.c=$(BUILD)/%.o)
TESTS := $(TEST_SRC:%.c=$(BUILD)/%)
EMBEDDED := $(wildcard schema/migrations/*.sql m4a1/recipe/*)

.DEFAULT_GOAL := all
.SUFFIXES:
.SECONDARY:

all: $(BUILD)/m4a1 ## build build/m4a1

$(BUILD)/libm4a1.a: $(LIB_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/m4a1: $(CLI_OBJ) $(BUILD)/libm4a1.a
	$(CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS_ALL)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(SUPPORT_OBJ) $(BUILD)/libm4a1.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS_ALL)

# Objects that embed files are rebuilt when those change.
EMBEDDING := $(patsubst %.c,$(BUILD)/%.o,$(shell grep -ls '^EMBED(' $(LIB_SRC) $(CLI_SRC)))
$(EMBEDDING): $(EMBEDDED)

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TESTS:=.d) $(SUPPORT_OBJ:.o=.d)
