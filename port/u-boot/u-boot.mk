# SPDX-License-Identifier: MIT
# An application for U-Boot's prompt on QEMU's board virt (ARM, 32 bits). Nothing of U-Boot is needed but its mkimage.
U_BOOT = $(BUILD)/firmware/u-boot
FIRMWARE_PACKAGES += u-boot-qemu u-boot-tools tpm2-tools
# The board's processor, for clang-tidy.
FIRMWARE_TARGET_u-boot = armv7a-none-eabi
# What reading a key and unsealing takes of this project: no engine, no network, no store.
U_BOOT_TPM = $(wildcard tpm/*.c crypto/bytes/*.c) crypto/crypto_bearssl.c crypto/rsa_compact.c crypto/kdf.c \
             port/u-boot/boot_tpm.c
# And the board: its serial line, its clock, its TPM; and the registration ID, which is no matter of the TPM's.
U_BOOT_BOARD = port/u-boot/dpstpm.c port/virt-a15/board.c port/bare/serial.c port/bare/stack.c port/tis/tis.c \
               port/tis/tis_mmio.c port/bare/libc/memory.c dps/protocol/registration_id.c dps/protocol/text.c

# The .img is for bootm, the .bin for go.
FIRMWARE_APPLICATIONS += $(BUILD)/firmware/dpstpm.img
U_BOOT_LOAD_ADDRESS = 41000000

# Without TLS this option saves stack, of which a boot loader has little.
$(U_BOOT)/crypto/crypto_bearssl.o: FIRMWARE_ALL_CFLAGS += -DCRYPTO_RSA_COMPACT=1
$(U_BOOT)/%.o: %.c $(BUILD)/bearssl/src/inc/bearssl.h
	@mkdir -p $(@D)
	$(SAY) CC "$< for U-Boot"
	$(Q)$(FIRMWARE_CC_virt-a15) $(FIRMWARE_ALL_CFLAGS) $(FIRMWARE_CFLAGS_virt-a15) -MMD -MP -c -o $@ $<
# Otherwise gcc would turn the loop in memcpy into a call of memcpy.
$(U_BOOT)/port/bare/libc/memory.o: FIRMWARE_ALL_CFLAGS += -fno-builtin -fno-tree-loop-distribute-patterns

$(BUILD)/firmware/dpstpm.elf: port/u-boot/application.ld $(patsubst %.c,$(U_BOOT)/%.o,$(U_BOOT_TPM) $(U_BOOT_BOARD)) \
    port/u-boot/start.S port/virt-a15/counter.S $(BUILD)/bearssl/virt-a15/libbearssl.a
	$(SAY) LD $@
	$(Q)$(FIRMWARE_CC_virt-a15) $(FIRMWARE_CFLAGS_virt-a15) -nostdlib -Wl,--gc-sections,--fatal-warnings,-Map=$@.map \
	    -Wl,--defsym=LOAD_ADDRESS=0x$(U_BOOT_LOAD_ADDRESS) -o $@ -T $^ -lgcc
$(BUILD)/firmware/dpstpm.bin: $(BUILD)/firmware/dpstpm.elf
	$(Q)$(FIRMWARE_TOOLS_virt-a15)objcopy -O binary $< $@
$(BUILD)/firmware/dpstpm.img: $(BUILD)/firmware/dpstpm.bin
	$(Q)mkimage -A arm -O u-boot -T standalone -C none -a $(U_BOOT_LOAD_ADDRESS) -e $(U_BOOT_LOAD_ADDRESS) -n dpstpm \
	    -d $< $@ >/dev/null

# tests/port/test_boot_tpm.c
PORT_TEST_OBJ += $(BUILD)/obj/port/u-boot/boot_tpm.o
