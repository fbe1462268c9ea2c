/* SPDX-License-Identifier: MIT */
/* crypto.h on top of OpenSSL's libcrypto (`make CRYPTO=openssl`), for servers where a blob should take 0.1 ms instead
 * of 0.3. Same interface, same tests, same bytes as crypto_bearssl.c. TLS is in ssl.c.
 *
 * Unlike the core this file takes memory from libcrypto; when that fails there is nothing sensible left to do, and the
 * process ends. Hashes use libcrypto's older interface on purpose: the newer one spends more time on finding SHA-256
 * than on computing it for inputs as short as these. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/crypto.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

/* The limits of crypto.h. */
#define RSA_MODULUS_MIN 128
#define OAEP_OVERHEAD (2 * CRYPTO_SHA256_SIZE + 2)
#define HMAC_BLOCK SHA256_CBLOCK

/* Memory is the only thing that these calls can lack. */
static void must(bool done)
{
    if (!done) {
        abort();
    }
}

/* ---- Hashes ---- */

static void sha256_add(SHA256_CTX *sha, const struct bytes *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0) {
            (void)SHA256_Update(sha, pieces[i].p, pieces[i].len);
        }
    }
}

void crypto_sha256(const struct bytes *pieces, size_t count, uint8_t digest[CRYPTO_SHA256_SIZE])
{
    SHA256_CTX sha;
    (void)SHA256_Init(&sha);
    sha256_add(&sha, pieces, count);
    (void)SHA256_Final(digest, &sha);
    bytes_wipe(&sha, sizeof sha);
}

void crypto_sha1(const struct bytes *pieces, size_t count, uint8_t digest[CRYPTO_SHA1_SIZE])
{
    SHA_CTX sha;
    (void)SHA1_Init(&sha);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0) {
            (void)SHA1_Update(&sha, pieces[i].p, pieces[i].len);
        }
    }
    (void)SHA1_Final(digest, &sha);
}

/* [RFC 2104 2]: the key, padded to a block, begins both hashes under another mask. */
static void hmac_begin(SHA256_CTX *sha, const uint8_t key[HMAC_BLOCK], uint8_t mask)
{
    uint8_t pad[HMAC_BLOCK];
    for (size_t i = 0; i < sizeof pad; i++) {
        pad[i] = key[i] ^ mask;
    }
    (void)SHA256_Init(sha);
    (void)SHA256_Update(sha, pad, sizeof pad);
    bytes_wipe(pad, sizeof pad);
}

void crypto_hmac_sha256(struct bytes key, const struct bytes *pieces, size_t count,
                        uint8_t mac[CRYPTO_SHA256_SIZE])
{
    SHA256_CTX sha;
    uint8_t block[HMAC_BLOCK] = {0};
    if (key.len > sizeof block) {
        crypto_sha256(&key, 1, block);
    } else if (key.len > 0) {
        memcpy(block, key.p, key.len);
    }
    hmac_begin(&sha, block, 0x36);
    sha256_add(&sha, pieces, count);
    (void)SHA256_Final(mac, &sha);
    hmac_begin(&sha, block, 0x5c);
    (void)SHA256_Update(&sha, mac, CRYPTO_SHA256_SIZE);
    (void)SHA256_Final(mac, &sha);
    bytes_wipe(&sha, sizeof sha);
    bytes_wipe(block, sizeof block);
}

/* ---- AES ---- */

static int aes_cfb(struct bytes key, const uint8_t *iv, uint8_t *data, size_t len, int encrypt)
{
    static const uint8_t zero[16];
    int written;
    if (key.len != 16 && key.len != 32) {
        return BYTES_E_ALGORITHM;
    }
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    must(cipher != NULL &&
         EVP_CipherInit_ex(cipher, key.len == 16 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128(), NULL, key.p,
                           iv != NULL ? iv : zero, encrypt) == 1);
    must(len == 0 || EVP_CipherUpdate(cipher, data, &written, data, (int)len) == 1);
    EVP_CIPHER_CTX_free(cipher); /* wipes it */
    return BYTES_OK;
}

