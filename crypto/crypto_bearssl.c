/* SPDX-License-Identifier: MIT */
/* crypto.h on top of BearSSL 0.6.
 *
 * BearSSL wipes nothing, so every context that lives in this file is wiped here. What BearSSL leaves in its own stack
 * frames (a key schedule inside RSA, for example) is out of reach; only its constant-time code is used.
 * Implementations are asked for by "get_default": the fastest constant-time one of the target, which on 64-bit
 * machines is i62 for RSA, and on a Cortex-M0 i15. */
#include "crypto/crypto.h"
#include "crypto/limits.h"
#include "crypto/rsa_compact.h"
#include <bearssl.h>
#include <string.h>

/* 1024 bits: the smallest key that a TPM may have. */
#define RSA_MODULUS_MIN 128

/* What OAEP adds to a message: two hashes and two bytes [RFC 8017 7.1.1]. */
#define OAEP_OVERHEAD (2 * CRYPTO_SHA256_SIZE + 2)

#define AES_BLOCK 16
#define SHA256_BLOCK 64

/* BearSSL's key structures lack const although it only reads through them. */
static unsigned char *without_const(const uint8_t *p)
{
    const union {
        const uint8_t *in;
        unsigned char *out;
    } pointer = {p};
    return pointer.out;
}

/* An empty span may hold any pointer, but memcpy inside BearSSL wants a valid one even for 0 bytes. */
static const uint8_t *address_of(struct bytes s)
{
    static const uint8_t nothing[1];
    return s.len > 0 ? s.p : nothing;
}

void crypto_sha256(const struct bytes *pieces, size_t count, uint8_t digest[CRYPTO_SHA256_SIZE])
{
    br_sha256_context sha;
    br_sha256_init(&sha);
    for (size_t i = 0; i < count; i++) {
        br_sha256_update(&sha, address_of(pieces[i]), pieces[i].len);
    }
    br_sha256_out(&sha, digest);
    bytes_wipe(&sha, sizeof sha);
}

void crypto_sha1(const struct bytes *pieces, size_t count, uint8_t digest[CRYPTO_SHA1_SIZE])
{
    br_sha1_context sha;
    br_sha1_init(&sha);
    for (size_t i = 0; i < count; i++) {
        br_sha1_update(&sha, address_of(pieces[i]), pieces[i].len);
    }
    br_sha1_out(&sha, digest);
}

/* SHA-256 of a whole block and what follows it. */
static void sha256_after(const uint8_t block[SHA256_BLOCK], const struct bytes *pieces, size_t count,
                         uint8_t digest[CRYPTO_SHA256_SIZE])
{
    br_sha256_context sha;
    br_sha256_init(&sha);
    br_sha256_update(&sha, block, SHA256_BLOCK);
    for (size_t i = 0; i < count; i++) {
        br_sha256_update(&sha, address_of(pieces[i]), pieces[i].len);
    }
    br_sha256_out(&sha, digest);
    bytes_wipe(&sha, sizeof sha);
}

/* HMAC by its definition: BearSSL's own has room for every hash on the stack, of which a small device has little. */
void crypto_hmac_sha256(struct bytes key, const struct bytes *pieces, size_t count,
                        uint8_t mac[CRYPTO_SHA256_SIZE])
{
    uint8_t block[SHA256_BLOCK] = {0};
    if (key.len > sizeof block) {
        crypto_sha256(&key, 1, block);
    } else {
        memcpy(block, address_of(key), key.len);
    }
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] ^= 0x36;
    }
    sha256_after(block, pieces, count, mac);
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }
    const struct bytes inner = bytes_of(mac, CRYPTO_SHA256_SIZE);
    sha256_after(block, &inner, 1, mac);
    bytes_wipe(block, sizeof block);
}

/* CFB-128 [SP 800-38A 6.3]: each block is XORed with the encryption of the ciphertext block before it.
 *
 * BearSSL offers no CFB and no bare block cipher. CBC encryption of one zero block under an initial value v is the
 * encryption of v, which is all that CFB needs. "ct" rather than "ct64": one block at a time leaves the parallel
 * lanes of the 64-bit code empty. */
