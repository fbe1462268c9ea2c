/* SPDX-License-Identifier: MIT */
/* SVC-S10: the hub over MQTT 3.1.1. */
#include "dps/protocol/mqtt_connect.h"
#include "tests/conformance/service.h"
#include <string.h>

#define PORT 8883
#define NONE 255 /* no CONNACK */

static bool registered(struct conformance *c, struct service_device *d)
{
    if (service_given.mqtt == NULL) {
        conformance_skip(c, "needs the hub's MQTT: --mqtt, or --mqtt=HOST:PORT");
        return false;
    }
    return service_device_new(c, d, "") && service_register(c, d);
}

static void token_of(const struct service_device *d, const uint8_t key[SERVICE_SECRET_SIZE], int64_t age,
                     char *text, size_t size)
{
    char sr[500];
    char se[24];
    snprintf(sr, sizeof sr, "%s%%2Fdevices%%2F%s", d->hub, d->device_id);
    service_expiry(age, se, sizeof se);
    const struct service_token t = {.sr = sr, .se = se};
    service_sign(bytes_of(key, SERVICE_SECRET_SIZE), &t, text, size);
}

static void send_writer(struct conformance *c, const struct bytes_writer *w)
{
    service_road_send(c, bytes_written(w));
}

/* The next packet; false, and nothing is judged, if none comes. */
static bool next(struct conformance *c, struct dps_mqtt_packet *p)
{
    struct service *s = service_of(c);
    while (dps_mqtt_packet_read(service_road_arrived(s), DPS_MQTT_CLIENT, 4096, p) == BYTES_E_MORE) {
        if (service_road_more(s) != 0) {
            return false;
        }
    }
    return p->len > 0;
}

/* A new connection and its CONNECT. Returns: the code of the CONNACK, or NONE. */
static unsigned connack(struct conformance *c, const struct service_device *d, const char *client_id,
                        const char *user_name, const char *token)
{
    uint8_t packet[2048];
    struct bytes_writer w = bytes_writer_over(packet, sizeof packet);
    struct dps_mqtt_packet p;
    bool present;
    uint8_t code;
    const struct dps_mqtt_connect hello = {.client_id = bytes_of_text(client_id),
                                           .user_name = bytes_of_text(user_name),
                                           .password = bytes_of_text(token),
                                           .keep_alive = 180,
                                           .has_user_name = true,
                                           .has_password = true};
    dps_mqtt_connect_write(&w, &hello);
    if (!service_road_open(c, service_given.mqtt, PORT, d->hub)) {
        return NONE;
    }
    send_writer(c, &w);
    if (!next(c, &p) || p.type != DPS_MQTT_CONNACK || dps_mqtt_connack_read(&p, &present, &code) != 0) {
        return NONE;
    }
    service_road_take(service_of(c), p.len);
    return code;
}

/* With the device's own names. */
static unsigned connack_with(struct conformance *c, const struct service_device *d,
                             const uint8_t key[SERVICE_SECRET_SIZE], int64_t age)
{
    char token[1024];
    char user_name[600];
    token_of(d, key, age, token, sizeof token);
    snprintf(user_name, sizeof user_name, "%s/%s/?api-version=2021-04-12&DeviceClientType=conformance",
             d->hub, d->device_id);
    return connack(c, d, d->device_id, user_name, token);
}

static bool connected(struct conformance *c, const struct service_device *d)
{
    const char *before = conformance_stand_on(c, "SVC-S10-101");
    const unsigned code = connack_with(c, d, d->hub_key, 3600);
    const bool holds =
        conformance_check(c, code == DPS_MQTT_ACCEPTED,
                          "CONNECT with the device's own token: expected CONNACK 0, got %u", code);
    conformance_stand_back(c, before);
    return holds;
}

/* 5 is what makes a client ask for another key, and 4 says the same; closing without a word is as good a refusal. */
static bool refused(struct conformance *c, const char *what, unsigned code)
{
    return conformance_check(
        c, code == DPS_MQTT_REFUSED_UNAUTHORIZED || code == DPS_MQTT_REFUSED_PASSWORD || code == NONE,
        "%s: expected CONNACK 5 or 4, got %u", what, code);
}

static void publish(struct conformance *c, const struct service_device *d, const char *bag, uint8_t qos,
                    uint16_t id)
{
    uint8_t packet[2048];
    char topic[600];
    struct bytes_writer w = bytes_writer_over(packet, sizeof packet);
    snprintf(topic, sizeof topic, "devices/%s/messages/events/%s", d->device_id, bag);
    const struct dps_mqtt_publish m = {.topic = bytes_of_text(topic),
                                       .payload = bytes_of_text("{\"t\":21}"),
                                       .qos = qos,
                                       .packet_id = qos > 0 ? id : 0};
    dps_mqtt_publish_write(&w, &m);
    send_writer(c, &w);
}

