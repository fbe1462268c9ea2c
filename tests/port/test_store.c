/* SPDX-License-Identifier: MIT */
/* The cases of store_cases.h over every store of this port. */
#include "port/posix/posix.h"
#include "port/posix/store_memory.h"
#include "port/posix/store_sqlite.h"
#include "tests/port/store_cases.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

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
    const struct backend *backend = &backends[call / STORE_CASES];
    const struct store_case *c = &store_cases[call % STORE_CASES];
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
        CHECK_EQUAL(store_put(&s, DPS_TABLE_DEVICES, key, "1", &version), 0);
    }
    version = 0;
    CHECK_EQUAL(store_put(&s, DPS_TABLE_DEVICES, "one-more", "1", &version), BYTES_E_STORE);
    CHECK_EQUAL(s.commit(s.context), 0);
    for (unsigned i = 0; i < MEMORY_UNDO; i++) {
        char value[64];
        CHECK_EQUAL(store_get(&s, DPS_TABLE_DEVICES, "k0", value, &version), 0);
        CHECK_EQUAL(store_put(&s, DPS_TABLE_DEVICES, "k0", "2", &version), 0);
    }
    CHECK_EQUAL(store_put(&s, DPS_TABLE_DEVICES, "k0", "3", &version), BYTES_E_STORE);
    CHECK_EQUAL(store_remove(&s, DPS_TABLE_DEVICES, "k1", 0), BYTES_E_STORE);
    s.rollback(s.context);
    CHECK_EQUAL(store_value_of(&s, DPS_TABLE_DEVICES, "k0"), "1");
    return 0;
}

int main(void)
{
    static char names[BACKENDS * STORE_CASES][64];
    struct test tests[BACKENDS * STORE_CASES + 1];
    for (size_t i = 0; i < BACKENDS * STORE_CASES; i++) {
        snprintf(names[i], sizeof names[i], "%s: %s", backends[i / STORE_CASES].name,
                 store_cases[i % STORE_CASES].name);
        tests[i] = (struct test){names[i], run_next};
    }
    tests[BACKENDS * STORE_CASES] = (struct test){"memory: full store and full undo log", memory_is_bounded};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
