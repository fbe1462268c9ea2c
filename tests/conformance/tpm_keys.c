/* SPDX-License-Identifier: MIT */
/* The keys of the flow, as device and service make them. */
#include "tests/conformance/tpm.h"
#include "tpm/protect.h"

static const struct bytes nothing = {NULL, 0};

/* ---- Primaries ---- */

/* Returns: 0; BYTES_E_LIMIT; BYTES_E_FORMAT; BYTES_E_ALGORITHM. */
static int take_key(struct tpm_key *key, struct bytes public_2b, struct bytes name)
{
    if (public_2b.len > sizeof key->public_2b) {
        return BYTES_E_LIMIT;
    }
    if (name.len != TPM2_NAME_SIZE) {
        return BYTES_E_FORMAT;
    }
    memcpy(key->public_2b, public_2b.p, public_2b.len);
    key->public_len = public_2b.len;
    memcpy(key->name, name.p, name.len);
    return tpm2_public_parse_2b(bytes_of(key->public_2b, key->public_len), &key->area);
}

int tpm_derive(struct conformance *c, uint32_t hierarchy, struct tpm2_public area, struct tpm_key *key)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm2_auth auth = tpm2_auth_password(hierarchy == TPM2_RH_OWNER ? t->owner : t->endorsement);
    struct bytes public_2b, name;
    tpm2_create_primary_build(tpm_begin(c), hierarchy, &auth, &area);
    int error = tpm2_create_primary_parse(tpm_send(c), &t->rc, &key->handle, &public_2b, &name);
    tpm_remember(c, key->handle);
    return error == 0 ? take_key(key, public_2b, name) : error;
}

bool tpm_create_primary(struct conformance *c, uint32_t hierarchy, struct tpm2_public area,
                        struct tpm_key *key)
{
    return tpm_ok(c, tpm_derive(c, hierarchy, area, key),
                  hierarchy == TPM2_RH_OWNER ? "TPM2_CreatePrimary of the SRK"
                                             : "TPM2_CreatePrimary of the EK");
}

void tpm_refuse_wrong_password(struct conformance *c, uint32_t hierarchy, const struct tpm2_public *area,
                               const char *what)
{
    struct tpm_suite *t = tpm_of(c);
    uint8_t wrong[16];
    uint32_t handle;
    struct bytes public_2b, name;
    tpm_random(c, wrong, sizeof wrong);
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(wrong, sizeof wrong));
    tpm2_create_primary_build(tpm_begin(c), hierarchy, &auth, area);
    const int error = tpm2_create_primary_parse(tpm_send(c), &t->rc, &handle, &public_2b, &name);
    tpm_remember(c, handle);
    tpm_refused(c, error, TPM_CODES(TPM2_RC_BAD_AUTH), what);
}

/* Kept: taken from the list of what is flushed after the case. */
static const struct tpm_key *kept(struct conformance *c, uint32_t hierarchy, struct tpm2_public area,
                                  struct tpm_key *key, const char *owner)
{
    struct tpm_suite *t = tpm_of(c);
    if (key->handle != 0) {
        return key;
    }
    const char *before = conformance_stand_on(c, owner);
    const bool made = tpm_create_primary(c, hierarchy, area, key);
    conformance_stand_back(c, before);
    if (!made) {
        key->handle = 0;
        return NULL;
    }
    t->loaded_count--;
    return key;
}

const struct tpm_key *tpm_ek(struct conformance *c)
{
    return kept(c, TPM2_RH_ENDORSEMENT, tpm2_template_ek_l1(), &tpm_of(c)->ek, "TPM-S01-001");
}

const struct tpm_key *tpm_srk(struct conformance *c)
{
    return kept(c, TPM2_RH_OWNER, tpm2_template_srk(), &tpm_of(c)->srk, "TPM-S03-001");
}

