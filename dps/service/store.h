/* SPDX-License-Identifier: MIT */
/* What the service asks of a store: an interface that a port implements.
 *
 * A store is three tables of records. A record is a key (text, at most DPS_REGISTRATION_ID_MAX + DPS_HOST_MAX +
 * 1 bytes), a value (the JSON that the API speaks, at most DPS_RECORD_MAX bytes) and a version, a number that
 * the store takes from one counter and never gives twice, so that a record that was deleted and made again is
 * not mistaken for the old one. No value holds a secret (spec-notes.md, "The store holds no secret").
 *
 * Writes of one turn are made durable together: the driver calls commit after the service has answered the requests
 * of that turn and before it sends any of the answers (group commit). A write is visible to get, next
 * and put at once. */
#ifndef DPS_SERVICE_STORE_H
#define DPS_SERVICE_STORE_H

#include "crypto/bytes/bytes.h"
#include "dps/service/limits.h"

enum dps_table {
    DPS_TABLE_ENROLLMENTS,   /* key: registrationId, lower case */
    DPS_TABLE_REGISTRATIONS, /* key: registrationId, lower case */
    DPS_TABLE_DEVICES,       /* key: hub host name in lower case, '/', deviceId: the hub's identity registry;
                          and "/runs": the latest runs of the service's nodes (dps/service/run.c) */
    DPS_TABLE_COUNT
};

#define DPS_KEY_MAX (DPS_REGISTRATION_ID_MAX + DPS_HOST_MAX + 1)

struct dps_store {
    void *context; /* given back to every function */

    /* Read one record into value. Returns: 0, *len and *version; BYTES_E_NOT_FOUND; BYTES_E_SPACE; BYTES_E_STORE. */
    int (*get)(void *context, enum dps_table table, struct bytes key, uint8_t *value, size_t capacity,
               size_t *len, uint64_t *version);

    /* Write one record if its version is still expected (0: it must not exist).
     * Returns: 0 and the new *version; BYTES_E_CONFLICT; BYTES_E_STORE. */
    int (*put)(void *context, enum dps_table table, struct bytes key, struct bytes value, uint64_t expected,
               uint64_t *version);

    /* Delete one record if its version is still expected (0: whatever it is).
     * Returns: 0; BYTES_E_NOT_FOUND; BYTES_E_CONFLICT; BYTES_E_STORE. */
    int (*remove)(void *context, enum dps_table table, struct bytes key, uint64_t expected);

    /* The first record whose key is greater than after in byte order (empty: the very first).
     *   key   at least DPS_KEY_MAX bytes; may be the buffer that after views
     * Returns: 0; BYTES_E_NOT_FOUND at the end; BYTES_E_SPACE; BYTES_E_STORE. */
    int (*next)(void *context, enum dps_table table, struct bytes after, uint8_t *key, size_t *key_len,
                uint8_t *value, size_t capacity, size_t *len, uint64_t *version);

    /* The service sets a mark before each request and undoes what the request has written if it refuses after
     * all: all of a request or nothing, whatever else the turn wrote. Marks do not nest; a commit or rollback
     * ends them. mark returns: 0; BYTES_E_STORE. undo cannot fail: a store that cannot undo must not commit
     * either. */
    int (*mark)(void *context);
    void (*undo)(void *context);

    /* Make all writes since the last commit durable, all or none. Called by the driver, not by the service.
     * Returns: 0; BYTES_E_STORE: none of them happened. */
    int (*commit)(void *context);
    /* Undo all writes since the last commit. Called by the driver. */
    void (*rollback)(void *context);

    /* What the last BYTES_E_STORE was about, in the store's own words, for the log; empty if it has not failed yet.
     * Called by the driver. May be null. */
    const char *(*reason)(void *context);
};

#endif
