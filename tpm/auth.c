/* SPDX-License-Identifier: MIT */
#include "tpm/auth.h"

/* The largest digest of any TPM, SHA-512: bounds nonces and HMACs [P2 r1.59 10.4.2]. */
#define DIGEST_MAX 64

struct tpm2_auth tpm2_auth_password(struct bytes auth_value)
{
    /* A password is no session, so nothing continues; TPMs report the attribute as set all the same. */
    return (struct tpm2_auth){.handle = TPM2_RS_PW, .attributes = TPM2_SESSION_CONTINUE, .value = auth_value};
}

struct tpm2_auth tpm2_auth_policy(uint32_t session_handle, bool keep_session)
{
    return (struct tpm2_auth){.handle = session_handle,
                              .attributes = keep_session ? TPM2_SESSION_CONTINUE : 0};
}

void tpm2_auth_area_write(struct bytes_writer *w, const struct tpm2_auth *auths, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += 4 + 2 + 1 + 2 + auths[i].value.len;
    }
    bytes_write_u32(w, (uint32_t)size); /* authorizationSize */
    for (size_t i = 0; i < count; i++) {
        bytes_write_u32(w, auths[i].handle);    /* sessionHandle */
        bytes_write_u16(w, 0);                  /* nonce: empty */
        bytes_write_u8(w, auths[i].attributes); /* sessionAttributes */
        bytes_write_2b(w, auths[i].value);      /* hmac, or the authValue itself */
    }
}

void tpm2_auth_area_read(struct bytes_reader *r, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes nonce = bytes_read_2b(r);
        bytes_read_u8(r); /* sessionAttributes: repeats what was asked */
        struct bytes hmac = bytes_read_2b(r);
        if (nonce.len > DIGEST_MAX || hmac.len > DIGEST_MAX) {
            bytes_reader_fail(r, BYTES_E_FORMAT);
        }
    }
    bytes_reader_fail(r, bytes_reader_end(r));
}
