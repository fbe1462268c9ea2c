/* SPDX-License-Identifier: MIT */
/* PEM texts [RFC 7468] as people have them, for the files of this directory: one object after the other, with any text
 * between them. Lines may end in LF, CR LF or CR, and have blanks or a byte order mark around them.
 *
 * A PEM text is cut off or garbled more often than it is forged, so every object in it must be complete, even those
 * that are skipped. Whether a decoded object is one certificate or one key, no byte more and no byte less, BearSSL's
 * DER decoders check. */
#ifndef CRYPTO_TLS_PEM_H
#define CRYPTO_TLS_PEM_H

#include "crypto/crypto.h"
#include <bearssl.h>

struct crypto_pem {
    br_pem_decoder_context decoder;
    struct bytes rest; /* of the text */
    struct bytes line; /* what the decoder has not yet got of the current one */
    bool line_open;    /* the decoder has not yet got its end */
};

/* Begin. */
void crypto_pem_open(struct crypto_pem *pem, struct bytes text);

enum crypto_pem_result { CRYPTO_PEM_NONE, CRYPTO_PEM_FOUND, CRYPTO_PEM_BROKEN };
/* Give the content of the next object whose label is wanted to sink, chunk by chunk. */
enum crypto_pem_result crypto_pem_next(struct crypto_pem *pem, bool (*wanted)(const char *label),
                                       void (*sink)(void *context, const void *p, size_t len), void *context);

/* CERTIFICATE, and the older name of it [RFC 7468 5.1]. */
bool crypto_pem_is_certificate(const char *label);

/* A decoder that has failed must not be pushed again: it would go on after the error, in any state. So long as it
 * has not, it says 0 (complete, so that more is an error) or "truncated" (not yet complete). */
bool crypto_der_may_push(int error);
/* What br_x509_decoder_last_error says, as an error of ours: BYTES_E_ALGORITHM for a kind or size of key, or a curve,
 * that is not supported. */
int crypto_certificate_error(int error);

/* Bytes of unknown number into a fixed array. Full once means full for good. */
struct crypto_arena {
    uint8_t *p;
    size_t capacity;
    size_t used;
    bool full;
};
/* Returns: where they stand; null if they do not fit. */
uint8_t *crypto_arena_add(struct crypto_arena *a, const void *p, size_t len);

#endif
