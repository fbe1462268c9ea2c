/* SPDX-License-Identifier: MIT */
/* SVC-S08: the token that answers a challenge. */
#include "tests/conformance/service.h"
#include "tpm/protect.h"
#include <string.h>

/* $s: the ID scope, $i: the registrationId. */
struct vector {
    const char *name;
    const char *sr;      /* null: as Node writes it */
    int64_t age;         /* se, seconds after now */
    const char *se;      /* instead of that */
    const char *pattern; /* see service_sign; null: with skn=registration */
    bool lower_hex;
    bool other_key;
    bool last_bit;
};

static void fill(const struct service_device *d, const char *pattern, char *text, size_t size)
{
    size_t len = 0;
    text[0] = 0;
    for (const char *p = pattern; *p != 0 && len + 1 < size; p++) {
        if (*p == '$') {
            p++;
            len += (size_t)snprintf(text + len, size - len, "%s", *p == 's' ? service_given.scope : d->id);
        } else {
            text[len++] = *p;
            text[len] = 0;
        }
    }
}

static void write_token(const struct service_device *d, const struct vector *v, char *text, size_t size)
{
    uint8_t key[SERVICE_SECRET_SIZE];
    char sr[400];
    char se[24];
    memcpy(key, d->nonce, sizeof key);
    key[31] ^= v->other_key;
    fill(d, v->sr != NULL ? v->sr : "$s%2Fregistrations%2F$i", sr, sizeof sr);
    service_expiry(v->age, se, sizeof se);
    const struct service_token t = {.sr = sr,
                                    .se = v->se != NULL ? v->se : se,
                                    .skn = "registration",
                                    .lower_hex = v->lower_hex,
                                    .last_bit = v->last_bit,
                                    .pattern = v->pattern};
    service_sign(bytes_of(key, sizeof key), &t, text, size);
}

/* Each of them registers the device once more. */
static void of_clients(struct conformance *c)
{
    static const struct vector vectors[] = {
        {.name = "Node", .age = 3600},
        {.name = "C: hex digits in lower case",
         .sr = "$s%2fregistrations%2f$i",
         .age = 2400,
         .lower_hex = true},
        {.name = "C#: one day", .age = 86400},
        {.name = "Java: sr as it is, skn empty",
         .sr = "$s/registrations/$i",
         .age = 3600,
         .pattern = "SharedAccessSignature sr=$r&sig=$g&se=$e&skn="},
        {.name = "iot-identity-service: 30 seconds", .sr = "$s/registrations/$i", .age = 30},
        {.name = "without skn", .age = 3600, .pattern = "SharedAccessSignature sr=$r&sig=$g&se=$e"},
        {.name = "another order", .age = 3600, .pattern = "SharedAccessSignature skn=$n&se=$e&sig=$g&sr=$r"},
    };
    struct service_device d;
    char token[1024];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    for (size_t i = 0; i < COUNT(vectors); i++) {
        if (!service_challenge(c, &d)) {
            return;
        }
        write_token(&d, &vectors[i], token, sizeof token);
        if (!service_send_proof(c, &d, token) || !service_status(c, vectors[i].name, 202) ||
            !service_take_operation(c, &d) || !service_poll(c, &d)) {
            return;
        }
    }
}

/* All of them refused (with 401; what is malformed with any 4xx) by an error, not by another challenge; nothing has
 * changed, and the challenge still works. */
static void try_refused(struct conformance *c, const struct vector *vectors, size_t count, unsigned status)
{
    struct service_device d;
    struct service_snapshot before;
    char token[1024];
    if (!service_device_new(c, &d, "") || !service_look(c, d.id, &before) || !service_challenge(c, &d)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        write_token(&d, &vectors[i], token, sizeof token);
        if (!service_send_proof(c, &d, token) || !service_refused(c, vectors[i].name, status) ||
            !service_unchanged(c, d.id, &before, vectors[i].name)) {
            return;
        }
    }
    (void)(service_prove(c, &d) && service_poll(c, &d));
}

