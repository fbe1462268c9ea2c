/* SPDX-License-Identifier: MIT */
/* Keys and what is done with them: every command of the flow as it is, and with every byte of it changed. */
#include "tests/tiny_tpm/compare.h"
#include "tests/unit/test.h"
#include "tpm/session.h"
#include "tpm/tools/command_more.h"
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- Step 7 ---- */

static const struct tpm2_wrap_random random_bytes = {.seed = {1, 2, 3}, .oaep = {4, 5, 6}};

#define SEED_BYTES 256

/* The command as it is, then with each byte changed, and cut off everywhere.
 *   seed  where an encrypted seed begins, of which one byte in eight is enough; 0: there is none */
static void changed_everywhere(size_t begin, size_t seed, bool loads, const char *what)
{
    struct bytes_writer *w = both_writer();
    static uint8_t good[TINY_BUFFER];
    const size_t len = w->len;
    memcpy(good, w->p, len);
    (void)both_same(what);
    if (loads) {
        both_flush_new();
    }
    for (size_t i = begin; i < len; i++) {
        if (seed != 0 && i >= seed && i < seed + SEED_BYTES && i % 8 != 0) {
            continue;
        }
        w->p = both_begin()->p;
        w->len = len;
        memcpy(w->p, good, len);
        w->p[i] ^= (uint8_t)(1U << i % 8);
        if (!both_same_code(what)) {
            printf("# ... with another byte %zu of %zu\n", i, len);
        }
        if (loads) {
            both_flush_new();
        }
    }
    memcpy(both_begin()->p, good, len);
    w->len = len;
    both_cut_everywhere(begin, what);
}

