/* SPDX-License-Identifier: MIT */
/* Certificates and keys as files, in the forms in which people have them, and sentences about what is in them. */
#ifndef PORT_POSIX_PKI_PEM_H
#define PORT_POSIX_PKI_PEM_H

#include "crypto/certificate.h"
#include "crypto/tls.h"
#include "crypto/tls_pem.h"

/* Make PEM text of what a file held, in place: DER becomes PEM, one object after the other, and UTF-16 loses its second
 * bytes. Anything else stays as it is. Returns: 0; BYTES_E_SPACE. */
int pem_make(uint8_t *content, size_t *len, size_t capacity);

/* One object of a PEM text. */
struct pem {
    char label[40];
    struct bytes whole; /* from its BEGIN line to its END line */
    struct bytes body;  /* between them */
};
/* Take the next object off text. Returns: 0; BYTES_E_NOT_FOUND; BYTES_E_FORMAT if it has no END line (label is set). */
int pem_next(struct bytes *text, struct pem *object);
/* Returns: 0; BYTES_E_FORMAT if it is not base64, or empty; BYTES_E_SPACE. */
int pem_decode(const struct pem *object, uint8_t *out, size_t capacity, size_t *len);
/* What an object with this label is, and what to do to get what is wanted here, as the end of a sentence ("it is ...");
 * null if there is nothing to say about it. */
const char *pem_what(const char *label);
/* The label that a DER object would have; null if it is none that is known. */
const char *pem_label_of_der(struct bytes der);

/* CN=Example CA, O=Example (serial 5A17, RSA-2048): for people. */
#define PKI_CERTIFICATE_TEXT_MAX 256
void pki_certificate_text(const struct crypto_certificate *c, char text[PKI_CERTIFICATE_TEXT_MAX]);
/* RSA-2048, P-256, Ed25519, ... */
#define PKI_KEY_TEXT_MAX 24
void pki_key_text(const struct crypto_public_key *key, char text[PKI_KEY_TEXT_MAX]);

/* Read the file of CAs that --ca names, in any form. Its text is kept here, so there is one such file in a program.
 *   note  gets one sentence for each certificate that is passed over
 * Returns: 0; BYTES_E_FILE with a sentence in why. */
int pki_trust_read(const char *path, struct crypto_trust *trust, void (*note)(const char *sentence),
                   char *why, size_t why_size);

/* A sentence for the user when crypto_identity_load has refused (error) what two files held. */
void pki_identity_fault(int error, const char *certificate, struct bytes chain, const char *key,
                        struct bytes key_text, char *why, size_t why_size);

#endif
