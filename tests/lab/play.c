/* SPDX-License-Identifier: MIT */
/* How a story goes on, message by message. */
#include "dps/service/front_door.h"
#include "tests/lab/inside.h"
#include "tpm/tools/explain.h"
#include <string.h>

#define MEMORY 262144

struct lab_world lab_world;
static uint8_t memory[MEMORY]; /* of all messages, as they arrived */
static uint8_t body[DPS_HTTP_BODY_MAX];

static const struct lab_scene *scene_of(const struct lab_world *w)
{
    return &lab_scene_list[w->scene];
}

struct bytes lab_message_bytes(unsigned message)
{
    const struct lab_message_head *m = &lab_world.messages[message];
    return bytes_of(&memory[m->at], m->len);
}

/* ---- Refusals ---------------------------------------------------------------------------------------------------- */

static struct lab_refusal *refuse(struct lab_world *w, enum lab_who who, uint32_t code)
{
    if (w->refusal_count == LAB_REFUSALS) {
        return NULL;
    }
    struct lab_refusal *r = &w->refusals[w->refusal_count++];
    memset(r, 0, sizeof *r);
    r->who = (uint8_t)who;
    r->code = code;
    r->message = (uint16_t)(w->message_count - 1);
    r->stage = w->stage;
    r->what = w->by_hand ? w->what : dps_device_what(&w->device);
    return r;
}

