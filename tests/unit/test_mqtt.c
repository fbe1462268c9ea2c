/* SPDX-License-Identifier: MIT */
/* dps/protocol/mqtt.h and mqtt_connect.h: what others have made is read and written as they wrote it; whatever breaks a
 * rule is refused. Origin: tests/vectors/mqtt.c, and the examples and rules of the standard (MQTT 3.1.1, OASIS, 2014),
 * by whose numbers the rows below go. */
#include "dps/protocol/mqtt.h"
#include "dps/protocol/mqtt_connect.h"
#include "dps/protocol/text.h"
#include "tests/support/mqtt_again.h"
#include "tests/unit/test.h"
#include "tests/vectors/mqtt.h"
#include <stdio.h>
#include <string.h>

#define SERVER DPS_MQTT_SERVER
#define CLIENT DPS_MQTT_CLIENT
#define FORMAT BYTES_E_FORMAT
#define NO_QOS_2 BYTES_E_ALGORITHM
#define MORE BYTES_E_MORE

static bool span_is(struct bytes s, const char *text)
{
    return bytes_equal_public(s, bytes_of_text(text));
}

/* The bytes of hexadecimal text, in buffer. */
static struct bytes unhex(const char *hex, uint8_t *buffer, size_t capacity)
{
    size_t len;
    const int error = dps_hex_decode(bytes_of_text(hex), buffer, capacity, &len);
    return bytes_of(buffer, error == 0 ? len : 0);
}

/* What reading a packet gives in the end, its body included. */
static int read_whole(struct bytes input, enum dps_mqtt_role role, size_t maximum)
{
    uint8_t again[2048];
    struct bytes_writer w = bytes_writer_over(again, sizeof again);
    struct dps_mqtt_packet p;
    const int error = dps_mqtt_packet_read(input, role, maximum, &p);
    return error != 0 ? error : mqtt_again(&p, &w);
}

static int read_hex(const char *hex, enum dps_mqtt_role role)
{
    uint8_t buffer[1024];
    return read_whole(unhex(hex, buffer, sizeof buffer), role, sizeof buffer);
}

/* ---- What others have made ---- */

/* Each is what it should be, for the one who gets it and nobody else, and is written again as it was. */
static int test_vectors(void)
{
    for (size_t i = 0; i < VECTOR_MQTT_COUNT; i++) {
        const struct vector_mqtt *v = &vector_mqtt[i];
        uint8_t buffer[512];
        const struct bytes bytes = unhex(v->hex, buffer, sizeof buffer);
        struct dps_mqtt_packet p;
        CHECK_EQUAL(dps_mqtt_packet_read(bytes, v->role, bytes.len, &p), 0);
        CHECK_EQUAL(p.type, v->type);
        CHECK_EQUAL(p.len, bytes.len);
        CHECK_EQUAL(read_whole(bytes, v->role, bytes.len), 0);
        CHECK(mqtt_again_is_same(bytes, v->role));
        const bool both = v->type == DPS_MQTT_PUBLISH || v->type == DPS_MQTT_PUBACK;
        CHECK_EQUAL(read_whole(bytes, v->role == SERVER ? CLIENT : SERVER, bytes.len), both ? 0 : FORMAT);
    }
    return 0;
}

/* Cut anywhere, more is wanted, and how much is known as soon as it can be; what follows is left alone. A body that is
 * cut is refused, or it is another packet: one with a shorter payload, or fewer filters or codes. */
