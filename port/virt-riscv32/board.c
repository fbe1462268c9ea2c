/* SPDX-License-Identifier: MIT */
#include "port/virt-riscv32/board.h"

/* The board's memory-mapped hardware, by the names in board.ld. */
extern volatile uint8_t virt_riscv32_uart_registers[], virt_riscv32_tpm_registers[];
extern volatile uint32_t virt_riscv32_time[], virt_riscv32_flash_words[];

/* ---- Serial line: 16550 ------------------------------------------------------------------------------------------ */

#define DATA 0
#define FIFO_CONTROL 2
#define FIFO_ON 0x01
#define LINE_CONTROL 3
#define LINE_8N1 0x03
#define LINE_STATUS 5
#define STATUS_RECEIVED 0x01
#define STATUS_ROOM 0x20

static bool uart_put(void *context, uint8_t byte)
{
    (void)context;
    if (!(virt_riscv32_uart_registers[LINE_STATUS] & STATUS_ROOM)) {
        return false;
    }
    virt_riscv32_uart_registers[DATA] = byte;
    return true;
}

static bool uart_get(void *context, uint8_t *byte)
{
    (void)context;
    if (!(virt_riscv32_uart_registers[LINE_STATUS] & STATUS_RECEIVED)) {
        return false;
    }
    *byte = virt_riscv32_uart_registers[DATA];
    return true;
}

struct port_bare_uart virt_riscv32_uart(void)
{
    virt_riscv32_uart_registers[LINE_CONTROL] = LINE_8N1;
    virt_riscv32_uart_registers[FIFO_CONTROL] = FIFO_ON;
    return (struct port_bare_uart){.put = uart_put, .get = uart_get};
}

/* ---- Console: semihosting ---------------------------------------------------------------------------------------- */

#define SYS_WRITEC 0x03

static bool console_put(void *context, uint8_t byte)
{
    (void)context;
    (void)virt_riscv32_semihosting(SYS_WRITEC, &byte);
    return true;
}

static bool console_get(void *context, uint8_t *byte)
{
    (void)context, (void)byte;
    return false;
}

struct port_bare_uart virt_riscv32_console(void)
{
    return (struct port_bare_uart){.put = console_put, .get = console_get};
}

/* ---- Clock ------------------------------------------------------------------------------------------------------- */

#define TICKS_PER_MS 10000

static uint64_t unix_seconds(void *context)
{
    (void)context;
    return 0;
}

/* The counter's halves are two registers: read again if the lower one has overflowed in between. */
uint64_t virt_riscv32_ticks(void)
{
    uint32_t high, low;
    do {
        high = virt_riscv32_time[1];
        low = virt_riscv32_time[0];
    } while (virt_riscv32_time[1] != high);
    return (uint64_t)high << 32 | low;
}

static uint64_t monotonic_ms(void *context)
{
    (void)context;
    return virt_riscv32_ticks() / TICKS_PER_MS;
}

static int sleep_ms(void *context, uint32_t ms)
{
    const uint64_t begin = monotonic_ms(context);
    while (monotonic_ms(context) - begin < ms) {
    }
    return 0;
}

struct port_clock virt_riscv32_clock(void)
{
    return (struct port_clock){
        .unix_seconds = unix_seconds, .monotonic_ms = monotonic_ms, .sleep_ms = sleep_ms};
}

/* ---- Flash and TPM ----------------------------------------------------------------------------------------------- */

#define SECTOR_WORDS (256 * 1024 / 4)

struct port_bare_cfi virt_riscv32_flash(const struct port_clock *clock)
{
    return (struct port_bare_cfi){virt_riscv32_flash_words, SECTOR_WORDS, clock};
}

int virt_riscv32_tpm(struct port_tis *tis, struct port_tis_mmio *mmio, struct port_tpm *tpm)
{
    mmio->base = virt_riscv32_tpm_registers;
    *tis = (struct port_tis){.bus = port_tis_mmio_bus(mmio), .clock = virt_riscv32_clock()};
    *tpm = port_tis_tpm(tis);
    return port_tis_open(tis);
}
