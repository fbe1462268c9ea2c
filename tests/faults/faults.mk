# SPDX-License-Identifier: MIT
# Crashes, overload and lost databases, on real ones.

FAULT_TESTS = $(patsubst tests/faults/%.c,$(BUILD)/faults/%,$(wildcard tests/faults/test_*.c))
FAULT_NAMES = $(notdir $(FAULT_TESTS))
FAULT_SCRIPTS = $(wildcard tests/faults/*_test.py)
SYSTEM_DIRS += tests/faults

$(FAULT_TESTS): $(BUILD)/faults/%: $(BUILD)/obj/tests/faults/%.o $(PORT_TEST_OBJ) $(PORT_LIBS)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(SYSTEM_LIBS)

.PHONY: fault-tests setup-faults
fault-tests: $(FAULT_TESTS)
setup-faults:
	@DEPS=$(DEPS) tests/setup.sh build faults

#: make check-faults     crashes, overload, clocks, full disks and lost databases, on real ones (PostgreSQL)
CHECK_MORE += check-faults
.PHONY: check-faults
check-faults: setup-faults
	@$(MAKE) --no-print-directory all fault-tests
	@$(MAKE) --no-print-directory all fault-tests BUILD=$(BUILD)/asan CFLAGS='$(ASAN)'
	@BUILD=$(BUILD) $(PROVE) --exec tests/run.sh $(FAULT_TESTS) $(FAULT_NAMES:%=$(BUILD)/asan/faults/%) \
	    $(FAULT_SCRIPTS)

# Each kill that is survived prints its line; a failed one names the seed at the top.
SOAK_KILLS ?= 200
SOAK_SEED ?= $(shell date +%s)
#: make soak             dps-service killed SOAK_KILLS=200 times under load (SQLite, PostgreSQL); SOAK_SEED=N
.PHONY: soak
soak: setup-faults
	@$(MAKE) --no-print-directory all
	@SEED=$(SOAK_SEED) KILLS=$(SOAK_KILLS) /usr/bin/python3 tests/tap.py tests/faults/kill_test.py $(BUILD)
