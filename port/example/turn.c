/* SPDX-License-Identifier: MIT */
#include "port/example/turn.h"
#include "dps/device/engine.h"
#include <string.h>

static uint64_t now_ms(const struct example_turn *t)
{
    return t->port->clock.monotonic_ms(t->port->clock.context);
}

static uint32_t left_ms(const struct example_turn *t, uint64_t end)
{
    const uint64_t now = now_ms(t);
    return now < end ? (uint32_t)(end - now) : 0;
}

static void close_stream(struct example_turn *t)
{
    if (t->open) {
        t->port->stream.close(t->port->stream.context);
    }
    t->open = false;
    t->connecting = false;
}

/* ---- What the worker does ---------------------------------------------------------------------------------------- */

static int ask_tpm(struct example_turn *t)
{
    size_t room;
    size_t len;
    struct dps_device *d = t->device;
    const struct port_tpm *tpm = &t->port->tpm;
    uint8_t *in = dps_device_tpm_in(d, &room);
    const int error =
        tpm->transact(tpm->context, dps_device_tpm_command(d), in, room, &len, PORT_TPM_TIMEOUT_MS);
    if (error == 0) {
        dps_device_tpm_response(d, bytes_of(in, len));
    }
    return error;
}

static int connect_host(struct example_turn *t)
{
    uint8_t entropy[32];
    uint16_t number;
    struct port *port = t->port;
    const char *host = dps_device_host(t->device, &number);
    close_stream(t);
    int error = port->entropy.fill(port->entropy.context, entropy, sizeof entropy);
    if (error == 0) {
        error = port->stream.connect(port->stream.context, host, number, left_ms(t, t->part_end));
        t->open = error == 0;
    }
    if (error == 0) {
        const uint64_t date = port->clock.unix_seconds(port->clock.context);
        error = crypto_tls_client_start(&t->tls, t->trust, host, date, entropy, t->io, sizeof t->io, false);
        t->connecting = error == 0;
    }
    bytes_wipe(entropy, sizeof entropy);
    return error;
}

void example_work(struct example_turn *t)
{
    const int error = dps_device_want(t->device) == DPS_WANT_TPM ? ask_tpm(t) : connect_host(t);
    if (error != 0) {
        dps_device_fail(t->device, error);
    }
}

/* ---- What the loop does ------------------------------------------------------------------------------------------ */

/* Move records until TLS wants one of `wanted`. Returns: 0; BYTES_E_MORE if the stream is not ready: t->next. */
static int move_records(struct example_turn *t, unsigned wanted)
{
    crypto_tls_engine *tls = crypto_tls_client_engine(&t->tls);
    const struct port_stream *stream = &t->port->stream;
    for (;;) {
        size_t len;
        int moved;
        const unsigned want = crypto_tls_want(tls);
        if ((want & CRYPTO_TLS_CLOSED) != 0) {
            t->tls_error = crypto_tls_error(tls);
            return t->tls_error != 0 ? BYTES_E_TLS : BYTES_E_STREAM;
        }
        const bool out = (want & CRYPTO_TLS_RECORD_OUT) != 0;
        if (!out && (want & wanted) != 0) {
            return 0;
        }
        /* Absolute: what arrives without end, a byte or an empty record at a time, does not prolong it. */
        if (left_ms(t, t->part_end) == 0) {
            return BYTES_E_TIMEOUT;
        }
        t->next = out ? EXAMPLE_WRITABLE : EXAMPLE_READABLE;
        if (out) {
            const uint8_t *from = crypto_tls_record_out(tls, &len);
            moved = stream->write(stream->context, from, len, 0);
            if (moved > 0) {
                crypto_tls_record_sent(tls, (size_t)moved);
            }
        } else {
            uint8_t *in = crypto_tls_record_in(tls, &len);
            moved = stream->read(stream->context, in, len, 0);
            if (moved > 0) {
                crypto_tls_record_received(tls, (size_t)moved);
            }
        }
        if (moved <= 0) {
            return moved < 0 ? moved : BYTES_E_MORE;
        }
    }
}

/* The peer may close an idle connection at any time. Whatever else it says on one before it was asked is not an answer
 * [RFC 9112 9.2]. Either way a new one is needed. */
static bool is_stale(struct example_turn *t)
{
    return t->device->reused && t->device->net_sent == 0 &&
           move_records(t, CRYPTO_TLS_APP_IN) != BYTES_E_MORE;
}

