/* SPDX-License-Identifier: MIT */
/* The activation blob, against activation_blob.h (made with Node, accepted by swtpm) and against the sizes of blobs
 * that the real service has sent: 920, 946 and 956 bytes, all with the same public area except for unique. */
#include "dps/protocol/activation.h"
#include "dps/service/activation_make.h"
#include "tests/support/activation_open.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include <stdlib.h>
#include <string.h>

#define FIXED_SIZE 766 /* of a blob without encUriData */
#define FIELD5 (54 + 258 + 144 + 258)
#define FIELD6 (FIELD5 + 50)
#define KEY_STORAGE (5 * 256 + 64)

/* ---- Inputs ------------------------------------------------------------------------------------------- */

static struct crypto_rsa_private ek;
static struct crypto_rsa_private srk;
static uint8_t ek_storage[KEY_STORAGE];
static uint8_t srk_storage[KEY_STORAGE];

static void load_keys(void)
{
    const struct bytes ek_der = bytes_of(vector_ek_private_der, sizeof vector_ek_private_der);
    const struct bytes srk_der = bytes_of(vector_srk_private_der, sizeof vector_srk_private_der);
    if (crypto_rsa_private_decode(ek_der, &ek, ek_storage, sizeof ek_storage) != 0 ||
        crypto_rsa_private_decode(srk_der, &srk, srk_storage, sizeof srk_storage) != 0) {
        abort();
    }
}

static struct bytes srk_name(void)
{
    return bytes_of(vector_srk_name, sizeof vector_srk_name);
}

/* The random bytes of the vector. What OAEP drew is not known, so fields 2 and 4 differ from the vector's. */
static struct dps_activation_random vector_random(void)
{
    struct dps_activation_random random;
    memset(&random, 0x5A, sizeof random);
    memcpy(random.inner_key, vector_inner_key, sizeof random.inner_key);
    memcpy(random.seed_value, vector_seed_value, sizeof random.seed_value);
    memcpy(random.credential.seed, vector_cred_seed, sizeof random.credential.seed);
    memcpy(random.duplicate.seed, vector_dup_seed, sizeof random.duplicate.seed);
    return random;
}

static void make(struct bytes_writer *w, struct bytes host, struct bytes id)
{
    struct tpm2_public ek_public;
    struct tpm2_public srk_public;
    const struct dps_activation_random random = vector_random();
    if (tpm2_public_parse_2b(bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b), &ek_public) != 0 ||
        tpm2_public_parse_2b(bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b), &srk_public) != 0) {
        abort();
    }
    dps_activation_make(w, &ek_public, &srk_public, vector_srk_name, vector_hmac_key, host, id, &random);
}

/* A blob for host/id in static storage, valid until the next call. */
static struct bytes blob_for(const char *host, const char *id)
{
    static uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    struct bytes_writer w = bytes_writer_over(blob, sizeof blob);
    make(&w, bytes_of_text(host), bytes_of_text(id));
    if (w.error != 0) {
        abort();
    }
    return bytes_written(&w);
}

static bool uri_is(struct bytes blob, const char *expected)
{
    struct dps_activation a;
    uint8_t text[DPS_ENC_URI_MAX / 2];
    size_t len;
    return dps_activation_parse(blob, &a) == 0 &&
           dps_activation_uri(bytes_of(vector_inner_key, sizeof vector_inner_key), a.enc_uri, text,
                              sizeof text, &len) == 0 &&
           bytes_equal_public(bytes_of(text, len), bytes_of_text(expected));
}

static int open_key(struct bytes blob, uint8_t key[DPS_KEY_SIZE])
{
    return activation_open(blob, &ek, &srk, srk_name(), key);
}

static bool is_vector_key(const uint8_t key[DPS_KEY_SIZE])
{
    return memcmp(key, vector_hmac_key, DPS_KEY_SIZE) == 0;
}

/* ---- Taking apart and opening ------------------------------------------------------------------------- */

static bool is_content(struct bytes content, const unsigned char *whole, size_t len)
{
    return bytes_equal_public(content, bytes_of(whole + 2, len - 2));
}

