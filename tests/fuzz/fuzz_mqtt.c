/* SPDX-License-Identifier: MIT */
/* MQTT, both sides: a packet that comes in pieces is the same packet; what is read and written again is the same.
 * Input: one byte that chooses who receives and the maximum; the bytes of the peer, packet after packet. */
#include "tests/fuzz/fuzz.h"
#include "tests/support/mqtt_again.h"

#define CLIENT_ROLE 1
#define SMALL_MAXIMUM 2

/* Byte by byte the answer is "more" until it is what it is for the whole. */
static void receive(struct bytes bytes, enum dps_mqtt_role role, size_t maximum, int wanted,
                    const struct dps_mqtt_packet *whole)
{
    for (size_t len = 0; len <= bytes.len; len++) {
        struct dps_mqtt_packet p;
        const int result = dps_mqtt_packet_read(bytes_of(bytes.p, len), role, maximum, &p);
        if (result == BYTES_E_MORE) {
            HOLDS(len < maximum && (p.len == 0 || (p.len > len && p.len <= maximum)) && p.body.len == 0);
        } else {
            HOLDS(result == wanted && p.len == whole->len && p.body.len == whole->body.len);
            return;
        }
    }
    HOLDS(wanted == BYTES_E_MORE);
}

/* Returns: the bytes of the packet that they begin with; 0 if there is none. */
static size_t take(struct bytes bytes, enum dps_mqtt_role role, size_t maximum)
{
    struct dps_mqtt_packet p;
    const int result = dps_mqtt_packet_read(bytes, role, maximum, &p);
    HOLDS(result == 0 || result == BYTES_E_MORE || result == BYTES_E_FORMAT || result == BYTES_E_LIMIT ||
          result == BYTES_E_ALGORITHM);
    receive(bytes, role, maximum, result, &p);
    if (result != 0) {
        return 0;
    }
    HOLDS(p.len <= maximum && p.len <= bytes.len && fuzz_views(p.body, bytes_of(bytes.p, p.len)));
    uint8_t *packet = fuzz_copy(bytes_of(bytes.p, p.len));
    HOLDS(mqtt_again_is_same(bytes_of(packet, p.len), role));
    free(packet);
    return p.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = bytes_of(data, size);
    const uint8_t flags = fuzz_byte(&bytes);
    const enum dps_mqtt_role role = flags & CLIENT_ROLE ? DPS_MQTT_CLIENT : DPS_MQTT_SERVER;
    const size_t maximum = flags & SMALL_MAXIMUM ? 40 : 2048;
    size_t len;
    while ((len = take(bytes, role, maximum)) > 0) {
        bytes = bytes_of(bytes.p + len, bytes.len - len);
    }
    return 0;
}
