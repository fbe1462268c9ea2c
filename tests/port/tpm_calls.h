/* SPDX-License-Identifier: MIT */
/* What the tests of the TPM transports share. */
#ifndef TESTS_PORT_TPM_CALLS_H
#define TESTS_PORT_TPM_CALLS_H

#include "port/posix/posix.h"
#include "tests/port/support.h"

#define TPM_CALL_TIMEOUT_MS 120000

/* The sentence of the last tpm_call_open that failed; empty after one that did not. */
extern char tpm_call_why[512];
int tpm_call_open(struct posix_tpm *t, const char *name);

/* TPM2_GetRandom of 8 bytes; the second with time and room (up to 64 bytes) to spare.
 * Returns: 0; the error of transact or of parsing; BYTES_E_USAGE if transact left a length beside an error. */
int tpm_call_random_within(struct posix_tpm *t, uint32_t timeout_ms, size_t capacity);
int tpm_call_random(struct posix_tpm *t);

/* "KIND:127.0.0.1:PORT". Valid until the next call. */
const char *tpm_call_name(const char *kind, uint16_t port);

/* Two neighbouring listeners, as the simulator has them: the TPM's port and the platform's. */
int tpm_call_listen_pair(uint16_t *port, int *tpm, int *platform);
/* What the platform port answers to "power on" and "NV on". */
#define TPM_CALL_PLATFORM_STEPS 2
extern const struct support_step tpm_call_platform[TPM_CALL_PLATFORM_STEPS];

#endif
