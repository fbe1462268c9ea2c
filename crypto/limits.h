/* SPDX-License-Identifier: MIT */
/* Every buffer and option of a build: its default, what it means, and what it costs. Each can be set with -D.
 *
 * Sizes are bytes unless the name says otherwise. RAM is that of the structures which the caller allocates; flash is
 * text on a Cortex-M3 (make size). Options are 0 or 1 and select whole functions or files. Settings that contradict
 * each other are refused at the end of this file, when it is compiled. */
#ifndef CRYPTO_LIMITS_H
#define CRYPTO_LIMITS_H

/* ---- Profiles: defaults for what follows, each of which can still be set by itself ----------------------------- */

/* A device, and nothing that people read or that another side needs: no texts of steps, no ownership commands, no
 * service. Saves 1.1 KB of flash, 3.3 KB if the ownership commands were used; nothing in RAM. */
#ifndef DPS_PROFILE_SMALL_DEVICE
#define DPS_PROFILE_SMALL_DEVICE 0
#endif

/* TLS for a small flash: AES-GCM only, and compact arithmetic. Saves 11 KB of flash; handshakes are slower. */
#ifndef CRYPTO_PROFILE_SMALL_TLS
#define CRYPTO_PROFILE_SMALL_TLS 0
#endif

/* Certificates with RSA keys only, as the real service has them. Saves 0.9 KB of flash; the elliptic curves of the key
 * exchange remain. */
#ifndef CRYPTO_PROFILE_RSA_ONLY
#define CRYPTO_PROFILE_RSA_ONLY 0
#endif

/* ---- Options --------------------------------------------------------------------------------------------------- */

/* What each step asks for, in words: dps_device_what, for traces and errors. Without: an empty text. Flash: 1.0 KB. */
#ifndef DPS_WITH_STEP_TEXTS
#define DPS_WITH_STEP_TEXTS (!DPS_PROFILE_SMALL_DEVICE)
#endif

/* dps_device_own, _clear, _seal and _unseal (dps/device/ownership.c): step 3 and what an owner can do besides.
 * Without, they do not exist, and the SRK is that of an owner whom someone else has set. Flash: 2.2 KB if used. */
#ifndef DPS_WITH_OWNERSHIP
#define DPS_WITH_OWNERSHIP (!DPS_PROFILE_SMALL_DEVICE)
#endif

/* The build also has the service in it. Without, dps/protocol/http.c knows responses only, and refuses to receive a
 * request with BYTES_E_FORMAT. Flash of a device: 0.1 KB. */
#ifndef DPS_WITH_SERVICE
#define DPS_WITH_SERVICE (!DPS_PROFILE_SMALL_DEVICE)
#endif

/* TLS with RSA certificates; with EC certificates (P-256, P-384). At least one. Flash: RSA 1.1 KB, EC 0.9 KB. */
#ifndef CRYPTO_TLS_RSA
#define CRYPTO_TLS_RSA 1
#endif
#ifndef CRYPTO_TLS_EC
#define CRYPTO_TLS_EC (!CRYPTO_PROFILE_RSA_ONLY)
#endif

/* Ciphers: ChaCha20-Poly1305, the faster one without AES instructions; AES-GCM (128 and 256 bits), which every server
 * has. One of them at least. Flash: ChaCha20-Poly1305 2.4 KB, AES-GCM 3.7 KB. */
#ifndef CRYPTO_TLS_CHACHA20
#define CRYPTO_TLS_CHACHA20 (!CRYPTO_PROFILE_SMALL_TLS)
#endif
#ifndef CRYPTO_TLS_AES_GCM
#define CRYPTO_TLS_AES_GCM 1
#endif

/* BearSSL's compact arithmetic ("i15") for curves and RSA instead of the fastest for the processor: P-256, P-384 and
 * P-521 from one code, no X25519. Flash: 9 KB less. */
#ifndef CRYPTO_TLS_COMPACT
#define CRYPTO_TLS_COMPACT CRYPTO_PROFILE_SMALL_TLS
#endif

/* ---- Buffers of a device: RAM ---------------------------------------------------------------------------------- */

/* One TPM command or response. The largest of the flow is the response to CreatePrimary of an RSA-2048
 * EK, 538 bytes; seal, unseal and NV_Read stay below the same bound. In struct dps_device. */
#ifndef DPS_TPM_BUFFER
#define DPS_TPM_BUFFER 1024
#endif

/* One HTTP message of the device, request or response, headers included. Holds an assigned answer with a
 * 972-byte activation blob (1296 characters) and a full set of headers. In struct dps_device. */
#ifndef DPS_NET_BUFFER
#define DPS_NET_BUFFER 4096
#endif

