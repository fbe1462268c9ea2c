/* SPDX-License-Identifier: MIT */
/* The PostgreSQL store on a real server: the contract of every store, two nodes at once, and a database that stops,
 * hangs, cuts connections, or belongs to a newer version. Usage: test_store_postgres, from the root of the tree. */
#include "port/posix/private.h"
#include "port/posix/store_postgres.h"
#include "tests/port/store_cases.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char conninfo[256];
static char why[512];

/* A line of shell about our server, "start" or "psql ...", and the line that it prints. Returns: whether it worked. */
static bool server(const char *what, const char *more, char *line, size_t size)
{
    char command[1024];
    char printed[256] = "";
    snprintf(command, sizeof command, "tests/faults/postgres.sh %s '%s' %s", what, support_path("pg"), more);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL) {
        return false;
    }
    while (fgets(printed, sizeof printed, pipe) != NULL) {
        printed[strcspn(printed, "\n")] = 0;
    }
    if (line != NULL) {
        snprintf(line, size, "%s", printed);
    }
    return pclose(pipe) == 0;
}

static bool sql(const char *text)
{
    char quoted[512];
    snprintf(quoted, sizeof quoted, "-c \"%s\"", text);
    return server("psql", quoted, NULL, 0);
}

static bool open_store(struct posix_postgres *db)
{
    if (posix_postgres_open(db, conninfo, why, sizeof why) == 0) {
        return true;
    }
    printf("# %s\n", why);
    return false;
}

#define EMPTY "TRUNCATE enrollments, registrations, devices"
#define CUT "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dps-service'"

static int run_next(void)
{
    static size_t call;
    struct posix_postgres db;
    CHECK(open_store(&db));
    struct dps_store s = posix_postgres_store(&db);
    CHECK(posix_postgres_execute(&db, EMPTY));
    const int line = store_cases[call++].run(&s);
    posix_postgres_close(&db);
    return line;
}

/* Two nodes that use the same version: one of them wins, and the other learns of it. */
static int two_nodes_one_wins(void)
{
    struct posix_postgres x, y;
    CHECK(open_store(&x) && open_store(&y) && posix_postgres_execute(&x, EMPTY));
    struct dps_store a = posix_postgres_store(&x), b = posix_postgres_store(&y);
    const enum dps_table t = DPS_TABLE_REGISTRATIONS;
    uint64_t version = 0, of_a, of_b;
    char value[64];
    CHECK_EQUAL(store_put(&a, t, "r", "0", &version), 0);
    CHECK_EQUAL(store_value_of(&b, t, "r"), "-"); /* not visible before it is durable */
    CHECK_EQUAL(a.commit(a.context), 0);
    CHECK(store_get(&a, t, "r", value, &of_a) == 0 && store_get(&b, t, "r", value, &of_b) == 0 &&
          of_a == of_b);
    CHECK(store_put(&a, t, "r", "of a", &of_a) == 0 && a.commit(a.context) == 0);
    CHECK(store_put(&b, t, "r", "of b", &of_b) == BYTES_E_CONFLICT && b.commit(b.context) == 0);
    CHECK_EQUAL(store_value_of(&b, t, "r"), "of a");
    posix_postgres_close(&x);
    posix_postgres_close(&y);
    return 0;
}

static bool comes_back(struct dps_store *s)
{
    char value[64];
    uint64_t version;
    for (int i = 0; i < 600; i++) {
        const int error = store_get(s, DPS_TABLE_DEVICES, "d", value, &version);
        if (error != BYTES_E_STORE) {
            return error == 0;
        }
        usleep(100000);
    }
    return false;
}

/* The second writer waits for the first one's turn, but not for ever: then its own turn is lost, and only that. */
static int a_lock_is_not_waited_for_long(void)
{
    struct posix_postgres x, y;
    CHECK(open_store(&x) && open_store(&y) && posix_postgres_execute(&x, EMPTY));
    struct dps_store a = posix_postgres_store(&x), b = posix_postgres_store(&y);
    const enum dps_table t = DPS_TABLE_DEVICES;
    uint64_t of_a = 0, of_b = 0, other = 0, next = 0;
    CHECK_EQUAL(store_put(&b, t, "other", "1", &other), 0);
    CHECK_EQUAL(store_put(&a, t, "d", "of a", &of_a), 0);
    CHECK_EQUAL(store_put(&b, t, "d", "of b", &of_b), BYTES_E_STORE);
    CHECK(strstr(y.turn.reason, "lock timeout") != NULL);
    CHECK_EQUAL(b.commit(b.context), BYTES_E_STORE); /* with all that it wrote */
    CHECK_EQUAL(store_put(&b, t, "d", "of b", &next), BYTES_E_STORE);
    (void)b.commit(b.context);
    CHECK_EQUAL(a.commit(a.context), 0);
    CHECK(comes_back(&b));
    CHECK_EQUAL(store_keys_of(&b, t), "d ");
    posix_postgres_close(&x);
    posix_postgres_close(&y);
    return 0;
}