int compare_activate(void)
{
    uint8_t bytes[400];
    struct bytes_writer made = bytes_writer_over(bytes, sizeof bytes);
    const struct tpm2_public area = both_known_area(BOTH_PARENT_ATTRIBUTES);
    const struct tpm2_auth empty[2] = {tpm2_auth_password(bytes_of(NULL, 0)),
                                       tpm2_auth_password(bytes_of(NULL, 0))};
    tpm2_credential_make(&made, &area, bytes_of("credential", 10), both_parent_name(), &random_bytes);
    struct bytes_reader r = bytes_reader_over(bytes_written(&made));
    const struct bytes blob = bytes_read_2b(&r), secret = bytes_read_2b(&r);
    tpm2_activate_credential_build(both_begin(), BOTH_PARENT, BOTH_PARENT, empty, blob, secret);
    changed_everywhere(10 + 8 + 4 + 18, 10 + 8 + 4 + 18 + 2 + blob.len + 2, false, "TPM2_ActivateCredential");
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

struct known_key {
    uint8_t public_2b[64], name[TPM2_NAME_SIZE], bytes[600], inner_key[16];
    struct bytes public_area, duplicate, secret;
};

static void wrap_key(struct known_key *k, uint32_t attributes)
{
    static const uint8_t seed_value[32] = {7}, key[32] = {8};
    const struct tpm2_sensitive sensitive = {bytes_of(seed_value, 32), bytes_of(key, 32)};
    uint8_t unique[32];
    struct tpm2_public area = tpm2_template_hmac_key(bytes_of(unique, 32));
    const struct tpm2_public parent = both_known_area(BOTH_PARENT_ATTRIBUTES);
    struct bytes_writer public_2b = bytes_writer_over(k->public_2b, sizeof k->public_2b);
    struct bytes_writer w = bytes_writer_over(k->bytes, sizeof k->bytes);
    memset(k->inner_key, 9, sizeof k->inner_key);
    tpm2_keyedhash_unique(&sensitive, unique);
    area.attributes = attributes;
    tpm2_public_write_2b(&public_2b, &area);
    k->public_area = bytes_written(&public_2b);
    tpm2_name_of(k->public_area, k->name);
    tpm2_duplicate_make(&w, &parent, bytes_of(k->inner_key, 16), bytes_of(k->name, sizeof k->name),
                        &sensitive, &random_bytes);
    struct bytes_reader r = bytes_reader_over(bytes_written(&w));
    k->duplicate = bytes_read_2b(&r);
    k->secret = bytes_read_2b(&r);
}

#define HMAC_ATTRIBUTES (TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_NO_DA | TPM2_OBJECT_SIGN_ENCRYPT)

int compare_import(void)
{
    struct known_key k;
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    wrap_key(&k, HMAC_ATTRIBUTES);
    tpm2_import_build(both_begin(), BOTH_PARENT, &empty, bytes_of(k.inner_key, 16), k.public_area,
                      k.duplicate, k.secret);
    both_random_from(10); /* outPrivate has an initial value of its own */
    changed_everywhere(10 + 4 + 4 + 9, both_writer()->len - 6 - SEED_BYTES, false, "TPM2_Import");
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* To the same parent again: what each has wrapped, both can import. */
static int rewrap_and_import(const struct known_key *k)
{
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    uint8_t bytes[2][600];
    struct bytes duplicate[2], secret[2];
    tpm2_rewrap_build(both_begin(), BOTH_PARENT, BOTH_PARENT, &empty, k->duplicate,
                      bytes_of(k->name, sizeof k->name), k->secret);
    both_random_from(10);
    CHECK(both_same("TPM2_Rewrap"));
    for (int i = 0; i < 2; i++) {
        uint32_t rc;
        CHECK_EQUAL(tpm2_rewrap_parse(both_answer(i), &rc, &duplicate[i], &secret[i]), 0);
        struct bytes_writer w = bytes_writer_over(bytes[i], sizeof bytes[i]);
        bytes_write_bytes(&w, duplicate[i]);
        bytes_write_bytes(&w, secret[i]);
        duplicate[i].p = bytes[i];
        secret[i].p = bytes[i] + duplicate[i].len;
    }
    for (int i = 0; i < 2; i++) {
        tpm2_import_build(both_begin(), BOTH_PARENT, &empty, bytes_of(k->inner_key, 16), k->public_area,
                          duplicate[i], secret[i]);
        CHECK(both_same("TPM2_Import of what was wrapped anew") && both_code(0) == 0);
    }
    both_random_from(0);
    return 0;
}

int compare_rewrap(void)
{
    struct known_key k;
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    wrap_key(&k, HMAC_ATTRIBUTES);
    tpm2_rewrap_build(both_begin(), BOTH_PARENT, TPM2_RH_NULL, &empty, k.duplicate,
                      bytes_of(k.name, sizeof k.name), k.secret);
    changed_everywhere(10 + 8 + 4 + 9, both_writer()->len - SEED_BYTES, false, "TPM2_Rewrap to nobody");
    CHECK_EQUAL(rewrap_and_import(&k), 0);
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* ---- Other keys ---- */

/* The HMAC key, alone or both halves, from outside. */
static void load_external(uint16_t type, struct bytes auth, struct bytes secret,
                          const struct tpm2_public *area)
{
    static const uint8_t seed_value[32] = {1, 2, 3};
    both_command(TPM2_ST_NO_SESSIONS, TPM2_CC_LOAD_EXTERNAL);
    struct bytes_writer *w = both_writer();
    const size_t size = bytes_write_size_begin(w);
    bytes_write_u16(w, type);
    bytes_write_2b(w, auth);
    bytes_write_2b(w, bytes_of(seed_value, 32));
    bytes_write_2b(w, secret);
    bytes_write_size_end(w, size);
    tpm2_public_write_2b(w, area);
    bytes_write_u32(w, TPM2_RH_NULL);
}

static struct tpm2_public hmac_area(uint8_t unique[32], struct bytes key)
{
    static const uint8_t seed_value[32] = {1, 2, 3};
    const struct tpm2_sensitive sensitive = {bytes_of(seed_value, 32), key};
    tpm2_keyedhash_unique(&sensitive, unique);
    return tpm2_template_hmac_key(bytes_of(unique, 32));
}

int compare_load_external(void)
{
    uint8_t unique[32];
    const struct tpm2_public hmac = hmac_area(unique, bytes_of_text("key"));
    struct tpm2_public rsa = both_known_area(TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_DECRYPT);
    rsa.symmetric = TPM2_ALG_NULL;
    load_external(TPM2_ALG_KEYEDHASH, bytes_of_text("password"), bytes_of_text("key"), &hmac);
    changed_everywhere(10, 0, true, "TPM2_LoadExternal of an HMAC key");
    load_external(TPM2_ALG_RSA, bytes_of_text("password"), both_known_prime(), &rsa);
    changed_everywhere(10, 0, true, "TPM2_LoadExternal of an RSA key");
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

int compare_hmac(void)
{
    uint8_t unique[32];
    const struct tpm2_public area = hmac_area(unique, bytes_of_text("key"));
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of_text("password"));
    load_external(TPM2_ALG_KEYEDHASH, bytes_of_text("password"), bytes_of_text("key"), &area);
    CHECK(both_same("TPM2_LoadExternal"));
    tpm2_read_public_build(both_begin(), TPM2_HR_TRANSIENT);
    CHECK(both_same("TPM2_ReadPublic"));
    tpm2_hmac_build(both_begin(), TPM2_HR_TRANSIENT, &auth,
                    bytes_of_text("0ne00000A0A%2fregistrations%2fd\n1800000000"));
    changed_everywhere(14, 0, false, "TPM2_HMAC");
    tpm2_unseal_build(both_begin(), TPM2_HR_TRANSIENT, &auth);
    changed_everywhere(10, 0, false, "TPM2_Unseal");
    both_flush(TPM2_HR_TRANSIENT);
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* Data are sealed under the key that both hold, and opened again; each loads what it has wrapped itself. */
int compare_seal(void)
{
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of_text("password"));
    struct tpm2_public area = tpm2_template_sealed_data();
    struct bytes wrapped[2], public_2b[2];
    uint8_t copies[2][1024];
    uint32_t rc;
    tpm2_create_build(both_begin(), BOTH_PARENT, &empty, bytes_of_text("password"), bytes_of_text("secret"),
                      &area);
    CHECK(both_same("TPM2_Create of what is fixed under a parent that is not"));
    area.attributes &= ~(uint32_t)(TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT);
    tpm2_create_build(both_begin(), BOTH_PARENT, &empty, bytes_of_text("password"), bytes_of_text("secret"),
                      &area);
    both_random_from(2); /* with a ticket that is longer there */
    changed_everywhere(27, 0, false, "TPM2_Create");
    both_random_from(0);
    tpm2_create_build(both_begin(), BOTH_PARENT, &empty, bytes_of_text("password"), bytes_of_text("secret"),
                      &area);
    CHECK(both_ask());
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(tpm2_create_parse(both_answer(i), &rc, &wrapped[i], &public_2b[i]), 0);
        struct bytes_writer w = bytes_writer_over(copies[i], sizeof copies[i]);
        bytes_write_bytes(&w, wrapped[i]);
        bytes_write_bytes(&w, public_2b[i]);
        wrapped[i].p = copies[i];
        public_2b[i].p = copies[i] + wrapped[i].len;
    }
    CHECK_EQUAL(wrapped[0].len, wrapped[1].len);
    for (int i = 0; i < 2; i++) {
        tpm2_load_build(both_begin(), BOTH_PARENT, &empty, wrapped[i], public_2b[i]);
        CHECK(both_ask_one(i) && both_code(i) == 0);
    }
    tpm2_unseal_build(both_begin(), TPM2_HR_TRANSIENT, &auth);
    changed_everywhere(10, 0, false, "TPM2_Unseal of data");
    tpm2_hmac_build(both_begin(), TPM2_HR_TRANSIENT, &auth, bytes_of_text("data"));
    (void)both_same("TPM2_HMAC with data");
    both_flush(TPM2_HR_TRANSIENT);
    for (size_t i = 0; i < wrapped[0].len + public_2b[0].len + 27; i++) {
        for (int k = 0; k < 2; k++) {
            tpm2_load_build(both_begin(), BOTH_PARENT, &empty, wrapped[k], public_2b[k]);
            both_writer()->p[i] ^= (uint8_t)(i < 27 ? 0U : 1U);
            CHECK(both_ask_one(k));
        }
        (void)both_compare_codes("TPM2_Load, with another byte");
        both_flush(TPM2_HR_TRANSIENT);
    }
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* ---- Policies ---- */

static uint32_t session(uint8_t type)
{
    tpm2_start_auth_session_build(both_begin(), type, bytes_of("a nonce of the caller's", 20));
    both_random_from(14);
    (void)both_same("TPM2_StartAuthSession");
    both_random_from(0);
    return (uint32_t)TPM2_HT_POLICY_SESSION << TPM2_HT_SHIFT;
}

static void same_digest(uint32_t policy)
{
    tpm2_policy_get_digest_build(both_begin(), policy);
    (void)both_same("TPM2_PolicyGetDigest");
}

int compare_policies(void)
{
    static const uint8_t import[] = TPM2_POLICY_IMPORT_SHA256, load[] = TPM2_POLICY_LOAD_SHA256;
    const struct bytes either[] = {bytes_of(import, 32), bytes_of(load, 32)};
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    for (int trial = 0; trial < 2; trial++) {
        const uint32_t policy = session(trial != 0 ? TPM2_SE_TRIAL : TPM2_SE_POLICY);
        same_digest(policy);
        tpm2_policy_or_build(both_begin(), policy, either, 2);
        (void)both_same("TPM2_PolicyOR before anything");
        same_digest(policy);
        tpm2_policy_command_code_build(both_begin(), policy, TPM2_CC_LOAD);
        (void)both_same("TPM2_PolicyCommandCode");
        same_digest(policy);
        tpm2_policy_or_build(both_begin(), policy, either, 2);
        changed_everywhere(14, 0, false, "TPM2_PolicyOR");
        same_digest(policy);
        tpm2_policy_command_code_build(both_begin(), policy, TPM2_CC_IMPORT);
        changed_everywhere(14, 0, false, "TPM2_PolicyCommandCode for another command");
        tpm2_policy_secret_build(both_begin(), TPM2_RH_ENDORSEMENT, policy, &empty, bytes_of(NULL, 0));
        (void)both_same("TPM2_PolicySecret");
        same_digest(policy);
        tpm2_policy_secret_build(both_begin(), BOTH_PARENT, policy, &empty, bytes_of("wrong", 5));
        (void)both_same("TPM2_PolicySecret for another session");
        tpm2_policy_secret_build(both_begin(), BOTH_PARENT, policy, &empty, bytes_of(NULL, 0));
        (void)both_same("TPM2_PolicySecret of an object");
        same_digest(policy);
        both_command(TPM2_ST_NO_SESSIONS, 0x180);
        bytes_write_u32(both_writer(), policy);
        changed_everywhere(14, 0, false, "TPM2_PolicyRestart");
        same_digest(policy);
        const struct tpm2_auth auth = tpm2_auth_policy(policy, true);
        tpm2_hmac_build(both_begin(), BOTH_PARENT, &auth, bytes_of_text("data"));
        (void)both_same("a policy session for a key without policy");
        tpm2_clear_build(both_begin(), TPM2_RH_LOCKOUT, &auth);
        (void)both_same("a policy session for a hierarchy without policy");
        both_flush(policy);
    }
    for (uint32_t i = 0; i < 5; i++) {
        (void)session(TPM2_SE_POLICY); /* more than there can be */
    }
    static const uint32_t flushed[] = {0x03000000, 0x03000001, 0x03000002,    0x03000003,
                                       0x0300003F, 0x03000040, 0x02000000,    0x80000000,
                                       0x80000003, 0x81000000, TPM2_RH_OWNER, 0};
    for (size_t i = 0; i < COUNT(flushed); i++) {
        tpm2_flush_context_build(both_begin(), flushed[i]);
        (void)both_same("TPM2_FlushContext");
    }
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* The same salt, and nonces of their own. */
static int start_salted(struct tpm2_session s[2])
{
    const struct tpm2_public parent = both_known_area(BOTH_PARENT_ATTRIBUTES);
    uint8_t encrypted[2 + SEED_BYTES], salt[TPM2_SEED_SIZE], nonce[TPM2_NONCE_SIZE] = {1};
    struct bytes_writer secret = bytes_writer_over(encrypted, sizeof encrypted);
    tpm2_seed_wrap(&secret, &parent, TPM2_SEED_SECRET, &random_bytes, salt);
    tpm2_start_keyed_session_build(both_begin(), TPM2_SE_HMAC, bytes_of(nonce, sizeof nonce),
                                   &(struct tpm2_salt){BOTH_PARENT, bytes_of(encrypted + 2, SEED_BYTES)});
    CHECK(both_ask());
    for (int i = 0; i < 2; i++) {
        struct bytes nonce_tpm;
        uint32_t rc, handle;
        CHECK_EQUAL(tpm2_start_auth_session_parse(both_answer(i), &rc, &handle, &nonce_tpm), 0);
        CHECK_EQUAL(tpm2_session_begin(&s[i], handle, salt, nonce, nonce_tpm), 0);
    }
    return 0;
}

/* One salted session in each, which authorizes TPM2_HMAC and encrypts both ways: other bytes, the same codes. */
int compare_salted(void)
{
    uint8_t unique[32], public_2b[64], name[TPM2_NAME_SIZE], good[2][512];
    const struct tpm2_public area = hmac_area(unique, bytes_of_text("key"));
    const struct bytes password = bytes_of_text("password");
    struct tpm2_session s[2];
    struct bytes_writer w = bytes_writer_over(public_2b, sizeof public_2b);
    size_t len = 0;
    tpm2_public_write_2b(&w, &area);
    tpm2_name_of(bytes_written(&w), name);
    load_external(TPM2_ALG_KEYEDHASH, password, bytes_of_text("key"), &area);
    CHECK(both_same("TPM2_LoadExternal"));
    CHECK_EQUAL(start_salted(s), 0);
    for (int i = 0; i < 2; i++) {
        const struct tpm2_auth auth = tpm2_auth_policy(s[i].handle, true);
        const struct tpm2_protection p = {
            .command_code = TPM2_CC_HMAC,
            .names = {bytes_of(name, sizeof name)},
            .name_count = 1,
            .uses = {{.session = &s[i],
                      .attributes = TPM2_SESSION_CONTINUE | TPM2_SESSION_DECRYPT | TPM2_SESSION_ENCRYPT,
                      .auth_value = password}},
            .use_count = 1,
            .built = 1,
        };
        memset(s[i].nonce_caller, 2, sizeof s[i].nonce_caller);
        tpm2_hmac_build(both_begin(), TPM2_HR_TRANSIENT, &auth, bytes_of_text("data"));
        tpm2_session_protect(both_writer(), &p);
        len = both_writer()->len;
        CHECK(len > 0 && len <= sizeof good[i]);
        memcpy(good[i], both_writer()->p, len);
    }
    for (size_t at = 10; at <= len; at++) { /* the last time nothing is changed */
        for (int i = 0; i < 2; i++) {
            struct bytes_writer *out = both_begin();
            bytes_write_bytes(out, bytes_of(good[i], len));
            out->p[at % len] ^= (uint8_t)(at < len ? 1U << at % 8 : 0U);
            CHECK(both_ask_one(i));
        }
        (void)both_compare_codes("TPM2_HMAC in a salted session");
    }
    CHECK_EQUAL(both_code(0), 0U);
    both_flush(s[0].handle);
    both_flush(TPM2_HR_TRANSIENT);
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* A key without its private half, and what it cannot be used for. */
int compare_public_half(void)
{
    const struct tpm2_auth empty[2] = {tpm2_auth_password(bytes_of(NULL, 0)),
                                       tpm2_auth_password(bytes_of(NULL, 0))};
    const struct tpm2_public area = both_known_area(tpm2_template_srk().attributes);
    uint8_t bytes[TINY_PUBLIC_MAX];
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    tpm2_public_write_2b(&w, &area);
    tpm2_load_external_build(both_begin(), bytes_written(&w), TPM2_RH_OWNER);
    CHECK(both_same("TPM2_LoadExternal of a public half"));
    const uint32_t policy = session(TPM2_SE_POLICY);
    const struct tpm2_auth by_policy[2] = {tpm2_auth_policy(policy, true),
                                           tpm2_auth_password(bytes_of(NULL, 0))};
    for (int i = 0; i < 2; i++) {
        const struct tpm2_auth *auth = i == 0 ? empty : by_policy;
        tpm2_activate_credential_build(both_begin(), TPM2_HR_TRANSIENT, BOTH_PARENT, auth, bytes_of("b", 1),
                                       bytes_of("s", 1));
        (void)both_same("TPM2_ActivateCredential about a public half");
        tpm2_load_build(both_begin(), TPM2_HR_TRANSIENT, auth, bytes_of("\0\1x", 3), bytes_written(&w));
        (void)both_same("TPM2_Load under a public half");
        tpm2_rewrap_build(both_begin(), TPM2_HR_TRANSIENT, TPM2_RH_NULL, auth, bytes_of("d", 1),
                          bytes_of("n", 1), bytes_of("s", 1));
        (void)both_same("TPM2_Rewrap from a public half");
        tpm2_policy_secret_build(both_begin(), TPM2_HR_TRANSIENT, policy, auth, bytes_of(NULL, 0));
        (void)both_same("TPM2_PolicySecret of a public half");
    }
    tpm2_evict_control_build(both_begin(), TPM2_RH_OWNER, empty, TPM2_HR_TRANSIENT, TPM2_HR_PERSISTENT);
    (void)both_same("TPM2_EvictControl of a public half");
    tpm2_start_keyed_session_build(both_begin(), TPM2_SE_HMAC, bytes_of("a nonce of the caller's", 20),
                                   &(struct tpm2_salt){TPM2_HR_TRANSIENT, bytes_of("s", 1)});
    (void)both_same("TPM2_StartAuthSession salted to a public half");
    both_flush(policy);
    both_flush(TPM2_HR_TRANSIENT);
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

int compare_start(void)
{
    uint8_t encrypted[2 + 256], salt[TPM2_SEED_SIZE];
    const struct tpm2_public area = both_known_area(BOTH_PARENT_ATTRIBUTES);
    struct bytes_writer secret = bytes_writer_over(encrypted, sizeof encrypted);
    tpm2_seed_wrap(&secret, &area, TPM2_SEED_SECRET, &random_bytes, salt);
    tpm2_start_keyed_session_build(both_begin(), TPM2_SE_HMAC, bytes_of(salt, 32),
                                   &(struct tpm2_salt){BOTH_PARENT, bytes_of(encrypted + 2, 256)});
    both_random_from(14);
    changed_everywhere(10, 10 + 8 + 2 + 32 + 2, true, "TPM2_StartAuthSession");
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* ---- Ownership ---- */

int compare_owner(void)
{
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of_text("new"));
    static const uint32_t hierarchies[] = {TPM2_RH_OWNER, TPM2_RH_ENDORSEMENT, TPM2_RH_LOCKOUT,
                                           TPM2_RH_PLATFORM};
    for (size_t i = 0; i < COUNT(hierarchies); i++) {
        tpm2_hierarchy_change_auth_build(both_begin(), hierarchies[i], &empty, bytes_of("new\0\0", 5));
        (void)both_same("TPM2_HierarchyChangeAuth");
        if (hierarchies[i] != TPM2_RH_LOCKOUT) { /* which libtpms would lock */
            tpm2_hierarchy_change_auth_build(both_begin(), hierarchies[i], &empty, bytes_of(NULL, 0));
            (void)both_same("TPM2_HierarchyChangeAuth by the old one");
        }
    }
    tpm2_get_capability_build(both_begin(), TPM2_CAP_TPM_PROPERTIES, TPM2_PT_PERMANENT, 1);
    CHECK(both_ask());
    CHECK_EQUAL(both_last_u32(both_answer(1)), both_last_u32(both_answer(0)) & 7);
    for (size_t i = 0; i < COUNT(hierarchies); i++) {
        tpm2_hierarchy_change_auth_build(both_begin(), hierarchies[i], &auth, bytes_of(NULL, 0));
        (void)both_same("TPM2_HierarchyChangeAuth by the new one");
    }
    tpm2_hierarchy_change_auth_build(both_begin(), TPM2_RH_OWNER, &empty, bytes_of("", 1));
    both_cut_everywhere(27, "TPM2_HierarchyChangeAuth that ends early");
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}
