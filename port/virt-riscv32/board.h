/* SPDX-License-Identifier: MIT */
/* The hardware of QEMU's RISC-V board "virt" with a 32-bit processor: one 16550 serial line, the timer of its CLINT,
 * NOR flash, and a TPM with memory-mapped registers on its platform bus. Addresses are those of the device tree. */
#ifndef PORT_VIRT_RISCV32_BOARD_H
#define PORT_VIRT_RISCV32_BOARD_H

#include "port/bare/bare.h"
#include "port/tis/tis.h"
#include "port/tis/tis_mmio.h"

/* ---- board.c ---------------------------------------------------------------------------------------------------- */

/* The board's only serial line leads to the modem; so the console is the debugger's, by semihosting, and only put is of
 * use. */
struct port_bare_uart virt_riscv32_uart(void);
struct port_bare_uart virt_riscv32_console(void);

/* Milliseconds since power-on; there is no calendar here. Waiting cannot be interrupted. */
struct port_clock virt_riscv32_clock(void);
uint64_t virt_riscv32_ticks(void);

/* The second flash. */
struct port_bare_cfi virt_riscv32_flash(const struct port_clock *clock);

/* The TPM: look for it and describe it. tis and mmio must not move.
 * Returns: 0; the errors of port_tis_open. */
int virt_riscv32_tpm(struct port_tis *tis, struct port_tis_mmio *mmio, struct port_tpm *tpm);

/* ---- start.S ---------------------------------------------------------------------------------------------------- */

/* The stack, from the linker script. */
extern uint8_t virt_riscv32_stack_bottom[], virt_riscv32_stack_top[];
/* The program, called with memory and faults set up. What it returns is virt_riscv32_exit's. */
int virt_riscv32_main(void);
/* In fault.c, called by start.S: say so, exit. cause, pc, to: the processor's mcause, mepc and mtval. */
_Noreturn void virt_riscv32_fault(uint32_t cause, uint32_t pc, uint32_t to);
/* Ask the debugger or emulator [RISC-V Semihosting]. */
uint32_t virt_riscv32_semihosting(uint32_t operation, const void *parameters);
/* End the emulator with this exit status. */
_Noreturn void virt_riscv32_exit(int status);

#endif
