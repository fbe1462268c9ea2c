/* SPDX-License-Identifier: MIT */
/* Trust anchors and server identities from PEM [RFC 7468].
 *
 * A PEM text is cut off or garbled more often than it is forged, so every object in it must be complete, even those
 * that are skipped; text between objects is a comment. Whether a decoded object is one certificate or one key, no
 * byte more and no byte less, BearSSL's DER decoders check. */
#include "crypto/tls.h"
#include <string.h>

struct pem {
    br_pem_decoder_context decoder;
    struct bytes text;
    size_t at;
    bool ended;
};

static void pem_open(struct pem *pem, struct bytes text)
{
    br_pem_decoder_init(&pem->decoder);
    pem->text = text;
    pem->at = 0;
    pem->ended = false;
}

/* The next event of the decoder; 0 at the end of the text. */
static int pem_event(struct pem *pem)
{
    for (;;) {
        int event = br_pem_decoder_event(&pem->decoder);
        if (event != 0) {
            return event;
        }
        if (pem->at < pem->text.len) {
            pem->at += br_pem_decoder_push(&pem->decoder, pem->text.p + pem->at, pem->text.len - pem->at);
        } else if (!pem->ended) {
            /* The decoder sees a line only with its end, which the last one may lack. */
            pem->ended = true;
            br_pem_decoder_push(&pem->decoder, "\n", 1);
        } else {
            return 0;
        }
    }
}

static bool is_certificate(const char *name)
{
    return strcmp(name, "CERTIFICATE") == 0;
}

/* "EC PARAMETERS", which OpenSSL writes in front of an EC key, is none of them. */
static bool is_private_key(const char *name)
{
    return strcmp(name, "PRIVATE KEY") == 0 || strcmp(name, "RSA PRIVATE KEY") == 0 ||
           strcmp(name, "EC PRIVATE KEY") == 0 || strcmp(name, "ENCRYPTED PRIVATE KEY") == 0;
}

enum pem_result { PEM_NONE, PEM_FOUND, PEM_BROKEN };

/* Give the content of the next wanted object to sink, chunk by chunk. */
static enum pem_result pem_next(struct pem *pem, bool (*wanted)(const char *name),
                                void (*sink)(void *ctx, const void *p, size_t len), void *ctx)
{
    for (;;) {
        int event = pem_event(pem);
        if (event == 0) {
            return PEM_NONE;
        }
        if (event != BR_PEM_BEGIN_OBJ) {
            return PEM_BROKEN;
        }
        bool take = wanted(br_pem_decoder_name(&pem->decoder));
        br_pem_decoder_setdest(&pem->decoder, take ? sink : NULL, ctx);
        if (pem_event(pem) != BR_PEM_END_OBJ) {
            return PEM_BROKEN;
        }
        if (take) {
            return PEM_FOUND;
        }
    }
}

/* Bytes of unknown number into a fixed array. Full once means full for good. */
struct arena {
    uint8_t *p;
    size_t capacity;
    size_t used;
    bool full;
};

static uint8_t *arena_add(struct arena *a, const void *p, size_t len)
{
    if (a->full || len > a->capacity - a->used) {
        a->full = true;
        return NULL;
    }
    uint8_t *to = a->p + a->used;
    memcpy(to, p, len);
    a->used += len;
    return to;
}

static void arena_sink(void *ctx, const void *p, size_t len)
{
    (void)arena_add(ctx, p, len);
}

/* A decoder that has failed must not be pushed again: it would go on behind the error, in any state. So long as it
 * has not, it says 0 (complete, so that more is an error) or "truncated" (not yet complete). */
static bool may_push(int error)
{
    return error == 0 || error == BR_ERR_X509_TRUNCATED;
}

static void certificate_sink(void *ctx, const void *p, size_t len)
{
    if (may_push(br_x509_decoder_last_error(ctx))) {
        br_x509_decoder_push(ctx, p, len);
    }
}

static void key_sink(void *ctx, const void *p, size_t len)
{
    if (may_push(br_skey_decoder_last_error(ctx))) {
        br_skey_decoder_push(ctx, p, len);
    }
}

/* BearSSL says "unsupported" for a key type or curve that it does not know. */
static int certificate_error(int error)
{
    if (error == 0) {
        return BYTES_OK;
    }
    return error == BR_ERR_X509_UNSUPPORTED ? BYTES_E_ALGORITHM : BYTES_E_FORMAT;
}

