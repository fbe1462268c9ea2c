/* SPDX-License-Identifier: MIT */
/* Response codes in words: texts that firmware does not link. */
#ifndef TPM_TOOLS_RC_TEXT_H
#define TPM_TOOLS_RC_TEXT_H

#include "tpm/rc.h"

/* The specification's name for code ("TPM_RC_INTEGRITY"), or null if it is not known here. */
const char *tpm2_rc_name(uint32_t code);
/* One plain sentence: what that code means in this flow. Null if unknown. */
const char *tpm2_rc_meaning(uint32_t code);

#endif
