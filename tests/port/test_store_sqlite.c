/* SPDX-License-Identifier: MIT */
/* What only a store that outlives its process, and is shared by processes, can show. */
#include "port/posix/posix.h"
#include "port/posix/store_sqlite.h"
#include "tests/port/store_cases.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char why[512];

static bool open_file(struct posix_sqlite *db, const char *name)
{
    if (posix_sqlite_open(db, support_path(name), why, sizeof why) == 0) {
        return true;
    }
    printf("# %s\n", why);
    return false;
}

static int survives_reopen(void)
{
    struct posix_sqlite db;
    CHECK(open_file(&db, "reopen.db"));
    struct dps_store s = posix_sqlite_store(&db);
    uint64_t committed = 0, lost = 0;
    CHECK(store_put(&s, DPS_TABLE_ENROLLMENTS, "a", "1", &committed) == 0 && s.commit(s.context) == 0);
    CHECK_EQUAL(store_put(&s, DPS_TABLE_ENROLLMENTS, "b", "1", &lost), 0);
    posix_sqlite_close(&db);
    struct stat st;
    CHECK(stat(support_path("reopen.db"), &st) == 0 && (st.st_mode & 077) == 0);
    CHECK(open_file(&db, "reopen.db"));
    s = posix_sqlite_store(&db);
    CHECK_EQUAL(store_keys_of(&s, DPS_TABLE_ENROLLMENTS), "a ");
    CHECK(store_remove(&s, DPS_TABLE_ENROLLMENTS, "a", committed) == 0 && s.commit(s.context) == 0);
    posix_sqlite_close(&db);
    /* The counter is kept even when no record is left. */
    CHECK(open_file(&db, "reopen.db"));
    s = posix_sqlite_store(&db);
    uint64_t again = 0;
    CHECK(store_put(&s, DPS_TABLE_ENROLLMENTS, "a", "2", &again) == 0 && again > committed);
    posix_sqlite_close(&db);
    return 0;
}

static int two_handles_one_wins(void)
{
    struct posix_sqlite x, y;
    CHECK(open_file(&x, "two.db") && open_file(&y, "two.db"));
    struct dps_store a = posix_sqlite_store(&x), b = posix_sqlite_store(&y);
    const enum dps_table t = DPS_TABLE_REGISTRATIONS;
    uint64_t version = 0, of_a, of_b;
    char value[64];
    CHECK(store_put(&a, t, "r", "0", &version) == 0 && a.commit(a.context) == 0);
    CHECK(store_get(&a, t, "r", value, &of_a) == 0 && store_get(&b, t, "r", value, &of_b) == 0 &&
          of_a == of_b);
    CHECK_EQUAL(store_put(&a, t, "r", "of a", &of_a), 0);
    CHECK_EQUAL(store_value_of(&b, t, "r"), "0"); /* not visible before it is durable */
    CHECK_EQUAL(a.commit(a.context), 0);
    CHECK_EQUAL(store_put(&b, t, "r", "of b", &of_b), BYTES_E_CONFLICT);
    CHECK_EQUAL(b.commit(b.context), 0);
    CHECK_EQUAL(store_value_of(&b, t, "r"), "of a");
    posix_sqlite_close(&x);
    posix_sqlite_close(&y);
    return 0;
}

