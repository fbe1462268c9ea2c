/* SPDX-License-Identifier: MIT */
/* Endorsement keys as people paste them. */
#ifndef DPS_SERVICE_EK_MISTAKE_H
#define DPS_SERVICE_EK_MISTAKE_H

#include "crypto/bytes/bytes.h"

/* What a text that is no such base64 looks like, as a sentence for who has pasted it. Never null. */
const char *dps_ek_mistake(struct bytes text);

#endif
