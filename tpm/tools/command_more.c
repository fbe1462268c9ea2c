/* SPDX-License-Identifier: MIT */
#include "tpm/tools/command_more.h"
#include "tpm/frame.h"

/* TPM2_LoadExternal [P3 r1.59 12.3] */
void tpm2_load_external_build(struct bytes_writer *w, struct bytes public_2b, uint32_t hierarchy)
{
    tpm2_command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_LOAD_EXTERNAL);
    tpm2_write_empty_2b(w); /* inPrivate: a public area only */
    bytes_write_bytes(w, public_2b);
    bytes_write_u32(w, hierarchy);
    tpm2_command_end(w);
}

/* inPrivate is TPM2B_SENSITIVE [P2 r1.59 12.3.2.4 and 12.3.3]; of an RSA key it holds one prime. */
void tpm2_load_external_rsa_build(struct bytes_writer *w, struct bytes prime, struct bytes public_2b,
                                  uint32_t hierarchy)
{
    tpm2_command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_LOAD_EXTERNAL);
    size_t in_private = bytes_write_size_begin(w);
    bytes_write_u16(w, TPM2_ALG_RSA);
    tpm2_write_empty_2b(w); /* authValue */
    tpm2_write_empty_2b(w); /* seedValue */
    bytes_write_2b(w, prime);
    bytes_write_size_end(w, in_private);
    bytes_write_bytes(w, public_2b);
    bytes_write_u32(w, hierarchy);
    tpm2_command_end(w);
}

int tpm2_load_external_parse(struct bytes response, uint32_t *rc, uint32_t *object, struct bytes *name)
{
    return tpm2_parse_handle_2b(response, rc, 0, object, name);
}

/* TPM2_MakeCredential [P3 r1.59 12.6] */
void tpm2_make_credential_build(struct bytes_writer *w, uint32_t key_handle, struct bytes credential,
                                struct bytes object_name)
{
    tpm2_command_begin_handle(w, TPM2_CC_MAKE_CREDENTIAL, key_handle);
    bytes_write_2b(w, credential);
    bytes_write_2b(w, object_name);
    tpm2_command_end(w);
}

int tpm2_make_credential_parse(struct bytes response, uint32_t *rc, struct bytes *blob, struct bytes *secret)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 0, NULL);
    *blob = bytes_read_2b(&r);
    *secret = bytes_read_2b(&r);
    return tpm2_response_end(&r, blob, secret);
}

/* TPM2_Rewrap [P3 r1.59 13.2] */
void tpm2_rewrap_build(struct bytes_writer *w, uint32_t old_parent, uint32_t new_parent,
                       const struct tpm2_auth *auth, struct bytes duplicate, struct bytes name,
                       struct bytes secret)
{
    tpm2_command_begin(w, TPM2_ST_SESSIONS, TPM2_CC_REWRAP);
    bytes_write_u32(w, old_parent);
    bytes_write_u32(w, new_parent); /* needs no authorization */
    tpm2_auth_area_write(w, auth, 1);
    bytes_write_2b(w, duplicate);
    bytes_write_2b(w, name);
    bytes_write_2b(w, secret);
    tpm2_command_end(w);
}

int tpm2_rewrap_parse(struct bytes response, uint32_t *rc, struct bytes *duplicate, struct bytes *secret)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 1, NULL);
    *duplicate = bytes_read_2b(&r);
    *secret = bytes_read_2b(&r);
    return tpm2_response_end(&r, duplicate, secret);
}

/* TPM2_HMAC_Start [P3 r1.59 17.2] */
void tpm2_hmac_start_build(struct bytes_writer *w, uint32_t key, const struct tpm2_auth *auth)
{
    tpm2_command_begin_authorized(w, TPM2_CC_HMAC_START, key, auth);
    tpm2_write_empty_2b(w);            /* auth of the sequence */
    bytes_write_u16(w, TPM2_ALG_NULL); /* hashAlg: the key's own */
    tpm2_command_end(w);
}

int tpm2_hmac_start_parse(struct bytes response, uint32_t *rc, uint32_t *sequence)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 1, sequence);
    return bytes_reader_end(&r);
}

/* TPM2_SequenceUpdate [P3 r1.59 17.5] */
void tpm2_sequence_update_build(struct bytes_writer *w, uint32_t sequence, const struct tpm2_auth *auth,
                                struct bytes data)
{
    tpm2_command_begin_authorized(w, TPM2_CC_SEQUENCE_UPDATE, sequence, auth);
    bytes_write_2b(w, data);
    tpm2_command_end(w);
}

int tpm2_sequence_update_parse(struct bytes response, uint32_t *rc)
{
    return tpm2_parse_nothing(response, rc, 1);
}

/* TPM2_SequenceComplete [P3 r1.59 17.6] */
void tpm2_sequence_complete_build(struct bytes_writer *w, uint32_t sequence, const struct tpm2_auth *auth,
                                  struct bytes data)
{
    tpm2_command_begin_authorized(w, TPM2_CC_SEQUENCE_COMPLETE, sequence, auth);
    bytes_write_2b(w, data);
    bytes_write_u32(w, TPM2_RH_NULL); /* hierarchy: of a ticket, which an HMAC does not have */
    tpm2_command_end(w);
}

int tpm2_sequence_complete_parse(struct bytes response, uint32_t *rc, struct bytes *mac)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 1, NULL);
    *mac = bytes_read_2b(&r);
    tpm2_read_ticket(&r, TPM2_ST_HASHCHECK); /* validation: the null ticket */
    return tpm2_response_end(&r, mac, NULL);
}

/* TPM2_PolicyGetDigest [P3 r1.59 23.19] */
void tpm2_policy_get_digest_build(struct bytes_writer *w, uint32_t session)
{
    tpm2_command_begin_handle(w, TPM2_CC_POLICY_GET_DIGEST, session);
    tpm2_command_end(w);
}

int tpm2_policy_get_digest_parse(struct bytes response, uint32_t *rc, struct bytes *digest)
{
    return tpm2_parse_2b(response, rc, 0, digest);
}
