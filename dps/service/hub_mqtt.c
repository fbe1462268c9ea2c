/* SPDX-License-Identifier: MIT */
#include "dps/service/hub_mqtt.h"
#include "crypto/crypto.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/mqtt_connect.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/hub.h"
#include "dps/service/request.h"
#include <string.h>

#if DPS_WITH_MQTT

static struct bytes hub_of(const struct dps_hub_session *h)
{
    return bytes_of(h->hub, h->hub_len);
}

static struct bytes device_of(const struct dps_hub_session *h)
{
    return bytes_of(h->device_id, h->device_id_len);
}

static enum dps_refusal admit(struct dps_service *s, const struct dps_hub_session *h, struct dps_answer *a)
{
    return dps_hub_admit(s, bytes_of(h->token, h->token_len), hub_of(h), device_of(h), a);
}

/* ---- CONNECT ----------------------------------------------------------------------------------------------------- */

static bool keep(struct bytes from, uint8_t *to, size_t capacity, uint16_t *len)
{
    const bool fits = from.len <= capacity;
    *len = fits ? (uint16_t)from.len : 0;
    if (*len > 0) {
        memcpy(to, from.p, from.len);
    }
    return fits && from.len > 0;
}

/* The user name is {hub}/{deviceId}, mostly with /?api-version=...&DeviceClientType=... after it, which changes nothing
 * here. The client identifier is the deviceId. */
static enum dps_refusal take_names(struct dps_hub_session *h, const struct dps_mqtt_connect *c)
{
    struct bytes hub;
    struct bytes device_id;
    (void)dps_split(dps_split(c->user_name, '/', &hub), '/', &device_id);
    const bool taken = keep(hub, h->hub, sizeof h->hub, &h->hub_len) &&
                       keep(device_id, h->device_id, sizeof h->device_id, &h->device_id_len) &&
                       keep(c->password, h->token, sizeof h->token, &h->token_len);
    for (size_t i = 0; i < h->hub_len; i++) {
        h->hub[i] = dps_lower(h->hub[i]);
    }
    return taken && bytes_equal_public(c->client_id, device_id) ? DPS_ACCEPTED : DPS_REFUSED_HUB_TOKEN;
}

/* Admitted, so the token can be parsed. */
static void begin_session(struct dps_hub_session *h, const struct dps_mqtt_connect *c,
                          const struct dps_answer *a)
{
    struct dps_sas token;
    h->connected = dps_sas_parse(bytes_of(h->token, h->token_len), &token) == 0;
    h->keep_alive = c->keep_alive;
    h->token_end = token.expiry + DPS_CLOCK_SKEW + 1;
    memcpy(h->inbox.registration_id, a->registration_id, sizeof h->inbox.registration_id);
}

/* May it be admitted when it comes again? */
static bool is_temporary(enum dps_refusal no)
{
    return no == DPS_REFUSED_STORE || no == DPS_REFUSED_RATE || no == DPS_REFUSED_INTERNAL;
}

/* Anything else before the CONNECT is refused without an answer [MQTT-3.1.0-1], and so is a malformed one
 * [MQTT-3.1.4-1]. */
static enum dps_refusal connect(struct dps_service *s, struct dps_hub_session *h,
                                const struct dps_mqtt_packet *p, struct dps_answer *a)
{
    struct dps_mqtt_connect c;
    if (p->type != DPS_MQTT_CONNECT) {
        return DPS_REFUSED_REQUEST;
    }
    if (dps_mqtt_connect_read(p, &c) != 0) {
        if (c.refused != 0) {
            dps_mqtt_connack_write(&a->body, false, c.refused);
        }
        return DPS_REFUSED_REQUEST;
    }
    enum dps_refusal no = take_names(h, &c);
    if (no == DPS_ACCEPTED) {
        no = admit(s, h, a);
    }
    if (no == DPS_ACCEPTED) {
        begin_session(h, &c, a);
    }
    const uint8_t refused = is_temporary(no) ? DPS_MQTT_REFUSED_UNAVAILABLE : DPS_MQTT_REFUSED_UNAUTHORIZED;
    dps_mqtt_connack_write(&a->body, false, no == DPS_ACCEPTED ? DPS_MQTT_ACCEPTED : refused);
    return no;
}

