/* SPDX-License-Identifier: MIT */
/* Response codes in words: texts that firmware does not link. */
#ifndef TPM_TOOLS_RC_TEXT_H
#define TPM_TOOLS_RC_TEXT_H

#include "tpm/rc.h"

/* The specification's name for code ("TPM_RC_INTEGRITY"), or null if it is not known here; of a layer above the TPM its
 * own name for it, or the name of the TPM's code that it passes on. */
const char *tpm2_rc_name(uint32_t code);
/* Which layer made a code with more than a TPM's 12 bits: "ESAPI (tpm2-tss)"; null: not known. *below is the TPM's own
 * code that it passes on, or 0. */
const char *tpm2_rc_layer(uint32_t rc, uint32_t *below);
/* The code of a name: "TPM_RC_INTEGRITY". */
bool tpm2_rc_named(struct bytes name, uint32_t *code);
/* One plain sentence: what that code means in this flow. Null if unknown. */
const char *tpm2_rc_meaning(uint32_t code);

#endif
