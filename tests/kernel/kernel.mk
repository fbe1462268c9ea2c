# SPDX-License-Identifier: MIT
# Our programs above Linux's own TPM drivers: Debian's kernel in QEMU, a script for each kind of chip.
KERNEL = $(BUILD)/kernel
KERNEL_TESTS = tests/kernel/crb_test.sh tests/kernel/tis_test.sh

#: make check-kernel     Linux's TPM drivers and resource manager: Debian's kernel in QEMU, other programs at work
CHECK_MORE += check-kernel
.PHONY: check-kernel
check-kernel:
ifeq ($(shell dpkg --print-architecture 2>/dev/null),amd64)
	@DEPS=$(DEPS) tests/setup.sh build kernel
	@$(MAKE) --no-print-directory all $(KERNEL)/root
	@BUILD=$(BUILD) $(PROVE) --jobs 2 --exec tests/run.sh $(KERNEL_TESTS)
else
	@echo "make check-kernel: nothing done. It boots a kernel of Debian for amd64 with programs of this machine."
endif

# Unpacked, not installed.
$(KERNEL)/root: tests/kernel/fetch.sh
	$(SAY) GET $@
	$(Q)tests/kernel/fetch.sh $(KERNEL)
	$(Q)touch $@
