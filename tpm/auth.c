/* SPDX-License-Identifier: MIT */
#include "tpm/auth.h"

/* The largest digest of any TPM, SHA-512: bounds nonces and HMACs [P2 r1.59 10.4.2]. */
#define DIGEST_MAX 64

struct tpm2_auth tpm2_auth_password(struct bytes auth_value)
{
    /* A password is not a session, so nothing continues; TPMs report the attribute as set all the same. */
    return (struct tpm2_auth){.handle = TPM2_RS_PW, .attributes = TPM2_SESSION_CONTINUE, .value = auth_value};
}

struct tpm2_auth tpm2_auth_policy(uint32_t session_handle, bool keep_session)
{
    return (struct tpm2_auth){.handle = session_handle,
                              .attributes = keep_session ? TPM2_SESSION_CONTINUE : 0};
}

void tpm2_auth_area_write(struct bytes_writer *w, const struct tpm2_auth *auths, size_t count)
{
    bytes_write_u16(w, 0); /* authorizationSize has 32 bits: these are 0 */
    const size_t size = bytes_write_size_begin(w);
    /*@ loop invariant 0 <= i <= count && writes(w) && auths_ok(w, auths, count) && w->len >= size;
        loop invariant sticky(\at(w->error, LoopEntry), w->error);
        loop invariant \at(w->error, Pre) != 0 ==> w->len == \at(w->len, Pre);
        loop assigns i, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant count - i; */
    for (size_t i = 0; i < count; i++) {
        bytes_write_u32(w, auths[i].handle);    /* sessionHandle */
        bytes_write_u16(w, 0);                  /* nonce: empty */
        bytes_write_u8(w, auths[i].attributes); /* sessionAttributes */
        bytes_write_2b(w, auths[i].value);      /* hmac, or the authValue itself */
    }
    bytes_write_size_end(w, size);
}

void tpm2_auth_area_read(struct bytes_reader *r, size_t count)
{
    /*@ loop invariant 0 <= i <= count && reads(r) && r->left <= \at(r->left, Pre);
        loop invariant sticky(\at(r->error, Pre), r->error);
        loop invariant within(r->p, r->left, \at(r->p, Pre), \at(r->left, Pre));
        loop invariant r->error == 0 ==> \at(r->left, Pre) - r->left <= 133 * i;
        loop assigns i, r->p, r->left, r->error;
        loop variant count - i; */
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