static void let_go(struct conformance *c, struct tpm_key *key)
{
    if (key->handle == 0 || !tpm_flush(c, key->handle)) {
        return;
    }
    key->handle = 0;
    (void)tpm_list_handles(c, &tpm_of(c)->before);
}

void tpm_make_room(struct conformance *c)
{
    let_go(c, &tpm_of(c)->ek);
}

void tpm_let_go_of_srk(struct conformance *c)
{
    let_go(c, &tpm_of(c)->srk);
}

/* ---- The policy session ---- */

bool tpm_start_session(struct conformance *c, uint32_t *session)
{
    struct tpm_suite *t = tpm_of(c);
    uint8_t nonce[32];
    struct bytes nonce_tpm;
    tpm_random(c, nonce, sizeof nonce);
    tpm2_start_auth_session_build(tpm_begin(c), TPM2_SE_POLICY, bytes_of(nonce, sizeof nonce));
    int error = tpm2_start_auth_session_parse(tpm_send(c), &t->rc, session, &nonce_tpm);
    tpm_remember(c, *session);
    const char *before = conformance_stand_on(c, "TPM-S07-001");
    const bool started = tpm_ok(c, error, "TPM2_StartAuthSession");
    conformance_stand_back(c, before);
    return started;
}

bool tpm_policy_secret(struct conformance *c, uint32_t session)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm2_auth auth = tpm2_auth_password(t->endorsement);
    tpm2_policy_secret_build(tpm_begin(c), TPM2_RH_ENDORSEMENT, session, &auth, bytes_of(NULL, 0));
    int error = tpm2_policy_secret_parse(tpm_send(c), &t->rc);
    const char *before = conformance_stand_on(c, "TPM-S07-003");
    const bool done = tpm_ok(c, error, "TPM2_PolicySecret");
    conformance_stand_back(c, before);
    return done;
}

bool tpm_policy_session(struct conformance *c, uint32_t *session)
{
    return tpm_start_session(c, session) && tpm_policy_secret(c, *session);
}

/* ---- Credentials ---- */

/* Two TPM2Bs, one after the other: where their contents stand. */
static void two_contents(uint8_t *bytes, uint8_t **first, size_t *first_len, uint8_t **second,
                         size_t *second_len)
{
    *first = bytes + 2;
    *first_len = (size_t)(bytes[0] << 8 | bytes[1]);
    uint8_t *next = *first + *first_len;
    *second = next + 2;
    *second_len = (size_t)(next[0] << 8 | next[1]);
}

/* owner: the case that is about the TPM's key. */
static bool made_it(struct conformance *c, const struct bytes_writer *w, const char *owner)
{
    const char *before = conformance_stand_on(c, owner);
    (void)conformance_check(c, w->error == 0, "wrapping to the TPM's key failed: %s",
                            posix_error_text(w->error));
    conformance_stand_back(c, before);
    return w->error == 0;
}

bool tpm_make_credential(struct conformance *c, struct tpm_credential *made, struct bytes credential,
                         struct bytes object_name)
{
    const struct tpm_key *ek = tpm_ek(c);
    struct tpm2_wrap_random random;
    struct bytes_writer w = bytes_writer_over(made->bytes, sizeof made->bytes);
    if (ek == NULL) {
        return false;
    }
    tpm_random(c, &random, sizeof random);
    tpm2_credential_make(&w, &ek->area, credential, object_name, &random);
    if (!made_it(c, &w, "TPM-S01-001")) {
        return false;
    }
    two_contents(made->bytes, &made->blob, &made->blob_len, &made->secret, &made->secret_len);
    return true;
}

int tpm_activate(struct conformance *c, uint32_t object, const struct tpm2_auth auth[2],
                 const struct tpm_credential *made, struct bytes *opened)
{
    struct tpm_suite *t = tpm_of(c);
    tpm2_activate_credential_build(tpm_begin(c), object, t->ek.handle, auth,
                                   bytes_of(made->blob, made->blob_len),
                                   bytes_of(made->secret, made->secret_len));
    return tpm2_activate_credential_parse(tpm_send(c), &t->rc, opened);
}