static int aes_cfb(struct bytes key, const uint8_t *iv, uint8_t *data, size_t len, bool encrypt)
{
    if (key.len != 16 && key.len != 32) {
        return BYTES_E_ALGORITHM;
    }
    const br_block_cbcenc_class *aes = br_aes_x86ni_cbcenc_get_vtable();
    if (aes == NULL) {
        aes = &br_aes_ct_cbcenc_vtable;
    }
    br_aes_gen_cbcenc_keys schedule;
    aes->init(&schedule.vtable, key.p, key.len);

    uint8_t previous[AES_BLOCK] = {0};
    uint8_t stream[AES_BLOCK];
    if (iv != NULL) {
        memcpy(previous, iv, sizeof previous);
    }
    for (size_t at = 0; at < len; at += AES_BLOCK) {
        size_t take = len - at < AES_BLOCK ? len - at : AES_BLOCK;
        memset(stream, 0, sizeof stream);
        aes->run(&schedule.vtable, previous, stream, sizeof stream);
        for (size_t i = 0; i < take; i++) {
            uint8_t in = data[at + i];
            data[at + i] = in ^ stream[i];
            previous[i] = encrypt ? data[at + i] : in;
        }
    }
    bytes_wipe(&schedule, sizeof schedule);
    bytes_wipe(stream, sizeof stream);
    bytes_wipe(previous, sizeof previous);
    return BYTES_OK;
}

int crypto_aes_cfb_encrypt(struct bytes key, const uint8_t *iv, uint8_t *data, size_t len)
{
    return aes_cfb(key, iv, data, len, true);
}

int crypto_aes_cfb_decrypt(struct bytes key, const uint8_t *iv, uint8_t *data, size_t len)
{
    return aes_cfb(key, iv, data, len, false);
}

/* A "random generator" that gives out one seed. BearSSL's OAEP draws its seed by a single call for the size of one
 * hash; so the construction becomes a function of its arguments. */
struct replay {
    const br_prng_class *vtable;
    const uint8_t *seed;
};

static void replay_generate(const br_prng_class **ctx, void *out, size_t len)
{
    const struct replay *replay = (const struct replay *)(const void *)ctx;
    memcpy(out, replay->seed, len <= CRYPTO_SHA256_SIZE ? len : CRYPTO_SHA256_SIZE);
}

/* The exponent as big-endian bytes without leading zeros: BearSSL's running time grows with their number. */
static size_t exponent_encode(uint32_t exponent, unsigned char out[4])
{
    size_t len = 0;
    for (unsigned shift = 32; shift > 0; shift -= 8) {
        uint32_t rest = exponent >> (shift - 8);
        if (rest > 0) {
            out[len++] = (unsigned char)(rest & 0xff);
        }
    }
    return len;
}

int crypto_rsa_oaep_encrypt(const struct crypto_rsa_public *key, struct bytes label,
                            const uint8_t seed[CRYPTO_SHA256_SIZE], struct bytes message, uint8_t *out)
{
    /* Not static: a table of pointers would be data to relocate, of which this directory has none. */
    const br_prng_class replay_vtable = {sizeof(struct replay), NULL, replay_generate, NULL};
    const struct bytes n = key->modulus;

    memset(out, 0, n.len);
    if (n.len > CRYPTO_RSA_MAX) {
        return BYTES_E_LIMIT;
    }
    if (n.len < RSA_MODULUS_MIN || n.p[0] == 0 || (n.p[n.len - 1] & 1) == 0) {
        return BYTES_E_ALGORITHM;
    }
    if (key->exponent < 3 || (key->exponent & 1) == 0) {
        return BYTES_E_ALGORITHM;
    }
    if (message.len > n.len - OAEP_OVERHEAD) {
        return BYTES_E_LIMIT;
    }
    if (CRYPTO_RSA_COMPACT) {
        return crypto_rsa_oaep_compact(key, label, seed, message, out);
    }

    unsigned char e[4];
    const br_rsa_public_key pk = {
        .n = without_const(n.p), .nlen = n.len, .e = e, .elen = exponent_encode(key->exponent, e)};
    struct replay replay = {&replay_vtable, seed};
    br_rsa_oaep_encrypt encrypt = br_rsa_oaep_encrypt_get_default();
    size_t written = encrypt(&replay.vtable, &br_sha256_vtable, address_of(label), label.len, &pk, out, n.len,
                             address_of(message), message.len);
    if (written != n.len) {
        bytes_wipe(out, n.len);
        return BYTES_E_ALGORITHM;
    }
    return BYTES_OK;
}

