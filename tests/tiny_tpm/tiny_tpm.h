/* SPDX-License-Identifier: MIT */
/* A TPM to read, and no TPM to use: it is not secure (keys and passwords lie in the memory of its process, the time
 * that it takes depends on them, wrong passwords are not counted, nothing survives its end), and only the commands of
 * the flow, of ownership and of the attacks are there. It is for reading and for tests, and no program that is
 * delivered contains it.
 *
 * Whatever it chooses, it chooses from a seed, so a run can be repeated. Where to read:
 *   activate.c  TPM2_ActivateCredential, TPM2_Import, TPM2_Rewrap: what step 7 and its attacks are
 *   objects.c   what an object is, which attributes it may have, how it is kept outside of the TPM
 *   sessions.c  who may do what: passwords, sessions, policies; encrypted parameters
 *   execute.c   from a command's bytes to the function that carries it out, and back
 *   policy.c    the commands that begin a session and prove something in it
 *   keys.c      primary keys, the commands that use keys
 *   owner.c     hierarchies, TPM2_Clear, capabilities
 *   rsa.c       RSA private keys, on BearSSL */
#ifndef TESTS_TINY_TPM_TINY_TPM_H
#define TESTS_TINY_TPM_TINY_TPM_H

#include "tpm/public.h"
#include "tpm/tpm2.h"

#define TINY_BUFFER 4096 /* of a command, of a response */
#define TINY_OBJECTS 3   /* as few as many chips have */
#define TINY_PERSISTENT 4
#define TINY_SESSIONS 3
#define TINY_AUTH_MAX 32   /* an authValue: a digest */
#define TINY_RSA_BYTES 256 /* RSA-2048 only */
#define TINY_PRIME_BYTES 128
/* What a caller may send, although this TPM has no use for more than 32 and 256: SHA-512, RSA-3072. */
#define TINY_DIGEST_MAX 64
#define TINY_WRAPPED_SEED_MAX 384
#define TINY_SECRET_MAX 128 /* a prime; sealed data */
#define TINY_PUBLIC_MAX 384

/* A password or a seed. */
struct tiny_secret {
    uint8_t bytes[TINY_AUTH_MAX];
    size_t len;
};

/* TPMT_SENSITIVE [P2 r1.59 12.3.2.4]: the half of an object that never leaves the TPM in clear. */
struct tiny_sensitive {
    uint16_t type;
    struct tiny_secret auth, seed_value;
    uint8_t secret[TINY_SECRET_MAX]; /* one prime of an RSA key; an HMAC key; sealed data */
    size_t secret_len;
};

struct tiny_object {
    uint32_t handle; /* 0: the place is free */
    uint32_t hierarchy;
    bool has_sensitive; /* false: only its public area is loaded */
    uint8_t public_2b[TINY_PUBLIC_MAX];
    size_t public_len;
    struct tpm2_public area; /* views public_2b */
    uint8_t name[TPM2_NAME_SIZE], qualified_name[TPM2_NAME_SIZE];
    struct tiny_sensitive sensitive;
    uint8_t crt[5 * TINY_PRIME_BYTES]; /* of an RSA key: p, q, dp, dq, iq */
};

struct tiny_session {
    uint32_t handle; /* 0: the place is free */
    bool trial;      /* it only computes a policy's digest */
    bool keyed;      /* it was salted */
    bool encrypts;   /* AES-128-CFB was agreed on */
    uint8_t key[CRYPTO_SHA256_SIZE];
    uint8_t nonce_tpm[CRYPTO_SHA256_SIZE];
    size_t nonce_len;                   /* as long as the caller's first one */
    uint8_t policy[CRYPTO_SHA256_SIZE]; /* policyDigest: what has been proved so far */
    uint32_t command_code;              /* of TPM2_PolicyCommandCode; 0: none */
};

enum {
    TINY_OWNER,
    TINY_ENDORSEMENT,
    TINY_PLATFORM,
    TINY_NULL,
    TINY_HIERARCHIES,
    TINY_LOCKOUT = TINY_HIERARCHIES
};

/* It contains pointers into itself and must not be moved. */
/* How far a command comes, in this order. */
enum tiny_reached { TINY_AT_HEADER, TINY_AT_HANDLES, TINY_AT_SESSIONS, TINY_AT_COMMAND };

struct tiny_tpm {
    bool started;
    uint8_t reached; /* enum tiny_reached: who has answered the last command */
    struct crypto_drbg random;
    uint8_t seeds[TINY_HIERARCHIES][CRYPTO_SHA256_SIZE];        /* from which primary keys are derived */
    uint8_t proofs[TINY_HIERARCHIES][CRYPTO_SHA256_SIZE];       /* the keys of tickets */
    struct tiny_secret auths[TINY_HIERARCHIES + 1];             /* the last one is lockout's */
    struct tiny_object objects[TINY_OBJECTS + TINY_PERSISTENT]; /* transient ones first */
    struct tiny_session sessions[TINY_SESSIONS];
    uint8_t command[TINY_BUFFER]; /* the one at hand, to be decrypted in place */
};

/* Manufacture: everything in this TPM follows from the seed. It has no power yet. */
void tiny_tpm_make(struct tiny_tpm *t, struct bytes seed);
/* Power comes (again): what was loaded is gone, and the first command must be TPM2_Startup. */
void tiny_tpm_power_on(struct tiny_tpm *t);
/* One command in, one response out. response has room for TINY_BUFFER bytes. Returns: the length of the response. */
size_t tiny_tpm_execute(struct tiny_tpm *t, struct bytes command, uint8_t *response);

#endif
