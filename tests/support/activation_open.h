/* SPDX-License-Identifier: MIT */
/* What the TPM does in step 7, in software, for tests that hold the private keys. */
#ifndef TESTS_SUPPORT_ACTIVATION_OPEN_H
#define TESTS_SUPPORT_ACTIVATION_OPEN_H

#include "dps/protocol/activation.h"

/* Returns: 0 with the HMAC key; BYTES_E_FORMAT; BYTES_E_INTEGRITY; BYTES_E_ALGORITHM. */
int activation_open(struct bytes blob, const struct crypto_rsa_private *ek,
                    const struct crypto_rsa_private *srk, struct bytes srk_name, uint8_t key[DPS_KEY_SIZE]);

#endif
