/* SPDX-License-Identifier: MIT */
/* One boot of a board: what it does in which order, and when it tries again. What it prints is in narrate.c. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/protocol/mqtt_connect.h"
#include "port/bare/narrate.h"
#include "tpm/rc.h"

#define WAIT_FIRST_MS 1000
#define WAIT_DOUBLINGS 6

static void traced(void *context, unsigned step, enum port_trace_kind kind, const char *what,
                   struct bytes bytes)
{
    struct port_bare_run *run = context;
    (void)bytes;
    /* What goes into the TPM or out to the network. Not reported: random bytes, start-up and clean-up. */
    const bool asked = kind == PORT_TRACE_TPM_COMMAND || kind == PORT_TRACE_HTTP_REQUEST;
    if ((asked && step != 0 && !run->device.closing) || kind == PORT_TRACE_MQTT_SENT) {
        port_bare_narrate_step(run, step, what);
    }
}

/* The board's clock, or else the last Date that was received and the milliseconds since then. */
static uint64_t unix_seconds(void *context)
{
    const struct port_bare_run *run = context;
    const struct port_clock *clock = &run->board->clock;
    const uint64_t now = clock->unix_seconds(clock->context);
    if (now != 0 || run->date == 0) {
        return now;
    }
    return run->date + (clock->monotonic_ms(clock->context) - run->date_ms) / 1000;
}

static uint64_t monotonic_ms(void *context)
{
    const struct port_bare_run *run = context;
    return run->board->clock.monotonic_ms(run->board->clock.context);
}

static int sleep_ms(void *context, uint32_t ms)
{
    const struct port_bare_run *run = context;
    return run->board->clock.sleep_ms(run->board->clock.context, ms);
}

static void set_up(struct port_bare_run *run, const struct port_bare_board *board)
{
    bytes_wipe(run, sizeof *run);
    run->board = board;
    run->port.tpm = board->tpm;
    run->port.stream = board->stream;
    run->port.storage = board->storage;
    run->port.clock = (struct port_clock){run, unix_seconds, monotonic_ms, sleep_ms};
    run->port.trace = (struct port_trace){run, traced};
    run->port.entropy = port_bare_entropy(&run->entropy, &run->port, board->personality);
}

/* Run the flow that has begun, and keep the date and what else it brings. */
static int drive(struct port_bare_run *run, int begun)
{
    int error = begun;
    if (error == 0) {
        error = port_drive(&run->drive, &run->port, &run->trust, &run->device);
        run->tpm_commands += run->device.tpm_commands;
        run->http_requests += run->device.http_requests;
        run->connections += run->device.connections;
        run->tpm_ms += run->drive.tpm_ms;
    }
    if (run->device.server_date != 0) {
        run->date = run->device.server_date;
        run->date_ms = monotonic_ms(run);
    }
    return error;
}

/* Random bytes for a new flow. The flow before has ended, so a failure here must not be reported at a step of it. */
static int fresh_seed(struct port_bare_run *run, uint8_t seed[32])
{
    dps_device_wipe(&run->device);
    return run->port.entropy.fill(run->port.entropy.context, seed, 32);
}

static int register_device(struct port_bare_run *run)
{
    uint8_t seed[32];
    int error = fresh_seed(run, seed);
    if (error == 0) {
        error = drive(run, dps_device_register(&run->device, &run->board->config, seed));
    }
    bytes_wipe(seed, sizeof seed);
    run->connack = 0;
    if (error == 0) {
        run->registered = true;
        port_bare_narrate_registered(run);
    }
    return error;
}

/* TLS is not in use yet, so its buffer holds the record meanwhile. */
int port_bare_kept(struct port_bare_run *run, port_bare_beginning *begin)
{
    uint8_t seed[32];
    size_t len;
    const struct port_storage *storage = &run->port.storage;
    int error = storage->load(storage->context, run->drive.io, sizeof run->drive.io, &len);
    if (error == 0) {
        error = fresh_seed(run, seed);
    }
    if (error == 0) {
        error = drive(run, begin(&run->device, &run->board->config, seed, bytes_of(run->drive.io, len)));
    }
    bytes_wipe(seed, sizeof seed);
    return error;
}

