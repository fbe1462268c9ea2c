/* SPDX-License-Identifier: MIT */
/* port/none provides every function, and every function says that it provides nothing. */
#include "port/none/none.h"
#include "tests/unit/test.h"

static int answers_not_provided(void)
{
    struct port p = port_none();
    uint8_t bytes[4] = {0};
    size_t len = 1;
    CHECK(p.tpm.transact(p.tpm.context, bytes_of(bytes, 4), bytes, 4, &len, 1) == BYTES_E_NOT_PROVIDED &&
          len == 0);
    CHECK_EQUAL(p.stream.connect(p.stream.context, "host", 1, 1), BYTES_E_NOT_PROVIDED);
    CHECK_EQUAL(p.stream.read(p.stream.context, bytes, 4, 1), BYTES_E_NOT_PROVIDED);
    CHECK_EQUAL(p.stream.write(p.stream.context, bytes, 4, 1), BYTES_E_NOT_PROVIDED);
    p.stream.close(p.stream.context);
    CHECK_EQUAL(p.clock.unix_seconds(p.clock.context), 0);
    CHECK_EQUAL(p.clock.monotonic_ms(p.clock.context), 0);
    CHECK_EQUAL(p.clock.sleep_ms(p.clock.context, 1), BYTES_E_NOT_PROVIDED);
    len = 1;
    CHECK(p.storage.load(p.storage.context, bytes, 4, &len) == BYTES_E_NOT_PROVIDED && len == 0);
    CHECK_EQUAL(p.storage.save(p.storage.context, bytes_of(bytes, 4)), BYTES_E_NOT_PROVIDED);
    CHECK_EQUAL(p.entropy.fill(p.entropy.context, bytes, 4), BYTES_E_NOT_PROVIDED);
    CHECK(p.trace.message == NULL);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"none: every function answers \"not provided\"", answers_not_provided}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
