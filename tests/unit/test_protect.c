/* SPDX-License-Identifier: MIT */
/* Protected storage against three sources: the deterministic vector of the protocol notes (short[] below,
 * made with Python), activation_blob.h (made with Node, accepted by swtpm), and a credential and a
 * duplicate that a TPM made itself to the vector's public keys (commands.h). */
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tests/vectors/commands.h"
#include "tpm/protect.h"
#include "tpm/tools/open.h"
#include <stdlib.h>
#include <string.h>

/* ---- Inputs ------------------------------------------------------------------------------------------- */

#define KEY_STORAGE (5 * 256 + 64)

static struct tpm2_public public_of(const unsigned char *whole, size_t len)
{
    struct tpm2_public area;
    if (tpm2_public_parse_2b(bytes_of(whole, len), &area) != 0) {
        abort();
    }
    return area;
}

static struct tpm2_public ek_public(void)
{
    return public_of(vector_ek_public_2b, sizeof vector_ek_public_2b);
}

static struct tpm2_public srk_public(void)
{
    return public_of(vector_srk_public_2b, sizeof vector_srk_public_2b);
}

static struct crypto_rsa_private ek_private(uint8_t storage[KEY_STORAGE])
{
    struct crypto_rsa_private key;
    struct bytes der = bytes_of(vector_ek_private_der, sizeof vector_ek_private_der);
    if (crypto_rsa_private_decode(der, &key, storage, KEY_STORAGE) != 0) {
        abort();
    }
    return key;
}

static struct crypto_rsa_private srk_private(uint8_t storage[KEY_STORAGE])
{
    struct crypto_rsa_private key;
    struct bytes der = bytes_of(vector_srk_private_der, sizeof vector_srk_private_der);
    if (crypto_rsa_private_decode(der, &key, storage, KEY_STORAGE) != 0) {
        abort();
    }
    return key;
}

static struct bytes without_size(struct bytes whole)
{
    struct bytes_reader r = bytes_reader_over(whole);
    return bytes_read_2b(&r);
}
#define CONTENT(array) without_size(bytes_of(array, sizeof array))

static void counting(uint8_t *p, size_t len, uint8_t first)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(first + i);
    }
}

static struct tpm2_wrap_random random_with(const unsigned char seed[32])
{
    struct tpm2_wrap_random random;
    memcpy(random.seed, seed, sizeof random.seed);
    memset(random.oaep, 0x5A, sizeof random.oaep);
    return random;
}

static struct bytes srk_name(void)
{
    return bytes_of(vector_srk_name, sizeof vector_srk_name);
}

static struct bytes object_name(void)
{
    return bytes_of(vector_object_name, sizeof vector_object_name);
}

static struct bytes inner_key(void)
{
    return bytes_of(vector_inner_key, sizeof vector_inner_key);
}

static struct tpm2_sensitive vector_sensitive(void)
{
    return (struct tpm2_sensitive){.seed_value = bytes_of(vector_seed_value, sizeof vector_seed_value),
                                   .key = bytes_of(vector_hmac_key, sizeof vector_hmac_key)};
}

static const struct captured *captured(const char *name)
{
    for (size_t i = 0; i < captured_commands_count; i++) {
        if (strcmp(captured_commands[i].name, name) == 0) {
            return &captured_commands[i];
        }
    }
    abort();
}

/* ---- Credentials -------------------------------------------------------------------------------------- */

/* s1 = 00..1f, inner key = 40..4f, Name = 000b || 32 * 11 */
static int test_credential_short_vector(void)
{
    static const uint8_t field1[] = {0x00, 0x34, 0x00, 0x20, 0x74, 0x1f, 0x74, 0xd0, 0x71, 0x5f, 0x87,
                                     0x42, 0x91, 0x0d, 0xa7, 0xb6, 0x27, 0x86, 0x70, 0xf7, 0xcc, 0xd8,
                                     0x17, 0xbb, 0xb4, 0x21, 0x76, 0x3a, 0x80, 0x8c, 0xf2, 0xcb, 0x1a,
                                     0x82, 0x55, 0x1b, 0x2d, 0x0d, 0xce, 0x77, 0x10, 0x33, 0x54, 0x92,
                                     0x00, 0x65, 0x8e, 0x00, 0x55, 0x20, 0x1f, 0xf0, 0x6e, 0xd9};
    struct tpm2_public ek = ek_public();
    struct tpm2_wrap_random random = {{0}, {0}};
    uint8_t credential[16], name[34] = {0x00, 0x0b}, buffer[512];
    counting(random.seed, sizeof random.seed, 0x00);
    counting(credential, sizeof credential, 0x40);
    memset(name + 2, 0x11, 32);
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_credential_make(&w, &ek, bytes_of(credential, sizeof credential), bytes_of(name, sizeof name),
                         &random);
    CHECK(w.error == 0 && w.len == sizeof field1 + 258);
    CHECK(memcmp(buffer, field1, sizeof field1) == 0);
    return 0;
}

