/* SPDX-License-Identifier: MIT */
#include "port/drive.h"
#include "crypto/bytes/bytes.h"
#include "dps/device/engine.h"
#include "tpm/rc.h"
#include <string.h>

#define RETRY_LAST_MS 20000 /* the last wait of port_tpm_ask: 40 s in all */

void port_drive_trace(struct port *port, unsigned step, enum port_trace_kind kind, const char *what,
                      struct bytes bytes)
{
    if (port->trace.message != NULL) {
        port->trace.message(port->trace.context, step, kind, what, bytes);
    }
}

uint64_t port_drive_now(const struct port *port)
{
    return port->clock.monotonic_ms(port->clock.context);
}

uint32_t port_drive_left(const struct port *port, uint64_t end)
{
    const uint64_t now = port_drive_now(port);
    return now < end ? (uint32_t)(end - now) : 0;
}

/* One exchange, as it is. */
static int exchange(struct port *port, unsigned step, const char *what, struct bytes command,
                    uint8_t *response, size_t capacity, struct bytes *answer, uint32_t timeout_ms)
{
    size_t len = 0;
    port_drive_trace(port, step, PORT_TRACE_TPM_COMMAND, what, command);
    const int error = port->tpm.transact(port->tpm.context, command, response, capacity, &len, timeout_ms);
    *answer = bytes_of(response, error == 0 ? len : 0);
    if (error == 0) {
        port_drive_trace(port, step, PORT_TRACE_TPM_RESPONSE, what, *answer);
    }
    return error;
}

int port_tpm_ask(struct port *port, unsigned step, const char *what, struct bytes command, uint8_t *response,
                 size_t capacity, struct bytes *answer)
{
    int error = 0;
    const uint64_t end = port_drive_now(port) + PORT_TPM_TIMEOUT_MS;
    for (uint32_t wait_ms = 10; error == 0; wait_ms *= 2) {
        error = exchange(port, step, what, command, response, capacity, answer, port_drive_left(port, end));
        struct bytes_reader r = bytes_reader_over(*answer);
        bytes_skip(&r, 6); /* tag and size */
        const uint32_t rc = bytes_read_u32(&r);
        if (r.error != 0 || !tpm2_rc_retry(rc) || wait_ms > RETRY_LAST_MS) {
            break;
        }
        error = port->clock.sleep_ms(port->clock.context, wait_ms);
    }
    return error;
}

static void ask_tpm(struct port_drive *drive, struct dps_device *d)
{
    size_t room;
    struct bytes answer;
    uint8_t *in = dps_device_tpm_in(d, &room);
    const uint64_t begin = port_drive_now(drive->port);
    const int error = exchange(drive->port, dps_device_step(d), dps_device_what(d), dps_device_tpm_command(d),
                               in, room, &answer, PORT_TPM_TIMEOUT_MS);
    drive->tpm_ms += port_drive_now(drive->port) - begin;
    if (error != 0) {
        dps_device_fail(d, error);
    } else {
        dps_device_tpm_response(d, answer);
    }
}

void port_drive_close(struct port_drive *drive)
{
    if (drive->open) {
        drive->port->stream.close(drive->port->stream.context);
        drive->open = false;
    }
}

void port_drive_begin_part(struct port_drive *drive)
{
    const uint64_t end = port_drive_now(drive->port) + PORT_NET_TIMEOUT_MS;
    drive->part_end = end < drive->flow_end ? end : drive->flow_end;
}

static int send_record(struct port_drive *drive, uint32_t timeout_ms)
{
    crypto_tls_engine *engine = crypto_tls_client_engine(&drive->tls);
    struct port_stream *stream = &drive->port->stream;
    size_t len;
    const uint8_t *out = crypto_tls_record_out(engine, &len);
    const int moved = stream->write(stream->context, out, len, timeout_ms);
    if (moved > 0) {
        crypto_tls_record_sent(engine, (size_t)moved);
    }
    return moved;
}

int port_drive_receive_record(struct port_drive *drive, uint32_t timeout_ms)
{
    crypto_tls_engine *engine = crypto_tls_client_engine(&drive->tls);
    struct port_stream *stream = &drive->port->stream;
    size_t len;
    uint8_t *in = crypto_tls_record_in(engine, &len);
    const int moved = len > 0 ? stream->read(stream->context, in, len, timeout_ms) : 0;
    if (moved > 0) {
        crypto_tls_record_received(engine, (size_t)moved);
    }
    return moved;
}

