/* SPDX-License-Identifier: MIT */
/* What the files of the tiny TPM share: the command at hand, and what they do for each other. */
#ifndef TESTS_TINY_TPM_INSIDE_H
#define TESTS_TINY_TPM_INSIDE_H

#include "tests/tiny_tpm/tiny_tpm.h"

/* Which handle, parameter or session a response code is about [P2 r1.59 6.6.2]. */
#define TINY_H(number) ((uint32_t)(number) << 8)
#define TINY_P(number) (0x40U | (uint32_t)(number) << 8)
#define TINY_S(number) (0x800U | (uint32_t)(number) << 8)

#define TINY_HANDLES_MAX 2
#define TINY_AUTHS_MAX 3 /* [P1 r1.59 18.6] */

/* What a handle may be [P2 r1.59 9]. */
enum tiny_kind {
    TINY_NO_HANDLE,
    TINY_KEY,         /* an object */
    TINY_KEY_OR_NULL, /* or TPM_RH_NULL */
    TINY_ENTITY,      /* an object or a hierarchy, whatever has an authValue */
    TINY_ENTITY_OR_NULL,
    TINY_HIERARCHY,  /* one with a seed, or TPM_RH_NULL */
    TINY_OWNED,      /* one with a password that can be changed */
    TINY_CLEARS,     /* lockout or platform */
    TINY_PROVISIONS, /* owner or platform */
    TINY_POLICY      /* a policy session */
};

/* USER: using it. ADMIN: certifying what it is [P1 r1.59 19.2]. */
enum tiny_role { TINY_NOBODY, TINY_USER, TINY_ADMIN };

/* One authorization of a command. */
struct tiny_auth {
    struct tiny_session *session; /* null: a password */
    uint8_t attributes;
    struct bytes nonce_caller, value; /* value: the password, or an HMAC */
    uint32_t entity;                  /* which handle it authorizes; 0: none */
};

struct tiny_call {
    struct tiny_tpm *tpm;
    const struct tiny_command *command;
    uint32_t handles[TINY_HANDLES_MAX];
    uint8_t handle_bytes[TINY_HANDLES_MAX][4];
    struct tiny_auth auths[TINY_AUTHS_MAX];
    size_t auth_count;
    struct bytes_reader in;  /* parameters */
    unsigned parameter;      /* the number of the last one that was read */
    uint32_t rc;             /* what is wrong with the first that is */
    struct bytes_writer out; /* of the response */
    uint32_t out_handle;
};

/* The first parameter of the command, or of the response, is a TPM2B, which can be encrypted; no session at all. */
enum { TINY_IN_2B = 1, TINY_OUT_2B = 2, TINY_NO_SESSIONS = 4 };

/* A row of the table of commands. */
struct tiny_command {
    uint32_t code;
    uint32_t attributes;                  /* TPMA_CC without code and number of handles [P2 r1.59 8.9] */
    uint32_t (*run)(struct tiny_call *c); /* Returns: a response code */
    uint8_t kinds[TINY_HANDLES_MAX];      /* enum tiny_kind */
    uint8_t roles[TINY_HANDLES_MAX];      /* enum tiny_role */
    uint8_t sessions;                     /* TINY_IN_2B and so on */
};
extern const struct tiny_command tiny_commands[];
extern const size_t tiny_commands_count;

/* ---- execute.c: parameters, in their order; the first that is wrong is kept ---- */

uint8_t tiny_in_u8(struct tiny_call *c);
uint16_t tiny_in_u16(struct tiny_call *c);
uint32_t tiny_in_u32(struct tiny_call *c);
struct bytes tiny_in_2b(struct tiny_call *c, size_t max);
/* TPM2B_PUBLIC, size included; what cannot be read is refused here. */
struct bytes tiny_in_public(struct tiny_call *c, struct tpm2_public *area);
/* TPM2B_SENSITIVE; type 0: it was empty. */
void tiny_in_sensitive(struct tiny_call *c, struct tiny_sensitive *sensitive);
/* TPMT_SYM_DEF: TPM2_ALG_AES or TPM2_ALG_NULL. */
uint16_t tiny_in_symmetric(struct tiny_call *c);
/* Refuse the parameter that was read last. */
void tiny_in_refuse(struct tiny_call *c, uint32_t rc);
/* Nothing may be left. Returns: c->rc. */
uint32_t tiny_in_end(struct tiny_call *c);
const struct tiny_command *tiny_command_find(uint32_t code);

/* Can a handle of this number be one? [P2 r1.59 7.4] */
bool tiny_is_object(uint32_t handle);
bool tiny_is_session(uint32_t handle, uint32_t type);

/* ---- sessions.c ---- */

/* Read the authorizations, check each, decrypt the first parameter. */
uint32_t tiny_sessions_begin(struct tiny_call *c, bool there);
/* Encrypt the first parameter of the response, and append what each session says about it. */
void tiny_sessions_end(struct tiny_call *c, uint8_t *parameters, size_t len, struct bytes_writer *w);
struct tiny_session *tiny_session_find(struct tiny_tpm *t, uint32_t handle);

