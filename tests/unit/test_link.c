/* SPDX-License-Identifier: MIT */
/* A link and a hub that is this file: right answers, then all kinds of wrong ones. Packets are written out as the
 * standard shows them, not made by the codec. Real hubs: tests/e2e/link_test.py. */
#include "dps/device/link.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

#define HUB "hub-a.example"
#define ID "boiler"
#define TOKEN "SharedAccessSignature sr=x"
#define LIFETIME 3600

static struct dps_device device;
static struct dps_device_config config;
static struct dps_link link;
static uint64_t now;
static uint8_t said[2 * DPS_NET_BUFFER]; /* by the link, since it was looked at last */
static size_t said_len;
static bool polite; /* the hub says nothing while the link has something to say */

/* ---- The hub ----------------------------------------------------------------------------------------------------- */

static void begin(unsigned flags)
{
    memset(&device, 0, sizeof device);
    config = (struct dps_device_config){.hub_port = 443};
    device.config = &config;
    device.now = 1800000000;
    device.expiry = device.now + LIFETIME;
    memcpy(device.assigned_hub, HUB, sizeof HUB);
    memcpy(device.device_id, ID, sizeof ID);
    memcpy(device.token, TOKEN, sizeof TOKEN - 1);
    device.token_len = sizeof TOKEN - 1;
    now = 1000;
    said_len = 0;
    polite = false;
    dps_link_begin(&link, &device, flags);
}

static enum dps_link_want want(void)
{
    return dps_link_want(&link, now);
}

/* Take what it wants to send, in pieces. Returns what it wants then. */
static enum dps_link_want hear(size_t piece)
{
    while (want() == DPS_LINK_SEND) {
        const struct bytes out = dps_link_out(&link);
        const size_t len = out.len < piece ? out.len : piece;
        if (len == 0 || len > sizeof said - said_len) {
            break;
        }
        memcpy(said + said_len, out.p, len);
        said_len += len;
        dps_link_sent(&link, len);
    }
    return want();
}

/* Since the last time, it has said this. */
static bool has_said(const void *bytes, size_t len)
{
    const bool same = said_len == len && memcmp(said, bytes, len) == 0;
    if (!same) {
        printf("# said %zu bytes:", said_len);
        for (size_t i = 0; i < said_len && i < 40; i++) {
            printf(" %02x", (unsigned)said[i]);
        }
        printf("\n");
    }
    said_len = 0;
    return same;
}
#define SAID(text) has_said(text, sizeof(text) - 1)

/* Give it bytes, at most `piece` at a time, as far as it takes them. Returns how many it has taken. */
static size_t say_bytes(const void *bytes, size_t len, size_t piece)
{
    size_t done = 0;
    while (done < len) {
        size_t room;
        uint8_t *in = dps_link_in(&link, &room);
        size_t part = len - done < piece ? len - done : piece;
        part = part < room ? part : room;
        if (part == 0) {
            break;
        }
        memcpy(in, (const uint8_t *)bytes + done, part);
        (void)dps_link_received(&link, part);
        done += part;
        const enum dps_link_want next = want();
        if (next == DPS_LINK_ARRIVED || (polite && (next == DPS_LINK_SEND || next == DPS_LINK_READY))) {
            break;
        }
    }
    return done;
}
#define SAY(text) say_bytes(text, sizeof(text) - 1, SIZE_MAX)

static const char accepted[] = "\x20\x02\x00\x00";
static const char message[] = "\x32\x2d\x00\x25"
                              "devices/boiler/messages/devicebound/a"
                              "\x00\x07on!!";
#define BYTES(array) (array), sizeof(array) - 1

/* Up to CONNACK. */
static enum dps_link_want connect_it(void)
{
    if (want() == DPS_LINK_TOKEN) {
        dps_link_token_made(&link);
    }
    if (want() == DPS_LINK_CONNECT) {
        dps_link_connected(&link);
    }
    (void)hear(SIZE_MAX);
    said_len = 0;
    (void)say_bytes(BYTES(accepted), SIZE_MAX);
    return want();
}

/* The same, with the subscription, which has identifier 1. */
static int begin_listening(unsigned flags)
{
    begin(flags | DPS_LINK_LISTENS);
    CHECK_EQUAL(connect_it(), DPS_LINK_SEND);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
    said_len = 0;
    CHECK_EQUAL(SAY("\x90\x03\x00\x01\x01"), 5);
    CHECK_EQUAL(want(), DPS_LINK_READY);
    return 0;
}

static int publish(const char *text)
{
    return dps_link_publish(&link, bytes_of(NULL, 0), bytes_of_text(text));
}

/* ---- What it says ------------------------------------------------------------------------------------------------ */

