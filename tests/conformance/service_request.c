/* SPDX-License-Identifier: MIT */
/* SVC-S04: the device's first request, as far as its keys do not matter. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include <string.h>

/* A body pattern: $I the registrationId, $E and $S the keys in base64, $e and $s the same with every '/' and '='
 * escaped as some JSON writers do. */
struct vector {
    const char *name;
    const char *body;
};

static void write_escaped(struct bytes_writer *w, const char *base64)
{
    for (const char *p = base64; *p != 0; p++) {
        if (*p == '/') {
            dps_write_text(w, "\\/");
        } else if (*p == '=') {
            dps_write_text(w, "\\u003d");
        } else {
            bytes_write_u8(w, (uint8_t)*p);
        }
    }
}

static void fill(const struct service_device *d, const char *pattern, char *text, size_t size)
{
    char ek[512];
    char srk[512];
    struct bytes_writer w = bytes_writer_over((uint8_t *)text, size - 1);
    service_base64(bytes_of(d->ek->public_2b, d->ek->public_len), ek, sizeof ek);
    service_base64(bytes_of(d->srk->public_2b, d->srk->public_len), srk, sizeof srk);
    for (const char *p = pattern; *p != 0; p++) {
        if (*p != '$') {
            bytes_write_u8(&w, (uint8_t)*p);
            continue;
        }
        p++;
        if (*p == 'e' || *p == 's') {
            write_escaped(&w, *p == 'e' ? ek : srk);
        } else {
            dps_write_text(&w, *p == 'I' ? d->id : *p == 'E' ? ek : srk);
        }
    }
    text[bytes_written(&w).len] = 0;
}

static void try_refused(struct conformance *c, const struct vector *vectors, size_t count)
{
    struct service_device d;
    struct service_snapshot before;
    char body[4096];
    if (!service_device_new(c, &d, "") || !service_look(c, d.id, &before)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        fill(&d, vectors[i].body, body, sizeof body);
        if (!service_ask_challenge(c, &d, body) || !service_refused(c, vectors[i].name, 0)) {
            return;
        }
    }
    service_unchanged(c, d.id, &before, "all of these were refused");
}

static void try_challenged(struct conformance *c, const struct vector *vectors, size_t count)
{
    struct service_device d;
    char body[4096];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        fill(&d, vectors[i].body, body, sizeof body);
        if (!service_ask_challenge(c, &d, body) || !service_status(c, vectors[i].name, 401) ||
            !service_open_blob(c, &d, "authenticationKey")) {
            return;
        }
    }
}

#define TPM "\"tpm\":{\"endorsementKey\":\"$E\",\"storageRootKey\":\"$S\"}"
#define BEGIN "{\"registrationId\":\"$I\"," TPM

static void bodies_of_clients(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"C: base64 with escaped slashes",
         "{\"registrationId\":\"$I\",\"tpm\":{\"endorsementKey\":\"$e\",\"storageRootKey\":\"$s\"}}"},
        {"C#: payload null", BEGIN ",\"payload\":null}"},
        {"Java: payload that is a string", BEGIN ",\"payload\":\"{\\\"a\\\":1}\"}"},
        {"payload that is an object", BEGIN ",\"payload\":{\"a\":[1,2,{\"b\":null}]}}"},
        {"payload that is a large number", BEGIN ",\"payload\":1e308}"},
        {"members that are not known", BEGIN ",\"csr\":null,\"tomorrow\":{}}"},
        {"another order", "{" TPM ",\"registrationId\":\"$I\"}"},
        {"white space", " \r\n{ \"registrationId\" : \"$I\" ,\t" TPM " }\n"},
    };
    try_challenged(c, vectors, COUNT(vectors));
}

static void not_json(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"an empty body", ""},
        {"a byte order mark", "\xef\xbb\xbf" BEGIN "}"},
        {"something after it", BEGIN "}}"},
        {"a missing brace", BEGIN},
        {"no UTF-8", BEGIN ",\"payload\":\"\xc3\x28\"}"},
        {"a control character in a string", BEGIN ",\"payload\":\"\x01\"}"},
        {"an array", "[" BEGIN "}]"},
        {"text", "\""
                 "$I"
                 "\""},
        {"a number with leading zeros", BEGIN ",\"payload\":007}"},
        {"infinity", BEGIN ",\"payload\":Infinity}"},
    };
    try_refused(c, vectors, COUNT(vectors));
}

