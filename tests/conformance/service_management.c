/* SPDX-License-Identifier: MIT */
/* SVC-S02-040 to 079: who may manage, queries, bulk operations, registrations. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include <string.h>

/* ---- Who may manage ------------------------------------------------------------------------------------ */

static bool with_token(struct conformance *c, const char *method, const char *target,
                       const char *authorization)
{
    char headers[1500];
    snprintf(headers, sizeof headers, "%s%s%s", authorization != NULL ? "Authorization: " : "",
             authorization != NULL ? authorization : "", authorization != NULL ? "\r\n" : "");
    return service_ask(c, method, target, headers, NULL);
}

struct token_vector {
    const char *name;
    const char *sr;      /* null: the host */
    int64_t age;         /* se, seconds after now */
    const char *se;      /* instead of that */
    const char *pattern; /* of the token */
    const char *skn;     /* null: the policy's */
    bool other_key;
    bool lower_hex;
};

static void write_token(struct conformance *c, const struct token_vector *v, char *text, size_t size)
{
    const struct service *s = service_of(c);
    uint8_t key[64];
    char se[24];
    char sr[600];
    memcpy(key, s->owner.key, sizeof key);
    key[0] ^= v->other_key;
    service_expiry(v->age, se, sizeof se);
    snprintf(sr, sizeof sr, "%s%s",
             v->sr == NULL || v->sr[0] == '%' || v->sr[0] == '/' || v->sr[0] == ':' ? s->host : "",
             v->sr != NULL ? v->sr : "");
    const struct service_token t = {.sr = sr,
                                    .se = v->se != NULL ? v->se : se,
                                    .skn = v->skn != NULL ? v->skn : s->owner.name,
                                    .lower_hex = v->lower_hex,
                                    .pattern = v->pattern};
    service_sign(bytes_of(key, s->owner.key_len), &t, text, size);
    bytes_wipe(key, sizeof key);
}

