/* SPDX-License-Identifier: MIT */
/* A link of a device to its hub: whatever the hub says, and whenever, what the device says is well-formed and in order,
 * and a message counts as sent only while one is being sent.
 * Input: the flags of the link; then turns: one byte that says what happens, and what belongs to it. */
#include "dps/device/link.h"
#include "dps/protocol/mqtt_connect.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

#define TURNS_MAX 2000

static struct dps_device device;
static struct dps_device_config config;
static struct dps_link link;
static uint64_t now;
static bool greeted; /* CONNECT has been said in this connection */
static bool ended;   /* and DISCONNECT */

static void begin(uint8_t flags)
{
    static const char token[] = "SharedAccessSignature sr=x";
    memset(&device, 0, sizeof device);
    config = (struct dps_device_config){.keep_alive = flags & 4 ? 10 : 0};
    device.config = &config;
    device.now = 1800000000;
    device.expiry = device.now + (flags & 8 ? 60 : 3600);
    memcpy(device.assigned_hub, "hub.example", 12);
    memcpy(device.device_id, "boiler", 7);
    memcpy(device.token, token, sizeof token - 1);
    device.token_len = sizeof token - 1;
    now = 1;
    dps_link_begin(&link, &device, flags & (DPS_LINK_LISTENS | DPS_LINK_STAYS));
}

/* A packet that is complete: the first of a connection is CONNECT, and none follows DISCONNECT. */
static void hear(struct bytes packet)
{
    struct dps_mqtt_packet p;
    struct dps_mqtt_connect connect;
    struct dps_mqtt_publish publish;
    HOLDS(dps_mqtt_packet_read(packet, DPS_MQTT_SERVER, DPS_NET_BUFFER, &p) == 0 && p.len == packet.len);
    HOLDS((p.type == DPS_MQTT_CONNECT) == !greeted && !ended);
    if (p.type == DPS_MQTT_CONNECT) {
        HOLDS(dps_mqtt_connect_read(&p, &connect) == 0 && connect.has_password);
    } else if (p.type == DPS_MQTT_PUBLISH) {
        HOLDS(dps_mqtt_publish_read(&p, &publish) == 0 && publish.qos == 1 && dps_link_publishing(&link));
    }
    greeted = true;
    ended = p.type == DPS_MQTT_DISCONNECT;
}

/* All that it wants to do alone. Returns what it wants then. */
static enum dps_link_want go_on(void)
{
    enum dps_link_want want;
    while ((want = dps_link_want(&link, now)) == DPS_LINK_SEND) {
        const struct bytes out = dps_link_out(&link);
        if (out.len > 0) {
            hear(out);
            dps_link_sent(&link, out.len);
        }
    }
    HOLDS(want <= DPS_LINK_FAILED);
    HOLDS((want == DPS_LINK_FAILED) <= (link.error != 0));
    return want;
}

static void give(struct bytes said)
{
    while (said.len > 0) {
        size_t room;
        uint8_t *in = dps_link_in(&link, &room);
        HOLDS(room <= DPS_NET_BUFFER && in >= device.net && in <= device.net + DPS_NET_BUFFER - room);
        const size_t len = said.len < room ? said.len : room;
        if (len == 0) {
            return;
        }
        const bool publishing = dps_link_publishing(&link);
        const uint32_t sent = link.sent;
        memcpy(in, said.p, len);
        HOLDS(dps_link_received(&link, len) <= DPS_NET_BUFFER);
        HOLDS(link.sent == sent || (link.sent == sent + 1 && publishing && !dps_link_publishing(&link)));
        said = bytes_of(said.p + len, said.len - len);
        if (dps_link_want(&link, now) == DPS_LINK_ARRIVED) {
            const struct dps_mqtt_publish *m = dps_link_arrived(&link);
            HOLDS(fuzz_views(m->topic, bytes_of(device.net, DPS_NET_BUFFER)) &&
                  fuzz_views(m->payload, bytes_of(device.net, DPS_NET_BUFFER)));
            dps_link_take(&link);
        }
    }
}

static void turn(uint8_t what, uint8_t more, struct bytes *rest)
{
    const size_t len = more < rest->len ? more : rest->len;
    switch (what % 8) {
    case 0:
    case 1:
        give(bytes_of(rest->p, len));
        *rest = bytes_of(rest->p + len, rest->len - len);
        break;
    case 2:
        now += (uint64_t)more * 1000;
        break;
    case 3:
        (void)dps_link_publish(&link, bytes_of(NULL, 0), bytes_of("message", more % 8));
        break;
    case 4:
        (void)dps_link_received(&link, 0);
        break;
    case 5:
        dps_link_fail(&link, more & 1 ? BYTES_E_TLS : BYTES_E_STREAM);
        break;
    case 6:
        if (more == 1) {
            dps_link_end(&link);
        }
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    begin(fuzz_byte(&rest));
    for (unsigned turns = 0; turns < TURNS_MAX && rest.len > 0; turns++) {
        switch (go_on()) {
        case DPS_LINK_TOKEN:
            dps_link_token_made(&link);
            continue;
        case DPS_LINK_CONNECT:
            greeted = ended = false;
            dps_link_connected(&link);
            continue;
        case DPS_LINK_WAIT:
            HOLDS(dps_link_rest_ms(&link) <= 384000);
            now += dps_link_rest_ms(&link);
            break;
        case DPS_LINK_ENDED:
        case DPS_LINK_FAILED:
            return 0;
        default:
            break;
        }
        const uint8_t what = fuzz_byte(&rest);
        turn(what, fuzz_byte(&rest), &rest);
    }
    return 0;
}
