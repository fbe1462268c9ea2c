/* SPDX-License-Identifier: MIT */
/* The service that the client meets: it reads requests, says what is wrong with them, and gives the next
 * answer, right or as the script wants it. */
#include "dps/device/limits.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/enrollment.h"
#include "port/posix/private.h"
#include "tests/conformance/device.h"
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define TOKEN_LIFETIME_MAX (25 * 3600) /* seconds; the longest that a known client asks for is a day */
#define CLOCK_TOLERANCE 300

/* The first thing that was wrong is what is told. */
static void blame(struct client_bench *b, enum client_shape shape, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void blame(struct client_bench *b, enum client_shape shape, const char *format, ...)
{
    va_list arguments;
    char *text = b->seen.faults[shape];
    if (text[0] != 0) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof b->seen.faults[0], format, arguments);
    va_end(arguments);
}

/* ---- Paths ---- */

/* The path as segments, percent-decoded. More than fit: count is larger than 8. */
struct path {
    char segments[8][DPS_OPERATION_ID_MAX * 2];
    size_t count;
};

static void take_path(struct bytes target, struct path *p)
{
    struct bytes rest = dps_http_path(target);
    p->count = 0;
    while (rest.len > 0) {
        struct bytes head;
        rest = dps_split(rest, '/', &head);
        if (head.len == 0) {
            continue;
        }
        if (p->count < 8) {
            size_t len = 0;
            char *out = p->segments[p->count];
            if (dps_percent_decode(head, false, (uint8_t *)out, sizeof p->segments[0] - 1, &len) != 0) {
                len = 0;
            }
            out[len] = 0;
        }
        p->count++;
    }
}

static bool segment_is(const struct path *p, size_t number, const char *text)
{
    return p->count > number && number < 8 &&
           dps_text_equal_nocase(bytes_of_text(p->segments[number]), bytes_of_text(text));
}

static bool is_registration_path(const struct path *p)
{
    return segment_is(p, 0, client_options.scope) && segment_is(p, 1, "registrations") && p->count > 2;
}

/* ---- What every request must have ---- */

/* The service's name, alone or with a port. */
static bool is_host(struct bytes value)
{
    struct bytes name;
    (void)dps_split(value, ':', &name);
    return dps_text_equal_nocase(name, bytes_of_text(client_options.host));
}

static void check_common(struct client_bench *b, const struct client_connection *k, struct bytes target)
{
    struct bytes value;
    if (dps_http_query(target, "api-version", &value) != 0) {
        blame(b, CLIENT_SHAPE_VERSION, "there is none");
    } else if (value.len < 10 || value.p[4] != '-' || value.p[7] != '-') {
        blame(b, CLIENT_SHAPE_VERSION, "it is \"%.*s\"", (int)value.len, (const char *)value.p);
    }
    if (dps_http_header(&k->http, k->request, "Host", &value) != 0) {
        blame(b, CLIENT_SHAPE_HOST, "there is none, or several");
    } else if (!is_host(value)) {
        blame(b, CLIENT_SHAPE_HOST, "it is \"%.*s\"", (int)value.len, (const char *)value.p);
    }
}

static void check_type(struct client_bench *b, const struct client_connection *k)
{
    static const char json[] = "application/json";
    struct bytes value;
    if (dps_http_header(&k->http, k->request, "Content-Type", &value) != 0 || value.len < strlen(json) ||
        !dps_text_equal_nocase(bytes_of(value.p, strlen(json)), bytes_of_text(json))) {
        blame(b, CLIENT_SHAPE_TYPE, "it is another, or missing");
    }
}

/* ---- Step 4: the body with both keys ---- */

static bool take_key(struct bytes tpm, const char *name, uint8_t *out, size_t capacity, size_t *len)
{
    static uint8_t text[DPS_HTTP_BODY_MAX];
    struct bytes value;
    size_t text_len = 0;
    return dps_json_member(tpm, name, &value) == 0 &&
           dps_json_string(value, text, sizeof text, &text_len) == 0 &&
           dps_base64_decode(bytes_of(text, text_len), out, capacity, len) == 0;
}

const char *const client_srks[2] = {"standard", "hardened"};

static void check_choice(struct client_bench *b, const char *named)
{
    if (client_options.srk != NULL && strcmp(client_options.srk, named) != 0) {
        blame(b, CLIENT_SHAPE_SRK_CHOICE, "it is the %s one", named);
    }
}