/* A write that waited in vain for another process's turn has failed alone: its own turn goes on. */
static int busy_is_no_loss(void)
{
    struct posix_sqlite x, y;
    CHECK(open_file(&x, "busy.db") && open_file(&y, "busy.db"));
    struct dps_store a = posix_sqlite_store(&x), b = posix_sqlite_store(&y);
    uint64_t of_a = 0, of_b = 0;
    CHECK_EQUAL(sqlite3_busy_timeout(y.db, 0), SQLITE_OK);
    CHECK_EQUAL(store_put(&a, DPS_TABLE_DEVICES, "hub/a", "1", &of_a), 0);
    CHECK_EQUAL(store_put(&b, DPS_TABLE_DEVICES, "hub/b", "1", &of_b), BYTES_E_STORE);
    CHECK_EQUAL(store_keys_of(&b, DPS_TABLE_DEVICES), "");
    CHECK_EQUAL(a.commit(a.context), 0);
    of_b = 0;
    CHECK(store_put(&b, DPS_TABLE_DEVICES, "hub/b", "1", &of_b) == 0 && of_b > of_a &&
          b.commit(b.context) == 0);
    CHECK_EQUAL(store_keys_of(&a, DPS_TABLE_DEVICES), "hub/a hub/b ");
    posix_sqlite_close(&x);
    posix_sqlite_close(&y);
    return 0;
}

/* Add one to a number that others add to as well, count times. */
static int add_in_a_race(const char *name, unsigned count)
{
    struct posix_sqlite db;
    if (!open_file(&db, name)) {
        return 1;
    }
    struct dps_store s = posix_sqlite_store(&db);
    while (count > 0) {
        char value[64], next[16];
        unsigned number = 0;
        uint64_t version;
        int error = store_get(&s, DPS_TABLE_REGISTRATIONS, "n", value, &version);
        if (error == 0 && sscanf(value, "%u", &number) != 1) {
            return 2;
        }
        snprintf(next, sizeof next, "%u", number + 1);
        int written = store_put(&s, DPS_TABLE_REGISTRATIONS, "n", next, &version);
        if (s.commit(s.context) != 0 || (written != 0 && written != BYTES_E_CONFLICT)) {
            return 3;
        }
        count -= written == 0;
    }
    posix_sqlite_close(&db);
    return 0;
}

/* Processes that start at once on a file that does not exist yet, and all want the same record. */
static int race_of_processes(void)
{
    enum { PROCESSES = 4, EACH = 25 };
    const char *first = support_path("race.db"); /* makes the directory before there are several processes */
    CHECK(first != NULL);
    pid_t child[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        child[i] = support_fork();
        CHECK(child[i] >= 0);
        if (child[i] == 0) {
            _exit(add_in_a_race("race.db", EACH));
        }
    }
    int status, failed = 0;
    for (int i = 0; i < PROCESSES; i++) {
        CHECK_EQUAL(waitpid(child[i], &status, 0), child[i]);
        failed |= status;
    }
    CHECK_EQUAL(failed, 0);
    struct posix_sqlite db;
    CHECK(open_file(&db, "race.db"));
    struct dps_store s = posix_sqlite_store(&db);
    CHECK_EQUAL(store_value_of(&s, DPS_TABLE_REGISTRATIONS, "n"), "100");
    posix_sqlite_close(&db);
    return 0;
}

/* A process that writes two records, commits if asked, and kills itself without any clean-up. */
static int killed(const char *name, bool after_commit)
{
    (void)support_path(name);
    pid_t child = support_fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct posix_sqlite db;
        uint64_t a = 0, b = 0;
        if (!open_file(&db, name)) {
            _exit(1);
        }
        struct dps_store s = posix_sqlite_store(&db);
        if (store_put(&s, DPS_TABLE_ENROLLMENTS, "a", "1", &a) != 0 ||
            store_put(&s, DPS_TABLE_DEVICES, "hub/a", "1", &b) != 0 ||
            (after_commit && s.commit(s.context) != 0)) {
            _exit(2);
        }
        (void)kill(getpid(), SIGKILL);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct posix_sqlite db;
    CHECK(open_file(&db, name));
    struct dps_store s = posix_sqlite_store(&db);
    CHECK_EQUAL(store_keys_of(&s, DPS_TABLE_ENROLLMENTS), after_commit ? "a " : "");
    CHECK_EQUAL(store_keys_of(&s, DPS_TABLE_DEVICES), after_commit ? "hub/a " : "");
    uint64_t again = 0;
    CHECK(store_put(&s, DPS_TABLE_ENROLLMENTS, "b", "1", &again) == 0 && again == (after_commit ? 3 : 1));
    posix_sqlite_close(&db);
    return 0;
}

