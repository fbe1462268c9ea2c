/* SPDX-License-Identifier: MIT */
/* Which certificate of a chain is the TPM's own? */
#ifndef PORT_POSIX_PASTE_EK_CERTIFICATE_H
#define PORT_POSIX_PASTE_EK_CERTIFICATE_H

#include "crypto/certificate.h"

/* Choose the EK certificate among certificates that follow each other, in any order: the one with an RSA key that is
 * not a CA's; of several, the one with RSA-2048. The same key may occur more than once. Padding after them is ignored.
 *   number, count  which one it was, from 1, and of how many
 * Returns: 0; BYTES_E_FORMAT or BYTES_E_ALGORITHM with a sentence in why. ek views ders. */
int ek_certificate(struct bytes ders, struct crypto_certificate *ek, size_t *number, size_t *count, char *why,
                   size_t why_size);

#endif
