/* SPDX-License-Identifier: MIT */
/* The options and buffers of a device: default, meaning and cost. How to set them: crypto/limits.h. */
#ifndef DPS_DEVICE_LIMITS_H
#define DPS_DEVICE_LIMITS_H

#include "dps/protocol/limits.h"

/* ---- Options ----------------------------------------------------------------------------------------------------- */

/* What each step asks for, in words: dps_device_what, for traces and errors. Without: an empty text. Flash: 1.3 KB. */
#ifndef DPS_WITH_STEP_TEXTS
#define DPS_WITH_STEP_TEXTS (!DPS_PROFILE_SMALL_DEVICE)
#endif

/* dps_device_own, _clear, _seal and _unseal (dps/device/ownership.c): step 3 and what an owner can do besides.
 * Without, they do not exist, and ownership must be taken by other means. Flash: 2.9 KB if used. */
#ifndef DPS_WITH_OWNERSHIP
#define DPS_WITH_OWNERSHIP (!DPS_PROFILE_SMALL_DEVICE)
#endif

/* Sessions with a key: what is secret crosses the bus to the TPM encrypted, and answers that were changed on it are
 * noticed. Without: a listener on the bus sees passwords and the inner key. Flash: 6.2 KB, and AES and RSA of TLS. */
#ifndef DPS_WITH_SESSIONS
#define DPS_WITH_SESSIONS (!DPS_PROFILE_SMALL_DEVICE)
#endif

/* ---- Buffers: RAM, in struct dps_device -------------------------------------------------------------------------- */

/* One TPM command or response. The largest is TPM2_Import: 704 bytes with two sessions and a key that has a policy;
 * without sessions less than 640, as the response to CreatePrimary of an RSA-2048 EK. In struct dps_device. */
#ifndef DPS_TPM_BUFFER
#define DPS_TPM_BUFFER 1024
#endif

/* One HTTP message of the device, request or response, headers included; or one packet of MQTT. Holds an assigned
 * answer with a 972-byte activation blob (1296 characters) and a full set of headers. In struct dps_device. */
#ifndef DPS_NET_BUFFER
#define DPS_NET_BUFFER 4096
#endif

/* A SAS token, and the text that the TPM signs for it; the text of an error. In struct dps_device; a token is also the
 * largest object on the device's stack. */
#define DPS_TOKEN_MAX 640
#define DPS_MESSAGE_MAX 160

/* ---- What the protocol fixes: not to be set ---------------------------------------------------------------------- */

/* operationId as the device keeps it between polls. */
#define DPS_OPERATION_ID_MAX 128

/* TPM2B_PUBLIC of the key in a blob, size field included: 50 bytes, and a policy digest of the largest hash. */
#define DPS_KEY_PUBLIC_MAX (50 + 64)

/* The wrapped hub key as TPM2_Import returns it (TPM2B_PRIVATE, size field included). libtpms: 160; the
 * specification allows more for larger integrity hashes. */
#define DPS_WRAPPED_KEY_MAX 192

/* A sealed blob of `seal`: TPM2B_PUBLIC and TPM2B_PRIVATE of a KEYEDHASH object with at most this much data
 * [P2 r1.59 11.1.13, MAX_SYM_DATA]. */
#define DPS_SEAL_DATA_MAX 128

/* ---- Contradictions ---------------------------------------------------------------------------------------------- */

#if (DPS_WITH_STEP_TEXTS | DPS_WITH_OWNERSHIP | DPS_WITH_SESSIONS) & ~1
#error "dps/device/limits.h: an option of DPS_WITH_ is neither 0 nor 1"
#endif
#if DPS_TPM_BUFFER < (DPS_WITH_SESSIONS ? 704 : 640)
#error "dps/device/limits.h: DPS_TPM_BUFFER is too small for Import or CreatePrimary"
#endif
#if DPS_NET_BUFFER < 2048
#error "dps/device/limits.h: DPS_NET_BUFFER is too small for a registration or an assignment"
#endif
#if DPS_TPM_BUFFER > 65535 || DPS_NET_BUFFER > 65535
#error "dps/device/limits.h: DPS_TPM_BUFFER or DPS_NET_BUFFER is larger than 16-bit lengths can count"
#endif

#endif