static void check_keys(struct client_bench *b)
{
    struct tpm2_public srk;
    uint8_t base64[DPS_EK_PUBLIC_MAX * 2];
    uint8_t canonical[DPS_EK_PUBLIC_MAX];
    struct bytes_writer w = bytes_writer_over(base64, sizeof base64);
    size_t len = 0;
    const char *detail = NULL;
    dps_write_base64(&w, bytes_of(b->ek, b->ek_len));
    if (dps_ek_from_base64(bytes_written(&w), canonical, &len, &detail) != 0) {
        blame(b, CLIENT_SHAPE_EK, "it is none: %s", detail != NULL ? detail : "malformed");
    }
    if (tpm2_public_parse_2b(bytes_of(b->srk, b->srk_len), &srk) != 0 ||
        dps_srk_check(&srk) != DPS_ACCEPTED) {
        blame(b, CLIENT_SHAPE_SRK, "it is not a storage key that is bound to a TPM");
    } else {
        check_choice(b, dps_srk_is_hardened(&srk) ? client_srks[1] : client_srks[0]);
    }
}

/* Returns: both keys are known. */
static bool take_body(struct client_bench *b, const struct client_connection *k, const char *id, bool again)
{
    struct bytes root, tpm, value;
    uint8_t ek[sizeof b->ek], srk[sizeof b->srk];
    memcpy(ek, b->ek, sizeof ek);
    memcpy(srk, b->srk, sizeof srk);
    uint8_t body_id[DPS_REGISTRATION_ID_MAX + 1];
    size_t len = 0;
    if (dps_json_check(dps_http_body(&k->http, k->request), &root) != 0) {
        blame(b, CLIENT_SHAPE_BODY, "it is not JSON");
        return false;
    }
    if (dps_json_member(root, "registrationId", &value) != 0 ||
        dps_json_string(value, body_id, sizeof body_id, &len) != 0 ||
        !dps_text_equal_nocase(bytes_of(body_id, len), bytes_of_text(id))) {
        blame(b, CLIENT_SHAPE_BODY, "its registrationId is not that of the path");
    }
    if (dps_json_member(root, "tpm", &tpm) != 0 ||
        !take_key(tpm, "endorsementKey", b->ek, sizeof b->ek, &b->ek_len) ||
        !take_key(tpm, "storageRootKey", b->srk, sizeof b->srk, &b->srk_len)) {
        blame(b, CLIENT_SHAPE_BODY, "its tpm has no endorsementKey and storageRootKey in base64");
        return false;
    }
    check_keys(b);
    if (again && (memcmp(ek, b->ek, b->ek_len) != 0 || memcmp(srk, b->srk, b->srk_len) != 0)) {
        blame(b, CLIENT_SHAPE_SAME, "they are others than in the request before");
    }
    return true;
}

/* ---- Tokens ---- */

/* Returns: it is a token for this audience that the key has signed. */
static bool token_is_right(struct client_bench *b, struct bytes header, const char *audience,
                           const uint8_t key[DPS_KEY_SIZE], bool skn)
{
    struct dps_sas sas;
    uint64_t now = (uint64_t)time(NULL);
    if (dps_sas_parse(header, &sas) != 0) {
        blame(b, CLIENT_SHAPE_TOKEN, "it is not a SharedAccessSignature with sr, sig and se");
    } else if (!dps_sas_audience_is(&sas, bytes_of_text(audience))) {
        blame(b, CLIENT_SHAPE_AUDIENCE, "sr is \"%.*s\" and not %s", (int)sas.sr.len, (const char *)sas.sr.p,
              audience);
    } else if (!dps_sas_signed_with(&sas, bytes_of(key, DPS_KEY_SIZE))) {
        blame(b, CLIENT_SHAPE_SIGNATURE, "sig is not by the key that was sent, over sr, line feed, se");
    } else {
        if (sas.expiry + CLOCK_TOLERANCE < now || sas.expiry > now + TOKEN_LIFETIME_MAX + CLOCK_TOLERANCE) {
            blame(b, CLIENT_SHAPE_EXPIRY, "se is %lld seconds from now",
                  (long long)sas.expiry - (long long)now);
        }
        if (skn && sas.skn.len > 0 && !bytes_equal_public(sas.skn, bytes_of_text("registration"))) {
            blame(b, CLIENT_SHAPE_KEY_NAME, "skn is another");
        }
        return true;
    }
    return false;
}

