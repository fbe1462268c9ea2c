/* SPDX-License-Identifier: MIT */
/* The names of devices and their rules. */
#ifndef DPS_PROTOCOL_REGISTRATION_ID_H
#define DPS_PROTOCOL_REGISTRATION_ID_H

#include "crypto/bytes/bytes.h"
#include "dps/protocol/limits.h"

/* registrationId that Microsoft's C, Node and Java SDKs give a device without a name: base32 (lower case, no
 * padding) of SHA-256 of EK_pub as TPM2B_PUBLIC, size field included. 52 characters and a zero are written. */
#define DPS_DEFAULT_REGISTRATION_ID_SIZE 53
void dps_registration_id_default(struct bytes ek_2b, char *id);

/* 1..128 characters: letters, digits, '-', '.', '_', ':'; the last one a letter, digit or '-'. Case does not count when
 * they are compared, and lower case is what is stored. */
bool dps_registration_id_valid(struct bytes id);
/* deviceId of a hub: 1..128 of A-Z a-z 0-9 - . + % _ # * ? ! ( ) , : = @ $ '; case counts. */
bool dps_device_id_valid(struct bytes id);
/* A host name: letters, digits, '-' and '.', 1..253, no empty label. */
bool dps_host_valid(struct bytes host);

/* Lower-case id into out. Returns: 0; BYTES_E_FORMAT if it is not valid. */
int dps_registration_id_lower(struct bytes id, uint8_t out[DPS_REGISTRATION_ID_MAX], size_t *len);

#endif
