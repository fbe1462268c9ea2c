# SPDX-License-Identifier: MIT
# Our parsers against those of tpm2-tss: needs libtss2-dev.
SYSTEM_DIRS += tests/differential
DIFFERENTIAL = $(BUILD)/differential/mu

$(DIFFERENTIAL): $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/differential/*.c)) $(BUILD)/obj/tests/fuzz/responses.o \
                 $(TEST_OBJ) $(BUILD)/libtpmdps.a
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ -lbearssl -ltss2-mu

CHECK += tests/differential/differential_test.sh
CHECK_DEPENDS += $(DIFFERENTIAL)