static int test_credential_vector(void)
{
    struct tpm2_public ek = ek_public();
    struct tpm2_wrap_random random = random_with(vector_cred_seed);
    uint8_t buffer[512], out[32], storage[KEY_STORAGE];
    size_t len;
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_credential_make(&w, &ek, inner_key(), srk_name(), &random);
    CHECK(w.error == 0 && w.len == 54 + 258);
    CHECK(memcmp(buffer, vector_id_object, sizeof vector_id_object) == 0);

    struct crypto_rsa_private key = ek_private(storage);
    CHECK_EQUAL(tpm2_credential_open(CONTENT(vector_id_object), CONTENT(vector_enc_secret), &key, srk_name(),
                                     out, sizeof out, &len),
                0);
    CHECK(bytes_equal_public(bytes_of(out, len), inner_key()));
    /* ... and what was made above, whose OAEP has another seed */
    CHECK_EQUAL(tpm2_credential_open(bytes_of(buffer + 2, 52), bytes_of(buffer + 56, 256), &key, srk_name(),
                                     out, sizeof out, &len),
                0);
    CHECK(bytes_equal_public(bytes_of(out, len), inner_key()));
    return 0;
}

static int test_credential_made_by_tpm(void)
{
    struct bytes_reader r = bytes_reader_over(captured("make_credential_to_vector")->response);
    bytes_read_bytes(&r, 10);
    struct bytes blob = bytes_read_2b(&r), secret = bytes_read_2b(&r);
    uint8_t out[32], storage[KEY_STORAGE];
    size_t len;
    struct crypto_rsa_private key = ek_private(storage);
    CHECK_EQUAL(bytes_reader_end(&r), 0);
    CHECK_EQUAL(tpm2_credential_open(blob, secret, &key, srk_name(), out, sizeof out, &len), 0);
    CHECK(bytes_equal_public(bytes_of(out, len), bytes_of_text("@ABCDEFGHIJKLMNO")));
    return 0;
}

/* All lengths up to 32 come back; longer ones are refused, and a buffer that is too small stays as it was. */
static int test_credential_lengths(void)
{
    struct tpm2_public ek = ek_public();
    struct tpm2_wrap_random random = random_with(vector_cred_seed);
    uint8_t buffer[512], credential[33], out[32], storage[KEY_STORAGE];
    struct crypto_rsa_private key = ek_private(storage);
    size_t len;
    counting(credential, sizeof credential, 1);
    for (size_t size = 0; size <= 32; size += 8) {
        struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
        tpm2_credential_make(&w, &ek, bytes_of(credential, size), srk_name(), &random);
        struct bytes_reader r = bytes_reader_over(bytes_written(&w));
        struct bytes blob = bytes_read_2b(&r), secret = bytes_read_2b(&r);
        CHECK_EQUAL(bytes_reader_end(&r), 0);
        CHECK_EQUAL(tpm2_credential_open(blob, secret, &key, srk_name(), out, size, &len), 0);
        CHECK(bytes_equal_public(bytes_of(out, len), bytes_of(credential, size)));
        if (size > 0) {
            memset(out, 0xAA, sizeof out);
            CHECK_EQUAL(tpm2_credential_open(blob, secret, &key, srk_name(), out, size - 1, &len),
                        BYTES_E_SPACE);
            CHECK(len == 0 && out[0] == 0xAA);
        }
    }
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_credential_make(&w, &ek, bytes_of(credential, 33), srk_name(), &random);
    CHECK_EQUAL(w.error, BYTES_E_LIMIT);
    return 0;
}

