/* SPDX-License-Identifier: MIT */
/* Our device against what the real service is known to answer: the captures that are quoted in
 * Microsoft's own sources and documents, its errors, its old versions, and its bad days. The double in
 * between passes a request on to our service and rewrites the answer in the real one's form, or answers
 * from a script; the TPM is libtpms, the clock is virtual. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/ownership.h"
#include "dps/device/record.h"
#include "dps/protocol/date.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include <stdio.h>
#include <string.h>

static struct flow f;

/* ---- The double -------------------------------------------------------------------------------------- */

/* What one request is answered with: this, in the form of a capture; or these bytes; or nothing and a
 * closed connection. */
struct reply {
    unsigned status;
    const char *headers;
    const char *body;
    const char *raw;
    bool closes;
};

struct edit {
    const char *from, *to; /* in the body of an answer of our service */
};

enum { FIRST_PUT, SECOND_PUT, POLL, SCRIPT_MAX = 16 };

enum framing { CHUNKED, WITH_LENGTH, UNTIL_CLOSE, OLD };

static struct {
    const struct reply *script[SCRIPT_MAX]; /* of each request in turn; null: our service is asked */
    const struct reply *always;             /* instead of the script */
    struct edit edits[4];
    const char *operation_id;  /* what our service's is called on the way; null: as it is */
    char own_operation_id[64]; /* what it is called there */
    const char *headers;       /* more of them, in answers of our service */
    enum framing framing;
    bool assigns_at_once;
    uint8_t blob_tail; /* bytes after each blob */
    unsigned requests;
    uint8_t sent[SCRIPT_MAX][DPS_NET_BUFFER]; /* what the device has sent */
    uint32_t waits[64];
    unsigned wait_count;
} real;

static uint8_t body[DPS_HTTP_BODY_MAX];
static size_t body_len;

static void replace(const char *from, const char *to)
{
    for (size_t at = 0; at + strlen(from) <= body_len; at++) {
        if (memcmp(body + at, from, strlen(from)) == 0) {
            memmove(body + at + strlen(to), body + at + strlen(from), body_len - at - strlen(from));
            memcpy(body + at, to, strlen(to));
            body_len += strlen(to) - strlen(from);
            at += strlen(to) - 1;
        }
    }
}

static void write_chunks(struct bytes_writer *w)
{
    char size[16];
    for (size_t at = 0; at < body_len;) {
        const size_t len = body_len - at < 0x400 ? body_len - at : 0x400;
        snprintf(size, sizeof size, "%zx\r\n", len);
        dps_write_text(w, size);
        bytes_write_bytes(w, bytes_of(body + at, len));
        dps_write_text(w, "\r\n");
        at += len;
    }
    dps_write_text(w, "0\r\n\r\n");
}

/* Head and framing as captured in 2017 and 2019; the order of headers is theirs. */
static void write_answer(unsigned status, const char *headers)
{
    char line[64];
    struct bytes_writer w = bytes_writer_over(f.response, sizeof f.response);
    snprintf(line, sizeof line, "HTTP/1.%d %u %s\r\nDate: ", real.framing != OLD, status,
             dps_http_reason(status));
    dps_write_text(&w, line);
    dps_write_http_date(&w, f.now);
    dps_write_text(&w, "\r\nContent-Type: application/json; charset=utf-8\r\n");
    dps_write_text(&w, headers);
    dps_write_text(&w, "x-ms-request-id: 12a4aa4c-cbbf-4b2e-b4c1-a1a2a3a4a5a6\r\n"
                       "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n");
    if (real.framing == CHUNKED) {
        dps_write_text(&w, "Transfer-Encoding: chunked\r\n\r\n");
        write_chunks(&w);
    } else {
        snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", body_len);
        dps_write_text(&w, real.framing == UNTIL_CLOSE ? "\r\n" : line);
        bytes_write_bytes(&w, bytes_of(body, body_len));
    }
    f.response_len = w.len;
    f.response_sent = 0;
}

/* Bytes after the sixth field of a blob. */
static void lengthen_blob(void)
{
    static uint8_t blob[DPS_ACTIVATION_BLOB_MAX + 255];
    static uint8_t text[2048];
    static const char name[] = "\"authenticationKey\":\"";
    struct bytes_writer w = bytes_writer_over(text, sizeof text - 1);
    size_t len;
    body[body_len] = 0;
    char *at = strstr((char *)body, name);
    if (at == NULL || real.blob_tail == 0) {
        return;
    }
    at += strlen(name);
    const size_t old_len = strcspn(at, "\"");
    char old[2048];
    snprintf(old, sizeof old, "%.*s", (int)old_len, at);
    (void)dps_base64_decode(bytes_of(at, old_len), blob, sizeof blob, &len);
    memset(blob + len, 0x77, real.blob_tail);
    dps_write_base64(&w, bytes_of(blob, len + real.blob_tail));
    text[w.len] = 0;
    replace(old, (const char *)text);
}

static void ask_service(const uint8_t *request, size_t len)
{
    flow_ask(&f, request, len);
    memcpy(body, f.answer.body.p, f.answer.body.len);
    body_len = f.answer.body.len;
}

static void keep_operation_id(void)
{
    struct bytes root;
    struct bytes id;
    size_t len;
    if (f.answer.status == 202 && dps_json_check(bytes_of(body, body_len), &root) == 0 &&
        dps_json_member(root, "operationId", &id) == 0 &&
        dps_json_string(id, (uint8_t *)real.own_operation_id, sizeof real.own_operation_id - 1, &len) == 0) {
        real.own_operation_id[len] = 0;
    }
}

/* The same request for the operation's status, under the name that our service gave it. */
static void poll_service(void)
{
    uint8_t request[2048];
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    dps_write_text(&w, "GET /" FLOW_SCOPE "/registrations/");
    dps_write_text(&w, f.device.registration_id);
    dps_write_text(&w, "/operations/");
    dps_write_text(&w, real.own_operation_id);
    dps_write_text(&w, "?api-version=2021-06-01 HTTP/1.1\r\nHost: " FLOW_HOST "\r\nAuthorization: ");
    bytes_write_bytes(&w, dps_device_token_text(&f.device));
    dps_write_text(&w, "\r\n\r\n");
    ask_service(request, w.len);
}

static void pass_on(const uint8_t *request, size_t len)
{
    if (memcmp(request, "GET ", 4) == 0) {
        poll_service();
    } else {
        ask_service(request, len);
        keep_operation_id();
        if (real.assigns_at_once && f.answer.status == 202) {
            poll_service();
        }
    }
    if (real.operation_id != NULL && real.own_operation_id[0] != 0) {
        replace(real.own_operation_id, real.operation_id);
    }
    for (size_t i = 0; i < sizeof real.edits / sizeof real.edits[0] && real.edits[i].from != NULL; i++) {
        replace(real.edits[i].from, real.edits[i].to);
    }
    lengthen_blob();
    char headers[256];
    snprintf(headers, sizeof headers, "%s%s", f.answer.status == 202 ? "Retry-After: 3\r\n" : "",
             real.headers != NULL ? real.headers : "");
    write_answer(f.answer.status, headers);
}

static void reply_with(const struct reply *r)
{
    f.response_len = f.response_sent = 0;
    if (r->closes) {
        return;
    }
    if (r->raw != NULL) {
        f.response_len = strlen(r->raw);
        memcpy(f.response, r->raw, f.response_len);
        return;
    }
    body_len = strlen(r->body);
    memcpy(body, r->body, body_len);
    write_answer(r->status, r->headers != NULL ? r->headers : "");
}

