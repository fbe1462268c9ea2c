/* SPDX-License-Identifier: MIT */
/* Walks a table of steps. It knows how messages travel and when to try again, and nothing of the protocol.
 *
 * The invariant: while the flow runs, the message of row `row` stands built in tpm or net, unless a wait comes first;
 * once `closing` is set, tpm holds the FlushContext of the first handle in `loaded`, until there is none. Then the flow
 * has ended, or, if `restarting` is set, begins again. */
#include "dps/device/engine.h"
#include "dps/device/draw.h"
#include "dps/device/headers.h"
#include "dps/device/restart.h"
#include "dps/device/session.h"
#include "dps/device/step.h"
#include "dps/protocol/http_message.h"
#include "tpm/command.h"
#include "tpm/rc.h"
#include <string.h>

#define TPM_ATTEMPTS_MAX 12  /* RETRY, TESTING, ...: waits of 10, 20, 40 ... ms, 40 s in all */
#define FLUSH_ATTEMPTS_MAX 8 /* of all that is flushed at the end: 2.5 s in all, after what the flow took */

static const struct dps_step *row_of(const struct dps_device *d)
{
    return &d->flow[d->row];
}

/* The first handle that is loaded, or null. */
static uint32_t *first_loaded(struct dps_device *d)
{
    for (size_t i = 0; i < DPS_LOADED_COUNT; i++) {
        if (d->loaded[i] != 0) {
            return &d->loaded[i];
        }
    }
    return NULL;
}

/* If something is loaded, ask the TPM to flush it. */
static void build_flush(struct dps_device *d)
{
    struct bytes_writer w = bytes_writer_over(d->tpm, sizeof d->tpm);
    const uint32_t *handle = first_loaded(d);
    if (handle != NULL) {
        tpm2_flush_context_build(&w, *handle);
    }
    d->tpm_len = (uint16_t)w.len;
}

/* The first handle was flushed, or cannot be. */
static void flush_next(struct dps_device *d)
{
    uint32_t *handle = first_loaded(d);
    if (handle != NULL) {
        *handle = 0;
    }
    build_flush(d);
}

static void close_flow(struct dps_device *d)
{
    d->closing = true;
    d->wait_ms = 0;
    d->attempts = 0;
    bytes_wipe(d->inner_key, sizeof d->inner_key);
    bytes_wipe(d->tpm, sizeof d->tpm); /* a command that was never answered */
    bytes_wipe(&d->session, sizeof d->session);
    bytes_wipe(&d->policy, sizeof d->policy);
    d->unprotected = false;
    d->guard.code = 0; /* a response to what was flushed has none */
    build_flush(d);
}

static void fail(struct dps_device *d, int error)
{
    /* A flow that has reached its end has not failed if only a flush goes wrong. */
    const bool done = d->closing && !d->restarting;
    if (d->error == 0 && !done) {
        d->error = error;
        d->failed_row = d->row;
    }
    d->restarting = false;
    dps_draw_end(d); /* nothing begins again */
    if (!d->closing) {
        close_flow(d);
    }
}

/* Build the current row's message. Returns false if the row has nothing to ask. */
static bool build(struct dps_device *d)
{
    const struct dps_step *row = row_of(d);
    const bool tpm = row->asks == TPM;
    struct bytes_writer w =
        tpm ? bytes_writer_over(d->tpm, sizeof d->tpm) : bytes_writer_over(d->net, sizeof d->net);
    if (row->build == NULL) {
        return true;
    }
    d->session_ends = false;
    row->build(d, &w);
    if (tpm && w.error == 0 && w.len > 0) {
        d->unprotected = true;
    }
    if (w.error != 0) {
        fail(d, w.error);
        return true;
    }
    if (tpm) {
        d->tpm_len = (uint16_t)w.len;
    } else {
        d->net_len = (uint16_t)w.len;
        d->net_sent = 0;
        d->answering = false;
    }
    return w.len > 0;
}

