/* SPDX-License-Identifier: MIT */
/* An SD card in SPI mode: as much of the SD Physical Layer Specification (simplified, chapter 7) as two slots need. */
#include "port/lm3s6965evb/board.h"

#define RCGC1 LM3S_REGISTER(0x400fe104)
#define RCGC1_SSI0 (1U << 4)
#define GPIO_A 0x40004000U
#define GPIO_D 0x40007000U
#define GPIO_DIR 0x400
#define GPIO_AFSEL 0x420
#define GPIO_DEN 0x51c
#define SSI_PINS (1U << 2 | 1U << 4 | 1U << 5) /* clock, in, out; the card is selected by PD0 */
#define SELECT_PIN 1U
#define SELECT LM3S_REGISTER(GPIO_D + (SELECT_PIN << 2)) /* writes reach this pin only */

#define SSICR0 LM3S_REGISTER(0x40008000)
#define SSICR1 LM3S_REGISTER(0x40008004)
#define SSIDR LM3S_REGISTER(0x40008008)
#define SSISR LM3S_REGISTER(0x4000800c)
#define SSICPSR LM3S_REGISTER(0x40008010)
#define SSICR0_8_BIT_MODE_0 7U
#define SSICR1_ON 2U
#define SSISR_NOT_EMPTY 4U
#define PRESCALE_SLOW 126U /* below 400 kHz, until the card is up */
#define PRESCALE_FAST 4U

enum {
    GO_IDLE = 0,
    SEND_IF_COND = 8,
    SET_BLOCKLEN = 16,
    READ_BLOCK = 17,
    WRITE_BLOCK = 24,
    APP_OP_COND = 41,
    APP = 55,
    READ_OCR = 58
};
#define READY 0x00
#define IDLE 0x01
#define IF_COND_3V3 0x1aa
#define OP_COND_HIGH_CAPACITY (UINT32_C(1) << 30)
#define OCR_HIGH_CAPACITY 0x40 /* of its first byte */
#define DATA_TOKEN 0xfe
#define DATA_ACCEPTED 0x05

#define BLOCK_SIZE 512U
#define BLOCKS_PER_SLOT (PORT_BARE_SLOT_SIZE / BLOCK_SIZE)
#define FIRST_BLOCK 1024U

/* What the specification allows: 1 s to come up, 100 ms to read, 250 ms to write; and some more. */
#define UP_MS 1500
#define START_TRIES 5
#define READ_MS 300
#define WRITE_MS 600

static uint64_t now_ms(void)
{
    const struct port_clock clock = lm3s_clock();
    return clock.monotonic_ms(clock.context);
}

static uint8_t exchange(uint8_t out)
{
    SSIDR = out;
    while ((SSISR & SSISR_NOT_EMPTY) == 0) {
    }
    return (uint8_t)SSIDR;
}

/* Clock until the card answers something other than `idle`. Returns that, or `idle` if time is up. */
static uint8_t wait_while(uint8_t idle, uint32_t timeout_ms)
{
    const uint64_t begin = now_ms();
    uint8_t answer;
    do {
        answer = exchange(0xff);
    } while (answer == idle && now_ms() - begin < timeout_ms);
    return answer;
}

static void card_select(bool on)
{
    SELECT = on ? 0 : SELECT_PIN;
    (void)exchange(0xff);
}

/* A command and its R1. Only the first two commands' checksums are looked at, before checking is off. */
static uint8_t command(uint8_t number, uint32_t argument)
{
    (void)exchange(0xff);
    (void)exchange((uint8_t)(0x40 | number));
    for (int shift = 24; shift >= 0; shift -= 8) {
        (void)exchange((uint8_t)(argument >> shift));
    }
    (void)exchange(number == GO_IDLE ? 0x95 : 0x87);
    return wait_while(0xff, READ_MS);
}