int tpm_activate_simply(struct conformance *c, uint32_t object, const struct tpm_credential *made,
                        struct bytes *opened)
{
    uint32_t session = 0;
    if (!tpm_policy_session(c, &session)) {
        return BYTES_E_STATE;
    }
    const struct tpm2_auth auth[2] = {tpm2_auth_password(nothing), tpm2_auth_policy(session, true)};
    int error = tpm_activate(c, object, auth, made, opened);
    uint32_t rc = tpm_of(c)->rc;
    uint8_t copy[64];
    size_t len = opened->len < sizeof copy ? opened->len : sizeof copy;
    if (error == 0) {
        memcpy(copy, opened->p, len);
    }
    (void)tpm_flush_raw(c, session);
    tpm_of(c)->rc = rc;
    if (error == 0) {
        memcpy(tpm_of(c)->response, copy, len);
        *opened = bytes_of(tpm_of(c)->response, len);
    }
    return error;
}

/* ---- HMAC keys ---- */

void tpm_new_key(struct conformance *c, struct tpm_wrapped *k)
{
    memset(k, 0, sizeof *k);
    tpm_random(c, k->key, sizeof k->key);
    tpm_random(c, k->seed_value, sizeof k->seed_value);
    tpm_random(c, k->inner_key, sizeof k->inner_key);
    k->key_len = 32;
    k->seed_value_len = 32;
    k->area = tpm2_template_hmac_key(bytes_of(k->unique, sizeof k->unique));
}

bool tpm_wrap(struct conformance *c, struct tpm_wrapped *k, bool keep_unique)
{
    return tpm_wrap_to(c, k, tpm_srk(c), keep_unique);
}

bool tpm_wrap_to(struct conformance *c, struct tpm_wrapped *k, const struct tpm_key *srk, bool keep_unique)
{
    const struct tpm2_sensitive sensitive = {bytes_of(k->seed_value, k->seed_value_len),
                                             bytes_of(k->key, k->key_len)};
    struct tpm2_wrap_random random;
    struct bytes_writer area = bytes_writer_over(k->public_2b, sizeof k->public_2b);
    struct bytes_writer w = bytes_writer_over(k->bytes, sizeof k->bytes);
    if (srk == NULL) {
        return false;
    }
    if (!keep_unique) {
        tpm2_keyedhash_unique(&sensitive, k->unique);
    }
    tpm2_public_write_2b(&area, &k->area);
    k->public_len = area.len;
    tpm2_name_of(bytes_written(&area), k->name);
    tpm_random(c, &random, sizeof random);
    tpm2_duplicate_make(&w, &srk->area, bytes_of(k->inner_key, sizeof k->inner_key),
                        bytes_of(k->name, sizeof k->name), &sensitive, &random);
    if (!made_it(c, &w, "TPM-S03-001") || !made_it(c, &area, "TPM-S03-001")) {
        return false;
    }
    two_contents(k->bytes, &k->duplicate, &k->duplicate_len, &k->secret, &k->secret_len);
    return true;
}

int tpm_import(struct conformance *c, struct tpm_wrapped *k)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(nothing);
    struct bytes private_2b;
    tpm2_import_build(tpm_begin(c), t->srk.handle, &auth, bytes_of(k->inner_key, sizeof k->inner_key),
                      bytes_of(k->public_2b, k->public_len), bytes_of(k->duplicate, k->duplicate_len),
                      bytes_of(k->secret, k->secret_len));
    int error = tpm2_import_parse(tpm_send(c), &t->rc, &private_2b);
    if (error == 0 && private_2b.len > sizeof k->private_2b) {
        error = BYTES_E_SPACE;
    }
    if (error == 0) {
        memcpy(k->private_2b, private_2b.p, private_2b.len);
        k->private_len = private_2b.len;
    }
    return error;
}

