/* SPDX-License-Identifier: MIT */
/* SVC-S06: the challenge, field by field. */
#include "dps/protocol/json.h"
#include "tests/conformance/service.h"
#include "tpm/protect.h"
#include <string.h>

static bool challenged(struct conformance *c, struct service_device *d)
{
    return service_device_new(c, d, "") && service_challenge(c, d);
}

/* Only asked: what is in the blob does not matter. */
static bool asked(struct conformance *c, struct service_device *d)
{
    return service_device_new(c, d, "") && service_ask_challenged(c, d);
}

static void form(struct conformance *c)
{
    const struct service *s = service_of(c);
    struct service_device d;
    char text[128];
    if (!asked(c, &d)) {
        return;
    }
    service_has_blob(c, "authenticationKey");
    conformance_check(c, service_member(s, "status").len == 0,
                      "a challenge must not have a \"status\": by that, C tells it from a registration");
    conformance_check(c, service_text(s, "keyName", text, sizeof text)[0] != 0,
                      "a challenge must have a keyName");
}

static void no_clear_key(struct conformance *c)
{
    const struct service *s = service_of(c);
    struct service_device d;
    char key[96];
    if (!asked(c, &d)) {
        return;
    }
    const enum dps_json_kind kind = dps_json_kind(service_member(s, "unencryptedAuthenticationKey"));
    if (!conformance_check(c, kind == DPS_JSON_NONE || kind == DPS_JSON_NULL,
                           "unencryptedAuthenticationKey must be absent or null") ||
        !service_open_blob(c, &d, "authenticationKey")) {
        return;
    }
    service_base64(s->blob.sensitive.key, key, sizeof key);
    conformance_check(c, memmem(s->body.p, s->body.len, key, strlen(key)) == NULL,
                      "the nonce stands in the answer in clear");
}

#define WRAP_SIZE 110 /* 142 with a key of 32 bytes */

static void field_sizes(struct conformance *c)
{
    const struct service_blob *b = &service_of(c)->blob;
    struct service_device d;
    if (!asked(c, &d) || !service_take_blob(c, "authenticationKey")) {
        return;
    }
    const struct {
        const char *name;
        size_t got, wanted;
    } fields[] = {
        {"1, TPM2B_ID_OBJECT,", b->fields.id_object.len, 52},
        {"2, TPM2B_ENCRYPTED_SECRET,", b->fields.encrypted_secret.len, 256},
        {"4, TPM2B_ENCRYPTED_SECRET,", b->fields.duplicate_secret.len, 256},
        {"5, TPM2B_PUBLIC,", b->fields.key_public_2b.len, 50},
    };
    for (size_t i = 0; i < COUNT(fields); i++) {
        conformance_check(c, fields[i].got == fields[i].wanted, "field %s has %zu bytes, not %zu",
                          fields[i].name, fields[i].got, fields[i].wanted);
    }
    /* Two HMACs, sizes, seedValue, and the key itself, of 16 to 64 bytes. */
    conformance_check(c,
                      b->fields.duplicate.len >= WRAP_SIZE + SERVICE_SECRET_MIN &&
                          b->fields.duplicate.len <= WRAP_SIZE + SERVICE_SECRET_SIZE,
                      "field 3, TPM2B_PRIVATE, has %zu bytes, not %d and those of a key of 16 to 64 bytes",
                      b->fields.duplicate.len, WRAP_SIZE);
}

static void nothing_after(struct conformance *c)
{
    const struct service_blob *b = &service_of(c)->blob;
    struct service_device d;
    if (asked(c, &d) && service_take_blob(c, "authenticationKey")) {
        conformance_check(c, b->trailing == 0, "%zu bytes after the sixth field", b->trailing);
    }
}

static void opens(struct conformance *c)
{
    struct service_device d;
    if (challenged(c, &d)) {
        conformance_check(c, service_of(c)->blob.inner_len == 16, "the inner key has %zu bytes, not 16",
                          service_of(c)->blob.inner_len);
    }
}

