/* SPDX-License-Identifier: MIT */
/* Commands and responses as tpm2-tss and a TPM exchanged them; README-commands.md says which and how. */
#ifndef TESTS_VECTORS_COMMANDS_H
#define TESTS_VECTORS_COMMANDS_H

#include "crypto/bytes/bytes.h"

struct captured {
    const char *name;
    struct bytes request;
    struct bytes response;
};

extern const struct captured captured_commands[];
extern const size_t captured_commands_count;

#endif
