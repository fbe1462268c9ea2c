/* SPDX-License-Identifier: MIT */
/* What service and device keep between runs. Input: one byte, which record; the record. One that is read is written and
 * read again to the same. A device's record gets its digest here, or no change would ever get past it. */
#include "dps/device/record.h"
#include "dps/service/registration.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void check_registration(struct bytes json)
{
    static uint8_t text[2 * DPS_RECORD_MAX];
    struct dps_registration r;
    struct dps_registration again;
    const int error = dps_registration_parse(json, &r);
    HOLDS(error == 0 || error == BYTES_E_FORMAT);
    if (error != 0) {
        return;
    }
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_registration_write(&w, &r);
    HOLDS(w.error == 0 && dps_registration_parse(bytes_written(&w), &again) == 0);
    HOLDS(strcmp(r.registration_id, again.registration_id) == 0 && strcmp(r.device_id, again.device_id) == 0);
    HOLDS(strcmp(r.hub, again.hub) == 0 && r.substatus == again.substatus && r.deleted == again.deleted);
    HOLDS(r.generation == again.generation && r.secret_epoch == again.secret_epoch);
    HOLDS(bytes_equal_public(bytes_of(r.random, r.random_len), bytes_of(again.random, again.random_len)));
    HOLDS(memcmp(r.challenge, again.challenge, sizeof r.challenge) == 0);
    HOLDS(r.created == again.created && r.updated == again.updated);
    HOLDS(bytes_equal_public(bytes_of(r.srk, r.srk_len), bytes_of(again.srk, again.srk_len)));
    w = bytes_writer_over(text, sizeof text);
    dps_registration_write_state(&w, &r, r.generation);
    HOLDS(w.error == 0 || w.error == BYTES_E_LIMIT); /* a time after the year 9999 */
}

static void check_hub_device(struct bytes json)
{
    uint8_t text[2048];
    struct dps_hub_device device;
    struct dps_hub_device again;
    const int error = dps_hub_device_parse(json, &device);
    HOLDS(error == 0 || error == BYTES_E_FORMAT);
    if (error != 0) {
        return;
    }
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_hub_device_write(&w, &device, bytes_of_text("device"), bytes_of_text("{}"));
    HOLDS(w.error == 0 && dps_hub_device_parse(bytes_written(&w), &again) == 0);
    HOLDS(strcmp(device.registration_id, again.registration_id) == 0);
    HOLDS(device.generation == again.generation && device.secret_epoch == again.secret_epoch);
}

static void check_etag(struct bytes if_match)
{
    bool any = false;
    uint8_t etag[24];
    struct bytes_writer w = bytes_writer_over(etag, sizeof etag);
    dps_etag_write(&w, 7);
    HOLDS(w.error == 0 && dps_etag_matches(bytes_written(&w), 7, &any) && !any);
    /* One etag names one version, unless it names all; a list of them may name both. */
    const bool seven = dps_etag_matches(if_match, 7, &any);
    const bool list = if_match.len > 0 && memchr(if_match.p, ',', if_match.len) != NULL;
    HOLDS(any || !seven || list || !dps_etag_matches(if_match, 8, &any));
}

/* The content of a record, without its digest; the idScope is not kept in the engine, the Name of the SRK neither. */
static void check_device_record(struct bytes content)
{
    static const struct dps_device_config config = {.id_scope = "0ne00000A0A"};
    static struct dps_device d;
    static struct dps_device again;
    uint8_t digest[CRYPTO_SHA256_SIZE];
    uint8_t record[DPS_RECORD_FILE_MAX];
    uint8_t *whole = malloc(content.len + sizeof digest);
    HOLDS(whole != NULL);
    struct bytes_writer w = bytes_writer_over(whole, content.len + sizeof digest);
    crypto_sha256(&content, 1, digest);
    bytes_write_bytes(&w, content);
    bytes_write_bytes(&w, bytes_of(digest, sizeof digest));
    memset(&d, 0, sizeof d);
    memset(&again, 0, sizeof again);
    d.config = again.config = &config;
    const int error = dps_record_read(bytes_written(&w), &d);
    HOLDS(error == 0 || error == BYTES_E_STATE);
    HOLDS(dps_record_read(content, &again) == BYTES_E_STATE || content.len >= 32); /* without the digest */
    if (error == 0) {
        struct bytes_writer out = bytes_writer_over(record, sizeof record);
        dps_record_write(&out, &d);
        HOLDS(out.error == 0 && dps_record_read(bytes_written(&out), &again) == 0);
        HOLDS(strcmp(d.assigned_hub, again.assigned_hub) == 0 && strcmp(d.device_id, again.device_id) == 0);
        HOLDS(strcmp(d.registration_id, again.registration_id) == 0);
        HOLDS(d.wrapped_key_len == again.wrapped_key_len && d.key_public_len == again.key_public_len);
        HOLDS(memcmp(d.wrapped_key, again.wrapped_key, d.wrapped_key_len) == 0);
    }
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    switch (fuzz_byte(&input) % 4) {
    case 0:
        check_registration(input);
        break;
    case 1:
        check_hub_device(input);
        break;
    case 2:
        check_etag(input);
        break;
    default:
        check_device_record(input);
        break;
    }
    return 0;
}
