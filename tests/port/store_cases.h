/* SPDX-License-Identifier: MIT */
/* The contract of dps/service/store.h as cases that every store must pass, and shorthands for tests of a store. */
#ifndef TESTS_PORT_STORE_CASES_H
#define TESTS_PORT_STORE_CASES_H

#include "dps/service/store.h"

struct store_case {
    const char *name;
    int (*run)(struct dps_store *s); /* s is empty; returns 0 or the line that failed */
};
#define STORE_CASES 10
extern const struct store_case store_cases[STORE_CASES];

/* Key and value as text; the version in place, as a service keeps it. */
int store_put(struct dps_store *s, enum dps_table table, const char *key, const char *value,
              uint64_t *version);
int store_get(struct dps_store *s, enum dps_table table, const char *key, char value[64], uint64_t *version);
int store_remove(struct dps_store *s, enum dps_table table, const char *key, uint64_t expected);
/* The value of a key as it stands, or "-" if there is none. Valid until the next call. */
const char *store_value_of(struct dps_store *s, enum dps_table table, const char *key);
/* All keys of a table in the order of next, each followed by a blank. Valid until the next call. */
const char *store_keys_of(struct dps_store *s, enum dps_table table);

#endif