static void key_object(struct conformance *c)
{
    const struct service_blob *b = &service_of(c)->blob;
    struct service_device d;
    struct tpm2_public area;
    uint8_t unique[32];
    if (!challenged(c, &d)) {
        return;
    }
    const struct tpm2_public wanted = tpm2_template_hmac_key(bytes_of(NULL, 0));
    const int error = tpm2_public_parse_2b(b->fields.key_public_2b, &area);
    if (!conformance_check(c, error == 0, "field 5, TPM2B_PUBLIC, cannot be read: %s",
                           posix_error_text(error))) {
        return;
    }
    conformance_check(c, tpm2_public_matches(&area, &wanted),
                      "field 5 must be KEYEDHASH, SHA-256, 0x00040440, no policy, HMAC with SHA-256");
    conformance_check(c, b->sensitive.seed_value.len == 32, "seedValue has %zu bytes: Import takes 32 only",
                      b->sensitive.seed_value.len);
    tpm2_keyedhash_unique(&b->sensitive, unique);
    conformance_check(c, bytes_equal_public(area.unique, bytes_of(unique, sizeof unique)),
                      "unique must be SHA-256(seedValue || key): Load checks it");
}

static void uri(struct conformance *c)
{
    const struct service *s = service_of(c);
    struct service_device d;
    char wanted[512];
    if (!challenged(c, &d)) {
        return;
    }
    snprintf(wanted, sizeof wanted, "%s/%s", s->host, d.id);
    conformance_note(c, "encUriData: \"%s\"", s->blob.uri);
    conformance_check(c, s->blob.fields.enc_uri.len <= DPS_ENC_URI_MAX,
                      "encUriData has %zu bytes: more than 206 do not fit into the frames of AMQP",
                      s->blob.fields.enc_uri.len);
    conformance_check(c, strchr(s->blob.uri, '/') != NULL && strcmp(strchr(s->blob.uri, '/') + 1, d.id) == 0,
                      "encUriData must be HOST/%s in UTF-16LE under the inner key, not \"%s\"", d.id,
                      s->blob.uri);
}

/* OAEP hides whether two secrets hold one seed: so they are decrypted. */
static bool same_seed(const struct crypto_rsa_private *key, const char *label, struct bytes one,
                      struct bytes other)
{
    uint8_t seeds[2][256];
    size_t len[2] = {0, 0};
    const struct bytes with_zero = bytes_of(label, strlen(label) + 1);
    const bool opened =
        crypto_rsa_oaep_decrypt(key, with_zero, one, seeds[0], sizeof seeds[0], &len[0]) == 0 &&
        crypto_rsa_oaep_decrypt(key, with_zero, other, seeds[1], sizeof seeds[1], &len[1]) == 0;
    return opened && bytes_equal_public(bytes_of(seeds[0], len[0]), bytes_of(seeds[1], len[1]));
}

/* All that a blob is made with, of two challenges for one device. */
static void fresh(struct conformance *c)
{
    struct service_device d;
    struct service_blob first;
    const struct service_blob *second = &service_of(c)->blob;
    if (!challenged(c, &d)) {
        return;
    }
    first = *second;
    first.fields.encrypted_secret.p = first.bytes + (second->fields.encrypted_secret.p - second->bytes);
    first.fields.duplicate_secret.p = first.bytes + (second->fields.duplicate_secret.p - second->bytes);
    first.sensitive.seed_value.p = first.storage + (second->sensitive.seed_value.p - second->storage);
    if (!service_challenge(c, &d)) {
        return;
    }
    conformance_check(c, memcmp(first.inner_key, second->inner_key, 16) != 0,
                      "two challenges, one inner key");
    conformance_check(
        c, !same_seed(&d.ek->rsa, "IDENTITY", first.fields.encrypted_secret, second->fields.encrypted_secret),
        "two challenges, one seed for the EK");
    conformance_check(
        c,
        !same_seed(&d.srk->rsa, "DUPLICATE", first.fields.duplicate_secret, second->fields.duplicate_secret),
        "two challenges, one seed for the SRK");
    conformance_check(c, !bytes_equal_public(first.sensitive.seed_value, second->sensitive.seed_value),
                      "two challenges, one seedValue");
}