static int test_cut(void)
{
    for (size_t i = 0; i < VECTOR_MQTT_COUNT; i++) {
        const struct vector_mqtt *v = &vector_mqtt[i];
        uint8_t buffer[512];
        const struct bytes bytes = unhex(v->hex, buffer, sizeof buffer);
        const size_t header = bytes.len >= 130 ? 3 : 2;
        struct dps_mqtt_packet p;
        for (size_t len = 0; len < bytes.len; len++) {
            CHECK_EQUAL(dps_mqtt_packet_read(bytes_of(buffer, len), v->role, bytes.len, &p), MORE);
            CHECK_EQUAL(p.len, len >= header ? bytes.len : 0);
            CHECK_EQUAL(p.body.len, 0);
        }
        buffer[bytes.len] = 0xE0;
        CHECK_EQUAL(dps_mqtt_packet_read(bytes_of(buffer, bytes.len + 1), v->role, bytes.len, &p), 0);
        CHECK_EQUAL(p.len, bytes.len);
        CHECK_EQUAL(dps_mqtt_packet_read(bytes, v->role, bytes.len - 1, &p), BYTES_E_LIMIT);
        for (size_t len = header; len < bytes.len; len++) {
            if (header == 3 && len < 131) {
                continue;
            }
            buffer[1] = header == 2 ? (uint8_t)(len - header) : (uint8_t)((len - header) % 128 + 128);
            buffer[2] = header == 2 ? buffer[2] : (uint8_t)((len - header) / 128);
            CHECK(mqtt_again_is_same(bytes_of(buffer, len), v->role));
        }
    }
    return 0;
}

