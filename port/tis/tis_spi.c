/* SPDX-License-Identifier: MIT */
#include "port/tis/tis_spi.h"

#define READ 0x80
#define ADDRESS_TOP 0xD4 /* the TPM's 64 KiB: 0xD4, locality, offset */
#define TRANSFER_MAX 64
#define READY 0x01 /* in the last bit of the header and of each wait state */

/* While the header's last bit goes out, the TPM says on MISO whether it is ready; if not, it says so again in the last
 * bit of each further byte. Data follows the byte in which it was ready. */
static int send_header(struct port_tis_spi *s, uint8_t first, uint8_t locality, uint16_t offset)
{
    const uint8_t header[4] = {first, ADDRESS_TOP, (uint8_t)((unsigned)locality << 4 | offset >> 8),
                               (uint8_t)(offset & 0xFF)};
    uint8_t in[4];
    int error = s->exchange(s->context, header, in, sizeof header, true);
    uint8_t state = in[3];
    for (int i = 0; i < PORT_TIS_SPI_WAIT_STATES && error == 0 && !(state & READY); i++) {
        error = s->exchange(s->context, NULL, &state, 1, true);
    }
    return error == 0 && !(state & READY) ? BYTES_E_TIMEOUT : error;
}

/* Only accesses to the FIFO are longer than one transfer holds, and its address stays the same. */
static int transfer(struct port_tis_spi *s, uint8_t locality, uint16_t offset, const uint8_t *out,
                    uint8_t *in, size_t len)
{
    int error = 0;
    for (size_t done = 0; done < len && error == 0;) {
        const size_t part = len - done < TRANSFER_MAX ? len - done : TRANSFER_MAX;
        const uint8_t first = (uint8_t)((in != NULL ? READ : 0) | (part - 1));
        error = send_header(s, first, locality, offset);
        if (error == 0) {
            error = s->exchange(s->context, out != NULL ? out + done : NULL, in != NULL ? in + done : NULL,
                                part, false);
        }
        done += part;
    }
    if (error != 0) {
        s->release(s->context);
    }
    return error;
}

static int spi_read(void *context, uint8_t locality, uint16_t offset, uint8_t *out, size_t len)
{
    return transfer(context, locality, offset, NULL, out, len);
}

static int spi_write(void *context, uint8_t locality, uint16_t offset, const uint8_t *bytes, size_t len)
{
    return transfer(context, locality, offset, bytes, NULL, len);
}

struct port_tis_bus port_tis_spi_bus(struct port_tis_spi *s)
{
    return (struct port_tis_bus){.context = s, .read = spi_read, .write = spi_write};
}
