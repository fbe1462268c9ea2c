/* SPDX-License-Identifier: MIT */
/* Step 9 at the hub: its identity registry. In the real service this is another service's; here it is a table. */
#include "dps/service/hub_registry.h"
#include "dps/protocol/json.h"
#include "dps/service/registration.h"
#include "dps/service/state.h"
#include <string.h>

/* The device's twin at the hub: the enrollment's for a new or a reset device; otherwise the one that it has, which
 * moves with it. That one is read into the enrollment's buffer, which is no longer needed. */
static enum dps_refusal choose_twin(struct dps_service *s, const struct dps_registration *old,
                                    const struct dps_registration *made, struct bytes *twin)
{
    uint8_t key[DPS_KEY_MAX];
    struct bytes_writer name = bytes_writer_over(key, sizeof key);
    struct bytes root;
    size_t len;
    uint64_t unused;
    if (old == NULL || made->substatus == DPS_SUBSTATUS_INITIAL || made->substatus == DPS_SUBSTATUS_RESET) {
        return DPS_ACCEPTED;
    }
    dps_hub_device_key(&name, bytes_of_text(old->hub), bytes_of_text(old->device_id));
    const int error = s->store.get(s->store.context, DPS_TABLE_DEVICES, bytes_written(&name), s->record,
                                   sizeof s->record, &len, &unused);
    if (error == BYTES_E_NOT_FOUND) {
        return DPS_ACCEPTED;
    }
    if (error != 0) {
        return DPS_REFUSED_STORE;
    }
    const bool sound = dps_json_check(bytes_of(s->record, len), &root) == 0 &&
                       dps_json_member(root, "twin", twin) != BYTES_E_FORMAT;
    return sound ? DPS_ACCEPTED : DPS_REFUSED_INTERNAL;
}

/* The hub's identity registry gets the device, or its new generation; another registration's device is not
 * overwritten. */
static enum dps_refusal register_at_hub(struct dps_service *s, const struct dps_registration *made,
                                        struct bytes twin)
{
    uint8_t key[DPS_KEY_MAX];
    struct bytes_writer name = bytes_writer_over(key, sizeof key);
    struct bytes_writer value = bytes_writer_over(s->draft, sizeof s->draft);
    struct dps_hub_device device = {.generation = made->generation, .secret_epoch = made->secret_epoch};
    struct dps_hub_device old;
    size_t len;
    uint64_t version = 0;
    dps_hub_device_key(&name, bytes_of_text(made->hub), bytes_of_text(made->device_id));
    int error = s->store.get(s->store.context, DPS_TABLE_DEVICES, bytes_written(&name), s->draft,
                             sizeof s->draft, &len, &version);
    if (error == 0 && dps_hub_device_parse(bytes_of(s->draft, len), &old) == 0 &&
        strcmp(old.registration_id, made->registration_id) != 0) {
        return DPS_REFUSED_DEVICE_ID_TAKEN;
    }
    if (error != 0 && error != BYTES_E_NOT_FOUND) {
        return DPS_REFUSED_STORE;
    }
    memcpy(device.registration_id, made->registration_id, sizeof device.registration_id);
    dps_hub_device_write(&value, &device, bytes_of_text(made->device_id), twin);
    error = value.error;
    if (error == 0) {
        error = s->store.put(s->store.context, DPS_TABLE_DEVICES, bytes_written(&name), bytes_written(&value),
                             version, &version);
    }
    return error == BYTES_E_CONFLICT ? DPS_REFUSED_CONCURRENT : error != 0 ? DPS_REFUSED_STORE : DPS_ACCEPTED;
}

/* A device that has moved is no longer known where it was. */
static enum dps_refusal leave_old_hub(struct dps_service *s, const struct dps_registration *old,
                                      const struct dps_registration *made)
{
    uint8_t key[DPS_KEY_MAX];
    struct bytes_writer name = bytes_writer_over(key, sizeof key);
    if (old == NULL || (strcmp(old->hub, made->hub) == 0 && strcmp(old->device_id, made->device_id) == 0)) {
        return DPS_ACCEPTED;
    }
    dps_hub_device_key(&name, bytes_of_text(old->hub), bytes_of_text(old->device_id));
    const int error = s->store.remove(s->store.context, DPS_TABLE_DEVICES, bytes_written(&name), 0);
    return error != 0 && error != BYTES_E_NOT_FOUND ? DPS_REFUSED_STORE : DPS_ACCEPTED;
}

enum dps_refusal dps_hub_register(struct dps_service *s, const struct dps_registration *old,
                                  const struct dps_registration *made, struct bytes initial_twin)
{
    struct bytes twin = initial_twin;
    enum dps_refusal no = choose_twin(s, old, made, &twin);
    if (no == DPS_ACCEPTED) {
        no = register_at_hub(s, made, twin);
    }
    return no != DPS_ACCEPTED ? no : leave_old_hub(s, old, made);
}
