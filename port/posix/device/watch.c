/* SPDX-License-Identifier: MIT */
/* Between the engine and the wire: what an error sentence will need later is seen here and nowhere else, because the
 * engine's buffers are reused by the commands that flush. Those commands are printed, but no error sentence is about
 * them: they come after the error. */
#include "dps/device/engine.h"
#include "port/posix/device/tool.h"
#include "port/posix/private.h"
#include "tpm/rc.h"
#include "tpm/tools/explain.h"
#include "tpm/tools/rc_text.h"
#include <errno.h>
#include <string.h>

static const char *command_name(uint32_t command)
{
    const char *name = tpm2_explain_command_name(command);
    return name != NULL ? name : "a TPM command";
}

/* Where a command is kept: those that flush, after a flow, must not take the place of the one that went wrong. Commands
 * outside of a flow have no step. */
static struct device_refusal *command_at(struct device_tool *t, unsigned step)
{
    return step != 0 && t->engine.closing ? &t->watch.flushing : &t->watch.asked;
}

/* Bit n - 1 for the nth session of the command, as dps/device/session.c has placed them: from 1, and 0 for none. */
static uint8_t keyed_sessions(const struct dps_guard *g, uint32_t command)
{
    if (g->code != command) {
        return 0;
    }
    return (uint8_t)((1U << g->session_at | 1U << g->policy_at) >> 1);
}

static void saw_command(struct device_tool *t, struct device_refusal *asked, unsigned step,
                        struct bytes bytes)
{
    struct bytes_reader r = bytes_reader_over(bytes);
    *asked = (struct device_refusal){0};
    bytes_skip(&r, 6); /* tag and size */
    asked->command = bytes_read_u32(&r);
    /* How many of these words are handles depends on the command; only those that the TPM names are used. */
    for (size_t i = 0; i < 3; i++) {
        asked->handles[i] = bytes_read_u32(&r);
    }
    asked->keyed = step != 0 ? keyed_sessions(&t->engine.guard, asked->command) : 0;
    t->watch.asked_at_ms = posix_monotonic_ms();
}

static void saw_response(struct device_tool *t, unsigned step, const char *what, struct bytes bytes)
{
    struct device_refusal *asked = command_at(t, step);
    struct bytes_reader r = bytes_reader_over(bytes);
    bytes_skip(&r, 6);
    asked->rc = bytes_read_u32(&r);
    if (asked->rc != 0 && asked == &t->watch.asked) {
        t->watch.refused = *asked;
    }
    if (!t->options.verbose) {
        return;
    }
    fprintf(stderr, "step %2u  %-24s %5llu ms  %s", step, command_name(asked->command),
            (unsigned long long)(posix_monotonic_ms() - t->watch.asked_at_ms), what);
    if (asked->rc != 0) {
        const char *name = tpm2_rc_name(tpm2_rc_decode(asked->rc).code);
        fprintf(stderr, ": %s (0x%X)", name != NULL ? name : "refused", (unsigned)asked->rc);
    }
    fputc('\n', stderr);
}

/* The first word of a request, the first line of a response. */
static int part_len(struct bytes bytes, uint8_t end)
{
    size_t len = 0;
    while (len < bytes.len && len < 80 && bytes.p[len] != end && bytes.p[len] != '\r') {
        len++;
    }
    return (int)len;
}

static void saw_http(struct device_tool *t, unsigned step, bool request, const char *what, struct bytes bytes)
{
    struct device_watch *w = &t->watch;
    bool first = request || !w->answer_begun;
    w->answer_begun = !request;
    if (!t->options.verbose || !first || bytes.len == 0) {
        return;
    }
    if (request) {
        fprintf(stderr, "step %2u  HTTP %-19.*s %5zu B   %s\n", step, part_len(bytes, ' '),
                (const char *)bytes.p, bytes.len, what);
        return;
    }
    fprintf(stderr, "step %2u  ", step);
    device_print_text(stderr, bytes_of(bytes.p, (size_t)part_len(bytes, '\r')));
    fputc('\n', stderr);
}

static void saw_mqtt(const struct device_tool *t, unsigned step, bool sent, const char *what,
                     struct bytes packet)
{
    if (t->options.verbose) {
        fprintf(stderr, "step %2u  MQTT %-19s %5zu B   %s\n", step, trace_mqtt_name(packet), packet.len,
                sent ? what : "received");
    }
}

static void saw(void *context, unsigned step, enum port_trace_kind kind, const char *what, struct bytes bytes)
{
    struct device_tool *t = context;
    struct port_trace *next = &t->watch.next;
    if (kind == PORT_TRACE_TPM_COMMAND) {
        saw_command(t, command_at(t, step), step, bytes);
    } else if (kind == PORT_TRACE_TPM_RESPONSE) {
        saw_response(t, step, what, bytes);
    } else if (kind == PORT_TRACE_MQTT_SENT || kind == PORT_TRACE_MQTT_RECEIVED) {
        saw_mqtt(t, step, kind == PORT_TRACE_MQTT_SENT, what, bytes);
    } else {
        saw_http(t, step, kind == PORT_TRACE_HTTP_REQUEST, what, bytes);
    }
    if (next->message != NULL) {
        next->message(next->context, step, kind, what, bytes);
    }
}

