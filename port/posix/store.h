/* SPDX-License-Identifier: MIT */
/* What all stores of this port have in common. To add one: its own file with a struct posix_store_kind, a row of the
 * table in port/posix/service/store.c, and its library in the Makefile. */
#ifndef PORT_POSIX_STORE_H
#define PORT_POSIX_STORE_H

#include "dps/service/store.h"
#include "port/port.h"

/* A kind of store, as the command line names it: the prefix, and after it what open takes. */
struct posix_store_kind {
    const char *prefix;   /* with its colon */
    const char *argument; /* what follows it, for people; empty: nothing may follow */
    size_t size;          /* of the state that the caller provides, zeroed */
    bool one_process;     /* it cannot be shared by several */
    bool secret;          /* what follows the prefix may hold a password */
    /* Returns: 0; BYTES_E_STORE with a sentence in why. A process that forks opens its own. */
    int (*open)(void *state, const char *argument, char *why, size_t why_size);
    void (*close)(void *state);
    struct dps_store (*store)(void *state);
    /* Files that open would make, from the last to be removed; null: it makes none. Each is argument with this end. */
    const char *const *files;
};

/* What the stores in SQL share. A turn is nothing, then one transaction, then nothing. */
enum posix_store_turn {
    POSIX_TURN_CLEAN,   /* nothing written */
    POSIX_TURN_WRITTEN, /* a transaction is open */
    POSIX_TURN_LOST /* it is gone, and what was taken for written with it: nothing more may be committed */
};
/* The table of records of this kind. */
const char *posix_store_table(enum dps_table table);
/* May such a record be stored? */
bool posix_store_fits(struct bytes key, struct bytes value);
/* Where one record goes. key may be null. */
struct posix_store_record {
    uint8_t *key;
    size_t *key_len;
    uint8_t *value;
    size_t capacity;
    size_t *len;
    uint64_t *version;
};

#endif