/* What a row has built becomes what is sent. Done last of all, from the functions that the driver calls: it needs more
 * stack than anything else. */
static void protect(struct dps_device *d)
{
    struct bytes_writer w = bytes_writer_over(d->tpm, sizeof d->tpm);
    struct bytes_reader r = bytes_reader_over(bytes_of(d->tpm, d->tpm_len));
    if (!d->unprotected) {
        return;
    }
    d->unprotected = false;
    w.len = d->tpm_len;
    bytes_skip(&r, 10); /* tag, size, command code */
    d->asked_handle = bytes_read_u32(&r);
    dps_session_protect(d, &w);
    d->tpm_len = (uint16_t)w.len;
    if (w.error != 0) {
        fail(d, w.error);
    }
}

/* Go to a row: the next one that has something to ask. */
static void enter(struct dps_device *d, int row)
{
    for (;; row++) {
        const struct dps_step *next = &d->flow[row];
        if (next->asks == NOBODY || next->step > d->last_step) {
            dps_draw_end(d);
            close_flow(d);
            return;
        }
        d->row = (uint8_t)row;
        if (d->wait_ms > 0 || build(d)) {
            return;
        }
    }
}

/* The rows above this one are not repeated: everything that is ever loaded is loaded from this row on. */
static int row_to_begin_again(const struct dps_device *d)
{
    int row = 0;
    while (!d->flow[row].redo && d->flow[row].asks != NOBODY) {
        row++;
    }
    return d->flow[row].redo ? row : 0;
}

/* Called when all that was loaded is flushed: a flow that was to begin again begins. */
static void restart_when_flushed(struct dps_device *d)
{
    if (d->restarting && d->tpm_len == 0) {
        d->restarting = false;
        d->closing = false;
        d->wait_ms = 0;
        d->attempts = 0;
        enter(d, row_to_begin_again(d));
    }
}

static void restart(struct dps_device *d)
{
    d->restarting = true;
    d->ek_handle = d->srk_handle = 0;
    d->rc = 0;
    close_flow(d);
    restart_when_flushed(d);
}

/* An answer has been read: on to the row that its reader names. */
static void answered(struct dps_device *d, struct bytes answer)
{
    const int next = row_of(d)->read == NULL ? ROW_BELOW : row_of(d)->read(d, answer);
    if (row_of(d)->asks == TPM) {
        /* Authorizations went out in it, and the inner key may have come back. */
        bytes_wipe(d->tpm, sizeof d->tpm);
    }
    const bool lost = next == BYTES_E_TPM_RC && d->row >= row_to_begin_again(d) && dps_restart_is_due(d);
    if (lost || next == ROW_FIRST) {
        restart(d);
        return;
    }
    if (next < 0) {
        fail(d, next);
        return;
    }
    if (next == ROW_AGAIN) {
        enter(d, d->row);
        return;
    }
    d->attempts = 0;
    enter(d, d->row + 1 + next);
}

void dps_engine_prepare(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32],
                        const struct dps_step *flow)
{
    memset(d, 0, sizeof *d);
    d->config = config;
    d->flow = flow;
    d->last_step = UINT8_MAX;
    memcpy(d->seed, seed, sizeof d->seed);
    if (config->ek_name.len == sizeof d->ek_expected) {
        memcpy(d->ek_expected, config->ek_name.p, sizeof d->ek_expected);
        d->ek_is_expected = true;
    }
}

int dps_engine_start(struct dps_device *d)
{
    enter(d, 0);
    protect(d);
    return d->error;
}

/* ---- The public face --------------------------------------------------------------------------------------------- */

