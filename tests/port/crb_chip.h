/* SPDX-License-Identifier: MIT */
/* A TPM with the Command Response Buffer interface as its specification sees it: registers, states and times, with a
 * real TPM behind them, on a clock that only these tests move. It reports every access that a driver may not make, and
 * can be made to misbehave. */
#ifndef TESTS_PORT_CRB_CHIP_H
#define TESTS_PORT_CRB_CHIP_H

#include "port/tis/crb.h"

#define CRB_CHIP_FOREVER UINT64_MAX

enum crb_chip_state { CRB_IDLE, CRB_READY, CRB_RECEPTION, CRB_EXECUTION, CRB_COMPLETION };
enum crb_chip_presence { CRB_PRESENT, CRB_FLOATS_HIGH, CRB_FLOATS_LOW };

struct crb_chip {
    struct port_tpm tpm;
    uint64_t now_us;

    /* Behaviour. Times are microseconds. */
    enum crb_chip_presence presence;
    uint32_t interface_id, did_vid;
    uint8_t access; /* not 0: its interface is FIFO, and this is what TPM_ACCESS says */
    uint32_t command_size, response_size;
    uint64_t command_address, response_address;
    uint64_t reset_us;   /* registers are valid from then on */
    uint64_t grant_us;   /* until a locality is granted */
    uint64_t ready_us;   /* from cmdReady to Ready */
    uint64_t idle_us;    /* from goIdle to Idle */
    uint64_t execute_us; /* for a command */
    uint64_t cancel_us;  /* from Cancel to Completion */
    bool fatal;          /* the next command ends with an error of the TPM itself */
    bool lie;            /* responses announce lie_size */
    uint32_t lie_size;
    bool ones;           /* responses are all ones after their header */
    unsigned fail_after; /* accesses that succeed before... */
    unsigned fail;       /* ...so many fail */
    unsigned take_after; /* accesses before another locality takes the TPM; 0: never */
    uint32_t noise;      /* not 0: each register reads as random, from this seed; nothing is executed */

    /* Another locality has it until then; -1: nobody. */
    int other;
    uint64_t other_until_us;

    /* What has happened. */
    unsigned requested, executed, cancelled, accesses;
    const char *violation; /* the first access that was not allowed; null: none */

    /* Its inside. */
    enum crb_chip_state state;
    int active; /* the locality that has it; -1: none */
    int wanted;
    uint64_t wanted_us, request_us, done_us;
    uint8_t request; /* what CTRL_REQ asks for and is not done */
    bool cancel, error;
    uint8_t command[4096], response[4096]; /* the buffers */
    uint8_t answer[4096];                  /* what response will be */
    size_t answer_len;
};

/* A chip in front of tpm: present, out of reset, quick; one buffer of 3968 bytes for both. */
void crb_chip_init(struct crb_chip *c, struct port_tpm tpm);
/* A driver for it, not looked for yet. */
struct port_crb crb_chip_driver(struct crb_chip *c);

#endif
