/* SPDX-License-Identifier: MIT */
/* SPI and I2C: framing, wait states, guard times, refusals, checksums; and whole registrations over both. */
#include "tests/port/flow.h"
#include "tests/port/support.h"
#include "tests/port/tis_case.h"
#include "tests/unit/test.h"
#include <string.h>

static struct tis_case t;

#define CLEAN() CHECK(t.chip.violation == NULL)

static int spi_wait_states(void)
{
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_SPI), 0);
    CHECK(t.tis.vendor == 0x15D1 && tis_case_ask(&t) == 0 && tis_case_create_ek(&t) == 0);
    for (unsigned waits = 0; waits <= 9; waits++) {
        t.spi_wire.waits = waits;
        CHECK_EQUAL(tis_case_ask(&t), 0);
        CLEAN();
    }
    t.spi_wire.waits = PORT_TIS_SPI_WAIT_STATES;
    CHECK(tis_case_ask(&t) == 0 && port_tis_relinquish(&t.tis) == 0);
    t.tis.locality = 3;
    CHECK(tis_case_ask(&t) == 0 && t.chip.active == 3);
    t.spi_wire.waits = 6;
    t.spi_wire.vary = true;
    t.chip.vary = true;
    t.chip.burst = 64;
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(tis_case_ask(&t), 0);
    }
    CHECK(tis_case_create_ek(&t) == 0 && t.chip.aborted == 0 && t.chip.retried == 0);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

static int spi_waits_too_long(void)
{
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_SPI), 0);
    t.spi_wire.waits = PORT_TIS_SPI_WAIT_STATES + 1;
    CHECK(tis_case_ask(&t) == BYTES_E_TPM_TRANSPORT && !t.spi_wire.selected);
    t.spi_wire.waits = 0;
    CHECK_EQUAL(tis_case_ask(&t), 0);
    CLEAN();
    for (int i = 0; i < 2; i++) {
        tis_case_reset(&t, TIS_CASE_SPI);
        t.chip.presence = i == 0 ? CHIP_FLOATS_HIGH : CHIP_FLOATS_LOW;
        CHECK(tis_case_find(&t) == BYTES_E_TPM_TRANSPORT && tis_case_ask(&t) == BYTES_E_TPM_TRANSPORT);
        CHECK(!t.spi_wire.selected && t.chip.now_us >= 2 * PORT_TIS_TIMEOUT_A_MS * 1000);
        t.chip.presence = CHIP_PRESENT;
        CHECK(tis_case_find(&t) == 0 && tis_case_ask(&t) == 0);
    }
    tis_case_close(&t);
    return 0;
}

/* A FIFO with more room than a transfer has bytes: several transfers, none longer than 64 bytes. */
static int spi_long_bursts(void)
{
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_SPI), 0);
    static const unsigned bursts[] = {63, 64, 65, 128, 129, 1000};
    for (size_t i = 0; i < sizeof bursts / sizeof bursts[0]; i++) {
        tis_case_reset(&t, TIS_CASE_SPI);
        t.chip.burst = bursts[i];
        CHECK(tis_case_ask(&t) == 0 && tis_case_create_ek(&t) == 0);
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

static int spi_controller_fails(void)
{
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_SPI), 0);
    t.spi_wire.waits = 1;
    unsigned before = t.chip.transfers, right = 0;
    CHECK_EQUAL(tis_case_ask(&t), 0);
    unsigned transfers = t.chip.transfers - before;
    for (unsigned after = 0; after < transfers; after++) {
        tis_case_reset(&t, TIS_CASE_SPI);
        t.spi_wire.waits = 1;
        t.chip.fail_after = after;
        t.chip.fail = 1;
        int error = tis_case_ask(&t);
        CHECK(error == 0 || error == BYTES_E_TPM_TRANSPORT);
        CHECK(!t.spi_wire.selected && t.chip.executed <= 1);
        right += error == 0;
        CHECK_EQUAL(tis_case_ask(&t), 0);
        CLEAN();
    }
    CHECK(right > 0);
    tis_case_close(&t);
    return 0;
}

static int i2c_guard_times(void)
{
    static const uint32_t flags[] = {0,          0x00020000, 0x00040000, 0x00080000,
                                     0x00100000, 0x00060000, 0x00180000, 0x001E0000};
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_I2C), 0);
    CHECK(t.tis.vendor == 0x15D1 && t.i2c_wire.sums && t.i2c_wire.locality == 0);
    CHECK(tis_case_ask(&t) == 0 && tis_case_create_ek(&t) == 0);
    CLEAN();
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        for (uint32_t guard = 0; guard <= 255; guard += 51) {
            tis_case_reset(&t, TIS_CASE_I2C);
            t.i2c_wire.capability = 0x82 | flags[i] | guard << 9;
            uint64_t since = t.chip.now_us;
            CHECK(tis_case_find(&t) == 0 && tis_case_ask(&t) == 0);
            CLEAN();
            uint64_t busy = t.chip.now_us - since;
            CHECK(guard == 0 || flags[i] == 0 || busy > t.i2c_wire.transfers / 2 * guard);
            CHECK_EQUAL(t.i2c.after_read_us, (flags[i] & 0x00180000 ? guard : 0));
            CHECK_EQUAL(t.i2c.after_write_us, (flags[i] & 0x00060000 ? guard : 0));
        }
    }
    tis_case_close(&t);
    return 0;
}

