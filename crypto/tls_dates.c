/* SPDX-License-Identifier: MIT */
#include "crypto/tls_dates.h"
#include <string.h>

/* The elements of a certificate up to the date, in their order [RFC 5280 4.1]; version may be missing. */
enum {
    CERTIFICATE,
    TBS_CERTIFICATE,
    VERSION,
    SERIAL,
    SIGNATURE,
    ISSUER,
    VALIDITY,
    NOT_BEFORE,
    NOT_AFTER,
    BEYOND
};
enum { PART_TAG, PART_LENGTH, PART_CONTENT };
enum { TAG_VERSION = 0xa0, TAG_UTC_TIME = 0x17, TAG_GENERALIZED_TIME = 0x18 };

/* Two digits; what is none gives a number without sense, which the inner validator refuses by itself. */
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
static bool read_date(const struct crypto_tls_dates *d, uint32_t *days, uint32_t *seconds)
{
    const uint8_t *p = d->text;
    uint32_t year;
    if (d->tag == TAG_UTC_TIME && d->text_len == 13) {
        year = two(p) + (p[0] >= '5' ? 1900 : 2000);
        p += 2;
    } else if (d->tag == TAG_GENERALIZED_TIME && d->text_len == 15) {
        year = two(p) * 100 + two(p + 2);
        p += 4;
    } else {
        return false;
    }
    *days = days_before(year, two(p)) + two(p + 2) - 1;
    *seconds = two(p + 4) * 3600 + two(p + 6) * 60 + two(p + 8);
    return true;
}

static void take_not_before(struct crypto_tls_dates *d)
{
    uint32_t days;
    uint32_t seconds;
    if (read_date(d, &days, &seconds) && (days > d->days || (days == d->days && seconds > d->seconds))) {
        d->days = days;
        d->seconds = seconds;
    }
}

/* Of the leaf, which comes first: what a server sends behind its chain may well have expired. */
static void take_not_after(struct crypto_tls_dates *d)
{
    uint32_t days;
    uint32_t seconds;
    if (d->not_after == 0 && read_date(d, &days, &seconds) && days > CRYPTO_TLS_DAYS_TO_1970) {
        d->not_after = (uint64_t)(days - CRYPTO_TLS_DAYS_TO_1970) * 86400 + seconds;
    }
}

/* What comes behind the header of an element. */
static void content(struct crypto_tls_dates *d)
{
    const bool inside = d->element <= TBS_CERTIFICATE || d->element == VALIDITY;
    d->part = inside || d->left == 0 ? PART_TAG : PART_CONTENT;
    if (d->element == VERSION && d->tag != TAG_VERSION) {
        d->element = SERIAL;
    }
    if (d->part == PART_TAG) {
        d->element++;
    }
}

/* Returns true if this byte is the last one of notBefore. */
static bool read_byte(struct crypto_tls_dates *d, uint8_t byte)
{
    switch (d->part) {
    case PART_TAG:
        d->tag = byte;
        d->left = 0;
        d->length_bytes = 0;
        d->part = PART_LENGTH;
        return false;
    case PART_LENGTH:
        if (d->length_bytes > 0) {
            d->left = d->left << 8 | byte;
            d->length_bytes--;
        } else if (byte < 0x80) {
            d->left = byte;
        } else {
            d->length_bytes = byte & 0x7f;
        }
        if (d->length_bytes == 0) {
            content(d);
        }
        return false;
    default:
        if (d->element >= NOT_BEFORE && d->text_len < sizeof d->text) {
            d->text[d->text_len++] = byte;
        }
        if (--d->left > 0) {
            return false;
        }
        d->part = PART_TAG;
        if (d->element == NOT_AFTER) {
            take_not_after(d);
        }
        return d->element++ == NOT_BEFORE;
    }
}

static struct crypto_tls_dates *from(const br_x509_class **context)
{
    return (struct crypto_tls_dates *)(void *)context;
}

static void start_chain(const br_x509_class **context, const char *server_name)
{
    struct crypto_tls_dates *d = from(context);
    d->days = (uint32_t)(CRYPTO_TLS_TIME_FLOOR / 86400 + CRYPTO_TLS_DAYS_TO_1970);
    d->seconds = (uint32_t)(CRYPTO_TLS_TIME_FLOOR % 86400);
    br_x509_minimal_set_time(d->inner, d->days, d->seconds);
    d->inner->vtable->start_chain(&d->inner->vtable, server_name);
}

static void start_cert(const br_x509_class **context, uint32_t length)
{
    struct crypto_tls_dates *d = from(context);
    d->element = CERTIFICATE;
    d->part = PART_TAG;
    d->text_len = 0;
    d->inner->vtable->start_cert(&d->inner->vtable, length);
}

/* The inner validator compares a date as soon as it has all of it. So it gets the last byte of notBefore only when the
 * time has been set. */
static void append(const br_x509_class **context, const unsigned char *bytes, size_t len)
{
    struct crypto_tls_dates *d = from(context);
    size_t begin = 0;
    for (size_t i = 0; i < len && d->element < BEYOND; i++) {
        if (read_byte(d, bytes[i])) {
            d->inner->vtable->append(&d->inner->vtable, bytes, i);
            begin = i;
            take_not_before(d);
            d->text_len = 0;
            br_x509_minimal_set_time(d->inner, d->days, d->seconds);
        }
    }
    d->inner->vtable->append(&d->inner->vtable, bytes + begin, len - begin);
}

static void end_cert(const br_x509_class **context)
{
    struct crypto_tls_dates *d = from(context);
    d->inner->vtable->end_cert(&d->inner->vtable);
}

static unsigned end_chain(const br_x509_class **context)
{
    struct crypto_tls_dates *d = from(context);
    return d->inner->vtable->end_chain(&d->inner->vtable);
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *context, unsigned *usages)
{
    const struct crypto_tls_dates *d = (const struct crypto_tls_dates *)(const void *)context;
    return d->inner->vtable->get_pkey(&d->inner->vtable, usages);
}

static const br_x509_class dates_class = {
    sizeof(struct crypto_tls_dates), start_chain, start_cert, append, end_cert, end_chain, get_pkey,
};

void crypto_tls_dates_init(struct crypto_tls_dates *d, br_x509_minimal_context *inner)
{
    memset(d, 0, sizeof *d);
    d->vtable = &dates_class;
    d->inner = inner;
}
