/* SPDX-License-Identifier: MIT */
#include "crypto/tls_pem.h"
#include <string.h>

void crypto_pem_open(struct crypto_pem *pem, struct bytes text)
{
    memset(pem, 0, sizeof *pem);
    br_pem_decoder_init(&pem->decoder);
    pem->rest = text;
}

/* Nothing that PEM is made of: blanks, and the bytes of a byte order mark. */
static bool is_around(uint8_t c)
{
    return c <= ' ' || c >= 0x7f;
}

/* BearSSL's decoder knows lines by LF, and labels only without anything around them. */
static bool next_line(struct crypto_pem *pem)
{
    struct bytes line = {pem->rest.p, 0};
    if (pem->rest.len == 0) {
        return false;
    }
    while (line.len < pem->rest.len && line.p[line.len] != '\n' && line.p[line.len] != '\r') {
        line.len++;
    }
    const size_t taken = line.len < pem->rest.len ? line.len + 1 : line.len;
    pem->rest = (struct bytes){pem->rest.p + taken, pem->rest.len - taken};
    while (line.len > 0 && is_around(line.p[0])) {
        line = (struct bytes){line.p + 1, line.len - 1};
    }
    while (line.len > 0 && is_around(line.p[line.len - 1])) {
        line.len--;
    }
    pem->line = line;
    pem->line_open = true;
    return true;
}

/* The next event of the decoder; 0 at the end of the text. */
static int pem_event(struct crypto_pem *pem)
{
    for (;;) {
        const int event = br_pem_decoder_event(&pem->decoder);
        if (event != 0) {
            return event;
        }
        if (pem->line.len > 0) {
            const size_t len = br_pem_decoder_push(&pem->decoder, pem->line.p, pem->line.len);
            pem->line = (struct bytes){pem->line.p + len, pem->line.len - len};
        } else if (pem->line_open) {
            pem->line_open = br_pem_decoder_push(&pem->decoder, "\n", 1) == 0;
        } else if (!next_line(pem)) {
            return 0;
        }
    }
}

enum crypto_pem_result crypto_pem_next(struct crypto_pem *pem, bool (*wanted)(const char *label),
                                       void (*sink)(void *context, const void *p, size_t len), void *context)
{
    for (;;) {
        const int event = pem_event(pem);
        if (event == 0) {
            return CRYPTO_PEM_NONE;
        }
        if (event != BR_PEM_BEGIN_OBJ) {
            return CRYPTO_PEM_BROKEN;
        }
        const bool take = wanted(br_pem_decoder_name(&pem->decoder));
        br_pem_decoder_setdest(&pem->decoder, take ? sink : NULL, context);
        if (pem_event(pem) != BR_PEM_END_OBJ) {
            return CRYPTO_PEM_BROKEN;
        }
        if (take) {
            return CRYPTO_PEM_FOUND;
        }
    }
}

bool crypto_pem_is_certificate(const char *label)
{
    return strcmp(label, "CERTIFICATE") == 0 || strcmp(label, "X509 CERTIFICATE") == 0;
}

bool crypto_der_may_push(int error)
{
    return error == 0 || error == BR_ERR_X509_TRUNCATED;
}

int crypto_certificate_error(int error)
{
    if (error == 0) {
        return BYTES_OK;
    }
    return error == BR_ERR_X509_UNSUPPORTED || error == BR_ERR_X509_LIMIT_EXCEEDED ? BYTES_E_ALGORITHM
                                                                                   : BYTES_E_FORMAT;
}

uint8_t *crypto_arena_add(struct crypto_arena *a, const void *p, size_t len)
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
