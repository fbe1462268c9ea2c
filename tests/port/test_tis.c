/* SPDX-License-Identifier: MIT */
/* The FIFO interface against a chip that behaves, is slow, loses things, or is absent. The wires: test_tis_wire.c. */
#include "tests/port/tis_case.h"
#include "tests/unit/test.h"
#include <string.h>

static struct tis_case t;

#define OPEN() CHECK(tis_case_open(&t, TIS_CASE_NONE) == 0)
#define CLEAN() CHECK(t.chip.violation == NULL)

static uint64_t now_ms(void)
{
    return t.chip.now_us / 1000;
}

/* Whether it took that time, within a few polls. */
static bool took(uint64_t since_ms, uint64_t ms)
{
    uint64_t passed = now_ms() - since_ms;
    return passed >= ms && passed <= ms + 20;
}

static int commands(void)
{
    OPEN();
    CHECK(t.tis.vendor == 0x15D1 && t.tis.device == 0x001D);
    CHECK_EQUAL(tis_case_ask(&t), 0);
    CHECK(t.chip.executed == 1 && t.chip.state == CHIP_IDLE && t.chip.active == 0);
    CHECK_EQUAL(tis_case_create_ek(&t), 0);
    CHECK(t.chip.executed == 3 && t.chip.aborted == 0 && t.chip.retried == 0 && t.chip.relinquished == 0);
    CHECK_EQUAL(t.chip.requested, 1);
    /* Of all localities, the one that was asked for. */
    for (uint8_t locality = 0; locality <= 4; locality++) {
        tis_case_reset(&t, TIS_CASE_NONE);
        t.tis.locality = locality;
        CHECK(tis_case_find(&t) == 0 && tis_case_ask(&t) == 0 && t.chip.active == locality);
        CLEAN();
    }
    t.tis.locality = 5;
    CHECK_EQUAL(tis_case_find(&t), BYTES_E_USAGE);
    tis_case_close(&t);
    return 0;
}

static int arguments(void)
{
    uint8_t command[10] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 1, 0x7B}, response[64];
    size_t len = 1;
    OPEN();
    CHECK_EQUAL(t.tpm.transact(t.tpm.context, bytes_of(command, 9), response, sizeof response, &len, 100),
                BYTES_E_USAGE);
    CHECK(len == 0 && t.chip.transfers == 4); /* those of port_tis_open */
    CHECK(tis_case_ask_within(&t, 100, 9) == BYTES_E_SPACE && t.chip.executed == 0);
    CHECK_EQUAL(tis_case_ask_within(&t, 100, t.expected_len - 1), BYTES_E_SPACE);
    CHECK_EQUAL(tis_case_ask_within(&t, 100, 10), BYTES_E_SPACE);
    CHECK(tis_case_ask_within(&t, 100, t.expected_len) == 0 && t.chip.executed == 3);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

