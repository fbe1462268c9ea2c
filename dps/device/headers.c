/* SPDX-License-Identifier: MIT */
#include "dps/device/headers.h"
#include "crypto/limits.h"
#include "dps/device/draw.h"
#include "dps/protocol/date.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/text.h"

#define RETRY_AFTER_MAX 300 /* seconds */
#define NET_ATTEMPTS_MAX 6  /* 429 and 5xx */

/* Seconds to wait. A service that sends us away for hours is asked again after RETRY_AFTER_MAX; a value that
 * is not a number counts as absent. */
static bool read_retry_after(struct bytes value, uint32_t *ms)
{
    uint64_t seconds = 0;
    const int error = dps_decimal_parse(value, RETRY_AFTER_MAX, &seconds);
    *ms = 1000 * (error == BYTES_E_LIMIT ? RETRY_AFTER_MAX : (uint32_t)seconds);
    return error == 0 || error == BYTES_E_LIMIT;
}

/* Nobody can check a Date, but some cannot be right: those before this release, and those after the end of the
 * certificate by which the peer proved who it is. A token made with one might be good for years. */
static bool may_be_now(const struct dps_device *d, uint64_t date)
{
    return date >= CRYPTO_TLS_TIME_FLOOR && (d->date_max == 0 || date <= d->date_max);
}

/* Date and Retry-After of every answer are kept; unreadable and impossible ones count as absent. */
void dps_headers_keep(struct dps_device *d)
{
    struct bytes value;
    uint64_t number;
    if (dps_http_header(&d->http, d->net, "Date", &value) == 0 && dps_http_date_parse(value, &number) == 0 &&
        may_be_now(d, number)) {
        d->server_date = number;
    }
    d->retry_after_ms = 0;
    d->retry_after_given = dps_http_header(&d->http, d->net, "Retry-After", &value) == 0 &&
                           read_retry_after(value, &d->retry_after_ms);
}

/* 429 and 5xx mean "later": as the service says, or after a growing time with jitter, so that a fleet does not
 * return in step. */
bool dps_headers_ask_again(struct dps_device *d)
{
    uint8_t random[CRYPTO_SHA256_SIZE];
    const bool busy = d->http_status == 429 || d->http_status >= 500;
    if (!busy || d->attempts >= NET_ATTEMPTS_MAX) {
        return false;
    }
    const uint32_t base = d->retry_after_given ? d->retry_after_ms : UINT32_C(1000) << d->attempts;
    dps_draw(d, random);
    d->wait_ms = 1 + base + base / 512 * random[0];
    d->attempts++;
    return true;
}