/* Every byte of the blob matters, and so do the Name, the key and the secret. */
static int test_credential_changed(void)
{
    uint8_t storage[KEY_STORAGE], other_storage[KEY_STORAGE], blob[52], secret[256], name[34], out[32];
    struct crypto_rsa_private key = ek_private(storage), other = srk_private(other_storage);
    struct bytes b = bytes_of(blob, sizeof blob), s = bytes_of(secret, sizeof secret);
    size_t len;
    memcpy(secret, vector_enc_secret + 2, sizeof secret);
    for (size_t at = 0; at < sizeof blob; at++) {
        memcpy(blob, vector_id_object + 2, sizeof blob);
        blob[at] ^= 0x01;
        int error = tpm2_credential_open(b, s, &key, srk_name(), out, sizeof out, &len);
        CHECK(error == (at < 2 ? BYTES_E_FORMAT : BYTES_E_INTEGRITY) && len == 0);
    }
    memcpy(blob, vector_id_object + 2, sizeof blob);
    memcpy(name, vector_srk_name, sizeof name);
    name[33] ^= 1;
    CHECK_EQUAL(tpm2_credential_open(b, s, &key, bytes_of(name, sizeof name), out, sizeof out, &len),
                BYTES_E_INTEGRITY);
    CHECK_EQUAL(tpm2_credential_open(b, s, &other, srk_name(), out, sizeof out, &len), BYTES_E_INTEGRITY);
    secret[255] ^= 1;
    CHECK_EQUAL(tpm2_credential_open(b, s, &key, srk_name(), out, sizeof out, &len), BYTES_E_INTEGRITY);
    CHECK_EQUAL(tpm2_credential_open(b, bytes_of(secret, 255), &key, srk_name(), out, sizeof out, &len),
                BYTES_E_INTEGRITY);
    /* a duplicate's secret is not a credential's: the OAEP labels differ */
    CHECK_EQUAL(
        tpm2_credential_open(b, CONTENT(vector_dup_secret), &other, srk_name(), out, sizeof out, &len),
        BYTES_E_INTEGRITY);
    return 0;
}

static int test_credential_truncated(void)
{
    uint8_t storage[KEY_STORAGE], out[32];
    struct crypto_rsa_private key = ek_private(storage);
    size_t len_out;
    for (size_t len = 0; len < 52; len++) {
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, vector_id_object + 2, len);
        int error = tpm2_credential_open(bytes_of(copy, len), CONTENT(vector_enc_secret), &key, srk_name(),
                                         out, sizeof out, &len_out);
        free(copy);
        CHECK(error == (len < 34 ? BYTES_E_FORMAT : BYTES_E_INTEGRITY) && len_out == 0);
    }
    uint8_t longer[52 + 32] = {0}; /* more than any credential */
    memcpy(longer, vector_id_object + 2, 52);
    CHECK_EQUAL(tpm2_credential_open(bytes_of(longer, sizeof longer), CONTENT(vector_enc_secret), &key,
                                     srk_name(), out, sizeof out, &len_out),
                BYTES_E_FORMAT);
    return 0;
}

/* ---- Duplicates --------------------------------------------------------------------------------------- */

