# SPDX-License-Identifier: MIT
# The Cortex-M3 board, for tests/firmware/firmware.mk.
FIRMWARE_BOARDS += lm3s6965evb
FIRMWARE_CPU_lm3s6965evb = cortex-m3
FIRMWARE_CFLAGS_lm3s6965evb = -mcpu=cortex-m3 -mthumb -mno-unaligned-access
FIRMWARE_SRC_lm3s6965evb = $(wildcard port/lm3s6965evb/*.c)
FIRMWARE_LD_lm3s6965evb = port/lm3s6965evb/board.ld