/* A SAS token, which is also the longest text that the TPM signs; what an error said. In struct dps_device; a token is
 * also the largest thing on the device's stack. */
#define DPS_TOKEN_MAX 640
#define DPS_MESSAGE_MAX 160

/* TLS records, in struct port_drive: 16 384 of content and 325 of framing, half duplex. Less is possible only with
 * servers that know the max_fragment_length extension [RFC 6066 4]: 4421, 2373, 1349 or 837, for both values. */
#ifndef PORT_TLS_BUFFER
#define PORT_TLS_BUFFER 16709
#endif
#ifndef CRYPTO_TLS_BUFFER_MIN
#define CRYPTO_TLS_BUFFER_MIN 16709 /* what crypto_tls_client_start takes */
#endif

/* Trust anchors, in struct crypto_tls_client: how many may have one name (the keys of a CA that was renewed), 40 bytes
 * each, and room for their names and keys: 150 bytes for P-256, 700 for RSA-4096. Others of the text that is trusted
 * take no room. */
#ifndef CRYPTO_TRUST_ANCHORS_MAX
#define CRYPTO_TRUST_ANCHORS_MAX 4
#endif
#ifndef CRYPTO_TRUST_STORAGE
#define CRYPTO_TRUST_STORAGE (CRYPTO_TRUST_ANCHORS_MAX * 768)
#endif

/* ---- Deadlines of port_drive, in milliseconds ------------------------------------------------------------------ */

/* All are absolute: a peer that sends one byte, one empty record or one warning after the other gains nothing by it. */

/* One TPM command. CreatePrimary of RSA-2048 takes 2 to 9 s on discrete TPMs, rarely much more. */
#ifndef PORT_TPM_TIMEOUT_MS
#define PORT_TPM_TIMEOUT_MS 120000
#endif
/* One connection, until its TLS handshake is done; and one request, until its answer is complete. */
#ifndef PORT_NET_TIMEOUT_MS
#define PORT_NET_TIMEOUT_MS 60000
#endif
/* One flow, with all the waiting that the TPM and the service ask for. What was loaded is flushed after it, and a TPM
 * command that is under way is waited for: only who gets its answer can flush what it made. */
#ifndef PORT_FLOW_TIMEOUT_MS
#define PORT_FLOW_TIMEOUT_MS 900000
#endif

/* ---- What the protocol fixes: not to be set -------------------------------------------------------------------- */

/* registrationId [DPS "Limits"]: at most 128 characters. */
#define DPS_REGISTRATION_ID_MAX 128
/* deviceId [IoT Hub "Limits"]: at most 128 characters. */
#define DPS_DEVICE_ID_MAX 128
/* idScope: the real service uses 11 characters. */
#define DPS_ID_SCOPE_MAX 32
/* A host name [RFC 1035 2.3.4]. */
#define DPS_HOST_MAX 253
/* operationId as the device keeps it between polls. */
#define DPS_OPERATION_ID_MAX 128

/* TPM2B_PUBLIC of an RSA-2048 EK, size field included: 316; of an SRK: 284, and room for one that
 * is refused by name because it has a policy. */
#define DPS_EK_PUBLIC_MAX 320
#define DPS_SRK_PUBLIC_MAX 320

/* An activation blob: 766 bytes and at most 206 of encUriData, so that it also fits two AMQP SASL frames. */
#define DPS_ENC_URI_MAX 206
#define DPS_ACTIVATION_BLOB_MAX (766 + DPS_ENC_URI_MAX)

/* TPM2B_PUBLIC of the key in a blob, size field included: 50 bytes, and a policy digest of the largest hash. */
#define DPS_KEY_PUBLIC_MAX (50 + 64)

/* The wrapped hub key as TPM2_Import returns it (TPM2B_PRIVATE, size field included). libtpms: 160; the
 * specification allows more for larger integrity hashes. */
#define DPS_WRAPPED_KEY_MAX 192

/* A sealed blob of `seal`: TPM2B_PUBLIC and TPM2B_PRIVATE of a KEYEDHASH object with at most this much data
 * [P2 r1.59 11.1.13, MAX_SYM_DATA]. */
#define DPS_SEAL_DATA_MAX 128

/* Nesting of JSON that is accepted. */
#ifndef DPS_JSON_DEPTH_MAX
#define DPS_JSON_DEPTH_MAX 16
#endif

/* ---- The service ----------------------------------------------------------------------------------------------- */

/* One record (enrollment, registration, device) as JSON. */
#ifndef DPS_RECORD_MAX
#define DPS_RECORD_MAX 8192
#endif

/* One HTTP request or response body, and the head of either. The head's bound is also the device's. A body holds ten
 * records, which is a bulk operation, or a page of a query. */
