/* SPDX-License-Identifier: MIT */
/* Which hub a device is assigned to [DPS "Allocation policy"]: static (the first that the enrollment or the
 * service names) or hashed by weight. */
#include "dps/service/allocation.h"
#include "crypto/crypto.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/enrollment.h"
#include "dps/service/state.h"

size_t dps_hub_index(const struct dps_service_config *config, struct bytes name)
{
    size_t i = 0;
    while (i < config->hub_count && !dps_text_equal_nocase(bytes_of_text(config->hubs[i].name), name)) {
        i++;
    }
    return i;
}

/* May this enrollment go to that hub? An enrollment without hubs of its own may go to all. */
static bool is_candidate(const struct dps_enrollment *e, const char *hub)
{
    struct bytes name;
    struct bytes value;
    uint8_t text[DPS_HOST_MAX];
    size_t len;
    size_t cursor = 0;
    bool any = e->single_hub.len == 0;
    if (e->single_hub.len > 0 && dps_json_string(e->single_hub, text, sizeof text, &len) == 0 &&
        dps_text_equal_nocase(bytes_of(text, len), bytes_of_text(hub))) {
        return true;
    }
    while (e->hubs.len > 0 && dps_json_next(e->hubs, &cursor, &name, &value)) {
        any = false;
        if (dps_json_string(value, text, sizeof text, &len) == 0 &&
            dps_text_equal_nocase(bytes_of(text, len), bytes_of_text(hub))) {
            return true;
        }
    }
    return any;
}

/* -log2(u / 2^64) in 32.32 fixed point, for u > 0: integer part by counting, fraction bit by bit through squaring. */
static uint64_t minus_log2(uint64_t u)
{
    uint64_t integer = 0;
    uint64_t fraction = 0;
    while ((u & (UINT64_C(1) << 63)) == 0) {
        u <<= 1;
        integer++;
    }
    /* u / 2^63 is in [1, 2): its logarithm is subtracted again. */
    uint64_t x = u >> 32;
    for (int bit = 31; bit >= 12; bit--) {
        x = x * x >> 31;
        if (x >= UINT64_C(1) << 32) {
            fraction |= UINT64_C(1) << bit;
            x >>= 1;
        }
    }
    return ((integer + 1) << 32) - fraction;
}

/* Weighted rendezvous hashing: each hub draws a number for this device, -log(u) / weight, and the smallest
 * wins. A hub's share is proportional to its weight, and when a hub is added or removed, only the devices that it gains
 * or loses move. */
static uint64_t draw(struct bytes registration_id, const struct dps_hub_config *hub)
{
    const struct bytes pieces[3] = {bytes_of_text(hub->name), bytes_of("\0", 1), registration_id};
    uint8_t digest[CRYPTO_SHA256_SIZE];
    crypto_sha256(pieces, 3, digest);
    struct bytes_reader r = bytes_reader_over(bytes_of(digest, sizeof digest));
    const uint64_t u = bytes_read_u64(&r);
    return minus_log2(u | 1) / (hub->weight != 0 ? hub->weight : 1);
}

enum dps_refusal dps_allocate(const struct dps_service_config *config, const struct dps_enrollment *e,
                              struct bytes registration_id, size_t *index)
{
    const bool fixed = e->policy == DPS_ALLOCATION_STATIC ||
                       (e->policy == DPS_ALLOCATION_DEFAULT && config->allocation == DPS_DEFAULT_STATIC);
    uint64_t smallest = UINT64_MAX;
    *index = config->hub_count;
    for (size_t i = 0; i < config->hub_count; i++) {
        if (!is_candidate(e, config->hubs[i].name)) {
            continue;
        }
        const uint64_t number = fixed ? 0 : draw(registration_id, &config->hubs[i]);
        if (number < smallest) {
            smallest = number;
            *index = i;
        }
    }
    return *index < config->hub_count ? DPS_ACCEPTED : DPS_REFUSED_NO_HUB;
}
