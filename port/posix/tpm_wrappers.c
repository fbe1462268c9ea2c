/* SPDX-License-Identifier: MIT */
/* No wrappers. This file stands alone, so that a program that brings a table of its own does not link it. */
#include "port/posix/posix.h"

const struct posix_tpm_wrapper posix_tpm_wrappers[] = {{NULL, NULL, NULL}};