static void bad_audiences(struct conformance *c)
{
    static const struct vector vectors[] = {
        {.name = "of another device", .sr = "$s%2Fregistrations%2Fconf-other", .age = 600},
        {.name = "of a device whose name begins like this one", .sr = "$s%2Fregistrations%2F$i0", .age = 600},
        {.name = "of another scope", .sr = "0ne0000conf%2Fregistrations%2F$i", .age = 600},
        {.name = "of the scope alone", .sr = "$s", .age = 600},
        {.name = "of all registrations", .sr = "$s%2Fregistrations", .age = 600},
        {.name = "of the device at a hub", .sr = "$s%2Fdevices%2F$i", .age = 600},
        {.name = "with something after it", .sr = "$s%2Fregistrations%2F$i%2Fregister", .age = 600},
        {.name = "with a zero byte", .sr = "$s%2Fregistrations%2F$i%00", .age = 600},
        {.name = "with a broken escape", .sr = "$s%2Fregistrations%2F$i%2", .age = 600},
        {.name = "empty", .sr = "", .age = 600},
    };
    try_refused(c, vectors, COUNT(vectors), 401);
}

static void bad_expiries(struct conformance *c)
{
    static const struct vector vectors[] = {
        {.name = "an hour ago", .age = -3600},
        {.name = "1970", .se = "0"},
        {.name = "negative", .se = "-1"},
        {.name = "2^63", .se = "9223372036854775808"},
        {.name = "2^64 and an hour", .se = "18446744073709555216"},
        {.name = "with a fraction", .se = "9999999999.5"},
        {.name = "with an exponent", .se = "1e12"},
        {.name = "hexadecimal", .se = "0xFFFFFFFF"},
        {.name = "a date", .se = "2099-01-01T00:00:00Z"},
        {.name = "empty", .se = ""},
        {.name = "text", .se = "never"},
    };
    try_refused(c, vectors, COUNT(vectors), 0);
}

