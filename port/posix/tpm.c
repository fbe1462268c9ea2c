/* SPDX-License-Identifier: MIT */
/* The TPM transports of Linux.
 *
 * A command goes out in ONE write: swtpm takes what the read that completes a command's header brought as the whole
 * command, and the kernel takes each write as one. A response is read in two steps, up to its size field and the rest,
 * so that no peer can make us read more than it announced or announce more than fits. After a failure the connection is
 * closed, because nobody knows where in the exchange the other side is; the next call connects anew. Only a refusal by
 * the kernel ends an exchange in good order. */
#include "port/posix/private.h"
#include "tpm/command.h"
#include "tpm/frame.h"
#include "tpm/tpm2.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Connecting and Startup; only the first command of a discrete TPM after a reset comes near it. */
#define OPEN_TIMEOUT_MS 10000
/* For finding out which protocol is spoken by a TPM that did not answer in the expected one. */
#define PROBE_TIMEOUT_MS 3000
/* No TPM announces more [P2 r1.59 6.13, TPM_PT_MAX_RESPONSE_SIZE]; 4096 as a rule: a size above it is not
 * too large but nonsense. */
#define RESPONSE_SANE_MAX 65535
/* Larger than any command of this project, with room for tests that send more. */
#define COMMAND_MAX 4096
/* Up to and with the size field: tag and responseSize [P1 r1.59 18]. */
#define SIZE_END 6

/* The simulator's protocol [TPM 2.0 reference implementation, TpmTcpProtocol.h]. */
#define MSSIM_POWER_ON 1
#define MSSIM_SEND_COMMAND 8
#define MSSIM_NV_ON 11

static void disconnect(struct posix_tpm *t)
{
    if (t->fd >= 0) {
        (void)close(t->fd);
    }
    t->fd = -1;
}

/* An error of the socket helpers as one of this transport. */
static int transport_error(int error)
{
    return error == BYTES_E_STREAM ? BYTES_E_TPM_TRANSPORT : error;
}

static int send_whole(int fd, struct bytes bytes, uint64_t deadline)
{
    for (;;) {
        ssize_t n = send(fd, bytes.p, bytes.len, MSG_NOSIGNAL);
        if (n >= 0) {
            return (size_t)n == bytes.len ? 0 : BYTES_E_TPM_TRANSPORT;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            return BYTES_E_TPM_TRANSPORT;
        }
        int error = posix_wait(fd, POLLOUT, deadline, false);
        if (error != 0) {
            return transport_error(error);
        }
    }
}

static int receive_exactly(int fd, uint8_t *out, size_t len, uint64_t deadline)
{
    while (len > 0) {
        ssize_t n = recv(fd, out, len, 0);
        if (n > 0) {
            out += n;
            len -= (size_t)n;
            continue;
        }
        if (n == 0) {
            return BYTES_E_TPM_TRANSPORT;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN) {
            return BYTES_E_TPM_TRANSPORT;
        }
        int error = posix_wait(fd, POLLIN, deadline, false);
        if (error != 0) {
            return transport_error(error);
        }
    }
    return 0;
}

static int receive_u32(int fd, uint32_t *value, uint64_t deadline)
{
    uint8_t bytes[4];
    int error = receive_exactly(fd, bytes, sizeof bytes, deadline);
    struct bytes_reader r = bytes_reader_over(bytes_of(bytes, sizeof bytes));
    *value = error == 0 ? bytes_read_u32(&r) : 0;
    return error;
}

/* What the first bytes of a response announce, checked against the room there is. */
static int check_size(const uint8_t *response, size_t received, size_t capacity, size_t *size)
{
    bool bad;
    *size = tpm2_response_size(bytes_of(response, received), RESPONSE_SANE_MAX, &bad);
    if (*size == 0) {
        return BYTES_E_FORMAT;
    }
    return *size > capacity ? BYTES_E_SPACE : 0;
}

static int receive_response(int fd, uint8_t *response, size_t capacity, size_t *len, uint64_t deadline)
{
    if (capacity < SIZE_END) {
        return BYTES_E_SPACE;
    }
    size_t size = 0;
    int error = receive_exactly(fd, response, SIZE_END, deadline);
    if (error == 0) {
        error = check_size(response, SIZE_END, capacity, &size);
    }
    if (error == 0) {
        error = receive_exactly(fd, response + SIZE_END, size - SIZE_END, deadline);
    }
    if (error == 0) {
        *len = size;
    }
    return error;
}

