/* SPDX-License-Identifier: MIT */
/* The contract of dps/store.h: one table of cases, run over every store of this port; then what only a store that
 * outlives its process can show. */
#include "port/posix/posix.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_RECORDS 12
#define MEMORY_UNDO 24

static struct posix_memory_record records[MEMORY_RECORDS], undo[MEMORY_UNDO];
static struct posix_memory memory;
static struct posix_sqlite sqlite;
static char why[512];

static struct dps_store open_memory(void)
{
    posix_memory_init(&memory, records, MEMORY_RECORDS, undo, MEMORY_UNDO);
    return posix_memory_store(&memory);
}

static void close_memory(void)
{
}

/* A new file for each case. */
static struct dps_store open_sqlite(void)
{
    static unsigned number;
    char name[32];
    snprintf(name, sizeof name, "case-%u.db", number++);
    if (posix_sqlite_open(&sqlite, support_path(name), why, sizeof why) != 0) {
        printf("# %s\n", why);
        return (struct dps_store){0};
    }
    return posix_sqlite_store(&sqlite);
}

static void close_sqlite(void)
{
    posix_sqlite_close(&sqlite);
}

/* Shorthand: table, key and value as text; the version in place, as a service keeps it. */
static int put(struct dps_store *s, enum dps_table table, const char *key, const char *value,
               uint64_t *version)
{
    return s->put(s->context, table, span_of_text(key), span_of_text(value), *version, version);
}

static int get(struct dps_store *s, enum dps_table table, const char *key, char value[64], uint64_t *version)
{
    size_t len;
    int error = s->get(s->context, table, span_of_text(key), (uint8_t *)value, 63, &len, version);
    value[len] = 0;
    return error;
}

static int remove_key(struct dps_store *s, enum dps_table table, const char *key, uint64_t expected)
{
    return s->remove(s->context, table, span_of_text(key), expected);
}

/* The value of a key as it stands, or "-" if there is none. */
static const char *value_of(struct dps_store *s, enum dps_table table, const char *key)
{
    static char value[64];
    uint64_t version;
    int error = get(s, table, key, value, &version);
    return error == 0 ? value : error == DPS_E_NOT_FOUND ? "-" : "error";
}

/* All keys of a table in the order of next, each followed by a blank. */
static const char *keys_of(struct dps_store *s, enum dps_table table)
{
    static char list[1024];
    uint8_t key[DPS_KEY_MAX], value[DPS_RECORD_MAX];
    size_t key_len = 0, len, at = 0;
    uint64_t version;
    int error;
    while ((error = s->next(s->context, table, span_of(key, key_len), key, &key_len, value, sizeof value,
                            &len, &version)) == 0)
        at += (size_t)snprintf(list + at, sizeof list - at, "%.*s ", (int)key_len, (const char *)key);
    list[at] = 0;
    return error == DPS_E_NOT_FOUND ? list : "error";
}

static int create_and_read(struct dps_store *s)
{
    uint64_t version = 0, read_version;
    char value[64];
    CHECK(get(s, DPS_TABLE_ENROLLMENTS, "a", value, &read_version) == DPS_E_NOT_FOUND);
    CHECK(put(s, DPS_TABLE_ENROLLMENTS, "a", "{\"one\":1}", &version) == 0 && version > 0);
    /* Visible at once, and in its own table only. */
    CHECK(get(s, DPS_TABLE_ENROLLMENTS, "a", value, &read_version) == 0);
    CHECK(strcmp(value, "{\"one\":1}") == 0 && read_version == version);
    CHECK(strcmp(value_of(s, DPS_TABLE_REGISTRATIONS, "a"), "-") == 0);
    CHECK(strcmp(value_of(s, DPS_TABLE_DEVICES, "a"), "-") == 0);
    CHECK(s->commit(s->context) == 0);
    CHECK(s->commit(s->context) == 0); /* an empty turn */
    CHECK(strcmp(value_of(s, DPS_TABLE_ENROLLMENTS, "a"), "{\"one\":1}") == 0);
    return 0;
}

