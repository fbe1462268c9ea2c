/* SPDX-License-Identifier: MIT */
/* Step 7, first half: the policy session of the EK, and TPM2_ActivateCredential. */
#include "tests/conformance/tpm.h"
#include "tpm/protect.h"
#include "tpm/tools/command_more.h"

static const struct bytes nothing = {NULL, 0};

/* ---- Sessions ---- */

static void session_begins(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    uint8_t nonce[32];
    uint32_t session[2];
    uint8_t first[64] = {0};
    for (int i = 0; i < 2; i++) {
        struct bytes nonce_tpm;
        tpm_random(c, nonce, sizeof nonce);
        tpm2_start_auth_session_build(tpm_begin(c), TPM2_SE_POLICY, bytes_of(nonce, sizeof nonce));
        int error = tpm2_start_auth_session_parse(tpm_send(c), &t->rc, &session[i], &nonce_tpm);
        tpm_remember(c, session[i]);
        if (!tpm_ok(c, error, "TPM2_StartAuthSession")) {
            return;
        }
        conformance_check(c, session[i] >> TPM2_HT_SHIFT == TPM2_HT_POLICY_SESSION,
                          "0x%08x is not a handle of a policy session", session[i]);
        conformance_check(c, nonce_tpm.len >= 16 && nonce_tpm.len <= sizeof first, "nonceTPM has %zu bytes",
                          nonce_tpm.len);
        conformance_check(
            c, i == 0 || nonce_tpm.len > sizeof first || memcmp(first, nonce_tpm.p, nonce_tpm.len) != 0,
            "two sessions got the same nonceTPM");
        memcpy(first, nonce_tpm.p, nonce_tpm.len < sizeof first ? nonce_tpm.len : sizeof first);
    }
    conformance_check(c, session[0] != session[1], "two sessions got the same handle");
}

static void nonce_sizes(struct conformance *c)
{
    static const size_t sizes[] = {0, 15, 33};
    struct tpm_suite *t = tpm_of(c);
    uint8_t nonce[33];
    tpm_random(c, nonce, sizeof nonce);
    for (size_t i = 0; i < 3; i++) {
        uint32_t session;
        struct bytes nonce_tpm;
        tpm2_start_auth_session_build(tpm_begin(c), TPM2_SE_POLICY, bytes_of(nonce, sizes[i]));
        int error = tpm2_start_auth_session_parse(tpm_send(c), &t->rc, &session, &nonce_tpm);
        tpm_remember(c, session);
        tpm_refused(c, error, TPM_CODES(TPM2_RC_SIZE), "a nonceCaller of the wrong size");
    }
}

static bool digest_is(struct conformance *c, uint32_t session, const uint8_t expected[32], const char *what)
{
    struct tpm_suite *t = tpm_of(c);
    struct bytes digest;
    tpm2_policy_get_digest_build(tpm_begin(c), session);
    return tpm_ok(c, tpm2_policy_get_digest_parse(tpm_send(c), &t->rc, &digest), "TPM2_PolicyGetDigest") &&
           conformance_check(c, bytes_equal_public(digest, bytes_of(expected, 32)),
                             "the policyDigest is wrong %s", what);
}

static void policy_digest(struct conformance *c)
{
    static const uint8_t zero[32] = {0};
    static const uint8_t policy_a[32] = TPM2_EK_POLICY_SHA256;
    uint32_t session;
    if (!tpm_has(c, TPM2_CAP_COMMANDS, TPM2_CC_POLICY_GET_DIGEST)) {
        conformance_skip(c, "this TPM has no TPM2_PolicyGetDigest, which the flow does not need");
        return;
    }
    if (tpm_start_session(c, &session) && digest_is(c, session, zero, "in a new session") &&
        tpm_policy_secret(c, session)) {
        digest_is(c, session, policy_a, "after TPM2_PolicySecret: it is not PolicyA of the EK");
    }
}