/* A stream that gives up when a signal came while it waited. The one below it answers "nothing yet" in that case, for
 * callers that serve more than this one connection. */
static int interruptible(int moved, uint32_t timeout_ms)
{
    return moved == 0 && timeout_ms > 0 && posix_interrupted ? BYTES_E_TIMEOUT : moved;
}

static int watched_connect(void *context, const char *host, uint16_t port, uint32_t timeout_ms)
{
    struct device_tool *t = context;
    struct device_watch *w = &t->watch;
    if (t->options.verbose) {
        fprintf(stderr, "         connecting to %s:%u%s%s\n", host, (unsigned)port,
                t->options.connect_to != NULL ? " at " : "",
                t->options.connect_to != NULL ? t->options.connect_to : "");
    }
    int error = t->stream_port.connect(t->stream_port.context, host, port, timeout_ms);
    w->reason[0] = 0;
    if (t->options.verbose && t->stream.through != NULL) {
        fprintf(stderr, "         through the proxy %s:%u (%s)\n", t->stream.through->host,
                (unsigned)t->stream.through->port, t->stream.through->source);
    }
    if (error != 0) {
        posix_stream_explain(&t->stream, error, w->reason, sizeof w->reason);
    }
    return error;
}

/* In two parts if it takes long: in between the user is told what is waited for. */
static int watched_read(void *context, uint8_t *out, size_t capacity, uint32_t timeout_ms)
{
    struct device_tool *t = context;
    const uint32_t first_ms = timeout_ms < DEVICE_SILENCE_MAX_MS ? timeout_ms : DEVICE_SILENCE_MAX_MS;
    uint16_t port;
    int moved = t->stream_port.read(t->stream_port.context, out, capacity, first_ms);
    if (moved == 0 && timeout_ms > first_ms && !posix_interrupted) {
        device_say("no answer from %s yet; waiting for it, %u s at most", dps_device_host(&t->engine, &port),
                   (unsigned)(timeout_ms - first_ms) / 1000);
        moved = t->stream_port.read(t->stream_port.context, out, capacity, timeout_ms - first_ms);
    }
    return interruptible(moved, timeout_ms);
}

static int watched_write(void *context, const uint8_t *bytes, size_t len, uint32_t timeout_ms)
{
    struct device_tool *t = context;
    return interruptible(t->stream_port.write(t->stream_port.context, bytes, len, timeout_ms), timeout_ms);
}

static void watched_close(void *context)
{
    struct device_tool *t = context;
    t->stream_port.close(t->stream_port.context);
}

/* It contains tokens: nobody else may read it. */
static int open_pcapng(struct device_tool *t, const char *path)
{
    char reason[POSIX_FILE_ERROR_MAX];
    const int fd = posix_file_create_private(path);
    t->pcapng_file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (t->pcapng_file == NULL) {
        device_say("--trace: %s cannot be written: %s", path, posix_file_error(errno, reason, sizeof reason));
        return POSIX_EXIT_STORE;
    }
    trace_pcapng_open(&t->pcapng, t->pcapng_file, t->options.now);
    t->watch.next = trace_pcapng_port(&t->pcapng);
    return 0;
}

/* After the trace is open. Nobody can have given this by mistake and not notice. */
static void tell_secrets(struct device_tool *t)
{
    device_say("WARNING: --trace-secrets: passwords, session keys and what sessions hide stand in the trace "
               "in clear. For "
               "teaching only, never in production");
    t->trace.device = t->pcapng.device = &t->engine;
    t->pcapng.passwords = true;
}

int device_watch_begin(struct device_tool *t)
{
    const char *form = t->options.trace;
    int exit_code = 0;
    if (form != NULL && strncmp(form, DEVICE_TRACE_PCAPNG, strlen(DEVICE_TRACE_PCAPNG)) == 0) {
        exit_code = open_pcapng(t, form + strlen(DEVICE_TRACE_PCAPNG));
    } else if (form != NULL) {
        trace_open(&t->trace, stderr, form[0] != 0);
        t->watch.next = trace_port(&t->trace);
    }
    if (exit_code == 0 && t->options.trace_secrets) {
        tell_secrets(t);
    }
    t->port.trace = (struct port_trace){t, saw};
    t->stream_port = posix_stream_port(&t->stream);
    t->port.stream = (struct port_stream){t, watched_connect, watched_read, watched_write, watched_close};
    return exit_code;
}

int device_watch_end(struct device_tool *t)
{
    if (t->trace.out != NULL) {
        trace_close(&t->trace);
    }
    if (t->pcapng_file == NULL) {
        return 0;
    }
    const bool failed = ferror(t->pcapng_file) != 0;
    if (fclose(t->pcapng_file) == 0 && !failed) {
        return 0;
    }
    char reason[POSIX_FILE_ERROR_MAX];
    device_say("--trace: the file is not complete: %s", posix_file_error(errno, reason, sizeof reason));
    return POSIX_EXIT_STORE;
}
