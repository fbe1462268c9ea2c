/* SPDX-License-Identifier: MIT */
/* Step 8: signing with the HMAC key, and flushing it. */
#include "tests/conformance/tpm.h"
#include "tpm/tools/command_more.h"

static void fill_with_pattern(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(i * 7 + len);
    }
}

static void string_to_sign(struct conformance *c)
{
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (tpm_bring_in(c, &k)) {
        tpm_hmac_is_right(c, &k, bytes_of_text("0ne00000A0A%2fregistrations%2fdevice-1\n1800000000"));
    }
}

static void lengths(struct conformance *c)
{
    static const size_t sizes[] = {0, 1, 31, 32, 55, 56, 63, 64, 65, 127, 128, 500, 640, 1000};
    uint8_t data[1000];
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (!tpm_bring_in(c, &k)) {
        return;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && !c->failed; i++) {
        uint32_t most = 0;
        if (sizes[i] > DPS_TOKEN_MAX && (!tpm_property(c, TPM2_PT_INPUT_BUFFER, &most) || most < sizes[i])) {
            continue;
        }
        fill_with_pattern(data, sizes[i]);
        tpm_hmac_is_right(c, &k, bytes_of(data, sizes[i]));
    }
}

static void longest(struct conformance *c)
{
    static uint8_t data[TPM_BUFFER];
    uint32_t most = 0;
    struct tpm_wrapped k;
    struct bytes mac;
    if (!tpm_property(c, TPM2_PT_INPUT_BUFFER, &most) || most > TPM_BUFFER - 64) {
        conformance_skip(c, "TPM_PT_INPUT_BUFFER is %u", most);
        return;
    }
    tpm_new_key(c, &k);
    fill_with_pattern(data, most + 1);
    if (!tpm_bring_in(c, &k) || !tpm_hmac_is_right(c, &k, bytes_of(data, most))) {
        return;
    }
    tpm_refused(c, tpm_hmac(c, k.handle, bytes_of(data, most + 1), &mac),
                TPM_CODES(TPM2_RC_SIZE, TPM2_RC_COMMAND_SIZE), "one byte more than TPM_PT_INPUT_BUFFER");
}

static void sequence(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    uint8_t data[700], expected[CRYPTO_SHA256_SIZE];
    uint32_t handle;
    struct tpm_wrapped k;
    struct bytes mac;
    if (!tpm_has(c, TPM2_CAP_COMMANDS, TPM2_CC_HMAC_START)) {
        conformance_skip(c, "this TPM has no TPM2_HMAC_Start, which the flow does not need");
        return;
    }
    tpm_new_key(c, &k);
    fill_with_pattern(data, sizeof data);
    tpm_make_room(c); /* a sequence is one object more than the flow has */
    if (!tpm_bring_in(c, &k)) {
        return;
    }
    tpm2_hmac_start_build(tpm_begin(c), k.handle, &auth);
    int error = tpm2_hmac_start_parse(tpm_send(c), &t->rc, &handle);
    tpm_remember(c, handle);
    if (!tpm_ok(c, error, "TPM2_HMAC_Start")) {
        return;
    }
    tpm2_sequence_update_build(tpm_begin(c), handle, &auth, bytes_of(data, 400));
    tpm_ok(c, tpm2_sequence_update_parse(tpm_send(c), &t->rc), "TPM2_SequenceUpdate");
    tpm2_sequence_complete_build(tpm_begin(c), handle, &auth, bytes_of(data + 400, 300));
    error = tpm2_sequence_complete_parse(tpm_send(c), &t->rc, &mac);
    if (tpm_ok(c, error, "TPM2_SequenceComplete")) {
        const struct bytes whole = bytes_of(data, sizeof data);
        t->loaded_count--; /* the sequence is gone */
        crypto_hmac_sha256(bytes_of(k.key, k.key_len), &whole, 1, expected);
        conformance_check(c, bytes_equal_public(mac, bytes_of(expected, sizeof expected)),
                          "the sequence gave another HMAC");
    }
}

static void wrong_authorization(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of("wrong", 5));
    uint32_t before = 0, now = 0;
    struct tpm_wrapped k;
    struct bytes mac;
    tpm_new_key(c, &k);
    if (!tpm_bring_in(c, &k)) {
        return;
    }
    bool counted = tpm_property(c, TPM2_PT_LOCKOUT_COUNTER, &before);
    for (int i = 0; i < 3; i++) {
        tpm2_hmac_build(tpm_begin(c), k.handle, &auth, bytes_of_text("no"));
        int error = tpm2_hmac_parse(tpm_send(c), &t->rc, &mac);
        tpm_refused(c, error, TPM_CODES(TPM2_RC_BAD_AUTH), "TPM2_HMAC with a wrong authorization");
    }
    conformance_check(c, !counted || (tpm_property(c, TPM2_PT_LOCKOUT_COUNTER, &now) && now == before),
                      "the lockout counter went from %u to %u, although the key has noDA", before, now);
}

/* TPM2_HMAC with a hash of the caller's choice. */
static int hmac_with(struct conformance *c, uint32_t key, uint16_t hash, struct bytes *mac)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    struct bytes_writer *w = tpm_begin(c);
    tpm2_hmac_build(w, key, &auth, bytes_of_text("hash"));
    w->len -= 2;
    bytes_write_u16(w, hash);
    return tpm2_hmac_parse(tpm_send(c), &t->rc, mac);
}