static const char hello[] =
    "\x10\x5c\x00\x04MQTT\x04\xc0\x00\xb4\x00\x06" ID "\x00\x2c" HUB "/" ID "/?api-version=2021-04-12"
    "\x00\x1a" TOKEN;

static const char telemetry[] = "\x32\x2b\x00\x1f"
                                "devices/boiler/messages/events/"
                                "\x00\x01{\"t\":21}";

static int one_message(void)
{
    uint16_t port;
    for (size_t piece = 1; piece < 120; piece++) {
        begin(0);
        CHECK_EQUAL(publish("{\"t\":21}"), 0);
        CHECK_EQUAL(publish("x"), BYTES_E_CONFLICT);
        CHECK_EQUAL(want(), DPS_LINK_TOKEN);
        dps_link_token_made(&link);
        CHECK_EQUAL(want(), DPS_LINK_CONNECT);
        CHECK(strcmp(dps_link_host(&link, &port), HUB) == 0);
        CHECK_EQUAL(port, 8883);
        dps_link_connected(&link);
        CHECK_EQUAL(hear(piece), DPS_LINK_RECEIVE);
        CHECK(has_said(BYTES(hello)));
        CHECK_EQUAL(say_bytes(BYTES(accepted), piece), 4);
        CHECK_EQUAL(hear(piece), DPS_LINK_RECEIVE);
        CHECK(has_said(BYTES(telemetry)));
        CHECK(dps_link_publishing(&link));
        CHECK_EQUAL(say_bytes("\x40\x02\x00\x01", 4, piece), 4);
        CHECK_EQUAL(want(), DPS_LINK_READY);
        CHECK(!dps_link_publishing(&link) && link.sent == 1);
        dps_link_end(&link);
        CHECK_EQUAL(hear(piece), DPS_LINK_ENDED);
        CHECK(SAID("\xe0\x00"));
    }
    return 0;
}

static int configured(void)
{
    uint16_t port;
    begin(0);
    config.hub_mqtt_port = 1884;
    config.keep_alive = 10;
    dps_link_token_made(&link);
    (void)want();
    (void)dps_link_host(&link, &port);
    CHECK_EQUAL(port, 1884);
    dps_link_connected(&link);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
    CHECK(said_len > 12 && said[10] == 0 && said[11] == 10);
    return 0;
}

/* Properties follow the topic; what does not fit is refused before it is sent, whatever DPS_NET_BUFFER is. */
static int sizes(void)
{
    static uint8_t large[DPS_NET_BUFFER];
    static const char with_properties[] = "\x32\x2e\x00\x2a"
                                          "devices/boiler/messages/events/a=b&c=d%20e"
                                          "\x00\x01";
    memset(large, 'x', sizeof large);
    begin(0);
    CHECK_EQUAL(dps_link_publish(&link, bytes_of_text("a=b&c=d%20e"), bytes_of(NULL, 0)), 0);
    CHECK_EQUAL(connect_it(), DPS_LINK_SEND);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
    CHECK(has_said(BYTES(with_properties)));
    size_t fit = 0;
    for (size_t len = 1; len <= sizeof large; len++) {
        begin(0);
        const int error = dps_link_publish(&link, bytes_of(large, len % 400), bytes_of(large, len));
        CHECK(error == 0 || error == BYTES_E_LIMIT);
        if (error == 0) {
            fit = len;
            CHECK_EQUAL(connect_it(), DPS_LINK_SEND);
            CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
            CHECK(said_len > len + len % 400 + 35);
            CHECK(said[said_len - 1] == 'x' && said[said_len - len] == 'x' && said[said_len - len - 1] == 1);
        }
    }
    CHECK(fit >= DPS_NET_BUFFER - 500);
    return 0;
}

/* '+' and '#' are wildcards in a topic, and allowed in a deviceId. */
static int names(void)
{
    begin(DPS_LINK_STAYS);
    memcpy(device.device_id, "a#b", 4);
    CHECK_EQUAL(publish("x"), 0);
    CHECK_EQUAL(connect_it(), DPS_LINK_SEND);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_FAILED);
    CHECK_EQUAL(link.error, BYTES_E_USAGE);
    return 0;
}

static int subscription(void)
{
    begin(DPS_LINK_LISTENS);
    CHECK_EQUAL(connect_it(), DPS_LINK_SEND);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
    CHECK(SAID("\x82\x2a\x00\x01\x00\x25"
               "devices/boiler/messages/devicebound/#"
               "\x01"));
    return 0;
}

/* ---- Messages for the device ------------------------------------------------------------------------------------- */

