/* SPDX-License-Identifier: MIT */
/* Run one test in a simulated AVR: print what it prints, end as it ends (tests/cross/avr/console.c).
 * Usage: run FILE.elf */
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdbool.h>
#include <stdio.h>

/* An ATmega2560's registers GPIOR0 and GPIOR1. */
#define CONSOLE 0x3E
#define STATUS 0x4A

struct test {
    bool ended;
    uint8_t status;
};

static void on_console(avr_t *avr, avr_io_addr_t address, uint8_t value, void *context)
{
    (void)avr;
    (void)address;
    (void)context;
    putchar(value);
}

static void on_status(avr_t *avr, avr_io_addr_t address, uint8_t value, void *context)
{
    struct test *test = context;
    (void)avr;
    (void)address;
    test->ended = true;
    test->status = value;
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware = {0};
    struct test test = {0};
    avr_t *avr = avr_make_mcu_by_name("atmega2560");
    if (argc != 2 || avr == NULL || elf_read_firmware(argv[1], &firmware) != 0) {
        fprintf(stderr, "run: cannot load %s\n", argc == 2 ? argv[1] : "nothing");
        return 2;
    }
    avr->ramend =
        0xFFFF; /* as much as an AVR can address: the chip has 8 KiB, and constants are in RAM, too */
    avr_init(avr);
    avr_load_firmware(avr, &firmware);
    avr_register_io_write(avr, CONSOLE, on_console, NULL);
    avr_register_io_write(avr, STATUS, on_status, &test);
    int state = cpu_Running;
    while (!test.ended && state != cpu_Done && state != cpu_Crashed) {
        state = avr_run(avr);
    }
    return test.ended ? test.status : 2;
}