int crypto_aes_cfb_encrypt(struct bytes key, const uint8_t *iv, uint8_t *data, size_t len)
{
    return aes_cfb(key, iv, data, len, 1);
}

int crypto_aes_cfb_decrypt(struct bytes key, const uint8_t *iv, uint8_t *data, size_t len)
{
    return aes_cfb(key, iv, data, len, 0);
}

/* ---- RSA ---- */

/* EM = 0 || seed ^ MGF(DB) || DB ^ MGF(masked seed), DB = hash of the label || zeros || 1 || message
 * [RFC 8017 7.1.1]. libcrypto can do this too, but not with a seed that is given. */
static void oaep_encode(struct bytes label, const uint8_t seed[CRYPTO_SHA256_SIZE], struct bytes message,
                        uint8_t *em, size_t em_len)
{
    uint8_t mask[CRYPTO_RSA_MAX];
    uint8_t *masked_seed = em + 1;
    uint8_t *db = em + 1 + CRYPTO_SHA256_SIZE;
    const size_t db_len = em_len - 1 - CRYPTO_SHA256_SIZE;
    memset(em, 0, em_len);
    crypto_sha256(&label, 1, db);
    db[db_len - message.len - 1] = 1;
    if (message.len > 0) {
        memcpy(&db[db_len - message.len], message.p, message.len);
    }
    must(PKCS1_MGF1(mask, (long)db_len, seed, CRYPTO_SHA256_SIZE, EVP_sha256()) == 0);
    for (size_t i = 0; i < db_len; i++) {
        db[i] ^= mask[i];
    }
    must(PKCS1_MGF1(mask, CRYPTO_SHA256_SIZE, db, (long)db_len, EVP_sha256()) == 0);
    for (size_t i = 0; i < CRYPTO_SHA256_SIZE; i++) {
        masked_seed[i] = seed[i] ^ mask[i];
    }
    bytes_wipe(mask, sizeof mask);
}

/* out = in ^ exponent mod modulus. The exponent is public. */
static void rsa_public(const struct crypto_rsa_public *key, const uint8_t *in, uint8_t *out)
{
    const int len = (int)key->modulus.len;
    BN_CTX *scratch = BN_CTX_new();
    BIGNUM *n = BN_bin2bn(key->modulus.p, len, NULL);
    BIGNUM *e = BN_new();
    BIGNUM *m = BN_bin2bn(in, len, NULL);
    must(scratch != NULL && n != NULL && m != NULL && e != NULL && BN_set_word(e, key->exponent) == 1);
    must(BN_mod_exp_mont(m, m, e, n, scratch, NULL) == 1 && BN_bn2binpad(m, out, len) == len);
    BN_clear_free(m);
    BN_free(e);
    BN_free(n);
    BN_CTX_free(scratch);
}

int crypto_rsa_oaep_encrypt(const struct crypto_rsa_public *key, struct bytes label,
                            const uint8_t seed[CRYPTO_SHA256_SIZE], struct bytes message, uint8_t *out)
{
    const struct bytes n = key->modulus;
    uint8_t em[CRYPTO_RSA_MAX];
    memset(out, 0, n.len);
    if (n.len > CRYPTO_RSA_MAX) {
        return BYTES_E_LIMIT;
    }
    if (n.len < RSA_MODULUS_MIN || n.p[0] == 0 || (n.p[n.len - 1] & 1) == 0 || key->exponent < 3 ||
        (key->exponent & 1) == 0) {
        return BYTES_E_ALGORITHM;
    }
    if (message.len > n.len - OAEP_OVERHEAD) {
        return BYTES_E_LIMIT;
    }
    oaep_encode(label, seed, message, em, n.len);
    rsa_public(key, em, out);
    bytes_wipe(em, sizeof em);
    return BYTES_OK;
}

