/* SPDX-License-Identifier: MIT */
#include "tests/port/tis_wire.h"
#include <string.h>

/* ---- No wires ---- */

static int none_read(void *context, uint8_t locality, uint16_t offset, uint8_t *out, size_t len)
{
    if (tis_chip_fails(context)) {
        return BYTES_E_TPM_TRANSPORT;
    }
    tis_chip_read(context, locality, offset, out, len);
    return 0;
}

static int none_write(void *context, uint8_t locality, uint16_t offset, const uint8_t *bytes, size_t len)
{
    if (tis_chip_fails(context)) {
        return BYTES_E_TPM_TRANSPORT;
    }
    tis_chip_write(context, locality, offset, bytes, len);
    return 0;
}

struct port_tis_bus tis_wire_none(struct tis_chip *c)
{
    return (struct port_tis_bus){.context = c, .read = none_read, .write = none_write};
}

/* ---- SPI ---- */

static bool is_read(const struct tis_wire_spi *w)
{
    return (w->header[0] & 0x80) != 0;
}

static unsigned length(const struct tis_wire_spi *w)
{
    return (w->header[0] & 0x3FU) + 1;
}

static void deselect(struct tis_wire_spi *w, bool given_up)
{
    if (w->selected && !given_up && (w->count < 4 || w->moved != length(w))) {
        tis_chip_blame(w->chip, "released in the middle of a transfer");
    }
    w->selected = false;
}

static void begin_data(struct tis_wire_spi *w)
{
    unsigned offset = (w->header[2] & 0x0FU) << 8 | w->header[3];
    if (w->header[1] != 0xD4 || (w->header[0] & 0x40) != 0) {
        tis_chip_blame(w->chip, "a header that is not the TPM's");
    }
    if (is_read(w)) {
        tis_chip_read(w->chip, w->header[2] >> 4, offset, w->data, length(w));
    }
}

static void end_data(struct tis_wire_spi *w)
{
    unsigned offset = (w->header[2] & 0x0FU) << 8 | w->header[3];
    if (!is_read(w)) {
        tis_chip_write(w->chip, w->header[2] >> 4, offset, w->data, length(w));
    }
}

/* One byte in each direction. */
static uint8_t clock_byte(struct tis_wire_spi *w, uint8_t in)
{
    uint8_t out = 0;
    w->chip->now_us++;
    if (w->chip->presence != CHIP_PRESENT) {
        return w->chip->presence == CHIP_FLOATS_LOW ? 0x00 : 0xFF;
    }
    if (w->count < 4) {
        w->header[w->count++] = in;
        if (w->count == 4 && w->states == 0) {
            out = 0x01;
            begin_data(w);
        }
        return out;
    }
    if (w->states > 0) {
        if (--w->states > 0) {
            return 0xFE; /* only the last bit counts */
        }
        begin_data(w);
        return 0x01;
    }
    if (w->moved == length(w)) {
        tis_chip_blame(w->chip, "more bytes than the header said");
        return 0xFF;
    }
    if (is_read(w)) {
        out = w->data[w->moved];
    } else {
        w->data[w->moved] = in;
    }
    if (++w->moved == length(w)) {
        end_data(w);
    }
    return out;
}

static int spi_exchange(void *context, const uint8_t *tx, uint8_t *rx, size_t len, bool keep)
{
    struct tis_wire_spi *w = context;
    if (tis_chip_fails(w->chip)) {
        return BYTES_E_TPM_TRANSPORT;
    }
    if (!w->selected) {
        w->selected = true;
        w->count = 0;
        w->moved = 0;
        w->transfers++;
        w->states = w->vary ? tis_chip_random(w->chip, w->waits + 1) : w->waits;
    }
    if (len < 1 || len > 64) {
        tis_chip_blame(w->chip, "an exchange of no or too many bytes");
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = clock_byte(w, tx != NULL ? tx[i] : 0);
        if (rx != NULL) {
            rx[i] = byte;
        }
    }
    if (!keep) {
        deselect(w, w->chip->presence != CHIP_PRESENT);
    }
    return 0;
}

static void spi_release(void *context)
{
    deselect(context, true);
}

void tis_wire_spi_init(struct tis_wire_spi *w, struct tis_chip *c, struct port_tis_spi *s)
{
    *w = (struct tis_wire_spi){.chip = c};
    *s = (struct port_tis_spi){.context = w, .exchange = spi_exchange, .release = spi_release};
}

/* ---- I2C ---- */