static int s07_parse_vector(void)
{
    struct dps_activation a;
    CHECK_EQUAL(dps_activation_parse(bytes_of(vector_blob, sizeof vector_blob), &a), 0);
    CHECK(is_content(a.id_object, vector_id_object, sizeof vector_id_object));
    CHECK(is_content(a.encrypted_secret, vector_enc_secret, sizeof vector_enc_secret));
    CHECK(is_content(a.duplicate, vector_private, sizeof vector_private));
    CHECK(is_content(a.duplicate_secret, vector_dup_secret, sizeof vector_dup_secret));
    CHECK(bytes_equal_public(a.key_public_2b, bytes_of(vector_public, sizeof vector_public)));
    CHECK_EQUAL(a.enc_uri.len, 0);
    return 0;
}

static int s07_open_vector(void)
{
    uint8_t key[DPS_KEY_SIZE];
    CHECK_EQUAL(open_key(bytes_of(vector_blob, sizeof vector_blob), key), 0);
    CHECK(is_vector_key(key));
    return 0;
}

/* The keys swapped, and another SRK's Name with the right keys. */
static int s07_open_with_other_keys(void)
{
    uint8_t key[DPS_KEY_SIZE];
    const struct bytes blob = bytes_of(vector_blob, sizeof vector_blob);
    const struct bytes other_name = bytes_of(vector_ek_name, sizeof vector_ek_name);
    CHECK_EQUAL(activation_open(blob, &srk, &ek, srk_name(), key), BYTES_E_INTEGRITY);
    CHECK_EQUAL(activation_open(blob, &ek, &ek, srk_name(), key), BYTES_E_INTEGRITY);
    CHECK_EQUAL(activation_open(blob, &ek, &srk, other_name, key), BYTES_E_INTEGRITY);
    return 0;
}

/* ---- Making ------------------------------------------------------------------------------------------- */

static int s06_make_vector(void)
{
    uint8_t key[DPS_KEY_SIZE];
    const struct bytes blob = blob_for("h", "d");
    CHECK_EQUAL(blob.len, FIXED_SIZE + 6);
    CHECK(memcmp(blob.p, vector_id_object, sizeof vector_id_object) == 0);
    CHECK(memcmp(blob.p + 54 + 258, vector_private, sizeof vector_private) == 0);
    CHECK(memcmp(blob.p + FIELD5, vector_public, sizeof vector_public) == 0);
    CHECK(open_key(blob, key) == 0 && is_vector_key(key));
    CHECK(uri_is(blob, "h/d"));
    return 0;
}

/* Inner key 40..4f, made with Python: the bytes of "h/d" in UTF-16LE. */
static int s06_enc_uri_vector(void)
{
    static const uint8_t expected[] = {0x00, 0x06, 0x70, 0x99, 0x79, 0x4a, 0xf9, 0xa8};
    struct dps_activation_random random = vector_random();
    struct tpm2_public ek_public;
    struct tpm2_public srk_public;
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    struct bytes_writer w = bytes_writer_over(blob, sizeof blob);
    for (size_t i = 0; i < sizeof random.inner_key; i++) {
        random.inner_key[i] = (uint8_t)(0x40 + i);
    }
    CHECK_EQUAL(tpm2_public_parse_2b(bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b), &ek_public),
                0);
    CHECK_EQUAL(
        tpm2_public_parse_2b(bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b), &srk_public), 0);
    dps_activation_make(&w, &ek_public, &srk_public, vector_srk_name, vector_hmac_key, bytes_of_text("h"),
                        bytes_of_text("d"), &random);
    CHECK(w.error == 0 && w.len == FIXED_SIZE + 6);
    CHECK(memcmp(blob + FIELD6, expected, sizeof expected) == 0);
    return 0;
}

/* Public area, sizes and places of the fields are those of captured blobs; with texts as long as theirs, all sizes are.
 * */
