/* SPDX-License-Identifier: MIT */
/* The transcript: readable within 100 columns, JSON that parses and covers every byte, and never a password. */
#include "crypto/bytes/bytes.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/explain/trace.h"
#include "tests/unit/test.h"
#include "tests/vectors/commands.h"
#include "tpm/tools/explain.h"
#include "tpm/tpm2.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_BASE64                                                                                           \
    "AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAxTAB"                   \
    "AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAxTAB"

static const char request[] =
    "PUT /0ne00000A0A/registrations/device-1/register?api-version=2021-06-01 HTTP/1.1\r\n"
    "Host: dps.example\r\n"
    "Authorization: SharedAccessSignature "
    "sr=0ne00000A0A%2Fregistrations%2Fdevice-1&sig=4Vh%2BWm1nCjH3yA&se=1\r\n"
    "Content-Length: 243\r\n"
    "\r\n"
    "{\"registrationId\":\"device-1\",\"tpm\":{\"endorsementKey\":\"" KEY_BASE64 "\"}, \"payload\":[1,{}]}";

static const char response[] = "HTTP/1.1 401 Unauthorized\r\n"
                               "Content-Length: 45\r\n"
                               "\r\n"
                               "{\"authenticationKey\":\"AAAA\",\"keyName\":\"\xC2\x9B"
                               "1m\"}";

static const char chunked[] = "HTTP/1.1 202 Accepted\r\n"
                              "Transfer-Encoding: chunked\r\n"
                              "\r\n"
                              "9\r\n{\"status\"\r\n7\r\n:\"ok\"}\n\r\n0\r\n\r\n";

/* Everything that one run says goes here. */
struct run {
    struct trace trace;
    struct port_trace port;
    char *text;
    size_t len;
    FILE *out;
};

static void begin(struct run *r, bool json)
{
    r->out = open_memstream(&r->text, &r->len);
    trace_open(&r->trace, r->out, json);
    r->port = trace_port(&r->trace);
}

static void say(struct run *r, unsigned step, enum port_trace_kind kind, const void *bytes, size_t len)
{
    r->port.message(r->port.context, step, kind, "what it is for", bytes_of(bytes, len));
}

static void end(struct run *r)
{
    trace_close(&r->trace);
    (void)fclose(r->out);
}

static void say_captured(struct run *r)
{
    for (size_t i = 0; i < captured_commands_count; i++) {
        const struct captured *c = &captured_commands[i];
        say(r, 7, PORT_TRACE_TPM_COMMAND, c->request.p, c->request.len);
        say(r, 7, PORT_TRACE_TPM_RESPONSE, c->response.p, c->response.len);
    }
}

static void say_http(struct run *r)
{
    say(r, 4, PORT_TRACE_HTTP_REQUEST, request, sizeof request - 1);
    for (size_t i = 0; i < sizeof response - 1; i++) {
        say(r, 4, PORT_TRACE_HTTP_RESPONSE, &response[i], 1);
    }
    say(r, 4, PORT_TRACE_HTTP_REQUEST, request, sizeof request - 1);
    say(r, 4, PORT_TRACE_HTTP_RESPONSE, chunked, 40);
    say(r, 4, PORT_TRACE_HTTP_RESPONSE, &chunked[40], sizeof chunked - 1 - 40);
}

static bool has(const struct run *r, const char *text)
{
    return strstr(r->text, text) != NULL;
}

/* UTF-8: continuation bytes have no column. */
static size_t longest_line(const char *text)
{
    size_t longest = 0;
    size_t columns = 0;
    for (; *text != 0; text++) {
        columns += ((unsigned char)*text & 0xC0) != 0x80;
        if (*text == '\n') {
            columns = 0;
        }
        longest = columns > longest ? columns : longest;
    }
    return longest;
}

static int test_readable(void)
{
    struct run r;
    begin(&r, false);
    say_captured(&r);
    say_http(&r);
    end(&r);
    CHECK(longest_line(r.text) <= 100);
    CHECK(has(&r, "Step 7  TPM2_ActivateCredential → TPM, "));
    CHECK(has(&r, "TPM2_ActivateCredential ← TPM, 10 bytes: TPM_RC_INTEGRITY (0x1df), parameter 1"));
    CHECK(has(&r, "fixedTPM"));
    CHECK(has(&r, "Step 4  HTTP → service, "));
    CHECK(has(&r, "HTTP/1.1 401 Unauthorized"));
    CHECK(has(&r, "sig=4Vh%2BWm1nCjH3yA"));
    CHECK(has(&r, "characters)") && !has(&r, KEY_BASE64));
    CHECK(has(&r, "\"status\"\r\n") == false && has(&r, "\"status\":\"ok\""));
    CHECK(!has(&r, "Malformed"));
    CHECK(strchr(r.text, '\033') == NULL && !has(&r, "\xC2\x9B"));
    CHECK(has(&r, "The activation blob in base64"));
    CHECK(has(&r, "New: policy session 0x03000000."));
    CHECK(has(&r, "Sessions: policy session 0x03000000. Encrypted: nothing."));
    free(r.text);
    return 0;
}

