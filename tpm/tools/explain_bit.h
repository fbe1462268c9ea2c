/* SPDX-License-Identifier: MIT */
/* Bits with names: what explain.h shows of an attribute word, and its tables say. */
#ifndef TPM_TOOLS_EXPLAIN_BIT_H
#define TPM_TOOLS_EXPLAIN_BIT_H

#include <stdint.h>

/* One bit of an attribute word, and what it says when it is set. A list of them ends with mask 0. */
struct tpm2_bit {
    uint32_t mask;
    const char *name;
    const char *meaning;
};

#endif