#ifndef DPS_HTTP_HEAD_MAX
#define DPS_HTTP_HEAD_MAX 4096
#endif
#ifndef DPS_HTTP_BODY_MAX
#define DPS_HTTP_BODY_MAX 131072
#endif

/* Hubs that can be linked, and management policies. */
#define DPS_HUBS_MAX 16
#define DPS_POLICIES_MAX 8

/* Epochs of the service secret that still verify; the last one makes new values. */
#define DPS_SECRETS_MAX 4

/* A server's certificate chain: certificates, and bytes for them and the key. */
#define CRYPTO_CHAIN_MAX 4
#define CRYPTO_CHAIN_STORAGE 8192

/* ---- Release --------------------------------------------------------------------------------------------------- */

/* The day of this release, in seconds since 1970: 2026-01-01. A device without a clock knows that it is later. */
#ifndef CRYPTO_TLS_TIME_FLOOR
#define CRYPTO_TLS_TIME_FLOOR UINT64_C(1767225600)
#endif

/* ---- Contradictions -------------------------------------------------------------------------------------------- */

#if (DPS_WITH_STEP_TEXTS | DPS_WITH_OWNERSHIP | DPS_WITH_SERVICE | DPS_PROFILE_SMALL_DEVICE) & ~1
#error "limits.h: an option of DPS_ is neither 0 nor 1"
#endif
#if (CRYPTO_TLS_RSA | CRYPTO_TLS_EC | CRYPTO_TLS_CHACHA20 | CRYPTO_TLS_AES_GCM | CRYPTO_TLS_COMPACT) & ~1
#error "limits.h: an option of CRYPTO_TLS_ is neither 0 nor 1"
#endif
#if (CRYPTO_PROFILE_SMALL_TLS | CRYPTO_PROFILE_RSA_ONLY) & ~1
#error "limits.h: a profile of CRYPTO_PROFILE_ is neither 0 nor 1"
#endif
#if !CRYPTO_TLS_RSA && !CRYPTO_TLS_EC
#error "limits.h: neither CRYPTO_TLS_RSA nor CRYPTO_TLS_EC: no certificate could be verified"
#endif
#if CRYPTO_PROFILE_RSA_ONLY && (!CRYPTO_TLS_RSA || CRYPTO_TLS_EC)
#error "limits.h: CRYPTO_PROFILE_RSA_ONLY contradicts CRYPTO_TLS_RSA or CRYPTO_TLS_EC"
#endif
#if !CRYPTO_TLS_CHACHA20 && !CRYPTO_TLS_AES_GCM
#error "limits.h: neither CRYPTO_TLS_CHACHA20 nor CRYPTO_TLS_AES_GCM: no cipher"
#endif
#if DPS_TPM_BUFFER < 640
#error "limits.h: DPS_TPM_BUFFER is too small for Import or CreatePrimary"
#endif
#if DPS_NET_BUFFER < 2048
#error "limits.h: DPS_NET_BUFFER is too small for a registration or an assignment"
#endif
#if DPS_TPM_BUFFER > 65535 || DPS_NET_BUFFER > 65535
#error "limits.h: DPS_TPM_BUFFER or DPS_NET_BUFFER is larger than 16-bit lengths can count"
#endif
#if PORT_TLS_BUFFER < CRYPTO_TLS_BUFFER_MIN
#error "limits.h: PORT_TLS_BUFFER is below CRYPTO_TLS_BUFFER_MIN: no connection would start"
#endif
#if CRYPTO_TLS_BUFFER_MIN < 837
#error "limits.h: CRYPTO_TLS_BUFFER_MIN is below the smallest max_fragment_length of TLS"
#endif
#if CRYPTO_TRUST_ANCHORS_MAX < 1 || CRYPTO_TRUST_STORAGE < 400
#error "limits.h: no trust anchor fits: CRYPTO_TRUST_ANCHORS_MAX, CRYPTO_TRUST_STORAGE"
#endif
/* The protocol nests 3 deep; which containers are open is remembered in 32 bits. */
#if DPS_JSON_DEPTH_MAX < 4 || DPS_JSON_DEPTH_MAX > 32
#error "limits.h: DPS_JSON_DEPTH_MAX is not in 4..32"
#endif
#if DPS_HTTP_HEAD_MAX < 1024
#error "limits.h: DPS_HTTP_HEAD_MAX is too small for a request with a token"
#endif
#if DPS_RECORD_MAX < 4096 || DPS_RECORD_MAX > DPS_HTTP_BODY_MAX
#error "limits.h: DPS_RECORD_MAX is below 4096, or a record does not fit DPS_HTTP_BODY_MAX"
#endif

#endif
