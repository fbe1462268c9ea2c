/* SPDX-License-Identifier: MIT */
/* A device on this board: console on UART0, TPM on UART1, modem on UART2, record on the SD card. */
#include "crypto/bytes/bytes.h"
#include "port/bare/image.h"
#include "port/lm3s6965evb/board.h"

#define DID0 LM3S_REGISTER(0x400fe000)
#define USER_REG0 LM3S_REGISTER(0x400fe1e0) /* the MAC address, in this and the next one */
#define USER_REG1 LM3S_REGISTER(0x400fe1e4)
#define STCURRENT LM3S_REGISTER(0xe000e018)

static struct port_bare_run run;
static struct port_bare_tpm tpm;
static struct port_bare_modem modem;
static struct port_bare_flash flash;
static struct port_bare_storage storage;
static struct port_clock tick;

int lm3s_main(void)
{
    const uint32_t personality[] = {DID0, USER_REG0, USER_REG1, STCURRENT};
    tick = lm3s_clock();
    flash = lm3s_sd();
    tpm = (struct port_bare_tpm){lm3s_uart(LM3S_UART_TPM), &tick};
    modem = (struct port_bare_modem){lm3s_uart(LM3S_UART_MODEM), &tick, (uint8_t)STCURRENT};
    storage.flash = &flash;
    const struct port_bare_board board = {
        .name = "LM3S6965 (Cortex-M3)",
        .console = lm3s_uart(LM3S_UART_CONSOLE),
        .tpm = port_bare_tpm(&tpm),
        .stream = port_bare_modem(&modem),
        .clock = tick,
        .storage = port_bare_storage(&storage),
        .personality = bytes_of(personality, sizeof personality),
        .config = port_bare_image.config,
        .trust_pem = port_bare_image.trust_pem,
        .send = port_bare_image.send,
        .stack_bottom = lm3s_stack_bottom,
        .stack_top = lm3s_stack_top,
    };
    return port_bare_run(&run, &board);
}
