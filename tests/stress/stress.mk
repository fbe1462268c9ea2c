# SPDX-License-Identifier: MIT
# No test depends on time: they pass while other processes have nearly all of the machine.
#
# Of make check-all, this leaves out what waits for nothing but itself. It compiles (lint, check-tidy, check-size,
# check-stack, check-install), computes (unit tests, ct, model), or runs the same tests once more, of another build
# (asan, coverage, check-openssl) or for each of many mistakes (check-mutants, check-clients), of which mutants_test.py
# and conformance_device_test.py have some. And, of what stands in the lists below:
STRESS_LEFT_OUT = \
    tests/amalgamation/amalgamation_test.sh \
    tests/differential/differential_test.sh \
    tests/fuzz/fuzz_test.py \
    tests/hostile/production_test.sh \
    tests/size/options_test.sh

STRESS_CROSS = $(foreach arch,$(filter-out i686%,$(CROSS_ARCHES)),$(CROSS)/$(arch)/dps-device \
    $(CROSS_PORT_TESTS:$(BUILD)/%=$(CROSS)/$(arch)/%))
STRESS_TESTS = $(filter-out $(STRESS_LEFT_OUT), \
    $(PORT_TESTS) $(E2E) $(CHECK) $(FAULT_TESTS) $(FAULT_SCRIPTS) $(FIRMWARE_TESTS) $(KERNEL_TESTS) $(PEERS) \
    $(WALK_TESTS)) \
    $(STRESS_CROSS)
STRESS_BUILD = tests $(CHECK_DEPENDS) fault-tests $(FIRMWARE_DEPENDS) $(KERNEL)/root cross-build $(NODE_PEERS)/installed \
    $(BUILD)/walkthrough.html $(WALK)/npm/installed

#: make check-stress     build, and run the tests that wait for anything STRESS_RUNS=5 times beside 8 busy processes
STRESS_RUNS ?= 5
.PHONY: check-stress
check-stress:
	@DEPS=$(DEPS) tests/setup.sh build check faults firmware kernel cross peers walkthrough stress
	@echo "Building"
	@$(MAKE) --no-print-directory $(STRESS_BUILD) >/dev/null
	@BUILD=$(BUILD) NODE_PATH=$(abspath $(NODE_PEERS))/node_modules:$(abspath $(WALK))/npm/node_modules \
	    TEST_TIMEOUT=7200 /usr/bin/python3 tests/stress/stress.py $(STRESS_RUNS) $(PROVE) --jobs 12 \
	    --rules 'seq=tests/faults/*' --rules 'par=**' --exec tests/cross/run.sh $(STRESS_TESTS)
