/* SPDX-License-Identifier: MIT */
/* What a test needs besides main on an AVR: what it prints goes byte by byte into a register that tests/cross/avr/run.c
 * watches, and so does its exit status. */
#include <avr/io.h>
#include <avr/sleep.h>
#include <stdio.h>
#include <stdlib.h>

static int put(char c, FILE *file)
{
    (void)file;
    GPIOR0 = (uint8_t)c;
    return 0;
}

__attribute__((constructor)) static void open_console(void)
{
    static FILE console = FDEV_SETUP_STREAM(put, NULL, _FDEV_SETUP_WRITE);
    stdout = &console;
}

/* In place of avr-libc's, which loops for ever. */
void exit(int status)
{
    GPIOR1 = (uint8_t)status;
    for (;;) {
        sleep_mode();
    }
}
