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

/* ---- What the stores in SQL share ---- */

/* A turn is nothing, then one transaction, then nothing: it begins with the first write. */
enum posix_turn_state {
    POSIX_TURN_CLEAN,   /* nothing written */
    POSIX_TURN_WRITTEN, /* a transaction is open */
    POSIX_TURN_LOST     /* it is gone, with what seemed to be written: nothing more may be committed */
};
/* What it asks of the database. */
enum posix_turn_step {
    POSIX_TURN_BEGIN,
    POSIX_TURN_MARK,
    POSIX_TURN_MARK_AGAIN, /* and forget the one before */
    POSIX_TURN_UNDO,       /* to the mark */
    POSIX_TURN_COMMIT,
    POSIX_TURN_ROLLBACK,
    POSIX_TURN_STEPS
};
/* The first member of such a store: these functions take the store as their context. */
struct posix_turn {
    enum posix_turn_state state;
    bool marked;
    char reason[256]; /* of the last failure, for people; empty: none */
    /* Returns: whether it worked. If not, it has said why in reason, but for a rollback. */
    bool (*step)(void *store, enum posix_turn_step step);
};
/* Before each write. Returns: 0; BYTES_E_STORE. */
int posix_turn_begin(void *store);
/* After a failure: writes that the service took for done are gone with the transaction, so nothing of this turn may be
 * committed any more, not even what comes later. */
void posix_turn_lose(void *store);
/* Of struct dps_store. */
int posix_turn_mark(void *store);
void posix_turn_undo(void *store);
int posix_turn_commit(void *store);
void posix_turn_rollback(void *store);
const char *posix_turn_reason(void *store);

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