/* key = 32 * 22, seedValue = 32 * 33, inner key = 40..4f, s2 = 20..3f */
static int test_duplicate_short_vector(void)
{
    static const uint8_t unique_expected[32] = {
        0x75, 0xf8, 0x1c, 0x14, 0x52, 0x49, 0xf6, 0xdf, 0x44, 0x57, 0x08, 0xfe, 0x0b, 0xca, 0x5f, 0xde,
        0xa7, 0x1f, 0x6e, 0x7b, 0xe4, 0x4c, 0x4a, 0x67, 0xe0, 0xf4, 0xd7, 0x0c, 0x52, 0x85, 0x63, 0x08};
    static const uint8_t name_expected[34] = {
        0x00, 0x0b, 0x83, 0x07, 0x81, 0x3b, 0xbf, 0x2e, 0xb3, 0x57, 0x23, 0x7f, 0x77, 0xde, 0x18, 0x71, 0x5d,
        0x52, 0xa5, 0xb5, 0x7a, 0xa8, 0x41, 0xbe, 0x5f, 0x67, 0xd3, 0x4e, 0x06, 0x26, 0x43, 0x22, 0x4c, 0x24};
    static const uint8_t hmac_expected[32] = {
        0x8b, 0xc4, 0x0f, 0x1b, 0x43, 0x64, 0x14, 0x1b, 0xd5, 0x18, 0x59, 0x7d, 0x58, 0x3a, 0x12, 0x9b,
        0x5a, 0x7a, 0x0d, 0x7a, 0x36, 0xa5, 0x39, 0x28, 0xc6, 0x31, 0xf0, 0xfb, 0x35, 0x7c, 0x70, 0xae};
    static const uint8_t dup_expected[16] = {0xb5, 0x80, 0x30, 0x70, 0x79, 0x20, 0xd3, 0xd3,
                                             0x60, 0x78, 0xf2, 0xfe, 0xce, 0x6e, 0x35, 0x27};
    static const uint8_t field3_expected[32] = {
        0x7f, 0x61, 0x32, 0x39, 0x66, 0x09, 0x27, 0xb8, 0x1e, 0xf7, 0x4b, 0x8c, 0x79, 0xdd, 0x4b, 0x3b,
        0x5c, 0x1d, 0xba, 0xf1, 0x43, 0x40, 0x07, 0xf8, 0x86, 0xda, 0x15, 0x32, 0x68, 0x63, 0xe3, 0x20};
    struct tpm2_public srk = srk_public();
    struct tpm2_wrap_random random = {{0}, {0}};
    uint8_t key[32], seed_value[32], inner[16], unique[32], name[34], buffer[512], digest[32];
    memset(key, 0x22, sizeof key);
    memset(seed_value, 0x33, sizeof seed_value);
    counting(inner, sizeof inner, 0x40);
    counting(random.seed, sizeof random.seed, 0x20);
    struct tpm2_sensitive sensitive = {bytes_of(seed_value, sizeof seed_value), bytes_of(key, sizeof key)};

    tpm2_keyedhash_unique(&sensitive, unique);
    CHECK(memcmp(unique, unique_expected, sizeof unique) == 0);
    struct tpm2_public area = tpm2_template_hmac_key(bytes_of(unique, sizeof unique));
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_public_write_2b(&w, &area);
    tpm2_name_of(bytes_written(&w), name);
    CHECK(memcmp(name, name_expected, sizeof name) == 0);

    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_duplicate_make(&w, &srk, bytes_of(inner, sizeof inner), bytes_of(name, sizeof name), &sensitive,
                        &random);
    CHECK(w.error == 0 && w.len == 144 + 258);
    CHECK(memcmp(buffer + 4, hmac_expected, sizeof hmac_expected) == 0);
    CHECK(memcmp(buffer + 36, dup_expected, sizeof dup_expected) == 0);
    struct bytes field3 = bytes_of(buffer, 144);
    crypto_sha256(&field3, 1, digest);
    CHECK(memcmp(digest, field3_expected, sizeof digest) == 0);
    return 0;
}

static int test_duplicate_vector(void)
{
    struct tpm2_public srk = srk_public();
    struct tpm2_wrap_random random = random_with(vector_dup_seed);
    struct tpm2_sensitive in = vector_sensitive(), out;
    uint8_t buffer[512], unique[32], storage[KEY_STORAGE], opened[142];
    tpm2_keyedhash_unique(&in, unique);
    CHECK(memcmp(unique, vector_unique, sizeof unique) == 0);
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_duplicate_make(&w, &srk, inner_key(), object_name(), &in, &random);
    CHECK(w.error == 0 && w.len == 144 + 258);
    CHECK(memcmp(buffer, vector_private, sizeof vector_private) == 0);

    struct crypto_rsa_private key = srk_private(storage);
    CHECK_EQUAL(tpm2_duplicate_open(CONTENT(vector_private), CONTENT(vector_dup_secret), &key, inner_key(),
                                    object_name(), &out, opened, sizeof opened),
                0);
    CHECK(bytes_equal_public(out.key, in.key) && bytes_equal_public(out.seed_value, in.seed_value));
    CHECK_EQUAL(tpm2_duplicate_open(bytes_of(buffer + 2, 142), bytes_of(buffer + 146, 256), &key, inner_key(),
                                    object_name(), &out, opened, sizeof opened),
                0);
    CHECK(bytes_equal_public(out.key, in.key));
    return 0;
}

