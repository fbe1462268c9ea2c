/* SPDX-License-Identifier: MIT */
#include "crypto/bytes/bytes.h"
#include "port/bare/bare.h"
#include <string.h>

#define HEAD_SIZE 5
/* The modem is never told to wait longer for bytes, however patient the caller is. */
#define WAIT_MAX_MS 10000

enum { CONNECT = 'C', WRITE = 'W', READ = 'R', CLOSE = 'X' };
enum { DONE = 0, NO_CONNECTION = 1, TIMED_OUT = 2 };

/* When question and answer must be over: the caller's time is the modem's, and what crosses the line has its own. */
static uint64_t end_of(const struct port_bare_modem *modem, uint32_t timeout_ms)
{
    return port_bare_moment(modem->clock, timeout_ms, UINT64_MAX) + PORT_BARE_MESSAGE_TIMEOUT_MS;
}

/* The parameters of a question, and the bytes after them. */
static int ask(struct port_bare_modem *modem, uint8_t operation, struct bytes parameters, struct bytes bytes,
               uint64_t end)
{
    uint8_t head[HEAD_SIZE];
    struct bytes_writer w = bytes_writer_over(head, sizeof head);
    const struct bytes parts[] = {{head, sizeof head}, parameters, bytes};
    bytes_write_u8(&w, PORT_BARE_MODEM_MARK);
    bytes_write_u8(&w, ++modem->sequence);
    bytes_write_u8(&w, operation);
    bytes_write_u16(&w, (uint16_t)(parameters.len + bytes.len));
    const uint64_t message_end = port_bare_moment(modem->clock, PORT_BARE_MESSAGE_TIMEOUT_MS, end);
    port_bare_drain(&modem->uart);
    int error = w.error;
    for (size_t i = 0; error == 0 && i < sizeof parts / sizeof parts[0]; i++) {
        error = port_bare_send(&modem->uart, modem->clock, parts[i], message_end);
    }
    return error;
}

/* The answer to an earlier question: it came after the device had given up waiting for it. */
static int skip(struct port_bare_modem *modem, size_t len, uint64_t end)
{
    int error = 0;
    for (uint8_t byte; error == 0 && len > 0; len--) {
        error = port_bare_receive(&modem->uart, modem->clock, &byte, 1, end);
    }
    return error;
}

/* Receive the answer to the last question, whatever comes before it.
 * Returns: 0 and *len; BYTES_E_STREAM, BYTES_E_TIMEOUT as the modem says; BYTES_E_TIMEOUT if there is no modem. */
static int answer(struct port_bare_modem *modem, uint8_t *out, size_t capacity, size_t *len, uint64_t end)
{
    const struct port_clock *clock = modem->clock;
    *len = 0;
    while (clock->monotonic_ms(clock->context) < end) {
        uint8_t head[HEAD_SIZE];
        int error = port_bare_receive(&modem->uart, clock, head, 1, end);
        if (error == 0 && head[0] != PORT_BARE_MODEM_MARK) {
            continue;
        }
        const uint64_t message_end = port_bare_moment(clock, PORT_BARE_MESSAGE_TIMEOUT_MS, end);
        if (error == 0) {
            error = port_bare_receive(&modem->uart, clock, head + 1, sizeof head - 1, message_end);
        }
        const uint8_t status = head[2];
        const size_t size = (size_t)head[3] << 8 | head[4];
        if (error == 0 && head[1] != modem->sequence) {
            error = skip(modem, size, message_end);
            if (error == 0) {
                continue;
            }
        }
        if (error == 0 && size > capacity) {
            error = BYTES_E_STREAM;
        }
        if (error == 0) {
            error = port_bare_receive(&modem->uart, clock, out, size, message_end);
        }
        *len = error == 0 ? size : 0;
        if (error == 0 && status != DONE) {
            error = status == TIMED_OUT ? BYTES_E_TIMEOUT : BYTES_E_STREAM;
        }
        return error;
    }
    return BYTES_E_TIMEOUT;
}

static int modem_connect(void *context, const char *host, uint16_t port, uint32_t timeout_ms)
{
    struct port_bare_modem *modem = context;
    uint8_t parameters[6];
    size_t len;
    struct bytes_writer w = bytes_writer_over(parameters, sizeof parameters);
    bytes_write_u32(&w, timeout_ms);
    bytes_write_u16(&w, port);
    const uint64_t end = end_of(modem, timeout_ms);
    const int error = ask(modem, CONNECT, bytes_written(&w), bytes_of_text(host), end);
    return error != 0 ? error : answer(modem, NULL, 0, &len, end);
}

static int modem_read(void *context, uint8_t *out, size_t capacity, uint32_t timeout_ms)
{
    struct port_bare_modem *modem = context;
    uint8_t parameters[6];
    size_t len = 0;
    struct bytes_writer w = bytes_writer_over(parameters, sizeof parameters);
    const uint32_t wait_ms = timeout_ms < WAIT_MAX_MS ? timeout_ms : WAIT_MAX_MS;
    capacity = capacity < PORT_BARE_MODEM_MAX ? capacity : PORT_BARE_MODEM_MAX;
    bytes_write_u32(&w, wait_ms);
    bytes_write_u16(&w, (uint16_t)capacity);
    const uint64_t end = end_of(modem, wait_ms);
    int error = ask(modem, READ, bytes_written(&w), bytes_of(NULL, 0), end);
    if (error == 0) {
        error = answer(modem, out, capacity, &len, end);
    }
    return error != 0 ? error : (int)len;
}

static int modem_write(void *context, const uint8_t *bytes, size_t len, uint32_t timeout_ms)
{
    struct port_bare_modem *modem = context;
    size_t answer_len;
    len = len < PORT_BARE_MODEM_MAX ? len : PORT_BARE_MODEM_MAX;
    const uint64_t end = end_of(modem, timeout_ms);
    int error = ask(modem, WRITE, bytes_of(NULL, 0), bytes_of(bytes, len), end);
    if (error == 0) {
        error = answer(modem, NULL, 0, &answer_len, end);
    }
    return error != 0 ? error : (int)len;
}

static void modem_close(void *context)
{
    struct port_bare_modem *modem = context;
    size_t len;
    const uint64_t end = end_of(modem, 0);
    if (ask(modem, CLOSE, bytes_of(NULL, 0), bytes_of(NULL, 0), end) == 0) {
        (void)answer(modem, NULL, 0, &len, end);
    }
}

struct port_stream port_bare_modem(struct port_bare_modem *context)
{
    return (struct port_stream){.context = context,
                                .connect = modem_connect,
                                .read = modem_read,
                                .write = modem_write,
                                .close = modem_close};
}