static int exchange_socket(int fd, struct bytes command, uint8_t *response, size_t capacity, size_t *len,
                           uint64_t deadline)
{
    int error = send_whole(fd, command, deadline);
    return error != 0 ? error : receive_response(fd, response, capacity, len, deadline);
}

/* The simulator puts code, locality and length before a command; length before and a zero after the response. */
static int exchange_mssim(int fd, struct bytes command, uint8_t *response, size_t capacity, size_t *len,
                          uint64_t deadline)
{
    uint8_t frame[9 + COMMAND_MAX];
    struct bytes_writer w = bytes_writer_over(frame, sizeof frame);
    bytes_write_u32(&w, MSSIM_SEND_COMMAND);
    bytes_write_u8(&w, 0);
    bytes_write_u32(&w, (uint32_t)command.len);
    bytes_write_bytes(&w, command);
    int error = w.error != 0 ? BYTES_E_TPM_TRANSPORT : send_whole(fd, bytes_written(&w), deadline);
    bytes_wipe(frame, w.len); /* it may hold an authValue */
    uint32_t announced = 0;
    if (error == 0) {
        error = receive_u32(fd, &announced, deadline);
    }
    if (error == 0) {
        error = receive_response(fd, response, capacity, len, deadline);
    }
    if (error == 0 && announced != *len) {
        error = BYTES_E_FORMAT;
    }
    uint32_t status = 0;
    if (error == 0) {
        error = receive_u32(fd, &status, deadline);
    }
    return error == 0 && status != 0 ? BYTES_E_TPM_TRANSPORT : error;
}

/* How write or read has failed. Linux refuses a command with an errno if its size is wrong (EINVAL, E2BIG), and behind
 * /dev/tpmrm0 also if it names a transient object that is not of this descriptor (EINVAL), if that has three objects or
 * three sessions already (ENOMEM), or if the TPM has no room for those that it has (EFAULT); see
 * drivers/char/tpm/tpm-dev-common.c and tpm2-space.c. Then the descriptor is as good as before, and closing it would
 * lose all that is loaded. */
static int device_failed(struct posix_tpm *t)
{
    if (errno != EINVAL && errno != E2BIG && errno != ENOMEM && errno != EFAULT) {
        return BYTES_E_TPM_TRANSPORT;
    }
    t->driver_cause = errno;
    return BYTES_E_TPM_DRIVER;
}

/* A device delivers a response to one read; what did not fit is lost or would come with the next, so its size
 * is checked afterwards. */
static int exchange_device(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                           size_t *len, uint64_t deadline)
{
    ssize_t n;
    do {
        n = write(t->fd, command.p, command.len);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return device_failed(t);
    }
    if ((size_t)n != command.len) {
        return BYTES_E_TPM_TRANSPORT;
    }
    do {
        int error = posix_wait(t->fd, POLLIN, deadline, false);
        if (error != 0) {
            return transport_error(error);
        }
        n = read(t->fd, response, capacity);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0) {
        return device_failed(t);
    }
    if (n < SIZE_END) {
        return BYTES_E_TPM_TRANSPORT;
    }
    size_t size;
    int error = check_size(response, (size_t)n, capacity, &size);
    if (error != 0) {
        return error;
    }
    if (size != (size_t)n) {
        return size > (size_t)n ? BYTES_E_TPM_TRANSPORT : BYTES_E_FORMAT;
    }
    *len = size;
    return 0;
}

static int exchange(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *len, uint64_t deadline)
{
    *len = 0;
    int error;
    if (t->kind == POSIX_TPM_LIBTPMS) {
        error = posix_libtpms_transact(command, response, capacity, len);
    } else if (t->kind == POSIX_TPM_DEVICE) {
        error = exchange_device(t, command, response, capacity, len, deadline);
    } else if (t->kind == POSIX_TPM_MSSIM) {
        error = exchange_mssim(t->fd, command, response, capacity, len, deadline);
    } else {
        error = exchange_socket(t->fd, command, response, capacity, len, deadline);
    }
    if (error != 0) {
        *len = 0;
    }
    return error;
}

