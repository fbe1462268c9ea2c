/* SPDX-License-Identifier: MIT */
/* The proleptic Gregorian calendar from 1970 to 9999, which is as far as four year digits go. */
#include "dps/protocol/date.h"
#include "dps/protocol/text.h"
#include <string.h>

#define SECONDS_PER_DAY 86400
#define LAST_SECOND UINT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static const uint8_t day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const uint8_t month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct calendar {
    uint32_t year, month, day; /* month and day count from 1 */
    uint32_t weekday;          /* 0 is Sunday */
    uint32_t hour, minute, second;
};
/*@ predicate on_calendar(struct calendar c) = 1970 <= c.year <= 9999 && 1 <= c.month <= 12 && 1 <= c.day <= 31 &&
      c.weekday <= 6 && c.hour <= 23 && c.minute <= 59 && c.second <= 59; */

/* Days from 1970-01-01 to the first day of a month; month 13 is January of the next year. */
static uint32_t days_before(uint32_t year, uint32_t month)
{
    static const uint16_t before_month[14] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    uint32_t past = year - 1;
    /* 477 leap days lie between the years 1 and 1969. */
    uint32_t leap_days = past / 4 - past / 100 + past / 400 - 477;
    /*@ assert before_month[month] == before(month); */
    /*@ assert leap_days(year) == leap_days(past) + (leap ? 1 : 0); */
    return 365 * (year - 1970) + leap_days + before_month[month] + (leap && month > 2 ? 1 : 0);
}

/* 1970-01-01 was a Thursday. */
static uint32_t weekday_of(uint32_t days)
{
    return (days + 4) % 7;
}

/*@ requires unix_seconds <= LAST_SECOND; CHANGES \nothing; ensures on_calendar(\result); */
static struct calendar calendar_of(uint64_t unix_seconds)
{
    uint32_t days = (uint32_t)(unix_seconds / SECONDS_PER_DAY);
    uint32_t second = (uint32_t)(unix_seconds % SECONDS_PER_DAY);
    struct calendar c = {.year = 1970 + days / 366, .month = 1};
    /* Dividing by the longest year can only be too early, by at most 16 years before the year 10000. */
    /*@ loop invariant 1970 <= c.year <= 9999 && c.month == 1 && days_to(c.year, 1) <= days;
        loop assigns c.year;
        loop variant 9999 - c.year; */
    while (days_before(c.year, 13) <= days) {
        c.year++;
    }
    /*@ loop invariant 1 <= c.month <= 12 && days_to(c.year, c.month) <= days;
        loop assigns c.month;
        loop variant 12 - c.month; */
    while (days_before(c.year, c.month + 1) <= days) {
        c.month++;
    }
    c.day = days - days_before(c.year, c.month) + 1;
    c.weekday = weekday_of(days);
    c.hour = second / 3600;
    c.minute = second / 60 % 60;
    c.second = second % 60;
    return c;
}

static void write_two_digits(struct bytes_writer *w, uint32_t value)
{
    bytes_write_u8(w, (uint8_t)('0' + value / 10));
    bytes_write_u8(w, (uint8_t)('0' + value % 10));
}

static void write_year(struct bytes_writer *w, uint32_t year)
{
    write_two_digits(w, year / 100);
    write_two_digits(w, year % 100);
}

/*@ requires \valid_read(c) && on_calendar(*c) && \separated(c, w); WRITES(8, 8) */
static void write_clock(struct bytes_writer *w, const struct calendar *c)
{
    write_two_digits(w, c->hour);
    bytes_write_u8(w, ':');
    write_two_digits(w, c->minute);
    bytes_write_u8(w, ':');
    write_two_digits(w, c->second);
}

