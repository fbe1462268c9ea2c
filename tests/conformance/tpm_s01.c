/* SPDX-License-Identifier: MIT */
/* Step 1: the endorsement key. */
#include "crypto/certificate.h"
#include "tests/conformance/tpm.h"

#define CERTIFICATE_MAX 4096
#define NV_PART 512 /* what every TPM can read from NV at once */

static void looks_like(struct conformance *c, const struct tpm_key *key, struct tpm2_public wanted)
{
    conformance_check(c, key->area.attributes == wanted.attributes,
                      "its attributes are 0x%08x instead of 0x%08x", key->area.attributes, wanted.attributes);
    conformance_check(c, tpm2_public_matches(&key->area, &wanted),
                      "its public area is not that of the template");
    conformance_check(c, key->area.unique.len == 256, "its modulus has %zu bytes", key->area.unique.len);
    conformance_check(c,
                      key->area.unique.len == 256 && (key->area.unique.p[0] & 0x80) != 0 &&
                          (key->area.unique.p[255] & 1) != 0,
                      "its modulus is even or short");
}

static bool same_public(const struct tpm_key *a, const struct tpm_key *b)
{
    return bytes_equal_public(bytes_of(a->public_2b, a->public_len), bytes_of(b->public_2b, b->public_len));
}

static void l1_template(struct conformance *c)
{
    const struct tpm_key *ek = tpm_ek(c);
    if (ek != NULL) {
        looks_like(c, ek, tpm2_template_ek_l1());
    }
}

static void l1_twice(struct conformance *c)
{
    const struct tpm_key *ek = tpm_ek(c);
    struct tpm_key again;
    if (ek != NULL && tpm_create_primary(c, TPM2_RH_ENDORSEMENT, tpm2_template_ek_l1(), &again)) {
        conformance_check(c, same_public(ek, &again), "the same template gave two different keys");
    }
}

static void azure_template(struct conformance *c)
{
    const struct tpm_key *ek = tpm_ek(c);
    struct tpm_key azure, again;
    if (ek == NULL || !tpm_create_primary(c, TPM2_RH_ENDORSEMENT, tpm2_template_ek_azure_sdk(), &azure)) {
        return;
    }
    looks_like(c, &azure, tpm2_template_ek_azure_sdk());
    conformance_check(c, !same_public(ek, &azure), "unique of zeros and an empty one gave the same key");
    if (tpm_flush(c, azure.handle) &&
        tpm_create_primary(c, TPM2_RH_ENDORSEMENT, tpm2_template_ek_azure_sdk(), &again)) {
        conformance_check(c, same_public(&azure, &again), "the same template gave two different keys");
    }
}

static void names(struct conformance *c)
{
    const struct tpm_key *ek = tpm_ek(c);
    uint8_t name[TPM2_NAME_SIZE];
    if (ek == NULL) {
        return;
    }
    tpm2_name_of(bytes_of(ek->public_2b, ek->public_len), name);
    conformance_check(c, memcmp(name, ek->name, sizeof name) == 0,
                      "TPM2_CreatePrimary returned a Name that is not the SHA-256 of the public area");
}

/* QN = nameAlg || H(QN of the parent || Name); a hierarchy's is its handle. */
static void qualified_name(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm_key *ek = tpm_ek(c);
    static const uint8_t endorsement[] = {0x40, 0x00, 0x00, 0x0B};
    uint8_t expected[TPM2_NAME_SIZE] = {0x00, 0x0B};
    struct bytes public_2b, name;
    if (ek == NULL) {
        return;
    }
    tpm2_read_public_build(tpm_begin(c), ek->handle);
    if (!tpm_ok(c, tpm2_read_public_parse(tpm_send(c), &t->rc, &public_2b, &name), "TPM2_ReadPublic")) {
        return;
    }
    conformance_check(c, bytes_equal_public(public_2b, bytes_of(ek->public_2b, ek->public_len)),
                      "TPM2_ReadPublic gave another public area than TPM2_CreatePrimary");
    conformance_check(c, bytes_equal_public(name, bytes_of(ek->name, sizeof ek->name)),
                      "TPM2_ReadPublic gave another Name than TPM2_CreatePrimary");
    crypto_sha256((const struct bytes[]){bytes_of(endorsement, 4), bytes_of(ek->name, sizeof ek->name)}, 2,
                  expected + 2);
    struct bytes_reader r = bytes_reader_over(t->answer);
    bytes_skip(&r, 10 + public_2b.len + 2 + name.len);
    conformance_check(c, bytes_equal_public(bytes_read_2b(&r), bytes_of(expected, sizeof expected)),
                      "the qualified name is not the hash of TPM_RH_ENDORSEMENT and Name");
}

