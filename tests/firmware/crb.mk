# SPDX-License-Identifier: MIT
# port/tis/crb.c on the only machine of QEMU that has this interface, a PC: a program without an operating system.
FIRMWARE_PACKAGES += gcc-i686-linux-gnu qemu-system-x86
FIRMWARE_MORE += $(BUILD)/firmware/crb/crb.elf
CRB_SRC = tests/firmware/crb/start.S tests/firmware/crb/crb.c port/tis/crb.c port/tis/tis.c port/tis/tis_mmio.c \
          port/drive.c port/bare/serial.c port/bare/tpm.c port/bare/libc/memory.c $(wildcard crypto/bytes/*.c tpm/*.c)

# The linker drops what would need BearSSL.
$(BUILD)/firmware/crb/crb.elf: tests/firmware/crb/pc.ld $(CRB_SRC) $(BEARSSL_INC)/bearssl.h
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)i686-linux-gnu-gcc -std=c11 $(WARN) -Os -g -march=i686 -ffunction-sections -fdata-sections -ffreestanding \
	    -fbuiltin -fno-pic -no-pie -fno-stack-protector -fno-tree-loop-distribute-patterns -static -nostdlib \
	    -isystem port/bare/libc -isystem $(BEARSSL_INC) -I. \
	    -Wl,--gc-sections,--build-id=none,-z,noexecstack -o $@ -T $< $(CRB_SRC) -lgcc
