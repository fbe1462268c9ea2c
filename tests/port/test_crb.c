/* SPDX-License-Identifier: MIT */
/* The Command Response Buffer interface against a chip that behaves, is slow, says what cannot be, or is absent. */
#include "tests/port/crb_chip.h"
#include "tests/port/tis_case.h"
#include "tests/unit/test.h"
#include <string.h>

static struct tis_case t; /* the real TPM, and the questions; its own chip is not asked */
static struct crb_chip chip;
static struct port_crb crb;

#define OPEN() CHECK(open_case() == 0)
#define CLEAN() CHECK(chip.violation == NULL)

/* The same TPM behind a chip as it is after a reset. */
static void reset(void)
{
    crb_chip_init(&chip, posix_tpm_port(&t.real));
    crb = crb_chip_driver(&chip);
    t.tpm = port_crb_tpm(&crb);
}

static int open_case(void)
{
    CHECK_EQUAL(tis_case_open(&t, TIS_CASE_NONE), 0);
    reset();
    CHECK_EQUAL(port_crb_open(&crb), 0);
    return 0;
}

static uint64_t now_ms(void)
{
    return chip.now_us / 1000;
}

/* Whether it took that time, within a few polls. */
static bool took(uint64_t since_ms, uint64_t ms)
{
    const uint64_t passed = now_ms() - since_ms;
    return passed >= ms && passed <= ms + 20;
}

static int commands(void)
{
    OPEN();
    CHECK(crb.vendor == 0x15D1 && crb.device == 0x001D && crb.command_at == 0x80 && crb.command_max == 3968);
    CHECK(tis_case_ask(&t) == 0 && chip.executed == 1 && chip.active == 0);
    CHECK(tis_case_create_ek(&t) == 0 && chip.executed == 3 && chip.cancelled == 0 && chip.requested == 1);
    CHECK(port_crb_relinquish(&crb) == 0 && chip.active == -1);
    CHECK(tis_case_ask(&t) == 0 && chip.requested == 2);
    CLEAN();
    for (uint8_t locality = 1; locality <= 4; locality++) {
        reset();
        crb.locality = locality;
        chip.command_address = chip.response_address = PORT_CRB_ADDRESS_PC + 0x1000U * locality + 0x80;
        CHECK(port_crb_open(&crb) == 0 && tis_case_ask(&t) == 0 && chip.active == locality);
        CLEAN();
    }
    crb.locality = 5;
    CHECK_EQUAL(port_crb_open(&crb), BYTES_E_USAGE);
    tis_case_close(&t);
    return 0;
}

static int arguments(void)
{
    uint8_t command[64] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 1, 0x7B}, response[64];
    size_t len = 1;
    OPEN();
    const unsigned accesses = chip.accesses;
    CHECK_EQUAL(t.tpm.transact(t.tpm.context, bytes_of(command, 9), response, sizeof response, &len, 100),
                BYTES_E_USAGE);
    CHECK(len == 0 && tis_case_ask_within(&t, 100, 9) == BYTES_E_SPACE && chip.accesses == accesses);
    CHECK_EQUAL(tis_case_ask_within(&t, 100, t.expected_len - 1), BYTES_E_SPACE);
    CHECK_EQUAL(tis_case_ask_within(&t, 100, 10), BYTES_E_SPACE);
    CHECK(tis_case_ask_within(&t, 100, t.expected_len) == 0 && chip.executed == 3);
    /* A command that is longer than the buffer, by a byte. */
    reset();
    chip.command_size = 32;
    CHECK(port_crb_open(&crb) == 0 && crb.command_max == 32);
    CHECK_EQUAL(t.tpm.transact(t.tpm.context, bytes_of(command, 33), response, sizeof response, &len, 100),
                BYTES_E_SPACE);
    CHECK_EQUAL(tis_case_ask(&t), 0);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

