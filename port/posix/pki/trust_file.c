/* SPDX-License-Identifier: MIT */
/* --ca: whom the programs trust. */
#include "port/posix/pki/pem.h"
#include "port/posix/private.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A system's bundle has 220 KB. */
#define TRUST_FILE_MAX (1024 * 1024)

/* "certificate 3, CN=Example CA (serial 01, Ed25519)", as far as it can be read. */
static void describe(const struct pem *object, size_t number, char *text, size_t size)
{
    uint8_t der[8192];
    size_t len;
    struct crypto_certificate c;
    char name[PKI_CERTIFICATE_TEXT_MAX];
    if (pem_decode(object, der, sizeof der, &len) != 0 ||
        crypto_certificate_parse(bytes_of(der, len), &c) != 0) {
        snprintf(text, size, "certificate %zu", number);
        return;
    }
    pki_certificate_text(&c, name);
    snprintf(text, size, "certificate %zu, %s", number, name);
}

/* One by one, to find out which of them is bad. */
static int look_at_each(const char *path, struct bytes text, void (*note)(const char *sentence), char *why,
                        size_t why_size)
{
    struct pem object;
    size_t number = 0;
    int error;
    while ((error = pem_next(&text, &object)) == 0) {
        char what[PKI_CERTIFICATE_TEXT_MAX + 40], sentence[PKI_CERTIFICATE_TEXT_MAX + 400];
        struct crypto_trust one;
        if (!crypto_pem_is_certificate(object.label)) {
            continue;
        }
        number++;
        error = crypto_trust_load(&one, object.whole);
        if (error == 0) {
            continue;
        }
        describe(&object, number, what, sizeof what);
        if (error == BYTES_E_FORMAT) {
            snprintf(why, why_size, "%s: %s is damaged: get it again from its source", path, what);
            return BYTES_E_FILE;
        }
        snprintf(sentence, sizeof sentence,
                 "%s: %s is passed over: only " CRYPTO_TLS_CA_KEYS " are supported", path, what);
        note(sentence);
    }
    if (error == BYTES_E_FORMAT) {
        snprintf(why, why_size, "%s is cut off: there is no -----END %s----- line", path, object.label);
        return BYTES_E_FILE;
    }
    return 0;
}

/* There is no certificate that can be used. */
static void say_what_instead(const char *path, struct bytes text, int error, char *why, size_t why_size)
{
    struct pem object;
    const char *what = pem_next(&text, &object) == 0 ? pem_what(object.label) : NULL;
    if (error == BYTES_E_ALGORITHM) {
        snprintf(why, why_size,
                 "%s holds no certificate that can be used: give that of the CA of the service", path);
    } else if (what != NULL) {
        snprintf(why, why_size, "%s holds no certificate of a CA; it is %s", path, what);
    } else {
        snprintf(why, why_size,
                 "%s holds no certificate: it must be PEM (-----BEGIN CERTIFICATE-----) or DER, of the CA of "
                 "the service",
                 path);
    }
}

int pki_trust_read(const char *path, struct crypto_trust *trust, void (*note)(const char *sentence),
                   char *why, size_t why_size)
{
    static uint8_t content[TRUST_FILE_MAX];
    size_t len;
    int error = strcmp(path, "-") == 0 ? posix_read_all(STDIN_FILENO, content, sizeof content, &len)
                                       : posix_file_read(path, content, sizeof content, &len);
    if (error == 0) {
        error = pem_make(content, &len, sizeof content);
    }
    if (error != 0) {
        snprintf(why, why_size, "%s: %s", path,
                 error == BYTES_E_SPACE ? "it is longer than 1 MB: give only the CA of the service"
                                        : strerror(errno));
        return BYTES_E_FILE;
    }
    const struct bytes text = bytes_of(content, len);
    if (look_at_each(path, text, note, why, why_size) != 0) {
        return BYTES_E_FILE;
    }
    error = crypto_trust_load(trust, text);
    if (error != 0) {
        say_what_instead(path, text, error, why, why_size);
    }
    return error != 0 ? BYTES_E_FILE : 0;
}