/* One bit changed: refused, more is wanted, or it is another packet, and is written as such. */
static int test_flipped(void)
{
    for (size_t i = 0; i < VECTOR_MQTT_COUNT; i++) {
        const struct vector_mqtt *v = &vector_mqtt[i];
        uint8_t buffer[512];
        const struct bytes bytes = unhex(v->hex, buffer, sizeof buffer);
        for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
            buffer[bit / 8] ^= (uint8_t)(1U << bit % 8);
            CHECK(mqtt_again_is_same(bytes, v->role));
            buffer[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
    return 0;
}

/* ---- The fields ---- */

static int test_connect_fields(void)
{
    uint8_t buffer[512];
    struct dps_mqtt_packet p;
    struct dps_mqtt_connect c;
    CHECK_EQUAL(dps_mqtt_packet_read(unhex(vector_mqtt[0].hex, buffer, sizeof buffer), SERVER, 512, &p), 0);
    CHECK_EQUAL(dps_mqtt_connect_read(&p, &c), 0);
    CHECK(span_is(c.client_id, "device-1") && span_is(c.will_topic, "devices/device-1/will"));
    CHECK(bytes_equal_public(c.will_message, bytes_of("gone\0", 5)));
    CHECK(span_is(c.user_name, "hub.example/device-1/?api-version=2021-04-12"));
    CHECK(span_is(c.password, "SharedAccessSignature sr=hub.example%2Fdevices%2Fdevice-1&sig=AAAA&se=1"));
    CHECK(c.keep_alive == 180 && !c.clean_session && c.refused == 0);
    CHECK(c.has_will && c.will_qos == 1 && c.will_retain && c.has_user_name && c.has_password);

    /* The standard's example of flags and keep alive (3.1.2); and the same without its last byte. */
    const char *hex = "101900044d51545404ce000a000141000177000178000175000170";
    CHECK_EQUAL(dps_mqtt_packet_read(unhex(hex, buffer, sizeof buffer), SERVER, 512, &p), 0);
    CHECK_EQUAL(dps_mqtt_connect_read(&p, &c), 0);
    CHECK(c.clean_session && c.has_will && c.will_qos == 1 && !c.will_retain && c.keep_alive == 10);
    CHECK(span_is(c.client_id, "A") && span_is(c.will_topic, "w") && span_is(c.will_message, "x"));
    CHECK(c.has_user_name && span_is(c.user_name, "u") && c.has_password && span_is(c.password, "p"));
    p.body.len--;
    CHECK_EQUAL(dps_mqtt_connect_read(&p, &c), FORMAT);
    CHECK(c.client_id.len == 0 && c.user_name.len == 0 && !c.has_will && c.keep_alive == 0 && c.refused == 0);
    return 0;
}

static int test_other_fields(void)
{
    uint8_t buffer[512];
    struct dps_mqtt_packet p;
    struct dps_mqtt_publish m;
    struct dps_mqtt_filters all;
    struct dps_mqtt_filter one;
    bool present;
    uint8_t code;
    uint16_t id;
    struct bytes codes;
    /* The standard's example of PUBLISH (3.3.2), with a payload. */
    CHECK_EQUAL(dps_mqtt_packet_read(unhex("3b090003612f62000a6869", buffer, 512), SERVER, 512, &p), 0);
    CHECK_EQUAL(dps_mqtt_publish_read(&p, &m), 0);
    CHECK(span_is(m.topic, "a/b") && span_is(m.payload, "hi") && m.packet_id == 10);
    CHECK(m.qos == 1 && m.dup && m.retain);
    CHECK_EQUAL(dps_mqtt_packet_read(unhex("30050003612f62", buffer, 512), SERVER, 512, &p), 0);
    CHECK_EQUAL(dps_mqtt_publish_read(&p, &m), 0);
    CHECK(m.payload.len == 0 && m.packet_id == 0 && m.qos == 0 && !m.dup && !m.retain);

    CHECK_EQUAL(dps_mqtt_packet_read(unhex("820e000a0003612f62010003632f6402", buffer, 512), SERVER, 512, &p),
                0);
    CHECK_EQUAL(dps_mqtt_filters_read(&p, &all), 0);
    CHECK(all.packet_id == 10 && all.count == 2 && all.with_qos);
    CHECK(dps_mqtt_filters_next(&all, &one) && span_is(one.filter, "a/b") && one.qos == 1);
    CHECK(dps_mqtt_filters_next(&all, &one) && span_is(one.filter, "c/d") && one.qos == 2);
    CHECK(!dps_mqtt_filters_next(&all, &one) && one.filter.len == 0);
    CHECK_EQUAL(dps_mqtt_packet_read(unhex("a20c000a0003612f620003632f64", buffer, 512), SERVER, 512, &p), 0);
    CHECK_EQUAL(dps_mqtt_filters_read(&p, &all), 0);
    CHECK(all.count == 2 && !all.with_qos);
    CHECK(dps_mqtt_filters_next(&all, &one) && span_is(one.filter, "a/b") && one.qos == 0);

    CHECK_EQUAL(dps_mqtt_packet_read(unhex("9005000a000280", buffer, 512), CLIENT, 512, &p), 0);
    CHECK_EQUAL(dps_mqtt_suback_read(&p, &id, &codes), 0);
    CHECK(id == 10 && bytes_equal_public(codes, bytes_of("\0\2\x80", 3)));
    CHECK_EQUAL(dps_mqtt_packet_read(unhex("20020100", buffer, 512), CLIENT, 512, &p), 0);
    CHECK(dps_mqtt_connack_read(&p, &present, &code) == 0 && present && code == 0);
    CHECK_EQUAL(dps_mqtt_packet_read(unhex("20020005", buffer, 512), CLIENT, 512, &p), 0);
    CHECK(dps_mqtt_connack_read(&p, &present, &code) == 0 && !present && code == 5);
    CHECK_EQUAL(dps_mqtt_packet_read(unhex("4002abcd", buffer, 512), CLIENT, 512, &p), 0);
    CHECK(dps_mqtt_ack_read(&p, &id) == 0 && id == 0xABCD);
    return 0;
}

/* ---- The fixed header ---- */

/* The first byte alone. Which flags a type may have (2.2.2), for the server and for the client. */
static int test_first_byte(void)
{
    static const char *const allowed[16][2] = {
        {"", ""},   {"0", ""}, {"", "0"}, {"01239ab", "01239ab"},
        {"0", "0"}, {"", ""},  {"", ""},  {"", ""},
        {"2", ""},  {"", "0"}, {"2", ""}, {"", "0"},
        {"0", ""},  {"", "0"}, {"0", ""}, {"", ""},
    };
    /* PUBLISH with QoS 2, PUBREC, PUBREL, PUBCOMP. */
    static const uint8_t qos_2[] = {0x34, 0x35, 0x3C, 0x3D, 0x50, 0x62, 0x70};
    for (unsigned first = 0; first < 256; first++) {
        for (int role = 0; role < 2; role++) {
            const uint8_t byte = (uint8_t)first;
            struct dps_mqtt_packet p;
            int wanted = strchr(allowed[first >> 4][role], "0123456789abcdef"[first & 15]) ? MORE : FORMAT;
            wanted = memchr(qos_2, (int)first, sizeof qos_2) != NULL ? NO_QOS_2 : wanted;
            /* "01239ab": flags 2 and 3 are QoS 1, a and b the same sent again; 1 is retained, 9 would be QoS 0 again */
            wanted = first == 0x39 ? FORMAT : wanted;
            CHECK_EQUAL(dps_mqtt_packet_read(bytes_of(&byte, 1), role == 0 ? SERVER : CLIENT, 100, &p),
                        wanted);
            CHECK_EQUAL(p.len, 0);
        }
    }
    return 0;
}

static int read_length(const char *hex, size_t maximum, size_t *len)
{
    uint8_t buffer[8];
    struct dps_mqtt_packet p;
    const int error = dps_mqtt_packet_read(unhex(hex, buffer, sizeof buffer), SERVER, maximum, &p);
    *len = p.len;
    return error;
}

/* Table 2.4 of the standard: the least and the greatest length of each number of bytes. */
static int test_length(void)
{
    static const struct {
        const char *hex;
        size_t len;
    } table[] = {
        {"3001", 3},         {"307f", 129},         {"308001", 131},         {"30ff7f", 16386},
        {"30808001", 16388}, {"30ffff7f", 2097155}, {"3080808001", 2097157}, {"30ffffff7f", 268435460}};
    static const char *const wrong[] = {"308000",     "30808000", "3080808000",
                                        "3080808080", "30ff00",   "30ffffffff"};
    size_t len;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        CHECK_EQUAL(read_length(table[i].hex, table[i].len, &len), MORE);
        CHECK_EQUAL(len, table[i].len);
        CHECK_EQUAL(read_length(table[i].hex, table[i].len - 1, &len), BYTES_E_LIMIT);
        CHECK_EQUAL(len, 0);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK_EQUAL(read_length(wrong[i], SIZE_MAX, &len), FORMAT);
    }
    /* Less room than the header needs: no more is asked for than fits. */
    CHECK_EQUAL(read_length("", 0, &len), BYTES_E_LIMIT);
    CHECK_EQUAL(read_length("30", 1, &len), BYTES_E_LIMIT);
    CHECK_EQUAL(read_length("3080", 2, &len), BYTES_E_LIMIT);
    CHECK_EQUAL(read_length("3080", 3, &len), MORE);
    CHECK_EQUAL(read_length("c000", 1, &len), BYTES_E_LIMIT);
    return 0;
}

/* ---- The rules ---- */

#define CONNECT(len, flags) "10" len "00044d51545404" flags "003c"
static const struct rule {
    const char *number;
    enum dps_mqtt_role role;
    const char *hex;
    int result;
} rules[] = {
    {"1.5.3-1 cut", SERVER, CONNECT("0d", "02") "0001c3", FORMAT},
    {"1.5.3-1 overlong", SERVER, CONNECT("0e", "02") "0002c080", FORMAT},
    {"1.5.3-1 surrogate", SERVER, CONNECT("0f", "02") "0003eda080", FORMAT},
    {"1.5.3-1 too great", SERVER, CONNECT("10", "02") "0004f4908080", FORMAT},
    {"1.5.3-1, its example A U+2A6D4", SERVER, CONNECT("11", "02") "000541f0aa9b94", 0},
    {"1.5.3-2", SERVER, CONNECT("0f", "02") "0003610062", FORMAT},
    {"1.5.3-3", SERVER, CONNECT("0f", "02") "0003efbbbf", 0},
    {"2.3.1-1 PUBLISH", SERVER, "32070003612f620000", FORMAT},
    {"2.3.1-1 PUBLISH without", SERVER, "32050003612f62", FORMAT},
    {"2.3.1-1 SUBSCRIBE", SERVER, "820800000003612f6201", FORMAT},
    {"2.3.1-1 UNSUBSCRIBE", SERVER, "a20700000003612f62", FORMAT},
    {"2.3.1-5", SERVER, "30070003612f620000", 0}, /* that is a payload of two bytes */
    {"2.3.1-6 PUBACK", SERVER, "40020000", FORMAT},
    {"2.3.1-7 SUBACK", CLIENT, "9003000001", FORMAT},
    {"2.3.1-7 UNSUBACK", CLIENT, "b0020000", FORMAT},
    {"3.1.2-1 MQTt", SERVER,
     "100d00044d51547404"
     "02003c000161",
     FORMAT},
    {"3.1.2-1 MQT", SERVER,
     "100c00034d515404"
     "02003c000161",
     FORMAT},
    {"3.1.2-1, as mosquitto_pub -V 31", SERVER, "101300064d51497364700302003c00057075622d33", FORMAT},
    {"3.1.2-2 level 3", SERVER,
     "100d00044d515454"
     "0302003c000161",
     BYTES_E_ALGORITHM},
    {"3.1.2-2, as mosquitto_pub -V 5", SERVER, "101500044d5154540502003c0321001400057075622d35",
     BYTES_E_ALGORITHM},
    {"3.1.2-2, a bridge of mosquitto", SERVER,
     "100d00044d515454"
     "8402003c000161",
     BYTES_E_ALGORITHM},
    {"3.1.2-3", SERVER, CONNECT("0d", "03") "000161", FORMAT},
    {"3.1.2-11 QoS", SERVER, CONNECT("0d", "0a") "000161", FORMAT},
    {"3.1.2-11 retain", SERVER, CONNECT("0d", "22") "000161", FORMAT},
    {"3.1.2-11 topic", SERVER, CONNECT("13", "02") "000161000177000178", FORMAT},
    {"3.1.2-13", SERVER, CONNECT("0d", "12") "000161", FORMAT},
    {"3.1.2-14", SERVER, CONNECT("13", "1e") "000161000177000178", FORMAT},
    {"3.1.2-14, QoS 2", SERVER, CONNECT("13", "16") "000161000177000178", 0},
    {"3.1.2-15", SERVER, CONNECT("0d", "32") "000161", FORMAT},
    {"3.1.2-18", SERVER, CONNECT("10", "02") "000161000175", FORMAT},
    {"3.1.2-19", SERVER, CONNECT("0d", "82") "000161", FORMAT},
    {"3.1.2-20", SERVER, CONNECT("13", "82") "000161000175000170", FORMAT},
    {"3.1.2-21", SERVER, CONNECT("10", "c2") "000161000175", FORMAT},
    {"3.1.2-22", SERVER, CONNECT("10", "42") "000161000170", FORMAT},
    {"3.1.3-1 nothing", SERVER, CONNECT("0a", "02"), FORMAT},
    {"3.1.3-1 more", SERVER, CONNECT("0e", "02") "00016100", FORMAT},
    {"3.1.3-4", SERVER, CONNECT("0d", "02") "0001ff", FORMAT},
    {"3.1.3-6", SERVER, CONNECT("0c", "02") "0000", 0},
    {"3.1.3-8", SERVER, CONNECT("0c", "00") "0000", BYTES_E_ALGORITHM},
    {"3.1.3-8, but malformed", SERVER, CONNECT("0d", "00") "000000", FORMAT},
    {"3.1.3-10", SERVER, CONNECT("13", "06") "0001610001ff000178", FORMAT},
    {"3.1.3-3", SERVER, CONNECT("0b", "02") "00", FORMAT},
    {"3.1.3-7", SERVER, CONNECT("0c", "00") "0000", BYTES_E_ALGORITHM},
    {"4.7.1-1", SERVER, "300300012b", FORMAT},
    {"4.7.1-2", SERVER,
     "a207000100036123"
     "2f",
     FORMAT},
    {"4.7.1-3", SERVER,
     "a2060001000261"
     "2b",
     FORMAT},
    {"2.2.2-1", SERVER, "8000", FORMAT},
    {"2.2.2-2", CLIENT, "d100", FORMAT},
    {"3.8.1-1", SERVER,
     "80060001000161"
     "00",
     FORMAT},
    {"3.10.1-1", SERVER, "a0050001000161", FORMAT},
    {"3.1.3-11", SERVER, CONNECT("10", "82") "0001610001ff", FORMAT},
    {"3.1.3, a password is any bytes", SERVER,
     CONNECT("14", "c2") "000161000175"
                         "0002ff00",
     0},
    {"3.2.2, flags are reserved", CLIENT, "20020200", FORMAT},
    {"3.2.2, codes are reserved", CLIENT, "20020006", FORMAT},
    {"3.2.2-4", CLIENT, "20020105", FORMAT},
    {"3.2 short", CLIENT, "200100", FORMAT},
    {"3.2 long", CLIENT, "2003000000", FORMAT},
    {"3.3.1-2", SERVER, "38050003612f62", FORMAT},
    {"3.3.1-4", SERVER, "36070003612f620001", FORMAT},
    {"3.3.2-1 UTF-8", SERVER, "30030001ff", FORMAT},
    {"3.3.2-1 nothing", SERVER, "3000", FORMAT},
    {"3.3.2-2 +", SERVER, "30050003612f2b", FORMAT},
    {"3.3.2-2 #", CLIENT, "30050003612f23", FORMAT},
    {"3.3.2-2 in a will", SERVER, CONNECT("13", "06") "000161000123000178", FORMAT},
    {"3.4 short", SERVER, "400100", FORMAT},
    {"3.4 long", SERVER, "4003000100", FORMAT},
    {"3.8.3-1", SERVER, "820600010001ff01", FORMAT},
    {"3.8.3-3", SERVER, "82020001", FORMAT},
    {"3.8.3-3 not even an identifier", SERVER, "8200", FORMAT},
    {"3-8.3-4 QoS 3", SERVER,
     "82060001000161"
     "03",
     FORMAT},
    {"3-8.3-4 bit 2", SERVER,
     "82060001000161"
     "04",
     FORMAT},
    {"3-8.3-4 bit 7", SERVER,
     "82060001000161"
     "80",
     FORMAT},
    {"3.8.3 without QoS", SERVER, "82050001000161", FORMAT},
    {"3.8.3, the second one is wrong", SERVER,
     "820a0001000161"
     "00"
     "000161"
     "03",
     FORMAT},
    {"3.9.3-2 3", CLIENT, "9003000103", FORMAT},
    {"3.9.3-2 81", CLIENT, "900400010081", FORMAT},
    {"3.9.3 no code", CLIENT, "90020001", FORMAT},
    {"3.10.3-1", SERVER, "a20500010001ff", FORMAT},
    {"3.10.3-2", SERVER, "a2020001", FORMAT},
    {"3.11 long", CLIENT, "b003000100", FORMAT},
    {"3.12 long", SERVER, "c00100", FORMAT},
    {"3.13 long", CLIENT, "d00100", FORMAT},
    {"3.14.1-1", SERVER, "e10100", FORMAT},
    {"3.14 long", SERVER, "e00100", FORMAT},
    {"4.7.3-1 name", SERVER, "30020000", FORMAT},
    {"4.7.3-1 filter", SERVER,
     "82050001"
     "000000",
     FORMAT},
    {"4.7.3-1 filter to end", SERVER, "a20400010000", FORMAT},
    {"4.7.3-1 will", SERVER, CONNECT("12", "06") "0001610000000178", FORMAT},
};

static int test_rules(void)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const int result = read_hex(rules[i].hex, rules[i].role);
        if (result != rules[i].result) {
            printf("# [MQTT-%s]\n", rules[i].number);
        }
        CHECK_EQUAL(result, rules[i].result);
    }
    return 0;
}

