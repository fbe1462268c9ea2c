/* SPDX-License-Identifier: MIT */
/* The device side as a sans-I/O engine: it says what it wants next, the driver supplies it (port/drive.c is the whole
 * blocking driver). It draws no randomness, reads no clock and touches no socket, so it runs in a loop, in an event
 * loop, on bare metal, and in a test that splits every message.
 *
 * One run: dps_device_register or another beginning of device.h or ownership.h, then until DPS_WANT_DONE or
 * DPS_WANT_FAILED:
 *
 *   dps_device_want     the driver then calls
 *   DPS_WANT_TPM        dps_device_tpm_command, has the TPM execute it, dps_device_tpm_response
 *   DPS_WANT_CONNECT    dps_device_host, connects there (TLS included; closes what was open), dps_device_connected
 *   DPS_WANT_SEND       dps_device_net_out, sends some or all of it, dps_device_net_sent
 *   DPS_WANT_RECEIVE    dps_device_net_in, receives some bytes, dps_device_net_received (0 bytes: the peer closed)
 *   DPS_WANT_TIME       dps_device_time
 *   DPS_WANT_WAIT       dps_device_wait_ms, waits, dps_device_waited
 *   DPS_WANT_SAVE       dps_device_record, keeps it durably, dps_device_saved
 *
 * The engine fails once: the first error is kept, and before FAILED it still wants the TPM commands that flush every
 * session and object it has loaded. A TPM that has forgotten what was loaded (it was reset, or someone else flushed it)
 * is not a failure the first time: the flow begins again with its keys; likewise with a persistent SRK that has an
 * authValue, and if another registration of the same device came first.
 * Answers that do not fit what was wanted are ignored. */
#ifndef DPS_DEVICE_ENGINE_H
#define DPS_DEVICE_ENGINE_H

#include "dps/device/state.h"

enum dps_want {
    DPS_WANT_TPM,
    DPS_WANT_CONNECT,
    DPS_WANT_SEND,
    DPS_WANT_RECEIVE,
    DPS_WANT_TIME,
    DPS_WANT_WAIT,
    DPS_WANT_SAVE,
    DPS_WANT_DONE,
    DPS_WANT_FAILED
};

/* What the engine wants now: computed from its data, never stored. */
enum dps_want dps_device_want(const struct dps_device *d);

struct bytes dps_device_tpm_command(const struct dps_device *d);
/* A buffer of DPS_TPM_BUFFER bytes that the response may be received into: the engine's own, where the command
 * stands. */
uint8_t *dps_device_tpm_in(struct dps_device *d, size_t *room);
void dps_device_tpm_response(struct dps_device *d, struct bytes response);
const char *dps_device_host(const struct dps_device *d, uint16_t *port);
/* date_max: when the certificate of that host ends (crypto_tls_client_not_after); a Date beyond it is not believed.
 * 0: not known. */
void dps_device_connected(struct dps_device *d, uint64_t date_max);
struct bytes dps_device_net_out(const struct dps_device *d);
void dps_device_net_sent(struct dps_device *d, size_t len);
uint8_t *dps_device_net_in(struct dps_device *d, size_t *room);
void dps_device_net_received(struct dps_device *d, size_t len);
/* unix_seconds 0: this device has no clock; the service's Date header is used instead, unless it lies before
 * CRYPTO_TLS_TIME_FLOOR or after date_max: BYTES_E_CLOCK. */
void dps_device_time(struct dps_device *d, uint64_t unix_seconds);
uint32_t dps_device_wait_ms(const struct dps_device *d);
void dps_device_waited(struct dps_device *d);
struct bytes dps_device_record(const struct dps_device *d);
void dps_device_saved(struct dps_device *d);

/* The driver could not do what was wanted (TPM gone, connection refused, nothing saved): give up with its error. What
 * is loaded is still flushed, once for each handle, even after the transport broke off; but not if the TPM did not
 * answer in time (BYTES_E_TIMEOUT): it would not answer the flush either. A flow that only has to flush does not fail
 * by this. */
void dps_device_fail(struct dps_device *d, int error);

/* The run has taken longer than its driver allows: it fails with BYTES_E_TIMEOUT and d->late, and what is loaded is
 * flushed. A flow that only has to flush goes on. */
void dps_device_late(struct dps_device *d);

/* Where the engine is: the step of the flow (1..10) and what is asked for there, for traces and errors (an
 * empty text without DPS_WITH_STEP_TEXTS). After a failure: where it failed. */
unsigned dps_device_step(const struct dps_device *d);
const char *dps_device_what(const struct dps_device *d);
/* Likewise: does it ask the service or the hub there, and not the TPM? False before a flow has begun. */
bool dps_device_asks_network(const struct dps_device *d);

/* Wipe everything. */
void dps_device_wipe(struct dps_device *d);

/* Begin a flow: walk this table (dps/device/step.h). In two steps, since the first row depends on what is set in
 * between. start returns as the beginnings of a run do. */
void dps_engine_prepare(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32],
                        const struct dps_step *flow);
int dps_engine_start(struct dps_device *d);

#endif
