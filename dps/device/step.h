/* SPDX-License-Identifier: MIT */
/* The table of steps: what device.c and ownership.c are written in, and engine.c walks. Internal to dps/. */
#ifndef DPS_DEVICE_STEP_H
#define DPS_DEVICE_STEP_H

#include "dps/device/device.h"

enum dps_asks { NOBODY, TPM, SERVICE, HUB, CLOCK, STORAGE };

/* One row: one message and its answer.
 *   build  writes the question. Writing nothing means there is nothing to ask: the row is passed over.
 *   read   reads the answer (a TPM response, an HTTP body; for CLOCK and STORAGE empty) and returns where the flow goes
 *          on, as the functions below give it, or a negative error. Null: the row below. */
struct dps_step {
    uint8_t step;
    uint8_t asks; /* enum dps_asks */
#if DPS_WITH_STEP_TEXTS
    const char *what;
#endif
    void (*build)(struct dps_device *d, struct bytes_writer *w);
    int (*read)(struct dps_device *d, struct bytes answer);
};

/* clang-format off */
#if DPS_WITH_STEP_TEXTS
#define STEP(step, asks, what, build, read) {step, asks, what, build, read}
#else
#define STEP(step, asks, what, build, read) {step, asks, build, read}
#endif
/* clang-format on */

/* Where the flow goes on, in rows from the one below, which is where success leads. */
#define ROW_BELOW 0
#define ROW_AFTER_NEXT 1
#define ROW_AGAIN 255 /* ask the same again, after d->wait_ms */

static inline int row_again(struct dps_device *d, uint32_t wait_ms)
{
    d->wait_ms = wait_ms > 0 ? wait_ms : 1;
    return ROW_AGAIN;
}

/* Prepare a flow, set what its first row depends on, and start it. */
void dps_engine_prepare(struct dps_device *d, const struct dps_device_config *config, const uint8_t nonce[32],
                        const struct dps_step *flow);
int dps_engine_start(struct dps_device *d);
static inline int dps_engine_begin(struct dps_device *d, const struct dps_device_config *config,
                                   const uint8_t nonce[32], const struct dps_step *flow)
{
    dps_engine_prepare(d, config, nonce, flow);
    return dps_engine_start(d);
}

/* Copy text into a zero-terminated field. Returns: 0; BYTES_E_LIMIT; BYTES_E_FORMAT for an embedded zero. */
int dps_keep_text(char *field, size_t size, struct bytes text);

/* The authorizations in force: those configured, those that this run has set, or none after TPM2_Clear. */
struct bytes dps_owner_auth(const struct dps_device *d);
struct bytes dps_endorsement_auth(const struct dps_device *d);

/* What an error answer of a service or a hub says, for the user. */
void dps_keep_service_error(struct dps_device *d, struct bytes body);

/* Rows that several flows share; they stand in device.c in the order of the steps. */
void dps_build_read_ek(struct dps_device *d, struct bytes_writer *w);
int dps_read_ek(struct dps_device *d, struct bytes answer);
void dps_build_create_ek(struct dps_device *d, struct bytes_writer *w);
int dps_read_created_ek(struct dps_device *d, struct bytes answer);
void dps_build_read_srk(struct dps_device *d, struct bytes_writer *w);
int dps_read_srk(struct dps_device *d, struct bytes answer);
void dps_build_create_srk(struct dps_device *d, struct bytes_writer *w);
int dps_read_created_srk(struct dps_device *d, struct bytes answer);
int dps_read_loaded_key(struct dps_device *d, struct bytes answer);

#endif
