/* SPDX-License-Identifier: MIT */
/* Step 10 at the other end: a small hub, so that the flow can be seen to its end. It accepts telemetry from
 * devices whose token is signed with the key that step 9 delivered; it keeps no messages. */
#include "dps/service/hub.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/allocation.h"
#include "dps/service/answer.h"
#include "dps/service/enrollment.h"
#include "dps/service/memory.h"
#include "dps/service/records.h"
#include "dps/service/registration.h"
#include "dps/service/request.h"
#include "dps/service/service.h"
#include "dps/service/state.h"
#include <string.h>

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

/* The registration that the hub's record of the device belongs to, if it is still the one that made the device known
 * here. */
static enum dps_refusal find_registration(struct dps_service *s, size_t hub, struct bytes device_id,
                                          struct dps_registration *r)
{
    struct dps_hub_device device;
    uint8_t name[DPS_KEY_MAX];
    struct bytes_writer w = bytes_writer_over(name, sizeof name);
    size_t len;
    uint64_t version;
    const char *known = s->config->hubs[hub].name;
    dps_hub_device_key(&w, bytes_of_text(known), device_id);
    const int error = s->store.get(s->store.context, DPS_TABLE_DEVICES, bytes_written(&w), s->record,
                                   sizeof s->record, &len, &version);
    if (error != 0) {
        return error == BYTES_E_NOT_FOUND ? DPS_REFUSED_HUB_TOKEN : DPS_REFUSED_STORE;
    }
    if (dps_hub_device_parse(bytes_of(s->record, len), &device) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    const enum dps_refusal no = dps_load_registration(s, bytes_of_text(device.registration_id), r, &version);
    const bool stands = version != 0 && !r->deleted && r->generation == device.generation &&
                        strcmp(r->hub, known) == 0 &&
                        bytes_equal_public(bytes_of_text(r->device_id), device_id);
    return no != DPS_ACCEPTED || stands ? no : DPS_REFUSED_HUB_TOKEN;
}

/* Disabled or deleted since? The hub looks at the enrollment as it is now, so that a device can be stopped at any time.
 * */
static enum dps_refusal check_enrollment(struct dps_service *s, const struct dps_registration *r)
{
    struct dps_enrollment enrollment;
    uint64_t version;
    const enum dps_refusal no =
        dps_load_enrollment(s, bytes_of_text(r->registration_id), &enrollment, &version);
    if (no == DPS_REFUSED_UNKNOWN) {
        return DPS_REFUSED_HUB_TOKEN;
    }
    return no != DPS_ACCEPTED || enrollment.enabled ? no : DPS_REFUSED_HUB_TOKEN;
}

static enum dps_refusal check_signature(const struct dps_service *s, const struct dps_registration *r,
                                        const struct dps_sas *token)
{
    uint8_t key[DPS_KEY_SIZE];
    if (!dps_hub_key(s, r, key)) {
        return DPS_REFUSED_HUB_TOKEN;
    }
    const bool good = dps_sas_signed_with(token, bytes_of(key, sizeof key));
    bytes_wipe(key, sizeof key);
    return good ? DPS_ACCEPTED : DPS_REFUSED_HUB_TOKEN;
}

/* Find the registration, derive its key again, and check the token with that key. */
static enum dps_refusal authenticate(struct dps_service *s, struct bytes authorization, struct bytes hub,
                                     struct bytes device_id, struct dps_registration *r)
{
    struct dps_sas token;
    if (dps_sas_parse(authorization, &token) != 0 || !audience_is_right(&token, hub, device_id)) {
        return DPS_REFUSED_HUB_TOKEN;
    }
    enum dps_refusal no = dps_token_time(s, &token, 0);
    const size_t index = dps_hub_index(s->config, hub);
    if (no == DPS_ACCEPTED && index == s->config->hub_count) {
        no = DPS_REFUSED_HUB_TOKEN;
    }
    if (no == DPS_ACCEPTED) {
        no = find_registration(s, index, device_id, r);
    }
    if (no == DPS_ACCEPTED) {
        no = check_signature(s, r, &token);
    }
    return no == DPS_ACCEPTED ? check_enrollment(s, r) : no;
}

enum dps_refusal dps_hub_admit(struct dps_service *s, struct bytes authorization, struct bytes hub,
                               struct bytes device_id, struct dps_answer *a)
{
    struct dps_registration registration;
    const enum dps_refusal no = authenticate(s, authorization, hub, device_id, &registration);
    if (no != DPS_ACCEPTED) {
        return no;
    }
    memcpy(a->registration_id, registration.registration_id, sizeof a->registration_id);
    return dps_ration(s, DPS_RATION_HUB, bytes_of_text(registration.registration_id), true, a);
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
    a->status = 204;
    return dps_hub_admit(s, q->authorization, hub_name(q), q->segments[1], a);
}
