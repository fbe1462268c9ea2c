/* SPDX-License-Identifier: MIT */
/* Steps 4 to 10 as a whole: the device engine on the TPM under test, the service in memory beside it, no network. The
 * engine asks for EK and SRK at their persistent handles; it gets the keys that the suite keeps loaded, so that no key
 * is derived and nothing is made persistent. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/protocol/http.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/front_door.h"
#include "dps/service/state.h"
#include "port/posix/store_memory.h"
#include "tests/conformance/tpm.h"

#define NOW UINT64_C(1800000000)
#define RECORDS 8
#define WANTS_MAX 2000

const uint32_t tpm_flow_commands[TPM_FLOW_COMMANDS] = {
    TPM2_CC_READ_PUBLIC,   TPM2_CC_START_AUTH_SESSION,
    TPM2_CC_POLICY_SECRET, TPM2_CC_ACTIVATE_CREDENTIAL,
    TPM2_CC_IMPORT,        TPM2_CC_LOAD,
    TPM2_CC_HMAC,          TPM2_CC_FLUSH_CONTEXT,
};

struct memory_flow {
    struct posix_memory memory;
    struct posix_memory_record records[RECORDS], undo[RECORDS];
    struct dps_service_config service_config;
    struct dps_service service;
    struct dps_device_config config;
    struct dps_device device;
    struct dps_http http;
    uint8_t request[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    size_t request_len;
    uint8_t body[DPS_HTTP_BODY_MAX];
    uint8_t response[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    size_t response_len, response_sent;
    uint8_t record[1024];
    size_t record_len;
    uint64_t now;
    struct tpm_flow_counts *counts;
};
static struct memory_flow flow;

/* ---- The service ---- */

static bool open_service(struct conformance *c)
{
    struct dps_service_config *s = &flow.service_config;
    strcpy(s->host, "dps.example");
    strcpy(s->id_scope, "0ne00000A0A");
    strcpy(s->hubs[0].name, "hub-a.example");
    s->hubs[0].weight = 1;
    s->hub_count = 1;
    s->secret_count = 1;
    s->secrets[0].epoch = 1;
    tpm_random(c, s->secrets[0].key, sizeof s->secrets[0].key);
    posix_memory_init(&flow.memory, flow.records, RECORDS, flow.undo, RECORDS);
    const struct dps_store store = posix_memory_store(&flow.memory);
    return conformance_check(c, dps_service_init(&flow.service, s, &store, &c->random) == 0,
                             "the service in memory does not start: a fault of the suite itself");
}

