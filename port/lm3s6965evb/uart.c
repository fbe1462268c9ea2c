/* SPDX-License-Identifier: MIT */
#include "port/lm3s6965evb/board.h"

#define RCGC1 LM3S_REGISTER(0x400fe104)
#define RCGC2 LM3S_REGISTER(0x400fe108)
#define RCGC1_UARTS 7U
#define RCGC2_GPIO_A_D_G (1U << 0 | 1U << 3 | 1U << 6)

#define GPIO_AFSEL 0x420
#define GPIO_DEN 0x51c

#define UART_DR 0x00
#define UART_FR 0x18
#define UART_IBRD 0x24
#define UART_FBRD 0x28
#define UART_LCRH 0x2c
#define UART_CTL 0x30
#define UART_FR_RX_EMPTY 0x10U
#define UART_FR_TX_FULL 0x20U
#define UART_LCRH_8N1_FIFO 0x70U
#define UART_CTL_ON 0x301U

#define BIT_RATE 115200

struct line {
    uint32_t uart, gpio, pins;
};
static const struct line lines[LM3S_UARTS] = {
    {0x4000c000, 0x40004000, 3U << 0},
    {0x4000d000, 0x40007000, 3U << 2},
    {0x4000e000, 0x40026000, 3U << 0},
};

void lm3s_uart_start(void)
{
    /* In 64ths, rounded: LM3S_CLOCK_HZ / (16 * BIT_RATE). */
    const uint32_t divisor = (LM3S_CLOCK_HZ * 8U / BIT_RATE + 1) / 2;
    RCGC1 |= RCGC1_UARTS;
    RCGC2 |= RCGC2_GPIO_A_D_G;
    /* The clocks are there three cycles later. */
    (void)RCGC2;
    (void)RCGC2;
    for (size_t i = 0; i < LM3S_UARTS; i++) {
        const struct line *line = &lines[i];
        LM3S_REGISTER(line->gpio + GPIO_AFSEL) |= line->pins;
        LM3S_REGISTER(line->gpio + GPIO_DEN) |= line->pins;
        LM3S_REGISTER(line->uart + UART_CTL) = 0;
        LM3S_REGISTER(line->uart + UART_IBRD) = divisor / 64;
        LM3S_REGISTER(line->uart + UART_FBRD) = divisor % 64;
        LM3S_REGISTER(line->uart + UART_LCRH) = UART_LCRH_8N1_FIFO;
        LM3S_REGISTER(line->uart + UART_CTL) = UART_CTL_ON;
    }
}

static bool put(void *context, uint8_t byte)
{
    const struct line *line = context;
    if ((LM3S_REGISTER(line->uart + UART_FR) & UART_FR_TX_FULL) != 0) {
        return false;
    }
    LM3S_REGISTER(line->uart + UART_DR) = byte;
    return true;
}

static bool get(void *context, uint8_t *byte)
{
    const struct line *line = context;
    if ((LM3S_REGISTER(line->uart + UART_FR) & UART_FR_RX_EMPTY) != 0) {
        return false;
    }
    *byte = (uint8_t)LM3S_REGISTER(line->uart + UART_DR);
    return true;
}

struct port_bare_uart lm3s_uart(unsigned number)
{
    /* The context is only read through. */
    const union {
        const struct line *line;
        void *context;
    } which = {&lines[number]};
    return (struct port_bare_uart){which.context, put, get};
}
