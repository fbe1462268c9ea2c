/* SPDX-License-Identifier: MIT */
/* SVC-S10: the hub takes the key that the service gave, and no other one. */
#include "tests/conformance/service.h"
#include <string.h>

static bool has_hub(struct conformance *c)
{
    const bool has = service_given.hub != NULL;
    if (!has) {
        conformance_skip(c, "needs the hub: --hub, or --hub=HOST:PORT");
    }
    return has;
}

/* Send telemetry with a token of this key. */
static bool send_with(struct conformance *c, const struct service_device *d,
                      const uint8_t key[SERVICE_SECRET_SIZE], int64_t age)
{
    struct service *s = service_of(c);
    char target[300];
    char token[1024];
    char headers[1200];
    char sr[500];
    char se[24];
    snprintf(sr, sizeof sr, "%s%%2Fdevices%%2F%s", d->hub, d->device_id);
    service_expiry(age, se, sizeof se);
    const struct service_token t = {.sr = sr, .se = se};
    service_sign(bytes_of(key, SERVICE_SECRET_SIZE), &t, token, sizeof token);
    snprintf(headers, sizeof headers, "Authorization: %s\r\nContent-Type: application/json\r\n", token);
    snprintf(target, sizeof target, "/devices/%s/messages/events?api-version=2020-09-30", d->device_id);
    if (strcmp(s->hub_host, d->hub) != 0) {
        service_link_close(&s->hub, false);
        snprintf(s->hub_host, sizeof s->hub_host, "%s", d->hub);
    }
    return service_ask_on(c, &s->hub, d->hub, "POST", target, headers, bytes_of_text("{\"t\":21}"));
}

static bool registered(struct conformance *c, struct service_device *d)
{
    return has_hub(c) && service_device_new(c, d, "") && service_register(c, d);
}

static bool hub_refuses(struct conformance *c, const char *what)
{
    const unsigned status = service_of(c)->status;
    return conformance_check(c, status == 401 || status == 403 || status == 404,
                             "%s: expected the hub to refuse, got %u", what, status);
}

static bool hub_takes(struct conformance *c)
{
    const unsigned status = service_of(c)->status;
    return conformance_check(c, status == 200 || status == 204,
                             "the hub answered %u to the device's own token: %s", status,
                             service_shown(service_of(c)));
}

/* The hub is there and takes the device's own key. */
static bool hub_works(struct conformance *c, const struct service_device *d)
{
    const char *before = conformance_stand_on(c, "SVC-S10-001");
    const bool works = send_with(c, d, d->hub_key, 3600) && hub_takes(c);
    conformance_stand_back(c, before);
    return works;
}

/* A deviceId may have a plus sign, which stands for itself in a path. */
static void telemetry(struct conformance *c)
{
    struct service_device d;
    struct service_device name;
    char more[200];
    if (!registered(c, &d) || !send_with(c, &d, d.hub_key, 3600) || !hub_takes(c)) {
        return;
    }
    service_device_name(c, &name);
    snprintf(more, sizeof more, ",\"deviceId\":\"%s+plus\"", name.id);
    if (service_device_new(c, &d, more) && service_register(c, &d) && send_with(c, &d, d.hub_key, 3600)) {
        hub_takes(c);
    }
}

/* The other device is at the same hub: it must not be the hub alone that makes their keys differ. */
static void wrong_keys(struct conformance *c)
{
    struct service_device d;
    struct service_device other;
    char more[512];
    if (!registered(c, &d) || !hub_works(c, &d)) {
        return;
    }
    snprintf(more, sizeof more, ",\"allocationPolicy\":\"static\",\"iotHubs\":[\"%s\"]", d.hub);
    if (service_device_new(c, &other, more) && service_register(c, &other) &&
        send_with(c, &d, d.nonce, 3600) && hub_refuses(c, "the nonce") &&
        send_with(c, &d, other.hub_key, 3600)) {
        hub_refuses(c, "the hub key of another device");
    }
}

static void expired(struct conformance *c)
{
    struct service_device d;
    if (registered(c, &d) && hub_works(c, &d) && send_with(c, &d, d.hub_key, -7200)) {
        hub_refuses(c, "a token that expired two hours ago");
    }
}

static void old_key(struct conformance *c)
{
    struct service_device d;
    uint8_t first[SERVICE_SECRET_SIZE];
    if (!registered(c, &d)) {
        return;
    }
    memcpy(first, d.hub_key, sizeof first);
    if (service_register(c, &d) && hub_works(c, &d) && send_with(c, &d, first, 3600)) {
        hub_refuses(c, "the hub key of the registration before");
    }
}

const struct conformance_case service_cases_hub[] = {
    {"SVC-S10-001", "The assigned hub must accept a token that is signed with the hub key.",
     "IoT Hub \"Send device event\"", CONFORMANCE_MUST, 0, telemetry},
    {"SVC-S10-002", "The hub must refuse the nonce and the keys of other devices.",
     "IoT Hub \"Security tokens\"", CONFORMANCE_MUST, 0, wrong_keys},
    {"SVC-S10-003", "The hub must refuse a token that has expired.", "IoT Hub \"Security tokens\"",
     CONFORMANCE_MUST, 0, expired},
    {"SVC-S10-004", "After the device registers again, its old hub key should be refused.",
     "spec-notes: The store holds no secret", CONFORMANCE_SHOULD, 0, old_key},
    {0},
};
