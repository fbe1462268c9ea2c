/* SPDX-License-Identifier: MIT */
#include "port/link.h"
#include <string.h>

#if DPS_WITH_MQTT

#define HUB_STEP 10
#define RECORDS_MAX 64 /* of a hub that never falls silent, when the time is up */

static void give_up(struct port_drive *drive, struct dps_link *l, int error)
{
    port_drive_close(drive);
    dps_link_fail(l, error);
}

static void connect_hub(struct port_drive *drive, struct dps_link *l)
{
    uint16_t port;
    const char *host = dps_link_host(l, &port);
    const int error = port_drive_connect(drive, host, port);
    if (error != 0) {
        give_up(drive, l, error);
    } else {
        dps_link_connected(l);
    }
}

/* Application bytes that stand decrypted. */
static void take_in(struct port_drive *drive, struct dps_link *l)
{
    crypto_tls_engine *engine = crypto_tls_client_engine(&drive->tls);
    size_t room;
    size_t len;
    uint8_t *in = dps_link_in(l, &room);
    const uint8_t *app = crypto_tls_app_in(engine, &len);
    len = len < room ? len : room;
    memcpy(in, app, len);
    crypto_tls_app_received(engine, len);
    const char *what = dps_link_what(l);
    const size_t packet = dps_link_received(l, len);
    if (packet > 0) {
        port_drive_trace(drive->port, HUB_STEP, PORT_TRACE_MQTT_RECEIVED, what,
                         bytes_of(l->device->net, packet));
    }
}

/* A record that has come while nothing was awaited has to be read first: TLS has one buffer for both directions. */
static void send_some(struct port_drive *drive, struct dps_link *l)
{
    crypto_tls_engine *engine = crypto_tls_client_engine(&drive->tls);
    size_t room;
    port_drive_begin_part(drive);
    int error = port_drive_move(drive, CRYPTO_TLS_APP_OUT | CRYPTO_TLS_APP_IN);
    if (error == 0 && (crypto_tls_want(engine) & CRYPTO_TLS_APP_IN) != 0) {
        take_in(drive, l);
        return;
    }
    const char *what = dps_link_what(l);
    const struct bytes out = dps_link_out(l);
    if (error == 0 && out.len > 0) {
        if (l->out_sent == 0) {
            port_drive_trace(drive->port, HUB_STEP, PORT_TRACE_MQTT_SENT, what, out);
        }
        uint8_t *app = crypto_tls_app_out(engine, &room);
        const size_t len = out.len < room ? out.len : room;
        memcpy(app, out.p, len);
        crypto_tls_app_sent(engine, len);
        crypto_tls_flush(engine);
        error = port_drive_move(drive, CRYPTO_TLS_APP_OUT);
        if (error == 0) {
            dps_link_sent(l, len);
        }
    }
    if (error != 0) {
        give_up(drive, l, error);
    }
}

/* Returns: whether anything came within this time. */
static bool receive_some(struct port_drive *drive, struct dps_link *l, uint32_t wait_ms)
{
    const unsigned want = crypto_tls_want(crypto_tls_client_engine(&drive->tls));
    int moved = 1;
    if ((want & CRYPTO_TLS_APP_IN) != 0) {
        take_in(drive, l);
    } else if ((want & (CRYPTO_TLS_CLOSED | CRYPTO_TLS_RECORD_OUT)) != 0) {
        port_drive_begin_part(drive);
        const int error = port_drive_move(drive, CRYPTO_TLS_APP_IN | CRYPTO_TLS_APP_OUT);
        moved = error != 0 ? error : 1;
    } else {
        moved = port_drive_receive_record(drive, wait_ms);
    }
    if (moved < 0) {
        give_up(drive, l, moved);
    }
    return moved != 0;
}

static uint32_t shorter(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Time is up, or there is news. Bytes that stand decrypted are always taken in: whoever waits for the stream would not
 * be woken by them. */
static bool is_turn_over(struct port_drive *drive, bool news, uint32_t left, unsigned records)
{
    const bool pending = (crypto_tls_want(crypto_tls_client_engine(&drive->tls)) & CRYPTO_TLS_APP_IN) != 0;
    return !pending && (news || (left == 0 && records >= RECORDS_MAX));
}

enum dps_link_want port_link(struct port_drive *drive, struct port *port, const struct crypto_trust *trust,
                             struct dps_link *l, uint32_t wait_ms)
{
    const uint64_t end = port_drive_now(port) + wait_ms;
    enum dps_link_want before = DPS_LINK_READY;
    bool news = false;
    drive->port = port;
    drive->trust = trust;
    drive->flow_end = UINT64_MAX;
    for (unsigned records = 0;; records++) {
        const enum dps_link_want want = dps_link_want(l, port_drive_now(port));
        const uint32_t left = port_drive_left(port, end);
        const uint32_t rest = shorter(left, dps_link_rest_ms(l));
        news = want == DPS_LINK_READY && (news || before != DPS_LINK_READY);
        before = want;
        switch (want) {
        case DPS_LINK_CONNECT:
            port_drive_close(drive);
            connect_hub(drive, l);
            break;
        case DPS_LINK_SEND:
            send_some(drive, l);
            break;
        case DPS_LINK_READY:
        case DPS_LINK_RECEIVE:
            if (is_turn_over(drive, news, left, records) || (!receive_some(drive, l, rest) && left == 0)) {
                return want;
            }
            break;
        case DPS_LINK_WAIT:
            port_drive_close(drive);
            if (left == 0 || port->clock.sleep_ms(port->clock.context, rest) != 0) {
                return want;
            }
            break;
        case DPS_LINK_ARRIVED:
            return want;
        default:
            port_drive_close(drive);
            crypto_tls_client_wipe(&drive->tls);
            return want;
        }
    }
}

#endif
