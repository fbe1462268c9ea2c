/* SPDX-License-Identifier: MIT */
/* A server's identity, as libssl holds it. */
#include "crypto/tls_identity.h"
#include "port/openssl/ssl.h"
#include <openssl/err.h>
#include <string.h>

static bool is_private_key(const char *label)
{
    return strcmp(label, "PRIVATE KEY") == 0 || strcmp(label, "RSA PRIVATE KEY") == 0 ||
           strcmp(label, "EC PRIVATE KEY") == 0 || strcmp(label, "ENCRYPTED PRIVATE KEY") == 0;
}

static void arena_sink(void *context, const void *p, size_t len)
{
    (void)crypto_arena_add(context, p, len);
}

static int chain_add(SSL_CTX *context, X509 *certificate, size_t at)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    if (key == NULL || !crypto_ssl_key_usable(key)) {
        return BYTES_E_ALGORITHM;
    }
    const bool added = at == 0 ? SSL_CTX_use_certificate(context, certificate) == 1
                               : SSL_CTX_add1_chain_cert(context, certificate) == 1;
    return added ? BYTES_OK : BYTES_E_ALGORITHM;
}

static int chain_load(struct crypto_identity *identity, struct bytes text, struct crypto_arena *a)
{
    struct crypto_pem pem;
    int error = BYTES_OK;
    crypto_pem_open(&pem, text);
    while (error == BYTES_OK) {
        X509 *certificate = NULL;
        const enum crypto_pem_result result = crypto_ssl_certificate_next(&pem, a, &certificate);
        if (result == CRYPTO_PEM_NONE) {
            return identity->chain_len > 0 ? BYTES_OK : BYTES_E_FORMAT;
        }
        if (result == CRYPTO_PEM_BROKEN || certificate == NULL) {
            error = BYTES_E_FORMAT;
        } else if (identity->chain_len == CRYPTO_CHAIN_MAX) {
            error = BYTES_E_LIMIT;
        } else {
            error = chain_add(identity->context, certificate, identity->chain_len++);
        }
        X509_free(certificate);
    }
    return error;
}

static EVP_PKEY *key_decode(const struct crypto_arena *a)
{
    const unsigned char *p = a->p;
    EVP_PKEY *key = a->used > 0 ? d2i_AutoPrivateKey(NULL, &p, (long)a->used) : NULL;
    if (key != NULL && p != a->p + a->used) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

/* The one private key of a text: with two it would be chance which one is used. */
static int key_load(struct crypto_identity *identity, struct bytes text, struct crypto_arena *a)
{
    struct crypto_pem pem;
    a->used = 0;
    crypto_pem_open(&pem, text);
    const bool one = crypto_pem_next(&pem, is_private_key, arena_sink, a) == CRYPTO_PEM_FOUND &&
                     crypto_pem_next(&pem, is_private_key, NULL, NULL) == CRYPTO_PEM_NONE;
    bytes_wipe(&pem, sizeof pem);
    EVP_PKEY *key = one ? key_decode(a) : NULL;
    int error = key == NULL ? BYTES_E_FORMAT : !crypto_ssl_key_usable(key) ? BYTES_E_ALGORITHM : BYTES_OK;
    /* libssl compares it with the certificate. */
    if (error == BYTES_OK && (SSL_CTX_use_PrivateKey(identity->context, key) != 1 ||
                              SSL_CTX_check_private_key(identity->context) != 1)) {
        error = BYTES_E_USAGE;
    }
    EVP_PKEY_free(key);
    return error;
}

static SSL_CTX *context_new(void)
{
    SSL_CTX *context = crypto_ssl_context_new(TLS_server_method());
    if (context == NULL || SSL_CTX_set_num_tickets(context, 1) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context, crypto_ssl_ticket) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

int crypto_identity_load(struct crypto_identity *identity, struct bytes chain_pem, struct bytes key_pem)
{
    const size_t longest = chain_pem.len > key_pem.len ? chain_pem.len : key_pem.len;
    struct crypto_arena a = {OPENSSL_malloc(longest + 1), longest, 0, false};
    *identity = (struct crypto_identity){.context = context_new()};
    int error = a.p == NULL || identity->context == NULL ? BYTES_E_LIMIT : BYTES_OK;
    if (error == BYTES_OK) {
        error = chain_load(identity, chain_pem, &a);
    }
    if (error == BYTES_OK) {
        error = key_load(identity, key_pem, &a);
    }
    OPENSSL_clear_free(a.p, longest + 1);
    if (error != BYTES_OK) {
        crypto_identity_wipe(identity);
    }
    ERR_clear_error();
    return error;
}

void crypto_identity_wipe(struct crypto_identity *identity)
{
    SSL_CTX_free(identity->context);
    bytes_wipe(identity, sizeof *identity);
}
