/* SPDX-License-Identifier: MIT */
#include "port/posix/store_memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The capacity in dps-service. */
#define RECORDS 4096
#define UNDO 1024

static struct bytes key_of(const struct posix_memory_record *r)
{
    return bytes_of(r->key, r->key_len);
}

/* In byte order; a prefix comes first. */
static int compare(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.p, b.p, shorter);
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

static struct posix_memory_record *find(struct posix_memory *m, unsigned table_number, struct bytes key)
{
    for (size_t i = 0; i < m->capacity; i++) {
        struct posix_memory_record *r = &m->records[i];
        if (r->table == table_number && bytes_equal_public(key_of(r), key)) {
            return r;
        }
    }
    return NULL;
}

static struct posix_memory_record *find_free(struct posix_memory *m)
{
    for (size_t i = 0; i < m->capacity; i++) {
        if (m->records[i].table == 0) {
            return &m->records[i];
        }
    }
    return NULL;
}

static unsigned number_of(enum dps_table table)
{
    return (unsigned)table + 1;
}

static int copy_value(const struct posix_memory_record *r, uint8_t *value, size_t capacity, size_t *len,
                      uint64_t *version)
{
    if (r->len > capacity) {
        return BYTES_E_SPACE;
    }
    memcpy(value, r->value, r->len);
    *len = r->len;
    *version = r->version;
    return 0;
}

static int memory_get(void *context, enum dps_table table, struct bytes key, uint8_t *value, size_t capacity,
                      size_t *len, uint64_t *version)
{
    *len = 0;
    *version = 0;
    const struct posix_memory_record *r = find(context, number_of(table), key);
    return r == NULL ? BYTES_E_NOT_FOUND : copy_value(r, value, capacity, len, version);
}

/* The head of an undo entry. */
static struct posix_memory_record *undo_push(struct posix_memory *m, unsigned table_number, struct bytes key)
{
    struct posix_memory_record *u = &m->undo[m->undo_count++];
    u->table = (uint8_t)table_number;
    u->key_len = (uint16_t)key.len;
    memcpy(u->key, key.p, key.len);
    u->len = 0;
    u->version = 0;
    return u;
}

static void set_value(struct posix_memory_record *r, struct bytes value, uint64_t version)
{
    r->len = (uint16_t)value.len;
    if (value.len > 0) {
        memcpy(r->value, value.p, value.len);
    }
    r->version = version;
}

static int memory_put(void *context, enum dps_table table, struct bytes key, struct bytes value,
                      uint64_t expected, uint64_t *version)
{
    struct posix_memory *m = context;
    *version = 0;
    if (!posix_store_fits(key, value)) {
        return BYTES_E_STORE;
    }
    struct posix_memory_record *r = find(m, number_of(table), key);
    if ((r == NULL ? 0 : r->version) != expected) {
        return BYTES_E_CONFLICT;
    }
    struct posix_memory_record *to = r == NULL ? find_free(m) : r;
    if (to == NULL || m->undo_count == m->undo_capacity) {
        return BYTES_E_STORE;
    }
    struct posix_memory_record *u = undo_push(m, number_of(table), key);
    if (r != NULL) {
        set_value(u, bytes_of(r->value, r->len), r->version);
    }
    to->table = (uint8_t)number_of(table);
    to->key_len = (uint16_t)key.len;
    memcpy(to->key, key.p, key.len);
    set_value(to, value, ++m->version);
    *version = m->version;
    return 0;
}

static int memory_remove(void *context, enum dps_table table, struct bytes key, uint64_t expected)
{
    struct posix_memory *m = context;
    struct posix_memory_record *r = find(m, number_of(table), key);
    if (r == NULL) {
        return BYTES_E_NOT_FOUND;
    }
    if (expected != 0 && r->version != expected) {
        return BYTES_E_CONFLICT;
    }
    if (m->undo_count == m->undo_capacity) {
        return BYTES_E_STORE;
    }
    set_value(undo_push(m, number_of(table), key), bytes_of(r->value, r->len), r->version);
    r->table = 0;
    return 0;
}