static void policy_secret_refused(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    uint8_t wrong[16];
    uint32_t session;
    tpm_random(c, wrong, sizeof wrong);
    struct tpm2_auth auth = tpm2_auth_password(bytes_of(wrong, sizeof wrong));
    if (!tpm_start_session(c, &session)) {
        return;
    }
    tpm2_policy_secret_build(tpm_begin(c), TPM2_RH_ENDORSEMENT, session, &auth, bytes_of(NULL, 0));
    int error = tpm2_policy_secret_parse(tpm_send(c), &t->rc);
    tpm_refused(c, error, TPM_CODES(TPM2_RC_BAD_AUTH), "TPM2_PolicySecret with a wrong authorization");
}

static void session_flushed(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(t->endorsement);
    uint32_t session;
    if (!tpm_start_session(c, &session) || !tpm_flush(c, session)) {
        return;
    }
    tpm_refused(c, tpm_flush_raw(c, session), TPM_CODES(TPM2_RC_HANDLE),
                "flushing the session a second time");
    tpm2_policy_secret_build(tpm_begin(c), TPM2_RH_ENDORSEMENT, session, &auth, bytes_of(NULL, 0));
    int error = tpm2_policy_secret_parse(tpm_send(c), &t->rc);
    tpm_refused(c, error,
                TPM_CODES(TPM2_RC_HANDLE, TPM2_RC_REFERENCE_H0, TPM2_RC_REFERENCE_H1, TPM2_RC_VALUE),
                "TPM2_PolicySecret for a flushed session");
}

const struct conformance_case tpm_cases_session[] = {
    {"TPM-S07-001", "Policy sessions must have handles and nonces of their own.", "TPM 2.0 Part 3 r1.59 11.1",
     CONFORMANCE_MUST, 0, session_begins},
    {"TPM-S07-002",
     "A nonceCaller below 16 bytes or above the digest's size must be refused with TPM_RC_SIZE.",
     "TPM 2.0 Part 3 r1.59 11.1", CONFORMANCE_MUST, 0, nonce_sizes},
    {"TPM-S07-003", "TPM2_PolicySecret of the endorsement hierarchy must give PolicyA of the EK.",
     "EK Profile 2.5 B.6.2", CONFORMANCE_MUST, 0, policy_digest},
    {"TPM-S07-004", "TPM2_PolicySecret with a wrong authorization must be refused with TPM_RC_BAD_AUTH.",
     "TPM 2.0 Part 3 r1.59 23.4", CONFORMANCE_MUST, 0, policy_secret_refused},
    {"TPM-S07-005", "A session that was flushed must be gone.", "TPM 2.0 Part 3 r1.59 28.4", CONFORMANCE_MUST,
     0, session_flushed},
    {0},
};

/* ---- Credentials ---- */

struct activation {
    uint8_t credential[32];
    struct tpm_credential made;
    struct tpm2_auth auth[2];
    uint32_t session;
};

/* A credential for the SRK and a session that may open it, on a TPM that opens credentials. */
static bool ready(struct conformance *c, struct activation *a, size_t len)
{
    const struct tpm_key *srk = tpm_srk(c);
    tpm_random(c, a->credential, sizeof a->credential);
    const bool own = strcmp(c->now->id, "TPM-S07-010") == 0;
    if (srk == NULL || (!own && !tpm_opens_credentials(c)) ||
        !tpm_make_credential(c, &a->made, bytes_of(a->credential, len),
                             bytes_of(srk->name, sizeof srk->name)) ||
        !tpm_policy_session(c, &a->session)) {
        return false;
    }
    a->auth[0] = tpm2_auth_password(nothing);
    a->auth[1] = tpm2_auth_policy(a->session, true);
    return true;
}

static int try_it(struct conformance *c, const struct activation *a, struct bytes *opened)
{
    return tpm_activate(c, tpm_of(c)->srk.handle, a->auth, &a->made, opened);
}

