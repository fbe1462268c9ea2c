/* SPDX-License-Identifier: MIT */
#include "port/virt-riscv32/board.h"

/* The causes that there are in machine mode; the others are a number. */
static const char *const names[] = {
    [1] = "instruction fetch",
    [2] = "undefined instruction",
    [3] = "breakpoint",
    [4] = "unaligned load",
    [5] = "load",
    [6] = "unaligned store",
    [7] = "store",
};

/* On a stack of its own: the program's may be why. */
_Noreturn void virt_riscv32_fault(uint32_t cause, uint32_t pc, uint32_t to)
{
    const struct port_bare_uart console = virt_riscv32_console();
    port_bare_text(&console, "\nFault: ");
    if (cause < sizeof names / sizeof names[0] && names[cause] != NULL) {
        port_bare_text(&console, names[cause]);
    } else {
        port_bare_hex(&console, cause);
    }
    port_bare_text(&console, " at ");
    port_bare_hex(&console, pc);
    port_bare_text(&console, ", to ");
    port_bare_hex(&console, to);
    if (to < (uintptr_t)virt_riscv32_stack_bottom && (uintptr_t)virt_riscv32_stack_bottom - to <= 0x10000) {
        port_bare_text(&console, ": the stack is too small");
    }
    port_bare_text(&console, "\n");
    virt_riscv32_exit(PORT_BARE_FAULT);
}