static int absent(void)
{
    OPEN();
    for (int i = 0; i < 2; i++) {
        reset();
        chip.presence = i == 0 ? CRB_FLOATS_HIGH : CRB_FLOATS_LOW;
        uint64_t since = now_ms();
        CHECK(port_crb_open(&crb) == BYTES_E_TPM_TRANSPORT && took(since, PORT_TIS_TIMEOUT_A_MS));
        chip.presence = CRB_PRESENT;
        CHECK(port_crb_open(&crb) == 0 && tis_case_ask(&t) == 0);
        /* It loses its power between two commands, and comes back. */
        chip.presence = i == 0 ? CRB_FLOATS_HIGH : CRB_FLOATS_LOW;
        since = now_ms();
        CHECK(tis_case_ask(&t) == BYTES_E_TPM_TRANSPORT && took(since, PORT_TIS_TIMEOUT_A_MS));
        chip.presence = CRB_PRESENT;
        CHECK_EQUAL(tis_case_ask(&t), 0);
    }
    for (uint32_t type = 0; type <= 15; type++) {
        reset();
        chip.interface_id = type;
        CHECK_EQUAL(port_crb_open(&crb), (type == 1 ? 0 : BYTES_E_NOT_PROVIDED));
    }
    /* The other interface, which somebody has used before, wants to use, or has lost to another locality. */
    for (unsigned access = 0x80; access < 0xC0; access++) {
        reset();
        chip.interface_id = 0x2100;
        chip.access = (uint8_t)access;
        CHECK_EQUAL(port_crb_open(&crb), BYTES_E_NOT_PROVIDED);
    }
    reset();
    chip.did_vid = 0x12340000;
    CHECK_EQUAL(port_crb_open(&crb), BYTES_E_TPM_TRANSPORT);
    /* Not looked for. */
    reset();
    CHECK(tis_case_ask(&t) == BYTES_E_SPACE && chip.accesses == 0);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

/* Buffers that cannot be, are elsewhere, or are odd. */
static int buffers(void)
{
    static const struct {
        uint32_t size;
        uint64_t address;
        int error;
    } cases[] = {
        {3968, PORT_CRB_ADDRESS_PC + 0x80, 0},
        {3969, PORT_CRB_ADDRESS_PC + 0x80, BYTES_E_NOT_PROVIDED},
        {0xFFFFFFFE, PORT_CRB_ADDRESS_PC + 0x80, BYTES_E_NOT_PROVIDED},
        {0xFFFFFFFF, PORT_CRB_ADDRESS_PC + 0x80, BYTES_E_TPM_TRANSPORT},
        {0, PORT_CRB_ADDRESS_PC + 0x80, BYTES_E_NOT_PROVIDED},
        {11, PORT_CRB_ADDRESS_PC + 0x80, BYTES_E_NOT_PROVIDED},
        {1024, PORT_CRB_ADDRESS_PC + 0x7C, BYTES_E_NOT_PROVIDED},
        {1024, PORT_CRB_ADDRESS_PC + 0x40, BYTES_E_NOT_PROVIDED},
        {1024, PORT_CRB_ADDRESS_PC + 0x82, BYTES_E_NOT_PROVIDED},
        {1023, PORT_CRB_ADDRESS_PC + 0xC00, 0},
        {1025, PORT_CRB_ADDRESS_PC + 0xC00, BYTES_E_NOT_PROVIDED},
        {1024, PORT_CRB_ADDRESS_PC + 0x1000, BYTES_E_NOT_PROVIDED},
        {1024, PORT_CRB_ADDRESS_PC + 0x100000080, BYTES_E_NOT_PROVIDED},
        {1024, 0x80, BYTES_E_NOT_PROVIDED},
        {1024, 0xFFFFFFFFFFFFFF80, BYTES_E_TPM_TRANSPORT}, /* the upper half is all ones */
    };
    OPEN();
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        const size_t n = i / 2;
        reset();
        if (i % 2 == 0) {
            chip.command_size = cases[n].size;
            chip.command_address = cases[n].address;
        } else {
            chip.response_size = cases[n].size;
            chip.response_address = cases[n].address;
        }
        CHECK_EQUAL(port_crb_open(&crb), cases[n].error);
        CHECK_EQUAL(tis_case_ask(&t), (cases[n].error == 0 ? 0 : BYTES_E_SPACE));
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

static int time_outs(void)
{
    OPEN();
    /* A: out of reset, and the locality; just in time, and not. */
    for (int late = 0; late < 2; late++) {
        const uint64_t a_us = 1000 * (uint64_t)(PORT_TIS_TIMEOUT_A_MS + (late ? 20 : -5));
        reset();
        chip.reset_us = a_us;
        CHECK_EQUAL(port_crb_open(&crb), (late ? BYTES_E_TPM_TRANSPORT : 0));
        reset();
        chip.grant_us = a_us;
        CHECK_EQUAL(port_crb_open(&crb), (late ? BYTES_E_TIMEOUT : 0));
        /* C: ready, and idle, for which the next command waits. */
        const uint64_t c_us = 1000 * (uint64_t)(PORT_TIS_TIMEOUT_C_MS + (late ? 20 : -5));
        reset();
        CHECK_EQUAL(port_crb_open(&crb), 0);
        chip.ready_us = c_us;
        uint64_t since = now_ms();
        CHECK_EQUAL(tis_case_ask(&t), (late ? BYTES_E_TIMEOUT : 0));
        CHECK(!late || took(since, PORT_TIS_TIMEOUT_C_MS));
        reset();
        chip.idle_us = c_us;
        CHECK_EQUAL(port_crb_open(&crb), 0);
        since = now_ms();
        CHECK_EQUAL(tis_case_ask(&t), (late ? BYTES_E_TIMEOUT : 0));
        CHECK(!late || took(since, PORT_TIS_TIMEOUT_C_MS));
        CHECK(chip.executed == (late ? 0U : 1U));
        CLEAN();
    }
    /* Nor longer than the caller is willing to wait. */
    reset();
    CHECK_EQUAL(port_crb_open(&crb), 0);
    chip.ready_us = CRB_CHIP_FOREVER;
    uint64_t since = now_ms();
    CHECK(tis_case_ask_within(&t, 50, 600) == BYTES_E_TIMEOUT && took(since, 50));
    CHECK_EQUAL(port_crb_relinquish(&crb), 0);
    chip.grant_us = CRB_CHIP_FOREVER;
    since = now_ms();
    CHECK(tis_case_ask_within(&t, 50, 600) == BYTES_E_TIMEOUT && took(since, 50));
    tis_case_close(&t);
    return 0;
}

/* Longer than the caller waits: cancelled, and the next command comes through when that is done, within time-out B. */
static int cancelled(void)
{
    OPEN();
    chip.execute_us = 9990 * 1000;
    CHECK(tis_case_ask(&t) == 0 && chip.executed == 1 && chip.cancelled == 0);
    for (unsigned cancel_ms = 0; cancel_ms < PORT_TIS_TIMEOUT_B_MS; cancel_ms += 990) {
        chip.execute_us = CRB_CHIP_FOREVER;
        chip.cancel_us = cancel_ms * 1000;
        uint64_t since = now_ms();
        const unsigned before = chip.cancelled;
        CHECK(tis_case_ask_within(&t, 500, 600) == BYTES_E_TIMEOUT && took(since, 500));
        CHECK_EQUAL(chip.cancelled, before + 1);
        chip.execute_us = 0;
        since = now_ms();
        CHECK(tis_case_ask(&t) == 0 && took(since, cancel_ms));
        CLEAN();
    }
    /* One that does not obey is asked again by each command, which never takes the other's response for its own. */
    chip.execute_us = CRB_CHIP_FOREVER;
    chip.cancel_us = CRB_CHIP_FOREVER;
    CHECK_EQUAL(tis_case_ask_within(&t, 500, 600), BYTES_E_TIMEOUT);
    const uint64_t since = now_ms();
    const unsigned executed = chip.executed;
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && took(since, PORT_TIS_TIMEOUT_B_MS) &&
          chip.executed == executed);
    chip.execute_us = 0;
    chip.cancel_us = 1000;
    CHECK_EQUAL(tis_case_ask(&t), 0);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

/* Whatever somebody else has left behind in our locality. */
static int left_behind(void)
{
    OPEN();
    for (int state = CRB_IDLE; state <= CRB_COMPLETION; state++) {
        for (int cancel = 0; cancel < 2; cancel++) {
            reset();
            CHECK_EQUAL(port_crb_open(&crb), 0);
            chip.active = 0;
            chip.request = 0;
            chip.cancel = cancel == 1;
            chip.state = (enum crb_chip_state)state;
            chip.done_us = chip.now_us + 100000000;
            CHECK(tis_case_ask(&t) == 0 && chip.executed == 1);
            CLEAN();
        }
    }
    tis_case_close(&t);
    return 0;
}

static int other_localities(void)
{
    OPEN();
    CHECK_EQUAL(port_crb_relinquish(&crb), 0);
    chip.other = 2;
    chip.other_until_us = chip.now_us + 300000;
    CHECK(tis_case_ask(&t) == 0 && chip.executed == 1);
    chip.other = 2;
    chip.other_until_us = CRB_CHIP_FOREVER;
    uint64_t since = now_ms();
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && took(since, PORT_TIS_TIMEOUT_A_MS) && chip.executed == 1);
    /* Taken away at every access: what comes is right, or an error. */
    reset();
    CHECK(port_crb_open(&crb) == 0 && tis_case_ask(&t) == 0);
    const unsigned accesses = chip.accesses;
    for (unsigned after = 1; after < accesses; after++) {
        reset();
        CHECK_EQUAL(port_crb_open(&crb), 0);
        chip.take_after = after;
        const int error = tis_case_ask(&t);
        CHECK(error == 0 || error == BYTES_E_TPM_TRANSPORT || error == BYTES_E_TIMEOUT);
        chip.take_after = 0;
        chip.other = -1;
        chip.active = -1;
        CHECK_EQUAL(tis_case_ask(&t), 0);
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

static int bad_responses(void)
{
    static const struct {
        uint32_t size;
        int error;
    } sizes[] = {{0, BYTES_E_FORMAT},         {1, BYTES_E_FORMAT},          {9, BYTES_E_FORMAT},
                 {10, BYTES_E_INTEGRITY},     {601, BYTES_E_SPACE},         {3968, BYTES_E_SPACE},
                 {3969, BYTES_E_FORMAT},      {0xFFFF, BYTES_E_FORMAT},     {0x10000, BYTES_E_FORMAT},
                 {0x1000A, BYTES_E_FORMAT},   {0x7FFFFFFF, BYTES_E_FORMAT}, {0x80000000, BYTES_E_FORMAT},
                 {0xFFFFFFFF, BYTES_E_FORMAT}};
    OPEN();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        chip.lie = true;
        chip.lie_size = sizes[i].size;
        CHECK_EQUAL(tis_case_ask(&t), sizes[i].error);
        chip.lie = false;
        CHECK_EQUAL(tis_case_ask(&t), 0);
        CLEAN();
    }
    CHECK_EQUAL(chip.executed, 2 * sizeof sizes / sizeof sizes[0]);
    /* Ones are what nobody says in a register, and in a response they are nothing special. */
    chip.ones = true;
    CHECK_EQUAL(tis_case_ask(&t), BYTES_E_INTEGRITY);
    chip.ones = false;
    /* The TPM says that it has failed, and does so until its reset. */
    chip.fatal = true;
    CHECK(tis_case_ask(&t) == BYTES_E_TPM_TRANSPORT && tis_case_ask(&t) == BYTES_E_TPM_TRANSPORT);
    reset();
    CHECK(port_crb_open(&crb) == 0 && tis_case_ask(&t) == 0);
    CLEAN();
    tis_case_close(&t);
    return 0;
}

/* The bus fails once, twice or for good at every access: what comes is right or an error, no command runs twice, and
 * the next one comes through. */
static int bus_fails_anywhere(void)
{
    OPEN();
    const unsigned begin = chip.accesses;
    CHECK_EQUAL(tis_case_ask(&t), 0);
    const unsigned accesses = chip.accesses - begin;
    for (unsigned after = 0; after < accesses; after++) {
        for (unsigned fail = 1; fail <= 1000; fail = fail == 2 ? 1000 : fail + 1) {
            reset();
            CHECK_EQUAL(port_crb_open(&crb), 0);
            chip.fail_after = after;
            chip.fail = fail;
            const int error = tis_case_ask(&t);
            CHECK(error == 0 || error == BYTES_E_TPM_TRANSPORT);
            CHECK(error != 0 ? chip.executed <= 1 : chip.executed == 1);
            chip.fail_after = 0;
            chip.fail = 0;
            const unsigned executed = chip.executed;
            CHECK(tis_case_ask(&t) == 0 && chip.executed == executed + 1);
            CLEAN();
        }
    }
    tis_case_close(&t);
    return 0;
}

/* Registers that say anything at all: it comes to an end in time, and writes nothing beyond the caller's buffer. */
static int noise(void)
{
    OPEN();
    uint32_t seed = 1;
    for (int i = 0; i < 3000; i++) {
        seed = seed * 1664525 + 1013904223;
        reset();
        if (i % 2 == 0) {
            CHECK_EQUAL(port_crb_open(&crb), 0);
        }
        chip.noise = seed | 1;
        uint64_t since = now_ms();
        if (i % 2 != 0) {
            (void)port_crb_open(&crb);
        }
        CHECK(now_ms() - since <=
              PORT_TIS_TIMEOUT_A_MS * 2 + PORT_TIS_TIMEOUT_B_MS + PORT_TIS_TIMEOUT_C_MS * 2 + 20);
        since = now_ms();
        (void)tis_case_ask_within(&t, 1000, 300);
        CHECK(now_ms() - since <= 1000 + 20);
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

/* When the clock says to stop, the driver stops. */
static int interrupted(void)
{
    OPEN();
    const struct port_clock clock = crb.clock;
    chip.execute_us = 5000000;
    crb.clock.sleep_ms = tis_case_interrupted_sleep;
    const uint64_t since = now_ms();
    CHECK(tis_case_ask(&t) == BYTES_E_TIMEOUT && now_ms() - since < 5 && chip.cancelled == 1);
    crb.clock = clock;
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
        chip.now_us += UINT64_C(1000) * (PORT_TIS_TIMEOUT_B_MS + 1000);
    }
    return chip.now_us / 1000;
}

/* The processor may do something else for a while, anywhere. */
static int interrupted_for_long(void)
{
    OPEN();
    for (unsigned n = 1, looks = 100; n < looks; n++) {
        reset();
        chip.grant_us = chip.ready_us = chip.execute_us = 5000;
        crb.clock.monotonic_ms = held_up_ms;
        CHECK_EQUAL(port_crb_open(&crb), 0);
        CHECK_EQUAL(port_crb_relinquish(&crb), 0);
        held_up = n;
        CHECK_EQUAL(tis_case_ask(&t), 0);
        looks = held_up == 0 ? looks : 0; /* there are no more */
        held_up = 0;
        CLEAN();
    }
    tis_case_close(&t);
    return 0;
}

static const struct test tests[] = {
    {"commands of the real TPM pass, in every locality", commands},
    {"commands without a header or too long, and responses without room, are refused", arguments},
    {"no TPM, another interface, a TPM that lost its power", absent},
    {"buffers that cannot be, or are elsewhere, are not used", buffers},
    {"time-outs A and C: reset, locality, ready, idle", time_outs},
    {"execution that takes too long is cancelled, and the next command passes", cancelled},
    {"any state that was left behind is cleaned up", left_behind},
    {"other localities: waiting, being robbed", other_localities},
    {"a response's size is checked before it is read", bad_responses},
    {"the bus fails at any access", bus_fails_anywhere},
    {"registers that say anything at all", noise},
    {"a clock that wants to stop", interrupted},
    {"an interruption that is longer than a time-out, anywhere", interrupted_for_long},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