/* result = c ^ exponent mod prime, in time that depends on the sizes only. */
static BIGNUM *prime_power(const BIGNUM *c, struct bytes exponent, const BIGNUM *prime, BN_CTX *scratch)
{
    BIGNUM *e = BN_bin2bn(exponent.p, (int)exponent.len, NULL);
    BIGNUM *result = BN_new();
    must(e != NULL && result != NULL && BN_mod(result, c, prime, scratch) == 1);
    must(BN_mod_exp_mont_consttime(result, result, e, prime, scratch, NULL) == 1);
    BN_clear_free(e);
    return result;
}

/* By the Chinese remainder theorem [RFC 8017 5.1.2]. Returns: whether cipher is below the modulus. */
static bool rsa_private(const struct crypto_rsa_private *key, struct bytes cipher, uint8_t *out)
{
    BN_CTX *scratch = BN_CTX_new();
    BIGNUM *p = BN_bin2bn(key->p.p, (int)key->p.len, NULL);
    BIGNUM *q = BN_bin2bn(key->q.p, (int)key->q.len, NULL);
    BIGNUM *iq = BN_bin2bn(key->iq.p, (int)key->iq.len, NULL);
    BIGNUM *c = BN_bin2bn(cipher.p, (int)cipher.len, NULL);
    BIGNUM *n = BN_new();
    must(scratch != NULL && p != NULL && q != NULL && iq != NULL && c != NULL && n != NULL);
    must(BN_mul(n, p, q, scratch) == 1);
    const bool below = BN_is_odd(p) && BN_is_odd(q) && BN_cmp(c, n) < 0;
    if (below) {
        BIGNUM *m1 = prime_power(c, key->dp, p, scratch);
        BIGNUM *m2 = prime_power(c, key->dq, q, scratch);
        must(BN_mod_sub(m1, m1, m2, p, scratch) == 1 && BN_mod_mul(m1, m1, iq, p, scratch) == 1);
        must(BN_mul(m1, m1, q, scratch) == 1 && BN_add(m1, m1, m2) == 1 &&
             BN_bn2binpad(m1, out, (int)cipher.len) == (int)cipher.len);
        BN_clear_free(m1);
        BN_clear_free(m2);
    }
    BN_clear_free(p);
    BN_clear_free(q);
    BN_clear_free(iq);
    BN_free(c);
    BN_free(n);
    BN_CTX_free(scratch);
    return below;
}

int crypto_rsa_oaep_decrypt(const struct crypto_rsa_private *key, struct bytes label, struct bytes cipher,
                            uint8_t *out, size_t capacity, size_t *out_len)
{
    uint8_t block[CRYPTO_RSA_MAX];
    uint8_t message[CRYPTO_RSA_MAX];
    *out_len = 0;
    if (cipher.len > CRYPTO_RSA_MAX || cipher.len < OAEP_OVERHEAD ||
        cipher.len != (key->modulus_bits + 7) / 8 || !rsa_private(key, cipher, block)) {
        return BYTES_E_INTEGRITY;
    }
    const int len =
        RSA_padding_check_PKCS1_OAEP_mgf1(message, sizeof message, block, (int)cipher.len, (int)cipher.len,
                                          label.p, (int)label.len, EVP_sha256(), EVP_sha256());
    int result = len < 0 ? BYTES_E_INTEGRITY : (size_t)len > capacity ? BYTES_E_SPACE : BYTES_OK;
    if (result == BYTES_OK) {
        memcpy(out, message, (size_t)len);
        *out_len = (size_t)len;
    }
    bytes_wipe(block, sizeof block);
    bytes_wipe(message, sizeof message);
    return result;
}

/* ---- Keys from outside ---- */

struct number_sink {
    uint8_t *storage;
    size_t capacity, used;
};

static int take_number(struct number_sink *to, const EVP_PKEY *pkey, const char *name, struct bytes *number)
{
    BIGNUM *value = NULL;
    int result = BYTES_E_FORMAT;
    if (EVP_PKEY_get_bn_param(pkey, name, &value) == 1) {
        const size_t len = (size_t)BN_num_bytes(value);
        result = len > to->capacity - to->used ? BYTES_E_SPACE : BYTES_OK;
        if (result == BYTES_OK) {
            *number = (struct bytes){to->storage + to->used, len};
            (void)BN_bn2bin(value, to->storage + to->used);
            to->used += len;
        }
    }
    BN_clear_free(value);
    return result;
}

