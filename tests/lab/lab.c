/* SPDX-License-Identifier: MIT */
/* How a scene begins, and is played. */
#include "tests/lab/inside.h"
#include "tpm/command.h"
#include <string.h>

bool lab_step(void)
{
    const size_t count = lab_world.message_count;
    bool more = true;
    while (more && lab_world.message_count == count) {
        more = lab_play(LAB_STAGES);
    }
    return more;
}

void lab_run(unsigned stage)
{
    while (lab_play(stage)) {
    }
    (void)lab_next_stage(&lab_world); /* what has ended is known to have ended */
}

static void start_tpm(struct lab_world *w)
{
    static uint8_t command[16], response[TINY_BUFFER];
    struct bytes_writer b = bytes_writer_over(command, sizeof command);
    tiny_tpm_make(&w->tpm, bytes_of_text("the lab's TPM"));
    tiny_tpm_power_on(&w->tpm);
    tpm2_startup_build(&b, TPM2_SU_CLEAR);
    (void)tiny_tpm_execute(&w->tpm, bytes_written(&b), response);
}

static int fill(void *context, uint8_t *out, size_t len)
{
    struct lab_world *w = context;
    crypto_drbg_generate(&w->entropy, out, len);
    return 0;
}

static int begin_service(struct lab_world *w, struct dps_service *s, struct lab_store *store,
                         const struct dps_service_config *config)
{
    const struct crypto_entropy entropy = {w, fill};
    posix_memory_init(&store->memory, store->records, LAB_RECORDS, store->undo, LAB_RECORDS);
    const struct dps_store interface = posix_memory_store(&store->memory);
    return dps_service_init(s, config, &interface, &entropy);
}

static void configure_service(struct dps_service_config *c)
{
    static const struct dps_service_config plain = {
        .host = LAB_HOST,
        .id_scope = LAB_SCOPE,
        .hubs = {{"hub-a.example", 1}},
        .hub_count = 1,
        .policies =
            {{"provisioningserviceowner", "the vendor's key for enrollments", 32, {0}, 0, DPS_RIGHT_ALL}},
        .policy_count = 1,
        .secrets = {{1, "the service secret of the lab..."}},
        .secret_count = 1,
    };
    *c = plain;
}

bool lab_reset(unsigned scene)
{
    struct lab_world *w = &lab_world;
    if (scene >= lab_scene_count) {
        return false;
    }
    memset(w, 0, sizeof *w);
    lab_changes_forget();
    w->scene = (uint8_t)scene;
    w->device_clock = w->service_clock = LAB_NOW;
    w->config = (struct dps_device_config){.service_host = LAB_HOST,
                                           .service_port = 443,
                                           .hub_port = 443,
                                           .id_scope = LAB_SCOPE,
                                           .registration_id = LAB_ID,
                                           .persist = true};
    crypto_drbg_init(&w->entropy, bytes_of_text("the lab's random numbers"));
    start_tpm(w);
    configure_service(&w->service_config);
    w->rogue_config = w->service_config;
    memcpy(w->rogue_config.secrets[0].key, "somebody else's secret, for all.", 32);
    memcpy(w->rogue_config.hubs[0].name, "hub-x.example", 14);
    if (lab_scene_list[scene].configure != NULL) {
        lab_scene_list[scene].configure(w);
    }
    return begin_service(w, &w->service, &w->store, &w->service_config) == 0 &&
           begin_service(w, &w->rogue, &w->other, &w->rogue_config) == 0;
}
