/* SPDX-License-Identifier: MIT */
/* Public areas against those that a TPM made (vectors/commands.c) and the keys of
 * vectors/activation_blob.h. */
#include "dps/protocol/limits.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tests/vectors/commands.h"
#include "tpm/public.h"
#include <stdlib.h>
#include <string.h>

/* Where the recorded requests and responses carry a TPM2B_PUBLIC */
#define IN_CREATE_PRIMARY_REQUEST (10 + 4 + 4 + 9 + 6)
#define IN_CREATE_PRIMARY_RESPONSE 18

static struct bytes public_in(const char *name, bool response, size_t offset)
{
    for (size_t i = 0; i < captured_commands_count; i++) {
        if (strcmp(captured_commands[i].name, name) == 0) {
            struct bytes_reader r =
                bytes_reader_over(response ? captured_commands[i].response : captured_commands[i].request);
            bytes_read_bytes(&r, offset);
            return bytes_read_2b_whole(&r);
        }
    }
    abort();
}

static struct bytes ek_public(void)
{
    return bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b);
}

static struct bytes hmac_public(void)
{
    return bytes_of(vector_public, sizeof vector_public);
}

/* Written templates are byte for byte what tpm2-tss wrote from its own description of them. */
static int test_templates(void)
{
    uint8_t buffer[DPS_EK_PUBLIC_MAX];
    struct tpm2_public area = tpm2_template_ek_l1();
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_public_write_2b(&w, &area);
    CHECK(bytes_equal_public(bytes_written(&w),
                             public_in("create_primary_ek", false, IN_CREATE_PRIMARY_REQUEST)));
    CHECK(area.attributes == 0x000300B2 && area.unique.len == 256);

    struct tpm2_public azure = tpm2_template_ek_azure_sdk();
    CHECK(azure.unique.len == 0 && tpm2_public_matches(&azure, &area));

    area = tpm2_template_srk();
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_public_write_2b(&w, &area);
    CHECK(bytes_equal_public(bytes_written(&w),
                             public_in("create_primary_srk", false, IN_CREATE_PRIMARY_REQUEST)));
    CHECK_EQUAL(area.attributes, 0x00030472);

    area = tpm2_template_hmac_key(bytes_of(vector_unique, sizeof vector_unique));
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_public_write_2b(&w, &area);
    CHECK(bytes_equal_public(bytes_written(&w), hmac_public()));
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_public_write(&w, &area);
    CHECK(bytes_equal_public(bytes_written(&w), bytes_of(vector_object_public, sizeof vector_object_public)));
    return 0;
}

/* Read and written again, every area is what it was. */
static int test_round_trip(void)
{
    const struct bytes areas[] = {
        ek_public(),
        bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b),
        hmac_public(),
        public_in("create_primary_ek", true, IN_CREATE_PRIMARY_RESPONSE),
        public_in("create_primary_srk", true, IN_CREATE_PRIMARY_RESPONSE),
        public_in("create_primary_srk", false, IN_CREATE_PRIMARY_REQUEST),
    };
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++) {
        uint8_t buffer[DPS_EK_PUBLIC_MAX];
        struct tpm2_public area;
        struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
        CHECK_EQUAL(tpm2_public_parse_2b(areas[i], &area), 0);
        tpm2_public_write_2b(&w, &area);
        CHECK(bytes_equal_public(bytes_written(&w), areas[i]));
    }
    return 0;
}

static int test_names(void)
{
    uint8_t name[TPM2_NAME_SIZE];
    tpm2_name_of(ek_public(), name);
    CHECK(memcmp(name, vector_ek_name, sizeof name) == 0);
    tpm2_name_of(bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b), name);
    CHECK(memcmp(name, vector_srk_name, sizeof name) == 0);
    tpm2_name_of(hmac_public(), name);
    CHECK(memcmp(name, vector_object_name, sizeof name) == 0);
    return 0;
}

/* parse a copy that ends where the heap block ends, for the address sanitizer; empty unless 0. */
static int parse_copy(struct bytes s)
{
    uint8_t *copy = malloc(s.len > 0 ? s.len : 1);
    struct tpm2_public area, none = {0};
    if (s.len > 0) {
        memcpy(copy, s.p, s.len);
    }
    int error = tpm2_public_parse_2b(bytes_of(copy, s.len), &area);
    if (error != 0 && (area.type != none.type || area.unique.len != 0 || area.auth_policy.len != 0)) {
        error = -1000;
    }
    free(copy);
    return error;
}

