/* SPDX-License-Identifier: MIT */
/* The POSIX port: TPM transports of Linux, sockets, files, clocks, entropy and the two embedded stores. */
#ifndef PORT_POSIX_POSIX_H
#define PORT_POSIX_POSIX_H

#include "crypto/crypto.h"
#include "dps/service/store.h"
#include "port/port.h"
#include <sqlite3.h>

/* A TPM named on the command line:
 *   libtpms:DIR        in this process, its state in DIR (made if missing, locked); one per process
 *   swtpm:HOST:PORT    swtpm's data channel over TCP        swtpm:/SOCKET   over a unix socket
 *   mssim:HOST:PORT    the TPM simulator's protocol; the platform port is PORT + 1: powered on at open
 *   /dev/tpmrm0        a character device (anything that begins with '/')
 *   hostile:SEED[,OPTION...]/TPM   one of the above that misbehaves, reproducibly; for tests only, see below
 * open sends TPM2_Startup(CLEAR) where no other program does (libtpms, swtpm, mssim) and takes "already started" as
 * success. why receives a sentence for the user when it fails.
 * Returns: 0; BYTES_E_USAGE if name is none of
 * these; BYTES_E_FILE if the state of libtpms cannot be used; BYTES_E_TPM_TRANSPORT or BYTES_E_TIMEOUT if the TPM
 * cannot be reached; BYTES_E_TPM_RC or BYTES_E_FORMAT for its answer to TPM2_Startup. close ends libtpms with
 * TPM2_Shutdown; t may be opened again. */
enum posix_tpm_kind {
    POSIX_TPM_LIBTPMS,
    POSIX_TPM_SWTPM_TCP,
    POSIX_TPM_SWTPM_UNIX,
    POSIX_TPM_MSSIM,
    POSIX_TPM_DEVICE
};

/* The hostile TPM: hostile:SEED[,OPTION...]/TPM, as in hostile:42/libtpms:DIR or hostile:42,log//dev/tpm0. The same
 * SEED (any text without comma and slash) and the same commands give the same faults. Options:
 *   faults=NAME+NAME...  only these; without it all of them
 *   rate=N               one command in N, on average (default 8)
 *   at=N                 instead: exactly command N after open, counted from 1
 *   log                  each fault in a line on standard error
 * The TPM must not be used by others: the fault "reset" takes away the objects and sessions of everybody.
 *
 * The faults; the name of each is the constant's end in lower case. RETRY to LOCKOUT last for one command, for some,
 * for 100 or for ever. */
enum posix_fault {
    /* The command is not executed: */
    POSIX_FAULT_RETRY,
    POSIX_FAULT_TESTING,
    POSIX_FAULT_NVRATE,
    POSIX_FAULT_YIELDED,
    POSIX_FAULT_LOCKOUT,  /* a command with authorizations */
    POSIX_FAULT_SESSIONS, /* no room for a session; the next: for an object */
    POSIX_FAULT_OBJECTS,
    POSIX_FAULT_VENDOR, /* a code of the TPM's vendor; the next: of a resource manager */
    POSIX_FAULT_LAYER,
    POSIX_FAULT_LOST, /* the transport breaks off before the TPM has the command */
    /* Or it is executed, */
    POSIX_FAULT_RESET,  /* after all objects and sessions have gone; or its answer ... */
    POSIX_FAULT_BROKEN, /* ... does not come: the transport breaks off */
    POSIX_FAULT_DELAY,  /* ... comes some milliseconds later, and is right */
    POSIX_FAULT_TRUNCATE,
    POSIX_FAULT_CORRUPT, /* ... has one wrong bit */
    POSIX_FAULT_LONGER,  /* ... announces more than there is; the next: less; impossible sizes */
    POSIX_FAULT_SHORTER,
    POSIX_FAULT_SIZE,
    POSIX_FAULT_TAG,        /* ... has the other tag, or one that does not exist */
    POSIX_FAULT_PARAMETERS, /* ... has another parameterSize */
    POSIX_FAULT_TRAILING,   /* ... has more at its end, and a header that says so */
    POSIX_FAULT_PREVIOUS,   /* ... is that to the command before */
    POSIX_FAULT_NONCE,      /* ... has another nonceTPM, or one where none belongs */
    POSIX_FAULT_AUTH,       /* ... lacks its authorization area */
    POSIX_FAULT_HANDLE,     /* ... names handle 0, one of another kind or of nobody */
    POSIX_FAULT_COUNT
};

