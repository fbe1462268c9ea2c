/* SPDX-License-Identifier: MIT */
/* From reset to lm3s_main, and what happens when the processor gives up.
 *
 * The main program's stack is at the very bottom of RAM, so that an overflow faults instead of overwriting variables
 * (by itself on the chip; QEMU needs the memory protection unit for that). Exceptions have a stack of their own, so
 * that such a fault can still be reported. */
#include "port/lm3s6965evb/board.h"
#include <string.h>

#define CFSR LM3S_REGISTER(0xe000ed28)
#define HFSR LM3S_REGISTER(0xe000ed2c)
#define BFAR LM3S_REGISTER(0xe000ed38)
#define CCR LM3S_REGISTER(0xe000ed14)
#define AIRCR LM3S_REGISTER(0xe000ed0c)
#define MPU_CTRL LM3S_REGISTER(0xe000ed94)
#define MPU_BASE LM3S_REGISTER(0xe000ed9c)
#define MPU_ATTR LM3S_REGISTER(0xe000eda0)
#define MPU_BASE_VALID 0x10U
#define MPU_ATTR_32_KB_NO_ACCESS (14U << 1 | 1U)
#define GUARD 0x1fff8000U /* the 32 KiB before RAM */
#define MPU_CTRL_ON_WITH_DEFAULT_MAP 5U
#define FRAME_PC 6
#define BKPT 0xbe00
#define BKPT_MASK 0xff00
#define CCR_UNALIGN_TRP (1U << 3)
#define CCR_DIV_0_TRP (1U << 4)
#define AIRCR_RESET 0x05fa0004

#define RESET_AFTER_MS 300000

extern uint8_t lm3s_data_load[], lm3s_data_begin[], lm3s_data_end[], lm3s_bss_begin[], lm3s_bss_end[];
extern uint8_t lm3s_handler_stack_top[];

void lm3s_reset(void);
void lm3s_prepare(void);
_Noreturn void lm3s_run(void);
void lm3s_fault(void);
void lm3s_fault_report(uint32_t *frame);
void lm3s_tick(void);

/* Exceptions 0 to 15; no interrupt of the chip is used. */
struct vectors {
    const void *stack;
    void (*handlers[15])(void);
};
__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    lm3s_handler_stack_top,
    {lm3s_reset, lm3s_fault, lm3s_fault, lm3s_fault, lm3s_fault, lm3s_fault, NULL, NULL, NULL, NULL,
     lm3s_fault, lm3s_fault, NULL, lm3s_fault, lm3s_tick},
};

/* As numbers: to C, two symbols of the linker script are two objects. */
static size_t between(const uint8_t *begin, const uint8_t *end)
{
    return (uintptr_t)end - (uintptr_t)begin;
}

/* On the handlers' stack, since the main program's is being filled. */
void lm3s_prepare(void)
{
    memcpy(lm3s_data_begin, lm3s_data_load, between(lm3s_data_begin, lm3s_data_end));
    memset(lm3s_bss_begin, 0, between(lm3s_bss_begin, lm3s_bss_end));
    memset(lm3s_stack_bottom, PORT_BARE_STACK_FILL, between(lm3s_stack_bottom, lm3s_stack_top));
    CCR |= CCR_UNALIGN_TRP | CCR_DIV_0_TRP;
    MPU_BASE = GUARD | MPU_BASE_VALID;
    MPU_ATTR = MPU_ATTR_32_KB_NO_ACCESS;
    MPU_CTRL = MPU_CTRL_ON_WITH_DEFAULT_MAP;
    __asm__ volatile("dsb\nisb");
}

/* Semihosting's SYS_EXIT_EXTENDED. */
static void tell_debugger(int status)
{
    const uint32_t block[2] = {0x20026, (uint32_t)status};
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t *parameters __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(parameters) : "memory");
}

static _Noreturn void end_program(int status)
{
    const struct port_clock clock = lm3s_clock();
    tell_debugger(status);
    (void)clock.sleep_ms(clock.context, RESET_AFTER_MS);
    AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

_Noreturn void lm3s_run(void)
{
    lm3s_clock_start();
    lm3s_uart_start();
    end_program(lm3s_main());
}

/* Prepare memory, then go on with the main program's stack (PSP). */
__attribute__((naked, noreturn)) void lm3s_reset(void)
{
    __asm__("bl lm3s_prepare\n"
            "ldr r0, =lm3s_stack_top\n"
            "msr psp, r0\n"
            "movs r0, #2\n"
            "msr control, r0\n"
            "isb\n"
            "b lm3s_run\n");
}

/* Bit 2 of the link register says on which stack the registers of the moment of the fault are. */
__attribute__((naked)) void lm3s_fault(void)
{
    __asm__("tst lr, #4\n"
            "ite eq\n"
            "mrseq r0, msp\n"
            "mrsne r0, psp\n"
            "b lm3s_fault_report\n");
}

void lm3s_fault_report(uint32_t *frame)
{
    static const char *const names[] = {"r0", "r1", "r2", "r3", "r12", "lr", "pc", "psr"};
    const bool fits = (uintptr_t)frame >= (uintptr_t)lm3s_stack_bottom;
    if (fits && (*(const uint16_t *)(uintptr_t)frame[FRAME_PC] & BKPT_MASK) == BKPT) {
        /* A breakpoint that no debugger takes, end_program's: continue after it. */
        HFSR = HFSR;
        frame[FRAME_PC] += 2;
        return;
    }
    const struct port_bare_uart console = lm3s_uart(LM3S_UART_CONSOLE);
    port_bare_text(&console, "\nFault: CFSR ");
    port_bare_hex(&console, CFSR);
    port_bare_text(&console, " HFSR ");
    port_bare_hex(&console, HFSR);
    port_bare_text(&console, " BFAR ");
    port_bare_hex(&console, BFAR);
    if (!fits) {
        port_bare_text(&console, ": the stack is too small\n");
        end_program(PORT_BARE_FAULT);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        port_bare_text(&console, i % 4 == 0 ? "\n" : " ");
        port_bare_text(&console, names[i]);
        port_bare_text(&console, " ");
        port_bare_hex(&console, frame[i]);
    }
    port_bare_text(&console, "\n");
    end_program(PORT_BARE_FAULT);
}
