/* SPDX-License-Identifier: MIT */
/* The activation blob ("authenticationKey"): six marshalled TPM structures, one after the other, that carry an
 * HMAC key from the service into one TPM under one SRK. In a challenge the key is the nonce, in an assignment
 * the hub's device key. See spec-notes.md, "The activation blob". */
#ifndef DPS_PROTOCOL_ACTIVATION_H
#define DPS_PROTOCOL_ACTIVATION_H

#include "crypto/crypto.h"
#include "dps/protocol/limits.h"
#include "tpm/public.h"

#define DPS_KEY_SIZE 32       /* nonce and hub device key */
#define DPS_INNER_KEY_SIZE 16 /* AES-128: the largest that all clients take */

/* Views into the blob. Contents are without their size fields, except key_public_2b, which TPM2_Import takes whole. */
struct dps_activation {
    struct bytes id_object;        /* 1 TPM2B_ID_OBJECT: the inner key for ActivateCredential */
    struct bytes encrypted_secret; /* 2 TPM2B_ENCRYPTED_SECRET: its seed, RSA-OAEP to the EK */
    struct bytes duplicate;        /* 3 TPM2B_PRIVATE: the HMAC key, wrapped twice */
    struct bytes duplicate_secret; /* 4 TPM2B_ENCRYPTED_SECRET: its seed, RSA-OAEP to the SRK */
    struct bytes key_public_2b;    /* 5 TPM2B_PUBLIC of the HMAC key */
    struct bytes enc_uri;          /* 6 TPM2B_DATA: "host/deviceId" in UTF-16LE under the inner key */
};

/* Take a blob apart. Bytes after the sixth field are allowed, as in Microsoft's clients. Also checks that field
 * 5 is an HMAC-SHA-256 key that the TPM will use for signing only (0x00040440; the bits noDA, adminWithPolicy
 * and encryptedDuplication are free).
 * The key may have an authPolicy, but the flow does not use it: it uses the key by its authValue.
 * Returns: 0; BYTES_E_FORMAT; BYTES_E_ALGORITHM; BYTES_E_POLICY if that is all that is wrong: userWithAuth is not set,
 * so the key may be used under its policy only. The spans of a are empty unless 0 is returned. */
int dps_activation_parse(struct bytes blob, struct dps_activation *a);

/* Decrypt encUriData into ASCII text; characters outside ASCII become '?'. Returns: 0; BYTES_E_FORMAT;
 * BYTES_E_SPACE. */
int dps_activation_uri(struct bytes inner_key, struct bytes enc_uri, uint8_t *text, size_t capacity,
                       size_t *len);

#endif
