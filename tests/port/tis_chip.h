/* SPDX-License-Identifier: MIT */
/* A TPM chip as its specification sees it: the registers of the FIFO interface, their states and their times, with a
 * real TPM behind them, on a clock that only these tests move. It reports every access that a driver may not make, and
 * can be made to misbehave. */
#ifndef TESTS_PORT_TIS_CHIP_H
#define TESTS_PORT_TIS_CHIP_H

#include "port/port.h"

#define TIS_CHIP_FOREVER UINT64_MAX

enum tis_chip_state { CHIP_IDLE, CHIP_READY, CHIP_RECEPTION, CHIP_EXECUTION, CHIP_COMPLETION };
enum tis_chip_presence { CHIP_PRESENT, CHIP_FLOATS_HIGH, CHIP_FLOATS_LOW };

struct tis_chip {
    struct port_tpm tpm;
    uint64_t now_us;
    uint32_t random; /* state of the generator; never 0 */

    /* Behaviour. Times are microseconds; counts say for how many commands, responses or transfers. */
    enum tis_chip_presence presence;
    bool crb;             /* says that its interface is another one */
    uint32_t did_vid;     /* its vendor */
    uint64_t reset_us;    /* registers are valid from then on */
    uint64_t grant_us;    /* until a locality is granted */
    uint64_t ready_us;    /* from Idle to Ready */
    uint64_t abort_us;    /* from an abort to Idle */
    uint64_t valid_us;    /* until the status is valid after a byte was moved or a command was done */
    uint64_t room_us;     /* until there is room, or a byte, again after a burst was used up */
    uint64_t execute_us;  /* for a command */
    unsigned burst;       /* the burst count */
    bool vary;            /* bursts of 1..burst, and times of 0..theirs */
    unsigned drop, twice; /* commands that lose, or double, their byte number 3 */
    unsigned invalid;     /* commands after which the status never becomes valid */
    unsigned truncate;    /* responses that end 2 bytes early */
    unsigned surplus;     /* responses with 3 bytes too many */
    unsigned lie;         /* responses whose size is said to be lie_size */
    uint32_t lie_size;
    unsigned flip;        /* responses with a bit changed on the way, in byte 11 */
    unsigned fail_after;  /* transfers of the bus that succeed before... */
    unsigned fail;        /* ...so many fail */
    unsigned seize_after; /* status reads before another locality takes the TPM; 0: never */

    /* The other localities' wishes: who has the TPM, until when; and whether one of them waits. */
    int other;
    uint64_t other_until_us;
    bool other_waits;

    /* What has happened. */
    unsigned requested, executed, aborted, retried, relinquished, transfers;
    const char *violation; /* the first access that was not allowed; null: none */

    /* Its inside. */
    enum tis_chip_state state, next;
    uint64_t next_us; /* when state becomes next */
    int active;       /* the locality that has it; -1: none */
    int wanted;       /* the locality that has asked; -1: none */
    uint64_t wanted_us;
    bool seized;
    unsigned room; /* bytes that may still be moved, as announced */
    uint64_t room_at_us, valid_at_us;
    bool stuck, dropped, doubled;
    uint8_t command[4096], response[4096];
    size_t command_len, response_len, response_at;
};

/* A chip in front of tpm: present, out of reset, quick. */
void tis_chip_init(struct tis_chip *c, struct port_tpm tpm);
struct port_clock tis_chip_clock(struct tis_chip *c);

/* The registers, one access each. */
void tis_chip_read(struct tis_chip *c, unsigned locality, unsigned offset, uint8_t *out, size_t len);
void tis_chip_write(struct tis_chip *c, unsigned locality, unsigned offset, const uint8_t *in, size_t len);
/* The bytes that have gone through the FIFO since the last command began or its response was there. */
struct bytes tis_chip_moved(const struct tis_chip *c);
/* Whether this transfer of the bus fails. */
bool tis_chip_fails(struct tis_chip *c);
void tis_chip_blame(struct tis_chip *c, const char *violation);
uint32_t tis_chip_random(struct tis_chip *c, uint32_t below);

#endif
