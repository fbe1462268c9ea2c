/* SPDX-License-Identifier: MIT */
#include "dps/protocol/registration_id.h"
#include "crypto/crypto.h"
#include "dps/protocol/text.h"
#include <string.h>

void dps_registration_id_default(struct bytes ek_2b, char *id)
{
    uint8_t digest[CRYPTO_SHA256_SIZE];
    struct bytes_writer w = bytes_writer_over((uint8_t *)id, DPS_DEFAULT_REGISTRATION_ID_SIZE);
    crypto_sha256(&ek_2b, 1, digest);
    dps_write_base32(&w, bytes_of(digest, sizeof digest));
    bytes_write_u8(&w, 0);
    /*@ assert w.error == 0 && w.len == DPS_DEFAULT_REGISTRATION_ID_SIZE; */
}

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (dps_lower(c) >= 'a' && dps_lower(c) <= 'z');
}

static bool is_one_of(uint8_t c, const char *allowed)
{
    return c != 0 && strchr(allowed, c) != NULL;
}

static bool all_allowed(struct bytes id, size_t max, const char *besides)
{
    if (id.len == 0 || id.len > max) {
        return false;
    }
    /*@ loop invariant i <= id.len;
        loop assigns i;
        loop variant id.len - i; */
    for (size_t i = 0; i < id.len; i++) {
        if (!is_alphanumeric(id.p[i]) && !is_one_of(id.p[i], besides)) {
            return false;
        }
    }
    return true;
}

bool dps_registration_id_valid(struct bytes id)
{
    return all_allowed(id, DPS_REGISTRATION_ID_MAX, "-._:") &&
           (is_alphanumeric(id.p[id.len - 1]) || id.p[id.len - 1] == '-');
}

bool dps_device_id_valid(struct bytes id)
{
    return all_allowed(id, DPS_DEVICE_ID_MAX, "-.+%_#*?!(),:=@$'");
}

bool dps_host_valid(struct bytes host)
{
    if (!all_allowed(host, DPS_HOST_MAX, "-.")) {
        return false;
    }
    /* No label is empty, and none begins or ends with a hyphen [RFC 1123 2.1]. */
    /*@ loop invariant i <= host.len;
        loop assigns i;
        loop variant host.len - i; */
    for (size_t i = 0; i < host.len; i++) {
        const bool label_begins = i == 0 || host.p[i - 1] == '.';
        const bool label_ends = i + 1 == host.len || host.p[i + 1] == '.';
        if ((label_begins || label_ends) && !is_alphanumeric(host.p[i])) {
            return false;
        }
    }
    return true;
}

int dps_registration_id_lower(struct bytes id, uint8_t out[DPS_REGISTRATION_ID_MAX], size_t *len)
{
    *len = 0;
    if (!dps_registration_id_valid(id)) {
        return BYTES_E_FORMAT;
    }
    /*@ loop invariant i <= id.len;
        loop assigns i, out[0 .. DPS_REGISTRATION_ID_MAX - 1];
        loop variant id.len - i; */
    for (size_t i = 0; i < id.len; i++) {
        out[i] = dps_lower(id.p[i]);
    }
    *len = id.len;
    return 0;
}