int tpm_load(struct conformance *c, struct tpm_wrapped *k)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(nothing);
    struct bytes name;
    tpm2_load_build(tpm_begin(c), t->srk.handle, &auth, bytes_of(k->private_2b, k->private_len),
                    bytes_of(k->public_2b, k->public_len));
    int error = tpm2_load_parse(tpm_send(c), &t->rc, &k->handle, &name);
    tpm_remember(c, k->handle);
    k->named_rightly = error == 0 && bytes_equal_public(name, bytes_of(k->name, sizeof k->name));
    return error;
}

bool tpm_bring_in(struct conformance *c, struct tpm_wrapped *k)
{
    const char *before = conformance_stand_on(c, "TPM-S07-040");
    const bool loaded = tpm_wrap(c, k, false) && tpm_ok(c, tpm_import(c, k), "TPM2_Import") &&
                        tpm_ok(c, tpm_load(c, k), "TPM2_Load") &&
                        conformance_check(c, k->named_rightly,
                                          "TPM2_Load returned another Name than that of the public area");
    conformance_stand_back(c, before);
    return loaded;
}

/* What came of something that was tried once, for each case that stands on it. */
static bool worked(struct conformance *c, const struct tpm_result *once, const char *owner, const char *what)
{
    tpm_of(c)->rc = once->rc;
    const char *before = conformance_stand_on(c, owner);
    (void)tpm_ok(c, once->error, what);
    conformance_stand_back(c, before);
    return once->error == 0;
}

bool tpm_opens_credentials(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm_credential made;
    struct bytes opened;
    uint8_t credential[16] = {1};
    const struct tpm_key *srk = t->opens.tried ? NULL : tpm_srk(c);
    if (srk != NULL && tpm_make_credential(c, &made, bytes_of(credential, sizeof credential),
                                           bytes_of(srk->name, sizeof srk->name))) {
        int error = tpm_activate_simply(c, srk->handle, &made, &opened);
        if (error != BYTES_E_STATE) {
            t->opens = (struct tpm_result){.tried = true, .error = error, .rc = t->rc};
        }
    }
    return t->opens.tried &&
           worked(c, &t->opens, "TPM-S07-010", "TPM2_ActivateCredential with nothing wrong");
}

bool tpm_takes_keys(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct tpm_wrapped k;
    tpm_new_key(c, &k);
    if (!t->takes.tried && tpm_wrap(c, &k, false)) {
        int error = tpm_import(c, &k);
        error = error == 0 ? tpm_load(c, &k) : error;
        t->takes = (struct tpm_result){.tried = true, .error = error, .rc = t->rc};
        if (error == 0 && !tpm_flush(c, k.handle)) {
            return false;
        }
    }
    return t->takes.tried &&
           worked(c, &t->takes, "TPM-S07-040", "TPM2_Import and TPM2_Load with nothing wrong");
}

int tpm_hmac(struct conformance *c, uint32_t key, struct bytes data, struct bytes *mac)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm2_auth auth = tpm2_auth_password(nothing);
    tpm2_hmac_build(tpm_begin(c), key, &auth, data);
    return tpm2_hmac_parse(tpm_send(c), &t->rc, mac);
}

bool tpm_hmac_is_right(struct conformance *c, const struct tpm_wrapped *k, struct bytes data)
{
    uint8_t expected[CRYPTO_SHA256_SIZE];
    struct bytes mac;
    crypto_hmac_sha256(bytes_of(k->key, k->key_len), &data, 1, expected);
    return tpm_ok(c, tpm_hmac(c, k->handle, data, &mac), "TPM2_HMAC") &&
           conformance_check(
               c, bytes_equal_public(mac, bytes_of(expected, sizeof expected)),
               "TPM2_HMAC of %zu bytes is not HMAC-SHA-256 of them with the key that was imported", data.len);
}
