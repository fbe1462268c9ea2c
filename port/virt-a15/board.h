/* SPDX-License-Identifier: MIT */
/* The hardware of QEMU's board "virt,secure=on" with a Cortex-A15: two PL011 serial lines, the generic timer, NOR
 * flash, and a TPM with memory-mapped registers. Addresses are those of the board's device tree. */
#ifndef PORT_VIRT_A15_BOARD_H
#define PORT_VIRT_A15_BOARD_H

#include "port/bare/bare.h"
#include "port/tis/tis.h"
#include "port/tis/tis_mmio.h"

/* ---- board.c ---------------------------------------------------------------------------------------------------- */

/* Switch a line on (the board ignores its speed) and describe it: 0 the console, 1 the modem. */
struct port_bare_uart virt_a15_uart(unsigned number);

/* Milliseconds since power-on; there is no calendar. Waiting cannot be interrupted. */
struct port_clock virt_a15_clock(void);

/* The second flash. */
struct port_bare_cfi virt_a15_flash(const struct port_clock *clock);

/* The TPM: look for it and describe it. tis and mmio must not move.
 * Returns: 0; the errors of port_tis_open. */
int virt_a15_tpm(struct port_tis *tis, struct port_tis_mmio *mmio, struct port_tpm *tpm);

/* ---- counter.S -------------------------------------------------------------------------------------------------- */

/* The generic timer's counter, and how often it counts in a second. */
uint64_t virt_a15_counter(void);
uint32_t virt_a15_counter_frequency(void);

/* ---- start.S ---------------------------------------------------------------------------------------------------- */

/* The stack, from the linker script. */
extern uint8_t virt_a15_stack_bottom[], virt_a15_stack_top[];
/* The program, called with memory and faults set up. What it returns is virt_a15_exit's. */
int virt_a15_main(void);
/* In fault.c, called by start.S: say so, exit. kind: 0 undefined instruction, 1 instruction fetch, 2 data access. */
_Noreturn void virt_a15_fault(unsigned kind, uint32_t address);
/* What the processor says about a data access that failed: DFSR and DFAR. */
uint32_t virt_a15_fault_status(void);
uint32_t virt_a15_fault_address(void);
/* End the emulator with this exit status. */
_Noreturn void virt_a15_exit(int status);

#endif
