/* SPDX-License-Identifier: MIT */
/* In place of the library's empty table: port/posix/tpm_wrappers.c. */
#include "tests/hostile/hostile.h"
#include "tests/hostile/interpose.h"

const struct posix_tpm_wrapper posix_tpm_wrappers[] = {
    {"hostile:", hostile_open, hostile_transact},
    {"interpose:", interposer_open, interposer_wrap},
    {NULL, NULL, NULL},
};
