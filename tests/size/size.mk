# SPDX-License-Identifier: MIT
# What the device side needs on a Cortex-M3: tables in port/PORTING.md, and the settings of the limits.h.
CHECK += tests/size/options_test.sh

#: make size             text, data, bss and structures on a Cortex-M3 (arm-none-eabi-gcc; board images if built)
.PHONY: size stack size-update
size:
	@DEPS=$(DEPS) tests/setup.sh build check
	@python3 -B tests/size/size.py $(BUILD)

#: make stack            worst-case stack of every public function of the device side on a Cortex-M3
stack:
	@DEPS=$(DEPS) tests/setup.sh build check
	@python3 -B tests/size/stack.py $(BUILD)

#: make size-update      measure both again and write the tables into port/PORTING.md
size-update:
	@python3 -B tests/size/size.py $(BUILD) --update
	@python3 -B tests/size/stack.py $(BUILD) --update

#: make check-size       whether these tables are true
CHECK_MORE += check-size
.PHONY: check-size
check-size:
	@DEPS=$(DEPS) tests/setup.sh build check
	@BUILD=$(BUILD) prove --exec tests/run.sh tests/size/size_test.py

# The figures of BearSSL's functions in tests/size/calls.txt, from its source.
#: make check-stack      what tests/size/calls.txt says about BearSSL, measured again from its source
CHECK_MORE += check-stack
.PHONY: check-stack
check-stack:
	@DEPS=$(DEPS) tests/setup.sh build check firmware
	@$(MAKE) --no-print-directory $(BEARSSL_INC)/bearssl.h
	@BUILD=$(BUILD) prove --exec tests/run.sh tests/size/outside_test.py
