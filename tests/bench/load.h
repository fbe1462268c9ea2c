/* SPDX-License-Identifier: MIT */
/* dps-bench: devices without TPMs, by the thousand, against a real service. They hold the private halves of one EK and
 * one SRK in software, which only a test may do, and share them: the service looks a device up by its registrationId.
 */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include "dps/protocol/activation.h"
#include "dps/protocol/http.h"
#include "port/posix/options.h"
#include <openssl/ssl.h>
#include <stdatomic.h>

#define LOAD_CLIENTS_MAX 256
#define LOAD_BUFFER 32768

/* ---- load_link.c: one connection, with TLS by OpenSSL so that it costs the machine as little as possible ---- */

enum load_mode {
    LOAD_FULL,      /* a full handshake for each registration */
    LOAD_RESUME,    /* a connection for each registration, with a resumed session */
    LOAD_KEEP_ALIVE /* one connection for all registrations of a client */
};

struct load_link {
    char host[DPS_HOST_MAX + 1];
    uint16_t port;
    bool tls;
    SSL_CTX *context;
    SSL_SESSION *session; /* for LOAD_RESUME */
    int fd;               /* -1: closed */
    SSL *ssl;
    uint8_t in[LOAD_BUFFER];
    size_t in_len;
    struct dps_http http;
};

/* Returns: whether the context could be made from the CA file. */
bool load_link_init(struct load_link *l, const char *ca);
bool load_link_open(struct load_link *l, bool resume);
void load_link_close(struct load_link *l);
/* Send a request and receive its answer: l->http and l->in. */
bool load_link_ask(struct load_link *l, const char *request, size_t len);

/* ---- load_device.c: what a device says and understands ---- */

struct load_keys {
    struct crypto_rsa_private ek, srk;
    uint8_t storage[2][5 * 256 + 64];
    uint8_t ek_2b[DPS_EK_PUBLIC_MAX], srk_2b[DPS_SRK_PUBLIC_MAX];
    size_t ek_len, srk_len;
    uint8_t srk_name[TPM2_NAME_SIZE];
    char ek_base64[512], srk_base64[512];
};
/* Make a pair of keys. Returns: whether that worked. */
bool load_keys_make(struct load_keys *k);

struct load_device {
    const struct load_keys *keys;
    const char *scope;
    const char *host; /* for the Host header */
    char why[256];    /* of the last failure */
};
/* The whole registration of one ID over l, which is open: three requests. Returns: whether it was assigned. */
bool load_register(struct load_device *d, struct load_link *l, const char *id);
/* One request that any web server answers. */
bool load_get(struct load_device *d, struct load_link *l, const char *path);

/* ---- dps-bench.c ---- */

/* Microseconds in steps of about 5 %: enough for a percentile. */
#define LOAD_STEPS 400
struct load_counters {
    _Atomic uint64_t done, failed;
    _Atomic uint64_t cpu_us;
    _Atomic uint64_t latency[LOAD_STEPS];
    char why[256]; /* of the first failure of this client */
};

#endif
