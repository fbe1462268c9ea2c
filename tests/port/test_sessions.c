/* SPDX-License-Identifier: MIT */
/* Salted sessions against a real TPM (libtpms): it agrees with every key, hash and HMAC of tpm/session.c, and refuses
 * what was changed on the way. */
#include "dps/protocol/activation.h"
#include "dps/service/activation_make.h"
#include "tests/port/tpm_calls.h"
#include "tests/support/activation_open.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include "tpm/protect.h"
#include "tpm/session.h"
#include <stdio.h>
#include <string.h>

static uint8_t counter;

/* A password that has a zero at its end, which does not count. */
#define PASSWORD bytes_of("owner password\0", 15)

static struct tpm_call_key ek, srk;

/* A number that is used once, and the same in every run. */
static void fresh_nonce(uint8_t nonce[TPM2_NONCE_SIZE])
{
    memset(nonce, ++counter, TPM2_NONCE_SIZE);
}

static int start(struct tpm2_session *s, uint8_t type)
{
    uint8_t encrypted[2 + 256], nonce[TPM2_NONCE_SIZE], salt[TPM2_SEED_SIZE];
    struct tpm2_wrap_random random;
    struct bytes nonce_tpm;
    uint32_t handle;
    memset(&random, 0x5a, sizeof random);
    struct bytes_writer secret = bytes_writer_over(encrypted, sizeof encrypted);
    tpm2_seed_wrap(&secret, &ek.area, TPM2_SEED_SECRET, &random, salt);
    CHECK_EQUAL(secret.error, 0);
    fresh_nonce(nonce);
    struct bytes_writer w = tpm_call_begin();
    tpm2_start_keyed_session_build(&w, type, bytes_of(nonce, sizeof nonce),
                                   &(struct tpm2_salt){ek.handle, bytes_of(encrypted + 2, 256)});
    CHECK_EQUAL(tpm_call_send(&w), 0);
    CHECK_EQUAL(tpm2_start_auth_session_parse(tpm_call_answer(), &tpm_call.rc, &handle, &nonce_tpm), 0);
    CHECK_EQUAL(tpm2_session_begin(s, handle, salt, nonce, nonce_tpm), 0);
    return 0;
}

/* Protect, send, verify. change: a bit of the command to flip on the way, or 0. */
static int send_changed(struct bytes_writer *w, const struct tpm2_protection *p, size_t change)
{
    for (size_t i = 0; i < p->use_count; i++) {
        if (p->uses[i].session != NULL) {
            fresh_nonce(p->uses[i].session->nonce_caller);
        }
    }
    tpm2_session_protect(w, p);
    if (w->error == 0 && change != 0) {
        w->p[change / 8] ^= (uint8_t)(1U << change % 8);
    }
    const int error = tpm_call_send(w);
    return error != 0 ? error : tpm2_session_open(tpm_call.buffer, &tpm_call.answer_len, p);
}

static int send(struct bytes_writer *w, const struct tpm2_protection *p)
{
    return send_changed(w, p, 0);
}

static struct bytes name_of(const struct tpm_call_key *key)
{
    return bytes_of(key->name, TPM2_NAME_SIZE);
}

/* A hierarchy's or session's handle is its own Name [P1 r1.59 16]. */
static struct bytes handle_name(uint8_t storage[4], uint32_t handle)
{
    struct bytes_writer w = bytes_writer_over(storage, 4);
    bytes_write_u32(&w, handle);
    return bytes_written(&w);
}

static int prove_endorsement(const struct tpm2_session *policy)
{
    struct bytes_writer w = tpm_call_begin();
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    tpm2_policy_secret_build(&w, TPM2_RH_ENDORSEMENT, policy->handle, &auth, bytes_of(NULL, 0));
    CHECK_EQUAL(tpm_call_send(&w), 0);
    return tpm2_policy_secret_parse(tpm_call_answer(), &tpm_call.rc);
}

/* The two commands that carry the inner key, in one salted policy session, as a registration without passwords sends
 * them: it authorizes the EK and encrypts the inner key, then it only decrypts for Import. */
