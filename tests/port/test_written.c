/* SPDX-License-Identifier: MIT */
/* Whoever can write to the store but does not have the service secret (spec-notes.md, "Why it is safe") can take a
 * device's name away from it; he makes no key, reads none, and gets none wrapped to a key that is not a TPM's. */
#include "dps/device/device.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/records.h"
#include "dps/service/registration.h"
#include "dps/service/service.h"
#include "dps/service/state.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/public.h"
#include <string.h>

static struct flow f;
static struct dps_registration written;

static const struct bytes device_1 = {(const uint8_t *)"device-1", 8};

static int read_registration(void)
{
    uint64_t version;
    return dps_load_registration(&f.service, device_1, &written, &version) == DPS_ACCEPTED ? 0
                                                                                           : BYTES_E_STORE;
}

static int write_registration(void)
{
    uint8_t json[DPS_RECORD_MAX];
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    struct dps_registration unused;
    uint64_t version;
    dps_registration_write(&w, &written);
    CHECK(w.error == 0);
    CHECK_EQUAL(dps_load_registration(&f.service, device_1, &unused, &version), DPS_ACCEPTED);
    return f.service.store.put(f.service.store.context, DPS_TABLE_REGISTRATIONS, device_1, bytes_written(&w),
                               version, &version);
}

/* One message to the hub, with a token signed with this key. */
static enum dps_refusal send_with_key(const uint8_t key[DPS_KEY_SIZE])
{
    const uint64_t expiry = FLOW_NOW + 3600;
    uint8_t text[256], request[1024], signature[CRYPTO_SHA256_SIZE], audience[256];
    struct bytes_writer a = bytes_writer_over(audience, sizeof audience);
    struct bytes_writer t = bytes_writer_over(text, sizeof text);
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    dps_write_text(&a, written.hub);
    dps_write_text(&a, "%2Fdevices%2Fdevice-1");
    dps_sas_write_string_to_sign(&t, bytes_written(&a), expiry);
    const struct bytes to_sign = bytes_written(&t);
    crypto_hmac_sha256(bytes_of(key, DPS_KEY_SIZE), &to_sign, 1, signature);
    dps_write_text(&w, "POST /devices/device-1/messages/events?api-version=2021-06-01 HTTP/1.1\r\nHost: ");
    dps_write_text(&w, written.hub);
    dps_write_text(&w, "\r\nAuthorization: ");
    dps_sas_write_token(&w, bytes_written(&a), signature, expiry, bytes_of(NULL, 0));
    dps_write_text(&w, "\r\nContent-Length: 2\r\n\r\n{}");
    flow_ask(&f, request, w.len);
    return f.answer.refusal;
}

/* Whatever inputs of a hub key he writes, without the secret the key is another one. */
static int s10_no_key_from_a_record(void)
{
    struct dps_secret secret;
    uint8_t right[DPS_KEY_SIZE], guessed[DPS_KEY_SIZE];
    CHECK_EQUAL(flow_open(&f, "no-key", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(read_registration(), 0);
    memset(written.random, 0, sizeof written.random);
    CHECK_EQUAL(write_registration(), 0);
    CHECK(dps_hub_key(&f.service, &written, right));
    secret = f.service_config.secrets[0];
    memset(f.service_config.secrets[0].key, 0, sizeof secret.key); /* what he has instead */
    CHECK(dps_hub_key(&f.service, &written, guessed));
    f.service_config.secrets[0] = secret;
    CHECK_EQUAL(send_with_key(right), DPS_ACCEPTED);
    CHECK_EQUAL(send_with_key(guessed), DPS_REFUSED_HUB_TOKEN);
    /* Nor is there a key for an epoch that the secret file does not have. */
    written.secret_epoch += 1000;
    CHECK_EQUAL(write_registration(), 0);
    CHECK_EQUAL(send_with_key(right), DPS_REFUSED_HUB_TOKEN);
    memset(guessed, 0, sizeof guessed);
    CHECK_EQUAL(send_with_key(guessed), DPS_REFUSED_HUB_TOKEN);
    flow_close(&f);
    return 0;
}

/* Up to the moment when the device is assigned, and is about to ask for the hub's key. */
static int until_assigned(void)
{
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (f.device.http_requests < 2) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    CHECK_EQUAL(f.answer.status, 202);
    return read_registration();
}

/* A stored SRK must pass step 5's rule like one that a device sends; and the token names its own. */
static int s09_no_key_for_another_srk(void)
{
    struct tpm2_public area = tpm2_template_srk();
    struct bytes_writer w = bytes_writer_over(written.srk, sizeof written.srk);
    CHECK_EQUAL(flow_open(&f, "another-srk", true), 0);
    CHECK_EQUAL(until_assigned(), 0);
    memcpy(written.srk, vector_srk_public_2b, sizeof vector_srk_public_2b); /* a software key */
    written.srk_len = sizeof vector_srk_public_2b;
    CHECK_EQUAL(write_registration(), 0);
    CHECK_EQUAL(flow_finish(&f), BYTES_E_HTTP);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_SRK_ATTRIBUTES);

    CHECK_EQUAL(until_assigned(), 0);
    area.unique = bytes_of(vector_srk_public_2b + sizeof vector_srk_public_2b - 256, 256);
    tpm2_public_write_2b(&w, &area); /* of another TPM, or so it says */
    written.srk_len = (uint16_t)w.len;
    CHECK_EQUAL(write_registration(), 0);
    CHECK_EQUAL(flow_finish(&f), BYTES_E_HTTP);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_TOKEN_SIGNATURE);
    flow_close(&f);
    return 0;
}

/* This he can do: with another EK under the name, the device is no longer recognised, and the other one is. */
static int s05_another_ek_under_the_name(void)
{
    uint8_t request[4096], own[DPS_EK_PUBLIC_MAX], srk[DPS_SRK_PUBLIC_MAX];
    struct tpm2_public area = tpm2_template_ek_l1();
    uint8_t other[DPS_EK_PUBLIC_MAX];
    struct bytes_writer w = bytes_writer_over(other, sizeof other);
    CHECK_EQUAL(flow_open(&f, "another-ek", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    const size_t own_len = f.device.ek_len, srk_len = f.device.srk_len;
    memcpy(own, f.device.ek, own_len);
    memcpy(srk, f.device.srk, srk_len);
    area.unique = bytes_of(vector_srk_public_2b + sizeof vector_srk_public_2b - 256, 256);
    tpm2_public_write_2b(&w, &area);
    CHECK_EQUAL(flow_enroll(&f, "device-1", bytes_written(&w), ""), 0);
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_EK);
    flow_ask(
        &f, request,
        flow_write_registration(request, sizeof request, bytes_written(&w), bytes_of(srk, srk_len), NULL));
    CHECK(f.answer.refusal == DPS_ACCEPTED && f.answer.status == 401);
    CHECK_EQUAL(flow_enroll(&f, "device-1", bytes_of(own, own_len), ""), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s10 no hub key is made from a record alone", s10_no_key_from_a_record},
        {"s09 no hub key for another SRK that was written into the record", s09_no_key_for_another_srk},
        {"s05 another EK under a device's name takes the name", s05_another_ek_under_the_name},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