static int add_in_a_race(unsigned count)
{
    struct posix_postgres db;
    if (!open_store(&db)) {
        return 1;
    }
    struct dps_store s = posix_postgres_store(&db);
    while (count > 0) {
        char value[64], next[16];
        unsigned number = 0;
        uint64_t version;
        const int error = store_get(&s, DPS_TABLE_REGISTRATIONS, "n", value, &version);
        if (error == 0 && sscanf(value, "%u", &number) != 1) {
            return 2;
        }
        snprintf(next, sizeof next, "%u", number + 1);
        const int written = store_put(&s, DPS_TABLE_REGISTRATIONS, "n", next, &version);
        if (s.commit(s.context) != 0 || (written != 0 && written != BYTES_E_CONFLICT)) {
            return 3;
        }
        count -= written == 0;
    }
    posix_postgres_close(&db);
    return 0;
}

/* Processes that start at once on a database without a schema, and all want the same record. */
static int race_of_processes(void)
{
    enum { PROCESSES = 4, EACH = 25 };
    pid_t children[PROCESSES];
    CHECK(
        sql("DROP TABLE enrollments, registrations, devices, schema_version; DROP SEQUENCE record_version"));
    for (size_t i = 0; i < PROCESSES; i++) {
        children[i] = support_fork();
        if (children[i] == 0) {
            _exit(add_in_a_race(EACH));
        }
    }
    for (size_t i = 0; i < PROCESSES; i++) {
        int status;
        CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
    }
    struct posix_postgres db;
    CHECK(open_store(&db));
    struct dps_store s = posix_postgres_store(&db);
    CHECK_EQUAL(store_value_of(&s, DPS_TABLE_REGISTRATIONS, "n"), "100");
    posix_postgres_close(&db);
    return 0;
}

/* Cut in the middle of a turn: the turn is lost as a whole, and the next one works again by itself. */
static int connection_cut(void)
{
    struct posix_postgres db;
    CHECK(open_store(&db) && posix_postgres_execute(&db, EMPTY));
    struct dps_store s = posix_postgres_store(&db);
    uint64_t d = 0, e = 0;
    CHECK(store_put(&s, DPS_TABLE_DEVICES, "d", "1", &d) == 0 && s.commit(s.context) == 0);
    CHECK_EQUAL(store_put(&s, DPS_TABLE_DEVICES, "e", "1", &e), 0);
    CHECK(sql(CUT));
    CHECK_EQUAL(s.commit(s.context), BYTES_E_STORE);
    CHECK(comes_back(&s));
    CHECK_EQUAL(store_keys_of(&s, DPS_TABLE_DEVICES), "d ");
    e = 0;
    CHECK(store_put(&s, DPS_TABLE_DEVICES, "e", "1", &e) == 0 && s.commit(s.context) == 0);
    posix_postgres_close(&db);
    return 0;
}

/* Cut between two turns: whatever comes next, it is asked again of a new connection, and nobody notices. */
static int connection_cut_between_turns(void)
{
    struct posix_postgres db;
    char value[64];
    uint64_t d = 0, e = 0, version;
    CHECK(open_store(&db) && posix_postgres_execute(&db, EMPTY));
    struct dps_store s = posix_postgres_store(&db);
    CHECK(store_put(&s, DPS_TABLE_DEVICES, "d", "1", &d) == 0 && s.commit(s.context) == 0);
    CHECK(sql(CUT));
    CHECK_EQUAL(store_get(&s, DPS_TABLE_DEVICES, "d", value, &version), 0);
    CHECK(sql(CUT));
    CHECK_EQUAL(store_put(&s, DPS_TABLE_DEVICES, "e", "1", &e), 0);
    CHECK_EQUAL(s.commit(s.context), 0);
    CHECK(sql(CUT));
    CHECK_EQUAL(store_keys_of(&s, DPS_TABLE_DEVICES), "d e ");
    CHECK(server("stop", "fast", NULL, 0) && server("start", "", NULL, 0));
    CHECK_EQUAL(store_remove(&s, DPS_TABLE_DEVICES, "e", e), 0);
    CHECK_EQUAL(s.commit(s.context), 0);
    posix_postgres_close(&db);
    return 0;
}

static int stopped_and_started(void)
{
    struct posix_postgres db;
    char value[64];
    uint64_t version;
    CHECK(open_store(&db));
    struct dps_store s = posix_postgres_store(&db);
    CHECK(server("stop", "immediate", NULL, 0));
    CHECK_EQUAL(store_get(&s, DPS_TABLE_DEVICES, "d", value, &version), BYTES_E_STORE);
    /* While it is away, nobody waits for it, or this would take ten times as long and more. */
    const uint64_t begin = posix_monotonic_ms();
    for (int i = 0; i < 1000; i++) {
        CHECK_EQUAL(store_get(&s, DPS_TABLE_DEVICES, "d", value, &version), BYTES_E_STORE);
    }
    CHECK(posix_monotonic_ms() - begin < 100 * POSIX_POSTGRES_TIMEOUT_MS);
    CHECK(server("start", "", NULL, 0));
    CHECK(comes_back(&s)); /* what was committed survived the crash */
    posix_postgres_close(&db);
    return 0;
}