static void serve(void)
{
    const struct bytes out = dps_device_net_out(&f.device);
    const unsigned n = real.requests++;
    const struct reply *r = real.always != NULL ? real.always : n < SCRIPT_MAX ? real.script[n] : NULL;
    if (n < SCRIPT_MAX) {
        memcpy(real.sent[n], out.p, out.len);
        real.sent[n][out.len] = 0;
    }
    if (r != NULL) {
        reply_with(r);
    } else {
        pass_on(out.p, out.len);
    }
    dps_device_net_sent(&f.device, out.len);
}

/* One want of the engine is met: a request by the double, all else as it always is. */
static void advance(void)
{
    if (dps_device_want(&f.device) == DPS_WANT_SEND) {
        serve();
    } else {
        (void)flow_run(&f, 1);
    }
}

/* As flow_finish, with the double instead of our service. */
static int finish(void)
{
    enum dps_want want = dps_device_want(&f.device);
    flow_count_anew(&f);
    for (unsigned i = 0; i < 20000 && want != DPS_WANT_DONE && want != DPS_WANT_FAILED; i++) {
        if (want == DPS_WANT_WAIT && real.wait_count < sizeof real.waits / sizeof real.waits[0]) {
            real.waits[real.wait_count++] = dps_device_wait_ms(&f.device);
        }
        advance();
        want = dps_device_want(&f.device);
    }
    return want == DPS_WANT_DONE ? 0 : want == DPS_WANT_FAILED ? f.device.error : 1;
}

/* Before each run the double is told again what to do. */
static void reset(void)
{
    memset(&real, 0, sizeof real);
    f.saves = 0;
}

static int run(void)
{
    real.requests = 0;
    real.wait_count = 0;
    const int error = dps_device_register(&f.device, &f.config, flow_nonce);
    return error != 0 ? error : finish();
}

/* The run with one request answered in this way. */
static int run_with(unsigned request, const struct reply *r)
{
    reset();
    real.script[request] = r;
    return run();
}

#define TRANSIENT UINT32_C(0x80000000)
#define SESSIONS UINT32_C(0x02000000)

/* It failed like this, nothing was saved, and nothing is left in the TPM. */
static int failed_cleanly(int got, int wanted)
{
    CHECK_EQUAL(got, wanted);
    CHECK_EQUAL(f.saves, 0);
    CHECK(flow_handles(&f, TRANSIENT) == 0 && flow_handles(&f, SESSIONS) == 0);
    return 0;
}

static bool message_is(const char *text)
{
    return bytes_equal_public(bytes_of(f.device.message, f.device.message_len), bytes_of_text(text));
}

static bool was_sent(unsigned request, const char *text)
{
    return strstr((const char *)real.sent[request], text) != NULL;
}

/* ---- The captures ------------------------------------------------------------------------------------ */

#define OPERATION "5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550"

/* [capture of 9 May 2017] The 401 is chunked, and the first chunk of 0x400 ends in the middle of the
 * base64. */
static int challenge_in_chunks(void)
{
    static const size_t splits[] = {0, 1, 7, 256, 1024, 1031};
    CHECK_EQUAL(flow_open(&f, "chunks", true), 0);
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        reset();
        f.split = splits[i];
        CHECK_EQUAL(run(), 0);
        CHECK(f.device.http_requests == 3 && f.device.connections == 1);
    }
    flow_close(&f);
    return 0;
}

/* [docs, 2019] "Retry-After: 3", operationId with dots and dashes, and no registrationState while
 * assigning. */
static int assigning_for_a_while(void)
{
    static const struct reply still = {202, "Retry-After: 3\r\n",
                                       "{\"operationId\":\"" OPERATION "\",\"status\":\"assigning\"}", NULL,
                                       false};
    static const struct reply in_200 = {
        200, "", "{\"operationId\":\"" OPERATION "\",\"status\":\"assigning\"}", NULL, false};
    CHECK_EQUAL(flow_open(&f, "assigning", true), 0);
    reset();
    real.operation_id = OPERATION;
    real.script[POLL] = &still;
    real.script[POLL + 1] = &in_200;
    real.script[POLL + 2] = &still;
    CHECK_EQUAL(run(), 0);
    CHECK(f.device.http_requests == 6 && f.device.polls == 3);
    CHECK_EQUAL(f.device.operation_id, OPERATION);
    for (unsigned i = POLL; i < 6; i++) {
        CHECK(
            was_sent(i, "GET /" FLOW_SCOPE "/registrations/device-1/operations/" OPERATION "?api-version="));
    }
    CHECK_EQUAL(real.wait_count, 4);
    CHECK(real.waits[0] == 3000 && real.waits[1] == 3000 && real.waits[3] == 3000);
    CHECK_EQUAL(real.waits[2], 2000); /* nothing said: our own measure */
    flow_close(&f);
    return 0;
}

static int never_assigned(void)
{
    static const struct reply still = {202, "Retry-After: 3\r\n",
                                       "{\"operationId\":\"1\",\"status\":\"assigning\"}", NULL, false};
    CHECK_EQUAL(flow_open(&f, "never", true), 0);
    reset();
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (f.device.http_requests < 2) {
        advance();
    }
    real.always = &still;
    CHECK_EQUAL(failed_cleanly(finish(), BYTES_E_TIMEOUT), 0);
    CHECK(f.device.polls == 150 && f.waited_ms >= 149 * 3000);
    flow_close(&f);
    return 0;
}

/* The names of 2017, unencryptedAuthenticationKey filled as its preview did, statuses in odd cases,
 * members that will come. */
static int old_and_new_words(void)
{
    static const struct edit edits[][4] = {
        {{"\"registrationState\"", "\"registrationStatus\""}},
        {{"\"unencryptedAuthenticationKey\":null",
          "\"unencryptedAuthenticationKey\":\"x/xWHfGxBKEp2P0yGcJbS9FDJg8aFXoqgXKqWGxT1HM=\""}},
        {{"\"status\":\"assign", "\"status\":\"Assign"}},
        {{"assigning", "ASSIGNING"}, {"\"assigned\"", "\"ASSIGNED\""}},
        {{"{", "{\"new\":{\"x\":[{},[],1.5e-3,\"\\u00e4\"]},"}},
        {{",\"substatus\":\"initialAssignment\"", ""},
         {",\"substatus\":\"reprovisionedToInitialAssignment\"", ""}},
        {{"\"substatus\":\"", "\"substatus\":\"aSubstatusOfALaterVersionThatNobodyKnowsToday"}},
        {{"\"operationId\":", " \"operationId\" :\r\n\t"}},
    };
    CHECK_EQUAL(flow_open(&f, "words", true), 0);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        reset();
        memcpy(real.edits, edits[i], sizeof real.edits);
        CHECK_EQUAL(run(), 0);
        CHECK_EQUAL(f.device.device_id, "device-1");
        CHECK((f.device.substatus[0] == 0) == (i == 5 || i == 6));
    }
    flow_close(&f);
    return 0;
}

static int assigned_at_once(void)
{
    CHECK_EQUAL(flow_open(&f, "at-once", true), 0);
    reset();
    real.assigns_at_once = true;
    CHECK_EQUAL(run(), 0);
    CHECK(f.device.http_requests == 2 && real.wait_count == 0);
    flow_close(&f);
    return 0;
}

static int blob_with_trailing_bytes(void)
{
    CHECK_EQUAL(flow_open(&f, "tail", true), 0);
    for (uint8_t tail = 1; tail < 16; tail += 7) {
        reset();
        real.blob_tail = tail;
        CHECK_EQUAL(run(), 0);
    }
    flow_close(&f);
    return 0;
}

