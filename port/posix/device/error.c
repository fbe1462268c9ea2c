/* SPDX-License-Identifier: MIT */
/* Errors as sentences: at which step, what happened, what to do. Most people read nothing else of
 * this program, so each known situation has a sentence of its own; the general texts are for the rest. */
#include "dps/device/engine.h"
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "port/posix/device/tool.h"
#include "tpm/rc.h"
#include "tpm/tools/explain.h"
#include "tpm/tools/rc_text.h"
#include <stdarg.h>
#include <string.h>

void device_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    options_say("dps-device", format, arguments);
    va_end(arguments);
}

/* UTF-8 passes; control characters, which could control a terminal, do not. */
void device_print_text(FILE *out, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        fputc(text.p[i] < 0x20 || text.p[i] == 0x7f ? '?' : text.p[i], out);
    }
}

static int exit_code_of(const struct device_tool *t, int error)
{
    int asked = dps_device_asks_network(&t->engine) ? POSIX_EXIT_NETWORK : POSIX_EXIT_TPM;
    switch (error) {
    case BYTES_E_TPM_RC:
    case BYTES_E_TPM_TRANSPORT:
    case BYTES_E_TPM_DRIVER:
        return POSIX_EXIT_TPM;
    case BYTES_E_HTTP:
    case BYTES_E_REFUSED:
        return POSIX_EXIT_REFUSED;
    case BYTES_E_STREAM:
    case BYTES_E_TLS:
    case BYTES_E_CLOCK:
        return POSIX_EXIT_NETWORK;
    case BYTES_E_USAGE:
        return POSIX_EXIT_USAGE;
    case BYTES_E_STATE:
    case BYTES_E_FILE:
    case BYTES_E_NOT_FOUND:
    case BYTES_E_ENTROPY:
        return POSIX_EXIT_STORE;
    default:
        return asked;
    }
}

static void explain_tpm_silence(const struct device_tool *t, int error)
{
    if (error == BYTES_E_TIMEOUT) {
        fprintf(stderr,
                "the TPM %s did not answer within %d s. What to do: see whether another program uses it; a "
                "TPM that "
                "stays silent needs a restart.\n",
                t->options.tpm, PORT_TPM_TIMEOUT_MS / 1000);
    } else {
        fprintf(
            stderr,
            "the TPM %s cannot be reached any more, or broke off in the middle of an answer. What to do: see "
            "whether it (or its simulator) still runs, then do the same again.\n",
            t->options.tpm);
    }
}

/* The other side answered, and the answer is not what it should be. */
static void explain_answer(const struct device_tool *t, int error)
{
    uint16_t port;
    const char *host = dps_device_host(&t->engine, &port);
    if (error == BYTES_E_LIMIT && t->engine.http.interim == DPS_HTTP_INTERIM_MAX) {
        fprintf(stderr,
                "the service sent %d interim answers (100 Continue) and no other. What to do: see whether "
                "--service leads to a provisioning service and not to a proxy or web server.\n",
                DPS_HTTP_INTERIM_MAX);
    } else if (dps_device_asks_network(&t->engine)) {
        fprintf(
            stderr,
            "the answer of %s:%u: %s. What to do: see whether --service leads to a provisioning service and "
            "not to a proxy or web server; --trace shows the answer.\n",
            host, (unsigned)port, posix_error_text(error));
    } else if (error == BYTES_E_INTEGRITY) {
        fprintf(
            stderr,
            "the answer to %s was changed between the TPM and this program, or the TPM does not do "
            "sessions right; it was not believed. What to do: do the same again; if it stays so, see who is "
            "on the TPM's bus. --no-sessions would believe everything.\n",
            tpm2_explain_command_name(t->watch.asked.command) != NULL
                ? tpm2_explain_command_name(t->watch.asked.command)
                : "a command");
    } else {
        fprintf(stderr,
                "the TPM's answer to %s: %s. What to do: do the same again; if it stays so, see who is on "
                "the TPM's bus; --trace shows the answer. If nobody is, please report it with that.\n",
                tpm2_explain_command_name(t->watch.asked.command) != NULL
                    ? tpm2_explain_command_name(t->watch.asked.command)
                    : "a command",
                posix_error_text(error));
    }
}

/* The flow's time is over, whatever was going on. */
static void explain_late(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    const uint32_t ms = t->drive.flow_timeout_ms != 0 ? t->drive.flow_timeout_ms : PORT_FLOW_TIMEOUT_MS;
    uint16_t port;
    const char *host = dps_device_host(d, &port);
    fprintf(stderr, "all of it together would take longer than %u s", (unsigned)(ms / 1000));
    if (dps_device_asks_network(d) && t->watch.reason[0] != 0) {
        fprintf(stderr, ": %s.\n", t->watch.reason);
        return;
    }
    if (dps_device_asks_network(d)) {
        fprintf(stderr, "; %s:%u was asked last", host, (unsigned)port);
    }
    if (dps_device_asks_network(d) && (d->http_status == 429 || d->http_status >= 500)) {
        fprintf(stderr, ", and answered %u %s", (unsigned)d->http_status, dps_http_reason(d->http_status));
    }
    fputs(". What to do: try again later, or give it more time with --timeout; --verbose shows what takes "
          "long.\n",
          stderr);
}

