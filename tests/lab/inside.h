/* SPDX-License-Identifier: MIT */
/* What the files of the lab share. */
#ifndef TESTS_LAB_INSIDE_H
#define TESTS_LAB_INSIDE_H

#include "dps/device/engine.h"
#include "dps/service/answer.h"
#include "dps/service/state.h"
#include "port/posix/explain/trace.h"
#include "port/posix/store_memory.h"
#include "tests/hostile/interpose.h"
#include "tests/lab/lab.h"
#include "tests/tiny_tpm/tiny_tpm.h"

#define LAB_NOW UINT64_C(1800000000)
#define LAB_ID "boiler-7"
#define LAB_SCOPE "0ne00000A0A"
#define LAB_HOST "dps.example"
#define LAB_MESSAGES 256
#define LAB_HTTP_MAX 8192
#define LAB_RECORDS 6
#define LAB_REFUSALS 32
#define LAB_SECRETS 12
#define LAB_OUTCOMES 12
#define LAB_TEXT 160
#define LAB_HIDDEN 640
#define LAB_HIDDEN_BYTES 98304

struct lab_message_head {
    uint8_t kind; /* enum port_trace_kind */
    uint8_t stage, step;
    bool attacker, changed;
    uint32_t command_code; /* of a response: of its command */
    const char *what;
    uint32_t at, len; /* in the memory of all messages */
};

enum lab_who { LAB_TPM, LAB_SERVICE, LAB_HUB, LAB_DEVICE };

struct lab_refusal {
    uint16_t message; /* the answer; of a device what it had read last */
    uint8_t who;      /* enum lab_who */
    uint8_t stage;
    bool attacker, fatal;
    uint8_t reached; /* of the TPM: enum tiny_reached */
    uint32_t command_code,
        code; /* TPM: its code; service: enum dps_refusal; device: enum bytes_error, as positive */
    const char *what;
    char detail[LAB_TEXT];
};

struct lab_outcome {
    uint8_t stage;
    bool ok;
    const char *what;
};

struct lab_secret {
    const char *name, *how;
    uint8_t bytes[64];
    size_t len;
};

/* A value that a session hides, or from which its HMAC follows. */
struct lab_hidden {
    uint16_t message;
    uint32_t session;
    const char *name, *meaning;
    struct bytes bytes;
};

struct lab_store {
    struct posix_memory memory;
    struct posix_memory_record records[LAB_RECORDS], undo[LAB_RECORDS];
};

/* What comes next. */
enum lab_phase {
    LAB_ACT,     /* the next act begins */
    LAB_ENGINE,  /* the device says something */
    LAB_TO_TPM,  /* the TPM executes a command and answers */
    LAB_DECIDES, /* the service reads a request and decides */
    LAB_ANSWERS, /* its answer is sent */
    LAB_OVER
};

struct lab_world {
    uint8_t scene, stage, act, phase; /* enum lab_phase */
    bool by_hand;                     /* what is sent is not the engine's, and nobody reads the answer */
    bool listens;                     /* somebody does, on the bus */
    const char *what;                 /* of what is sent by hand */
    uint64_t device_clock, service_clock;
    uint32_t answered_status;

    struct tiny_tpm tpm;
    struct interposer interposer;
    bool interposed;
    struct dps_device_config config;
    struct dps_device device;
    uint8_t record[512];
    size_t record_len;

    struct dps_service_config service_config, rogue_config;
    struct dps_service service, rogue;
    struct lab_store store, other; /* other: the rogue's, or a back-up */
    bool is_rogue;
    struct crypto_drbg entropy;
    struct dps_http http;
    struct dps_answer answer;

    /* On its way. */
    uint8_t command[TINY_BUFFER], request[LAB_HTTP_MAX], response[LAB_HTTP_MAX];
    size_t command_len, request_len, response_len, response_read;
    uint8_t signed_request[DPS_NET_BUFFER]; /* the last one with a token, as it was sent */
    size_t signed_request_len;

    size_t message_count, memory_used;
    struct lab_message_head messages[LAB_MESSAGES];
    size_t refusal_count, outcome_count, secret_count;
    struct lab_refusal refusals[LAB_REFUSALS];
    struct lab_outcome outcomes[LAB_OUTCOMES];
    struct lab_secret secrets[LAB_SECRETS];
    size_t hidden_count, hidden_used;
    struct lab_hidden hidden[LAB_HIDDEN];
};

/* The one that is played, and nothing outside of it changes but the memory of messages. */
extern struct lab_world lab_world;

/* ---- Scenes (scenes.c) ---- */

/* A part of a story. begin starts the engine, or fills in a command or request by hand and sets the phase. */
struct lab_act {
    uint8_t stage;
    const char *what;
    int (*begin)(struct lab_world *w);
};

struct lab_scene {
    const char *name, *title;
    const char *text, *lesson;                           /* what happens, and what it shows when it is over */
    const struct lab_act *acts;                          /* the last one has no stage */
    void (*configure)(struct lab_world *w);              /* null, as the next ones: nothing */
    void (*before)(struct lab_world *w, unsigned stage); /* what happens at the beginning of a stage */
    /* What somebody changes in a message on its way. */
    void (*meddle)(struct lab_world *w, enum port_trace_kind kind, uint8_t *bytes, size_t len);
};
extern const struct lab_scene lab_scene_list[];
extern const size_t lab_scene_count;

/* ---- Views (views.c): what is inside a message ---- */

#define LAB_VIEWS 4
/* Copy a view out. Returns: its subject, or -1 if there is none. */
int lab_view(enum port_trace_kind kind, struct bytes message, unsigned view, uint8_t *out, size_t capacity,
             size_t *len);
/* Change a byte of it where it stands. */
bool lab_view_set(enum port_trace_kind kind, uint8_t *message, size_t len, unsigned view, size_t offset,
                  uint8_t value);

/* ---- Things (things.c): what somebody has ---- */

struct lab_thing {
    const char *name, *text;
    enum lab_thing_kind { LAB_BYTES, LAB_WORDS, LAB_CLOCK } kind;
    uint8_t *(*find)(struct lab_world *w, size_t *len); /* null: there is none now */
};
extern const struct lab_thing lab_thing_list[];
extern const size_t lab_thing_count;

/* ---- Between the files ---- */

struct bytes lab_message_bytes(unsigned message);
/* play.c: one thing that happens, if it is of this stage or an earlier one. Returns: false if it is not. */
bool lab_play(unsigned last);
/* The stage of what comes next; 0: nothing does. */
unsigned lab_next_stage(struct lab_world *w);
/* changes.c: a stage begins, with what was changed in it. */
void lab_reach(struct lab_world *w, unsigned stage);
/* The world at the beginning of a stage that was reached, with what was changed in it; null if it was not. Valid until
 * the next call. */
struct lab_world *lab_at(unsigned stage);
void lab_changes_to(struct lab_message_head *m, unsigned number, uint8_t *bytes);
size_t lab_change_count(void);
void lab_changes_forget(void);
/* Which layer of what the TPM was given has noticed? Null: none in particular. */
const char *lab_layer(uint32_t command_code, uint32_t rc);
/* hidden.c: what the sessions of the device's last message, of the TPM's answer to it, hide. */
void lab_keep_hidden(struct lab_world *w, enum port_trace_kind kind, uint32_t command_code,
                     struct bytes message);
/* What a listener gets from one TPM message. */
void lab_listen(struct lab_world *w, enum port_trace_kind kind, uint32_t command_code, struct bytes message);

#endif
