/* SPDX-License-Identifier: MIT */
/* TPM responses as tpm2-tss's marshalling library (libtss2-mu) reads them: the other side of mu.c. */
#ifndef TESTS_DIFFERENTIAL_MARSHALLED_H
#define TESTS_DIFFERENTIAL_MARSHALLED_H

#include "crypto/bytes/bytes.h"

/* The structures that responses are made of, in the order in which Part 3 lists them. */
enum field_kind {
    FIELD_END,
    FIELD_DIGEST,
    FIELD_NONCE,
    FIELD_NAME,
    FIELD_PRIVATE,
    FIELD_PUBLIC,
    FIELD_ID_OBJECT,
    FIELD_ENCRYPTED_SECRET,
    FIELD_SENSITIVE_DATA,
    FIELD_CREATION_DATA,
    FIELD_MAX_NV_BUFFER,
    FIELD_TIMEOUT,
    FIELD_TK_CREATION,
    FIELD_TK_HASHCHECK,
    FIELD_TK_AUTH,
    FIELD_CAPABILITY, /* TPMI_YES_NO and TPMS_CAPABILITY_DATA */
    FIELD_NV_PUBLIC
};

#define FIELDS_MAX 6 /* FIELD_END included */

/* A response's layout [P3 r1.59]. */
struct layout {
    uint32_t command_code;
    uint8_t auths; /* sessions of the command */
    bool handle;
    uint8_t fields[FIELDS_MAX]; /* enum field_kind, ended by FIELD_END */
};
extern const struct layout layouts[];
extern const size_t layouts_count;

/* What the library found in it. Spans view the response. */
struct marshalled {
    bool accepted;   /* header, sizes and sessions fit, it took every structure, and nothing is left over */
    bool canonical;  /* what it marshals again is the bytes that it has read */
    bool left_over;  /* it took every structure, and bytes followed */
    uint8_t refused; /* enum field_kind of the structure that it did not take, else FIELD_END */
    struct bytes refused_at; /* where that one begins */
    uint32_t handle;         /* 0 if there is none */
    struct bytes fields[FIELDS_MAX];
};

void marshalled_read(const struct layout *layout, struct bytes response, struct marshalled *m);

/* The largest content of a TPM2B that the library has room for; SIZE_MAX for structures that are none. */
size_t marshalled_room(enum field_kind kind);

#endif