static int arrives(void)
{
    for (size_t piece = 1; piece < 60; piece++) {
        CHECK_EQUAL(begin_listening(0), 0);
        CHECK_EQUAL(say_bytes(BYTES(message), piece), sizeof message - 1);
        CHECK_EQUAL(want(), DPS_LINK_ARRIVED);
        const struct dps_mqtt_publish *m = dps_link_arrived(&link);
        CHECK(bytes_equal_public(m->topic, bytes_of_text("devices/boiler/messages/devicebound/a")));
        CHECK(bytes_equal_public(m->payload, bytes_of_text("on!!")));
        /* Nothing more is taken meanwhile. */
        size_t room;
        (void)dps_link_in(&link, &room);
        CHECK_EQUAL(room, 0);
        dps_link_take(&link);
        CHECK_EQUAL(hear(piece), DPS_LINK_READY);
        CHECK(SAID("\x40\x02\x00\x07"));
        CHECK(dps_link_arrived(&link)->payload.len == 0);
        dps_link_take(&link); /* there is none */
        CHECK_EQUAL(want(), DPS_LINK_READY);
    }
    return 0;
}

/* As many as there is room for are acknowledged, in their order. QoS 0 needs no room. */
static int many(void)
{
    uint8_t one[sizeof message - 1];
    memcpy(one, message, sizeof one);
    CHECK_EQUAL(begin_listening(0), 0);
    for (uint8_t i = 1; i <= DPS_LINK_ACKS_MAX + 1; i++) {
        one[42] = i;
        CHECK_EQUAL(say_bytes(one, sizeof one, SIZE_MAX), sizeof one);
        CHECK_EQUAL(want(), i <= DPS_LINK_ACKS_MAX ? DPS_LINK_ARRIVED : DPS_LINK_SEND);
        dps_link_take(&link);
    }
    CHECK_EQUAL(SAY("\x30\x29\x00\x25"
                    "devices/boiler/messages/devicebound/aon"),
                43);
    CHECK_EQUAL(want(), DPS_LINK_ARRIVED);
    dps_link_take(&link);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_READY);
    CHECK_EQUAL(said_len, 4 * DPS_LINK_ACKS_MAX);
    for (uint8_t i = 0; i < DPS_LINK_ACKS_MAX; i++) {
        CHECK(said[4 * i] == 0x40 && said[4 * i + 3] == i + 1);
    }
    CHECK_EQUAL(link.received, DPS_LINK_ACKS_MAX + 1);
    return 0;
}

/* Whoever has not subscribed, in this connection or an earlier one, leaves them to the hub. */
static int deaf(void)
{
    begin(0);
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    CHECK_EQUAL(say_bytes(BYTES(message), 7), sizeof message - 1);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_READY);
    CHECK(said_len == 0 && link.received == 0);
    return 0;
}

/* A message that does not fit is passed over, and what follows it is read. */
static int too_long(void)
{
    static uint8_t large[3 * DPS_NET_BUFFER];
    const uint32_t lengths[] = {DPS_NET_BUFFER - 2, DPS_NET_BUFFER, DPS_NET_BUFFER + 1,
                                3 * DPS_NET_BUFFER - 3};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const uint32_t length = lengths[i];
        CHECK_EQUAL(begin_listening(DPS_LINK_STAYS), 0);
        memset(large, 'x', sizeof large);
        large[0] = 0x32;
        large[1] = (uint8_t)(0x80 | length % 128);
        large[2] = (uint8_t)(length / 128);
        if (length >= 128 * 128) {
            continue;
        }
        memcpy(large + 3, "\x00\x01t\x00\x09", 5);
        CHECK_EQUAL(say_bytes(large, length + 3, 1000), length + 3);
        const bool fits = length + 3 <= DPS_NET_BUFFER;
        CHECK_EQUAL(link.too_long, fits ? 0U : 1U);
        CHECK_EQUAL(want(), fits ? DPS_LINK_ARRIVED : DPS_LINK_READY);
        dps_link_take(&link);
        CHECK_EQUAL(say_bytes(BYTES(message), 1), sizeof message - 1);
        CHECK_EQUAL(want(), DPS_LINK_ARRIVED);
    }
    return 0;
}

/* ---- Wrong answers ----------------------------------------------------------------------------------------------- */