static bool ping(struct conformance *c, const char *what)
{
    struct dps_mqtt_packet p;
    service_road_send(c, bytes_of("\xc0\0", 2));
    const bool answered = next(c, &p) && p.type == DPS_MQTT_PINGRESP;
    if (answered) {
        service_road_take(service_of(c), p.len);
    }
    return conformance_check(c, answered, "%s: a PINGREQ was not answered by PINGRESP", what);
}

static bool acknowledged(struct conformance *c, const char *what, uint16_t id)
{
    struct dps_mqtt_packet p;
    uint16_t got = 0;
    const bool answered = next(c, &p) && p.type == DPS_MQTT_PUBACK && dps_mqtt_ack_read(&p, &got) == 0;
    if (answered) {
        service_road_take(service_of(c), p.len);
    }
    return conformance_check(c, answered && got == id, "%s: expected PUBACK %u, got %s %u", what, id,
                             answered ? "PUBACK" : "none", got);
}

/* ---- Cases ------------------------------------------------------------------------------------------------------- */

static void own_token(struct conformance *c)
{
    struct service_device d;
    if (registered(c, &d)) {
        (void)connected(c, &d);
    }
}

static void wrong_tokens(struct conformance *c)
{
    struct service_device d;
    char token[1024];
    char user_name[600];
    if (!registered(c, &d) || !connected(c, &d) ||
        !refused(c, "the nonce", connack_with(c, &d, d.nonce, 3600)) ||
        !refused(c, "an expired token", connack_with(c, &d, d.hub_key, -7200))) {
        return;
    }
    token_of(&d, d.hub_key, 3600, token, sizeof token);
    snprintf(user_name, sizeof user_name, "%s/another", d.hub);
    if (refused(c, "another device's name", connack(c, &d, "another", user_name, token))) {
        snprintf(user_name, sizeof user_name, "%s/%s", d.hub, d.device_id);
        refused(c, "a client identifier that is not the device's",
                connack(c, &d, "another", user_name, token));
    }
}

static void quality_1(struct conformance *c)
{
    struct service_device d;
    if (registered(c, &d) && connected(c, &d)) {
        publish(c, &d, "", 1, 7);
        if (acknowledged(c, "telemetry with QoS 1", 7)) {
            publish(c, &d, "%24.mid=1&%24.ct=application%2Fjson&alert=yes%20%26%20no", 1, 8);
            acknowledged(c, "with a property bag", 8);
        }
    }
}

static void quality_0(struct conformance *c)
{
    struct service_device d;
    if (registered(c, &d) && connected(c, &d)) {
        publish(c, &d, "", 0, 0);
        ping(c, "after telemetry with QoS 0");
    }
}

static void subscriptions(struct conformance *c)
{
    struct service_device d;
    uint8_t packet[512];
    char filter[300];
    struct bytes_writer w = bytes_writer_over(packet, sizeof packet);
    struct dps_mqtt_packet p;
    struct bytes codes = {NULL, 0};
    uint16_t id = 0;
    if (!registered(c, &d) || !connected(c, &d)) {
        return;
    }
    snprintf(filter, sizeof filter, "devices/%s/messages/devicebound/#", d.device_id);
    const struct dps_mqtt_filter filters[] = {{bytes_of_text(filter), 1},
                                              {bytes_of_text("$iothub/methods/POST/#"), 0},
                                              {bytes_of_text("devices/another/messages/devicebound/#"), 1}};
    dps_mqtt_filters_write(&w, DPS_MQTT_SUBSCRIBE, 9, filters, COUNT(filters));
    send_writer(c, &w);
    const bool answered = next(c, &p) && p.type == DPS_MQTT_SUBACK &&
                          dps_mqtt_suback_read(&p, &id, &codes) == 0 && id == 9 && codes.len == 3;
    if (conformance_check(c, answered, "SUBSCRIBE: expected SUBACK 9 with three codes") && codes.p != NULL) {
        const bool granted = conformance_check(c, codes.p[0] == 1 && codes.p[1] == 0,
                                               "expected 1 and 0, got %u and %u", codes.p[0], codes.p[1]);
        (void)(granted && conformance_check(c, codes.p[2] == DPS_MQTT_SUBSCRIPTION_FAILED,
                                            "another device's messages: expected 128, got %u", codes.p[2]));
    }
}