static int test_broken(void)
{
    const struct bytes areas[] = {ek_public(), hmac_public()};
    for (size_t i = 0; i < 2; i++) {
        uint8_t buffer[DPS_EK_PUBLIC_MAX + 2];
        for (size_t len = 0; len < areas[i].len; len++) {
            memcpy(buffer, areas[i].p, len);
            CHECK_EQUAL(parse_copy(bytes_of(buffer, len)), BYTES_E_FORMAT);
            if (len < 2) {
                continue;
            }
            buffer[0] = (uint8_t)((len - 2) >> 8); /* a size that fits what is left */
            buffer[1] = (uint8_t)(len - 2);
            CHECK_EQUAL(parse_copy(bytes_of(buffer, len)), BYTES_E_FORMAT);
        }
        /* one byte more, outside of the declared size and inside */
        memcpy(buffer, areas[i].p, areas[i].len);
        buffer[areas[i].len] = 0;
        CHECK_EQUAL(parse_copy(bytes_of(buffer, areas[i].len + 1)), BYTES_E_FORMAT);
        buffer[1]++;
        CHECK_EQUAL(parse_copy(bytes_of(buffer, areas[i].len + 1)), BYTES_E_FORMAT);
    }
    return 0;
}

static int test_every_byte_changed(void)
{
    const struct bytes areas[] = {ek_public(), hmac_public()};
    for (size_t i = 0; i < 2; i++) {
        for (size_t at = 0; at < areas[i].len; at++) {
            for (unsigned value = 0; value < 256; value++) {
                uint8_t buffer[DPS_EK_PUBLIC_MAX];
                memcpy(buffer, areas[i].p, areas[i].len);
                buffer[at] = (uint8_t)value;
                int error = parse_copy(bytes_of(buffer, areas[i].len));
                CHECK(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_ALGORITHM);
            }
        }
    }
    return 0;
}

static int with_u16(struct bytes area, size_t at, uint16_t value)
{
    uint8_t buffer[DPS_EK_PUBLIC_MAX];
    memcpy(buffer, area.p, area.len);
    buffer[at] = (uint8_t)(value >> 8);
    buffer[at + 1] = (uint8_t)value;
    return parse_copy(bytes_of(buffer, area.len));
}

/* Offsets in a TPM2B_PUBLIC: size 0, type 2, nameAlg 4, attributes 6, authPolicy 10; the vector's EK has a
 * policy of 32 bytes, so its symmetric algorithm is at 44 and its scheme at 50; the HMAC key's scheme is
 * at 12. */
static int test_unknown_algorithms(void)
{
    CHECK_EQUAL(with_u16(ek_public(), 2, TPM2_ALG_ECC), BYTES_E_ALGORITHM);
    CHECK_EQUAL(with_u16(ek_public(), 2, 0x0025), BYTES_E_ALGORITHM); /* TPM_ALG_SYMCIPHER */
    CHECK_EQUAL(with_u16(ek_public(), 4, TPM2_ALG_SHA384), BYTES_E_ALGORITHM);
    CHECK_EQUAL(with_u16(ek_public(), 4, TPM2_ALG_NULL), BYTES_E_ALGORITHM);
    CHECK_EQUAL(with_u16(ek_public(), 44, 0x0026), BYTES_E_ALGORITHM); /* Camellia */
    CHECK_EQUAL(with_u16(ek_public(), 50, TPM2_ALG_HMAC), BYTES_E_ALGORITHM);
    CHECK_EQUAL(with_u16(ek_public(), 50, 0x0018), BYTES_E_ALGORITHM); /* TPM_ALG_ECDSA */
    CHECK_EQUAL(with_u16(hmac_public(), 12, TPM2_ALG_XOR), BYTES_E_ALGORITHM);
    CHECK_EQUAL(with_u16(hmac_public(), 12, TPM2_ALG_RSASSA), BYTES_E_ALGORITHM);
    return 0;
}