static int refusals(void)
{
    static const struct {
        const char *answer;
        int error;
        bool passes;
    } cases[] = {
        {"\x20\x02\x00\x01", BYTES_E_REFUSED, false}, {"\x20\x02\x00\x02", BYTES_E_REFUSED, false},
        {"\x20\x02\x00\x03", BYTES_E_REFUSED, true},  {"\x20\x02\x00\x04", BYTES_E_REFUSED, false},
        {"\x20\x02\x00\x05", BYTES_E_REFUSED, false}, {"\x20\x02\x00\x06", BYTES_E_FORMAT, false},
        {"\x20\x02\x00\xff", BYTES_E_FORMAT, false},  {"\x20\x02\x01\x05", BYTES_E_FORMAT, false},
        {"\x20\x02\x02\x00", BYTES_E_FORMAT, false},  {"\x21\x02\x00\x00", BYTES_E_FORMAT, false},
        {"\x20\x03\x00\x00", BYTES_E_FORMAT, false},  {"HTTP", BYTES_E_FORMAT, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned flags = 0; flags <= DPS_LINK_STAYS; flags += DPS_LINK_STAYS) {
            begin(flags);
            dps_link_token_made(&link);
            (void)want();
            dps_link_connected(&link);
            CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
            (void)say_bytes(cases[i].answer, 4, 1);
            CHECK_EQUAL(link.error, cases[i].error);
            CHECK_EQUAL(want(), flags != 0 && cases[i].passes ? DPS_LINK_WAIT : DPS_LINK_FAILED);
            if (cases[i].error == BYTES_E_REFUSED) {
                CHECK_EQUAL(link.code, (uint8_t)cases[i].answer[3]);
            } else {
                CHECK_EQUAL(link.fault, DPS_LINK_FAULT_MALFORMED);
            }
        }
    }
    return 0;
}

/* Each packet that a hub may send, and some that it may not, in each situation. */
static int unexpected(void)
{
    static const struct {
        const char *packet;
        size_t len;
        uint8_t type;
    } packets[] = {
        {"\x20\x02\x00\x00", 4, DPS_MQTT_CONNACK},
        {"\x40\x02\x00\x01", 4, DPS_MQTT_PUBACK},
        {"\x90\x03\x00\x01\x01", 5, DPS_MQTT_SUBACK},
        {"\xb0\x02\x00\x01", 4, DPS_MQTT_UNSUBACK},
        {"\xd0\x00", 2, DPS_MQTT_PINGRESP},
        {"\x32\x05\x00\x01t\x00\x01", 7, DPS_MQTT_PUBLISH},
        {"\x34\x05\x00\x01t\x00\x01", 7, DPS_MQTT_PUBLISH},
        {"\x50\x02\x00\x01", 4, 5},
        {"\xc0\x00", 2, DPS_MQTT_PINGREQ},
        {"\xe0\x00", 2, DPS_MQTT_DISCONNECT},
        {"\x10\x00", 2, DPS_MQTT_CONNECT},
        {"\x00\x00", 2, 0},
        {"\xf0\x00", 2, 15},
    };
    enum { HELLO_SENT, SUBSCRIBED, PUBLISHED, PINGED, IDLE, SITUATIONS };
    static const uint8_t welcome[SITUATIONS] = {DPS_MQTT_CONNACK, DPS_MQTT_SUBACK, DPS_MQTT_PUBACK,
                                                DPS_MQTT_PINGRESP, DPS_MQTT_PUBLISH};
    for (unsigned situation = 0; situation < SITUATIONS; situation++) {
        for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
            begin(situation == SUBSCRIBED ? DPS_LINK_LISTENS : 0);
            if (situation == HELLO_SENT) {
                dps_link_token_made(&link);
                (void)want();
                dps_link_connected(&link);
            } else {
                (void)connect_it();
            }
            if (situation == PUBLISHED) {
                CHECK_EQUAL(publish("x"), 0);
            }
            now += situation == PINGED ? 135000 : 0;
            (void)hear(SIZE_MAX);
            (void)say_bytes(packets[i].packet, packets[i].len, SIZE_MAX);
            const bool qos_2 = i == 6 || i == 7;
            const bool fits = packets[i].type == welcome[situation] ||
                              (packets[i].type == DPS_MQTT_PUBLISH && situation != HELLO_SENT);
            if (fits && !qos_2) {
                CHECK_EQUAL(link.error, 0);
            } else {
                CHECK_EQUAL(want(), DPS_LINK_FAILED);
                CHECK_EQUAL(link.error, qos_2 ? BYTES_E_ALGORITHM : BYTES_E_FORMAT);
                CHECK_EQUAL(link.got, packets[i].type);
                CHECK(link.sent == 0 && link.received == 0);
            }
        }
    }
    return 0;
}

