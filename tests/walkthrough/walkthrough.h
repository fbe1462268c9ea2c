/* SPDX-License-Identifier: MIT */
/* The run behind the walk-through: device, TPM, service and hub in one process, everything that is sent written to
 * standard output, one JSON object per line.
 *
 * Messages have the form of port/posix/explain/trace.h, and so do the activation blobs and SAS tokens inside them,
 * which follow the message that carried them. Besides:
 *   {"kind":"scene","name":N}                      what follows belongs to this part of the story
 *   {"kind":"bits","offset":O,"name":N,"bits":[{"name":B,"meaning":M}...]}
 *                                                  bits that are set in a field of the message above
 *   {"kind":"value","name":N,"hex":H}              what no message shows: the service's secrets and random bytes
 *   {"kind":"flip","field":F,"what":W}             in this field of the message that follows one bit is wrong */
#ifndef TESTS_WALKTHROUGH_WALKTHROUGH_H
#define TESTS_WALKTHROUGH_WALKTHROUGH_H

#include "dps/protocol/activation.h"
#include "port/posix/explain/trace.h"
#include "port/posix/explain/trace_pcapng.h"
#include "tests/port/flow.h"
#include "tpm/auth.h"

#define WALK_ID "boiler-7"

struct walk {
    struct flow flow;
    struct trace trace;
    struct trace_pcapng capture;                            /* the same for Wireshark, if out is set */
    struct port_tpm tpm;                                    /* the real one, inside the one that listens */
    struct crypto_entropy entropy;                          /* likewise */
    uint8_t ek[DPS_EK_PUBLIC_MAX], srk[DPS_SRK_PUBLIC_MAX]; /* EK_pub and SRK_pub of the registration */
    size_t ek_len, srk_len;
    bool quiet;                   /* what is sent now is not part of the story */
    unsigned step;                /* of what is sent by hand; 0: as the device says */
    const char *what;             /* likewise */
    uint8_t signed_request[4096]; /* step 8, for the replay */
    size_t signed_request_len;
};

/* Exit with a sentence unless it holds. */
void walk_must(bool holds, const char *what);
void walk_scene(const char *name);
void walk_value(const char *name, struct bytes bytes);
/* One command by hand. response has DPS_TPM_BUFFER bytes; the answer views it. */
struct bytes walk_ask(struct walk *k, const struct bytes_writer *command, uint8_t *response);
/* One request by hand; the answer is in k->flow.answer. */
void walk_request(struct walk *k, const void *request, size_t len);
/* PUT .../register with these keys; token may be null. Returns its length. */
size_t walk_write_registration(uint8_t *out, size_t size, struct bytes ek, struct bytes srk,
                               const char *token);
/* The activation blob of the service's last answer. Returns its length, or 0. */
size_t walk_blob(const struct walk *k, uint8_t *blob, size_t capacity);
/* Everything that goes wrong, after a registration. */
void walk_what_goes_wrong(struct walk *k);

/* A challenge, and the SRK that it is for. */
struct walk_challenge {
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    size_t len;
    uint32_t srk; /* handle */
};
/* Ask for one, without recording it. */
void walk_get_challenge(struct walk *k, struct walk_challenge *c, uint32_t srk_handle, struct bytes srk);
/* The first half of step 7, of which ActivateCredential is shown. It must end as good says; then inner_key is set. */
void walk_activate(struct walk *k, const struct walk_challenge *c, bool good, uint8_t inner_key[16]);
/* Without recording it. */
void walk_flush(struct walk *k, uint32_t handle);
/* TPM2_Rewrap with the standard SRK and with the hardened one. The device is registered again in the end. */
void walk_one_command_too_many(struct walk *k);
/* A password and a registration in sessions, with their secrets. */
void walk_sessions(struct walk *k);
/* A registration over HTTPS and over AMQP. What is sent is written as values "https01device", "https02service" ... */
void walk_roads(struct walk *k);

#endif