/* On an enrollment that exists, GET and then DELETE: refused, and it is still there. */
static void bad_tokens(struct conformance *c)
{
    static const struct token_vector vectors[] = {
        {.name = "signed with another key", .age = 600, .other_key = true},
        {.name = "for another host", .age = 600, .sr = "other.example"},
        {.name = "for a host that begins like this one", .age = 600, .sr = "%2eexample"},
        {.name = "for another enrollment", .age = 600, .sr = "/enrollments/conf-other"},
        {.name = "for the device API", .age = 600, .sr = "0ne00000A0A%2Fregistrations%2Fconf-nobody"},
        {.name = "expired an hour ago", .age = -3600},
        {.name = "without expiry", .age = 600, .pattern = "SharedAccessSignature sr=$r&sig=$g&skn=$n"},
        {.name = "with an empty expiry", .se = ""},
        {.name = "with a negative expiry", .se = "-1"},
        {.name = "with an expiry of 2^64", .se = "18446744073709551616"},
        {.name = "with an expiry that is not a number", .se = "never"},
        {.name = "without audience", .age = 600, .pattern = "SharedAccessSignature sig=$g&se=$e&skn=$n"},
        {.name = "without signature", .age = 600, .pattern = "SharedAccessSignature sr=$r&se=$e&skn=$n"},
        {.name = "with an empty signature",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=&se=$e&skn=$n"},
        {.name = "with a longer expiry than was signed",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=$g&se=9$e&skn=$n"},
        {.name = "of an unknown policy", .age = 600, .skn = "conf-nobody"},
        {.name = "with se twice",
         .age = -3600,
         .pattern = "SharedAccessSignature sr=$r&sig=$g&se=$e&se=9999999999&skn=$n"},
        {.name = "of another scheme", .age = 600, .pattern = "Bearer sr=$r&sig=$g&se=$e&skn=$n"},
    };
    struct service_device d;
    struct service_snapshot before;
    char target[512];
    if (!service_device_new(c, &d, "") || !service_look(c, d.id, &before)) {
        return;
    }
    service_enrollment_path(d.id, target, sizeof target);
    for (size_t i = 0; i <= COUNT(vectors); i++) {
        char token[1024];
        const char *name = i < COUNT(vectors) ? vectors[i].name : "no token at all";
        if (i < COUNT(vectors)) {
            write_token(c, &vectors[i], token, sizeof token);
        }
        const char *given = i < COUNT(vectors) ? token : NULL;
        if (!with_token(c, "GET", target, given) || !service_refused(c, name, 401) ||
            !with_token(c, "DELETE", target, given) || !service_refused(c, name, 401) ||
            !service_unchanged(c, d.id, &before, name)) {
            return;
        }
    }
}

static void good_tokens(struct conformance *c)
{
    static const struct token_vector vectors[] = {
        {.name = "Node: sr, sig, skn, se",
         .age = 3600,
         .pattern = "SharedAccessSignature sr=$r&sig=$g&skn=$n&se=$e"},
        {.name = "C: hex digits in lower case", .age = 3600, .lower_hex = true},
        {.name = "another order", .age = 3600, .pattern = "SharedAccessSignature skn=$n&se=$e&sig=$g&sr=$r"},
        {.name = "one day", .age = 86400},
    };
    struct service_device d;
    char target[512];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    service_enrollment_path(d.id, target, sizeof target);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        char token[1024];
        write_token(c, &vectors[i], token, sizeof token);
        if (!with_token(c, "GET", target, token) || !service_status(c, vectors[i].name, 200)) {
            return;
        }
    }
}

static void reader(struct conformance *c)
{
    struct service *s = service_of(c);
    struct service_device d;
    struct service_snapshot before;
    char target[512];
    char token[1024];
    if (s->reader.key_len == 0) {
        conformance_skip(c, "needs a policy with fewer rights: --reader-connection-string-file FILE");
        return;
    }
    if (!service_device_new(c, &d, "") || !service_look(c, d.id, &before)) {
        return;
    }
    service_policy_token(s, &s->reader, token, sizeof token);
    service_enrollment_path(d.id, target, sizeof target);
    if (!with_token(c, "GET", target, token) || !service_status(c, "a reader reads", 200) ||
        !with_token(c, "DELETE", target, token) || !service_refused(c, "a reader deletes", 0) ||
        !conformance_check(c, s->status == 401 || s->status == 403,
                           "a reader deletes: expected 401 or 403, got %u", s->status)) {
        return;
    }
    service_unchanged(c, d.id, &before, "a reader deletes");
}

/* ---- Queries ------------------------------------------------------------------------------------------- */

#define QUERY_ALL "{\"query\":\"SELECT * FROM enrollments\"}"
#define QUERY_TARGET "/enrollments/query?" SERVICE_API

/* How many items the page has; each of the wanted ids is marked. */
static size_t read_page(const struct service *s, const struct service_device *wanted, unsigned *seen,
                        size_t count)
{
    struct bytes name;
    struct bytes item;
    size_t cursor = 0;
    size_t items = 0;
    while (dps_json_next(s->json, &cursor, &name, &item)) {
        struct bytes id;
        items++;
        for (size_t i = 0; i < count; i++) {
            if (dps_json_member(item, "registrationId", &id) == 0 && dps_json_string_is(id, wanted[i].id)) {
                seen[i]++;
            }
        }
    }
    return items;
}

#define PAGES_MAX 200

/* All pages; false if a check has failed or there are too many. */
static bool walk(struct conformance *c, const struct service_device *wanted, unsigned *seen, size_t count)
{
    const struct service *s = service_of(c);
    char continuation[1024] = "";
    for (unsigned page = 0; page < PAGES_MAX; page++) {
        char headers[1200];
        snprintf(headers, sizeof headers, "x-ms-max-item-count: %d\r\n%s%s%s", page == 0 ? 2 : 100,
                 continuation[0] != 0 ? "x-ms-continuation: " : "", continuation,
                 continuation[0] != 0 ? "\r\n" : "");
        if (!service_manage(c, "POST", QUERY_TARGET, headers, QUERY_ALL) ||
            !service_status(c, "a query", 200) ||
            !conformance_check(c, dps_json_kind(s->json) == DPS_JSON_ARRAY, "the answer must be an array") ||
            !conformance_check(
                c, bytes_equal_public(service_header(s, "x-ms-item-type"), bytes_of_text("Enrollment")),
                "x-ms-item-type must be Enrollment")) {
            return false;
        }
        const size_t items = read_page(s, wanted, seen, count);
        if (!conformance_check(c, page > 0 || items <= 2, "x-ms-max-item-count is 2, and %zu came", items)) {
            return false;
        }
        const struct bytes next = service_header(s, "x-ms-continuation");
        if (next.len == 0) {
            return true;
        }
        snprintf(continuation, sizeof continuation, "%.*s", (int)next.len, (const char *)next.p);
    }
    conformance_skip(c, "this service has too many enrollments to read them all");
    return false;
}

static void pages(struct conformance *c)
{
    struct service_device wanted[3];
    unsigned seen[3] = {0};
    for (size_t i = 0; i < COUNT(wanted); i++) {
        if (!service_device_new(c, &wanted[i], "")) {
            return;
        }
    }
    if (walk(c, wanted, seen, COUNT(wanted))) {
        for (size_t i = 0; i < COUNT(wanted); i++) {
            conformance_check(c, seen[i] == 1, "an enrollment was shown %u times in all pages together",
                              seen[i]);
        }
    }
}

static void bad_queries(struct conformance *c)
{
    static const struct {
        const char *name, *headers, *body;
    } vectors[] = {
        {"no query", "", "{}"},
        {"a query that is a number", "", "{\"query\":7}"},
        {"another statement", "", "{\"query\":\"DELETE FROM enrollments\"}"},
        {"two statements", "", "{\"query\":\"SELECT * FROM enrollments; DROP TABLE enrollments\"}"},
        {"a quote that does not end", "",
         "{\"query\":\"SELECT * FROM enrollments WHERE registrationId = 'a\"}"},
        {"no JSON", "", "SELECT * FROM enrollments"},
        {"a page of 0", "x-ms-max-item-count: 0\r\n", QUERY_ALL},
        {"a page of -1", "x-ms-max-item-count: -1\r\n", QUERY_ALL},
        {"a page of many", "x-ms-max-item-count: many\r\n", QUERY_ALL},
        {"a continuation of somebody else", "x-ms-continuation: ../../etc\r\n", QUERY_ALL},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        if (!service_manage(c, "POST", QUERY_TARGET, vectors[i].headers, vectors[i].body) ||
            !service_refused(c, vectors[i].name, 0)) {
            return;
        }
    }
}

/* ---- Bulk ---------------------------------------------------------------------------------------------- */

#define BULK_TARGET "/enrollments/?" SERVICE_API /* with the slash, as the C and Node clients send it */

/* {"mode":..,"enrollments":[..]} of devices without or with enrollments of their own. */
static void write_bulk(const char *mode, const struct service_device *devices, size_t count, char *text,
                       size_t size)
{
    size_t len = (size_t)snprintf(text, size, "{\"mode\":\"%s\",\"enrollments\":[", mode);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            text[len++] = ',';
        }
        service_enrollment(&devices[i], "", text + len, size - len);
        len += strlen(text + len);
    }
    snprintf(text + len, size - len, "]}");
}

