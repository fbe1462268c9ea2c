# SPDX-License-Identifier: MIT
# The TPM to read: as a server for tests, and compared with libtpms. No program that is delivered contains it.
SYSTEM_DIRS += tests/tiny_tpm
TINY_OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/server.c %/compare%.c,$(wildcard tests/tiny_tpm/*.c)))
TINY_SERVER = $(BUILD)/tests/tiny-tpm

$(TINY_SERVER): $(BUILD)/obj/tests/tiny_tpm/server.o $(TINY_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -Wl,--gc-sections -o $@ $^ $(SYSTEM_LIBS)

tests: $(TINY_SERVER)
