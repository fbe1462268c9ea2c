/* SPDX-License-Identifier: MIT */
/* Public areas: TPMT_PUBLIC of the two kinds that the flow needs, RSA storage keys (EK, SRK) and keyed hashes
 * (the HMAC identity key, sealed data), their templates and their Names. */
#ifndef TPM_PUBLIC_H
#define TPM_PUBLIC_H

#include "crypto/crypto.h"
#include "tpm/tpm2.h"

/* TPMT_PUBLIC [P2 r1.59 12.2.4]. Spans view the bytes it was parsed from, or constants. */
struct tpm2_public {
    uint16_t type;     /* TPM2_ALG_RSA or TPM2_ALG_KEYEDHASH */
    uint16_t name_alg; /* TPM2_ALG_SHA256 */
    uint32_t attributes;
    struct bytes auth_policy;
    /* TPMS_RSA_PARMS [P2 r1.59 12.2.3.5]; zero for a keyed hash */
    uint16_t symmetric; /* TPM2_ALG_AES or TPM2_ALG_NULL */
    uint16_t symmetric_key_bits;
    uint16_t symmetric_mode;
    uint16_t key_bits;
    uint32_t exponent; /* 0 means 65537; kept as it came */
    /* both kinds: TPMT_RSA_SCHEME or TPMT_KEYEDHASH_SCHEME */
    uint16_t scheme;      /* TPM2_ALG_NULL or TPM2_ALG_HMAC (or an RSA scheme) */
    uint16_t scheme_hash; /* when the scheme has one, else 0 */
    struct bytes unique;  /* modulus, or digest */
};

/* The templates. ek_l1: TCG EK Credential Profile, template L-1 (RSA-2048): unique is 256 zero bytes (without an
 * address, see bytes_write_bytes), so that EK_pub matches the EK certificate. ek_azure_sdk: the same with an empty
 * unique, as Microsoft's C, Node and Java SDKs ask for it: another key from the same seed. srk: the storage primary of
 * TCG Provisioning Guidance, 0x00030472. hmac_key: the identity key of the flow, 0x00040440; unique is
 * SHA-256(seedValue || key), 32 bytes. sealed_data: a keyed hash without scheme, userWithAuth, fixed to this TPM and
 * parent. */
struct tpm2_public tpm2_template_ek_l1(void);
struct tpm2_public tpm2_template_ek_azure_sdk(void);
struct tpm2_public tpm2_template_srk(void);
/* The SRK that TPM2_Rewrap cannot use (spec-notes.md, "Which SRK may be trusted"). */
struct tpm2_public tpm2_template_srk_hardened(void);
struct tpm2_public tpm2_template_hmac_key(struct bytes unique);
struct tpm2_public tpm2_template_sealed_data(void);

/* Append TPMT_PUBLIC, or TPM2B_PUBLIC (with its size field). */
void tpm2_public_write(struct bytes_writer *w, const struct tpm2_public *area);
void tpm2_public_write_2b(struct bytes_writer *w, const struct tpm2_public *area);

/* Read TPMT_PUBLIC from r. Fails r with BYTES_E_FORMAT for broken bytes and BYTES_E_ALGORITHM for a type, hash or
 * scheme that this project does not know (an ECC key, say); what is in area then means nothing. */
void tpm2_public_read(struct bytes_reader *r, struct tpm2_public *area);
/* Parse exactly one TPM2B_PUBLIC, size field included. Returns 0, BYTES_E_FORMAT, BYTES_E_ALGORITHM. */
int tpm2_public_parse_2b(struct bytes whole, struct tpm2_public *area);

/* True if area is the template with another unique: same type, attributes, policy, parameters. */
bool tpm2_public_matches(const struct tpm2_public *area, const struct tpm2_public *template_area);

/* Is unique a number that the modulus of an RSA key of key_bits can be: of that length, and odd? */
bool tpm2_public_modulus_is_sane(const struct tpm2_public *area);

/* Name = nameAlg || SHA-256(TPMT_PUBLIC) [P1 r1.59 16]. whole is a TPM2B_PUBLIC, size field included, whose
 * nameAlg must be SHA-256. */
#define TPM2_NAME_SIZE 34
void tpm2_name_of(struct bytes whole, uint8_t name[TPM2_NAME_SIZE]);

/* The RSA public key inside area, exponent 0 read as 65537. area->type must be TPM2_ALG_RSA. */
struct crypto_rsa_public tpm2_public_rsa(const struct tpm2_public *area);

#endif
