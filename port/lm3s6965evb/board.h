/* SPDX-License-Identifier: MIT */
/* The Stellaris LM3S6965 (Cortex-M3, 256 KiB flash, 64 KiB RAM) and its evaluation board, as far as the device needs
 * them. Register names are those of the data sheet (Texas Instruments SPMS135). */
#ifndef PORT_LM3S6965EVB_BOARD_H
#define PORT_LM3S6965EVB_BOARD_H

#include "port/bare/bare.h"

#define LM3S_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* The crystal's 8 MHz, multiplied and divided. */
#define LM3S_CLOCK_HZ 50000000

/* ---- startup.c --------------------------------------------------------------------------------------------------- */

/* The main program's stack, from the linker script. */
extern uint8_t lm3s_stack_bottom[], lm3s_stack_top[];
/* The program, called with memory, clock and faults set up. The debugger or emulator gets what it returns; if there is
 * none, the board waits five minutes and resets. */
int lm3s_main(void);

/* ---- clock.c ----------------------------------------------------------------------------------------------------- */

/* 50 MHz from the crystal, and a tick every millisecond. */
void lm3s_clock_start(void);
/* Its unix_seconds says 0: nothing on this board keeps the time while it is off. */
struct port_clock lm3s_clock(void);

/* ---- uart.c ------------------------------------------------------------------------------------------------------ */

enum { LM3S_UART_CONSOLE, LM3S_UART_TPM, LM3S_UART_MODEM, LM3S_UARTS };
/* 115 200 bit/s, 8N1, FIFO on: UART0 PA0 PA1, UART1 PD2 PD3, UART2 PG0 PG1. */
void lm3s_uart_start(void);
struct port_bare_uart lm3s_uart(unsigned number);

/* ---- sd.c -------------------------------------------------------------------------------------------------------- */

/* The record's two slots on the SD card of SSI0, in the gap that every partitioning leaves before the first partition.
 * The chip's own flash would do as well, but QEMU cannot write it. Without a card, read and write
 * return BYTES_E_FILE. */
struct port_bare_flash lm3s_sd(void);

#endif