static void wrong_types(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"tpm that is text", "{\"registrationId\":\"$I\",\"tpm\":\"$E\"}"},
        {"tpm that is an array", "{\"registrationId\":\"$I\",\"tpm\":[\"$E\",\"$S\"]}"},
        {"endorsementKey that is a number",
         "{\"registrationId\":\"$I\",\"tpm\":{\"endorsementKey\":1e308,\"storageRootKey\":\"$S\"}}"},
        {"endorsementKey null",
         "{\"registrationId\":\"$I\",\"tpm\":{\"endorsementKey\":null,\"storageRootKey\":\"$S\"}}"},
        {"storageRootKey that is an object", "{\"registrationId\":\"$I\",\"tpm\":{\"endorsementKey\":\"$E\","
                                             "\"storageRootKey\":{\"key\":\"$S\"}}}"},
        {"storageRootKey true",
         "{\"registrationId\":\"$I\",\"tpm\":{\"endorsementKey\":\"$E\",\"storageRootKey\":true}}"},
        {"registrationId that is a number", "{\"registrationId\":7," TPM "}"},
        {"registrationId that is an array", "{\"registrationId\":[\"$I\"]," TPM "}"},
    };
    try_refused(c, vectors, COUNT(vectors));
}

static void keys_missing(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"an empty object", "{}"},
        {"no tpm", "{\"registrationId\":\"$I\"}"},
        {"tpm null", "{\"registrationId\":\"$I\",\"tpm\":null}"},
        {"an empty tpm", "{\"registrationId\":\"$I\",\"tpm\":{}}"},
        {"no endorsementKey", "{\"registrationId\":\"$I\",\"tpm\":{\"storageRootKey\":\"$S\"}}"},
        {"no storageRootKey", "{\"registrationId\":\"$I\",\"tpm\":{\"endorsementKey\":\"$E\"}}"},
        {"both empty",
         "{\"registrationId\":\"$I\",\"tpm\":{\"endorsementKey\":\"\",\"storageRootKey\":\"\"}}"},
    };
    try_refused(c, vectors, COUNT(vectors));
}

static void doubled(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"registrationId twice", BEGIN ",\"registrationId\":\"conf-other\"}"},
        {"tpm twice", BEGIN "," TPM "}"},
        {"endorsementKey twice", "{\"registrationId\":\"$I\",\"tpm\":{\"endorsementKey\":\"$E\","
                                 "\"endorsementKey\":\"$S\",\"storageRootKey\":\"$S\"}}"},
        {"storageRootKey twice, once with an escape",
         "{\"registrationId\":\"$I\",\"tpm\":{\"endorsementKey\":\"$E\",\"storageRootKey\":\"$S\","
         "\"storage\\u0052ootKey\":\"$E\"}}"},
    };
    try_refused(c, vectors, COUNT(vectors));
}

static void deep(struct conformance *c)
{
    char body[14000];
    struct service_device d;
    struct bytes_writer w = bytes_writer_over((uint8_t *)body, sizeof body - 1);
    char begin[SERVICE_TEXT_MAX];
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d)) {
        return;
    }
    conformance_judge(c);
    fill(&d, BEGIN ",\"payload\":", begin, sizeof begin);
    dps_write_text(&w, begin);
    for (unsigned i = 0; i < 10000; i++) {
        dps_write_text(&w, i < 5000 ? "[" : "]");
    }
    dps_write_text(&w, "}");
    body[bytes_written(&w).len] = 0;
    if (service_ask_challenge(c, &d, body)) {
        conformance_check(c, service_of(c)->status < 500, "5000 brackets: got %u", service_of(c)->status);
        service_challenge(c, &d);
    }
}

static void other_id_in_body(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"another registrationId", "{\"registrationId\":\"conf-other\"," TPM "}"},
        {"a longer one", "{\"registrationId\":\"$I0\"," TPM "}"},
        {"an empty one", "{\"registrationId\":\"\"," TPM "}"},
        {"with a zero character", "{\"registrationId\":\"$I\\u0000\"," TPM "}"},
        {"with a look-alike", "{\"registrationId\":\"\\u0441onf-$I\"," TPM "}"},
    };
    try_refused(c, vectors, COUNT(vectors));
}

static void id_in_any_case(struct conformance *c)
{
    struct service_device d;
    if (!service_device_new(c, &d, "") || !service_register(c, &d)) {
        return;
    }
    conformance_judge(c);
    for (char *p = d.id; *p != 0; p++) {
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    }
    service_register(c, &d);
}

/* ---- The target ---------------------------------------------------------------------------------------- */

static bool ask_at(struct conformance *c, const struct service_device *d, const char *target)
{
    char body[SERVICE_TEXT_MAX];
    service_body(d, body, sizeof body);
    return service_ask(c, "PUT", target, "Content-Type: application/json\r\n", body);
}