/* Every parameter counts, unique does not, and exponent 0 is 65537. */
static int test_matches(void)
{
    struct tpm2_public ek = tpm2_template_ek_l1(), srk = tpm2_template_srk(), area = ek;
    CHECK(!tpm2_public_matches(&srk, &ek));
    area.unique = bytes_of_text("another");
    area.exponent = 65537;
    CHECK(tpm2_public_matches(&area, &ek));
    area.exponent = 3;
    CHECK(!tpm2_public_matches(&area, &ek));

    struct tpm2_public changed[9];
    for (size_t i = 0; i < 9; i++) {
        changed[i] = ek;
    }
    changed[0].type = TPM2_ALG_KEYEDHASH;
    changed[1].name_alg = TPM2_ALG_SHA384;
    changed[2].attributes ^= TPM2_OBJECT_NO_DA;
    changed[3].auth_policy.len = 0;
    changed[4].symmetric = TPM2_ALG_NULL;
    changed[5].symmetric_key_bits = 256;
    changed[6].symmetric_mode = 0x0042; /* CBC */
    changed[7].key_bits = 3072;
    changed[8].scheme = TPM2_ALG_OAEP;
    for (size_t i = 0; i < 9; i++) {
        CHECK(!tpm2_public_matches(&changed[i], &ek));
    }
    struct tpm2_public hmac = tpm2_template_hmac_key((struct bytes){0}), other = hmac;
    other.scheme_hash = TPM2_ALG_SHA384;
    CHECK(tpm2_public_matches(&hmac, &hmac) && !tpm2_public_matches(&other, &hmac));
    return 0;
}

static int test_rsa(void)
{
    struct tpm2_public area;
    CHECK_EQUAL(tpm2_public_parse_2b(ek_public(), &area), 0);
    struct crypto_rsa_public key = tpm2_public_rsa(&area);
    CHECK(area.exponent == 0 && key.exponent == 65537);
    CHECK(key.modulus.len == 256 && key.modulus.p == vector_ek_public_2b + 60);
    area.exponent = 3;
    CHECK_EQUAL(tpm2_public_rsa(&area).exponent, 3);
    return 0;
}

/* digest' = SHA-256(digest || command code || what the command adds) [P3 r1.59 23.6 and 23.11]. */
static void extend(uint8_t digest[32], uint32_t command, struct bytes more)
{
    uint8_t code[4];
    struct bytes_writer w = bytes_writer_over(code, sizeof code);
    bytes_write_u32(&w, command);
    crypto_sha256((const struct bytes[]){bytes_of(digest, 32), bytes_of(code, sizeof code), more}, 3, digest);
}

static void command_code_policy(uint32_t command, uint8_t digest[32])
{
    uint8_t code[4];
    struct bytes_writer w = bytes_writer_over(code, sizeof code);
    bytes_write_u32(&w, command);
    memset(digest, 0, 32);
    extend(digest, TPM2_CC_POLICY_COMMAND_CODE, bytes_written(&w));
}

static int test_hardened_srk(void)
{
    static const uint8_t import[32] = TPM2_POLICY_IMPORT_SHA256, load[32] = TPM2_POLICY_LOAD_SHA256;
    uint8_t both[64], either[32] = {0}, written[64];
    command_code_policy(TPM2_CC_IMPORT, both);
    command_code_policy(TPM2_CC_LOAD, both + 32);
    CHECK(memcmp(both, import, 32) == 0 && memcmp(both + 32, load, 32) == 0);
    extend(either, TPM2_CC_POLICY_OR, bytes_of(both, sizeof both));
    const struct tpm2_public area = tpm2_template_srk_hardened();
    CHECK(bytes_equal_public(area.auth_policy, bytes_of(either, sizeof either)));
    CHECK_EQUAL(area.attributes, 0x00030432);
    struct bytes_writer w = bytes_writer_over(written, sizeof written);
    tpm2_public_write(&w, &area);
    CHECK_EQUAL(bytes_written(&w).len, 58);
    return 0;
}

static int test_modulus(void)
{
    struct tpm2_public area;
    uint8_t modulus[256];
    CHECK(tpm2_public_parse_2b(bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b), &area) == 0);
    CHECK(tpm2_public_modulus_is_sane(&area));
    memcpy(modulus, area.unique.p, sizeof modulus);
    area.unique.p = modulus;
    area.unique.len = sizeof modulus - 1;
    CHECK(!tpm2_public_modulus_is_sane(&area));
    area.unique.len = sizeof modulus;
    modulus[0] ^= 0x80;
    CHECK(!tpm2_public_modulus_is_sane(&area));
    modulus[0] ^= 0x80;
    modulus[sizeof modulus - 1] ^= 1;
    CHECK(!tpm2_public_modulus_is_sane(&area));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"templates are what tpm2-tss writes", test_templates},
        {"read and written again", test_round_trip},
        {"Names", test_names},
        {"truncated, lengthened, wrong sizes", test_broken},
        {"every byte changed to every value", test_every_byte_changed},
        {"unknown algorithms", test_unknown_algorithms},
        {"matching a template", test_matches},
        {"the RSA key inside", test_rsa},
        {"a modulus of the right size, odd", test_modulus},
        {"the hardened SRK's policy is Import or Load", test_hardened_srk},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
