/* SPDX-License-Identifier: MIT */
/* The PostgreSQL store: one database for any number of dps-service processes on any number of machines.
 *
 * Only SQL that CockroachDB and YugabyteDB document as well is used (spec-notes.md, "Two stores, one contract").
 *
 * The connection is made again by itself. That it was cut, as all are when the database is started again, is found out
 * by the next statement. In a turn that has written nothing this is asked once more, at once, of a new connection, so
 * that nobody is put off. While there is no database, connecting is tried less and less often: at the latest after
 * POSIX_POSTGRES_RETRY_MAX_MS and the time that the last attempt has taken. If conninfo has several hosts, each of
 * them is tried. Until then everything answers
 * BYTES_E_STORE at once, so that a database that is away does not stop the event loop.
 *
 * Nothing waits longer than POSIX_POSTGRES_TIMEOUT_MS for an answer: a connection that does not answer is given up, and
 * its transaction with it. So is one whose server has given up on a statement: requests of the same turn would only
 * wait for the same again, one after the other. */
#ifndef PORT_POSIX_STORE_POSTGRES_H
#define PORT_POSIX_STORE_POSTGRES_H

#include "port/posix/store.h"
#include <libpq-fe.h>

/* For one statement, or for connecting with all that belongs to it. */
#ifndef POSIX_POSTGRES_TIMEOUT_MS
#define POSIX_POSTGRES_TIMEOUT_MS 3000
#endif
#define POSIX_POSTGRES_RETRY_MIN_MS 100
#define POSIX_POSTGRES_RETRY_MAX_MS 1000
#define POSIX_POSTGRES_CONNINFO_MAX 1024

struct posix_postgres {
    struct posix_turn turn;
    PGconn *link; /* null: not connected */
    bool cut;     /* the last statement that failed found the connection ended */
    uint32_t retry_ms;
    uint64_t retry_at_ms; /* monotonic: not connected again before */
    uint64_t
        connect_until_ms; /* monotonic: while connecting, when all of it must be done; 0: not connecting */
    unsigned host;        /* of those in conninfo, the one to begin with; modulo their number */
    char conninfo[POSIX_POSTGRES_CONNINFO_MAX];
};

/* Connect, make the schema if there is none, and check its version.
 *   conninfo  as libpq takes it: "host=db user=dps dbname=dps", "postgresql://...", or empty for the environment
 *             (PGHOST ...). A password belongs in ~/.pgpass or PGPASSFILE, not here, where every user of the
 *             machine sees it
 * Returns: 0; BYTES_E_STORE with a sentence in why. s may be opened again after close or failure. A process that forks
 * opens its own. */
int posix_postgres_open(struct posix_postgres *s, const char *conninfo, char *why, size_t why_size);
void posix_postgres_close(struct posix_postgres *s);
struct dps_store posix_postgres_store(struct posix_postgres *s);
extern const struct posix_store_kind posix_postgres_kind;

/* ---- Between the files of this store ---- */

/* One of the hosts in a connection string, or in the environment if that has none; null: not said. */
struct posix_postgres_host {
    const char *host, *hostaddr, *port; /* they view text */
    char text[3][POSIX_POSTGRES_CONNINFO_MAX];
};
/* How many there are: at least 1. */
unsigned posix_postgres_host_count(const char *conninfo);
void posix_postgres_host(const char *conninfo, unsigned number, struct posix_postgres_host *host);

/* Run one prepared statement: get, next, insert, update or remove. Its arguments are a key (bytes), a value (text) and
 * a version, in this order; what it does not have is null. Results are binary. Null if it was not answered in time or
 * failed; then the turn is lost. PQclear what is returned. */
PGresult *posix_postgres_run(struct posix_postgres *s, const char *what, enum dps_table table,
                             struct bytes key, const struct bytes *value, const uint64_t *version);
/* Run SQL without arguments, and without connecting first. Returns: whether it worked. */
bool posix_postgres_execute(struct posix_postgres *s, const char *sql);
/* Connect if there is no connection and it is time to try. Returns: whether there is one. */
bool posix_postgres_connected(struct posix_postgres *s);
/* After a statement that failed: was the connection cut while the turn had nothing in it, so that the same may be asked
 * again? Then connects, whatever the time. Returns: whether there is a new connection. */
bool posix_postgres_again(struct posix_postgres *s);

#endif
