/* SPDX-License-Identifier: MIT */
/* A TPM that misbehaves, for tests. It wraps an honest one, and only programs that link tests/hostile/ have it:
 * dps-conformance, which serves it to all others (--serve-tpm), and the tests. */
#ifndef TESTS_HOSTILE_HOSTILE_H
#define TESTS_HOSTILE_HOSTILE_H

#include "port/posix/posix.h"

/* Its name: hostile:SEED[,OPTION...]/TPM, as in hostile:42/libtpms:DIR or hostile:42,log//dev/tpm0. The same
 * SEED (any text without comma and slash) and the same commands give the same faults. Options:
 *   faults=NAME+NAME...  only these; without it all of them
 *   rate=N               one command in N, on average (default 8)
 *   at=N                 instead: exactly command N after open, counted from 1
 *   log                  each fault in a line on standard error
 * The TPM must not be used by others: the fault "reset" takes away the objects and sessions of everybody.
 *
 * The faults; the name of each is the constant's end in lower case. RETRY to LOCKOUT last for one command, for some,
 * for 100 or for ever. */
enum hostile_fault {
    /* The command is not executed: */
    HOSTILE_RETRY,
    HOSTILE_TESTING,
    HOSTILE_NVRATE,
    HOSTILE_YIELDED,
    HOSTILE_LOCKOUT,  /* a command with authorizations */
    HOSTILE_SESSIONS, /* no room for a session; the next: for an object */
    HOSTILE_OBJECTS,
    HOSTILE_VENDOR, /* a code of the TPM's vendor; the next: of a resource manager */
    HOSTILE_LAYER,
    HOSTILE_LOST, /* the transport breaks off before the TPM has the command */
    /* Or it is executed, */
    HOSTILE_RESET,  /* after all objects and sessions have gone; or its answer ... */
    HOSTILE_BROKEN, /* ... does not come: the transport breaks off */
    HOSTILE_DELAY,  /* ... comes some milliseconds later, and is right */
    HOSTILE_TRUNCATE,
    HOSTILE_CORRUPT, /* ... has one wrong bit */
    HOSTILE_LONGER,  /* ... announces more than there is; the next: less; impossible sizes */
    HOSTILE_SHORTER,
    HOSTILE_SIZE,
    HOSTILE_TAG,        /* ... has the other tag, or one that does not exist */
    HOSTILE_PARAMETERS, /* ... has another parameterSize */
    HOSTILE_TRAILING,   /* ... has more at its end, and a header that says so */
    HOSTILE_PREVIOUS,   /* ... is that to the command before */
    HOSTILE_NONCE,      /* ... has another nonceTPM, or one where none belongs */
    HOSTILE_AUTH,       /* ... lacks its authorization area */
    HOSTILE_HANDLE,     /* ... names handle 0, one of another kind or of nobody */
    HOSTILE_COUNT
};

/* The state of the hostile TPM, of which a process has one. Tests may read it, and clear `on` to get an honest
 * one. */
struct hostile {
    bool on;
    bool log;
    uint32_t faults; /* 1 << enum hostile_fault: those that may happen */
    uint32_t rate, at;
    char seed[32];
    struct crypto_drbg drbg;
    uint32_t commands;  /* that came, since open */
    uint32_t injected;  /* 1 << enum hostile_fault: those that have happened */
    uint32_t last_code; /* of the command that the last fault hit */
    unsigned untold;    /* objects and sessions that the TPM holds and no answer has reported */
    unsigned
        unflushed; /* flushes that were refused with a code that forbids trying again, or did not arrive */
    uint32_t storm_rc;      /* a fault that lasts: its code, and for how many commands more */
    uint32_t storm_left;    /* UINT32_MAX: for ever */
    uint8_t previous[4096]; /* the last honest answer */
    size_t previous_len;
};
struct hostile *hostile_state(void);
const char *hostile_fault_name(enum hostile_fault fault);

/* For the table of wrappers. */
const char *hostile_open(const char *name, char *why, size_t why_size);
int hostile_transact(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                     size_t *response_len, uint32_t timeout_ms);

/* ---- Also for an honest one ---- */

/* What a power cut does: objects and sessions are gone, and the TPM is started up again. Where there is no switch (all
 * but libtpms) they are flushed one by one.
 * Returns: 0; the transport's error. */
int hostile_reset(struct posix_tpm *t);

/* ---- Between its files ---- */

/* One command on its way through it. */
struct hostile_passage {
    struct hostile *h;
    uint16_t tag; /* of the command */
    uint32_t code;
    uint32_t detail[2]; /* random: how the fault looks */
    uint8_t *response;
    size_t capacity, len;
    char done[80]; /* for the log; empty: nothing was changed */
};
/* Change the honest answer that stands in p->response (hostile_answer.c). */
void hostile_change(struct hostile_passage *p, int fault);
/* Does the answer to this command, as a success, tell of a new object or session? */
bool hostile_returns_handle(uint32_t command_code);

#endif