/* The TPM made this key itself and duplicated it to the vector's SRK. It wrote the empty authValue as 32
 * zeros. */
static int test_duplicate_made_by_tpm(void)
{
    struct bytes_reader r = bytes_reader_over(captured("duplicate_to_vector")->response);
    bytes_read_bytes(&r, 14);
    CHECK_EQUAL(bytes_read_2b(&r).len, 0); /* encryptionKeyOut: the key was given */
    struct bytes duplicate = bytes_read_2b(&r), secret = bytes_read_2b(&r);
    r = bytes_reader_over(captured("import")->request); /* the same key's public area */
    bytes_read_bytes(&r, 10 + 4 + 4 + 9);
    struct bytes inner = bytes_read_2b(&r), public_2b = bytes_read_2b_whole(&r);
    CHECK_EQUAL(r.error, 0);

    uint8_t name[TPM2_NAME_SIZE], storage[KEY_STORAGE], opened[256], unique[32];
    struct tpm2_sensitive sensitive;
    struct tpm2_public area;
    struct crypto_rsa_private key = srk_private(storage);
    tpm2_name_of(public_2b, name);
    CHECK_EQUAL(tpm2_duplicate_open(duplicate, secret, &key, inner, bytes_of(name, sizeof name), &sensitive,
                                    opened, sizeof opened),
                0);
    tpm2_keyedhash_unique(&sensitive, unique);
    CHECK_EQUAL(tpm2_public_parse_2b(public_2b, &area), 0);
    CHECK(bytes_equal_public(area.unique, bytes_of(unique, sizeof unique)));

    /* That key signs "signed" as the TPM did. */
    uint8_t mac[32];
    struct bytes text = bytes_of_text("signed");
    crypto_hmac_sha256(sensitive.key, &text, 1, mac);
    r = bytes_reader_over(captured("hmac")->response);
    bytes_read_bytes(&r, 14);
    CHECK(bytes_equal_public(bytes_read_2b(&r), bytes_of(mac, sizeof mac)));
    const struct bytes twice[] = {text, text};
    crypto_hmac_sha256(sensitive.key, twice, 2, mac);
    r = bytes_reader_over(captured("sequence_complete")->response);
    bytes_read_bytes(&r, 14);
    CHECK(bytes_equal_public(bytes_read_2b(&r), bytes_of(mac, sizeof mac)));
    return 0;
}

static bool is_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

static int test_duplicate_changed(void)
{
    uint8_t storage[KEY_STORAGE], other_storage[KEY_STORAGE], duplicate[142], name[34], wrong_key[16],
        opened[142];
    struct crypto_rsa_private key = srk_private(storage), other = ek_private(other_storage);
    struct bytes d = bytes_of(duplicate, sizeof duplicate), s = CONTENT(vector_dup_secret);
    struct tpm2_sensitive out;
    for (size_t at = 0; at < sizeof duplicate; at++) {
        memcpy(duplicate, vector_private + 2, sizeof duplicate);
        duplicate[at] ^= 0x80;
        out = vector_sensitive();
        int error = tpm2_duplicate_open(d, s, &key, inner_key(), object_name(), &out, opened, sizeof opened);
        CHECK_EQUAL(error, (at < 2 ? BYTES_E_FORMAT : BYTES_E_INTEGRITY));
        CHECK(out.key.len == 0 && out.seed_value.len == 0);
    }
    memcpy(duplicate, vector_private + 2, sizeof duplicate);
    memcpy(name, vector_object_name, sizeof name);
    name[2] ^= 1;
    CHECK_EQUAL(tpm2_duplicate_open(d, s, &key, inner_key(), bytes_of(name, sizeof name), &out, opened,
                                    sizeof opened),
                BYTES_E_INTEGRITY);
    CHECK_EQUAL(tpm2_duplicate_open(d, s, &other, inner_key(), object_name(), &out, opened, sizeof opened),
                BYTES_E_INTEGRITY);
    /* The wrong inner key passes the outer HMAC and fails inside; nothing half decrypted stays behind. */
    memcpy(wrong_key, vector_inner_key, sizeof wrong_key);
    wrong_key[0] ^= 1;
    memset(opened, 0xAA, sizeof opened);
    CHECK_EQUAL(tpm2_duplicate_open(d, s, &key, bytes_of(wrong_key, sizeof wrong_key), object_name(), &out,
                                    opened, sizeof opened),
                BYTES_E_INTEGRITY);
    CHECK(is_zero(opened, 108));
    CHECK_EQUAL(
        tpm2_duplicate_open(d, s, &key, bytes_of(wrong_key, 15), object_name(), &out, opened, sizeof opened),
        BYTES_E_ALGORITHM);
    CHECK_EQUAL(tpm2_duplicate_open(d, s, &key, inner_key(), object_name(), &out, opened, 107),
                BYTES_E_SPACE);
    return 0;
}

