/* SPDX-License-Identifier: MIT */
/* The same commands to libtpms and to the tiny TPM: the same responses, byte for byte, but for what is random (nonces,
 * keys that are made) and what the tiny TPM does not have (listed in README.md). Both hold the same storage key, whose
 * prime everybody knows: it was imported in clear. TAP. */
#include "tests/tiny_tpm/compare.h"
#include "tests/unit/test.h"
#include "tpm/tools/command_more.h"
#include <stdio.h>

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

static int test_capabilities(void)
{
    static const uint32_t algorithms[] = {TPM2_ALG_RSA,    TPM2_ALG_HMAC, TPM2_ALG_AES, TPM2_ALG_KEYEDHASH,
                                          TPM2_ALG_SHA256, TPM2_ALG_OAEP, TPM2_ALG_CFB};
    for (size_t i = 0; i < both_commands_count; i++) {
        tpm2_get_capability_build(both_begin(), TPM2_CAP_COMMANDS, both_commands[i].code, 1);
        CHECK(both_ask());
        CHECK_EQUAL(both_last_u32(both_answer(1)), both_last_u32(both_answer(0)));
    }
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        tpm2_get_capability_build(both_begin(), TPM2_CAP_ALGS, algorithms[i], 1);
        CHECK(both_ask());
        CHECK_EQUAL(both_last_u32(both_answer(1)), both_last_u32(both_answer(0)));
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
    for (size_t i = 0; i < command->handles && i < 2; i++) {
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

/* The same with RSA keys that come from outside: the public area alone, both halves, by TPM2_Import under a parent that
 * may leave its TPM and under one that may not. */
static int test_attributes_outside(void)
{
    CHECK(both_create_srk());
    for (size_t i = 0; i < 8U << COUNT(bits); i++) {
        uint8_t public_2b[TINY_PUBLIC_MAX];
        struct bytes_writer area_2b = bytes_writer_over(public_2b, sizeof public_2b);
        struct tpm2_public area = both_known_area(combination(i / 8));
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
        {"TPM2_ActivateCredential, and every byte of it changed", compare_activate},
        {"TPM2_Import, likewise", compare_import},
        {"TPM2_Rewrap, likewise", compare_rewrap},
        {"TPM2_LoadExternal, likewise", compare_load_external},
        {"TPM2_HMAC and TPM2_Unseal, likewise", compare_hmac},
        {"sealed data", compare_seal},
        {"policies", compare_policies},
        {"TPM2_StartAuthSession, and every byte of it changed", compare_start},
        {"a salted session, and every byte of a command in it changed", compare_salted},
        {"public halves", compare_public_half},
        {"ownership", compare_owner},
        {"each listed difference has been seen", test_listed},
    };
    if (argc != 2 || both_open(argv[1]) != 0) {
        return 1;
    }
    const int failed = test_run(tests, COUNT(tests));
    both_close();
    return failed;
}