static bool check_token(struct client_bench *b, struct bytes header, const char *audience,
                        const uint8_t key[DPS_KEY_SIZE], bool skn)
{
    b->seen.tokens++;
    bool right = token_is_right(b, header, audience, key, skn);
    b->seen.wrong_tokens += !right;
    return right;
}

/* ---- The next answer ---- */

static const struct client_answer *special_answer(struct client_bench *b, enum client_stage stage,
                                                  unsigned given)
{
    const struct client_script *s = b->script;
    if (s == NULL || s->stage != stage || (s->times != 0 && given > s->times)) {
        return NULL;
    }
    b->seen.special++;
    b->seen.special_at = posix_monotonic_ms();
    return &s->answer;
}

/* A challenge sent instead of the acceptance also counts as one, so that an answer to it is accepted. */
static bool is_challenge(enum client_stage stage, const struct client_answer *special)
{
    return stage == CLIENT_CHALLENGE ||
           (special != NULL && special->status != NULL && strncmp(special->status, "401", 3) == 0);
}

/* The hub is named and its key is there, whole and right, in whatever odd way it was sent. */
static bool is_assignment(const struct client_script *script, enum client_stage stage,
                          const struct client_answer *special)
{
    bool due = stage == CLIENT_ASSIGNED;
    if (special == NULL) {
        return due;
    }
    bool success = special->status == NULL ? due : strncmp(special->status, "200", 3) == 0;
    bool has_key = special->body == NULL ? due : strstr(special->body, "authenticationKey") != NULL;
    return stage != CLIENT_CHALLENGE && stage != CLIENT_HUB && success && has_key &&
           special->ending <= CLIENT_HANG_UP && script->expected != CLIENT_GIVES_UP;
}

static bool answer(struct client_bench *b, struct client_connection *k, enum client_stage stage,
                   unsigned given)
{
    static const struct client_blob right = {.fault = CLIENT_BLOB_RIGHT};
    const struct client_answer *special = special_answer(b, stage, given);
    const uint8_t *key = is_challenge(stage, special) ? b->nonce : b->hub_key;
    if (stage != CLIENT_HUB) {
        b->blob_len = client_blob_make(b, key, special != NULL ? &b->script->blob : &right);
    }
    bool right_blob = special == NULL || b->script->blob.fault == CLIENT_BLOB_RIGHT;
    if (stage == CLIENT_CHALLENGE && right_blob && b->blob_len <= sizeof b->challenge) {
        memcpy(b->challenge, b->blob, b->blob_len);
        b->challenge_len = b->blob_len;
    }
    bool goes_on = client_answer(b, k, stage, special);
    b->seen.assigned |= is_assignment(b->script, stage, special);
    return goes_on;
}

static bool refuse(struct client_bench *b, struct client_connection *k)
{
    return client_answer_text(b, k, "401 Unauthorized", NULL,
                              "{\"errorCode\":401002,\"trackingId\":\"0\",\"message\":\"Unauthorized\"}");
}

static bool challenge(struct client_bench *b, struct client_connection *k)
{
    struct crypto_entropy *random = &b->c->random;
    b->seen.challenges++;
    if (random->fill(random->context, b->nonce, sizeof b->nonce) != 0) {
        return false;
    }
    return answer(b, k, CLIENT_CHALLENGE, b->seen.challenges);
}

static bool put(struct client_bench *b, struct client_connection *k, const char *id,
                const struct bytes *token)
{
    char audience[400];
    check_type(b, k);
    if (token != NULL && b->seen.challenges == 0) {
        blame(b, CLIENT_SHAPE_FIRST, "the first request had one");
    }
    snprintf(b->id, sizeof b->id, "%.*s", DPS_REGISTRATION_ID_MAX, id);
    /* One client leaves the keys out of its second request. */
    struct bytes root, tpm;
    bool has_keys = dps_json_check(dps_http_body(&k->http, k->request), &root) == 0 &&
                    dps_json_member(root, "tpm", &tpm) == 0;
    if ((token == NULL || has_keys) && !take_body(b, k, id, token != NULL)) {
        return client_answer_text(b, k, "400 Bad Request", NULL,
                                  "{\"errorCode\":400002,\"message\":\"body\"}");
    }
    if (token == NULL) {
        return challenge(b, k);
    }
    snprintf(audience, sizeof audience, "%s/registrations/%s", client_options.scope, id);
    if (!check_token(b, *token, audience, b->nonce, true)) {
        return refuse(b, k);
    }
    return answer(b, k, CLIENT_ACCEPTED, b->seen.tokens);
}