static int killed_before_commit(void)
{
    return killed("killed-before.db", false);
}

static int killed_after_commit(void)
{
    return killed("killed-after.db", true);
}

/* An SQLite error in the middle of a turn: nothing of that turn may be committed, and the next turn works. */
static int error_loses_the_turn(void)
{
    struct posix_sqlite db;
    CHECK(open_file(&db, "lost.db"));
    struct dps_store s = posix_sqlite_store(&db);
    const enum dps_table t = DPS_TABLE_ENROLLMENTS;
    uint64_t version = 0;
    char value[64];
    CHECK_EQUAL(sqlite3_exec(db.db,
                             "CREATE TRIGGER broken BEFORE INSERT ON enrollments WHEN NEW.key = 'bad' "
                             "BEGIN SELECT RAISE(ROLLBACK, 'broken'); END",
                             NULL, NULL, NULL),
                SQLITE_OK);
    CHECK_EQUAL(store_put(&s, t, "a", "1", &version), 0);
    version = 0;
    CHECK_EQUAL(store_put(&s, t, "bad", "1", &version), BYTES_E_STORE);
    version = 0;
    CHECK_EQUAL(store_put(&s, t, "c", "1", &version), BYTES_E_STORE);
    CHECK_EQUAL(store_get(&s, t, "a", value, &version), BYTES_E_STORE);
    CHECK_EQUAL(s.commit(s.context), BYTES_E_STORE);
    CHECK_EQUAL(store_keys_of(&s, t), "");
    version = 0;
    CHECK(store_put(&s, t, "d", "1", &version) == 0 && s.commit(s.context) == 0);
    CHECK_EQUAL(store_keys_of(&s, t), "d ");
    posix_sqlite_close(&db);
    return 0;
}

static bool prepare_file(const char *name, const char *sql)
{
    sqlite3 *db;
    bool ok = sqlite3_open(support_path(name), &db) == SQLITE_OK &&
              sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
    return sqlite3_close(db) == SQLITE_OK && ok;
}

static int refuses_what_is_not_its_file(void)
{
    static const struct {
        const char *name, *sql, *sentence;
    } files[] = {
        {"newer.db", "PRAGMA user_version = 2", "newer version"},
        {"other.db", "CREATE TABLE notes (text)", "another program"},
        {"broken.db", "PRAGMA user_version = 1", "does not have the tables"},
    };
    struct posix_sqlite db;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        CHECK(prepare_file(files[i].name, files[i].sql));
        CHECK_EQUAL(posix_sqlite_open(&db, support_path(files[i].name), why, sizeof why), BYTES_E_STORE);
        CHECK(strstr(why, files[i].sentence) != NULL);
    }
    CHECK(posix_file_replace(support_path("text.db"), bytes_of_text("this is a text, not a database\n"),
                             0600) == 0);
    CHECK_EQUAL(posix_sqlite_open(&db, support_path("text.db"), why, sizeof why), BYTES_E_STORE);
    CHECK_EQUAL(posix_sqlite_open(&db, support_path("no/such/directory.db"), why, sizeof why), BYTES_E_STORE);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"sqlite: a commit survives, the counter with it", survives_reopen},
        {"sqlite: of two handles one wins", two_handles_one_wins},
        {"sqlite: a busy store fails the write, not the turn", busy_is_no_loss},
        {"sqlite: processes in a race", race_of_processes},
        {"sqlite: killed before commit leaves nothing", killed_before_commit},
        {"sqlite: killed after commit leaves everything", killed_after_commit},
        {"sqlite: an error loses the turn and no more", error_loses_the_turn},
        {"sqlite: refuses other and newer files", refuses_what_is_not_its_file},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
