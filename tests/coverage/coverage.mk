# SPDX-License-Identifier: MIT
# Which lines and branches of the core the tests reach: clang's counters under the unit and port tests and the fuzz
# corpora. report.py prints them and says what is below its limit.
COVERAGE_BUILD = $(BUILD)/coverage
COVERAGE_CFLAGS = -O1 -g -fprofile-instr-generate -fcoverage-mapping

#: make coverage         lines and branches of the core that the tests reach (llvm); fails below 95 % of branches
CHECK_MORE += coverage
.PHONY: coverage
coverage:
	@DEPS=$(DEPS) tests/setup.sh build check coverage
	@$(MAKE) --no-print-directory BUILD=$(COVERAGE_BUILD) CC=clang CFLAGS='$(COVERAGE_CFLAGS)' PREFIX_MAP= tests \
	    fuzz-replayers
	@python3 tests/coverage/report.py $(COVERAGE_BUILD)