int port_drive_move(struct port_drive *drive, unsigned wanted)
{
    const crypto_tls_engine *engine = crypto_tls_client_engine(&drive->tls);
    for (;;) {
        const unsigned want = crypto_tls_want(engine);
        if (want & CRYPTO_TLS_CLOSED) {
            drive->tls_error = crypto_tls_error(engine);
            return drive->tls_error != 0 ? BYTES_E_TLS : BYTES_E_STREAM;
        }
        const bool out = (want & CRYPTO_TLS_RECORD_OUT) != 0;
        if (!out && (want & wanted)) {
            return 0;
        }
        const uint32_t left = port_drive_left(drive->port, drive->part_end);
        if (left == 0) {
            return BYTES_E_TIMEOUT;
        }
        const int moved = out ? send_record(drive, left) : port_drive_receive_record(drive, left);
        if (moved < 0) {
            return moved;
        }
    }
}

int port_drive_connect(struct port_drive *drive, const char *host, uint16_t port)
{
    struct port *p = drive->port;
    uint8_t entropy[32];
    if (drive->trust == NULL) {
        return BYTES_E_USAGE;
    }
    int error = p->entropy.fill(p->entropy.context, entropy, sizeof entropy);
    port_drive_begin_part(drive);
    if (error == 0) {
        error = p->stream.connect(p->stream.context, host, port, port_drive_left(p, drive->part_end));
    }
    if (error == 0) {
        drive->open = true;
        const uint64_t now = p->clock.unix_seconds(p->clock.context);
        error = crypto_tls_client_start(&drive->tls, drive->trust, host, now, entropy, drive->io,
                                        sizeof drive->io, false);
    }
    bytes_wipe(entropy, sizeof entropy);
    return error != 0 ? error : port_drive_move(drive, CRYPTO_TLS_APP_OUT);
}

/* A connection or a request has failed; the reason may be that the flow's time is over. */
static void give_up(struct port_drive *drive, struct dps_device *d, int error)
{
    if (error == BYTES_E_TIMEOUT && port_drive_left(drive->port, drive->flow_end) == 0) {
        dps_device_late(d);
    } else {
        dps_device_fail(d, error);
    }
}

static void connect_host(struct port_drive *drive, struct dps_device *d)
{
    uint16_t port;
    const char *host = dps_device_host(d, &port);
    port_drive_close(drive);
    const int error = port_drive_connect(drive, host, port);
    if (error != 0) {
        give_up(drive, d, error);
    } else {
        dps_device_connected(d, crypto_tls_client_not_after(&drive->tls));
    }
}

/* Has the service said anything since its last answer, even if only that it closes? Whatever that is, it is not an
 * answer to the next request, and the connection is of no more use [RFC 9112 9.2]. */
static bool spoke_unasked(struct port_drive *drive)
{
    const crypto_tls_engine *engine = crypto_tls_client_engine(&drive->tls);
    int moved = 1;
    while (moved > 0) {
        const bool over = port_drive_left(drive->port, drive->part_end) == 0;
        if (over || (crypto_tls_want(engine) & (CRYPTO_TLS_APP_IN | CRYPTO_TLS_CLOSED)) != 0) {
            return true;
        }
        moved = port_drive_receive_record(drive, 0);
    }
    return moved < 0;
}

static void send_some(struct port_drive *drive, struct dps_device *d)
{
    crypto_tls_engine *engine = crypto_tls_client_engine(&drive->tls);
    size_t room;
    const struct bytes out = dps_device_net_out(d);
    if (d->net_sent == 0) {
        port_drive_begin_part(drive);
    }
    const bool unasked = d->reused && d->net_sent == 0 && spoke_unasked(drive);
    const int error = unasked ? BYTES_E_STREAM : port_drive_move(drive, CRYPTO_TLS_APP_OUT);
    if (error != 0) {
        /* The peer may close an idle connection at any time: the engine decides whether to ask again. */
        if (error == BYTES_E_STREAM && d->reused) {
            port_drive_close(drive);
            d->connected = 0;
        } else {
            give_up(drive, d, error);
        }
        return;
    }
    if (d->net_sent == 0) {
        port_drive_trace(drive->port, dps_device_step(d), PORT_TRACE_HTTP_REQUEST, dps_device_what(d), out);
    }
    uint8_t *app = crypto_tls_app_out(engine, &room);
    const size_t len = out.len < room ? out.len : room;
    memcpy(app, out.p, len);
    crypto_tls_app_sent(engine, len);
    if (len == out.len) {
        crypto_tls_flush(engine);
    }
    dps_device_net_sent(d, len);
}