static int s06_shape_of_the_real_service(void)
{
    static const struct {
        size_t text_len;
        size_t blob_len;
    } captured[] = {{77, 920}, {90, 946}, {95, 956}};
    static const uint8_t head5[] = {0x00, 0x30, 0x00, 0x08, 0x00, 0x0b, 0x00, 0x04, 0x04,
                                    0x40, 0x00, 0x00, 0x00, 0x05, 0x00, 0x0b, 0x00, 0x20};
    char id[128] = "";
    for (size_t i = 0; i < sizeof captured / sizeof captured[0]; i++) {
        memset(id, 'a', captured[i].text_len - 2);
        id[captured[i].text_len - 2] = 0;
        const struct bytes blob = blob_for("h", id);
        CHECK_EQUAL(blob.len, captured[i].blob_len);
        CHECK(memcmp(blob.p, "\0\x34\0\x20", 4) == 0 && memcmp(blob.p + 54, "\x01\0", 2) == 0);
        CHECK(memcmp(blob.p + 312, "\0\x8e\0\x20", 4) == 0 && memcmp(blob.p + 456, "\x01\0", 2) == 0);
        CHECK(memcmp(blob.p + 714, head5, sizeof head5) == 0);
        CHECK(blob.p[764] == 0 && blob.p[765] == 2 * captured[i].text_len);
    }
    return 0;
}

static int s06_long_names_are_cut(void)
{
    char host[254];
    char expected[DPS_ENC_URI_MAX / 2 + 1];
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = 0;
    memset(expected, 'h', sizeof expected - 1);
    expected[sizeof expected - 1] = 0;
    CHECK_EQUAL(blob_for(host, "d").len, DPS_ACTIVATION_BLOB_MAX);
    CHECK(uri_is(blob_for(host, "d"), expected));
    host[DPS_ENC_URI_MAX / 2 - 1] = 0; /* host and '/' fit just so */
    expected[DPS_ENC_URI_MAX / 2 - 1] = '/';
    CHECK(uri_is(blob_for(host, "d"), expected));
    return 0;
}

static int make_needs_its_room(void)
{
    uint8_t blob[FIXED_SIZE + 6];
    for (size_t room = 0; room < sizeof blob; room++) {
        struct bytes_writer w = bytes_writer_over(blob, room);
        make(&w, bytes_of_text("h"), bytes_of_text("d"));
        CHECK(w.error == BYTES_E_SPACE && bytes_written(&w).len == 0);
    }
    return 0;
}

static int make_refuses_other_keys(void)
{
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    const struct dps_activation_random random = vector_random();
    const struct tpm2_public hmac_key = tpm2_template_hmac_key(bytes_of(vector_unique, sizeof vector_unique));
    struct tpm2_public good;
    CHECK_EQUAL(tpm2_public_parse_2b(bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b), &good), 0);
    struct tpm2_public other[3] = {hmac_key, good, good};
    other[1].symmetric_key_bits = 256;
    other[2].symmetric = TPM2_ALG_NULL;
    for (size_t i = 0; i < 3; i++) {
        struct bytes_writer w = bytes_writer_over(blob, sizeof blob);
        dps_activation_make(&w, &other[i], &good, vector_srk_name, vector_hmac_key, bytes_of_text("h"),
                            bytes_of_text("d"), &random);
        CHECK_EQUAL(w.error, BYTES_E_ALGORITHM);
        w = bytes_writer_over(blob, sizeof blob);
        dps_activation_make(&w, &good, &other[i], vector_srk_name, vector_hmac_key, bytes_of_text("h"),
                            bytes_of_text("d"), &random);
        CHECK_EQUAL(w.error, BYTES_E_ALGORITHM);
    }
    return 0;
}

/* ---- Hostile blobs ------------------------------------------------------------------------------------ */

static int every_truncation(void)
{
    const struct bytes blob = blob_for("global.example", "device-1");
    struct dps_activation a;
    uint8_t key[DPS_KEY_SIZE];
    CHECK_EQUAL(dps_activation_parse(blob, &a), 0);
    for (size_t len = 0; len < blob.len; len++) {
        CHECK_EQUAL(dps_activation_parse(bytes_of(blob.p, len), &a), BYTES_E_FORMAT);
        CHECK_EQUAL(open_key(bytes_of(blob.p, len), key), BYTES_E_FORMAT);
    }
    return 0;
}

static int bytes_behind_the_last_field(void)
{
    uint8_t longer[DPS_ACTIVATION_BLOB_MAX + 100];
    const struct bytes blob = blob_for("h", "d");
    struct dps_activation a;
    memset(longer, 0xA5, sizeof longer);
    memcpy(longer, blob.p, blob.len);
    CHECK_EQUAL(dps_activation_parse(bytes_of(longer, blob.len + 100), &a), 0);
    CHECK_EQUAL(a.enc_uri.len, 6);
    return 0;
}