enum dps_want dps_device_want(const struct dps_device *d)
{
    if (d->closing) {
        if (d->tpm_len > 0) {
            return d->wait_ms > 0 ? DPS_WANT_WAIT : DPS_WANT_TPM;
        }
        return d->error != 0 ? DPS_WANT_FAILED : DPS_WANT_DONE;
    }
    if (d->wait_ms > 0) {
        return DPS_WANT_WAIT;
    }
    switch (row_of(d)->asks) {
    case TPM:
        return DPS_WANT_TPM;
    case CLOCK:
        return DPS_WANT_TIME;
    case STORAGE:
        return DPS_WANT_SAVE;
    default:
        if (d->connected != row_of(d)->asks) {
            return DPS_WANT_CONNECT;
        }
        return d->answering ? DPS_WANT_RECEIVE : DPS_WANT_SEND;
    }
}

struct bytes dps_device_tpm_command(const struct dps_device *d)
{
    return bytes_of(d->tpm, dps_device_want(d) == DPS_WANT_TPM ? d->tpm_len : 0);
}

uint8_t *dps_device_tpm_in(struct dps_device *d, size_t *room)
{
    *room = sizeof d->tpm;
    return d->tpm;
}

/* The TPM cannot do it now, but says that it will: ask the same again (in a session with a new nonce), less and less
 * often. */
static bool try_later(struct dps_device *d, struct bytes response)
{
    struct bytes_reader r = bytes_reader_over(response);
    bytes_skip(&r, 6); /* tag and size */
    const uint32_t rc = bytes_read_u32(&r);
    const unsigned limit = d->closing ? FLUSH_ATTEMPTS_MAX : TPM_ATTEMPTS_MAX;
    if (r.error != 0 || !tpm2_rc_retry(rc) || d->attempts >= limit) {
        return false;
    }
    d->wait_ms = UINT32_C(10) << d->attempts++;
    return true;
}

void dps_device_tpm_response(struct dps_device *d, struct bytes response)
{
    if (dps_device_want(d) != DPS_WANT_TPM) {
        return;
    }
    d->tpm_commands++;
    if (d->closing) {
        /* Whatever else the TPM answers, this handle is done with. */
        if (try_later(d, response)) {
            build_flush(d);
        } else {
            flush_next(d);
        }
        restart_when_flushed(d);
        protect(d);
        return;
    }
    if (try_later(d, response)) {
        return;
    }
    const int error = dps_session_open(d, &response);
    if (error != 0) {
        bytes_wipe(d->tpm, sizeof d->tpm);
        fail(d, error);
    } else {
        answered(d, response);
    }
    protect(d);
}

const char *dps_device_host(const struct dps_device *d, uint16_t *port)
{
    const bool hub = row_of(d)->asks == HUB;
    *port = hub ? d->config->hub_port : d->config->service_port;
    return hub ? d->assigned_hub : d->config->service_host;
}

void dps_device_connected(struct dps_device *d, uint64_t date_max)
{
    if (dps_device_want(d) == DPS_WANT_CONNECT) {
        d->date_max = date_max;
        d->connected = row_of(d)->asks;
        d->reused = false;
        d->net_sent = 0; /* what went out on a connection that has died is not part of this one */
        d->connections++;
    }
}

struct bytes dps_device_net_out(const struct dps_device *d)
{
    if (dps_device_want(d) != DPS_WANT_SEND) {
        return bytes_of(NULL, 0);
    }
    return bytes_of(d->net + d->net_sent, (size_t)d->net_len - d->net_sent);
}

void dps_device_net_sent(struct dps_device *d, size_t len)
{
    if (dps_device_want(d) != DPS_WANT_SEND || len > (size_t)d->net_len - d->net_sent) {
        return;
    }
    d->net_sent = (uint16_t)(d->net_sent + len);
    if (d->net_sent == d->net_len) {
        d->answering = true;
        d->net_len = 0;
        dps_http_init(&d->http, DPS_HTTP_RESPONSE);
    }
}

uint8_t *dps_device_net_in(struct dps_device *d, size_t *room)
{
    *room = dps_device_want(d) == DPS_WANT_RECEIVE ? sizeof d->net - d->net_len : 0;
    return d->net + d->net_len;
}

