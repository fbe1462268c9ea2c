/* SPDX-License-Identifier: MIT */
#include "tests/port/admin_bench.h"
#include "dps/manage/admin.h"
#include "dps/manage/admin_auth.h"
#include "dps/protocol/http.h"
#include "dps/protocol/json.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/front_door.h"
#include "dps/service/state.h"
#include "port/posix/store_memory.h"
#include "tests/unit/test.h"
#include "tpm/public.h"
#include <stdio.h>
#include <string.h>

#define RECORDS 1300

const char bench_policy_file[] =
    "{\"policies\":["
    "{\"name\":\"owner\",\"primaryKey\":\"cHJpbWFyeS1rZXktb2Ytb3duZXI=\",\"secondaryKey\":"
    "\"c2Vjb25kYXJ5LWtleS1vZi1vd25lcg==\"},"
    "{\"name\":\"reader\",\"primaryKey\":\"cmVhZGVyLXJlYWRlci1yZWFkZXI=\",\"rights\":[\"EnrollmentRead\"]},"
    "{\"name\":\"writer\",\"primaryKey\":\"d3JpdGVyLXdyaXRlci13cml0ZXI=\",\"rights\":[\"EnrollmentWrite\"]},"
    "{\"name\":\"watcher\",\"primaryKey\":\"d2F0Y2hlci13YXRjaGVyLXdhdGNoZXI=\",\"rights\":["
    "\"RegistrationStatusRead\"]},"
    "{\"name\":\"cleaner\",\"primaryKey\":\"Y2xlYW5lci1jbGVhbmVyLWNsZWFuZXI=\",\"rights\":["
    "\"RegistrationStatusWrite\"]},"
    "{\"name\":\"nobody\",\"primaryKey\":\"bm9ib2R5LW5vYm9keS1ub2JvZHk=\",\"rights\":[\"ServiceConfig\"]}"
    "]}";

struct admin_bench bench;
static struct posix_memory_record records[RECORDS], undo[RECORDS];
static struct crypto_drbg drbg;
static uint8_t request[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];

static int failing_get(void *context, enum dps_table table, struct bytes key, uint8_t *value, size_t capacity,
                       size_t *len, uint64_t *version)
{
    struct dps_store real = posix_memory_store(context);
    return bench.fail_get != 0 ? bench.fail_get
                               : real.get(real.context, table, key, value, capacity, len, version);
}

static int failing_put(void *context, enum dps_table table, struct bytes key, struct bytes value,
                       uint64_t expected, uint64_t *version)
{
    struct dps_store real = posix_memory_store(context);
    if (bench.fail_put != 0 && bench.put_before_failing == 0) {
        return bench.fail_put;
    }
    bench.put_before_failing -= bench.put_before_failing > 0;
    return real.put(real.context, table, key, value, expected, version);
}

static int failing_remove(void *context, enum dps_table table, struct bytes key, uint64_t expected)
{
    struct dps_store real = posix_memory_store(context);
    return bench.fail_remove != 0 ? bench.fail_remove : real.remove(real.context, table, key, expected);
}

static int failing_next(void *context, enum dps_table table, struct bytes after, uint8_t *key,
                        size_t *key_len, uint8_t *value, size_t capacity, size_t *len, uint64_t *version)
{
    struct dps_store real = posix_memory_store(context);
    return bench.fail_next != 0
               ? bench.fail_next
               : real.next(real.context, table, after, key, key_len, value, capacity, len, version);
}

void bench_make_ek(uint32_t exponent)
{
    uint8_t modulus[256], bytes[DPS_EK_PUBLIC_MAX];
    struct tpm2_public area = tpm2_template_ek_l1();
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    struct bytes_writer text = bytes_writer_over((uint8_t *)bench.ek, sizeof bench.ek - 1);
    memset(modulus, 0xC5, sizeof modulus);
    area.unique = bytes_of(modulus, sizeof modulus);
    area.exponent = exponent;
    tpm2_public_write_2b(&w, &area);
    dps_write_base64(&text, bytes_written(&w));
    bench.ek[text.len] = 0;
}

int bench_setup(void)
{
    memset(&bench.config, 0, sizeof bench.config);
    strcpy(bench.config.host, HOST);
    strcpy(bench.config.id_scope, "0ne000TEST");
    strcpy(bench.config.hubs[0].name, "hub-a.example");
    bench.config.hubs[0].weight = 1;
    bench.config.hub_count = 1;
    bench.config.secrets[0].epoch = 1;
    bench.config.secret_count = 1;
    bench.fail_get = bench.fail_put = bench.fail_remove = bench.fail_next = 0;
    bench.put_before_failing = 0;
    bench_make_ek(0);
    CHECK(dps_policies_parse(bytes_of_text(bench_policy_file), &bench.config) == 0 &&
          bench.config.policy_count == 6);
    posix_memory_init(&bench.memory, records, RECORDS, undo, RECORDS);
    struct dps_store store = posix_memory_store(&bench.memory);
    store.get = failing_get;
    store.put = failing_put;
    store.remove = failing_remove;
    store.next = failing_next;
    struct crypto_entropy entropy = posix_entropy_seeded(&drbg, "test_admin");
    CHECK(dps_service_init(&bench.service, &bench.config, &store, &entropy) == 0);
    dps_manage_init(&bench.service);
    bench.service.now = NOW;
    return 0;
}