static int every_burst(void)
{
    OPEN();
    for (unsigned burst = 1; burst <= 600; burst += burst < 66 ? 1 : 97) {
        t.chip.burst = burst;
        t.chip.room_us = burst % 3 * 700;
        CHECK_EQUAL(tis_case_ask(&t), 0);
        CLEAN();
    }
    t.chip.vary = true;
    t.chip.burst = 64;
    for (int i = 0; i < 200; i++) {
        CHECK_EQUAL(tis_case_ask(&t), 0);
    }
    CHECK_EQUAL(tis_case_create_ek(&t), 0);
    CHECK(t.chip.aborted == 0 && t.chip.retried == 0);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

static int absent(void)
{
    OPEN();
    for (int i = 0; i < 2; i++) {
        tis_case_reset(&t, TIS_CASE_NONE);
        t.chip.presence = i == 0 ? CHIP_FLOATS_HIGH : CHIP_FLOATS_LOW;
        uint64_t since = now_ms();
        CHECK(tis_case_find(&t) == BYTES_E_TPM_TRANSPORT && took(since, PORT_TIS_TIMEOUT_A_MS));
        since = now_ms();
        CHECK(tis_case_ask(&t) == BYTES_E_TPM_TRANSPORT && took(since, PORT_TIS_TIMEOUT_A_MS));
        t.chip.presence = CHIP_PRESENT;
        CHECK(tis_case_find(&t) == 0 && tis_case_ask(&t) == 0);
    }
    /* The other interface, whoever has the TPM. */
    t.chip.crb = true;
    for (t.chip.active = -1; t.chip.active <= 4; t.chip.active++) {
        CHECK_EQUAL(tis_case_find(&t), BYTES_E_NOT_PROVIDED);
    }
    t.chip.active = -1;
    for (t.chip.crb = false, t.chip.did_vid = 0; t.chip.did_vid != 0xFFFFFFFE; t.chip.did_vid--) {
        CHECK_EQUAL(tis_case_find(&t), BYTES_E_TPM_TRANSPORT);
    }
    /* A chip that loses its power between two commands, and one that comes back. */
    t.chip.presence = CHIP_FLOATS_HIGH;
    CHECK_EQUAL(tis_case_ask(&t), BYTES_E_TPM_TRANSPORT);
    tis_case_reset(&t, TIS_CASE_NONE);
    CHECK_EQUAL(tis_case_ask(&t), 0);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

static int timeout_a(void)
{
    OPEN();
    /* Out of reset just in time, and not. */
    tis_case_reset(&t, TIS_CASE_NONE);
    t.chip.reset_us = (PORT_TIS_TIMEOUT_A_MS - 5) * 1000;
    CHECK(tis_case_find(&t) == 0 && tis_case_ask(&t) == 0);
    tis_case_reset(&t, TIS_CASE_NONE);
    t.chip.reset_us = (PORT_TIS_TIMEOUT_A_MS + 20) * 1000;
    CHECK(tis_case_find(&t) == BYTES_E_TPM_TRANSPORT && took(0, PORT_TIS_TIMEOUT_A_MS));
    CHECK(tis_case_find(&t) == 0 && t.chip.now_us >= t.chip.reset_us);
    /* The locality. */
    t.chip.grant_us = (PORT_TIS_TIMEOUT_A_MS - 5) * 1000;
    CHECK_EQUAL(tis_case_ask(&t), 0);
    CHECK(port_tis_relinquish(&t.tis) == 0 && t.chip.active == -1);
    t.chip.grant_us = (PORT_TIS_TIMEOUT_A_MS + 20) * 1000;
    uint64_t since = now_ms();
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && took(since, PORT_TIS_TIMEOUT_A_MS) && t.chip.executed == 1);
    /* Nor longer than the caller is willing to wait; nothing is seized after that. */
    tis_case_reset(&t, TIS_CASE_NONE);
    CHECK_EQUAL(tis_case_find(&t), 0);
    t.tis.locality = 1;
    t.tis.may_seize = true;
    t.chip.grant_us = TIS_CHIP_FOREVER;
    since = now_ms();
    CHECK(tis_case_ask_within(&t, 50, 600) == BYTES_E_TIMEOUT && took(since, 50) && t.chip.active == -1);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

static int timeout_b(void)
{
    OPEN();
    t.chip.ready_us = (PORT_TIS_TIMEOUT_B_MS - 20) * 1000;
    CHECK(tis_case_ask(&t) == 0 && t.chip.executed == 1);
    /* An earlier exchange is still being aborted. */
    CHECK(tis_case_ask(&t) == 0 && t.chip.executed == 2);
    t.chip.ready_us = TIS_CHIP_FOREVER;
    uint64_t since = now_ms();
    CHECK_EQUAL(tis_case_ask_within(&t, 100 * TIS_CASE_TIMEOUT_MS, 600), BYTES_E_TIMEOUT);
    CHECK(took(since, PORT_TIS_TRIES * PORT_TIS_TIMEOUT_B_MS) && t.chip.executed == 2);
    /* Nor longer than the caller is willing to wait. */
    since = now_ms();
    CHECK(tis_case_ask_within(&t, 300, 600) == BYTES_E_TIMEOUT && took(since, 300));
    CLEAN();
    tis_case_close(&t);
    return 0;
}

static int timeout_c_and_d(void)
{
    OPEN();
    t.chip.valid_us = (PORT_TIS_TIMEOUT_C_MS - 5) * 1000;
    CHECK(tis_case_ask(&t) == 0 && t.chip.executed == 1 && t.chip.aborted == 0);
    t.chip.valid_us = (PORT_TIS_TIMEOUT_C_MS + 20) * 1000;
    uint64_t since = now_ms();
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && took(since, PORT_TIS_TRIES * PORT_TIS_TIMEOUT_C_MS));
    CHECK(t.chip.executed == 1 && t.chip.aborted == PORT_TIS_TRIES);
    t.chip.valid_us = 0;
    t.chip.room_us = (PORT_TIS_TIMEOUT_D_MS - 5) * 1000;
    t.chip.burst = 8;
    CHECK(tis_case_ask_within(&t, 60 * TIS_CASE_TIMEOUT_MS, 600) == 0 && t.chip.executed == 2);
    t.chip.room_us = TIS_CHIP_FOREVER;
    since = now_ms();
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && took(since, PORT_TIS_TRIES * PORT_TIS_TIMEOUT_D_MS));
    CHECK_EQUAL(t.chip.executed, 2);
    /* The same with a response: the command is short enough for one burst. */
    t.chip.burst = 30;
    since = now_ms();
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && took(since, PORT_TIS_TRIES * PORT_TIS_TIMEOUT_D_MS));
    CHECK(t.chip.executed == 3 && t.chip.retried == PORT_TIS_TRIES - 1);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

