/* SPDX-License-Identifier: MIT */
/* Every parse function of tpm/command.h in one call, for tests that try the same bytes on all of them. */
#ifndef TESTS_FUZZ_RESPONSES_H
#define TESTS_FUZZ_RESPONSES_H

#include "tpm/command.h"

#define RESPONSE_SPANS 2

/* What a parse function has given. What a command lacks stays empty or zero. */
struct response {
    int error;
    uint32_t rc;
    uint32_t handle;
    struct bytes spans[RESPONSE_SPANS]; /* in the order of its declaration */
    uint32_t numbers[2];                /* likewise */
};

struct response_kind {
    const char *name; /* "TPM2_Load" */
    uint32_t command_code;
    void (*parse)(struct bytes bytes, struct response *r);
};
extern const struct response_kind response_kinds[];
extern const size_t response_kinds_count;

/* The entry of a command; null if there is none. */
const struct response_kind *response_kind_of(uint32_t command_code);

#endif