static void http_answered(struct dps_device *d)
{
    const struct bytes body = dps_http_body(&d->http, d->net);
    d->http_requests++;
    d->http_status = d->http.status;
    d->reused = true;
    if (!d->http.keep_alive) {
        d->connected = NOBODY;
    }
    dps_headers_keep(d);
    if (dps_headers_ask_again(d)) {
        return;
    }
    d->attempts = 0;
    answered(d, body);
}

void dps_device_net_received(struct dps_device *d, size_t len)
{
    if (dps_device_want(d) != DPS_WANT_RECEIVE || len > sizeof d->net - d->net_len) {
        return;
    }
    size_t have = (size_t)d->net_len + len;
    const bool nothing_yet = have == 0;
    const int error = dps_http_advance(&d->http, d->net, &have, sizeof d->net, len == 0);
    d->net_len = (uint16_t)have;
    if (len == 0) {
        d->connected = NOBODY;
        if (nothing_yet && d->reused) {
            /* An idle connection may be closed at any time [RFC 9112 9.6]: ask again on a new one. */
            (void)build(d);
            return;
        }
    }
    if (error == 0) {
        http_answered(d);
    } else if (error != BYTES_E_MORE) {
        fail(d, len == 0 ? BYTES_E_STREAM : error);
    }
    protect(d);
}

void dps_device_time(struct dps_device *d, uint64_t unix_seconds)
{
    if (dps_device_want(d) == DPS_WANT_TIME) {
        d->now = unix_seconds != 0 ? unix_seconds : d->server_date;
        answered(d, bytes_of(NULL, 0));
        protect(d);
    }
}

uint32_t dps_device_wait_ms(const struct dps_device *d)
{
    return d->wait_ms;
}

void dps_device_waited(struct dps_device *d)
{
    if (dps_device_want(d) == DPS_WANT_WAIT) {
        d->wait_ms = 0;
        if (!d->closing) {
            enter(d, d->row);
            protect(d);
        }
    }
}

struct bytes dps_device_record(const struct dps_device *d)
{
    return bytes_of(d->net, dps_device_want(d) == DPS_WANT_SAVE ? d->net_len : 0);
}

void dps_device_saved(struct dps_device *d)
{
    if (dps_device_want(d) == DPS_WANT_SAVE) {
        answered(d, bytes_of(NULL, 0));
        protect(d);
    }
}

void dps_device_fail(struct dps_device *d, int error)
{
    const bool asked_tpm = dps_device_want(d) == DPS_WANT_TPM;
    const bool flushing = d->closing;
    fail(d, error);
    d->wait_ms = 0;
    if (asked_tpm && error == BYTES_E_TIMEOUT) {
        /* It would be silent again. A TPM whose transport broke off may be reachable again for the flushes. */
        memset(d->loaded, 0, sizeof d->loaded);
    }
    if (asked_tpm && flushing) {
        flush_next(d);
    } else if (asked_tpm) {
        build_flush(d);
    }
}

void dps_device_late(struct dps_device *d)
{
    if (!d->closing) {
        d->late = true;
        fail(d, BYTES_E_TIMEOUT);
    }
}

static const struct dps_step *row_shown(const struct dps_device *d)
{
    return &d->flow[d->error != 0 ? d->failed_row : d->row];
}

bool dps_device_asks_network(const struct dps_device *d)
{
    return d->flow != NULL && (row_shown(d)->asks == SERVICE || row_shown(d)->asks == HUB);
}

unsigned dps_device_step(const struct dps_device *d)
{
    return row_shown(d)->step;
}

#if DPS_WITH_STEP_TEXTS
const char *dps_device_what(const struct dps_device *d)
{
    return d->closing && d->tpm_len > 0 ? "to forget what was loaded" : row_shown(d)->what;
}
#else
const char *dps_device_what(const struct dps_device *d)
{
    (void)d;
    return "";
}
#endif

void dps_device_wipe(struct dps_device *d)
{
    bytes_wipe(d, sizeof *d);
}