static int create_conflicts(struct dps_store *s)
{
    uint64_t first = 0, second = 0;
    CHECK(put(s, DPS_TABLE_DEVICES, "hub/a", "1", &first) == 0);
    CHECK(put(s, DPS_TABLE_DEVICES, "hub/a", "2", &second) == DPS_E_CONFLICT && second == 0);
    CHECK(strcmp(value_of(s, DPS_TABLE_DEVICES, "hub/a"), "1") == 0);
    return 0;
}

static int compare_and_set(struct dps_store *s)
{
    uint64_t v1 = 0;
    CHECK(put(s, DPS_TABLE_REGISTRATIONS, "a", "1", &v1) == 0);
    uint64_t v2 = v1, stale = v1, none = v1 + 1000, absent = v1;
    CHECK(put(s, DPS_TABLE_REGISTRATIONS, "a", "2", &v2) == 0 && v2 > v1);
    CHECK(put(s, DPS_TABLE_REGISTRATIONS, "a", "3", &stale) == DPS_E_CONFLICT && stale == 0);
    CHECK(put(s, DPS_TABLE_REGISTRATIONS, "a", "3", &none) == DPS_E_CONFLICT);
    CHECK(put(s, DPS_TABLE_REGISTRATIONS, "b", "3", &absent) == DPS_E_CONFLICT);
    CHECK(s->commit(s->context) == 0);
    CHECK(strcmp(value_of(s, DPS_TABLE_REGISTRATIONS, "a"), "2") == 0);
    CHECK(strcmp(keys_of(s, DPS_TABLE_REGISTRATIONS), "a ") == 0);
    return 0;
}

static int remove_checks_version(struct dps_store *s)
{
    uint64_t a = 0, b = 0;
    CHECK(put(s, DPS_TABLE_ENROLLMENTS, "a", "1", &a) == 0);
    CHECK(put(s, DPS_TABLE_ENROLLMENTS, "b", "1", &b) == 0);
    CHECK(remove_key(s, DPS_TABLE_ENROLLMENTS, "c", 0) == DPS_E_NOT_FOUND);
    CHECK(remove_key(s, DPS_TABLE_ENROLLMENTS, "c", a) == DPS_E_NOT_FOUND);
    CHECK(remove_key(s, DPS_TABLE_ENROLLMENTS, "a", b) == DPS_E_CONFLICT);
    CHECK(remove_key(s, DPS_TABLE_REGISTRATIONS, "a", a) == DPS_E_NOT_FOUND);
    CHECK(remove_key(s, DPS_TABLE_ENROLLMENTS, "a", a) == 0);
    CHECK(remove_key(s, DPS_TABLE_ENROLLMENTS, "b", 0) == 0);
    CHECK(s->commit(s->context) == 0);
    CHECK(strcmp(keys_of(s, DPS_TABLE_ENROLLMENTS), "") == 0);
    return 0;
}

static int versions_are_never_given_twice(struct dps_store *s)
{
    uint64_t old = 0, made_again = 0;
    CHECK(put(s, DPS_TABLE_ENROLLMENTS, "a", "1", &old) == 0 && s->commit(s->context) == 0);
    CHECK(remove_key(s, DPS_TABLE_ENROLLMENTS, "a", old) == 0 && s->commit(s->context) == 0);
    CHECK(put(s, DPS_TABLE_ENROLLMENTS, "a", "2", &made_again) == 0 && s->commit(s->context) == 0);
    CHECK(made_again > old);
    CHECK(put(s, DPS_TABLE_ENROLLMENTS, "a", "3", &old) == DPS_E_CONFLICT);
    CHECK(remove_key(s, DPS_TABLE_ENROLLMENTS, "a", made_again - 1) == DPS_E_CONFLICT);
    uint64_t other = 0; /* one counter for all tables */
    CHECK(put(s, DPS_TABLE_DEVICES, "hub/a", "1", &other) == 0 && other > made_again);
    return 0;
}

