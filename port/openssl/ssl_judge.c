/* SPDX-License-Identifier: MIT */
/* Whom a client trusts, and its judgement of a server's chain. libcrypto verifies signatures, constraints and the way
 * to an anchor; here is what crypto/tls_chain.h and crypto/tls_dates.h demand besides, with the same numbers. */
#include "crypto/tls_chain.h"
#include "port/openssl/ssl.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

static void arena_sink(void *context, const void *p, size_t len)
{
    (void)crypto_arena_add(context, p, len);
}

enum crypto_pem_result crypto_ssl_certificate_next(struct crypto_pem *pem, struct crypto_arena *arena,
                                                   X509 **certificate)
{
    arena->used = 0;
    *certificate = NULL;
    const enum crypto_pem_result result = crypto_pem_next(pem, crypto_pem_is_certificate, arena_sink, arena);
    if (result == CRYPTO_PEM_FOUND) {
        const unsigned char *p = arena->p;
        X509 *read = d2i_X509(NULL, &p, (long)arena->used);
        if (read != NULL && p == arena->p + arena->used) {
            *certificate = read;
        } else {
            X509_free(read);
        }
    }
    return result;
}

bool crypto_ssl_key_usable(const EVP_PKEY *key)
{
    char group[32];
    size_t len;
    if (EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1) {
        return EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 8 * CRYPTO_RSA_MAX;
    }
    if (EVP_PKEY_is_a(key, "EC") == 1) {
        return EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1 &&
               (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0 ||
                strcmp(group, "secp521r1") == 0);
    }
    return EVP_PKEY_is_a(key, "ED25519") == 1 || EVP_PKEY_is_a(key, "ED448") == 1;
}

/* ---- Trust ---- */

/* Read every certificate of a text; count, and add those of use to anchors, unless that is null. */
static enum crypto_pem_result trust_read(struct crypto_trust *trust, X509_STORE *anchors)
{
    struct crypto_pem pem;
    enum crypto_pem_result result = CRYPTO_PEM_BROKEN;
    const struct bytes text = trust->pem;
    struct crypto_arena arena = {OPENSSL_malloc(text.len + 1), text.len, 0, false};
    X509 *certificate;
    crypto_pem_open(&pem, text);
    while (arena.p != NULL &&
           (result = crypto_ssl_certificate_next(&pem, &arena, &certificate)) == CRYPTO_PEM_FOUND) {
        if (certificate == NULL) {
            result = CRYPTO_PEM_BROKEN;
            break;
        }
        const EVP_PKEY *key = X509_get0_pubkey(certificate);
        const bool usable = key != NULL && crypto_ssl_key_usable(key);
        trust->count += usable;
        trust->skipped += !usable;
        if (usable && anchors != NULL) {
            (void)X509_STORE_add_cert(anchors, certificate);
        }
        X509_free(certificate);
    }
    OPENSSL_free(arena.p);
    ERR_clear_error();
    return result;
}

int crypto_trust_load(struct crypto_trust *trust, struct bytes pem_text)
{
    *trust = (struct crypto_trust){.pem = pem_text};
    const enum crypto_pem_result result = trust_read(trust, NULL);
    if (result == CRYPTO_PEM_NONE && trust->count > 0) {
        return BYTES_OK;
    }
    const int error = result == CRYPTO_PEM_NONE && trust->skipped > 0 ? BYTES_E_ALGORITHM : BYTES_E_FORMAT;
    memset(trust, 0, sizeof *trust);
    return error;
}

/* ---- What libcrypto says ---- */

static const struct {
    int verdict, error;
} verdicts[] = {
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, BR_ERR_X509_NOT_TRUSTED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, BR_ERR_X509_NOT_TRUSTED},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, BR_ERR_X509_NOT_TRUSTED},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, BR_ERR_X509_NOT_TRUSTED},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, BR_ERR_X509_NOT_TRUSTED},
    {X509_V_ERR_CERT_UNTRUSTED, BR_ERR_X509_NOT_TRUSTED},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, BR_ERR_X509_BAD_SIGNATURE},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, BR_ERR_X509_NOT_CA},
    {X509_V_ERR_EE_KEY_TOO_SMALL, BR_ERR_X509_WEAK_PUBLIC_KEY},
    {X509_V_ERR_CA_KEY_TOO_SMALL, BR_ERR_X509_WEAK_PUBLIC_KEY},
    {X509_V_ERR_CA_MD_TOO_WEAK, BR_ERR_X509_UNSUPPORTED},
    {X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, BR_ERR_X509_CRITICAL_EXTENSION},
};

