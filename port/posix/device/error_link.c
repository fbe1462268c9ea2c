/* SPDX-License-Identifier: MIT */
/* What went wrong with the hub over MQTT, in words. */
#include "port/posix/device/tool.h"
#include "port/posix/private.h"
#include <string.h>

#if DPS_WITH_MQTT

#define NOT_MQTT "see whether --hub-port leads to the hub's MQTT; usually it is 8883"

/* Codes of a CONNACK, and what to do. */
static const char *const refusals[][2] = {
    {"", ""},
    {"does not speak MQTT 3.1.1", NOT_MQTT},
    {"does not accept the deviceId as a client identifier",
     "register again; if it repeats, ask those who run the hub"},
    {"is not available now", "try again later"},
    {"does not accept the user name or the token",
     "see whether this system's clock is right, then register again: the hub may not know this device"},
    {"does not admit this device with this token",
     "see whether this system's clock is right and this device is enabled, then register again: it was "
     "removed, given "
     "to another hub, or has registered since with another --state file"},
};

/* Why, without a stop; and what to do. */
struct reason {
    char why[POSIX_STREAM_ERROR_MAX + 256];
    const char *to_do; /* null: it stands in why */
};

static void malformed(const struct dps_link *l, struct reason *r, const char *host, unsigned port)
{
    static const uint8_t unknown = 0;
    const uint8_t first = (uint8_t)(l->got << 4);
    const char *name = trace_mqtt_name(bytes_of(l->got != 0 ? &first : &unknown, 1));
    r->to_do = l->was_up
                   ? "try again; if it repeats, see with --trace what the hub says, and tell those who run it"
                   : NOT_MQTT;
    if (l->fault == DPS_LINK_FAULT_UNEXPECTED) {
        (void)snprintf(r->why, sizeof r->why, "%s:%u sent a packet %s, which answers nothing that was asked",
                       host, port, name);
    } else if (l->fault == DPS_LINK_FAULT_OTHER_ID) {
        (void)snprintf(r->why, sizeof r->why, "%s:%u acknowledged, with %s, a message that was not sent",
                       host, port, name);
    } else if (l->was_up) {
        (void)snprintf(r->why, sizeof r->why, "%s:%u sent a malformed packet (%s)", host, port, name);
    } else {
        (void)snprintf(r->why, sizeof r->why, "%s:%u sent something that is not MQTT 3.1.1", host, port);
    }
}

static void find_reason(const struct device_tool *t, struct reason *r)
{
    const struct dps_link *l = &t->link;
    uint16_t port;
    const char *host = dps_link_host(l, &port);
    r->to_do = "try again";
    switch (l->error) {
    case BYTES_E_REFUSED:
        if (l->code < sizeof refusals / sizeof refusals[0]) {
            (void)snprintf(r->why, sizeof r->why, "%s:%u %s (CONNACK %u)", host, (unsigned)port,
                           refusals[l->code][0], (unsigned)l->code);
            r->to_do = refusals[l->code][1];
        } else {
            (void)snprintf(r->why, sizeof r->why,
                           "%s:%u refused the subscription to messages for this device", host,
                           (unsigned)port);
            r->to_do = "ask those who run the hub; send --mqtt needs no subscription";
        }
        break;
    case BYTES_E_FORMAT:
        malformed(l, r, host, port);
        break;
    case BYTES_E_ALGORITHM:
        (void)snprintf(r->why, sizeof r->why, "%s:%u sent a packet of QoS 2, which is not spoken here", host,
                       (unsigned)port);
        break;
    case BYTES_E_LIMIT:
        (void)snprintf(r->why, sizeof r->why, "%s:%u sent a packet that is too long", host, (unsigned)port);
        break;
    case BYTES_E_TIMEOUT:
        (void)snprintf(r->why, sizeof r->why, "%s:%u did not answer in time", host, (unsigned)port);
        break;
    case BYTES_E_TLS:
        (void)snprintf(r->why, sizeof r->why, "TLS with %s:%u failed: %s", host, (unsigned)port,
                       crypto_tls_error_text(t->drive.tls_error));
        break;
    case BYTES_E_USAGE:
        (void)snprintf(r->why, sizeof r->why,
                       "MQTT has no topic for the deviceId %s, since it has a '+' or a '#' in it",
                       l->device->device_id);
        r->to_do = "send without --mqtt";
        break;
    case BYTES_E_STREAM:
        (void)snprintf(r->why, sizeof r->why, "%s:%u closed the connection", host, (unsigned)port);
        break;
    default:
        (void)snprintf(r->why, sizeof r->why, "%s", posix_error_text(l->error));
        break;
    }
    if ((l->error == BYTES_E_STREAM || l->error == BYTES_E_TIMEOUT) && t->watch.reason[0] != 0) {
        (void)snprintf(r->why, sizeof r->why, "%s", t->watch.reason);
        r->to_do = NULL;
    }
}

static int exit_code_of(int error)
{
    return error == BYTES_E_REFUSED ? POSIX_EXIT_REFUSED
           : error == BYTES_E_USAGE ? POSIX_EXIT_USAGE
                                    : POSIX_EXIT_NETWORK;
}

int device_report_link(struct device_tool *t)
{
    const struct dps_link *l = &t->link;
    struct reason r;
    uint16_t port;
    const char *host = dps_link_host(l, &port);
    if (posix_interrupted && l->error == BYTES_E_TIMEOUT) {
        device_say("step 10, %s: interrupted", dps_link_what(l));
        return 128 + posix_interrupted;
    }
    fprintf(stderr, "dps-device: step 10, %s: ", dps_link_what(l));
    find_reason(t, &r);
    if (l->error == BYTES_E_TLS) {
        device_explain_tls(t, host, port);
    } else if (r.to_do == NULL) {
        fprintf(stderr, "%s.\n", r.why);
    } else {
        fprintf(stderr, "%s. What to do: %s.\n", r.why, r.to_do);
    }
    return exit_code_of(l->error);
}

void device_tell_lost(struct device_tool *t)
{
    struct reason r;
    if (t->watch.lost != t->link.until) {
        find_reason(t, &r);
        device_say("%s; connecting again in %u s", r.why,
                   (unsigned)(dps_link_rest_ms(&t->link) + 999) / 1000);
    }
    t->watch.lost = t->link.until;
}

#endif