static int other_identifiers(void)
{
    begin(0);
    CHECK_EQUAL(publish("x"), 0);
    (void)connect_it();
    (void)hear(SIZE_MAX);
    (void)SAY("\x40\x02\x00\x02");
    CHECK_EQUAL(want(), DPS_LINK_FAILED);
    CHECK_EQUAL(link.fault, DPS_LINK_FAULT_OTHER_ID);
    CHECK_EQUAL(link.got, DPS_MQTT_PUBACK);
    CHECK(link.sent == 0 && dps_link_publishing(&link));
    begin(DPS_LINK_LISTENS);
    (void)connect_it();
    (void)hear(SIZE_MAX);
    (void)SAY("\x90\x03\x00\x02\x01");
    CHECK_EQUAL(link.fault, DPS_LINK_FAULT_OTHER_ID);
    /* Two codes for one filter; and a subscription that is refused, with an identifier that is right. */
    begin(DPS_LINK_LISTENS);
    (void)connect_it();
    (void)hear(SIZE_MAX);
    (void)SAY("\x90\x04\x00\x01\x01\x01");
    CHECK_EQUAL(link.fault, DPS_LINK_FAULT_MALFORMED);
    begin(DPS_LINK_LISTENS | DPS_LINK_STAYS);
    (void)connect_it();
    (void)hear(SIZE_MAX);
    (void)SAY("\x90\x03\x00\x01\x80");
    CHECK_EQUAL(want(), DPS_LINK_FAILED);
    CHECK_EQUAL(link.error, BYTES_E_REFUSED);
    CHECK_EQUAL(link.code, 128);
    return 0;
}

/* All that a hub says in one connection, with a message on its way. */
static const char whole[] =
    "\x20\x02\x01\x00\x90\x03\x00\x01\x01\x32\x05\x00\x01t\x00\x09\x40\x02\x00\x02\xd0\x00";

/* Drive it along these bytes until they, or the connection, are over. */
static void listen_to(const uint8_t *bytes, size_t len, size_t piece)
{
    size_t done = 0;
    begin(DPS_LINK_LISTENS);
    polite = true;
    (void)publish("x");
    (void)want();
    dps_link_token_made(&link);
    (void)want();
    dps_link_connected(&link);
    for (unsigned turns = 0; turns < 200; turns++) {
        said_len = 0;
        switch (hear(SIZE_MAX)) {
        case DPS_LINK_ARRIVED:
            dps_link_take(&link);
            break;
        case DPS_LINK_READY: /* the message was acknowledged */
            if (link.ping_state == 0) {
                now += 135000;
                break;
            }
            /* fall through */
        case DPS_LINK_RECEIVE:
            if (done == len) {
                return;
            }
            done += say_bytes(bytes + done, len - done, piece);
            break;
        default:
            return;
        }
    }
}

static int cut(void)
{
    const uint8_t *bytes = (const uint8_t *)whole;
    for (size_t piece = 1; piece < sizeof whole; piece++) {
        listen_to(bytes, sizeof whole - 1, piece);
        CHECK_EQUAL(link.error, 0);
        CHECK(link.sent == 1 && link.received == 1);
    }
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        listen_to(bytes, len, SIZE_MAX);
        CHECK_EQUAL(link.error, 0);
        (void)dps_link_received(&link, 0);
        CHECK_EQUAL(link.error, BYTES_E_STREAM);
        CHECK_EQUAL(want(), DPS_LINK_FAILED);
        CHECK_EQUAL(link.sent, len >= 20 ? 1U : 0U);
    }
    return 0;
}