static bool opens(struct conformance *c, const struct activation *a, size_t len, const char *what)
{
    struct bytes opened;
    return tpm_ok(c, try_it(c, a, &opened), what) &&
           conformance_check(c, bytes_equal_public(opened, bytes_of(a->credential, len)),
                             "%s: another credential came out", what);
}

/* What every refusal depends on: that such a credential is opened, if nothing is wrong with it. */
static bool stands(struct conformance *c, const struct activation *a, const char *what)
{
    const char *before = conformance_stand_on(c, "TPM-S07-010");
    const bool opened = opens(c, a, 16, what);
    conformance_stand_back(c, before);
    return opened;
}

static void opens_credential(struct conformance *c)
{
    struct activation a;
    if (ready(c, &a, 16)) {
        opens(c, &a, 16, "TPM2_ActivateCredential");
    }
}

static void credential_sizes(struct conformance *c)
{
    static const size_t sizes[] = {1, 15, 31, 32};
    for (size_t i = 0; i < 4 && !c->failed; i++) {
        struct activation a;
        if (ready(c, &a, sizes[i]) && opens(c, &a, sizes[i], "TPM2_ActivateCredential of another size")) {
            tpm_flush(c, a.session);
        }
    }
}

static void opens_own(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct activation a;
    struct bytes blob, secret;
    if (!tpm_has(c, TPM2_CAP_COMMANDS, TPM2_CC_MAKE_CREDENTIAL)) {
        conformance_skip(c, "this TPM has no TPM2_MakeCredential, which the flow does not need");
        return;
    }
    if (!ready(c, &a, 16)) {
        return;
    }
    tpm2_make_credential_build(tpm_begin(c), t->ek.handle, bytes_of(a.credential, 16),
                               bytes_of(t->srk.name, sizeof t->srk.name));
    if (!tpm_ok(c, tpm2_make_credential_parse(tpm_send(c), &t->rc, &blob, &secret), "TPM2_MakeCredential") ||
        !conformance_check(c, blob.len == a.made.blob_len && secret.len == a.made.secret_len,
                           "TPM2_MakeCredential gave %zu and %zu bytes", blob.len, secret.len)) {
        return;
    }
    memcpy(a.made.blob, blob.p, blob.len);
    memcpy(a.made.secret, secret.p, secret.len);
    opens(c, &a, 16, "TPM2_ActivateCredential of what TPM2_MakeCredential made");
}

static const uint32_t integrity[] = {TPM2_RC_INTEGRITY, 0};
/* What a TPM may say about a seed that does not decrypt. */
static const uint32_t bad_secret[] = {TPM2_RC_VALUE,   TPM2_RC_INTEGRITY, TPM2_RC_SIZE,         TPM2_RC_KEY,
                                      TPM2_RC_FAILURE, TPM2_RC_SCHEME,    TPM2_RC_INSUFFICIENT, 0};
static const uint32_t bad_size[] = {TPM2_RC_SIZE, TPM2_RC_INSUFFICIENT, TPM2_RC_INTEGRITY, TPM2_RC_VALUE,
                                    TPM2_RC_TAG,  TPM2_RC_COMMAND_SIZE, TPM2_RC_KEY,       0};

static void other_name(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16) ||
        !tpm_make_credential(c, &a.made, bytes_of(a.credential, 16), bytes_of(t->ek.name, TPM2_NAME_SIZE))) {
        return;
    }
    tpm_refused(c, try_it(c, &a, &opened), integrity, "a credential for another Name");
}

/* Every byte at from..to is changed once, by one bit. */
static void each_byte(struct conformance *c, bool of_secret, size_t from, size_t to, size_t step,
                      const uint32_t *codes, const char *what)
{
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16)) {
        return;
    }
    uint8_t *bytes = of_secret ? a.made.secret : a.made.blob;
    for (size_t i = from; i < to && !c->failed; i += step) {
        bytes[i] ^= (uint8_t)(1U << (i % 8));
        tpm_refused(c, try_it(c, &a, &opened), codes, what);
        bytes[i] ^= (uint8_t)(1U << (i % 8));
    }
    /* A refusal leaves the session as it was: what was refused before is taken now. */
    if (!c->failed) {
        stands(c, &a, "the same credential, unchanged again");
    }
}