/* How it stands with a hostile TPM. Tests may look, and clear `on` to have an honest one. */
struct posix_hostile {
    bool on;
    bool log;
    uint32_t faults; /* 1 << enum posix_fault: those that may happen */
    uint32_t rate, at;
    char seed[32];
    struct crypto_drbg drbg;
    uint32_t commands;  /* that came, since open */
    uint32_t injected;  /* 1 << enum posix_fault: those that have happened */
    uint32_t last_code; /* of the command that the last fault hit */
    unsigned untold;    /* objects and sessions that the TPM holds and no answer has told of */
    unsigned unflushed; /* flushes that were refused with a code that nobody tries again, or did not arrive */
    uint32_t storm_rc;  /* a fault that lasts: its code, and for how many commands more */
    uint32_t storm_left;    /* UINT32_MAX: for ever */
    uint8_t previous[4096]; /* the last honest answer */
    size_t previous_len;
};
const char *posix_fault_name(enum posix_fault fault);

struct posix_tpm {
    enum posix_tpm_kind kind;
    int fd; /* -1: not connected. libtpms: its state directory */
    uint16_t port;
    uint16_t tried_port; /* of the last connection that was tried, */
    int cause;           /* and errno if it could not be made, else 0 */
    char address[512];   /* host, path of the socket or device, or libtpms' directory */
    struct posix_hostile hostile;
};
int posix_tpm_open(struct posix_tpm *t, const char *name, char *why, size_t why_size);
void posix_tpm_close(struct posix_tpm *t);
struct port_tpm posix_tpm_port(struct posix_tpm *t);

/* A TCP stream; connect_to (null or "HOST:PORT") overrides where every connection goes, as curl's --connect-to
 * does; the certificate is still checked for the name asked for. proxy (port/posix/proxy.h; or null) makes it an
 * HTTP CONNECT where it leads there. connect answers BYTES_E_USAGE if connect_to is not of that form. An IPv6 HOST
 * stands in brackets. */
struct posix_stream {
    int fd; /* set by posix_stream_port */
    const char *connect_to;
    const struct posix_proxy *proxy;
    /* How the last connect went, for posix_stream_explain. */
    const struct posix_proxy *through; /* null: it went directly */
    char host[DPS_HOST_MAX + 1];       /* where it was to lead */
    uint16_t port;
    bool reached;          /* the first host has taken the connection: the proxy, if there is one */
    int cause;             /* errno, if not */
    unsigned proxy_status; /* what the proxy answered, 0 if nothing that could be read */
    char proxy_wants[48];  /* a 407's authentication schemes; empty: none were told, or Basic is among them */
};
struct port_stream posix_stream_port(struct posix_stream *s);
/* Why the last connect failed with error, and what to do: a sentence without a stop. */
#define POSIX_STREAM_ERROR_MAX 1024
void posix_stream_explain(const struct posix_stream *s, int error, char *text, size_t text_size);

/* getrandom(2), complete or failing; and a deterministic source for tests, seeded by text. */
struct crypto_entropy posix_entropy(void);
struct crypto_entropy posix_entropy_seeded(struct crypto_drbg *d, const char *seed);

/* CLOCK_REALTIME and CLOCK_MONOTONIC; sleep ends early when posix_interrupted is set by a signal handler. */
struct port_clock posix_clock(void);
/* Set to non-zero by the programs' SIGINT and SIGTERM handlers. */
extern volatile int posix_interrupted;
/* Let SIGINT and SIGTERM set it, and ignore SIGPIPE: what the programs that run one command do. */
void posix_catch_signals(void);

/* This program holds secrets: no core dump, and no other program of the same user may look into its memory. */
void posix_keep_memory_private(void);

/* A file, replaced atomically: written beside it (mode 0600), fsync, rename, fsync of the directory. */
struct posix_storage {
    const char *path;
};
struct port_storage posix_storage_port(struct posix_storage *s);

/* Read a whole file of at most capacity bytes. Returns: 0; BYTES_E_NOT_FOUND; BYTES_E_SPACE; BYTES_E_FILE (errno says
 * why). */
