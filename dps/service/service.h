/* SPDX-License-Identifier: MIT */
/* The service side as a function: request in, answer out. It does no network I/O; store and entropy are interfaces, the
 * time is given. One struct dps_service serves any number of connections, one request at a time.
 *
 * Between dps_service_answer and sending the answer the driver calls store.commit; if that fails it calls
 * dps_service_uncommitted on every answer of the turn that has `wrote` set, and sends that instead. */
#ifndef DPS_SERVICE_SERVICE_H
#define DPS_SERVICE_SERVICE_H

#include "crypto/entropy.h"
#include "crypto/lock.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/http.h"
#include "dps/service/refusal.h"
#include "dps/service/store.h"

struct dps_hub_config {
    char name[DPS_HOST_MAX + 1]; /* host name, as devices connect to it; lower case */
    uint16_t weight;             /* 1..1000 for the hashed policy */
};

enum { /* rights of a management policy */
       DPS_RIGHT_ENROLLMENT_READ = 1,
       DPS_RIGHT_ENROLLMENT_WRITE = 2,
       DPS_RIGHT_REGISTRATION_READ = 4,
       DPS_RIGHT_REGISTRATION_WRITE = 8,
       DPS_RIGHT_ALL = 15
};
struct dps_policy {
    char name[65];
    uint8_t primary_key[64]; /* decoded */
    uint8_t primary_key_len;
    uint8_t secondary_key[64];
    uint8_t secondary_key_len; /* 0: none */
    uint8_t rights;
};

/* The service secret: everything secret that the service knows is derived from it. The last of several makes
 * new values, the others still verify: that is how it is rotated. */
struct dps_secret {
    uint32_t epoch; /* 1, 2, ... */
    uint8_t key[32];
};

struct dps_service_config {
    char host[DPS_HOST_MAX +
              1]; /* the service's own name: audience of management tokens, encUriData of challenges */
    char id_scope[DPS_ID_SCOPE_MAX + 1];
    struct dps_hub_config hubs[DPS_HUBS_MAX];
    size_t hub_count;
    enum { DPS_DEFAULT_HASHED, DPS_DEFAULT_STATIC } allocation; /* for enrollments that do not say */
    struct dps_policy policies[DPS_POLICIES_MAX];
    size_t policy_count;
    struct dps_secret secrets[DPS_SECRETS_MAX];
    size_t secret_count;
    uint32_t challenges_per_minute; /* of one registrationId and client address; 0: no limit */
    uint32_t challenges_per_second; /* of all together; 0: no limit */
    uint32_t challenges_per_client; /* a minute, of one client address; 0: no limit */
    uint32_t management_per_client; /* management requests, likewise */
    uint32_t token_lifetime_max;    /* seconds that a token may still be good for; 0: no limit */
    bool hardened_srk; /* the hardened SRK is demanded of all, and not only where the enrollment does */
};

/* Parse the text of a policy file: {"policies":[{"name":"provisioningserviceowner","primaryKey":"<base64>",
 * "secondaryKey":"<base64>","rights":["EnrollmentRead",...]}]}. Absent rights: all. Keys are 16..64 bytes.
 * Returns: 0; BYTES_E_FORMAT; BYTES_E_LIMIT. */
int dps_policies_parse(struct bytes json, struct dps_service_config *config);

/* Hints and buckets are found by a keyed hash, in one of DPS_WAYS places: nobody can choose names that meet there. */
#define DPS_WAYS 8

/* Clients that leave the keys out of their second request are served from this bounded memory of SRK_pub per
 * registration and client address: a hint, which the nonce itself authenticates. */
#ifndef DPS_HINTS
#define DPS_HINTS 1024
#endif
struct dps_hint {
    uint64_t name;  /* 0: none */
    uint64_t order; /* the oldest makes room */
    uint16_t srk_len;
    uint8_t srk[DPS_SRK_PUBLIC_MAX];
};

/* How much of a limit is used up: each request that was admitted moves empty_at on by its share of a minute. */
#ifndef DPS_BUCKETS
#define DPS_BUCKETS 16384
#endif
struct dps_bucket {
    uint64_t name;     /* 0: none */
    uint64_t empty_at; /* nanoseconds since 1970 */
};

/* What is rationed, each by itself. */
enum dps_ration {
    DPS_RATION_CHALLENGE,  /* step 6: an activation blob for whoever knows EK_pub and registrationId */
    DPS_RATION_HUB_KEY,    /* step 9: another one, for who has proved itself */
    DPS_RATION_HUB,        /* step 10 */
    DPS_RATION_MANAGEMENT, /* step 2 and its relatives */
    DPS_RATIONS
};

