/* SPDX-License-Identifier: MIT */
/* SVC-S05-030 to 059: the SRK. It comes from the device unauthenticated, and the nonce is wrapped to it: so it must be
 * a key that cannot leave a TPM; otherwise the nonce, and later the hub key, can be obtained in clear. */
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include "tpm/protect.h"
#include "tpm/tools/open.h"
#include <string.h>

/* Ask with this SRK. */
static bool ask_with(struct conformance *c, const struct service_device *d, const char *srk)
{
    char ek[600];
    char body[SERVICE_TEXT_MAX];
    service_base64(bytes_of(d->ek->public_2b, d->ek->public_len), ek, sizeof ek);
    snprintf(body, sizeof body,
             "{\"registrationId\":\"%s\",\"tpm\":{\"endorsementKey\":\"%s\",\"storageRootKey\":\"%s\"}}",
             d->id, ek, srk);
    return service_ask_challenge(c, d, body);
}

/* All of them must be refused; codes: with the errorCodes of this project's service. */
static void try_variants(struct conformance *c, const struct service_variant *vectors, size_t count,
                         bool codes)
{
    const struct tpm2_public area = tpm2_template_srk();
    struct service_device d;
    struct service_snapshot before;
    if (!service_device_new(c, &d, "") || !service_look(c, d.id, &before)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[DPS_SRK_PUBLIC_MAX + 16];
        char srk[600];
        const struct bytes made = service_variant_make(d.srk, &area, &vectors[i], bytes, sizeof bytes);
        if (!conformance_check(c, made.len > 0, "%s could not be made", vectors[i].name)) {
            return;
        }
        service_base64(made, srk, sizeof srk);
        if (!ask_with(c, &d, srk) || !service_refused(c, vectors[i].name, 0)) {
            return;
        }
        if (codes && !conformance_check(c, service_error_code(service_of(c)) == vectors[i].code,
                                        "%s: expected errorCode %u, got %u", vectors[i].name, vectors[i].code,
                                        service_error_code(service_of(c)))) {
            return;
        }
    }
    service_unchanged(c, d.id, &before, "all of these were refused");
}

static const struct service_variant software[] = {
    {.name = "without fixedTPM", .clear = TPM2_OBJECT_FIXED_TPM, .code = 400012},
    {.name = "without fixedTPM and fixedParent",
     .clear = TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT,
     .code = 400012},
    {.name = "as LoadExternal takes a software key: no attribute but decrypt and userWithAuth",
     .clear = TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT | TPM2_OBJECT_SENSITIVE_DATA_ORIGIN |
              TPM2_OBJECT_RESTRICTED | TPM2_OBJECT_NO_DA,
     .code = 400012},
    {.name = "as Import takes a software key: restricted, not fixed",
     .clear = TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT | TPM2_OBJECT_SENSITIVE_DATA_ORIGIN,
     .code = 400012},
};

static void no_fixed_tpm(struct conformance *c)
{
    try_variants(c, software, COUNT(software), false);
}

static const struct service_variant roles[] = {
    {.name = "unrestricted", .clear = TPM2_OBJECT_RESTRICTED, .code = 400012},
    {.name = "that signs and decrypts", .set = TPM2_OBJECT_SIGN_ENCRYPT, .code = 400012},
    {.name = "that signs and does not decrypt",
     .set = TPM2_OBJECT_SIGN_ENCRYPT,
     .clear = TPM2_OBJECT_DECRYPT,
     .code = 400012},
    {.name = "without decrypt", .clear = TPM2_OBJECT_DECRYPT, .code = 400012},
    {.name = "without fixedParent", .clear = TPM2_OBJECT_FIXED_PARENT, .code = 400012},
    {.name = "without sensitiveDataOrigin", .clear = TPM2_OBJECT_SENSITIVE_DATA_ORIGIN, .code = 400012},
};

static void other_roles(struct conformance *c)
{
    try_variants(c, roles, COUNT(roles), false);
}

static const struct service_variant odd[] = {
    {.name = "with stClear", .set = TPM2_OBJECT_ST_CLEAR, .code = 400012},
    {.name = "with adminWithPolicy", .set = TPM2_OBJECT_ADMIN_WITH_POLICY, .code = 400012},
    {.name = "with encryptedDuplication", .set = TPM2_OBJECT_ENCRYPTED_DUPLICATION, .code = 400012},
    {.name = "without userWithAuth", .clear = TPM2_OBJECT_USER_WITH_AUTH, .code = 400012},
    {.name = "with a reserved bit", .set = 0x80000000, .code = 400012},
    {.name = "with all bits", .set = 0xffffffff, .code = 400012},
    {.name = "with a policy", .other_policy = true, .code = 400013},
};

