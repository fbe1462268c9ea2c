/* SPDX-License-Identifier: MIT */
#include "dps/device/link_failure.h"
#include "crypto/crypto.h"
#include "dps/protocol/mqtt_connect.h"

#if DPS_WITH_MQTT

#define WAIT_MS 1000     /* after the first failure; then twice as much each time, */
#define WAIT_DOUBLINGS 8 /* so at most 256 s, and half as much again */

/* How long it has to wait: longer each time, and not in step with other devices. The token is as good as random. */
static uint32_t backoff_ms(const struct dps_link *l)
{
    const struct bytes seeds[2] = {bytes_of(l->device->token, l->device->token_len),
                                   bytes_of(&l->retries, sizeof l->retries)};
    uint8_t random[CRYPTO_SHA256_SIZE];
    const uint32_t base = (uint32_t)WAIT_MS << (l->retries < WAIT_DOUBLINGS ? l->retries : WAIT_DOUBLINGS);
    crypto_sha256(seeds, 2, random);
    return base + base / 512 * random[0];
}

void dps_link_forget(struct dps_link *l)
{
    if (l->message_state == SENT) {
        l->message_state = DUE;
        l->repeated = true;
    }
    l->ping_state = NONE;
    l->ack_count = 0;
    l->arriving = l->leaving = false;
    l->skip = 0;
    l->out_len = l->out_sent = l->in_len = 0;
    l->in_need = DPS_LINK_SHORTEST_PACKET;
    l->answer_by = 0;
    l->arrived = (struct dps_mqtt_publish){0};
}

/* May the same succeed later? A hub that has never accepted a connection and answers in riddles is no hub. */
static bool passes(const struct dps_link *l, int error)
{
    switch (error) {
    case BYTES_E_STREAM:
    case BYTES_E_TIMEOUT:
        return true;
    case BYTES_E_REFUSED:
        return l->code == DPS_MQTT_REFUSED_UNAVAILABLE;
    case BYTES_E_TLS:
    case BYTES_E_FORMAT:
    case BYTES_E_LIMIT:
    case BYTES_E_ALGORITHM:
        return l->was_up;
    default:
        return false;
    }
}

/* A token that the hub has admitted before and does not any more: another one may be (it has expired, or is older than
 * what the hub knows of the device's key). */
static bool needs_token(const struct dps_link *l, int error)
{
    return error == BYTES_E_REFUSED && l->admitted &&
           (l->code == DPS_MQTT_REFUSED_PASSWORD || l->code == DPS_MQTT_REFUSED_UNAUTHORIZED);
}

void dps_link_lost(struct dps_link *l, int error)
{
    const bool token = needs_token(l, error);
    if (l->state >= ENDED) {
        return;
    }
    if (token || l->state == NO_TOKEN) {
        l->renew_at = 0;
    }
    l->at_state = l->state;
    l->error = error;
    dps_link_forget(l);
    if ((l->flags & DPS_LINK_STAYS) == 0 || !(token || passes(l, error))) {
        l->state = FAILED;
    } else if (token) {
        l->admitted = false;
        l->state = NO_TOKEN;
    } else {
        l->state = WAITING;
        l->until = l->now + backoff_ms(l);
        l->retries = (uint8_t)(l->retries < UINT8_MAX ? l->retries + 1 : l->retries);
    }
}

#endif