static int lists_in_byte_order(struct dps_store *s)
{
    static const char *const keys[] = {"b", "a", "ab", "a-1", "\xc3\xa4", "A", "a0", "_"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        uint64_t version = 0;
        CHECK(put(s, DPS_TABLE_DEVICES, keys[i], keys[i], &version) == 0);
    }
    CHECK(strcmp(keys_of(s, DPS_TABLE_DEVICES), "A _ a a-1 a0 ab b \xc3\xa4 ") == 0);
    CHECK(strcmp(keys_of(s, DPS_TABLE_ENROLLMENTS), "") == 0);
    /* From a key that is not there, with its value and version. */
    uint8_t key[DPS_KEY_MAX], value[8];
    size_t key_len, len;
    uint64_t version;
    CHECK(s->next(s->context, DPS_TABLE_DEVICES, span_of_text("a9"), key, &key_len, value, sizeof value, &len,
                  &version) == 0);
    CHECK(key_len == 2 && memcmp(key, "ab", 2) == 0 && len == 2 && memcmp(value, "ab", 2) == 0 &&
          version > 0);
    CHECK(s->next(s->context, DPS_TABLE_DEVICES, span_of_text("ab"), key, &key_len, value, 0, &len,
                  &version) == DPS_E_SPACE);
    CHECK(len == 0);
    return 0;
}

static int largest_record(struct dps_store *s)
{
    static uint8_t key[DPS_KEY_MAX + 1], value[DPS_RECORD_MAX + 1], back[DPS_RECORD_MAX];
    memset(key, 'k', sizeof key);
    memset(value, 'v', sizeof value);
    uint64_t version = 0, read_version;
    size_t len;
    struct span k = span_of(key, DPS_KEY_MAX), v = span_of(value, DPS_RECORD_MAX);
    const enum dps_table t = DPS_TABLE_DEVICES;
    CHECK(s->put(s->context, t, span_of(key, DPS_KEY_MAX + 1), v, 0, &version) == DPS_E_STORE);
    CHECK(s->put(s->context, t, span_of(key, 0), v, 0, &version) == DPS_E_STORE);
    CHECK(s->put(s->context, t, k, span_of(value, DPS_RECORD_MAX + 1), 0, &version) == DPS_E_STORE);
    CHECK(s->put(s->context, t, k, v, 0, &version) == 0);
    CHECK(s->get(s->context, t, k, back, sizeof back, &len, &read_version) == 0);
    CHECK(len == DPS_RECORD_MAX && memcmp(back, value, len) == 0);
    CHECK(s->get(s->context, t, k, back, sizeof back - 1, &len, &read_version) == DPS_E_SPACE && len == 0);
    CHECK(s->put(s->context, t, k, span_of(NULL, 0), version, &version) == 0);
    CHECK(s->get(s->context, t, k, back, 0, &len, &read_version) == 0 && len == 0);
    CHECK(s->commit(s->context) == 0);
    return 0;
}

static int rollback_undoes_all(struct dps_store *s)
{
    uint64_t a = 0, b = 0, c = 0;
    const enum dps_table t = DPS_TABLE_REGISTRATIONS;
    CHECK(put(s, t, "a", "1", &a) == 0 && put(s, t, "b", "1", &b) == 0 && s->commit(s->context) == 0);
    const uint64_t a1 = a, b1 = b;
    CHECK(put(s, t, "a", "2", &a) == 0 && put(s, t, "a", "3", &a) == 0); /* written twice */
    CHECK(remove_key(s, t, "b", 0) == 0);
    CHECK(put(s, t, "c", "1", &c) == 0 && remove_key(s, t, "c", 0) == 0); /* made and removed */
    b = 0;
    CHECK(put(s, t, "b", "2", &b) == 0); /* removed and made again */
    c = 0;
    CHECK(put(s, DPS_TABLE_DEVICES, "hub/c", "1", &c) == 0);
    CHECK(strcmp(keys_of(s, t), "a b ") == 0);
    s->rollback(s->context);
    char value[64];
    uint64_t version;
    CHECK(get(s, t, "a", value, &version) == 0 && strcmp(value, "1") == 0 && version == a1);
    CHECK(get(s, t, "b", value, &version) == 0 && strcmp(value, "1") == 0 && version == b1);
    CHECK(strcmp(keys_of(s, t), "a b ") == 0 && strcmp(keys_of(s, DPS_TABLE_DEVICES), "") == 0);
    s->rollback(s->context); /* an empty turn */
    CHECK(strcmp(keys_of(s, t), "a b ") == 0);
    /* And the store goes on. */
    version = a1;
    CHECK(put(s, t, "a", "4", &version) == 0 && s->commit(s->context) == 0);
    CHECK(strcmp(value_of(s, t, "a"), "4") == 0);
    return 0;
}

