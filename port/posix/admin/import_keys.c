/* SPDX-License-Identifier: MIT */
/* dps-admin import: one key under several registration IDs. That is allowed, but usually a mistake in a spreadsheet. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/admin/tool.h"
#include <stdio.h>
#include <string.h>

/* 8 bytes of SHA-256; never 0. */
static uint64_t tag_of(struct bytes bytes)
{
    uint8_t digest[CRYPTO_SHA256_SIZE];
    crypto_sha256(&bytes, 1, digest);
    struct bytes_reader r = bytes_reader_over(bytes_of(digest, sizeof digest));
    return bytes_read_u64(&r) | 1;
}

/* Registration IDs differ by more than case. */
static uint64_t tag_of_id(const char *id)
{
    uint8_t lower[DPS_REGISTRATION_ID_MAX];
    size_t len = 0;
    for (; len < sizeof lower && id[len] != 0; len++) {
        lower[len] = dps_lower((uint8_t)id[len]);
    }
    return tag_of(bytes_of(lower, len));
}

void admin_import_note_key(struct import_keys *keys, const struct admin_item *item)
{
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    struct bytes enrollment;
    const size_t len =
        dps_json_check(item->json, &enrollment) == 0 ? admin_enrollment_key(enrollment, ek) : 0;
    if (len == 0) {
        return; /* the service says why */
    }
    const uint64_t key = tag_of(bytes_of(ek, len)), id = tag_of_id(item->id);
    size_t at = (size_t)(key >> 1) % IMPORT_KEYS_MAX;
    while (keys->seen[at].key != 0 && keys->seen[at].key != key) {
        at = (at + 1) % IMPORT_KEYS_MAX;
    }
    if (keys->seen[at].key == 0 && keys->count < IMPORT_KEYS_MAX / 2) {
        keys->seen[at].key = key;
        keys->seen[at].id = id;
        keys->seen[at].line = item->line;
        keys->count++;
    } else if (keys->seen[at].key == key && keys->seen[at].id != id) {
        keys->first_line = keys->repeated == 0 ? item->line : keys->first_line;
        keys->line_before = keys->repeated == 0 ? keys->seen[at].line : keys->line_before;
        keys->repeated++;
    }
}

void admin_import_tell_keys(const struct import_keys *keys)
{
    if (keys->repeated > 0) {
        fprintf(stderr,
                "Note: %llu enrollments have the key of another registrationId in this file (first in line "
                "%llu: the key "
                "of\nline %llu). One TPM can then register under each of these IDs; a device has one key of "
                "its own.\n",
                (unsigned long long)keys->repeated, (unsigned long long)keys->first_line,
                (unsigned long long)keys->line_before);
    }
    if (keys->count == IMPORT_KEYS_MAX / 2) {
        fprintf(stderr, "Note: only the first %d different keys were compared with each other.\n",
                IMPORT_KEYS_MAX / 2);
    }
}
