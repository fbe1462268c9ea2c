# SPDX-License-Identifier: MIT
# tpm-dps: every target of the project. `make help` lists them.
CC ?= cc
BUILD ?= build
CFLAGS ?= -O2 -g
WARN = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
       -Wcast-qual -Wundef -Werror
CPPFLAGS += -I.
ALL_CFLAGS = -std=c11 $(WARN) -ffunction-sections -fdata-sections $(CFLAGS)

# Every .c of a directory is built; nothing can lie in the tree unbuilt.
CORE_SRC = $(wildcard crypto/*.c tpm/*.c dps/*.c)
PORT_SRC = port/drive.c $(filter-out port/posix/dps-%.c,$(wildcard port/posix/*.c))
PROGRAMS = $(patsubst port/posix/%.c,$(BUILD)/%,$(wildcard port/posix/dps-*.c))
UNIT = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

CORE_OBJ = $(CORE_SRC:%.c=$(BUILD)/obj/%.o)
PORT_OBJ = $(PORT_SRC:%.c=$(BUILD)/obj/%.o)
VECTOR_OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/vectors/*.c))

.PHONY: all
all: $(BUILD)/libtpmdps.a $(PROGRAMS)

$(BUILD)/libtpmdps.a: $(CORE_OBJ)
	rm -f $@
	ar rcs $@ $^

$(BUILD)/libtpmdps-posix.a: $(PORT_OBJ)
	rm -f $@
	ar rcs $@ $^

$(BUILD)/obj/port/posix/%.o: port/posix/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(PROGRAMS): $(BUILD)/%: $(BUILD)/obj/port/posix/%.o $(BUILD)/libtpmdps-posix.a $(BUILD)/libtpmdps.a
	$(CC) $(CFLAGS) -Wl,--gc-sections -o $@ $^ -lbearssl -ltpms -lsqlite3

.PHONY: unit
unit: $(UNIT)
$(UNIT): $(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/obj/tests/unit/test.o $(VECTOR_OBJ) $(BUILD)/libtpmdps.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ -lbearssl

# Tests of the port: they need a system, libtpms, swtpm and SQLite.
PORT_TESTS = $(patsubst tests/port/%.c,$(BUILD)/port-tests/%,$(wildcard tests/port/test_*.c))
PORT_TEST_OBJ = $(BUILD)/obj/tests/port/support.o $(BUILD)/obj/tests/unit/test.o $(BUILD)/obj/port/none/none.o
.PHONY: port-tests
port-tests: $(PORT_TESTS)
$(BUILD)/obj/tests/port/%.o: tests/port/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -D_GNU_SOURCE $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(PORT_TESTS): $(BUILD)/port-tests/%: $(BUILD)/obj/tests/port/%.o $(PORT_TEST_OBJ) $(BUILD)/libtpmdps-posix.a \
               $(BUILD)/libtpmdps.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ -lbearssl -ltpms -lsqlite3

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
