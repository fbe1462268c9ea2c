/* SPDX-License-Identifier: MIT */
/* One registration over HTTPS and over AMQP: both begin from the same store, the same second and the same random bytes,
 * so that all that differs is how it is sent. */
#include "dps/protocol/text.h"
#include "dps/service/activation_make.h"
#include "dps/service/amqp_door.h"
#include "dps/service/registration.h"
#include "tests/support/amqp_device.h"
#include "tests/walkthrough/walkthrough.h"
#include <stdio.h>
#include <string.h>

/* Every use has random bytes of its own: tracking ids, which AMQP needs more of, would take them from the others. */
enum { ACTIVATION, REGISTRATION, OTHER, USES };
static struct {
    struct crypto_drbg drbg;
    struct crypto_entropy entropy;
} uses[USES];

static unsigned count;
static char token[512];

static int never(void *context)
{
    (void)context;
    return 0;
}

static int fill(void *context, uint8_t *out, size_t len)
{
    const int use = len == sizeof(struct dps_activation_random) ? ACTIVATION
                    : len == DPS_REGISTRATION_RANDOM            ? REGISTRATION
                                                                : OTHER;
    (void)context;
    return uses[use].entropy.fill(uses[use].entropy.context, out, len);
}

/* What the store is told is never committed, so that it can be taken back; likewise the versions that it has given. */
static void go_back(struct flow *f, const struct dps_service *start, uint64_t version)
{
    f->service.store.rollback(f->service.store.context);
    f->memory.version = version;
    f->service = *start;
    f->service.store.commit = never;
    f->service.entropy = (struct crypto_entropy){NULL, fill};
    for (int i = 0; i < USES; i++) {
        uses[i].entropy = posix_entropy_seeded(&uses[i].drbg, "roads");
    }
    count = 0;
}

static void say(const char *road, const char *who, struct bytes bytes)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s%02u%s", road, ++count, who);
    walk_value(name, bytes);
}

/* ---- HTTPS ------------------------------------------------------------------------------------------------------- */

/* The device and its TPM do what they did in steps 4 to 9. */
static void over_https(struct flow *f)
{
    const char name[] = "Authorization: ";
    if (f->device.assigned_hub[0] != 0 && dps_device_step(&f->device) == 10) {
        return;
    }
    say("https", "device", bytes_of(f->last_request, f->last_request_len));
    say("https", "service", bytes_of(f->response, f->response_len));
    const uint8_t *at = memmem(f->last_request, f->last_request_len, name, sizeof name - 1);
    if (at != NULL) {
        at += sizeof name - 1;
        const size_t len = strcspn((const char *)at, "\r");
        walk_must(len < sizeof token, "a token is too long");
        memcpy(token, at, len);
        token[len] = 0;
    }
}

/* ---- AMQP -------------------------------------------------------------------------------------------------------- */

struct amqp {
    struct dps_amqp_door door;
    struct amqp_device device;
    uint8_t said[4096];
    struct bytes_writer w; /* what the device says next */
    uint8_t out[DPS_AMQP_OUT_MAX], json[DPS_AMQP_JSON_MAX];
};
static struct amqp amqp;

/* What was written goes to the service as one frame. */
static void send(struct flow *f)
{
    struct dps_amqp_frame frame;
    struct bytes left;
    say("amqp", "device", bytes_written(&amqp.w));
    f->service.now = f->now;
    walk_must(dps_amqp_frame_read(bytes_written(&amqp.w), dps_amqp_frame_max(&amqp.door), &frame) == 0 &&
                  frame.len == amqp.w.len,
              "a frame is not whole");
    (void)dps_amqp_answer(&f->service, &amqp.door, &frame, amqp.out, amqp.json, &f->answer);
    walk_must(f->answer.refusal == DPS_ACCEPTED, "AMQP is refused");
    amqp.w = bytes_writer_over(amqp.said, sizeof amqp.said);
    left = bytes_written(&amqp.door.out);
    if (left.len > 0) {
        say("amqp", "service", left);
    }
    while (left.len > 0) {
        walk_must(dps_amqp_frame_read(left, DPS_AMQP_PEER_FRAME_MIN, &frame) == 0 &&
                      amqp_device_take(&amqp.device, &frame),
                  "the service says something else");
        left = bytes_of(left.p + frame.len, left.len - frame.len);
    }
}

static void respond(struct flow *f, struct bytes data)
{
    uint8_t bytes[1024] = {0};
    walk_must(data.len < sizeof bytes, "a response is too long");
    if (data.len > 0) {
        memcpy(bytes + 1, data.p, data.len);
    }
    amqp_client_response(&amqp.w, bytes_of(bytes, 1 + data.len));
    send(f);
}

static void prove(struct flow *f)
{
    dps_amqp_header_write(&amqp.w, true);
    send(f);
    amqp_client_init(&amqp.w, &amqp.device);
    send(f);
    respond(f, bytes_of(f->device.srk, f->device.srk_len));
    respond(f, bytes_of(NULL, 0));
    respond(f, bytes_of_text(token));
}

static void attach(struct flow *f)
{
    dps_amqp_header_write(&amqp.w, false);
    send(f);
    amqp_client_open(&amqp.w, DPS_AMQP_PEER_FRAME_MIN);
    send(f);
    amqp_client_begin(&amqp.w, 100);
    send(f);
    amqp_client_attach(&amqp.w, &amqp.device, true, 1, NULL);
    send(f);
    amqp_client_attach(&amqp.w, &amqp.device, false, 0, NULL);
    send(f);
    amqp_client_credit(&amqp.w, 1, 10);
    send(f);
}

static void ask(struct flow *f)
{
    char operation[80];
    const char begin[] = "\"operationId\":\"";
    amqp_client_request(&amqp.w, 0, 0, false, "iotdps-register", NULL);
    send(f);
    const struct bytes answer = bytes_written(&f->answer.body);
    const uint8_t *at = answer.p != NULL ? memmem(answer.p, answer.len, begin, sizeof begin - 1) : NULL;
    walk_must(at != NULL, "there is no operationId");
    if (at == NULL) { /* for who does not know that walk_must does not return then */
        return;
    }
    (void)snprintf(operation, sizeof operation, "%.*s",
                   (int)strcspn((const char *)at + sizeof begin - 1, "\""),
                   (const char *)at + sizeof begin - 1);
    amqp_client_request(&amqp.w, 0, 1, false, "iotdps-get-operationstatus", operation);
    send(f);
    dps_amqp_end_write(&amqp.w);
    send(f);
}

void walk_roads(struct walk *k)
{
    static struct dps_service start;
    struct flow *f = &k->flow;
    walk_scene("roads");
    start = f->service;
    const uint64_t version = f->memory.version;
    k->quiet = true;
    go_back(f, &start, version);
    f->change_answer = over_https;
    walk_must(flow_register(f) == 0, "the device does not register");
    f->change_answer = NULL;

    go_back(f, &start, version);
    amqp.device = (struct amqp_device){.scope = FLOW_SCOPE, .id = WALK_ID};
    amqp.device.ek_len = f->device.ek_len;
    amqp.device.srk_len = f->device.srk_len;
    memcpy(amqp.device.ek, f->device.ek, f->device.ek_len);
    memcpy(amqp.device.srk, f->device.srk, f->device.srk_len);
    amqp.w = bytes_writer_over(amqp.said, sizeof amqp.said);
    prove(f);
    attach(f);
    ask(f);
    k->quiet = false;
}