static void outcome(struct lab_world *w, bool ok)
{
    if (w->outcome_count < LAB_OUTCOMES) {
        const struct lab_act *act = &scene_of(w)->acts[w->act];
        w->outcomes[w->outcome_count++] = (struct lab_outcome){act->stage, ok, act->what};
    }
    if (!ok && w->refusal_count > 0) {
        w->refusals[w->refusal_count - 1].fatal = true;
    }
    w->phase = !ok && scene_of(w)->acts[w->act].stage < LAB_STAGES ? LAB_OVER : LAB_ACT;
    w->act++;
    w->by_hand = false;
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

/* A message on its way: somebody may change it, and it is kept as it arrives. */
static void pass(struct lab_world *w, enum port_trace_kind kind, bool attacker, uint32_t code,
                 const char *what, uint8_t *bytes, size_t len)
{
    if (w->message_count == LAB_MESSAGES || len > MEMORY - w->memory_used) {
        w->phase = LAB_OVER;
        return;
    }
    struct lab_message_head *m = &w->messages[w->message_count];
    *m = (struct lab_message_head){.kind = (uint8_t)kind,
                                   .stage = w->stage,
                                   .attacker = attacker,
                                   .what = what,
                                   .command_code = code,
                                   .at = (uint32_t)w->memory_used,
                                   .len = (uint32_t)len};
    m->step = attacker || w->by_hand ? w->stage : (uint8_t)dps_device_step(&w->device);
    if (!attacker && scene_of(w)->meddle != NULL) {
        scene_of(w)->meddle(w, kind, bytes, len);
    }
    if (!attacker) {
        lab_changes_to(m, (unsigned)w->message_count, bytes);
    }
    memcpy(&memory[w->memory_used], bytes, len);
    w->memory_used += len;
    w->message_count++;
    if (kind == PORT_TRACE_TPM_RESPONSE) {
        const uint32_t rc = tpm2_explain_command_code(bytes_of(bytes, len)); /* it is at the same place */
        struct lab_refusal *r = rc != 0 ? refuse(w, LAB_TPM, rc) : NULL;
        if (r != NULL) {
            r->command_code = code;
            r->attacker = attacker;
            r->reached = w->tpm.reached;
        }
    }
    if (!attacker && !w->by_hand && (kind == PORT_TRACE_TPM_COMMAND || kind == PORT_TRACE_TPM_RESPONSE)) {
        lab_keep_hidden(w, kind, code, bytes_of(bytes, len));
    }
    if (w->listens && (kind == PORT_TRACE_TPM_COMMAND || kind == PORT_TRACE_TPM_RESPONSE)) {
        lab_listen(w, kind, code, bytes_of(bytes, len));
    }
}

/* ---- The TPM ----------------------------------------------------------------------------------------------------- */

static int to_tpm(void *context, struct bytes command, uint8_t *response, size_t capacity, size_t *len,
                  uint32_t timeout_ms)
{
    struct lab_world *w = context;
    static uint8_t whole[TINY_BUFFER];
    (void)timeout_ms;
    *len = tiny_tpm_execute(&w->tpm, command, whole);
    if (*len > capacity) {
        return BYTES_E_SPACE;
    }
    memcpy(response, whole, *len);
    return 0;
}

/* What the interposer asks himself. */
static void show_own(void *context, unsigned step, enum port_trace_kind kind, const char *what,
                     struct bytes bytes)
{
    struct lab_world *w = context;
    static uint8_t copy[TINY_BUFFER];
    static uint32_t code;
    (void)step;
    memcpy(copy, bytes.p, bytes.len);
    code = kind == PORT_TRACE_TPM_COMMAND ? tpm2_explain_command_code(bytes) : code;
    pass(w, kind, true, code, what, copy, bytes.len);
}

static void ask_tpm(struct lab_world *w)
{
    static uint8_t response[TINY_BUFFER];
    size_t len = 0;
    const struct bytes command = bytes_of(w->command, w->command_len);
    const uint32_t code = tpm2_explain_command_code(command);
    w->interposer.tpm = (struct port_tpm){w, to_tpm};
    w->interposer.own = (struct port_trace){w, show_own};
    const int error = w->interposed
                          ? interposer_transact(&w->interposer, command, response, sizeof response, &len, 0)
                          : to_tpm(w, command, response, sizeof response, &len, 0);
    if (error != 0) {
        dps_device_fail(&w->device, error);
        w->phase = LAB_ENGINE;
        return;
    }
    pass(w, PORT_TRACE_TPM_RESPONSE, false, code, w->by_hand ? w->what : dps_device_what(&w->device),
         response, len);
    if (w->by_hand) {
        outcome(w, tpm2_explain_command_code(bytes_of(response, len)) == 0);
        return;
    }
    w->phase = LAB_ENGINE;
    dps_device_tpm_response(&w->device, bytes_of(response, len < DPS_TPM_BUFFER ? len : DPS_TPM_BUFFER));
}

/* ---- The service ------------------------------------------------------------------------------------------------- */

static void decide(struct lab_world *w)
{
    struct dps_service *s = w->is_rogue ? &w->rogue : &w->service;
    struct bytes_writer out = bytes_writer_over(w->response, sizeof w->response);
    dps_http_init(&w->http, DPS_HTTP_REQUEST);
    s->now = w->service_clock;
    int error = dps_http_advance(&w->http, w->request, &w->request_len, sizeof w->request, false);
    if (error == BYTES_E_MORE) { /* what is missing never comes */
        error = BYTES_E_FORMAT;
    }
    if (error == 0) {
        dps_service_answer(s, &w->http, w->request, body, sizeof body, &w->answer);
    } else {
        dps_service_answer_unreadable(s, error, body, sizeof body, &w->answer);
    }
    if (w->answer.wrote && s->store.commit(s->store.context) != 0) {
        dps_service_uncommitted(s, &w->answer);
    }
    dps_answer_write_head(&out, &w->answer, w->service_clock, error == 0 && w->http.keep_alive);
    bytes_write_bytes(&out, bytes_written(&w->answer.body));
    w->response_len = out.len;
    w->response_read = 0;
    w->answered_status = w->answer.status;
    if (w->answer.refusal != DPS_ACCEPTED) {
        struct lab_refusal *r =
            refuse(w, w->stage == 10 ? LAB_HUB : LAB_SERVICE, (uint32_t)w->answer.refusal);
        if (r != NULL) {
            r->message++; /* the answer, which is next */
            memcpy(r->detail, w->answer.detail, sizeof r->detail);
        }
    }
    w->phase = LAB_ANSWERS;
}

static void answer(struct lab_world *w)
{
    pass(w, PORT_TRACE_HTTP_RESPONSE, false, 0, w->by_hand ? w->what : dps_device_what(&w->device),
         w->response, w->response_len);
    if (w->by_hand) {
        outcome(w, w->answer.refusal == DPS_ACCEPTED);
        return;
    }
    w->phase = LAB_ENGINE;
}

/* ---- The device -------------------------------------------------------------------------------------------------- */

static void receive(struct lab_world *w)
{
    size_t room;
    uint8_t *in = dps_device_net_in(&w->device, &room);
    const size_t left = w->response_len - w->response_read, len = left < room ? left : room;
    memcpy(in, &w->response[w->response_read], len);
    w->response_read += len;
    dps_device_net_received(&w->device, len); /* 0: the service has closed */
}

static void keep_record(struct lab_world *w)
{
    const struct bytes record = dps_device_record(&w->device);
    w->record_len = record.len <= sizeof w->record ? record.len : 0;
    memcpy(w->record, record.p, w->record_len);
    dps_device_saved(&w->device);
}

/* All that the device wants and that is no message. Returns: what it wants then. */
static enum dps_want settle(struct lab_world *w)
{
    for (unsigned i = 0; i < 10000; i++) {
        const enum dps_want want = dps_device_want(&w->device);
        if (want == DPS_WANT_CONNECT) {
            w->response_len = w->response_read = 0;
            dps_device_connected(&w->device, 0);
        } else if (want == DPS_WANT_RECEIVE) {
            receive(w);
        } else if (want == DPS_WANT_TIME) {
            dps_device_time(&w->device, w->device_clock);
        } else if (want == DPS_WANT_WAIT) {
            const uint64_t seconds = dps_device_wait_ms(&w->device) / 1000;
            w->service_clock += seconds;
            w->device_clock += w->device_clock > 0 ? seconds : 0;
            dps_device_waited(&w->device);
        } else if (want == DPS_WANT_SAVE) {
            keep_record(w);
        } else {
            return want;
        }
    }
    return DPS_WANT_FAILED;
}

static void send_request(struct lab_world *w)
{
    const struct bytes out = dps_device_net_out(&w->device);
    w->request_len = out.len;
    memcpy(w->request, out.p, out.len);
    if (w->stage == 8 || w->stage == 9) {
        w->signed_request_len = w->stage == 8 ? out.len : w->signed_request_len;
        memcpy(w->signed_request, out.p, w->stage == 8 ? out.len : 0);
    }
    pass(w, PORT_TRACE_HTTP_REQUEST, false, 0, dps_device_what(&w->device), w->request, w->request_len);
    dps_device_net_sent(&w->device, out.len);
    w->phase = LAB_DECIDES;
}

/* The device has ended because of a refusal that is known already. An answer that only looks like one, since somebody
 * has changed its status, is not. */
static bool is_refused(const struct lab_world *w, int error)
{
    const enum lab_who who =
        w->refusal_count > 0 ? (enum lab_who)w->refusals[w->refusal_count - 1].who : LAB_DEVICE;
    return (error == BYTES_E_TPM_RC && who == LAB_TPM) ||
           (error == BYTES_E_HTTP && (who == LAB_SERVICE || who == LAB_HUB));
}

static void device_ended(struct lab_world *w, bool ok)
{
    const int error = w->device.error;
    if (!ok && !is_refused(w, error)) {
        (void)refuse(w, LAB_DEVICE, (uint32_t)-error);
    }
    outcome(w, ok);
}

static void go_on(struct lab_world *w)
{
    switch (dps_device_want(&w->device)) {
    case DPS_WANT_TPM:
        w->command_len = dps_device_tpm_command(&w->device).len;
        memcpy(w->command, dps_device_tpm_command(&w->device).p, w->command_len);
        pass(w, PORT_TRACE_TPM_COMMAND, false,
             tpm2_explain_command_code(bytes_of(w->command, w->command_len)), dps_device_what(&w->device),
             w->command, w->command_len);
        w->phase = LAB_TO_TPM;
        break;
    case DPS_WANT_SEND:
        send_request(w);
        break;
    default:
        break;
    }
}

/* ---- Stages ------------------------------------------------------------------------------------------------------ */

/* What the service decides is a stage of its own, and so is a challenge. */
unsigned lab_next_stage(struct lab_world *w)
{
    while (w->phase == LAB_ENGINE) {
        const enum dps_want want = settle(w);
        if (want != DPS_WANT_DONE && want != DPS_WANT_FAILED) {
            unsigned step = dps_device_step(&w->device);
            if (step == 10 && scene_of(w)->acts[w->act].stage < 10) {
                step = 9; /* a registration ends with the hub's first token, before anything is sent */
            }
            return step > w->stage ? step : w->stage;
        }
        device_ended(w, want == DPS_WANT_DONE);
    }
    if (w->phase == LAB_ACT) {
        const unsigned stage = scene_of(w)->acts[w->act].stage;
        w->phase = stage == 0 ? LAB_OVER : w->phase;
        return stage != 0 && stage < w->stage ? w->stage : stage;
    }
    if (w->phase == LAB_OVER) {
        return 0;
    }
    if (w->phase == LAB_DECIDES && (w->stage == 4 || w->stage == 8) && !w->by_hand) {
        return w->stage + 1U;
    }
    return w->phase == LAB_ANSWERS && w->stage == 5 && w->answer.refusal == DPS_ACCEPTED ? 6 : w->stage;
}

static void begin_act(struct lab_world *w)
{
    const struct lab_act *act = &scene_of(w)->acts[w->act];
    w->phase = LAB_ENGINE;
    w->what = act->what;
    const int error = act->begin(w);
    if (error != 0) {
        (void)refuse(w, LAB_DEVICE, (uint32_t)-error);
        outcome(w, false);
        return;
    }
    if (w->phase == LAB_TO_TPM) {
        w->by_hand = true;
        pass(w, PORT_TRACE_TPM_COMMAND, false,
             tpm2_explain_command_code(bytes_of(w->command, w->command_len)), w->what, w->command,
             w->command_len);
    } else if (w->phase == LAB_DECIDES) {
        w->by_hand = true;
        pass(w, PORT_TRACE_HTTP_REQUEST, false, 0, w->what, w->request, w->request_len);
    }
}

bool lab_play(unsigned last)
{
    struct lab_world *w = &lab_world;
    const unsigned stage = lab_next_stage(w);
    if (stage == 0 || stage > last) {
        return false;
    }
    lab_reach(w, stage);
    switch ((enum lab_phase)w->phase) {
    case LAB_ACT:
        begin_act(w);
        break;
    case LAB_ENGINE:
        go_on(w);
        break;
    case LAB_TO_TPM:
        ask_tpm(w);
        break;
    case LAB_DECIDES:
        decide(w);
        break;
    case LAB_ANSWERS:
        answer(w);
        break;
    case LAB_OVER:
        break;
    }
    return true;
}
