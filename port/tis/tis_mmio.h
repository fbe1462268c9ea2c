/* SPDX-License-Identifier: MIT */
/* The registers of port/tis/tis.h and crb.h in memory: 4 KiB for each locality. */
#ifndef PORT_TIS_TIS_MMIO_H
#define PORT_TIS_TIS_MMIO_H

#include "port/tis/tis.h"

struct port_tis_mmio {
    /* Where locality 0's registers are (0xFED40000 on PCs); mapped as device memory, uncached. */
    volatile uint8_t *base;
};

/* The bus for struct port_tis and struct port_crb. m must not move. Registers of four bytes are moved in one access,
 * the FIFO byte by byte; nothing can fail. */
struct port_tis_bus port_tis_mmio_bus(struct port_tis_mmio *m);

#endif