/* [MQTT-4.7.1-2, 4.7.1-3] */
static int test_filters(void)
{
    static const char *const right[] = {"#",    "/#",  "a/#",   "+",      "+/+",   "/+",  "+/",   "/",
                                        "a//b", "+/#", "a/+/b", "$SYS/#", "+/a/#", "a b", "a/b/c"};
    static const char *const wrong[] = {"",   "##",   "a#",     "#/", "#/a", "a/#/b", "a/#b", "a+",
                                        "+a", "a/+b", "a/b+/c", "++", "+#",  "#+",    "a/++"};
    for (size_t i = 0; i < 15; i++) {
        uint8_t buffer[64];
        struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
        struct dps_mqtt_filter filter = {bytes_of_text(right[i]), 1};
        dps_mqtt_filters_write(&w, DPS_MQTT_SUBSCRIBE, 1, &filter, 1);
        CHECK_EQUAL(w.error, 0);
        CHECK_EQUAL(read_whole(bytes_written(&w), SERVER, sizeof buffer), 0);
        filter.filter = bytes_of_text(wrong[i]);
        dps_mqtt_filters_write(&w, DPS_MQTT_UNSUBSCRIBE, 1, &filter, 1);
        CHECK_EQUAL(w.error, FORMAT);
        /* The same, written by hand. */
        w = bytes_writer_over(buffer, sizeof buffer);
        bytes_write_u8(&w, 0xA2);
        bytes_write_u8(&w, (uint8_t)(4 + strlen(wrong[i])));
        bytes_write_u16(&w, 1);
        bytes_write_2b(&w, bytes_of_text(wrong[i]));
        CHECK_EQUAL(read_whole(bytes_written(&w), SERVER, sizeof buffer), FORMAT);
    }
    return 0;
}