static void receive_some(struct port_drive *drive, struct dps_device *d)
{
    crypto_tls_engine *engine = crypto_tls_client_engine(&drive->tls);
    size_t room;
    size_t len;
    uint8_t *in = dps_device_net_in(d, &room);
    const int error = port_drive_move(drive, CRYPTO_TLS_APP_IN);
    if (error == BYTES_E_STREAM) {
        const bool orderly = (crypto_tls_want(engine) & CRYPTO_TLS_CLOSED) != 0;
        port_drive_close(drive);
        /* A body that ends with its connection is whole only if TLS was closed properly [RFC 9112 9.8]. */
        if (!orderly && d->net_len > 0) {
            give_up(drive, d, error);
        } else {
            dps_device_net_received(d, 0);
        }
        return;
    }
    if (error != 0) {
        give_up(drive, d, error);
        return;
    }
    const uint8_t *app = crypto_tls_app_in(engine, &len);
    len = len < room ? len : room;
    port_drive_trace(drive->port, dps_device_step(d), PORT_TRACE_HTTP_RESPONSE, dps_device_what(d),
                     bytes_of(app, len));
    memcpy(in, app, len);
    crypto_tls_app_received(engine, len);
    dps_device_net_received(d, len);
}

static void begin(struct port_drive *drive, struct port *port, const struct crypto_trust *trust)
{
    const uint32_t timeout_ms =
        drive->flow_timeout_ms != 0 ? drive->flow_timeout_ms : (uint32_t)PORT_FLOW_TIMEOUT_MS;
    drive->port = port;
    drive->trust = trust;
    drive->open = false;
    drive->tls_error = 0;
    memset(&drive->tls, 0, sizeof drive->tls);
    drive->tpm_ms = 0;
    drive->flow_end = port_drive_now(port) + timeout_ms;
    drive->part_end = drive->flow_end;
}

/* Is the flow's time over, or would it be before a wait has ended? */
static bool is_late(const struct port_drive *drive, const struct dps_device *d)
{
    const uint32_t wait_ms = dps_device_want(d) == DPS_WANT_WAIT ? dps_device_wait_ms(d) : 0;
    return port_drive_left(drive->port, drive->flow_end) <= wait_ms;
}

int port_drive(struct port_drive *drive, struct port *port, const struct crypto_trust *trust,
               struct dps_device *d)
{
    begin(drive, port, trust);
    for (;;) {
        int error = 0;
        if (is_late(drive, d)) {
            dps_device_late(d);
        }
        switch (dps_device_want(d)) {
        case DPS_WANT_TPM:
            ask_tpm(drive, d);
            break;
        case DPS_WANT_CONNECT:
            connect_host(drive, d);
            break;
        case DPS_WANT_SEND:
            send_some(drive, d);
            break;
        case DPS_WANT_RECEIVE:
            receive_some(drive, d);
            break;
        case DPS_WANT_TIME:
            dps_device_time(d, port->clock.unix_seconds(port->clock.context));
            break;
        case DPS_WANT_WAIT:
            error = port->clock.sleep_ms(port->clock.context, dps_device_wait_ms(d));
            if (error == 0) {
                dps_device_waited(d);
            }
            break;
        case DPS_WANT_SAVE:
            error = port->storage.save(port->storage.context, dps_device_record(d));
            if (error == 0) {
                dps_device_saved(d);
            }
            break;
        case DPS_WANT_DONE:
        case DPS_WANT_FAILED:
            port_drive_close(drive);
            crypto_tls_client_wipe(&drive->tls);
            return d->error;
        }
        if (error != 0) {
            dps_device_fail(d, error);
        }
    }
}
