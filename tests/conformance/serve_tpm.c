/* SPDX-License-Identifier: MIT */
/* A TPM over TCP. Each connection has a buffer that fills until it holds a whole message, however that was split. */
#include "tests/conformance/serve_tpm.h"
#include "crypto/bytes/bytes.h"
#include "port/posix/options.h"
#include "port/posix/private.h"
#include "tests/hostile/hostile.h"
#include "tpm/tpm2.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_MAX 4096
#define MSSIM_HEADER 9 /* code, locality, length */
#define LINKS_MAX 16
#define TURN_MS 200 /* a signal is noticed after it at the latest */
#define SEND_TIMEOUT_MS 5000
#define TPM_TIMEOUT_MS 120000
#define PAIRS_MAX 64

/* A client. */
struct link {
    int fd; /* -1: none */
    bool control;
    uint8_t in[MSSIM_HEADER + MESSAGE_MAX];
    size_t len;
};

struct serve {
    struct posix_tpm tpm;
    struct port_tpm port;
    int listeners[2]; /* commands, control; -1: none */
    struct link links[LINKS_MAX];
    bool was_reset; /* through the control port, and no client has sent TPM2_Startup since */
};

/* What became of the bytes at the front of a connection. */
enum { MORE = 0, CLOSE = -1 }; /* or: how many were used */

static int say(const char *what, const char *why, int code)
{
    fprintf(stderr, "dps-conformance: %s%s\n", what, why);
    return code;
}

static int send_all(int fd, struct bytes bytes)
{
    uint64_t deadline = posix_deadline(SEND_TIMEOUT_MS);
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.p, bytes.len, MSG_NOSIGNAL);
        if (n >= 0) {
            bytes = bytes_of(bytes.p + n, bytes.len - (size_t)n);
        } else if (errno != EINTR && (errno != EAGAIN || posix_wait(fd, POLLOUT, deadline, true) != 0)) {
            return CLOSE;
        }
    }
    return 0;
}

static int send_numbers(int fd, const uint32_t *numbers, size_t count)
{
    uint8_t bytes[16];
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    for (size_t i = 0; i < count; i++) {
        bytes_write_u32(&w, numbers[i]);
    }
    return send_all(fd, bytes_written(&w));
}

static uint32_t u32_at(const uint8_t *p)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(p, 4));
    return bytes_read_u32(&r);
}

/* ---- Commands ---------------------------------------------------------------------------------------------------- */

static bool is_startup(struct bytes command)
{
    return command.len >= 10 && u32_at(command.p + 6) == TPM2_CC_STARTUP;
}

/* A reset starts the TPM as well. The first TPM2_Startup after it is told so: a simulator would answer likewise, and
 * there is a client that takes no other answer.
 * A transport that breaks off ends the connection. So does, in swtpm's framing, an answer that announces more than it
 * has: the client would wait for the rest. */
static int execute(struct serve *s, const struct link *l, struct bytes command, bool mssim)
{
    static const uint8_t started[] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0};
    uint8_t framed[4 + MESSAGE_MAX + 4];
    size_t len = 0;
    uint8_t *response = framed + 4;
    if (s->port.transact(s->port.context, command, response, MESSAGE_MAX, &len, TPM_TIMEOUT_MS) != 0) {
        return CLOSE;
    }
    if (is_startup(command)) {
        if (s->was_reset && len == sizeof started && u32_at(response + 6) == TPM2_RC_INITIALIZE) {
            memcpy(response, started, sizeof started);
        }
        s->was_reset = false;
    }
    if (!mssim) {
        int error = send_all(l->fd, bytes_of(response, len));
        return error != 0 || len < 6 || u32_at(response + 2) > len ? CLOSE : 0;
    }
    struct bytes_writer before = bytes_writer_over(framed, 4);
    struct bytes_writer after = bytes_writer_over(framed + 4 + len, 4);
    bytes_write_u32(&before, (uint32_t)len);
    bytes_write_u32(&after, 0);
    return send_all(l->fd, bytes_of(framed, 4 + len + 4));
}

static int take_command(struct serve *s, const struct link *l, size_t header, size_t size_at, size_t size_min)
{
    if (l->len < size_at + 4) {
        return MORE;
    }
    uint32_t size = u32_at(l->in + size_at);
    if (size < size_min || size > MESSAGE_MAX) {
        return CLOSE;
    }
    if (l->len < header + size) {
        return MORE;
    }
    if (execute(s, l, bytes_of(l->in + header, size), header > 0) != 0) {
        return CLOSE;
    }
    return (int)(header + size);
}

