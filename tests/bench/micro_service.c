/* SPDX-License-Identifier: MIT */
/* A device of the load generator and the service, joined in memory: this file's load_link_ask is in the place of
 * load_link.c's. */
#include "dps/protocol/activation.h"
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/front_door.h"
#include "dps/service/state.h"
#include "port/posix/store_memory.h"
#include "tests/bench/micro.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORDS 16
#define SCOPE "0ne00000A0A"
#define ID "bench-000001"

struct message {
    uint8_t bytes[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    size_t len;
};

struct micro_service {
    struct dps_service_config config;
    struct dps_service service;
    struct posix_memory memory;
    struct posix_memory_record records[RECORDS], undo[RECORDS];
    struct load_device device;
    struct load_link link;
    struct dps_answer answer;
    uint8_t body[DPS_HTTP_BODY_MAX];
    size_t asked; /* which of the three requests comes next */
    struct message requests[3];
    struct message scratch;
};
static struct micro_service *self;

static bool answer(struct micro_service *s, struct message *request, struct load_link *l)
{
    struct dps_http http;
    struct bytes_writer w = bytes_writer_over(l->in, sizeof l->in);
    dps_http_init(&http, DPS_HTTP_REQUEST);
    if (dps_http_advance(&http, request->bytes, &request->len, sizeof request->bytes, false) != 0) {
        return false;
    }
    dps_service_answer(&s->service, &http, request->bytes, s->body, sizeof s->body, &s->answer);
    (void)s->service.store.commit(s->service.store.context);
    dps_answer_write_head(&w, &s->answer, s->service.now, true);
    bytes_write_bytes(&w, bytes_written(&s->answer.body));
    l->in_len = bytes_written(&w).len;
    return w.error == 0;
}

bool load_link_ask(struct load_link *l, const char *request, size_t len)
{
    struct micro_service *s = self;
    struct message *kept = &s->requests[s->asked++ % 3];
    memcpy(kept->bytes, request, len);
    kept->len = len;
    memcpy(s->scratch.bytes, request, len);
    s->scratch.len = len;
    micro_resume();
    const bool done = answer(s, &s->scratch, l);
    micro_pause();
    dps_http_init(&l->http, DPS_HTTP_RESPONSE);
    return done && dps_http_advance(&l->http, l->in, &l->in_len, sizeof l->in, false) == 0;
}

static bool enroll(struct micro_service *s, const struct load_keys *keys)
{
    char record[1024];
    uint64_t version;
    const int len = snprintf(record, sizeof record,
                             "{\"registrationId\":\"" ID "\",\"attestation\":{\"type\":\"tpm\",\"tpm\":"
                             "{\"endorsementKey\":\"%s\"}},\"provisioningStatus\":\"enabled\"}",
                             keys->ek_base64);
    const struct dps_store *store = &s->service.store;
    return len > 0 &&
           store->put(store->context, DPS_TABLE_ENROLLMENTS, bytes_of_text(ID), bytes_of(record, (size_t)len),
                      0, &version) == 0 &&
           store->commit(store->context) == 0;
}

struct micro_service *micro_service_open(const struct load_keys *keys)
{
    struct micro_service *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    self = s;
    s->config = (struct dps_service_config){.host = "localhost",
                                            .id_scope = SCOPE,
                                            .hubs = {{"hub-a.example", 1}},
                                            .hub_count = 1,
                                            .secret_count = 1};
    s->config.secrets[0].epoch = 1;
    posix_memory_init(&s->memory, s->records, RECORDS, s->undo, RECORDS);
    const struct dps_store store = posix_memory_store(&s->memory);
    const struct crypto_entropy entropy = posix_entropy();
    s->device = (struct load_device){.keys = keys, .scope = SCOPE, .host = "localhost"};
    if (dps_service_init(&s->service, &s->config, &store, &entropy) != 0 || !enroll(s, keys) ||
        !micro_service_registration(s)) {
        fprintf(stderr, "dps-micro: %s\n", s->device.why);
        free(s);
        return NULL;
    }
    return s;
}

bool micro_service_registration(void *service)
{
    struct micro_service *s = service;
    s->service.now = (uint64_t)time(NULL);
    micro_pause();
    const bool done = load_register(&s->device, &s->link, ID);
    micro_resume();
    return done;
}

/* ---- HTTP and JSON alone ---- */

static bool decode(struct bytes object, const char *name, uint8_t *out, size_t size)
{
    struct bytes value;
    uint8_t text[600];
    size_t len;
    return dps_json_member(object, name, &value) == 0 &&
           dps_json_string(value, text, sizeof text, &len) == 0 &&
           dps_base64_decode(bytes_of(text, len), out, size, &len) == 0;
}

static bool read_body(struct bytes body)
{
    struct bytes root;
    struct bytes id;
    struct bytes tpm;
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    uint8_t srk[DPS_SRK_PUBLIC_MAX];
    if (body.len == 0) {
        return true; /* the third request */
    }
    return dps_json_check(body, &root) == 0 && dps_json_member(root, "registrationId", &id) == 0 &&
           dps_json_string_is(id, ID) && dps_json_member(root, "tpm", &tpm) == 0 &&
           decode(tpm, "endorsementKey", ek, sizeof ek) && decode(tpm, "storageRootKey", srk, sizeof srk);
}

bool micro_service_text(void *service)
{
    struct micro_service *s = service;
    static const uint8_t blob[820];
    for (size_t i = 0; i < 3; i++) {
        struct dps_http http;
        struct message *m = &s->requests[i];
        struct bytes header;
        struct bytes_writer w = bytes_writer_over(s->link.in, sizeof s->link.in);
        struct dps_answer a = {.status = 401, .body = bytes_writer_over(s->body, sizeof s->body)};
        dps_http_init(&http, DPS_HTTP_REQUEST);
        if (dps_http_advance(&http, m->bytes, &m->len, sizeof m->bytes, false) != 0 ||
            (i > 0 && dps_http_header(&http, m->bytes, "Authorization", &header) != 0) ||
            !read_body(dps_http_body(&http, m->bytes))) {
            return false;
        }
        dps_write_text(&a.body, "{\"registrationId\":");
        dps_write_json_string(&a.body, bytes_of_text(ID));
        dps_write_text(&a.body, ",\"authenticationKey\":\"");
        dps_write_base64(&a.body,
                         bytes_of(blob, i == 1 ? 32 : sizeof blob)); /* the second answer has no blob */
        dps_write_text(&a.body, "\"}");
        dps_answer_write_head(&w, &a, s->service.now, true);
        bytes_write_bytes(&w, bytes_written(&a.body));
        if (w.error != 0) {
            return false;
        }
    }
    return true;
}

/* ---- A token alone ---- */

bool micro_service_sas(void *service)
{
    struct micro_service *s = service;
    static const uint8_t nonce[DPS_KEY_SIZE] = {1};
    struct message *m = &s->requests[1];
    struct dps_http http;
    struct bytes header;
    struct dps_sas sas;
    micro_pause();
    dps_http_init(&http, DPS_HTTP_REQUEST);
    const bool found = dps_http_advance(&http, m->bytes, &m->len, sizeof m->bytes, false) == 0 &&
                       dps_http_header(&http, m->bytes, "Authorization", &header) == 0;
    micro_resume();
    /* Verifying takes as long with a key that is not the right one: the comparison is in constant time. */
    return found && dps_sas_parse(header, &sas) == 0 &&
           dps_sas_audience_is(&sas, bytes_of_text(SCOPE "/registrations/" ID)) &&
           !dps_sas_signed_with(&sas, bytes_of(nonce, sizeof nonce));
}
