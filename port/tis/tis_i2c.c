/* SPDX-License-Identifier: MIT */
#include "port/tis/tis_i2c.h"
#include <string.h>

/* Registers at other addresses than on other buses, or that exist only here. */
#define LOC_SEL 0x00
#define ACCESS 0x04
#define INTERFACE_CAPABILITY 0x30
#define CSUM_ENABLE 0x40
#define CSUM 0x44
#define DID_VID 0x48

/* TPM_I2C_INTERFACE_CAPABILITY */
#define TYPE_MASK 0x0FU
#define TYPE_FIFO 0x02U
#define ZERO 0x80000000U
/* Guard times [TCG PC Client Platform TPM Profile v1.04 8.1.10]: how many microseconds, and between what. They are kept
 * per first transfer, since what follows it is not known yet. */
#define GUARD_SHIFT 9
#define GUARD_MASK 0xFFU
#define GUARD_AFTER_WRITE 0x00060000U /* before a write, before a read */
#define GUARD_AFTER_READ 0x00180000U
/* Until the register was read. */
#define GUARD_DEFAULT_US 250

/* A TPM that is busy does not acknowledge. */
static int transfer(struct port_tis_i2c *i, const uint8_t *out, uint8_t *in, size_t len)
{
    int error = BYTES_E_TPM_TRANSPORT;
    for (int tries = 0; tries < PORT_TIS_I2C_TRIES; tries++) {
        error = in != NULL ? i->read(i->context, in, len) : i->write(i->context, out, len);
        if (error == 0) {
            const uint16_t guard = in != NULL ? i->after_read_us : i->after_write_us;
            if (guard > 0) {
                i->delay_us(i->context, guard);
            }
            return 0;
        }
        i->delay_us(i->context, PORT_TIS_I2C_NACK_US);
    }
    return error;
}

static int read_register(struct port_tis_i2c *i, uint8_t address, uint8_t *out, size_t len)
{
    const int error = transfer(i, &address, NULL, 1);
    return error != 0 ? error : transfer(i, NULL, out, len);
}

static int write_register(struct port_tis_i2c *i, uint8_t address, const uint8_t *bytes, size_t len)
{
    uint8_t message[1 + PORT_TIS_I2C_PART];
    int error = 0;
    message[0] = address;
    for (size_t done = 0; done < len && error == 0;) {
        const size_t part = len - done < PORT_TIS_I2C_PART ? len - done : PORT_TIS_I2C_PART;
        memcpy(message + 1, bytes + done, part);
        error = transfer(i, message, NULL, 1 + part);
        done += part;
    }
    /* A command may have carried an authValue. */
    bytes_wipe(message, sizeof message);
    return error;
}

static int select_locality(struct port_tis_i2c *i, uint8_t locality)
{
    if (locality == i->locality) {
        return 0;
    }
    const int error = write_register(i, LOC_SEL, &locality, 1);
    if (error == 0) {
        i->locality = locality;
    }
    return error;
}

static uint8_t address_of(uint16_t offset)
{
    switch (offset) {
    case PORT_TIS_ACCESS:
        return ACCESS;
    case PORT_TIS_DID_VID:
        return DID_VID;
    default:
        return (
            uint8_t)offset; /* the same: STS, DATA_FIFO, and the capability in place of the interface ID */
    }
}

static int i2c_read(void *context, uint8_t locality, uint16_t offset, uint8_t *out, size_t len)
{
    const int error = select_locality(context, locality);
    return error != 0 ? error : read_register(context, address_of(offset), out, len);
}

static int i2c_write(void *context, uint8_t locality, uint16_t offset, const uint8_t *bytes, size_t len)
{
    const int error = select_locality(context, locality);
    return error != 0 ? error : write_register(context, address_of(offset), bytes, len);
}

/* CRC-16 of the CCITT polynomial, least significant bit first, beginning with 0. */
static uint16_t crc16(struct bytes message)
{
    uint16_t crc = 0;
    for (size_t n = 0; n < message.len; n++) {
        crc = (uint16_t)(crc ^ message.p[n]);
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((crc >> 1) ^ ((crc & 1) != 0 ? 0x8408 : 0));
        }
    }
    return crc;
}

/* The one register whose higher byte comes first. */
static int i2c_verify(void *context, uint8_t locality, struct bytes message)
{
    struct port_tis_i2c *i = context;
    uint8_t sum[2];
    if (!i->checksum) {
        return 0;
    }
    const int error = i2c_read(i, locality, CSUM, sum, sizeof sum);
    if (error == 0 && (uint16_t)((unsigned)sum[0] << 8 | sum[1]) != crc16(message)) {
        return BYTES_E_INTEGRITY;
    }
    return error;
}

int port_tis_i2c_open(struct port_tis_i2c *i)
{
    static const uint8_t enable = 1, locality = 0;
    uint8_t bytes[4];
    i->after_read_us = GUARD_DEFAULT_US;
    i->after_write_us = GUARD_DEFAULT_US;
    i->checksum = false;
    int error = read_register(i, INTERFACE_CAPABILITY, bytes, sizeof bytes);
    if (error != 0) {
        return error;
    }
    const uint32_t capability =
        bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    if ((capability & ZERO) || (capability & TYPE_MASK) != TYPE_FIFO) {
        return BYTES_E_TPM_TRANSPORT;
    }
    const uint16_t guard = (capability >> GUARD_SHIFT) & GUARD_MASK;
    i->after_read_us = capability & GUARD_AFTER_READ ? guard : 0;
    i->after_write_us = capability & GUARD_AFTER_WRITE ? guard : 0;
    error = write_register(i, LOC_SEL, &locality, 1);
    i->locality = locality;
    if (error == 0) {
        error = write_register(i, CSUM_ENABLE, &enable, 1);
    }
    i->checksum = error == 0;
    return error;
}

struct port_tis_bus port_tis_i2c_bus(struct port_tis_i2c *i)
{
    return (struct port_tis_bus){.context = i, .read = i2c_read, .write = i2c_write, .verify = i2c_verify};
}