static int send_some(struct example_turn *t)
{
    struct dps_device *d = t->device;
    crypto_tls_engine *tls = crypto_tls_client_engine(&t->tls);
    const struct bytes out = dps_device_net_out(d);
    size_t room;
    if (is_stale(t)) {
        close_stream(t);
        d->connected = 0;
        return 0;
    }
    const int error = move_records(t, CRYPTO_TLS_APP_OUT);
    if (error != 0) {
        return error;
    }
    uint8_t *app = crypto_tls_app_out(tls, &room);
    const size_t len = out.len < room ? out.len : room;
    memcpy(app, out.p, len);
    crypto_tls_app_sent(tls, len);
    if (len == out.len) {
        crypto_tls_flush(tls);
    }
    dps_device_net_sent(d, len);
    return 0;
}

static int receive_some(struct example_turn *t)
{
    struct dps_device *d = t->device;
    crypto_tls_engine *tls = crypto_tls_client_engine(&t->tls);
    size_t room;
    size_t len;
    uint8_t *in = dps_device_net_in(d, &room);
    const int error = move_records(t, CRYPTO_TLS_APP_IN);
    if (error == BYTES_E_STREAM) {
        const bool orderly = (crypto_tls_want(tls) & CRYPTO_TLS_CLOSED) != 0;
        close_stream(t);
        /* A body that ends with its connection is whole only if TLS was closed properly [RFC 9112 9.8]. */
        if (!orderly && d->net_len > 0) {
            return error;
        }
        dps_device_net_received(d, 0);
        return 0;
    }
    if (error != 0) {
        return error;
    }
    const uint8_t *app = crypto_tls_app_in(tls, &len);
    len = len < room ? len : room;
    memcpy(in, app, len);
    crypto_tls_app_received(tls, len);
    dps_device_net_received(d, len);
    return 0;
}

static int handshake(struct example_turn *t)
{
    const int error = move_records(t, CRYPTO_TLS_APP_OUT);
    if (error == 0) {
        t->connecting = false;
        dps_device_connected(t->device, crypto_tls_client_not_after(&t->tls));
    }
    return error;
}

static int save(struct example_turn *t)
{
    const struct port_storage *storage = &t->port->storage;
    const int error = storage->save(storage->context, dps_device_record(t->device));
    if (error == 0) {
        dps_device_saved(t->device);
    }
    return error;
}

/* BYTES_E_MORE until the time is over. */
static int rest(struct example_turn *t)
{
    t->wait_ms = left_ms(t, t->part_end);
    if (t->wait_ms > 0) {
        t->next = EXAMPLE_LATER;
        return BYTES_E_MORE;
    }
    dps_device_waited(t->device);
    return 0;
}

/* What is wanted now, and until when. A request has one time from its first byte to the end of its answer. */
static enum dps_want look(struct example_turn *t)
{
    if (t->flow_end == 0) {
        t->flow_end = now_ms(t) + PORT_FLOW_TIMEOUT_MS;
    }
    enum dps_want want = dps_device_want(t->device);
    if (left_ms(t, t->flow_end) <= (want == DPS_WANT_WAIT ? dps_device_wait_ms(t->device) : 0)) {
        dps_device_late(t->device);
        want = dps_device_want(t->device);
    }
    if (want == DPS_WANT_WAIT && t->wanted != want) {
        t->part_end = now_ms(t) + dps_device_wait_ms(t->device);
    } else if (want != DPS_WANT_RECEIVE && t->wanted != want) {
        const uint64_t end = now_ms(t) + PORT_NET_TIMEOUT_MS;
        t->part_end = end < t->flow_end ? end : t->flow_end;
    }
    t->wanted = want;
    return want;
}

enum example_next example_turn(struct example_turn *t)
{
    struct dps_device *d = t->device;
    for (;;) {
        int error = 0;
        const enum dps_want want = look(t);
        t->wait_ms = left_ms(t, t->part_end);
        switch (want) {
        case DPS_WANT_TPM:
            return EXAMPLE_WORK;
        case DPS_WANT_CONNECT:
            if (!t->connecting) {
                return EXAMPLE_WORK;
            }
            error = handshake(t);
            break;
        case DPS_WANT_SEND:
            error = send_some(t);
            break;
        case DPS_WANT_RECEIVE:
            error = receive_some(t);
            break;
        case DPS_WANT_TIME:
            dps_device_time(d, t->port->clock.unix_seconds(t->port->clock.context));
            break;
        case DPS_WANT_WAIT:
            error = rest(t);
            break;
        case DPS_WANT_SAVE:
            error = save(t);
            break;
        case DPS_WANT_DONE:
        case DPS_WANT_FAILED:
            close_stream(t);
            crypto_tls_client_wipe(&t->tls);
            bytes_wipe(t->io, sizeof t->io);
            return EXAMPLE_ENDED;
        }
        if (error == BYTES_E_MORE) {
            return t->next;
        }
        if (error == BYTES_E_TIMEOUT && left_ms(t, t->flow_end) == 0) {
            dps_device_late(d);
        } else if (error != 0) {
            dps_device_fail(d, error);
        }
    }
}