/* The port tried last, and why it failed, are kept for the user's sentence. */
static int connect_tcp(struct posix_tpm *t, unsigned port, uint64_t deadline, int *fd)
{
    const int error = posix_connect_tcp(t->address, (uint16_t)port, deadline, fd);
    t->tried_port = (uint16_t)port;
    t->cause = error != 0 ? errno : 0;
    return error;
}

/* The platform port: power and non-volatile memory on. Both are no-ops for a simulator that runs already. */
static int mssim_power_on(struct posix_tpm *t, uint64_t deadline)
{
    static const uint8_t signals[] = {MSSIM_POWER_ON, MSSIM_NV_ON};
    int fd;
    int error = connect_tcp(t, t->port + 1U, deadline, &fd);
    if (error != 0) {
        return error;
    }
    for (size_t i = 0; i < sizeof signals && error == 0; i++) {
        const uint8_t message[4] = {0, 0, 0, signals[i]};
        uint32_t status = 0;
        error = send_whole(fd, bytes_of(message, sizeof message), deadline);
        if (error == 0) {
            error = receive_u32(fd, &status, deadline);
        }
        if (error == 0 && status != 0) {
            error = BYTES_E_TPM_TRANSPORT;
        }
    }
    (void)close(fd);
    return error;
}

/* Non-blocking, so that the kernel works on the command after write has returned and poll can time out. Only a
 * character device is written to: otherwise a mistyped name that is a file would have a command
 * written over its beginning. */
static int open_device(const char *path, int *fd)
{
    struct stat st;
    *fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0) {
        return BYTES_E_TPM_TRANSPORT;
    }
    if (fstat(*fd, &st) == 0 && S_ISCHR(st.st_mode)) {
        return 0;
    }
    (void)close(*fd);
    *fd = -1;
    errno = ENODEV;
    return BYTES_E_TPM_TRANSPORT;
}

static int connect_to_tpm(struct posix_tpm *t, uint64_t deadline)
{
    int error = 0;
    switch (t->kind) {
    case POSIX_TPM_DEVICE:
        error = open_device(t->address, &t->fd);
        t->cause = error != 0 ? errno : 0;
        break;
    case POSIX_TPM_SWTPM_UNIX:
        error = posix_connect_unix(t->address, deadline, &t->fd);
        t->cause = error != 0 ? errno : 0;
        break;
    case POSIX_TPM_MSSIM:
        error = mssim_power_on(t, deadline);
        if (error != 0) {
            break;
        }
        /* fall through */
    case POSIX_TPM_SWTPM_TCP:
        error = connect_tcp(t, t->port, deadline, &t->fd);
        break;
    case POSIX_TPM_LIBTPMS:
        error = t->fd >= 0 ? 0 : BYTES_E_TPM_TRANSPORT;
        break;
    }
    return transport_error(error);
}

/* TPM2_Startup where no firmware or kernel has sent it. "Already started" is the normal answer of a TPM that outlived
 * our last connection. A device is only asked whether it is a TPM. */
static int startup(struct posix_tpm *t, uint64_t deadline, uint32_t *rc)
{
    const bool device = t->kind == POSIX_TPM_DEVICE;
    uint8_t command[32], response[256];
    size_t len;
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    *rc = 0;
    if (device) {
        tpm2_get_capability_build(&w, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER, 1);
    } else {
        tpm2_startup_build(&w, TPM2_SU_CLEAR);
    }
    int error = exchange(t, bytes_written(&w), response, sizeof response, &len, deadline);
    if (error == 0 && !device) {
        error = tpm2_startup_parse(bytes_of(response, len), rc);
    }
    return error == BYTES_E_TPM_RC && *rc == TPM2_RC_INITIALIZE ? 0 : error;
}

/* Connected, and nothing to read: bytes that come unasked are the end of an earlier exchange or of the connection, and
 * a response read from there would be taken for the answer to another command. */
static int make_ready(struct posix_tpm *t, uint64_t deadline)
{
    if (t->kind == POSIX_TPM_LIBTPMS) {
        return t->fd >= 0 ? 0 : BYTES_E_TPM_TRANSPORT;
    }
    if (t->fd >= 0 && posix_wait(t->fd, POLLIN, 0, false) != BYTES_E_TIMEOUT) {
        disconnect(t);
    }
    if (t->fd >= 0) {
        return 0;
    }
    uint32_t rc;
    int error = connect_to_tpm(t, deadline);
    if (error == 0) {
        error = startup(t, deadline, &rc);
    }
    return error == BYTES_E_TPM_RC ? BYTES_E_TPM_TRANSPORT : error;
}

