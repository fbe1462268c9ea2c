/* SPDX-License-Identifier: MIT */
/* The version, as in the file VERSION (tests/lint/version.sh compares the two). */
#ifndef CRYPTO_BYTES_VERSION_H
#define CRYPTO_BYTES_VERSION_H

#define TPM_DPS_VERSION_MAJOR 0
#define TPM_DPS_VERSION_MINOR 9
#define TPM_DPS_VERSION_PATCH 0
#define TPM_DPS_VERSION "0.9.0"

#endif
