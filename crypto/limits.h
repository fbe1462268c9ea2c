/* SPDX-License-Identifier: MIT */
/* Every compile-time size, in bytes unless the name says otherwise. Each can be set with -D. */
#ifndef CRYPTO_LIMITS_H
#define CRYPTO_LIMITS_H

/* One TPM command or response. The largest of the flow is the response to CreatePrimary of an RSA-2048
 * EK, 538 bytes; seal, unseal and NV_Read stay below the same bound. */
#ifndef DPS_TPM_BUFFER
#define DPS_TPM_BUFFER 1024
#endif

/* One HTTP message of the device, request or response, headers included. Holds an assigned answer with a
 * 972-byte activation blob (1296 characters) and a full set of headers. */
#ifndef DPS_NET_BUFFER
#define DPS_NET_BUFFER 4096
#endif

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

/* The wrapped hub key as TPM2_Import returns it (TPM2B_PRIVATE, size field included). libtpms: 160; the
 * specification allows more for larger integrity hashes. */
#define DPS_WRAPPED_KEY_MAX 192

/* A sealed blob of `seal`: TPM2B_PUBLIC and TPM2B_PRIVATE of a KEYEDHASH object with at most this much data
 * [P2 r1.59 11.1.13, MAX_SYM_DATA]. */
#define DPS_SEAL_DATA_MAX 128

/* Service: one record (enrollment, registration, device) as JSON. */
#ifndef DPS_RECORD_MAX
#define DPS_RECORD_MAX 8192
#endif

/* Service: one HTTP request or response body, and the head of either. */
#ifndef DPS_HTTP_HEAD_MAX
#define DPS_HTTP_HEAD_MAX 4096
#endif
#ifndef DPS_HTTP_BODY_MAX
#define DPS_HTTP_BODY_MAX 16384
#endif

/* Nesting of JSON that is accepted. */
#define DPS_JSON_DEPTH_MAX 16

/* Service: hubs that can be linked, and management policies. */
#define DPS_HUBS_MAX 16
#define DPS_POLICIES_MAX 8

/* Service: epochs of the service secret that still verify; the last one makes new values. */
#define DPS_SECRETS_MAX 4

#endif