/* libcrypto finds no CA in one whose keyUsage forbids it. */
static int verdict_number(const X509_STORE_CTX *own)
{
    const int verdict = X509_STORE_CTX_get_error(own);
    X509 *at = X509_STORE_CTX_get_current_cert(own);
    if (verdict == X509_V_ERR_INVALID_CA) {
        const bool may_sign = at != NULL && (X509_get_key_usage(at) & KU_KEY_CERT_SIGN) != 0;
        return may_sign ? BR_ERR_X509_NOT_CA : BR_ERR_X509_FORBIDDEN_KEY_USAGE;
    }
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if (verdicts[i].verdict == verdict) {
            return verdicts[i].error;
        }
    }
    return BR_ERR_X509_INVALID_VALUE;
}

/* ---- What it does not look at ---- */

/* In seconds since 1970; false if the text is malformed. */
static bool date_read(const ASN1_TIME *date, uint64_t *seconds)
{
    *seconds = crypto_tls_date_seconds((uint8_t)ASN1_STRING_type(date), ASN1_STRING_get0_data(date),
                                       (size_t)ASN1_STRING_length(date));
    return ASN1_TIME_check(date) == 1;
}

/* now: in and out. Without a clock it is moved to the beginning of what is looked at (crypto/tls_dates.h). */
static int date_error(const X509 *certificate, bool clock, uint64_t *now)
{
    uint64_t begin, end;
    if (!date_read(X509_get0_notBefore(certificate), &begin) ||
        !date_read(X509_get0_notAfter(certificate), &end)) {
        return BR_ERR_X509_BAD_TIME;
    }
    if (!clock && begin > *now) {
        *now = begin;
    }
    return *now < begin || *now > end ? BR_ERR_X509_EXPIRED : 0;
}

/* The name itself, or, for a label and a dot in front, a star and the same dot. libcrypto's own comparison has other
 * rules for stars, and takes a host that begins with a dot for any name that ends so. */
static bool name_fits(const char *name, size_t len, const char *host)
{
    const char *dot = strchr(host, '.');
    if (len > 2 && name[0] == '*' && name[1] == '.' && dot != NULL && dot > host) {
        return strlen(dot) == len - 1 && OPENSSL_strncasecmp(name + 1, dot, len - 1) == 0;
    }
    return strlen(host) == len && OPENSSL_strncasecmp(name, host, len) == 0;
}

/* Only dNSName entries count [RFC 9525 6.3]. */
static int name_error(const X509 *leaf, const char *host)
{
    int found = 0;
    bool fits = false;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, &found, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int kind;
        const ASN1_STRING *name = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        fits = fits || (kind == GEN_DNS && name_fits((const char *)ASN1_STRING_get0_data(name),
                                                     (size_t)ASN1_STRING_length(name), host));
    }
    GENERAL_NAMES_free(names);
    return found == -1 ? CRYPTO_TLS_NO_SUBJECT_ALT_NAME : fits ? 0 : BR_ERR_X509_BAD_SERVER_NAME;
}

