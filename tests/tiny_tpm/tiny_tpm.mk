# SPDX-License-Identifier: MIT
# The TPM to read: as a server, compared with libtpms, and in the place of libtpms. No program that is delivered has it.
SYSTEM_DIRS += tests/tiny_tpm
TINY_ROUND = $(wildcard tests/tiny_tpm/compare*.c) tests/tiny_tpm/server.c tests/tiny_tpm/in_process.c
TINY_OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out $(TINY_ROUND),$(wildcard tests/tiny_tpm/*.c)))
TINY_SERVER = $(BUILD)/tests/tiny-tpm
TINY_COMPARE = $(BUILD)/tests/tiny-tpm-compare
# Tests of a TPM, from tests/port.
TINY_PORT = $(BUILD)/tiny-tpm/test_sessions $(BUILD)/tiny-tpm/test_hardened $(BUILD)/tiny-tpm/test_flow

tests: $(TINY_SERVER) $(TINY_COMPARE) $(BUILD)/tiny-tpm/test_sessions
CHECK += tests/tiny_tpm/tiny_tpm_test.py

$(TINY_SERVER): $(BUILD)/obj/tests/tiny_tpm/server.o
$(TINY_COMPARE): $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/tiny_tpm/compare*.c)) $(TEST_OBJ)
$(TINY_PORT): $(BUILD)/tiny-tpm/%: $(BUILD)/obj/tests/port/%.o $(BUILD)/obj/tests/tiny_tpm/in_process.o $(PORT_TEST_OBJ)
$(TINY_SERVER) $(TINY_COMPARE) $(TINY_PORT): $(TINY_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(PORT_LIBS) $(SYSTEM_LIBS)

#: make check-tiny-tpm   the whole flow, and the hardened SRK, with the tiny TPM in the place of libtpms
CHECK_MORE += check-tiny-tpm
.PHONY: check-tiny-tpm
check-tiny-tpm:
	@DEPS=$(DEPS) tests/setup.sh build check
	@$(MAKE) --no-print-directory $(TINY_PORT)
	@BUILD=$(BUILD) $(PROVE) --exec tests/run.sh $(TINY_PORT)