static void creation_data(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm_key key;
    uint8_t hash[CRYPTO_SHA256_SIZE];
    if (!tpm_create_primary(c, TPM2_RH_ENDORSEMENT, tpm2_template_ek_l1(), &key)) {
        return;
    }
    struct bytes_reader r = bytes_reader_over(t->answer);
    bytes_skip(&r, 10 + 4 + 4);
    (void)bytes_read_2b(&r); /* outPublic */
    struct bytes data = bytes_read_2b(&r);
    struct bytes creation_hash = bytes_read_2b(&r);
    uint16_t tag = bytes_read_u16(&r);
    uint32_t hierarchy = bytes_read_u32(&r);
    crypto_sha256(&data, 1, hash);
    conformance_check(c, bytes_equal_public(creation_hash, bytes_of(hash, sizeof hash)),
                      "creationHash is not the SHA-256 of creationData");
    conformance_check(c, tag == TPM2_ST_CREATION && hierarchy == TPM2_RH_ENDORSEMENT,
                      "creationTicket has tag 0x%04x and hierarchy 0x%08x", tag, hierarchy);
    r = bytes_reader_over(data);
    conformance_check(c, bytes_read_u32(&r) == 0, "creationData names PCRs, and none were asked for");
    (void)bytes_read_2b(&r); /* pcrDigest */
    (void)bytes_read_u8(&r); /* locality */
    (void)bytes_read_u16(&r);
    struct bytes parent = bytes_read_2b(&r);
    struct bytes qualified = bytes_read_2b(&r);
    conformance_check(c, bytes_read_2b(&r).len == 0 && bytes_reader_end(&r) == 0,
                      "creationData is not well-formed");
    conformance_check(c,
                      bytes_equal_public(parent, bytes_of("\x40\x00\x00\x0B", 4)) &&
                          bytes_equal_public(parent, qualified),
                      "the parent in creationData is not TPM_RH_ENDORSEMENT");
}

static void wrong_authorization(struct conformance *c)
{
    const struct tpm2_public area = tpm2_template_ek_l1();
    tpm_refuse_wrong_password(c, TPM2_RH_ENDORSEMENT, &area,
                              "TPM2_CreatePrimary with a wrong endorsement authorization");
}

static void persistent(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct bytes public_2b, name;
    struct tpm2_public area;
    if (!tpm_is_listed(&t->before, TPM2_HANDLE_EK)) {
        conformance_skip(c, "there is no key at 0x%08x", TPM2_HANDLE_EK);
        return;
    }
    tpm2_read_public_build(tpm_begin(c), TPM2_HANDLE_EK);
    int error = tpm2_read_public_parse(tpm_send(c), &t->rc, &public_2b, &name);
    struct tpm2_public wanted = tpm2_template_ek_l1();
    conformance_check(c, error == 0, "the key at 0x%08x is not an RSA key with SHA-256", TPM2_HANDLE_EK);
    conformance_check(
        c, error != 0 || (tpm2_public_parse_2b(public_2b, &area) == 0 && tpm2_public_matches(&area, &wanted)),
        "the key at 0x%08x has not the form of an EK", TPM2_HANDLE_EK);
}

/* ---- The EK certificate ---- */

static bool nv_part(struct conformance *c, uint32_t authority, uint32_t index, uint16_t size, uint16_t offset,
                    uint8_t *out)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm2_auth auth = tpm2_auth_password(authority == TPM2_RH_OWNER ? t->owner : bytes_of(NULL, 0));
    struct bytes data;
    tpm2_nv_read_build(tpm_begin(c), authority, index, &auth, size, offset);
    int error = tpm2_nv_read_parse(tpm_send(c), &t->rc, &data);
    const char *before = conformance_stand_on(c, "TPM-S01-009");
    const bool read =
        tpm_ok(c, error, "TPM2_NV_Read of the EK certificate") &&
        conformance_check(c, data.len == size, "TPM2_NV_Read gave %zu of %u bytes", data.len, size);
    conformance_stand_back(c, before);
    if (read) {
        memcpy(out, data.p, data.len);
    }
    return read;
}

