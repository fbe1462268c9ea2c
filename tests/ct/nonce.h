/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CT_NONCE_H
#define TESTS_CT_NONCE_H

#include <stdint.h>

/* The service's derivation of a nonce, with its secret marked as undefined memory. */
void ct_derive_nonce(uint8_t derived[32]);

#endif
