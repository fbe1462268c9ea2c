/* SPDX-License-Identifier: MIT */
/* A server's identity: its certificate chain and private key. */
#include "crypto/tls_identity.h"
#include "crypto/tls_pem.h"
#include <string.h>

/* "EC PARAMETERS", which OpenSSL writes in front of an EC key, is none of them. */
static bool is_private_key(const char *label)
{
    return strcmp(label, "PRIVATE KEY") == 0 || strcmp(label, "RSA PRIVATE KEY") == 0 ||
           strcmp(label, "EC PRIVATE KEY") == 0 || strcmp(label, "ENCRYPTED PRIVATE KEY") == 0;
}

static void arena_sink(void *context, const void *p, size_t len)
{
    (void)crypto_arena_add(context, p, len);
}

static void key_sink(void *context, const void *p, size_t len)
{
    if (crypto_der_may_push(br_skey_decoder_last_error(context))) {
        br_skey_decoder_push(context, p, len);
    }
}

/* Read the chain's certificates as DER into the arena. */
static int chain_load(struct crypto_identity *identity, struct bytes text, struct crypto_arena *a)
{
    struct crypto_pem pem;
    crypto_pem_open(&pem, text);
    for (;;) {
        size_t at = a->used;
        enum crypto_pem_result result = crypto_pem_next(&pem, crypto_pem_is_certificate, arena_sink, a);
        if (result == CRYPTO_PEM_NONE) {
            return identity->chain_len > 0 ? BYTES_OK : BYTES_E_FORMAT;
        }
        if (result == CRYPTO_PEM_BROKEN) {
            return BYTES_E_FORMAT;
        }
        if (a->full || identity->chain_len == CRYPTO_CHAIN_MAX) {
            return BYTES_E_LIMIT;
        }

        br_x509_decoder_context certificate;
        br_x509_decoder_init(&certificate, NULL, NULL);
        br_x509_decoder_push(&certificate, a->p + at, a->used - at);
        int error = crypto_certificate_error(br_x509_decoder_last_error(&certificate));
        if (error != BYTES_OK) {
            return error;
        }
        if (identity->chain_len == 0) {
            identity->issuer_key_type = (unsigned)br_x509_decoder_get_signer_key_type(&certificate);
        }
        identity->chain[identity->chain_len++] = (br_x509_certificate){a->p + at, a->used - at};
    }
}

/* Copy a decoded key into the arena. */
static int key_copy(struct crypto_identity *identity, const br_skey_decoder_context *key,
                    struct crypto_arena *a)
{
    if (br_skey_decoder_last_error(key) != 0) {
        return BYTES_E_FORMAT;
    }
    identity->key_type = br_skey_decoder_key_type(key);
    if (identity->key_type == BR_KEYTYPE_RSA) {
        br_rsa_private_key *rsa = &identity->rsa;
        *rsa = *br_skey_decoder_get_rsa(key);
        if (rsa->n_bitlen < 2048 || rsa->n_bitlen > 8 * CRYPTO_RSA_MAX) {
            return BYTES_E_ALGORITHM;
        }
        rsa->p = crypto_arena_add(a, rsa->p, rsa->plen);
        rsa->q = crypto_arena_add(a, rsa->q, rsa->qlen);
        rsa->dp = crypto_arena_add(a, rsa->dp, rsa->dplen);
        rsa->dq = crypto_arena_add(a, rsa->dq, rsa->dqlen);
        rsa->iq = crypto_arena_add(a, rsa->iq, rsa->iqlen);
    } else {
        br_ec_private_key *ec = &identity->ec;
        *ec = *br_skey_decoder_get_ec(key);
        if (ec->curve != BR_EC_secp256r1 && ec->curve != BR_EC_secp384r1) {
            return BYTES_E_ALGORITHM;
        }
        ec->x = crypto_arena_add(a, ec->x, ec->xlen);
    }
    return a->full ? BYTES_E_LIMIT : BYTES_OK;
}

/* Read the one private key of a PEM text. */
static int key_load(struct crypto_identity *identity, struct bytes text, struct crypto_arena *a)
{
    struct crypto_pem pem;
    br_skey_decoder_context key;
    crypto_pem_open(&pem, text);
    br_skey_decoder_init(&key);
    int error = BYTES_E_FORMAT;
    /* Exactly one: with two it would be chance which one is used. */
    const bool found = crypto_pem_next(&pem, is_private_key, key_sink, &key) == CRYPTO_PEM_FOUND;
    if (found && crypto_pem_next(&pem, is_private_key, key_sink, &key) == CRYPTO_PEM_NONE) {
        error = key_copy(identity, &key, a);
    }
    bytes_wipe(&key, sizeof key);
    bytes_wipe(&pem, sizeof pem);
    return error;
}

static bool rsa_key_fits(const br_rsa_private_key *sk, const br_rsa_public_key *pk)
{
    unsigned char n[CRYPTO_RSA_MAX];
    br_rsa_compute_modulus modulus = br_rsa_compute_modulus_get_default();
    size_t len = modulus(NULL, sk);
    return len > 0 && len <= sizeof n && modulus(n, sk) == len && len == pk->nlen &&
           memcmp(n, pk->n, len) == 0;
}

static bool ec_key_fits(const br_ec_private_key *sk, const br_ec_public_key *pk)
{
    unsigned char point[BR_EC_KBUF_PUB_MAX_SIZE];
    br_ec_public_key made;
    size_t len = br_ec_compute_pub(br_ec_get_default(), &made, point, sk);
    return len > 0 && made.curve == pk->curve && made.qlen == pk->qlen &&
           memcmp(made.q, pk->q, pk->qlen) == 0;
}

/* Whether the private key is that of the first certificate. Otherwise every client would fail, and see nothing but a
 * wrong signature. */
static bool key_fits(const struct crypto_identity *identity)
{
    br_x509_decoder_context leaf;
    br_x509_decoder_init(&leaf, NULL, NULL);
    br_x509_decoder_push(&leaf, identity->chain[0].data, identity->chain[0].data_len);
    const br_x509_pkey *pkey = br_x509_decoder_get_pkey(&leaf);
    if (pkey == NULL || pkey->key_type != identity->key_type) {
        return false;
    }
    return identity->key_type == BR_KEYTYPE_RSA ? rsa_key_fits(&identity->rsa, &pkey->key.rsa)
                                                : ec_key_fits(&identity->ec, &pkey->key.ec);
}

int crypto_identity_load(struct crypto_identity *identity, struct bytes chain_pem, struct bytes key_pem)
{
    bytes_wipe(identity, sizeof *identity);
    struct crypto_arena a = {identity->storage, sizeof identity->storage, 0, false};
    int error = chain_load(identity, chain_pem, &a);
    if (error == BYTES_OK) {
        error = key_load(identity, key_pem, &a);
    }
    if (error == BYTES_OK && !key_fits(identity)) {
        error = BYTES_E_USAGE;
    }
    if (error != BYTES_OK) {
        bytes_wipe(identity, sizeof *identity);
    }
    return error;
}

void crypto_identity_wipe(struct crypto_identity *identity)
{
    bytes_wipe(identity, sizeof *identity);
}
