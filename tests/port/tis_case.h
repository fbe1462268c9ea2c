/* SPDX-License-Identifier: MIT */
/* What the tests of port/tis share: a real TPM behind the chip, and one command to ask it. */
#ifndef TESTS_PORT_TIS_CASE_H
#define TESTS_PORT_TIS_CASE_H

#include "port/posix/posix.h"
#include "tests/port/tis_wire.h"

#define TIS_CASE_TIMEOUT_MS 10000

enum tis_case_bus { TIS_CASE_NONE, TIS_CASE_SPI, TIS_CASE_I2C, TIS_CASE_BUSES };

struct tis_case {
    struct posix_tpm real;
    struct tis_chip chip;
    struct tis_wire_spi spi_wire;
    struct port_tis_spi spi;
    struct tis_wire_i2c i2c_wire;
    struct port_tis_i2c i2c;
    struct port_tis tis;
    struct port_tpm tpm; /* the driver's */
    uint8_t expected[600];
    size_t expected_len;
};

/* A fresh real TPM behind a chip on one of the buses, looked for and found. Returns 0 or the line that failed. */
int tis_case_open(struct tis_case *t, enum tis_case_bus bus);
/* The same TPM behind another chip, as it is after a reset; on a bus, and not looked for yet. */
void tis_case_reset(struct tis_case *t, enum tis_case_bus bus);
/* port_tis_i2c_open, if it is on I2C, and port_tis_open. Returns 0 or the error. */
int tis_case_find(struct tis_case *t);
void tis_case_close(struct tis_case *t);

/* TPM2_GetCapability with an answer of hundreds of bytes, which the real TPM has given before.
 * Returns: 0; the driver's error; BYTES_E_INTEGRITY if it is another answer; BYTES_E_USAGE if there is a length beside
 * an error. */
int tis_case_ask(struct tis_case *t);
int tis_case_ask_within(struct tis_case *t, uint32_t timeout_ms, size_t capacity);
/* A command whose execution takes real time, and whose answer is the largest: TPM2_CreatePrimary of the EK, flushed. */
int tis_case_create_ek(struct tis_case *t);
/* A clock's sleep_ms that says to stop. */
int tis_case_interrupted_sleep(void *context, uint32_t ms);

#endif