static int leaf_error(X509 *leaf, const char *host)
{
    const bool signs = (X509_get_key_usage(leaf) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0;
    const int error = name_error(leaf, host);
    return error != 0 ? error : signs ? 0 : BR_ERR_WRONG_KEY_USAGE;
}

/* Neither of the two may be critical: what BearSSL cannot know it must refuse, and both judge alike. */
static int purpose_error(X509 *certificate)
{
    const int constraints = X509_get_ext_by_NID(certificate, NID_name_constraints, -1);
    const int purposes = X509_get_ext_by_NID(certificate, NID_ext_key_usage, -1);
    const bool server = (X509_get_extended_key_usage(certificate) & (XKU_SSL_SERVER | XKU_ANYEKU)) != 0;
    if (X509_EXTENSION_get_critical(X509_get_ext(certificate, constraints)) == 1 ||
        X509_EXTENSION_get_critical(X509_get_ext(certificate, purposes)) == 1) {
        return BR_ERR_X509_CRITICAL_EXTENSION;
    }
    if (constraints >= 0) {
        return CRYPTO_TLS_NAME_CONSTRAINTS;
    }
    return purposes >= 0 && !server ? CRYPTO_TLS_BAD_PURPOSE : 0;
}

/* Everything below the anchor, leaf first; a leaf may be its own anchor. */
static int chain_error(const STACK_OF(X509) * chain, const struct crypto_tls_client *c)
{
    const int below = sk_X509_num(chain) > 1 ? sk_X509_num(chain) - 1 : 1;
    uint64_t now = c->now != 0 ? c->now : CRYPTO_TLS_TIME_FLOOR;
    int error = leaf_error(sk_X509_value(chain, 0), c->host);
    for (int i = 0; i < below && error == 0; i++) {
        X509 *certificate = sk_X509_value(chain, i);
        const EVP_PKEY *key = X509_get0_pubkey(certificate);
        error = date_error(certificate, c->now != 0, &now);
        if (error == 0 && (key == NULL || !crypto_ssl_key_usable(key))) {
            error = key == NULL ? BR_ERR_X509_UNSUPPORTED : BR_ERR_X509_WEAK_PUBLIC_KEY;
        }
        error = error != 0 ? error : purpose_error(certificate);
    }
    return error;
}

/* ---- The judgement ---- */

static int verify(X509_STORE_CTX *own, X509_STORE *anchors, X509_STORE_CTX *given,
                  const struct crypto_tls_client *c)
{
    if (X509_STORE_CTX_init(own, anchors, X509_STORE_CTX_get0_cert(given),
                            X509_STORE_CTX_get0_untrusted(given)) != 1) {
        return BR_ERR_X509_INVALID_VALUE;
    }
    X509_VERIFY_PARAM *settings = X509_STORE_CTX_get0_param(own);
    /* Any certificate of the text ends a chain; dates are compared by chain_error. */
    X509_VERIFY_PARAM_set_flags(settings, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
    X509_VERIFY_PARAM_set_auth_level(settings, 2);
    const bool verified = X509_verify_cert(own) == 1;
    const int verdict = X509_STORE_CTX_get_error(own);
    if (verified) {
        return chain_error(X509_STORE_CTX_get0_chain(own), c);
    }
    if (verdict == X509_V_ERR_PERMITTED_VIOLATION || verdict == X509_V_ERR_EXCLUDED_VIOLATION) {
        const int error = chain_error(X509_STORE_CTX_get0_chain(own), c);
        return error != 0 ? error : CRYPTO_TLS_NAME_CONSTRAINTS; /* the anchor's */
    }
    return verdict_number(own);
}

static int judgement(X509_STORE_CTX *given, const struct crypto_tls_client *c)
{
    struct crypto_trust trust = {.pem = c->trust->pem};
    X509_STORE *anchors = X509_STORE_new();
    X509_STORE_CTX *own = X509_STORE_CTX_new();
    int error = BR_ERR_X509_NOT_TRUSTED;
    if (anchors != NULL && own != NULL && trust_read(&trust, anchors) == CRYPTO_PEM_NONE) {
        error = verify(own, anchors, given, c);
    }
    X509_STORE_CTX_free(own);
    X509_STORE_free(anchors);
    return error;
}

/* What our alert says [RFC 8446 6.2]. */
static int alert_for(int error)
{
    switch (error) {
    case BR_ERR_X509_NOT_TRUSTED:
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case BR_ERR_X509_EXPIRED:
        return X509_V_ERR_CERT_HAS_EXPIRED;
    default:
        return X509_V_ERR_CERT_REJECTED;
    }
}

int crypto_ssl_judge(X509_STORE_CTX *chain, void *client)
{
    struct crypto_tls_client *c = client;
    const X509 *leaf = X509_STORE_CTX_get0_cert(chain);
    uint64_t end = 0;
    c->not_after = leaf != NULL && date_read(X509_get0_notAfter(leaf), &end) ? end : 0;
    const int error = judgement(chain, c);
    c->engine.error = error;
    X509_STORE_CTX_set_error(chain, error == 0 ? X509_V_OK : alert_for(error));
    return error == 0;
}