void dps_write_time(struct bytes_writer *w, uint64_t unix_seconds)
{
    if (unix_seconds > LAST_SECOND) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
        return;
    }
    struct calendar c = calendar_of(unix_seconds);
    write_year(w, c.year);
    bytes_write_u8(w, '-');
    write_two_digits(w, c.month);
    bytes_write_u8(w, '-');
    write_two_digits(w, c.day);
    bytes_write_u8(w, 'T');
    write_clock(w, &c);
    dps_write_text(w, ".0000000Z");
}

void dps_write_http_date(struct bytes_writer *w, uint64_t unix_seconds)
{
    if (unix_seconds > LAST_SECOND) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
        return;
    }
    struct calendar c = calendar_of(unix_seconds);
    bytes_write_bytes(w, bytes_of(day_names[c.weekday], 3));
    dps_write_text(w, ", ");
    write_two_digits(w, c.day);
    bytes_write_u8(w, ' ');
    bytes_write_bytes(w, bytes_of(month_names[c.month - 1], 3));
    bytes_write_u8(w, ' ');
    write_year(w, c.year);
    bytes_write_u8(w, ' ');
    write_clock(w, &c);
    bytes_write_bytes(w, bytes_of(" GMT", 4));
}

/* count digits as a number. */
static uint32_t digits_at(struct bytes text, size_t at, size_t count)
{
    uint32_t value = 0;
    /*@ loop invariant i <= count && (i <= 0 ==> value == 0) && (i <= 1 ==> value <= 9) && (i <= 2 ==> value <= 99);
        loop invariant (i <= 3 ==> value <= 999) && value <= 9999;
        loop assigns i, value;
        loop variant count - i; */
    for (size_t i = 0; i < count; i++) {
        value = value * 10 + (uint32_t)(text.p[at + i] - '0');
    }
    return value;
}

/* Has text the form of an IMF-fixdate, its names aside? */
static bool has_date_form(struct bytes text)
{
    static const uint8_t form[] = "???, 00 ??? 0000 00:00:00 GMT";
    if (text.len != sizeof form - 1) {
        return false;
    }
    /*@ loop invariant i <= text.len && \forall integer k; 0 <= k < i && form[k] == '0' ==> '0' <= text.p[k] <= '9';
        loop assigns i;
        loop variant text.len - i; */
    for (size_t i = 0; i < text.len; i++) {
        bool good = form[i] == '0' ? dps_hex_digit(text.p[i]) < 10 : form[i] == '?' || form[i] == text.p[i];
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Only the true spelling of a second: with its weekday, within its month, and without the leap second 60, which no
 * POSIX clock shows. */
int dps_http_date_parse(struct bytes text, uint64_t *unix_seconds)
{
    enum { DAY = 5, MONTH = 8, YEAR = 12, HOUR = 17, MINUTE = 20, SECOND = 23 };
    *unix_seconds = 0;
    if (!has_date_form(text)) {
        return BYTES_E_FORMAT;
    }
    uint32_t year = digits_at(text, YEAR, 4);
    uint32_t month = 1;
    /*@ loop invariant 1 <= month <= 13;
        loop assigns month;
        loop variant 13 - month; */
    while (month <= 12 && memcmp(&text.p[MONTH], month_names[month - 1], 3) != 0) {
        month++;
    }
    uint32_t day = digits_at(text, DAY, 2);
    if (year < 1970 || month > 12 || day == 0) {
        return BYTES_E_FORMAT;
    }
    uint32_t days = days_before(year, month) + day - 1;
    uint32_t hour = digits_at(text, HOUR, 2);
    uint32_t minute = digits_at(text, MINUTE, 2);
    uint32_t second = digits_at(text, SECOND, 2);
    if (days >= days_before(year, month + 1) || hour > 23 || minute > 59 || second > 59 ||
        memcmp(text.p, day_names[weekday_of(days)], 3) != 0) {
        return BYTES_E_FORMAT;
    }
    second += 60 * (minute + 60 * hour);
    *unix_seconds = (uint64_t)days * SECONDS_PER_DAY + second;
    return BYTES_OK;
}
