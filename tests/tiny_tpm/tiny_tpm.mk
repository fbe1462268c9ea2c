# SPDX-License-Identifier: MIT
# The TPM to read: as a server for tests, and compared with libtpms. No program that is delivered contains it.
SYSTEM_DIRS += tests/tiny_tpm
TINY_OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/server.c %/in_process.c tests/tiny_tpm/compare%,$(wildcard tests/tiny_tpm/*.c)))
TINY_SERVER = $(BUILD)/tests/tiny-tpm

$(TINY_SERVER): $(BUILD)/obj/tests/tiny_tpm/server.o $(TINY_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -Wl,--gc-sections -o $@ $^ $(SYSTEM_LIBS)

tests: $(TINY_SERVER)

TINY_COMPARE = $(BUILD)/tests/tiny-tpm-compare
$(TINY_COMPARE): $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/tiny_tpm/compare*.c)) $(TINY_OBJ) $(TEST_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(SYSTEM_LIBS)

# The tests of a TPM in tests/port, with this one in the place of libtpms.
TINY_PORT = test_sessions test_rewrap test_hardened test_flow
TINY_PORT_TESTS = $(TINY_PORT:%=$(BUILD)/tiny-tpm/%)
$(TINY_PORT_TESTS): $(BUILD)/tiny-tpm/%: $(BUILD)/obj/tests/port/%.o $(BUILD)/obj/tests/tiny_tpm/in_process.o \
                    $(TINY_OBJ) $(PORT_TEST_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(SYSTEM_LIBS)
