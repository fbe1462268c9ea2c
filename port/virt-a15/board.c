/* SPDX-License-Identifier: MIT */
#include "port/virt-a15/board.h"

/* The board's memory-mapped hardware, by the names in board.ld. */
struct pl011 {
    volatile uint32_t data;
    uint32_t unused_1[5];
    volatile uint32_t flags;
    uint32_t unused_2[4];
    volatile uint32_t line_control;
    volatile uint32_t control;
};
extern struct pl011 virt_a15_uart_0, virt_a15_uart_1;
extern volatile uint32_t virt_a15_flash_words[];
extern volatile uint8_t virt_a15_tpm_registers[];

/* ---- PL011 ------------------------------------------------------------------------------------------------------ */

#define FLAG_RX_EMPTY 0x10
#define FLAG_TX_FULL 0x20
#define LINE_FIFO_8_BITS 0x70
#define CONTROL_ON 0x301 /* the line, its transmitter, its receiver */

static bool uart_put(void *context, uint8_t byte)
{
    struct pl011 *uart = context;
    if (uart->flags & FLAG_TX_FULL) {
        return false;
    }
    uart->data = byte;
    return true;
}

static bool uart_get(void *context, uint8_t *byte)
{
    struct pl011 *uart = context;
    if (uart->flags & FLAG_RX_EMPTY) {
        return false;
    }
    *byte = (uint8_t)uart->data;
    return true;
}

struct port_bare_uart virt_a15_uart(unsigned number)
{
    struct pl011 *uart = number == 0 ? &virt_a15_uart_0 : &virt_a15_uart_1;
    uart->line_control = LINE_FIFO_8_BITS;
    uart->control = CONTROL_ON;
    return (struct port_bare_uart){.context = uart, .put = uart_put, .get = uart_get};
}

/* ---- Clock ------------------------------------------------------------------------------------------------------ */

static uint64_t unix_seconds(void *context)
{
    (void)context;
    return 0;
}

/* 64 bits at 62.5 MHz, counted in milliseconds: the product overflows after nine years. */
static uint64_t monotonic_ms(void *context)
{
    (void)context;
    return virt_a15_counter() * 1000 / virt_a15_counter_frequency();
}

static int sleep_ms(void *context, uint32_t ms)
{
    const uint64_t begin = monotonic_ms(context);
    while (monotonic_ms(context) - begin < ms) {
    }
    return 0;
}

struct port_clock virt_a15_clock(void)
{
    return (struct port_clock){
        .unix_seconds = unix_seconds, .monotonic_ms = monotonic_ms, .sleep_ms = sleep_ms};
}

/* ---- Flash: two 16-bit chips side by side, with Intel's commands ------------------------------------------------ */

#define SECTOR_WORDS (256 * 1024 / 4)
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
static int flash_wait(volatile uint32_t *word)
{
    const uint64_t begin = monotonic_ms(NULL);
    uint32_t status;
    do {
        status = *word;
        if (monotonic_ms(NULL) - begin > ERASE_TIMEOUT_MS) {
            return BYTES_E_FILE;
        }
    } while ((status & STATUS_READY) != STATUS_READY);
    return status & STATUS_ERRORS ? BYTES_E_FILE : 0;
}

static int flash_read(void *context, unsigned slot, uint8_t bytes[PORT_BARE_SLOT_SIZE])
{
    volatile uint32_t *sector = virt_a15_flash_words + (size_t)slot * SECTOR_WORDS;
    (void)context;
    *sector = READ_ARRAY;
    for (size_t i = 0; i < PORT_BARE_SLOT_SIZE; i++) {
        bytes[i] = (uint8_t)(sector[i / 4] >> (i % 4 * 8));
    }
    return 0;
}

static int flash_write(void *context, unsigned slot, const uint8_t bytes[PORT_BARE_SLOT_SIZE])
{
    volatile uint32_t *sector = virt_a15_flash_words + (size_t)slot * SECTOR_WORDS;
    (void)context;
    *sector = CLEAR_STATUS;
    *sector = ERASE;
    *sector = ERASE_CONFIRM;
    int error = flash_wait(sector);
    for (size_t i = 0; i < PORT_BARE_SLOT_SIZE / 4 && error == 0; i++) {
        sector[i] = PROGRAM;
        sector[i] = bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 | (uint32_t)bytes[4 * i + 2] << 16 |
                    (uint32_t)bytes[4 * i + 3] << 24;
        error = flash_wait(&sector[i]);
    }
    *sector = READ_ARRAY;
    return error;
}

struct port_bare_flash virt_a15_flash(void)
{
    return (struct port_bare_flash){.read = flash_read, .write = flash_write};
}

/* ---- TPM -------------------------------------------------------------------------------------------------------- */

int virt_a15_tpm(struct port_tis *tis, struct port_tis_mmio *mmio, struct port_tpm *tpm)
{
    mmio->base = virt_a15_tpm_registers;
    *tis = (struct port_tis){.bus = port_tis_mmio_bus(mmio), .clock = virt_a15_clock()};
    *tpm = port_tis_tpm(tis);
    return port_tis_open(tis);
}