static int test_inner_key(void)
{
    static const struct dps_activation_random random = {.inner_key = {1, 2, 3}, .seed_value = {4}};
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    struct dps_activation fields;
    struct tpm2_session policy;
    const uint8_t key[DPS_KEY_SIZE] = {9};
    struct bytes_writer made = bytes_writer_over(blob, sizeof blob);
    dps_activation_make(&made, &ek.area, &srk.area, srk.name, key, bytes_of_text("host"), bytes_of_text("id"),
                        &random);
    CHECK(made.error == 0 && dps_activation_parse(bytes_written(&made), &fields) == 0);

    CHECK_EQUAL(start(&policy, TPM2_SE_POLICY), 0);
    CHECK_EQUAL(prove_endorsement(&policy), 0);
    const struct tpm2_auth auths[] = {tpm2_auth_password(bytes_of(NULL, 0)),
                                      tpm2_auth_policy(policy.handle, true)};
    struct bytes_writer w = tpm_call_begin();
    tpm2_activate_credential_build(&w, srk.handle, ek.handle, auths, fields.id_object,
                                   fields.encrypted_secret);
    const struct tpm2_protection activate = {
        .command_code = TPM2_CC_ACTIVATE_CREDENTIAL,
        .names = {name_of(&srk), name_of(&ek)},
        .name_count = 2,
        .uses = {{0}, {.session = &policy, .attributes = TPM2_SESSION_CONTINUE | TPM2_SESSION_ENCRYPT}},
        .use_count = 2,
        .built = 2,
    };
    struct bytes inner;
    CHECK_EQUAL(send(&w, &activate), 0);
    CHECK_EQUAL(tpm2_activate_credential_parse(tpm_call_answer(), &tpm_call.rc, &inner), 0);
    CHECK(inner.len == DPS_INNER_KEY_SIZE && memcmp(inner.p, random.inner_key, inner.len) == 0);

    const struct tpm2_auth srk_auth = tpm2_auth_password(bytes_of(NULL, 0));
    w = tpm_call_begin();
    tpm2_import_build(&w, srk.handle, &srk_auth, bytes_of(random.inner_key, DPS_INNER_KEY_SIZE),
                      fields.key_public_2b, fields.duplicate, fields.duplicate_secret);
    const struct tpm2_protection import = {
        .command_code = TPM2_CC_IMPORT,
        .names = {name_of(&srk)},
        .name_count = 1,
        .uses = {{0}, {.session = &policy, .attributes = TPM2_SESSION_CONTINUE | TPM2_SESSION_DECRYPT}},
        .use_count = 2,
        .built = 1,
    };
    struct bytes private_2b;
    CHECK_EQUAL(send(&w, &import), 0);
    CHECK(tpm2_import_parse(tpm_call_answer(), &tpm_call.rc, &private_2b) == 0 && private_2b.len > 34);
    CHECK_EQUAL(tpm_call_flush(policy.handle), 0);
    return 0;
}

/* New passwords cross encrypted, and the answer is signed with the new one; then the old one is not a key any more. */
static int test_passwords(void)
{
    struct tpm2_session s;
    uint8_t owner[4];
    struct bytes_writer w = tpm_call_begin();
    const struct tpm2_auth none = tpm2_auth_password(bytes_of(NULL, 0));
    CHECK_EQUAL(start(&s, TPM2_SE_HMAC), 0);
    struct tpm2_protection p = {
        .command_code = TPM2_CC_HIERARCHY_CHANGE_AUTH,
        .names = {handle_name(owner, TPM2_RH_OWNER)},
        .name_count = 1,
        .uses = {{.session = &s,
                  .attributes = TPM2_SESSION_CONTINUE | TPM2_SESSION_DECRYPT,
                  .auth_value_then = PASSWORD}},
        .use_count = 1,
        .built = 1,
    };
    w = tpm_call_begin();
    tpm2_hierarchy_change_auth_build(&w, TPM2_RH_OWNER, &none, PASSWORD);
    CHECK_EQUAL(send(&w, &p), 0);
    CHECK_EQUAL(tpm2_hierarchy_change_auth_parse(tpm_call_answer(), &tpm_call.rc), 0);

    /* The old password: refused, and the session lives on. */
    w = tpm_call_begin();
    tpm2_hierarchy_change_auth_build(&w, TPM2_RH_OWNER, &none, bytes_of(NULL, 0));
    p.uses[0].auth_value_then = bytes_of(NULL, 0);
    CHECK_EQUAL(send(&w, &p), 0);
    CHECK_EQUAL(tpm2_hierarchy_change_auth_parse(tpm_call_answer(), &tpm_call.rc), BYTES_E_TPM_RC);

    w = tpm_call_begin();
    tpm2_hierarchy_change_auth_build(&w, TPM2_RH_OWNER, &none, bytes_of(NULL, 0));
    p.uses[0].auth_value = PASSWORD;
    CHECK_EQUAL(send(&w, &p), 0);
    CHECK_EQUAL(tpm2_hierarchy_change_auth_parse(tpm_call_answer(), &tpm_call.rc), 0);
    CHECK_EQUAL(tpm_call_flush(s.handle), 0);
    return 0;
}

