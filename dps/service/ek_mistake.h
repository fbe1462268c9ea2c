/* SPDX-License-Identifier: MIT */
/* Endorsement keys as people paste them. */
#ifndef DPS_SERVICE_EK_MISTAKE_H
#define DPS_SERVICE_EK_MISTAKE_H

#include "crypto/bytes/bytes.h"

/* What a text that is not base64 of an EK looks like, as a sentence for whoever pasted it. Never null. */
const char *dps_ek_mistake(struct bytes text);

#endif