static void hmac_changed(struct conformance *c)
{
    each_byte(c, false, 2, 34, 1, integrity, "a changed integrityHMAC");
}

static void identity_changed(struct conformance *c)
{
    each_byte(c, false, 34, 52, 1, integrity, "a changed encIdentity");
}

static void secret_changed(struct conformance *c)
{
    each_byte(c, true, 1, 256, 51, bad_secret, "a changed secret");
}

static void blob_sizes(struct conformance *c)
{
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16)) {
        return;
    }
    const size_t whole = a.made.blob_len;
    for (size_t len = 0; len < whole && !c->failed; len++) {
        a.made.blob_len = len;
        tpm_refused(c, try_it(c, &a, &opened), bad_size, "a credential that was cut off");
    }
    a.made.blob_len = whole;
    a.made.blob[1] = 31;
    tpm_refused(c, try_it(c, &a, &opened), bad_size, "an integrityHMAC of 31 bytes");
    a.made.blob[1] = 33;
    tpm_refused(c, try_it(c, &a, &opened), bad_size, "an integrityHMAC of 33 bytes");
}

static void secret_sizes(struct conformance *c)
{
    static const size_t sizes[] = {0, 1, 128, 255};
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16)) {
        return;
    }
    for (size_t i = 0; i < 4 && !c->failed; i++) {
        a.made.secret_len = sizes[i];
        tpm_refused(c, try_it(c, &a, &opened), bad_secret, "a secret that was cut off");
    }
}

/* The seed of the credential's keys, encrypted to the EK for another purpose. */
static void other_label(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    static const char identity[] = "IDENTITY", duplicate[] = "DUPLICATE";
    struct tpm2_wrap_random random;
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16)) {
        return;
    }
    struct bytes_writer w = bytes_writer_over(a.made.bytes, sizeof a.made.bytes);
    struct crypto_rsa_public ek = tpm2_public_rsa(&t->ek.area);
    tpm_random(c, &random, sizeof random);
    tpm2_credential_make(&w, &t->ek.area, bytes_of(a.credential, 16), bytes_of(t->srk.name, TPM2_NAME_SIZE),
                         &random);
    const struct bytes seed = bytes_of(random.seed, sizeof random.seed);
    for (int i = 0; i < 3 && !c->failed; i++) {
        const struct bytes label = i == 0   ? bytes_of(duplicate, sizeof duplicate)
                                   : i == 1 ? bytes_of(identity, sizeof identity - 1)
                                            : bytes_of(identity, sizeof identity);
        (void)crypto_rsa_oaep_encrypt(&ek, label, random.oaep, seed, a.made.secret);
        if (i < 2) {
            tpm_refused(c, try_it(c, &a, &opened), bad_secret, "a secret with another OAEP label");
        } else {
            stands(c, &a, "the same secret with the right label");
        }
    }
}

/* ---- Who may use the EK ---- */

static void no_session(struct conformance *c)
{
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16)) {
        return;
    }
    a.auth[1] = tpm2_auth_password(nothing);
    tpm_refused(c, try_it(c, &a, &opened), TPM_CODES(TPM2_RC_AUTH_UNAVAILABLE, TPM2_RC_AUTH_TYPE),
                "the EK by an empty password");
    a.auth[1] = tpm2_auth_password(tpm_of(c)->endorsement);
    tpm_refused(c, try_it(c, &a, &opened), TPM_CODES(TPM2_RC_AUTH_UNAVAILABLE, TPM2_RC_AUTH_TYPE),
                "the EK by the endorsement password");
}

