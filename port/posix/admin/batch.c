/* SPDX-License-Identifier: MIT */
/* dps-admin: up to ten enrollments in one bulk operation, and what becomes of each. */
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/enrollment.h"
#include "port/posix/admin/tool.h"
#include <string.h>

/* How often a service that is busy or gone is asked again: with the doubling waits below, for about a
 * minute. */
#define RETRIES 6
#define WAIT_MAX_SECONDS 300

/* ---- Is what exists what was asked for? ---- */

static bool same_string(struct bytes a, struct bytes b)
{
    uint8_t text[2][DPS_HTTP_BODY_MAX];
    size_t len[2];
    return dps_json_string(a, text[0], sizeof text[0], &len[0]) == 0 &&
           dps_json_string(b, text[1], sizeof text[1], &len[1]) == 0 &&
           bytes_equal_public(bytes_of(text[0], len[0]), bytes_of(text[1], len[1]));
}

static size_t count_members(struct bytes container)
{
    struct bytes name, value;
    size_t cursor = 0, count = 0;
    while (dps_json_next(container, &cursor, &name, &value)) {
        count++;
    }
    return count;
}

/* The order of members, white space and escapes in strings do not matter; numbers are compared as they are
 * written. Nesting is bounded by dps_json_check. */
static bool same_value(struct bytes a, struct bytes b)
{
    struct bytes name, value, other;
    size_t cursor = 0, other_cursor = 0;
    enum dps_json_kind kind = dps_json_kind(a);
    if (kind != dps_json_kind(b)) {
        return false;
    }
    if (kind == DPS_JSON_STRING) {
        return same_string(a, b);
    }
    if (kind != DPS_JSON_OBJECT && kind != DPS_JSON_ARRAY) {
        return bytes_equal_public(a, b);
    }
    if (count_members(a) != count_members(b)) {
        return false;
    }
    while (dps_json_next(a, &cursor, &name, &value)) {
        char text[256];
        bool found;
        if (kind == DPS_JSON_ARRAY) {
            found = dps_json_next(b, &other_cursor, &name, &other);
        } else {
            snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.p);
            found = name.len < sizeof text && dps_json_member(b, text, &other) == 0;
        }
        if (!found || !same_value(value, other)) {
            return false;
        }
    }
    return true;
}

size_t admin_enrollment_key(struct bytes enrollment, uint8_t ek[DPS_EK_PUBLIC_MAX])
{
    struct bytes attestation, tpm, value;
    uint8_t text[1024];
    size_t len;
    if (dps_json_member(enrollment, "attestation", &attestation) != 0 ||
        dps_json_member(attestation, "tpm", &tpm) != 0 ||
        dps_json_member(tpm, "endorsementKey", &value) != 0 ||
        dps_json_string(value, text, sizeof text, &len) != 0 ||
        dps_ek_from_base64(bytes_of(text, len), ek, &len, NULL) != 0) {
        return 0;
    }
    return len;
}

static bool same_key(struct bytes asked, struct bytes existing)
{
    uint8_t key[2][DPS_EK_PUBLIC_MAX];
    size_t len = admin_enrollment_key(asked, key[0]);
    return len > 0 && admin_enrollment_key(existing, key[1]) == len && memcmp(key[0], key[1], len) == 0;
}

/* Absent, null and an empty array are the same. A member that was not asked for and that the service filled
 * in is ignored, unless it decides where a device goes or what it is called there. */
static bool same_member(struct bytes asked, struct bytes existing, const char *name, bool decides)
{
    struct bytes a, b;
    bool has_a = dps_json_member(asked, name, &a) == 0 && dps_json_kind(a) != DPS_JSON_NULL &&
                 (dps_json_kind(a) != DPS_JSON_ARRAY || count_members(a) > 0);
    bool has_b = dps_json_member(existing, name, &b) == 0 && dps_json_kind(b) != DPS_JSON_NULL &&
                 (dps_json_kind(b) != DPS_JSON_ARRAY || count_members(b) > 0);
    if (has_a && has_b) {
        return same_value(a, b);
    }
    return !has_a && (!has_b || !decides);
}

static bool demands_hardened_srk(struct bytes enrollment)
{
    struct bytes attestation, tpm, srk;
    return dps_json_member(enrollment, "attestation", &attestation) == 0 &&
           dps_json_member(attestation, "tpm", &tpm) == 0 && dps_json_member(tpm, "srk", &srk) == 0 &&
           dps_json_kind(srk) != DPS_JSON_NULL;
}

