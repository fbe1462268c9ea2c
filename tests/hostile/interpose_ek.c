/* SPDX-License-Identifier: MIT */
/* A key of the interposer's own in the EK's place. Whoever salts a session to it has told him the salt; he passes the
 * salt on to the real EK, and the TPM notices nothing. */
#include "crypto/crypto.h"
#include "tests/hostile/interpose.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/command.h"
#include "tpm/seed.h"
#include <string.h>

#define HEADER_SIZE 10
#define MODULUS_SIZE 256

/* ---- EK_pub ------------------------------------------------------------------------------------------------------ */

static bool is_about_ek(const struct interposer *i)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(i->command, i->command_len));
    bytes_skip(&r, HEADER_SIZE);
    const uint32_t handle = bytes_read_u32(&r);
    return (i->code == TPM2_CC_READ_PUBLIC && handle == TPM2_HANDLE_EK) ||
           (i->code == TPM2_CC_CREATE_PRIMARY && handle == TPM2_RH_ENDORSEMENT);
}

static void put_in_place(uint8_t *message, size_t len, struct bytes old, const uint8_t *new_bytes)
{
    for (size_t at = 0; at + old.len <= len; at++) {
        if (memcmp(message + at, old.p, old.len) == 0) {
            memcpy(message + at, new_bytes, old.len);
        }
    }
}

bool interposer_put_own_ek(struct interposer *i, uint8_t *response, size_t len)
{
    uint8_t real_name[TPM2_NAME_SIZE], own_name[TPM2_NAME_SIZE];
    uint8_t *modulus;
    const uint8_t *own = vector_ek_public_2b + sizeof vector_ek_public_2b - MODULUS_SIZE;
    if (!i->own_ek || !is_about_ek(i)) {
        return false;
    }
    struct bytes_reader r = bytes_reader_over(bytes_of(response, len));
    const uint16_t tag = bytes_read_u16(&r);
    (void)bytes_read_u32(&r);
    const bool success = bytes_read_u32(&r) == 0;
    i->ek_handle = i->code == TPM2_CC_READ_PUBLIC ? TPM2_HANDLE_EK : bytes_read_u32(&r);
    bytes_skip(&r, tag == TPM2_ST_SESSIONS ? 4 : 0); /* parameterSize */
    const size_t at = len - r.left;
    const size_t area_len = bytes_read_2b(&r).len + 2;
    if (!success || r.error != 0 || area_len < MODULUS_SIZE + 2 || area_len > sizeof i->ek_2b) {
        return false;
    }
    memcpy(i->ek_2b, response + at, area_len);
    i->ek_2b_len = area_len;
    tpm2_name_of(bytes_of(i->ek_2b, area_len), real_name);
    modulus = response + at + area_len - MODULUS_SIZE;
    memcpy(modulus, own, MODULUS_SIZE);
    tpm2_name_of(bytes_of(response + at, area_len), own_name);
    put_in_place(response, len, bytes_of(real_name, sizeof real_name), own_name);
    interposer_show(i, "the device gets his own key for the EK, of the Name",
                    bytes_of(own_name, sizeof own_name));
    return true;
}

/* ---- The salt ---------------------------------------------------------------------------------------------------- */

static bool open_salt(struct interposer *i, struct bytes encrypted)
{
    uint8_t storage[CRYPTO_RSA_MAX * 8];
    struct crypto_rsa_private key;
    size_t len = 0;
    return crypto_rsa_private_decode(bytes_of(vector_ek_private_der, sizeof vector_ek_private_der), &key,
                                     storage, sizeof storage) == 0 &&
           crypto_rsa_oaep_decrypt(&key, tpm2_seed_label(TPM2_SEED_SECRET), encrypted, i->salt,
                                   sizeof i->salt, &len) == 0 &&
           len == sizeof i->salt;
}

