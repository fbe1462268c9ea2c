/* SPDX-License-Identifier: MIT */
/* dps/service/messages.h: a queue and the connections that empty it; and how it is filled by the management API. */
#include "dps/protocol/mqtt.h"
#include "dps/service/messages.h"
#include "dps/service/registration.h"
#include "tests/port/admin_bench.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

#define QUEUE "/messages/dev1"
#define PATH "/registrations/dev1/messages/devicebound" VERSION

static struct dps_inbox inbox;
static struct dps_answer answer;
static uint8_t out[65536];

static struct bytes id(void)
{
    return bytes_of_text("dev1");
}

/* A service with a device that has registered, and that listens. */
static int begin(void)
{
    static const struct dps_registration made = {
        .registration_id = "dev1", .device_id = "dev1", .generation = 1};
    uint8_t json[1024];
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    uint64_t version;
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("PUT", "/enrollments/dev1" VERSION, "", bench_enrollment("dev1", ""), 200, 0));
    dps_registration_write(&w, &made);
    CHECK_EQUAL(bench.service.store.put(bench.service.store.context, DPS_TABLE_REGISTRATIONS, id(),
                                        bytes_written(&w), 0, &version),
                0);
    inbox = (struct dps_inbox){.open = true, .qos = 1, .registration_id = "dev1"};
    return 0;
}

static enum dps_refusal add(const char *data, uint64_t seconds)
{
    const struct dps_message m = {bytes_of_text("a=b"), bytes_of_text(data), bench.service.now + seconds};
    dps_answer_begin(&bench.service, out, sizeof out, &answer);
    return dps_messages_add(&bench.service, id(), &m, &answer);
}

static enum dps_refusal send(void)
{
    dps_answer_begin(&bench.service, out, sizeof out, &answer);
    return dps_inbox_send(&bench.service, &inbox, bytes_of_text("dev1"), &answer);
}

static enum dps_refusal acknowledge(uint16_t packet_id)
{
    dps_answer_begin(&bench.service, out, sizeof out, &answer);
    return dps_inbox_acknowledged(&bench.service, &inbox, packet_id, &answer);
}

/* The n-th PUBLISH of the answer. */
static struct dps_mqtt_publish sent(size_t n)
{
    struct bytes rest = bytes_written(&answer.body);
    struct dps_mqtt_packet p;
    struct dps_mqtt_publish m = {0};
    for (size_t i = 0; i <= n; i++) {
        if (dps_mqtt_packet_read(rest, DPS_MQTT_CLIENT, sizeof out, &p) != 0 ||
            dps_mqtt_publish_read(&p, &m) != 0) {
            return (struct dps_mqtt_publish){0};
        }
        rest = bytes_of(rest.p + p.len, rest.len - p.len);
    }
    return m;
}

static bool sent_is(size_t n, const char *payload)
{
    const struct dps_mqtt_publish m = sent(n);
    return m.qos == inbox.qos && bytes_equal_public(m.payload, bytes_of_text(payload)) &&
           bytes_equal_public(m.topic,
                              bytes_of_text("devices/dev1/messages/devicebound/%24.to=%2Fdevices%2Fdev1%2F"
                                            "messages%2Fdevicebound&a=b"));
}

static bool is_empty(void)
{
    uint8_t value[DPS_RECORD_MAX];
    size_t len;
    uint64_t version;
    return bench.service.store.get(bench.service.store.context, DPS_TABLE_DEVICES, bytes_of_text(QUEUE),
                                   value, sizeof value, &len, &version) == BYTES_E_NOT_FOUND;
}

/* ---- Delivery ---------------------------------------------------------------------------------------------------- */