/* The simulator's codes at its command port [TPM 2.0 reference implementation, TpmTcpProtocol.h]. */
enum { MSSIM_SEND_COMMAND = 8, MSSIM_HANDSHAKE = 15, MSSIM_SESSION_END = 20 };

static int take_mssim(struct serve *s, const struct link *l)
{
    if (l->len < 4) {
        return MORE;
    }
    switch (u32_at(l->in)) {
    case MSSIM_SEND_COMMAND:
        return take_command(s, l, MSSIM_HEADER, 5, 0);
    case MSSIM_HANDSHAKE: {
        /* The client's version; then ours, "there is a platform port", and the status. */
        static const uint32_t answer[] = {1, 1, 0};
        if (l->len < 8) {
            return MORE;
        }
        return send_numbers(l->fd, answer, 3) == 0 ? 8 : CLOSE;
    }
    default: /* MSSIM_SESSION_END, and what is none of these */
        return CLOSE;
    }
}

/* A TPM's tag begins with 0x80, the simulator's codes with 0. */
static int take_data(struct serve *s, const struct link *l)
{
    return l->in[0] == 0 ? take_mssim(s, l) : take_command(s, l, 0, 2, 10);
}

/* ---- Control ----------------------------------------------------------------------------------------------------- */

/* Two protocols meet here, the simulator's platform port and swtpm's control channel, and their numbers overlap. What
 * both mean by a number is done. Where only the length of the answers differs, the simulator's is sent, a status, which
 * its clients need to connect. Where one of them sends more bytes after a number, these tell the two apart. */
enum {
    POWER_ON = 1,   /* the simulator's; swtpm's GET_CAPABILITY has an answer of 8 bytes, which is not given */
    BOTH_RESET = 2, /* power off; INIT, and flags: 0, which is not a number of either protocol */
    INIT_FLAGS = 0, /* */
    BOTH_SHUTDOWN = 3, /* physical presence on; SHUTDOWN: this server ends by a signal */
    PRESENCE_OFF = 4,  /* the simulator's; swtpm's GET_TPMESTABLISHED likewise */
    SET_LOCALITY = 5,  /* swtpm's, followed by a byte */
    BOTH_CANCEL = 9,   /* cancel on; CANCEL_TPM_CMD */
    STORE_VOLATILE = 10,
    BOTH_NV_ON = 11,
    NV_OFF = 12,
    STOP = 14,
    SESSION_END = 20,
    MSSIM_STOP = 21
};
#define BAD_PARAMETER 3 /* TPM 1.2's code, which swtpm's control channel speaks */
#define BAD_LOCALITY 61

static int answer_control(const struct link *l, uint32_t status, int used)
{
    return send_numbers(l->fd, &status, 1) == 0 ? used : CLOSE;
}

static int take_control(struct serve *s, const struct link *l)
{
    if (l->len < 4) {
        return MORE;
    }
    switch (u32_at(l->in)) {
    case INIT_FLAGS:
        return 4;
    case BOTH_RESET:
        s->was_reset = true;
        return hostile_reset(&s->tpm) == 0 ? answer_control(l, 0, 4) : CLOSE;
    case SET_LOCALITY:
        if (l->len < 5) {
            return MORE;
        }
        return answer_control(l, l->in[4] == 0 ? 0 : BAD_LOCALITY, 5);
    case POWER_ON:
    case PRESENCE_OFF:
    case BOTH_SHUTDOWN:
    case BOTH_CANCEL:
    case STORE_VOLATILE:
    case BOTH_NV_ON:
    case NV_OFF:
    case STOP:
        return answer_control(l, 0, 4);
    case SESSION_END:
    case MSSIM_STOP:
        return CLOSE;
    default:
        (void)answer_control(l, BAD_PARAMETER, 4);
        return CLOSE;
    }
}

/* ---- Connections ------------------------------------------------------------------------------------------------- */

static void end_link(struct link *l)
{
    bytes_wipe(l->in, l->len); /* authorizations */
    (void)close(l->fd);
    *l = (struct link){.fd = -1};
}

static void accept_client(struct serve *s, size_t which)
{
    int fd = accept4(s->listeners[which], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (s->links[i].fd < 0) {
            s->links[i].fd = fd;
            s->links[i].control = which == 1;
            return;
        }
    }
    (void)close(fd);
}

