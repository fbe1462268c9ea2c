/* SPDX-License-Identifier: MIT */
#include "tpm/frame.h"
#include "tpm/tpm2.h"

/* Header: tag, size, code [P1 r1.59 18.2]. */
#define HEADER_SIZE 10
#define TAG_SIZE 2

void tpm2_command_begin(struct bytes_writer *w, uint16_t tag, uint32_t command_code)
{
    if (w->len != 0) {
        bytes_writer_fail(w, BYTES_E_USAGE);
    }
    bytes_write_u16(w, tag);
    bytes_write_u32(w, 0); /* commandSize: tpm2_command_end knows it */
    bytes_write_u32(w, command_code);
}

void tpm2_command_begin_authorized(struct bytes_writer *w, uint32_t command_code, uint32_t handle,
                                   const struct tpm2_auth *auth)
{
    tpm2_command_begin(w, TPM2_ST_SESSIONS, command_code);
    bytes_write_u32(w, handle);
    tpm2_auth_area_write(w, auth, 1);
}

void tpm2_command_begin_handle(struct bytes_writer *w, uint32_t command_code, uint32_t handle)
{
    tpm2_command_begin(w, TPM2_ST_NO_SESSIONS, command_code);
    bytes_write_u32(w, handle);
}

void tpm2_command_end(struct bytes_writer *w)
{
    if (w->error != 0) {
        return;
    }
    struct bytes_writer size = bytes_writer_over(w->p, w->len);
    size.len = TAG_SIZE;
    bytes_write_u32(&size, (uint32_t)w->len);
}

void tpm2_write_empty_2b(struct bytes_writer *w)
{
    bytes_write_u16(w, 0);
}

/* A refusal is a bare header, without sessions [P3 r1.59 6.1]; a TPM 1.2 answers with its own tag. */
static void read_refusal(struct bytes_reader *r, uint16_t tag, uint32_t code, uint32_t *rc)
{
    if (r->left != 0 || (tag != TPM2_ST_NO_SESSIONS && tag != TPM2_ST_RSP_COMMAND)) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    if (r->error == 0) {
        *rc = code;
    }
    bytes_reader_fail(r, BYTES_E_TPM_RC);
}

struct bytes_reader tpm2_response_begin(struct bytes response, uint32_t *rc, size_t auths, uint32_t *handle)
{
    struct bytes_reader r = bytes_reader_over(response);
    uint16_t tag = bytes_read_u16(&r);
    uint32_t size = bytes_read_u32(&r);
    uint32_t code = bytes_read_u32(&r);
    *rc = 0;
    if (handle != NULL) {
        *handle = code == TPM2_RC_SUCCESS ? bytes_read_u32(&r) : 0;
    }
    if (size != response.len) {
        bytes_reader_fail(&r, BYTES_E_FORMAT);
    }
    if (code != TPM2_RC_SUCCESS) {
        read_refusal(&r, tag, code, rc);
    }
    if (tag != (auths > 0 ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS)) {
        bytes_reader_fail(&r, BYTES_E_FORMAT);
    }
    if (auths > 0) {
        const struct bytes parameters = bytes_read_4b(&r);
        tpm2_auth_area_read(&r, auths);
        r.p = parameters.p;
        r.left = parameters.len;
    }
    return r;
}

int tpm2_response_end(const struct bytes_reader *r, struct bytes *first, struct bytes *second)
{
    int error = bytes_reader_end(r);
    if (error == 0) {
        return 0;
    }
    if (first != NULL) {
        *first = (struct bytes){0};
    }
    if (second != NULL) {
        *second = (struct bytes){0};
    }
    return error;
}

int tpm2_parse_nothing(struct bytes response, uint32_t *rc, size_t auths)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, auths, NULL);
    return bytes_reader_end(&r);
}

int tpm2_parse_2b(struct bytes response, uint32_t *rc, size_t auths, struct bytes *content)
{
    return tpm2_parse_handle_2b(response, rc, auths, NULL, content);
}

int tpm2_parse_handle_2b(struct bytes response, uint32_t *rc, size_t auths, uint32_t *handle,
                         struct bytes *content)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, auths, handle);
    *content = bytes_read_2b(&r);
    return tpm2_response_end(&r, content, NULL);
}

void tpm2_read_ticket(struct bytes_reader *r, uint16_t tag)
{
    if (bytes_read_u16(r) != tag) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    bytes_read_u32(r); /* hierarchy */
    bytes_read_2b(r);  /* digest */
}

size_t tpm2_response_size(struct bytes received, size_t limit, bool *bad)
{
    struct bytes_reader r = bytes_reader_over(received);
    bytes_read_u16(&r); /* tag */
    uint32_t size = bytes_read_u32(&r);
    *bad = r.error == 0 && (size < HEADER_SIZE || size > limit);
    return r.error == 0 && !*bad ? (size_t)size : 0;
}