static int s10_in_order(void)
{
    CHECK_EQUAL(begin(), 0);
    CHECK(!dps_inbox_waits(&bench.service, &inbox));
    CHECK(send() == DPS_ACCEPTED && answer.body.len == 0 && !answer.wrote);
    CHECK(add("\"YQ==\"", 60) == DPS_ACCEPTED && answer.wrote && answer.messages_queued == 1);
    CHECK_EQUAL(add("\"Yg==\"", 60), DPS_ACCEPTED);
    CHECK_EQUAL(add("", 60), DPS_ACCEPTED);
    CHECK(dps_inbox_waits(&bench.service, &inbox));
    CHECK_EQUAL(send(), DPS_ACCEPTED);
    CHECK(sent_is(0, "a") && sent_is(1, "b") && sent_is(2, "") && answer.messages_sent == 3 && !answer.wrote);
    const uint16_t first = sent(0).packet_id;
    const uint16_t second = sent(1).packet_id;
    const uint16_t third = sent(2).packet_id;
    CHECK(first != 0 && first != second && second != third && first != third);
    /* Once, however often one asks. */
    CHECK(!dps_inbox_waits(&bench.service, &inbox) && send() == DPS_ACCEPTED && answer.body.len == 0);
    /* Acknowledged in any order; other numbers, and the same again, change nothing. */
    CHECK(acknowledge(second) == DPS_ACCEPTED && answer.wrote && answer.messages_acknowledged == 1);
    CHECK(acknowledge(second) == DPS_ACCEPTED && !answer.wrote && answer.messages_acknowledged == 0);
    CHECK(acknowledge(4711) == DPS_ACCEPTED && !answer.wrote);
    CHECK(acknowledge(third) == DPS_ACCEPTED && !is_empty());
    /* The next connection. */
    struct dps_inbox next = {.open = true, .qos = 1, .registration_id = "dev1"};
    inbox = next;
    CHECK(send() == DPS_ACCEPTED && sent_is(0, "a") && answer.messages_sent == 1);
    CHECK(acknowledge(sent(0).packet_id) == DPS_ACCEPTED && is_empty());
    return 0;
}

static int s10_expired(void)
{
    CHECK_EQUAL(begin(), 0);
    CHECK(add("\"YQ==\"", 60) == DPS_ACCEPTED && add("\"Yg==\"", 120) == DPS_ACCEPTED);
    bench.service.now += 59;
    CHECK(send() == DPS_ACCEPTED && answer.messages_sent == 2 && !answer.wrote);
    inbox = (struct dps_inbox){.open = true, .qos = 1, .registration_id = "dev1"};
    bench.service.now++;
    CHECK(send() == DPS_ACCEPTED && answer.messages_sent == 1 && sent_is(0, "b") && answer.wrote);
    /* In the queue only the other one is left; when that is too old as well, the queue goes. */
    bench.service.now += 60;
    CHECK(dps_inbox_waits(&bench.service, &inbox));
    CHECK(send() == DPS_ACCEPTED && answer.body.len == 0 && answer.wrote && is_empty());
    CHECK(!dps_inbox_waits(&bench.service, &inbox));
    /* What has expired makes room. */
    for (size_t i = 0; i < DPS_MESSAGES_MAX; i++) {
        CHECK_EQUAL(add("", 60), DPS_ACCEPTED);
    }
    CHECK(add("", 60) == DPS_REFUSED_QUEUE && !answer.wrote && answer.messages_queued == 0);
    bench.service.now += 60;
    CHECK(add("", 60) == DPS_ACCEPTED && send() == DPS_ACCEPTED && answer.messages_sent == 1);
    return 0;
}

static int s10_bounded_in_flight(void)
{
    CHECK_EQUAL(begin(), 0);
    inbox.last_packet_id = UINT16_MAX - 2; /* numbers begin again with 1 */
    for (size_t i = 0; i < DPS_MESSAGES_IN_FLIGHT + 2; i++) {
        CHECK_EQUAL(add("", 60), DPS_ACCEPTED);
    }
    CHECK(send() == DPS_ACCEPTED && answer.messages_sent == DPS_MESSAGES_IN_FLIGHT);
    CHECK(sent(1).packet_id == UINT16_MAX && sent(2).packet_id == 1);
    CHECK(!dps_inbox_waits(&bench.service, &inbox));
    CHECK(acknowledge(1) == DPS_ACCEPTED && dps_inbox_waits(&bench.service, &inbox));
    /* A number that is in use is not given again. */
    inbox.last_packet_id = UINT16_MAX - 2;
    CHECK(send() == DPS_ACCEPTED && answer.messages_sent == 1 && sent(0).packet_id == 1);
    dps_inbox_close(&inbox);
    CHECK(!dps_inbox_waits(&bench.service, &inbox) && send() == DPS_ACCEPTED && answer.body.len == 0);
    return 0;
}

