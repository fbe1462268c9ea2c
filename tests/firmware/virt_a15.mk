# SPDX-License-Identifier: MIT
# What the Cortex-A15 refuses, and that start.S has told it to.
VIRT_A15_FAULTS = $(patsubst %.c,$(FIRMWARE)/virt-a15/%.o,port/bare/serial.c port/bare/libc/memory.c \
                  tests/firmware/virt_a15_faults.c $(filter-out %/main.c,$(FIRMWARE_SRC_virt-a15)))
$(FIRMWARE)/virt-a15-faults.elf: $(FIRMWARE_LD_virt-a15) $(VIRT_A15_FAULTS)
	$(SAY) LD $@
	$(Q)$(FIRMWARE_CC) $(FIRMWARE_CFLAGS_virt-a15) -nostdlib -Wl,--gc-sections,--fatal-warnings -o $@ -T $^ -lgcc