static int names_of_keys(void)
{
    static const struct {
        const char *to, *skn;
        int error;
    } cases[] = {
        {",\"x\":1", "&skn=registration", 0},
        {",\"keyName\":null", "&skn=registration", 0},
        {",\"keyName\":\"a name\"", "&skn=a%20name", 0},
        {",\"keyName\":\"\"", "&se=1800003600\r\n", 0}, /* no skn */
        {",\"keyName\":17", NULL, BYTES_E_FORMAT},
        {",\"keyName\":\"a name that is longer than any name of a key\"", NULL, BYTES_E_SPACE},
    };
    CHECK_EQUAL(flow_open(&f, "key-name", true), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reset();
        f.now = FLOW_NOW;
        f.waited_ms = 0;
        real.edits[0] = (struct edit){",\"keyName\":\"registration\"", cases[i].to};
        CHECK_EQUAL(run(), cases[i].error);
        CHECK(cases[i].skn == NULL || was_sent(SECOND_PUT, cases[i].skn));
    }
    flow_close(&f);
    return 0;
}

/* ---- Framing and connections ------------------------------------------------------------------------- */

static int other_framings(void)
{
    static const struct {
        enum framing framing;
        const char *headers;
        unsigned connections;
    } cases[] = {
        {CHUNKED, "Connection: close\r\n", 3},
        {WITH_LENGTH, "", 1},
        {WITH_LENGTH, "Connection: close\r\n", 3},
        {UNTIL_CLOSE, "", 3},
        {OLD, "", 3},
        {OLD, "Connection: keep-alive\r\n", 1},
    };
    CHECK_EQUAL(flow_open(&f, "framings", true), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reset();
        real.framing = cases[i].framing;
        real.headers = cases[i].headers;
        CHECK_EQUAL(run(), 0);
        CHECK(f.device.connections == cases[i].connections && f.device.http_requests == 3);
    }
    flow_close(&f);
    return 0;
}

static int interim_answers(void)
{
    static const struct reply early = {
        .raw = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
               "HTTP/1.1 404 Not Found\r\nContent-Length: 20\r\n\r\n{\"errorCode\":404201}"};
    CHECK_EQUAL(flow_open(&f, "interim", true), 0);
    CHECK_EQUAL(failed_cleanly(run_with(FIRST_PUT, &early), BYTES_E_HTTP), 0);
    CHECK(f.device.http_status == 404 && f.device.service_error == 404201);
    flow_close(&f);
    return 0;
}

/* A connection that was kept open and has died meanwhile is made anew, once; a new one that dies at once
 * is an error. */
static int closed_between_requests(void)
{
    static const struct reply gone = {.closes = true};
    CHECK_EQUAL(flow_open(&f, "closed", true), 0);
    CHECK_EQUAL(failed_cleanly(run_with(FIRST_PUT, &gone), BYTES_E_STREAM), 0);
    CHECK_EQUAL(f.device.connections, 1);
    CHECK_EQUAL(run_with(SECOND_PUT, &gone), 0);
    CHECK(f.device.connections == 2 && real.requests == 4);
    CHECK_EQUAL((char *)real.sent[SECOND_PUT], (char *)real.sent[SECOND_PUT + 1]);
    CHECK_EQUAL(run_with(POLL, &gone), 0);
    CHECK(f.device.connections == 2 && real.requests == 4);
    reset();
    real.script[POLL] = real.script[POLL + 1] = &gone;
    CHECK_EQUAL(failed_cleanly(run(), BYTES_E_STREAM), 0);
    CHECK_EQUAL(f.device.connections, 2);
    flow_close(&f);
    return 0;
}

/* The connection dies while the second request is going out: the driver forgets it, and the whole
 * request goes again. */
static int closed_within_a_request(void)
{
    CHECK_EQUAL(flow_open(&f, "half-sent", true), 0);
    reset();
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (f.device.http_requests < 1 || dps_device_want(&f.device) != DPS_WANT_SEND) {
        advance();
    }
    const size_t whole = dps_device_net_out(&f.device).len;
    dps_device_net_sent(&f.device, 100);
    CHECK_EQUAL(dps_device_net_out(&f.device).len, whole - 100);
    f.device.connected = 0; /* as port/drive.c does */
    CHECK_EQUAL(finish(), 0);
    CHECK_EQUAL(strlen((char *)real.sent[SECOND_PUT]), whole);
    flow_close(&f);
    return 0;
}

static int answers_that_are_none(void)
{
    static char long_line[DPS_NET_BUFFER + 200];
    static const struct {
        const char *raw;
        int error;
    } cases[] = {
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", BYTES_E_FORMAT},
        {"HTTP/1.1 401 Unauthorized\r\n", BYTES_E_STREAM},
        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 10\r\n\r\n{", BYTES_E_STREAM},
        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 99999\r\n\r\n", BYTES_E_LIMIT},
        {"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: gzip\r\n\r\n", BYTES_E_FORMAT},
        {"HTTP/2 401\r\n\r\n", BYTES_E_FORMAT},
        {long_line, BYTES_E_LIMIT},
    };
    CHECK_EQUAL(flow_open(&f, "no-http", true), 0);
    snprintf(long_line, sizeof long_line, "HTTP/1.1 401 Unauthorized\r\nX: %0*d", DPS_NET_BUFFER + 100, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct reply r = {.raw = cases[i].raw};
        CHECK_EQUAL(failed_cleanly(run_with(FIRST_PUT, &r), cases[i].error), 0);
        CHECK_EQUAL(failed_cleanly(run_with(POLL, &r), cases[i].error), 0);
    }
    flow_close(&f);
    return 0;
}

/* ---- Refusals ---------------------------------------------------------------------------------------- */

#define ERROR_JSON(code, text)                                                                               \
    "{\"errorCode\":" code ",\"trackingId\":\"12a4aa4c-cbbf-4b2e-b4c1-a1a2a3a4a5a6\",\"message\":\"" text    \
    "\","                                                                                                    \
    "\"timestampUtc\":\"2019-01-10T19:03:53.4156117Z\"}"

static int error_json(void)
{
    static const struct {
        struct reply reply;
        uint32_t code;
        const char *message;
    } cases[] = {
        {{400, "", ERROR_JSON("400004", "Endorsement key is invalid."), NULL, false},
         400004,
         "Endorsement key is invalid."},
        {{401, "", ERROR_JSON("401002", "Unauthorized"), NULL, false}, 401002, "Unauthorized"},
        {{403, "", "", NULL, false}, 0, ""},
        {{404, "", ERROR_JSON("404201", "Not found \\u00e4"), NULL, false}, 404201, "Not found \xc3\xa4"},
        {{409, "", ERROR_JSON("409204", "Precondition failed."), NULL, false},
         409204,
         "Precondition failed."},
        {{412, "", ERROR_JSON("\"412001\"", "as text"), NULL, false}, 0, "as text"},
        {{415, "", "<html>", NULL, false}, 0, ""},
        {{418, "", "[]", NULL, false}, 0, ""},
        {{404, "", "{\"errorCode\":99999999999,\"message\":{}}", NULL, false}, 0, ""},
        {{404, "", "{\"errorCode\":404202,\"message\":\"a\\u0000b\"}", NULL, false}, 404202, ""},
    };
    CHECK_EQUAL(flow_open(&f, "errors", true), 0);
    for (unsigned request = FIRST_PUT; request <= POLL; request++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            CHECK_EQUAL(failed_cleanly(run_with(request, &cases[i].reply), BYTES_E_HTTP), 0);
            CHECK_EQUAL(f.device.http_status, cases[i].reply.status);
            CHECK(f.device.service_error == cases[i].code && message_is(cases[i].message));
            CHECK(dps_device_step(&f.device) == (request == FIRST_PUT    ? 4u
                                                 : request == SECOND_PUT ? 8u
                                                                         : 9u));
            CHECK(real.requests == request + 1 && real.wait_count == (request == POLL));
        }
    }
    flow_close(&f);
    return 0;
}

