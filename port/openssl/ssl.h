/* SPDX-License-Identifier: MIT */
/* What the files of TLS on libssl share. */
#ifndef PORT_OPENSSL_SSL_H
#define PORT_OPENSSL_SSL_H

#include "crypto/tls.h"
#include "crypto/tls_pem.h"
#include <openssl/ssl.h>

/* ---- ssl.c: what both sides have in common. Null if there is no memory. */
SSL_CTX *crypto_ssl_context_new(const SSL_METHOD *method);

/* ---- ssl_judge.c ---- */

/* Take the next certificate of a text into arena, which needs as much room as the text. *certificate: null unless it is
 * one certificate and nothing after it; the caller frees it. */
enum crypto_pem_result crypto_ssl_certificate_next(struct crypto_pem *pem, struct crypto_arena *arena,
                                                   X509 **certificate);
/* Is its key of a kind and size that may be used? */
bool crypto_ssl_key_usable(const EVP_PKEY *key);
/* Judge a server's chain: libssl's callback for a struct crypto_tls_client. */
int crypto_ssl_judge(X509_STORE_CTX *chain, void *client);

/* ---- ssl_tickets.c: libssl's callback for tickets. */
int crypto_ssl_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int make);

#endif