/* Everything but encUriData is authenticated: with one byte changed no key comes out. encUriData decides nothing. */
static int every_byte_changed(void)
{
    uint8_t changed[DPS_ACTIVATION_BLOB_MAX];
    const struct bytes blob = blob_for("h", "d");
    uint8_t key[DPS_KEY_SIZE];
    memcpy(changed, blob.p, blob.len);
    for (size_t i = 0; i < blob.len; i++) {
        changed[i] ^= 0x15;
        const int error = open_key(bytes_of(changed, blob.len), key);
        if (i < FIELD6 + 2) {
            CHECK(error == BYTES_E_FORMAT || error == BYTES_E_INTEGRITY || error == BYTES_E_ALGORITHM);
        } else {
            CHECK(error == 0 && is_vector_key(key));
        }
        changed[i] ^= 0x15;
    }
    return 0;
}

/* Each size field one less and one more; what follows then stands in the wrong place. */
static int sizes_off_by_one(void)
{
    static const size_t sizes[] = {0, 2, 54, 312, 314, 456, FIELD5, FIELD5 + 16, FIELD6};
    uint8_t changed[DPS_ACTIVATION_BLOB_MAX];
    const struct bytes blob = blob_for("h", "d");
    uint8_t key[DPS_KEY_SIZE];
    memcpy(changed, blob.p, blob.len);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int step = -1; step <= 1; step += 2) {
            const size_t low = sizes[i] + 1;
            changed[low] = (uint8_t)(blob.p[low] + step);
            const bool enc_uri_shorter = sizes[i] == FIELD6 && step < 0; /* leaves a byte behind: allowed */
            CHECK((open_key(bytes_of(changed, blob.len), key) == 0) == enc_uri_shorter);
            changed[low] = blob.p[low];
        }
    }
    return 0;
}

static int fields_exchanged(void)
{
    uint8_t changed[FIXED_SIZE];
    uint8_t key[DPS_KEY_SIZE];
    memcpy(changed, vector_blob, sizeof changed);
    memcpy(changed + 54, vector_dup_secret, sizeof vector_dup_secret);
    memcpy(changed + 456, vector_enc_secret, sizeof vector_enc_secret);
    CHECK_EQUAL(open_key(bytes_of(changed, sizeof changed), key), BYTES_E_INTEGRITY);
    return 0;
}

/* A blob around another public area in field 5. */
static int parse_with_public(const struct tpm2_public *area)
{
    uint8_t blob[1200];
    struct dps_activation a;
    struct bytes_writer w = bytes_writer_over(blob, sizeof blob);
    bytes_write_bytes(&w, bytes_of(vector_blob, FIELD5));
    tpm2_public_write_2b(&w, area);
    bytes_write_u16(&w, 0);
    return w.error != 0 ? w.error : dps_activation_parse(bytes_written(&w), &a);
}

/* What the device would load: a key for HMAC-SHA-256 signatures, and nothing else. */
static int s07_only_hmac_keys(void)
{
    static const uint32_t free_bits[] = {0, TPM2_OBJECT_NO_DA, TPM2_OBJECT_ADMIN_WITH_POLICY,
                                         TPM2_OBJECT_ENCRYPTED_DUPLICATION};
    static const uint32_t bound_bits[] = {TPM2_OBJECT_FIXED_TPM,  TPM2_OBJECT_FIXED_PARENT,
                                          TPM2_OBJECT_RESTRICTED, TPM2_OBJECT_SENSITIVE_DATA_ORIGIN,
                                          TPM2_OBJECT_DECRYPT,    TPM2_OBJECT_SIGN_ENCRYPT};
    const struct tpm2_public good = tpm2_template_hmac_key(bytes_of(vector_unique, sizeof vector_unique));
    struct tpm2_public area = good;
    for (size_t i = 0; i < sizeof free_bits / sizeof free_bits[0]; i++) {
        area.attributes = good.attributes ^ free_bits[i];
        CHECK_EQUAL(parse_with_public(&area), 0);
    }
    for (size_t i = 0; i < sizeof bound_bits / sizeof bound_bits[0]; i++) {
        area.attributes = good.attributes ^ bound_bits[i];
        CHECK_EQUAL(parse_with_public(&area), BYTES_E_ALGORITHM);
    }
    /* A policy besides the authValue does not matter here; a policy alone cannot be satisfied. */
    static const uint8_t policy[64] = {0};
    area = good;
    area.auth_policy = bytes_of(policy, sizeof policy);
    CHECK_EQUAL(parse_with_public(&area), 0);
    area.attributes ^= TPM2_OBJECT_USER_WITH_AUTH;
    CHECK_EQUAL(parse_with_public(&area), BYTES_E_POLICY);
    area.attributes ^= TPM2_OBJECT_DECRYPT;
    CHECK_EQUAL(parse_with_public(&area), BYTES_E_ALGORITHM);
    area = good;
    area.scheme = TPM2_ALG_NULL; /* sealed data */
    area.scheme_hash = 0;
    CHECK_EQUAL(parse_with_public(&area), BYTES_E_ALGORITHM);
    area = tpm2_template_srk();
    CHECK_EQUAL(parse_with_public(&area), BYTES_E_ALGORITHM);
    return 0;
}

