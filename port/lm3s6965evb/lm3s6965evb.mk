# SPDX-License-Identifier: MIT
# The Cortex-M3 board, for tests/firmware/firmware.mk.
FIRMWARE_BOARDS += lm3s6965evb
FIRMWARE_PACKAGES += gcc-arm-none-eabi qemu-system-arm
FIRMWARE_TOOLS_lm3s6965evb = arm-none-eabi-
FIRMWARE_TARGET_lm3s6965evb = thumbv7m-none-eabi
FIRMWARE_CFLAGS_lm3s6965evb = -mcpu=cortex-m3 -mthumb -mno-unaligned-access
FIRMWARE_SRC_lm3s6965evb = $(wildcard port/lm3s6965evb/*.c)
FIRMWARE_LD_lm3s6965evb = port/lm3s6965evb/board.ld