static uint16_t reversed(uint16_t value, unsigned bits)
{
    uint16_t out = 0;
    for (unsigned i = 0; i < bits; i++) {
        if (value & 1U << i) {
            out = (uint16_t)(out | 1U << (bits - 1 - i));
        }
    }
    return out;
}

uint16_t tis_wire_sum(struct bytes message)
{
    uint32_t remainder = 0;
    for (size_t i = 0; i < message.len; i++) {
        remainder ^= (uint32_t)reversed(message.p[i], 8) << 8;
        for (int bit = 0; bit < 8; bit++) {
            remainder = (remainder << 1) ^ (remainder & 0x8000 ? 0x11021U : 0);
        }
    }
    return reversed((uint16_t)remainder, 16);
}

/* What a transfer finds before it: the guard time over, and the TPM willing. */
static bool acknowledged(struct tis_wire_i2c *w)
{
    w->transfers++;
    w->chip->now_us += 25;
    if (w->chip->now_us < w->not_before_us) {
        tis_chip_blame(w->chip, "a transfer within the guard time");
    }
    return w->chip->presence == CHIP_PRESENT && !tis_chip_fails(w->chip) &&
           (w->nack_every == 0 || w->transfers % w->nack_every != 0);
}

static void guard(struct tis_wire_i2c *w, uint32_t flags)
{
    if (w->capability & flags) {
        w->not_before_us = w->chip->now_us + ((w->capability >> 9) & 0xFF);
    }
}

static void write_register(struct tis_wire_i2c *w, const uint8_t *in, size_t len)
{
    switch (w->address) {
    case 0x00:
        w->locality = in[0];
        break;
    case 0x04:
        tis_chip_write(w->chip, w->locality, 0x000, in, len);
        break;
    case 0x18:
    case 0x24:
        tis_chip_write(w->chip, w->locality, w->address, in, len);
        break;
    case 0x40:
        w->sums = in[0] == 1;
        break;
    default:
        tis_chip_blame(w->chip, "an unknown register was written over I2C");
    }
}

static int i2c_write(void *context, const uint8_t *bytes, size_t len)
{
    struct tis_wire_i2c *w = context;
    if (!acknowledged(w)) {
        return BYTES_E_TPM_TRANSPORT;
    }
    w->address = bytes[0];
    if (len > 1) {
        write_register(w, bytes + 1, len - 1);
    }
    guard(w, 0x00060000);
    return 0;
}

static void read_sum(struct tis_wire_i2c *w, uint8_t *out, size_t len)
{
    uint16_t sum = tis_wire_sum(tis_chip_moved(w->chip));
    if (w->bad_sums > 0) {
        w->bad_sums--;
        sum ^= 0x0100;
    }
    if (!w->sums || len != 2) {
        tis_chip_blame(w->chip, "a checksum was read that is not there");
    }
    out[0] = (uint8_t)(sum >> 8);
    out[len - 1] = (uint8_t)sum;
}

static int i2c_read(void *context, uint8_t *out, size_t len)
{
    struct tis_wire_i2c *w = context;
    if (!acknowledged(w)) {
        return BYTES_E_TPM_TRANSPORT;
    }
    switch (w->address) {
    case 0x04:
        tis_chip_read(w->chip, w->locality, 0x000, out, len);
        break;
    case 0x18:
    case 0x24:
        tis_chip_read(w->chip, w->locality, w->address, out, len);
        break;
    case 0x30:
        for (size_t i = 0; i < len; i++) {
            out[i] = (uint8_t)(w->capability >> (8 * i));
        }
        break;
    case 0x44:
        read_sum(w, out, len);
        break;
    case 0x48:
        tis_chip_read(w->chip, w->locality, 0xF00, out, len);
        break;
    default:
        tis_chip_blame(w->chip, "an unknown register was read over I2C");
    }
    guard(w, 0x00180000);
    return 0;
}

static void i2c_delay(void *context, uint32_t us)
{
    struct tis_wire_i2c *w = context;
    w->chip->now_us += us;
}

void tis_wire_i2c_init(struct tis_wire_i2c *w, struct tis_chip *c, struct port_tis_i2c *i)
{
    *w = (struct tis_wire_i2c){
        .chip = c, .locality = 0xFF, .capability = 0x001E0082 | TIS_WIRE_I2C_GUARD_US << 9};
    *i = (struct port_tis_i2c){.context = w, .write = i2c_write, .read = i2c_read, .delay_us = i2c_delay};
}
