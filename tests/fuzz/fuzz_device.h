/* SPDX-License-Identifier: MIT */
/* The inputs of fuzz_device: two bytes (which flow, flags), then chunks: a 16-bit length and as many bytes. Each time
 * the engine asks the TPM or the network it is given the next chunk; DEVICE_CHUNK_FAILS instead of a length means that
 * the driver fails. A flow that needs a record takes it from the first chunk, and gets its digest from the harness.
 * record.c writes runs with a real TPM in this form. */
#ifndef TESTS_FUZZ_FUZZ_DEVICE_H
#define TESTS_FUZZ_FUZZ_DEVICE_H

enum device_flow {
    DEVICE_REGISTER,
    DEVICE_TOKEN,
    DEVICE_SEND,
    DEVICE_READ_EK,
    DEVICE_READ_KEYS,
    DEVICE_OWN,
    DEVICE_CLEAR,
    DEVICE_SEAL,
    DEVICE_UNSEAL,
    DEVICE_FLOWS
};

#define DEVICE_PERSIST 1
#define DEVICE_NO_CLOCK 2
#define DEVICE_NO_ID 4
#define DEVICE_PAYLOAD 8
#define DEVICE_AZURE_SDK 16
#define DEVICE_SPLIT 32 /* what comes from the network comes byte by byte */
#define DEVICE_DATA 64  /* what is unsealed is the first chunk */

#define DEVICE_CHUNK_FAILS 0xFFFF

#endif
