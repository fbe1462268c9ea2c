/* SPDX-License-Identifier: MIT */
#include "tpm/public.h"

static const uint8_t ek_policy[32] = TPM2_EK_POLICY_SHA256;
static const uint8_t import_or_load[32] = TPM2_POLICY_IMPORT_OR_LOAD_SHA256;
#define EK_L1_UNIQUE_SIZE 256 /* zeros */

/* What EK and SRK have in common: a storage key, so AES-128-CFB for its children and no scheme of its own. */
static struct tpm2_public storage_key(uint32_t attributes, struct bytes policy, struct bytes unique)
{
    return (struct tpm2_public){
        .type = TPM2_ALG_RSA,
        .name_alg = TPM2_ALG_SHA256,
        .attributes = attributes | TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT |
                      TPM2_OBJECT_SENSITIVE_DATA_ORIGIN | TPM2_OBJECT_RESTRICTED | TPM2_OBJECT_DECRYPT,
        .auth_policy = policy,
        .symmetric = TPM2_ALG_AES,
        .symmetric_key_bits = 128,
        .symmetric_mode = TPM2_ALG_CFB,
        .key_bits = 2048,
        .exponent = 0,
        .scheme = TPM2_ALG_NULL,
        .unique = unique,
    };
}

/* [TCG EK Credential Profile v2.5 B.3.3, Template L-1]: 0x000300B2 */
struct tpm2_public tpm2_template_ek_l1(void)
{
    return storage_key(TPM2_OBJECT_ADMIN_WITH_POLICY, bytes_of(ek_policy, sizeof ek_policy),
                       bytes_of(NULL, EK_L1_UNIQUE_SIZE));
}

struct tpm2_public tpm2_template_ek_azure_sdk(void)
{
    struct tpm2_public area = tpm2_template_ek_l1();
    area.unique = (struct bytes){0};
    return area;
}

/* [TCG Provisioning Guidance v1.0 r1.0 7.5.1]: 0x00030472. noDA, since its authValue is empty and known.
 * Its unique is empty, as every Azure SDK has it: another unique would be another SRK. */
struct tpm2_public tpm2_template_srk(void)
{
    return storage_key(TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_NO_DA, (struct bytes){0}, (struct bytes){0});
}

/* 0x00030432: the SRK without userWithAuth, so that its empty authValue opens nothing; the policy admits what the flow
 * does with it, and not TPM2_Rewrap. adminWithPolicy is clear: TPM2_ActivateCredential has ADMIN role and needs no
 * policy. */
struct tpm2_public tpm2_template_srk_hardened(void)
{
    return storage_key(TPM2_OBJECT_NO_DA, bytes_of(import_or_load, sizeof import_or_load), (struct bytes){0});
}

/* fixedTPM and fixedParent must be clear in what TPM2_Import takes [P3 r1.59 13.3], and
 * sensitiveDataOrigin as well: the key was not made by the TPM. */
struct tpm2_public tpm2_template_hmac_key(struct bytes unique)
{
    return (struct tpm2_public){
        .type = TPM2_ALG_KEYEDHASH,
        .name_alg = TPM2_ALG_SHA256,
        .attributes = TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_NO_DA | TPM2_OBJECT_SIGN_ENCRYPT,
        .scheme = TPM2_ALG_HMAC,
        .scheme_hash = TPM2_ALG_SHA256,
        .unique = unique,
    };
}

/* Neither sign nor decrypt makes it sealed data [P3 r1.59 12.1]; sensitiveDataOrigin is clear, as the data
 * are ours. */
struct tpm2_public tpm2_template_sealed_data(void)
{
    return (struct tpm2_public){
        .type = TPM2_ALG_KEYEDHASH,
        .name_alg = TPM2_ALG_SHA256,
        .attributes =
            TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT | TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_NO_DA,
        .scheme = TPM2_ALG_NULL,
    };
}

static bool scheme_has_hash(uint16_t scheme)
{
    return scheme == TPM2_ALG_HMAC || scheme == TPM2_ALG_RSASSA || scheme == TPM2_ALG_RSAPSS ||
           scheme == TPM2_ALG_OAEP;
}

/* RSA keys have neither HMAC nor keyed hashes the others [P2 r1.59 11.2.4.2 and 11.1.23]. */
static bool scheme_is_known(uint16_t type, uint16_t scheme)
{
    if (scheme == TPM2_ALG_NULL) {
        return true;
    }
    if (type == TPM2_ALG_KEYEDHASH) {
        return scheme == TPM2_ALG_HMAC;
    }
    return scheme == TPM2_ALG_RSAES || (scheme_has_hash(scheme) && scheme != TPM2_ALG_HMAC);
}

