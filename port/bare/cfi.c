/* SPDX-License-Identifier: MIT */
#include "port/bare/bare.h"

/* Two 16-bit chips side by side, with Intel's commands. */
#define BOTH(command) ((command)*UINT32_C(0x00010001)) /* each chip its half of the word */
#define ERASE BOTH(0x20)
#define ERASE_CONFIRM BOTH(0xD0)
#define PROGRAM BOTH(0x40)
#define CLEAR_STATUS BOTH(0x50)
#define READ_ARRAY BOTH(0xFF)
#define STATUS_READY BOTH(0x80)
#define STATUS_ERRORS BOTH(0x3A) /* erase, program, voltage, lock */
#define ERASE_TIMEOUT_MS 4000

/* After a command the chips answer reads with their status. */
static int wait_ready(const struct port_bare_cfi *cfi, const volatile uint32_t *word)
{
    const struct port_clock *clock = cfi->clock;
    const uint64_t end = port_bare_moment(clock, ERASE_TIMEOUT_MS, UINT64_MAX);
    uint32_t status;
    do {
        status = *word;
        if (clock->monotonic_ms(clock->context) > end) {
            return BYTES_E_FILE;
        }
    } while ((status & STATUS_READY) != STATUS_READY);
    return status & STATUS_ERRORS ? BYTES_E_FILE : 0;
}

static int read_slot(void *context, unsigned slot, uint8_t bytes[PORT_BARE_SLOT_SIZE])
{
    const struct port_bare_cfi *cfi = context;
    volatile uint32_t *sector = cfi->words + (size_t)slot * cfi->sector_words;
    *sector = READ_ARRAY;
    for (size_t i = 0; i < PORT_BARE_SLOT_SIZE; i++) {
        bytes[i] = (uint8_t)(sector[i / 4] >> (i % 4 * 8));
    }
    return 0;
}

static int write_slot(void *context, unsigned slot, const uint8_t bytes[PORT_BARE_SLOT_SIZE])
{
    const struct port_bare_cfi *cfi = context;
    volatile uint32_t *sector = cfi->words + (size_t)slot * cfi->sector_words;
    *sector = CLEAR_STATUS;
    *sector = ERASE;
    *sector = ERASE_CONFIRM;
    int error = wait_ready(cfi, sector);
    for (size_t i = 0; i < PORT_BARE_SLOT_SIZE / 4 && error == 0; i++) {
        sector[i] = PROGRAM;
        sector[i] = bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 | (uint32_t)bytes[4 * i + 2] << 16 |
                    (uint32_t)bytes[4 * i + 3] << 24;
        error = wait_ready(cfi, &sector[i]);
    }
    *sector = READ_ARRAY;
    return error;
}

struct port_bare_flash port_bare_cfi(struct port_bare_cfi *cfi)
{
    return (struct port_bare_flash){.context = cfi, .read = read_slot, .write = write_slot};
}