static int s10_quality_0(void)
{
    CHECK_EQUAL(begin(), 0);
    inbox.qos = 0;
    for (size_t i = 0; i < DPS_MESSAGES_IN_FLIGHT + 1; i++) {
        CHECK_EQUAL(add("\"YQ==\"", 60), DPS_ACCEPTED);
    }
    CHECK(send() == DPS_ACCEPTED && answer.messages_sent == DPS_MESSAGES_IN_FLIGHT && sent_is(0, "a") &&
          answer.wrote);
    CHECK(send() == DPS_ACCEPTED && answer.messages_sent == 1 && is_empty());
    return 0;
}

/* ---- The store --------------------------------------------------------------------------------------------------- */

static int s10_store_fails(void)
{
    CHECK_EQUAL(begin(), 0);
    CHECK_EQUAL(add("\"YQ==\"", 60), DPS_ACCEPTED);
    bench.fail_get = BYTES_E_STORE;
    CHECK(!dps_inbox_waits(&bench.service, &inbox) && send() == DPS_REFUSED_STORE && answer.body.len == 0);
    CHECK_EQUAL(add("\"YQ==\"", 60), DPS_REFUSED_STORE);
    CHECK_EQUAL(dps_messages_clear(&bench.service, id()), DPS_REFUSED_STORE);
    bench.fail_get = 0;
    CHECK(send() == DPS_ACCEPTED && answer.messages_sent == 1);
    bench.fail_remove = BYTES_E_STORE;
    CHECK(acknowledge(sent(0).packet_id) == DPS_REFUSED_STORE && answer.messages_acknowledged == 0 &&
          !answer.wrote);
    CHECK_EQUAL(dps_messages_clear(&bench.service, id()), DPS_REFUSED_STORE);
    /* Somebody else writes at every moment. */
    bench.fail_remove = BYTES_E_CONFLICT;
    inbox = (struct dps_inbox){.open = true, .qos = 1, .registration_id = "dev1"};
    CHECK(send() == DPS_ACCEPTED && acknowledge(sent(0).packet_id) == DPS_REFUSED_STORE);
    bench.fail_remove = 0;
    bench.fail_put = BYTES_E_CONFLICT;
    CHECK(add("\"YQ==\"", 60) == DPS_REFUSED_STORE && !answer.wrote);
    bench.fail_put = 0;
    CHECK(dps_messages_clear(&bench.service, id()) == DPS_ACCEPTED && is_empty());
    CHECK_EQUAL(dps_messages_clear(&bench.service, id()), DPS_ACCEPTED);
    return 0;
}