static bool signal_server(const char *name)
{
    char command[512];
    snprintf(command, sizeof command,
             "p=$(head -n 1 '%s/data/postmaster.pid') && kill -%s \"$p\" && pkill -%s -P \"$p\"",
             support_path("pg"), name, name);
    return system(command) == 0;
}

/* A server that accepts and says nothing: given up after the time-out, and found again when it is back. */
static int hangs(void)
{
    struct posix_postgres db;
    char value[64];
    uint64_t version;
    CHECK(open_store(&db));
    struct dps_store s = posix_postgres_store(&db);
    CHECK(signal_server("STOP"));
    const uint64_t begin = posix_monotonic_ms();
    const int error = store_get(&s, DPS_TABLE_DEVICES, "d", value, &version);
    const uint64_t waited = posix_monotonic_ms() - begin;
    CHECK(signal_server("CONT"));
    CHECK(error == BYTES_E_STORE && waited >= POSIX_POSTGRES_TIMEOUT_MS - 1);
    CHECK_EQUAL(db.turn.reason, "the database does not answer");
    CHECK(comes_back(&s));
    posix_postgres_close(&db);
    return 0;
}

static int newer_schema(void)
{
    struct posix_postgres db;
    CHECK(sql("UPDATE schema_version SET version = 99"));
    CHECK_EQUAL(posix_postgres_open(&db, conninfo, why, sizeof why), BYTES_E_STORE);
    CHECK(strstr(why, "newer version of this program") != NULL);
    CHECK(sql("UPDATE schema_version SET version = 1"));
    CHECK(open_store(&db));
    posix_postgres_close(&db);
    return 0;
}

/* The rights that OPERATIONS.md gives the service's role, and no more. */
static int least_rights(void)
{
    struct posix_postgres db;
    char limited[300];
    CHECK(sql("CREATE ROLE service LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON enrollments, "
              "registrations, devices "
              "TO service; GRANT USAGE ON SEQUENCE record_version TO service; GRANT SELECT ON schema_version "
              "TO service"));
    snprintf(limited, sizeof limited, "host=%s user=service dbname=postgres", support_path("pg"));
    CHECK_EQUAL(posix_postgres_open(&db, limited, why, sizeof why), 0);
    struct dps_store s = posix_postgres_store(&db);
    uint64_t version = 0;
    CHECK(store_put(&s, DPS_TABLE_ENROLLMENTS, "least", "1", &version) == 0 && s.commit(s.context) == 0);
    CHECK(store_put(&s, DPS_TABLE_ENROLLMENTS, "least", "2", &version) == 0 && s.commit(s.context) == 0);
    CHECK(store_remove(&s, DPS_TABLE_ENROLLMENTS, "least", version) == 0 && s.commit(s.context) == 0);
    CHECK(!posix_postgres_execute(&db, "TRUNCATE enrollments"));
    posix_postgres_close(&db);
    return 0;
}

static int errors_at_open(void)
{
    struct posix_postgres db;
    CHECK_EQUAL(posix_postgres_open(&db, "host=/nonexistent dbname=x", why, sizeof why), BYTES_E_STORE);
    CHECK(strstr(why, "/nonexistent") != NULL);
    CHECK_EQUAL(posix_postgres_open(&db, "this is not a connection string", why, sizeof why), BYTES_E_STORE);
    CHECK(strstr(why, "cannot use the PostgreSQL store: ") != NULL);
    return 0;
}

static const struct test own[] = {
    {"two nodes: one wins", two_nodes_one_wins},
    {"a lock is not waited for long", a_lock_is_not_waited_for_long},
    {"a race of processes, from making the schema on", race_of_processes},
    {"connection cut in the middle of a turn", connection_cut},
    {"connection cut between two turns", connection_cut_between_turns},
    {"stopped and started", stopped_and_started},
    {"a server that hangs", hangs},
    {"a newer schema is refused", newer_schema},
    {"least rights", least_rights},
    {"errors at open", errors_at_open},
};
#define OWN (sizeof own / sizeof own[0])

int main(void)
{
    static char names[STORE_CASES][64];
    struct test tests[STORE_CASES + OWN];
    if (!server("start", "", conninfo, sizeof conninfo)) {
        printf("Bail out! PostgreSQL does not start\n");
        return 1;
    }
    for (size_t i = 0; i < STORE_CASES; i++) {
        snprintf(names[i], sizeof names[i], "postgres: %s", store_cases[i].name);
        tests[i] = (struct test){names[i], run_next};
    }
    memcpy(&tests[STORE_CASES], own, sizeof own);
    const int status = test_run(tests, STORE_CASES + OWN);
    (void)server("stop", "immediate", NULL, 0);
    return status;
}
