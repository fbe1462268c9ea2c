/* SPDX-License-Identifier: MIT */
/* A TPM behind registers: the FIFO interface of the PC Client Platform TPM Profile (PTP; formerly TIS), which discrete
 * TPMs have on SPI (tis_spi.h), I2C (tis_i2c.h) and memory-mapped buses (tis_mmio.h).
 *
 * One command at a time goes byte by byte into a FIFO, is started, and its response comes out of the same FIFO. The
 * registers exist once for each locality; a locality is requested before use. This file knows the registers and their
 * order; how a register is reached is the bus's business. No heap, no globals: all state is in struct port_tis.
 *
 * The TPM must have been reset, and whoever boots the device must have sent TPM2_Startup once since then: on boards
 * without other firmware that is the caller. */
#ifndef PORT_TIS_TIS_H
#define PORT_TIS_TIS_H

#include "port/port.h"

/* The interface's time-outs in milliseconds [TCG PC Client Platform TPM Profile v1.05]. Where chips are
 * known to take longer than the profile allows, the default is what they take.
 *   A  to become ready after reset, to grant a locality              (profile: 750)
 *   B  from commandReady written to commandReady read, and to abort  (profile: 2000; Infineon: up to 2250)
 *   C  to say whether it expects data or has some                    (profile: 200)
 *   D  to have room for, or to give, at least one byte               (profile: 30; Linux waits 750) */
#ifndef PORT_TIS_TIMEOUT_A_MS
#define PORT_TIS_TIMEOUT_A_MS 750
#endif
#ifndef PORT_TIS_TIMEOUT_B_MS
#define PORT_TIS_TIMEOUT_B_MS 4000
#endif
#ifndef PORT_TIS_TIMEOUT_C_MS
#define PORT_TIS_TIMEOUT_C_MS 200
#endif
#ifndef PORT_TIS_TIMEOUT_D_MS
#define PORT_TIS_TIMEOUT_D_MS 750
#endif
/* Between two reads of a register that has not changed yet. */
#ifndef PORT_TIS_POLL_MS
#define PORT_TIS_POLL_MS 1
#endif
/* How often a command is sent, and a response read, before giving up. Only a transfer is repeated: a command that was
 * started is never started again. */
#ifndef PORT_TIS_TRIES
#define PORT_TIS_TRIES 3
#endif

#if PORT_TIS_TIMEOUT_A_MS < 1 || PORT_TIS_TIMEOUT_B_MS < 4 || PORT_TIS_TIMEOUT_C_MS < 1 ||                   \
    PORT_TIS_TIMEOUT_D_MS < 1 || PORT_TIS_TRIES < 1
#error "port/tis: every time-out and PORT_TIS_TRIES must be positive"
#endif

/* Registers, as offsets within a locality. */
#define PORT_TIS_ACCESS 0x000
#define PORT_TIS_STS 0x018
#define PORT_TIS_DATA_FIFO 0x024
#define PORT_TIS_INTERFACE_ID 0x030
#define PORT_TIS_DID_VID 0xF00

/* How a chip's registers are reached. Both functions move len bytes at one register: a register of several bytes
 * begins with its lowest one, and is moved whole; the FIFO is one address that takes and gives bytes in order.
 * Returns: 0; BYTES_E_TPM_TRANSPORT if the chip does not answer on the bus; BYTES_E_TIMEOUT if it answers but keeps the
 * bus waiting. */
struct port_tis_bus {
    void *context;
    int (*read)(void *context, uint8_t locality, uint16_t offset, uint8_t *out, size_t len);
    int (*write)(void *context, uint8_t locality, uint16_t offset, const uint8_t *bytes, size_t len);
    /* Null where the bus has none: compare the chip's checksum of the message that has just gone through the FIFO.
     * Returns: 0; BYTES_E_INTEGRITY; an error of read. */
    int (*verify)(void *context, uint8_t locality, struct bytes message);
};

struct port_tis {
    struct port_tis_bus bus;
    struct port_clock clock; /* monotonic_ms and sleep_ms are used */
    uint8_t locality;        /* 0..4; 0 unless the platform says otherwise */
    bool may_seize;  /* take the TPM from a lower locality that does not give it up; never true for 0 */
    uint16_t vendor; /* set by port_tis_open: the PCI vendor, 0x15D1 Infineon, 0x104A ST, 0x1050 Nuvoton */
    uint16_t device; /* set by port_tis_open */
};

/* Look for a TPM at t->bus: wait until its registers are valid, read what it is, and check that it has this interface.
 * t->bus, t->clock, t->locality and t->may_seize must be set.
 * Returns: 0; BYTES_E_TPM_TRANSPORT if nothing or no TPM answers within time-out A; BYTES_E_NOT_PROVIDED if its
 * interface is another one (CRB: crb.h, on the same bus); BYTES_E_USAGE for a locality above 4; an error of the bus or
 * the clock. */
int port_tis_open(struct port_tis *t);

/* Give the locality up, for boards on which somebody else also uses the TPM. The next command requests it again. It
 * is also given up after each command for which another locality is waiting. Returns: 0; an error of the bus. */
int port_tis_relinquish(struct port_tis *t);

/* The TPM as port.h wants it. Errors are those of struct port_tpm; BYTES_E_TIMEOUT also if the locality is not granted
 * (another one has the TPM), BYTES_E_INTEGRITY if the bus's checksums do not match, BYTES_E_USAGE for a command
 * without a header. A command that takes longer than timeout_ms is aborted. t must not move. */
struct port_tpm port_tis_tpm(struct port_tis *t);

#endif