/* One line: it parses, hex has len bytes, the leaves are contiguous. */
static int check_line(struct bytes line, size_t *chunks)
{
    struct bytes object;
    struct bytes value;
    struct bytes fields;
    struct bytes name;
    struct bytes field;
    uint64_t len;
    size_t cursor = 0;
    uint64_t next = 0;
    CHECK_EQUAL(dps_json_check(line, &object), 0);
    CHECK(dps_json_member(object, "len", &value) == 0 && dps_json_uint(value, 100000, &len) == 0);
    CHECK(dps_json_member(object, "hex", &value) == 0 && value.len == 2 * len + 2);
    CHECK(dps_json_member(object, "step", &value) == 0 && dps_json_kind(value) == DPS_JSON_NUMBER);
    CHECK_EQUAL(dps_json_member(object, "masked", &value), 0);
    CHECK_EQUAL(dps_json_member(object, "fields", &fields), 0);
    while (dps_json_next(fields, &cursor, &name, &field)) {
        uint64_t offset;
        uint64_t field_len;
        CHECK(dps_json_member(field, "offset", &value) == 0 && dps_json_uint(value, len, &offset) == 0);
        CHECK(dps_json_member(field, "len", &value) == 0 && dps_json_uint(value, len, &field_len) == 0);
        CHECK_EQUAL(offset, next);
        CHECK_EQUAL(dps_json_member(field, "leaf", &value), 0);
        next += dps_json_kind(value) == DPS_JSON_TRUE ? field_len : 0;
        CHECK_EQUAL(dps_json_member(field, "name", &value), 0);
        *chunks += dps_json_string_is(value, "body in chunks");
    }
    CHECK_EQUAL(next, len);
    return 0;
}

static int check_lines(const struct run *r, size_t *lines, size_t *chunks)
{
    const char *at = r->text;
    *lines = 0;
    *chunks = 0;
    for (const char *line_end; (line_end = strchr(at, '\n')) != NULL; at = line_end + 1) {
        const int failed = check_line(bytes_of(at, (size_t)(line_end - at)), chunks);
        CHECK_EQUAL(failed, 0);
        ++*lines;
    }
    CHECK_EQUAL(*at, 0);
    return 0;
}

static int test_json(void)
{
    struct run r;
    size_t lines;
    size_t chunks;
    begin(&r, true);
    say_captured(&r);
    say_http(&r);
    end(&r);
    CHECK_EQUAL(check_lines(&r, &lines, &chunks), 0);
    CHECK_EQUAL(lines, 2 * captured_commands_count + 4);
    CHECK_EQUAL(chunks, 1);
    CHECK(has(&r, "\"kind\":\"tpm-command\",\"what\":\"what it is for\",\"name\":\"TPM2_Load\""));
    CHECK(has(&r, "\"name\":\"HTTP/1.1 202 Accepted\""));
    free(r.text);
    return 0;
}

/* The passwords in the captured commands are "owner", "auth" and "wrong"; as text and as hex they must not occur. */
static int test_passwords_never_appear(void)
{
    static const char *const hex[] = {"6f776e6572", "77726f6e67", "0004617574680000"};
    for (unsigned json = 0; json < 2; json++) {
        struct run r;
        begin(&r, json != 0);
        for (size_t i = 0; i < captured_commands_count; i++) {
            const struct captured *c = &captured_commands[i];
            for (size_t len = 1; len <= c->request.len; len++) { /* nor in what is broken */
                if (len == c->request.len || strncmp(c->name, "hierarchy", strlen("hierarchy")) == 0) {
                    say(&r, 7, PORT_TRACE_TPM_COMMAND, c->request.p, len);
                }
            }
        }
        end(&r);
        for (size_t i = 0; i < sizeof hex / sizeof hex[0]; i++) {
            CHECK(!has(&r, hex[i]));
        }
        CHECK(has(&r, json != 0 ? "\"masked\":true" : "hidden: 5 bytes"));
        free(r.text);
    }
    return 0;
}