static bool enroll(struct conformance *c)
{
    const struct tpm_key *ek = tpm_ek(c);
    uint8_t json[1024];
    uint64_t version;
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    if (ek == NULL) {
        return false;
    }
    dps_write_text(
        &w,
        "{\"registrationId\":\"device-1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&w, bytes_of(ek->public_2b, ek->public_len));
    dps_write_text(&w, "\"}}}");
    struct dps_store *store = &flow.service.store;
    int error = store->put(store->context, DPS_TABLE_ENROLLMENTS, bytes_of_text("device-1"),
                           bytes_written(&w), 0, &version);
    if (error == 0) {
        error = store->commit(store->context);
    }
    return conformance_check(c, error == 0, "the EK cannot be enrolled: %s", posix_error_text(error));
}

static void answer_request(void)
{
    struct dps_answer answer;
    struct bytes_writer w = bytes_writer_over(flow.response, sizeof flow.response);
    flow.service.now = flow.now;
    dps_service_answer(&flow.service, &flow.http, flow.request, flow.body, sizeof flow.body, &answer);
    if (answer.wrote && flow.service.store.commit(flow.service.store.context) != 0) {
        dps_service_uncommitted(&flow.service, &answer);
    }
    dps_answer_write_head(&w, &answer, flow.now, flow.http.keep_alive);
    bytes_write_bytes(&w, bytes_written(&answer.body));
    flow.response_len = w.len;
    flow.response_sent = 0;
    flow.request_len = 0;
    dps_http_init(&flow.http, DPS_HTTP_REQUEST);
}

static void send_request(struct dps_device *d)
{
    struct bytes out = dps_device_net_out(d);
    if (out.len > sizeof flow.request - flow.request_len) {
        dps_device_fail(d, BYTES_E_STREAM);
        return;
    }
    memcpy(flow.request + flow.request_len, out.p, out.len);
    flow.request_len += out.len;
    if (dps_http_advance(&flow.http, flow.request, &flow.request_len, sizeof flow.request, false) == 0) {
        answer_request();
    }
    dps_device_net_sent(d, out.len);
}

static void receive_answer(struct dps_device *d)
{
    size_t room;
    uint8_t *in = dps_device_net_in(d, &room);
    size_t len = flow.response_len - flow.response_sent;
    len = len < room ? len : room;
    memcpy(in, flow.response + flow.response_sent, len);
    flow.response_sent += len;
    dps_device_net_received(d, len);
}

/* ---- The TPM ---- */

static void count_command(uint32_t code)
{
    struct tpm_flow_counts *n = flow.counts;
    n->commands++;
    for (size_t i = 0; i < TPM_FLOW_COMMANDS; i++) {
        if (tpm_flow_commands[i] == code) {
            n->of[i]++;
            return;
        }
    }
    if (n->other++ == 0) {
        n->first_other = code;
    }
}

/* The first two places after the header, where every command of the flow has its handles. */
static void replace_handles(uint8_t *command, size_t len, const struct tpm_suite *t)
{
    for (size_t at = 10; at <= 14 && at + 4 <= len; at += 4) {
        struct bytes_reader r = bytes_reader_over(bytes_of(command + at, 4));
        struct bytes_writer w = bytes_writer_over(command + at, 4);
        uint32_t handle = bytes_read_u32(&r);
        if (handle == TPM2_HANDLE_EK || handle == TPM2_HANDLE_SRK) {
            bytes_write_u32(&w, handle == TPM2_HANDLE_EK ? t->ek.handle : t->srk.handle);
        }
    }
}

static void ask_tpm(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    struct bytes_writer *w = tpm_begin(c);
    bytes_write_bytes(w, dps_device_tpm_command(&flow.device));
    struct bytes_reader r = bytes_reader_over(bytes_written(w));
    bytes_skip(&r, 6);
    count_command(bytes_read_u32(&r));
    replace_handles(t->command, w->len, t);
    struct bytes answer = tpm_send(c);
    if (c->gave_up != 0) {
        dps_device_fail(&flow.device, BYTES_E_TPM_TRANSPORT);
    } else {
        dps_device_tpm_response(&flow.device, answer);
    }
}

/* ---- Both ---- */

static void supply(struct conformance *c, enum dps_want want)
{
    struct dps_device *d = &flow.device;
    struct bytes record;
    switch (want) {
    case DPS_WANT_TPM:
        ask_tpm(c);
        break;
    case DPS_WANT_CONNECT:
        dps_http_init(&flow.http, DPS_HTTP_REQUEST);
        flow.request_len = flow.response_len = flow.response_sent = 0;
        dps_device_connected(d, 0);
        break;
    case DPS_WANT_SEND:
        send_request(d);
        break;
    case DPS_WANT_RECEIVE:
        receive_answer(d);
        break;
    case DPS_WANT_TIME:
        dps_device_time(d, flow.now);
        break;
    case DPS_WANT_WAIT:
        flow.now += dps_device_wait_ms(d) / 1000;
        dps_device_waited(d);
        break;
    case DPS_WANT_SAVE:
        record = dps_device_record(d);
        flow.record_len = record.len < sizeof flow.record ? record.len : 0;
        memcpy(flow.record, record.p, flow.record_len);
        dps_device_saved(d);
        break;
    case DPS_WANT_DONE:
    case DPS_WANT_FAILED:
        break;
    }
}

/* Until the engine is done. If the beginning failed, that error is reported. */
static bool drive(struct conformance *c, int begun, const char *what)
{
    struct dps_device *d = &flow.device;
    if (!conformance_check(c, begun == 0, "%s does not begin: %s", what, posix_error_text(begun))) {
        return false;
    }
    enum dps_want want = dps_device_want(d);
    for (unsigned i = 0; i < WANTS_MAX && want != DPS_WANT_DONE && want != DPS_WANT_FAILED; i++) {
        supply(c, want);
        want = dps_device_want(d);
    }
    /* If the TPM fills up, the case about what is left in it judges that. */
    const bool full = d->rc == TPM2_RC_OBJECT_MEMORY;
    const char *before = full ? conformance_stand_on(c, "TPM-S09-002") : c->stands_on;
    (void)conformance_check(c, want == DPS_WANT_DONE, "%s ended in step %u, %s: %s%s%s", what,
                            dps_device_step(d), dps_device_what(d), posix_error_text(d->error),
                            d->rc != 0 ? ": " : "", d->rc != 0 ? tpm_rc_text(d->rc) : "");
    conformance_stand_back(c, before);
    return want == DPS_WANT_DONE;
}

static bool open_flow(struct conformance *c, struct tpm_flow_counts *counts)
{
    struct tpm_suite *t = tpm_of(c);
    memset(&flow, 0, sizeof flow);
    memset(counts, 0, sizeof *counts);
    flow.counts = counts;
    flow.now = NOW;
    flow.config.service_host = flow.service_config.host;
    flow.config.service_port = flow.config.hub_port = 443;
    flow.config.id_scope = flow.service_config.id_scope;
    flow.config.registration_id = "device-1";
    flow.config.owner_auth = t->owner;
    flow.config.endorsement_auth = t->endorsement;
    return tpm_takes_keys(c) && tpm_opens_credentials(c) && open_service(c) && enroll(c);
}

static bool register_under(struct conformance *c, enum dps_srk srk, unsigned times,
                           struct tpm_flow_counts *counts)
{
    uint8_t nonce[32];
    bool worked = open_flow(c, counts);
    flow.config.srk = srk;
    if (srk == DPS_SRK_HARDENED) {
        tpm_let_go_of_srk(c);
    }
    for (unsigned i = 0; i < times && worked && !posix_interrupted; i++) {
        tpm_random(c, nonce, sizeof nonce);
        worked = drive(c, dps_device_register(&flow.device, &flow.config, nonce), "the registration");
    }
    if (worked && flow.record_len > 0) {
        const struct bytes record = bytes_of(flow.record, flow.record_len);
        tpm_random(c, nonce, sizeof nonce);
        worked = drive(c, dps_device_token(&flow.device, &flow.config, nonce, record), "a hub token");
    }
    bytes_wipe(&flow, sizeof flow);
    return worked;
}

bool tpm_register(struct conformance *c, unsigned times, struct tpm_flow_counts *counts)
{
    return register_under(c, DPS_SRK_STANDARD, times, counts);
}

bool tpm_register_hardened(struct conformance *c, struct tpm_flow_counts *counts)
{
    return register_under(c, DPS_SRK_HARDENED, 1, counts);
}
