/* SPDX-License-Identifier: MIT */
/* The SQLite store: its file, made if it is missing, with the tables of this program and a write-ahead log. */
#include "port/posix/posix.h"
#include "port/posix/store_sqlite.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA_VERSION 1
#define BUSY_TIMEOUT_MS 5000

/* The first column of the first row as a number, or -1. */
static sqlite3_int64 query_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 number = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        number = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return number;
}

static bool execute(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* The key is text with binary collation, so that ORDER BY is byte order. */
static bool create_tables(sqlite3 *db)
{
    char sql[256];
    for (size_t i = 0; i < DPS_TABLE_COUNT; i++) {
        snprintf(sql, sizeof sql,
                 "CREATE TABLE %s (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL, "
                 "version INTEGER NOT NULL) STRICT",
                 posix_store_table((enum dps_table)i));
        if (!execute(db, sql)) {
            return false;
        }
    }
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", SCHEMA_VERSION);
    return execute(db, "CREATE TABLE version (last INTEGER NOT NULL) STRICT") &&
           execute(db, "INSERT INTO version VALUES (0)") && execute(db, sql);
}

/* In a transaction: of several processes that start together one makes the schema and the others find it. */
static int check_schema(sqlite3 *db, const char *path, char *why, size_t why_size)
{
    if (!execute(db, "BEGIN IMMEDIATE")) {
        snprintf(why, why_size, "cannot use %s as a store: %s", path, sqlite3_errmsg(db));
        return BYTES_E_STORE;
    }
    sqlite3_int64 found = query_number(db, "PRAGMA user_version");
    bool made = found == SCHEMA_VERSION;
    if (found > SCHEMA_VERSION) {
        snprintf(
            why, why_size,
            "%s was written by a newer version of this program: its schema is %lld, this program knows %d. "
            "Use that version, or a backup from before the upgrade",
            path, (long long)found, SCHEMA_VERSION);
    } else if (found == 0 && query_number(db, "SELECT count(*) FROM sqlite_schema") != 0) {
        snprintf(why, why_size, "%s is an SQLite database of another program", path);
    } else if (found == 0 && !(made = create_tables(db))) {
        snprintf(why, why_size, "cannot make the tables in %s: %s", path, sqlite3_errmsg(db));
    } else if (found < 0) {
        snprintf(why, why_size, "cannot read %s: %s", path, sqlite3_errmsg(db));
    }
    if (made && execute(db, "COMMIT")) {
        return 0;
    }
    if (made) {
        snprintf(why, why_size, "cannot write %s: %s", path, sqlite3_errmsg(db));
    }
    (void)execute(db, "ROLLBACK");
    return BYTES_E_STORE;
}

/* The result of PRAGMA journal_mode is the mode that is in force, which need not be the one that was asked for. */
static bool set_wal(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;
    bool wal = false;
    if (sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);
        wal = mode != NULL && strcmp(mode, "wal") == 0;
    }
    (void)sqlite3_finalize(statement);
    return wal;
}

/* Processes that open a new file at the same time all try to change its mode, and SQLite does not apply the
 * busy timeout to that: two that wait for each other's read lock would wait forever. So the waiting is done
 * here, without a lock. */
static bool use_wal(sqlite3 *db)
{
    const int pause_ms = 10;
    for (int waited = 0;; waited += pause_ms) {
        if (set_wal(db)) {
            return true;
        }
        if (sqlite3_errcode(db) != SQLITE_BUSY || waited >= BUSY_TIMEOUT_MS) {
            return false;
        }
        (void)sqlite3_sleep(pause_ms);
    }
}

static int open_database(struct posix_sqlite *s, const char *path, char *why, size_t why_size)
{
    char reason[POSIX_FILE_ERROR_MAX];
    /* SQLite would make the file readable for everyone. Its journals get the mode of the file. */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)close(fd);
    } else if (errno != EEXIST) {
        snprintf(why, why_size, "cannot make the store %s: %s", path,
                 posix_file_error(errno, reason, sizeof reason));
        return BYTES_E_STORE;
    }
    if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        snprintf(why, why_size, "cannot open the store %s: %s", path,
                 s->db == NULL ? "out of memory" : sqlite3_errmsg(s->db));
        return BYTES_E_STORE;
    }
    (void)sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
    /* FULL: in WAL mode the default does not wait for the disk at commit, and a power cut would take back answers that
     * were given. */
    if (!use_wal(s->db) || !execute(s->db, "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")) {
        snprintf(why, why_size, "cannot use %s as a store with a write-ahead log: %s", path,
                 sqlite3_errmsg(s->db));
        return BYTES_E_STORE;
    }
    return 0;
}

int posix_sqlite_connect(struct posix_sqlite *s, const char *path, char *why, size_t why_size)
{
    int error = open_database(s, path, why, why_size);
    return error != 0 ? error : check_schema(s->db, path, why, why_size);
}
