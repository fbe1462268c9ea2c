/* SPDX-License-Identifier: MIT */
#include "tests/port/flow.h"
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/ownership.h"
#include "dps/manage/admin.h"
#include "dps/protocol/http.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/front_door.h"
#include "dps/service/state.h"
#include "port/posix/store_memory.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include <stdio.h>
#include <string.h>

#define RECORDS 16

const uint8_t flow_nonce[32] = {7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 0, 4, 5, 2};

static struct posix_memory_record records[RECORDS];
static struct posix_memory_record undo[RECORDS];

static void configure_service(struct dps_service_config *c)
{
    memset(c, 0, sizeof *c);
    strcpy(c->host, FLOW_HOST);
    strcpy(c->id_scope, FLOW_SCOPE);
    strcpy(c->hubs[0].name, "hub-a.example");
    strcpy(c->hubs[1].name, "hub-b.example");
    c->hubs[0].weight = c->hubs[1].weight = 1;
    c->hub_count = 2;
    c->secret_count = 1;
    c->secrets[0].epoch = 1;
    memset(c->secrets[0].key, 0x5a, sizeof c->secrets[0].key);
}

int flow_enroll(struct flow *f, const char *registration_id, struct bytes ek, const char *more)
{
    uint8_t json[2048];
    uint64_t version;
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    size_t len;
    uint64_t old = 0;
    static uint8_t value[DPS_RECORD_MAX];
    const struct bytes key = bytes_of_text(registration_id);
    (void)f->service.store.get(f->service.store.context, DPS_TABLE_ENROLLMENTS, key, value, sizeof value,
                               &len, &old);
    dps_write_text(&w, "{\"registrationId\":");
    dps_write_json_string(&w, key);
    dps_write_text(&w, ",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&w, ek);
    dps_write_text(&w, f->hardened_srk ? "\",\"srk\":\"hardened\"}}" : "\"}}");
    dps_write_text(&w, more);
    dps_write_text(&w, "}");
    CHECK_EQUAL(w.error, 0);
    CHECK(f->service.store.put(f->service.store.context, DPS_TABLE_ENROLLMENTS, key, bytes_written(&w), old,
                               &version) == 0);
    CHECK(f->service.store.commit(f->service.store.context) == 0);
    return 0;
}

int flow_reset_tpm(struct flow *f)
{
    char why[256];
    posix_tpm_close(&f->tpm);
    CHECK_EQUAL(posix_tpm_open(&f->tpm, f->tpm_name, why, sizeof why), 0);
    f->tpm_port = posix_tpm_port(&f->tpm);
    return 0;
}

static void configure_device(struct flow *f)
{
    f->config.service_host = FLOW_HOST;
    f->config.service_port = 443;
    f->config.hub_port = 443;
    f->config.id_scope = FLOW_SCOPE;
    f->config.registration_id = "device-1";
}

int flow_open(struct flow *f, const char *directory, bool persist)
{
    static char name[300];
    char why[256];
    if (f->tpm_name != NULL) {
        posix_tpm_close(&f->tpm); /* of a test that failed */
    }
    memset(f, 0, sizeof *f);
    snprintf(name, sizeof name, "libtpms:%s", support_path(directory));
    f->tpm_name = name;
    f->now = FLOW_NOW;
    CHECK_EQUAL(posix_tpm_open(&f->tpm, name, why, sizeof why), 0);
    f->tpm_port = posix_tpm_port(&f->tpm);
    posix_memory_init(&f->memory, records, RECORDS, undo, RECORDS);
    const struct dps_store store = posix_memory_store(&f->memory);
    const struct crypto_entropy entropy = posix_entropy_seeded(&f->drbg, directory);
    configure_service(&f->service_config);
    CHECK(dps_service_init(&f->service, &f->service_config, &store, &entropy) == 0);
    dps_manage_init(&f->service);
    configure_device(f);
    f->config.persist = persist;
    CHECK_EQUAL(dps_device_own(&f->device, &f->config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(f), 0);
    return flow_enroll(f, "device-1", bytes_of(f->device.ek, f->device.ek_len), "");
}

void flow_close(struct flow *f)
{
    posix_tpm_close(&f->tpm);
    f->tpm_name = NULL;
}

#define CODES (sizeof((struct flow *)NULL)->tpm_counts / sizeof((struct flow *)NULL)->tpm_counts[0])

size_t flow_write_registration(uint8_t *out, size_t size, struct bytes ek, struct bytes srk,
                               const char *token)
{
    uint8_t body[2048];
    struct bytes_writer b = bytes_writer_over(body, sizeof body);
    struct bytes_writer w = bytes_writer_over(out, size);
    dps_write_text(&b, "{\"registrationId\":\"device-1\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&b, ek);
    dps_write_text(&b, "\",\"storageRootKey\":\"");
    dps_write_base64(&b, srk);
    dps_write_text(&b, "\"}}");
    dps_write_text(&w,
                   "PUT /" FLOW_SCOPE "/registrations/device-1/register?api-version=2019-03-31 HTTP/1.1\r\n"
                   "Host: " FLOW_HOST "\r\n");
    if (token != NULL) {
        dps_write_text(&w, "Authorization: ");
        dps_write_text(&w, token);
        dps_write_text(&w, "\r\n");
    }
    dps_write_text(&w, "Content-Length: ");
    dps_write_decimal(&w, b.len);
    dps_write_text(&w, "\r\n\r\n");
    bytes_write_bytes(&w, bytes_written(&b));
    return w.len;
}

void flow_count_anew(struct flow *f)
{
    f->tpm_commands = 0;
    f->nv_writes = 0;
    memset(f->tpm_counts, 0, sizeof f->tpm_counts);
}

bool flow_is_at(const struct flow *f, uint32_t code, unsigned nth)
{
    for (size_t i = 0; i < CODES && f->tpm_code == code; i++) {
        if (f->tpm_counts[i].code == code) {
            return f->tpm_counts[i].count == nth;
        }
    }
    return false;
}

static void count_command(struct flow *f, struct bytes command)
{
    struct bytes_reader r = bytes_reader_over(command);
    bytes_skip(&r, 6); /* tag, size */
    const uint32_t code = bytes_read_u32(&r);
    f->tpm_commands++;
    f->tpm_code = code;
    for (size_t i = 0; i < CODES; i++) {
        if (f->tpm_counts[i].code == code || f->tpm_counts[i].count == 0) {
            f->tpm_counts[i].code = code;
            f->tpm_counts[i].count++;
            break;
        }
    }
    if (code == TPM2_CC_EVICT_CONTROL || code == TPM2_CC_HIERARCHY_CHANGE_AUTH || code == TPM2_CC_CLEAR) {
        f->nv_writes++;
    }
}

static void ask_tpm(struct flow *f)
{
    uint8_t response[DPS_TPM_BUFFER];
    size_t len = 0;
    const struct bytes command = dps_device_tpm_command(&f->device);
    count_command(f, command);
    const int error =
        f->tpm_port.transact(f->tpm_port.context, command, response, sizeof response, &len, 60000);
    if (error != 0) {
        dps_device_fail(&f->device, error);
        return;
    }
    if (f->change_response != NULL) {
        f->change_response(f, response, &len);
    }
    dps_device_tpm_response(&f->device, bytes_of(response, len));
}

/* A request is complete: answer it, commit, put head and body into response. */
static void answer_request(struct flow *f)
{
    static uint8_t body[DPS_HTTP_BODY_MAX];
    struct bytes_writer w = bytes_writer_over(f->response, sizeof f->response);
    f->service.now = f->now;
    dps_service_answer(&f->service, &f->http, f->request, body, sizeof body, &f->answer);
    if (f->answer.wrote && f->service.store.commit(f->service.store.context) != 0) {
        dps_service_uncommitted(&f->service, &f->answer);
    }
    dps_answer_write_head(&w, &f->answer, f->now, f->http.keep_alive);
    bytes_write_bytes(&w, bytes_written(&f->answer.body));
    f->response_len = w.len;
    f->response_sent = 0;
    f->request_len = 0;
    dps_http_init(&f->http, DPS_HTTP_REQUEST);
    if (f->change_answer != NULL) {
        f->change_answer(f);
    }
}

static void take_request_bytes(struct flow *f, struct bytes bytes)
{
    memcpy(f->request + f->request_len, bytes.p, bytes.len);
    f->request_len += bytes.len;
    const int error = dps_http_advance(&f->http, f->request, &f->request_len, sizeof f->request, false);
    if (error == 0) {
        answer_request(f);
    }
}

void flow_ask(struct flow *f, const void *request, size_t len)
{
    dps_http_init(&f->http, DPS_HTTP_REQUEST);
    f->request_len = 0;
    f->response_len = 0;
    memset(&f->answer, 0, sizeof f->answer);
    take_request_bytes(f, bytes_of(request, len));
}

static void send_some(struct flow *f)
{
    struct bytes out = dps_device_net_out(&f->device);
    if (f->device.net_sent == 0 && out.len <= sizeof f->last_request) {
        memcpy(f->last_request, out.p, out.len);
        f->last_request_len = out.len;
    }
    if (f->split != 0 && out.len > f->split) {
        out.len = f->split;
    }
    take_request_bytes(f, out);
    dps_device_net_sent(&f->device, out.len);
}

static void receive_some(struct flow *f)
{
    size_t room;
    uint8_t *in = dps_device_net_in(&f->device, &room);
    size_t len = f->response_len - f->response_sent;
    if (f->split != 0 && len > f->split) {
        len = f->split;
    }
    len = len < room ? len : room;
    memcpy(in, f->response + f->response_sent, len);
    f->response_sent += len;
    dps_device_net_received(&f->device, len); /* 0: the service has closed */
}

static void supply(struct flow *f, enum dps_want want)
{
    struct bytes record;
    switch (want) {
    case DPS_WANT_TPM:
        ask_tpm(f);
        break;
    case DPS_WANT_CONNECT:
        dps_http_init(&f->http, DPS_HTTP_REQUEST);
        f->request_len = 0;
        f->response_len = f->response_sent = 0;
        dps_device_connected(&f->device, f->date_max);
        break;
    case DPS_WANT_SEND:
        send_some(f);
        break;
    case DPS_WANT_RECEIVE:
        receive_some(f);
        break;
    case DPS_WANT_TIME:
        dps_device_time(&f->device, f->no_clock ? 0 : f->now);
        break;
    case DPS_WANT_WAIT:
        f->waited_ms += dps_device_wait_ms(&f->device);
        f->now = FLOW_NOW + f->waited_ms / 1000;
        dps_device_waited(&f->device);
        break;
    case DPS_WANT_SAVE:
        record = dps_device_record(&f->device);
        memcpy(f->record, record.p, record.len);
        f->record_len = record.len;
        f->saves++;
        dps_device_saved(&f->device);
        break;
    case DPS_WANT_DONE:
    case DPS_WANT_FAILED:
        break;
    }
}

enum dps_want flow_run(struct flow *f, unsigned limit)
{
    enum dps_want want = dps_device_want(&f->device);
    for (f->wants = 0; f->wants < limit && want != DPS_WANT_DONE && want != DPS_WANT_FAILED; f->wants++) {
        supply(f, want);
        want = dps_device_want(&f->device);
    }
    return want;
}

int flow_finish(struct flow *f)
{
    flow_count_anew(f);
    const enum dps_want want = flow_run(f, 100000);
    return want == DPS_WANT_DONE ? 0 : want == DPS_WANT_FAILED ? f->device.error : 1;
}

int flow_register(struct flow *f)
{
    const int error = dps_device_register(&f->device, &f->config, flow_nonce);
    return error != 0 ? error : flow_finish(f);
}

size_t flow_handles(struct flow *f, uint32_t first)
{
    uint8_t buffer[DPS_TPM_BUFFER];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    size_t len = 0;
    uint32_t rc;
    uint32_t capability;
    bool more;
    struct bytes data;
    tpm2_get_capability_build(&w, TPM2_CAP_HANDLES, first, 32);
    if (f->tpm_port.transact(f->tpm_port.context, bytes_written(&w), buffer, sizeof buffer, &len, 60000) !=
            0 ||
        tpm2_get_capability_parse(bytes_of(buffer, len), &rc, &more, &capability, &data) != 0) {
        return 999;
    }
    struct bytes_reader r = bytes_reader_over(data);
    return bytes_read_u32(&r);
}
