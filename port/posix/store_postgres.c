/* SPDX-License-Identifier: MIT */
/* The PostgreSQL store: the functions of struct dps_store.
 *
 * Two nodes that write the same record at the same time: the second waits for the first one's commit and then finds
 * another version, which is a conflict. Two that wait for each other: the server ends one, whose turn is lost. */
#include "port/posix/store_postgres.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

_Static_assert(offsetof(struct posix_postgres, turn) == 0, "a store is what posix_turn_... take");

static uint64_t number_of(const PGresult *result, int row, int column)
{
    struct bytes_reader r = bytes_reader_over(
        bytes_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)));
    return bytes_read_u64(&r);
}

static int copy(const PGresult *result, int column, uint8_t *out, size_t capacity, size_t *len)
{
    const size_t size = (size_t)PQgetlength(result, 0, column);
    if (size > capacity) {
        return BYTES_E_SPACE;
    }
    memcpy(out, PQgetvalue(result, 0, column), size);
    *len = size;
    return 0;
}

static int read_one(struct posix_postgres *s, const char *what, enum dps_table table, struct bytes key,
                    struct posix_store_record to)
{
    *to.len = 0;
    *to.version = 0;
    if (s->turn.state == POSIX_TURN_LOST) {
        return BYTES_E_STORE;
    }
    PGresult *result = posix_postgres_run(s, what, table, key, NULL, NULL);
    if (result == NULL) {
        return BYTES_E_STORE;
    }
    int error = PQntuples(result) == 0 ? BYTES_E_NOT_FOUND : copy(result, 1, to.value, to.capacity, to.len);
    if (error == 0 && to.key != NULL) {
        error = copy(result, 0, to.key, DPS_KEY_MAX, to.key_len);
    }
    if (error == 0) {
        *to.version = number_of(result, 0, 2);
    } else {
        *to.len = 0;
    }
    PQclear(result);
    return error;
}

static int postgres_get(void *context, enum dps_table table, struct bytes key, uint8_t *value,
                        size_t capacity, size_t *len, uint64_t *version)
{
    return read_one(
        context, "get", table, key,
        (struct posix_store_record){.value = value, .capacity = capacity, .len = len, .version = version});
}

static int postgres_next(void *context, enum dps_table table, struct bytes after, uint8_t *key,
                         size_t *key_len, uint8_t *value, size_t capacity, size_t *len, uint64_t *version)
{
    const int error = read_one(context, "next", table, after,
                               (struct posix_store_record){key, key_len, value, capacity, len, version});
    if (error != 0) {
        *key_len = 0;
    }
    return error;
}

static bool step(void *store, enum posix_turn_step step)
{
    static const char *const sql[POSIX_TURN_STEPS] = {
        [POSIX_TURN_BEGIN] = "BEGIN",
        [POSIX_TURN_MARK] = "SAVEPOINT request",
        [POSIX_TURN_MARK_AGAIN] = "RELEASE SAVEPOINT request; SAVEPOINT request",
        [POSIX_TURN_UNDO] = "ROLLBACK TO SAVEPOINT request",
        [POSIX_TURN_COMMIT] = "COMMIT",
        [POSIX_TURN_ROLLBACK] = "ROLLBACK",
    };
    struct posix_postgres *s = store;
    if (step == POSIX_TURN_BEGIN ? !posix_postgres_connected(s) : s->link == NULL) {
        return false;
    }
    if (posix_postgres_execute(s, sql[step])) {
        return true;
    }
    return step == POSIX_TURN_BEGIN && posix_postgres_again(s) && posix_postgres_execute(s, sql[step]);
}

static int postgres_put(void *context, enum dps_table table, struct bytes key, struct bytes value,
                        uint64_t expected, uint64_t *version)
{
    struct posix_postgres *s = context;
    *version = 0;
    if (!posix_store_fits(key, value) || posix_turn_begin(s) != 0) {
        return BYTES_E_STORE;
    }
    PGresult *result = posix_postgres_run(s, expected == 0 ? "insert" : "update", table, key, &value,
                                          expected == 0 ? NULL : &expected);
    if (result == NULL) {
        return BYTES_E_STORE;
    }
    const bool written = PQntuples(result) == 1;
    if (written) {
        *version = number_of(result, 0, 0);
    }
    PQclear(result);
    return written ? 0 : BYTES_E_CONFLICT;
}

static int postgres_remove(void *context, enum dps_table table, struct bytes key, uint64_t expected)
{
    struct posix_postgres *s = context;
    if (posix_turn_begin(s) != 0) {
        return BYTES_E_STORE;
    }
    PGresult *result = posix_postgres_run(s, "remove", table, key, NULL, &expected);
    if (result == NULL) {
        return BYTES_E_STORE;
    }
    const bool removed = strcmp(PQcmdTuples(result), "1") == 0;
    PQclear(result);
    if (removed) {
        return 0;
    }
    /* Nothing deleted: is it not there, or is it another version? */
    result = posix_postgres_run(s, "get", table, key, NULL, NULL);
    if (result == NULL) {
        return BYTES_E_STORE;
    }
    const int error = PQntuples(result) == 0 ? BYTES_E_NOT_FOUND : BYTES_E_CONFLICT;
    PQclear(result);
    return error;
}

int posix_postgres_open(struct posix_postgres *s, const char *conninfo, char *why, size_t why_size)
{
    *s = (struct posix_postgres){.turn = {.step = step}, .retry_ms = POSIX_POSTGRES_RETRY_MIN_MS};
    if (strlen(conninfo) >= sizeof s->conninfo) {
        snprintf(why, why_size, "the connection string of the store is longer than %zu characters",
                 sizeof s->conninfo - 1);
        return BYTES_E_STORE;
    }
    snprintf(s->conninfo, sizeof s->conninfo, "%s", conninfo);
    if (posix_postgres_connected(s)) {
        return 0;
    }
    snprintf(why, why_size, "cannot use the PostgreSQL store: %s", s->turn.reason);
    posix_postgres_close(s);
    return BYTES_E_STORE;
}

void posix_postgres_close(struct posix_postgres *s)
{
    PQfinish(s->link);
    *s = (struct posix_postgres){.turn = {.step = step}, .retry_ms = POSIX_POSTGRES_RETRY_MIN_MS};
}

struct dps_store posix_postgres_store(struct posix_postgres *s)
{
    return (struct dps_store){.context = s,
                              .get = postgres_get,
                              .put = postgres_put,
                              .remove = postgres_remove,
                              .next = postgres_next,
                              .mark = posix_turn_mark,
                              .undo = posix_turn_undo,
                              .commit = posix_turn_commit,
                              .rollback = posix_turn_rollback,
                              .reason = posix_turn_reason};
}

static int kind_open(void *state, const char *conninfo, char *why, size_t why_size)
{
    return posix_postgres_open(state, conninfo, why, why_size);
}

static void kind_close(void *state)
{
    posix_postgres_close(state);
}

static struct dps_store kind_store(void *state)
{
    return posix_postgres_store(state);
}

const struct posix_store_kind posix_postgres_kind = {.prefix = "postgres:",
                                                     .argument = "CONNINFO",
                                                     .size = sizeof(struct posix_postgres),
                                                     .secret = true,
                                                     .open = kind_open,
                                                     .close = kind_close,
                                                     .store = kind_store};
