/* SPDX-License-Identifier: MIT */
/* What stops working: a device that is disabled or deleted, a token that is valid for too long, a key that came back
 * with a back-up. And what others cannot stop: a device whose EK_pub and registrationId they know from registering. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/text.h"
#include "dps/service/records.h"
#include "dps/service/registration.h"
#include "dps/service/request.h"
#include "dps/service/run.h"
#include "dps/service/service.h"
#include "dps/service/state.h"
#include "port/posix/store_memory.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include <string.h>

static struct flow f;

static const struct bytes device_1 = {(const uint8_t *)"device-1", 8};

/* One message with the key of this record. Returns the hub's refusal. */
static enum dps_refusal send_with(const uint8_t *record, size_t len)
{
    f.config.data = bytes_of_text("{}");
    if (dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(record, len)) == 0) {
        (void)flow_finish(&f);
    }
    return f.answer.refusal;
}

static enum dps_refusal send_now(void)
{
    return send_with(f.record, f.record_len);
}

static int change_registration(bool deleted, uint64_t generation)
{
    uint8_t json[DPS_RECORD_MAX];
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    struct dps_registration r;
    uint64_t version;
    CHECK_EQUAL(dps_load_registration(&f.service, device_1, &r, &version), DPS_ACCEPTED);
    r.deleted = deleted;
    r.generation = generation;
    dps_registration_write(&w, &r);
    return f.service.store.put(f.service.store.context, DPS_TABLE_REGISTRATIONS, device_1, bytes_written(&w),
                               version, &version);
}

/* ---- The hub looks at the present state ----------------------------------------------------------------------------
 * */

static int s10_revoked(void)
{
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    CHECK_EQUAL(flow_open(&f, "revoked", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    const size_t ek_len = f.device.ek_len;
    memcpy(ek, f.device.ek, ek_len);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);

    CHECK(flow_enroll(&f, "device-1", bytes_of(ek, ek_len), ",\"provisioningStatus\":\"disabled\"") == 0);
    CHECK(send_now() == DPS_REFUSED_HUB_TOKEN && f.answer.status == 401 && f.answer.error_code == 401001);
    CHECK(flow_enroll(&f, "device-1", bytes_of(ek, ek_len), ",\"provisioningStatus\":\"enabled\"") == 0);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);

    CHECK_EQUAL(change_registration(true, 1), 0);
    CHECK_EQUAL(send_now(), DPS_REFUSED_HUB_TOKEN);
    CHECK_EQUAL(change_registration(false, 1), 0);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);
    /* If a device's record and its registration do not belong together, neither counts. */
    CHECK_EQUAL(change_registration(false, 2), 0);
    CHECK_EQUAL(send_now(), DPS_REFUSED_HUB_TOKEN);
    CHECK_EQUAL(change_registration(false, 1), 0);

    CHECK_EQUAL(f.service.store.remove(f.service.store.context, DPS_TABLE_ENROLLMENTS, device_1, 0), 0);
    CHECK_EQUAL(send_now(), DPS_REFUSED_HUB_TOKEN);
    CHECK_EQUAL(flow_enroll(&f, "device-1", bytes_of(ek, ek_len), ""), 0);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);
    CHECK_EQUAL(f.service.store.remove(f.service.store.context, DPS_TABLE_REGISTRATIONS, device_1, 0), 0);
    CHECK_EQUAL(send_now(), DPS_REFUSED_HUB_TOKEN);
    flow_close(&f);
    return 0;
}

static int s08_token_lifetime(void)
{
    CHECK_EQUAL(flow_open(&f, "lifetime", true), 0);
    f.service_config.token_lifetime_max = 3600; /* what the device asks for */
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);
    f.service_config.token_lifetime_max = 3600 - DPS_CLOCK_SKEW;
    CHECK_EQUAL(flow_register(&f), 0);
    f.service_config.token_lifetime_max--;
    CHECK_EQUAL(send_now(), DPS_REFUSED_TOKEN_LIFETIME);
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK(f.answer.refusal == DPS_REFUSED_TOKEN_LIFETIME && f.answer.error_code == 401008);
    flow_close(&f);
    return 0;
}

/* ---- A store that was restored ----------------------------------------------------------------------------------- */

