/* SPDX-License-Identifier: MIT */
/* What all commands and responses have in common: header, handle area, authorization area [P1 r1.59 18]. command.c
 * fills these frames in the order of Part 3. Internal to tpm/, except tpm2_response_size. */
#ifndef TPM_FRAME_H
#define TPM_FRAME_H

#include "tpm/auth.h"

/* Before parsing: the size that a response header announces. Returns 0 while fewer than 6 bytes are there or the
 * announced size is impossible (below 10 or above limit): then *bad says which. */
size_t tpm2_response_size(struct bytes received, size_t limit, bool *bad);

/* ---- Commands ---- */

/* The header, to the end of the command code; tpm2_command_end fills in commandSize. w must be empty. */
void tpm2_command_begin(struct bytes_writer *w, uint16_t tag, uint32_t command_code);
/* Most commands: one handle, which auth authorizes; or one handle without authorization. */
void tpm2_command_begin_authorized(struct bytes_writer *w, uint32_t command_code, uint32_t handle,
                                   const struct tpm2_auth *auth);
void tpm2_command_begin_handle(struct bytes_writer *w, uint32_t command_code, uint32_t handle);
void tpm2_command_end(struct bytes_writer *w);
void tpm2_write_empty_2b(struct bytes_writer *w);

/* ---- Responses ---- */

/* Check a response from end to end except for its parameters, and return a reader over exactly these.
 *   auths   how many authorizations the command had
 *   handle  where to put the handle of commands that return one, else null; it is given even if what follows is
 *           broken, because the TPM holds that object and the caller has to flush it
 * Whatever is wrong with the response has failed the reader, so parse functions just read on. */
struct bytes_reader tpm2_response_begin(struct bytes response, uint32_t *rc, size_t auths, uint32_t *handle);
/* Everything read: the result, and empty outputs if it is not 0. Outputs that the command lacks are null. */
int tpm2_response_end(const struct bytes_reader *r, struct bytes *first, struct bytes *second);

/* The responses whose parameters are nothing, one TPM2B, or (handle not null) a handle and a TPM2B. */
int tpm2_parse_nothing(struct bytes response, uint32_t *rc, size_t auths);
int tpm2_parse_2b(struct bytes response, uint32_t *rc, size_t auths, struct bytes *content);
int tpm2_parse_handle_2b(struct bytes response, uint32_t *rc, size_t auths, uint32_t *handle,
                         struct bytes *content);
/* A ticket: TPMT_TK_CREATION, _HASHCHECK, _AUTH [P2 r1.59 10.7]. This project passes none on. */
void tpm2_read_ticket(struct bytes_reader *r, uint16_t tag);

#endif
