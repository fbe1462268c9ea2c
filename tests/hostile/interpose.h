/* SPDX-License-Identifier: MIT */
/* Somebody between host and TPM, for tests: he records what crosses the bus, changes it, and sends commands of his own.
 * Like the hostile TPM he is only in programs that link tests/hostile/: dps-conformance, which puts him in front of any
 * device (--serve-tpm), and the tests. */
#ifndef TESTS_HOSTILE_INTERPOSE_H
#define TESTS_HOSTILE_INTERPOSE_H

#include "port/posix/posix.h"
#include "tpm/public.h"

/* His name: interpose:FILE[,OPTION...]/TPM, as in interpose:bus.pcapng,rewrap/libtpms:DIR. FILE has no comma and no
 * two slashes in a row; it becomes a capture for `dps-device explain` and Wireshark. Unlike --trace it has passwords as
 * they were sent, which explain shows, and for each packet who sent it; what he asks himself has a connection of its
 * own. Options:
 *   flip-command=PLACE    one bit is wrong in a command, flip-response=PLACE in a response
 *   replay=PLACE          the same command is sent once more after the answer
 *   own-ek                his own public key stands in the EK's place in the answers of ReadPublic and CreatePrimary;
 *                         salts for it he reads, and encrypts to the real EK
 *   own-session[-nonce]   the device gets the handle of his policy session in the place of its own (and the nonceTPM)
 *   rewrap                he wants the imported keys: reads the inner key, or asks for it with the device's policy
 *                         session or with one of his own and the empty password; then TPM2_Rewrap
 *   strip                 he takes the first session out of ActivateCredential, or out of Unseal, and puts the empty
 *                         password in its place, which is as good for the SRK and what is under it: is the answer in
 *                         clear now?
 *   log                   what he does, and what he has got, in lines on standard error
 * PLACE is COMMAND[:N][@BYTE] or N[@BYTE]: of a command by its name (without TPM2_) the first or the Nth, or the Nth of
 * all, counted from 1; the lowest bit of that byte, counted from 0, else of the last one. */
enum interposer_deed { INTERPOSER_FLIP_COMMAND, INTERPOSER_FLIP_RESPONSE, INTERPOSER_REPLAY };

struct interposer_rule {
    enum interposer_deed deed;
    uint32_t code; /* of the command; 0: any */
    uint32_t nth;
    uint32_t at; /* the byte; UINT32_MAX: the last one */
    uint32_t seen;
    bool now; /* the command under way is meant */
};

#define INTERPOSER_RULES 4
#define INTERPOSER_MESSAGE_MAX 4096

struct interposer {
    struct port_tpm tpm;      /* the TPM behind him */
    struct port_trace record; /* sees what crosses, with who sent it; message null: nobody */
    struct port_trace own;    /* likewise, what he asks himself */
    struct interposer_rule rules[INTERPOSER_RULES];
    size_t rule_count;
    bool rewrap, strip, own_ek, own_session, own_nonce, log;
    uint32_t timeout_ms;

    /* The command under way. */
    uint32_t code;
    uint8_t command[INTERPOSER_MESSAGE_MAX];
    size_t command_len;

    /* own-session */
    uint32_t given_session, device_session; /* 0: none yet */

    /* own-ek: the real one, and the session that was salted with a salt that he knows */
    uint8_t ek_2b[512];
    size_t ek_2b_len; /* 0: no EK was seen */
    uint32_t ek_handle;
    uint8_t salt[32];
    uint8_t nonce_caller[32], nonce_tpm[32];
    uint32_t salted_session; /* 0: none */
    bool salt_known;
    uint8_t heard[64]; /* the first new password that he could decrypt */
    size_t heard_len;

    /* rewrap */
    uint8_t id_object[256], secret[512]; /* of the ActivateCredential under way */
    size_t id_object_len, secret_len;
    uint8_t inner_key[32];
    size_t inner_key_len; /* 0: he does not have it */
    uint8_t key[64];      /* the last one that TPM2_Rewrap gave, or what TPM2_Unseal gave */
    size_t key_len;
    unsigned inner_keys, keys; /* how many he has got */
    unsigned refusals;         /* how often the TPM has refused what he asked for that */
    unsigned stripped;         /* how often it has answered without the first session */
};

/* transact of port_tpm; context is a struct interposer. */
int interposer_transact(void *context, struct bytes command, uint8_t *response, size_t capacity,
                        size_t *response_len, uint32_t timeout_ms);

/* For the table of wrappers. */
const char *interposer_open(const char *name, char *why, size_t why_size);
int interposer_wrap(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *response_len, uint32_t timeout_ms);

/* ---- Between his files ---- */

/* One command of his own. Returns: as transact. The answer views response. */
int interposer_ask(struct interposer *i, const struct bytes_writer *command, uint8_t *response,
                   size_t capacity, struct bytes *answer);
/* A line for the log, and bytes in hex. */
void interposer_say(const struct interposer *i, const char *what, uint32_t rc);
void interposer_show(const struct interposer *i, const char *what, struct bytes bytes);

/* interpose_rewrap.c. Before a command is passed on. Returns: true if its answer is here already. */
bool interposer_steal(struct interposer *i, uint8_t *response, size_t capacity, size_t *len);
/* interpose_session.c. These and the next return whether they have changed the command or the response. */
bool interposer_put_session_back(struct interposer *i);
bool interposer_give_session(struct interposer *i, uint8_t *response, size_t len);
/* interpose_ek.c */
bool interposer_pass_salt_on(struct interposer *i);
bool interposer_put_own_ek(struct interposer *i, uint8_t *response, size_t len);
void interposer_listen(struct interposer *i, struct bytes response);

#endif
