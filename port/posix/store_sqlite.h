/* SPDX-License-Identifier: MIT */
/* The SQLite store: one file. */
#ifndef PORT_POSIX_STORE_SQLITE_H
#define PORT_POSIX_STORE_SQLITE_H

#include "port/posix/store.h"
#include <sqlite3.h>

/* WAL, synchronous=FULL, one transaction per turn; prepared statements; the schema is made
 * if missing and its version checked. Several processes may share the file: the transaction begins at the first
 * write of a turn, so a write waits up to 5 s for another process's turn to end, and put compares versions
 * inside it. An SQLite error after the first write loses the whole turn: everything answers BYTES_E_STORE until
 * commit has said so or rollback was called. A process that forks opens its own. */
#define POSIX_SQLITE_PER_TABLE 5
#define POSIX_SQLITE_PER_TURN 8
struct posix_sqlite {
    struct posix_turn turn;
    sqlite3 *db;
    sqlite3_stmt *record[DPS_TABLE_COUNT][POSIX_SQLITE_PER_TABLE];
    sqlite3_stmt *of_turn[POSIX_SQLITE_PER_TURN];
    uint64_t version; /* the counter, while a transaction is open */
};
/* Returns: 0; BYTES_E_STORE with a sentence in why. s may be opened again after close or failure. */
int posix_sqlite_open(struct posix_sqlite *s, const char *path, char *why, size_t why_size);
void posix_sqlite_close(struct posix_sqlite *s);
struct dps_store posix_sqlite_store(struct posix_sqlite *s);
extern const struct posix_store_kind posix_sqlite_kind;

/* ---- Between the files of this store ---- */

/* Open the database into s->db, and make or check its tables. After a failure s->db is to be closed.
 * Returns: 0; BYTES_E_STORE with a sentence in why. */
int posix_sqlite_connect(struct posix_sqlite *s, const char *path, char *why, size_t why_size);

#endif
