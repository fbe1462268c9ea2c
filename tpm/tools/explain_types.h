/* SPDX-License-Identifier: MIT */
/* Names of what no table of explain_commands.c takes apart. */
#ifndef TPM_TOOLS_EXPLAIN_TYPES_H
#define TPM_TOOLS_EXPLAIN_TYPES_H

#include <stdint.h>

/* "TPM_CC_PCR_Extend", also of the commands that are not in the table; null for a code that Part 2 does not have. */
const char *tpm2_explain_code_name(uint32_t command_code);

#endif