static bool is_disabled(struct bytes enrollment)
{
    struct bytes value;
    return dps_json_member(enrollment, "provisioningStatus", &value) == 0 &&
           dps_json_string_is(value, "disabled");
}

/* Does the existing enrollment have all that is asked for, and nothing else that matters? Both are checked JSON. */
static bool same_enrollment(struct bytes asked, struct bytes existing)
{
    static const struct {
        const char *name;
        bool decides;
    } members[] = {{"deviceId", true},          {"iotHubs", true},
                   {"iotHubHostName", true},    {"allocationPolicy", false},
                   {"initialTwin", true},       {"payload", true},
                   {"capabilities", false},     {"optionalDeviceInformation", false},
                   {"reprovisionPolicy", false}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (!same_member(asked, existing, members[i].name, members[i].decides)) {
            return false;
        }
    }
    return same_key(asked, existing) && is_disabled(asked) == is_disabled(existing) &&
           demands_hardened_srk(asked) == demands_hardened_srk(existing);
}

/* ---- Asking, with retries ---- */

static uint32_t wait_seconds(const struct admin_tool *t, int error, unsigned attempt)
{
    struct bytes value;
    uint64_t seconds;
    if (error == 0 && dps_http_header(&t->https.http, t->https.buffer, "Retry-After", &value) == 0 &&
        dps_decimal_parse(value, WAIT_MAX_SECONDS, &seconds) == 0) {
        return (uint32_t)seconds;
    }
    return UINT32_C(1) << attempt;
}

/* Waiting may help: the service is busy, or was there a moment ago. */
static bool may_pass(const struct admin_tool *t, const struct admin_batch *b, int error)
{
    if (error != 0) {
        return b->answered && (error == BYTES_E_STREAM || error == BYTES_E_TIMEOUT);
    }
    return t->https.http.status == 429 || t->https.http.status >= 500;
}

/* A bulk operation may be sent twice: what the first one created is found to exist, and to be the same. */
static int exchange_patiently(struct admin_tool *t, struct admin_batch *b,
                              const struct admin_request *request)
{
    struct port_clock clock = posix_clock();
    for (unsigned attempt = 0;; attempt++) {
        int error = admin_exchange(t, request);
        b->answered = b->answered || error == 0;
        if (posix_interrupted != 0 || attempt == RETRIES || !may_pass(t, b, error)) {
            return error;
        }
        uint32_t seconds = wait_seconds(t, error, attempt);
        admin_say("the service is %s; trying again in %u s", error != 0 ? "not to be reached" : "busy",
                  (unsigned)seconds);
        if (clock.sleep_ms(clock.context, seconds * 1000) != 0) {
            return error;
        }
    }
}

/* After an interruption there is nothing to explain: the user knows why there is no answer. */
static int explain(const struct admin_tool *t, const struct admin_request *request, int error)
{
    return error != 0 && posix_interrupted != 0 ? POSIX_EXIT_NETWORK : admin_explain(t, request, error);
}

/* ---- What became of them ---- */

static void refuse_item(struct admin_item *item, struct bytes error, const char *text_member)
{
    struct bytes value;
    uint64_t code = 0;
    size_t len = 0;
    if (dps_json_member(error, "errorCode", &value) == 0) {
        (void)dps_json_uint(value, UINT32_MAX, &code);
    }
    if (dps_json_member(error, text_member, &value) == 0) {
        (void)dps_json_string(value, (uint8_t *)item->message, sizeof item->message - 1, &len);
    }
    item->message[len] = 0;
    item->code = (uint32_t)code;
    item->outcome = ADMIN_REFUSED;
}

/* ids are unique in a batch. */
static struct admin_item *find_item(struct admin_batch *b, struct bytes error)
{
    struct bytes value;
    uint8_t id[DPS_REGISTRATION_ID_MAX];
    size_t len;
    if (dps_json_member(error, "registrationId", &value) != 0 ||
        dps_json_string(value, id, sizeof id, &len) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < b->count; i++) {
        if (dps_text_equal_nocase(bytes_of_text(b->items[i].id), bytes_of(id, len))) {
            return &b->items[i];
        }
    }
    return NULL;
}

