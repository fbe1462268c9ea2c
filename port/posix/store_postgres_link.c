/* SPDX-License-Identifier: MIT */
/* The connection of the PostgreSQL store: bounded in time, made again when it broke, with its schema and statements. */
#include "dps/protocol/text.h"
#include "port/posix/private.h"
#include "port/posix/store_postgres.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA_VERSION 1

/* ---- Waiting ----------------------------------------------------------------------------------------------------- */

/* The first line of libpq's message is enough for an operator. */
static void keep_reason(struct posix_postgres *s, const char *reason)
{
    snprintf(s->turn.reason, sizeof s->turn.reason, "%.*s", (int)strcspn(reason, "\n"), reason);
}

static bool wait_socket(const PGconn *link, short events, uint64_t deadline_ms)
{
    const uint64_t now = posix_monotonic_ms();
    struct pollfd p = {.fd = PQsocket(link), .events = events};
    return now < deadline_ms && p.fd >= 0 && poll(&p, 1, (int)(deadline_ms - now)) != 0;
}

static bool flush(PGconn *link, uint64_t deadline_ms)
{
    int left;
    while ((left = PQflush(link)) == 1) {
        if (!wait_socket(link, POLLIN | POLLOUT, deadline_ms) || PQconsumeInput(link) == 0) {
            return false;
        }
    }
    return left == 0;
}

/* The last result of what was sent; null if it did not come in time or the connection broke. */
static PGresult *receive(PGconn *link, uint64_t deadline_ms)
{
    PGresult *last = NULL;
    if (!flush(link, deadline_ms)) {
        return NULL;
    }
    for (;;) {
        while (PQisBusy(link) == 1) {
            if (!wait_socket(link, POLLIN, deadline_ms) || PQconsumeInput(link) == 0) {
                PQclear(last);
                return NULL;
            }
        }
        PGresult *next = PQgetResult(link);
        if (next == NULL) {
            return last;
        }
        PQclear(last);
        last = next;
    }
}

/* Give up the connection, and with it what the turn has written. */
static void lose(struct posix_postgres *s)
{
    PQfinish(s->link);
    s->link = NULL;
    s->host++; /* of several, the one that did not answer is asked last */
    posix_turn_lose(s);
    s->retry_at_ms = posix_monotonic_ms() + s->retry_ms;
    s->retry_ms =
        s->retry_ms * 2 < POSIX_POSTGRES_RETRY_MAX_MS ? s->retry_ms * 2 : POSIX_POSTGRES_RETRY_MAX_MS;
}

static uint64_t deadline_of(const struct posix_postgres *s)
{
    return s->connect_until_ms != 0 ? s->connect_until_ms : posix_monotonic_ms() + POSIX_POSTGRES_TIMEOUT_MS;
}

/* Has the server refused because of its own state, and not because of the statement? It was told to stop (class 57),
 * or the statement took too long (57014), or its locks did (55P03), or it only reads (25006): it was the primary
 * before a failover, and a new connection may lead to the one that is it now. */
static bool server_gave_up(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state != NULL &&
           (strncmp(state, "57", 2) == 0 || strcmp(state, "55P03") == 0 || strcmp(state, "25006") == 0);
}

/* Has the connection ended, rather than kept us waiting? A server that was told to stop says so (57P01, 57P02) and
 * hangs up, which is found out by whoever asks next. */
static bool has_ended(const struct posix_postgres *s, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return PQstatus(s->link) == CONNECTION_BAD || (state != NULL && strncmp(state, "57P", 3) == 0);
}

/* Examine a result. A statement that the server refused leaves the connection usable, but not the turn. */
static PGresult *judged(struct posix_postgres *s, PGresult *result)
{
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        return result;
    }
    const bool answered = result != NULL && PQstatus(s->link) == CONNECTION_OK;
    keep_reason(s, answered                             ? PQresultErrorMessage(result)
                   : PQstatus(s->link) == CONNECTION_OK ? "the database does not answer"
                                                        : PQerrorMessage(s->link));
    const bool usable = answered && !server_gave_up(result);
    s->cut = has_ended(s, result);
    PQclear(result);
    if (!usable) {
        lose(s);
    }
    return NULL;
}

bool posix_postgres_execute(struct posix_postgres *s, const char *sql)
{
    const uint64_t deadline = deadline_of(s);
    PGresult *result = judged(s, PQsendQuery(s->link, sql) == 1 ? receive(s->link, deadline) : NULL);
    PQclear(result);
    return result != NULL;
}

/* ---- Schema ------------------------------------------------------------------------------------------------------ */

/* A key is bytes, because those are compared in byte order everywhere, whatever the collation of the database; a
 * value is text, and not JSONB, because it must come back as it was given. Versions come from a sequence: it waits for
 * nobody, and gives no number twice, not even to a transaction that ends badly. */