static void odd_attributes(struct conformance *c)
{
    try_variants(c, odd, COUNT(odd), false);
}

static const struct service_variant parameters[] = {
    {.name = "nameAlg SHA-1", .name_alg = 0x0004, .code = 400011},
    {.name = "nameAlg SHA-384", .name_alg = 0x000c, .code = 400011},
    {.name = "nameAlg null", .name_alg = 0x0010, .code = 400011},
    {.name = "AES-192", .symmetric_bits = 192, .code = 400014},
    {.name = "AES-256", .symmetric_bits = 256, .code = 400014},
    {.name = "AES in another mode", .mode = 0x0042, .code = 400014},
    {.name = "no symmetric algorithm", .symmetric = TPM2_ALG_NULL, .code = 400014},
    {.name = "keyBits 1024 before 2048 bits", .key_bits = 1024, .code = 400014},
    {.name = "keyBits 3072 before 2048 bits", .key_bits = 3072, .code = 400014},
    {.name = "keyBits 65535", .key_bits = 65535, .code = 400014},
};

static void bad_parameters(struct conformance *c)
{
    try_variants(c, parameters, COUNT(parameters), false);
}

static const struct service_variant numbers[] = {
    {.name = "an even modulus", .modulus = SERVICE_MODULUS_EVEN, .code = 400015},
    {.name = "a modulus with a leading zero", .modulus = SERVICE_MODULUS_LEADING_ZERO, .code = 400015},
    {.name = "a modulus of 1024 bits", .modulus = SERVICE_MODULUS_SHORT, .code = 400015},
    {.name = "a modulus of 2056 bits", .modulus = SERVICE_MODULUS_LONG, .code = 400015},
    {.name = "no modulus", .modulus = SERVICE_MODULUS_EMPTY, .code = 400015},
    {.name = "the modulus 1", .modulus = SERVICE_MODULUS_ONES, .code = 400015},
    {.name = "exponent 1: it would encrypt nothing", .exponent = 1, .code = 400015},
    {.name = "exponent 2", .exponent = 2, .code = 400015},
    {.name = "exponent 65536", .exponent = 65536, .code = 400015},
    {.name = "exponent 2^32 - 2", .exponent = 0xfffffffe, .code = 400015},
};

static void bad_numbers(struct conformance *c)
{
    try_variants(c, numbers, COUNT(numbers), false);
}

static void exponent_3(struct conformance *c)
{
    static const struct service_variant three = {.name = "exponent 3", .exponent = 3};
    try_variants(c, &three, 1, false);
}

static void codes(struct conformance *c)
{
    try_variants(c, software, COUNT(software), true);
    if (!c->failed && !c->skipped) {
        try_variants(c, roles, COUNT(roles), true);
        try_variants(c, odd, COUNT(odd), true);
        try_variants(c, parameters, COUNT(parameters), true);
        try_variants(c, numbers, COUNT(numbers), true);
    }
}

/* ---- Forms --------------------------------------------------------------------------------------------- */

/* An SRK on the curve P-256, with any point. */
static size_t write_ecc(const uint8_t *x, const uint8_t *y, size_t len, uint8_t *out, size_t size)
{
    struct bytes_writer w = bytes_writer_over(out, size);
    const size_t begin = bytes_write_size_begin(&w);
    bytes_write_u16(&w, 0x0023); /* TPM_ALG_ECC */
    bytes_write_u16(&w, TPM2_ALG_SHA256);
    bytes_write_u32(&w, tpm2_template_srk().attributes);
    bytes_write_u16(&w, 0);
    bytes_write_u16(&w, TPM2_ALG_AES);
    bytes_write_u16(&w, 128);
    bytes_write_u16(&w, 0x0043); /* CFB */
    bytes_write_u16(&w, TPM2_ALG_NULL);
    bytes_write_u16(&w, 0x0003); /* TPM_ECC_NIST_P256 */
    bytes_write_u16(&w, TPM2_ALG_NULL);
    bytes_write_2b(&w, bytes_of(x, len));
    bytes_write_2b(&w, bytes_of(y, len));
    bytes_write_size_end(&w, begin);
    return bytes_written(&w).len;
}