static struct posix_memory_record backup[64];

static int back_up(void)
{
    CHECK(f.memory.capacity <= sizeof backup / sizeof backup[0]);
    memcpy(backup, f.memory.records, f.memory.capacity * sizeof backup[0]);
    return 0;
}

/* The node begins a new run. */
static void restart(void)
{
    memset(&f.service.memory, 0, sizeof f.service.memory);
    memset(&f.service.announced, 0, sizeof f.service.announced);
}

static void restore(void)
{
    memcpy(f.memory.records, backup, f.memory.capacity * sizeof backup[0]);
    restart();
}

struct issued {
    struct dps_registration registration;
    uint8_t operation[128];
    uint8_t hub_key[DPS_KEY_SIZE];
};

static int issue(struct issued *i)
{
    uint64_t version;
    memset(i, 0, sizeof *i);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(dps_load_registration(&f.service, device_1, &i->registration, &version), DPS_ACCEPTED);
    CHECK(dps_hub_key(&f.service, &i->registration, i->hub_key));
    memcpy(i->operation, f.device.operation_id, strlen(f.device.operation_id));
    return 0;
}

/* The same device, generation, time and store: and yet nothing is what it was. */
static int nothing_is_the_same(const struct issued *a, const struct issued *b)
{
    CHECK(a->registration.generation == b->registration.generation);
    CHECK(a->registration.secret_epoch == b->registration.secret_epoch);
    CHECK(memcmp(a->registration.challenge, b->registration.challenge, CRYPTO_SHA256_SIZE) != 0);
    CHECK(memcmp(a->registration.random, b->registration.random, sizeof a->registration.random) != 0);
    CHECK(memcmp(a->hub_key, b->hub_key, sizeof a->hub_key) != 0);
    CHECK(memcmp(a->operation, b->operation, sizeof a->operation) != 0);
    return 0;
}

static int s09_restored(void)
{
    static struct issued before, after;
    uint8_t stolen[1024], kept[1024];
    CHECK_EQUAL(flow_open(&f, "restored", true), 0);
    /* From before the first registration. */
    CHECK_EQUAL(back_up(), 0);
    CHECK_EQUAL(issue(&before), 0);
    restore();
    CHECK_EQUAL(issue(&after), 0);
    CHECK(after.registration.generation == 1 && nothing_is_the_same(&before, &after) == 0);
    /* And from a later time. What the back-up contains is valid, what came after it is invalid for ever. */
    const size_t kept_len = f.record_len;
    memcpy(kept, f.record, kept_len);
    CHECK_EQUAL(back_up(), 0);
    CHECK_EQUAL(issue(&before), 0);
    const size_t stolen_len = f.record_len;
    memcpy(stolen, f.record, stolen_len);
    restore();
    CHECK_EQUAL(send_with(stolen, stolen_len), DPS_REFUSED_HUB_TOKEN);
    CHECK_EQUAL(send_with(kept, kept_len), DPS_ACCEPTED);
    CHECK_EQUAL(issue(&after), 0);
    CHECK(after.registration.generation == 2 && nothing_is_the_same(&before, &after) == 0);
    CHECK_EQUAL(send_with(stolen, stolen_len), DPS_REFUSED_HUB_TOKEN);
    CHECK_EQUAL(send_with(kept, kept_len), DPS_REFUSED_HUB_TOKEN);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);
    flow_close(&f);
    return 0;
}

/* A registration without random bytes, as earlier versions wrote it, is valid until the next one. */
static int s10_registration_of_before(void)
{
    static struct issued made;
    uint8_t json[DPS_RECORD_MAX], old_key[DPS_KEY_SIZE];
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    uint64_t version;
    CHECK_EQUAL(flow_open(&f, "of-before", true), 0);
    CHECK_EQUAL(issue(&made), 0);
    made.registration.random_len = 0;
    dps_registration_write(&w, &made.registration);
    CHECK_EQUAL(dps_load_registration(&f.service, device_1, &made.registration, &version), DPS_ACCEPTED);
    CHECK_EQUAL(f.service.store.put(f.service.store.context, DPS_TABLE_REGISTRATIONS, device_1,
                                    bytes_written(&w), version, &version),
                0);
    CHECK_EQUAL(dps_load_registration(&f.service, device_1, &made.registration, &version), DPS_ACCEPTED);
    CHECK(made.registration.random_len == 0 && dps_hub_key(&f.service, &made.registration, old_key));
    CHECK(memcmp(old_key, made.hub_key, sizeof old_key) != 0);
    CHECK_EQUAL(issue(&made), 0);
    CHECK(made.registration.generation == 2 && made.registration.random_len == 32);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);
    flow_close(&f);
    return 0;
}

