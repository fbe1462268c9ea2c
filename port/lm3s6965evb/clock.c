/* SPDX-License-Identifier: MIT */
#include "port/lm3s6965evb/board.h"

#define RIS LM3S_REGISTER(0x400fe050)
#define RCC LM3S_REGISTER(0x400fe060)
#define RIS_PLL_LOCKED (1U << 6)
#define RCC_MAIN_OSCILLATOR_OFF (1U << 0)
#define RCC_SOURCE (3U << 4) /* 0: the main oscillator */
#define RCC_CRYSTAL (15U << 6)
#define RCC_CRYSTAL_8_MHZ (14U << 6)
#define RCC_BYPASS (1U << 11)
#define RCC_PLL_OFF (1U << 13)
#define RCC_USE_DIVIDER (1U << 22)
#define RCC_DIVIDER (15U << 23)
#define RCC_DIVIDE_BY_4 (3U << 23) /* the PLL gives 200 MHz */

#define STCTRL LM3S_REGISTER(0xe000e010)
#define STRELOAD LM3S_REGISTER(0xe000e014)
#define STCURRENT LM3S_REGISTER(0xe000e018)
#define STCTRL_ON_WITH_INTERRUPT 7U

static volatile uint64_t milliseconds;

void lm3s_tick(void);
void lm3s_tick(void)
{
    milliseconds = milliseconds + 1;
}

void lm3s_clock_start(void)
{
    uint32_t rcc = (RCC | RCC_BYPASS) & ~RCC_USE_DIVIDER;
    RCC = rcc;
    rcc &= ~(RCC_MAIN_OSCILLATOR_OFF | RCC_SOURCE | RCC_CRYSTAL | RCC_PLL_OFF | RCC_DIVIDER);
    rcc |= RCC_CRYSTAL_8_MHZ | RCC_DIVIDE_BY_4 | RCC_USE_DIVIDER;
    RCC = rcc;
    while ((RIS & RIS_PLL_LOCKED) == 0) {
    }
    RCC = rcc & ~RCC_BYPASS;

    STRELOAD = LM3S_CLOCK_HZ / 1000 - 1;
    STCURRENT = 0;
    STCTRL = STCTRL_ON_WITH_INTERRUPT;
}

static uint64_t unix_seconds(void *context)
{
    (void)context;
    return 0;
}

/* The tick may come between the two halves of a read. */
static uint64_t monotonic_ms(void *context)
{
    (void)context;
    uint64_t first;
    uint64_t again = milliseconds;
    do {
        first = again;
        again = milliseconds;
    } while (first != again);
    return again;
}

static int sleep_ms(void *context, uint32_t ms)
{
    const uint64_t begin = monotonic_ms(context);
    while (monotonic_ms(context) - begin < ms) {
        __asm__ volatile("wfi");
    }
    return 0;
}

struct port_clock lm3s_clock(void)
{
    return (struct port_clock){NULL, unix_seconds, monotonic_ms, sleep_ms};
}