/* A conflict is an answer, not a failure: what else the turn wrote is kept. */
static int conflict_keeps_the_turn(struct dps_store *s)
{
    uint64_t a = 0, again = 0, b = 0;
    CHECK(put(s, DPS_TABLE_ENROLLMENTS, "a", "1", &a) == 0);
    CHECK(put(s, DPS_TABLE_ENROLLMENTS, "a", "2", &again) == DPS_E_CONFLICT);
    CHECK(put(s, DPS_TABLE_ENROLLMENTS, "b", "1", &b) == 0);
    CHECK(s->commit(s->context) == 0);
    CHECK(strcmp(keys_of(s, DPS_TABLE_ENROLLMENTS), "a b ") == 0);
    return 0;
}

static const struct store_case {
    const char *name;
    int (*run)(struct dps_store *s);
} cases[] = {
    {"create and read", create_and_read},
    {"create what exists: conflict", create_conflicts},
    {"compare and set", compare_and_set},
    {"remove checks the version", remove_checks_version},
    {"no version is given twice", versions_are_never_given_twice},
    {"list in byte order", lists_in_byte_order},
    {"the largest key and value", largest_record},
    {"rollback undoes the turn", rollback_undoes_all},
    {"a conflict keeps the turn", conflict_keeps_the_turn},
};
#define CASES (sizeof cases / sizeof cases[0])

static const struct backend {
    const char *name;
    struct dps_store (*open)(void);
    void (*close)(void);
} backends[] = {{"memory", open_memory, close_memory}, {"sqlite", open_sqlite, close_sqlite}};
#define BACKENDS (sizeof backends / sizeof backends[0])

/* test_run calls without arguments and in order: the number of the call says which case of which store. */
static int run_next(void)
{
    static size_t call;
    const struct backend *backend = &backends[call / CASES];
    const struct store_case *c = &cases[call % CASES];
    call++;
    struct dps_store s = backend->open();
    CHECK(s.get != NULL);
    int line = c->run(&s);
    backend->close();
    return line;
}

static int memory_is_bounded(void)
{
    struct dps_store s = open_memory();
    char key[16];
    uint64_t version;
    for (unsigned i = 0; i < MEMORY_RECORDS; i++) {
        snprintf(key, sizeof key, "k%u", i);
        version = 0;
        CHECK(put(&s, DPS_TABLE_DEVICES, key, "1", &version) == 0);
    }
    version = 0;
    CHECK(put(&s, DPS_TABLE_DEVICES, "one-more", "1", &version) == DPS_E_STORE);
    CHECK(s.commit(s.context) == 0);
    for (unsigned i = 0; i < MEMORY_UNDO; i++) {
        char value[64];
        CHECK(get(&s, DPS_TABLE_DEVICES, "k0", value, &version) == 0);
        CHECK(put(&s, DPS_TABLE_DEVICES, "k0", "2", &version) == 0);
    }
    CHECK(put(&s, DPS_TABLE_DEVICES, "k0", "3", &version) == DPS_E_STORE);
    CHECK(remove_key(&s, DPS_TABLE_DEVICES, "k1", 0) == DPS_E_STORE);
    s.rollback(s.context);
    CHECK(strcmp(value_of(&s, DPS_TABLE_DEVICES, "k0"), "1") == 0);
    return 0;
}