static bool bulk_succeeds(struct conformance *c, const char *mode, const struct service_device *devices,
                          size_t count)
{
    char body[8192];
    write_bulk(mode, devices, count, body, sizeof body);
    return service_manage(c, "POST", BULK_TARGET, "", body) && service_status(c, mode, 200) &&
           conformance_check(c, dps_json_kind(service_member(service_of(c), "isSuccessful")) == DPS_JSON_TRUE,
                             "%s: isSuccessful must be true: %s", mode, service_shown(service_of(c)));
}

static bool exists(struct conformance *c, const struct service_device *d, unsigned status)
{
    char target[512];
    service_enrollment_path(d->id, target, sizeof target);
    return service_manage(c, "GET", target, "", NULL) &&
           service_status(c, "GET after a bulk operation", status);
}

static bool name_three(struct conformance *c, struct service_device d[3])
{
    if (!service_has_admin(c)) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        service_device_name(c, &d[i]);
        service_created(c, d[i].id);
    }
    return true;
}

static void bulk(struct conformance *c)
{
    struct service_device d[3];
    if (name_three(c, d) && bulk_succeeds(c, "create", d, 3) && exists(c, &d[0], 200) &&
        exists(c, &d[2], 200) && bulk_succeeds(c, "update", d, 3) && bulk_succeeds(c, "delete", d, 3) &&
        exists(c, &d[0], 404)) {
        exists(c, &d[2], 404);
    }
}

