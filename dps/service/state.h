/* SPDX-License-Identifier: MIT */
/* What a service is told, and what it remembers between requests. */
#ifndef DPS_SERVICE_STATE_H
#define DPS_SERVICE_STATE_H

#include "crypto/entropy.h"
#include "crypto/lock.h"
#include "dps/service/limits.h"
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
    uint32_t token_lifetime_max;    /* seconds that a token may still be valid for; 0: no limit */
    bool hardened_srk; /* the hardened SRK is demanded of all, and not only where the enrollment does */
};

/* Hints and buckets are found by a keyed hash, in one of DPS_WAYS places: nobody can choose names that collide. */
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
    DPS_RATION_CHALLENGE,  /* step 6: an activation blob for anybody who knows EK_pub and registrationId */
    DPS_RATION_HUB_KEY,    /* step 9: another one, for a device that has proved itself */
    DPS_RATION_HUB,        /* step 10 */
    DPS_RATION_MANAGEMENT, /* step 2 and the rest of management */
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

struct dps_service;
struct dps_request;
struct dps_answer;

struct dps_service {
    const struct dps_service_config *config;
    struct dps_store store;
    struct crypto_entropy entropy;
    uint64_t now; /* seconds since 1970; the driver sets it before each turn */
    struct bytes
        client; /* whose request is answered next: equal bytes are one client, with one limit; empty: unknown,
                          * and then not rationed as a client */
    struct dps_memory *shared; /* the driver sets it after dps_service_init; null: memory below is used */
    struct crypto_lock lock;   /* of shared */
    struct dps_memory memory;  /* of a service that shares with nobody */
    struct dps_run announced;  /* this node's run as the store is known to have it */
    /* The management API, which dps/manage/admin.h sets after dps_service_init; null: there is none. */
    enum dps_refusal (*manage)(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);
    uint8_t record[DPS_RECORD_MAX]; /* scratch: the enrollment being worked on */
    uint8_t draft[DPS_RECORD_MAX];  /* scratch: a record that is read or made beside it, to be written */
};

/* Start: zero the state, take the interfaces. Returns: 0; BYTES_E_USAGE if the configuration breaks a limit or
 * lacks a hub, a secret, an idScope or the host. */
int dps_service_init(struct dps_service *s, const struct dps_service_config *config,
                     const struct dps_store *store, const struct crypto_entropy *entropy);

#endif
