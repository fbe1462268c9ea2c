/* SPDX-License-Identifier: MIT */
/* A device on this board: console on the first serial line, modem on the second, TPM in memory, record in flash. */
#include "crypto/bytes/bytes.h"
#include "port/bare/image.h"
#include "port/virt-a15/board.h"

static struct port_bare_run run;
static struct port_tis tis;
static struct port_tis_mmio tis_registers;
static struct port_bare_modem modem;
static struct port_bare_cfi chips;
static struct port_bare_flash flash;
static struct port_bare_storage storage;
static struct port_clock timer;

int virt_a15_main(void)
{
    const uint64_t personality = virt_a15_counter();
    const struct port_bare_uart console = virt_a15_uart(0);
    struct port_tpm tpm;
    const int error = virt_a15_tpm(&tis, &tis_registers, &tpm);
    if (error != 0) {
        port_bare_text(&console, error == BYTES_E_NOT_PROVIDED ? "The TPM has another interface than FIFO.\n"
                                                               : "There is no TPM.\n");
        return PORT_BARE_TPM;
    }
    timer = virt_a15_clock();
    chips = virt_a15_flash(&timer);
    flash = port_bare_cfi(&chips);
    modem = (struct port_bare_modem){virt_a15_uart(1), &timer, (uint8_t)personality};
    storage.flash = &flash;
    const struct port_bare_board board = {
        .name = "QEMU virt (Cortex-A15)",
        .console = console,
        .tpm = tpm,
        .stream = port_bare_modem(&modem),
        .clock = timer,
        .storage = port_bare_storage(&storage),
        .personality = bytes_of(&personality, sizeof personality),
        .config = port_bare_image.config,
        .trust_pem = port_bare_image.trust_pem,
        .send = port_bare_image.send,
        .stack_bottom = virt_a15_stack_bottom,
        .stack_top = virt_a15_stack_top,
    };
    return port_bare_run(&run, &board);
}
