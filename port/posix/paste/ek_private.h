/* SPDX-License-Identifier: MIT */
/* What ek_bytes.c (bytes), ek_der.c (DER and PEM), ek_text.c (text) and ek_parts.c (keys given part by part) share. */
#ifndef PORT_POSIX_PASTE_EK_PRIVATE_H
#define PORT_POSIX_PASTE_EK_PRIVATE_H

#include "crypto/crypto.h"
#include "port/posix/paste/ek_forms.h"

/* Forms are found one inside the other ("PEM: public key", "JSON: base64: TPM2B_PUBLIC"): each reader adds its name,
 * decodes, and hands on what it found. */
struct ek_reading {
    struct ek *ek;
    char *why;
    size_t why_size;
    unsigned depth; /* texts inside texts: JSON, base64 of a PEM file */
    bool bare; /* 256 bytes without a name may be a modulus; among other things they may be a signature */
};

/* What was seen inside of what was seen before. */
void ek_add_form(struct ek_reading *r, const char *name);
/* "JSON: base64: " and the sentence become why. Returns error. */
int ek_refuse(struct ek_reading *r, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* It is a key, of a kind that is not an EK of DPS: "an RSA-3072 key". */
int ek_refuse_kind(struct ek_reading *r, const char *kind);

/* All return 0, or BYTES_E_FORMAT or BYTES_E_ALGORITHM with why. */
/* ek_bytes.c */
int ek_read_bytes(struct ek_reading *r, struct bytes bytes);
/* A TPMT_PUBLIC; form is the name to add. */
int ek_read_tpmt(struct ek_reading *r, const char *form, struct bytes tpmt);
int ek_take_rsa(struct ek_reading *r, const struct crypto_rsa_public *key);
int ek_take_modulus(struct ek_reading *r, const char *form, struct bytes modulus);
/* ek_der.c */
int ek_read_der(struct ek_reading *r, struct bytes der);
/* The object that begins at text.p, "-----BEGIN LABEL-----". */
int ek_read_pem(struct ek_reading *r, struct bytes text);
/* ek_parts.c: BYTES_E_NOT_FOUND, and no sentence, if it is not of that kind. */
int ek_read_tpm2_tools(struct ek_reading *r, struct bytes text);
int ek_read_modulus(struct ek_reading *r, struct bytes text);

#endif
