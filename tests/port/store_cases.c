/* SPDX-License-Identifier: MIT */
#include "tests/port/store_cases.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

int store_put(struct dps_store *s, enum dps_table table, const char *key, const char *value,
              uint64_t *version)
{
    return s->put(s->context, table, bytes_of_text(key), bytes_of_text(value), *version, version);
}

int store_get(struct dps_store *s, enum dps_table table, const char *key, char value[64], uint64_t *version)
{
    size_t len;
    int error = s->get(s->context, table, bytes_of_text(key), (uint8_t *)value, 63, &len, version);
    value[len] = 0;
    return error;
}

int store_remove(struct dps_store *s, enum dps_table table, const char *key, uint64_t expected)
{
    return s->remove(s->context, table, bytes_of_text(key), expected);
}

const char *store_value_of(struct dps_store *s, enum dps_table table, const char *key)
{
    static char value[64];
    uint64_t version;
    int error = store_get(s, table, key, value, &version);
    return error == 0 ? value : error == BYTES_E_NOT_FOUND ? "-" : "error";
}

const char *store_keys_of(struct dps_store *s, enum dps_table table)
{
    static char list[1024];
    uint8_t key[DPS_KEY_MAX], value[DPS_RECORD_MAX];
    size_t key_len = 0, len, at = 0;
    uint64_t version;
    int error;
    while ((error = s->next(s->context, table, bytes_of(key, key_len), key, &key_len, value, sizeof value,
                            &len, &version)) == 0) {
        at += (size_t)snprintf(list + at, sizeof list - at, "%.*s ", (int)key_len, (const char *)key);
    }
    list[at] = 0;
    return error == BYTES_E_NOT_FOUND ? list : "error";
}

static int create_and_read(struct dps_store *s)
{
    uint64_t version = 0, read_version;
    char value[64];
    CHECK_EQUAL(store_get(s, DPS_TABLE_ENROLLMENTS, "a", value, &read_version), BYTES_E_NOT_FOUND);
    CHECK(store_put(s, DPS_TABLE_ENROLLMENTS, "a", "{\"one\":1}", &version) == 0 && version > 0);
    /* Visible at once, and in its own table only. */
    CHECK_EQUAL(store_get(s, DPS_TABLE_ENROLLMENTS, "a", value, &read_version), 0);
    CHECK(strcmp(value, "{\"one\":1}") == 0 && read_version == version);
    CHECK_EQUAL(store_value_of(s, DPS_TABLE_REGISTRATIONS, "a"), "-");
    CHECK_EQUAL(store_value_of(s, DPS_TABLE_DEVICES, "a"), "-");
    CHECK(s->commit(s->context) == 0);
    CHECK(s->commit(s->context) == 0); /* an empty turn */
    CHECK(strcmp(store_value_of(s, DPS_TABLE_ENROLLMENTS, "a"), "{\"one\":1}") == 0);
    return 0;
}

static int create_conflicts(struct dps_store *s)
{
    uint64_t first = 0, second = 0;
    CHECK_EQUAL(store_put(s, DPS_TABLE_DEVICES, "hub/a", "1", &first), 0);
    CHECK(store_put(s, DPS_TABLE_DEVICES, "hub/a", "2", &second) == BYTES_E_CONFLICT && second == 0);
    CHECK_EQUAL(store_value_of(s, DPS_TABLE_DEVICES, "hub/a"), "1");
    return 0;
}

static int compare_and_set(struct dps_store *s)
{
    uint64_t v1 = 0;
    CHECK_EQUAL(store_put(s, DPS_TABLE_REGISTRATIONS, "a", "1", &v1), 0);
    uint64_t v2 = v1, stale = v1, none = v1 + 1000, absent = v1;
    CHECK(store_put(s, DPS_TABLE_REGISTRATIONS, "a", "2", &v2) == 0 && v2 > v1);
    CHECK(store_put(s, DPS_TABLE_REGISTRATIONS, "a", "3", &stale) == BYTES_E_CONFLICT && stale == 0);
    CHECK_EQUAL(store_put(s, DPS_TABLE_REGISTRATIONS, "a", "3", &none), BYTES_E_CONFLICT);
    CHECK_EQUAL(store_put(s, DPS_TABLE_REGISTRATIONS, "b", "3", &absent), BYTES_E_CONFLICT);
    CHECK(s->commit(s->context) == 0);
    CHECK_EQUAL(store_value_of(s, DPS_TABLE_REGISTRATIONS, "a"), "2");
    CHECK_EQUAL(store_keys_of(s, DPS_TABLE_REGISTRATIONS), "a ");
    return 0;
}