int posix_tpm_transact(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                       size_t *response_len, uint32_t timeout_ms)
{
    uint64_t deadline = posix_deadline(timeout_ms);
    *response_len = 0;
    int error = make_ready(t, deadline);
    if (error == 0) {
        error = exchange(t, command, response, capacity, response_len, deadline);
    }
    /* libtpms has no connection that could be out of step, and closing it would end the TPM. */
    if (error != 0 && error != BYTES_E_TPM_DRIVER && t->kind != POSIX_TPM_LIBTPMS) {
        disconnect(t);
    }
    return error;
}

void posix_tpm_break(struct posix_tpm *t)
{
    if (t->kind != POSIX_TPM_LIBTPMS) {
        disconnect(t);
    }
}

static int tpm_transact(void *context, struct bytes command, uint8_t *response, size_t capacity,
                        size_t *response_len, uint32_t timeout_ms)
{
    struct posix_tpm *t = context;
    return t->wrapper != NULL ? t->wrapper->transact(t, command, response, capacity, response_len, timeout_ms)
                              : posix_tpm_transact(t, command, response, capacity, response_len, timeout_ms);
}

bool posix_tpm_speaks(const struct posix_tpm *t, enum posix_tpm_kind kind)
{
    struct posix_tpm other = {.fd = -1, .kind = kind, .port = t->port};
    const uint64_t deadline = posix_deadline(PROBE_TIMEOUT_MS);
    uint8_t command[32], response[256];
    size_t len;
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    memcpy(other.address, t->address, sizeof other.address);
    tpm2_get_capability_build(&w, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER, 1);
    int error = connect_to_tpm(&other, deadline);
    if (error == 0) {
        error = exchange(&other, bytes_written(&w), response, sizeof response, &len, deadline);
    }
    disconnect(&other);
    return error == 0;
}

int posix_tpm_open(struct posix_tpm *t, const char *name, char *why, size_t why_size)
{
    const uint64_t deadline = posix_deadline(OPEN_TIMEOUT_MS);
    *t = (struct posix_tpm){.fd = -1};
    int error = posix_tpm_named(t, &name, why, why_size);
    if (error != 0) {
        return error;
    }
    uint32_t rc = 0;
    const bool libtpms = t->kind == POSIX_TPM_LIBTPMS;
    error = libtpms ? posix_libtpms_open(t->address, &t->fd, why, why_size) : connect_to_tpm(t, deadline);
    if (error != 0 && !libtpms) {
        posix_tpm_explain(t, name, error, rc, why, why_size);
    }
    if (error != 0) {
        return error;
    }
    error = startup(t, deadline, &rc);
    if (t->kind == POSIX_TPM_DEVICE && error == BYTES_E_TIMEOUT) {
        disconnect(t); /* it may be busy for another program: the first command waits longer */
        error = 0;
    }
    if (error != 0) {
        posix_tpm_explain(t, name, error, rc, why, why_size);
        if (libtpms) {
            posix_libtpms_close(t->fd);
        } else {
            disconnect(t);
        }
        t->fd = -1;
    }
    return error;
}

void posix_tpm_close(struct posix_tpm *t)
{
    if (t->kind != POSIX_TPM_LIBTPMS) {
        disconnect(t);
        return;
    }
    if (t->fd < 0) {
        return;
    }
    /* This TPM loses its power now. Without TPM2_Shutdown it would take that for an attack and, after the use of a
     * key under dictionary-attack protection, count a failed authorization at the next start [P1 r1.59 19.8.6]. */
    uint8_t command[16], response[64];
    size_t len;
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_shutdown_build(&w, TPM2_SU_CLEAR);
    (void)exchange(t, bytes_written(&w), response, sizeof response, &len, 0);
    posix_libtpms_close(t->fd);
    t->fd = -1;
}

struct port_tpm posix_tpm_port(struct posix_tpm *t)
{
    return (struct port_tpm){t, tpm_transact};
}
