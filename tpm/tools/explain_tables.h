/* SPDX-License-Identifier: MIT */
/* The language in which explain.c's knowledge is written down, as data. Internal to tpm/tools/explain*.c.
 *
 * A shape says how the bytes of a type are laid out; a member is a named field of some shape. In a structure with a
 * union, the first member always selects: that is how Part 2 builds its TPMT_ structures. */
#ifndef TPM_TOOLS_EXPLAIN_TABLES_H
#define TPM_TOOLS_EXPLAIN_TABLES_H

#include "crypto/bytes/bytes.h"
#include "tpm/tools/explain_bit.h"

/* A value with a name; it is meant if (value & mask) == wanted. A list of them ends with name null. */
struct tpm2_value_name {
    uint64_t mask;
    uint64_t wanted;
    const char *name;
    const char *meaning; /* used where the member has no meaning of its own; may be null */
};

enum tpm2_layout {
    TPM2_UINT,   /* width bytes */
    TPM2_BUFFER, /* a size of width bytes, and as many bytes */
    TPM2_SIZED,  /* a size of width bytes, and members that fill it exactly; size 0: no members */
    TPM2_SIZED_TRY, /* the same, but where the members do not fit it is a buffer: it may be encrypted as a whole */
    TPM2_STRUCT, /* members */
    TPM2_LIST,   /* a 32-bit count, and as many of the one member */
    TPM2_UNION,  /* the shape that the selector chooses */
    TPM2_REST    /* bytes up to the end of what contains it */
};

struct tpm2_member;
struct tpm2_choice;

struct tpm2_shape {
    enum tpm2_layout layout;
    uint8_t width;
    bool secret;      /* TPM2_BUFFER: an authValue */
    const char *type; /* Part 2's name */
    const char *spec; /* where Part 2 lists its members */
    const char *size; /* what the specification calls the size and the bytes, if not "size" and "buffer" */
    const char *content;
    const struct tpm2_value_name *values;
    const struct tpm2_bit *bits;
    const struct tpm2_member *members;
    const struct tpm2_choice *choices;
};

/* A list of members ends with name null. A union's member may say nothing and leave it to its choices. */
struct tpm2_member {
    const char *name;
    const struct tpm2_shape *shape;
    const char *meaning;
};

/* Chosen if (selector & mask) == wanted, the first that fits; shape null: no bytes at all. A list of them ends with
 * last set. A selector that fits none is an unknown algorithm. */
struct tpm2_choice {
    uint32_t mask;
    uint32_t wanted;
    const struct tpm2_shape *shape;
    const char *meaning;
    bool last;
};

/* One command of Part 3. */
struct tpm2_command_table {
    const char *name;
    uint32_t code;
    const char *spec;
    size_t auths; /* the first so many handles must be authorized */
    const struct tpm2_member *handles;
    const struct tpm2_member *parameters;
    const struct tpm2_member *response_handle;
    const struct tpm2_member *response;
};

/* A list of members, in place. */
#define TPM2_MEMBERS(...)                                                                                    \
    (const struct tpm2_member[])                                                                             \
    {                                                                                                        \
        __VA_ARGS__,                                                                                         \
        {                                                                                                    \
            0                                                                                                \
        }                                                                                                    \
    }

/* explain_commands.c. Ends with name null. */
extern const struct tpm2_command_table tpm2_command_tables[];
/* The table of a command code, or null. */
const struct tpm2_command_table *tpm2_explain_find_command(uint32_t code);

/* explain_types.c: the types of Part 2, by Part 2's names without prefix where that is clear. */
extern const struct tpm2_shape tpm2_shape_u16;
extern const struct tpm2_shape tpm2_shape_u32;
extern const struct tpm2_shape tpm2_shape_yes_no;
extern const struct tpm2_shape tpm2_shape_st;
extern const struct tpm2_shape tpm2_shape_cc;
extern const struct tpm2_shape tpm2_shape_rc;
extern const struct tpm2_shape tpm2_shape_su;
extern const struct tpm2_shape tpm2_shape_se;
extern const struct tpm2_shape tpm2_shape_cap;
extern const struct tpm2_shape tpm2_shape_pt;
extern const struct tpm2_shape tpm2_shape_alg;
extern const struct tpm2_shape tpm2_shape_alg_hash;
extern const struct tpm2_shape tpm2_shape_handle;
extern const struct tpm2_shape tpm2_shape_session_attributes;
extern const struct tpm2_shape tpm2_shape_digest;
extern const struct tpm2_shape tpm2_shape_data;
extern const struct tpm2_shape tpm2_shape_nonce;
extern const struct tpm2_shape tpm2_shape_auth;
extern const struct tpm2_shape tpm2_shape_max_buffer;
extern const struct tpm2_shape tpm2_shape_max_nv_buffer;
extern const struct tpm2_shape tpm2_shape_timeout;
extern const struct tpm2_shape tpm2_shape_sensitive_data;
extern const struct tpm2_shape tpm2_shape_encrypted_secret;
extern const struct tpm2_shape tpm2_shape_encrypted_parameter;
extern const struct tpm2_shape tpm2_shape_rest; /* of the structure that contains it */
extern const struct tpm2_shape tpm2_shape_name;
extern const struct tpm2_shape tpm2_shape_pcr_selection;
extern const struct tpm2_shape tpm2_shape_pcr_selections;
extern const struct tpm2_shape tpm2_shape_tk_creation;
extern const struct tpm2_shape tpm2_shape_tk_hashcheck;
extern const struct tpm2_shape tpm2_shape_tk_auth;
extern const struct tpm2_shape tpm2_shape_auth_command;
extern const struct tpm2_shape tpm2_shape_auth_response;
/* explain_structures.c: objects, credentials, capabilities, NV. */
extern const struct tpm2_shape tpm2_shape_sym_def;
extern const struct tpm2_shape tpm2_shape_sym_def_object;
extern const struct tpm2_shape tpm2_shape_public;
extern const struct tpm2_shape tpm2_shape_private;
extern const struct tpm2_shape tpm2_shape_duplicate;
extern const struct tpm2_shape tpm2_shape_sensitive;
extern const struct tpm2_shape tpm2_shape_sensitive_create;
extern const struct tpm2_shape tpm2_shape_creation_data;
extern const struct tpm2_shape tpm2_shape_id_object;
extern const struct tpm2_shape tpm2_shape_capability_data;
extern const struct tpm2_shape tpm2_shape_digests;
extern const struct tpm2_shape tpm2_shape_nv_public;
extern const struct tpm2_member tpm2_activation_blob_members[];

#endif