/* Make a trust anchor of a decoded certificate, whose subject is already in the arena from dn_at on. */
static int anchor_add(struct crypto_trust *trust, br_x509_decoder_context *certificate, struct arena *a,
                      size_t dn_at)
{
    int error = certificate_error(br_x509_decoder_last_error(certificate));
    if (error != BYTES_OK) {
        return error;
    }
    if (trust->count == CRYPTO_TRUST_ANCHORS_MAX) {
        return BYTES_E_LIMIT;
    }

    br_x509_trust_anchor anchor = {.dn = {a->p + dn_at, a->used - dn_at}};
    /* Without the flag the anchor vouches for itself only: a self-signed server certificate. */
    if (br_x509_decoder_isCA(certificate)) {
        anchor.flags = BR_X509_TA_CA;
    }
    anchor.pkey = *br_x509_decoder_get_pkey(certificate);
    if (anchor.pkey.key_type == BR_KEYTYPE_RSA) {
        br_rsa_public_key *rsa = &anchor.pkey.key.rsa;
        rsa->n = arena_add(a, rsa->n, rsa->nlen);
        rsa->e = arena_add(a, rsa->e, rsa->elen);
    } else {
        br_ec_public_key *ec = &anchor.pkey.key.ec;
        ec->q = arena_add(a, ec->q, ec->qlen);
    }
    if (a->full) {
        return BYTES_E_LIMIT;
    }
    trust->anchors[trust->count++] = anchor;
    return BYTES_OK;
}

int crypto_trust_load(struct crypto_trust *trust, struct bytes pem_text)
{
    struct arena a = {trust->storage, sizeof trust->storage, 0, false};
    struct pem pem;
    int error = BYTES_OK;
    trust->count = 0;
    pem_open(&pem, pem_text);
    for (;;) {
        br_x509_decoder_context certificate;
        size_t dn_at = a.used;
        br_x509_decoder_init(&certificate, arena_sink, &a);
        enum pem_result result = pem_next(&pem, is_certificate, certificate_sink, &certificate);
        if (result == PEM_NONE) {
            error = trust->count > 0 ? BYTES_OK : BYTES_E_FORMAT;
            break;
        }
        error = result == PEM_FOUND ? anchor_add(trust, &certificate, &a, dn_at) : BYTES_E_FORMAT;
        if (error != BYTES_OK) {
            break;
        }
    }
    trust->used = a.used;
    if (error != BYTES_OK) {
        memset(trust, 0, sizeof *trust);
    }
    return error;
}

/* Read the chain's certificates as DER into the arena. */
static int chain_load(struct crypto_identity *identity, struct bytes text, struct arena *a)
{
    struct pem pem;
    pem_open(&pem, text);
    for (;;) {
        size_t at = a->used;
        enum pem_result result = pem_next(&pem, is_certificate, arena_sink, a);
        if (result == PEM_NONE) {
            return identity->chain_len > 0 ? BYTES_OK : BYTES_E_FORMAT;
        }
        if (result == PEM_BROKEN) {
            return BYTES_E_FORMAT;
        }
        if (a->full || identity->chain_len == CRYPTO_CHAIN_MAX) {
            return BYTES_E_LIMIT;
        }

        br_x509_decoder_context certificate;
        br_x509_decoder_init(&certificate, NULL, NULL);
        br_x509_decoder_push(&certificate, a->p + at, a->used - at);
        int error = certificate_error(br_x509_decoder_last_error(&certificate));
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
static int key_copy(struct crypto_identity *identity, const br_skey_decoder_context *key, struct arena *a)
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
        rsa->p = arena_add(a, rsa->p, rsa->plen);
        rsa->q = arena_add(a, rsa->q, rsa->qlen);
        rsa->dp = arena_add(a, rsa->dp, rsa->dplen);
        rsa->dq = arena_add(a, rsa->dq, rsa->dqlen);
        rsa->iq = arena_add(a, rsa->iq, rsa->iqlen);
    } else {
        br_ec_private_key *ec = &identity->ec;
        *ec = *br_skey_decoder_get_ec(key);
        if (ec->curve != BR_EC_secp256r1 && ec->curve != BR_EC_secp384r1) {
            return BYTES_E_ALGORITHM;
        }
        ec->x = arena_add(a, ec->x, ec->xlen);
    }
    return a->full ? BYTES_E_LIMIT : BYTES_OK;
}

/* Read the one private key of a PEM text. */
static int key_load(struct crypto_identity *identity, struct bytes text, struct arena *a)
{
    struct pem pem;
    br_skey_decoder_context key;
    pem_open(&pem, text);
    br_skey_decoder_init(&key);
    int error = BYTES_E_FORMAT;
    /* Exactly one: with two it would be chance which is used. */
    const bool found = pem_next(&pem, is_private_key, key_sink, &key) == PEM_FOUND;
    if (found && pem_next(&pem, is_private_key, key_sink, &key) == PEM_NONE) {
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
    struct arena a = {identity->storage, sizeof identity->storage, 0, false};
    int error = chain_load(identity, chain_pem, &a);
    if (error == BYTES_OK) {
        error = key_load(identity, key_pem, &a);
    }
    if (error == BYTES_OK && !key_fits(identity)) {
        error = BYTES_E_USAGE;
    }
    identity->used = a.used;
    if (error != BYTES_OK) {
        bytes_wipe(identity, sizeof *identity);
    }
    return error;
}