/* Take whole messages from the front until there is none. */
static void take_messages(struct serve *s, struct link *l)
{
    while (l->len > 0) {
        int used = l->control ? take_control(s, l) : take_data(s, l);
        if (used == MORE && l->len < sizeof l->in) {
            return;
        }
        if (used <= 0) {
            end_link(l);
            return;
        }
        l->len -= (size_t)used;
        memmove(l->in, l->in + used, l->len);
    }
}

static void receive(struct serve *s, struct link *l)
{
    ssize_t n = recv(l->fd, l->in + l->len, sizeof l->in - l->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        end_link(l);
        return;
    }
    l->len += (size_t)n;
    take_messages(s, l);
}

static void turn(struct serve *s)
{
    struct pollfd fds[2 + LINKS_MAX];
    for (size_t i = 0; i < 2; i++) {
        fds[i] = (struct pollfd){.fd = s->listeners[i], .events = POLLIN};
    }
    for (size_t i = 0; i < LINKS_MAX; i++) {
        fds[2 + i] = (struct pollfd){.fd = s->links[i].fd, .events = POLLIN}; /* -1 is passed over */
    }
    if (poll(fds, 2 + LINKS_MAX, TURN_MS) <= 0) {
        return;
    }
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (fds[2 + i].revents != 0) {
            receive(s, &s->links[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (fds[i].revents != 0) {
            accept_client(s, i);
        }
    }
}

/* ---- The beginning and the end ----------------------------------------------------------------------------------- */

/* The control port is the next one. If any free port will do, its neighbour may be taken: then another. */
static int listen_pair(struct serve *s, const char *address, char *why, size_t why_size)
{
    char host[NI_MAXHOST];
    uint16_t wanted, port = 0;
    if (posix_listen_address(address, host, sizeof host, &wanted) != 0 || wanted == UINT16_MAX) {
        snprintf(why, why_size, "%s: --serve-tpm needs ADDR:PORT or [IPV6]:PORT, and PORT + 1 as well",
                 address);
        return BYTES_E_USAGE;
    }
    int error = BYTES_E_STREAM;
    for (unsigned tries = wanted == 0 ? PAIRS_MAX : 1; tries > 0 && error != 0; tries--) {
        port = wanted;
        error = posix_listen_tcp(host, &port, &s->listeners[0]);
        if (error != 0) {
            continue;
        }
        uint16_t next = (uint16_t)(port + 1);
        error = next != 0 ? posix_listen_tcp(host, &next, &s->listeners[1]) : BYTES_E_STREAM;
        if (error != 0) {
            int saved = errno;
            (void)close(s->listeners[0]);
            errno = saved;
            s->listeners[0] = -1;
        }
    }
    if (error != 0) {
        char reason[POSIX_FILE_ERROR_MAX];
        snprintf(why, why_size, "cannot listen on %s and the port after it: %s", address,
                 posix_listen_error(errno, reason, sizeof reason));
        return error;
    }
    printf("TPM at %s:%u, its platform at port %u\n", host, (unsigned)port, (unsigned)port + 1);
    return options_printed("dps-conformance", 0) == 0 ? 0 : BYTES_E_FILE;
}

static void close_all(struct serve *s)
{
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (s->links[i].fd >= 0) {
            end_link(&s->links[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (s->listeners[i] >= 0) {
            (void)close(s->listeners[i]);
        }
    }
    posix_tpm_close(&s->tpm);
}

int conformance_serve_tpm(const char *listen, const char *tpm_name)
{
    static struct serve s;
    char why[512];
    int error = posix_tpm_open(&s.tpm, tpm_name, why, sizeof why);
    if (error != 0) {
        return say("", why, error == BYTES_E_USAGE ? POSIX_EXIT_USAGE : POSIX_EXIT_TPM);
    }
    s.port = posix_tpm_port(&s.tpm);
    s.listeners[0] = s.listeners[1] = -1;
    for (size_t i = 0; i < LINKS_MAX; i++) {
        s.links[i].fd = -1;
    }
    posix_catch_signals();
    error = listen_pair(&s, listen, why, sizeof why);
    while (error == 0 && !posix_interrupted) {
        turn(&s);
    }
    close_all(&s);
    if (error == BYTES_E_FILE) {
        return POSIX_EXIT_STORE;
    }
    return error == 0 ? 0 : say("", why, error == BYTES_E_USAGE ? POSIX_EXIT_USAGE : POSIX_EXIT_NETWORK);
}
