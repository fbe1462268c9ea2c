/* SPDX-License-Identifier: MIT */
/* The flow as a whole: the device engine, a real TPM (libtpms) and the service, joined in memory. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/ownership.h"
#include "dps/device/record.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/records.h"
#include "dps/service/registration.h"
#include "dps/service/service.h"
#include "port/posix/store_memory.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/command.h"
#include "tpm/rc.h"
#include <stdio.h>
#include <string.h>

static struct flow f;

#define TRANSIENT UINT32_C(0x80000000)
#define SESSIONS UINT32_C(0x02000000) /* TPM2_CAP_HANDLES of TPM2_HT_LOADED_SESSION */

static int nothing_is_left(void)
{
    CHECK_EQUAL(flow_handles(&f, TRANSIENT), 0);
    CHECK_EQUAL(flow_handles(&f, SESSIONS), 0);
    return 0;
}

/* ---- The right path ---------------------------------------------------------------------------------------------- */

static int s01_to_s10_register(void)
{
    CHECK_EQUAL(flow_open(&f, "register", false), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.device_id, "device-1");
    CHECK(strncmp(f.device.assigned_hub, "hub-", 4) == 0);
    CHECK_EQUAL(f.device.substatus, "initialAssignment");
    CHECK(f.saves == 1 && f.device.connections == 1 && f.device.http_requests == 3);
    CHECK_EQUAL(f.nv_writes, 0);
    CHECK_EQUAL(nothing_is_left(), 0);
    flow_close(&f);
    return 0;
}

