# SPDX-License-Identifier: MIT
# The Cortex-A15 board, for tests/firmware/firmware.mk.
FIRMWARE_BOARDS += virt-a15
FIRMWARE_PACKAGES += gcc-arm-none-eabi qemu-system-arm
FIRMWARE_TOOLS_virt-a15 = arm-none-eabi-
FIRMWARE_TARGET_virt-a15 = armv7a-none-eabi
FIRMWARE_CFLAGS_virt-a15 = -mcpu=cortex-a15 -marm -mfloat-abi=soft -mno-unaligned-access
FIRMWARE_SRC_virt-a15 = $(wildcard port/virt-a15/*.[cS]) port/tis/tis.c port/tis/tis_mmio.c
FIRMWARE_LD_virt-a15 = port/virt-a15/board.ld
