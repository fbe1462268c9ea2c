# SPDX-License-Identifier: MIT
# The 32-bit RISC-V board, for tests/firmware/firmware.mk.
FIRMWARE_BOARDS += virt-riscv32
FIRMWARE_PACKAGES += gcc-riscv64-unknown-elf qemu-system-misc
FIRMWARE_TOOLS_virt-riscv32 = riscv64-unknown-elf-
FIRMWARE_CFLAGS_virt-riscv32 = -march=rv32imac -mabi=ilp32 -mno-relax -msmall-data-limit=0
FIRMWARE_TARGET_virt-riscv32 = riscv32-none-elf
FIRMWARE_SRC_virt-riscv32 = $(wildcard port/virt-riscv32/*.c) port/virt-riscv32/start.S port/tis/tis.c \
                            port/tis/tis_mmio.c
FIRMWARE_LD_virt-riscv32 = port/virt-riscv32/board.ld
