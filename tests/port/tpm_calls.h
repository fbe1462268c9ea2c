/* SPDX-License-Identifier: MIT */
/* What the tests with a TPM share. */
#ifndef TESTS_PORT_TPM_CALLS_H
#define TESTS_PORT_TPM_CALLS_H

#include "dps/protocol/limits.h"
#include "port/posix/posix.h"
#include "tests/port/support.h"
#include "tpm/public.h"

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

/* A character device whose driver is a process: a pseudo-terminal in raw mode. It is one as long as slave is open.
 * Returns: the driver's end, or -1. */
int tpm_call_terminal(char *path, size_t path_size, int *slave);

/* ---- Commands, one after the other, to one TPM ---- */

extern struct tpm_call {
    struct posix_tpm tpm;
    uint8_t buffer[2048]; /* the command, and then the response */
    size_t answer_len;
    uint32_t rc; /* for the parsers */
} tpm_call;

struct bytes_writer tpm_call_begin(void);
int tpm_call_send(const struct bytes_writer *w);
struct bytes tpm_call_answer(void);

struct tpm_call_key {
    uint32_t handle;
    uint8_t bytes[DPS_EK_PUBLIC_MAX];
    size_t len;
    struct tpm2_public area; /* views bytes */
    uint8_t name[TPM2_NAME_SIZE];
};
int tpm_call_make(struct tpm_call_key *key, uint32_t hierarchy, struct tpm2_public area,
                  struct bytes password);
int tpm_call_flush(uint32_t handle);

#endif