/* Node's package says goodbye after its first message, and comes back with the same token. */
static void again(struct conformance *c)
{
    struct service_device d;
    if (registered(c, &d) && connected(c, &d)) {
        publish(c, &d, "", 1, 1);
        if (acknowledged(c, "the first message", 1)) {
            service_road_send(c, bytes_of("\xe0\0", 2));
            const unsigned code = connack_with(c, &d, d.hub_key, 3600);
            if (conformance_check(c, code == 0, "the same token again at once: expected CONNACK 0, got %u",
                                  code)) {
                publish(c, &d, "", 1, 2);
                acknowledged(c, "the second message", 2);
            }
        }
    }
}

static void old_key(struct conformance *c)
{
    struct service_device d;
    uint8_t first[SERVICE_SECRET_SIZE];
    if (!registered(c, &d)) {
        return;
    }
    memcpy(first, d.hub_key, sizeof first);
    if (service_register(c, &d) && connected(c, &d)) {
        refused(c, "the hub key of the registration before", connack_with(c, &d, first, 3600));
    }
}

static void malformed(struct conformance *c)
{
    static const struct {
        const char *name;
        size_t len;
        const char *bytes;
    } packets[] = {
        {"a reserved packet type", 2, "\xf0\0"},
        {"a length of five bytes", 6, "\x30\xff\xff\xff\xff\x01"},
        {"a second CONNECT", 14, "\x10\x0c\0\4MQTT\4\2\0\x0a\0\0"},
        {"SUBSCRIBE without a filter", 4, "\x82\2\0\1"},
        {"PUBLISH with QoS 3", 7, "\x36\5\0\1a\0\1"},
        {"PUBLISH to a topic with a wildcard", 6, "\x30\4\0\1#x"},
        {"PUBACK with three bytes", 5, "\x40\3\0\1\0"},
    };
    struct service_device d;
    if (!registered(c, &d)) {
        return;
    }
    for (size_t i = 0; i < COUNT(packets); i++) {
        if (!connected(c, &d)) {
            return;
        }
        service_road_send(c, bytes_of(packets[i].bytes, packets[i].len));
        if (!service_road_ends(c, packets[i].name)) {
            return;
        }
    }
    (void)connected(c, &d);
}

/* Before the CONNECT, and of a size that nobody should wait for. */
static void strangers(struct conformance *c)
{
    struct service_device d;
    if (!registered(c, &d) || !connected(c, &d) || !service_road_open(c, service_given.mqtt, PORT, d.hub)) {
        return;
    }
    service_road_send(c, bytes_of("\xc0\0", 2));
    if (service_road_ends(c, "PINGREQ before CONNECT") &&
        service_road_open(c, service_given.mqtt, PORT, d.hub)) {
        service_road_send(c, bytes_of("\x10\xff\xff\xff\x7f", 5));
        service_road_ends(c, "a CONNECT of 256 MB");
    }
}

const struct conformance_case service_cases_mqtt[] = {
    {"SVC-S10-101",
     "Over MQTT the hub must accept a CONNECT whose password is a token that is signed with the hub key.",
     "IoT Hub \"Communicate with an IoT hub using the MQTT protocol\"", CONFORMANCE_MUST, 0, own_token},
    {"SVC-S10-102", "Over MQTT the hub must refuse the nonce, expired tokens and the names of other devices.",
     "IoT Hub \"Security tokens\"", CONFORMANCE_MUST, 0, wrong_tokens},
    {"SVC-S10-103", "Telemetry with QoS 1 must be acknowledged, with and without properties in its topic.",
     "MQTT 3.1.1 §3.4; Node SDK: awaits PUBACK", CONFORMANCE_MUST, 0, quality_1},
    {"SVC-S10-104", "Telemetry with QoS 0 must leave the connection in use.", "MQTT 3.1.1 §4.3.1",
     CONFORMANCE_MUST, 0, quality_0},
    {"SVC-S10-105", "A device must be able to subscribe to its messages and methods, and to nobody else's.",
     "MQTT 3.1.1 §3.9; all SDKs: subscribe when the application listens", CONFORMANCE_MUST, 0, subscriptions},
    {"SVC-S10-106", "The same token must be accepted for a second connection at once.",
     "Node SDK: disconnects after its first message, and comes back", CONFORMANCE_MUST, 0, again},
    {"SVC-S10-107", "Over MQTT, the hub key of the registration before should be refused.",
     "spec-notes: The store holds no secret", CONFORMANCE_SHOULD, 0, old_key},
    {"SVC-S10-108", "A packet that breaks a rule must end the connection, and no other one.",
     "MQTT 3.1.1 §4.8", CONFORMANCE_MUST, 0, malformed},
    {"SVC-S10-109", "What comes before a CONNECT, or is too large for one, must be refused at once.",
     "MQTT 3.1.1 §3.1, MQTT-3.1.0-1; CWE-400", CONFORMANCE_MUST, 0, strangers},
    {0},
};