static void hash_of_key(struct conformance *c)
{
    struct tpm_wrapped k;
    struct bytes mac;
    uint8_t expected[CRYPTO_SHA256_SIZE];
    const struct bytes data = bytes_of_text("hash");
    tpm_new_key(c, &k);
    if (!tpm_bring_in(c, &k)) {
        return;
    }
    crypto_hmac_sha256(bytes_of(k.key, k.key_len), &data, 1, expected);
    if (tpm_ok(c, hmac_with(c, k.handle, TPM2_ALG_SHA256, &mac), "TPM2_HMAC with SHA-256")) {
        conformance_check(c, bytes_equal_public(mac, bytes_of(expected, sizeof expected)),
                          "TPM2_HMAC with SHA-256 is wrong");
    }
    int error = hmac_with(c, k.handle, TPM2_ALG_RSA, &mac);
    tpm_refused(c, error, TPM_CODES(TPM2_RC_VALUE, TPM2_RC_HASH, TPM2_RC_SYMMETRIC),
                "TPM2_HMAC with RSA as hash");
    error = hmac_with(c, k.handle, TPM2_ALG_SHA384, &mac);
    tpm_refused(c, error, TPM_CODES(TPM2_RC_VALUE, TPM2_RC_HASH),
                "TPM2_HMAC with another hash than the key's");
}

static void no_hmac_key(struct conformance *c)
{
    const struct tpm_key *srk = tpm_srk(c);
    struct bytes mac;
    if (srk != NULL) {
        tpm_refused(c, tpm_hmac(c, srk->handle, bytes_of_text("no"), &mac),
                    TPM_CODES(TPM2_RC_TYPE, TPM2_RC_KEY, TPM2_RC_ATTRIBUTES), "TPM2_HMAC with the SRK");
    }
}

static void flushed(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm_wrapped k;
    struct bytes mac, public_2b, name;
    tpm_new_key(c, &k);
    if (!tpm_bring_in(c, &k) || !tpm_flush(c, k.handle)) {
        return;
    }
    const uint32_t *gone = TPM_CODES(TPM2_RC_HANDLE, TPM2_RC_REFERENCE_H0, TPM2_RC_VALUE);
    tpm_refused(c, tpm_flush_raw(c, k.handle), TPM_CODES(TPM2_RC_HANDLE, TPM2_RC_VALUE),
                "flushing the key a second time");
    tpm_refused(c, tpm_hmac(c, k.handle, bytes_of_text("no"), &mac), gone, "TPM2_HMAC with a flushed key");
    tpm2_read_public_build(tpm_begin(c), k.handle);
    int error = tpm2_read_public_parse(tpm_send(c), &t->rc, &public_2b, &name);
    tpm_refused(c, error, gone, "TPM2_ReadPublic of a flushed key");
}

static void flush_others(struct conformance *c)
{
    tpm_refused(c, tpm_flush_raw(c, TPM2_RH_OWNER), TPM_CODES(TPM2_RC_VALUE, TPM2_RC_HANDLE),
                "flushing TPM_RH_OWNER");
    tpm_refused(c, tpm_flush_raw(c, 0x81007DFFU), TPM_CODES(TPM2_RC_VALUE, TPM2_RC_HANDLE),
                "flushing a persistent handle");
}

const struct conformance_case tpm_cases_hmac[] = {
    {"TPM-S08-001", "TPM2_HMAC of a string to sign must be HMAC-SHA-256 with the key that was imported.",
     "TPM 2.0 Part 3 r1.59 15.5", CONFORMANCE_MUST, 0, string_to_sign},
    {"TPM-S08-002", "TPM2_HMAC must be right for data of any length, 0 bytes included.",
     "TPM 2.0 Part 3 r1.59 15.5", CONFORMANCE_MUST, 0, lengths},
    {"TPM-S08-003", "TPM2_HMAC must accept as many bytes as TPM_PT_INPUT_BUFFER says, and refuse more.",
     "TPM 2.0 Part 2 r1.59 6.13", CONFORMANCE_MUST, 0, longest},
    {"TPM-S08-004", "A sequence of TPM2_HMAC_Start should give the same HMAC.", "TPM 2.0 Part 3 r1.59 17.2",
     CONFORMANCE_SHOULD, 0, sequence},
    {"TPM-S08-005",
     "A wrong authorization of the HMAC key must be refused, and not be counted, since it has noDA.",
     "TPM 2.0 Part 1 r1.59 19.8", CONFORMANCE_MUST, 0, wrong_authorization},
    {"TPM-S08-006", "The hash of TPM2_HMAC must be the key's own.", "TPM 2.0 Part 3 r1.59 15.5",
     CONFORMANCE_MUST, 0, hash_of_key},
    {"TPM-S08-007", "TPM2_HMAC with a key that is not a keyed hash must be refused.",
     "TPM 2.0 Part 3 r1.59 15.5", CONFORMANCE_MUST, 0, no_hmac_key},
    {"TPM-S08-008", "A key that was flushed must be gone.", "TPM 2.0 Part 3 r1.59 28.4", CONFORMANCE_MUST, 0,
     flushed},
    {"TPM-S08-009", "TPM2_FlushContext must refuse handles of what cannot be flushed.",
     "TPM 2.0 Part 3 r1.59 28.4", CONFORMANCE_MUST, 0, flush_others},
    {0},
};
