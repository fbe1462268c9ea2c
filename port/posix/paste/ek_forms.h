/* SPDX-License-Identifier: MIT */
/* Endorsement keys as people have them: in the forms of TPM tools, of certificates and of the clipboard. */
#ifndef PORT_POSIX_PASTE_EK_FORMS_H
#define PORT_POSIX_PASTE_EK_FORMS_H

#include "crypto/bytes/bytes.h"
#include "dps/protocol/limits.h"

/* More than any form of one RSA-2048 key takes, also in UTF-16; the largest are certificates with their text. */
#define EK_INPUT_MAX 32768

struct ek {
    uint8_t public_2b[DPS_EK_PUBLIC_MAX]; /* canonical TPM2B_PUBLIC, size field included */
    size_t len;
    char form[96]; /* what was seen: "PEM: public key" */
    bool
        from_modulus; /* only the RSA key was given: that it was made from the EK template L-1 is an assumption */
};

/* Recognise input and convert it. Each layer may be there or not, and is named in form:
 *   encoding   UTF-8, UTF-16 with or without byte order mark
 *   around it  PEM (PUBLIC KEY, RSA PUBLIC KEY, CERTIFICATE; line ends also as \n); JSON with the key in any member;
 *              what tpm2_readpublic prints; Modulus= and "Modulus:" of openssl; a name before it ("Endorsement Key:")
 *   text       the forms of paste.h: base64, base64url, hex, hexdumps, escapes, decimal
 *   binary     TPM2B_PUBLIC (tpm2_createek -u, tpm2_readpublic -o), TPMT_PUBLIC (the same with -f tpmt),
 *              DER of a SubjectPublicKeyInfo, of an RSAPublicKey or of an X.509 certificate, also after the TCG header
 *              of NV indices; Windows' RSA key blob; a bare modulus of 256 bytes
 * Returns: 0; BYTES_E_FORMAT or BYTES_E_ALGORITHM with a sentence in why, which names the form if it is a known one
 * that is of no use here (another kind of key, a private key, a hash, a tpm2-tools context). */
int ek_read(struct bytes input, struct ek *ek, char *why, size_t why_size);

/* The certificate in an NV index or in a file of one: without the TCG's header and without padding. All of stored if
 * there is no DER in it. */
struct bytes ek_stored_certificate(struct bytes stored);

#endif
