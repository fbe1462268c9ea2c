/* SPDX-License-Identifier: MIT */
#ifndef TESTS_LAB_LIBC_UNISTD_H
#define TESTS_LAB_LIBC_UNISTD_H

int isatty(int fd); /* 0 */

#endif