/* Nobody answered in time, or the answer never came to its end. */
static void explain_timeout(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    if (d->polls > 0) {
        fprintf(stderr,
                "the service is still assigning after %u polls. What to do: register again later; ask those "
                "who run "
                "it what the allocation of this device waits for.\n",
                (unsigned)d->polls);
    } else if (d->late) {
        explain_late(t);
    } else if (dps_device_asks_network(d)) {
        device_explain_network(t, BYTES_E_TIMEOUT);
    } else {
        explain_tpm_silence(t, BYTES_E_TIMEOUT);
    }
}

bool device_ek_is_another(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    return d->ek_is_expected && d->ek_len > 0 && memcmp(d->ek_name, d->ek_expected, sizeof d->ek_name) != 0;
}

void device_explain_other_ek(const struct device_tool *t, const char *assurance)
{
    fprintf(
        stderr,
        "this TPM's endorsement key is not the one of %s: it is another TPM, or somebody on its bus "
        "puts a key of his own in its place, or --ek-template is not as it was. %sWhat to do: if it is "
        "meant to be another TPM or template, remove that file and register again; if not, enroll nothing "
        "now, and see who is on the TPM's bus.\n",
        t->options.state, assurance);
}

static void explain_state(const struct device_tool *t)
{
    if (device_ek_is_another(t)) {
        device_explain_other_ek(t, "No password was sent in clear. ");
        return;
    }
    if (t->options.state != NULL) {
        fprintf(stderr,
                "%s is not a state file of this program, or only a part of one. What to do: register again, "
                "which "
                "writes it anew.\n",
                t->options.state);
    } else {
        fprintf(
            stderr,
            "%s is not a sealed blob, or only a part of one. What to do: give the file that `seal` wrote.\n",
            t->options.in != NULL ? t->options.in : "the input");
    }
}

static void explain(const struct device_tool *t, int error)
{
    switch (error) {
    case BYTES_E_TPM_RC:
        device_explain_refusal(t);
        break;
    case BYTES_E_HTTP:
        device_explain_http(t);
        break;
    case BYTES_E_REFUSED:
        device_explain_refused(t);
        break;
    case BYTES_E_TPM_TRANSPORT:
        explain_tpm_silence(t, error);
        break;
    case BYTES_E_TPM_DRIVER:
        device_explain_driver(t);
        break;
    case BYTES_E_TLS:
    case BYTES_E_STREAM:
        device_explain_network(t, error);
        break;
    case BYTES_E_TIMEOUT:
        explain_timeout(t);
        break;
    case BYTES_E_POLICY:
        fputs(
            "the key that the service sent may be used under its policy only (userWithAuth is not set), and "
            "the flow has nothing to meet a policy with. What to do: have the service send a key that may be "
            "used by its authValue.\n",
            stderr);
        break;
    case BYTES_E_STATE:
        explain_state(t);
        break;
    case BYTES_E_FILE:
        fprintf(stderr,
                "the service has registered this device, but it cannot use that, because %s could not be "
                "written: %s, then register again.\n",
                t->options.state, t->watch.reason);
        break;
    case BYTES_E_CLOCK:
        fputs(
            "the time is not known: this system's clock is not set, and the service sent no date that can be "
            "right. What to do: set the clock.\n",
            stderr);
        break;
    case BYTES_E_FORMAT:
    case BYTES_E_LIMIT:
    case BYTES_E_SPACE:
    case BYTES_E_ALGORITHM:
    case BYTES_E_INTEGRITY:
        explain_answer(t, error);
        break;
    default:
        fprintf(stderr, "%s.\n", posix_error_text(error));
    }
}

/* A failing service is reported at once, any other wait only after a while. */
void device_tell_wait(struct device_tool *t, uint32_t ms)
{
    struct device_watch *w = &t->watch;
    const struct dps_device *d = &t->engine;
    const unsigned seconds = (ms + 999) / 1000;
    const bool network = dps_device_asks_network(d);
    const bool failed = network && d->http_status >= 400;
    w->silent_ms += ms;
    if (!failed && w->silent_ms < DEVICE_SILENCE_MAX_MS) {
        return;
    }
    w->silent_ms = 0;
    if (network) {
        uint16_t port;
        device_say("%s answered %u %s; asking again in %u s", dps_device_host(d, &port),
                   (unsigned)d->http_status,
                   failed ? dps_http_reason(d->http_status) : "and is still assigning", seconds);
    } else {
        const char *name = tpm2_rc_name(tpm2_rc_decode(w->asked.rc).code);
        device_say("the TPM is busy (%s); asking again in %u s", name != NULL ? name : "it says", seconds);
    }
}

int device_report(struct device_tool *t, int error)
{
    const struct dps_device *d = &t->engine;
    if (posix_interrupted && error == BYTES_E_TIMEOUT) {
        device_say("step %u, %s: interrupted; what was loaded into the TPM has been flushed",
                   dps_device_step(d), dps_device_what(d));
        return 128 + posix_interrupted;
    }
    if (error == BYTES_E_TPM_RC) {
        device_ask_why(t);
    }
    fputs("dps-device: ", stderr);
    /* Without a flow the run never began: there is no step to name. */
    if (d->flow != NULL && error != BYTES_E_STATE) {
        fprintf(stderr, "step %u, %s: ", dps_device_step(d), dps_device_what(d));
    }
    explain(t, error);
    return exit_code_of(t, error);
}

int device_report_tpm(struct device_tool *t, const char *what, int error)
{
    if (error == BYTES_E_TPM_RC) {
        device_ask_why(t);
    }
    fprintf(stderr, "dps-device: %s: ", what);
    explain(t, error);
    return exit_code_of(t, error);
}
