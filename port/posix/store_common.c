/* SPDX-License-Identifier: MIT */
#include "port/posix/store.h"

const char *posix_store_table(enum dps_table table)
{
    static const char *const names[DPS_TABLE_COUNT] = {
        [DPS_TABLE_ENROLLMENTS] = "enrollments",
        [DPS_TABLE_REGISTRATIONS] = "registrations",
        [DPS_TABLE_DEVICES] = "devices",
    };
    return names[table];
}

bool posix_store_fits(struct bytes key, struct bytes value)
{
    return key.len > 0 && key.len <= DPS_KEY_MAX && value.len <= DPS_RECORD_MAX;
}

/* ---- Turns ---- */

int posix_turn_begin(void *store)
{
    struct posix_turn *t = store;
    if (t->state == POSIX_TURN_WRITTEN) {
        return 0;
    }
    if (t->state == POSIX_TURN_LOST || !t->step(store, POSIX_TURN_BEGIN)) {
        return BYTES_E_STORE;
    }
    t->state = POSIX_TURN_WRITTEN;
    return 0;
}

void posix_turn_lose(void *store)
{
    struct posix_turn *t = store;
    t->marked = false;
    if (t->state == POSIX_TURN_WRITTEN) {
        t->state = POSIX_TURN_LOST;
        (void)t->step(store, POSIX_TURN_ROLLBACK); /* fails if the database has done so by itself */
    }
}

/* Before the first write of a turn there is no transaction to mark: undoing is then to end it. */
int posix_turn_mark(void *store)
{
    struct posix_turn *t = store;
    if (t->state == POSIX_TURN_WRITTEN) {
        t->marked = t->step(store, t->marked ? POSIX_TURN_MARK_AGAIN : POSIX_TURN_MARK);
        if (!t->marked) {
            posix_turn_lose(store);
        }
    }
    return t->state == POSIX_TURN_LOST ? BYTES_E_STORE : 0;
}

void posix_turn_undo(void *store)
{
    struct posix_turn *t = store;
    if (t->state != POSIX_TURN_WRITTEN) {
        return;
    }
    if (!t->marked) {
        posix_turn_rollback(store);
    } else if (!t->step(store, POSIX_TURN_UNDO)) {
        posix_turn_lose(store);
    }
}

/* A commit that is not answered may have happened. The answers are then 503; if it did happen, a device that asks again
 * finds its registration, whose nonce has been used. */
int posix_turn_commit(void *store)
{
    struct posix_turn *t = store;
    if (t->state == POSIX_TURN_WRITTEN && !t->step(store, POSIX_TURN_COMMIT)) {
        posix_turn_lose(store);
    }
    const int error = t->state == POSIX_TURN_LOST ? BYTES_E_STORE : 0;
    t->state = POSIX_TURN_CLEAN;
    t->marked = false;
    return error;
}

void posix_turn_rollback(void *store)
{
    struct posix_turn *t = store;
    posix_turn_lose(store);
    t->state = POSIX_TURN_CLEAN;
}

const char *posix_turn_reason(void *store)
{
    const struct posix_turn *t = store;
    return t->reason;
}
