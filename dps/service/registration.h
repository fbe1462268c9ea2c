/* SPDX-License-Identifier: MIT */
/* What the service remembers of a device that has proved itself, and of its identity at a hub. Nothing in it
 * is secret. */
#ifndef DPS_SERVICE_REGISTRATION_H
#define DPS_SERVICE_REGISTRATION_H

#include "crypto/crypto.h"
#include "dps/service/limits.h"
#include "dps/service/store.h"

enum dps_substatus {
    DPS_SUBSTATUS_INITIAL,       /* initialAssignment */
    DPS_SUBSTATUS_MIGRATED,      /* deviceDataMigrated */
    DPS_SUBSTATUS_RESET,         /* deviceDataReset */
    DPS_SUBSTATUS_REPROVISIONED, /* reprovisionedToInitialAssignment */
    DPS_SUBSTATUS_COUNT
};

#define DPS_REGISTRATION_RANDOM 32

/* Texts are zero-terminated. */
struct dps_registration {
    char registration_id[DPS_REGISTRATION_ID_MAX + 1];
    char device_id[DPS_DEVICE_ID_MAX + 1];
    char hub[DPS_HOST_MAX + 1];
    enum dps_substatus substatus;
    bool deleted;        /* an administrator has deleted it; the generation remains, and must never go back:
                            nonces and hub keys are derived from it */
    uint64_t generation; /* successful registrations so far */
    uint8_t random[DPS_REGISTRATION_RANDOM]; /* drawn for this one: generations come back with a back-up, this
                                                does not */
    size_t random_len;                       /* 0: it was made by a version without such bytes */
    uint8_t challenge[CRYPTO_SHA256_SIZE];   /* the one that was answered; zeros: likewise */
    uint32_t secret_epoch;                   /* the service secret of nonce and hub key */
    uint64_t created, updated;               /* seconds since 1970 */
    uint8_t srk[DPS_SRK_PUBLIC_MAX]; /* TPM2B_PUBLIC: the hub key is wrapped to it when it is asked for */
    uint16_t srk_len;
};

/* The record as the store keeps it (JSON). */
void dps_registration_write(struct bytes_writer *w, const struct dps_registration *r);
/* Returns: 0; BYTES_E_FORMAT if the record is damaged. */
int dps_registration_parse(struct bytes json, struct dps_registration *r);
/* The members that clients see [DPS "DeviceRegistrationState"], without braces: "registrationId":...,"etag":"..." */
void dps_registration_write_state(struct bytes_writer *w, const struct dps_registration *r, uint64_t version);

/* An etag as it is written in JSON and in the ETag header: a quoted hex number; and the check of If-Match, one etag or
 * a list of them [RFC 9110 13.1.1], tolerant of quotes, backslashes and W/: every form that clients send. any is set
 * for "*". */
void dps_etag_write(struct bytes_writer *w, uint64_t version);
bool dps_etag_matches(struct bytes if_match, uint64_t version, bool *any);

/* A device at a hub. */
struct dps_hub_device {
    char registration_id[DPS_REGISTRATION_ID_MAX + 1];
    uint64_t generation;
    uint32_t secret_epoch;
};
void dps_hub_device_write(struct bytes_writer *w, const struct dps_hub_device *device, struct bytes device_id,
                          struct bytes initial_twin);
int dps_hub_device_parse(struct bytes json, struct dps_hub_device *device);
/* Its key in the store: hub in lower case, '/', deviceId. */
void dps_hub_device_key(struct bytes_writer *w, struct bytes hub, struct bytes device_id);

#endif
