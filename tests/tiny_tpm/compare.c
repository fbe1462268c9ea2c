/* SPDX-License-Identifier: MIT */
/* The same commands to libtpms and to the tiny TPM: the same responses, byte for byte, but for what is random (nonces,
 * keys that are made) and what the tiny TPM does not have (listed in README.md). Both hold the same storage key, whose
 * prime everybody knows: it was imported in clear. TAP. */
#include "tests/tiny_tpm/compare.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/session.h"
#include "tpm/tools/command_more.h"
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* Where it begins in the response for the key that both hold. */
#define READ_PUBLIC_QUALIFIED (10 + 2 + 282 + 2 + 34)

/* ---- Bytes ---- */

static int test_headers(void)
{
    static const uint16_t tags[] = {0x00C4, 0x8000, 0x8001, 0x8002};
    static const uint32_t codes[] = {0, 0x11E, 0x198, 0x1000017A, 0x2000017A, 0xFFFFFFFF};
    for (size_t i = 0; i < COUNT(tags); i++) {
        struct bytes_writer *w = both_begin();
        bytes_write_u16(w, tags[i]);
        bytes_write_u32(w, 0);
        bytes_write_u32(w, TPM2_CC_GET_RANDOM);
        (void)both_same("a tag");
    }
    for (size_t i = 0; i < COUNT(codes); i++) {
        both_command(TPM2_ST_NO_SESSIONS, codes[i]);
        (void)both_same("a command code");
    }
    for (uint32_t size = 0; size < 24; size++) {
        tpm2_get_capability_build(both_begin(), TPM2_CAP_ALGS, TPM2_ALG_RSA, 1);
        both_set_size(size);
        if (size != 22) {
            (void)both_same_as_is("commandSize");
        }
    }
    for (size_t len = 10; len < 22; len++) {
        tpm2_get_capability_build(both_begin(), TPM2_CAP_ALGS, TPM2_ALG_RSA, 1);
        both_cut(len);
        (void)both_same("parameters that end early");
    }
    tpm2_startup_build(both_begin(), TPM2_SU_CLEAR);
    (void)both_same("TPM2_Startup, once more");
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* ---- Capabilities ---- */

static uint32_t last_u32(struct bytes response)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(response.p + response.len - 4, 4));
    return bytes_read_u32(&r);
}

static int test_capabilities(void)
{
    static const uint32_t algorithms[] = {TPM2_ALG_RSA,    TPM2_ALG_HMAC, TPM2_ALG_AES, TPM2_ALG_KEYEDHASH,
                                          TPM2_ALG_SHA256, TPM2_ALG_OAEP, TPM2_ALG_CFB};
    for (size_t i = 0; i < both_commands_count; i++) {
        tpm2_get_capability_build(both_begin(), TPM2_CAP_COMMANDS, both_commands[i].code, 1);
        CHECK(both_ask());
        CHECK_EQUAL(last_u32(both_answer(1)), last_u32(both_answer(0)));
    }
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        tpm2_get_capability_build(both_begin(), TPM2_CAP_ALGS, algorithms[i], 1);
        CHECK(both_ask());
        CHECK_EQUAL(last_u32(both_answer(1)), last_u32(both_answer(0)));
    }
    static const uint32_t first[] = {0x02000000, 0x03000000, 0x80000000, 0x80000001, 0x80000002, 0x81000000};
    for (size_t i = 0; i < COUNT(first); i++) {
        for (uint32_t count = 0; count < 3; count++) {
            tpm2_get_capability_build(both_begin(), TPM2_CAP_HANDLES, first[i], count);
            (void)both_same("handles");
        }
    }
    tpm2_get_capability_build(both_begin(), 0x20, 0, 1);
    (void)both_same("an unknown capability");
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* ---- Handles and authorizations ---- */