static void bad_forms(struct conformance *c)
{
    static const struct vector vectors[] = {
        {.name = "without sr", .age = 600, .pattern = "SharedAccessSignature sig=$g&se=$e&skn=$n"},
        {.name = "without sig", .age = 600, .pattern = "SharedAccessSignature sr=$r&se=$e&skn=$n"},
        {.name = "without se", .age = 600, .pattern = "SharedAccessSignature sr=$r&sig=$g&skn=$n"},
        {.name = "an empty sig", .age = 600, .pattern = "SharedAccessSignature sr=$r&sig=&se=$e&skn=$n"},
        {.name = "a sig of no base64",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=!!&se=$e&skn=$n"},
        {.name = "a sig of 3 bytes",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=AAAA&se=$e&skn=$n"},
        {.name = "a sig with a byte more",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=AA$g&se=$e&skn=$n"},
        {.name = "an expired se before the right one",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=$g&se=1&se=$e&skn=$n"},
        {.name = "a later se after the right one",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=$g&se=$e&se=9999999999&skn=$n"},
        {.name = "sr twice",
         .age = 600,
         .pattern = "SharedAccessSignature sr=other&sr=$r&sig=$g&se=$e&skn=$n"},
        {.name = "sig twice",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=AAAA&sig=$g&se=$e&skn=$n"},
        {.name = "another scheme", .age = 600, .pattern = "Bearer sr=$r&sig=$g&se=$e&skn=$n"},
        {.name = "no scheme", .age = 600, .pattern = "sr=$r&sig=$g&se=$e&skn=$n"},
        {.name = "the scheme alone", .age = 600, .pattern = "SharedAccessSignature"},
        {.name = "separated by commas",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r,sig=$g,se=$e,skn=$n"},
    };
    try_refused(c, vectors, COUNT(vectors), 0);
}

static void bad_signatures(struct conformance *c)
{
    static const struct vector vectors[] = {
        {.name = "signed with another key", .age = 600, .other_key = true},
        {.name = "the last bit of the signature flipped", .age = 600, .last_bit = true},
        {.name = "a longer se than was signed",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=$g&se=9$e&skn=$n"},
        {.name = "sr written otherwise than signed",
         .sr = "$s%2Fregistrations%2F$i",
         .age = 600,
         .pattern = "SharedAccessSignature sr=%30$r&sig=$g&se=$e&skn=$n"},
        {.name = "a signature of zeros",
         .age = 600,
         .pattern =
             "SharedAccessSignature sr=$r&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D&se=$e&skn=$n"},
    };
    try_refused(c, vectors, COUNT(vectors), 401);
}

/* The service may accept them or not, but it must decide. */
static void odd_forms(struct conformance *c)
{
    static const struct vector vectors[] = {
        {.name = "sig without percent-encoding",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=$b&se=$e&skn=$n"},
        {.name = "se in 9999", .se = "253402300799"},
        {.name = "se at 2^63 - 1", .se = "9223372036854775807"},
        {.name = "se with a leading zero", .se = "09999999999"},
        {.name = "an unknown member",
         .age = 600,
         .pattern = "SharedAccessSignature sr=$r&sig=$g&se=$e&skn=$n&x=1"},
        {.name = "another skn", .age = 600, .pattern = "SharedAccessSignature sr=$r&sig=$g&se=$e&skn=other"},
        {.name = "the scheme in lower case",
         .age = 600,
         .pattern = "sharedaccesssignature sr=$r&sig=$g&se=$e&skn=$n"},
        {.name = "one more blank", .age = 600, .pattern = "SharedAccessSignature  sr=$r&sig=$g&se=$e&skn=$n"},
    };
    struct service *s = service_of(c);
    struct service_device d;
    char token[1024];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    for (size_t i = 0; i < COUNT(vectors); i++) {
        if (!service_challenge(c, &d)) {
            return;
        }
        write_token(&d, &vectors[i], token, sizeof token);
        if (!service_send_proof(c, &d, token) ||
            (s->status != 202 && s->status != 200 && !service_refused(c, vectors[i].name, 0))) {
            return;
        }
        conformance_check(c, true, "%s", vectors[i].name);
        conformance_note(c, "%s: %u", vectors[i].name, s->status);
    }
}

static void slow_clock(struct conformance *c)
{
    static const struct vector late = {.name = "expired a minute ago", .age = -60};
    struct service_device d;
    char token[1024];
    if (service_device_new(c, &d, "") && service_challenge(c, &d)) {
        write_token(&d, &late, token, sizeof token);
        if (service_send_proof(c, &d, token)) {
            service_status(c, late.name, 202);
        }
    }
}

/* ---- Keys that are not this nonce ---------------------------------------------------------------------- */

static bool refused_with(struct conformance *c, const struct service_device *d,
                         const uint8_t key[SERVICE_SECRET_SIZE], const char *what)
{
    char token[1024];
    service_device_token(d, key, token, sizeof token);
    return service_send_proof(c, d, token) && service_refused(c, what, 401);
}

static void other_keys(struct conformance *c)
{
    static const uint8_t zeros[SERVICE_SECRET_SIZE] = {0};
    struct service_blob *b = &service_of(c)->blob;
    struct service_device d;
    struct service_snapshot before;
    uint8_t inner[SERVICE_SECRET_SIZE] = {0};
    uint8_t seed_value[SERVICE_SECRET_SIZE] = {0};
    uint8_t unique[SERVICE_SECRET_SIZE] = {0};
    if (!service_device_new(c, &d, "") || !service_look(c, d.id, &before) || !service_challenge(c, &d) ||
        b->sensitive.seed_value.len > sizeof seed_value) {
        return;
    }
    memcpy(inner, b->inner_key, b->inner_len <= sizeof inner ? b->inner_len : sizeof inner);
    memcpy(seed_value, b->sensitive.seed_value.p, b->sensitive.seed_value.len);
    tpm2_keyedhash_unique(&b->sensitive, unique);
    (void)(refused_with(c, &d, zeros, "a key of zeros") &&
           refused_with(c, &d, inner, "the inner key, which crosses the bus in clear") &&
           refused_with(c, &d, seed_value, "seedValue") &&
           refused_with(c, &d, unique, "unique, which is public") &&
           service_unchanged(c, d.id, &before, "other keys"));
}

static void nonce_of_another(struct conformance *c)
{
    struct service_device d;
    struct service_device other;
    struct service_snapshot before;
    if (service_device_new(c, &d, "") && service_device_new(c, &other, "") &&
        service_look(c, d.id, &before) && service_challenge(c, &d) && service_challenge(c, &other) &&
        refused_with(c, &d, other.nonce, "the nonce of another device")) {
        service_unchanged(c, d.id, &before, "the nonce of another device");
    }
}

static void nonce_of_another_srk(struct conformance *c)
{
    struct service_device d;
    struct service_device other;
    struct service_snapshot before;
    if (!service_device_new(c, &d, "") || !service_look(c, d.id, &before) || !service_challenge(c, &d)) {
        return;
    }
    other = d;
    other.srk = service_key(c, SERVICE_OTHER_SRK);
    if (refused_with(c, &other, d.nonce, "the nonce of one SRK with another SRK")) {
        service_unchanged(c, d.id, &before, "the nonce of one SRK with another SRK");
    }
}

static void other_ek_with_proof(struct conformance *c)
{
    struct service_device d;
    struct service_device other;
    struct service_snapshot before;
    char token[1024];
    if (!service_device_new(c, &d, "") || !service_look(c, d.id, &before) || !service_challenge(c, &d)) {
        return;
    }
    other = d;
    other.ek = service_key(c, SERVICE_OTHER_EK);
    service_device_token(&d, d.nonce, token, sizeof token);
    if (service_send_proof(c, &other, token) && service_refused(c, "a right token with another EK", 0)) {
        service_unchanged(c, d.id, &before, "a right token with another EK");
    }
}

static void replay(struct conformance *c)
{
    struct service_device d;
    struct service_snapshot before;
    if (service_device_new(c, &d, "") && service_register(c, &d) && service_look(c, d.id, &before) &&
        refused_with(c, &d, d.nonce, "a token that has been used")) {
        service_unchanged(c, d.id, &before, "a token that has been used");
    }
}

static void hub_key(struct conformance *c)
{
    struct service_device d;
    struct service_snapshot before;
    if (service_device_new(c, &d, "") && service_register(c, &d) && service_look(c, d.id, &before) &&
        refused_with(c, &d, d.hub_key, "the hub key")) {
        service_unchanged(c, d.id, &before, "the hub key");
    }
}

static void not_for_management(struct conformance *c)
{
    struct service_device d;
    char token[1024];
    char headers[1200];
    char target[512];
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d)) {
        return;
    }
    service_device_token(&d, d.nonce, token, sizeof token);
    snprintf(headers, sizeof headers, "Authorization: %s\r\n", token);
    service_enrollment_path(d.id, target, sizeof target);
    if (service_ask(c, "GET", target, headers, NULL) &&
        service_refused(c, "a device's token, for management", 401)) {
        service_policy_token(service_of(c), &service_of(c)->owner, token, sizeof token);
        if (service_send_proof(c, &d, token)) {
            service_refused(c, "an administrator's token, for a device", 401);
        }
    }
}

/* ---- Several challenges, and what happens meanwhile ----------------------------------------------------- */

static void others_ask(struct conformance *c)
{
    struct service_device d;
    struct service_device attacker;
    char body[SERVICE_TEXT_MAX];
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d)) {
        return;
    }
    attacker = d;
    attacker.srk = service_key(c, SERVICE_OTHER_SRK);
    service_body(&attacker, body, sizeof body);
    if (service_ask_challenge(c, &attacker, body)) {
        conformance_judge(c);
        (void)(service_prove(c, &d) && service_poll(c, &d));
    }
}

static void two_in_flight(struct conformance *c)
{
    struct service_device first;
    struct service_device second;
    if (!service_device_new(c, &first, "")) {
        return;
    }
    second = first;
    if (service_challenge(c, &first) && service_challenge(c, &second) && service_prove(c, &second) &&
        service_poll(c, &second)) {
        refused_with(c, &first, first.nonce, "the other one of two challenges");
    }
}

static void register_with(struct conformance *c, const char *pattern)
{
    struct service_device d;
    char token[1024];
    char headers[1200];
    char target[512];
    char body[256];
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d)) {
        return;
    }
    fill(&d, pattern, body, sizeof body);
    service_device_token(&d, d.nonce, token, sizeof token);
    snprintf(headers, sizeof headers, "Authorization: %s\r\nContent-Type: application/json\r\n", token);
    service_target(&d, "/register", target, sizeof target);
    if (service_ask(c, "PUT", target, headers, body) && service_status(c, pattern, 202) &&
        service_take_operation(c, &d)) {
        service_poll(c, &d);
    }
}

static void keys_left_out(struct conformance *c)
{
    register_with(c, "{\"registrationId\":\"$i\"}");
}

static void keys_null(struct conformance *c)
{
    register_with(c, "{\"registrationId\":\"$i\",\"tpm\":null}");
}

static void two_headers(struct conformance *c)
{
    static const char wrong[] = "SharedAccessSignature sr=x&sig=AAAA&se=1";
    struct service_device d;
    char token[1024];
    char headers[2500];
    char target[512];
    char body[SERVICE_TEXT_MAX];
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d)) {
        return;
    }
    service_device_token(&d, d.nonce, token, sizeof token);
    service_target(&d, "/register", target, sizeof target);
    service_body(&d, body, sizeof body);
    for (int i = 0; i < 2; i++) {
        snprintf(headers, sizeof headers, "Authorization: %s\r\nAuthorization: %s\r\n",
                 i == 0 ? wrong : token, i == 0 ? token : wrong);
        if (!service_ask(c, "PUT", target, headers, body) ||
            !service_refused(c, "two Authorization headers", 0)) {
            return;
        }
    }
}

#define NONCE "spec-notes: No state before proof"
#define TOKENS "DPS \"Security tokens\""

const struct conformance_case service_cases_token[] = {
    {"SVC-S08-001",
     "Tokens must be accepted as all SDKs write them: sr is signed exactly as it is in the token.",
     "C, Node, C#, Java SDKs, iot-identity-service", CONFORMANCE_MUST, 0, of_clients},
    {"SVC-S08-002", "A second request without the keys must be accepted: the token proves them.",
     "iot-identity-service: leaves them out", CONFORMANCE_MUST, 0, keys_left_out},
    {"SVC-S08-003", "A second request with tpm null should be accepted likewise.", "spec-notes: Clients",
     CONFORMANCE_SHOULD, 0, keys_null},
    {"SVC-S08-004", "A token that expired a minute ago should be accepted: devices' clocks may be slow.",
     "iot-identity-service: 30 seconds; spec-notes: Clients", CONFORMANCE_SHOULD, 0, slow_clock},
    {"SVC-S08-010", "A token for another audience must be refused with 401, an error, and no new challenge.",
     TOKENS "; C SDK: answers every challenge, for ever", CONFORMANCE_MUST, 0, bad_audiences},
    {"SVC-S08-011", "A token whose expiry is past or is not a number must be refused.", TOKENS,
     CONFORMANCE_MUST, 0, bad_expiries},
    {"SVC-S08-012", "A token with a member missing, doubled or malformed must be refused.", TOKENS,
     CONFORMANCE_MUST, 0, bad_forms},
    {"SVC-S08-013", "A token whose signature does not cover what it says must be refused.", TOKENS,
     CONFORMANCE_MUST, 0, bad_signatures},
    {"SVC-S08-014", "Odd tokens must be accepted or refused, and never cause an internal error.", TOKENS,
     CONFORMANCE_MUST, 0, odd_forms},
    {"SVC-S08-015", "Two Authorization headers must be refused.", "RFC 9110 §5.3", CONFORMANCE_MUST, 0,
     two_headers},
    {"SVC-S08-020",
     "Nothing that an observer of the TPM's bus sees must sign a token: inner key, seedValue, unique.",
     "TPM 2.0 Part 1 r1.59 §23.3; spec-notes: Why it is safe", CONFORMANCE_MUST, 0, other_keys},
    {"SVC-S08-021", "A token signed with another device's nonce must be refused.", NONCE, CONFORMANCE_MUST, 0,
     nonce_of_another},
    {"SVC-S08-022", "A nonce must prove only the SRK that it was wrapped to.", NONCE, CONFORMANCE_MUST, 0,
     nonce_of_another_srk},
    {"SVC-S08-023", "A right token with another EK must be refused.", "spec-notes: The right EK",
     CONFORMANCE_MUST, 0, other_ek_with_proof},
    {"SVC-S08-024", "A nonce must register once: the same request again must be refused and change nothing.",
     NONCE, CONFORMANCE_MUST, 0, replay},
    {"SVC-S08-025", "A token signed with the hub key must not register the device.",
     "spec-notes: The store holds no secret", CONFORMANCE_MUST, 0, hub_key},
    {"SVC-S08-026", "A device's token must not manage, and an administrator's must not register.", TOKENS,
     CONFORMANCE_MUST, 0, not_for_management},
    {"SVC-S08-030", "A challenge should stay valid when others ask for one in the device's name.", NONCE,
     CONFORMANCE_SHOULD, 0, others_ask},
    {"SVC-S08-031", "Of two challenges in flight only one should register.", NONCE, CONFORMANCE_SHOULD, 0,
     two_in_flight},
    {0},
};
