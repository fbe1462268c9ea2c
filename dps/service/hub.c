/* SPDX-License-Identifier: MIT */
/* Step 10 at the other end: a small hub, so that the flow can be seen to its end. It accepts telemetry from
 * devices whose token is signed with the key that step 9 delivered; it keeps no messages. */
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/service_parts.h"

#define CLOCK_SKEW 300

/* The hub that the client means: the Host header without its port. */
static struct bytes hub_name(const struct dps_request *q)
{
    struct bytes name;
    (void)dps_split(q->host, ':', &name);
    return name;
}

/* {hub}/devices/{deviceId} */
static bool audience_is_right(const struct dps_sas *token, struct bytes hub, struct bytes device_id)
{
    uint8_t buffer[DPS_HOST_MAX + sizeof "/devices/" + DPS_DEVICE_ID_MAX];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_bytes(&w, hub);
    dps_write_text(&w, "/devices/");
    bytes_write_bytes(&w, device_id);
    return w.error == 0 && dps_sas_audience_is(token, bytes_written(&w));
}

/* The device's record, its key derived anew from it, and the token checked with that key. */
static enum dps_refusal authenticate(struct dps_service *s, const struct dps_request *q, struct bytes hub,
                                     struct bytes device_id)
{
    struct dps_sas token;
    struct dps_hub_device device;
    uint8_t name[DPS_KEY_MAX];
    uint8_t key[DPS_KEY_SIZE];
    struct bytes_writer w = bytes_writer_over(name, sizeof name);
    size_t len;
    uint64_t version;
    if (dps_sas_parse(q->authorization, &token) != 0 || !audience_is_right(&token, hub, device_id)) {
        return DPS_REFUSED_HUB_TOKEN;
    }
    if (token.expiry + CLOCK_SKEW < s->now) {
        return DPS_REFUSED_TOKEN_EXPIRED;
    }
    const size_t index = dps_hub_index(s->config, hub);
    if (index == s->config->hub_count) {
        return DPS_REFUSED_HUB_TOKEN;
    }
    const struct bytes known = bytes_of_text(s->config->hubs[index].name);
    dps_hub_device_key(&w, known, device_id);
    const int error = s->store.get(s->store.context, DPS_TABLE_DEVICES, bytes_written(&w), s->record,
                                   sizeof s->record, &len, &version);
    if (error != 0) {
        return error == BYTES_E_NOT_FOUND ? DPS_REFUSED_HUB_TOKEN : DPS_REFUSED_STORE;
    }
    if (dps_hub_device_parse(bytes_of(s->record, len), &device) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    if (!dps_hub_key(s, device.secret_epoch, bytes_of_text(device.registration_id), known, device_id,
                     device.generation, key)) {
        return DPS_REFUSED_HUB_TOKEN;
    }
    const bool good = dps_sas_signed_with(&token, bytes_of(key, sizeof key));
    bytes_wipe(key, sizeof key);
    return good ? DPS_ACCEPTED : DPS_REFUSED_HUB_TOKEN;
}

/* POST /devices/{deviceId}/messages/events [IoT Hub "Send device event"], and GET .../devicebound, with which
 * clients see whether there is a message for them: here there is never one. */
enum dps_refusal dps_hub_api(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    const bool messages =
        q->segment_count == 4 && dps_text_equal_nocase(q->segments[2], bytes_of_text("messages"));
    const bool sending = messages && dps_text_equal_nocase(q->segments[3], bytes_of_text("events"));
    const bool asking = messages && dps_text_equal_nocase(q->segments[3], bytes_of_text("devicebound"));
    if (!sending && !asking) {
        return DPS_REFUSED_ROUTE;
    }
    if (!dps_request_is(q, sending ? "POST" : "GET")) {
        return DPS_REFUSED_METHOD;
    }
    const enum dps_refusal no = authenticate(s, q, hub_name(q), q->segments[1]);
    if (no == DPS_ACCEPTED) {
        a->status = 204;
    }
    return no;
}
