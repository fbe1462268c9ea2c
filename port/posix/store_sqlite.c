/* SPDX-License-Identifier: MIT */
/* The SQLite store.
 *
 * One table for each of dps_table, so that operators can query the JSON where it lies: the record's key, its value, its
 * version. The last version given out is in a table of one row: taking the greatest version present would give the
 * version of a deleted record again.
 *
 * A turn's transaction begins at once as a writer (BEGIN IMMEDIATE): one that began by reading could be refused at its
 * first write, with no way to continue. So what was read before that write may be old, and only the version check
 * inside the transaction counts. */
#include "port/posix/store_sqlite.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Statements for each table, in the order of POSIX_SQLITE_PER_TABLE. */
enum { GET, INSERT, UPDATE, REMOVE, NEXT };
static const char *const table_sql[POSIX_SQLITE_PER_TABLE] = {
    [GET] = "SELECT key, value, version FROM %s WHERE key = ?1",
    [INSERT] = "INSERT INTO %s (key, value, version) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING",
    [UPDATE] = "UPDATE %s SET value = ?2, version = ?3 WHERE key = ?1 AND version = ?4",
    [REMOVE] = "DELETE FROM %s WHERE key = ?1 AND (?4 = 0 OR version = ?4)",
    [NEXT] = "SELECT key, value, version FROM %s WHERE key > ?1 ORDER BY key LIMIT 1",
};

/* Statements of a turn, in the order of POSIX_SQLITE_PER_TURN. */
enum { BEGIN, COUNTER_GET, COUNTER_SET, MARK, UNDO, FORGET_MARK, COMMIT, ROLLBACK };
static const char *const turn_sql[POSIX_SQLITE_PER_TURN] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COUNTER_GET] = "SELECT last FROM version",
    [COUNTER_SET] = "UPDATE version SET last = ?1",
    [MARK] = "SAVEPOINT request",
    [UNDO] = "ROLLBACK TO request",
    [FORGET_MARK] = "RELEASE request",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

_Static_assert(offsetof(struct posix_sqlite, turn) == 0, "a store is what posix_turn_... take");

/* Run a statement that returns no row. Returns: whether it worked. */
static bool run(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    (void)sqlite3_reset(statement); /* repeats the error of step */
    return rc == SQLITE_DONE;
}

/* SQLite's words for its last error, and those of the system, if it was one of its calls. */
static void keep_reason(struct posix_sqlite *s)
{
    const int number = sqlite3_system_errno(s->db);
    const int code = sqlite3_errcode(s->db) & 0xFF;
    const bool of_system = number != 0 && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN);
    snprintf(s->turn.reason, sizeof s->turn.reason, "%s%s%s", sqlite3_errmsg(s->db), of_system ? ": " : "",
             of_system ? strerror(number) : "");
}

/* After an SQLite error. */
static int fail(struct posix_sqlite *s)
{
    keep_reason(s);
    posix_turn_lose(s);
    return BYTES_E_STORE;
}

/* A file that was deleted or replaced under us takes every write, and none of them is ever found again. */
static bool is_in_place(struct posix_sqlite *s)
{
    int moved = 0;
    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK || moved == 0) {
        return true;
    }
    snprintf(s->turn.reason, sizeof s->turn.reason,
             "%s was moved, deleted or replaced: put it back, or start again",
             sqlite3_db_filename(s->db, "main"));
    return false;
}

/* The bytes need not be copied: every statement is reset before the function that bound them returns. An empty span may
 * hold a null pointer, which would bind NULL. */
static bool bind_text(sqlite3_stmt *statement, int index, struct bytes text)
{
    const char *p = text.len == 0 ? "" : (const char *)text.p;
    return sqlite3_bind_text64(statement, index, p, text.len, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
}

static bool bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    return sqlite3_bind_int64(statement, index, (sqlite3_int64)number) == SQLITE_OK;
}

/* Nothing is written yet: if the counter cannot be read, the transaction ends at once. */
static bool begin(struct posix_sqlite *s)
{
    if (!is_in_place(s)) {
        return false;
    }
    if (!run(s->of_turn[BEGIN])) {
        keep_reason(s);
        return false;
    }
    sqlite3_stmt *counter = s->of_turn[COUNTER_GET];
    bool found = sqlite3_step(counter) == SQLITE_ROW;
    s->version = found ? (uint64_t)sqlite3_column_int64(counter, 0) : 0;
    (void)sqlite3_reset(counter);
    if (!found) {
        keep_reason(s);
        (void)run(s->of_turn[ROLLBACK]);
    }
    return found;
}

