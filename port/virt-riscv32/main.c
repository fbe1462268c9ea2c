/* SPDX-License-Identifier: MIT */
/* A device on this board: console on the debugger, modem on the serial line, TPM in memory, record in flash. */
#include "crypto/bytes/bytes.h"
#include "port/bare/image.h"
#include "port/virt-riscv32/board.h"

static struct port_bare_run run;
static struct port_tis tis;
static struct port_tis_mmio tis_registers;
static struct port_bare_modem modem;
static struct port_bare_cfi chips;
static struct port_bare_flash flash;
static struct port_bare_storage storage;
static struct port_clock timer;

int virt_riscv32_main(void)
{
    const uint64_t personality = virt_riscv32_ticks();
    const struct port_bare_uart console = virt_riscv32_console();
    struct port_tpm tpm;
    if (virt_riscv32_tpm(&tis, &tis_registers, &tpm) != 0) {
        port_bare_text(&console, "There is no TPM.\n");
        return PORT_BARE_TPM;
    }
    timer = virt_riscv32_clock();
    chips = virt_riscv32_flash(&timer);
    flash = port_bare_cfi(&chips);
    modem = (struct port_bare_modem){virt_riscv32_uart(), &timer, (uint8_t)personality};
    storage.flash = &flash;
    const struct port_bare_board board = {
        .name = "QEMU virt (RISC-V, 32 bits)",
        .console = console,
        .tpm = tpm,
        .stream = port_bare_modem(&modem),
        .clock = timer,
        .storage = port_bare_storage(&storage),
        .personality = bytes_of(&personality, sizeof personality),
        .config = port_bare_image.config,
        .trust_pem = port_bare_image.trust_pem,
        .send = port_bare_image.send,
        .stack_bottom = virt_riscv32_stack_bottom,
        .stack_top = virt_riscv32_stack_top,
    };
    return port_bare_run(&run, &board);
}