/* What a refused CONNECT is to be answered. */
static int test_refused(void)
{
    uint8_t buffer[64];
    struct dps_mqtt_packet p;
    struct dps_mqtt_connect c;
    CHECK_EQUAL(dps_mqtt_packet_read(unhex("100d00044d5154540502003c000161", buffer, 64), SERVER, 64, &p), 0);
    CHECK_EQUAL(dps_mqtt_connect_read(&p, &c), BYTES_E_ALGORITHM);
    CHECK_EQUAL(c.refused, 1);
    CHECK_EQUAL(dps_mqtt_packet_read(unhex(CONNECT("0f", "80") "0000000175", buffer, 64), SERVER, 64, &p), 0);
    CHECK_EQUAL(dps_mqtt_connect_read(&p, &c), BYTES_E_ALGORITHM);
    CHECK_EQUAL(c.refused, 2);
    CHECK(c.user_name.len == 0 && !c.has_user_name && c.keep_alive == 0);
    return 0;
}

/* ---- Writing ---- */

static int connect_error(const struct dps_mqtt_connect *c)
{
    static uint8_t buffer[70000];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    dps_mqtt_connect_write(&w, c);
    return w.error;
}

/* A writer makes nothing that the reader would refuse. */
static int test_write_connect(void)
{
    static const uint8_t much[65536];
    const struct dps_mqtt_connect good = {.client_id = bytes_of_text("a"), .keep_alive = 10};
    struct dps_mqtt_connect c = good;
    CHECK_EQUAL(connect_error(&c), 0);
    c.client_id.len = 0;
    CHECK_EQUAL(connect_error(&c), FORMAT);
    c.clean_session = true;
    CHECK_EQUAL(connect_error(&c), 0);
    c.has_password = true;
    CHECK_EQUAL(connect_error(&c), FORMAT);
    c.has_user_name = true;
    CHECK_EQUAL(connect_error(&c), 0);
    c.password = bytes_of(much, 65535);
    CHECK_EQUAL(connect_error(&c), 0);
    c.password = bytes_of(much, 65536);
    CHECK_EQUAL(connect_error(&c), BYTES_E_LIMIT);
    c.password = bytes_of_text("p");
    c.user_name = bytes_of("u\0", 2);
    CHECK_EQUAL(connect_error(&c), FORMAT);
    c = good;
    c.will_qos = 1;
    CHECK_EQUAL(connect_error(&c), FORMAT);
    c.has_will = true;
    CHECK_EQUAL(connect_error(&c), FORMAT);
    c.will_topic = bytes_of_text("t");
    CHECK_EQUAL(connect_error(&c), 0);
    c.will_qos = 3;
    CHECK_EQUAL(connect_error(&c), FORMAT);
    c = good;
    c.will_retain = true;
    CHECK_EQUAL(connect_error(&c), FORMAT);
    return 0;
}