/* Operators can write into the store: that costs a message, or the queue, and nothing else. */
static int s10_written_by_hand(void)
{
    static const struct {
        const char *record;
        enum dps_refusal sends;
        unsigned count;
    } cases[] = {
        {"", DPS_REFUSED_INTERNAL, 0},
        {"[]", DPS_REFUSED_INTERNAL, 0},
        {"{\"messages\":{}}", DPS_REFUSED_INTERNAL, 0},
        {"{\"messages\":[1,{},{\"number\":1,\"expires\":9999999999,\"properties\":1,\"data\":\"\"}]}",
         DPS_ACCEPTED, 0},
        {"{\"messages\":[{},{\"number\":1,\"expires\":9999999999,\"properties\":\"\",\"data\":\"\"}]}",
         DPS_ACCEPTED, 1},
        {"{\"messages\":[{\"number\":1,\"expires\":9999999999,\"properties\":\"\",\"data\":\"?\"}]}",
         DPS_REFUSED_INTERNAL, 0},
        {"{\"messages\":[{\"number\":1,\"expires\":9999999999,\"properties\":\"#\",\"data\":\"\"}]}",
         DPS_REFUSED_INTERNAL, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t version;
        CHECK_EQUAL(begin(), 0);
        CHECK_EQUAL(bench.service.store.put(bench.service.store.context, DPS_TABLE_DEVICES,
                                            bytes_of_text(QUEUE), bytes_of_text(cases[i].record), 0,
                                            &version),
                    0);
        CHECK_EQUAL(send(), cases[i].sends);
        CHECK_EQUAL(answer.messages_sent, cases[i].count);
        CHECK(dps_messages_clear(&bench.service, id()) == DPS_ACCEPTED && is_empty());
    }
    return 0;
}

/* ---- The management API ------------------------------------------------------------------------------------------ */

static int s02_queued(void)
{
    CHECK_EQUAL(begin(), 0);
    CHECK(bench_ok("POST", PATH, "",
                   "{\"messageId\":\"m 1\",\"correlationId\":\"c\",\"userId\":\"u\",\"contentType\":\"t\","
                   "\"contentEncoding\":\"e\",\"properties\":{\"n\\u00e4\":\"v&\",\"x\":\"\"},"
                   "\"timeToLiveSeconds\":60,\"data\":\"YQ\\u003d=\"}",
                   200, 0));
    CHECK(bench_answered("{\"messageId\":\"m 1\",\"expiryTimeUtc\":\"2026-01-02T03:05:05.0000000Z\"}"));
    CHECK(bench.answer.wrote && strcmp(bench.answer.registration_id, "dev1") == 0);
    CHECK(bench_ok("POST", PATH, "", "{}", 200, 0) &&
          bench_answered(",\"expiryTimeUtc\":\"2026-01-02T04:04:05.0000000Z\"}"));
    CHECK(send() == DPS_ACCEPTED && answer.messages_sent == 2);
    const struct bytes topic = sent(0).topic;
    CHECK(bytes_equal_public(
        topic,
        bytes_of_text("devices/dev1/messages/devicebound/%24.to=%2Fdevices%2Fdev1%2Fmessages%2Fdevicebound&"
                      "%24.mid=m%201&%24.cid=c&%24.uid=u&%24.ct=t&%24.ce=e&n%C3%A4=v%26&x=&"
                      "%24.exp=2026-01-02T03%3A05%3A05.0000000Z")));
    CHECK(bytes_equal_public(sent(0).payload, bytes_of_text("a")) && sent(1).payload.len == 0);
    return 0;
}

static int s02_refused(void)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "{\"messageId\":1}",
        "{\"messageId\":\"\"}",
        "{\"messageId\":\"a\\u0000\"}",
        "{\"messageId\":\"a\\n\"}",
        "{\"messageId\":\"a\",\"messageId\":\"b\"}",
        "{\"messageID\":\"a\"}",
        "{\"ack\":\"full\"}",
        "{\"properties\":[]}",
        "{\"properties\":{\"a\":1}}",
        "{\"properties\":{\"\":\"1\"}}",
        "{\"properties\":{\"$.to\":\"1\"}}",
        "{\"properties\":{\"\\u0024.to\":\"1\"}}",
        "{\"properties\":{\"IoTHub-ack\":\"1\"}}",
        "{\"properties\":{\"a\\n\":\"1\"}}",
        "{\"properties\":{\"a\":\"\\u007f\"}}",
        "{\"timeToLiveSeconds\":0}",
        "{\"timeToLiveSeconds\":172801}",
        "{\"timeToLiveSeconds\":\"60\"}",
        "{\"timeToLiveSeconds\":-1}",
        "{\"data\":1}",
        "{\"data\":\"a\"}",
        "{\"data\":\"YR==\"}",
    };
    CHECK_EQUAL(begin(), 0);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        CHECK(bench_ok("POST", PATH, "", bodies[i], 400, 400002));
    }
    CHECK(is_empty());
    CHECK(bench_ok("GET", PATH, "", "", 405, 405001));
    CHECK(bench_ok("POST", "/registrations/dev1/messages" VERSION, "", "{}", 404, 404001));
    CHECK(bench_ok("POST", "/registrations/dev1/messages/devicebound/1" VERSION, "", "{}", 404, 404001));
    CHECK(bench_ok("POST", "/registrations/a%20b/messages/devicebound" VERSION, "", "{}", 400, 400005));
    CHECK(bench_ok("POST", "/registrations/dev2/messages/devicebound" VERSION, "", "{}", 404, 404201));
    CHECK(bench_gives(NULL, "POST", PATH, "", "{}", 401, 401000));
    CHECK(bench_gives(bench_token_of(1), "POST", PATH, "", "{}", 403, 403001));
    /* Enrolled, and not registered. */
    CHECK(bench_ok("PUT", "/enrollments/dev2" VERSION, "", bench_enrollment("dev2", ""), 200, 0));
    CHECK(bench_ok("POST", "/registrations/dev2/messages/devicebound" VERSION, "", "{}", 404, 404201));
    return 0;
}