/* The last byte of the key changed by somebody who knows the outer keys, and not the inner one: the outer
 * HMAC is made anew and holds, so the digest inside must catch it. */
static int test_duplicate_changed_inside(void)
{
    uint8_t storage[KEY_STORAGE], duplicate[142], opened[142];
    struct crypto_rsa_private key = srk_private(storage);
    struct tpm2_sensitive out;
    for (int change = 0; change <= 1; change++) {
        memcpy(duplicate, vector_private + 2, 34);
        memcpy(duplicate + 34, vector_enc_inner, sizeof vector_enc_inner);
        duplicate[141] ^= (uint8_t)change;
        CHECK_EQUAL(crypto_aes_cfb_encrypt(bytes_of(vector_dup_sym_key, sizeof vector_dup_sym_key), NULL,
                                           duplicate + 34, 108),
                    0);
        const struct bytes covered[] = {bytes_of(duplicate + 34, 108), object_name()};
        crypto_hmac_sha256(bytes_of(vector_dup_hmac_key, sizeof vector_dup_hmac_key), covered, 2,
                           duplicate + 2);
        int error = tpm2_duplicate_open(bytes_of(duplicate, sizeof duplicate), CONTENT(vector_dup_secret),
                                        &key, inner_key(), object_name(), &out, opened, sizeof opened);
        CHECK_EQUAL(error, (change ? BYTES_E_INTEGRITY : 0));
    }
    return 0;
}

static int test_duplicate_truncated(void)
{
    uint8_t storage[KEY_STORAGE], opened[142];
    struct crypto_rsa_private key = srk_private(storage);
    struct tpm2_sensitive out;
    for (size_t len = 0; len < 142; len++) {
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, vector_private + 2, len);
        int error = tpm2_duplicate_open(bytes_of(copy, len), CONTENT(vector_dup_secret), &key, inner_key(),
                                        object_name(), &out, opened, sizeof opened);
        free(copy);
        CHECK(error == (len < 34 ? BYTES_E_FORMAT : BYTES_E_INTEGRITY) && out.key.len == 0);
    }
    return 0;
}

/* ---- Refusals of the makers --------------------------------------------------------------------------- */

static int test_unusable_keys(void)
{
    struct tpm2_wrap_random random = random_with(vector_cred_seed);
    struct tpm2_sensitive sensitive = vector_sensitive();
    struct tpm2_public keys[10];
    for (size_t i = 0; i < 10; i++) {
        keys[i] = srk_public();
    }
    keys[0].type = TPM2_ALG_KEYEDHASH;
    keys[1].attributes &= ~(uint32_t)TPM2_OBJECT_RESTRICTED;
    keys[2].attributes &= ~(uint32_t)TPM2_OBJECT_DECRYPT;
    keys[3].attributes |= TPM2_OBJECT_SIGN_ENCRYPT;
    keys[4].symmetric = TPM2_ALG_NULL;
    keys[5].symmetric_key_bits = 256;
    keys[6].symmetric_mode = 0x0042;
    keys[7].key_bits = 3072;
    keys[8].unique.len = 255;
    keys[9].unique.len = 0;
    for (size_t i = 0; i < 10; i++) {
        uint8_t buffer[1024];
        struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
        tpm2_credential_make(&w, &keys[i], inner_key(), srk_name(), &random);
        CHECK(w.error == BYTES_E_ALGORITHM && bytes_written(&w).len == 0);
        w = bytes_writer_over(buffer, sizeof buffer);
        tpm2_duplicate_make(&w, &keys[i], inner_key(), object_name(), &sensitive, &random);
        CHECK(w.error == BYTES_E_ALGORITHM && bytes_written(&w).len == 0);
    }
    return 0;
}