static bool open_file(struct posix_sqlite *db, const char *name)
{
    if (posix_sqlite_open(db, support_path(name), why, sizeof why) == 0)
        return true;
    printf("# %s\n", why);
    return false;
}

static int survives_reopen(void)
{
    struct posix_sqlite db;
    CHECK(open_file(&db, "reopen.db"));
    struct dps_store s = posix_sqlite_store(&db);
    uint64_t committed = 0, lost = 0;
    CHECK(put(&s, DPS_TABLE_ENROLLMENTS, "a", "1", &committed) == 0 && s.commit(s.context) == 0);
    CHECK(put(&s, DPS_TABLE_ENROLLMENTS, "b", "1", &lost) == 0);
    posix_sqlite_close(&db);
    struct stat st;
    CHECK(stat(support_path("reopen.db"), &st) == 0 && (st.st_mode & 077) == 0);
    CHECK(open_file(&db, "reopen.db"));
    s = posix_sqlite_store(&db);
    CHECK(strcmp(keys_of(&s, DPS_TABLE_ENROLLMENTS), "a ") == 0);
    CHECK(remove_key(&s, DPS_TABLE_ENROLLMENTS, "a", committed) == 0 && s.commit(s.context) == 0);
    posix_sqlite_close(&db);
    /* The counter is kept even when no record is left. */
    CHECK(open_file(&db, "reopen.db"));
    s = posix_sqlite_store(&db);
    uint64_t again = 0;
    CHECK(put(&s, DPS_TABLE_ENROLLMENTS, "a", "2", &again) == 0 && again > committed);
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
    CHECK(put(&a, t, "r", "0", &version) == 0 && a.commit(a.context) == 0);
    CHECK(get(&a, t, "r", value, &of_a) == 0 && get(&b, t, "r", value, &of_b) == 0 && of_a == of_b);
    CHECK(put(&a, t, "r", "of a", &of_a) == 0);
    CHECK(strcmp(value_of(&b, t, "r"), "0") == 0); /* not visible before it is durable */
    CHECK(a.commit(a.context) == 0);
    CHECK(put(&b, t, "r", "of b", &of_b) == DPS_E_CONFLICT);
    CHECK(b.commit(b.context) == 0);
    CHECK(strcmp(value_of(&b, t, "r"), "of a") == 0);
    posix_sqlite_close(&x);
    posix_sqlite_close(&y);
    return 0;
}

/* Add one to a number that others add to as well, count times. */
static int add_in_a_race(const char *name, unsigned count)
{
    struct posix_sqlite db;
    if (!open_file(&db, name))
        return 1;
    struct dps_store s = posix_sqlite_store(&db);
    while (count > 0) {
        char value[64], next[16];
        unsigned number = 0;
        uint64_t version;
        int error = get(&s, DPS_TABLE_REGISTRATIONS, "n", value, &version);
        if (error == 0 && sscanf(value, "%u", &number) != 1)
            return 2;
        snprintf(next, sizeof next, "%u", number + 1);
        int written = put(&s, DPS_TABLE_REGISTRATIONS, "n", next, &version);
        if (s.commit(s.context) != 0 || (written != 0 && written != DPS_E_CONFLICT))
            return 3;
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
        fflush(stdout);
        child[i] = fork();
        CHECK(child[i] >= 0);
        if (child[i] == 0)
            _exit(add_in_a_race("race.db", EACH));
    }
    int status, failed = 0;
    for (int i = 0; i < PROCESSES; i++) {
        CHECK(waitpid(child[i], &status, 0) == child[i]);
        failed |= status;
    }
    CHECK(failed == 0);
    struct posix_sqlite db;
    CHECK(open_file(&db, "race.db"));
    struct dps_store s = posix_sqlite_store(&db);
    CHECK(strcmp(value_of(&s, DPS_TABLE_REGISTRATIONS, "n"), "100") == 0);
    posix_sqlite_close(&db);
    return 0;
}

