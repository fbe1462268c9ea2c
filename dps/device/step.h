/* SPDX-License-Identifier: MIT */
/* The table of steps: what device.c and ownership.c are written in, and engine.c walks. Internal to dps/device/. */
#ifndef DPS_DEVICE_STEP_H
#define DPS_DEVICE_STEP_H

#include "dps/device/state.h"

enum dps_asks { NOBODY, TPM, SERVICE, HUB, CLOCK, STORAGE };

/* One row: one message and its answer.
 *   build  writes the question. Writing nothing means there is nothing to ask: the row is passed over.
 *   read   reads the answer (a TPM response, an HTTP body; for CLOCK and STORAGE empty) and returns where the flow goes
 *          on, as the functions below give it, or a negative error. Null: the row below. */
struct dps_step {
    uint8_t step;
    uint8_t asks; /* enum dps_asks */
    bool redo;    /* a flow whose handles are lost begins again here; if no row is marked, at the first one */
#if DPS_WITH_STEP_TEXTS
    const char *what;
#endif
    void (*build)(struct dps_device *d, struct bytes_writer *w);
    int (*read)(struct dps_device *d, struct bytes answer);
};

/* clang-format off */
#if DPS_WITH_STEP_TEXTS
#define STEP_ROW(step, asks, redo, what, build, read) {step, asks, redo, what, build, read}
#else
#define STEP_ROW(step, asks, redo, what, build, read) {step, asks, redo, build, read}
#endif
#define STEP(step, asks, what, build, read) STEP_ROW(step, asks, false, what, build, read)
#define REDO(step, asks, what, build, read) STEP_ROW(step, asks, true, what, build, read)
/* clang-format on */

/* Texts of rows that several flows have. */
#define EK_SESSION "a password: a session of which it is the key"
#define SALTED_SESSION "a password: a session, salted to the EK"
#define SALT_EK "a password: the public endorsement key, for the salt"
#define SALT_EK_CREATED "a password: that key, from the TPM's seed"

/* Where the flow goes on, counted in rows from the row below, which is where success leads. */
#define ROW_BELOW 0
#define ROW_AFTER_NEXT 1
#define ROW_AGAIN 255 /* ask the same again, after d->wait_ms */
#define ROW_FIRST 254 /* the flow begins again, when all that was loaded is flushed */

static inline int row_again(struct dps_device *d, uint32_t wait_ms)
{
    d->wait_ms = wait_ms > 0 ? wait_ms : 1;
    return ROW_AGAIN;
}

#endif