static int until_the_proof(void)
{
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (!(dps_device_want(&f.device) == DPS_WANT_SEND && f.device.http_requests == 1)) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    return 0;
}

/* ---- The service secret is rotated ------------------------------------------------------------------------------- */

static void use_secrets(uint32_t first, uint32_t last)
{
    f.service_config.secret_count = last - first + 1;
    for (uint32_t epoch = first; epoch <= last; epoch++) {
        struct dps_secret *secret = &f.service_config.secrets[epoch - first];
        secret->epoch = epoch;
        memset(secret->key, (int)(0x59 + epoch), sizeof secret->key);
    }
}

static int s09_secret_is_rotated(void)
{
    static struct issued old, made;
    CHECK_EQUAL(flow_open(&f, "rotated", true), 0);
    use_secrets(1, 1);
    CHECK_EQUAL(issue(&old), 0);
    CHECK_EQUAL(old.registration.secret_epoch, 1);
    /* A new epoch makes new values; those of the old one, a hub key and a nonce, are still valid. */
    CHECK_EQUAL(until_the_proof(), 0);
    use_secrets(1, 2);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);
    CHECK_EQUAL(issue(&made), 0);
    CHECK_EQUAL(made.registration.secret_epoch, 2);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);
    /* An epoch that is taken away takes its values with it. */
    use_secrets(1, 1);
    CHECK_EQUAL(send_now(), DPS_REFUSED_HUB_TOKEN);
    CHECK_EQUAL(until_the_proof(), 0);
    use_secrets(2, 2);
    CHECK_EQUAL(flow_finish(&f), BYTES_E_HTTP);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_TOKEN_SIGNATURE);
    CHECK_EQUAL(send_with(f.record, f.record_len), DPS_ACCEPTED);
    CHECK_EQUAL(issue(&made), 0);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);
    flow_close(&f);
    return 0;
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

