/* SPDX-License-Identifier: MIT */
/* What a real TPM (libtpms) does for whoever commands it: facts that tests/model/dps.maude depends on and no
 * other test shows. */
#include "dps/protocol/activation.h"
#include "dps/service/activation_make.h"
#include "tests/port/tpm_calls.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include "tpm/frame.h"
#include "tpm/session.h"
#include "tpm/tools/command_more.h"
#include <stdio.h>
#include <string.h>

#define CC_RSA_DECRYPT 0x00000159

static struct tpm_call_key ek;

/* A blob for the key, as the service makes it. */
static const uint8_t hmac_key[DPS_KEY_SIZE] = {9, 8, 7};
static const struct dps_activation_random random_bytes = {.inner_key = {1, 2, 3}, .seed_value = {4}};
static uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
static struct dps_activation fields;

static struct tpm2_auth empty(void)
{
    return tpm2_auth_password(bytes_of(NULL, 0));
}

static int wrap_for(const struct tpm_call_key *srk)
{
    struct bytes_writer w = bytes_writer_over(blob, sizeof blob);
    dps_activation_make(&w, &ek.area, &srk->area, srk->name, hmac_key, bytes_of_text("host"),
                        bytes_of_text("id"), &random_bytes);
    CHECK(w.error == 0 && dps_activation_parse(bytes_written(&w), &fields) == 0);
    return 0;
}

static int rewrap(const struct tpm_call_key *srk, const struct tpm2_auth *auth, struct bytes *content)
{
    struct bytes secret;
    uint8_t name[TPM2_NAME_SIZE];
    tpm2_name_of(fields.key_public_2b, name);
    struct bytes_writer w = tpm_call_begin();
    tpm2_rewrap_build(&w, srk->handle, TPM2_RH_NULL, auth, fields.duplicate, bytes_of(name, sizeof name),
                      fields.duplicate_secret);
    CHECK(tpm_call_send(&w) == 0);
    return tpm2_rewrap_parse(tpm_call_answer(), &tpm_call.rc, content, &secret);
}

static int import(const struct tpm_call_key *srk, const struct tpm2_auth *auth)
{
    struct bytes private_2b;
    struct bytes_writer w = tpm_call_begin();
    tpm2_import_build(&w, srk->handle, auth, bytes_of(random_bytes.inner_key, DPS_INNER_KEY_SIZE),
                      fields.key_public_2b, fields.duplicate, fields.duplicate_secret);
    CHECK(tpm_call_send(&w) == 0);
    return tpm2_import_parse(tpm_call_answer(), &tpm_call.rc, &private_2b);
}

/* A policy session that is valid for one command code; with_or: and then for the hardened SRK's policy. */
static int policy_for(uint32_t code, bool with_or, uint32_t *session)
{
    static const uint8_t import_branch[32] = TPM2_POLICY_IMPORT_SHA256,
                         load_branch[32] = TPM2_POLICY_LOAD_SHA256;
    const struct bytes branches[] = {bytes_of(import_branch, 32), bytes_of(load_branch, 32)};
    static const uint8_t nonce[TPM2_NONCE_SIZE] = {5};
    struct bytes nonce_tpm;
    struct bytes_writer w = tpm_call_begin();
    tpm2_start_auth_session_build(&w, TPM2_SE_POLICY, bytes_of(nonce, sizeof nonce));
    CHECK(tpm_call_send(&w) == 0);
    CHECK(tpm2_start_auth_session_parse(tpm_call_answer(), &tpm_call.rc, session, &nonce_tpm) == 0);
    w = tpm_call_begin();
    tpm2_policy_command_code_build(&w, *session, code);
    CHECK(tpm_call_send(&w) == 0);
    CHECK(tpm2_policy_command_code_parse(tpm_call_answer(), &tpm_call.rc) == 0);
    if (!with_or) {
        return 0;
    }
    w = tpm_call_begin();
    tpm2_policy_or_build(&w, *session, branches, 2);
    CHECK(tpm_call_send(&w) == 0);
    return tpm2_policy_or_parse(tpm_call_answer(), &tpm_call.rc);
}

/* One command, and only the inner wrap is left, without the HMAC of the outer one. */
static int s07_rewrap_standard(void)
{
    struct tpm_call_key srk;
    struct bytes content;
    const struct tpm2_auth auth = empty();
    CHECK(tpm_call_make(&srk, TPM2_RH_OWNER, tpm2_template_srk(), bytes_of(NULL, 0)) == 0);
    CHECK(wrap_for(&srk) == 0);
    CHECK(rewrap(&srk, &auth, &content) == 0);
    const size_t outer_hmac = 2 + CRYPTO_SHA256_SIZE;
    CHECK(content.len == fields.duplicate.len - outer_hmac);
    /* The caller has the inner key, from ActivateCredential: integrity, then the key at the end of TPMT_SENSITIVE. */
    static const uint8_t iv[16] = {0};
    uint8_t plain[256];
    CHECK(content.len <= sizeof plain);
    memcpy(plain, content.p, content.len);
    CHECK(crypto_aes_cfb_decrypt(bytes_of(random_bytes.inner_key, DPS_INNER_KEY_SIZE), iv, plain,
                                 content.len) == 0);
    CHECK(memcmp(plain + content.len - DPS_KEY_SIZE, hmac_key, DPS_KEY_SIZE) == 0);
    /* The first block, whose key stream encUriData uses again, is a part of the inner integrity: no part of the key. */
    CHECK(plain[0] == 0 && plain[1] == CRYPTO_SHA256_SIZE && content.len - DPS_KEY_SIZE > 16);
    return tpm_call_flush(srk.handle);
}

