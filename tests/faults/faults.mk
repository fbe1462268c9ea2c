# SPDX-License-Identifier: MIT
# Crashes, overload and lost databases, on real ones.

FAULT_TESTS = $(patsubst tests/faults/%.c,$(BUILD)/faults/%,$(wildcard tests/faults/test_*.c))
FAULT_NAMES = $(notdir $(FAULT_TESTS))
FAULT_SCRIPTS = $(wildcard tests/faults/*_test.py)
SYSTEM_DIRS += tests/faults

$(FAULT_TESTS): $(BUILD)/faults/%: $(BUILD)/obj/tests/faults/%.o $(PORT_TEST_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(SYSTEM_LIBS)

.PHONY: fault-tests
fault-tests: $(FAULT_TESTS)

#: make check-faults     crashes, overload and lost databases, on real ones (PostgreSQL)
CHECK_MORE += check-faults
.PHONY: check-faults
check-faults:
	@DEPS=$(DEPS) tests/setup.sh build faults
	@$(MAKE) --no-print-directory all fault-tests
	@$(MAKE) --no-print-directory all fault-tests BUILD=$(BUILD)/asan CFLAGS='$(ASAN)'
	@BUILD=$(BUILD) prove --timer --exec tests/run.sh $(FAULT_TESTS) $(FAULT_NAMES:%=$(BUILD)/asan/faults/%) \
	    $(FAULT_SCRIPTS)