static int read_result(struct admin_batch *b, size_t from, size_t to, struct bytes body)
{
    struct bytes root, errors, name, error, success;
    size_t cursor = 0, refused = 0;
    if (dps_json_check(body, &root) != 0 || dps_json_member(root, "isSuccessful", &success) != 0) {
        return admin_explain_malformed();
    }
    if (dps_json_member(root, "errors", &errors) == 0 && dps_json_kind(errors) == DPS_JSON_ARRAY) {
        while (dps_json_next(errors, &cursor, &name, &error)) {
            struct admin_item *item = find_item(b, error);
            if (item == NULL) {
                return admin_explain_malformed();
            }
            refuse_item(item, error, "errorStatus");
            refused++;
        }
    }
    if ((dps_json_kind(success) == DPS_JSON_TRUE) != (refused == 0)) {
        return admin_explain_malformed();
    }
    for (size_t i = from; i < to; i++) {
        if (b->items[i].outcome == ADMIN_PENDING) {
            b->items[i].outcome = ADMIN_DONE;
        }
    }
    return 0;
}

/* It was to be created and exists: that is not an error if somebody, perhaps this program before it was stopped,
 * has created exactly the same. */
static int look_at_existing(struct admin_tool *t, struct admin_batch *b, struct admin_item *item)
{
    const struct admin_request request = {.method = "GET", .collection = "enrollments", .name = item->id};
    struct bytes asked, existing;
    int error = exchange_patiently(t, b, &request);
    if (error != 0 || t->https.http.status == 401 || t->https.http.status == 403) {
        return explain(t, &request, error);
    }
    if (t->https.http.status == 200 && dps_json_check(item->json, &asked) == 0 &&
        dps_json_check(dps_http_body(&t->https.http, t->https.buffer), &existing) == 0 &&
        same_enrollment(asked, existing)) {
        item->outcome = ADMIN_UNCHANGED;
    }
    return 0;
}

/* ---- Sending ---- */

static struct bytes write_body(struct admin_tool *t, const struct admin_batch *b, size_t from, size_t to)
{
    struct bytes_writer w = bytes_writer_over(t->body, sizeof t->body);
    const char *separator = "";
    dps_write_text(&w, "{\"mode\":\"");
    dps_write_text(&w, b->mode);
    dps_write_text(&w, "\",\"enrollments\":[");
    for (size_t i = from; i < to; i++) {
        if (b->items[i].outcome != ADMIN_PENDING) {
            continue;
        }
        dps_write_text(&w, separator);
        bytes_write_bytes(&w, b->items[i].json);
        separator = ",";
    }
    dps_write_text(&w, "]}");
    return separator[0] != 0 ? bytes_written(&w) : bytes_of(NULL, 0);
}

/* Is the whole request refused because of its content, and not because of who sends it or where to? */
static bool is_about_content(unsigned status)
{
    return status >= 400 && status < 500 && status != 401 && status != 403 && status != 404 &&
           status != 405 && status != 429;
}

static int send_range(struct admin_tool *t, struct admin_batch *b, size_t from, size_t to)
{
    struct bytes root;
    struct admin_request request = {
        .method = "POST", .collection = "enrollments", .name = "", .body = write_body(t, b, from, to)};
    if (request.body.len == 0) {
        return 0;
    }
    int error = exchange_patiently(t, b, &request);
    unsigned status = error == 0 ? t->https.http.status : 0;
    struct bytes body = error == 0 ? dps_http_body(&t->https.http, t->https.buffer) : bytes_of(NULL, 0);
    if (status >= 200 && status <= 299) {
        return read_result(b, from, to, body);
    }
    if (!is_about_content(status) || dps_json_check(body, &root) != 0) {
        return explain(t, &request, error);
    }
    if (to - from == 1) {
        refuse_item(&b->items[from], root, "message");
        return 0;
    }
    /* One of them makes the whole request fail: sending each alone shows which one. */
    int exit_code = 0;
    for (size_t i = from; i < to && exit_code == 0; i++) {
        exit_code = send_range(t, b, i, i + 1);
    }
    return exit_code;
}

int admin_batch_send(struct admin_tool *t, struct admin_batch *b)
{
    int exit_code = send_range(t, b, 0, b->count);
    for (size_t i = 0; i < b->count && exit_code == 0; i++) {
        if (b->items[i].outcome == ADMIN_REFUSED && b->items[i].code / 1000 == 409) {
            exit_code = look_at_existing(t, b, &b->items[i]);
        }
    }
    return exit_code;
}