/* Each byte, each value: whatever the hub says, a message counts as sent only if its own PUBACK has come. */
static int changed(void)
{
    uint8_t bytes[sizeof whole - 1];
    unsigned refused = 0;
    for (size_t at = 0; at < sizeof bytes; at++) {
        for (unsigned value = 0; value < 256; value++) {
            memcpy(bytes, whole, sizeof bytes);
            bytes[at] = (uint8_t)value;
            listen_to(bytes, sizeof bytes, SIZE_MAX);
            CHECK(link.sent <= 1 && link.received <= 3);
            CHECK(link.sent == 0 || !dps_link_publishing(&link));
            if (at >= 16 && at < 20 && bytes[at] != (uint8_t)whole[at]) {
                CHECK_EQUAL(link.sent, 0);
            }
            refused += link.error != 0;
        }
    }
    printf("# %u of %zu changes were refused\n", refused, 256 * sizeof bytes);
    CHECK(refused > 2000);
    return 0;
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

static int no_answer(void)
{
    for (unsigned what = 0; what < 4; what++) {
        begin(what == 1 ? DPS_LINK_LISTENS : 0);
        if (what == 0) {
            dps_link_token_made(&link);
            (void)want();
            dps_link_connected(&link);
        } else {
            (void)connect_it();
        }
        if (what == 2) {
            CHECK_EQUAL(publish("x"), 0);
        }
        now += what == 3 ? 135000 : 0;
        (void)hear(SIZE_MAX);
        CHECK_EQUAL(dps_link_rest_ms(&link), 30000);
        /* A packet that drips does not help. */
        now += 29999;
        CHECK(want() != DPS_LINK_FAILED);
        (void)SAY("\x40");
        CHECK_EQUAL(want(), DPS_LINK_RECEIVE);
        now++;
        CHECK_EQUAL(want(), DPS_LINK_FAILED);
        CHECK_EQUAL(link.error, BYTES_E_TIMEOUT);
    }
    /* Nothing is owed, but a message does not end. */
    CHECK_EQUAL(begin_listening(0), 0);
    (void)say_bytes(message, 20, SIZE_MAX);
    now += 30000;
    CHECK_EQUAL(want(), DPS_LINK_FAILED);
    return 0;
}

static int signs_of_life(void)
{
    CHECK_EQUAL(begin_listening(0), 0);
    CHECK_EQUAL(dps_link_rest_ms(&link), 135000);
    now += 134999;
    CHECK_EQUAL(want(), DPS_LINK_READY);
    now++;
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_READY);
    CHECK(SAID("\xc0\x00"));
    now += 29999;
    CHECK_EQUAL(SAY("\xd0\x00"), 2);
    CHECK_EQUAL(want(), DPS_LINK_READY);
    /* What is sent meanwhile is a sign of life, too. */
    CHECK_EQUAL(publish("x"), 0);
    (void)hear(SIZE_MAX);
    (void)SAY("\x40\x02\x00\x02");
    said_len = 0;
    now += 134999;
    CHECK_EQUAL(want(), DPS_LINK_READY);
    /* An application that takes long to look at a message does not make the hub late. */
    CHECK_EQUAL(publish("y"), 0);
    (void)hear(SIZE_MAX);
    (void)say_bytes(BYTES(message), SIZE_MAX);
    now += 100000;
    CHECK_EQUAL(want(), DPS_LINK_ARRIVED);
    dps_link_take(&link);
    (void)hear(SIZE_MAX);
    (void)SAY("\x40\x02\x00\x03");
    CHECK_EQUAL(want(), DPS_LINK_READY);
    return 0;
}

/* A token is renewed when five sixths of its life are over, between two messages. */
static int renewal(void)
{
    begin(DPS_LINK_STAYS);
    config.keep_alive = UINT16_MAX;
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    CHECK_EQUAL(dps_link_rest_ms(&link), LIFETIME * 1000 / 6 * 5);
    now += LIFETIME * 1000 / 6 * 5 - 1;
    CHECK_EQUAL(publish("x"), 0);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
    now++;
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
    said_len = 0;
    (void)SAY("\x40\x02\x00\x01");
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_TOKEN);
    CHECK(SAID("\xe0\x00"));
    CHECK_EQUAL(link.error, 0);
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    /* One that was asked to end meanwhile ends. */
    now += LIFETIME * 1000;
    dps_link_end(&link);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_ENDED);
    return 0;
}

/* A hub that has gone is asked again, less and less often; a token that has grown old meanwhile is renewed first. */
static int comes_back(void)
{
    begin(DPS_LINK_STAYS);
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    (void)dps_link_received(&link, 0);
    uint64_t before = 0;
    for (unsigned i = 0; i < 300; i++) {
        CHECK_EQUAL(want(), DPS_LINK_WAIT);
        const uint64_t wait_ms = dps_link_rest_ms(&link);
        const uint64_t least = (uint64_t)1000 << (i < 8 ? i : 8);
        CHECK(wait_ms >= least && wait_ms <= least * 3 / 2);
        CHECK(i > 8 || wait_ms > before);
        before = wait_ms;
        now += wait_ms - 1;
        CHECK_EQUAL(want(), DPS_LINK_WAIT);
        now++;
        if (want() == DPS_LINK_TOKEN) {
            dps_link_token_made(&link);
        }
        CHECK_EQUAL(want(), DPS_LINK_CONNECT);
        dps_link_fail(&link, BYTES_E_STREAM);
        CHECK_EQUAL(link.error, BYTES_E_STREAM);
    }
    now += LIFETIME * 1000;
    CHECK_EQUAL(want(), DPS_LINK_TOKEN);
    dps_link_fail(&link, BYTES_E_TIMEOUT); /* no token either, for want of a network */
    CHECK_EQUAL(want(), DPS_LINK_WAIT);
    now += 400000;
    CHECK_EQUAL(want(), DPS_LINK_TOKEN);
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    CHECK_EQUAL(link.error, 0);
    /* Accepting a connection is not enough for beginning anew, an answer is. */
    (void)dps_link_received(&link, 0);
    CHECK(want() == DPS_LINK_WAIT && dps_link_rest_ms(&link) >= 256000);
    now += 400000;
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    CHECK_EQUAL(publish("x"), 0);
    (void)hear(SIZE_MAX);
    (void)SAY("\x40\x02\x00\x01");
    (void)dps_link_received(&link, 0);
    CHECK(want() == DPS_LINK_WAIT && dps_link_rest_ms(&link) <= 1500);
    /* A hub that was one once may be behind something that is none, for a while. */
    now += 400000;
    (void)want();
    dps_link_connected(&link);
    (void)hear(SIZE_MAX);
    (void)SAY("HTTP");
    CHECK_EQUAL(want(), DPS_LINK_WAIT);
    now += 400000;
    (void)want();
    dps_link_fail(&link, BYTES_E_TPM_TRANSPORT);
    CHECK_EQUAL(want(), DPS_LINK_FAILED);
    return 0;
}