static void curves(struct conformance *c)
{
    /* The base point of P-256, and what is not a point of it. */
    static const uint8_t gx[32] = {0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6,
                                   0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb,
                                   0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96};
    static const uint8_t gy[32] = {0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb,
                                   0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31,
                                   0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};
    static const uint8_t zero[32] = {0};
    const struct {
        const char *name;
        const uint8_t *x, *y;
        size_t len;
    } points[] = {
        {"a point of P-256", gx, gy, 32}, {"a point beside the curve", gy, gx, 32},
        {"y = 0", gx, zero, 32},          {"the point (0, 0)", zero, zero, 32},
        {"no point", zero, zero, 0},      {"a short point", gx, gy, 31},
    };
    struct service_device d;
    if (!service_device_new(c, &d, "")) {
        return;
    }
    for (size_t i = 0; i < COUNT(points); i++) {
        uint8_t bytes[256];
        char srk[400];
        service_base64(
            bytes_of(bytes, write_ecc(points[i].x, points[i].y, points[i].len, bytes, sizeof bytes)), srk,
            sizeof srk);
        if (!ask_with(c, &d, srk) || !conformance_check(c, service_of(c)->status < 500, "%s: got %u",
                                                        points[i].name, service_of(c)->status)) {
            return;
        }
        /* Only the first one is a key at all: a service may know how to wrap to it. */
        if (i > 0 && !service_refused(c, points[i].name, 0)) {
            return;
        }
    }
}

static void sizes(struct conformance *c)
{
    struct service_device d;
    uint8_t bytes[DPS_SRK_PUBLIC_MAX + 2];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    const size_t len = d.srk->public_len;
    const struct {
        const char *name;
        size_t from, to; /* bytes of the area that are sent */
        int declared;    /* what the size field says beyond the truth */
    } forms[] = {
        {"without its size", 2, len, 0},    {"a byte missing", 0, len - 1, 0},
        {"a byte too many", 0, len + 1, 0}, {"a size too small", 0, len, -1},
        {"a size too large", 0, len, 1},    {"the size alone", 0, 2, 0},
        {"the head alone", 0, 24, 0},       {"nothing", 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        char srk[600];
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, d.srk->public_2b, len);
        bytes[1] = (uint8_t)(bytes[1] + forms[i].declared);
        service_base64(bytes_of(bytes + forms[i].from, forms[i].to - forms[i].from), srk, sizeof srk);
        if (!ask_with(c, &d, srk) || !service_refused(c, forms[i].name, 0)) {
            return;
        }
    }
    ask_with(c, &d, "this is not a key");
    service_refused(c, "no base64", 0);
}

static void base64_forms(struct conformance *c)
{
    struct service_device d;
    char good[600];
    char bad[700];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    service_base64(bytes_of(d.srk->public_2b, d.srk->public_len), good, sizeof good);
    const size_t len = strlen(good);
    const char *const names[] = {"without padding", "with a line end", "with pad bits that are not zero"};
    for (size_t i = 0; i < COUNT(names); i++) {
        memcpy(bad, good, len + 1);
        if (i == 0) { /* 284 bytes end with "x=" */
            bad[strcspn(bad, "=")] = 0;
        } else if (i == 1) {
            memcpy(bad + 64, "\\n", 2);
            memcpy(bad + 66, good + 64, len - 64 + 1);
        } else {
            bad[strcspn(bad, "=") - 1] ^= 1;
        }
        if (!ask_with(c, &d, bad) || !service_refused(c, names[i], 0)) {
            return;
        }
    }
}

/* ---- What is right ------------------------------------------------------------------------------------- */

static void both_forms(struct conformance *c)
{
    static const struct service_variant vectors[] = {
        {.name = "without noDA", .clear = TPM2_OBJECT_NO_DA},
        {.name = "with exponent 65537 written out", .exponent = 65537},
    };
    const struct tpm2_public area = tpm2_template_srk();
    struct service_device d;
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d)) {
        return;
    }
    conformance_judge(c);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct service_key key = *service_key(c, SERVICE_SRK);
        const struct bytes made =
            service_variant_make(&key, &area, &vectors[i], key.public_2b, sizeof key.public_2b);
        key.public_len = made.len;
        tpm2_name_of(made, key.name);
        d.srk = &key;
        if (!service_challenge(c, &d)) {
            return;
        }
    }
}

static void new_owner(struct conformance *c)
{
    struct service_device d;
    if (service_device_new(c, &d, "") && service_register(c, &d)) {
        conformance_judge(c);
        d.srk = service_key(c, SERVICE_OTHER_SRK);
        service_register(c, &d);
    }
}