/* Another registration of this device came first: the flow begins again at each request that says so, but once. */
static int overtaken(void)
{
    static const struct reply replies[] = {
        {401, "", ERROR_JSON("401007", "Used."), NULL, false},
        {409, "", ERROR_JSON("409203", "Precondition failed."), NULL, false},
        {404, "", ERROR_JSON("404203", "No such operation."), NULL, false},
    };
    CHECK_EQUAL(flow_open(&f, "overtaken", true), 0);
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        for (unsigned request = SECOND_PUT; request <= POLL; request++) {
            CHECK_EQUAL(run_with(request, &replies[i]), 0);
            CHECK(real.requests == request + 4 && f.saves == 1 && f.device.service_error == 0);
            reset();
            real.script[request] = real.script[2 * request + 1] = &replies[i];
            CHECK_EQUAL(failed_cleanly(run(), BYTES_E_HTTP), 0);
            CHECK(real.requests == 2 * request + 2 && f.device.http_status == replies[i].status);
        }
        CHECK_EQUAL(failed_cleanly(run_with(FIRST_PUT, &replies[i]), BYTES_E_HTTP), 0);
        CHECK_EQUAL(real.requests, 1);
    }
    flow_close(&f);
    return 0;
}

/* Redirects are not followed: whoever may send us elsewhere must first be in our configuration. Nor is an
 * impossible success accepted. */
static int redirects_and_false_success(void)
{
    static const struct reply moved = {307, "Location: https://elsewhere.example/\r\n", "", NULL, false};
    static const struct reply done = {200, "", "{\"status\":\"assigned\"}", NULL, false};
    static const struct reply created = {201, "", "{}", NULL, false};
    static const struct reply nothing = {.raw = "HTTP/1.1 204 No Content\r\n\r\n"};
    CHECK_EQUAL(flow_open(&f, "redirects", true), 0);
    for (unsigned request = FIRST_PUT; request <= POLL; request++) {
        CHECK_EQUAL(failed_cleanly(run_with(request, &moved), BYTES_E_HTTP), 0);
        CHECK_EQUAL(f.device.http_status, 307);
        CHECK_EQUAL(failed_cleanly(run_with(request, &created), BYTES_E_HTTP), 0);
        CHECK_EQUAL(failed_cleanly(run_with(request, &nothing), BYTES_E_HTTP), 0);
    }
    CHECK_EQUAL(failed_cleanly(run_with(FIRST_PUT, &done), BYTES_E_HTTP), 0);
    CHECK(f.device.http_status == 200 && real.requests == 1);
    flow_close(&f);
    return 0;
}

/* A second challenge is the answer to a bad token: signing again would loop for ever. */
static int challenged_twice(void)
{
    static const struct reply again = {
        401, "", "{\"authenticationKey\":\"ADQA\",\"keyName\":\"registration\"}", NULL, false};
    CHECK_EQUAL(flow_open(&f, "twice", true), 0);
    CHECK_EQUAL(failed_cleanly(run_with(SECOND_PUT, &again), BYTES_E_HTTP), 0);
    CHECK(real.requests == 2 && f.device.http_status == 401);
    flow_close(&f);
    return 0;
}

#define STATE(status, more)                                                                                  \
    "{\"operationId\":\"x\",\"status\":\"" status                                                            \
    "\",\"registrationState\":{\"registrationId\":\"device-1\","                                             \
    "\"status\":\"" status "\"" more "}}"

static int registration_ends_badly(void)
{
    static const struct {
        const char *body;
        uint32_t code;
        const char *message;
    } cases[] = {
        {STATE("failed", ",\"errorCode\":400208,\"errorMessage\":\"No hub.\""), 400208, "No hub."},
        {STATE("Failed", ",\"errorCode\":-1,\"errorMessage\":17"), 0, ""},
        {STATE("disabled", ""), 0, ""},
        {STATE("unassigned", ",\"errorMessage\":\"a\\u0000b\""), 0, ""},
        {STATE("blacklisted", ""), 0, ""},
        {"{\"operationId\":\"x\",\"status\":\"disabled\"}", 0, ""},
        {"{\"operationId\":\"x\",\"status\":\"failed\",\"errorCode\":400209,\"errorMessage\":\"Hub.\"}",
         400209, "Hub."},
        {"{\"status\":\"failed\",\"registrationStatus\":{\"errorCode\":400207}}", 400207, ""},
        {"{\"status\":\"a status that nobody has ever heard of\"}", 0, ""},
        {"{\"status\":17}", 0, ""},
    };
    CHECK_EQUAL(flow_open(&f, "ends-badly", true), 0);
    for (unsigned request = SECOND_PUT; request <= POLL; request++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            const struct reply r = {200, "", cases[i].body, NULL, false};
            CHECK_EQUAL(failed_cleanly(run_with(request, &r), BYTES_E_REFUSED), 0);
            CHECK(f.device.service_error == cases[i].code && message_is(cases[i].message));
        }
    }
    flow_close(&f);
    return 0;
}

#define LONG_ID                                                                                              \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"   \
    "0123456789012345678901234567890123456789"
#define KEY ",\"tpm\":{\"authenticationKey\":\"AAAA\"}"

