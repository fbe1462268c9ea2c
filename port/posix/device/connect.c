/* SPDX-License-Identifier: MIT */
/* send --mqtt and connect: the hub over MQTT. */
#include "dps/device/device.h"
#include "port/posix/device/tool.h"
#include "port/posix/private.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#if DPS_WITH_MQTT

/* How long port_link may wait while one message is sent: a signal ends it sooner. */
#define SEND_WAIT_MS 1000

/* The TPM is needed for tokens only: between them other programs may have it, also where it serves one at a time. */
static int open_tpm(struct device_tool *t)
{
    char why[640];
    if (t->tpm.fd >= 0) {
        return 0;
    }
    const int error = posix_tpm_open(&t->tpm, t->options.tpm, why, sizeof why);
    if (error != 0) {
        device_say("%s", why);
    }
    return error != 0 ? POSIX_EXIT_TPM : 0;
}

static int make_token(struct device_tool *t, struct bytes record)
{
    int exit_code = open_tpm(t);
    if (exit_code == 0) {
        exit_code = device_check_clock(t);
    }
    if (exit_code == 0) {
        exit_code = device_seed(t);
    }
    if (exit_code == 0) {
        exit_code = device_run(t, dps_device_token(&t->engine, &t->config, t->seed, record));
    }
    posix_tpm_close(&t->tpm);
    if (exit_code == 0) {
        dps_link_token_made(&t->link);
    }
    return exit_code;
}

static enum dps_link_want go_on(struct device_tool *t, uint32_t wait_ms)
{
    return port_link(&t->drive, &t->port, &t->trust, &t->link, wait_ms);
}

/* ---- send --mqtt ------------------------------------------------------------------------------------------------- */

static int send_message(struct device_tool *t, struct bytes record)
{
    for (;;) {
        int exit_code = 0;
        switch (go_on(t, SEND_WAIT_MS)) {
        case DPS_LINK_TOKEN:
            exit_code = make_token(t, record);
            break;
        case DPS_LINK_READY: /* the message was acknowledged */
            dps_link_end(&t->link);
            break;
        case DPS_LINK_ENDED:
            return 0;
        case DPS_LINK_FAILED:
            return device_report_link(t);
        default:
            break;
        }
        if (exit_code != 0) {
            return exit_code;
        }
    }
}

int device_send_mqtt(struct device_tool *t, struct bytes record)
{
    const uint64_t begin = posix_monotonic_ms();
    dps_link_begin(&t->link, &t->engine, 0);
    (void)dps_link_publish(&t->link, bytes_of(NULL, 0), t->config.data);
    const int exit_code = send_message(t, record);
    if (exit_code == 0) {
        printf("Accepted by   %s\n", t->engine.assigned_hub);
        printf("Device        %s\n", t->engine.device_id);
        printf("Message       %zu bytes, acknowledged\n", t->config.data.len);
        printf("TPM commands  %u in %llu ms\n", (unsigned)t->engine.tpm_commands,
               (unsigned long long)t->drive.tpm_ms);
        printf("Time          %llu ms\n", (unsigned long long)(posix_monotonic_ms() - begin));
    }
    return exit_code;
}

/* ---- connect: lines of standard input ---------------------------------------------------------------------------- */

/* Those that have been read stand in t->data; the first one stays there until it is acknowledged. */
struct lines {
    size_t len;   /* bytes in t->data */
    size_t first; /* of the line that is being sent, with its line end; 0: none is */
    bool ended;   /* the input */
    bool skips;   /* to the end of a line that is too long */
};

/* The first whole line, without its end; at the end of the input, what is left. */
static bool next_line(const struct device_tool *t, const struct lines *l, struct bytes *line, size_t *whole)
{
    const uint8_t *end = l->len > 0 ? memchr(t->data, '\n', l->len) : NULL;
    *whole = end != NULL ? (size_t)(end - t->data) + 1 : l->ended ? l->len : 0;
    *line = bytes_of(t->data, end != NULL ? *whole - 1 : *whole);
    return *whole > 0;
}

static void drop_line(struct device_tool *t, struct lines *l, size_t whole)
{
    l->len -= whole;
    memmove(t->data, t->data + whole, l->len);
}

/* What was sent has been acknowledged: the next one. Empty lines are no messages. */
static void send_line(struct device_tool *t, struct lines *l)
{
    struct bytes line;
    size_t whole;
    drop_line(t, l, l->first);
    l->first = 0;
    while (l->first == 0 && next_line(t, l, &line, &whole)) {
        if (line.len > DEVICE_MESSAGE_MAX) {
            device_say("a line of %zu bytes was not sent: a message has at most %d", line.len,
                       DEVICE_MESSAGE_MAX);
        } else if (line.len > 0 && !l->skips && dps_link_publish(&t->link, bytes_of(NULL, 0), line) == 0) {
            l->first = whole;
            break;
        }
        l->skips = false;
        drop_line(t, l, whole);
    }
}

static void read_lines(struct device_tool *t, struct lines *l)
{
    const ssize_t n = read(STDIN_FILENO, t->data + l->len, sizeof t->data - l->len);
    if (n > 0) {
        l->len += (size_t)n;
    } else if (n == 0 || errno != EINTR) {
        l->ended = true;
    }
    if (l->first == 0 && l->len == sizeof t->data && memchr(t->data, '\n', l->len) == NULL) {
        if (!l->skips) {
            device_say("a line of more than %zu bytes was not sent: a message has at most %d",
                       sizeof t->data - 1, DEVICE_MESSAGE_MAX);
        }
        l->skips = true;
        l->len = 0;
    }
}

