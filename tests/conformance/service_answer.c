/* SPDX-License-Identifier: MIT */
/* What an answer must look like, whatever it says. */
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include <string.h>

struct bytes service_header(const struct service *s, const char *name)
{
    struct bytes value = {NULL, 0};
    if (s->head != NULL) {
        (void)dps_http_header(s->head, s->head_bytes, name, &value);
    }
    return value;
}

struct bytes service_member(const struct service *s, const char *path)
{
    struct bytes value = s->json;
    struct bytes rest = bytes_of_text(path);
    while (rest.len > 0) {
        struct bytes part;
        struct bytes member;
        char name[64];
        rest = dps_split(rest, '.', &part);
        snprintf(name, sizeof name, "%.*s", (int)part.len, (const char *)part.p);
        if (dps_json_kind(value) != DPS_JSON_OBJECT || dps_json_member(value, name, &member) != 0) {
            return bytes_of(NULL, 0);
        }
        value = member;
    }
    return value;
}

const char *service_text(const struct service *s, const char *path, char *text, size_t size)
{
    const struct bytes value = service_member(s, path);
    size_t len = 0;
    if (dps_json_kind(value) != DPS_JSON_STRING ||
        dps_json_string(value, (uint8_t *)text, size - 1, &len) != 0) {
        len = 0;
    }
    text[len] = 0;
    return text;
}

unsigned service_error_code(const struct service *s)
{
    uint64_t code = 0;
    const struct bytes value = service_member(s, "errorCode");
    if (dps_json_kind(value) == DPS_JSON_NUMBER) {
        (void)dps_json_uint(value, 999999999, &code);
    }
    return (unsigned)code;
}

const char *service_shown(const struct service *s)
{
    static char text[300];
    size_t len = 0;
    for (; len < s->body.len && len < sizeof text - 1; len++) {
        const uint8_t byte = s->body.p[len];
        text[len] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
    }
    text[len] = 0;
    return len > 0 ? text : "(no body)";
}

/* 400004 begins with 400. */
static unsigned first_digits(unsigned code)
{
    while (code > 999) {
        code /= 10;
    }
    return code;
}

bool service_status(struct conformance *c, const char *what, unsigned status)
{
    const struct service *s = service_of(c);
    return conformance_check(c, s->status == status, "%s: expected status %u, got %u: %.200s", what, status,
                             s->status, service_shown(s));
}

bool service_refused(struct conformance *c, const char *what, unsigned status)
{
    const struct service *s = service_of(c);
    if (status != 0 && !service_status(c, what, status)) {
        return false;
    }
    if (!conformance_check(c, s->status >= 400 && s->status <= 499,
                           "%s: expected a refusal (4xx), got %u: %.200s", what, s->status,
                           service_shown(s))) {
        return false;
    }
    return conformance_check(c, service_member(s, "authenticationKey").len == 0,
                             "%s: refused with %u, but the answer carries a key", what, s->status);
}

bool service_refused_in_form(struct conformance *c, const char *what, unsigned status)
{
    const struct service *s = service_of(c);
    char message[256];
    if (!service_refused(c, what, status)) {
        return false;
    }
    if (!conformance_check(c, first_digits(service_error_code(s)) == s->status,
                           "%s: the refusal's errorCode must be an integer that begins with %u; got %.200s",
                           what, s->status, service_shown(s))) {
        return false;
    }
    return conformance_check(c, service_text(s, "message", message, sizeof message)[0] != 0,
                             "%s: the refusal must have a message", what);
}
