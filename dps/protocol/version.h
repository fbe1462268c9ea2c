/* SPDX-License-Identifier: MIT */
/* The version, as in the file VERSION (tests/lint/version.sh compares the two). */
#ifndef DPS_PROTOCOL_VERSION_H
#define DPS_PROTOCOL_VERSION_H

#define TPM_DPS_VERSION_MAJOR 0
#define TPM_DPS_VERSION_MINOR 9
#define TPM_DPS_VERSION_PATCH 0
#define TPM_DPS_VERSION "0.9.0"
/* For #if: 1.2.3 is 10203. */
#define TPM_DPS_VERSION_NUMBER                                                                               \
    (TPM_DPS_VERSION_MAJOR * 10000 + TPM_DPS_VERSION_MINOR * 100 + TPM_DPS_VERSION_PATCH)

/* The version of the library that was linked, where TPM_DPS_VERSION is that of the headers. */
const char *dps_version(void);

#endif