int crypto_rsa_oaep_decrypt(const struct crypto_rsa_private *key, struct bytes label, struct bytes cipher,
                            uint8_t *out, size_t capacity, size_t *out_len)
{
    *out_len = 0;
    if (cipher.len > CRYPTO_RSA_MAX || cipher.len != (key->modulus_bits + 7) / 8) {
        return BYTES_E_INTEGRITY;
    }

    const br_rsa_private_key sk = {
        .n_bitlen = key->modulus_bits,
        .p = without_const(key->p.p),
        .plen = key->p.len,
        .q = without_const(key->q.p),
        .qlen = key->q.len,
        .dp = without_const(key->dp.p),
        .dplen = key->dp.len,
        .dq = without_const(key->dq.p),
        .dqlen = key->dq.len,
        .iq = without_const(key->iq.p),
        .iqlen = key->iq.len,
    };
    uint8_t block[CRYPTO_RSA_MAX];
    memcpy(block, address_of(cipher), cipher.len);
    size_t len = cipher.len;
    br_rsa_oaep_decrypt decrypt = br_rsa_oaep_decrypt_get_default();
    int result = BYTES_OK;
    if (decrypt(&br_sha256_vtable, address_of(label), label.len, &sk, block, &len) != 1) {
        result = BYTES_E_INTEGRITY;
    } else if (len > capacity) {
        result = BYTES_E_SPACE;
    } else {
        memcpy(out, block, len);
        *out_len = len;
    }
    bytes_wipe(block, sizeof block);
    return result;
}

/* Append one number of a key to storage and point the span at it. False if it does not fit. */
static bool number_copy(struct bytes *to, const unsigned char *p, size_t len, uint8_t *storage,
                        size_t capacity, size_t *used)
{
    if (len > capacity - *used) {
        return false;
    }
    memcpy(storage + *used, p, len);
    *to = (struct bytes){storage + *used, len};
    *used += len;
    return true;
}

int crypto_rsa_private_decode(struct bytes der, struct crypto_rsa_private *key, uint8_t *storage,
                              size_t capacity)
{
    int result = BYTES_E_FORMAT;
    size_t used = 0;
    memset(key, 0, sizeof *key);

    br_skey_decoder_context decoder;
    br_skey_decoder_init(&decoder);
    br_skey_decoder_push(&decoder, address_of(der), der.len);
    const br_rsa_private_key *sk = br_skey_decoder_get_rsa(&decoder);
    /* BearSSL accepts any numbers, but without factors there is no key. */
    if (br_skey_decoder_last_error(&decoder) == 0 && sk != NULL && sk->plen > 0 && sk->qlen > 0 &&
        sk->n_bitlen <= 8 * CRYPTO_RSA_MAX) {
        bool fits = number_copy(&key->p, sk->p, sk->plen, storage, capacity, &used) &&
                    number_copy(&key->q, sk->q, sk->qlen, storage, capacity, &used) &&
                    number_copy(&key->dp, sk->dp, sk->dplen, storage, capacity, &used) &&
                    number_copy(&key->dq, sk->dq, sk->dqlen, storage, capacity, &used) &&
                    number_copy(&key->iq, sk->iq, sk->iqlen, storage, capacity, &used);
        key->modulus_bits = sk->n_bitlen;
        result = fits ? BYTES_OK : BYTES_E_SPACE;
    }
    if (result != BYTES_OK) {
        bytes_wipe(storage, used);
        memset(key, 0, sizeof *key);
    }
    bytes_wipe(&decoder, sizeof decoder);
    return result;
}

_Static_assert(sizeof(br_hmac_drbg_context) <= sizeof(struct crypto_drbg),
               "crypto_drbg.storage is too small");

/* The context travels by memcpy: it has no pointers into itself, and storage has another type. */
static void drbg_load(br_hmac_drbg_context *context, const struct crypto_drbg *d)
{
    memcpy(context, d->storage, sizeof *context);
}

static void drbg_store(struct crypto_drbg *d, br_hmac_drbg_context *context)
{
    memcpy(d->storage, context, sizeof *context);
    bytes_wipe(context, sizeof *context);
}

void crypto_drbg_init(struct crypto_drbg *d, struct bytes seed)
{
    br_hmac_drbg_context context = {0};
    memset(d, 0, sizeof *d);
    br_hmac_drbg_init(&context, &br_sha256_vtable, address_of(seed), seed.len);
    drbg_store(d, &context);
}

void crypto_drbg_update(struct crypto_drbg *d, struct bytes seed)
{
    br_hmac_drbg_context context;
    drbg_load(&context, d);
    br_hmac_drbg_update(&context, address_of(seed), seed.len);
    drbg_store(d, &context);
}

void crypto_drbg_generate(struct crypto_drbg *d, uint8_t *out, size_t len)
{
    br_hmac_drbg_context context;
    drbg_load(&context, d);
    br_hmac_drbg_generate(&context, out, len);
    drbg_store(d, &context);
}