static int s07_rewrap_hardened(void)
{
    struct tpm_call_key srk;
    struct bytes content;
    uint32_t session;
    const struct tpm2_auth password = empty();
    CHECK(tpm_call_make(&srk, TPM2_RH_OWNER, tpm2_template_srk_hardened(), bytes_of(NULL, 0)) == 0);
    CHECK(wrap_for(&srk) == 0);
    CHECK(rewrap(&srk, &password, &content) == BYTES_E_TPM_RC && tpm_call.rc == TPM2_RC_AUTH_UNAVAILABLE);

    CHECK(policy_for(TPM2_CC_REWRAP, false, &session) == 0);
    struct tpm2_auth auth = tpm2_auth_policy(session, true);
    CHECK(rewrap(&srk, &auth, &content) == BYTES_E_TPM_RC && (tpm_call.rc & 0xBF) == TPM2_RC_POLICY_FAIL);
    CHECK(tpm_call_flush(session) == 0);
    CHECK(policy_for(TPM2_CC_REWRAP, true, &session) == BYTES_E_TPM_RC);
    CHECK(tpm_call_flush(session) == 0);

    CHECK(policy_for(TPM2_CC_IMPORT, true, &session) == 0);
    auth = tpm2_auth_policy(session, true);
    CHECK(rewrap(&srk, &auth, &content) == BYTES_E_TPM_RC && (tpm_call.rc & 0xBF) == TPM2_RC_POLICY_CC);
    CHECK(import(&srk, &auth) == 0);
    CHECK(tpm_call_flush(session) == 0);
    return tpm_call_flush(srk.handle);
}

static int s07_rsa_decrypt_restricted(void)
{
    struct tpm_call_key srk;
    const struct tpm2_auth auth = empty();
    CHECK(tpm_call_make(&srk, TPM2_RH_OWNER, tpm2_template_srk(), bytes_of(NULL, 0)) == 0);
    CHECK(wrap_for(&srk) == 0);
    struct bytes_writer w = tpm_call_begin();
    tpm2_command_begin_authorized(&w, CC_RSA_DECRYPT, srk.handle, &auth);
    bytes_write_2b(&w, fields.duplicate_secret);
    bytes_write_u16(&w, TPM2_ALG_OAEP);
    bytes_write_u16(&w, TPM2_ALG_SHA256);
    bytes_write_2b(&w, bytes_of("DUPLICATE", sizeof "DUPLICATE"));
    tpm2_command_end(&w);
    CHECK(tpm_call_send(&w) == 0);
    struct bytes_reader r = tpm2_response_begin(tpm_call_answer(), &tpm_call.rc, 1, NULL);
    CHECK(r.error == BYTES_E_TPM_RC && (tpm_call.rc & 0xBF) == TPM2_RC_ATTRIBUTES);
    return tpm_call_flush(srk.handle);
}

/* The next owner gets another SRK in the owner hierarchy. A storage key of the endorsement or platform hierarchy is the
 * same again: the attributes do not say in which hierarchy a key is. */
static int s03_clear(void)
{
    static const uint32_t hierarchies[] = {TPM2_RH_OWNER, TPM2_RH_ENDORSEMENT, TPM2_RH_PLATFORM};
    struct tpm_call_key before[3], after;
    const struct tpm2_auth auth = empty();
    for (size_t i = 0; i < 3; i++) {
        CHECK(tpm_call_make(&before[i], hierarchies[i], tpm2_template_srk(), bytes_of(NULL, 0)) == 0);
        CHECK(tpm_call_flush(before[i].handle) == 0);
    }
    CHECK(tpm_call_flush(ek.handle) == 0);
    struct bytes_writer w = tpm_call_begin();
    tpm2_clear_build(&w, TPM2_RH_LOCKOUT, &auth);
    CHECK(tpm_call_send(&w) == 0);
    CHECK(tpm2_clear_parse(tpm_call_answer(), &tpm_call.rc) == 0);
    CHECK(tpm_call_make(&ek, TPM2_RH_ENDORSEMENT, tpm2_template_ek_l1(), bytes_of(NULL, 0)) == 0);
    for (size_t i = 0; i < 3; i++) {
        const bool same = hierarchies[i] != TPM2_RH_OWNER;
        CHECK(wrap_for(&before[i]) == 0);
        CHECK(tpm_call_make(&after, hierarchies[i], tpm2_template_srk(), bytes_of(NULL, 0)) == 0);
        CHECK((memcmp(after.name, before[i].name, TPM2_NAME_SIZE) == 0) == same);
        CHECK((import(&after, &auth) == 0) == same);
        CHECK(tpm_call_flush(after.handle) == 0);
    }
    return 0;
}

int main(void)
{
    char name[300];
    static const struct test tests[] = {
        {"s07 Rewrap takes the outer wrap off, if the SRK is the standard one", s07_rewrap_standard},
        {"s07 Rewrap is refused for the hardened SRK", s07_rewrap_hardened},
        {"s07 a restricted key does not RSA_Decrypt", s07_rsa_decrypt_restricted},
        {"s03 a storage key of the endorsement or platform hierarchy survives TPM2_Clear", s03_clear},
    };
    snprintf(name, sizeof name, "libtpms:%s", support_path("tpm"));
    if (tpm_call_open(&tpm_call.tpm, name) != 0 ||
        tpm_call_make(&ek, TPM2_RH_ENDORSEMENT, tpm2_template_ek_l1(), bytes_of(NULL, 0)) != 0) {
        printf("1..1\nnot ok 1 - a TPM with its EK: %s\n", tpm_call_why);
        return 1;
    }
    const int status = test_run(tests, sizeof tests / sizeof tests[0]);
    posix_tpm_close(&tpm_call.tpm);
    return status;
}