/* A message that was not acknowledged goes out again, with its identifier; it is called a repetition only if the hub
 * remembers the session. */
static int again(void)
{
    for (uint8_t session = 0; session < 2; session++) {
        begin(DPS_LINK_STAYS);
        CHECK_EQUAL(publish("{\"t\":21}"), 0);
        (void)connect_it();
        CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
        CHECK(has_said(BYTES(telemetry)));
        (void)dps_link_received(&link, 0);
        now += 10000;
        CHECK_EQUAL(want(), DPS_LINK_CONNECT);
        dps_link_connected(&link);
        (void)hear(SIZE_MAX);
        said_len = 0;
        const uint8_t connack[4] = {0x20, 2, session, 0};
        (void)say_bytes(connack, 4, 4);
        CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
        CHECK_EQUAL(said[0], session ? 0x3A : 0x32);
        said[0] = 0x32;
        CHECK(has_said(BYTES(telemetry)));
        (void)SAY("\x40\x02\x00\x01");
        CHECK_EQUAL(want(), DPS_LINK_READY);
        /* The next one is another one. */
        CHECK_EQUAL(publish("x"), 0);
        CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
        CHECK(said[0] == 0x32 && said[said_len - 2] == 2);
    }
    return 0;
}

/* A token that is refused is replaced once, if it was good before. */
static int refused_token(void)
{
    begin(DPS_LINK_STAYS);
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    (void)dps_link_received(&link, 0);
    now += 10000;
    CHECK_EQUAL(want(), DPS_LINK_CONNECT);
    dps_link_connected(&link);
    (void)hear(SIZE_MAX);
    (void)SAY("\x20\x02\x00\x05");
    CHECK_EQUAL(want(), DPS_LINK_TOKEN);
    CHECK_EQUAL(link.error, BYTES_E_REFUSED);
    dps_link_token_made(&link);
    CHECK_EQUAL(want(), DPS_LINK_CONNECT);
    dps_link_connected(&link);
    (void)hear(SIZE_MAX);
    (void)SAY("\x20\x02\x00\x05");
    CHECK_EQUAL(want(), DPS_LINK_FAILED);
    CHECK(link.error == BYTES_E_REFUSED && link.code == 5);
    return 0;
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

static int ends(void)
{
    /* At every moment: without a token, waiting, connecting, before the answer to CONNECT. */
    for (unsigned i = 0; i < 4; i++) {
        begin(DPS_LINK_STAYS);
        if (i > 0) {
            dps_link_token_made(&link);
            (void)want();
        }
        if (i == 1) {
            dps_link_fail(&link, BYTES_E_STREAM);
        } else if (i == 3) {
            dps_link_connected(&link);
            (void)hear(SIZE_MAX);
        }
        dps_link_end(&link);
        CHECK_EQUAL(want(), DPS_LINK_ENDED);
        dps_link_fail(&link, BYTES_E_STREAM);
        CHECK_EQUAL(want(), DPS_LINK_ENDED);
    }
    /* What was taken is acknowledged first; a message whose answer is owed is given up; what arrives is left. */
    CHECK_EQUAL(begin_listening(0), 0);
    CHECK_EQUAL(publish("x"), 0);
    (void)hear(SIZE_MAX);
    said_len = 0;
    (void)say_bytes(BYTES(message), SIZE_MAX);
    dps_link_take(&link);
    dps_link_end(&link);
    CHECK_EQUAL(say_bytes(BYTES(message), SIZE_MAX), sizeof message - 1);
    CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_ENDED);
    CHECK(SAID("\x40\x02\x00\x07\xe0\x00"));
    CHECK_EQUAL(link.received, 1);
    return 0;
}

