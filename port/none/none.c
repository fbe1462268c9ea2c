/* SPDX-License-Identifier: MIT */
#include "port/none/none.h"

static int tpm_transact(void *context, struct bytes command, uint8_t *response, size_t capacity,
                        size_t *response_len, uint32_t timeout_ms)
{
    (void)context, (void)command, (void)response, (void)capacity, (void)timeout_ms;
    *response_len = 0;
    return BYTES_E_NOT_PROVIDED;
}

static int stream_connect(void *context, const char *host, uint16_t port, uint32_t timeout_ms)
{
    (void)context, (void)host, (void)port, (void)timeout_ms;
    return BYTES_E_NOT_PROVIDED;
}

static int stream_read(void *context, uint8_t *out, size_t capacity, uint32_t timeout_ms)
{
    (void)context, (void)out, (void)capacity, (void)timeout_ms;
    return BYTES_E_NOT_PROVIDED;
}

static int stream_write(void *context, const uint8_t *bytes, size_t len, uint32_t timeout_ms)
{
    (void)context, (void)bytes, (void)len, (void)timeout_ms;
    return BYTES_E_NOT_PROVIDED;
}

static void stream_close(void *context)
{
    (void)context;
}

static uint64_t unix_seconds(void *context)
{
    (void)context;
    return 0;
}

static uint64_t monotonic_ms(void *context)
{
    (void)context;
    return 0;
}

static int sleep_ms(void *context, uint32_t ms)
{
    (void)context, (void)ms;
    return BYTES_E_NOT_PROVIDED;
}

static int storage_load(void *context, uint8_t *record, size_t capacity, size_t *len)
{
    (void)context, (void)record, (void)capacity;
    *len = 0;
    return BYTES_E_NOT_PROVIDED;
}

static int storage_save(void *context, struct bytes record)
{
    (void)context, (void)record;
    return BYTES_E_NOT_PROVIDED;
}

static int entropy_fill(void *context, uint8_t *out, size_t len)
{
    (void)context, (void)out, (void)len;
    return BYTES_E_NOT_PROVIDED;
}

struct port port_none(void)
{
    return (struct port){
        .tpm = {.transact = tpm_transact},
        .stream = {.connect = stream_connect,
                   .read = stream_read,
                   .write = stream_write,
                   .close = stream_close},
        .clock = {.unix_seconds = unix_seconds, .monotonic_ms = monotonic_ms, .sleep_ms = sleep_ms},
        .storage = {.load = storage_load, .save = storage_save},
        .entropy = {.fill = entropy_fill},
    };
}
