/* SPDX-License-Identifier: MIT */
#include "port/tis/tis_mmio.h"

static volatile uint8_t *at(void *context, uint8_t locality, uint16_t offset)
{
    const struct port_tis_mmio *m = context;
    return m->base + ((size_t)locality << 12) + offset;
}

/* A register of four bytes is little-endian and changes while it is looked at: one access. */
static int mmio_read(void *context, uint8_t locality, uint16_t offset, uint8_t *out, size_t len)
{
    volatile uint8_t *p = at(context, locality, offset);
    if (len == 4 && offset != PORT_TIS_DATA_FIFO) {
        const uint32_t value = *(volatile uint32_t *)(volatile void *)p;
        for (size_t i = 0; i < len; i++) {
            out[i] = (uint8_t)(value >> (8 * i));
        }
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        out[i] = *p;
    }
    return 0;
}

static int mmio_write(void *context, uint8_t locality, uint16_t offset, const uint8_t *bytes, size_t len)
{
    volatile uint8_t *p = at(context, locality, offset);
    if (len == 4 && offset != PORT_TIS_DATA_FIFO) {
        *(volatile uint32_t *)(volatile void *)p =
            bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        *p = bytes[i];
    }
    return 0;
}

struct port_tis_bus port_tis_mmio_bus(struct port_tis_mmio *m)
{
    return (struct port_tis_bus){.context = m, .read = mmio_read, .write = mmio_write};
}
