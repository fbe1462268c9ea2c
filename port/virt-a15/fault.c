/* SPDX-License-Identifier: MIT */
#include "port/virt-a15/board.h"

static const char *const names[] = {"undefined instruction", "instruction fetch", "data access"};

/* On a stack of its own: the program's may be why. */
_Noreturn void virt_a15_fault(unsigned kind, uint32_t address)
{
    const struct port_bare_uart console = virt_a15_uart(0);
    port_bare_text(&console, "\nFault: ");
    port_bare_text(&console, names[kind]);
    port_bare_text(&console, " at ");
    port_bare_hex(&console, address);
    if (kind == 2) {
        const uint32_t to = virt_a15_fault_address();
        port_bare_text(&console, ", to ");
        port_bare_hex(&console, to);
        port_bare_text(&console, ", status ");
        port_bare_hex(&console, virt_a15_fault_status());
        if (to < (uintptr_t)virt_a15_stack_bottom && (uintptr_t)virt_a15_stack_bottom - to <= 0x100000) {
            port_bare_text(&console, ": the stack is too small");
        }
    }
    port_bare_text(&console, "\n");
    virt_a15_exit(PORT_BARE_FAULT);
}