static void without_policy_secret(struct conformance *c)
{
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16) || !tpm_flush(c, a.session) || !tpm_start_session(c, &a.session)) {
        return;
    }
    a.auth[1] = tpm2_auth_policy(a.session, true);
    tpm_refused(c, try_it(c, &a, &opened), TPM_CODES(TPM2_RC_POLICY_FAIL),
                "a session without TPM2_PolicySecret");
}

static void used_once(struct conformance *c)
{
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16) || !stands(c, &a, "TPM2_ActivateCredential")) {
        return;
    }
    tpm_refused(c, try_it(c, &a, &opened), TPM_CODES(TPM2_RC_POLICY_FAIL), "the session a second time");
}

static void used_again(struct conformance *c)
{
    struct activation a;
    if (!ready(c, &a, 16) || !stands(c, &a, "TPM2_ActivateCredential")) {
        return;
    }
    conformance_judge(c);
    for (int i = 0; i < 3 && !c->failed; i++) {
        if (tpm_policy_secret(c, a.session)) {
            opens(c, &a, 16, "TPM2_ActivateCredential in the same session");
        }
    }
}

static void session_ends(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct activation a;
    if (!ready(c, &a, 16)) {
        return;
    }
    a.auth[1] = tpm2_auth_policy(a.session, false);
    if (!stands(c, &a, "TPM2_ActivateCredential")) {
        return;
    }
    t->loaded_count--; /* the session: the TPM itself should have flushed it */
    struct tpm_handles now;
    conformance_check(c, tpm_list_handles(c, &now) && !tpm_is_listed(&now, a.session),
                      "a session used without continueSession is still there");
    tpm_refused(c, tpm_flush_raw(c, a.session), TPM_CODES(TPM2_RC_HANDLE), "flushing that session");
}

static void trial_session(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct activation a;
    struct bytes opened, nonce_tpm;
    uint8_t nonce[32];
    if (!ready(c, &a, 16)) {
        return;
    }
    tpm_random(c, nonce, sizeof nonce);
    tpm2_start_auth_session_build(tpm_begin(c), TPM2_SE_TRIAL, bytes_of(nonce, sizeof nonce));
    int error = tpm2_start_auth_session_parse(tpm_send(c), &t->rc, &a.session, &nonce_tpm);
    tpm_remember(c, a.session);
    if (!tpm_ok(c, error, "TPM2_StartAuthSession of a trial session") || !tpm_policy_secret(c, a.session)) {
        return;
    }
    a.auth[1] = tpm2_auth_policy(a.session, true);
    tpm_refused(
        c, try_it(c, &a, &opened),
        TPM_CODES(TPM2_RC_ATTRIBUTES, TPM2_RC_AUTH_TYPE, TPM2_RC_POLICY_FAIL, TPM2_RC_HANDLE, TPM2_RC_VALUE),
        "a trial session as authorization");
}

static void wrong_srk_password(struct conformance *c)
{
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16)) {
        return;
    }
    a.auth[0] = tpm2_auth_password(bytes_of("wrong", 5));
    tpm_refused(c, try_it(c, &a, &opened), TPM_CODES(TPM2_RC_BAD_AUTH), "a wrong authorization of the SRK");
}

static void keys_swapped(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct activation a;
    struct bytes opened;
    if (!ready(c, &a, 16)) {
        return;
    }
    const struct tpm2_auth swapped[2] = {a.auth[1], a.auth[0]};
    tpm2_activate_credential_build(tpm_begin(c), t->ek.handle, t->srk.handle, swapped,
                                   bytes_of(a.made.blob, a.made.blob_len),
                                   bytes_of(a.made.secret, a.made.secret_len));
    int error = tpm2_activate_credential_parse(tpm_send(c), &t->rc, &opened);
    conformance_check(c, error == BYTES_E_TPM_RC, "with EK and SRK swapped, the TPM opened a credential");
    conformance_note(c, "EK and SRK swapped: %s", tpm_rc_text(t->rc));
}

