/* SPDX-License-Identifier: MIT */
/* No wrappers. A file of its own, so that a program that brings its own table does not link this one. */
#include "port/posix/posix.h"

const struct posix_tpm_wrapper posix_tpm_wrappers[] = {{NULL, NULL, NULL}};