static bool step(void *store, enum posix_turn_step step)
{
    struct posix_sqlite *s = store;
    sqlite3_stmt *const *of_turn = s->of_turn;
    bool done = false;
    switch (step) {
    case POSIX_TURN_BEGIN:
        return begin(s);
    case POSIX_TURN_ROLLBACK:
        return run(of_turn[ROLLBACK]);
    case POSIX_TURN_MARK:
        done = run(of_turn[MARK]);
        break;
    case POSIX_TURN_MARK_AGAIN:
        done = run(of_turn[FORGET_MARK]) && run(of_turn[MARK]);
        break;
    case POSIX_TURN_UNDO:
        done = run(of_turn[UNDO]);
        break;
    case POSIX_TURN_COMMIT:
        done = bind_number(of_turn[COUNTER_SET], 1, s->version) && run(of_turn[COUNTER_SET]) &&
               run(of_turn[COMMIT]);
        break;
    case POSIX_TURN_STEPS:
        break;
    }
    if (!done) {
        keep_reason(s);
    }
    return done;
}

static int copy_text(sqlite3_stmt *statement, int column, uint8_t *out, size_t capacity, size_t *len)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    if (text == NULL) {
        return BYTES_E_STORE;
    }
    if (size > capacity) {
        return BYTES_E_SPACE;
    }
    memcpy(out, text, size);
    *len = size;
    return 0;
}

/* One row of GET or NEXT, whose key is bound. */
static int read_row(struct posix_sqlite *s, sqlite3_stmt *statement, struct posix_store_record to)
{
    *to.len = 0;
    *to.version = 0;
    int rc = sqlite3_step(statement);
    int error = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? BYTES_E_NOT_FOUND : BYTES_E_STORE;
    if (error == 0) {
        error = copy_text(statement, 1, to.value, to.capacity, to.len);
    }
    if (error == 0 && to.key != NULL) {
        error = copy_text(statement, 0, to.key, DPS_KEY_MAX, to.key_len);
    }
    if (error == 0) {
        *to.version = (uint64_t)sqlite3_column_int64(statement, 2);
    } else {
        *to.len = 0;
    }
    (void)sqlite3_reset(statement);
    return error == BYTES_E_STORE ? fail(s) : error;
}

static int sqlite_get(void *context, enum dps_table table, struct bytes key, uint8_t *value, size_t capacity,
                      size_t *len, uint64_t *version)
{
    struct posix_sqlite *s = context;
    sqlite3_stmt *statement = s->record[table][GET];
    *len = 0;
    *version = 0;
    if (s->turn.state == POSIX_TURN_LOST) {
        return BYTES_E_STORE;
    }
    if (!bind_text(statement, 1, key)) {
        return fail(s);
    }
    return read_row(
        s, statement,
        (struct posix_store_record){.value = value, .capacity = capacity, .len = len, .version = version});
}

static int sqlite_next(void *context, enum dps_table table, struct bytes after, uint8_t *key, size_t *key_len,
                       uint8_t *value, size_t capacity, size_t *len, uint64_t *version)
{
    struct posix_sqlite *s = context;
    sqlite3_stmt *statement = s->record[table][NEXT];
    *key_len = 0;
    *len = 0;
    *version = 0;
    if (s->turn.state == POSIX_TURN_LOST) {
        return BYTES_E_STORE;
    }
    if (!bind_text(statement, 1, after)) {
        return fail(s);
    }
    return read_row(s, statement, (struct posix_store_record){key, key_len, value, capacity, len, version});
}

static int sqlite_put(void *context, enum dps_table table, struct bytes key, struct bytes value,
                      uint64_t expected, uint64_t *version)
{
    struct posix_sqlite *s = context;
    *version = 0;
    if (!posix_store_fits(key, value)) {
        return BYTES_E_STORE;
    }
    int error = posix_turn_begin(s);
    if (error != 0) {
        return error;
    }
    sqlite3_stmt *statement = s->record[table][expected == 0 ? INSERT : UPDATE];
    if (!bind_text(statement, 1, key) || !bind_text(statement, 2, value) ||
        !bind_number(statement, 3, s->version + 1) ||
        (expected != 0 && !bind_number(statement, 4, expected)) || !run(statement)) {
        return fail(s);
    }
    if (sqlite3_changes(s->db) == 0) {
        return BYTES_E_CONFLICT;
    }
    *version = ++s->version;
    return 0;
}