/* ---- PUBLISH ----------------------------------------------------------------------------------------------------- */

/* Does it begin with that? Then it becomes what follows. */
static bool begins_with(struct bytes *rest, struct bytes prefix)
{
    const bool begins = rest->len >= prefix.len && bytes_equal_public(bytes_of(rest->p, prefix.len), prefix);
    if (begins) {
        *rest = bytes_of(rest->p + prefix.len, rest->len - prefix.len);
    }
    return begins;
}

static bool begins_with_text(struct bytes *rest, const char *prefix)
{
    return begins_with(rest, bytes_of_text(prefix));
}

/* devices/{deviceId}/messages/events, with a slash and the property bag after it. */
static bool is_telemetry(const struct dps_hub_session *h, struct bytes topic, struct bytes *bag)
{
    *bag = topic;
    return begins_with_text(bag, "devices/") && begins_with(bag, device_of(h)) &&
           begins_with_text(bag, "/messages/events") && (bag->len == 0 || begins_with_text(bag, "/"));
}

/* name=value, joined by &, both percent-encoded; a name alone is allowed. */
static bool bag_is_right(struct dps_service *s, struct bytes bag)
{
    size_t len;
    while (bag.len > 0) {
        struct bytes property;
        struct bytes name;
        bag = dps_split(bag, '&', &property);
        const struct bytes value = dps_split(property, '=', &name);
        if (name.len == 0 || dps_percent_decode(name, false, s->draft, sizeof s->draft, &len) != 0 ||
            dps_percent_decode(value, false, s->draft, sizeof s->draft, &len) != 0) {
            return false;
        }
    }
    return true;
}

/* This hub has no twins, and says so, in words for those who read the status and for those who read the text. An answer
 * that its device does not expect is not sent. */
static void answer_twin(const struct dps_hub_session *h, struct bytes request_id, struct dps_answer *a)
{
    uint8_t topic[256];
    uint8_t text[128];
    struct bytes_writer w = bytes_writer_over(topic, sizeof topic);
    struct bytes_writer json = bytes_writer_over(text, sizeof text);
    dps_write_text(&w, "$iothub/twin/res/501/?$rid=");
    bytes_write_bytes(&w, request_id);
    dps_write_text(&json, "{\"errorCode\":501001,\"trackingId\":\"");
    bytes_write_bytes(&json, bytes_of(a->tracking_id, sizeof a->tracking_id));
    dps_write_text(&json, "\",\"message\":\"This hub keeps no twins.\"}");
    if (h->twin && w.error == 0) {
        const struct dps_mqtt_publish m = {.topic = bytes_written(&w), .payload = bytes_written(&json)};
        dps_mqtt_publish_write(&a->body, &m);
    }
}

