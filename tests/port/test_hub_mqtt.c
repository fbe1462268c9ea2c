/* SPDX-License-Identifier: MIT */
/* dps/service/hub_mqtt.h: a device that has registered with a real TPM, and the hub, packet by packet. */
#include "dps/device/device.h"
#include "dps/protocol/mqtt_connect.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/hub_mqtt.h"
#include "dps/service/request.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

static struct flow f;
static struct dps_hub_session session;
static uint8_t packet[2048], out[2048];
static struct bytes_writer w; /* into packet */
static struct dps_answer answer;
static char user_name[400];
static uint8_t token[DPS_TOKEN_MAX];
static size_t token_len;

/* A registered device with its token, and no connection yet. */
static int begin(const char *name)
{
    CHECK_EQUAL(flow_open(&f, name, true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    const struct bytes made = dps_device_token_text(&f.device);
    token_len = made.len;
    memcpy(token, made.p, made.len);
    snprintf(user_name, sizeof user_name, "%s/device-1/?api-version=2021-04-12&DeviceClientType=x%%2F1",
             f.device.assigned_hub);
    memset(&session, 0, sizeof session);
    w = bytes_writer_over(packet, sizeof packet);
    return 0;
}

/* Give the hub what is in packet. Returns: whether the connection stays. */
static bool say(void)
{
    struct dps_mqtt_packet p;
    const struct bytes all = bytes_written(&w);
    w = bytes_writer_over(packet, sizeof packet);
    return dps_mqtt_packet_read(all, DPS_MQTT_SERVER, sizeof packet, &p) == 0 && p.len == all.len &&
           dps_hub_mqtt_answer(&f.service, &session, &p, out, sizeof out, &answer);
}

static bool answer_is(const void *bytes, size_t len)
{
    return answer.body.error == 0 && bytes_equal_public(bytes_written(&answer.body), bytes_of(bytes, len));
}

static struct dps_mqtt_connect right(void)
{
    const struct dps_mqtt_connect c = {.client_id = bytes_of_text("device-1"),
                                       .user_name = bytes_of_text(user_name),
                                       .password = bytes_of(token, token_len),
                                       .keep_alive = 180,
                                       .has_user_name = true,
                                       .has_password = true};
    return c;
}

/* Returns: the code of the CONNACK, 255 if there is none. */
static uint8_t connect_with(const struct dps_mqtt_connect *c)
{
    memset(&session, 0, sizeof session);
    dps_mqtt_connect_write(&w, c);
    const bool stays = say();
    const struct bytes got = bytes_written(&answer.body);
    const bool connack = got.len == 4 && got.p[0] == 0x20 && got.p[1] == 2 && got.p[2] == 0;
    return connack && stays == (got.p[3] == 0) && stays == session.connected ? got.p[3] : 255;
}

static uint8_t connect_now(void)
{
    const struct dps_mqtt_connect c = right();
    return connect_with(&c);
}

static bool publish(const char *topic, uint8_t qos)
{
    const struct dps_mqtt_publish m = {.topic = bytes_of_text(topic),
                                       .payload = bytes_of_text("21"),
                                       .qos = qos,
                                       .packet_id = qos > 0 ? 7 : 0};
    dps_mqtt_publish_write(&w, &m);
    return say();
}

static bool ping(void)
{
    dps_mqtt_empty_write(&w, DPS_MQTT_PINGREQ);
    return say();
}

/* ---- What is accepted -------------------------------------------------------------------------------------------- */

static int s10_a_session(void)
{
    CHECK_EQUAL(begin("mqtt-session"), 0);
    CHECK_EQUAL(connect_now(), 0);
    CHECK(answer.refusal == DPS_ACCEPTED && answer.status == 204);
    CHECK_EQUAL(answer.registration_id, "device-1");
    CHECK(publish("devices/device-1/messages/events/", 1) && answer_is("\x40\2\0\7", 4));
    CHECK(publish("devices/device-1/messages/events", 1) && answer_is("\x40\2\0\7", 4));
    /* As Microsoft's Node package sends its properties. */
    CHECK(publish("devices/device-1/messages/events/%24.mid=mid-1&%24.cid=cid-1&%24.ct=application%2Fjson&"
                  "%24.ce=utf-8&alert=yes%20%26%20no",
                  1));
    CHECK(answer_is("\x40\2\0\7", 4) && !answer.wrote);
    CHECK(publish("devices/device-1/messages/events/name&other=", 0) && answer_is("", 0));
    CHECK(ping() && answer_is("\xd0\0", 2));
    dps_mqtt_ack_write(&w, DPS_MQTT_PUBACK, 9);
    CHECK(say() && answer_is("", 0));
    dps_mqtt_empty_write(&w, DPS_MQTT_DISCONNECT);
    CHECK(!say() && answer_is("", 0) && answer.refusal == DPS_ACCEPTED);
    flow_close(&f);
    return 0;
}

/* Microsoft's Node package says goodbye after its first message, and comes back with the same token to listen. */
static int s10_as_node_does(void)
{
    const struct dps_mqtt_filter methods = {bytes_of_text("$iothub/methods/POST/#"), 0};
    CHECK_EQUAL(begin("mqtt-node"), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(connect_now(), 0);
        CHECK(publish("devices/device-1/messages/events/", 1) && answer_is("\x40\2\0\7", 4));
        dps_mqtt_filters_write(&w, DPS_MQTT_SUBSCRIBE, 1, &methods, 1);
        CHECK(say() && answer_is("\x90\3\0\1\0", 5));
        dps_mqtt_empty_write(&w, DPS_MQTT_DISCONNECT);
        CHECK(!say() && answer_is("", 0));
    }
    flow_close(&f);
    return 0;
}

/* Four bytes or none, and then what Microsoft's packages need: the status in the topic and an errorCode in the text. */
static bool answer_is_no_twin(const char *before, const char *id)
{
    char text[256];
    uint8_t packet_bytes[300];
    const size_t first = before[0] != 0 ? 4 : 0;
    const int topic = snprintf(text, sizeof text, "$iothub/twin/res/501/?$rid=%s", id);
    const int len =
        topic + snprintf(text + topic, sizeof text - (size_t)topic,
                         "{\"errorCode\":501001,\"trackingId\":\"%.36s\",\"message\":\"This hub keeps no "
                         "twins.\"}",
                         (const char *)answer.tracking_id);
    struct bytes_writer expected = bytes_writer_over(packet_bytes, sizeof packet_bytes);
    bytes_write_bytes(&expected, bytes_of(before, first));
    bytes_write_u8(&expected, 0x30);
    bytes_write_u8(&expected, (uint8_t)(0x80 | (len + 2) % 0x80));
    bytes_write_u8(&expected, (uint8_t)((len + 2) / 0x80));
    bytes_write_u16(&expected, (uint16_t)topic);
    bytes_write_bytes(&expected, bytes_of(text, (size_t)len));
    return answer_is(packet_bytes, expected.len);
}

/* One code for each filter, in their order [MQTT-3.8.4-5, 3.9.3-1]. */
static int s10_subscriptions(void)
{
    static const char *const filters[] = {"devices/device-1/messages/devicebound/#",
                                          "$iothub/methods/POST/#",
                                          "$iothub/twin/res/#",
                                          "$iothub/twin/PATCH/properties/desired/#",
                                          "devices/device-2/messages/devicebound/#",
                                          "devices/device-1/messages/events/#",
                                          "#"};
    struct dps_mqtt_filter list[7];
    CHECK_EQUAL(begin("mqtt-subscribe"), 0);
    CHECK_EQUAL(connect_now(), 0);
    /* Nobody listens to the answer yet. */
    CHECK(publish("$iothub/twin/GET/?$rid=1", 0) && answer_is("", 0));
    for (uint8_t i = 0; i < 7; i++) {
        list[i] = (struct dps_mqtt_filter){bytes_of_text(filters[i]), i % 3};
    }
    dps_mqtt_filters_write(&w, DPS_MQTT_SUBSCRIBE, 258, list, 7);
    CHECK(say() && answer_is("\x90\x09\1\2\0\1\1\0\x80\x80\x80", 11));
    CHECK(publish("$iothub/twin/GET/?$rid=0a-b", 0));
    CHECK(answer_is_no_twin("", "0a-b"));
    CHECK(publish("$iothub/twin/PATCH/properties/reported/?$rid=1&$version=2", 1));
    CHECK(answer_is_no_twin("\x40\2\0\7", "1"));
    dps_mqtt_filters_write(&w, DPS_MQTT_UNSUBSCRIBE, 259, list, 7);
    CHECK(say() && answer_is("\xb0\2\1\3", 4));
    CHECK(publish("$iothub/twin/GET/?$rid=2", 0) && answer_is("", 0));
    flow_close(&f);
    return 0;
}

/* ---- Who is refused ---------------------------------------------------------------------------------------------- */

static int s10_connect_refused(void)
{
    char other[400];
    CHECK_EQUAL(begin("mqtt-refused"), 0);
    struct dps_mqtt_connect c = right();
    c.client_id = bytes_of_text("device-2");
    CHECK_EQUAL(connect_with(&c), 5);
    CHECK(answer.refusal == DPS_REFUSED_HUB_TOKEN && answer.status == 401 && answer.error_code == 401001);
    c = right();
    c.has_password = false;
    CHECK_EQUAL(connect_with(&c), 5);
    c.has_user_name = false;
    CHECK_EQUAL(connect_with(&c), 5);

    static const char *const names[] = {"", "/", "/device-1", "hub-z.example/device-1"};
    static const char *const after_hub[] = {"", "/", "/device-2", "//device-1", "device-1"};
    for (size_t i = 0; i < 4; i++) {
        c = right();
        c.user_name = bytes_of_text(names[i]);
        CHECK_EQUAL(connect_with(&c), 5);
    }
    for (size_t i = 0; i < 5; i++) {
        snprintf(other, sizeof other, "%s%s", f.device.assigned_hub, after_hub[i]);
        c = right();
        c.user_name = bytes_of_text(other);
        CHECK_EQUAL(connect_with(&c), 5);
    }
    /* The shortest form of the name that is accepted. */
    snprintf(other, sizeof other, "%s/device-1", f.device.assigned_hub);
    c.user_name = bytes_of_text(other);
    CHECK_EQUAL(connect_with(&c), 0);

    /* Each byte of the token counts, and so does its length. */
    for (size_t i = 0; i < token_len; i += 7) {
        token[i] ^= 4;
        CHECK_EQUAL(connect_now(), 5);
        token[i] ^= 4;
    }
    c = right();
    c.password.len--;
    CHECK_EQUAL(connect_with(&c), 5);
    c.password = bytes_of(NULL, DPS_HUB_TOKEN_MAX + 1);
    CHECK_EQUAL(connect_with(&c), 5);
    CHECK_EQUAL(connect_now(), 0);
    flow_close(&f);
    return 0;
}

static int s10_order(void)
{
    CHECK_EQUAL(begin("mqtt-order"), 0);
    /* Not CONNECT [MQTT-3.1.0-1]. */
    CHECK(!ping() && answer_is("", 0) && answer.refusal == DPS_REFUSED_REQUEST);
    CHECK(!publish("devices/device-1/messages/events/", 1) && answer_is("", 0));
    dps_mqtt_empty_write(&w, DPS_MQTT_DISCONNECT);
    CHECK(!say() && answer_is("", 0));
    /* Twice [MQTT-3.1.0-2]. */
    CHECK_EQUAL(connect_now(), 0);
    const struct dps_mqtt_connect c = right();
    dps_mqtt_connect_write(&w, &c);
    CHECK(!say() && answer_is("", 0) && answer.refusal == DPS_REFUSED_REQUEST);
    /* Another version, a client without a name, and a flag that is reserved [MQTT-3.1.4-1]. */
    memset(&session, 0, sizeof session);
    bytes_write_bytes(&w, bytes_of("\x10\x0c\0\4MQTT\5\2\0\x0a\0\0", 14));
    CHECK(!say() && answer_is("\x20\2\0\1", 4));
    bytes_write_bytes(&w, bytes_of("\x10\x0c\0\4MQTT\4\0\0\x0a\0\0", 14));
    CHECK(!say() && answer_is("\x20\2\0\2", 4));
    bytes_write_bytes(&w, bytes_of("\x10\x0c\0\4MQTT\4\1\0\x0a\0\0", 14));
    CHECK(!say() && answer_is("", 0));
    flow_close(&f);
    return 0;
}

static int s10_other_topics(void)
{
    static const char *const topics[] = {"devices/device-2/messages/events/",
                                         "devices/device-1/messages/eventsx",
                                         "devices/device-1/messages/devicebound/",
                                         "devices/device-12/messages/events/",
                                         "devices/device-1",
                                         "/devices/device-1/messages/events/",
                                         "$iothub/methods/res/200/?$rid=1",
                                         "$iothub/twin/GET/",
                                         "a"};
    static const char *const bags[] = {"=value", "a=%", "a=%4", "a=%zz", "a&&b", "%00=a", "a=b&=c"};
    char topic[128];
    CHECK_EQUAL(begin("mqtt-topics"), 0);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        CHECK_EQUAL(connect_now(), 0);
        CHECK(!publish(topics[i], 1) && answer_is("", 0) && answer.refusal == DPS_REFUSED_ROUTE);
    }
    for (size_t i = 0; i < sizeof bags / sizeof bags[0]; i++) {
        snprintf(topic, sizeof topic, "devices/device-1/messages/events/%s", bags[i]);
        CHECK_EQUAL(connect_now(), 0);
        CHECK(!publish(topic, 1) && answer_is("", 0) && answer.refusal == DPS_REFUSED_REQUEST);
    }
    flow_close(&f);
    return 0;
}

/* ---- What happens meanwhile -------------------------------------------------------------------------------------- */

static int s10_disabled_meanwhile(void)
{
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    CHECK_EQUAL(begin("mqtt-disabled"), 0);
    const size_t ek_len = f.device.ek_len;
    memcpy(ek, f.device.ek, ek_len);
    CHECK_EQUAL(connect_now(), 0);
    CHECK(flow_enroll(&f, "device-1", bytes_of(ek, ek_len), ",\"provisioningStatus\":\"disabled\"") == 0);
    CHECK(!publish("devices/device-1/messages/events/", 1) && answer_is("", 0));
    CHECK_EQUAL(answer.refusal, DPS_REFUSED_HUB_TOKEN);
    CHECK(!ping() && answer_is("", 0));
    const struct dps_mqtt_filter one = {bytes_of_text("$iothub/twin/res/#"), 0};
    dps_mqtt_filters_write(&w, DPS_MQTT_SUBSCRIBE, 1, &one, 1);
    CHECK(!say() && answer_is("", 0));
    dps_mqtt_filters_write(&w, DPS_MQTT_UNSUBSCRIBE, 1, &one, 1);
    CHECK(!say() && answer_is("", 0));
    CHECK_EQUAL(connect_now(), 5);
    CHECK(flow_enroll(&f, "device-1", bytes_of(ek, ek_len), "") == 0);
    CHECK_EQUAL(connect_now(), 0);
    /* It registers again: it has a new key, and the old token is worth nothing. */
    CHECK(ping());
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK(!ping() && answer.refusal == DPS_REFUSED_HUB_TOKEN);
    flow_close(&f);
    return 0;
}

/* And the keep alive [MQTT-3.1.2-24]. */
static int s10_token_expires(void)
{
    struct dps_sas sas;
    CHECK_EQUAL(begin("mqtt-expires"), 0);
    CHECK_EQUAL(dps_hub_session_rest_ms(&f.service, &session), UINT64_MAX);
    CHECK_EQUAL(dps_sas_parse(bytes_of(token, token_len), &sas), 0);
    struct dps_mqtt_connect c = right();
    CHECK_EQUAL(connect_with(&c), 0);
    CHECK_EQUAL(dps_hub_session_rest_ms(&f.service, &session), 270000);
    c.keep_alive = 0;
    CHECK_EQUAL(connect_with(&c), 0);
    /* HTTPS would take it to the last second of the skew; so does the session. */
    CHECK_EQUAL(dps_hub_session_rest_ms(&f.service, &session),
                (sas.expiry + DPS_CLOCK_SKEW + 1 - f.service.now) * 1000);
    f.service.now = sas.expiry + DPS_CLOCK_SKEW;
    CHECK_EQUAL(dps_hub_session_rest_ms(&f.service, &session), 1000);
    CHECK(ping());
    f.service.now++;
    CHECK_EQUAL(dps_hub_session_rest_ms(&f.service, &session), 0);
    CHECK(!ping() && answer.refusal == DPS_REFUSED_TOKEN_EXPIRED && answer_is("", 0));
    CHECK_EQUAL(connect_with(&c), 5);
    f.service.now += 1000000;
    CHECK_EQUAL(dps_hub_session_rest_ms(&f.service, &session), UINT64_MAX);
    flow_close(&f);
    return 0;
}

static int s10_rationed(void)
{
    CHECK_EQUAL(begin("mqtt-rationed"), 0);
    f.service_config.challenges_per_minute = 1; /* twenty requests to the hub */
    CHECK_EQUAL(connect_now(), 0);
    for (int i = 0; i < 19; i++) {
        CHECK(i % 2 == 0 ? ping() : publish("devices/device-1/messages/events/", 1));
    }
    CHECK(!publish("devices/device-1/messages/events/", 1));
    CHECK(answer.refusal == DPS_REFUSED_RATE && answer.status == 429 && answer_is("", 0));
    CHECK_EQUAL(connect_now(), 3);
    f.service.now += 3;
    CHECK_EQUAL(connect_now(), 0);
    flow_close(&f);
    return 0;
}

static int store_is_gone(void *context, enum dps_table table, struct bytes key, uint8_t *value,
                         size_t capacity, size_t *len, uint64_t *version)
{
    (void)context, (void)table, (void)key, (void)value, (void)capacity, (void)len, (void)version;
    return BYTES_E_STORE;
}

static int s10_store_fails(void)
{
    CHECK_EQUAL(begin("mqtt-store"), 0);
    CHECK_EQUAL(connect_now(), 0);
    CHECK(publish("devices/device-1/messages/events/", 1) && answer_is("\x40\2\0\7", 4));
    /* The commit fails: no acknowledgement goes out. */
    dps_hub_mqtt_uncommitted(&answer);
    CHECK(answer.refusal == DPS_REFUSED_STORE && answer_is("", 0));
    f.service.store.get = store_is_gone;
    CHECK(!publish("devices/device-1/messages/events/", 1) && answer_is("", 0));
    CHECK(answer.refusal == DPS_REFUSED_STORE && answer.status == 503);
    CHECK_EQUAL(connect_now(), 3);
    flow_close(&f);
    return 0;
}

static int unreadable(void)
{
    CHECK_EQUAL(begin("mqtt-unreadable"), 0);
    dps_hub_mqtt_unreadable(&f.service, BYTES_E_LIMIT, out, sizeof out, &answer);
    CHECK(answer.refusal == DPS_REFUSED_TOO_LARGE && answer_is("", 0));
    dps_hub_mqtt_unreadable(&f.service, BYTES_E_ALGORITHM, out, sizeof out, &answer);
    CHECK(answer.refusal == DPS_REFUSED_REQUEST && answer_is("", 0));
    /* No room for an answer: that is our fault, and is not half sent. */
    CHECK_EQUAL(connect_now(), 0);
    struct dps_mqtt_packet p;
    CHECK_EQUAL(dps_mqtt_packet_read(bytes_of("\xc0\0", 2), DPS_MQTT_SERVER, 10, &p), 0);
    CHECK(!dps_hub_mqtt_answer(&f.service, &session, &p, out, 1, &answer));
    CHECK(answer.refusal == DPS_REFUSED_INTERNAL && bytes_written(&answer.body).len == 0);
    flow_close(&f);
    return 0;
}

/* [MQTT-3.1.4-2] */
static int one_session_for_each_device(void)
{
    struct dps_hub_session other;
    CHECK_EQUAL(begin("mqtt-same"), 0);
    CHECK_EQUAL(connect_now(), 0);
    other = session;
    CHECK(dps_hub_session_same(&session, &other));
    CHECK_EQUAL(dps_hub_session_name(&session), dps_hub_session_name(&other));
    /* A host name has no case. */
    user_name[0] = 'H';
    CHECK_EQUAL(connect_now(), 0);
    CHECK(dps_hub_session_same(&session, &other));
    CHECK_EQUAL(dps_hub_session_name(&session), dps_hub_session_name(&other));
    /* A deviceId has. */
    other.device_id[0] = 'D';
    CHECK(!dps_hub_session_same(&session, &other));
    CHECK(dps_hub_session_name(&session) != dps_hub_session_name(&other));
    other = session;
    other.connected = false;
    CHECK(!dps_hub_session_same(&session, &other) && !dps_hub_session_same(&other, &session));
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s10 telemetry, ping, disconnect", s10_a_session},
        {"s10 as Microsoft's Node package does", s10_as_node_does},
        {"s10 subscriptions, and the twin that is not there", s10_subscriptions},
        {"s10 who may not connect", s10_connect_refused},
        {"s10 packets in the wrong order", s10_order},
        {"s10 topics and property bags that are refused", s10_other_topics},
        {"s10 disabled, or registered again, meanwhile", s10_disabled_meanwhile},
        {"s10 the token expires meanwhile", s10_token_expires},
        {"s10 packets are rationed", s10_rationed},
        {"s10 the store fails", s10_store_fails},
        {"bytes that are no packet", unreadable},
        {"one session for each device", one_session_for_each_device},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
