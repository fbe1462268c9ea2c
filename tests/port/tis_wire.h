/* SPDX-License-Identifier: MIT */
/* The other ends of the wires: how a TPM's SPI and I2C interfaces turn the bytes that arrive into accesses to the
 * registers of tis_chip.h; and a bus without wires. */
#ifndef TESTS_PORT_TIS_WIRE_H
#define TESTS_PORT_TIS_WIRE_H

#include "port/tis/tis.h"
#include "port/tis/tis_i2c.h"
#include "port/tis/tis_spi.h"
#include "tests/port/tis_chip.h"

/* Memory-mapped, as far as a driver can tell. */
struct port_tis_bus tis_wire_none(struct tis_chip *c);

struct tis_wire_spi {
    struct tis_chip *chip;
    unsigned waits; /* wait states of each transfer */
    bool vary;      /* 0..waits of them */

    bool selected;
    unsigned count;  /* bytes since it was selected */
    unsigned states; /* wait states left */
    uint8_t header[4];
    uint8_t data[64];
    unsigned moved; /* bytes of data */
    unsigned transfers;
};
/* The SPI controller's side. w and s must not move. */
void tis_wire_spi_init(struct tis_wire_spi *w, struct tis_chip *c, struct port_tis_spi *s);

struct tis_wire_i2c {
    struct tis_chip *chip;
    uint32_t capability; /* what TPM_I2C_INTERFACE_CAPABILITY says */
    unsigned nack_every; /* refuse one transfer in this many; 0: none */
    unsigned bad_sums;   /* checksums that come out wrong */

    uint8_t address; /* of the register that a read is from */
    uint8_t locality;
    bool sums;
    bool last_was_read;
    uint64_t not_before_us; /* the guard time ends */
    unsigned transfers;
};
#define TIS_WIRE_I2C_GUARD_US 150
void tis_wire_i2c_init(struct tis_wire_i2c *w, struct tis_chip *c, struct port_tis_i2c *i);
/* The checksum, by another way than the driver's: most significant bit first, with bits reversed. */
uint16_t tis_wire_sum(struct bytes message);

#endif