/* A response without a length, one that never ends, one that is too large: all are shown. */
static int test_unfinished_responses(void)
{
    static const char open_end[] = "HTTP/1.1 200 OK\r\n\r\n{}";
    static const char broken[] = "HTTP/1.1 200 OK\nx";
    static char large[3 * DPS_NET_BUFFER];
    struct run r;
    size_t lines;
    size_t chunks;
    (void)memset(large, 'x', sizeof large);
    (void)memcpy(large, open_end, strlen("HTTP/1.1 200 OK\r\n\r\n"));
    begin(&r, true);
    say(&r, 4, PORT_TRACE_HTTP_RESPONSE, open_end, sizeof open_end - 1);
    say(&r, 4, PORT_TRACE_HTTP_REQUEST, request, sizeof request - 1);
    say(&r, 4, PORT_TRACE_HTTP_RESPONSE, broken, sizeof broken - 1);
    say(&r, 4, PORT_TRACE_HTTP_RESPONSE, broken, sizeof broken - 1);
    say(&r, 4, PORT_TRACE_HTTP_REQUEST, request, sizeof request - 1);
    say(&r, 4, PORT_TRACE_HTTP_RESPONSE, large, sizeof large);
    say(&r, 4, PORT_TRACE_HTTP_REQUEST, request, sizeof request - 1);
    say(&r, 4, PORT_TRACE_HTTP_RESPONSE, response, 30);
    end(&r);
    CHECK_EQUAL(check_lines(&r, &lines, &chunks), 0);
    CHECK_EQUAL(lines, 9);
    CHECK(has(&r, "\"error\":-2") && has(&r, "\"error\":-3"));
    free(r.text);

    begin(&r, false);
    say(&r, 4, PORT_TRACE_HTTP_RESPONSE, large, sizeof large);
    say(&r, 0, PORT_TRACE_TPM_RESPONSE, "\x80\x01\0\0\0\x0A\0\0\x01", 9);
    end(&r);
    CHECK(has(&r, "Malformed or incomplete") && longest_line(r.text) <= 100);
    free(r.text);
    return 0;
}

/* Does a message that goes to a terminal have colours? */
static bool coloured(void)
{
    char text[4096];
    struct trace t;
    bool found = false;
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
        return false;
    }
    FILE *out = fopen(ptsname(terminal), "we");
    if (out != NULL) {
        trace_open(&t, out, false);
        const struct port_trace port = trace_port(&t);
        port.message(port.context, 1, PORT_TRACE_TPM_COMMAND, "start", captured_commands[0].request);
        trace_close(&t);
        (void)fclose(out);
        for (ssize_t len; (len = read(terminal, text, sizeof text)) > 0;) {
            found = found || memchr(text, '\033', (size_t)len) != NULL;
        }
    }
    (void)close(terminal);
    return found;
}

static int test_colours_only_on_a_terminal(void)
{
    CHECK_EQUAL(unsetenv("NO_COLOR"), 0);
    CHECK(coloured());
    CHECK_EQUAL(setenv("NO_COLOR", "1", 1), 0);
    CHECK(!coloured());
    return 0;
}

/* A capture holds whatever somebody has sent: no size field is believed. */
static int test_capture_with_a_wrong_byte(void)
{
    for (size_t i = 0; i < captured_commands_count; i++) {
        const struct bytes command = captured_commands[i].request;
        for (size_t at = 0; at < command.len; at++) {
            uint8_t wrong[1024];
            struct run r;
            CHECK(command.len <= sizeof wrong);
            memcpy(wrong, command.p, command.len);
            wrong[at] ^= 1;
            begin(&r, at % 2 == 0);
            r.trace.capture = true;
            say(&r, 0, PORT_TRACE_TPM_COMMAND, wrong, command.len);
            end(&r);
            CHECK(r.len > 0);
            CHECK(strstr(r.text, "18446744073709551614") == NULL);
            free(r.text);
        }
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"readable within 100 columns", test_readable},
        {"JSON lines", test_json},
        {"passwords never appear", test_passwords_never_appear},
        {"unfinished responses", test_unfinished_responses},
        {"a capture with a wrong byte", test_capture_with_a_wrong_byte},
        {"colours only on a terminal", test_colours_only_on_a_terminal},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
