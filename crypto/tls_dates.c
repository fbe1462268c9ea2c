/* SPDX-License-Identifier: MIT */
#include "crypto/tls_dates.h"
#include <stdbool.h>

enum { TAG_UTC_TIME = 0x17, TAG_GENERALIZED_TIME = 0x18 };

struct crypto_tls_date crypto_tls_date_of(uint64_t seconds)
{
    return (struct crypto_tls_date){(uint32_t)(seconds / 86400 + CRYPTO_TLS_DAYS_TO_1970),
                                    (uint32_t)(seconds % 86400)};
}

static uint32_t two(const uint8_t *text)
{
    return (text[0] - UINT32_C(48)) * 10 + (text[1] - UINT32_C(48));
}

static uint32_t days_before(uint32_t year, uint32_t month)
{
    static const uint16_t before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    const uint32_t in_year = month >= 1 && month <= 12 ? before[month - 1] : 0;
    /* Leap days of all years before this one, of which the year 0 is the first. */
    return 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400 + in_year +
           (leap && month > 2 ? 1 : 0);
}

/* YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ. Two-digit years end with 2049. */
static bool read_date(uint8_t tag, const uint8_t *text, size_t len, struct crypto_tls_date *date)
{
    uint32_t year;
    if (tag == TAG_UTC_TIME && len == 13) {
        year = two(text) + (text[0] >= '5' ? 1900 : 2000);
        text += 2;
    } else if (tag == TAG_GENERALIZED_TIME && len == 15) {
        year = two(text) * 100 + two(text + 2);
        text += 4;
    } else {
        return false;
    }
    date->days = days_before(year, two(text)) + two(text + 2) - 1;
    date->seconds = two(text + 4) * 3600 + two(text + 6) * 60 + two(text + 8);
    return true;
}

void crypto_tls_date_advance(struct crypto_tls_date *date, uint8_t tag, const uint8_t *text, size_t len)
{
    struct crypto_tls_date read;
    if (read_date(tag, text, len, &read) &&
        (read.days > date->days || (read.days == date->days && read.seconds > date->seconds))) {
        *date = read;
    }
}

uint64_t crypto_tls_date_seconds(uint8_t tag, const uint8_t *text, size_t len)
{
    struct crypto_tls_date read;
    if (!read_date(tag, text, len, &read) || read.days <= CRYPTO_TLS_DAYS_TO_1970) {
        return 0;
    }
    return (uint64_t)(read.days - CRYPTO_TLS_DAYS_TO_1970) * 86400 + read.seconds;
}
