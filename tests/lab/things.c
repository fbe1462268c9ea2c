/* SPDX-License-Identifier: MIT */
/* What the TPM, the device and the service have: keys, records, clocks. */
#include "tests/lab/inside.h"
#include "tpm/tpm2.h"
#include <string.h>

static uint8_t *storage_seed(struct lab_world *w, size_t *len)
{
    *len = sizeof w->tpm.seeds[TINY_OWNER];
    return w->tpm.seeds[TINY_OWNER];
}

static uint8_t *endorsement_seed(struct lab_world *w, size_t *len)
{
    *len = sizeof w->tpm.seeds[TINY_ENDORSEMENT];
    return w->tpm.seeds[TINY_ENDORSEMENT];
}

static uint8_t *key(struct lab_world *w, uint32_t handle, size_t *len)
{
    for (size_t i = 0; i < TINY_OBJECTS + TINY_PERSISTENT; i++) {
        if (w->tpm.objects[i].handle == handle) {
            *len = sizeof w->tpm.objects[i].crt;
            return w->tpm.objects[i].crt;
        }
    }
    return NULL;
}

static uint8_t *ek(struct lab_world *w, size_t *len)
{
    return key(w, TPM2_HANDLE_EK, len);
}

static uint8_t *srk(struct lab_world *w, size_t *len)
{
    return key(w, TPM2_HANDLE_SRK, len);
}

static uint8_t *owner_password(struct lab_world *w, size_t *len)
{
    *len = w->tpm.auths[TINY_OWNER].len;
    return *len > 0 ? w->tpm.auths[TINY_OWNER].bytes : NULL;
}

static uint8_t *record(struct lab_world *w, size_t *len)
{
    *len = w->record_len;
    return *len > 0 ? w->record : NULL;
}

static uint8_t *device_clock(struct lab_world *w, size_t *len)
{
    *len = sizeof w->device_clock;
    return (uint8_t *)&w->device_clock;
}

static uint8_t *service_clock(struct lab_world *w, size_t *len)
{
    *len = sizeof w->service_clock;
    return (uint8_t *)&w->service_clock;
}

static uint8_t *service_secret(struct lab_world *w, size_t *len)
{
    *len = sizeof w->service_config.secrets[0].key;
    return w->service_config.secrets[0].key;
}

static uint8_t *stored(struct lab_world *w, enum dps_table table, size_t *len)
{
    for (size_t i = 0; i < LAB_RECORDS; i++) {
        struct posix_memory_record *r = &w->store.records[i];
        if (r->table == (unsigned)table + 1 && r->key[0] != '/') { /* not the list of runs */
            *len = r->len;
            return r->value;
        }
    }
    return NULL;
}

static uint8_t *enrollment(struct lab_world *w, size_t *len)
{
    return stored(w, DPS_TABLE_ENROLLMENTS, len);
}

static uint8_t *registration(struct lab_world *w, size_t *len)
{
    return stored(w, DPS_TABLE_REGISTRATIONS, len);
}

static uint8_t *identity(struct lab_world *w, size_t *len)
{
    return stored(w, DPS_TABLE_DEVICES, len);
}

const struct lab_thing lab_thing_list[] = {
    {"The TPM's endorsement seed",
     "The EK is derived from it, until stage 3 keeps the EK itself. Nobody but you changes it.", LAB_BYTES,
     endorsement_seed},
    {"The TPM's storage seed",
     "The SRK is derived from it, until stage 3 keeps the SRK itself. TPM2_Clear makes another one.",
     LAB_BYTES, storage_seed},
    {"The EK's private half", "As the TPM computes with it: p, q, dp, dq, 1/q mod p.", LAB_BYTES, ek},
    {"The SRK's private half", "Likewise.", LAB_BYTES, srk},
    {"The owner's password in the TPM", "The authValue of the owner hierarchy.", LAB_WORDS, owner_password},
    {"The device's record", "What it keeps for its next start: the hub, its name there, the wrapped hub key.",
     LAB_BYTES, record},
    {"The device's clock", "Seconds since 1970. 0: it has none.", LAB_CLOCK, device_clock},
    {"The service's clock", "Seconds since 1970.", LAB_CLOCK, service_clock},
    {"The service's secret", "All nonces and hub keys follow from it.", LAB_BYTES, service_secret},
    {"The enrollment", "What the service was told in advance, as its store holds it.", LAB_WORDS, enrollment},
    {"The registration", "What the service knows of a device that has registered.", LAB_WORDS, registration},
    {"The hub's entry", "What the hub knows of the device.", LAB_WORDS, identity},
};
const size_t lab_thing_count = sizeof lab_thing_list / sizeof lab_thing_list[0];