/* A hub that never pauses between two packets leaves no room for DISCONNECT: after a while there is none. */
static int ended_in_a_flood(void)
{
    CHECK_EQUAL(begin_listening(DPS_LINK_STAYS), 0);
    CHECK_EQUAL(SAY("\x30"), 1);
    dps_link_end(&link);
    for (unsigned i = 0; i < 40 && want() == DPS_LINK_RECEIVE; i++) {
        now += 1000;
        (void)SAY("\x04\x00\x01t.\x30");
    }
    CHECK_EQUAL(want(), DPS_LINK_WAIT);
    CHECK_EQUAL(link.error, BYTES_E_TIMEOUT);
    dps_link_end(&link);
    CHECK_EQUAL(want(), DPS_LINK_ENDED);
    return 0;
}

/* Nor for a message, if every packet ends inside the next one. */
static int starved(void)
{
    begin(DPS_LINK_STAYS);
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    CHECK_EQUAL(publish("x"), 0);
    CHECK_EQUAL(SAY("\x30"), 1);
    for (unsigned i = 0; i < 40 && want() != DPS_LINK_WAIT; i++) {
        now += 1000;
        (void)SAY("\x04\x00\x01t.\x30");
        dps_link_take(&link);
    }
    CHECK_EQUAL(want(), DPS_LINK_WAIT);
    CHECK_EQUAL(link.error, BYTES_E_TIMEOUT);
    return 0;
}

/* A hub that takes subscriptions and hangs up is asked less and less often, too. */
static int hangs_up(void)
{
    uint64_t before = 0;
    CHECK_EQUAL(begin_listening(DPS_LINK_STAYS), 0);
    for (unsigned i = 0; i < 8; i++) {
        (void)dps_link_received(&link, 0);
        CHECK_EQUAL(want(), DPS_LINK_WAIT);
        CHECK(dps_link_rest_ms(&link) > before);
        before = dps_link_rest_ms(&link);
        now += before;
        (void)connect_it();
        (void)hear(SIZE_MAX);
        said_len = 0;
        const uint8_t taken[] = {0x90, 3, 0, (uint8_t)(i + 2), 1};
        (void)say_bytes(taken, sizeof taken, SIZE_MAX);
    }
    return 0;
}

/* Wrong use by the driver changes nothing. */
static int misuse(void)
{
    size_t room;
    begin(0);
    CHECK_EQUAL(dps_link_out(&link).len, 0);
    (void)dps_link_in(&link, &room);
    CHECK_EQUAL(room, 0);
    dps_link_connected(&link);
    dps_link_sent(&link, 5);
    CHECK_EQUAL(want(), DPS_LINK_TOKEN);
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    dps_link_token_made(&link);
    dps_link_connected(&link);
    CHECK_EQUAL(dps_link_received(&link, 3), 0);
    dps_link_sent(&link, 1);
    CHECK_EQUAL(want(), DPS_LINK_READY);
    return 0;
}

/* Identifiers go round without 0, and without the one of a message that is on its way. */
static int identifiers(void)
{
    begin(0);
    CHECK_EQUAL(connect_it(), DPS_LINK_READY);
    for (uint32_t i = 1; i < 70000; i++) {
        const uint16_t id = (uint16_t)(i < 65536 ? i : i - 65535);
        const uint8_t puback[4] = {0x40, 2, (uint8_t)(id >> 8), (uint8_t)id};
        CHECK_EQUAL(publish("x"), 0);
        said_len = 0;
        CHECK_EQUAL(hear(SIZE_MAX), DPS_LINK_RECEIVE);
        CHECK(memcmp(said + said_len - 3, puback + 2, 2) == 0);
        (void)say_bytes(puback, 4, 4);
        CHECK_EQUAL(want(), DPS_LINK_READY);
    }
    return 0;
}

static const struct test tests[] = {
    {"one message, in pieces of every size", one_message},
    {"port and keep alive", configured},
    {"properties, and what fits the buffer", sizes},
    {"a deviceId that MQTT has no topic for", names},
    {"the subscription", subscription},
    {"a message arrives and is acknowledged", arrives},
    {"many messages at once", many},
    {"messages that nobody has asked for", deaf},
    {"a message that does not fit is passed over", too_long},
    {"every code of a CONNACK, and no CONNACK", refusals},
    {"each packet in each situation", unexpected},
    {"other identifiers, a refused subscription", other_identifiers},
    {"cut in every place", cut},
    {"every byte changed", changed},
    {"no answer in time", no_answer},
    {"signs of life", signs_of_life},
    {"a token is renewed before it expires", renewal},
    {"a hub that comes back, with bounds", comes_back},
    {"a message is sent again", again},
    {"a token that is refused", refused_token},
    {"the end", ends},
    {"the end, while the hub never falls silent", ended_in_a_flood},
    {"a message, while the hub never falls silent", starved},
    {"a hub that hangs up", hangs_up},
    {"wrong use", misuse},
    {"packet identifiers", identifiers},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
