/* SPDX-License-Identifier: MIT */
#include "dps/service/registration.h"
#include "dps/protocol/date.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include <string.h>

static const char *const substatus_texts[DPS_SUBSTATUS_COUNT] = {
    [DPS_SUBSTATUS_INITIAL] = "initialAssignment",
    [DPS_SUBSTATUS_MIGRATED] = "deviceDataMigrated",
    [DPS_SUBSTATUS_RESET] = "deviceDataReset",
    [DPS_SUBSTATUS_REPROVISIONED] = "reprovisionedToInitialAssignment",
};

static void write_text_member(struct bytes_writer *w, const char *prefix, struct bytes value)
{
    dps_write_text(w, prefix);
    dps_write_json_string(w, value);
}

static void write_number_member(struct bytes_writer *w, const char *prefix, uint64_t value)
{
    dps_write_text(w, prefix);
    dps_write_decimal(w, value);
}

static void write_hex_member(struct bytes_writer *w, const char *prefix, struct bytes bytes)
{
    dps_write_text(w, prefix);
    dps_write_text(w, "\"");
    dps_write_hex(w, bytes);
    dps_write_text(w, "\"");
}

static void write_time_member(struct bytes_writer *w, const char *prefix, uint64_t value)
{
    dps_write_text(w, prefix);
    dps_write_text(w, "\"");
    dps_write_time(w, value);
    dps_write_text(w, "\"");
}

void dps_registration_write(struct bytes_writer *w, const struct dps_registration *r)
{
    write_text_member(w, "{\"registrationId\":", bytes_of_text(r->registration_id));
    write_text_member(w, ",\"deviceId\":", bytes_of_text(r->device_id));
    write_text_member(w, ",\"assignedHub\":", bytes_of_text(r->hub));
    dps_write_text(w, r->deleted ? ",\"status\":\"unassigned\"" : ",\"status\":\"assigned\"");
    write_text_member(w, ",\"substatus\":", bytes_of_text(substatus_texts[r->substatus]));
    write_number_member(w, ",\"created\":", r->created);
    write_number_member(w, ",\"lastUpdated\":", r->updated);
    write_number_member(w, ",\"generation\":", r->generation);
    write_hex_member(w, ",\"random\":", bytes_of(r->random, r->random_len));
    write_hex_member(w, ",\"challenge\":", bytes_of(r->challenge, sizeof r->challenge));
    write_number_member(w, ",\"secretEpoch\":", r->secret_epoch);
    dps_write_text(w, ",\"storageRootKey\":\"");
    dps_write_base64(w, bytes_of(r->srk, r->srk_len));
    dps_write_text(w, "\"}");
}

static int read_text(struct bytes root, const char *name, char *field, size_t size)
{
    struct bytes value;
    size_t len;
    int error = dps_json_member(root, name, &value);
    if (error == 0) {
        error = dps_json_string(value, (uint8_t *)field, size - 1, &len);
    }
    if (error == 0) {
        field[len] = '\0';
    }
    return error;
}

static int read_number(struct bytes root, const char *name, uint64_t maximum, uint64_t *number)
{
    struct bytes value;
    const int error = dps_json_member(root, name, &value);
    return error != 0 ? error : dps_json_uint(value, maximum, number);
}

/* Exactly size bytes, or nothing, since earlier versions left the member out: then bytes stay zero. */
static int read_hex(struct bytes root, const char *name, uint8_t *bytes, size_t size, size_t *len)
{
    struct bytes value;
    uint8_t hex[64];
    int error = dps_json_member(root, name, &value);
    *len = 0;
    if (error != 0) {
        return error == BYTES_E_NOT_FOUND ? 0 : error;
    }
    error = dps_json_string(value, hex, sizeof hex, len);
    if (error == 0) {
        error = dps_hex_decode(bytes_of(hex, *len), bytes, size, len);
    }
    return error == 0 && *len != 0 && *len != size ? BYTES_E_FORMAT : error;
}

static int read_substatus(struct bytes root, enum dps_substatus *substatus)
{
    struct bytes value;
    if (dps_json_member(root, "substatus", &value) == 0) {
        for (size_t i = 0; i < DPS_SUBSTATUS_COUNT; i++) {
            if (dps_json_word_is(value, substatus_texts[i])) {
                *substatus = (enum dps_substatus)i;
                return 0;
            }
        }
    }
    return BYTES_E_FORMAT;
}

static int read_status(struct bytes root, bool *deleted)
{
    struct bytes value;
    const int error = dps_json_member(root, "status", &value);
    *deleted = error == 0 && dps_json_word_is(value, "unassigned");
    return error == 0 && !*deleted && !dps_json_string_is(value, "assigned") ? BYTES_E_FORMAT : error;
}

static int read_srk(struct bytes root, struct dps_registration *r)
{
    struct bytes value;
    uint8_t base64[(DPS_SRK_PUBLIC_MAX + 2) / 3 * 4];
    size_t len;
    int error = dps_json_member(root, "storageRootKey", &value);
    if (error == 0) {
        error = dps_json_string(value, base64, sizeof base64, &len);
    }
    if (error == 0) {
        error = dps_base64_decode(bytes_of(base64, len), r->srk, sizeof r->srk, &len);
        r->srk_len = (uint16_t)len;
    }
    return error;
}

