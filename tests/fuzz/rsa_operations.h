/* SPDX-License-Identifier: MIT */
/* How many RSA operations the service has done. The linker puts a function that counts in place of the other
 * (fuzz.mk). */
#ifndef TESTS_FUZZ_RSA_OPERATIONS_H
#define TESTS_FUZZ_RSA_OPERATIONS_H

extern unsigned rsa_operations;

#endif