/* A member that is missing, of the wrong kind, or too long: an error at its step. */
static int answers_that_lack_something(void)
{
    static const struct {
        unsigned request;
        unsigned status;
        const char *body;
        int error;
    } cases[] = {
        {FIRST_PUT, 401, "", BYTES_E_FORMAT},
        {FIRST_PUT, 401, "no json", BYTES_E_FORMAT},
        {FIRST_PUT, 401, "[]", BYTES_E_FORMAT},
        {FIRST_PUT, 401, "{}", BYTES_E_HTTP},
        {FIRST_PUT, 401, "{\"authenticationKey\":1,\"authenticationKey\":2}", BYTES_E_FORMAT},
        {FIRST_PUT, 401, "{\"authenticationKey\":null}", BYTES_E_FORMAT},
        {FIRST_PUT, 401, "{\"authenticationKey\":\"\\u0000\"}", BYTES_E_FORMAT},
        {FIRST_PUT, 401, "{\"authenticationKey\":\"===\"}", BYTES_E_FORMAT},
        {FIRST_PUT, 401, "{\"authenticationKey\":\"ADQA\"}", BYTES_E_FORMAT},
        {FIRST_PUT, 401, "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", BYTES_E_LIMIT},
        {SECOND_PUT, 202, "no json", BYTES_E_FORMAT},
        {SECOND_PUT, 202, "{\"status\":\"registering\"}", BYTES_E_FORMAT},
        {SECOND_PUT, 202, "{\"operationId\":17}", BYTES_E_FORMAT},
        {SECOND_PUT, 202, "{\"operationId\":\"" LONG_ID "\"}", BYTES_E_SPACE},
        {SECOND_PUT, 200, "{}", BYTES_E_FORMAT},
        {SECOND_PUT, 200, "no json", BYTES_E_FORMAT},
        {SECOND_PUT, 200, "{\"status\":\"assigning\"}", BYTES_E_FORMAT},
        {POLL, 202, "", BYTES_E_FORMAT},
        {POLL, 200, "{\"status\":1,\"status\":2}", BYTES_E_FORMAT},
        {POLL, 200, "{\"status\":\"assigned\"}", BYTES_E_FORMAT},
        {POLL, 200, "{\"status\":\"assigned\",\"registrationState\":null}", BYTES_E_FORMAT},
        {POLL, 200, STATE("assigned", ""), BYTES_E_FORMAT},
        {POLL, 200, STATE("assigned", ",\"assignedHub\":\"h\"" KEY), BYTES_E_FORMAT},
        {POLL, 200, STATE("assigned", ",\"deviceId\":\"d\"" KEY), BYTES_E_FORMAT},
        {POLL, 200, STATE("assigned", ",\"assignedHub\":17,\"deviceId\":\"d\"" KEY), BYTES_E_FORMAT},
        {POLL, 200, STATE("assigned", ",\"assignedHub\":\"h\",\"deviceId\":\"" LONG_ID "\"" KEY),
         BYTES_E_SPACE},
        {POLL, 200, STATE("assigned", ",\"assignedHub\":\"h\",\"deviceId\":\"d\""), BYTES_E_FORMAT},
        {POLL, 200, STATE("assigned", ",\"assignedHub\":\"h\",\"deviceId\":\"d\",\"tpm\":null"),
         BYTES_E_FORMAT},
        {POLL, 200, STATE("assigned", ",\"assignedHub\":\"h\",\"deviceId\":\"d\",\"tpm\":{}"),
         BYTES_E_FORMAT},
        {POLL, 200, STATE("assigned", ",\"assignedHub\":\"h\",\"deviceId\":\"d\"" KEY), BYTES_E_FORMAT},
    };
    CHECK_EQUAL(flow_open(&f, "lacks", true), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct reply r = {cases[i].status, "", cases[i].body, NULL, false};
        CHECK_EQUAL(failed_cleanly(run_with(cases[i].request, &r), cases[i].error), 0);
        CHECK(dps_device_step(&f.device) == (cases[i].request == FIRST_PUT    ? 4u
                                             : cases[i].request == SECOND_PUT ? 8u
                                                                              : 9u));
    }
    flow_close(&f);
    return 0;
}

/* The sixth structure of a blob is the only one whose size the flow leaves open; the fifth has one of a
 * known size. */
static int blob_with_a_large_public_area(void)
{
    CHECK_EQUAL(flow_open(&f, "large-public", true), 0);
    reset();
    real.edits[0] = (struct edit){"\"authenticationKey\":\"AD", "\"authenticationKey\":\"BD"};
    CHECK_EQUAL(failed_cleanly(run(), BYTES_E_FORMAT), 0);
    flow_close(&f);
    return 0;
}

/* ---- Waiting ----------------------------------------------------------------------------------------- */

static const struct reply throttled = {429, "", ERROR_JSON("429001", "Throttled"), NULL, false};
static const struct reply throttled_7 = {429, "Retry-After: 7\r\n", "", NULL, false};
static const struct reply down = {500, "", "", NULL, false};
static const struct reply away = {503, "Retry-After: 1\r\n", "<html>", NULL, false};

/* Each of the three requests meets a service that is busy, and is repeated unchanged. */
static int recovers(void)
{
    CHECK_EQUAL(flow_open(&f, "recovers", true), 0);
    for (unsigned request = FIRST_PUT; request <= POLL; request++) {
        const unsigned own = request == POLL ? 1 : 0; /* the wait before the first poll */
        reset();
        real.script[request] = &throttled;
        real.script[request + 1] = &throttled_7;
        real.script[request + 2] = &down;
        real.script[request + 3] = &away;
        CHECK_EQUAL(run(), 0);
        CHECK(real.requests == 7 && f.device.http_requests == 7 && f.device.service_error == 0);
        for (unsigned i = 1; i < 5; i++) {
            CHECK_EQUAL((char *)real.sent[request], (char *)real.sent[request + i]);
        }
        CHECK(real.waits[own] >= 1000 && real.waits[own] <= 1501);
        CHECK(real.waits[own + 1] >= 7000 && real.waits[own + 1] <= 10501); /* at least what it says */
        CHECK(real.waits[own + 2] >= 4000 && real.waits[own + 2] <= 6001);
        CHECK(real.waits[own + 3] >= 1000 && real.waits[own + 3] <= 1501);
    }
    flow_close(&f);
    return 0;
}

/* Back-off doubles, has an end, and differs from device to device. */
static int gives_up(void)
{
    uint8_t other[32];
    uint32_t waits[6];
    CHECK_EQUAL(flow_open(&f, "gives-up", true), 0);
    reset();
    real.always = &throttled;
    CHECK_EQUAL(failed_cleanly(run(), BYTES_E_HTTP), 0);
    CHECK(f.device.http_status == 429 && f.device.service_error == 429001 && message_is("Throttled"));
    CHECK(real.wait_count == 6 && real.requests == 7);
    for (unsigned i = 0; i < 6; i++) {
        CHECK(real.waits[i] >= 1000u << i && real.waits[i] <= (1500u << i) + 1);
    }
    memcpy(waits, real.waits, sizeof waits);

    memset(other, 0xff, sizeof other);
    real.wait_count = real.requests = 0;
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, other), 0);
    CHECK_EQUAL(finish(), BYTES_E_HTTP);
    for (unsigned i = 0; i < 6; i++) {
        CHECK(real.waits[i] != waits[i] && real.waits[i] >= 1000u << i && real.waits[i] <= (1500u << i) + 1);
    }
    flow_close(&f);
    return 0;
}

/* Busy now and then between polls is not busy all the time. */
static int busy_between_polls(void)
{
    static const struct reply still = {202, "Retry-After: 3\r\n",
                                       "{\"operationId\":\"1\",\"status\":\"assigning\"}", NULL, false};
    CHECK_EQUAL(flow_open(&f, "between", true), 0);
    reset();
    for (unsigned i = POLL; i < SCRIPT_MAX; i++) {
        real.script[i] = i % 2 == 0 ? &down : &still;
    }
    CHECK_EQUAL(run(), 0);
    CHECK_EQUAL(f.device.http_requests, SCRIPT_MAX + 1);
    flow_close(&f);
    return 0;
}

static int odd_retry_after(void)
{
    static const struct {
        const char *header;
        uint32_t least, most;
    } cases[] = {
        {"Retry-After: 0\r\n", 1, 1},
        {"Retry-After: 300\r\n", 300000, 450001},
        {"Retry-After: 301\r\n", 300000, 450001},
        {"Retry-After: 99999999999999999999999\r\n", 300000, 450001},
        {"Retry-After: soon\r\n", 1000, 1501},
        {"Retry-After: -1\r\n", 1000, 1501},
        {"Retry-After: 1.5\r\n", 1000, 1501},
        {"Retry-After:\r\n", 1000, 1501},
        {"Retry-After: Fri, 31 Dec 2027 23:59:59 GMT\r\n", 1000, 1501},
        {"Retry-After: 3\r\nretry-after: 4\r\n", 1000, 1501},
    };
    CHECK_EQUAL(flow_open(&f, "retry-after", true), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct reply r = {429, cases[i].header, "", NULL, false};
        CHECK_EQUAL(run_with(FIRST_PUT, &r), 0);
        CHECK(real.waits[0] >= cases[i].least && real.waits[0] <= cases[i].most);
    }
    flow_close(&f);
    return 0;
}

/* ---- The hub ----------------------------------------------------------------------------------------- */

static int send_with(const struct reply *r)
{
    reset();
    real.script[0] = r;
    f.config.data = bytes_of_text("hello");
    const int error = dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len));
    return error != 0 ? error : finish();
}

