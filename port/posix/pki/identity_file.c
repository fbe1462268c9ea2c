/* SPDX-License-Identifier: MIT */
/* Why a server's certificate and key were refused: which file, what is wrong with it, what to do. */
#include "crypto/tls_identity.h"
#include "port/posix/pki/pem.h"
#include "port/posix/posix.h"
#include <stdio.h>
#include <string.h>

static bool is_key(const char *label)
{
    return strstr(label, "PRIVATE KEY") != NULL;
}

/* Counts the objects of one kind; *first is the first of them, *other the first of another kind. */
static size_t count(struct bytes text, bool (*wanted)(const char *label), struct pem *first,
                    struct pem *other)
{
    struct pem object;
    size_t found = 0;
    memset(first, 0, sizeof *first);
    memset(other, 0, sizeof *other);
    while (pem_next(&text, &object) == 0) {
        if (wanted(object.label)) {
            *first = found++ == 0 ? object : *first;
        } else if (other->label[0] == 0) {
            *other = object;
        }
    }
    return found;
}

/* Returns: 0, or the length of a sentence about a file that lacks what it should hold. */
static bool says_missing(const char *path, const char *wanted, struct bytes text, const struct pem *other,
                         char *why, size_t why_size)
{
    struct pem object;
    int error;
    while ((error = pem_next(&text, &object)) == 0) {
    }
    const char *what = pem_what(other->label);
    if (error == BYTES_E_FORMAT) {
        snprintf(why, why_size, "%s is cut off: there is no -----END %s----- line", path, object.label);
    } else if (what != NULL) {
        snprintf(why, why_size, "%s holds no %s; it is %s", path, wanted, what);
    } else {
        snprintf(why, why_size, "%s holds no %s: it must be PEM (-----BEGIN ...-----) or DER", path, wanted);
    }
    return true;
}

/* The certificate of a chain that carries the key, although it is not the first one. */
static size_t which_fits(struct bytes chain, struct bytes key_text)
{
    static struct crypto_identity identity;
    struct pem object;
    size_t number = 0, fits = 0;
    while (pem_next(&chain, &object) == 0) {
        if (crypto_pem_is_certificate(object.label)) {
            number++;
            if (fits == 0 && crypto_identity_load(&identity, object.whole, key_text) == 0) {
                fits = number;
            }
            crypto_identity_wipe(&identity);
        }
    }
    return fits;
}

static bool parse(const struct pem *object, struct crypto_certificate *c, uint8_t *der, size_t capacity)
{
    size_t len;
    return pem_decode(object, der, capacity, &len) == 0 &&
           crypto_certificate_parse(bytes_of(der, len), c) == 0;
}

/* The first certificate of the chain that is damaged, or whose key is of no supported kind. */
static bool says_chain(const char *path, struct bytes chain, char *why, size_t why_size)
{
    uint8_t der[CRYPTO_CHAIN_STORAGE];
    struct pem object;
    size_t number = 0;
    while (pem_next(&chain, &object) == 0) {
        struct crypto_trust one;
        struct crypto_certificate c;
        char text[PKI_CERTIFICATE_TEXT_MAX];
        if (!crypto_pem_is_certificate(object.label)) {
            continue;
        }
        number++;
        const int error = crypto_trust_load(&one, object.whole);
        if (error == 0) {
            continue;
        }
        const bool readable = parse(&object, &c, der, sizeof der);
        if (error == BYTES_E_FORMAT || !readable) {
            snprintf(why, why_size, "%s: certificate %zu is damaged: get it again from its source", path,
                     number);
            return true;
        }
        pki_certificate_text(&c, text);
        snprintf(why, why_size,
                 "%s: certificate %zu, %s, has a key that is not supported: " CRYPTO_TLS_OWN_KEYS " are",
                 path, number, text);
        return true;
    }
    return false;
}

static bool says_key(const char *path, const struct pem *key, int error, char *why, size_t why_size)
{
    static const char proc_type[] = "ENCRYPTED"; /* Proc-Type: 4,ENCRYPTED [RFC 1421 4.6.1.1] */
    const bool plain = strcmp(key->label, "PRIVATE KEY") == 0 || strcmp(key->label, "RSA PRIVATE KEY") == 0 ||
                       strcmp(key->label, "EC PRIVATE KEY") == 0;
    if (!plain && pem_what(key->label) != NULL) {
        snprintf(why, why_size, "%s holds %s", path, pem_what(key->label));
    } else if (memmem(key->body.p, key->body.len, proc_type, strlen(proc_type)) != NULL) {
        snprintf(why, why_size, "%s holds %s", path, pem_what("ENCRYPTED PRIVATE KEY"));
    } else if (error == BYTES_E_ALGORITHM || plain) {
        snprintf(why, why_size,
                 "%s: the key is %sof another kind than " CRYPTO_TLS_OWN_KEYS ", which are supported", path,
                 error == BYTES_E_ALGORITHM ? "" : "damaged, or ");
    } else {
        snprintf(why, why_size, "%s holds a %s, which is not supported", path, key->label);
    }
    return true;
}

/* What remains: each text is correct by itself. */
static void says_pair(int error, const char *certificate, struct bytes chain, const char *key,
                      struct bytes key_text, char *why, size_t why_size)
{
    const size_t fits = error == BYTES_E_USAGE ? which_fits(chain, key_text) : 0;
    if (fits != 0) {
        snprintf(why, why_size, "%s: the key of %s is that of certificate %zu: put that one first",
                 certificate, key, fits);
    } else if (error == BYTES_E_USAGE) {
        snprintf(why, why_size, "the key of %s is not that of the first certificate of %s", key, certificate);
    } else if (error == BYTES_E_LIMIT) {
        snprintf(
            why, why_size,
            "%s: the chain is too long: at most %d certificates, %d bytes with the key; leave the root out",
            certificate, CRYPTO_CHAIN_MAX, CRYPTO_CHAIN_STORAGE);
    } else {
        snprintf(why, why_size, "%s and %s: %s", certificate, key, posix_error_text(error));
    }
}

void pki_identity_fault(int error, const char *certificate, struct bytes chain, const char *key,
                        struct bytes key_text, char *why, size_t why_size)
{
    struct pem first, other, key_object;
    const size_t certificates = count(chain, crypto_pem_is_certificate, &first, &other);
    bool said = false;
    if (certificates == 0) {
        said = says_missing(certificate, "certificate", chain, &other, why, why_size);
    } else if (error != BYTES_E_USAGE && error != BYTES_E_LIMIT) {
        said = says_chain(certificate, chain, why, why_size);
    }
    const size_t keys = count(key_text, is_key, &key_object, &other);
    if (!said && keys == 0) {
        said = says_missing(key, "private key", key_text, &other, why, why_size);
    } else if (!said && keys > 1) {
        snprintf(why, why_size, "%s holds %zu private keys: leave in it only that of the certificate", key,
                 keys);
        said = true;
    } else if (!said && (error == BYTES_E_FORMAT || error == BYTES_E_ALGORITHM)) {
        said = says_key(key, &key_object, error, why, why_size);
    }
    if (!said) {
        says_pair(error, certificate, chain, key, key_text, why, why_size);
    }
}
