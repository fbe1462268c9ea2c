/* SPDX-License-Identifier: MIT */
/* What went wrong with a service, a hub or the connection to them, in words. */
#include "dps/device/engine.h"
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "port/posix/device/tool.h"
#include "port/posix/private.h"
#include <string.h>

/* The device has begun again already. */
#define OVERTAKEN_TO_DO                                                                                      \
    "see whether another program registers this device as well, and register again: another registration "   \
    "came first, twice"

/* Error codes of the service [DPS "ProvisioningServiceErrorDetails"], then statuses, both in one column: their numbers
 * do not overlap. First match. */
static const struct {
    uint32_t code;
    const char *to_do;
} advice[] = {
    {400004, "the enrolled endorsement key is malformed or not this one: compare it with `dps-device ek "
             "--format base64`; "
             "if this TPM was enrolled by an Azure SDK, try --ek-template azure-sdk"},
    {400016, "register with --srk hardened: this enrollment, or this service, requires it"},
    {401003,
     "compare the enrolled endorsement key with `dps-device ek --format base64`: this is another TPM, or the "
     "other EK template (--ek-template l1 or azure-sdk), or another device has this --id; or somebody on the "
     "TPM's bus puts a key of his own in its place"},
    {401001, "register again: this device was removed, was given to another hub, or has registered since "
             "with another "
             "--state file"},
    {401002, "register again; if it repeats, the service no longer knows the challenge: is its clock or "
             "secret shared by "
             "all its nodes?"},
    {401007, OVERTAKEN_TO_DO},
    {401006, "set this system's clock: the token had already expired when it arrived"},
    {403201, "ask whoever enrolled this device to enable it (dps-admin or the portal)"},
    {404201, "enroll this device first: `dps-device ek --format json` makes the enrollment; or give its name "
             "with --id"},
    {404203, OVERTAKEN_TO_DO},
    {404202, "give the ID scope of this service with --scope"},
    {409203, OVERTAKEN_TO_DO},
    {409204, "give the enrollment another deviceId: one device of this name is at that hub already"},
    {409, "register again: something changed while this device was registering"},
    {400208, "the service needs a linked hub that can take this device"},
    {400, "the service rejected the request; --trace shows it"},
    {401, "the service did not accept who this device says it is: compare the enrolled endorsement key with "
          "`dps-device "
          "ek --format base64`"},
    {403, "ask whoever enrolled this device whether it is disabled"},
    {404, "see whether --service and --scope are right and this device is enrolled"},
    {413, "send less"},
    {429, "wait a while: the service has too much to do, and the request was already repeated"},
};

static const char *advice_for(const struct dps_device *d)
{
    for (size_t i = 0; i < sizeof advice / sizeof advice[0]; i++) {
        if (advice[i].code == d->service_error) {
            return advice[i].to_do;
        }
    }
    for (size_t i = 0; i < sizeof advice / sizeof advice[0]; i++) {
        if (advice[i].code == d->http_status) {
            return advice[i].to_do;
        }
    }
    if (d->http_status >= 500) {
        return "try again later: the service has a problem of its own, and the request was already repeated";
    }
    return "see whether --service leads to a provisioning service; --trace shows the answer";
}

static void print_service_words(const struct dps_device *d)
{
    if (d->service_error != 0) {
        fprintf(stderr, ", error %u", (unsigned)d->service_error);
    }
    if (d->message_len > 0) {
        /* Otherwise its full stop would be followed by ours. */
        bool stop = d->message[d->message_len - 1] == '.';
        fputs(", \"", stderr);
        device_print_text(stderr, bytes_of(d->message, (size_t)d->message_len - stop));
        fputc('"', stderr);
    }
}

/* The service does not know the device by its EK or by the ID that follows from it. */
static bool is_about_ek(const struct dps_device *d)
{
    return dps_device_step(d) == 4 && (d->service_error == 400004 || d->service_error == 404201 ||
                                       d->service_error == 401003 || d->http_status == 401);
}

void device_explain_http(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    uint16_t port;
    fprintf(stderr, "%s answered %u %s", dps_device_host(d, &port), (unsigned)d->http_status,
            dps_http_reason(d->http_status));
    print_service_words(d);
    if (d->service_error == 404201) {
        fprintf(stderr, " (registration ID %s)", d->registration_id);
    }
    /* Then `dps-device ek` would print the same wrong key. */
    if (is_about_ek(d) && device_ek_is_another(t)) {
        fputs(": ", stderr);
        device_explain_other_ek(t, "");
        return;
    }
    fprintf(stderr, ". What to do: %s.\n", advice_for(d));
}

/* The status is 200: the exchange succeeded, the registration did not. */
void device_explain_refused(const struct device_tool *t)
{
    fputs("the service proved this device genuine and then did not assign it to a hub", stderr);
    print_service_words(&t->engine);
    fputs(". What to do: see whether the enrollment is enabled and its allocation names a hub that the "
          "service is linked "
          "to.\n",
          stderr);
}

void device_explain_tls(const struct device_tool *t, const char *host, uint16_t port)
{
    const char *text = crypto_tls_error_text(t->drive.tls_error);
    bool question = text[strlen(text) - 1] == '?';
    fprintf(stderr, "TLS with %s:%u: %s%s What to do: %s.\n", host, (unsigned)port, text, question ? "" : ".",
            posix_tls_advice(t->drive.tls_error));
}

void device_explain_network(const struct device_tool *t, int error)
{
    const struct dps_device *d = &t->engine;
    uint16_t port;
    const char *host = dps_device_host(d, &port);
    if (t->watch.reason[0] != 0) {
        fprintf(stderr, "%s.\n", t->watch.reason);
    } else if (error == BYTES_E_TLS) {
        device_explain_tls(t, host, port);
    } else if (error == BYTES_E_TIMEOUT) {
        fprintf(stderr,
                "%s:%u did not %s within %d s. What to do: try again; see whether that port speaks HTTPS.\n",
                host, (unsigned)port,
                d->connected != 0 && !d->answering ? "take the request"
                : d->connected != 0                ? "bring its answer to an end"
                                                   : "end the TLS handshake",
                PORT_NET_TIMEOUT_MS / 1000);
    } else if (d->answering) {
        fprintf(stderr,
                "%s:%u closed the connection before its answer was complete. What to do: try again.\n", host,
                (unsigned)port);
    } else {
        fprintf(stderr,
                "%s:%u closed the connection while TLS was being set up. What to do: see whether that port "
                "speaks "
                "HTTPS, and whether its certificate and key are in order.\n",
                host, (unsigned)port);
    }
}