static int publish_error(const struct dps_mqtt_publish *m)
{
    uint8_t buffer[64];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    dps_mqtt_publish_write(&w, m);
    return w.error;
}

static int test_write_publish(void)
{
    struct dps_mqtt_publish m = {.topic = bytes_of_text("t")};
    CHECK_EQUAL(publish_error(&m), 0);
    m.dup = true;
    CHECK_EQUAL(publish_error(&m), FORMAT);
    m.qos = 1;
    CHECK_EQUAL(publish_error(&m), FORMAT);
    m.packet_id = 1;
    CHECK_EQUAL(publish_error(&m), 0);
    m.qos = 2;
    CHECK_EQUAL(publish_error(&m), FORMAT);
    m.qos = 5;
    CHECK_EQUAL(publish_error(&m), FORMAT);
    m = (struct dps_mqtt_publish){.topic = bytes_of_text("a/+")};
    CHECK_EQUAL(publish_error(&m), FORMAT);
    m.topic = bytes_of_text("t");
    m.payload = bytes_of(NULL, 100); /* without an address: zeros */
    CHECK_EQUAL(publish_error(&m), BYTES_E_SPACE);
#if SIZE_MAX > 0xFFFF
    m.payload.len = 268435455 - 3;
    CHECK_EQUAL(publish_error(&m), BYTES_E_SPACE);
    m.payload.len++;
    CHECK_EQUAL(publish_error(&m), BYTES_E_LIMIT);
    m.payload.len = SIZE_MAX;
    CHECK_EQUAL(publish_error(&m), BYTES_E_LIMIT);
#endif
    return 0;
}

