/* SPDX-License-Identifier: MIT */
#include "crypto/der.h"

struct crypto_der crypto_der_over(struct bytes der)
{
    return (struct crypto_der){der, false};
}

bool crypto_der_is(const struct crypto_der *d, uint8_t tag)
{
    return !d->failed && d->rest.len > 0 && d->rest.p[0] == tag;
}

bool crypto_der_end(const struct crypto_der *d)
{
    return !d->failed && d->rest.len == 0;
}

/* Returns the length of the header at p and sets that of the content; 0: cut off, or of another encoding. */
static size_t read_header(struct bytes der, uint32_t *content)
{
    if (der.len < 2) {
        return 0;
    }
    *content = der.p[1];
    if (*content < 0x80) {
        return 2;
    }
    const size_t count = *content & 0x7f;
    if (count == 0 || count > 3 || der.len < 2 + count) {
        return 0;
    }
    *content = 0;
    for (size_t i = 0; i < count; i++) {
        *content = *content << 8 | der.p[2 + i];
    }
    return 2 + count;
}

static struct bytes take(struct crypto_der *d, uint8_t tag, bool whole)
{
    uint32_t announced = 0;
    const size_t header = crypto_der_is(d, tag) ? read_header(d->rest, &announced) : 0;
    if (header == 0 || announced > d->rest.len - header) {
        d->failed = true;
        return (struct bytes){0};
    }
    const size_t content = (size_t)announced;
    const uint8_t *p = d->rest.p;
    d->rest = (struct bytes){p + header + content, d->rest.len - header - content};
    return whole ? (struct bytes){p, header + content} : (struct bytes){p + header, content};
}

struct bytes crypto_der_take(struct crypto_der *d, uint8_t tag)
{
    return take(d, tag, false);
}

struct bytes crypto_der_take_whole(struct crypto_der *d, uint8_t tag)
{
    return take(d, tag, true);
}
