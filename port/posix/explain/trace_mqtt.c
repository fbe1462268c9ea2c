/* SPDX-License-Identifier: MIT */
/* Packets of MQTT 3.1.1, taken apart for the transcript. */
#include "dps/protocol/mqtt_connect.h"
#include "port/posix/explain/trace_private.h"
#include <string.h>

struct splitter {
    struct bytes packet;
    size_t at; /* next byte that belongs to no field yet */
    trace_http_sink *sink;
    void *context;
};

static const char *const names[16] = {
    [DPS_MQTT_CONNECT] = "CONNECT",         [DPS_MQTT_CONNACK] = "CONNACK",
    [DPS_MQTT_PUBLISH] = "PUBLISH",         [DPS_MQTT_PUBACK] = "PUBACK",
    [DPS_MQTT_SUBSCRIBE] = "SUBSCRIBE",     [DPS_MQTT_SUBACK] = "SUBACK",
    [DPS_MQTT_UNSUBSCRIBE] = "UNSUBSCRIBE", [DPS_MQTT_UNSUBACK] = "UNSUBACK",
    [DPS_MQTT_PINGREQ] = "PINGREQ",         [DPS_MQTT_PINGRESP] = "PINGRESP",
    [DPS_MQTT_DISCONNECT] = "DISCONNECT"};

const char *trace_mqtt_name(struct bytes packet)
{
    const char *name = packet.len > 0 ? names[packet.p[0] >> 4] : NULL;
    return name != NULL ? name : "MQTT";
}

/* The next field, up to end. shown may be another text than its bytes. */
static void emit(struct splitter *s, const char *name, const char *type, size_t end, struct bytes shown,
                 const char *meaning)
{
    const struct trace_http_field field = {.name = bytes_of_text(name),
                                           .type = type,
                                           .meaning = meaning,
                                           .offset = s->at,
                                           .len = end - s->at,
                                           .shown = shown};
    if (field.len > 0) {
        s->at = end;
        s->sink(s->context, &field);
    }
}

static void emit_number(struct splitter *s, const char *name, size_t len, const char *meaning)
{
    char text[64];
    unsigned value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | s->packet.p[s->at + i];
    }
    (void)snprintf(text, sizeof text, "%s %u", name, value);
    emit(s, name, "number", s->at + len, bytes_of_text(text), meaning);
}

/* A view inside the packet, with the size before it. */
static void emit_text(struct splitter *s, const char *name, struct bytes text, const char *meaning)
{
    emit(s, name, "text", (size_t)(text.p - s->packet.p) + text.len, text, meaning);
}

static void emit_rest(struct splitter *s, const char *name)
{
    emit(s, name, "bytes", s->packet.len, bytes_of(&s->packet.p[s->at], s->packet.len - s->at), NULL);
}

static int connect(struct splitter *s, const struct dps_mqtt_packet *p)
{
    struct dps_mqtt_connect c;
    const int error = dps_mqtt_connect_read(p, &c);
    if (error == 0) {
        emit(s, "protocol", "bytes", s->at + 7, bytes_of_text("MQTT, level 4"), "MQTT 3.1.1.");
        emit_number(s, "flags", 1,
                    c.clean_session ? "A session that ends with the connection."
                                    : "A session that the hub keeps: it holds messages meanwhile.");
        emit_number(s, "keep alive", 2, "Seconds of silence after which the hub gives the device up.");
        emit_text(s, "client identifier", c.client_id, "The deviceId.");
        if (c.has_user_name && !c.has_will) {
            emit_text(s, "user name", c.user_name, "Hub, deviceId and version of the interface.");
        }
        if (c.has_password && !c.has_will) {
            emit_text(s, "password", c.password,
                      "The SAS token: what it opens, until when, and the HMAC that proves the key.");
        }
    }
    return error;
}

static int publish(struct splitter *s, const struct dps_mqtt_packet *p)
{
    struct dps_mqtt_publish m;
    const int error = dps_mqtt_publish_read(p, &m);
    if (error == 0) {
        emit_text(s, "topic", m.topic, "What the message is; after the last slash its properties.");
        if (m.qos > 0) {
            emit_number(s, "packet identifier", 2, "The number that PUBACK has to name.");
        }
        emit_rest(s, "payload");
    }
    return error;
}

static int subscribe(struct splitter *s, const struct dps_mqtt_packet *p)
{
    struct dps_mqtt_filters all;
    struct dps_mqtt_filter one;
    const int error = dps_mqtt_filters_read(p, &all);
    if (error == 0) {
        emit_number(s, "packet identifier", 2, NULL);
    }
    while (error == 0 && dps_mqtt_filters_next(&all, &one)) {
        emit_text(s, "filter", one.filter, "Messages that are wanted.");
        if (all.with_qos) {
            emit_number(s, "QoS", 1, "1: each is sent until it is acknowledged.");
        }
    }
    return error;
}

static const char *code_meaning(uint8_t code)
{
    static const char *const codes[] = {"Accepted.",
                                        "Refused: not this version of MQTT.",
                                        "Refused: not this client identifier.",
                                        "Refused: not now.",
                                        "Refused: user name or password.",
                                        "Refused: this token does not admit the device."};
    return code < sizeof codes / sizeof codes[0] ? codes[code] : NULL;
}

static int connack(struct splitter *s, const struct dps_mqtt_packet *p)
{
    bool present;
    uint8_t code;
    const int error = dps_mqtt_connack_read(p, &present, &code);
    if (error == 0) {
        emit_number(s, "session present", 1, NULL);
        emit_number(s, "code", 1, code_meaning(code));
    }
    return error;
}

static int body(struct splitter *s, const struct dps_mqtt_packet *p)
{
    switch (p->type) {
    case DPS_MQTT_CONNECT:
        return connect(s, p);
    case DPS_MQTT_CONNACK:
        return connack(s, p);
    case DPS_MQTT_PUBLISH:
        return publish(s, p);
    case DPS_MQTT_SUBSCRIBE:
        return subscribe(s, p);
    case DPS_MQTT_SUBACK:
    case DPS_MQTT_PUBACK:
        emit_number(s, "packet identifier", 2, "The number of what is acknowledged.");
        if (p->type == DPS_MQTT_SUBACK && p->body.len == 3) {
            emit_number(s, "code", 1, "The QoS that is granted; 128: refused.");
        }
        return 0;
    default:
        return 0;
    }
}

int trace_mqtt_explain(struct bytes packet, bool to_hub, trace_http_sink *sink, void *context)
{
    struct splitter s = {.packet = packet, .sink = sink, .context = context};
    struct dps_mqtt_packet p;
    int error = dps_mqtt_packet_read(packet, to_hub ? DPS_MQTT_SERVER : DPS_MQTT_CLIENT, packet.len, &p);
    if (error == 0) {
        const bool again = p.type == DPS_MQTT_PUBLISH && (p.flags & 8) != 0;
        emit(&s, "fixed header", "bytes", p.len - p.body.len, bytes_of_text(trace_mqtt_name(packet)),
             again ? "Sent before, and not acknowledged." : NULL);
        error = body(&s, &p);
    }
    emit_rest(&s, error == 0 ? "rest" : "unparsed");
    return error == BYTES_E_LIMIT ? BYTES_E_MORE : error;
}