int posix_file_read(const char *path, uint8_t *out, size_t capacity, size_t *len);
/* Replace a file atomically with the given mode. Returns: 0; BYTES_E_FILE. */
int posix_file_replace(const char *path, struct bytes content, unsigned mode);
/* Could it? Tries, and leaves everything as it was. Returns: 0; BYTES_E_FILE, errno says why: EISDIR for a directory,
 * ENOTSUP for something else that is no regular file and must not be replaced by one. */
int posix_file_replaceable(const char *path);
/* Among processes: hold path, which need not exist, by a lock on PATH.lock. It ends with the process, however that
 * ends; a PATH.lock that is left over locks nothing. Wait at most wait_ms for it.
 * Returns: 0 and *fd, which unlock takes; BYTES_E_CONFLICT: another process holds it; BYTES_E_TIMEOUT: a signal came;
 * BYTES_E_FILE (errno says why). */
int posix_lock(const char *path, uint32_t wait_ms, int *fd);
void posix_unlock(const char *path, int fd);
/* Read a secret from a file: its content without one trailing line end. Refuses, with a sentence in why, a file that
 * others can access (mode bits 077) or that belongs to another user; one of root's may be readable for a group.
 * Returns: 0; BYTES_E_FILE; BYTES_E_NOT_FOUND; BYTES_E_SPACE. */
int posix_secret_read(const char *path, uint8_t *out, size_t capacity, size_t *len, char *why,
                      size_t why_size);
/* The same with every byte of it: a DER key may end with what looks like a line end. */
int posix_secret_read_whole(const char *path, uint8_t *out, size_t capacity, size_t *len, char *why,
                            size_t why_size);

/* The stores. sqlite: WAL, synchronous=FULL, one transaction per turn; prepared statements; the schema is made
 * if missing and its version checked. Several processes may share the file: the transaction begins at the first
 * write of a turn, so a write waits up to 5 s for another process's turn to end, and put compares versions
 * inside it. An SQLite error after the first write loses the whole turn: everything answers BYTES_E_STORE until
 * commit has said so or rollback was called. A process that forks opens its own. */
#define POSIX_SQLITE_PER_TABLE 5
#define POSIX_SQLITE_PER_TURN 8
struct posix_sqlite {
    sqlite3 *db;
    sqlite3_stmt *record[DPS_TABLE_COUNT][POSIX_SQLITE_PER_TABLE];
    sqlite3_stmt *turn[POSIX_SQLITE_PER_TURN];
    int state;        /* of the turn: nothing written, written, lost */
    bool marked;      /* a savepoint is set */
    uint64_t version; /* the counter, while a transaction is open */
    char reason[256]; /* of the last failure, for people */
};
/* Returns: 0; BYTES_E_STORE with a sentence in why. s may be opened again after close or failure. */
int posix_sqlite_open(struct posix_sqlite *s, const char *path, char *why, size_t why_size);
void posix_sqlite_close(struct posix_sqlite *s);
struct dps_store posix_sqlite_store(struct posix_sqlite *s);

/* memory: a fixed number of records in storage of the caller (tests, gateways). A put that finds no free record
 * or no room in the undo log answers BYTES_E_STORE and changes nothing; the turn goes on. */
struct posix_memory_record {
    uint8_t table; /* enum dps_table + 1; 0: free */
    uint16_t key_len;
    uint16_t len;
    uint64_t version; /* in the undo log 0: there was no such record before */
    uint8_t key[DPS_KEY_MAX];
    uint8_t value[DPS_RECORD_MAX];
};
struct posix_memory {
    struct posix_memory_record *records; /* capacity of them, given by the caller */
    size_t capacity;
    uint64_t version;
    struct posix_memory_record *undo; /* what each write of this turn replaced, oldest first */
    size_t undo_capacity;
    size_t undo_count;
    size_t mark; /* undo_count when the mark was set */
};
void posix_memory_init(struct posix_memory *m, struct posix_memory_record *records, size_t capacity,
                       struct posix_memory_record *undo, size_t undo_capacity);
struct dps_store posix_memory_store(struct posix_memory *m);

/* A sentence for the user about an error of this project: what happened. Never null. */
const char *posix_error_text(int error);
/* The same about an errno of a file, and what to do, without a stop. Returns text. */
#define POSIX_FILE_ERROR_MAX 200
const char *posix_file_error(int cause, char *text, size_t text_size);

#endif
