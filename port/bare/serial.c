/* SPDX-License-Identifier: MIT */
#include "port/bare/bare.h"

/* A console that nobody reads must not stop the device. */
#define CONSOLE_PATIENCE 100000
#define DRAIN_MAX 65536

uint64_t port_bare_moment(const struct port_clock *clock, uint32_t timeout_ms, uint64_t latest)
{
    const uint64_t end = clock->monotonic_ms(clock->context) + timeout_ms;
    return end < latest ? end : latest;
}

static bool is_over(const struct port_clock *clock, uint64_t end)
{
    return clock->monotonic_ms(clock->context) >= end;
}

int port_bare_send(const struct port_bare_uart *uart, const struct port_clock *clock, struct bytes bytes,
                   uint64_t end)
{
    for (size_t i = 0; i < bytes.len;) {
        if (uart->put(uart->context, bytes.p[i])) {
            i++;
        } else if (is_over(clock, end)) {
            return BYTES_E_TIMEOUT;
        }
    }
    return 0;
}

int port_bare_receive(const struct port_bare_uart *uart, const struct port_clock *clock, uint8_t *out,
                      size_t len, uint64_t end)
{
    for (size_t i = 0; i < len;) {
        if (uart->get(uart->context, &out[i])) {
            i++;
        } else if (is_over(clock, end)) {
            return BYTES_E_TIMEOUT;
        }
    }
    return 0;
}

void port_bare_drain(const struct port_bare_uart *uart)
{
    uint8_t byte;
    for (unsigned i = 0; i < DRAIN_MAX && uart->get(uart->context, &byte); i++) {
    }
}

static void put(const struct port_bare_uart *console, char c)
{
    for (unsigned i = 0; i < CONSOLE_PATIENCE && !console->put(console->context, (uint8_t)c); i++) {
    }
}

void port_bare_text(const struct port_bare_uart *console, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            put(console, '\r');
        }
        put(console, *text);
    }
}

void port_bare_bytes(const struct port_bare_uart *console, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        const bool printable = text.p[i] >= ' ' && text.p[i] <= '~';
        put(console, printable ? (char)text.p[i] : '?');
    }
}

void port_bare_number(const struct port_bare_uart *console, uint64_t number)
{
    char digits[21] = {0};
    size_t at = sizeof digits - 1;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    port_bare_text(console, digits + at);
}

void port_bare_hex(const struct port_bare_uart *console, uint32_t number)
{
    static const char hex[] = "0123456789abcdef";
    port_bare_text(console, "0x");
    for (int shift = 28; shift >= 0; shift -= 4) {
        put(console, hex[number >> shift & 15]);
    }
}