static int memory_next(void *context, enum dps_table table, struct bytes after, uint8_t *key, size_t *key_len,
                       uint8_t *value, size_t capacity, size_t *len, uint64_t *version)
{
    struct posix_memory *m = context;
    const struct posix_memory_record *best = NULL;
    *len = 0;
    *version = 0;
    for (size_t i = 0; i < m->capacity; i++) {
        const struct posix_memory_record *r = &m->records[i];
        if (r->table == number_of(table) && compare(key_of(r), after) > 0 &&
            (best == NULL || compare(key_of(r), key_of(best)) < 0)) {
            best = r;
        }
    }
    *key_len = 0;
    if (best == NULL) {
        return BYTES_E_NOT_FOUND;
    }
    int error = copy_value(best, value, capacity, len, version);
    if (error != 0) {
        return error;
    }
    memcpy(key, best->key, best->key_len);
    *key_len = best->key_len;
    return 0;
}

static int memory_mark(void *context)
{
    struct posix_memory *m = context;
    m->mark = m->undo_count;
    return 0;
}

/* Backwards, so that a record written twice ends as it was before the first write, and a removed one finds its place
 * free again even if a later one took it. The version counter is not turned back. */
static void undo_to(struct posix_memory *m, size_t count)
{
    while (m->undo_count > count) {
        const struct posix_memory_record *u = &m->undo[--m->undo_count];
        struct posix_memory_record *r = find(m, u->table, key_of(u));
        if (u->version == 0) {
            r->table = 0;
            continue;
        }
        if (r == NULL) {
            r = find_free(m);
        }
        *r = *u;
    }
}

static void memory_undo(void *context)
{
    struct posix_memory *m = context;
    undo_to(m, m->mark);
}

static int memory_commit(void *context)
{
    struct posix_memory *m = context;
    m->undo_count = 0;
    m->mark = 0;
    return 0;
}

static void memory_rollback(void *context)
{
    struct posix_memory *m = context;
    undo_to(m, 0);
    m->mark = 0;
}

void posix_memory_init(struct posix_memory *m, struct posix_memory_record *records, size_t capacity,
                       struct posix_memory_record *undo, size_t undo_capacity)
{
    *m = (struct posix_memory){
        .records = records, .capacity = capacity, .undo = undo, .undo_capacity = undo_capacity};
    for (size_t i = 0; i < capacity; i++) {
        records[i].table = 0;
    }
}

struct dps_store posix_memory_store(struct posix_memory *m)
{
    return (struct dps_store){.context = m,
                              .get = memory_get,
                              .put = memory_put,
                              .remove = memory_remove,
                              .next = memory_next,
                              .mark = memory_mark,
                              .undo = memory_undo,
                              .commit = memory_commit,
                              .rollback = memory_rollback};
}

static int kind_open(void *state, const char *nothing, char *why, size_t why_size)
{
    struct posix_memory_record *records = calloc(RECORDS, sizeof *records);
    struct posix_memory_record *undo = calloc(UNDO, sizeof *undo);
    (void)nothing;
    if (records == NULL || undo == NULL) {
        snprintf(why, why_size, "there is no memory for the store");
        free(records);
        free(undo);
        return BYTES_E_STORE;
    }
    posix_memory_init(state, records, RECORDS, undo, UNDO);
    return 0;
}

static void kind_close(void *state)
{
    struct posix_memory *m = state;
    free(m->records);
    free(m->undo);
}

static struct dps_store kind_store(void *state)
{
    return posix_memory_store(state);
}

const struct posix_store_kind posix_memory_kind = {.prefix = "memory:",
                                                   .argument = "",
                                                   .size = sizeof(struct posix_memory),
                                                   .one_process = true,
                                                   .open = kind_open,
                                                   .close = kind_close,
                                                   .store = kind_store};