/* A process that writes two records, commits if asked, and kills itself without any clean-up. */
static int killed(const char *name, bool after_commit)
{
    (void)support_path(name);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct posix_sqlite db;
        uint64_t a = 0, b = 0;
        if (!open_file(&db, name))
            _exit(1);
        struct dps_store s = posix_sqlite_store(&db);
        if (put(&s, DPS_TABLE_ENROLLMENTS, "a", "1", &a) != 0 ||
            put(&s, DPS_TABLE_DEVICES, "hub/a", "1", &b) != 0 || (after_commit && s.commit(s.context) != 0))
            _exit(2);
        (void)kill(getpid(), SIGKILL);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct posix_sqlite db;
    CHECK(open_file(&db, name));
    struct dps_store s = posix_sqlite_store(&db);
    CHECK(strcmp(keys_of(&s, DPS_TABLE_ENROLLMENTS), after_commit ? "a " : "") == 0);
    CHECK(strcmp(keys_of(&s, DPS_TABLE_DEVICES), after_commit ? "hub/a " : "") == 0);
    uint64_t again = 0;
    CHECK(put(&s, DPS_TABLE_ENROLLMENTS, "b", "1", &again) == 0 && again == (after_commit ? 3 : 1));
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
    CHECK(sqlite3_exec(db.db,
                       "CREATE TRIGGER broken BEFORE INSERT ON enrollments WHEN NEW.key = 'bad' "
                       "BEGIN SELECT RAISE(ROLLBACK, 'broken'); END",
                       NULL, NULL, NULL) == SQLITE_OK);
    CHECK(put(&s, t, "a", "1", &version) == 0);
    version = 0;
    CHECK(put(&s, t, "bad", "1", &version) == DPS_E_STORE);
    version = 0;
    CHECK(put(&s, t, "c", "1", &version) == DPS_E_STORE);
    CHECK(get(&s, t, "a", value, &version) == DPS_E_STORE);
    CHECK(s.commit(s.context) == DPS_E_STORE);
    CHECK(strcmp(keys_of(&s, t), "") == 0);
    version = 0;
    CHECK(put(&s, t, "d", "1", &version) == 0 && s.commit(s.context) == 0);
    CHECK(strcmp(keys_of(&s, t), "d ") == 0);
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
        CHECK(posix_sqlite_open(&db, support_path(files[i].name), why, sizeof why) == DPS_E_STORE);
        CHECK(strstr(why, files[i].sentence) != NULL);
    }
    CHECK(posix_file_replace(support_path("text.db"), span_of_text("this is a text, not a database\n"),
                             0600) == 0);
    CHECK(posix_sqlite_open(&db, support_path("text.db"), why, sizeof why) == DPS_E_STORE);
    CHECK(posix_sqlite_open(&db, support_path("no/such/directory.db"), why, sizeof why) == DPS_E_STORE);
    return 0;
}

int main(void)
{
    static const struct test own[] = {
        {"memory: full store and full undo log", memory_is_bounded},
        {"sqlite: a commit survives, the counter with it", survives_reopen},
        {"sqlite: of two handles one wins", two_handles_one_wins},
        {"sqlite: processes in a race", race_of_processes},
        {"sqlite: killed before commit leaves nothing", killed_before_commit},
        {"sqlite: killed after commit leaves everything", killed_after_commit},
        {"sqlite: an error loses the turn and no more", error_loses_the_turn},
        {"sqlite: refuses other and newer files", refuses_what_is_not_its_file},
    };
    static char names[BACKENDS * CASES][64];
    struct test tests[BACKENDS * CASES + sizeof own / sizeof own[0]];
    for (size_t i = 0; i < BACKENDS * CASES; i++) {
        snprintf(names[i], sizeof names[i], "%s: %s", backends[i / CASES].name, cases[i % CASES].name);
        tests[i] = (struct test){names[i], run_next};
    }
    memcpy(&tests[BACKENDS * CASES], own, sizeof own);
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
