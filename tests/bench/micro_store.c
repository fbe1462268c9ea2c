/* SPDX-License-Identifier: MIT */
#include "port/posix/store_sqlite.h"
#include "tests/bench/micro.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES 1000
#define KEY_SIZE 80

struct micro_store {
    struct posix_sqlite sqlite;
    struct dps_store store;
    size_t batch, number;
    char value[DPS_TABLE_COUNT][1024]; /* as long as what the service writes there */
};

static struct bytes key_of(enum dps_table table, size_t device, char key[KEY_SIZE])
{
    const int len =
        snprintf(key, KEY_SIZE, "%sbench-%06zu", table == DPS_TABLE_DEVICES ? "hub-a.example/" : "", device);
    return bytes_of(key, (size_t)len);
}

static bool put(struct micro_store *s, enum dps_table table, size_t device, uint64_t expected)
{
    char key[KEY_SIZE];
    uint64_t version;
    return s->store.put(s->store.context, table, key_of(table, device, key), bytes_of_text(s->value[table]),
                        expected, &version) == 0;
}

/* Returns: the record's version, 0 if it cannot be read. */
static uint64_t get(struct micro_store *s, enum dps_table table, size_t device)
{
    char key[KEY_SIZE];
    uint8_t value[DPS_RECORD_MAX];
    size_t len;
    uint64_t version;
    return s->store.get(s->store.context, table, key_of(table, device, key), value, sizeof value, &len,
                        &version) == 0
               ? version
               : 0;
}

static void write_values(struct micro_store *s, const struct load_keys *keys)
{
    snprintf(
        s->value[DPS_TABLE_ENROLLMENTS], sizeof s->value[0],
        "{\"registrationId\":\"bench-000000\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":"
        "\"%s\"}},\"provisioningStatus\":\"enabled\"}",
        keys->ek_base64);
    snprintf(s->value[DPS_TABLE_REGISTRATIONS], sizeof s->value[0],
             "{\"registrationId\":\"bench-000000\",\"deviceId\":\"bench-000000\",\"assignedHub\":"
             "\"hub-a.example\",\"status\":\"assigned\",\"substatus\":\"reprovisionedToInitialAssignment\","
             "\"created\":1800000000,\"lastUpdated\":1800000000,\"generation\":2,"
             "\"random\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
             "\"challenge\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
             "\"secretEpoch\":1,\"storageRootKey\":\"%s\"}",
             keys->srk_base64);
    snprintf(s->value[DPS_TABLE_DEVICES], sizeof s->value[0],
             "{\"deviceId\":\"bench-000000\",\"registrationId\":\"bench-000000\",\"generation\":2,"
             "\"secretEpoch\":1}");
}

struct micro_store *micro_store_open(const char *path, const struct load_keys *keys, size_t batch)
{
    char why[256] = "a record was refused";
    struct micro_store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->batch = batch;
    write_values(s, keys);
    bool done = posix_sqlite_open(&s->sqlite, path, why, sizeof why) == 0;
    s->store = posix_sqlite_store(&s->sqlite);
    for (size_t i = 0; i < DEVICES && done; i++) {
        done = put(s, DPS_TABLE_ENROLLMENTS, i, 0) && put(s, DPS_TABLE_REGISTRATIONS, i, 0) &&
               put(s, DPS_TABLE_DEVICES, i, 0);
    }
    if (!done || s->store.commit(s->store.context) != 0) {
        fprintf(stderr, "dps-micro: %s: %s\n", path, why);
        free(s);
        return NULL;
    }
    return s;
}

/* The calls of dps/service/service.c for a device that registers again: challenge, registration, operation. */
bool micro_store_registration(void *store)
{
    struct micro_store *s = store;
    void *context = s->store.context;
    const size_t device = s->number++ * 7919 % DEVICES;
    bool done = true;
    for (size_t request = 0; request < 3 && done; request++) {
        done = s->store.mark(context) == 0 && get(s, DPS_TABLE_ENROLLMENTS, device) > 0;
        const uint64_t version = get(s, DPS_TABLE_REGISTRATIONS, device);
        if (request != 1) {
            continue;
        }
        done = done && put(s, DPS_TABLE_REGISTRATIONS, device, version) &&
               get(s, DPS_TABLE_DEVICES, device) > 0 &&
               put(s, DPS_TABLE_DEVICES, device, get(s, DPS_TABLE_DEVICES, device));
    }
    return done && (s->number % s->batch != 0 || s->store.commit(context) == 0);
}
