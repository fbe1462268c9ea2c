/* SPDX-License-Identifier: MIT */
/* The registers of port/tis/tis.h over I2C [TCG PC Client Platform TPM Profile v1.04 8.1]: other addresses than on the
 * other buses, a register that selects the locality, pauses (guard times) between transfers, NACK while the TPM is
 * busy, and a checksum over what went through the FIFO. The TPM's usual address is 0x2E (7 bits). */
#ifndef PORT_TIS_TIS_I2C_H
#define PORT_TIS_TIS_I2C_H

#include "port/tis/tis.h"

/* Transfers that the TPM may refuse (NACK) in a row before it is given up, and the pause after each. */
#ifndef PORT_TIS_I2C_TRIES
#define PORT_TIS_I2C_TRIES 50
#endif
#define PORT_TIS_I2C_NACK_US 250
/* Bytes of the FIFO that are written in one transfer, on the stack meanwhile. */
#ifndef PORT_TIS_I2C_PART
#define PORT_TIS_I2C_PART 64
#endif

struct port_tis_i2c {
    void *context;
    /* One transfer from start to stop, to or from the TPM's address.
     * Returns: 0; BYTES_E_TPM_TRANSPORT if it was not acknowledged or the bus failed. */
    int (*write)(void *context, const uint8_t *bytes, size_t len);
    int (*read)(void *context, uint8_t *out, size_t len);
    /* Wait for at least so many microseconds. */
    void (*delay_us)(void *context, uint32_t us);

    /* set by port_tis_i2c_open */
    uint16_t after_read_us, after_write_us; /* guard times */
    uint8_t locality;                       /* the one that is selected */
    bool checksum;                          /* use the TPM's checksums */
};

/* Ask the TPM for its guard times, select locality 0, and switch its checksums on. The functions must be set.
 * Returns: 0; BYTES_E_TPM_TRANSPORT if nobody answers or what answers is not a TPM with this interface. */
int port_tis_i2c_open(struct port_tis_i2c *i);

/* The bus for struct port_tis, after port_tis_i2c_open. i must not move. */
struct port_tis_bus port_tis_i2c_bus(struct port_tis_i2c *i);

#endif
