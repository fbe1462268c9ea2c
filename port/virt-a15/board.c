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

/* ---- Flash ------------------------------------------------------------------------------------------------------ */

#define SECTOR_WORDS (256 * 1024 / 4)

struct port_bare_cfi virt_a15_flash(const struct port_clock *clock)
{
    return (struct port_bare_cfi){virt_a15_flash_words, SECTOR_WORDS, clock};
}

/* ---- TPM -------------------------------------------------------------------------------------------------------- */

int virt_a15_tpm(struct port_tis *tis, struct port_tis_mmio *mmio, struct port_tpm *tpm)
{
    mmio->base = virt_a15_tpm_registers;
    *tis = (struct port_tis){.bus = port_tis_mmio_bus(mmio), .clock = virt_a15_clock()};
    *tpm = port_tis_tpm(tis);
    return port_tis_open(tis);
}