/* Bring the card up. Returns how many addresses a block has: 1, or BLOCK_SIZE for cards up to 2 GB; 0: no card. */
static uint32_t card_start(void)
{
    uint8_t answer[4] = {0};
    SSICPSR = PRESCALE_SLOW;
    card_select(false);
    for (unsigned i = 0; i < 10; i++) {
        (void)exchange(0xff);
    }
    card_select(true);
    /* A card that was in use needs more than one. */
    unsigned tries = 0;
    while (command(GO_IDLE, 0) != IDLE) {
        if (++tries == START_TRIES) {
            return 0;
        }
    }
    const bool second_version = command(SEND_IF_COND, IF_COND_3V3) == IDLE;
    for (size_t i = 0; second_version && i < sizeof answer; i++) {
        answer[i] = exchange(0xff);
    }
    const uint64_t begin = now_ms();
    uint8_t state;
    do {
        (void)command(APP, 0);
        state = command(APP_OP_COND, second_version ? OP_COND_HIGH_CAPACITY : 0);
    } while (state == IDLE && now_ms() - begin < UP_MS);
    /* QEMU's card says here that it is still idle. */
    if (state != READY || (command(READ_OCR, 0) & ~IDLE) != READY) {
        return 0;
    }
    for (size_t i = 0; i < sizeof answer; i++) {
        answer[i] = exchange(0xff);
    }
    SSICPSR = PRESCALE_FAST;
    if ((answer[0] & OCR_HIGH_CAPACITY) != 0) {
        return 1;
    }
    return command(SET_BLOCKLEN, BLOCK_SIZE) == READY ? BLOCK_SIZE : 0;
}

static bool block_read(uint32_t address, uint8_t *out)
{
    if (command(READ_BLOCK, address) != READY || wait_while(0xff, READ_MS) != DATA_TOKEN) {
        return false;
    }
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        out[i] = exchange(0xff);
    }
    (void)exchange(0xff); /* CRC-16; the slot has its own */
    (void)exchange(0xff);
    return true;
}

static bool block_write(uint32_t address, const uint8_t *bytes)
{
    if (command(WRITE_BLOCK, address) != READY) {
        return false;
    }
    (void)exchange(0xff); /* at least one byte between answer and data */
    (void)exchange(DATA_TOKEN);
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        (void)exchange(bytes[i]);
    }
    (void)exchange(0xff);
    (void)exchange(0xff);
    const bool accepted = (exchange(0xff) & 0x1f) == DATA_ACCEPTED;
    return accepted && wait_while(0x00, WRITE_MS) != 0x00;
}

static void ssi_start(void)
{
    RCGC1 |= RCGC1_SSI0;
    (void)RCGC1;
    (void)RCGC1;
    LM3S_REGISTER(GPIO_A + GPIO_AFSEL) |= SSI_PINS;
    LM3S_REGISTER(GPIO_A + GPIO_DEN) |= SSI_PINS;
    LM3S_REGISTER(GPIO_D + GPIO_DIR) |= SELECT_PIN;
    LM3S_REGISTER(GPIO_D + GPIO_DEN) |= SELECT_PIN;
    SSICR1 = 0;
    SSICPSR = PRESCALE_SLOW;
    SSICR0 = SSICR0_8_BIT_MODE_0;
    SSICR1 = SSICR1_ON;
}

/* The card is brought up for each use, so that one that was taken out or has hung works again. */
static int slot_read(void *context, unsigned slot, uint8_t bytes[PORT_BARE_SLOT_SIZE])
{
    (void)context;
    ssi_start();
    const uint32_t unit = card_start();
    bool good = unit != 0;
    for (uint32_t i = 0; good && i < BLOCKS_PER_SLOT; i++) {
        good = block_read((FIRST_BLOCK + slot * BLOCKS_PER_SLOT + i) * unit, bytes + i * BLOCK_SIZE);
    }
    card_select(false);
    return good ? 0 : BYTES_E_FILE;
}

static int slot_write(void *context, unsigned slot, const uint8_t bytes[PORT_BARE_SLOT_SIZE])
{
    (void)context;
    ssi_start();
    const uint32_t unit = card_start();
    bool good = unit != 0;
    for (uint32_t i = 0; good && i < BLOCKS_PER_SLOT; i++) {
        good = block_write((FIRST_BLOCK + slot * BLOCKS_PER_SLOT + i) * unit, bytes + i * BLOCK_SIZE);
    }
    card_select(false);
    return good ? 0 : BYTES_E_FILE;
}

struct port_bare_flash lm3s_sd(void)
{
    return (struct port_bare_flash){NULL, slot_read, slot_write};
}