static void own_nonce(struct conformance *c)
{
    struct service_device d;
    struct service_device other;
    if (challenged(c, &d) && challenged(c, &other)) {
        conformance_check(c, memcmp(d.nonce, other.nonce, SERVICE_SECRET_SIZE) != 0,
                          "two devices have the same nonce");
    }
}

static void next_nonce(struct conformance *c)
{
    struct service_device d;
    uint8_t first[SERVICE_SECRET_SIZE];
    if (!challenged(c, &d)) {
        return;
    }
    memcpy(first, d.nonce, sizeof first);
    if (service_prove(c, &d) && service_poll(c, &d) && service_challenge(c, &d)) {
        conformance_check(c, memcmp(d.nonce, first, sizeof first) != 0,
                          "a nonce that was used is given out again");
    }
}

static void not_empty(struct conformance *c)
{
    struct service_device d;
    size_t different = 0;
    if (!challenged(c, &d)) {
        return;
    }
    const struct bytes nonce = service_of(c)->blob.sensitive.key;
    for (size_t i = 1; i < nonce.len; i++) {
        different += nonce.p[i] != nonce.p[0];
    }
    conformance_check(c, different > nonce.len / 2,
                      "the nonce is not random: only %zu of its bytes differ from the first", different);
}

#define SDKS "C, Node, C#, Java SDKs"

const struct conformance_case service_cases_challenge[] = {
    {"SVC-S06-001", "A challenge must be 401 with authenticationKey and keyName and without status.",
     "C SDK: recognises it by that", CONFORMANCE_MUST, 0, form},
    {"SVC-S06-002", "A challenge must not give the nonce in clear.",
     "captures of the real service, 2017: it did then", CONFORMANCE_MUST, 0, no_clear_key},
    {"SVC-S06-003", "The blob must be six TPM structures of 52, 256, 110 and the key's, 256, 48 and n bytes.",
     "captures of the real service; " SDKS, CONFORMANCE_MUST, 0, field_sizes},
    {"SVC-S06-004", "Nothing should follow the sixth field.", "captures of the real service",
     CONFORMANCE_SHOULD, 0, nothing_after},
    {"SVC-S06-005", "The blob must open with EK and SRK together, by way of an inner key of 16 bytes.",
     "TPM 2.0 Part 1 r1.59 §24, §23.3; Java SDK: takes no other size", CONFORMANCE_MUST, 0, opens},
    {"SVC-S06-006",
     "The key in it must be one that a TPM imports and that signs with HMAC-SHA-256 only: 0x00040440.",
     "TPM 2.0 Part 3 r1.59 §13.3; Part 1 r1.59 §27.5.3; captures of the real service", CONFORMANCE_MUST, 0,
     key_object},
    {"SVC-S06-007",
     "encUriData should be HOST/registrationId in UTF-16LE under the inner key, at most 206 bytes.",
     "C# SDK of 2017: decrypts it; spec-notes: The activation blob", CONFORMANCE_SHOULD, 0, uri},
    {"SVC-S06-008", "Inner key, seeds and seedValue must be new for each challenge.",
     "TPM 2.0 Part 1 r1.59 §24.3", CONFORMANCE_MUST, 0, fresh},
    {"SVC-S06-009", "Each device must have a nonce of its own.", "spec-notes: No state before proof",
     CONFORMANCE_MUST, 0, own_nonce},
    {"SVC-S06-010", "After a registration the nonce must be a new one.", "spec-notes: No state before proof",
     CONFORMANCE_MUST, 0, next_nonce},
    {"SVC-S06-011", "The nonce must look random.", "spec-notes: No state before proof", CONFORMANCE_MUST, 0,
     not_empty},
    {0},
};
