/* SPDX-License-Identifier: MIT */
#include "port/posix/paste/ek_certificate.h"
#include "crypto/bytes/bytes.h"
#include "port/posix/pki/pem.h"
#include <stdio.h>
#include <string.h>

/* An EK decrypts and signs nothing, not even its own certificate: whatever signs is not the TPM's. */
static bool is_issuer(const struct crypto_certificate *c)
{
    return c->ca || c->self_signed;
}

static bool is_candidate(const struct crypto_certificate *c)
{
    return !is_issuer(c) && crypto_key_is_rsa(c->key.kind);
}

static bool is_rsa_2048(const struct crypto_certificate *c)
{
    return c->key.rsa.modulus.len == 256;
}

static bool same_key(const struct crypto_certificate *a, const struct crypto_certificate *b)
{
    return a->key.rsa.exponent == b->key.rsa.exponent &&
           bytes_equal_public(a->key.rsa.modulus, b->key.rsa.modulus);
}

/* The next certificate; false at the end, or where something else begins. */
static bool next(struct bytes *ders, struct crypto_certificate *c)
{
    if (crypto_certificate_parse(*ders, c) != 0) {
        return false;
    }
    const uint8_t *after = c->der.p + c->der.len;
    *ders = bytes_of(after, ders->len - (size_t)(after - ders->p));
    return true;
}

static int refuse_several(struct bytes ders, const struct crypto_certificate *ek, char *why, size_t why_size)
{
    struct crypto_certificate c;
    size_t len = (size_t)snprintf(why, why_size, "EK certificates for different keys:");
    const char *between = " ";
    while (next(&ders, &c)) {
        char text[PKI_CERTIFICATE_TEXT_MAX];
        if (is_candidate(&c) && is_rsa_2048(&c) == is_rsa_2048(ek) && len < why_size) {
            pki_certificate_text(&c, text);
            len += (size_t)snprintf(why + len, why_size - len, "%s%s", between, text);
            between = "; ";
        }
    }
    if (len < why_size) {
        snprintf(why + len, why_size - len, ". Give only that of this TPM");
    }
    return BYTES_E_FORMAT;
}

/* Nothing but CAs and keys of other kinds: name the first that is not a CA. */
static int refuse_none(struct bytes ders, char *why, size_t why_size)
{
    struct crypto_certificate c, shown = {0};
    char text[PKI_CERTIFICATE_TEXT_MAX];
    while (next(&ders, &c)) {
        if (shown.der.len == 0 || (is_issuer(&shown) && !is_issuer(&c))) {
            shown = c;
        }
    }
    pki_certificate_text(&shown, text);
    if (!is_issuer(&shown)) {
        snprintf(
            why, why_size,
            "it is for %s key, %s, and DPS works with RSA-2048 endorsement keys only (tpm2_createek -G rsa; "
            "the RSA EK certificate is in NV 0x01c00002)",
            crypto_key_is_ec(shown.key.kind) ? "an elliptic-curve" : "another kind of", text);
        return BYTES_E_ALGORITHM;
    }
    snprintf(why, why_size,
             "it is that of %s, %s, and not that of a TPM: give the EK certificate itself (dps-device ek "
             "--certificate FILE reads it from the TPM)",
             shown.ca ? "a CA" : "something that has signed itself", text);
    return BYTES_E_FORMAT;
}

int ek_certificate(struct bytes ders, struct crypto_certificate *ek, size_t *number, size_t *count, char *why,
                   size_t why_size)
{
    struct crypto_certificate c;
    struct bytes rest = ders;
    bool several = false;
    *count = *number = 0;
    while (next(&rest, &c)) {
        ++*count;
        if (!is_candidate(&c)) {
            continue;
        }
        const bool better = *number == 0 || (is_rsa_2048(&c) && !is_rsa_2048(ek));
        if (better) {
            *ek = c;
            *number = *count;
            several = false;
        } else if (is_rsa_2048(&c) == is_rsa_2048(ek) && !same_key(&c, ek)) {
            several = true;
        }
    }
    if (*count == 0 || (rest.len > 0 && rest.p[0] == 0x30)) {
        snprintf(why, why_size, "certificate %zu is damaged or cut off", *count + 1);
        return BYTES_E_FORMAT;
    }
    if (*number == 0) {
        return refuse_none(ders, why, why_size);
    }
    return several ? refuse_several(ders, ek, why, why_size) : 0;
}