/* Every bit of a protected command after its header counts: the TPM refuses, or it is not this command any more. */
static int test_changed_on_the_way(void)
{
    struct tpm2_session s;
    uint8_t owner[4];
    const struct tpm2_auth none = tpm2_auth_password(bytes_of(NULL, 0));
    const struct tpm2_protection p = {
        .command_code = TPM2_CC_HIERARCHY_CHANGE_AUTH,
        .names = {handle_name(owner, TPM2_RH_OWNER)},
        .name_count = 1,
        .uses = {{.session = &s, .attributes = TPM2_SESSION_CONTINUE | TPM2_SESSION_DECRYPT}},
        .use_count = 1,
        .built = 1,
    };
    CHECK_EQUAL(start(&s, TPM2_SE_HMAC), 0);
    for (size_t bit = 8 * (10 + 4 + 4 + 4 + 2); bit < 8 * (10 + 4 + 4 + 73 + 2 + 3); bit += 5) {
        struct bytes_writer w = tpm_call_begin();
        tpm2_hierarchy_change_auth_build(&w, TPM2_RH_OWNER, &none, bytes_of_text("abc"));
        (void)send_changed(&w, &p, bit);
        CHECK_EQUAL(tpm2_hierarchy_change_auth_parse(tpm_call_answer(), &tpm_call.rc), BYTES_E_TPM_RC);
    }
    CHECK_EQUAL(tpm_call_flush(s.handle), 0);
    return 0;
}

/* A command that was sent before is refused: its nonceTPM is old. */
static int test_replayed(void)
{
    struct tpm2_session s;
    uint8_t owner[4], recorded[256];
    struct bytes_writer w = tpm_call_begin();
    const struct tpm2_auth none = tpm2_auth_password(bytes_of(NULL, 0));
    CHECK_EQUAL(start(&s, TPM2_SE_HMAC), 0);
    const struct tpm2_protection p = {
        .command_code = TPM2_CC_HIERARCHY_CHANGE_AUTH,
        .names = {handle_name(owner, TPM2_RH_OWNER)},
        .name_count = 1,
        .uses = {{.session = &s, .attributes = TPM2_SESSION_CONTINUE}},
        .use_count = 1,
        .built = 1,
    };
    w = bytes_writer_over(recorded, sizeof recorded);
    tpm2_hierarchy_change_auth_build(&w, TPM2_RH_OWNER, &none, bytes_of(NULL, 0));
    CHECK_EQUAL(send(&w, &p), 0);
    CHECK_EQUAL(tpm2_hierarchy_change_auth_parse(tpm_call_answer(), &tpm_call.rc), 0);
    CHECK_EQUAL(tpm_call_send(&w), 0);
    CHECK(tpm2_hierarchy_change_auth_parse(tpm_call_answer(), &tpm_call.rc) == BYTES_E_TPM_RC &&
          (tpm_call.rc & 0x3f) == 0x22);
    CHECK_EQUAL(tpm_call_flush(s.handle), 0);
    return 0;
}

int main(void)
{
    char name[300];
    static const struct test tests[] = {
        {"the inner key crosses encrypted in both directions", test_inner_key},
        {"new passwords cross encrypted, and answers are signed with them", test_passwords},
        {"a bit that was changed on the way is refused", test_changed_on_the_way},
        {"a command that was recorded is refused", test_replayed},
    };
    snprintf(name, sizeof name, "libtpms:%s", support_path("tpm"));
    if (tpm_call_open(&tpm_call.tpm, name) != 0 ||
        tpm_call_make(&ek, TPM2_RH_ENDORSEMENT, tpm2_template_ek_l1(), bytes_of(NULL, 0)) != 0 ||
        tpm_call_make(&srk, TPM2_RH_OWNER, tpm2_template_srk(), bytes_of(NULL, 0)) != 0) {
        printf("1..1\nnot ok 1 - a TPM with its two keys: %s\n", tpm_call_why);
        return 1;
    }
    const int status = test_run(tests, sizeof tests / sizeof tests[0]);
    posix_tpm_close(&tpm_call.tpm);
    return status;
}