static bool poll_operation(struct client_bench *b, struct client_connection *k, const struct path *p,
                           const struct bytes *token)
{
    char audience[400];
    b->seen.polls++;
    if (!segment_is(p, 4, b->operation) || p->count != 5) {
        blame(b, CLIENT_SHAPE_ROUTE, "it polls another operation than it was given");
    }
    snprintf(audience, sizeof audience, "%s/registrations/%s", client_options.scope, p->segments[2]);
    if (token == NULL) {
        blame(b, CLIENT_SHAPE_POLL, "it polls without its token");
    }
    if (token == NULL || !check_token(b, *token, audience, b->nonce, true)) {
        return refuse(b, k);
    }
    return answer(b, k, CLIENT_ASSIGNED, b->seen.polls);
}

static bool telemetry(struct client_bench *b, struct client_connection *k, const struct path *p,
                      const struct bytes *token)
{
    char audience[600];
    b->seen.telemetry++;
    if (!segment_is(p, 1, b->id) || !segment_is(p, 2, "messages") || !segment_is(p, 3, "events")) {
        blame(b, CLIENT_SHAPE_ROUTE, "telemetry goes to /devices/{deviceId}/messages/events");
    }
    snprintf(audience, sizeof audience, "%s/devices/%s", client_options.hub, b->id);
    if (token == NULL || !check_token(b, *token, audience, b->hub_key, false)) {
        return refuse(b, k);
    }
    return answer(b, k, CLIENT_HUB, b->seen.telemetry);
}

static void note_arrival(struct client_bench *b, const struct client_connection *k, struct bytes *token,
                         const struct bytes **given)
{
    struct bytes value;
    uint64_t now = posix_monotonic_ms();
    b->seen.requests++;
    if (b->seen.special_at != 0 && b->seen.pause_ms == 0) {
        b->seen.pause_ms = now > b->seen.special_at ? now - b->seen.special_at : 1; /* 0: none came */
    }
    b->seen.last_at = now;
    *given = dps_http_header(&k->http, k->request, "Authorization", token) == 0 ? token : NULL;
    b->seen.injected |= dps_http_header(&k->http, k->request, "X-Injected", &value) != BYTES_E_NOT_FOUND;
}

bool client_request(struct client_bench *b, struct client_connection *k)
{
    struct path p;
    struct bytes token;
    const struct bytes *given;
    struct bytes method = dps_http_method(&k->http, k->request);
    struct bytes target = dps_http_target(&k->http, k->request);
    note_arrival(b, k, &token, &given);
    take_path(target, &p);
    if (k->elsewhere) {
        b->seen.elsewhere++;
        b->seen.elsewhere_tokens += given != NULL;
        return client_answer_text(b, k, "404 Not Found", NULL,
                                  "{\"errorCode\":404201,\"message\":\"elsewhere\"}");
    }
    if (bytes_equal_public(method, bytes_of_text("POST")) && segment_is(&p, 0, "devices")) {
        return telemetry(b, k, &p, given);
    }
    b->seen.after += b->seen.assigned;
    check_common(b, k, target);
    if (bytes_equal_public(method, bytes_of_text("PUT")) && is_registration_path(&p) &&
        segment_is(&p, 3, "register") && p.count == 4) {
        return put(b, k, p.segments[2], given);
    }
    if (bytes_equal_public(method, bytes_of_text("GET")) && is_registration_path(&p) &&
        segment_is(&p, 3, "operations")) {
        return poll_operation(b, k, &p, given);
    }
    blame(b, CLIENT_SHAPE_ROUTE, "nobody asks for %.*s %.*s", (int)method.len, (const char *)method.p,
          (int)(target.len < 200 ? target.len : 200), (const char *)target.p);
    return client_answer_text(b, k, "404 Not Found", NULL, "{\"errorCode\":404202,\"message\":\"route\"}");
}
