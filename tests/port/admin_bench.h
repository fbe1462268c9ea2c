/* SPDX-License-Identifier: MIT */
/* A service over the memory store, asked in bytes as its clients do: what the tests of the management API
 * share. */
#ifndef TESTS_PORT_ADMIN_BENCH_H
#define TESTS_PORT_ADMIN_BENCH_H

#include "dps/service/answer.h"
#include "dps/service/state.h"
#include "port/posix/posix.h"
#include "port/posix/store_memory.h"

#define NOW UINT64_C(1767323045) /* 2026-01-02T03:04:05Z */
#define HOST "dps.example"
#define VERSION "?api-version=2021-10-01"

/* Six policies: owner, reader, writer, watcher, cleaner, nobody. */
extern const char bench_policy_file[];

struct admin_bench {
    struct posix_memory memory;
    struct dps_service_config config;
    struct dps_service service;
    struct dps_answer answer;
    uint8_t body[DPS_HTTP_BODY_MAX + 1]; /* of the answer, zero-terminated */
    char ek[512];                        /* base64 */
    /* A failure that a store function answers instead of working; 0: none. */
    int fail_get, fail_put, fail_remove, fail_next;
    unsigned put_before_failing; /* this many writes still work */
};
extern struct admin_bench bench;

/* Start afresh. */
int bench_setup(void);
/* bench.ek becomes a key with this exponent. */
void bench_make_ek(uint32_t exponent);
/* Sign with a key of the configuration; skn as given. */
const char *bench_token(const char *sr, uint64_t expiry, const uint8_t *key, size_t key_len, const char *skn);
const char *bench_token_of(size_t policy);
/* Ask with an Authorization header, or without one if it is null; or as the owner. Returns the status. */
unsigned bench_ask_as(const char *authorization, const char *method, const char *target, const char *headers,
                      const char *body);
unsigned bench_ask(const char *method, const char *target, const char *headers, const char *body);
/* Ask, and see whether the answer has this code: 0 for success. A refusal says its code twice and never
 * pretends to have written. */
bool bench_gives(const char *authorization, const char *method, const char *target, const char *headers,
                 const char *body, unsigned status, uint32_t code);
bool bench_ok(const char *method, const char *target, const char *headers, const char *body, unsigned status,
              uint32_t code);
/* The body of an enrollment: id, then more members after the attestation. */
const char *bench_enrollment(const char *id, const char *more);
/* Is this part of the answer? */
bool bench_answered(const char *part);
/* The etag member of the answer as a client gets it, escapes decoded. */
const char *bench_etag(void);

#endif