/* ---- connect ----------------------------------------------------------------------------------------------------- */

/* Wait for the hub, for a line, for a time that has come; a signal ends it, also one that comes just before. */
static void wait_for_something(struct device_tool *t, struct lines *l, bool connected)
{
    sigset_t mask;
    sigset_t before;
    struct pollfd fds[2] = {
        {.fd = connected ? t->stream.fd : -1, .events = POLLIN},
        {.fd = l->ended || l->len == sizeof t->data ? -1 : STDIN_FILENO, .events = POLLIN}};
    const uint32_t ms = dps_link_rest_ms(&t->link);
    const struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGINT);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &mask, &before);
    const bool something = !posix_interrupted && ppoll(fds, 2, &rest, &before) > 0;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (something && fds[1].revents != 0) {
        read_lines(t, l);
    }
}

/* Its properties are for --verbose and --trace. */
static void print_message(struct device_tool *t)
{
    const struct dps_mqtt_publish *m = dps_link_arrived(&t->link);
    if (t->options.verbose) {
        fputs("         message at ", stderr);
        device_print_text(stderr, m->topic);
        fputc('\n', stderr);
    }
    device_print_text(stdout, m->payload);
    putchar('\n');
}

/* A message that could not be printed is not acknowledged. Returns 0 or an exit code. */
static int take_message(struct device_tool *t)
{
    print_message(t);
    if (fflush(stdout) != 0) {
        device_say("standard output cannot be written: %s", strerror(errno));
        return POSIX_EXIT_STORE;
    }
    dps_link_take(&t->link);
    return 0;
}

static void tell_changes(struct device_tool *t, enum dps_link_want want, uint32_t *connections,
                         uint32_t *too_long)
{
    const struct dps_link *l = &t->link;
    if (want == DPS_LINK_WAIT && l->error != 0) {
        device_tell_lost(t);
    }
    if (want == DPS_LINK_READY && *connections != l->connections) {
        if (*connections == 0 || t->options.verbose || l->retries > 0) {
            device_say("connected to %s as %s", t->engine.assigned_hub, t->engine.device_id);
        }
        *connections = l->connections;
    }
    if (*too_long != l->too_long) {
        device_say("a message was passed over and stays with the hub: it is longer than %d bytes",
                   DPS_NET_BUFFER);
        *too_long = l->too_long;
    }
}

/* Done with all that was to be sent? */
static bool is_over(const struct device_tool *t, const struct lines *l)
{
    return posix_interrupted || (l->ended && l->len == 0 && !t->options.stay);
}

static int stay_connected(struct device_tool *t, struct bytes record)
{
    struct lines lines = {0};
    uint32_t connections = 0;
    uint32_t too_long = 0;
    int exit_code = 0;
    while (exit_code == 0) {
        const enum dps_link_want want = go_on(t, 0);
        tell_changes(t, want, &connections, &too_long);
        switch (want) {
        case DPS_LINK_TOKEN:
            exit_code = posix_interrupted ? 128 + posix_interrupted : make_token(t, record);
            break;
        case DPS_LINK_ARRIVED:
            exit_code = take_message(t);
            if (posix_interrupted) { /* a hub that never falls silent gives no other turn */
                dps_link_end(&t->link);
            }
            break;
        case DPS_LINK_ENDED:
            return 0; /* a signal is its usual end */
        case DPS_LINK_FAILED:
            return posix_interrupted ? 128 + posix_interrupted : device_report_link(t);
        default:
            if (want == DPS_LINK_READY) {
                send_line(t, &lines);
            }
            if (is_over(t, &lines)) {
                dps_link_end(&t->link);
            } else if (want != DPS_LINK_READY || lines.first == 0) {
                wait_for_something(t, &lines, want != DPS_LINK_WAIT);
            }
            break;
        }
    }
    return exit_code;
}

int device_connect(struct device_tool *t)
{
    struct bytes record;
    int exit_code = device_open_for_hub(t, &record);
    if (exit_code != 0) {
        return exit_code;
    }
    t->config.token_lifetime = (uint32_t)t->options.token_lifetime;
    t->config.keep_alive = (uint16_t)t->options.keep_alive;
    dps_link_begin(&t->link, &t->engine, DPS_LINK_LISTENS | DPS_LINK_STAYS);
    exit_code = stay_connected(t, record);
    device_say("messages sent: %u, received: %u", (unsigned)t->link.sent, (unsigned)t->link.received);
    return exit_code;
}

int device_check_mqtt(void)
{
    return 0;
}

#else

int device_check_mqtt(void)
{
    device_say(
        "this dps-device was built without MQTT (DPS_WITH_MQTT=0). What to do: use send without --mqtt, or "
        "build it with DPS_WITH_MQTT=1");
    return POSIX_EXIT_USAGE;
}

int device_send_mqtt(struct device_tool *t, struct bytes record)
{
    (void)t, (void)record;
    return POSIX_EXIT_USAGE;
}

int device_connect(struct device_tool *t)
{
    (void)t;
    return device_check_mqtt();
}

#endif