static const char schema_1[] =
    "CREATE TABLE enrollments (key BYTEA NOT NULL PRIMARY KEY, value TEXT NOT NULL, version BIGINT NOT NULL);"
    "CREATE TABLE registrations (key BYTEA NOT NULL PRIMARY KEY, value TEXT NOT NULL, version BIGINT NOT "
    "NULL);"
    "CREATE TABLE devices (key BYTEA NOT NULL PRIMARY KEY, value TEXT NOT NULL, version BIGINT NOT NULL);"
    "CREATE SEQUENCE record_version;"
    "CREATE TABLE schema_version (version INTEGER NOT NULL);"
    "INSERT INTO schema_version (version) VALUES (1);";

/* From version n - 1 to n. A further one is added at the end. */
static const char *const migrations[SCHEMA_VERSION] = {schema_1};

/* The first column of the first row as a number; -1 if there is no such row. */
static long query_number(struct posix_postgres *s, const char *sql)
{
    const uint64_t deadline = deadline_of(s);
    uint64_t number;
    PGresult *result = judged(s, PQsendQuery(s->link, sql) == 1 ? receive(s->link, deadline) : NULL);
    const bool found = result != NULL && PQntuples(result) > 0 &&
                       dps_decimal_parse(bytes_of_text(PQgetvalue(result, 0, 0)), INT32_MAX, &number) == 0;
    PQclear(result);
    return found ? (long)number : -1;
}

/* 0: there is no schema. to_regclass asks without failing, so that a transaction goes on. */
static long schema_found(struct posix_postgres *s)
{
    if (query_number(s, "SELECT 1 WHERE to_regclass('schema_version') IS NOT NULL") != 1) {
        return s->link == NULL ? -1 : 0;
    }
    return query_number(s, "SELECT version FROM schema_version");
}

static bool migrate(struct posix_postgres *s, long from)
{
    for (long version = from; version < SCHEMA_VERSION; version++) {
        char sql[96];
        snprintf(sql, sizeof sql, "UPDATE schema_version SET version = %ld", version + 1);
        if (!posix_postgres_execute(s, migrations[version]) || !posix_postgres_execute(s, sql)) {
            return false;
        }
    }
    return true;
}

/* Make the schema if it is missing, and bring an older one up to date, in a transaction: of several processes that
 * start together one makes it, and the others, whose CREATE TABLE waited for it and then failed, look again. Returns:
 * whether it is the one that this program knows. */
static bool make_schema(struct posix_postgres *s)
{
    enum { TRIES = 3 };
    for (int i = 0; i < TRIES && s->link != NULL; i++) {
        const long found = schema_found(s);
        if (found == SCHEMA_VERSION) {
            return true;
        }
        if (found > SCHEMA_VERSION) {
            snprintf(
                s->turn.reason, sizeof s->turn.reason,
                "its schema is %ld, of a newer version of this program, which knows %d; use that version",
                found, SCHEMA_VERSION);
            return false;
        }
        if (found < 0 || !posix_postgres_execute(s, "BEGIN")) {
            return false;
        }
        if (migrate(s, found) && posix_postgres_execute(s, "COMMIT")) {
            return true;
        }
        if (s->link != NULL) {
            (void)posix_postgres_execute(s, "ROLLBACK");
        }
    }
    return false;
}

/* ---- Connecting -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *sql;
} per_table[] = {
    {"get", "SELECT key, value, version FROM %s WHERE key = $1"},
    {"next", "SELECT key, value, version FROM %s WHERE key > $1 ORDER BY key LIMIT 1"},
    {"insert", "INSERT INTO %s (key, value, version) VALUES ($1, $2, nextval('record_version')) "
               "ON CONFLICT (key) DO NOTHING RETURNING version"},
    {"update", "UPDATE %s SET value = $2, version = nextval('record_version') "
               "WHERE key = $1 AND version = $3 RETURNING version"},
    {"remove", "DELETE FROM %s WHERE key = $1 AND ($2::BIGINT = 0 OR version = $2)"},
};

/* What it does, and the first letter of its table. */
#define STATEMENT_MAX 16
static void name_statement(char name[STATEMENT_MAX], const char *what, enum dps_table table)
{
    snprintf(name, STATEMENT_MAX, "%s%c", what, posix_store_table(table)[0]);
}

static bool prepare(struct posix_postgres *s, const char *name, const char *sql)
{
    const uint64_t deadline = deadline_of(s);
    PGresult *result =
        judged(s, PQsendPrepare(s->link, name, sql, 0, NULL) == 1 ? receive(s->link, deadline) : NULL);
    PQclear(result);
    return result != NULL;
}

static bool prepare_all(struct posix_postgres *s)
{
    for (size_t t = 0; t < DPS_TABLE_COUNT; t++) {
        for (size_t i = 0; i < sizeof per_table / sizeof per_table[0]; i++) {
            char name[STATEMENT_MAX];
            char sql[256];
            const char *table_at = strstr(per_table[i].sql, "%s");
            name_statement(name, per_table[i].name, (enum dps_table)t);
            snprintf(sql, sizeof sql, "%.*s%s%s", (int)(table_at - per_table[i].sql), per_table[i].sql,
                     posix_store_table((enum dps_table)t), table_at + 2);
            if (!prepare(s, name, sql)) {
                return false;
            }
        }
    }
    return true;
}

