/* SPDX-License-Identifier: MIT */
/* Commands, responses and structures taken apart into fields with names, values and sentences: for traces, the
 * walk-through and "what is this?". Tools only; device firmware does not link it.
 *
 * The fields come in the order of the bytes, a container before what it contains. The leaves cover the input exactly:
 * every byte belongs to one leaf, whatever the input is. What cannot be read is one leaf called "unparsed"; after a
 * structure that declares its size, reading goes on. */
#ifndef TPM_TOOLS_EXPLAIN_H
#define TPM_TOOLS_EXPLAIN_H

#include "crypto/bytes/bytes.h"
#include "tpm/tools/explain_bit.h"

enum tpm2_field_kind {
    TPM2_FIELD_STRUCTURE, /* contains the fields that follow with a larger depth */
    TPM2_FIELD_BUFFER,    /* likewise: a size and bytes without inner structure, its only two fields */
    TPM2_FIELD_INTEGER,   /* leaf */
    TPM2_FIELD_BYTES,     /* leaf */
    TPM2_FIELD_UNPARSED   /* leaf */
};

/* All texts are constants. meaning, value_name and bits are null where there is nothing to say. */
struct tpm2_field {
    enum tpm2_field_kind kind;
    bool leaf;
    bool secret;      /* an authValue, or bytes of a command that may contain one: not for a transcript */
    unsigned depth;   /* 0: not inside of anything */
    bool encrypted;   /* a parameter that a session hides: its size and bytes follow */
    size_t offset;    /* in the input */
    size_t len;       /* bytes, of a container all that it contains; 0 of an empty structure */
    const char *name; /* as in the specification: "credentialBlob" */
    const char *type; /* likewise: "TPM2B_ID_OBJECT" */
    const char *spec; /* where the field is listed: "P3 r1.59 12.5" */
    const char *meaning;
    uint64_t value; /* of an integer */
    const char *value_name;
    const struct tpm2_bit *bits; /* what the bits of value mean */
};

/* Called once for each field. field is valid during the call only. */
typedef void tpm2_explain_sink(void *context, const struct tpm2_field *field);

/* All return: 0; BYTES_E_FORMAT if bytes are missing, left over or inconsistent; BYTES_E_ALGORITHM if something is
 * of a kind that these tables do not know (a command, an algorithm, a capability). The first of them is
 * returned, and the sink has seen every byte in any case. A response does not say which command it answers, so
 * command_code must be given. */
int tpm2_explain_command(struct bytes command, tpm2_explain_sink *sink, void *context);
int tpm2_explain_response(uint32_t command_code, struct bytes response, tpm2_explain_sink *sink,
                          void *context);
/* The four bytes of a TPM_RC, or of what a layer above the TPM made of one. */
int tpm2_explain_response_code(struct bytes code, tpm2_explain_sink *sink, void *context);
/* A TPM2B_PUBLIC with its size field. */
int tpm2_explain_public(struct bytes public_2b, tpm2_explain_sink *sink, void *context);
/* An activation blob: six structures, one after the other (dps/protocol/activation.h), and perhaps bytes that clients
 * ignore. */
int tpm2_explain_activation_blob(struct bytes blob, tpm2_explain_sink *sink, void *context);

/* The code of a command; 0 if it is too short to have one. */
uint32_t tpm2_explain_command_code(struct bytes command);
/* "TPM2_Load", or null for a command that is not in the table. */
const char *tpm2_explain_command_name(uint32_t command_code);

#endif