static int test_write_others(void)
{
    uint8_t buffer[64];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    const struct dps_mqtt_filter three = {bytes_of_text("a"), 3};
    dps_mqtt_connack_write(&w, true, 1);
    CHECK_EQUAL(w.error, FORMAT);
    w = bytes_writer_over(buffer, sizeof buffer);
    dps_mqtt_connack_write(&w, false, 6);
    CHECK_EQUAL(w.error, FORMAT);
    w = bytes_writer_over(buffer, sizeof buffer);
    dps_mqtt_ack_write(&w, DPS_MQTT_PUBACK, 0);
    CHECK_EQUAL(w.error, FORMAT);
    w = bytes_writer_over(buffer, sizeof buffer);
    dps_mqtt_filters_write(&w, DPS_MQTT_SUBSCRIBE, 1, &three, 0);
    CHECK_EQUAL(w.error, FORMAT);
    w = bytes_writer_over(buffer, sizeof buffer);
    dps_mqtt_filters_write(&w, DPS_MQTT_SUBSCRIBE, 1, &three, 1);
    CHECK_EQUAL(w.error, FORMAT);
    w = bytes_writer_over(buffer, sizeof buffer);
    dps_mqtt_suback_write(&w, 1, bytes_of("\3", 1));
    CHECK_EQUAL(w.error, FORMAT);
    w = bytes_writer_over(buffer, sizeof buffer);
    dps_mqtt_suback_write(&w, 1, bytes_of(NULL, 0));
    CHECK_EQUAL(w.error, FORMAT);
    /* Several, one after the other, and room for no more. */
    w = bytes_writer_over(buffer, 4);
    dps_mqtt_empty_write(&w, DPS_MQTT_PINGRESP);
    dps_mqtt_empty_write(&w, DPS_MQTT_DISCONNECT);
    CHECK(bytes_equal_public(bytes_written(&w), bytes_of("\xd0\0\xe0\0", 4)));
    dps_mqtt_empty_write(&w, DPS_MQTT_PINGREQ);
    CHECK_EQUAL(w.error, BYTES_E_SPACE);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {{"packets that others made", test_vectors},
                                        {"cut anywhere", test_cut},
                                        {"one bit changed", test_flipped},
                                        {"the fields of CONNECT", test_connect_fields},
                                        {"the fields of the others", test_other_fields},
                                        {"the first byte", test_first_byte},
                                        {"the length", test_length},
                                        {"the rules", test_rules},
                                        {"topic filters", test_filters},
                                        {"what a refused CONNECT gets", test_refused},
                                        {"writing CONNECT", test_write_connect},
                                        {"writing PUBLISH", test_write_publish},
                                        {"writing the others", test_write_others}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