/* An even modulus passes the look at the public area and fails in OAEP: the plain text must not stay
 * behind. */
static int test_bad_modulus(void)
{
    struct tpm2_wrap_random random = random_with(vector_dup_seed);
    struct tpm2_sensitive sensitive = vector_sensitive();
    struct tpm2_public srk = srk_public();
    uint8_t modulus[256], buffer[512];
    memcpy(modulus, srk.unique.p, sizeof modulus);
    modulus[255] &= 0xFE;
    srk.unique = bytes_of(modulus, sizeof modulus);
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_duplicate_make(&w, &srk, inner_key(), object_name(), &sensitive, &random);
    CHECK(w.error == BYTES_E_ALGORITHM && bytes_written(&w).len == 0);
    for (size_t i = 0; i + 32 <= sizeof buffer; i++) {
        CHECK(memcmp(buffer + i, vector_hmac_key, 32) != 0);
    }
    return 0;
}

/* Too small a buffer: an error, no byte beyond it, and nothing secret in it. */
static int test_makers_without_space(void)
{
    struct tpm2_wrap_random random = random_with(vector_dup_seed);
    struct tpm2_sensitive sensitive = vector_sensitive();
    struct tpm2_public srk = srk_public();
    for (size_t capacity = 0; capacity < 144 + 258; capacity++) {
        uint8_t *buffer = malloc(capacity + 1);
        struct bytes_writer w = bytes_writer_over(buffer, capacity);
        memset(buffer, 0xAA, capacity + 1);
        tpm2_duplicate_make(&w, &srk, inner_key(), object_name(), &sensitive, &random);
        bool held = w.error == BYTES_E_SPACE && buffer[capacity] == 0xAA && bytes_written(&w).len == 0;
        for (size_t i = 0; i + 32 <= capacity; i++) {
            held = held && memcmp(buffer + i, vector_hmac_key, 32) != 0;
        }
        free(buffer);
        CHECK(held);
    }
    return 0;
}

static int test_duplicate_limits(void)
{
    struct tpm2_wrap_random random = random_with(vector_dup_seed);
    struct tpm2_public srk = srk_public();
    uint8_t bytes[65] = {0}, buffer[512], unused[32] = {0};
    struct tpm2_sensitive sensitive = {bytes_of(unused, 32), bytes_of(bytes, 64)};
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_duplicate_make(&w, &srk, inner_key(), object_name(), &sensitive, &random);
    CHECK_EQUAL(w.error, 0);
    sensitive.key.len = 65;
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_duplicate_make(&w, &srk, inner_key(), object_name(), &sensitive, &random);
    CHECK_EQUAL(w.error, BYTES_E_LIMIT);
    sensitive = (struct tpm2_sensitive){bytes_of(bytes, 33), bytes_of(bytes, 32)};
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_duplicate_make(&w, &srk, inner_key(), object_name(), &sensitive, &random);
    CHECK_EQUAL(w.error, BYTES_E_LIMIT);
    sensitive.seed_value.len = 32;
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_duplicate_make(&w, &srk, bytes_of(bytes, 32), object_name(), &sensitive, &random);
    CHECK_EQUAL(w.error, BYTES_E_ALGORITHM);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s06 credential: the protocol notes' vector", test_credential_short_vector},
        {"s06 credential: the activation blob's", test_credential_vector},
        {"s06 credential: made by a TPM", test_credential_made_by_tpm},
        {"s06 credential: lengths", test_credential_lengths},
        {"s06 credential: anything changed", test_credential_changed},
        {"s06 credential: truncated", test_credential_truncated},
        {"s06 duplicate: the protocol notes' vector", test_duplicate_short_vector},
        {"s06 duplicate: the activation blob's", test_duplicate_vector},
        {"s06 duplicate: made by a TPM", test_duplicate_made_by_tpm},
        {"s06 duplicate: anything changed", test_duplicate_changed},
        {"s06 duplicate: changed under a valid outer wrap", test_duplicate_changed_inside},
        {"s06 duplicate: truncated", test_duplicate_truncated},
        {"s06 keys that are not storage keys", test_unusable_keys},
        {"s06 a modulus that RSA refuses", test_bad_modulus},
        {"s06 no space", test_makers_without_space},
        {"s06 limits of a duplicate", test_duplicate_limits},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