static void bulk_in_part(struct conformance *c)
{
    struct service *s = service_of(c);
    struct service_device d[3];
    char body[8192];
    struct bytes name;
    struct bytes item;
    struct bytes id;
    size_t cursor = 0;
    if (!name_three(c, d) || !bulk_succeeds(c, "create", &d[1], 1)) {
        return;
    }
    write_bulk("create", d, 3, body, sizeof body);
    if (!service_manage(c, "POST", BULK_TARGET, "", body) ||
        !service_status(c, "create, one of them twice", 200) ||
        !conformance_check(c, dps_json_kind(service_member(s, "isSuccessful")) == DPS_JSON_FALSE,
                           "isSuccessful must be false: %s", service_shown(s))) {
        return;
    }
    const bool named = dps_json_next(service_member(s, "errors"), &cursor, &name, &item) &&
                       dps_json_member(item, "registrationId", &id) == 0 && dps_json_string_is(id, d[1].id) &&
                       dps_json_member(item, "errorCode", &id) == 0 && dps_json_kind(id) == DPS_JSON_NUMBER;
    conformance_check(c, named, "errors must name the one that exists, and an errorCode: %s",
                      service_shown(s));
}

static void bad_bulk(struct conformance *c)
{
    struct service_device d[11];
    char body[8192];
    if (!service_has_admin(c)) {
        return;
    }
    for (size_t i = 0; i < COUNT(d); i++) {
        service_device_name(c, &d[i]);
        service_created(c, d[i].id);
    }
    write_bulk("create", d, 11, body, sizeof body);
    if (!service_manage(c, "POST", BULK_TARGET, "", body) || !service_refused(c, "eleven enrollments", 0) ||
        !exists(c, &d[0], 404)) {
        return;
    }
    write_bulk("replace", d, 1, body, sizeof body);
    if (service_manage(c, "POST", BULK_TARGET, "", body) && service_refused(c, "an unknown mode", 0)) {
        exists(c, &d[0], 404);
    }
}

/* ---- Registrations ------------------------------------------------------------------------------------- */