static bool finish_connecting(PGconn *link, uint64_t deadline_ms)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED ||
            !wait_socket(link, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms)) {
            return false;
        }
        status = PQconnectPoll(link);
    }
    return true;
}

/* The server gives up as well: a turn that holds locks must not wait for others for ever, and one whose client has
 * vanished must end. */
#define OPTIONS                                                                                              \
    "SET statement_timeout = 2500; SET lock_timeout = 2000; SET idle_in_transaction_session_timeout = "      \
    "10000;"                                                                                                 \
    "SET client_min_messages = warning"

/* libpq would write what the server says besides ("terminating connection ...") to standard error, which is the log. */
static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

static bool connect_and_prepare(struct posix_postgres *s, const struct posix_postgres_host *host,
                                uint64_t until_ms)
{
    const char *const keywords[] = {
        "dbname", "host", "hostaddr", "port", "fallback_application_name", "client_encoding", NULL};
    const char *const values[] = {s->conninfo, host->host, host->hostaddr, host->port, "dps-service",
                                  "UTF8",      NULL};
    s->link = PQconnectStartParams(keywords, values, 1); /* 1: dbname may be a whole connection string */
    if (s->link == NULL || PQstatus(s->link) == CONNECTION_BAD || !finish_connecting(s->link, until_ms)) {
        keep_reason(s, s->link != NULL && PQerrorMessage(s->link)[0] != 0 ? PQerrorMessage(s->link)
                                                                          : "the database does not answer");
        return false;
    }
    (void)PQsetNoticeReceiver(s->link, ignore_notice, NULL);
    return PQsetnonblocking(s->link, 1) == 0 && posix_postgres_execute(s, OPTIONS) && make_schema(s) &&
           prepare_all(s);
}

/* Of several hosts each gets a share of the time that is left: libpq would
 * spend all of it on one that does not answer at all. */
static bool connect_to_any(struct posix_postgres *s)
{
    const unsigned count = posix_postgres_host_count(s->conninfo);
    for (unsigned i = 0; i < count; i++) {
        struct posix_postgres_host host;
        const unsigned number = (s->host + i) % count;
        const uint64_t now = posix_monotonic_ms();
        const uint64_t left = s->connect_until_ms > now ? s->connect_until_ms - now : 0;
        posix_postgres_host(s->conninfo, number, &host);
        if (connect_and_prepare(s, &host, now + left / (count - i))) {
            s->host = number;
            return true;
        }
        if (i + 1 < count) {
            PQfinish(s->link);
            s->link = NULL;
        }
    }
    return false;
}

bool posix_postgres_connected(struct posix_postgres *s)
{
    if (s->link != NULL) {
        return true;
    }
    if (s->turn.state == POSIX_TURN_LOST || posix_monotonic_ms() < s->retry_at_ms) {
        return false;
    }
    const uint64_t begin = posix_monotonic_ms();
    s->connect_until_ms = begin + POSIX_POSTGRES_TIMEOUT_MS;
    const bool connected = connect_to_any(s);
    s->connect_until_ms = 0;
    if (connected) {
        s->retry_ms = POSIX_POSTGRES_RETRY_MIN_MS;
    } else {
        lose(s);
        s->retry_at_ms += posix_monotonic_ms() - begin; /* half of the time at most is spent on this */
    }
    return connected;
}

bool posix_postgres_again(struct posix_postgres *s)
{
    if (!s->cut || s->turn.state != POSIX_TURN_CLEAN) {
        return false;
    }
    s->retry_at_ms = 0;
    return posix_postgres_connected(s);
}

static PGresult *send_and_receive(struct posix_postgres *s, const char *name, struct bytes key,
                                  const struct bytes *value, const uint64_t *version)
{
    const uint64_t deadline = deadline_of(s);
    uint8_t number[8];
    const char *values[3] = {key.len > 0 ? (const char *)key.p : ""}; /* a null pointer would be NULL */
    int lengths[3] = {(int)key.len};
    const int formats[3] = {1, 1, 1};
    int count = 1;
    if (value != NULL) {
        values[count] = value->len > 0 ? (const char *)value->p : "";
        lengths[count++] = (int)value->len;
    }
    if (version != NULL) {
        struct bytes_writer w = bytes_writer_over(number, sizeof number);
        bytes_write_u64(&w, *version);
        values[count] = (const char *)number;
        lengths[count++] = sizeof number;
    }
    const bool sent = PQsendQueryPrepared(s->link, name, count, values, lengths, formats, 1) == 1;
    return judged(s, sent ? receive(s->link, deadline) : NULL);
}

PGresult *posix_postgres_run(struct posix_postgres *s, const char *what, enum dps_table table,
                             struct bytes key, const struct bytes *value, const uint64_t *version)
{
    char name[STATEMENT_MAX];
    name_statement(name, what, table);
    if (!posix_postgres_connected(s)) {
        return NULL;
    }
    PGresult *result = send_and_receive(s, name, key, value, version);
    if (result == NULL && posix_postgres_again(s)) {
        result = send_and_receive(s, name, key, value, version);
    }
    /* The server has refused a statement: its transaction is dead, whatever else was in it. */
    if (result == NULL) {
        posix_turn_lose(s);
    }
    return result;
}
