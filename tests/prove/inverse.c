/* SPDX-License-Identifier: MIT */
/* A reader brings back what a writer was given. Nothing of this runs: its contracts are proved. */
#include "crypto/bytes/bytes.h"

/*@ ensures \result == value; */
uint8_t inverse_u8(uint8_t value);
/*@ ensures \result == value; */
uint16_t inverse_u16(uint16_t value);
/*@ ensures \result == value; */
uint32_t inverse_u32(uint32_t value);
/*@ requires view(value) && value.len <= 1000 && value.p != \null;
    ensures \result == 0; */
int inverse_2b(struct bytes value);

uint8_t inverse_u8(uint8_t value)
{
    uint8_t buffer[1];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_u8(&w, value);
    struct bytes_reader r = bytes_reader_over(bytes_written(&w));
    return bytes_read_u8(&r);
}

uint16_t inverse_u16(uint16_t value)
{
    uint8_t buffer[2];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_u16(&w, value);
    struct bytes_reader r = bytes_reader_over(bytes_written(&w));
    return bytes_read_u16(&r);
}

uint32_t inverse_u32(uint32_t value)
{
    uint8_t buffer[4];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_u32(&w, value);
    struct bytes_reader r = bytes_reader_over(bytes_written(&w));
    return bytes_read_u32(&r);
}

int inverse_2b(struct bytes value)
{
    uint8_t buffer[1002];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_2b(&w, value);
    struct bytes_reader r = bytes_reader_over(bytes_written(&w));
    const struct bytes read = bytes_read_2b(&r);
    /*@ assert read.len == value.len && \forall integer i; 0 <= i < value.len ==> read.p[i] == value.p[i]; */
    (void)read;
    return r.error;
}