static int sqlite_remove(void *context, enum dps_table table, struct bytes key, uint64_t expected)
{
    struct posix_sqlite *s = context;
    int error = posix_turn_begin(s);
    if (error != 0) {
        return error;
    }
    sqlite3_stmt *statement = s->record[table][REMOVE];
    if (!bind_text(statement, 1, key) || !bind_number(statement, 4, expected) || !run(statement)) {
        return fail(s);
    }
    if (sqlite3_changes(s->db) > 0) {
        return 0;
    }
    /* Nothing deleted: is it not there, or is it another version? */
    sqlite3_stmt *get = s->record[table][GET];
    if (!bind_text(get, 1, key)) {
        return fail(s);
    }
    int rc = sqlite3_step(get);
    (void)sqlite3_reset(get);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return fail(s);
    }
    return rc == SQLITE_ROW ? BYTES_E_CONFLICT : BYTES_E_NOT_FOUND;
}

static bool prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) == SQLITE_OK;
}

static bool prepare_all(struct posix_sqlite *s)
{
    char sql[256];
    bool ok = true;
    for (size_t t = 0; t < DPS_TABLE_COUNT; t++) {
        for (size_t i = 0; i < POSIX_SQLITE_PER_TABLE; i++) {
            /* sqlite3_snprintf: the format is not a literal, and the C library's would be warned about. */
            sqlite3_snprintf(sizeof sql, sql, table_sql[i], posix_store_table((enum dps_table)t));
            ok = ok && prepare(s->db, sql, &s->record[t][i]);
        }
    }
    for (size_t i = 0; i < POSIX_SQLITE_PER_TURN; i++) {
        ok = ok && prepare(s->db, turn_sql[i], &s->of_turn[i]);
    }
    return ok;
}

int posix_sqlite_open(struct posix_sqlite *s, const char *path, char *why, size_t why_size)
{
    *s = (struct posix_sqlite){.turn = {.step = step}};
    int error = posix_sqlite_connect(s, path, why, why_size);
    if (error == 0 && !prepare_all(s)) {
        snprintf(why, why_size, "%s does not have the tables of this program: %s", path,
                 sqlite3_errmsg(s->db));
        error = BYTES_E_STORE;
    }
    if (error != 0) {
        posix_sqlite_close(s);
    }
    return error;
}

void posix_sqlite_close(struct posix_sqlite *s)
{
    for (size_t t = 0; t < DPS_TABLE_COUNT; t++) {
        for (size_t i = 0; i < POSIX_SQLITE_PER_TABLE; i++) {
            (void)sqlite3_finalize(s->record[t][i]);
        }
    }
    for (size_t i = 0; i < POSIX_SQLITE_PER_TURN; i++) {
        (void)sqlite3_finalize(s->of_turn[i]);
    }
    (void)sqlite3_close(s->db);
    *s = (struct posix_sqlite){.turn = {.step = step}};
}

struct dps_store posix_sqlite_store(struct posix_sqlite *s)
{
    return (struct dps_store){.context = s,
                              .get = sqlite_get,
                              .put = sqlite_put,
                              .remove = sqlite_remove,
                              .next = sqlite_next,
                              .mark = posix_turn_mark,
                              .undo = posix_turn_undo,
                              .commit = posix_turn_commit,
                              .rollback = posix_turn_rollback,
                              .reason = posix_turn_reason};
}

static int kind_open(void *state, const char *path, char *why, size_t why_size)
{
    return posix_sqlite_open(state, path, why, why_size);
}

static void kind_close(void *state)
{
    posix_sqlite_close(state);
}

static struct dps_store kind_store(void *state)
{
    return posix_sqlite_store(state);
}

/* The main file last: without it nobody would look at the others. */
static const char *const files[] = {"-wal", "-shm", "", NULL};

const struct posix_store_kind posix_sqlite_kind = {.prefix = "sqlite:",
                                                   .argument = "FILE",
                                                   .size = sizeof(struct posix_sqlite),
                                                   .open = kind_open,
                                                   .close = kind_close,
                                                   .store = kind_store,
                                                   .files = files};