static int remove_checks_version(struct dps_store *s)
{
    uint64_t a = 0, b = 0;
    CHECK_EQUAL(store_put(s, DPS_TABLE_ENROLLMENTS, "a", "1", &a), 0);
    CHECK_EQUAL(store_put(s, DPS_TABLE_ENROLLMENTS, "b", "1", &b), 0);
    CHECK_EQUAL(store_remove(s, DPS_TABLE_ENROLLMENTS, "c", 0), BYTES_E_NOT_FOUND);
    CHECK_EQUAL(store_remove(s, DPS_TABLE_ENROLLMENTS, "c", a), BYTES_E_NOT_FOUND);
    CHECK_EQUAL(store_remove(s, DPS_TABLE_ENROLLMENTS, "a", b), BYTES_E_CONFLICT);
    CHECK_EQUAL(store_remove(s, DPS_TABLE_REGISTRATIONS, "a", a), BYTES_E_NOT_FOUND);
    CHECK_EQUAL(store_remove(s, DPS_TABLE_ENROLLMENTS, "a", a), 0);
    CHECK_EQUAL(store_remove(s, DPS_TABLE_ENROLLMENTS, "b", 0), 0);
    CHECK(s->commit(s->context) == 0);
    CHECK_EQUAL(store_keys_of(s, DPS_TABLE_ENROLLMENTS), "");
    return 0;
}

static int versions_are_never_given_twice(struct dps_store *s)
{
    uint64_t old = 0, made_again = 0;
    CHECK(store_put(s, DPS_TABLE_ENROLLMENTS, "a", "1", &old) == 0 && s->commit(s->context) == 0);
    CHECK(store_remove(s, DPS_TABLE_ENROLLMENTS, "a", old) == 0 && s->commit(s->context) == 0);
    CHECK(store_put(s, DPS_TABLE_ENROLLMENTS, "a", "2", &made_again) == 0 && s->commit(s->context) == 0);
    CHECK(made_again > old);
    CHECK_EQUAL(store_put(s, DPS_TABLE_ENROLLMENTS, "a", "3", &old), BYTES_E_CONFLICT);
    CHECK_EQUAL(store_remove(s, DPS_TABLE_ENROLLMENTS, "a", made_again - 1), BYTES_E_CONFLICT);
    uint64_t other = 0; /* one counter for all tables */
    CHECK(store_put(s, DPS_TABLE_DEVICES, "hub/a", "1", &other) == 0 && other > made_again);
    return 0;
}

static int lists_in_byte_order(struct dps_store *s)
{
    static const char *const keys[] = {"b", "a", "ab", "a-1", "\xc3\xa4", "A", "a0", "_"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        uint64_t version = 0;
        CHECK_EQUAL(store_put(s, DPS_TABLE_DEVICES, keys[i], keys[i], &version), 0);
    }
    CHECK(strcmp(store_keys_of(s, DPS_TABLE_DEVICES), "A _ a a-1 a0 ab b \xc3\xa4 ") == 0);
    CHECK_EQUAL(store_keys_of(s, DPS_TABLE_ENROLLMENTS), "");
    /* From a key that is not there, with its value and version. */
    uint8_t key[DPS_KEY_MAX], value[8];
    size_t key_len, len;
    uint64_t version;
    CHECK(s->next(s->context, DPS_TABLE_DEVICES, bytes_of_text("a9"), key, &key_len, value, sizeof value,
                  &len, &version) == 0);
    CHECK(key_len == 2 && memcmp(key, "ab", 2) == 0 && len == 2 && memcmp(value, "ab", 2) == 0 &&
          version > 0);
    CHECK(s->next(s->context, DPS_TABLE_DEVICES, bytes_of_text("ab"), key, &key_len, value, 0, &len,
                  &version) == BYTES_E_SPACE);
    CHECK_EQUAL(len, 0);
    return 0;
}

static int largest_record(struct dps_store *s)
{
    static uint8_t key[DPS_KEY_MAX + 1], value[DPS_RECORD_MAX + 1], back[DPS_RECORD_MAX];
    memset(key, 'k', sizeof key);
    memset(value, 'v', sizeof value);
    uint64_t version = 0, read_version;
    size_t len;
    struct bytes k = bytes_of(key, DPS_KEY_MAX), v = bytes_of(value, DPS_RECORD_MAX);
    const enum dps_table t = DPS_TABLE_DEVICES;
    CHECK(s->put(s->context, t, bytes_of(key, DPS_KEY_MAX + 1), v, 0, &version) == BYTES_E_STORE);
    CHECK(s->put(s->context, t, bytes_of(key, 0), v, 0, &version) == BYTES_E_STORE);
    CHECK(s->put(s->context, t, k, bytes_of(value, DPS_RECORD_MAX + 1), 0, &version) == BYTES_E_STORE);
    CHECK(s->put(s->context, t, k, v, 0, &version) == 0);
    CHECK(s->get(s->context, t, k, back, sizeof back, &len, &read_version) == 0);
    CHECK(len == DPS_RECORD_MAX && memcmp(back, value, len) == 0);
    CHECK(s->get(s->context, t, k, back, sizeof back - 1, &len, &read_version) == BYTES_E_SPACE && len == 0);
    CHECK(s->put(s->context, t, k, bytes_of(NULL, 0), version, &version) == 0);
    CHECK(s->get(s->context, t, k, back, 0, &len, &read_version) == 0 && len == 0);
    CHECK(s->commit(s->context) == 0);
    return 0;
}

