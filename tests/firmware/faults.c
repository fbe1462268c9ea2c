/* SPDX-License-Identifier: MIT */
/* An image that does on purpose what the processor refuses; the emulator's command line says which fault. */
#if __ARM_ARCH_PROFILE == 'M'
#include "port/lm3s6965evb/board.h"
#define BOARD_MAIN lm3s_main
#define SEMIHOSTING "bkpt 0xab"
#define NEVER_DEFINED ".inst.n 0xde00"
#else
#include "port/virt-a15/board.h"
#define BOARD_MAIN virt_a15_main
#define SEMIHOSTING "svc 0x123456"
#define NEVER_DEFINED ".inst 0xe7f000f0"
#endif
#include <string.h>

/* Semihosting's SYS_GET_CMDLINE. */
static void command_line(char *text, size_t size)
{
    const uintptr_t block[2] = {(uintptr_t)text, size};
    register uint32_t operation __asm__("r0") = 0x15;
    register const uintptr_t *parameters __asm__("r1") = block;
    __asm__ volatile(SEMIHOSTING : "+r"(operation) : "r"(parameters) : "memory");
}

/* Until what is never 0 becomes 0. */
static int deeper(volatile uint8_t *above)
{
    volatile uint8_t here[64];
    here[0] = *above;
    return here[0] == 0 ? 0 : deeper(here) + here[0];
}

int BOARD_MAIN(void)
{
    static const uint32_t numbers[2] = {1, 2};
    char what[40] = "";
    command_line(what, sizeof what);
    if (strcmp(what, "fault unaligned") == 0) {
        volatile uintptr_t odd = (uintptr_t)numbers + 1;
        return (int)*(volatile uint32_t *)odd;
    }
    if (strcmp(what, "fault stack") == 0) {
        return deeper((volatile uint8_t *)what);
    }
    if (strcmp(what, "fault instruction") == 0) {
        __asm__ volatile(NEVER_DEFINED);
    }
    return 2;
}