static const uint32_t odd_handles[] = {
    0x02000000,  0x03000000, 0x40000000, TPM2_RH_OWNER,    0x40000003, TPM2_RH_NULL,
    TPM2_RS_PW,  0x4000000A, 0x4000000B, TPM2_RH_PLATFORM, 0x4000000D, 0x80000000,
    BOTH_PARENT, 0x80000002, 0x80FFFFFF, 0x81000000,       0x81010001, 0xFFFFFFFF,
};

static void command_with(const struct both_command *command, const uint32_t *handles, size_t auths)
{
    const struct tpm2_auth empty[2] = {tpm2_auth_password(bytes_of(NULL, 0)),
                                       tpm2_auth_password(bytes_of(NULL, 0))};
    both_command(auths > 0 ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS, command->code);
    for (size_t i = 0; i < command->handles; i++) {
        bytes_write_u32(both_writer(), handles[i]);
    }
    if (auths > 0) {
        tpm2_auth_area_write(both_writer(), empty, auths);
    }
}

/* Each command with each handle, without and with authorizations, and no parameters. TPM2_Clear has none, and is left
 * out where it would be done. */
static int test_handles(void)
{
    for (size_t i = 0; i < both_commands_count; i++) {
        const struct both_command *command = &both_commands[i];
        for (size_t k = 0; k < COUNT(odd_handles) * (command->handles > 1 ? COUNT(odd_handles) : 1); k++) {
            const uint32_t handles[2] = {odd_handles[k % COUNT(odd_handles)],
                                         odd_handles[k / COUNT(odd_handles)]};
            if (command->code == TPM2_CC_CLEAR) {
                continue;
            }
            for (size_t auths = 0; auths < 3; auths++) {
                command_with(command, handles, auths);
                /* The qualified name of the key contains that of an SRK that each has made. */
                both_random_from(command->code == TPM2_CC_READ_PUBLIC ? READ_PUBLIC_QUALIFIED : 0);
                (void)both_same("handles and authorizations");
            }
        }
    }
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* TPM2_HMAC with the handle of the parent, which is no HMAC key: first the authorization is judged. */
static int test_authorizations(void)
{
    static const struct {
        uint32_t handle;
        uint8_t nonce, attributes, value;
    } auths[] = {
        {TPM2_RS_PW, 0, 0, 0},
        {TPM2_RS_PW, 0, 1, 0},
        {TPM2_RS_PW, 16, 1, 0},
        {TPM2_RS_PW, 0, 0x20, 0},
        {TPM2_RS_PW, 0, 0x40, 0},
        {TPM2_RS_PW, 0, 0x08, 0},
        {TPM2_RS_PW, 0, 0x10, 0},
        {TPM2_RS_PW, 0, 1, 1},
        {TPM2_RS_PW, 0, 1, 32},
        {TPM2_RS_PW, 0, 1, 33},
        {TPM2_RS_PW, 0, 1, 64},
        {TPM2_RH_NULL, 0, 1, 0},
        {TPM2_RH_OWNER, 0, 1, 0},
        {0x02000000, 0, 1, 0},
        {0x03000001, 0, 1, 0},
        {0x80000000, 0, 1, 0},
        {0, 0, 1, 0},
    };
    for (size_t i = 0; i < COUNT(auths); i++) {
        static const uint8_t bytes[64] = {1,  2,  3,  4,  5,  6,  7,  8,        9,
                                          10, 11, 12, 13, 14, 15, 16, [32] = 1, [63] = 1};
        both_command(TPM2_ST_SESSIONS, TPM2_CC_HMAC);
        struct bytes_writer *w = both_writer();
        bytes_write_u32(w, BOTH_PARENT);
        bytes_write_u32(w, 9U + auths[i].nonce + auths[i].value);
        bytes_write_u32(w, auths[i].handle);
        bytes_write_2b(w, bytes_of(bytes, auths[i].nonce));
        bytes_write_u8(w, auths[i].attributes);
        bytes_write_2b(w, bytes_of(bytes, auths[i].value));
        bytes_write_2b(w, bytes_of_text("data"));
        bytes_write_u16(w, TPM2_ALG_NULL);
        const size_t len = w->len;
        (void)both_same("an authorization");
        for (uint32_t size = 0; size < 80; size++) {
            w->len = len;
            struct bytes_writer at = bytes_writer_over(w->p + 14, 4);
            bytes_write_u32(&at, size);
            (void)both_same("authorizationSize");
        }
    }
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* ---- Attributes ---- */

static const uint32_t bits[] = {TPM2_OBJECT_FIXED_TPM,
                                TPM2_OBJECT_ST_CLEAR,
                                TPM2_OBJECT_FIXED_PARENT,
                                TPM2_OBJECT_SENSITIVE_DATA_ORIGIN,
                                TPM2_OBJECT_ENCRYPTED_DUPLICATION,
                                TPM2_OBJECT_RESTRICTED,
                                TPM2_OBJECT_DECRYPT,
                                TPM2_OBJECT_SIGN_ENCRYPT};

static uint32_t combination(size_t number)
{
    uint32_t attributes = TPM2_OBJECT_USER_WITH_AUTH;
    for (size_t i = 0; i < COUNT(bits); i++) {
        attributes |= (number >> i & 1) != 0 ? bits[i] : 0;
    }
    return attributes;
}

/* TPM2_CreatePrimary of keyed hashes: with and without scheme, with and without data. */
static int test_attributes_made(void)
{
    for (size_t i = 0; i < 4U << COUNT(bits); i++) {
        struct tpm2_public area = tpm2_template_hmac_key(bytes_of(NULL, 0));
        area.attributes = combination(i >> 2);
        area.scheme = (i & 1) != 0 ? TPM2_ALG_HMAC : TPM2_ALG_NULL;
        both_command(TPM2_ST_SESSIONS, TPM2_CC_CREATE_PRIMARY);
        struct bytes_writer *w = both_writer();
        const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
        bytes_write_u32(w, TPM2_RH_NULL);
        tpm2_auth_area_write(w, &empty, 1);
        const size_t size = bytes_write_size_begin(w);
        bytes_write_u16(w, 0);
        bytes_write_2b(w, bytes_of("data", (i & 2) != 0 ? 4 : 0));
        bytes_write_size_end(w, size);
        tpm2_public_write_2b(w, &area);
        bytes_write_u16(w, 0);
        bytes_write_u32(w, 0);
        (void)both_same_code("the attributes of what is made");
        both_flush(0x80000000);
    }
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* The public area of the well-known key. */
static struct tpm2_public known_area(uint32_t attributes)
{
    struct tpm2_public area = tpm2_template_srk();
    static struct tpm2_public vector;
    (void)tpm2_public_parse_2b(bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b), &vector);
    area.attributes = attributes;
    area.unique = vector.unique;
    return area;
}

/* The same with RSA keys that come from outside: the public area alone, both halves, by TPM2_Import under a parent that
 * may leave its TPM and under one that may not. */
static int test_attributes_outside(void)
{
    CHECK(both_create_srk());
    for (size_t i = 0; i < 8U << COUNT(bits); i++) {
        uint8_t public_2b[TINY_PUBLIC_MAX];
        struct bytes_writer area_2b = bytes_writer_over(public_2b, sizeof public_2b);
        struct tpm2_public area = known_area(combination(i / 8));
        area.symmetric = i % 2 != 0 ? TPM2_ALG_AES : TPM2_ALG_NULL;
        tpm2_public_write_2b(&area_2b, &area);
        if (i % 8 < 2) {
            tpm2_load_external_build(both_begin(), bytes_written(&area_2b), TPM2_RH_OWNER);
        } else if (i % 8 < 4) {
            tpm2_load_external_rsa_build(both_begin(), both_known_prime(), bytes_written(&area_2b),
                                         TPM2_RH_NULL);
        } else {
            both_import_in_clear(i % 8 < 6 ? BOTH_PARENT : TPM2_HR_TRANSIENT, bytes_written(&area_2b),
                                 TPM2_ALG_RSA, both_known_prime());
        }
        (void)(i % 8 < 4 ? both_same("the attributes of what is loaded")
                         : both_same_code("those of what is imported"));
        both_flush(0x80000002);
    }
    for (size_t i = 0; i < 4U << COUNT(bits); i++) {
        static const uint8_t seed_value[32] = {1, 2, 3};
        const struct tpm2_sensitive sensitive = {bytes_of(seed_value, 32), bytes_of_text("key")};
        uint8_t public_2b[64], unique[32];
        struct bytes_writer area_2b = bytes_writer_over(public_2b, sizeof public_2b);
        struct tpm2_public area = tpm2_template_hmac_key(bytes_of(unique, 32));
        tpm2_keyedhash_unique(&sensitive, unique);
        unique[0] ^= (i & 2) != 0;
        area.attributes = combination(i / 4);
        area.scheme = (i & 1) != 0 ? TPM2_ALG_HMAC : TPM2_ALG_NULL;
        tpm2_public_write_2b(&area_2b, &area);
        both_import_in_clear(TPM2_HR_TRANSIENT, bytes_written(&area_2b), TPM2_ALG_KEYEDHASH, sensitive.key);
        (void)both_same_code("those of an HMAC key that is imported");
    }
    both_flush(TPM2_HR_TRANSIENT);
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

/* ---- Step 7 ---- */

static const struct tpm2_wrap_random random_bytes = {.seed = {1, 2, 3}, .oaep = {4, 5, 6}};

#define SEED_BYTES 256

/* The command as it is, then with each byte changed, and cut off everywhere.
 *   seed  where an encrypted seed begins, of which each byte costs an RSA operation and one in eight is enough; 0: none */
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

static int test_activate(void)
{
    uint8_t bytes[400];
    struct bytes_writer made = bytes_writer_over(bytes, sizeof bytes);
    const struct tpm2_public area = known_area(BOTH_PARENT_ATTRIBUTES);
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
    const struct tpm2_public parent = known_area(BOTH_PARENT_ATTRIBUTES);
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

static int test_import(void)
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

static int test_rewrap(void)
{
    struct known_key k;
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    wrap_key(&k, HMAC_ATTRIBUTES);
    tpm2_rewrap_build(both_begin(), BOTH_PARENT, TPM2_RH_NULL, &empty, k.duplicate,
                      bytes_of(k.name, sizeof k.name), k.secret);
    changed_everywhere(10 + 8 + 4 + 9, both_writer()->len - SEED_BYTES, false, "TPM2_Rewrap to nobody");
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

static int test_load_external(void)
{
    uint8_t unique[32];
    const struct tpm2_public hmac = hmac_area(unique, bytes_of_text("key"));
    struct tpm2_public rsa = known_area(TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_DECRYPT);
    rsa.symmetric = TPM2_ALG_NULL;
    load_external(TPM2_ALG_KEYEDHASH, bytes_of_text("password"), bytes_of_text("key"), &hmac);
    changed_everywhere(10, 0, true, "TPM2_LoadExternal of an HMAC key");
    load_external(TPM2_ALG_RSA, bytes_of_text("password"), both_known_prime(), &rsa);
    changed_everywhere(10, 0, true, "TPM2_LoadExternal of an RSA key");
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

static int test_hmac(void)
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
static int test_seal(void)
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
            both_writer()->p[i < 27 ? 0 : i] ^= i < 27 ? 0 : 1;
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

static int test_policies(void)
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

/* One salted session in each, which authorizes TPM2_HMAC and encrypts both ways: other bytes, the same codes. */
static int test_salted(void)
{
    uint8_t unique[32], encrypted[2 + 256], salt[TPM2_SEED_SIZE], nonce[TPM2_NONCE_SIZE] = {1}, good[2][512];
    const struct tpm2_public area = hmac_area(unique, bytes_of_text("key")),
                             parent = known_area(BOTH_PARENT_ATTRIBUTES);
    const struct bytes password = bytes_of_text("password");
    struct tpm2_session s[2];
    struct bytes_writer secret = bytes_writer_over(encrypted, sizeof encrypted);
    uint8_t public_2b[64], name[TPM2_NAME_SIZE];
    struct bytes_writer w = bytes_writer_over(public_2b, sizeof public_2b);
    size_t len = 0;
    tpm2_public_write_2b(&w, &area);
    tpm2_name_of(bytes_written(&w), name);
    load_external(TPM2_ALG_KEYEDHASH, password, bytes_of_text("key"), &area);
    CHECK(both_same("TPM2_LoadExternal"));
    tpm2_seed_wrap(&secret, &parent, TPM2_SEED_SECRET, &random_bytes, salt);
    tpm2_start_keyed_session_build(both_begin(), TPM2_SE_HMAC, bytes_of(nonce, sizeof nonce),
                                   &(struct tpm2_salt){BOTH_PARENT, bytes_of(encrypted + 2, 256)});
    CHECK(both_ask());
    for (int i = 0; i < 2; i++) {
        struct bytes nonce_tpm;
        uint32_t rc, handle;
        CHECK_EQUAL(tpm2_start_auth_session_parse(both_answer(i), &rc, &handle, &nonce_tpm), 0);
        CHECK_EQUAL(tpm2_session_begin(&s[i], handle, salt, nonce, nonce_tpm), 0);
    }
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
            out->p[at < len ? at : 0] ^= at < len ? (uint8_t)(1U << at % 8) : 0;
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
static int test_public_half(void)
{
    const struct tpm2_auth empty[2] = {tpm2_auth_password(bytes_of(NULL, 0)),
                                       tpm2_auth_password(bytes_of(NULL, 0))};
    const struct tpm2_public area = known_area(tpm2_template_srk().attributes);
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

static int test_start(void)
{
    uint8_t encrypted[2 + 256], salt[TPM2_SEED_SIZE];
    const struct tpm2_public area = known_area(BOTH_PARENT_ATTRIBUTES);
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

static int test_owner(void)
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
    CHECK_EQUAL(last_u32(both_answer(1)), last_u32(both_answer(0)) & 7);
    for (size_t i = 0; i < COUNT(hierarchies); i++) {
        tpm2_hierarchy_change_auth_build(both_begin(), hierarchies[i], &auth, bytes_of(NULL, 0));
        (void)both_same("TPM2_HierarchyChangeAuth by the new one");
    }
    tpm2_hierarchy_change_auth_build(both_begin(), TPM2_RH_OWNER, &empty, bytes_of("", 1));
    both_cut_everywhere(27, "TPM2_HierarchyChangeAuth that ends early");
    CHECK_EQUAL(both_differences(), 0U);
    return 0;
}

static int test_listed(void)
{
    CHECK_EQUAL(both_not_seen(), 0U);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"headers", test_headers},
        {"capabilities", test_capabilities},
        {"handles", test_handles},
        {"authorizations", test_authorizations},
        {"attributes of what is made", test_attributes_made},
        {"attributes of what comes from outside", test_attributes_outside},
        {"TPM2_ActivateCredential, and every byte of it changed", test_activate},
        {"TPM2_Import, likewise", test_import},
        {"TPM2_Rewrap, likewise", test_rewrap},
        {"TPM2_LoadExternal, likewise", test_load_external},
        {"TPM2_HMAC and TPM2_Unseal, likewise", test_hmac},
        {"sealed data", test_seal},
        {"policies", test_policies},
        {"TPM2_StartAuthSession, and every byte of it changed", test_start},
        {"a salted session, and every byte of a command in it changed", test_salted},
        {"public halves", test_public_half},
        {"ownership", test_owner},
        {"each listed difference has been seen", test_listed},
    };
    if (argc != 2 || both_open(argv[1]) != 0) {
        return 1;
    }
    const int failed = test_run(tests, COUNT(tests));
    both_close();
    return failed;
}
