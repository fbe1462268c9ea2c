/* SPDX-License-Identifier: MIT */
/* The registers of port/tis/tis.h over SPI [TCG PC Client Platform TPM Profile v1.05 7.4]: SPI mode 0, most significant
 * bit first, a header of four bytes, wait states, at most 64 bytes in a transfer. */
#ifndef PORT_TIS_TIS_SPI_H
#define PORT_TIS_TIS_SPI_H

#include "port/tis/tis.h"

/* Wait states (bytes) that a TPM may insert into one transfer. Chips need 0 to 2; at 10 MHz a byte takes 0.8 us. */
#ifndef PORT_TIS_SPI_WAIT_STATES
#define PORT_TIS_SPI_WAIT_STATES 256
#endif

struct port_tis_spi {
    void *context;
    /* Select the chip and exchange len bytes (1..64), full duplex.
     *   tx      what goes out; null: zeros
     *   rx      where to put what comes in; null: nowhere
     *   keep    the chip stays selected afterwards: the transfer goes on with the next call. A controller whose chip
     *           select cannot do that needs a GPIO for it. Otherwise it is released; it must then stay released for a
     *           moment (5 us will do for every chip) before the next transfer
     * tx and rx never overlap. Returns: 0; BYTES_E_TPM_TRANSPORT if the controller fails. */
    int (*exchange)(void *context, const uint8_t *tx, uint8_t *rx, size_t len, bool keep);
    /* Release the chip, in the middle of a transfer that cannot go on. */
    void (*release)(void *context);
};

/* The bus for struct port_tis. s must not move.
 * Returns, from its functions: 0; BYTES_E_TIMEOUT if there are too many wait states, or there is no TPM and MISO is
 * low; BYTES_E_TPM_TRANSPORT. The chip is released after every error. */
struct port_tis_bus port_tis_spi_bus(struct port_tis_spi *s);

#endif
