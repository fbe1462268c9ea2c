# SPDX-License-Identifier: MIT
# dps-example: the smallest port, built by make like the programs, so that it keeps compiling; nothing of port/posix
# is in it. tests/e2e/example_test.py runs it.
SYSTEM_DIRS += port/example
EXAMPLE = $(BUILD)/dps-example
EXAMPLE_OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard port/example/*.c) port/drive.c)

# Its loop without port_drive meets the same peers in the tests as port_drive does.
PORT_TEST_OBJ += $(BUILD)/obj/port/example/turn.o

all: $(EXAMPLE)

$(EXAMPLE): $(EXAMPLE_OBJ) $(BUILD)/libtpmdps.a
	$(SAY) LD $@
	$(Q)$(LINK) -Wl,--gc-sections -o $@ $^ $(CRYPTO_LIBS_$(CRYPTO)) -pthread

#: make porting-update   write the code that port/PORTING.md shows into it again
.PHONY: porting-update
porting-update:
	@python3 -B tests/lint/porting.py

#: make check-example    the smallest port against the whole conformance suite for devices
.PHONY: check-example
check-example:
	@DEPS=$(DEPS) tests/setup.sh build check
	@$(MAKE) --no-print-directory all
	@EXAMPLE_WHOLE=yes /usr/bin/python3 tests/tap.py tests/e2e/example_test.py $(BUILD)