static int i2c_other_chips(void)
{
    static const uint32_t capabilities[] = {0, 0xFFFFFFFF, 0x80, 0x81, 0x80000082};
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_I2C), 0);
    for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++) {
        tis_case_reset(&t, TIS_CASE_I2C);
        t.i2c_wire.capability = capabilities[i];
        CHECK(tis_case_find(&t) == BYTES_E_TPM_TRANSPORT && t.chip.executed == 0);
    }
    /* Nobody at the address: after so many tries, and not later. */
    tis_case_reset(&t, TIS_CASE_I2C);
    t.chip.presence = CHIP_FLOATS_HIGH;
    CHECK(tis_case_find(&t) == BYTES_E_TPM_TRANSPORT && t.i2c_wire.transfers == PORT_TIS_I2C_TRIES);
    CHECK(t.chip.now_us > PORT_TIS_I2C_TRIES * PORT_TIS_I2C_NACK_US);
    tis_case_close(&t);
    return 0;
}

static int i2c_localities(void)
{
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_I2C), 0);
    for (uint8_t locality = 0; locality <= 4; locality++) {
        tis_case_reset(&t, TIS_CASE_I2C);
        t.tis.locality = locality;
        CHECK(tis_case_find(&t) == 0 && tis_case_ask(&t) == 0);
        CHECK(t.i2c_wire.locality == locality && t.chip.active == locality);
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

static int i2c_refusals(void)
{
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_I2C), 0);
    for (unsigned every = 2; every <= 9; every++) {
        t.i2c_wire.nack_every = every;
        CHECK(tis_case_ask(&t) == 0 && t.chip.aborted == 0 && t.chip.retried == 0);
        CLEAN();
    }
    /* Busy for as long as it may be, anywhere; and for ever. */
    t.i2c_wire.nack_every = 0;
    for (unsigned after = 0; after < 40; after++) {
        t.chip.fail_after = after;
        t.chip.fail = PORT_TIS_I2C_TRIES - 1;
        CHECK(tis_case_ask(&t) == 0 && t.chip.fail == 0);
        CHECK(t.chip.aborted == 0 && t.chip.retried == 0);
        CLEAN();
    }
    for (unsigned after = 0; after < 40; after++) {
        t.chip.fail_after = after;
        t.chip.fail = 1000000;
        CHECK_EQUAL(tis_case_ask(&t), BYTES_E_TPM_TRANSPORT);
        t.chip.fail_after = 0;
        t.chip.fail = 0;
        CHECK_EQUAL(tis_case_ask(&t), 0);
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

/* CRC-16/KERMIT of "123456789" is 0x2189; the driver and the chip compute it in different ways. */
static int i2c_checksums(void)
{
    CHECK_EQUAL(tis_wire_sum(bytes_of("123456789", 9)), 0x2189);
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_I2C), 0);
    for (unsigned times = 1; times <= PORT_TIS_TRIES; times++) {
        int expected = times < PORT_TIS_TRIES ? 0 : BYTES_E_INTEGRITY;
        tis_case_reset(&t, TIS_CASE_I2C);
        CHECK_EQUAL(tis_case_find(&t), 0);
        t.i2c_wire.bad_sums = times;
        CHECK(tis_case_ask(&t) == expected && t.chip.aborted == times);
        CHECK(t.chip.executed == (expected == 0));
        /* A byte of the response that changed on the way is what they are for. */
        t.chip.flip = times;
        CHECK(tis_case_ask(&t) == expected && t.chip.executed == (expected == 0 ? 2U : 1U));
        t.chip.flip = 0;
        CHECK_EQUAL(tis_case_ask(&t), 0);
        CLEAN();
    }
    /* Without them nobody notices. */
    t.i2c.checksum = false;
    t.chip.flip = 1;
    CHECK(tis_case_ask(&t) == BYTES_E_INTEGRITY &&
          t.chip.retried == PORT_TIS_TRIES - 1); /* as the test sees it */
    tis_case_close(&t);
    return 0;
}

/* All ten steps with the service, over wires with everything that a chip may do. */
static int registration(enum tis_case_bus bus)
{
    static struct flow f;
    CHECK(flow_open(&f, bus == TIS_CASE_SPI ? "flow-spi" : "flow-i2c", false) == 0);
    t.real = f.tpm;
    tis_case_reset(&t, bus);
    CHECK_EQUAL(tis_case_find(&t), 0);
    t.chip.random = 12345;
    t.chip.vary = true;
    t.chip.burst = 64;
    t.chip.ready_us = 20000;
    t.chip.valid_us = 1500;
    t.chip.room_us = 2500;
    t.chip.execute_us = 3000000;
    t.chip.drop = 1;
    t.chip.truncate = 1;
    t.spi_wire.waits = 3;
    t.spi_wire.vary = true;
    t.i2c_wire.nack_every = 7;
    t.i2c_wire.bad_sums = 1;
    f.tpm_port = t.tpm;
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK(t.chip.executed == f.tpm_commands && f.tpm_commands > 14);
    CHECK(t.chip.drop == 0 && t.chip.truncate == 0 && t.chip.aborted >= 1 && t.chip.retried >= 1);
    CLEAN();
    flow_close(&f);
    return 0;
}

static int spi_registration(void)
{
    return registration(TIS_CASE_SPI);
}

static int i2c_registration(void)
{
    return registration(TIS_CASE_I2C);
}

static const struct test tests[] = {
    {"SPI: wait states", spi_wait_states},
    {"SPI: too many wait states, and no TPM", spi_waits_too_long},
    {"SPI: bursts of more than 64 bytes", spi_long_bursts},
    {"SPI: the controller fails at any transfer", spi_controller_fails},
    {"I2C: guard times are kept", i2c_guard_times},
    {"I2C: other chips, and nobody", i2c_other_chips},
    {"I2C: localities are selected", i2c_localities},
    {"I2C: a busy TPM that does not acknowledge", i2c_refusals},
    {"I2C: checksums", i2c_checksums},
    {"s01 to s10 over SPI", spi_registration},
    {"s01 to s10 over I2C", i2c_registration},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