static void commit(void)
{
    struct dps_store store = posix_memory_store(&bench.memory);
    (void)store.commit(store.context);
}

/* Sign with a key of the configuration; skn as given. */
const char *bench_token(const char *sr, uint64_t expiry, const uint8_t *key, size_t key_len, const char *skn)
{
    static uint8_t text[1024];
    uint8_t string[512], mac[32];
    struct bytes_writer to_sign = bytes_writer_over(string, sizeof string);
    struct bytes_writer w = bytes_writer_over(text, sizeof text - 1);
    dps_sas_write_string_to_sign(&to_sign, bytes_of_text(sr), expiry);
    struct bytes piece = bytes_written(&to_sign);
    crypto_hmac_sha256(bytes_of(key, key_len), &piece, 1, mac);
    dps_sas_write_token(&w, bytes_of_text(sr), mac, expiry, bytes_of_text(skn));
    text[w.len] = 0;
    return (const char *)text;
}

const char *bench_token_of(size_t policy)
{
    const struct dps_policy *p = &bench.config.policies[policy];
    return bench_token(HOST, bench.service.now + 60, p->primary_key, p->primary_key_len, p->name);
}

/* Ask with an Authorization header, or without one if it is null. Returns the status. */
unsigned bench_ask_as(const char *authorization, const char *method, const char *target, const char *headers,
                      const char *body)
{
    struct dps_http http;
    int n =
        snprintf((char *)request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%s%sContent-Length: %zu\r\n\r\n%s", method, target, HOST,
                 authorization != NULL ? "Authorization: " : "", authorization != NULL ? authorization : "",
                 authorization != NULL ? "\r\n" : "", headers, strlen(body), body);
    size_t len = (size_t)n;
    dps_http_init(&http, DPS_HTTP_REQUEST);
    if (n < 0 || len >= sizeof request ||
        dps_http_advance(&http, request, &len, sizeof request, false) != 0) {
        return 0;
    }
    dps_service_answer(&bench.service, &http, request, bench.body, sizeof bench.body - 1, &bench.answer);
    bench.body[bench.answer.body.len] = 0;
    commit();
    return bench.answer.status;
}

unsigned bench_ask(const char *method, const char *target, const char *headers, const char *body)
{
    return bench_ask_as(bench_token_of(0), method, target, headers, body);
}

/* Ask, and see whether the answer has this code: 0 for success. A refusal says its code twice and never
 * pretends to have written. */
bool bench_gives(const char *authorization, const char *method, const char *target, const char *headers,
                 const char *body, unsigned status, uint32_t code)
{
    char text[40];
    unsigned got = bench_ask_as(authorization, method, target, headers, body);
    snprintf(text, sizeof text, "{\"errorCode\":%u,", (unsigned)code);
    bool held = got == status && bench.answer.error_code == code &&
                (code == 0 || (strncmp((char *)bench.body, text, strlen(text)) == 0 && !bench.answer.wrote));
    if (!held) {
        printf("# %s %s %s %s: %u %u %s\n", method, target, headers, body, got,
               (unsigned)bench.answer.error_code, (const char *)bench.body);
    }
    return held;
}

bool bench_ok(const char *method, const char *target, const char *headers, const char *body, unsigned status,
              uint32_t code)
{
    return bench_gives(bench_token_of(0), method, target, headers, body, status, code);
}

/* The body of an enrollment: id, then more members after the attestation. */
const char *bench_enrollment(const char *id, const char *more)
{
    static char text[16000];
    snprintf(text, sizeof text,
             "{\"registrationId\":\"%s\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"%"
             "s\"}}%s}",
             id, bench.ek, more);
    return text;
}

bool bench_answered(const char *part)
{
    return strstr((const char *)bench.body, part) != NULL;
}

/* The etag member of the answer as a client gets it, escapes decoded. */
const char *bench_etag(void)
{
    static char text[64];
    struct bytes root, value;
    size_t len = 0;
    if (dps_json_check(bytes_of(bench.body, bench.answer.body.len), &root) != 0 ||
        dps_json_member(root, "etag", &value) != 0 ||
        dps_json_string(value, (uint8_t *)text, sizeof text - 1, &len) != 0) {
        return "";
    }
    text[len] = 0;
    return text;
}