/* ---- objects.c ---- */

/* The object with this handle; null: there is none. */
struct tiny_object *tiny_object_find(struct tiny_tpm *t, uint32_t handle);
struct tiny_object *tiny_object_place(struct tiny_tpm *t, uint32_t first_handle);
/* Is it a storage key, so that others may be kept under it? */
bool tiny_is_parent(const struct tiny_object *o);
/* May a template or a loaded object be this? fixed: what is above it is fixedTPM. Returns a code without number. */
uint32_t tiny_public_check(const struct tpm2_public *area, bool fixed);
/* Part of it: do scheme and attributes agree? */
uint32_t tiny_scheme_check(const struct tpm2_public *area);
/* More: of what is to be made. data_len: of what the caller gives to be kept. */
uint32_t tiny_creation_check(const struct tpm2_public *area, bool fixed, size_t data_len);
/* Put both halves together and see whether they belong to each other. sensitive: null for a public area alone.
 *   number_public, number_private  the parameters to blame */
uint32_t tiny_object_fill(struct tiny_object *o, struct bytes public_2b,
                          const struct tiny_sensitive *sensitive, unsigned number_public,
                          unsigned number_private);
/* The same in a free place, under a handle, which becomes the response's. The private half is parameter 1, the public
 * area parameter 2. parent: null for a primary or an object from outside. */
uint32_t tiny_object_load(struct tiny_call *c, uint32_t hierarchy, const struct tiny_object *parent,
                          struct bytes public_2b, const struct tiny_sensitive *sensitive);
/* An object from a template: its sensitive area from what it is given and from random bytes, and then its unique. */
uint32_t tiny_object_make(const struct tpm2_public *template_area, struct crypto_drbg *random,
                          struct tiny_sensitive *sensitive, uint8_t *public_2b, size_t *public_len);
/* The content first, then its declared size. Returns: a code without number. */
uint32_t tiny_sensitive_read(struct bytes_reader *r, struct tiny_sensitive *sensitive);
/* TPM2B_PRIVATE: a child as it is kept outside, under its parent's seedValue [P1 r1.59 22.4, 22.5]. */
void tiny_private_write(struct tiny_call *c, const struct tiny_object *parent, struct bytes name,
                        const struct tiny_sensitive *sensitive);
/* A TPM2B_DIGEST of whatever length. Returns: a code without number. */
uint32_t tiny_digest_read(struct bytes_reader *r, struct bytes *digest);
/* The outer layer of everything that is wrapped: an HMAC over ciphertext and Name, then AES-CFB [P1 r1.59 23.3, 24].
 * wrapped is decrypted in place, and *content views it. iv: with an initial value of its own, or zeros. */
uint32_t tiny_outer_open(struct bytes seed, struct bytes name, bool iv, uint8_t *wrapped, size_t len,
                         struct bytes *content);

/* ---- owner.c ---- */

/* The index of a hierarchy's seed, proof and authValue; -1: it is none. */
int tiny_hierarchy_index(uint32_t handle);
void tiny_secret_set(struct tiny_secret *s, struct bytes value);

/* ---- The commands, each under its name in Part 3 ---- */

uint32_t tiny_startup(struct tiny_call *c);
uint32_t tiny_shutdown(struct tiny_call *c);
uint32_t tiny_self_test(struct tiny_call *c);
uint32_t tiny_start_auth_session(struct tiny_call *c);
uint32_t tiny_policy_restart(struct tiny_call *c);
uint32_t tiny_create(struct tiny_call *c);
uint32_t tiny_load(struct tiny_call *c);
uint32_t tiny_load_external(struct tiny_call *c);
uint32_t tiny_read_public(struct tiny_call *c);
uint32_t tiny_activate_credential(struct tiny_call *c);
uint32_t tiny_unseal(struct tiny_call *c);
uint32_t tiny_rewrap(struct tiny_call *c);
uint32_t tiny_import(struct tiny_call *c);
uint32_t tiny_hmac(struct tiny_call *c);
uint32_t tiny_get_random(struct tiny_call *c);
uint32_t tiny_policy_secret(struct tiny_call *c);
uint32_t tiny_policy_or(struct tiny_call *c);
uint32_t tiny_policy_command_code(struct tiny_call *c);
uint32_t tiny_policy_get_digest(struct tiny_call *c);
uint32_t tiny_create_primary(struct tiny_call *c);
uint32_t tiny_clear(struct tiny_call *c);
uint32_t tiny_hierarchy_change_auth(struct tiny_call *c);
uint32_t tiny_flush_context(struct tiny_call *c);
uint32_t tiny_evict_control(struct tiny_call *c);
uint32_t tiny_get_capability(struct tiny_call *c);

#endif