/* TPMT_PUBLIC [P2 r1.59 12.2.4], for RSA with TPMS_RSA_PARMS [P2 r1.59 12.2.3.5] */
void tpm2_public_write(struct bytes_writer *w, const struct tpm2_public *area)
{
    bytes_write_u16(w, area->type);
    bytes_write_u16(w, area->name_alg);
    bytes_write_u32(w, area->attributes);
    bytes_write_2b(w, area->auth_policy);
    if (area->type == TPM2_ALG_RSA) {
        bytes_write_u16(w, area->symmetric);
        if (area->symmetric != TPM2_ALG_NULL) {
            bytes_write_u16(w, area->symmetric_key_bits);
            bytes_write_u16(w, area->symmetric_mode);
        }
    }
    bytes_write_u16(w, area->scheme);
    if (scheme_has_hash(area->scheme)) {
        bytes_write_u16(w, area->scheme_hash);
    }
    if (area->type == TPM2_ALG_RSA) {
        bytes_write_u16(w, area->key_bits);
        bytes_write_u32(w, area->exponent);
    }
    bytes_write_2b(w, area->unique);
}

void tpm2_public_write_2b(struct bytes_writer *w, const struct tpm2_public *area)
{
    size_t size = bytes_write_size_begin(w);
    tpm2_public_write(w, area);
    bytes_write_size_end(w, size);
}

void tpm2_public_read(struct bytes_reader *r, struct tpm2_public *area)
{
    *area = (struct tpm2_public){0};
    area->type = bytes_read_u16(r);
    area->name_alg = bytes_read_u16(r);
    area->attributes = bytes_read_u32(r);
    area->auth_policy = bytes_read_2b(r);
    if ((area->type != TPM2_ALG_RSA && area->type != TPM2_ALG_KEYEDHASH) ||
        area->name_alg != TPM2_ALG_SHA256) {
        bytes_reader_fail(r, BYTES_E_ALGORITHM);
    }
    if (area->type == TPM2_ALG_RSA) {
        area->symmetric = bytes_read_u16(r);
        if (area->symmetric == TPM2_ALG_AES) {
            area->symmetric_key_bits = bytes_read_u16(r);
            area->symmetric_mode = bytes_read_u16(r);
        } else if (area->symmetric != TPM2_ALG_NULL) {
            bytes_reader_fail(r, BYTES_E_ALGORITHM);
        }
    }
    area->scheme = bytes_read_u16(r);
    if (!scheme_is_known(area->type, area->scheme)) {
        bytes_reader_fail(r, BYTES_E_ALGORITHM);
    }
    if (scheme_has_hash(area->scheme)) {
        area->scheme_hash = bytes_read_u16(r);
    }
    if (area->type == TPM2_ALG_RSA) {
        area->key_bits = bytes_read_u16(r);
        area->exponent = bytes_read_u32(r);
    }
    area->unique = bytes_read_2b(r);
}

int tpm2_public_parse_2b(struct bytes whole, struct tpm2_public *area)
{
    struct bytes_reader r = bytes_reader_over(whole);
    struct bytes_reader inner = bytes_read_sized(&r);
    tpm2_public_read(&inner, area);
    bytes_read_sized_end(&r, &inner);
    const int error = bytes_reader_end(&r);
    if (error != 0) {
        *area = (struct tpm2_public){0};
    }
    return error;
}

/* 0 stands for 2^16 + 1 [P2 r1.59 12.2.3.5]; some TPMs return it as 0, some as the number. */
static uint32_t exponent_of(const struct tpm2_public *area)
{
    return area->exponent != 0 ? area->exponent : 65537;
}

bool tpm2_public_matches(const struct tpm2_public *area, const struct tpm2_public *template_area)
{
    return area->type == template_area->type && area->name_alg == template_area->name_alg &&
           area->attributes == template_area->attributes &&
           bytes_equal_public(area->auth_policy, template_area->auth_policy) &&
           area->symmetric == template_area->symmetric &&
           area->symmetric_key_bits == template_area->symmetric_key_bits &&
           area->symmetric_mode == template_area->symmetric_mode &&
           area->key_bits == template_area->key_bits && exponent_of(area) == exponent_of(template_area) &&
           area->scheme == template_area->scheme && area->scheme_hash == template_area->scheme_hash;
}

bool tpm2_public_modulus_is_sane(const struct tpm2_public *area)
{
    const struct bytes modulus = area->unique;
    return area->key_bits > 0 && 8 * modulus.len == area->key_bits && (modulus.p[0] & 0x80) != 0 &&
           (modulus.p[modulus.len - 1] & 1) != 0;
}

void tpm2_name_of(struct bytes whole, uint8_t name[TPM2_NAME_SIZE])
{
    struct bytes_reader r = bytes_reader_over(whole);
    struct bytes area = bytes_read_2b(&r);
    struct bytes_writer w = bytes_writer_over(name, TPM2_NAME_SIZE);
    bytes_write_u16(&w, TPM2_ALG_SHA256);
    crypto_sha256(&area, 1, bytes_write_room(&w, CRYPTO_SHA256_SIZE));
}

struct crypto_rsa_public tpm2_public_rsa(const struct tpm2_public *area)
{
    return (struct crypto_rsa_public){.modulus = area->unique, .exponent = exponent_of(area)};
}