int crypto_rsa_private_decode(struct bytes der, struct crypto_rsa_private *key, uint8_t *storage,
                              size_t capacity)
{
    struct number_sink to = {.storage = storage, .capacity = capacity};
    const unsigned char *p = der.p;
    memset(key, 0, sizeof *key);
    EVP_PKEY *pkey = der.len > 0 ? d2i_AutoPrivateKey(NULL, &p, (long)der.len) : NULL;
    if (pkey == NULL || EVP_PKEY_is_a(pkey, "RSA") != 1 || p != der.p + der.len ||
        EVP_PKEY_get_bits(pkey) > 8 * CRYPTO_RSA_MAX) {
        EVP_PKEY_free(pkey);
        return BYTES_E_FORMAT;
    }
    key->modulus_bits = (uint32_t)EVP_PKEY_get_bits(pkey);
    const struct {
        const char *name;
        struct bytes *number;
    } numbers[] = {
        {OSSL_PKEY_PARAM_RSA_FACTOR1, &key->p},       {OSSL_PKEY_PARAM_RSA_FACTOR2, &key->q},
        {OSSL_PKEY_PARAM_RSA_EXPONENT1, &key->dp},    {OSSL_PKEY_PARAM_RSA_EXPONENT2, &key->dq},
        {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &key->iq},
    };
    int result = BYTES_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && result == BYTES_OK; i++) {
        result = take_number(&to, pkey, numbers[i].name, numbers[i].number);
    }
    EVP_PKEY_free(pkey);
    if (result != BYTES_OK) {
        bytes_wipe(storage, to.used);
        memset(key, 0, sizeof *key);
    }
    return result;
}

/* ---- HMAC-DRBG [SP 800-90A 10.1.2] ---- */

struct drbg {
    uint8_t key[CRYPTO_SHA256_SIZE], value[CRYPTO_SHA256_SIZE];
};
_Static_assert(sizeof(struct drbg) <= sizeof(struct crypto_drbg), "crypto_drbg.storage is too small");

/* value = HMAC(key, value): the next block of output. */
static void drbg_step(struct drbg *d)
{
    const struct bytes piece = {d->value, sizeof d->value};
    crypto_hmac_sha256((struct bytes){d->key, sizeof d->key}, &piece, 1, d->value);
}

static void drbg_mix(struct drbg *d, struct bytes seed)
{
    const uint8_t rounds = seed.len > 0 ? 2 : 1;
    for (uint8_t round = 0; round < rounds; round++) {
        const struct bytes pieces[] = {{d->value, sizeof d->value}, {&round, 1}, seed};
        crypto_hmac_sha256((struct bytes){d->key, sizeof d->key}, pieces, 3, d->key);
        drbg_step(d);
    }
}

void crypto_drbg_init(struct crypto_drbg *state, struct bytes seed)
{
    struct drbg d;
    memset(state, 0, sizeof *state);
    memset(d.key, 0, sizeof d.key);
    memset(d.value, 1, sizeof d.value);
    drbg_mix(&d, seed);
    memcpy(state->storage, &d, sizeof d);
    bytes_wipe(&d, sizeof d);
}

void crypto_drbg_update(struct crypto_drbg *state, struct bytes seed)
{
    struct drbg d;
    memcpy(&d, state->storage, sizeof d);
    drbg_mix(&d, seed);
    memcpy(state->storage, &d, sizeof d);
    bytes_wipe(&d, sizeof d);
}

void crypto_drbg_generate(struct crypto_drbg *state, uint8_t *out, size_t len)
{
    struct drbg d;
    memcpy(&d, state->storage, sizeof d);
    for (size_t at = 0; at < len; at += sizeof d.value) {
        drbg_step(&d);
        memcpy(&out[at], d.value, len - at < sizeof d.value ? len - at : sizeof d.value);
    }
    drbg_mix(&d, (struct bytes){NULL, 0});
    memcpy(state->storage, &d, sizeof d);
    bytes_wipe(&d, sizeof d);
}