static int execution(void)
{
    OPEN();
    t.chip.execute_us = 9990 * 1000;
    CHECK(tis_case_ask(&t) == 0 && t.chip.executed == 1);
    /* Longer than the caller waits: aborted, and the next command comes through, however long the abort takes. */
    for (unsigned abort_ms = 0; abort_ms <= 2250; abort_ms += 750) {
        t.chip.execute_us = TIS_CHIP_FOREVER;
        t.chip.abort_us = abort_ms * 1000;
        uint64_t since = now_ms();
        unsigned aborted = t.chip.aborted;
        CHECK(tis_case_ask_within(&t, 500, 600) == BYTES_E_TIMEOUT && took(since, 500));
        CHECK_EQUAL(t.chip.aborted, aborted + 1);
        t.chip.execute_us = 0;
        CHECK_EQUAL(tis_case_ask(&t), 0);
    }
    CHECK_EQUAL(t.chip.executed, 5);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

/* Whatever somebody else has left behind in our locality. */
static int left_behind(void)
{
    static const uint8_t begun[] = {0x80, 0x01, 0, 0, 0, 12};
    static const uint8_t ready = 0x40, request = 0x02, go = 0x20;
    static const uint8_t random[] = {0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x7B, 0, 8};
    uint8_t some[8];
    OPEN();
    for (int state = CHIP_READY; state <= CHIP_COMPLETION + 1; state++) {
        tis_case_reset(&t, TIS_CASE_NONE);
        t.chip.execute_us = state == CHIP_EXECUTION ? 100000000 : 0;
        tis_chip_write(&t.chip, 0, 0x000, &request, 1);
        tis_chip_read(&t.chip, 0, 0x018, some, 4);
        tis_chip_write(&t.chip, 0, 0x018, &ready, 1);
        tis_chip_read(&t.chip, 0, 0x018, some, 4);
        if (state == CHIP_RECEPTION) {
            tis_chip_write(&t.chip, 0, 0x024, begun, sizeof begun);
        }
        if (state >= CHIP_EXECUTION) {
            tis_chip_write(&t.chip, 0, 0x024, random, sizeof random);
            tis_chip_write(&t.chip, 0, 0x018, &go, 1);
        }
        if (state > CHIP_COMPLETION) { /* and half read */
            tis_chip_read(&t.chip, 0, 0x018, some, 4);
            tis_chip_read(&t.chip, 0, 0x024, some, sizeof some);
        }
        CHECK_EQUAL(t.chip.state, (state > CHIP_COMPLETION ? CHIP_COMPLETION : (enum tis_chip_state)state));
        t.chip.execute_us = 0;
        /* Nothing tells Execution from Idle: there a second commandReady comes after a part of time-out B. */
        uint64_t since = now_ms();
        CHECK(tis_case_ask(&t) == 0 && t.chip.executed == (state >= CHIP_EXECUTION ? 2U : 1U));
        CHECK(now_ms() - since < (state == CHIP_EXECUTION ? PORT_TIS_TIMEOUT_B_MS / 4 + 20 : 20));
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

static int other_localities(void)
{
    OPEN();
    /* Somebody has it, and gives it up in time; or not. */
    t.chip.other = 2;
    t.chip.other_until_us = t.chip.now_us + 300000;
    CHECK(tis_case_ask(&t) == 0 && t.chip.executed == 1);
    CHECK_EQUAL(port_tis_relinquish(&t.tis), 0);
    t.chip.other = 2;
    t.chip.other_until_us = TIS_CHIP_FOREVER;
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && t.chip.executed == 1);
    /* A higher locality may take it, if its owner says so; a lower one is not obeyed. */
    t.tis.may_seize = true;
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && t.chip.executed == 1 && t.chip.active == 2);
    t.tis.locality = 3;
    uint64_t since = now_ms();
    CHECK(tis_case_ask(&t) == 0 && t.chip.active == 3 && now_ms() - since >= PORT_TIS_TIMEOUT_A_MS);
    CLEAN();
    /* Somebody waits: given up after the command, not before. */
    t.chip.other_waits = true;
    CHECK(tis_case_ask(&t) == 0 && t.chip.relinquished == 2 && t.chip.active == -1);
    CHECK(tis_case_ask(&t) == 0 && t.chip.relinquished == 2);
    /* Taken away at every look at the status. */
    for (unsigned after = 1; after < 24; after++) {
        tis_case_reset(&t, TIS_CASE_NONE);
        t.chip.seize_after = after;
        int error = tis_case_ask(&t);
        CHECK(error == 0 || error == BYTES_E_TPM_TRANSPORT);
        CHECK(error == 0 || t.chip.seize_after == 0);
        if (t.chip.state != CHIP_IDLE && t.chip.active != 0) {
            t.chip.state = CHIP_IDLE; /* the locality that took it has aborted what was going on */
        }
        t.chip.seize_after = 0;
        CHECK(tis_case_ask(&t) == 0 && !t.chip.seized);
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

/* A command whose bytes are lost or doubled is not started, but sent again. */
static int lost_bytes(void)
{
    OPEN();
    for (unsigned times = 1; times <= PORT_TIS_TRIES; times++) {
        int expected = times < PORT_TIS_TRIES ? 0 : BYTES_E_TPM_TRANSPORT;
        for (unsigned burst = 1; burst < 64; burst += 7) {
            tis_case_reset(&t, TIS_CASE_NONE);
            t.chip.burst = burst;
            t.chip.drop = times;
            CHECK(tis_case_ask(&t) == expected && t.chip.executed == (expected == 0));
            CHECK(t.chip.aborted == times && t.chip.state == CHIP_IDLE);
            CHECK_EQUAL(tis_case_ask(&t), 0);
            CLEAN();
        }
        /* Lost so that the chip would run what it got: it takes other bytes for the size. */
        tis_case_reset(&t, TIS_CASE_NONE);
        t.chip.twice = times;
        CHECK(tis_case_ask(&t) == expected && t.chip.executed == (expected == 0));
        CHECK_EQUAL(tis_case_ask(&t), 0);
        /* The status never becomes valid: some chips need to be sent the command again. */
        tis_case_reset(&t, TIS_CASE_NONE);
        t.chip.invalid = times;
        CHECK(tis_case_ask(&t) == (expected == 0 ? 0 : BYTES_E_TIMEOUT) && t.chip.aborted == times);
        CHECK_EQUAL(tis_case_ask(&t), 0);
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

/* A response that arrived damaged is read again; the command is not run again. */
static int bad_responses(void)
{
    static const uint32_t sizes[] = {0, 1, 9, 10, 11, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    OPEN();
    for (unsigned times = 1; times <= PORT_TIS_TRIES; times++) {
        bool ok = times < PORT_TIS_TRIES;
        tis_case_reset(&t, TIS_CASE_NONE);
        t.chip.truncate = times;
        CHECK(tis_case_ask(&t) == (ok ? 0 : BYTES_E_TIMEOUT) && t.chip.executed == 1);
        CHECK_EQUAL(t.chip.retried, (ok ? times : times - 1));
        t.chip.truncate = 0;
        CHECK(tis_case_ask(&t) == 0 && t.chip.executed == 2);
        t.chip.surplus = times;
        CHECK(tis_case_ask(&t) == (ok ? 0 : BYTES_E_FORMAT) && t.chip.executed == 3);
        t.chip.surplus = 0;
        CHECK_EQUAL(tis_case_ask(&t), 0);
        CLEAN();
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            tis_case_reset(&t, TIS_CASE_NONE);
            t.chip.lie = times;
            t.chip.lie_size = sizes[i];
            int error = tis_case_ask(&t);
            int expected = sizes[i] == 0xFFFF ? BYTES_E_SPACE : BYTES_E_FORMAT;
            CHECK(ok ? error == 0 : error == expected);
            CHECK_EQUAL(t.chip.executed, 1);
            t.chip.lie = 0;
            CHECK_EQUAL(tis_case_ask(&t), 0);
            CLEAN();
        }
    }
    tis_case_close(&t);
    return 0;
}

/* The bus fails once, twice or for good at every transfer: what comes is right or an error, no command runs twice, and
 * the next one comes through. */
static int bus_fails_anywhere(void)
{
    unsigned right = 0;
    OPEN();
    CHECK_EQUAL(tis_case_ask(&t), 0);
    unsigned transfers = t.chip.transfers;
    for (unsigned after = 0; after < transfers; after++) {
        for (unsigned fail = 1; fail <= 1000; fail = fail == 2 ? 1000 : fail + 1) {
            tis_case_reset(&t, TIS_CASE_NONE);
            t.chip.burst = 16;
            t.chip.fail_after = after;
            t.chip.fail = fail;
            int error = tis_case_ask(&t);
            CHECK(error == 0 || error == BYTES_E_TPM_TRANSPORT);
            CHECK(error != 0 ? t.chip.executed <= 1 : t.chip.executed == 1);
            right += error == 0;
            t.chip.fail_after = 0;
            t.chip.fail = 0;
            unsigned executed = t.chip.executed;
            CHECK(tis_case_ask(&t) == 0 && t.chip.executed == executed + 1);
            CLEAN();
        }
    }
    CHECK(right > 0);
    tis_case_close(&t);
    return 0;
}

/* When the clock says to stop, the driver stops. */
static int interrupted(void)
{
    OPEN();
    t.chip.execute_us = 5000000;
    t.tis.clock.sleep_ms = tis_case_interrupted_sleep;
    uint64_t since = now_ms();
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && now_ms() - since < 5);
    t.tis.clock = tis_chip_clock(&t.chip);
    CHECK_EQUAL(tis_case_ask(&t), 0);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

static unsigned
    held_up; /* before that many looks at the clock, for longer than any time-out of the interface */

static uint64_t held_up_ms(void *context)
{
    (void)context;
    if (held_up > 0 && --held_up == 0) {
        t.chip.now_us += UINT64_C(1000) * (PORT_TIS_TIMEOUT_B_MS + 1000);
    }
    return t.chip.now_us / 1000;
}

/* The processor may do something else for a while, anywhere. */
static int interrupted_for_long(void)
{
    OPEN();
    for (unsigned n = 1, looks = 1000; n < looks; n++) {
        tis_case_reset(&t, TIS_CASE_NONE);
        t.chip.grant_us = t.chip.ready_us = t.chip.valid_us = t.chip.room_us = t.chip.execute_us = 5000;
        t.tis.clock.monotonic_ms = held_up_ms;
        CHECK_EQUAL(tis_case_find(&t), 0);
        held_up = n;
        CHECK(tis_case_ask(&t) == 0 && t.chip.executed == 1);
        looks = held_up == 0 ? looks : 0; /* there are no more */
        held_up = 0;
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

static const struct test tests[] = {
    {"commands of the real TPM pass, in every locality", commands},
    {"commands without a header and responses without room are refused", arguments},
    {"every burst count, fixed and changing, with pauses", every_burst},
    {"no TPM, another interface, a TPM that lost its power", absent},
    {"time-out A: reset and locality", timeout_a},
    {"time-out B: commandReady", timeout_b},
    {"time-outs C and D: valid status, room in the FIFO", timeout_c_and_d},
    {"execution that takes too long is aborted, and the next command passes", execution},
    {"any state that was left behind is cleaned up", left_behind},
    {"other localities: waiting, seizing, being seized, giving up", other_localities},
    {"a command whose bytes were lost or doubled is sent again", lost_bytes},
    {"a response that came wrong is read again", bad_responses},
    {"the bus fails at any transfer", bus_fails_anywhere},
    {"a clock that wants to stop", interrupted},
    {"an interruption that is longer than a time-out, anywhere", interrupted_for_long},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