static int hub_answers(void)
{
    static const struct reply ok = {200, "", "", NULL, false};
    static const struct reply no_content = {
        .raw = "HTTP/1.1 204 No Content\r\nServer: Microsoft-HTTPAPI/2.0\r\n\r\n"};
    static const struct reply refused = {401, "iothub-errorcode: IotHubUnauthorizedAccess\r\n",
                                         "{\"Message\":\"ErrorCode:IotHubUnauthorizedAccess;Unauthorized\","
                                         "\"ExceptionMessage\":\"Tracking ID:x\"}",
                                         NULL, false};
    CHECK_EQUAL(flow_open(&f, "hub", true), 0);
    reset();
    CHECK_EQUAL(run(), 0);
    CHECK_EQUAL(send_with(&ok), 0);
    CHECK(was_sent(0, "POST /devices/device-1/messages/events?api-version="));
    CHECK(was_sent(0, "\r\nContent-Length:     5\r\n\r\nhello"));
    CHECK_EQUAL(send_with(&no_content), 0);
    CHECK_EQUAL(send_with(&refused), BYTES_E_HTTP);
    CHECK_EQUAL(f.device.http_status, 401);
    CHECK(message_is("ErrorCode:IotHubUnauthorizedAccess;Unauthorized"));
    CHECK_EQUAL(send_with(&throttled_7), 0);
    CHECK_EQUAL(real.requests, 2);
    f.config.hub_port = 0;
    CHECK_EQUAL(send_with(&ok), BYTES_E_USAGE);
    f.config.hub_port = 8443;
    CHECK_EQUAL(send_with(&ok), 0);
    CHECK(was_sent(0, ".example:8443\r\n"));
    flow_close(&f);
    return 0;
}

/* ---- What the device sends --------------------------------------------------------------------------- */

static int requests_of_the_device(void)
{
    CHECK_EQUAL(flow_open(&f, "requests", true), 0);
    reset();
    f.config.payload = bytes_of_text("{\"model\":\"x\"}");
    f.config.service_port = 8443;
    CHECK_EQUAL(run(), 0);
    CHECK(was_sent(FIRST_PUT,
                   "PUT /" FLOW_SCOPE "/registrations/device-1/register?api-version=2021-06-01 HTTP/1.1\r\n"
                   "Host: " FLOW_HOST ":8443\r\n"));
    CHECK(was_sent(FIRST_PUT, ",\"payload\":{\"model\":\"x\"}}"));
    CHECK(!was_sent(FIRST_PUT, "Authorization"));
    CHECK(was_sent(SECOND_PUT,
                   "Authorization: SharedAccessSignature sr=" FLOW_SCOPE "%2Fregistrations%2Fdevice-1&sig="));
    CHECK(was_sent(SECOND_PUT, "\"storageRootKey\":\"ARoAAQALAAMEcgAA"));
    CHECK(was_sent(POLL, "Authorization: SharedAccessSignature sr="));
    f.config.payload = bytes_of_text("{");
    CHECK_EQUAL(run(), BYTES_E_USAGE);
    flow_close(&f);
    return 0;
}

/* A payload that leaves no room is reported before anything is sent. */
static int request_without_room(void)
{
    static char payload[DPS_NET_BUFFER];
    CHECK_EQUAL(flow_open(&f, "no-room", true), 0);
    reset();
    snprintf(payload, sizeof payload, "\"%0*d\"", DPS_NET_BUFFER - 3, 0);
    f.config.payload = bytes_of_text(payload);
    CHECK_EQUAL(failed_cleanly(run(), BYTES_E_SPACE), 0);
    CHECK_EQUAL(real.requests, 0);
    flow_close(&f);
    return 0;
}

static int configurations(void)
{
    static char long_name[300];
    const struct dps_device_config good = {
        .service_host = FLOW_HOST, .service_port = 443, .id_scope = FLOW_SCOPE};
    memset(long_name, 'a', sizeof long_name - 1);
    CHECK_EQUAL(flow_open(&f, "config", true), 0);
    for (int i = 0; i < 7; i++) {
        struct dps_device_config bad = good;
        switch (i) {
        case 0:
            bad.service_host = NULL;
            break;
        case 1:
            bad.service_port = 0;
            break;
        case 2:
            bad.id_scope = NULL;
            break;
        case 3:
            bad.id_scope = "";
            break;
        case 4:
            bad.id_scope = long_name;
            break;
        case 5:
            bad.service_host = long_name;
            break;
        default:
            bad.registration_id = "no/id";
            break;
        }
        CHECK_EQUAL(dps_device_register(&f.device, &bad, flow_nonce), BYTES_E_USAGE);
    }
    CHECK_EQUAL(dps_device_register(&f.device, &good, flow_nonce), 0);
    flow_close(&f);
    return 0;
}

static int token_again(const struct reply *hub)
{
    reset();
    real.script[0] = hub;
    f.saves = 0;
    return dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len));
}

/* No clock of its own: the hub is asked for the time, and any answer of it will do, unless it does not say. */
static int no_time_at_all(void)
{
    static const struct reply silent = {.raw = "HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n"};
    static const struct reply tells = {
        .raw = "HTTP/1.1 404 X\r\nDate: Fri, 15 Jan 2027 08:00:00 GMT\r\nContent-Length: 0\r\n\r\n"};
    CHECK_EQUAL(flow_open(&f, "no-time", true), 0);
    reset();
    f.no_clock = true;
    CHECK_EQUAL(run(), 0);
    CHECK_EQUAL(token_again(&silent), 0);
    CHECK_EQUAL(failed_cleanly(finish(), BYTES_E_CLOCK), 0);
    CHECK_EQUAL(dps_device_step(&f.device), 10);
    CHECK_EQUAL(token_again(&tells), 0);
    CHECK(finish() == 0 && f.device.now == UINT64_C(1800000000) && f.device.token_len > 0);
    /* A date that cannot be read counts as none. */
    reset();
    static const struct reply odd = {.raw = "HTTP/1.1 503 X\r\nDate: yesterday\r\nContent-Length: 0\r\n\r\n"};
    real.script[FIRST_PUT] = &odd;
    CHECK_EQUAL(run(), 0);
    flow_close(&f);
    return 0;
}

/* ---- The TPM's answers, where they decide ------------------------------------------------------------ */

/* The command whose at-th response is changed. */
static uint32_t changed_code;

/* The at-th response to changed_code is a good one with one TPM2B of counter bytes, for a command with forged_auths
 * authorizations. */
static size_t forged_auths;
static void forge_2b(struct flow *g, uint8_t *response, size_t *len)
{
    uint8_t content[512] = {0};
    struct bytes_writer w = bytes_writer_over(response, DPS_TPM_BUFFER);
    if (!flow_is_at(g, changed_code, g->at)) {
        return;
    }
    bytes_write_u16(&w, TPM2_ST_SESSIONS);
    bytes_write_u32(&w, (uint32_t)(10 + 4 + 2 + g->counter + 5 * forged_auths));
    bytes_write_u32(&w, 0);
    bytes_write_u32(&w, 2 + g->counter);
    bytes_write_2b(&w, bytes_of(content, g->counter));
    for (size_t i = 0; i < forged_auths; i++) {
        bytes_write_bytes(&w, bytes_of("\0\0\1\0\0", 5)); /* no nonce, continueSession, no HMAC */
    }
    *len = w.len;
}