/* The certificate of the RSA-2048 EK, low range first. *len 0: there is none that may be read. */
static bool read_certificate(struct conformance *c, uint8_t *out, size_t *len)
{
    struct tpm_suite *t = tpm_of(c);
    static const uint32_t indexes[] = {TPM2_NV_EK_CERTIFICATE_RSA2048, TPM2_NV_EK_CERTIFICATE_RSA2048_HIGH};
    for (size_t i = 0; i < 2; i++) {
        uint32_t attributes;
        uint16_t size;
        tpm2_nv_read_public_build(tpm_begin(c), indexes[i]);
        int error = tpm2_nv_read_public_parse(tpm_send(c), &t->rc, &attributes, &size);
        if (error != 0 || (attributes & TPM2_NV_WRITTEN) == 0 || size > CERTIFICATE_MAX ||
            (attributes & (TPM2_NV_AUTH_READ | TPM2_NV_OWNER_READ)) == 0) {
            continue;
        }
        uint32_t authority = (attributes & TPM2_NV_AUTH_READ) != 0 ? indexes[i] : TPM2_RH_OWNER;
        for (*len = 0; *len < size;) {
            uint16_t part = (uint16_t)(size - *len < NV_PART ? size - *len : NV_PART);
            if (!nv_part(c, authority, indexes[i], part, (uint16_t)*len, out + *len)) {
                return false;
            }
            *len += part;
        }
        conformance_note(c, "EK certificate at 0x%08x, %zu bytes", indexes[i], *len);
        return true;
    }
    *len = 0;
    return true;
}

static void certificate_there(struct conformance *c)
{
    uint8_t der[CERTIFICATE_MAX];
    size_t len;
    if (read_certificate(c, der, &len)) {
        conformance_check(c, len > 0, "there is no EK certificate at 0x%08x or 0x%08x",
                          TPM2_NV_EK_CERTIFICATE_RSA2048, TPM2_NV_EK_CERTIFICATE_RSA2048_HIGH);
    }
}

static void certificate_matches(struct conformance *c)
{
    uint8_t der[CERTIFICATE_MAX];
    size_t len;
    struct crypto_certificate certificate;
    const struct tpm_key *ek = tpm_ek(c);
    if (ek == NULL || !read_certificate(c, der, &len)) {
        return;
    }
    if (len == 0) {
        conformance_skip(c, "there is no EK certificate for an RSA-2048 key");
        return;
    }
    int error = crypto_certificate_parse(bytes_of(der, len), &certificate);
    conformance_check(c, error == 0, "the EK certificate cannot be read: %s", posix_error_text(error));
    conformance_check(c, error != 0 || bytes_equal_public(certificate.key.rsa.modulus, ek->area.unique),
                      "the EK certificate is about another key than the EK of template L-1");
}

const struct conformance_case tpm_cases_ek[] = {
    {"TPM-S01-001",
     "TPM2_CreatePrimary must give an EK that follows template L-1, with a modulus of 2048 bits.",
     "EK Profile 2.5 B.3.3", CONFORMANCE_MUST, 0, l1_template},
    {"TPM-S01-002", "The EK must be the same each time it is derived.", "TPM 2.0 Part 1 r1.59 27.6.4",
     CONFORMANCE_MUST, 0, l1_twice},
    {"TPM-S01-003",
     "An empty unique, as Microsoft's SDKs ask for, must give a different EK, the same each time.",
     "spec-notes: The right EK", CONFORMANCE_MUST, 0, azure_template},
    {"TPM-S01-004", "The EK's Name must be the SHA-256 of its public area.", "TPM 2.0 Part 1 r1.59 16",
     CONFORMANCE_MUST, 0, names},
    {"TPM-S01-005",
     "TPM2_ReadPublic must give the same public area and Name, and the qualified name of a primary.",
     "TPM 2.0 Part 1 r1.59 16", CONFORMANCE_MUST, 0, qualified_name},
    {"TPM-S01-006",
     "creationData must be well-formed, name the endorsement hierarchy, and have its hash beside it.",
     "TPM 2.0 Part 2 r1.59 15.1", CONFORMANCE_MUST, 0, creation_data},
    {"TPM-S01-007", "A wrong endorsement authorization must be refused with TPM_RC_BAD_AUTH.",
     "TPM 2.0 Part 1 r1.59 19.4", CONFORMANCE_MUST, 0, wrong_authorization},
    {"TPM-S01-008", "A key at 0x81010001 should have the form of an RSA-2048 EK.",
     "TCG Provisioning Guidance 1.0 r1.0 7.8", CONFORMANCE_SHOULD, 0, persistent},
    {"TPM-S01-009", "The TPM should have an EK certificate for its RSA-2048 EK.", "EK Profile 2.5 2.2.1.4",
     CONFORMANCE_SHOULD, 0, certificate_there},
    {"TPM-S01-010", "The EK certificate should be about the EK of template L-1.", "EK Profile 2.5 2.2.1.4",
     CONFORMANCE_SHOULD, 0, certificate_matches},
    {0},
};
