/* SPDX-License-Identifier: MIT */
#include "dps/protocol/mqtt_part.h"
#include "dps/protocol/text.h"

static bool has_byte(struct bytes text, uint8_t byte)
{
    return text.len > 0 && memchr(text.p, byte, text.len) != NULL;
}

bool dps_mqtt_string_valid(struct bytes text)
{
    return !has_byte(text, 0) && dps_utf8_valid(text);
}

bool dps_mqtt_topic_valid(struct bytes text)
{
    return dps_mqtt_string_valid(text) && text.len > 0 && !has_byte(text, '+') && !has_byte(text, '#');
}

bool dps_mqtt_filter_valid(struct bytes text)
{
    if (!dps_mqtt_string_valid(text) || text.len == 0) {
        return false;
    }
    /*@ loop invariant i <= text.len;
        loop assigns i;
        loop variant text.len - i; */
    for (size_t i = 0; i < text.len; i++) {
        const bool begins = i == 0 || text.p[i - 1] == '/';
        const bool last = i + 1 == text.len;
        const bool ends = last || (text.p[i] == '+' && text.p[i + 1] == '/');
        if ((text.p[i] == '+' || text.p[i] == '#') && !(begins && ends)) {
            return false;
        }
    }
    return true;
}

struct bytes dps_mqtt_string_read(struct bytes_reader *r)
{
    const struct bytes text = bytes_read_2b(r);
    if (!dps_mqtt_string_valid(text)) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    return text;
}

struct bytes dps_mqtt_topic_read(struct bytes_reader *r)
{
    const struct bytes text = bytes_read_2b(r);
    if (!dps_mqtt_topic_valid(text)) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    return text;
}

uint16_t dps_mqtt_id_read(struct bytes_reader *r)
{
    const uint16_t id = bytes_read_u16(r);
    if (id == 0) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    return id;
}

void dps_mqtt_id_write(struct bytes_writer *w, uint16_t id)
{
    if (id == 0) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
    }
    bytes_write_u16(w, id);
}

void dps_mqtt_need(struct bytes_writer *w, bool condition)
{
    if (!condition) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
    }
}

uint32_t dps_mqtt_plus(uint32_t length, size_t more)
{
    const uint32_t room = length > DPS_MQTT_REMAINING_MAX ? 0 : DPS_MQTT_REMAINING_MAX - length;
    return length > DPS_MQTT_REMAINING_MAX || more > room ? DPS_MQTT_REMAINING_MAX + 1
                                                          : length + (uint32_t)more;
}

void dps_mqtt_header_write(struct bytes_writer *w, uint8_t type, uint8_t flags, uint32_t length)
{
    if (length > DPS_MQTT_REMAINING_MAX) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
        return;
    }
    bytes_write_u8(w, (uint8_t)(type << 4 | flags));
    /*@ loop invariant writes(w) && w->len >= \at(w->len, Pre) && sticky(\at(w->error, Pre), w->error);
        loop invariant \at(w->error, Pre) != 0 ==> w->len == \at(w->len, Pre);
        loop assigns length, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant length; */
    while (length >= 0x80) {
        bytes_write_u8(w, (uint8_t)(0x80 + length % 0x80));
        length /= 0x80;
    }
    bytes_write_u8(w, (uint8_t)length);
}