/* A challenge for the EK of one TPM and the SRK of another one opens for neither. */
static void two_tpms(struct conformance *c)
{
    struct service_device d;
    uint8_t inner[32];
    size_t len;
    if (!service_device_new(c, &d, "")) {
        return;
    }
    d.srk = service_key(c, SERVICE_OTHER_SRK);
    if (!service_challenge(c, &d)) {
        return;
    }
    struct service_blob *b = &service_of(c)->blob;
    const struct service_key *own = service_key(c, SERVICE_SRK);
    conformance_check(c,
                      tpm2_credential_open(b->fields.id_object, b->fields.encrypted_secret, &d.ek->rsa,
                                           bytes_of(own->name, sizeof own->name), inner, sizeof inner,
                                           &len) != 0,
                      "field 1 opens beside another SRK than the one that was named");
    uint8_t name[TPM2_NAME_SIZE];
    uint8_t storage[256];
    struct tpm2_sensitive sensitive;
    tpm2_name_of(b->fields.key_public_2b, name);
    conformance_check(c,
                      tpm2_duplicate_open(b->fields.duplicate, b->fields.duplicate_secret, &own->rsa,
                                          bytes_of(b->inner_key, b->inner_len), bytes_of(name, sizeof name),
                                          &sensitive, storage, sizeof storage) != 0,
                      "field 3 opens with another SRK than the one that was named");
}

#define RULE "spec-notes: Which SRK may be trusted"

const struct conformance_case service_cases_srk[] = {
    {"SVC-S05-030",
     "An SRK that could be a software key (no fixedTPM) must be refused: it would open the nonce in clear.",
     "TPM 2.0 Part 3 r1.59 §12.3, §12.5; " RULE, CONFORMANCE_MUST, 0, no_fixed_tpm},
    {"SVC-S05-031", "An SRK that is not a storage key made in its TPM must be refused.",
     "TPM 2.0 Part 1 r1.59 §27; " RULE, CONFORMANCE_MUST, 0, other_roles},
    {"SVC-S05-032", "An SRK with attributes or a policy that no SRK has should be refused.",
     "TCG Provisioning Guidance 1.0 §7.5.1; " RULE, CONFORMANCE_SHOULD, 0, odd_attributes},
    {"SVC-S05-033",
     "An SRK with other algorithms, or with sizes that contradict each other, must be refused.",
     "TCG Provisioning Guidance 1.0 §7.5.1; TPM 2.0 Part 2 r1.59 §12.2.3.5", CONFORMANCE_MUST, 0,
     bad_parameters},
    {"SVC-S05-034",
     "An SRK whose modulus or exponent is impossible must be refused: encryption to it protects nothing.",
     "RFC 8017 §3.1; " RULE, CONFORMANCE_MUST, 0, bad_numbers},
    {"SVC-S05-035", "An SRK with exponent 3 should be refused: TPMs make 65537.",
     "TPM 2.0 Part 2 r1.59 §12.2.3.5; " RULE, CONFORMANCE_SHOULD, 0, exponent_3},
    {"SVC-S05-036", "The refusal of an SRK should say what is wrong: 400011 to 400015.",
     "spec-notes: Error codes", CONFORMANCE_SHOULD, 0, codes},
    {"SVC-S05-040",
     "An ECC SRK off its curve must be refused; one on its curve must not cause an internal error.",
     "TPM 2.0 Part 2 r1.59 §12.2.3.6", CONFORMANCE_MUST, 0, curves},
    {"SVC-S05-041", "An SRK that is not exactly one TPM2B_PUBLIC in base64 must be refused.",
     "TPM 2.0 Part 2 r1.59 §12.2.5", CONFORMANCE_MUST, 0, sizes},
    {"SVC-S05-042", "Base64 should have one spelling: padding, no line ends, zero pad bits.", "RFC 4648 §3",
     CONFORMANCE_SHOULD, 0, base64_forms},
    {"SVC-S05-050", "An SRK with or without noDA, and with exponent 65537 or 0, should be accepted.",
     "TPM 2.0 Part 2 r1.59 §12.2.3.5; " RULE, CONFORMANCE_SHOULD, 0, both_forms},
    {"SVC-S05-051", "The device of a new owner, with a new SRK, must be recognised by its EK.",
     "spec-notes: Which SRK may be trusted", CONFORMANCE_MUST, 0, new_owner},
    {"SVC-S05-052", "A challenge must open for no other SRK than the one that was named.",
     "TPM 2.0 Part 1 r1.59 §24", CONFORMANCE_MUST, 0, two_tpms},
    {0},
};
