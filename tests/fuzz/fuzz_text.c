/* SPDX-License-Identifier: MIT */
/* The small text grammars. Input: one byte, which grammar; the text. What decodes is encoded again, and what is encoded
 * decodes to what it was; decoding never writes beyond its capacity. */
#include "dps/protocol/date.h"
#include "dps/protocol/limits.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

typedef int decoder(struct bytes text, uint8_t *out, size_t capacity, size_t *len);

static int percent(struct bytes text, uint8_t *out, size_t capacity, size_t *len)
{
    return dps_percent_decode(text, false, out, capacity, len);
}

static int form(struct bytes text, uint8_t *out, size_t capacity, size_t *len)
{
    return dps_percent_decode(text, true, out, capacity, len);
}

/* Decode into just enough room, into too little, and in place. Returns the decoded bytes, to be freed. */
static uint8_t *decode(decoder *how, struct bytes text, struct bytes *decoded)
{
    uint8_t *out = malloc(text.len + 1);
    uint8_t *copy = fuzz_copy(text);
    size_t len = 1;
    size_t other_len = 1;
    HOLDS(out != NULL);
    const int error = how(text, out, text.len, &len);
    HOLDS(error == 0 || error == BYTES_E_FORMAT);
    HOLDS(len <= text.len && (error == 0 || len == 0));
    HOLDS(how(bytes_of(copy, text.len), copy, text.len, &other_len) == error && other_len == len);
    HOLDS(memcmp(copy, out, len) == 0);
    if (len > 0) {
        uint8_t *tight = fuzz_copy(bytes_of(out, len - 1));
        HOLDS(how(text, tight, len - 1, &other_len) == BYTES_E_SPACE && other_len == 0);
        free(tight);
    }
    free(copy);
    *decoded = bytes_of(out, error == 0 ? len : 0);
    return out;
}

static void check_encoder(void (*encode)(struct bytes_writer *w, struct bytes bytes), decoder *how,
                          struct bytes bytes)
{
    struct bytes decoded;
    const size_t capacity = 4 * bytes.len + 8;
    uint8_t *text = malloc(capacity);
    HOLDS(text != NULL);
    struct bytes_writer w = bytes_writer_over(text, capacity);
    encode(&w, bytes);
    HOLDS(w.error == 0);
    uint8_t *again = decode(how, bytes_written(&w), &decoded);
    HOLDS(bytes_equal_public(decoded, bytes) || (how == percent && memchr(bytes.p, 0, bytes.len) != NULL));
    free(again);
    free(text);
}

/* Base64 is canonical: what is accepted is what would be written. */
static void check_base64(struct bytes text)
{
    struct bytes decoded;
    uint8_t *bytes = decode(dps_base64_decode, text, &decoded);
    uint8_t *again = malloc(text.len + 4);
    HOLDS(again != NULL);
    struct bytes_writer w = bytes_writer_over(again, text.len + 4);
    dps_write_base64(&w, decoded);
    HOLDS(decoded.len == 0 || bytes_equal_public(bytes_written(&w), text));
    check_encoder(dps_write_base64, dps_base64_decode, text);
    free(again);
    free(bytes);
}

static void check_decoder(decoder *how, void (*encode)(struct bytes_writer *w, struct bytes bytes),
                          struct bytes text)
{
    struct bytes decoded;
    uint8_t *bytes = decode(how, text, &decoded);
    check_encoder(encode, how, text);
    free(bytes);
}

/* Nobody writes this form. */
static void check_form(struct bytes text)
{
    struct bytes decoded;
    free(decode(form, text, &decoded));
}

static void check_decimal(struct bytes text)
{
    static const uint64_t maxima[] = {0, 1, 9, 255, INT64_MAX, UINT64_MAX};
    uint64_t largest = 0;
    const int error = dps_decimal_parse(text, UINT64_MAX, &largest);
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        uint64_t value = 1;
        const int limited = dps_decimal_parse(text, maxima[i], &value);
        HOLDS(limited == (error == 0 && largest > maxima[i] ? BYTES_E_LIMIT : error));
        HOLDS(value == (limited == 0 ? largest : 0));
    }
    if (error == 0) {
        uint8_t again[20];
        struct bytes_writer w = bytes_writer_over(again, sizeof again);
        dps_write_decimal(&w, largest);
        HOLDS(bytes_equal_public(bytes_written(&w), text));
    }
}

static void check_date(struct bytes text)
{
    uint64_t seconds = 1;
    uint8_t again[40];
    struct bytes_writer w = bytes_writer_over(again, sizeof again);
    const int error = dps_http_date_parse(text, &seconds);
    HOLDS(error == 0 || (error == BYTES_E_FORMAT && seconds == 0));
    if (error == 0) {
        dps_write_http_date(&w, seconds);
        HOLDS(bytes_equal_public(bytes_written(&w), text));
    }
}

/* Any number of seconds has a date up to the year 9999, which reads as it was written. */
static void check_time(struct bytes bytes)
{
    struct bytes_reader r = bytes_reader_over(bytes);
    const uint64_t seconds = bytes_read_u64(&r);
    uint64_t again = 0;
    uint8_t date[40];
    uint8_t time[40];
    struct bytes_writer w = bytes_writer_over(date, sizeof date);
    struct bytes_writer t = bytes_writer_over(time, sizeof time);
    dps_write_http_date(&w, seconds);
    dps_write_time(&t, seconds);
    HOLDS(w.error == (seconds > UINT64_C(253402300799) ? BYTES_E_LIMIT : 0) && t.error == w.error);
    if (w.error == 0) {
        HOLDS(dps_http_date_parse(bytes_written(&w), &again) == 0 && again == seconds);
        HOLDS(t.len == strlen("2019-01-10T19:03:53.0000000Z"));
    }
}

static void check_json_string(struct bytes bytes)
{
    uint8_t *text = malloc(6 * bytes.len + 2);
    HOLDS(text != NULL);
    struct bytes_writer w = bytes_writer_over(text, 6 * bytes.len + 2);
    dps_write_json_string(&w, bytes);
    HOLDS(w.error == (dps_utf8_valid(bytes) ? 0 : BYTES_E_FORMAT));
    free(text);
}

static void check_names(struct bytes text)
{
    uint8_t lower[DPS_REGISTRATION_ID_MAX];
    size_t len = 0;
    const int error = dps_registration_id_lower(text, lower, &len);
    HOLDS((error == 0) == dps_registration_id_valid(text));
    HOLDS(error != 0 || dps_text_equal_nocase(text, bytes_of(lower, len)));
    HOLDS(error != 0 || dps_registration_id_valid(bytes_of(lower, len)));
    HOLDS(!dps_device_id_valid(text) || (text.len > 0 && text.len <= 128));
    HOLDS(!dps_host_valid(text) || (text.len > 0 && text.len <= DPS_HOST_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    switch (fuzz_byte(&text) % 10) {
    case 0:
        check_base64(text);
        break;
    case 1:
        check_decoder(percent, dps_write_percent, text);
        break;
    case 2:
        check_form(text);
        break;
    case 3:
        check_decoder(dps_hex_decode, dps_write_hex, text);
        break;
    case 4:
        check_decimal(text);
        break;
    case 5:
        check_date(text);
        break;
    case 6:
        check_time(text);
        break;
    case 7:
        check_json_string(text);
        break;
    default:
        check_names(text);
        break;
    }
    return 0;
}
