/* SPDX-License-Identifier: MIT */
/* Known answers for crypto.h. Each vector says where it was published, or how it was computed elsewhere. */
#include "crypto/certificate.h"
#include "crypto/crypto.h"
#include "crypto/tls_pem.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tests/vectors/tls_pem.h"
#include <string.h>

/* The bytes of a hexadecimal text. Returns their number. */
static size_t unhex(const char *text, uint8_t *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 0;
    for (; text[0] != '\0' && text[1] != '\0'; text += 2) {
        const char *high = strchr(digits, text[0]);
        const char *low = strchr(digits, text[1]);
        out[len++] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return len;
}

static bool is_hex(const uint8_t *p, size_t len, const char *text)
{
    uint8_t want[256];
    return unhex(text, want) == len && memcmp(p, want, len) == 0;
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

static struct bytes text(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static const struct bytes empty = {NULL, 0};

/* NIST "SHA256.pdf", the examples that belong to FIPS 180-4: "abc" and the two-block message; the digest of nothing is
 * in the CAVP file SHA256ShortMsg.rsp. */
static int test_sha(void)
{
    uint8_t digest[CRYPTO_SHA256_SIZE];
    struct bytes message = text("abc");
    crypto_sha256(&message, 1, digest);
    CHECK(is_hex(digest, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    message = text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    crypto_sha256(&message, 1, digest);
    CHECK(is_hex(digest, 32, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"));
    crypto_sha256(NULL, 0, digest);
    CHECK(is_hex(digest, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    crypto_sha256(&empty, 1, digest);
    CHECK(is_hex(digest, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    return 0;
}

/* NIST "SHA1.pdf", likewise; RFC 3174 7.3 has the first two, too. */
static int test_sha1(void)
{
    uint8_t digest[CRYPTO_SHA1_SIZE];
    struct bytes message = text("abc");
    crypto_sha1(&message, 1, digest);
    CHECK(is_hex(digest, sizeof digest, "a9993e364706816aba3e25717850c26c9cd0d89d"));
    const struct bytes pieces[] = {text("abcdbcdecdefdefgefghfghighijhi"), empty,
                                   text("jkijkljklmklmnlmnomnopnopq")};
    crypto_sha1(pieces, 3, digest);
    CHECK(is_hex(digest, sizeof digest, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"));
    crypto_sha1(NULL, 0, digest);
    CHECK(is_hex(digest, sizeof digest, "da39a3ee5e6b4b0d3255bfef95601890afd80709"));
    return 0;
}

/* Any cut of a message into pieces is the same message. */
static int test_sha_pieces(void)
{
    uint8_t whole[CRYPTO_SHA256_SIZE], parts[CRYPTO_SHA256_SIZE];
    const struct bytes message = {vector_blob, sizeof vector_blob};
    crypto_sha256(&message, 1, whole);
    for (size_t cut = 0; cut <= message.len; cut++) {
        const struct bytes pieces[] = {{message.p, cut}, empty, {message.p + cut, message.len - cut}};
        crypto_sha256(pieces, 3, parts);
        CHECK(bytes_equal_secret(whole, parts, sizeof whole));
    }
    return 0;
}

/* RFC 4231 4.2, 4.3, 4.4 and 4.7: test cases 1, 2, 3 and 6. */
static int test_hmac(void)
{
    uint8_t key[131], data[50], mac[CRYPTO_SHA256_SIZE];

    memset(key, 0x0b, 20);
    struct bytes message = text("Hi There");
    crypto_hmac_sha256((struct bytes){key, 20}, &message, 1, mac);
    CHECK(is_hex(mac, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));

    const struct bytes pieces[] = {text("what do ya want "), text("for nothing?")};
    crypto_hmac_sha256(text("Jefe"), pieces, 2, mac);
    CHECK(is_hex(mac, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));

    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    message = (struct bytes){data, sizeof data};
    crypto_hmac_sha256((struct bytes){key, 20}, &message, 1, mac);
    CHECK(is_hex(mac, 32, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"));

    message = text("Test Using Larger Than Block-Size Key - Hash Key First");
    crypto_hmac_sha256((struct bytes){key, sizeof key}, &message, 1, mac);
    CHECK(is_hex(mac, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));

    /* printf '' | openssl dgst -sha256 -hmac '' */
    crypto_hmac_sha256(empty, NULL, 0, mac);
    CHECK(is_hex(mac, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
    return 0;
}

/* NIST SP 800-38A F.3.13 to F.3.18, CFB128-AES128 and CFB128-AES256. Their initial value is 00 01 .. 0f and ours is
 * zero, but CFB depends on the preceding ciphertext block only: with the published initial value as a first block of
 * ciphertext, everything after it decrypts to the published plaintext, and encrypts back. */
static int test_cfb_published(void)
{
    static const struct {
        const char *key, *cipher;
    } cases[] = {
        {"2b7e151628aed2a6abf7158809cf4f3c",
         "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
         "26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6"},
        {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
         "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"
         "df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471"},
    };
    static const char plain[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                                "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t key_bytes[32], data[80], cipher[80];
        struct bytes key = {key_bytes, unhex(cases[i].key, key_bytes)};
        unhex("000102030405060708090a0b0c0d0e0f", cipher);
        CHECK_EQUAL(unhex(cases[i].cipher, cipher + 16), 64);
        memcpy(data, cipher, sizeof data);
        CHECK_EQUAL(crypto_aes_cfb_decrypt(key, NULL, data, sizeof data), 0);
        CHECK(is_hex(data + 16, 64, plain));
        CHECK_EQUAL(crypto_aes_cfb_encrypt(key, NULL, data, sizeof data), 0);
        CHECK(memcmp(data, cipher, sizeof data) == 0);
    }
    return 0;
}

/* Initial value zero, and lengths that are not a multiple of a block: the same keys and plaintext through
 *   openssl enc -aes-128-cfb -K 2b7e... -iv 00000000000000000000000000000000 (and -aes-256-cfb),
 * which Python's cryptography 48 confirms. CFB output is a prefix of longer output. */
static int test_cfb_zero_iv(void)
{
    static const struct {
        const char *key, *cipher;
    } cases[] = {
        {"2b7e151628aed2a6abf7158809cf4f3c",
         "1636d5ee34f80625d77f8e56ca88434586360140d4086cfd51de95ea001f81dc"
         "e3600d8bc70a66d42f560bcb48fa1a77e3c954c288654691d76c291c3c96ff14"},
        {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
         "8ea94863ba8fe940fe7032d13083bf7e22a9a42cd837fd65ce9f6a081bdfcf46"
         "19c298c96b0eb4ccedf1407400b3cb62d4e5a2dae2ce904258bcd9822ae2a2ad"},
    };
    uint8_t plain[64], cipher[64], data[64], key_bytes[32];
    unhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
          "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
          plain);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes key = {key_bytes, unhex(cases[i].key, key_bytes)};
        unhex(cases[i].cipher, cipher);
        for (size_t len = 0; len <= sizeof data; len++) {
            memcpy(data, plain, sizeof data);
            CHECK_EQUAL(crypto_aes_cfb_encrypt(key, NULL, data, len), 0);
            CHECK(memcmp(data, cipher, len) == 0);
            CHECK(memcmp(data + len, plain + len, sizeof data - len) == 0);
            CHECK_EQUAL(crypto_aes_cfb_decrypt(key, NULL, data, len), 0);
            CHECK(memcmp(data, plain, sizeof data) == 0);
        }
    }
    for (size_t len = 0; len <= sizeof key_bytes; len++) {
        if (len == 16 || len == 32) {
            continue;
        }
        CHECK_EQUAL(crypto_aes_cfb_encrypt((struct bytes){key_bytes, len}, NULL, data, 5), BYTES_E_ALGORITHM);
        CHECK(memcmp(data, plain, sizeof data) == 0);
    }
    return 0;
}

/* k1, h1 and k2 of the deterministic blob in the protocol notes (dps-protocol.md 2.4), which were made outside this
 * project; computed again with Python's hmac module. */
static int test_kdfa(void)
{
    uint8_t s1[32], s2[32], name[34], object[34], out[128], shorter[128];
    for (uint8_t i = 0; i < 32; i++) {
        s1[i] = i;
        s2[i] = (uint8_t)(0x20 + i);
    }
    name[0] = 0x00;
    name[1] = 0x0b;
    memset(name + 2, 0x11, 32);
    unhex("000b8307813bbf2eb357237f77de18715d52a5b57aa841be5f67d34e062643224c24", object);

    const struct bytes seed = {s1, sizeof s1};
    crypto_kdfa_sha256(seed, "STORAGE", (struct bytes){name, sizeof name}, empty, out, 16);
    CHECK(is_hex(out, 16, "4b6977df7782a6d0312cc5f537456667"));
    crypto_kdfa_sha256(seed, "INTEGRITY", empty, empty, out, 32);
    CHECK(is_hex(out, 32, "bacf689f634ece301e1f1b15b072d9c87db6a69585db42b1a0cb8f73ebe2692e"));
    crypto_kdfa_sha256((struct bytes){s2, sizeof s2}, "STORAGE", (struct bytes){object, sizeof object}, empty,
                       out, 16);
    CHECK(is_hex(out, 16, "13b2a2436494f6ad4e58a882fc588b75"));

    /* The length is hashed, so a shorter result is not a prefix; nothing is written past it. */
    crypto_kdfa_sha256(seed, "ATH", seed, seed, out, sizeof out);
    for (size_t len = 1; len < sizeof out; len++) {
        memset(shorter, 0xa5, sizeof shorter);
        crypto_kdfa_sha256(seed, "ATH", seed, seed, shorter, len);
        CHECK_EQUAL(shorter[len], 0xa5);
        CHECK(len < 8 || memcmp(shorter, out, len) != 0);
    }
    return 0;
}

/* 65 bytes, so three blocks of which the last is cut; both contexts used. Computed with Python:
 *   b''.join(hmac.digest(b'key', i.to_bytes(4,'big')+b'ATH\0'+b'tpm'+b'caller'+(520).to_bytes(4,'big'),'sha256')
 *            for i in (1,2,3))[:65] */
static int test_kdfa_blocks(void)
{
    uint8_t out[65];
    crypto_kdfa_sha256(text("key"), "ATH", text("tpm"), text("caller"), out, sizeof out);
    CHECK(is_hex(out, sizeof out,
                 "e6df736f7155f956529858160ccc41e8bcaa822b48916ed77c129cabc0c6ee8a8cdc3a3f94f1733bef7474e9d70"
                 "93ecfeafac6585e9bd354611a803092ff9e8ee4"));
    return 0;
}

/* activation-blob.json: keys that Node's crypto derived and that Microsoft's client and a TPM accepted. */
static int test_kdfa_activation(void)
{
    uint8_t out[32];
    const struct bytes cred = {vector_cred_seed, sizeof vector_cred_seed};
    const struct bytes dup = {vector_dup_seed, sizeof vector_dup_seed};
    crypto_kdfa_sha256(cred, "STORAGE", (struct bytes){vector_srk_name, sizeof vector_srk_name}, empty, out,
                       16);
    CHECK(memcmp(out, vector_cred_sym_key, 16) == 0);
    crypto_kdfa_sha256(cred, "INTEGRITY", empty, empty, out, 32);
    CHECK(memcmp(out, vector_cred_hmac_key, 32) == 0);
    crypto_kdfa_sha256(dup, "STORAGE", (struct bytes){vector_object_name, sizeof vector_object_name}, empty,
                       out, 16);
    CHECK(memcmp(out, vector_dup_sym_key, 16) == 0);
    crypto_kdfa_sha256(dup, "INTEGRITY", empty, empty, out, 32);
    CHECK(memcmp(out, vector_dup_hmac_key, 32) == 0);
    return 0;
}

#define MODULUS 256

/* The modulus is at the end of a TPM2B_PUBLIC. */
static struct crypto_rsa_public public_key(const uint8_t *public_2b, size_t len)
{
    return (struct crypto_rsa_public){{public_2b + len - MODULUS, MODULUS}, 65537};
}

static const struct bytes identity_label = {(const uint8_t *)"IDENTITY", sizeof "IDENTITY"};
static const struct bytes duplicate_label = {(const uint8_t *)"DUPLICATE", sizeof "DUPLICATE"};

/* activation-blob.json: both OAEP blocks, made by Node's crypto (OpenSSL), open with the private keys beside them. */
static int test_oaep_decrypt(void)
{
    uint8_t storage[5 * 256 + 64], out[MODULUS];
    struct crypto_rsa_private key;
    size_t len;
    const struct bytes ek = {vector_ek_private_der, sizeof vector_ek_private_der};
    const struct bytes srk = {vector_srk_private_der, sizeof vector_srk_private_der};
    const struct bytes cred = {vector_enc_secret + 2, MODULUS};
    const struct bytes dup = {vector_dup_secret + 2, MODULUS};

    CHECK_EQUAL(crypto_rsa_private_decode(ek, &key, storage, sizeof storage), 0);
    CHECK_EQUAL(key.modulus_bits, 2048);
    CHECK_EQUAL(crypto_rsa_oaep_decrypt(&key, identity_label, cred, out, sizeof out, &len), 0);
    CHECK(len == sizeof vector_cred_seed && memcmp(out, vector_cred_seed, len) == 0);
    CHECK(crypto_rsa_oaep_decrypt(&key, identity_label, cred, out, 31, &len) == BYTES_E_SPACE && len == 0);
    CHECK_EQUAL(crypto_rsa_oaep_decrypt(&key, identity_label, cred, out, 32, &len), 0);
    /* another label, another key, a label without its zero byte, another length */
    CHECK_EQUAL(crypto_rsa_oaep_decrypt(&key, duplicate_label, cred, out, sizeof out, &len),
                BYTES_E_INTEGRITY);
    CHECK_EQUAL(crypto_rsa_oaep_decrypt(&key, identity_label, dup, out, sizeof out, &len), BYTES_E_INTEGRITY);
    CHECK_EQUAL(crypto_rsa_oaep_decrypt(&key, text("IDENTITY"), cred, out, sizeof out, &len),
                BYTES_E_INTEGRITY);
    CHECK_EQUAL(
        crypto_rsa_oaep_decrypt(&key, identity_label, (struct bytes){cred.p, 255}, out, sizeof out, &len),
        BYTES_E_INTEGRITY);

    CHECK_EQUAL(crypto_rsa_private_decode(srk, &key, storage, sizeof storage), 0);
    CHECK_EQUAL(crypto_rsa_oaep_decrypt(&key, duplicate_label, dup, out, sizeof out, &len), 0);
    CHECK(len == sizeof vector_dup_seed && memcmp(out, vector_dup_seed, len) == 0);
    return 0;
}

/* RSAES-OAEP with SHA-256, label and a chosen seed; the result was opened with OpenSSL:
 *   openssl pkeyutl -decrypt -inkey ek.pem -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256
 *       -pkeyopt rsa_oaep_label:4944454e5449545900
 * and computed independently in Python (EM built by hand, pow(m, 65537, n)). Only its SHA-256 is kept here. */
static int test_oaep_encrypt(void)
{
    uint8_t seed[32], out[MODULUS], digest[32];
    for (uint8_t i = 0; i < 32; i++) {
        seed[i] = (uint8_t)(0xc0 + i);
    }
    const struct crypto_rsa_public key = public_key(vector_ek_public_2b, sizeof vector_ek_public_2b);
    const struct bytes message = {vector_cred_seed, sizeof vector_cred_seed};
    const struct bytes result = {out, sizeof out};
    CHECK_EQUAL(crypto_rsa_oaep_encrypt(&key, identity_label, seed, message, out), 0);
    crypto_sha256(&result, 1, digest);
    CHECK(is_hex(digest, 32, "8045c70c3a76282de9d0424d88692844d7b77a95e2053719291a9bf144b6f3c9"));
    return 0;
}

/* Every message length round trips; one byte more than fits does not. */
static int test_oaep_lengths(void)
{
    uint8_t storage[5 * 256 + 64], cipher[MODULUS], out[MODULUS];
    struct crypto_rsa_private private;
    const struct crypto_rsa_public key = public_key(vector_ek_public_2b, sizeof vector_ek_public_2b);
    const struct bytes der = {vector_ek_private_der, sizeof vector_ek_private_der};
    CHECK_EQUAL(crypto_rsa_private_decode(der, &private, storage, sizeof storage), 0);
    for (size_t len = 0; len <= MODULUS - 66; len += len < 2 ? 1 : 47) {
        size_t out_len;
        const struct bytes message = {len > 0 ? vector_blob : NULL, len};
        CHECK_EQUAL(crypto_rsa_oaep_encrypt(&key, empty, vector_dup_seed, message, cipher), 0);
        CHECK_EQUAL(crypto_rsa_oaep_decrypt(&private, empty, (struct bytes){cipher, MODULUS}, out, sizeof out,
                                            &out_len),
                    0);
        CHECK(out_len == len && memcmp(out, vector_blob, len) == 0);
    }
    const struct bytes too_long = {vector_blob, MODULUS - 65};
    memset(cipher, 0xa5, sizeof cipher);
    CHECK_EQUAL(crypto_rsa_oaep_encrypt(&key, empty, vector_dup_seed, too_long, cipher), BYTES_E_LIMIT);
    CHECK(is_zero(cipher, sizeof cipher));
    return 0;
}

/* Keys that must not be used: nothing but zeros comes out. */
static int test_oaep_bad_keys(void)
{
    uint8_t n[CRYPTO_RSA_MAX + 1], out[CRYPTO_RSA_MAX + 1];
    memset(n, 0xff, sizeof n);
    static const struct {
        size_t len;
        uint32_t exponent;
        uint8_t first, last;
        int result;
    } cases[] = {
        {MODULUS, 65537, 0xff, 0xfe, BYTES_E_ALGORITHM},
        {MODULUS, 65537, 0x00, 0xff, BYTES_E_ALGORITHM},
        {MODULUS, 0, 0xff, 0xff, BYTES_E_ALGORITHM},
        {MODULUS, 1, 0xff, 0xff, BYTES_E_ALGORITHM},
        {MODULUS, 65536, 0xff, 0xff, BYTES_E_ALGORITHM},
        {127, 65537, 0xff, 0xff, BYTES_E_ALGORITHM},
        {0, 65537, 0xff, 0xff, BYTES_E_ALGORITHM},
        {CRYPTO_RSA_MAX + 1, 65537, 0xff, 0xff, BYTES_E_LIMIT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = cases[i].len;
        n[0] = cases[i].first;
        n[len > 0 ? len - 1 : 0] = cases[i].last;
        const struct crypto_rsa_public key = {{n, len}, cases[i].exponent};
        memset(out, 0xa5, sizeof out);
        CHECK_EQUAL(crypto_rsa_oaep_encrypt(&key, empty, vector_dup_seed, empty, out), cases[i].result);
        CHECK(is_zero(out, len));
        memset(n, 0xff, sizeof n);
    }
    /* the smallest and the largest size and the exponents of 1 to 4 bytes do work */
    static const uint32_t exponents[] = {3, 257, 65537, 0x1000001, 0xffffffff};
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++) {
        const struct crypto_rsa_public small = {{n, 128}, exponents[i]}, large = {{n, 512}, exponents[i]};
        CHECK_EQUAL(crypto_rsa_oaep_encrypt(&small, empty, vector_dup_seed, empty, out), 0);
        CHECK_EQUAL(crypto_rsa_oaep_encrypt(&large, empty, vector_dup_seed, empty, out), 0);
    }
    return 0;
}

/* A private key cut anywhere, with a byte appended, changed anywhere, or into too little storage. */
static int test_private_decode(void)
{
    static uint8_t der[sizeof vector_ek_private_der + 1], storage[5 * 256 + 64];
    struct crypto_rsa_private key;
    size_t len = sizeof vector_ek_private_der;
    memcpy(der, vector_ek_private_der, len);
    for (size_t cut = 0; cut < len; cut++) {
        CHECK_EQUAL(crypto_rsa_private_decode((struct bytes){der, cut}, &key, storage, sizeof storage),
                    BYTES_E_FORMAT);
    }
    CHECK_EQUAL(crypto_rsa_private_decode((struct bytes){der, len + 1}, &key, storage, sizeof storage),
                BYTES_E_FORMAT);
    for (size_t i = 0; i < len; i++) {
        der[i] ^= 0x41;
        (void)crypto_rsa_private_decode((struct bytes){der, len}, &key, storage, sizeof storage);
        der[i] ^= 0x41;
    }
    for (size_t capacity = 0; capacity < 5 * 128; capacity++) {
        CHECK_EQUAL(crypto_rsa_private_decode((struct bytes){der, len}, &key, storage, capacity),
                    BYTES_E_SPACE);
    }
    CHECK_EQUAL(crypto_rsa_private_decode((struct bytes){der, len}, &key, storage, 5 * 128), 0);
    return 0;
}

/* NIST CAVP drbgvectors_no_reseed/HMAC_DRBG.rsp: [SHA-256], no prediction resistance, no personalization string, no
 * additional input, COUNT = 0. The first 1024 bits are thrown away, as CAVP prescribes. */
static int test_drbg(void)
{
    uint8_t seed[48], out[128];
    struct crypto_drbg drbg;
    unhex("ca851911349384bffe89de1cbdc46e6831e44d34a4fb935ee285dd14b71a7488" /* EntropyInput */
          "659ba96c601dc69fc902940805ec0ca8" /* Nonce */,
          seed);
    crypto_drbg_init(&drbg, (struct bytes){seed, sizeof seed});
    crypto_drbg_generate(&drbg, out, sizeof out);
    crypto_drbg_generate(&drbg, out, sizeof out);
    CHECK(is_hex(out, sizeof out,
                 "e528e9abf2dece54d47c7e75e5fe302149f817ea9fb4bee6f4199697d04d5b89"
                 "d54fbb978a15b5c443c9ec21036d2460b6f73ebad0dc2aba6e624abf07745bc1"
                 "07694bb7547bb0995f70de25d6b29e2d3011bb19d27676c07162c8b5ccde0668"
                 "961df86803482cb37ed6d5c0bb8d50cf1f50d476aa0458bdaba806f48be9dcb8"));

    /* CAVP's drbgvectors_pr_false/HMAC_DRBG.rsp, [SHA-256] COUNT = 0, which reseeds before the first bits. */
    uint8_t reseed[32];
    unhex("06032cd5eed33f39265f49ecb142c511da9aff2af71203bffaf34a9ca5bd9c0d"
          "0e66f71edc43e42a45ad3c6fc6cdc4df",
          seed);
    unhex("01920a4e669ed3a85ae8a33b35a74ad7fb2a6bb4cf395ce00334a9c9a5a5d552", reseed);
    crypto_drbg_init(&drbg, (struct bytes){seed, sizeof seed});
    crypto_drbg_update(&drbg, (struct bytes){reseed, sizeof reseed});
    crypto_drbg_generate(&drbg, out, sizeof out);
    crypto_drbg_generate(&drbg, out, sizeof out);
    CHECK(is_hex(out, sizeof out,
                 "76fc79fe9b50beccc991a11b5635783a83536add03c157fb30645e611c2898bb"
                 "2b1bc215000209208cd506cb28da2a51bdb03826aaf2bd2335d576d519160842"
                 "e7158ad0949d1a9ec3e66ea1b1a064b005de914eac2e9d4f2d72a8616a802254"
                 "22918250ff66a41bd2f864a6a38cc5b6499dc43f7f2bd09e1e0f8f5885935124"));
    return 0;
}

static int test_equal_and_wipe(void)
{
    uint8_t a[40], b[40];
    memset(a, 0x5a, sizeof a);
    memset(b, 0x5a, sizeof b);
    CHECK(bytes_equal_secret(a, b, sizeof a) && bytes_equal_secret(a, b, 0) &&
          bytes_equal_secret(NULL, NULL, 0));
    for (size_t i = 0; i < sizeof a; i++) {
        for (unsigned bit = 1; bit < 256; bit <<= 1) {
            b[i] ^= (uint8_t)bit;
            CHECK(!bytes_equal_secret(a, b, sizeof a) && bytes_equal_secret(a, b, i));
            b[i] ^= (uint8_t)bit;
        }
    }
    bytes_wipe(a + 1, sizeof a - 2);
    CHECK(a[0] == 0x5a && a[39] == 0x5a && is_zero(a + 1, 38));
    bytes_wipe(a, 0);
    return 0;
}

static void take_bytes(void *context, const void *p, size_t len)
{
    (void)crypto_arena_add(context, p, len);
}

/* The first certificate of a PEM text. */
static struct bytes decoded(const char *pem_text, uint8_t *der, size_t capacity)
{
    struct crypto_pem pem;
    struct crypto_arena a = {der, capacity, 0, false};
    crypto_pem_open(&pem, text(pem_text));
    (void)crypto_pem_next(&pem, crypto_pem_is_certificate, take_bytes, &a);
    return (struct bytes){a.p, a.used};
}

/* The modulus of the test certificate according to
 *   openssl x509 -in rsa.pem -noout -modulus | sed 's/.*=//' | xxd -r -p | sha256sum */
static int test_certificate(void)
{
    static uint8_t der[1024], rsa_der[1024], ec_der[1024];
    struct crypto_certificate c;
    uint8_t digest[32];
    const struct bytes rsa = decoded(vector_tls_rsa_leaf, rsa_der, sizeof rsa_der);
    const struct bytes ec = decoded(vector_tls_ec_leaf, ec_der, sizeof ec_der);
    const size_t len = rsa.len;
    CHECK(len > 500 && ec.len > 300);

    /* NV areas are longer than the certificate in them and end in 0xff. */
    memset(der, 0xff, sizeof der);
    memcpy(der, rsa.p, len);
    CHECK_EQUAL(crypto_certificate_parse((struct bytes){der, sizeof der}, &c), 0);
    CHECK(c.der.p == der && c.der.len == len && !c.ca && !c.self_signed);
    CHECK(c.key.kind == CRYPTO_KEY_RSA && c.key.rsa.exponent == 65537 && c.key.rsa.modulus.len == 256);
    crypto_sha256(&c.key.rsa.modulus, 1, digest);
    CHECK(is_hex(digest, 32, "9a95b65ad4297cddd3d1daad53b08ffc3eb8b07553caf732fa8cb95014512b32"));

    for (size_t cut = 0; cut < len; cut++) {
        CHECK(crypto_certificate_parse((struct bytes){der, cut}, &c) == BYTES_E_FORMAT && c.der.len == 0);
    }
    CHECK_EQUAL(crypto_certificate_parse(ec, &c), 0);
    CHECK(c.key.kind == CRYPTO_KEY_P256 && c.key.rsa.modulus.len == 0);
    for (size_t i = 0; i < len; i++) {
        der[i] ^= 0x80;
        (void)crypto_certificate_parse((struct bytes){der, sizeof der}, &c);
        der[i] ^= 0x80;
    }
    return 0;
}

static const struct test tests[] = {
    {"SHA-256: FIPS 180-4 examples", test_sha},
    {"SHA-256 of every cut", test_sha_pieces},
    {"SHA-1", test_sha1},
    {"HMAC-SHA-256: RFC 4231", test_hmac},
    {"AES-CFB: SP 800-38A", test_cfb_published},
    {"AES-CFB with a zero initial value, every length", test_cfb_zero_iv},
    {"KDFa: one block", test_kdfa},
    {"KDFa: three blocks", test_kdfa_blocks},
    {"KDFa: keys of an activation blob", test_kdfa_activation},
    {"OAEP decryption of an activation blob", test_oaep_decrypt},
    {"OAEP encryption with a known seed", test_oaep_encrypt},
    {"OAEP at every kind of length", test_oaep_lengths},
    {"OAEP refuses unusable keys", test_oaep_bad_keys},
    {"private key: cut, changed, too little storage", test_private_decode},
    {"HMAC-DRBG: NIST CAVP", test_drbg},
    {"comparison and wiping", test_equal_and_wipe},
    {"RSA key of a certificate", test_certificate},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