static int send_message(struct port_bare_run *run)
{
    run->doing = NULL;
    return run->board->send != NULL ? run->board->send(run) : port_bare_kept(run, dps_device_send);
}

/* The record is of no use any more: the TPM does not load its key (it has been cleared, or is another one), or the
 * hub does not know it. A registration makes a new one. */
static bool record_is_dead(const struct port_bare_run *run, int error)
{
    const uint16_t status = run->device.http_status;
    switch (error) {
    case BYTES_E_NOT_FOUND:
    case BYTES_E_STATE:
        return true;
    case BYTES_E_TPM_RC:
        return !tpm2_rc_retry(run->device.rc);
    case BYTES_E_HTTP:
        return status == 401 || status == 403 || status == 404;
    case BYTES_E_REFUSED:
        return run->connack == DPS_MQTT_REFUSED_PASSWORD || run->connack == DPS_MQTT_REFUSED_UNAUTHORIZED;
    default:
        return false;
    }
}

static int boot(struct port_bare_run *run)
{
    int error = send_message(run);
    if (record_is_dead(run, error) && !run->registered) {
        port_bare_narrate_record(run, error);
        error = register_device(run);
        if (error == 0) {
            error = send_message(run);
        }
    }
    return error;
}

/* This device cannot help it, but the same attempt may succeed later. */
static bool passes(const struct port_bare_run *run, int error)
{
    const uint16_t status = run->device.http_status;
    switch (error) {
    case BYTES_E_STREAM:
    case BYTES_E_TIMEOUT:
    case BYTES_E_TPM_TRANSPORT:
    case BYTES_E_ENTROPY:
    case BYTES_E_CLOCK:
        return true;
    case BYTES_E_TPM_RC:
        return tpm2_rc_retry(run->device.rc);
    case BYTES_E_HTTP:
        return status == 429 || status >= 500;
    case BYTES_E_REFUSED:
        return run->connack == DPS_MQTT_REFUSED_UNAVAILABLE;
    default:
        return false;
    }
}

/* Longer each time, and not in step with the other boards that the same event has hit. */
static void back_off(struct port_bare_run *run, unsigned attempt)
{
    uint8_t jitter[2];
    crypto_drbg_generate(&run->entropy.drbg, jitter, sizeof jitter);
    const uint32_t base = (uint32_t)WAIT_FIRST_MS << (attempt < WAIT_DOUBLINGS ? attempt : WAIT_DOUBLINGS);
    const uint32_t ms = base + base / 256 * jitter[0] / 2;
    port_bare_narrate_wait(run, ms);
    (void)sleep_ms(run, ms);
}

int port_bare_run(struct port_bare_run *run, const struct port_bare_board *board)
{
    set_up(run, board);
    port_bare_narrate_begin(run);
    int error = crypto_trust_load(&run->trust, board->trust_pem);
    if (error != 0) {
        return port_bare_narrate_trust(run);
    }
    int status = 0;
    for (unsigned attempt = 0;; attempt++) {
        dps_device_wipe(&run->device);
        error = port_bare_tpm_startup(&run->port, &run->device.rc);
        if (error == 0) {
            error = boot(run);
        }
        if (error == 0) {
            port_bare_narrate_end(run);
            break;
        }
        status = port_bare_narrate_error(run, error);
        if (!passes(run, error) || attempt + 1 == PORT_BARE_ATTEMPTS) {
            break;
        }
        back_off(run, attempt);
    }
    dps_device_wipe(&run->device);
    bytes_wipe(run->drive.io, sizeof run->drive.io);
    bytes_wipe(&run->entropy.drbg, sizeof run->entropy.drbg);
    return error == 0 ? 0 : status;
}