/* ---- encUriData --------------------------------------------------------------------------------------- */

/* Encryption and decryption differ only in direction; the key stream of the first block is the same. */
static int uri_of(const uint8_t *utf16, size_t len, uint8_t *text, size_t capacity, size_t *text_len)
{
    uint8_t encrypted[DPS_ENC_URI_MAX + 2];
    const struct bytes key = bytes_of(vector_inner_key, sizeof vector_inner_key);
    memcpy(encrypted, utf16, len);
    if (crypto_aes_cfb_encrypt(key, NULL, encrypted, len) != 0) {
        abort();
    }
    return dps_activation_uri(key, bytes_of(encrypted, len), text, capacity, text_len);
}

static int uri_is_ascii(void)
{
    static const uint8_t utf16[] = {'a', 0, 0xe9, 0, 'b', 1, 0x0a, 0, 0x7f, 0, 'z', 0, 0, 0};
    uint8_t text[sizeof utf16 / 2];
    size_t len;
    CHECK_EQUAL(uri_of(utf16, sizeof utf16, text, sizeof text, &len), 0);
    CHECK(bytes_equal_public(bytes_of(text, len), bytes_of_text("a????z?")));
    CHECK(uri_of(utf16, 0, text, sizeof text, &len) == 0 && len == 0);
    return 0;
}

static int uri_limits(void)
{
    static const uint8_t utf16[DPS_ENC_URI_MAX + 2] = {0};
    uint8_t text[DPS_ENC_URI_MAX];
    size_t len = 1;
    CHECK(uri_of(utf16, 7, text, sizeof text, &len) == BYTES_E_FORMAT && len == 0);
    CHECK_EQUAL(uri_of(utf16, DPS_ENC_URI_MAX + 2, text, sizeof text, &len), BYTES_E_FORMAT);
    CHECK(uri_of(utf16, DPS_ENC_URI_MAX, text, sizeof text, &len) == 0 && len == DPS_ENC_URI_MAX / 2);
    CHECK(uri_of(utf16, DPS_ENC_URI_MAX, text, DPS_ENC_URI_MAX / 2 - 1, &len) == BYTES_E_SPACE && len == 0);
    CHECK_EQUAL(dps_activation_uri(bytes_of(utf16, 15), bytes_of(utf16, 2), text, sizeof text, &len),
                BYTES_E_ALGORITHM);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s07 the vector taken apart", s07_parse_vector},
        {"s07 the vector opened", s07_open_vector},
        {"s07 other keys and another Name open nothing", s07_open_with_other_keys},
        {"s06 the vector made again", s06_make_vector},
        {"s06 encUriData has a known answer", s06_enc_uri_vector},
        {"s06 the shape of the real service's blobs", s06_shape_of_the_real_service},
        {"s06 long names are cut to what a blob may have", s06_long_names_are_cut},
        {"making a blob needs room", make_needs_its_room},
        {"making refuses other kinds of keys", make_refuses_other_keys},
        {"every truncation", every_truncation},
        {"bytes after the last field are allowed", bytes_behind_the_last_field},
        {"every byte changed", every_byte_changed},
        {"sizes off by one", sizes_off_by_one},
        {"fields swapped", fields_exchanged},
        {"s07 a device loads only HMAC keys", s07_only_hmac_keys},
        {"encUriData as ASCII", uri_is_ascii},
        {"encUriData too long, odd, or under another kind of key", uri_limits},
    };
    load_keys();
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