const struct conformance_case tpm_cases_activate[] = {
    {"TPM-S07-010", "A credential that was made in software must be opened.", "TPM 2.0 Part 3 r1.59 12.5",
     CONFORMANCE_MUST, 0, opens_credential},
    {"TPM-S07-011", "Credentials of 1 to 32 bytes must be opened.", "TPM 2.0 Part 1 r1.59 24",
     CONFORMANCE_MUST, 0, credential_sizes},
    {"TPM-S07-012",
     "A credential that TPM2_MakeCredential made must be opened and have the same form as ours.",
     "TPM 2.0 Part 3 r1.59 12.6", CONFORMANCE_MUST, 0, opens_own},
    {"TPM-S07-013", "A credential for the Name of another object must be refused with TPM_RC_INTEGRITY.",
     "TPM 2.0 Part 1 r1.59 24", CONFORMANCE_MUST, 0, other_name},
    {"TPM-S07-014", "A change of any byte of the integrity HMAC must be noticed.",
     "TPM 2.0 Part 1 r1.59 24.5", CONFORMANCE_MUST, 0, hmac_changed},
    {"TPM-S07-015", "A change of any byte of the encrypted identity must be noticed.",
     "TPM 2.0 Part 1 r1.59 24.5", CONFORMANCE_MUST, 0, identity_changed},
    {"TPM-S07-016", "A secret that was changed must be refused.", "TPM 2.0 Part 1 r1.59 24.3",
     CONFORMANCE_MUST, 0, secret_changed},
    {"TPM-S07-017", "A credential that was cut off at any byte, or lies about its HMAC, must be refused.",
     "TPM 2.0 Part 2 r1.59 12.4.3", CONFORMANCE_MUST, 0, blob_sizes},
    {"TPM-S07-018", "A secret that was cut off must be refused.", "TPM 2.0 Part 2 r1.59 11.4.3",
     CONFORMANCE_MUST, 0, secret_sizes},
    {"TPM-S07-019", "A secret must have the OAEP label IDENTITY, with its terminating zero.",
     "TPM 2.0 Part 1 r1.59 24.3 and B.4", CONFORMANCE_MUST, 0, other_label},
    {"TPM-S07-020", "The EK must not be usable with a password.", "EK Profile 2.5 B.3.3", CONFORMANCE_MUST, 0,
     no_session},
    {"TPM-S07-021", "A session without TPM2_PolicySecret must be refused with TPM_RC_POLICY_FAIL.",
     "EK Profile 2.5 B.6.2", CONFORMANCE_MUST, 0, without_policy_secret},
    {"TPM-S07-022", "A policy session must be reset by its use: a second use needs TPM2_PolicySecret again.",
     "TPM 2.0 Part 1 r1.59 19.7", CONFORMANCE_MUST, 0, used_once},
    {"TPM-S07-023", "One session must serve any number of activations, each after TPM2_PolicySecret.",
     "spec-notes: Few TPM commands, no NV writes", CONFORMANCE_MUST, 0, used_again},
    {"TPM-S07-024", "A session without continueSession must be gone after its use.",
     "TPM 2.0 Part 2 r1.59 8.4", CONFORMANCE_MUST, 0, session_ends},
    {"TPM-S07-025", "A trial session must authorize nothing.", "TPM 2.0 Part 3 r1.59 11.1", CONFORMANCE_MUST,
     0, trial_session},
    {"TPM-S07-026",
     "A wrong authorization of the SRK must be refused with TPM_RC_BAD_AUTH, since it has noDA.",
     "TPM 2.0 Part 3 r1.59 12.5", CONFORMANCE_MUST, 0, wrong_srk_password},
    {"TPM-S07-027", "With EK and SRK swapped, no credential must be opened.", "TPM 2.0 Part 3 r1.59 12.5",
     CONFORMANCE_MUST, 0, keys_swapped},
    {0},
};