static void bad_ids(struct conformance *c)
{
    static const struct vector ids[] = {
        {"empty", ""},
        {"129 characters",
         "c0000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "0000000000000000000000000000000000000000000000"},
        {"a zero byte", "conf%00"},
        {"a zero byte after the id", "$I%00x"},
        {"a slash", "conf%2Fx"},
        {"two dots", "%2e%2e"},
        {"two dots on the way", "conf/../conf"},
        {"an overlong dot", "conf%C0%AE"},
        {"beyond ASCII", "conf%C3%A9"},
        {"a blank", "$I%20"},
        {"a line end", "conf%0D%0AX-Injected:1"},
        {"a broken escape", "conf%"},
        {"no hex digits", "conf%g1"},
        {"an escape of an escape", "%2563onf"},
        {"a wildcard", "*"},
        {"SQL", "'%20OR%20'1'='1"},
    };
    struct service_device d;
    if (!service_device_new(c, &d, "")) {
        return;
    }
    for (size_t i = 0; i < COUNT(ids); i++) {
        char id[600];
        char target[1200];
        fill(&d, ids[i].body, id, sizeof id);
        snprintf(target, sizeof target, "/%s/registrations/%s/register?%s", service_given.scope, id,
                 SERVICE_API);
        if (!ask_at(c, &d, target) || !service_refused(c, ids[i].name, 0)) {
            return;
        }
    }
}

static void encoded_id(struct conformance *c)
{
    struct service_device d;
    char target[1300];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    snprintf(target, sizeof target, "/%s/registrations/%%63onf%%2d%s/register?%s", service_given.scope,
             d.id + 5, SERVICE_API);
    if (ask_at(c, &d, target)) {
        service_status(c, "a registrationId with percent-encoding", 401);
    }
}

static void force(struct conformance *c)
{
    struct service_device d;
    char target[600];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    snprintf(target, sizeof target, "/%s/registrations/%s/register?%s&forceRegistration=true",
             service_given.scope, d.id, SERVICE_API);
    if (ask_at(c, &d, target)) {
        service_status(c, "forceRegistration=true", 401);
    }
}

static void other_scope(struct conformance *c)
{
    struct service_device d;
    char target[600];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    snprintf(target, sizeof target, "/0ne0000conf/registrations/%s/register?%s", d.id, SERVICE_API);
    if (ask_at(c, &d, target)) {
        service_refused(c, "another ID scope", 0);
    }
}

/* Needs no administrator: the one case that finds a wrong --scope, or a service that knows everybody. */
static void unknown_device(struct conformance *c)
{
    struct service_device d;
    char target[600];
    service_device_name(c, &d);
    service_target(&d, "/register", target, sizeof target);
    if (ask_at(c, &d, target) && service_refused(c, "a device that is not enrolled", 404)) {
        conformance_check(c, service_error_code(service_of(c)) == 404201,
                          "the errorCode must be 404201, not %u (404202: is --scope right?)",
                          service_error_code(service_of(c)));
    }
}

static void headers_of_clients(struct conformance *c)
{
    static const struct vector clients[] = {
        {"C", "UserAgent: prov_device_client/1.0\r\nAccept: application/json\r\nConnection: keep-alive\r\n"
              "Content-Type: application/json; charset=utf-8\r\n"},
        {"Java",
         "accept: application/json\r\ncontent-type: application/json; charset=utf-8\r\nuser-agent: java\r\n"},
        {"none at all", ""},
    };
    struct service_device d;
    char body[SERVICE_TEXT_MAX];
    char target[600];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    service_body(&d, body, sizeof body);
    service_target(&d, "/register", target, sizeof target);
    for (size_t i = 0; i < COUNT(clients); i++) {
        if (!service_ask(c, "PUT", target, clients[i].body, body) ||
            !service_status(c, clients[i].name, 401)) {
            return;
        }
    }
}

static void host_with_port(struct conformance *c)
{
    const struct service *s = service_of(c);
    struct service_device d;
    char body[SERVICE_TEXT_MAX];
    char request[4096];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    service_body(&d, body, sizeof body);
    snprintf(request, sizeof request,
             "PUT /%s/registrations/%s/register?%s HTTP/1.1\r\nHost: %s:443\r\nContent-Length: %zu\r\n\r\n%s",
             service_given.scope, d.id, SERVICE_API, s->host, strlen(body), body);
    if (conformance_check(c, service_raw(c, bytes_of_text(request), 10000) == SERVICE_ANSWERED,
                          "no answer")) {
        service_status(c, "Host with a port", 401);
    }
}

static void no_trace(struct conformance *c)
{
    struct service_device d;
    struct service_snapshot before;
    if (!service_device_new(c, &d, "") || !service_look(c, d.id, &before)) {
        return;
    }
    for (unsigned i = 0; i < 10; i++) {
        struct service_device other = d;
        other.srk = service_key(c, i % 2 == 0 ? SERVICE_SRK : SERVICE_OTHER_SRK);
        if (!service_challenge(c, &other)) {
            return;
        }
    }
    service_unchanged(c, d.id, &before, "ten requests for a challenge");
}

static void disabled(struct conformance *c)
{
    struct service_device d;
    char body[SERVICE_TEXT_MAX];
    char target[512];
    if (!service_device_new(c, &d, ",\"provisioningStatus\":\"disabled\"")) {
        return;
    }
    service_body(&d, body, sizeof body);
    if (!service_ask_challenge(c, &d, body) || !service_refused(c, "a disabled enrollment", 0)) {
        return;
    }
    service_enrollment(&d, ",\"provisioningStatus\":\"enabled\"", body, sizeof body);
    service_enrollment_path(d.id, target, sizeof target);
    if (service_manage(c, "PUT", target, "If-Match: *\r\n", body) && service_status(c, "enabling it", 200)) {
        service_body(&d, body, sizeof body);
        (void)(service_ask_challenge(c, &d, body) && service_status(c, "enabled again", 401));
    }
}

const struct conformance_case service_cases_request[] = {
    {"SVC-S04-001", "A device that is not enrolled must be refused with 404 and 404201.",
     "C# SDK end-to-end tests: ProvisioningE2ETests", CONFORMANCE_MUST, 0, unknown_device},
    {"SVC-S04-002", "Another ID scope must be refused.", "DPS \"Register device\"", CONFORMANCE_MUST, 0,
     other_scope},
    {"SVC-S04-003",
     "The device of a disabled enrollment must get no challenge until the enrollment is enabled again.",
     "DPS \"Individual enrollment\"", CONFORMANCE_MUST, 0, disabled},
    {"SVC-S04-004", "Asking for challenges must change nothing: nobody has proved anything yet.",
     "spec-notes: No state before proof", CONFORMANCE_MUST, 0, no_trace},
    {"SVC-S04-010",
     "Bodies as the SDKs write them must be understood: escapes, any payload, members in any order.",
     "RFC 8259 §7; C, C#, Java SDKs", CONFORMANCE_MUST, 0, bodies_of_clients},
    {"SVC-S04-011",
     "Headers as the SDKs write them must be understood: in any case, and without a content type.",
     "RFC 9110 §5.1; C, Java SDKs", CONFORMANCE_MUST, 0, headers_of_clients},
    {"SVC-S04-012", "Host with a port must be understood.", "RFC 9110 §7.2; C SDK: sends it",
     CONFORMANCE_MUST, 0, host_with_port},
    {"SVC-S04-013", "forceRegistration=true must be accepted.", "Node SDK: sends it", CONFORMANCE_MUST, 0,
     force},
    {"SVC-S04-014", "A registrationId that is percent-encoded in the path must be understood.",
     "RFC 3986 §2.1; C SDK: encodes it", CONFORMANCE_MUST, 0, encoded_id},
    {"SVC-S04-015", "The case of a registrationId must not matter in path, body and token.", "DPS \"Limits\"",
     CONFORMANCE_MUST, 0, id_in_any_case},
    {"SVC-S04-020", "A body that is not a JSON object must be refused.", "RFC 8259", CONFORMANCE_MUST, 0,
     not_json},
    {"SVC-S04-021", "Members of a wrong type must be refused.", "DPS \"Register device\"", CONFORMANCE_MUST,
     0, wrong_types},
    {"SVC-S04-022", "A first request without both keys must be refused: no challenge can be made.",
     "DPS \"Register device\"", CONFORMANCE_MUST, 0, keys_missing},
    {"SVC-S04-023", "Members that occur twice should be refused: two readers may take different ones.",
     "RFC 8259 §4; spec-notes: Error codes", CONFORMANCE_SHOULD, 0, doubled},
    {"SVC-S04-024", "Deep nesting must harm nobody.", "RFC 8259 §9", CONFORMANCE_MUST, 0, deep},
    {"SVC-S04-025", "A registrationId in the body that is not the path's must be refused.",
     "DPS \"Register device\"", CONFORMANCE_MUST, 0, other_id_in_body},
    {"SVC-S04-026", "A path with a registrationId that has other characters must be refused.",
     "DPS \"Limits\"", CONFORMANCE_MUST, 0, bad_ids},
    {0},
};
