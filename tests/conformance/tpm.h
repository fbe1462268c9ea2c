/* SPDX-License-Identifier: MIT */
/* What the cases on a TPM share: one command and its answer, the keys of the flow, and what must be flushed.
 *
 * Functions that return bool have recorded why they return false (conformance_check): the case then just ends. Making
 * the keys, a session, bringing a key in: each depends on the case that is about it. Every handle that a function here
 * gets from the TPM is flushed after the case, so that no case needs to. */
#ifndef TESTS_CONFORMANCE_TPM_H
#define TESTS_CONFORMANCE_TPM_H

#include "port/drive.h"
#include "tests/conformance/conformance.h"
#include "tpm/command.h"
#include "tpm/protect.h"
#include "tpm/rc.h"
#include <string.h>

#define TPM_BUFFER 4096
#define TPM_AUTH_MAX 64
#define TPM_HANDLES_MAX 128
#define TPM_LOADED_MAX 16
/* The flow in memory: which commands it may use. */
#define TPM_FLOW_COMMANDS 8
extern const uint32_t tpm_flow_commands[TPM_FLOW_COMMANDS];

struct tpm_key {
    uint32_t handle; /* 0: none */
    uint8_t public_2b[DPS_EK_PUBLIC_MAX];
    size_t public_len;
    uint8_t name[TPM2_NAME_SIZE];
    struct tpm2_public area; /* views public_2b: a key must not be moved */
};

/* An HMAC key of the flow on its way into the TPM: what the service makes. */
struct tpm_wrapped {
    struct tpm2_public area; /* change before tpm_wrap */
    uint8_t key[64], seed_value[32], inner_key[16];
    size_t key_len, seed_value_len;
    uint8_t unique[32];
    uint8_t public_2b[96];
    size_t public_len;
    uint8_t name[TPM2_NAME_SIZE];
    uint8_t bytes[600]; /* duplicate and secret, each with its size */
    size_t duplicate_len, secret_len;
    uint8_t *duplicate, *secret; /* contents, inside bytes */
    uint8_t private_2b[256];     /* as TPM2_Import returned it */
    size_t private_len;
    uint32_t handle;
    bool named_rightly; /* TPM2_Load returned its Name */
};

struct tpm_credential {
    uint8_t bytes[400];
    size_t blob_len, secret_len;
    uint8_t *blob, *secret; /* contents, inside bytes */
};

struct tpm_handles {
    uint32_t values[TPM_HANDLES_MAX];
    size_t count;
};

/* What came of one command. */
struct tpm_result {
    bool tried;
    int error;   /* of the parse function */
    uint32_t rc; /* if it was refused */
};

/* What one TPM2_Clear has shown: each case looks at its own part. */
struct tpm_cleared {
    struct tpm_result clear, ek, srk, load; /* TPM2_Clear, then what was derived and loaded after it */
    bool ek_before, srk_before, key_before; /* what there was to compare with */
    bool ek_same, srk_same;
    bool auths_empty, objects_gone;
};

struct tpm_suite {
    struct posix_tpm tpm;
    struct port port;
    uint8_t owner_bytes[TPM_AUTH_MAX], endorsement_bytes[TPM_AUTH_MAX], lockout_bytes[TPM_AUTH_MAX];
    struct bytes owner, endorsement, lockout; /* authValues */
    struct bytes_writer w;                    /* the command being made */
    uint8_t command[TPM_BUFFER], response[TPM_BUFFER];
    struct bytes answer; /* the last response */
    uint32_t rc;         /* what the last refused command got */
    bool driver_refused; /* ... or nothing: the kernel refused it, t->tpm.driver_cause says why */
    uint32_t loaded[TPM_LOADED_MAX];
    size_t loaded_count;
    struct tpm_key ek, srk;         /* kept from case to case, since slow TPMs need seconds to derive them */
    struct tpm_result opens, takes; /* see tpm_opens_credentials */
    struct tpm_handles at_open, before;
    char left[160]; /* after which case something was left, first; empty: after none */
    struct tpm_cleared cleared;
};

/* ---- tpm_ask.c: commands ---- */

struct tpm_suite *tpm_of(struct conformance *c);
/* A new command: fill it in with a build function, then tpm_send. */
struct bytes_writer *tpm_begin(struct conformance *c);
/* Send what tpm_begin's writer holds. Returns the answer, empty if the TPM was lost: then the case has failed. */
struct bytes tpm_send(struct conformance *c);
/* The result of a parse function, which has put t->rc, must be success. */
bool tpm_ok(struct conformance *c, int error, const char *what);
/* It must be a refusal, with one of these codes (TPM2_RC_ without numbers; ended by 0). The kernel's resource manager
 * (/dev/tpmrm0) may say it in the TPM's stead: by the same code with a mark of its own, or, where a transient handle is
 * unknown, by EINVAL and no response at all. */
bool tpm_refused(struct conformance *c, int error, const uint32_t *codes, const char *what);
#define TPM_CODES(...) ((const uint32_t[]){__VA_ARGS__, 0})
/* "TPM_RC_VALUE, parameter 2 (0x2c4)" of t->rc. Valid until the next call. */
const char *tpm_rc_text(uint32_t rc);
/* Flush handle after the case, whatever happens. 0 is ignored. */
void tpm_remember(struct conformance *c, uint32_t handle);
/* Flush now what was remembered, which must work. */
bool tpm_flush(struct conformance *c, uint32_t handle);
int tpm_flush_raw(struct conformance *c, uint32_t handle);
/* Random bytes of the case. */
void tpm_random(struct conformance *c, void *out, size_t len);
/* One TPM_PT; false if the TPM does not have it. */
bool tpm_property(struct conformance *c, uint32_t property, uint32_t *value);
/* Is value in the TPM's list of commands or algorithms? */
bool tpm_has(struct conformance *c, uint32_t capability, uint32_t value);
/* Transient objects, loaded and saved sessions, persistent objects. */
bool tpm_list_handles(struct conformance *c, struct tpm_handles *out);
bool tpm_is_listed(const struct tpm_handles *list, uint32_t handle);

