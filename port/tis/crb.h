/* SPDX-License-Identifier: MIT */
/* A TPM behind registers: the Command Response Buffer interface (CRB) of the PC Client Platform TPM Profile, which
 * processors have that bring their own TPM, and some discrete ones beside FIFO (tis.h).
 *
 * A command is written into a buffer as a whole and started; its response stands in a buffer afterwards. Here both
 * buffers must be among the registers of the locality. A TPM that has its buffers elsewhere in memory, or is started
 * by firmware (an ACPI method, a secure monitor call), needs a driver of its own. No heap, no globals: all state is in
 * struct port_crb. TPM2_Startup: see tis.h. */
#ifndef PORT_TIS_CRB_H
#define PORT_TIS_CRB_H

#include "port/tis/tis.h"

/* Where locality 0's registers are on a PC. */
#define PORT_CRB_ADDRESS_PC 0xFED40000

/* The bus is that of tis.h without verify; every access is one of four bytes, also to the buffers: to an address that
 * four divides. The time-outs are PORT_TIS_TIMEOUT_A_MS (reset, locality), _B_MS (to cancel a command) and _C_MS (to
 * become ready or idle). */
struct port_crb {
    struct port_tis_bus bus;
    struct port_clock clock; /* monotonic_ms and sleep_ms are used */
    /* Locality 0's registers as the TPM itself counts: PORT_CRB_ADDRESS_PC, or its manual's. */
    uint64_t address;
    uint8_t locality; /* 0..4; 0 unless the platform says otherwise */
    /* set by port_crb_open */
    uint16_t vendor, device;            /* see struct port_tis */
    uint16_t command_at, command_max;   /* the buffers: offset within the locality, and how many bytes */
    uint16_t response_at, response_max; /* may be the same bytes */
};

/* Look for a TPM at c->bus: wait until its registers are valid, read what it is, take the locality, and read where its
 * buffers are. c->bus, c->clock, c->address and c->locality must be set.
 * Returns: 0; BYTES_E_TPM_TRANSPORT if nothing or no TPM answers within time-out A; BYTES_E_NOT_PROVIDED if its
 * interface is another one (FIFO), or a buffer is not among its registers; BYTES_E_USAGE for a locality above 4; an
 * error of the bus or the clock; BYTES_E_TIMEOUT if another locality has it, or it does not become ready. */
int port_crb_open(struct port_crb *c);

/* As port_tis_relinquish. It is not given up by itself: this interface does not tell who waits. */
int port_crb_relinquish(struct port_crb *c);

/* The TPM as port.h wants it, after port_crb_open. Errors are those of struct port_tpm; BYTES_E_TIMEOUT also if the
 * locality is not granted, BYTES_E_SPACE also for a command that is longer than the buffer, BYTES_E_USAGE for one
 * without a header. A command that takes longer than timeout_ms is cancelled; the next one waits until that is done.
 * c must not move. */
struct port_tpm port_crb_tpm(struct port_crb *c);

#endif