static int rollback_undoes_all(struct dps_store *s)
{
    uint64_t a = 0, b = 0, c = 0;
    const enum dps_table t = DPS_TABLE_REGISTRATIONS;
    CHECK(store_put(s, t, "a", "1", &a) == 0 && store_put(s, t, "b", "1", &b) == 0 &&
          s->commit(s->context) == 0);
    const uint64_t a1 = a, b1 = b;
    CHECK(store_put(s, t, "a", "2", &a) == 0 && store_put(s, t, "a", "3", &a) == 0); /* written twice */
    CHECK_EQUAL(store_remove(s, t, "b", 0), 0);
    CHECK(store_put(s, t, "c", "1", &c) == 0 && store_remove(s, t, "c", 0) == 0); /* made and removed */
    b = 0;
    CHECK_EQUAL(store_put(s, t, "b", "2", &b), 0); /* removed and made again */
    c = 0;
    CHECK_EQUAL(store_put(s, DPS_TABLE_DEVICES, "hub/c", "1", &c), 0);
    CHECK_EQUAL(store_keys_of(s, t), "a b ");
    s->rollback(s->context);
    char value[64];
    uint64_t version;
    CHECK(store_get(s, t, "a", value, &version) == 0 && strcmp(value, "1") == 0 && version == a1);
    CHECK(store_get(s, t, "b", value, &version) == 0 && strcmp(value, "1") == 0 && version == b1);
    CHECK(strcmp(store_keys_of(s, t), "a b ") == 0 && strcmp(store_keys_of(s, DPS_TABLE_DEVICES), "") == 0);
    s->rollback(s->context); /* an empty turn */
    CHECK_EQUAL(store_keys_of(s, t), "a b ");
    /* And the store goes on. */
    version = a1;
    CHECK(store_put(s, t, "a", "4", &version) == 0 && s->commit(s->context) == 0);
    CHECK_EQUAL(store_value_of(s, t, "a"), "4");
    return 0;
}

/* A conflict is an answer, not a failure: what else the turn wrote is kept. */
static int conflict_keeps_the_turn(struct dps_store *s)
{
    uint64_t a = 0, again = 0, b = 0;
    CHECK_EQUAL(store_put(s, DPS_TABLE_ENROLLMENTS, "a", "1", &a), 0);
    CHECK_EQUAL(store_put(s, DPS_TABLE_ENROLLMENTS, "a", "2", &again), BYTES_E_CONFLICT);
    CHECK_EQUAL(store_put(s, DPS_TABLE_ENROLLMENTS, "b", "1", &b), 0);
    CHECK(s->commit(s->context) == 0);
    CHECK_EQUAL(store_keys_of(s, DPS_TABLE_ENROLLMENTS), "a b ");
    return 0;
}

/* A request that is refused after it has written: what it wrote is gone, what the turn wrote before stays. */
static int undo_goes_back_to_the_mark(struct dps_store *s)
{
    uint64_t a = 0, b = 0, c = 0;
    const enum dps_table t = DPS_TABLE_DEVICES;
    CHECK(s->mark(s->context) == 0);
    CHECK_EQUAL(store_put(s, t, "a", "1", &a), 0);
    s->undo(s->context); /* the first request of the turn: nothing is left */
    CHECK_EQUAL(store_keys_of(s, t), "");
    a = 0;
    CHECK(s->mark(s->context) == 0);
    CHECK_EQUAL(store_put(s, t, "a", "2", &a), 0);
    CHECK(s->mark(s->context) == 0);
    CHECK(store_put(s, t, "b", "1", &b) == 0 && store_put(s, t, "a", "3", &a) == 0);
    s->undo(s->context);
    CHECK(strcmp(store_keys_of(s, t), "a ") == 0 && strcmp(store_value_of(s, t, "a"), "2") == 0);
    s->undo(s->context); /* nothing was written since */
    CHECK(s->mark(s->context) == 0);
    CHECK_EQUAL(store_put(s, t, "c", "1", &c), 0);
    CHECK(s->commit(s->context) == 0);
    s->undo(s->context); /* the commit has ended the mark */
    CHECK(strcmp(store_keys_of(s, t), "a c ") == 0 && strcmp(store_value_of(s, t, "a"), "2") == 0);
    return 0;
}

const struct store_case store_cases[STORE_CASES] = {
    {"create and read", create_and_read},
    {"create what exists: conflict", create_conflicts},
    {"compare and set", compare_and_set},
    {"remove checks the version", remove_checks_version},
    {"no version is given twice", versions_are_never_given_twice},
    {"list in byte order", lists_in_byte_order},
    {"the largest key and value", largest_record},
    {"rollback undoes the turn", rollback_undoes_all},
    {"a conflict keeps the turn", conflict_keeps_the_turn},
    {"undo goes back to the mark", undo_goes_back_to_the_mark},
};