/* ---- tpm_keys.c: the keys of the flow ---- */

/* The primaries, derived once. Null if that failed, and then the case has failed. */
const struct tpm_key *tpm_ek(struct conformance *c);
const struct tpm_key *tpm_srk(struct conformance *c);
/* Flush the EK that is kept: for cases that load more than the flow does. To be called before anything is loaded. */
void tpm_make_room(struct conformance *c);
/* The same with the SRK: for a flow that has another one. */
void tpm_let_go_of_srk(struct conformance *c);
/* TPM2_CreatePrimary, judging nothing: returns the parse function's error, and fills in key. */
int tpm_derive(struct conformance *c, uint32_t hierarchy, struct tpm2_public area, struct tpm_key *key);
/* TPM2_CreatePrimary with the hierarchy's authorization; key is flushed after the case. */
bool tpm_create_primary(struct conformance *c, uint32_t hierarchy, struct tpm2_public area,
                        struct tpm_key *key);
/* TPM2_CreatePrimary with a wrong authorization must be refused with TPM_RC_BAD_AUTH. */
void tpm_refuse_wrong_password(struct conformance *c, uint32_t hierarchy, const struct tpm2_public *area,
                               const char *what);
/* TPM2_StartAuthSession, and with TPM2_PolicySecret: a session that may use the EK once. */
bool tpm_start_session(struct conformance *c, uint32_t *session);
bool tpm_policy_secret(struct conformance *c, uint32_t session);
bool tpm_policy_session(struct conformance *c, uint32_t *session);
/* A credential for the object with this Name, to be opened by the EK. */
bool tpm_make_credential(struct conformance *c, struct tpm_credential *made, struct bytes credential,
                         struct bytes object_name);
/* TPM2_ActivateCredential: *opened views the answer. Returns the parse function's error. */
int tpm_activate(struct conformance *c, uint32_t object, const struct tpm2_auth auth[2],
                 const struct tpm_credential *made, struct bytes *opened);
/* The same with an empty password for the object and a policy session of its own for the EK. */
int tpm_activate_simply(struct conformance *c, uint32_t object, const struct tpm_credential *made,
                        struct bytes *opened);
/* An HMAC key with random contents: the flow's template and sizes, to be changed or given to tpm_wrap. */
void tpm_new_key(struct conformance *c, struct tpm_wrapped *k);
/* Wrap it to the SRK; unique follows from key and seedValue unless keep_unique. */
bool tpm_wrap(struct conformance *c, struct tpm_wrapped *k, bool keep_unique);
/* The same to another storage key; null: it could not be made. */
bool tpm_wrap_to(struct conformance *c, struct tpm_wrapped *k, const struct tpm_key *srk, bool keep_unique);
/* Each returns the parse function's error and fills in k. */
int tpm_import(struct conformance *c, struct tpm_wrapped *k);
int tpm_load(struct conformance *c, struct tpm_wrapped *k);
/* All of them, which must work: k->handle is loaded. */
bool tpm_bring_in(struct conformance *c, struct tpm_wrapped *k);
/* What refusals depend on, tried once: a credential is opened, a key of the flow is brought in, if nothing is wrong. */
bool tpm_opens_credentials(struct conformance *c);
bool tpm_takes_keys(struct conformance *c);
int tpm_hmac(struct conformance *c, uint32_t key, struct bytes data, struct bytes *mac);
/* With empty authorization; *mac must be the HMAC of data under k's key. */
bool tpm_hmac_is_right(struct conformance *c, const struct tpm_wrapped *k, struct bytes data);

/* ---- tpm_flow.c: a whole registration, with a service in memory ---- */

struct tpm_flow_counts {
    unsigned commands;    /* in all */
    unsigned other;       /* not among tpm_flow_commands */
    uint32_t first_other; /* one of them */
    unsigned of[TPM_FLOW_COMMANDS];
};
/* Enroll the TPM's EK, register, sign a hub token. EK and SRK are those of tpm_ek and tpm_srk, which the engine finds
 * as if they were persistent; the hardened SRK it derives. times: how often. */
bool tpm_register(struct conformance *c, unsigned times, struct tpm_flow_counts *counts);
bool tpm_register_hardened(struct conformance *c, struct tpm_flow_counts *counts);

/* ---- The groups, one for each step ---- */

extern const struct conformance_case tpm_cases_about[], tpm_cases_wire[], tpm_cases_ek[], tpm_cases_owner[],
    tpm_cases_clear[], tpm_cases_software[], tpm_cases_session[], tpm_cases_activate[], tpm_cases_import[],
    tpm_cases_refuse[], tpm_cases_hmac[], tpm_cases_flow[], tpm_cases_hardened[], tpm_cases_rewrap[],
    tpm_cases_last[];
/* Is anything there that was not there when the suite began? It is flushed, if it can be. */
bool tpm_as_found(struct conformance *c, const struct tpm_handles *then);

#endif