bool interposer_pass_salt_on(struct interposer *i)
{
    struct tpm2_public ek;
    struct tpm2_wrap_random random = {.oaep = {3}};
    struct bytes_reader r = bytes_reader_over(bytes_of(i->command, i->command_len));
    const uint16_t tag = bytes_read_u16(&r);
    (void)bytes_read_u64(&r); /* commandSize, commandCode */
    const uint32_t key = bytes_read_u32(&r);
    (void)bytes_read_u32(&r); /* bind */
    if (!i->own_ek || i->code != TPM2_CC_START_AUTH_SESSION || i->ek_2b_len == 0 || key != i->ek_handle) {
        return false;
    }
    bytes_skip(&r, tag == TPM2_ST_SESSIONS ? bytes_read_u32(&r) : 0);
    const struct bytes nonce = bytes_read_2b(&r);
    const size_t at = i->command_len - r.left;
    const struct bytes encrypted = bytes_read_2b(&r);
    if (r.error != 0 || nonce.len != sizeof i->nonce_caller || !open_salt(i, encrypted) ||
        tpm2_public_parse_2b(bytes_of(i->ek_2b, i->ek_2b_len), &ek) != 0) {
        return false;
    }
    memcpy(i->nonce_caller, nonce.p, nonce.len);
    memcpy(random.seed, i->salt, sizeof random.seed);
    struct bytes_writer w = bytes_writer_over(i->command + at, encrypted.len + 2);
    tpm2_seed_wrap(&w, &ek, TPM2_SEED_SECRET, &random, i->salt);
    i->salt_known = w.error == 0;
    interposer_show(i, "the salt of a session", bytes_of(i->salt, sizeof i->salt));
    return i->salt_known;
}

/* ---- What it opens ----------------------------------------------------------------------------------------------- */

/* TPM2_HierarchyChangeAuth in that session, if the hierarchy had no password [P1 r1.59 19.6.8 and 21.3]. */
static void hear_new_password(struct interposer *i)
{
    uint8_t session_key[32], symmetric[32];
    struct bytes_reader r = bytes_reader_over(bytes_of(i->command, i->command_len));
    bytes_skip(&r, HEADER_SIZE + 4); /* authHandle */
    (void)bytes_read_u32(&r);        /* authorizationSize */
    const uint32_t session = bytes_read_u32(&r);
    const struct bytes nonce_caller = bytes_read_2b(&r);
    (void)bytes_read_u8(&r);
    (void)bytes_read_2b(&r);
    const struct bytes new_auth = bytes_read_2b(&r);
    if (r.error != 0 || session != i->salted_session || new_auth.len > sizeof i->heard || i->heard_len > 0) {
        return;
    }
    crypto_kdfa_sha256(bytes_of(i->salt, sizeof i->salt), "ATH", bytes_of(i->nonce_tpm, sizeof i->nonce_tpm),
                       bytes_of(i->nonce_caller, sizeof i->nonce_caller), session_key, sizeof session_key);
    crypto_kdfa_sha256(bytes_of(session_key, sizeof session_key), "CFB", nonce_caller,
                       bytes_of(i->nonce_tpm, sizeof i->nonce_tpm), symmetric, sizeof symmetric);
    memcpy(i->heard, new_auth.p, new_auth.len);
    i->heard_len = new_auth.len;
    (void)crypto_aes_cfb_decrypt(bytes_of(symmetric, 16), symmetric + 16, i->heard, i->heard_len);
    interposer_show(i, "a new password", bytes_of(i->heard, i->heard_len));
}

void interposer_listen(struct interposer *i, struct bytes response)
{
    struct bytes nonce;
    uint32_t rc;
    if (i->salt_known && i->code == TPM2_CC_HIERARCHY_CHANGE_AUTH) {
        hear_new_password(i);
    }
    if (i->salt_known && i->code == TPM2_CC_START_AUTH_SESSION && i->salted_session == 0 &&
        tpm2_start_auth_session_parse(response, &rc, &i->salted_session, &nonce) == 0 &&
        nonce.len == sizeof i->nonce_tpm) {
        memcpy(i->nonce_tpm, nonce.p, nonce.len);
    }
}