static int sizes_that_cannot_be(void)
{
    static const struct {
        uint32_t code;
        unsigned at, auths, size;
        int error;
    } cases[] = {
        {TPM2_CC_ACTIVATE_CREDENTIAL, 1, 2, 32, BYTES_E_ALGORITHM},
        {TPM2_CC_ACTIVATE_CREDENTIAL, 1, 2, 0, BYTES_E_ALGORITHM},
        {TPM2_CC_ACTIVATE_CREDENTIAL, 2, 2, 15, BYTES_E_ALGORITHM},
        {TPM2_CC_IMPORT, 1, 1, 300, BYTES_E_LIMIT},
        {TPM2_CC_IMPORT, 2, 1, 191, BYTES_E_LIMIT},
        {TPM2_CC_HMAC, 1, 1, 20, BYTES_E_ALGORITHM},
        {TPM2_CC_HMAC, 2, 1, 48, BYTES_E_ALGORITHM},
    };
    CHECK_EQUAL(flow_open(&f, "sizes", true), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reset();
        f.change_response = forge_2b;
        changed_code = cases[i].code;
        f.at = cases[i].at;
        f.counter = cases[i].size;
        forged_auths = cases[i].auths;
        f.config.no_sessions = true;
        CHECK_EQUAL(run(), cases[i].error);
        CHECK_EQUAL(f.saves, 0);
        CHECK_EQUAL(flow_reset_tpm(&f), 0);
        /* In a session nobody gets so far. */
        reset();
        f.config.no_sessions = false;
        const int error = run();
        CHECK(error == BYTES_E_INTEGRITY || error == BYTES_E_FORMAT);
        f.change_response = NULL;
        CHECK_EQUAL(flow_reset_tpm(&f), 0);
    }
    flow_close(&f);
    return 0;
}

/* Flips a bit of the at-th response to changed_code, counter bytes from its start. */
static void flip_bit(struct flow *g, uint8_t *response, size_t *len)
{
    if (flow_is_at(g, changed_code, g->at) && g->counter < *len) {
        response[g->counter] ^= 1;
    }
}

/* A persistent key that is not ours is left alone, and ours is made beside it; a new one that is not
 * what was asked for is an error. Offsets: the lowest byte of objectAttributes in the responses of
 * ReadPublic and CreatePrimary. */
static int keys_that_are_not_ours(void)
{
    enum { READ_PUBLIC = 10 + 2 + 4 + 3, CREATED = 10 + 4 + 4 + 2 + 4 + 3 };
    CHECK_EQUAL(flow_open(&f, "not-ours", true), 0);
    reset();
    CHECK_EQUAL(run(), 0);
    const unsigned at_hand = f.tpm_commands;
    f.change_response = flip_bit;
    changed_code = TPM2_CC_READ_PUBLIC;
    f.counter = READ_PUBLIC;
    for (f.at = 1; f.at <= 2; f.at++) {
        reset();
        CHECK_EQUAL(run(), 0);
        CHECK_EQUAL(f.tpm_commands, at_hand + 2); /* CreatePrimary, and one FlushContext more */
        CHECK_EQUAL(flow_handles(&f, TRANSIENT), 0);
    }
    flow_close(&f);
    CHECK_EQUAL(flow_open(&f, "not-asked-for", false), 0);
    f.change_response = flip_bit;
    changed_code = TPM2_CC_CREATE_PRIMARY;
    f.counter = CREATED;
    for (f.at = 1; f.at <= 2; f.at++) { /* of the EK, of the SRK */
        reset();
        CHECK_EQUAL(failed_cleanly(run(), BYTES_E_ALGORITHM), 0);
        CHECK(dps_device_step(&f.device) == (f.at == 1 ? 1u : 3u));
    }
    flow_close(&f);
    return 0;
}

