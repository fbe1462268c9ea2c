/* SPDX-License-Identifier: MIT */
/* dps-micro: what the parts of a registration cost, one after the other in short rounds, so that a noisy minute affects
 * all of them equally. CPU time of this process; the best round and the median. */
#ifndef TESTS_BENCH_MICRO_H
#define TESTS_BENCH_MICRO_H

#include "port/posix/posix.h"
#include "tests/bench/load.h"

#define MICRO_ROUNDS_MAX 512

/* One thing that is measured: run it, again and again. */
struct micro {
    const char *name;
    bool (*run)(void *context); /* whether it worked */
    void *context;
    double us[MICRO_ROUNDS_MAX]; /* of one run, in each round */
};

/* ---- micro.c ---- */

/* Between these two calls the peer's part runs, which is not measured. */
void micro_pause(void);
void micro_resume(void);

/* ---- micro_blob.c: one activation blob, of the same size each time ---- */

#define MICRO_URI_SIZE 46        /* "localhost/bench-000001" in UTF-16 */
#define MICRO_CREDENTIAL_SIZE 18 /* TPM2B of an AES-128 key */
#define MICRO_DUPLICATE_SIZE 110 /* digest and TPM2B_SENSITIVE of a 32-byte key */
#define MICRO_NAME_SIZE 34

struct micro_blob {
    const struct load_keys *keys;
    struct tpm2_public ek, srk;
    struct crypto_entropy entropy;
};
bool micro_blob_init(struct micro_blob *b, const struct load_keys *keys);
/* dps_activation_make with fresh random bytes. */
bool micro_blob_ours(void *blob);
/* Its primitives, called through crypto.h on as many bytes: 2 OAEP, 4 KDFa, 2 HMAC, 3 SHA-256, 4 AES-CFB. */
bool micro_blob_crypto(void *blob);
/* micro_bearssl.c, micro_libcrypto.c: the same primitives by the library's own functions; of libcrypto the fastest way
 * that was found: contexts made once, hashes and Montgomery arithmetic by its low-level functions. */
bool micro_blob_bearssl(void *blob);
bool micro_blob_libcrypto(void *blob);

/* ---- micro_service.c: requests and their answers in memory ---- */

struct micro_service;
/* A service with a memory store and one enrolled device, which registers once. Null if that failed. */
struct micro_service *micro_service_open(const struct load_keys *keys);
/* A whole registration as the service sees it, without the network; the device's part does not count. */
bool micro_service_registration(void *service);
/* HTTP and JSON of a registration's three requests: parsed, members found and decoded, answers written. */
bool micro_service_text(void *service);
/* The token of the second request: parsed, its audience compared, its signature verified. */
bool micro_service_sas(void *service);

/* ---- micro_store.c: what a registration asks of SQLite, at the keys of many devices in turn ---- */

struct micro_store;
/* A file in the current directory. batch: registrations that are committed together. */
struct micro_store *micro_store_open(const char *path, const struct load_keys *keys, size_t batch);
bool micro_store_registration(void *store);

/* ---- micro_tls.c: TLS in memory, the server's part ---- */

struct micro_tls;
struct micro_tls *micro_tls_open(void);
bool micro_tls_full(void *tls);    /* a full handshake with X25519, one request and its answer */
bool micro_tls_resumed(void *tls); /* a resumed one, and the same */
bool micro_tls_request(void *tls); /* a request and its answer on a connection that is there */

#endif
