/* SPDX-License-Identifier: MIT */
/* What both sides speak: how long names, keys and messages may be. How to set them: crypto/limits.h. */
#ifndef DPS_PROTOCOL_LIMITS_H
#define DPS_PROTOCOL_LIMITS_H

#include "crypto/limits.h"

/* ---- Options ----------------------------------------------------------------------------------------------------- */

/* A device alone, without what people read or what the service needs: no texts of steps, no ownership commands, no
 * sessions, no service. Saves 7.7 KB of flash, 10.7 KB if the ownership commands were used; nothing in RAM. */
#ifndef DPS_PROFILE_SMALL_DEVICE
#define DPS_PROFILE_SMALL_DEVICE 0
#endif

/* The build also has the service in it. Without, dps/protocol/http.c knows responses only, and refuses to receive a
 * request with BYTES_E_FORMAT. Flash of a device: 0.4 KB. */
#ifndef DPS_WITH_SERVICE
#define DPS_WITH_SERVICE (!DPS_PROFILE_SMALL_DEVICE)
#endif

/* Provisioning over AMQP 1.0, on the service's side only. */
#ifndef DPS_WITH_AMQP
#define DPS_WITH_AMQP DPS_WITH_SERVICE
#endif

/* MQTT between a device and its hub: the device's link (dps/device/link.h), and the hub of a service, with its messages
 * to devices. Without, there are none of them. Flash of a device: 5.1 KB if used. */
#ifndef DPS_WITH_MQTT
#define DPS_WITH_MQTT (!DPS_PROFILE_SMALL_DEVICE)
#endif

/* ---- What the protocol fixes: not to be set ---------------------------------------------------------------------- */

/* registrationId [DPS "Limits"]: at most 128 characters. */
#define DPS_REGISTRATION_ID_MAX 128
/* deviceId [IoT Hub "Limits"]: at most 128 characters. */
#define DPS_DEVICE_ID_MAX 128
/* idScope: the real service uses 11 characters. */
#define DPS_ID_SCOPE_MAX 32
#define DPS_HOST_MAX CRYPTO_HOST_MAX

/* TPM2B_PUBLIC of an RSA-2048 EK, size field included: 316; of an SRK: 284, and room for one that
 * is refused by name because it has a policy. */
#define DPS_EK_PUBLIC_MAX 320
#define DPS_SRK_PUBLIC_MAX 320

/* An activation blob: 766 bytes and at most 206 of encUriData, so that it also fits two AMQP SASL frames. */
#define DPS_ENC_URI_MAX 206
#define DPS_ACTIVATION_BLOB_MAX (766 + DPS_ENC_URI_MAX)

/* ---- What is accepted -------------------------------------------------------------------------------------------- */

/* Nesting of JSON that is accepted. */
#ifndef DPS_JSON_DEPTH_MAX
#define DPS_JSON_DEPTH_MAX 16
#endif

/* The head of an HTTP request or response. */
#ifndef DPS_HTTP_HEAD_MAX
#define DPS_HTTP_HEAD_MAX 4096
#endif

/* ---- Contradictions ---------------------------------------------------------------------------------------------- */

#if (DPS_WITH_SERVICE | DPS_WITH_AMQP | DPS_WITH_MQTT | DPS_PROFILE_SMALL_DEVICE) & ~1
#error "dps/protocol/limits.h: DPS_WITH_SERVICE, _AMQP, _MQTT or DPS_PROFILE_SMALL_DEVICE is neither 0 nor 1"
#endif
/* The protocol nests 3 deep; which containers are open is remembered on the stack, in one byte each. */
#if DPS_JSON_DEPTH_MAX < 4 || DPS_JSON_DEPTH_MAX > 32
#error "dps/protocol/limits.h: DPS_JSON_DEPTH_MAX is not in 4..32"
#endif
#if DPS_HTTP_HEAD_MAX < 1024
#error "dps/protocol/limits.h: DPS_HTTP_HEAD_MAX is too small for a request with a token"
#endif

#endif