static int s07_fifteen_commands_with_keys_at_hand(void)
{
    CHECK_EQUAL(flow_open(&f, "fifteen", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.tpm_commands, 15);
    CHECK_EQUAL(f.nv_writes, 0);
    CHECK_EQUAL(nothing_is_left(), 0);
    flow_close(&f);
    return 0;
}

static int s10_hub_accepts_the_device(void)
{
    CHECK_EQUAL(flow_open(&f, "hub", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    f.config.data = bytes_of_text("{\"temperature\":21}");
    CHECK_EQUAL(dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK_EQUAL(f.answer.status, 204);
    CHECK_EQUAL(f.tpm_commands, 4); /* ReadPublic, Load, HMAC, FlushContext */
    CHECK_EQUAL(nothing_is_left(), 0);

    /* Another registration makes the first key useless: the hub refuses its tokens. */
    uint8_t old[1024];
    const size_t old_len = f.record_len;
    memcpy(old, f.record, old_len);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.substatus, "reprovisionedToInitialAssignment");
    CHECK_EQUAL(dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(old, old_len)), 0);
    CHECK_EQUAL(flow_finish(&f), BYTES_E_HTTP);
    CHECK(f.answer.refusal == DPS_REFUSED_HUB_TOKEN && f.device.http_status == 401);
    CHECK_EQUAL(f.device.service_error, 401001);
    flow_close(&f);
    return 0;
}

static int s08_time_from_the_service(void)
{
    CHECK_EQUAL(flow_open(&f, "noclock", true), 0);
    f.no_clock = true;
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.now, FLOW_NOW);
    flow_close(&f);
    return 0;
}

static int s10_time_from_the_hub(void)
{
    CHECK_EQUAL(flow_open(&f, "noclock-later", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    /* It starts again, with its record and without the time. */
    f.no_clock = true;
    f.config.data = bytes_of_text("{}");
    CHECK_EQUAL(dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK(f.device.now == FLOW_NOW && f.device.http_requests == 2 && f.device.connections == 1);
    CHECK_EQUAL(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK(f.device.now == FLOW_NOW && f.device.http_requests == 1);
    flow_close(&f);
    return 0;
}

static int s04_default_registration_id(void)
{
    CHECK_EQUAL(flow_open(&f, "default-id", true), 0);
    f.config.registration_id = NULL;
    CHECK_EQUAL(dps_device_read_keys(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK_EQUAL(strlen(f.device.registration_id), 52);
    char id[64];
    strcpy(id, f.device.registration_id);
    CHECK_EQUAL(flow_enroll(&f, id, bytes_of(f.device.ek, f.device.ek_len), ""), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.device_id, id);
    flow_close(&f);
    return 0;
}

static int s09_device_id_of_the_enrollment(void)
{
    CHECK_EQUAL(flow_open(&f, "device-id", true), 0);
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    const size_t ek_len = f.device.ek_len;
    memcpy(ek, f.device.ek, ek_len);
    CHECK(flow_enroll(&f, "device-1", bytes_of(ek, ek_len),
                      ",\"deviceId\":\"Boiler#7\",\"iotHubs\":[\"hub-b.example\"]") == 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.device_id, "Boiler#7");
    CHECK_EQUAL(f.device.assigned_hub, "hub-b.example");
    f.config.data = bytes_of_text("x");
    CHECK_EQUAL(dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
    CHECK_EQUAL(flow_finish(&f), 0);

    /* Moved to another hub: the old one forgets it. */
    CHECK(flow_enroll(&f, "device-1", bytes_of(ek, ek_len),
                      ",\"deviceId\":\"Boiler#7\",\"iotHubs\":[\"hub-a.example\"]") == 0);
    uint8_t old[1024];
    const size_t old_len = f.record_len;
    memcpy(old, f.record, old_len);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.substatus, "deviceDataMigrated");
    CHECK_EQUAL(f.device.assigned_hub, "hub-a.example");
    CHECK_EQUAL(dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(old, old_len)), 0);
    CHECK_EQUAL(flow_finish(&f), BYTES_E_HTTP);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_HUB_TOKEN);
    flow_close(&f);
    return 0;
}

static int s04_every_split_of_every_message(void)
{
    static const size_t splits[] = {1, 2, 3, 5, 16, 61, 255, 256, 1000};
    CHECK_EQUAL(flow_open(&f, "splits", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    const unsigned whole = f.tpm_commands;
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        f.split = splits[i];
        CHECK_EQUAL(flow_register(&f), 0);
        CHECK_EQUAL(f.tpm_commands, whole);
    }
    flow_close(&f);
    return 0;
}

/* Killed after each want, and begun again on a TPM that was powered off: always the same end. */
static int restart_after_every_step(const char *directory, bool persist, unsigned least)
{
    unsigned total = 0;
    CHECK_EQUAL(flow_open(&f, directory, persist), 0);
    for (unsigned limit = 0;; limit++) {
        CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
        const enum dps_want want = flow_run(&f, limit);
        if (want == DPS_WANT_DONE) {
            total = limit;
            break;
        }
        CHECK_EQUAL(flow_reset_tpm(&f), 0);
        CHECK_EQUAL(flow_register(&f), 0);
        f.config.data = bytes_of_text("alive");
        CHECK_EQUAL(dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
        CHECK_EQUAL(flow_finish(&f), 0);
    }
    CHECK(total >= least);
    CHECK_EQUAL(nothing_is_left(), 0);
    flow_close(&f);
    return 0;
}

static int restarted_after_every_step(void)
{
    return restart_after_every_step("restart", true, 20);
}

static int restarted_after_every_step_without_persistent_keys(void)
{
    return restart_after_every_step("restart-bare", false, 24);
}

/* The engine is plain data: a copy made at any moment goes on as the original would. */
static int engine_may_be_copied(void)
{
    static struct dps_device copy;
    CHECK_EQUAL(flow_open(&f, "copy", true), 0);
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (flow_run(&f, 1) != DPS_WANT_DONE) {
        CHECK_EQUAL(f.device.error, 0);
        memcpy(&copy, &f.device, sizeof copy);
        memset(&f.device, 0xee, sizeof f.device);
        memcpy(&f.device, &copy, sizeof copy);
    }
    flow_close(&f);
    return 0;
}

/* ---- Ownership --------------------------------------------------------------------------------------------------- */

static int s03_owner_sets_authorizations(void)
{
    CHECK_EQUAL(flow_open(&f, "own", false), 0);
    f.config.new_owner_auth = bytes_of_text("owner secret");
    f.config.new_endorsement_auth = bytes_of_text("endorsement secret");
    CHECK_EQUAL(dps_device_own(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);

    /* They have gone to the TPM and stay nowhere else. */
    for (size_t at = 0; at + 12 <= sizeof f.device.tpm; at++) {
        CHECK(memcmp(f.device.tpm + at, "owner secret", 12) != 0);
    }

    /* Without them nothing works any more, and the TPM says why. */
    CHECK_EQUAL(flow_register(&f), BYTES_E_TPM_RC);
    CHECK_EQUAL(tpm2_rc_decode(f.device.rc).code, TPM2_RC_BAD_AUTH);
    CHECK_EQUAL(nothing_is_left(), 0);
    f.config.endorsement_auth = bytes_of_text("endorsement secret");
    CHECK_EQUAL(flow_register(&f), BYTES_E_TPM_RC); /* the owner's is still missing */
    CHECK_EQUAL(dps_device_step(&f.device), 3);
    f.config.owner_auth = bytes_of_text("owner secret");
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(nothing_is_left(), 0);
    flow_close(&f);
    return 0;
}

static int s03_clear_kills_the_old_owners_keys(void)
{
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    uint8_t srk[DPS_SRK_PUBLIC_MAX];
    static uint8_t sealed[512]; /* f's configuration views it */
    size_t sealed_len;
    CHECK_EQUAL(flow_open(&f, "clear", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    memcpy(ek, f.device.ek, sizeof ek);
    memcpy(srk, f.device.srk, sizeof srk);

    f.config.data = bytes_of_text("the old owner's secret");
    CHECK_EQUAL(dps_device_seal(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    sealed_len = dps_device_result(&f.device).len;
    CHECK(sealed_len > 0 && sealed_len <= sizeof sealed);
    memcpy(sealed, dps_device_result(&f.device).p, sealed_len);
    f.config.data = bytes_of(sealed, sealed_len);
    CHECK_EQUAL(dps_device_unseal(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK(bytes_equal_public(dps_device_result(&f.device), bytes_of_text("the old owner's secret")));

    CHECK_EQUAL(dps_device_clear(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK(memcmp(ek, f.device.ek, sizeof ek) == 0);
    CHECK(memcmp(srk, f.device.srk, sizeof srk) != 0);

    /* The old hub key does not load, the old seal does not open. */
    CHECK_EQUAL(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
    CHECK_EQUAL(flow_finish(&f), BYTES_E_TPM_RC);
    CHECK_EQUAL(tpm2_rc_decode(f.device.rc).code, TPM2_RC_INTEGRITY);
    CHECK_EQUAL(dps_device_unseal(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), BYTES_E_TPM_RC);
    CHECK_EQUAL(tpm2_rc_decode(f.device.rc).code, TPM2_RC_INTEGRITY);
    CHECK_EQUAL(nothing_is_left(), 0);

    /* And yet the device is recognised. */
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.substatus, "reprovisionedToInitialAssignment");
    flow_close(&f);
    return 0;
}

/* The TPM is cleared after the challenge was made: the SRK that it names is gone, and the challenge is useless.
 * The device asks for another with the new SRK, but not for a third. */
static int s07_cleared_between_challenge_and_answer(void)
{
    CHECK_EQUAL(flow_open(&f, "cleared-between", false), 0);
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (dps_device_step(&f.device) < 7) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    static struct dps_device interrupted;
    memcpy(&interrupted, &f.device, sizeof interrupted);
    CHECK_EQUAL(dps_device_clear(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    memcpy(&f.device, &interrupted, sizeof interrupted);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK(f.device.restarted && f.device.http_requests == interrupted.http_requests + 3);
    CHECK(memcmp(f.device.srk, interrupted.srk, sizeof f.device.srk) != 0);
    CHECK_EQUAL(nothing_is_left(), 0);
    memcpy(&f.device, &interrupted, sizeof interrupted);
    f.device.restarted = true;
    CHECK_EQUAL(flow_finish(&f), BYTES_E_TPM_RC);
    CHECK_EQUAL(dps_device_step(&f.device), 7);
    CHECK_EQUAL(flow_register(&f), 0);
    flow_close(&f);
    return 0;
}

/* Two registrations of one device at once: `behind` is a copy of the engine with so many answers, and the other one
 * comes to its end in between. */
static int overtaken_after(unsigned answers, struct dps_device *behind)
{
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (f.device.http_requests < answers || dps_device_want(&f.device) != DPS_WANT_SEND) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    memcpy(behind, &f.device, sizeof *behind);
    CHECK_EQUAL(flow_register(&f), 0);
    memcpy(&f.device, behind, sizeof *behind);
    return 0;
}

/* The one that comes second has used a challenge that is used up, or asks for an operation that another has replaced:
 * it begins again, and both end well. */
static int s09_two_at_once(void)
{
    static struct dps_device behind;
    for (unsigned answers = 1; answers <= 2; answers++) {
        CHECK_EQUAL(flow_open(&f, answers == 1 ? "two-at-once" : "two-at-once-polling", true), 0);
        CHECK_EQUAL(overtaken_after(answers, &behind), 0);
        CHECK_EQUAL(flow_finish(&f), 0);
        CHECK(f.device.overtaken && f.device.http_requests == behind.http_requests + 4);
        CHECK(f.device.service_error == 0 && f.saves == 2);
        CHECK_EQUAL(nothing_is_left(), 0);
        flow_close(&f);
    }
    return 0;
}

/* Two that only ever undo each other's work must come to an end. */
static int s09_overtaken_twice(void)
{
    static struct dps_device behind;
    CHECK_EQUAL(flow_open(&f, "overtaken-twice", true), 0);
    for (unsigned answers = 1; answers <= 2; answers++) {
        CHECK_EQUAL(overtaken_after(answers, &behind), 0);
        f.device.overtaken = true;
        CHECK_EQUAL(flow_finish(&f), BYTES_E_HTTP);
        CHECK_EQUAL(f.device.service_error, answers == 1 ? 401007U : 404203U);
        CHECK(dps_device_step(&f.device) == 7 + answers && f.saves == answers);
        CHECK_EQUAL(nothing_is_left(), 0);
    }
    flow_close(&f);
    return 0;
}

/* ---- What the service refuses ------------------------------------------------------------------------------------ */

static int refused(enum dps_refusal why, unsigned status)
{
    CHECK_EQUAL(f.answer.refusal, why);
    CHECK_EQUAL(f.answer.status, status);
    CHECK_EQUAL(f.saves, 0);
    return 0;
}

static int s05_unknown_wrong_and_disabled(void)
{
    uint8_t other[316];
    CHECK_EQUAL(flow_open(&f, "refused", true), 0);
    f.config.registration_id = "nobody";
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK_EQUAL(refused(DPS_REFUSED_UNKNOWN, 404), 0);
    CHECK_EQUAL(f.device.service_error, 404201);

    f.config.registration_id = "device-1";
    f.config.id_scope = "0ne000WRONG";
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK_EQUAL(refused(DPS_REFUSED_SCOPE, 404), 0);
    f.config.id_scope = FLOW_SCOPE;

    /* An impostor: another TPM's EK is enrolled under this ID. */
    memcpy(other, f.device.ek, sizeof other);
    other[100] ^= 1;
    const struct bytes own_ek = bytes_of(f.device.ek, f.device.ek_len);
    uint8_t own[316];
    memcpy(own, own_ek.p, sizeof own);
    CHECK_EQUAL(flow_enroll(&f, "device-1", bytes_of(other, sizeof other), ""), 0);
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK_EQUAL(refused(DPS_REFUSED_EK, 401), 0);
    CHECK_EQUAL(f.device.service_error, 401003);

    CHECK(flow_enroll(&f, "device-1", bytes_of(own, sizeof own), ",\"provisioningStatus\":\"disabled\"") ==
          0);
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK_EQUAL(refused(DPS_REFUSED_DISABLED, 403), 0);
    flow_close(&f);
    return 0;
}

/* Software that runs beside the TPM names a key of its own as SRK. Each attribute that would let the nonce leave is
 * refused before any RSA work. The key is a real one, whose private half is known. */
static int s05_software_srk(void)
{
    static const struct {
        size_t at;
        uint8_t value[4];
        enum dps_refusal why;
    } cases[] = {
        {6, {0, 3, 0x04, 0x40}, DPS_REFUSED_SRK_ATTRIBUTES},        /* neither fixedTPM nor fixedParent */
        {6, {0, 3, 0x04, 0x62}, DPS_REFUSED_SRK_ATTRIBUTES},        /* no fixedParent */
        {6, {0, 3, 0x04, 0x70}, DPS_REFUSED_SRK_ATTRIBUTES},        /* no fixedTPM */
        {6, {0, 2, 0x04, 0x72}, DPS_REFUSED_SRK_ATTRIBUTES},        /* not restricted */
        {6, {0, 7, 0x04, 0x72}, DPS_REFUSED_SRK_ATTRIBUTES},        /* signs as well */
        {6, {0, 3, 0x04, 0x52}, DPS_REFUSED_SRK_ATTRIBUTES},        /* imported: no sensitiveDataOrigin */
        {12, {0x00, 0x06, 0x01, 0x00}, DPS_REFUSED_SRK_PARAMETERS}, /* AES-256 */
        {22, {0x00, 0x00, 0x00, 0x03}, DPS_REFUSED_SRK_MODULUS},    /* exponent 3 */
        {28, {0x00, 0x00, 0x00, 0x00}, DPS_REFUSED_SRK_MODULUS},    /* leading zeros */
    };
    uint8_t request[4096];
    uint8_t srk[284];
    CHECK_EQUAL(flow_open(&f, "software-srk", true), 0);
    const struct bytes ek = bytes_of(f.device.ek, f.device.ek_len);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(srk, vector_srk_public_2b, sizeof srk);
        memcpy(srk + 6, "\x00\x03\x04\x72", 4);
        memcpy(srk + cases[i].at, cases[i].value, 4);
        flow_ask(&f, request,
                 flow_write_registration(request, sizeof request, ek, bytes_of(srk, sizeof srk), NULL));
        CHECK(f.answer.refusal == cases[i].why);
        CHECK(f.answer.status == 400);
    }
    /* As the vector has it: a software key that says so. */
    flow_ask(&f, request,
             flow_write_registration(request, sizeof request, ek, bytes_of(vector_srk_public_2b, 284), NULL));
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_ATTRIBUTES);
    /* A storage key with a policy of its own. */
    uint8_t with_policy[320];
    struct bytes_writer w = bytes_writer_over(with_policy, sizeof with_policy);
    struct tpm2_public area = tpm2_template_srk();
    area.unique = bytes_of(vector_srk_public_2b + 28, 256);
    area.auth_policy = bytes_of(vector_unique, 32);
    tpm2_public_write_2b(&w, &area);
    flow_ask(&f, request, flow_write_registration(request, sizeof request, ek, bytes_written(&w), NULL));
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_POLICY);
    /* EK and SRK swapped. */
    flow_ask(
        &f, request,
        flow_write_registration(request, sizeof request, bytes_of(f.device.srk, f.device.srk_len), ek, NULL));
    CHECK(f.answer.refusal == DPS_REFUSED_EK_FORM);
    flow_ask(&f, request, flow_write_registration(request, sizeof request, ek, ek, NULL));
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_ATTRIBUTES);
    flow_close(&f);
    return 0;
}

static int s08_replayed_and_foreign_tokens(void)
{
    uint8_t signed_request[DPS_HTTP_HEAD_MAX];
    CHECK_EQUAL(flow_open(&f, "tokens", true), 0);
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (f.device.http_requests < 2) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    memcpy(signed_request, f.last_request, f.last_request_len);
    const size_t len = f.last_request_len;
    CHECK_EQUAL(f.answer.status, 202);
    CHECK_EQUAL(flow_finish(&f), 0);

    /* The same request again: its nonce has been used. */
    flow_ask(&f, signed_request, len);
    CHECK(f.answer.refusal == DPS_REFUSED_TOKEN_REPLAYED && f.answer.error_code == 401007);

    /* Much later the nonce is dead as well as the token. */
    f.now += 4 * 3600;
    flow_ask(&f, signed_request, len);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_TOKEN_EXPIRED);

    uint8_t request[4096];
    const struct bytes ek = bytes_of(f.device.ek, f.device.ek_len);
    const struct bytes srk = bytes_of(f.device.srk, f.device.srk_len);
    static const struct {
        const char *token;
        enum dps_refusal why;
    } bad[] = {
        {"SharedAccessSignature sr=" FLOW_SCOPE
         "%2Fregistrations%2Fdevice-2&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAA%3D&se=1900000000",
         DPS_REFUSED_TOKEN_AUDIENCE},
        {"SharedAccessSignature sr=" FLOW_SCOPE
         "%2Fregistrations%2Fdevice-1&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAA%3D&se=1900000000",
         DPS_REFUSED_TOKEN_SIGNATURE},
        {"SharedAccessSignature sr=" FLOW_SCOPE "%2Fregistrations%2Fdevice-1&sig=AAAA&se=1900000000",
         DPS_REFUSED_TOKEN_FORM},
        {"SharedAccessSignature sr=" FLOW_SCOPE
         "%2Fregistrations%2Fdevice-1&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAA%3D&se=-1",
         DPS_REFUSED_TOKEN_FORM},
        {"Bearer x", DPS_REFUSED_TOKEN_FORM},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        flow_ask(&f, request, flow_write_registration(request, sizeof request, ek, srk, bad[i].token));
        CHECK(f.answer.refusal == bad[i].why);
        CHECK(f.answer.status == 401);
    }
    flow_close(&f);
    return 0;
}

/* A challenge that was not answered in time is not accepted; a fresh one is. */
static int s08_nonce_expires(void)
{
    CHECK_EQUAL(flow_open(&f, "expires", true), 0);
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (dps_device_step(&f.device) < 8) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    f.now += 700;
    CHECK_EQUAL(flow_finish(&f), BYTES_E_HTTP);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_TOKEN_SIGNATURE);
    CHECK_EQUAL(nothing_is_left(), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    flow_close(&f);
    return 0;
}

/* Two that hold the same nonce at once: one wins. */
static int s09_a_nonce_succeeds_once(void)
{
    static uint8_t first[DPS_HTTP_HEAD_MAX];
    CHECK_EQUAL(flow_open(&f, "once", true), 0);
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (!(dps_device_want(&f.device) == DPS_WANT_SEND && f.device.http_requests == 1)) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    const struct bytes out = dps_device_net_out(&f.device);
    memcpy(first, out.p, out.len);
    flow_ask(&f, first, out.len);
    CHECK_EQUAL(f.answer.status, 202);
    f.device.overtaken = true;                  /* or it would begin again */
    CHECK_EQUAL(flow_finish(&f), BYTES_E_HTTP); /* the engine's own copy comes second */
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_TOKEN_REPLAYED);
    flow_close(&f);
    return 0;
}

static int s09_polling_needs_the_right_token(void)
{
    uint8_t poll[DPS_HTTP_HEAD_MAX] = {0};
    CHECK_EQUAL(flow_open(&f, "poll", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    memcpy(poll, f.last_request, f.last_request_len); /* the GET */
    const size_t len = f.last_request_len;
    CHECK(memcmp(poll, "GET ", 4) == 0);
    flow_ask(&f, poll, len);
    CHECK_EQUAL(f.answer.status, 200);
    char *expiry = strstr((char *)poll, "&se=1");
    CHECK(expiry != NULL);
    expiry[5] ^= 1; /* another time than was signed */
    flow_ask(&f, poll, len);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_TOKEN_SIGNATURE);
    /* After the next registration the old operation no longer exists. */
    expiry[5] ^= 1;
    CHECK_EQUAL(flow_register(&f), 0);
    flow_ask(&f, poll, len);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_OPERATION);
    flow_close(&f);
    return 0;
}

static int s06_rate_is_limited(void)
{
    CHECK_EQUAL(flow_open(&f, "rate", true), 0);
    f.service_config.challenges_per_minute = 3;
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(flow_register(&f), 0);
    }
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (f.device.attempts == 0) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    CHECK(f.answer.refusal == DPS_REFUSED_RATE && f.answer.status == 429 && f.answer.has_retry_after);
    CHECK_EQUAL(dps_device_want(&f.device), DPS_WANT_WAIT);
    CHECK_EQUAL(flow_finish(&f), 0); /* it waits as it was told, and is served */
    CHECK(f.waited_ms >= 20000);
    flow_close(&f);
    return 0;
}

static int s08_second_request_without_keys(void)
{
    uint8_t request[DPS_HTTP_HEAD_MAX];
    CHECK_EQUAL(flow_open(&f, "hint", true), 0);
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (!(dps_device_want(&f.device) == DPS_WANT_SEND && f.device.http_requests == 1)) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    dps_write_text(&w,
                   "PUT /" FLOW_SCOPE "/registrations/device-1/register?api-version=2021-06-01 HTTP/1.1\r\n"
                   "Host: " FLOW_HOST "\r\nAuthorization: ");
    bytes_write_bytes(&w, dps_device_token_text(&f.device));
    dps_write_text(&w, "\r\nContent-Length: 29\r\n\r\n{\"registrationId\":\"device-1\"}");
    flow_ask(&f, request, w.len);
    CHECK_EQUAL(f.answer.status, 202);
    flow_close(&f);
    return 0;
}

/* ---- What the device survives ------------------------------------------------------------------------------------ */

/* The at-th response of the TPM is cut to counter bytes. */
static void truncate_response(struct flow *g, uint8_t *response, size_t *len)
{
    (void)response;
    if (g->tpm_commands == g->at && *len > g->counter) {
        *len = g->counter;
    }
}

static int tpm_truncates(void)
{
    CHECK_EQUAL(flow_open(&f, "truncates", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    const unsigned whole = f.tpm_commands;
    f.change_response = truncate_response;
    for (f.at = 1; f.at < whole; f.at++) { /* the last one flushes, when all is done */
        for (f.counter = 0; f.counter < 60; f.counter += 7) {
            f.saves = 0;
            const int error = flow_register(&f);
            if (error == 0) {
                CHECK_EQUAL(f.tpm_commands, whole); /* that response was not longer than that */
                continue;
            }
            CHECK_EQUAL(error, BYTES_E_FORMAT);
            CHECK_EQUAL(f.saves, 0);
            if (f.counter >= 14) {
                CHECK_EQUAL(nothing_is_left(), 0); /* the handle had arrived */
            }
            CHECK_EQUAL(flow_reset_tpm(&f), 0); /* one that had not cannot be flushed */
        }
    }
    flow_close(&f);
    return 0;
}

/* The at-th response of the TPM is a response code. */
static uint32_t code_given;
static void refuse_response(struct flow *g, uint8_t *response, size_t *len)
{
    if (g->tpm_commands == g->at) {
        struct bytes_writer w = bytes_writer_over(response, DPS_TPM_BUFFER);
        bytes_write_u16(&w, TPM2_ST_NO_SESSIONS);
        bytes_write_u32(&w, 10);
        bytes_write_u32(&w, code_given);
        *len = w.len;
    }
}

static int tpm_refuses(void)
{
    static const uint32_t codes[] = {0x101, 0x120, 0x143, 0x14c, 0x185, 0x1df,     0x2df,
                                     0x2e5, 0x902, 0x903, 0x904, 0x921, 0x80280400};
    CHECK_EQUAL(flow_open(&f, "refuses", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    const unsigned whole = f.tpm_commands;
    f.change_response = refuse_response;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        code_given = codes[i];
        for (f.at = 1; f.at < whole; f.at++) { /* the last one flushes, when all is done */
            f.saves = 0;
            const int error = flow_register(&f);
            CHECK_EQUAL(error, BYTES_E_TPM_RC);
            CHECK_EQUAL(f.device.rc, code_given);
            CHECK_EQUAL(f.saves, 0);
            CHECK_EQUAL(flow_reset_tpm(&f), 0); /* the test has swallowed handles */
        }
    }
    flow_close(&f);
    return 0;
}

/* "Later" three times in a row, at every command: the same bytes are sent again, and it works. */
static void later_response(struct flow *g, uint8_t *response, size_t *len)
{
    if (g->counter < 3 && g->tpm_commands >= g->at) {
        struct bytes_writer w = bytes_writer_over(response, DPS_TPM_BUFFER);
        bytes_write_u16(&w, TPM2_ST_NO_SESSIONS);
        bytes_write_u32(&w, 10);
        bytes_write_u32(&w, 0x922);
        *len = w.len;
        g->counter++;
    }
}

static int tpm_is_busy(void)
{
    CHECK_EQUAL(flow_open(&f, "busy", true), 0);
    CHECK_EQUAL(dps_device_read_keys(&f.device, &f.config, flow_nonce), 0);
    f.change_response = later_response;
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK(f.tpm_commands == 5 && f.waited_ms >= 70);
    flow_close(&f);
    return 0;
}

/* The at-th answer of the service ends after counter bytes. */
static void cut_answer(struct flow *g)
{
    if (g->device.http_requests + 1u == g->at && g->response_len > g->counter) {
        g->response_len = g->counter;
        g->touched = true;
    }
}

static int service_breaks_off(void)
{
    CHECK_EQUAL(flow_open(&f, "breaks-off", true), 0);
    f.change_answer = cut_answer;
    for (f.at = 1; f.at <= 3; f.at++) {
        for (f.counter = 1; f.counter < 2000; f.counter += 97) {
            f.saves = 0;
            f.touched = false;
            const int error = flow_register(&f);
            CHECK_EQUAL(error, (f.touched ? BYTES_E_STREAM : 0));
            CHECK_EQUAL(nothing_is_left(), 0);
            CHECK(error == 0 || f.saves == 0);
        }
    }
    flow_close(&f);
    return 0;
}

/* One byte of the at-th answer's body is changed: an error or a correct end, and nothing left behind. */
static void change_byte(struct flow *g)
{
    if (g->device.http_requests + 1u == g->at) {
        const size_t position = g->response_len - 1 - g->counter % g->response_len;
        g->response[position] ^= 0x15;
    }
}

static int service_sends_nonsense(void)
{
    CHECK_EQUAL(flow_open(&f, "nonsense", true), 0);
    f.change_answer = change_byte;
    for (f.at = 1; f.at <= 3; f.at++) {
        for (f.counter = 0; f.counter < 1300; f.counter += 37) {
            (void)flow_register(&f);
            CHECK(dps_device_want(&f.device) == DPS_WANT_DONE || f.device.error < 0);
            CHECK_EQUAL(nothing_is_left(), 0);
        }
    }
    flow_close(&f);
    return 0;
}

/* A mistake in a kept record is reported before the TPM is asked. */
static int torn_records(void)
{
    CHECK_EQUAL(flow_open(&f, "torn", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    for (size_t len = 0; len < f.record_len; len++) {
        CHECK_EQUAL(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, len)),
                    BYTES_E_STATE);
    }
    for (size_t i = 0; i < f.record_len; i++) {
        f.record[i] ^= 0x20;
        CHECK_EQUAL(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)),
                    BYTES_E_STATE);
        f.record[i] ^= 0x20;
    }
    CHECK_EQUAL(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    flow_close(&f);
    return 0;
}

/* An administrator deletes the registration: the next one is a first one again, but its hub key is a new one. */
static int s09_a_deleted_registration_keeps_its_generation(void)
{
    uint8_t signed_request[DPS_HTTP_HEAD_MAX];
    struct dps_registration r;
    uint64_t version;
    uint8_t json[1024];
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    CHECK_EQUAL(flow_open(&f, "deleted", true), 0);
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (f.device.http_requests < 2) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    memcpy(signed_request, f.last_request, f.last_request_len);
    const size_t len = f.last_request_len;
    CHECK_EQUAL(flow_finish(&f), 0);

    CHECK_EQUAL(dps_load_registration(&f.service, bytes_of_text("device-1"), &r, &version), DPS_ACCEPTED);
    CHECK(r.generation == 1 && !r.deleted);
    r.deleted = true;
    dps_registration_write(&w, &r);
    CHECK_EQUAL(f.service.store.put(f.service.store.context, DPS_TABLE_REGISTRATIONS,
                                    bytes_of_text("device-1"), bytes_written(&w), version, &version),
                0);
    flow_ask(&f, signed_request, len);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_TOKEN_REPLAYED);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.substatus, "initialAssignment");
    CHECK_EQUAL(dps_load_registration(&f.service, bytes_of_text("device-1"), &r, &version), DPS_ACCEPTED);
    CHECK(r.generation == 2 && !r.deleted);
    flow_close(&f);
    return 0;
}

/* What the enrollment has for the device as payload is handed over with the assignment. */
static int s09_payload_is_returned(void)
{
    CHECK_EQUAL(flow_open(&f, "payload", true), 0);
    CHECK(flow_enroll(&f, "device-1", bytes_of(f.device.ek, f.device.ek_len),
                      ",\"payload\":{\"site\":\"north\"}") == 0);
    CHECK_EQUAL(flow_register(&f), 0);
    f.response[f.response_len] = 0;
    CHECK(strstr((char *)f.response, ",\"payload\":{\"site\":\"north\"}}}") != NULL);
    flow_close(&f);
    return 0;
}

/* Two registrations want one deviceId at one hub: the second is refused, and nothing of it is left in the store. */
static int s09_device_id_is_taken(void)
{
    struct dps_registration r;
    uint64_t version;
    CHECK_EQUAL(flow_open(&f, "taken", true), 0);
    const struct bytes ek = bytes_of(f.device.ek, f.device.ek_len);
    CHECK(flow_enroll(&f, "device-2", ek, ",\"deviceId\":\"device-1\",\"iotHubs\":[\"hub-a.example\"]") == 0);
    CHECK(flow_enroll(&f, "device-1", ek, ",\"iotHubs\":[\"hub-a.example\"]") == 0);
    CHECK_EQUAL(flow_register(&f), 0);
    f.config.registration_id = "device-2";
    f.saves = 0;
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK(f.answer.refusal == DPS_REFUSED_DEVICE_ID_TAKEN && f.saves == 0);
    CHECK_EQUAL(dps_load_registration(&f.service, bytes_of_text("device-2"), &r, &version), DPS_ACCEPTED);
    CHECK_EQUAL(version, 0);
    flow_close(&f);
    return 0;
}

/* A stolen store gives nobody a key: neither nonce nor hub key nor the secret is in any record. */
static int the_store_holds_no_secret(void)
{
    uint8_t token[DPS_TOKEN_MAX];
    CHECK_EQUAL(flow_open(&f, "no-secret", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    const struct bytes made = dps_device_token_text(&f.device);
    memcpy(token, made.p, made.len);
    struct dps_sas sas;
    CHECK_EQUAL(dps_sas_parse(bytes_of(token, made.len), &sas), 0);
    uint8_t key[32];
    char hub_key[80];
    CHECK(f.memory.capacity > 0);
    /* The hub key, computed as the service does, signs the device's token... */
    unsigned found = 0;
    for (size_t i = 0; i < f.memory.capacity; i++) {
        const struct posix_memory_record *r = &f.memory.records[i];
        if (r->table != 0) {
            found++;
        }
    }
    CHECK_EQUAL(found, 4); /* enrollment, registration, device, runs */
    struct dps_registration made_now;
    uint64_t version;
    CHECK_EQUAL(dps_load_registration(&f.service, bytes_of_text("device-1"), &made_now, &version),
                DPS_ACCEPTED);
    CHECK(dps_hub_key(&f.service, &made_now, key));
    CHECK(dps_sas_signed_with(&sas, bytes_of(key, sizeof key)));
    /* ... and is in no record, neither raw nor as hex or base64. */
    struct bytes_writer w = bytes_writer_over((uint8_t *)hub_key, sizeof hub_key);
    dps_write_base64(&w, bytes_of(key, sizeof key));
    for (size_t i = 0; i < f.memory.capacity; i++) {
        const struct posix_memory_record *r = &f.memory.records[i];
        for (size_t at = 0; r->table != 0 && at + 16 <= r->len; at++) {
            CHECK(memcmp(r->value + at, hub_key, 16) != 0);
            CHECK(memcmp(r->value + at, key, 16) != 0);
        }
    }
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s01-s10 a device registers; nothing is left in the TPM, nothing is written to it",
         s01_to_s10_register},
        {"s07 fifteen TPM commands with EK and SRK at hand, no NV write",
         s07_fifteen_commands_with_keys_at_hand},
        {"s10 the hub accepts the delivered key, and only the last one", s10_hub_accepts_the_device},
        {"s08 a device without a clock takes the service's Date", s08_time_from_the_service},
        {"s10 a device without a clock asks its hub for the Date", s10_time_from_the_hub},
        {"s04 the default registration ID is made of the EK", s04_default_registration_id},
        {"s09 deviceId and hubs of the enrollment; moving to another hub", s09_device_id_of_the_enrollment},
        {"s04 every message split at every size", s04_every_split_of_every_message},
        {"killed after every step and begun again", restarted_after_every_step},
        {"the same without persistent keys", restarted_after_every_step_without_persistent_keys},
        {"the engine may be copied at any moment", engine_may_be_copied},
        {"s03 an owner sets authorizations; without them the TPM refuses", s03_owner_sets_authorizations},
        {"s03 clear: same EK, other SRK, old keys and seals dead, registers again",
         s03_clear_kills_the_old_owners_keys},
        {"s07 cleared between challenge and answer", s07_cleared_between_challenge_and_answer},
        {"s09 two registrations of one device at once: the second begins again", s09_two_at_once},
        {"s09 but not twice", s09_overtaken_twice},
        {"s05 unknown ID, wrong scope, other EK, disabled", s05_unknown_wrong_and_disabled},
        {"s05 a software key as SRK", s05_software_srk},
        {"s08 replayed, expired, foreign and malformed tokens", s08_replayed_and_foreign_tokens},
        {"s08 a nonce expires", s08_nonce_expires},
        {"s09 a nonce succeeds at most once", s09_a_nonce_succeeds_once},
        {"s09 a deleted registration keeps its generation", s09_a_deleted_registration_keeps_its_generation},
        {"s09 a deviceId that is taken", s09_device_id_is_taken},
        {"s09 the enrollment's payload is returned", s09_payload_is_returned},
        {"s09 polling needs the operation's own token", s09_polling_needs_the_right_token},
        {"s06 challenges are rationed, and the device waits as told", s06_rate_is_limited},
        {"s08 the second request may leave the keys out", s08_second_request_without_keys},
        {"the TPM's responses truncated", tpm_truncates},
        {"the TPM refuses each command with each code", tpm_refuses},
        {"the TPM is busy", tpm_is_busy},
        {"the service breaks off", service_breaks_off},
        {"the service's answers changed byte by byte", service_sends_nonsense},
        {"torn records", torn_records},
        {"the store holds no secret", the_store_holds_no_secret},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