/* What was begun long after the back-up cannot be ended after the restore. */
static int s09_restored_from_long_ago(void)
{
    CHECK_EQUAL(flow_open(&f, "long-ago", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(back_up(), 0);
    f.now += DPS_WINDOW_SECONDS;
    CHECK_EQUAL(until_the_proof(), 0);
    restore();
    CHECK_EQUAL(flow_finish(&f), BYTES_E_HTTP);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_TOKEN_SIGNATURE);
    CHECK_EQUAL(flow_register(&f), 0);
    flow_close(&f);
    return 0;
}

/* Asks for a challenge with an SRK of his own. */
static enum dps_refusal stranger_asks(uint8_t number)
{
    uint8_t request[4096], body[2048], srk[284];
    struct bytes_writer b = bytes_writer_over(body, sizeof body);
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    memcpy(srk, vector_srk_public_2b, sizeof srk);
    memcpy(srk + 6, "\x00\x03\x04\x72", 4);
    srk[100] = number;
    dps_write_text(&b, "{\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&b, bytes_of(f.device.ek, f.device.ek_len));
    dps_write_text(&b, "\",\"storageRootKey\":\"");
    dps_write_base64(&b, bytes_of(srk, sizeof srk));
    dps_write_text(&b, "\"}}");
    dps_write_text(&w,
                   "PUT /" FLOW_SCOPE "/registrations/DEVICE-1/register?api-version=2019-03-31 HTTP/1.1\r\n"
                   "Host: " FLOW_HOST "\r\nContent-Length: ");
    dps_write_decimal(&w, b.len);
    dps_write_text(&w, "\r\n\r\n");
    bytes_write_bytes(&w, bytes_written(&b));
    flow_ask(&f, request, w.len);
    return f.answer.refusal;
}

/* A challenge may be answered at another node, or after a restart: as long as the store knows of its run. */
static int s08_another_run(void)
{
    static uint8_t proof[DPS_HTTP_HEAD_MAX];
    CHECK_EQUAL(flow_open(&f, "run", true), 0);
    CHECK_EQUAL(until_the_proof(), 0);
    const struct bytes out = dps_device_net_out(&f.device);
    memcpy(proof, out.p, out.len);
    CHECK_EQUAL(back_up(), 0);
    for (uint8_t starts = 0; starts <= DPS_RUNS; starts++) {
        memcpy(f.memory.records, backup, f.memory.capacity * sizeof backup[0]);
        for (uint8_t i = 0; i < starts; i++) {
            restart();
            CHECK_EQUAL(stranger_asks(i), DPS_ACCEPTED); /* the first challenge names the run */
            CHECK(stranger_asks(i) == DPS_ACCEPTED && !f.answer.wrote);
        }
        flow_ask(&f, proof, out.len);
        CHECK_EQUAL(f.answer.refusal, (starts < DPS_RUNS ? DPS_ACCEPTED : DPS_REFUSED_TOKEN_SIGNATURE));
    }
    /* In the next window the node says that it is still there, and a run that does not is forgotten. */
    memcpy(f.memory.records, backup, f.memory.capacity * sizeof backup[0]);
    restart();
    f.now += DPS_WINDOW_SECONDS;
    for (uint8_t i = 0; i < 3; i++) {
        CHECK(stranger_asks(i) == DPS_ACCEPTED && f.answer.wrote == (i == 0));
    }
    flow_ask(&f, proof, out.len);
    CHECK_EQUAL(f.answer.status, 202);
    f.now += DPS_WINDOW_SECONDS;
    CHECK(stranger_asks(1) == DPS_ACCEPTED && f.answer.wrote);
    struct dps_runs runs;
    CHECK(dps_runs_load(&f.service, &runs) == DPS_ACCEPTED && runs.count == 1);
    flow_close(&f);
    return 0;
}

static int failing_commit(void *context)
{
    posix_memory_store(context).rollback(context);
    return BYTES_E_STORE;
}

/* The commit that would have named the run fails: then the next challenge names it. */
static int s06_run_is_named_again(void)
{
    CHECK_EQUAL(flow_open(&f, "named", true), 0);
    f.service.store.commit = failing_commit;
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (f.device.attempts == 0) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    CHECK_EQUAL(f.answer.status, 503);
    f.service.store.commit = posix_memory_store(&f.memory).commit;
    CHECK_EQUAL(until_the_proof(), 0);
    restart();
    CHECK_EQUAL(flow_finish(&f), 0);
    flow_close(&f);
    return 0;
}

/* ---- Who knows EK_pub and registrationId ------------------------------------------------------------------------- */

static int s06_a_known_device_is_not_locked_out(void)
{
    CHECK_EQUAL(flow_open(&f, "stranger", true), 0);
    f.service_config.challenges_per_minute = 3;
    f.service_config.challenges_per_client = 6;
    f.service.client = bytes_of_text("127.0.0.1"); /* of all of them */
    CHECK_EQUAL(flow_register(&f), 0);
    for (unsigned i = 0; i < 50; i++) {
        /* The device's first request was a stranger's, too. */
        CHECK_EQUAL(stranger_asks((uint8_t)i), (i < 2 ? DPS_ACCEPTED : DPS_REFUSED_RATE));
    }
    CHECK(flow_register(&f) == 0 && f.waited_ms == 0);
    flow_close(&f);
    return 0;
}

static enum dps_refusal prove_without_keys(void)
{
    uint8_t request[DPS_HTTP_HEAD_MAX];
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    dps_write_text(&w,
                   "PUT /" FLOW_SCOPE "/registrations/device-1/register?api-version=2021-06-01 HTTP/1.1\r\n"
                   "Host: " FLOW_HOST "\r\nAuthorization: ");
    bytes_write_bytes(&w, dps_device_token_text(&f.device));
    dps_write_text(&w, "\r\nContent-Length: 2\r\n\r\n{}");
    flow_ask(&f, request, w.len);
    return f.answer.refusal;
}

static int s08_foreign_requests_in_between(void)
{
    CHECK_EQUAL(flow_open(&f, "in-between", true), 0);
    f.service.client = bytes_of_text("192.0.2.1");
    CHECK_EQUAL(until_the_proof(), 0);
    for (uint8_t i = 0; i < DPS_WAYS - 1; i++) {
        CHECK_EQUAL(stranger_asks(i), DPS_ACCEPTED);
    }
    f.service.client = bytes_of_text("192.0.2.2");
    for (uint8_t i = 0; i < 200; i++) {
        CHECK_EQUAL(stranger_asks(i), DPS_ACCEPTED);
    }
    CHECK(prove_without_keys() == DPS_REFUSED_SRK_MISSING || f.answer.refusal == DPS_REFUSED_TOKEN_SIGNATURE);
    f.service.client = bytes_of_text("192.0.2.1");
    CHECK_EQUAL(prove_without_keys(), DPS_ACCEPTED);
    CHECK_EQUAL(prove_without_keys(), DPS_REFUSED_TOKEN_REPLAYED);

    /* The SRK of the last registration needs no hint. */
    CHECK_EQUAL(flow_reset_tpm(&f), 0);
    CHECK_EQUAL(until_the_proof(), 0);
    memset(f.service.memory.hints, 0, sizeof f.service.memory.hints);
    CHECK_EQUAL(prove_without_keys(), DPS_ACCEPTED);
    flow_close(&f);
    return 0;
}

/* Each answer makes a blob. Only the device itself uses up what it may ask for. */
static int s09_polls_are_rationed(void)
{
    uint8_t poll[DPS_HTTP_HEAD_MAX] = {0}, forged[DPS_HTTP_HEAD_MAX];
    CHECK_EQUAL(flow_open(&f, "polls", true), 0);
    f.service_config.challenges_per_minute = 3;
    CHECK_EQUAL(flow_register(&f), 0);
    const size_t len = f.last_request_len;
    memcpy(poll, f.last_request, len);
    memcpy(forged, poll, sizeof forged);
    *(strstr((char *)forged, "&se=1") + 5) ^= 1;
    for (unsigned i = 0; i < 50; i++) {
        flow_ask(&f, forged, len);
        CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_TOKEN_SIGNATURE);
    }
    for (unsigned i = 1; i < 50; i++) {
        flow_ask(&f, poll, len);
        CHECK(f.answer.status == (i < 3 ? 200 : 429) && f.answer.has_retry_after == (i >= 3));
    }
    CHECK_EQUAL(f.answer.retry_after, 20);
    f.now += 20;
    flow_ask(&f, poll, len);
    CHECK_EQUAL(f.answer.status, 200);
    flow_close(&f);
    return 0;
}

static int s10_telemetry_is_rationed(void)
{
    CHECK_EQUAL(flow_open(&f, "telemetry", true), 0);
    f.service_config.challenges_per_minute = 1;
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(send_now(), DPS_ACCEPTED);
    uint8_t message[DPS_HTTP_HEAD_MAX];
    const size_t len = f.last_request_len;
    memcpy(message, f.last_request, len);
    for (unsigned i = 1; i < 50; i++) {
        flow_ask(&f, message, len);
        CHECK_EQUAL(f.answer.status, (i < 20 ? 204 : 429));
    }
    CHECK(f.answer.has_retry_after && f.answer.retry_after == 3);
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s10 disabled or deleted since: the hub refuses", s10_revoked},
        {"s08 a token that is valid for too long", s08_token_lifetime},
        {"s09 a restored store brings no nonce and no key back", s09_restored},
        {"s09 a restore ends what began after the back-up", s09_restored_from_long_ago},
        {"s09 the service secret is rotated, and an epoch removed", s09_secret_is_rotated},
        {"s10 a registration of an earlier version", s10_registration_of_before},
        {"s08 a challenge of another run", s08_another_run},
        {"s06 a run that could not be named is named again", s06_run_is_named_again},
        {"s06 strangers do not lock a known device out", s06_a_known_device_is_not_locked_out},
        {"s08 foreign requests in between, and a proof without keys", s08_foreign_requests_in_between},
        {"s09 polls are rationed", s09_polls_are_rationed},
        {"s10 telemetry is rationed", s10_telemetry_is_rationed},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
