/* SPDX-License-Identifier: MIT */
/* An image that does on purpose what the processor refuses; the emulator's command line says which fault. The board's
 * faults.h, which the compiler is told to include, says how this processor does it:
 *   FAULTS_MAIN                           the program's name on this board
 *   FAULTS_SEMIHOSTING                    the instruction by which the debugger is asked, and its two registers:
 *   FAULTS_OPERATION, FAULTS_PARAMETERS
 *   FAULTS_UNDEFINED                      an instruction that will never exist */
#include <stdint.h>
#include <string.h>

/* Semihosting's SYS_GET_CMDLINE. */
static void command_line(char *text, size_t size)
{
    const uintptr_t block[2] = {(uintptr_t)text, size};
    register uint32_t operation __asm__(FAULTS_OPERATION) = 0x15;
    register const uintptr_t *parameters __asm__(FAULTS_PARAMETERS) = block;
    __asm__ volatile(FAULTS_SEMIHOSTING : "+r"(operation) : "r"(parameters) : "memory");
}

/* Until what is never 0 becomes 0. */
static int deeper(volatile uint8_t *above)
{
    volatile uint8_t here[64];
    here[0] = *above;
    return here[0] == 0 ? 0 : deeper(here) + here[0];
}

int FAULTS_MAIN(void)
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
        __asm__ volatile(FAULTS_UNDEFINED);
    }
    return 2;
}
