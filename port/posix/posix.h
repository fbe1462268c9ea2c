/* SPDX-License-Identifier: MIT */
/* The POSIX port: TPM transports of Linux, sockets, files, clocks and entropy. Each store has a header of its own. */
#ifndef PORT_POSIX_POSIX_H
#define PORT_POSIX_POSIX_H

#include "crypto/crypto.h"
#include "dps/protocol/limits.h"
#include "port/port.h"

/* A TPM named on the command line:
 *   libtpms:DIR        in this process, its state in DIR (made if missing, locked); one per process
 *   swtpm:HOST:PORT    swtpm's data channel over TCP        swtpm:/SOCKET   over a unix socket
 *   mssim:HOST:PORT    the TPM simulator's protocol; the platform port is PORT + 1: powered on at open
 *   /dev/tpmrm0        a character device (anything that begins with '/')
 * open sends TPM2_Startup(CLEAR) where nobody else does (libtpms, swtpm, mssim) and takes "already started" as
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

struct posix_tpm;
/* A TPM that wraps another one: PREFIX, its own arguments, and the name of the one inside. Our programs have none
 * (tpm_wrappers.c); a test program brings a table of its own, and the library's is not linked. */
struct posix_tpm_wrapper {
    const char *prefix; /* with its colon; null ends the table */
    /* Take the arguments from the front of name, which begins after the prefix.
     * Returns: the name of the TPM inside; null with a sentence in why. */
    const char *(*open)(const char *name, char *why, size_t why_size);
    /* As transact of port_tpm. posix_tpm_transact asks the TPM inside. */
    int (*transact)(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *response_len, uint32_t timeout_ms);
};
extern const struct posix_tpm_wrapper posix_tpm_wrappers[];

struct posix_tpm {
    enum posix_tpm_kind kind;
    int fd; /* -1: not connected. libtpms: its state directory */
    uint16_t port;
    uint16_t tried_port;                     /* of the last connection that was tried, */
    int cause;                               /* and errno if it could not be made, else 0 */
    int driver_cause;                        /* errno of the last BYTES_E_TPM_DRIVER */
    char address[512];                       /* host, path of the socket or device, or libtpms' directory */
    const struct posix_tpm_wrapper *wrapper; /* null: none */
};
int posix_tpm_open(struct posix_tpm *t, const char *name, char *why, size_t why_size);
void posix_tpm_close(struct posix_tpm *t);
struct port_tpm posix_tpm_port(struct posix_tpm *t);

/* A TCP stream; connect_to (null or "HOST:PORT") overrides where every connection goes, as curl's --connect-to
 * does; the certificate is still checked for the name asked for. proxy (port/posix/proxy.h; or null) makes it an
 * HTTP CONNECT for the places that it leads to. connect answers BYTES_E_USAGE if connect_to is not of that form. An
 * IPv6 HOST is written in brackets. */
struct posix_stream {
    int fd; /* set by posix_stream_port */
    const char *connect_to;
    const struct posix_proxy *proxy;
    /* How the last connect went, for posix_stream_explain. */
    const struct posix_proxy *through; /* null: it went directly */
    char host[DPS_HOST_MAX + 1];       /* where it should lead */
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
/* A new file for writing, as it comes, that nobody else may read (mode 0600), in the place of a file that was there; a
 * pipe or a device of this user's or root's as it is. Returns a descriptor, or -1, with errno. */
int posix_file_create_private(const char *path);
/* Could posix_file_replace do it? Tries, and leaves everything as it was. Returns: 0; BYTES_E_FILE, errno says why:
 * EISDIR for a directory, ENOTSUP for something else that is not a regular file and must not become one. */
int posix_file_replaceable(const char *path);
/* Lock path, which need not exist, against other processes, by a lock on PATH.lock. The lock ends with the process,
 * however that ends; a PATH.lock file that is left over locks nothing. Wait at most wait_ms for it.
 * Returns: 0 and *fd, which unlock takes; BYTES_E_CONFLICT: another process holds it; BYTES_E_TIMEOUT: a signal came;
 * BYTES_E_FILE (errno says why). */
int posix_lock(const char *path, uint32_t wait_ms, int *fd);
void posix_unlock(const char *path, int fd);
/* Read a secret from a file: its content without one trailing line end. Refuses, with a sentence in why, a file that
 * others can access (mode bits 077) or that belongs to another user; one of root's may be readable for a group.
 * Returns: 0; BYTES_E_FILE; BYTES_E_NOT_FOUND; BYTES_E_SPACE. */
int posix_secret_read(const char *path, uint8_t *out, size_t capacity, size_t *len, char *why,
                      size_t why_size);
/* The same, but keep every byte: a DER key may end with what looks like a line end. */
int posix_secret_read_whole(const char *path, uint8_t *out, size_t capacity, size_t *len, char *why,
                            size_t why_size);

/* A sentence for the user about an error of this project: what happened. Never null. */
const char *posix_error_text(int error);
/* The same about an errno of a file, and what to do, without a stop. Returns text. */
#define POSIX_FILE_ERROR_MAX 200
const char *posix_file_error(int cause, char *text, size_t text_size);

#endif