static void registration(struct conformance *c)
{
    struct service *s = service_of(c);
    struct service_device d;
    char target[512];
    char text[256];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    snprintf(target, sizeof target, "/registrations/%s?%s", d.id, SERVICE_API);
    if (!service_manage(c, "GET", target, "", NULL) ||
        !service_refused(c, "GET before it has registered", 404) || !service_register(c, &d) ||
        !service_manage(c, "GET", target, "", NULL) || !service_status(c, "GET", 200)) {
        return;
    }
    conformance_check(c, strcmp(service_text(s, "status", text, sizeof text), "assigned") == 0,
                      "status is \"%s\"", text);
    conformance_check(c, strcmp(service_text(s, "assignedHub", text, sizeof text), d.hub) == 0,
                      "assignedHub is \"%s\", the device was told %s", text, d.hub);
    conformance_check(c, strcmp(service_text(s, "deviceId", text, sizeof text), d.device_id) == 0,
                      "deviceId is \"%s\", the device was told %s", text, d.device_id);
    if (service_manage(c, "DELETE", target, "If-Match: \"conf-no-such-etag\"\r\n", NULL) &&
        service_refused(c, "DELETE with another etag", 412) &&
        service_manage(c, "DELETE", target, "", NULL) && service_status(c, "DELETE", 204) &&
        service_manage(c, "GET", target, "", NULL)) {
        service_refused(c, "GET after DELETE", 404);
    }
}

/* The hub key is wrapped for the TPM: no administrator needs it, so no answer of the management API has it. */
static void no_secrets(struct conformance *c)
{
    struct service *s = service_of(c);
    struct service_device d;
    static const char *const paths[] = {"enrollments", "registrations"};
    char key[96];
    if (!service_device_new(c, &d, "") || !service_register(c, &d)) {
        return;
    }
    service_base64(s->blob.sensitive.key, key, sizeof key);
    for (size_t i = 0; i < COUNT(paths); i++) {
        char target[512];
        snprintf(target, sizeof target, "/%s/%s?%s", paths[i], d.id, SERVICE_API);
        if (!service_manage(c, "GET", target, "", NULL) || !service_status(c, paths[i], 200)) {
            return;
        }
        conformance_check(c, memmem(s->body.p, s->body.len, key, strlen(key)) == NULL,
                          "/%s/{id} shows the device's hub key", paths[i]);
        conformance_check(c, memmem(s->body.p, s->body.len, "authenticationKey", 17) == NULL,
                          "/%s/{id} shows an authenticationKey", paths[i]);
    }
}

const struct conformance_case service_cases_management[] = {
    {"SVC-S02-040",
     "Management without a token, or with one that is wrong in any part, must be refused with 401.",
     "DPS \"Security tokens\"", CONFORMANCE_MUST, 0, bad_tokens},
    {"SVC-S02-041", "Tokens as the service clients write them must be accepted.",
     "C, Node and C# service clients", CONFORMANCE_MUST, 0, good_tokens},
    {"SVC-S02-042", "A policy must not do more than its rights allow.", "DPS \"Security tokens\"",
     CONFORMANCE_MUST, 0, reader},
    {"SVC-S02-050",
     "A query must show every enrollment once, in pages of at most the size asked for, with the item type.",
     "DPS \"Query\"; C service client: switches on x-ms-item-type", CONFORMANCE_MUST, 0, pages},
    {"SVC-S02-051", "An invalid query, page size or continuation should be refused.",
     "spec-notes: Management", CONFORMANCE_SHOULD, 0, bad_queries},
    {"SVC-S02-060", "Up to ten enrollments must be created, updated and deleted with one request.",
     "DPS \"Bulk\"", CONFORMANCE_MUST, 0, bulk},
    {"SVC-S02-061", "Each failed item of a bulk operation must be named, with an errorCode.", "DPS \"Bulk\"",
     CONFORMANCE_MUST, 0, bulk_in_part},
    {"SVC-S02-062", "More than ten, or an unknown mode, should be refused as a whole.", "DPS \"Bulk\"",
     CONFORMANCE_SHOULD, 0, bad_bulk},
    {"SVC-S02-070",
     "A registration must be shown with hub and deviceId once there is one, and be deleted only with the "
     "right etag.",
     "DPS \"DeviceRegistrationState\"", CONFORMANCE_MUST, 0, registration},
    {"SVC-S02-071", "Management must never show a device's key.",
     "DPS \"DeviceRegistrationState\"; spec-notes: The store holds no secret", CONFORMANCE_MUST, 0,
     no_secrets},
    {0},
};
