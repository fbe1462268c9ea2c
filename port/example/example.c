/* SPDX-License-Identifier: MIT */
#include "port/example/example.h"
#include "tpm/command.h"
#include "tpm/frame.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The sockets never block: all waiting is done here, and has an end.
 * Returns: 1; 0 if it is not ready within timeout_ms; BYTES_E_TIMEOUT if a signal came: the program must end. */
static int wait_for(int fd, short events, uint32_t timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    const int ready = poll(&p, 1, (int)timeout_ms);
    return ready >= 0 ? ready : BYTES_E_TIMEOUT;
}

static void hang_up(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static int dial(int *fd, const struct addrinfo *address, uint32_t timeout_ms)
{
    int refused = 0;
    socklen_t len = sizeof refused;
    *fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return BYTES_E_STREAM;
    }
    int error = BYTES_E_STREAM;
    if (connect(*fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS) {
        error = wait_for(*fd, POLLOUT, timeout_ms) > 0 ? 0 : BYTES_E_TIMEOUT;
    }
    if (error == 0 && (getsockopt(*fd, SOL_SOCKET, SO_ERROR, &refused, &len) != 0 || refused != 0)) {
        error = BYTES_E_STREAM;
    }
    if (error != 0) {
        hang_up(fd);
    }
    return error;
}

static uint64_t monotonic_ms(void *context);

static uint32_t left_ms(uint64_t end)
{
    const uint64_t now = monotonic_ms(NULL);
    return now < end ? (uint32_t)(end - now) : 0;
}

static int dial_any(int *fd, const char *host, uint16_t port, uint32_t timeout_ms)
{
    char service[6];
    struct addrinfo *addresses;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int error = BYTES_E_STREAM;
    const uint64_t end = monotonic_ms(NULL) + timeout_ms;
    snprintf(service, sizeof service, "%u", (unsigned)port);
    hang_up(fd);
    if (getaddrinfo(host, service, &hints, &addresses) != 0) {
        return error;
    }
    for (const struct addrinfo *a = addresses; a != NULL && error != 0; a = a->ai_next) {
        error = dial(fd, a, left_ms(end));
    }
    freeaddrinfo(addresses);
    return error;
}

/* As struct port_stream wants it: a count; 0: nothing yet. */
static int receive(int fd, uint8_t *out, size_t capacity, uint32_t timeout_ms)
{
    const int ready = wait_for(fd, POLLIN, timeout_ms);
    if (ready <= 0) {
        return ready;
    }
    const ssize_t got = recv(fd, out, capacity, 0);
    return got > 0 ? (int)got : BYTES_E_STREAM;
}

static int tpm_exchange(struct example *e, struct bytes command, uint8_t *response, size_t capacity,
                        size_t *response_len, uint32_t timeout_ms)
{
    bool bad = false;
    size_t size = 0;
    const uint64_t end = monotonic_ms(e) + timeout_ms;
    if (send(e->tpm, command.p, command.len, MSG_NOSIGNAL) != (ssize_t)command.len) {
        return BYTES_E_TPM_TRANSPORT;
    }
    for (size_t len = 0; size == 0 || len < size;) {
        const uint32_t left = left_ms(end);
        if (left == 0) {
            return BYTES_E_TIMEOUT;
        }
        const int got = receive(e->tpm, response + len, capacity - len, left);
        if (got < 0 && got != BYTES_E_TIMEOUT) {
            return BYTES_E_TPM_TRANSPORT;
        }
        /* A signal does not concern the TPM: wait for what it has begun, so that it can be flushed. */
        len += got > 0 ? (size_t)got : 0;
        size = tpm2_response_size(bytes_of(response, len), capacity, &bad);
        if (bad || (size != 0 && len > size)) {
            return BYTES_E_FORMAT;
        }
    }
    *response_len = size;
    return 0;
}

static int tpm_transact(void *context, struct bytes command, uint8_t *response, size_t capacity,
                        size_t *response_len, uint32_t timeout_ms)
{
    struct example *e = context;
    *response_len = 0;
    int error = e->tpm < 0 ? dial_any(&e->tpm, "127.0.0.1", e->tpm_port, timeout_ms) : 0;
    if (error == 0) {
        error = tpm_exchange(e, command, response, capacity, response_len, timeout_ms);
    } else {
        error = BYTES_E_TPM_TRANSPORT;
    }
    if (error != 0) {
        /* A late response would be taken for the response to the next command. */
        hang_up(&e->tpm);
    }
    return error;
}

static int stream_connect(void *context, const char *host, uint16_t port, uint32_t timeout_ms)
{
    struct example *e = context;
    return dial_any(&e->stream, host, port, timeout_ms);
}

static int stream_read(void *context, uint8_t *out, size_t capacity, uint32_t timeout_ms)
{
    const struct example *e = context;
    return receive(e->stream, out, capacity, timeout_ms);
}

static int stream_write(void *context, const uint8_t *bytes, size_t len, uint32_t timeout_ms)
{
    const struct example *e = context;
    const int ready = wait_for(e->stream, POLLOUT, timeout_ms);
    if (ready <= 0) {
        return ready;
    }
    const ssize_t put = send(e->stream, bytes, len, MSG_NOSIGNAL);
    return put > 0 ? (int)put : BYTES_E_STREAM;
}

static void stream_close(void *context)
{
    struct example *e = context;
    hang_up(&e->stream);
}

static uint64_t unix_seconds(void *context)
{
    (void)context;
    return (uint64_t)time(NULL);
}

static uint64_t monotonic_ms(void *context)
{
    struct timespec now;
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int sleep_ms(void *context, uint32_t ms)
{
    const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)context;
    return nanosleep(&wait, NULL) == 0 ? 0 : BYTES_E_TIMEOUT;
}

static int storage_load(void *context, uint8_t *record, size_t capacity, size_t *len)
{
    const struct example *e = context;
    *len = 0;
    const int fd = open(e->record, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? BYTES_E_NOT_FOUND : BYTES_E_FILE;
    }
    const ssize_t got = read(fd, record, capacity);
    (void)close(fd);
    if (got < 0) {
        return BYTES_E_FILE;
    }
    *len = (size_t)got;
    return 0;
}

/* The new record is whole and on the disk before it takes the name of the old one. */
static int storage_save(void *context, struct bytes record)
{
    const struct example *e = context;
    char beside[4096];
    const int len = snprintf(beside, sizeof beside, "%s.new", e->record);
    if (len < 0 || (size_t)len >= sizeof beside) {
        return BYTES_E_FILE;
    }
    const int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return BYTES_E_FILE;
    }
    const bool whole = write(fd, record.p, record.len) == (ssize_t)record.len && fsync(fd) == 0;
    const bool closed = close(fd) == 0;
    return whole && closed && rename(beside, e->record) == 0 ? 0 : BYTES_E_FILE;
}

static int entropy_fill(void *context, uint8_t *out, size_t len)
{
    (void)context;
    return getrandom(out, len, 0) == (ssize_t)len ? 0 : BYTES_E_ENTROPY;
}

struct port example_port(struct example *e)
{
    return (struct port){
        .tpm = {.context = e, .transact = tpm_transact},
        .stream = {.context = e,
                   .connect = stream_connect,
                   .read = stream_read,
                   .write = stream_write,
                   .close = stream_close},
        .clock = {.context = e,
                  .unix_seconds = unix_seconds,
                  .monotonic_ms = monotonic_ms,
                  .sleep_ms = sleep_ms},
        .storage = {.context = e, .load = storage_load, .save = storage_save},
        .entropy = {.context = e, .fill = entropy_fill},
    };
}
