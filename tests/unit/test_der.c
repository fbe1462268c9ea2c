/* SPDX-License-Identifier: MIT */
/* DER lengths: the shortest form of each number of bytes, and those that no input has room for. */
#include "crypto/der.h"
#include "tests/unit/test.h"
#include <string.h>

/* An OCTET STRING whose header is these bytes, and 300 bytes after it. Returns the content's length; 0 if refused. */
static size_t content_after(const uint8_t *header, size_t len)
{
    uint8_t der[1 + 4 + 300] = {CRYPTO_DER_OCTET_STRING};
    memcpy(der + 1, header, len);
    struct crypto_der d = crypto_der_over(bytes_of(der, 1 + len + 300));
    const struct bytes content = crypto_der_take(&d, CRYPTO_DER_OCTET_STRING);
    return !d.failed && content.p == der + 1 + len && d.rest.len == 300 - content.len ? content.len : 0;
}

static int test_lengths(void)
{
    CHECK_EQUAL(content_after((const uint8_t[]){0x7F}, 1), 127);
    CHECK_EQUAL(content_after((const uint8_t[]){0x81, 200}, 2), 200);
    CHECK_EQUAL(content_after((const uint8_t[]){0x82, 1, 0x2C}, 3), 300);
    CHECK_EQUAL(content_after((const uint8_t[]){0x83, 0, 1, 0}, 4), 256);
    return 0;
}

/* The last two: 0x010005 and 0xFF0005 bytes are not 5, however long a size_t is. */
static int test_too_long(void)
{
    CHECK_EQUAL(content_after((const uint8_t[]){0x82, 1, 0x2D}, 3), 0);
    CHECK_EQUAL(content_after((const uint8_t[]){0x80}, 1), 0);
    CHECK_EQUAL(content_after((const uint8_t[]){0x84, 0, 0, 1}, 4), 0);
    CHECK_EQUAL(content_after((const uint8_t[]){0x83, 1, 0, 5}, 4), 0);
    CHECK_EQUAL(content_after((const uint8_t[]){0x83, 0xFF, 0, 5}, 4), 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"lengths of one to four bytes", test_lengths},
        {"lengths beyond the input, and other encodings", test_too_long},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