int dps_registration_parse(struct bytes json, struct dps_registration *r)
{
    struct bytes root;
    uint64_t epoch = 0;
    size_t challenge_len;
    memset(r, 0, sizeof *r);
    const bool read = dps_json_check(json, &root) == 0 &&
                      read_text(root, "registrationId", r->registration_id, sizeof r->registration_id) == 0 &&
                      read_text(root, "deviceId", r->device_id, sizeof r->device_id) == 0 &&
                      read_text(root, "assignedHub", r->hub, sizeof r->hub) == 0 &&
                      read_status(root, &r->deleted) == 0 && read_substatus(root, &r->substatus) == 0 &&
                      read_number(root, "created", UINT64_MAX, &r->created) == 0 &&
                      read_number(root, "lastUpdated", UINT64_MAX, &r->updated) == 0 &&
                      read_number(root, "generation", UINT64_MAX, &r->generation) == 0 &&
                      read_hex(root, "random", r->random, sizeof r->random, &r->random_len) == 0 &&
                      read_hex(root, "challenge", r->challenge, sizeof r->challenge, &challenge_len) == 0 &&
                      read_number(root, "secretEpoch", UINT32_MAX, &epoch) == 0 && read_srk(root, r) == 0;
    r->secret_epoch = (uint32_t)epoch;
    return read ? 0 : BYTES_E_FORMAT;
}

/* In JSON the etag is a string that holds the quoted etag, quotes and all; in the real service it is the base64
 * of that. Clients treat it as opaque. */
void dps_registration_write_state(struct bytes_writer *w, const struct dps_registration *r, uint64_t version)
{
    uint8_t etag[24];
    struct bytes_writer quoted = bytes_writer_over(etag, sizeof etag);
    dps_etag_write(&quoted, version);
    write_text_member(w, "\"registrationId\":", bytes_of_text(r->registration_id));
    write_time_member(w, ",\"createdDateTimeUtc\":", r->created);
    write_text_member(w, ",\"assignedHub\":", bytes_of_text(r->hub));
    write_text_member(w, ",\"deviceId\":", bytes_of_text(r->device_id));
    dps_write_text(w, ",\"status\":\"assigned\"");
    write_text_member(w, ",\"substatus\":", bytes_of_text(substatus_texts[r->substatus]));
    write_time_member(w, ",\"lastUpdatedDateTimeUtc\":", r->updated);
    dps_write_text(w, ",\"etag\":\"");
    dps_write_base64(w, bytes_written(&quoted));
    dps_write_text(w, "\"");
}

void dps_etag_write(struct bytes_writer *w, uint64_t version)
{
    uint8_t bytes[8];
    struct bytes_writer number = bytes_writer_over(bytes, sizeof bytes);
    bytes_write_u64(&number, version);
    dps_write_text(w, "\"");
    dps_write_hex(w, bytes_written(&number));
    dps_write_text(w, "\"");
}

/* Clients send the etag as they got it, with one more pair of quotes, with backslashes, as a weak one, or as the base64
 * that registrations carry: all mean the same. */
static struct bytes bare_etag(struct bytes text)
{
    if (text.len >= 2 && text.p[0] == 'W' && text.p[1] == '/') {
        text = bytes_of(text.p + 2, text.len - 2);
    }
    while (text.len > 0 && (text.p[0] == '"' || text.p[0] == '\\')) {
        text = bytes_of(text.p + 1, text.len - 1);
    }
    while (text.len > 0 && (text.p[text.len - 1] == '"' || text.p[text.len - 1] == '\\')) {
        text = bytes_of(text.p, text.len - 1);
    }
    return text;
}

static bool etag_is(struct bytes given, uint64_t version)
{
    uint8_t decoded[32];
    uint8_t etag[24];
    struct bytes_writer wanted = bytes_writer_over(etag, sizeof etag);
    size_t len;
    given = bare_etag(given);
    dps_etag_write(&wanted, version);
    if (dps_base64_decode(given, decoded, sizeof decoded, &len) == 0 && len == wanted.len) {
        given = bare_etag(bytes_of(decoded, len));
    }
    return bytes_equal_public(given, bare_etag(bytes_written(&wanted)));
}

bool dps_etag_matches(struct bytes if_match, uint64_t version, bool *any)
{
    struct bytes element;
    *any = bytes_equal_public(bare_etag(if_match), bytes_of_text("*"));
    bool matches = *any;
    while (!matches && if_match.len > 0) {
        if_match = dps_split(if_match, ',', &element);
        matches = etag_is(dps_trim(element), version);
    }
    return matches;
}

void dps_hub_device_write(struct bytes_writer *w, const struct dps_hub_device *device, struct bytes device_id,
                          struct bytes initial_twin)
{
    write_text_member(w, "{\"deviceId\":", device_id);
    write_text_member(w, ",\"registrationId\":", bytes_of_text(device->registration_id));
    write_number_member(w, ",\"generation\":", device->generation);
    write_number_member(w, ",\"secretEpoch\":", device->secret_epoch);
    if (initial_twin.len > 0) {
        dps_write_text(w, ",\"twin\":");
        bytes_write_bytes(w, initial_twin);
    }
    dps_write_text(w, "}");
}

int dps_hub_device_parse(struct bytes json, struct dps_hub_device *device)
{
    struct bytes root;
    uint64_t epoch = 0;
    memset(device, 0, sizeof *device);
    const bool read =
        dps_json_check(json, &root) == 0 &&
        read_text(root, "registrationId", device->registration_id, sizeof device->registration_id) == 0 &&
        read_number(root, "generation", UINT64_MAX, &device->generation) == 0 &&
        read_number(root, "secretEpoch", UINT32_MAX, &epoch) == 0;
    device->secret_epoch = (uint32_t)epoch;
    return read ? 0 : BYTES_E_FORMAT;
}

void dps_hub_device_key(struct bytes_writer *w, struct bytes hub, struct bytes device_id)
{
    for (size_t i = 0; i < hub.len; i++) {
        bytes_write_u8(w, dps_lower(hub.p[i]));
    }
    dps_write_text(w, "/");
    bytes_write_bytes(w, device_id);
}