/* A run of a node, see dps/service/run.c. */
#define DPS_RUN_SIZE 16
struct dps_run {
    uint8_t name[DPS_RUN_SIZE];
    uint64_t window; /* the last one in which it has given challenges */
};

/* What the service remembers of unauthenticated requests: of fixed size, lost with the process, never relied upon. The
 * processes of one node share it. Zero at the start. */
struct dps_memory {
    bool begun; /* what follows has been drawn from entropy */
    struct dps_memory_random {
        uint8_t key[32];           /* of the hashes */
        uint8_t run[DPS_RUN_SIZE]; /* the name of this node's run */
    } random;
    uint64_t hints_made;
    struct dps_hint hints[DPS_HINTS];
    struct dps_bucket buckets[DPS_BUCKETS];
    struct dps_bucket all[DPS_RATIONS];
};

struct dps_service {
    const struct dps_service_config *config;
    struct dps_store store;
    struct crypto_entropy entropy;
    uint64_t now; /* seconds since 1970; the driver sets it before each turn */
    struct bytes
        client; /* whose request is answered next: equal bytes are one client, with one ration; empty: unknown,
                          * and then not rationed as a client */
    struct dps_memory *shared; /* the driver sets it after dps_service_init; null: memory below is used */
    struct crypto_lock lock;   /* of shared */
    struct dps_memory memory;  /* of a service that shares with nobody */
    struct dps_run announced;  /* this node's run as the store is known to have it */
    uint8_t record[DPS_RECORD_MAX];  /* scratch: the enrollment being worked on */
    uint8_t record2[DPS_RECORD_MAX]; /* scratch: what is written */
};

/* One answer. Body is written into the caller's buffer; the head is made from the rest by dps_answer_write_head. */
struct dps_answer {
    uint16_t status;
    uint32_t error_code; /* 0 or the errorCode of the body; also in x-ms-error-code */
    struct bytes_writer body;
    bool has_retry_after;
    uint32_t retry_after;     /* seconds */
    bool wrote;               /* the store was changed: valid only after commit */
    enum dps_refusal refusal; /* for logs */
    uint8_t tracking_id[36];  /* x-ms-request-id; also in error bodies; zeros: none */
    struct bytes etag_header; /* views etag_text, or empty */
    uint8_t etag_text[24];
    const char *content_type;              /* null: JSON */
    const char *item_type;                 /* x-ms-item-type of a query's answer, or null */
    uint8_t continuation[2 * DPS_KEY_MAX]; /* x-ms-continuation, or empty */
    uint16_t continuation_len;
    char registration_id[DPS_REGISTRATION_ID_MAX + 1]; /* for logs: whom it was about; empty if nobody */
    uint8_t ek_digest[32]; /* for logs: SHA-256 of the EK_pub that was shown ... */
    bool has_ek;           /* ... if there was one */
    char detail[160];      /* for logs and error bodies: more about a refusal */
};

/* Start: zero the state, take the interfaces. Returns: 0; BYTES_E_USAGE if the configuration breaks a limit or
 * lacks a hub, a secret, an idScope or the host. */
int dps_service_init(struct dps_service *s, const struct dps_service_config *config,
                     const struct dps_store *store, const struct crypto_entropy *entropy);

/* Answer one complete request (http.phase done, in buffer). body_buffer of at least DPS_HTTP_BODY_MAX bytes
 * receives the body. buffer is not changed. Never fails: what goes wrong becomes an answer. */
void dps_service_answer(struct dps_service *s, const struct dps_http *http, const uint8_t *buffer,
                        uint8_t *body_buffer, size_t body_capacity, struct dps_answer *a);

/* Answer a request that could not even be read: BYTES_E_FORMAT becomes 400, BYTES_E_LIMIT 413. */
void dps_service_answer_unreadable(struct dps_service *s, int error, uint8_t *body_buffer,
                                   size_t body_capacity, struct dps_answer *a);

/* The commit has failed: turn the answer into 503. */
void dps_service_uncommitted(struct dps_service *s, struct dps_answer *a);

/* The status line and headers with the final empty line; Content-Length is body.len. */
void dps_answer_write_head(struct bytes_writer *w, const struct dps_answer *a, uint64_t now, bool keep_alive);

#endif