static int azure_sdk_template(void)
{
    CHECK_EQUAL(flow_open(&f, "azure-template", false), 0);
    f.config.ek_template = DPS_EK_AZURE_SDK;
    CHECK_EQUAL(dps_device_read_keys(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(finish(), 0);
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    const size_t len = f.device.ek_len;
    memcpy(ek, f.device.ek, len);
    CHECK_EQUAL(flow_enroll(&f, "device-1", bytes_of(ek, len), ""), 0);
    reset();
    CHECK_EQUAL(run(), 0);
    CHECK(memcmp(ek, f.device.ek, len) == 0);
    flow_close(&f);
    return 0;
}

/* The at-th response is this code; from there on if counter says so. */
static uint32_t code_given;
static void refuse(struct flow *g, uint8_t *response, size_t *len)
{
    if (g->tpm_commands == g->at || (g->tpm_commands > g->at && g->counter > 0)) {
        struct bytes_writer w = bytes_writer_over(response, DPS_TPM_BUFFER);
        bytes_write_u16(&w, TPM2_ST_NO_SESSIONS);
        bytes_write_u32(&w, 10);
        bytes_write_u32(&w, code_given);
        *len = w.len;
        g->counter -= g->counter > 0;
    }
}

static void cut(struct flow *g, uint8_t *response, size_t *len)
{
    (void)response;
    if (g->tpm_commands == g->at) {
        *len = 9;
    }
}

static int every_command_fails(void)
{
    CHECK_EQUAL(flow_open(&f, "every-command", false), 0);
    reset();
    CHECK_EQUAL(run(), 0);
    const unsigned whole = f.tpm_commands;
    code_given = 0x101;
    for (f.at = 1; f.at < whole - 2; f.at++) { /* the last ones flush EK, SRK and key, when all is done */
        reset();
        f.change_response = refuse;
        CHECK_EQUAL(run(), BYTES_E_TPM_RC);
        CHECK(f.device.rc == 0x101 && f.saves == 0);
        f.change_response = NULL;
        CHECK_EQUAL(flow_reset_tpm(&f), 0);
        f.change_response = cut;
        CHECK_EQUAL(run(), BYTES_E_FORMAT);
        CHECK_EQUAL(f.saves, 0);
        f.change_response = NULL;
        CHECK_EQUAL(flow_reset_tpm(&f), 0);
    }
    flow_close(&f);
    return 0;
}

/* "Later", a few times and for ever. */
static int busy_tpm(void)
{
    CHECK_EQUAL(flow_open(&f, "busy-tpm", true), 0);
    f.change_response = refuse;
    code_given = 0x922;
    f.at = 1;
    f.counter = 4;
    reset();
    CHECK_EQUAL(run(), 0);
    CHECK(real.waits[0] == 10 && real.waits[1] == 20 && real.waits[2] == 40 && real.waits[3] == 80);
    f.counter = 1000;
    CHECK_EQUAL(run(), BYTES_E_TPM_RC);
    CHECK(f.device.rc == 0x922 && real.wait_count == 12 && real.waits[11] == 20480);
    flow_close(&f);
    return 0;
}

static int named_after_its_ek(void)
{
    char id[64];
    CHECK_EQUAL(flow_open(&f, "named", true), 0);
    f.config.registration_id = NULL;
    CHECK_EQUAL(dps_device_read_ek(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(finish(), 0);
    strcpy(id, f.device.registration_id);
    CHECK_EQUAL(flow_enroll(&f, id, bytes_of(f.device.ek, f.device.ek_len), ""), 0);
    reset();
    CHECK_EQUAL(run(), 0);
    CHECK_EQUAL(f.device.device_id, id);
    flow_close(&f);
    return 0;
}

/* The owner's secrets, from the moment they are set to the moment they are cleared. */
static int authorizations(void)
{
    CHECK_EQUAL(flow_open(&f, "authorizations", false), 0);
    f.config.new_owner_auth = bytes_of_text("owner");
    f.config.new_endorsement_auth = bytes_of_text("endorsement");
    f.config.persist = true;
    CHECK_EQUAL(dps_device_own(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(finish(), 0);
    f.config.owner_auth = bytes_of_text("owner");
    f.config.endorsement_auth = bytes_of_text("endorsement");
    reset();
    CHECK_EQUAL(run(), 0);
    CHECK_EQUAL(dps_device_clear(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(finish(), 0);
    f.config.owner_auth = f.config.endorsement_auth = bytes_of(NULL, 0);
    reset();
    CHECK_EQUAL(run(), 0);
    flow_close(&f);
    return 0;
}

/* A record that is whole and yet not one that we have written. */
static int records_of_others(void)
{
    static char long_name[DPS_HOST_MAX + 2];
    static struct dps_device other;
    uint8_t record[DPS_RECORD_FILE_MAX];
    CHECK_EQUAL(flow_open(&f, "records", true), 0);
    memset(long_name, 'a', sizeof long_name - 1);
    for (int zero = 0; zero < 2; zero++) {
        struct bytes_writer w = bytes_writer_over(record, sizeof record - 32);
        bytes_write_bytes(&w, bytes_of_text("DPS1"));
        bytes_write_2b(&w, bytes_of_text(FLOW_SCOPE));
        bytes_write_2b(&w, zero ? bytes_of("a\0b", 3) : bytes_of_text("device-1"));
        bytes_write_2b(&w, bytes_of_text(long_name));
        for (int i = 0; i < 4; i++) {
            bytes_write_2b(&w, bytes_of_text("x"));
        }
        const struct bytes all = bytes_written(&w);
        crypto_sha256(&all, 1, record + w.len);
        CHECK_EQUAL(dps_device_token(&other, &f.config, flow_nonce, bytes_of(record, w.len + 32)),
                    BYTES_E_STATE);
    }
    flow_close(&f);
    return 0;
}

/* ---- The engine's own promises ----------------------------------------------------------------------- */

/* What was not wanted changes nothing. */
static int out_of_turn(void)
{
    static struct dps_device before;
    size_t room;
    CHECK_EQUAL(flow_open(&f, "out-of-turn", true), 0);
    reset();
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    for (;;) {
        const enum dps_want want = dps_device_want(&f.device);
        memcpy(&before, &f.device, sizeof before);
        if (want != DPS_WANT_TPM) {
            CHECK_EQUAL(dps_device_tpm_command(&f.device).len, 0);
            dps_device_tpm_response(&f.device, bytes_of("", 0));
        }
        if (want != DPS_WANT_CONNECT) {
            dps_device_connected(&f.device, 0);
        }
        if (want != DPS_WANT_SEND) {
            CHECK_EQUAL(dps_device_net_out(&f.device).len, 0);
            dps_device_net_sent(&f.device, 1);
        }
        dps_device_net_sent(&f.device, sizeof f.device.net);
        (void)dps_device_net_in(&f.device, &room);
        CHECK((room > 0) == (want == DPS_WANT_RECEIVE));
        if (want != DPS_WANT_RECEIVE) {
            dps_device_net_received(&f.device, 0);
        }
        dps_device_net_received(&f.device, sizeof f.device.net + 1);
        if (want != DPS_WANT_TIME) {
            dps_device_time(&f.device, 1);
        }
        if (want != DPS_WANT_WAIT) {
            dps_device_waited(&f.device);
            CHECK_EQUAL(dps_device_wait_ms(&f.device), 0);
        }
        if (want != DPS_WANT_SAVE) {
            CHECK_EQUAL(dps_device_record(&f.device).len, 0);
            dps_device_saved(&f.device);
        }
        CHECK(bytes_equal_public(bytes_of(&before, sizeof before), bytes_of(&f.device, sizeof f.device)));
        CHECK(strlen(dps_device_what(&f.device)) > 0);
        if (want == DPS_WANT_DONE) {
            break;
        }
        advance();
    }
    dps_device_wipe(&f.device);
    flow_close(&f);
    return 0;
}

/* The driver gives up at every possible moment: the first error stays, and the TPM is cleaned up. */
static int driver_gives_up(void)
{
    CHECK_EQUAL(flow_open(&f, "gives-up-everywhere", false), 0);
    for (unsigned steps = 0;; steps++) {
        reset();
        CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
        for (unsigned i = 0; i < steps && dps_device_want(&f.device) != DPS_WANT_DONE; i++) {
            advance();
        }
        if (dps_device_want(&f.device) == DPS_WANT_DONE) {
            CHECK(steps > 25); /* all of them */
            break;
        }
        const bool flushing = f.device.closing; /* all else is done: one handle stays, and no error */
        const int expected = flushing ? 0 : BYTES_E_TPM_TRANSPORT;
        const unsigned step = dps_device_step(&f.device);
        dps_device_fail(&f.device, BYTES_E_TPM_TRANSPORT);
        CHECK_EQUAL(finish(), expected);
        dps_device_fail(&f.device, BYTES_E_FILE);
        CHECK_EQUAL(f.device.error, expected);
        CHECK_EQUAL(dps_device_step(&f.device), step);
        CHECK(f.saves == 0 || step == 10);
        CHECK_EQUAL(flow_handles(&f, TRANSIENT) + flow_handles(&f, SESSIONS), flushing);
        CHECK_EQUAL(flow_reset_tpm(&f), 0);
    }
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s06 the challenge in chunks, cut at 0x400 inside the base64", challenge_in_chunks},
        {"s09 assigning for a while: Retry-After 3, dots and dashes, no registrationState",
         assigning_for_a_while},
        {"s09 assigning for ever", never_assigned},
        {"s09 words of 2017 and of tomorrow, statuses in odd case", old_and_new_words},
        {"s09 assigned at once, without polling", assigned_at_once},
        {"s06 bytes after the blob", blob_with_trailing_bytes},
        {"s06 keyName absent, null, another one, none", names_of_keys},
        {"other framings: a length, until close, HTTP/1.0", other_framings},
        {"interim answers", interim_answers},
        {"the connection is closed between requests", closed_between_requests},
        {"the connection is closed within a request", closed_within_a_request},
        {"answers that are not HTTP, break off, or are too large", answers_that_are_none},
        {"error JSON at each request", error_json},
        {"s09 another registration came first", overtaken},
        {"redirects, and success that cannot be one", redirects_and_false_success},
        {"s08 challenged twice", challenged_twice},
        {"s09 failed, disabled, unassigned and unknown statuses", registration_ends_badly},
        {"answers that lack something", answers_that_lack_something},
        {"s06 a damaged blob", blob_with_a_large_public_area},
        {"429 and 5xx at each request, then recovery", recovers},
        {"429 for ever: back-off grows, ends, and has jitter", gives_up},
        {"busy between polls", busy_between_polls},
        {"Retry-After in odd forms", odd_retry_after},
        {"s10 what a hub answers", hub_answers},
        {"s04 what the device sends", requests_of_the_device},
        {"s04 a payload without room", request_without_room},
        {"configurations that are refused", configurations},
        {"s08 no clock and no Date", no_time_at_all},
        {"s07 sizes that cannot be", sizes_that_cannot_be},
        {"s01 s03 keys that are not ours", keys_that_are_not_ours},
        {"s01 the Azure SDKs' EK template", azure_sdk_template},
        {"every TPM command refused, every response cut", every_command_fails},
        {"a busy TPM", busy_tpm},
        {"s04 named after its EK", named_after_its_ek},
        {"s03 the owner's secrets", authorizations},
        {"records of others", records_of_others},
        {"what was not wanted changes nothing", out_of_turn},
        {"the driver gives up at every moment", driver_gives_up},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
