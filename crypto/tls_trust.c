/* SPDX-License-Identifier: MIT */
/* Trust anchors, found in their text when a chain names them. */
#include "crypto/tls_trust.h"
#include "crypto/tls_pem.h"
#include <string.h>

/* A certificate of the text. Its subject goes into the arena, from dn_at on, and into the digest. */
struct candidate {
    br_x509_decoder_context decoder;
    br_sha256_context subject;
    struct crypto_arena *arena;
    size_t dn_at;
};

static void subject_sink(void *context, const void *p, size_t len)
{
    struct candidate *c = context;
    br_sha256_update(&c->subject, p, len);
    (void)crypto_arena_add(c->arena, p, len);
}

static void candidate_sink(void *context, const void *p, size_t len)
{
    struct candidate *c = context;
    if (crypto_der_may_push(br_x509_decoder_last_error(&c->decoder))) {
        br_x509_decoder_push(&c->decoder, p, len);
    }
}

static enum crypto_pem_result next_candidate(struct crypto_pem *pem, struct candidate *c,
                                             struct crypto_arena *arena)
{
    br_x509_decoder_init(&c->decoder, subject_sink, c);
    br_sha256_init(&c->subject);
    c->arena = arena;
    c->dn_at = arena->used;
    return crypto_pem_next(pem, crypto_pem_is_certificate, candidate_sink, c);
}

int crypto_trust_load(struct crypto_trust *trust, struct bytes pem_text)
{
    struct crypto_pem pem;
    struct candidate c;
    enum crypto_pem_result result;
    struct crypto_arena nothing = {0}; /* names are not kept */
    *trust = (struct crypto_trust){.pem = pem_text};
    crypto_pem_open(&pem, pem_text);
    while ((result = next_candidate(&pem, &c, &nothing)) == CRYPTO_PEM_FOUND) {
        const int error = crypto_certificate_error(br_x509_decoder_last_error(&c.decoder));
        if (error == BYTES_E_FORMAT) {
            result = CRYPTO_PEM_BROKEN;
            break;
        }
        trust->skipped += error == BYTES_E_ALGORITHM;
        trust->count += error == BYTES_OK;
    }
    if (result == CRYPTO_PEM_NONE && trust->count > 0) {
        return BYTES_OK;
    }
    const int error = result == CRYPTO_PEM_NONE && trust->skipped > 0 ? BYTES_E_ALGORITHM : BYTES_E_FORMAT;
    memset(trust, 0, sizeof *trust);
    return error;
}

/* Make a trust anchor of a candidate, whose subject is already in the arena. */
static int anchor_add(struct crypto_anchors *anchors, struct candidate *c, const br_x509_pkey *key)
{
    struct crypto_arena *a = c->arena;
    if (anchors->count == CRYPTO_TRUST_ANCHORS_MAX) {
        return BYTES_E_LIMIT;
    }
    br_x509_trust_anchor anchor = {.dn = {a->p + c->dn_at, a->used - c->dn_at}};
    /* Without the flag the anchor vouches for itself only: a self-signed server certificate. */
    if (br_x509_decoder_isCA(&c->decoder)) {
        anchor.flags = BR_X509_TA_CA;
    }
    anchor.pkey = *key;
    if (anchor.pkey.key_type == BR_KEYTYPE_RSA) {
        br_rsa_public_key *rsa = &anchor.pkey.key.rsa;
        rsa->n = crypto_arena_add(a, rsa->n, rsa->nlen);
        rsa->e = crypto_arena_add(a, rsa->e, rsa->elen);
    } else {
        br_ec_public_key *ec = &anchor.pkey.key.ec;
        ec->q = crypto_arena_add(a, ec->q, ec->qlen);
    }
    if (a->full) {
        return BYTES_E_LIMIT;
    }
    anchors->slots[anchors->count++] = anchor;
    return BYTES_OK;
}

/* The rule of BearSSL's validator: an anchor that is a CA is found by the issuer's name, any other one by its own. */
static bool is_named(struct candidate *c, const struct crypto_chain_names *names)
{
    uint8_t subject[CRYPTO_SHA256_SIZE];
    br_sha256_out(&c->subject, subject);
    const uint8_t *named = br_x509_decoder_isCA(&c->decoder) ? names->issuer : names->subject;
    return memcmp(subject, named, sizeof subject) == 0;
}

int crypto_trust_find(const struct crypto_trust *trust, const struct crypto_chain_names *names,
                      struct crypto_anchors *anchors)
{
    struct crypto_pem pem;
    struct candidate c;
    struct crypto_arena arena = {anchors->storage, sizeof anchors->storage, 0, false};
    int error = BYTES_OK;
    memset(anchors, 0, sizeof *anchors);
    crypto_pem_open(&pem, trust->pem);
    while (error == BYTES_OK && next_candidate(&pem, &c, &arena) == CRYPTO_PEM_FOUND) {
        const br_x509_pkey *key = br_x509_decoder_get_pkey(&c.decoder); /* null: not a certificate for us */
        if (key != NULL && is_named(&c, names)) {
            error = anchor_add(anchors, &c, key);
        } else {
            arena.used = c.dn_at;
            arena.full = false;
        }
    }
    if (error != BYTES_OK) {
        memset(anchors, 0, sizeof *anchors);
    }
    return error;
}