static enum dps_refusal publish(struct dps_service *s, const struct dps_hub_session *h,
                                const struct dps_mqtt_packet *p, struct dps_answer *a)
{
    struct dps_mqtt_publish m;
    struct bytes bag;
    struct bytes request_id;
    if (dps_mqtt_publish_read(p, &m) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    struct bytes twin = m.topic;
    const bool telemetry = is_telemetry(h, m.topic, &bag);
    const bool to_twin =
        begins_with_text(&twin, "$iothub/twin/") && dps_http_query(m.topic, "$rid", &request_id) == 0;
    if (!telemetry && !to_twin) {
        return DPS_REFUSED_ROUTE;
    }
    const enum dps_refusal no = admit(s, h, a);
    if (no != DPS_ACCEPTED) {
        return no;
    }
    if (telemetry && !bag_is_right(s, bag)) {
        return DPS_REFUSED_REQUEST;
    }
    if (m.qos == 1) {
        dps_mqtt_ack_write(&a->body, DPS_MQTT_PUBACK, m.packet_id);
    }
    if (to_twin) {
        answer_twin(h, request_id, a);
    }
    return DPS_ACCEPTED;
}

/* ---- SUBSCRIBE and UNSUBSCRIBE ----------------------------------------------------------------------------------- */

static bool is_text(struct bytes text, const char *other)
{
    return bytes_equal_public(text, bytes_of_text(other));
}

static bool is_twin_answer(struct bytes filter)
{
    return is_text(filter, "$iothub/twin/res/#");
}

static bool is_devicebound(const struct dps_hub_session *h, struct bytes filter)
{
    struct bytes rest = filter;
    return begins_with_text(&rest, "devices/") && begins_with(&rest, device_of(h)) &&
           is_text(rest, "/messages/devicebound/#");
}

/* What devices subscribe to. */
static bool is_offered(const struct dps_hub_session *h, struct bytes filter)
{
    return is_devicebound(h, filter) || is_twin_answer(filter) || is_text(filter, "$iothub/methods/POST/#") ||
           is_text(filter, "$iothub/twin/PATCH/properties/desired/#");
}

/* One code for each filter, in their order [MQTT-3.8.4-5, 3.9.3-1]. */
static enum dps_refusal subscribe(struct dps_service *s, struct dps_hub_session *h,
                                  const struct dps_mqtt_packet *p, struct dps_answer *a)
{
    struct dps_mqtt_filters all;
    struct dps_mqtt_filter one;
    size_t count = 0;
    if (dps_mqtt_filters_read(p, &all) != 0 || all.count > sizeof s->draft) {
        return DPS_REFUSED_REQUEST;
    }
    const enum dps_refusal no = admit(s, h, a);
    if (no != DPS_ACCEPTED) {
        return no;
    }
    while (count < sizeof s->draft && dps_mqtt_filters_next(&all, &one)) {
        const bool offered = is_offered(h, one.filter);
        h->twin = h->twin || is_twin_answer(one.filter);
        s->draft[count++] = !offered ? DPS_MQTT_SUBSCRIPTION_FAILED : one.qos > 0;
        if (is_devicebound(h, one.filter)) {
            h->inbox.open = true;
            h->inbox.qos = one.qos > 0;
        }
    }
    dps_mqtt_suback_write(&a->body, all.packet_id, bytes_of(s->draft, count));
    return dps_inbox_send(s, &h->inbox, device_of(h), a);
}

static enum dps_refusal unsubscribe(struct dps_service *s, struct dps_hub_session *h,
                                    const struct dps_mqtt_packet *p, struct dps_answer *a)
{
    struct dps_mqtt_filters all;
    struct dps_mqtt_filter one;
    if (dps_mqtt_filters_read(p, &all) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    const enum dps_refusal no = admit(s, h, a);
    while (no == DPS_ACCEPTED && dps_mqtt_filters_next(&all, &one)) {
        h->twin = h->twin && !is_twin_answer(one.filter);
        if (is_devicebound(h, one.filter)) {
            dps_inbox_close(&h->inbox);
        }
    }
    if (no == DPS_ACCEPTED) {
        dps_mqtt_ack_write(&a->body, DPS_MQTT_UNSUBACK, all.packet_id);
    }
    return no;
}

/* ---- One packet -------------------------------------------------------------------------------------------------- */

static enum dps_refusal ping(struct dps_service *s, const struct dps_hub_session *h, struct dps_answer *a)
{
    const enum dps_refusal no = admit(s, h, a);
    if (no == DPS_ACCEPTED) {
        dps_mqtt_empty_write(&a->body, DPS_MQTT_PINGRESP);
    }
    return no;
}

static enum dps_refusal acknowledged(struct dps_service *s, struct dps_hub_session *h,
                                     const struct dps_mqtt_packet *p, struct dps_answer *a)
{
    uint16_t packet_id;
    if (dps_mqtt_ack_read(p, &packet_id) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    enum dps_refusal no = admit(s, h, a);
    if (no == DPS_ACCEPTED) {
        no = dps_inbox_acknowledged(s, &h->inbox, packet_id, a);
    }
    return no == DPS_ACCEPTED ? dps_inbox_send(s, &h->inbox, device_of(h), a) : no;
}

/* The packets of a connection that is admitted. A second CONNECT is refused [MQTT-3.1.0-2]. */
static enum dps_refusal go_on(struct dps_service *s, struct dps_hub_session *h,
                              const struct dps_mqtt_packet *p, struct dps_answer *a)
{
    switch (p->type) {
    case DPS_MQTT_PUBLISH:
        return publish(s, h, p, a);
    case DPS_MQTT_SUBSCRIBE:
        return subscribe(s, h, p, a);
    case DPS_MQTT_UNSUBSCRIBE:
        return unsubscribe(s, h, p, a);
    case DPS_MQTT_PINGREQ:
        return ping(s, h, a);
    case DPS_MQTT_PUBACK:
        return acknowledged(s, h, p, a);
    case DPS_MQTT_DISCONNECT:
        return DPS_ACCEPTED;
    default:
        return DPS_REFUSED_REQUEST;
    }
}

bool dps_hub_mqtt_answer(struct dps_service *s, struct dps_hub_session *h, const struct dps_mqtt_packet *p,
                         uint8_t *out, size_t capacity, struct dps_answer *a)
{
    dps_answer_begin(s, out, capacity, a);
    a->status = 204;
    enum dps_refusal no = h->connected ? go_on(s, h, p, a) : connect(s, h, p, a);
    if (no == DPS_ACCEPTED && a->body.error != 0) {
        no = DPS_REFUSED_INTERNAL;
    }
    if (no != DPS_ACCEPTED) {
        a->body.len = h->connected ? 0 : a->body.len; /* what a CONNECT is refused with stays */
        dps_answer_note(a, no);
    }
    return no == DPS_ACCEPTED && p->type != DPS_MQTT_DISCONNECT;
}

bool dps_hub_mqtt_deliver(struct dps_service *s, struct dps_hub_session *h, uint8_t *out, size_t capacity,
                          struct dps_answer *a)
{
    dps_answer_begin(s, out, capacity, a);
    a->status = 204;
    if (!dps_inbox_waits(s, &h->inbox)) {
        return true;
    }
    enum dps_refusal no = admit(s, h, a);
    if (no == DPS_ACCEPTED) {
        no = dps_inbox_send(s, &h->inbox, device_of(h), a);
    }
    if (no != DPS_ACCEPTED) {
        a->body.len = 0;
        dps_answer_note(a, no);
    }
    return no == DPS_ACCEPTED || (is_temporary(no) && a->messages_sent == 0);
}

void dps_hub_mqtt_unreadable(struct dps_service *s, int error, uint8_t *out, size_t capacity,
                             struct dps_answer *a)
{
    dps_answer_begin(s, out, capacity, a);
    dps_answer_note(a, error == BYTES_E_LIMIT ? DPS_REFUSED_TOO_LARGE : DPS_REFUSED_REQUEST);
}

void dps_hub_mqtt_uncommitted(struct dps_answer *a)
{
    a->body.len = 0;
    dps_answer_note(a, DPS_REFUSED_STORE);
}

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */

uint64_t dps_hub_session_rest_ms(const struct dps_service *s, const struct dps_hub_session *h)
{
    if (!h->connected) {
        return UINT64_MAX;
    }
    const uint64_t left = h->token_end > s->now ? h->token_end - s->now : 0;
    const uint64_t token_ms = left < UINT32_MAX ? left * 1000 : (uint64_t)UINT32_MAX * 1000;
    const uint64_t quiet_ms = h->keep_alive != 0 ? (uint64_t)h->keep_alive * 1500 : UINT64_MAX;
    return token_ms < quiet_ms ? token_ms : quiet_ms;
}

uint64_t dps_hub_session_name(const struct dps_hub_session *h)
{
    const uint8_t len = (uint8_t)h->hub_len;
    const struct bytes pieces[3] = {bytes_of(&len, 1), hub_of(h), device_of(h)};
    uint8_t digest[CRYPTO_SHA256_SIZE];
    crypto_sha256(pieces, 3, digest);
    struct bytes_reader r = bytes_reader_over(bytes_of(digest, sizeof digest));
    return bytes_read_u64(&r) | 1;
}

bool dps_hub_session_same(const struct dps_hub_session *a, const struct dps_hub_session *b)
{
    return a->connected && b->connected && bytes_equal_public(hub_of(a), hub_of(b)) &&
           bytes_equal_public(device_of(a), device_of(b));
}

#endif
