/* SPDX-License-Identifier: MIT */
/* Endorsement keys as people have them: in the forms of TPM tools, of certificates and of the clipboard. */
#ifndef PORT_POSIX_EK_FORMS_H
#define PORT_POSIX_EK_FORMS_H

#include "crypto/bytes/bytes.h"
#include "crypto/limits.h"

/* More than any form of one RSA-2048 key takes; the largest are EK certificates and enrollment JSON. */
#define POSIX_EK_INPUT_MAX 16384

struct posix_ek {
    uint8_t public_2b[DPS_EK_PUBLIC_MAX]; /* canonical TPM2B_PUBLIC, size field included */
    size_t len;
    char form[96]; /* what was seen: "PEM: public key" */
    bool
        from_modulus; /* only the RSA key was given: that it was made from the EK template L-1 is an assumption */
};

/* Recognise input and convert it:
 *   binary     TPM2B_PUBLIC (tpm2_createek -u, tpm2_readpublic -o), TPMT_PUBLIC (the same with -f tpmt),
 *              DER of a SubjectPublicKeyInfo, of an RSAPublicKey or of an X.509 certificate; a bare modulus of 256
 *              bytes
 *   PEM        PUBLIC KEY, RSA PUBLIC KEY, CERTIFICATE
 *   text       base64 or hex of any of the binary forms; JSON of an enrollment, or with the member endorsementKey
 * Returns: 0; BYTES_E_FORMAT or BYTES_E_ALGORITHM with a sentence in why, which names the form if it is a known one
 * that is of no use here (another kind of key, a private key, a tpm2-tools context). */
int posix_ek_read(struct bytes input, struct posix_ek *ek, char *why, size_t why_size);

#endif
