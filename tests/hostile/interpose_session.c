/* SPDX-License-Identifier: MIT */
/* A policy session of the interposer's own, whose handle the device gets for its own one: with the nonce of the one or
 * of the other. On the way to the TPM it is put back where an authorization names it. */
#include "tests/hostile/interpose.h"
#include "tpm/command.h"
#include "tpm/tools/explain.h"
#include <string.h>

#define HANDLE_AT 10 /* after the header */

static void put_u32(uint8_t *at, uint32_t value)
{
    struct bytes_writer w = bytes_writer_over(at, 4);
    bytes_write_u32(&w, value);
}

/* Where the sessions of a command begin: after header and handles, behind their size. 0: there are none. */
static void find_authorizations(void *context, const struct tpm2_field *field)
{
    size_t *at = context;
    if (strcmp(field->name, "authorizationSize") == 0) {
        *at = field->offset + field->len;
    }
}

/* In a command's authorizations, not in its handles: those are in the HMACs. */
bool interposer_put_session_back(struct interposer *i)
{
    uint8_t wrong[4];
    size_t at = 0;
    bool changed = false;
    if (i->given_session == 0) {
        return false;
    }
    (void)tpm2_explain_command(bytes_of(i->command, i->command_len), find_authorizations, &at);
    put_u32(wrong, i->given_session);
    for (; at > 0 && at + 4 <= i->command_len; at++) {
        if (memcmp(i->command + at, wrong, 4) == 0) {
            put_u32(i->command + at, i->device_session);
            changed = true;
        }
    }
    return changed;
}

/* Of TPM2_StartAuthSession: sessionType stands before symmetric (of 6 bytes, or 2 for none) and authHash. */
static bool starts_policy_session(const struct interposer *i)
{
    const size_t end = i->command_len;
    return i->code == TPM2_CC_START_AUTH_SESSION && end > 9 &&
           (i->command[end - 9] == TPM2_SE_POLICY || i->command[end - 5] == TPM2_SE_POLICY);
}

bool interposer_give_session(struct interposer *i, uint8_t *response, size_t len)
{
    static const uint8_t nonce_caller[32] = {1};
    uint8_t buffer[128];
    uint32_t rc;
    struct bytes answer, nonce;
    struct bytes_reader r = bytes_reader_over(bytes_of(response, len));
    const uint16_t tag = bytes_read_u16(&r);
    (void)bytes_read_u32(&r); /* responseSize */
    const bool success = bytes_read_u32(&r) == TPM2_RC_SUCCESS;
    const uint32_t device_session = bytes_read_u32(&r);
    bytes_skip(&r, tag == TPM2_ST_SESSIONS ? 4 : 0); /* parameterSize */
    const size_t nonce_at = len - r.left + 2;
    const size_t nonce_len = bytes_read_2b(&r).len;
    if (!i->own_session || i->given_session != 0 || !starts_policy_session(i) || !success || r.error != 0) {
        return false;
    }
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_start_auth_session_build(&w, TPM2_SE_POLICY, bytes_of(nonce_caller, sizeof nonce_caller));
    if (interposer_ask(i, &w, buffer, sizeof buffer, &answer) != 0 ||
        tpm2_start_auth_session_parse(answer, &rc, &i->given_session, &nonce) != 0) {
        return false;
    }
    i->device_session = device_session;
    put_u32(response + HANDLE_AT, i->given_session);
    interposer_show(i, "the device gets his own session", bytes_of(response + HANDLE_AT, 4));
    if (i->own_nonce && nonce.len == nonce_len) {
        memcpy(response + nonce_at, nonce.p, nonce.len);
        interposer_show(i, "and its nonce", nonce);
    }
    return true;
}
