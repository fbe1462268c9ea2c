/* SPDX-License-Identifier: MIT */
/* Two TPMs, and one command to both of them. */
#ifndef TESTS_TINY_TPM_COMPARE_H
#define TESTS_TINY_TPM_COMPARE_H

#include "tests/tiny_tpm/tiny_tpm.h"
#include "tpm/command.h"
#include "tpm/protect.h"

/* The storage key that both hold. */
#define BOTH_PARENT 0x80000001U
#define BOTH_PARENT_ATTRIBUTES                                                                               \
    (TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_NO_DA | TPM2_OBJECT_RESTRICTED | TPM2_OBJECT_DECRYPT)

struct both_command {
    uint32_t code;
    size_t handles;
};
/* Those of the tiny TPM. */
extern const struct both_command both_commands[];
extern const size_t both_commands_count;

/* Begin, with libtpms's state in a directory. Returns: 0, or what failed has been printed. */
int both_open(const char *directory);
void both_close(void);

/* ---- The command ---- */

struct bytes_writer *both_begin(void);
struct bytes_writer *both_writer(void);
/* Its header. */
void both_command(uint16_t tag, uint32_t code);
void both_set_size(uint32_t size);
/* Only the first len bytes, with a size that says so. */
void both_cut(size_t len);
/* ... for each len from begin on: send it, and compare. */
void both_cut_everywhere(size_t begin, const char *what);
/* TPM2_Import with neither wrap. */
void both_import_in_clear(uint32_t parent, struct bytes public_2b, uint16_t type, struct bytes secret);
/* A new SRK in each. Returns: whether there is one. */
bool both_create_srk(void);
struct bytes both_known_prime(void);
struct bytes both_parent_name(void);
/* The public area of the well-known key, as that of a storage key, with these attributes. */
struct tpm2_public both_known_area(uint32_t attributes);

/* ---- The responses ---- */

/* Send it to both. Returns: false if one of them did not answer. */
bool both_ask(void);
bool both_ask_one(int which);
/* 0: libtpms; 1: the tiny TPM. */
struct bytes both_answer(int which);
uint32_t both_code(int which);
uint32_t both_last_u32(struct bytes response);
/* Send it, and compare. Where they differ, command and responses are printed. */
bool both_same(const char *what);
bool both_same_as_is(const char *what); /* the size field stays as it is */
bool both_same_code(const char *what);  /* of success or refusal */
/* Compare what came of each one's own command. */
bool both_compare_codes(const char *what);
/* From here on the next successful response is random. */
void both_random_from(size_t at);
/* How often a listed difference has not been seen: prints which. */
unsigned both_not_seen(void);
/* How often they differed since this was asked. */
unsigned both_differences(void);
/* Flush it, wherever it is. */
void both_flush(uint32_t handle);
/* Flush what the last command has loaded. */
void both_flush_new(void);

/* ---- compare_keys.c: tests, as tests/unit/test.h runs them ---- */

int compare_activate(void);
int compare_import(void);
int compare_rewrap(void);
int compare_load_external(void);
int compare_hmac(void);
int compare_seal(void);
int compare_policies(void);
int compare_salted(void);
int compare_public_half(void);
int compare_start(void);
int compare_owner(void);

#endif