/* Data of a size, in base64. */
static const char *body_with(size_t size)
{
    static char text[3 * DPS_RECORD_MAX];
    size_t len = (size_t)snprintf(text, sizeof text, "{\"data\":\"");
    memset(text + len, 'A', (size + 2) / 3 * 4);
    len += (size + 2) / 3 * 4;
    const size_t pad = (3 - size % 3) % 3;
    memset(text + len - pad, '=', pad);
    strcpy(text + len, "\"}");
    return text;
}

static int s02_limits(void)
{
    char body[2048];
    CHECK_EQUAL(begin(), 0);
    CHECK(bench_ok("POST", PATH, "", body_with(DPS_MESSAGE_DATA_MAX + 1), 413, 413001));
    CHECK(bench_ok("POST", PATH, "", body_with(2 * DPS_RECORD_MAX), 413, 413001));
    CHECK(is_empty() && bench_ok("POST", PATH, "", body_with(DPS_MESSAGE_DATA_MAX), 200, 0));
    CHECK(bench_ok("POST", PATH, "", body_with(DPS_MESSAGE_DATA_MAX), 403, 403004));
    CHECK(send() == DPS_ACCEPTED && sent(0).payload.len == DPS_MESSAGE_DATA_MAX);
    /* A property has room for 256 bytes; five whose every byte is encoded are too many. */
    int len = snprintf(body, sizeof body, "{\"properties\":{");
    for (int i = 0; i < 5; i++) {
        len += snprintf(body + len, sizeof body - (size_t)len, "%s\"%d\":\"%0100d\"", i > 0 ? "," : "", i, 0);
    }
    snprintf(body + len, sizeof body - (size_t)len, "}}");
    CHECK(bench_ok("POST", PATH, "", body, 200, 0));
    for (char *c = body; *c != 0; c++) {
        *c = (char)(*c == '0' && c[1] == '0' && c[-1] != '"' ? '&' : *c);
    }
    CHECK(bench_ok("POST", PATH, "", body, 413, 413001));
    snprintf(body, sizeof body, "{\"properties\":{\"%0256d\":\"\"}}", 0);
    CHECK(bench_ok("POST", PATH, "", body, 400, 400002));
    snprintf(body, sizeof body, "{\"messageId\":\"%0129d\"}", 0);
    CHECK(bench_ok("POST", PATH, "", body, 400, 400002));
    return 0;
}

static int s02_deleted(void)
{
    CHECK_EQUAL(begin(), 0);
    /* A device that is disabled may be enabled in time. */
    CHECK(bench_ok("PUT", "/enrollments/dev1" VERSION, "If-Match: *\r\n",
                   bench_enrollment("dev1", ",\"provisioningStatus\":\"disabled\""), 200, 0));
    CHECK(bench_ok("POST", PATH, "", "{}", 200, 0) && !is_empty());
    CHECK(bench_ok("DELETE", "/registrations/dev1" VERSION, "", "", 204, 0) && is_empty());
    CHECK(bench_ok("POST", PATH, "", "{}", 404, 404201));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s10 messages in order, until they are acknowledged", s10_in_order},
        {"s10 messages that are too old", s10_expired},
        {"s10 a few at a time", s10_bounded_in_flight},
        {"s10 messages with QoS 0", s10_quality_0},
        {"s10 the store fails", s10_store_fails},
        {"s10 queues that somebody has written", s10_written_by_hand},
        {"s02 a message is queued", s02_queued},
        {"s02 messages that are refused", s02_refused},
        {"s02 how large a message may be", s02_limits},
        {"s02 disabled and deleted", s02_deleted},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
