/* SPDX-License-Identifier: MIT */
/* Which hub a device is given, and what becomes of it and its data when it registers again. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/allocation.h"
#include "dps/service/enrollment.h"
#include "dps/service/registration.h"
#include "dps/service/state.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

static struct flow f;

/* ---- Hashed allocation, without a device ------------------------------------------------------------- */

#define IDS 10000

static struct dps_service_config config;

static void link_hubs(size_t count, const uint16_t *weights)
{
    memset(&config, 0, sizeof config);
    config.hub_count = count;
    for (size_t i = 0; i < count; i++) {
        snprintf(config.hubs[i].name, sizeof config.hubs[i].name, "hub-%zu.example", i);
        config.hubs[i].weight = weights[i];
    }
}

/* The hub of the i-th device, or hub_count. */
static size_t hub_of(const struct dps_enrollment *e, unsigned i)
{
    char id[32];
    size_t index;
    snprintf(id, sizeof id, "device-%05u", i);
    return dps_allocate(&config, e, bytes_of_text(id), &index) == DPS_ACCEPTED ? index : config.hub_count;
}

/* Shares follow the weights within four standard deviations, which is at most 4 * sqrt(10 000 / 4)
 * devices. */
static int hashed_by_weight(void)
{
    static const uint16_t weights[][4] = {
        {1, 1, 1, 1}, {1, 2, 3, 4}, {1000, 1, 1, 1}, {0, 1, 1, 2}, {7, 7, 7, 979}};
    const struct dps_enrollment e = {.policy = DPS_ALLOCATION_HASHED};
    for (size_t w = 0; w < sizeof weights / sizeof weights[0]; w++) {
        unsigned total = 0;
        unsigned counts[4] = {0};
        link_hubs(4, weights[w]);
        for (unsigned i = 0; i < IDS; i++) {
            counts[hub_of(&e, i)]++;
        }
        for (size_t h = 0; h < 4; h++) {
            total += weights[w][h] != 0 ? weights[w][h] : 1; /* a weight of 0 counts as the default */
        }
        for (size_t h = 0; h < 4; h++) {
            const double p = (weights[w][h] != 0 ? weights[w][h] : 1) / (double)total;
            const double off = counts[h] - IDS * p;
            CHECK(off * off <= 16 * IDS * p * (1 - p) + 16);
        }
    }
    return 0;
}

/* A new hub takes its share and moves no other device; when it goes, every device is where it was. */
static int hashed_is_stable(void)
{
    static const uint16_t weights[] = {3, 5, 2, 4, 6};
    static uint8_t before[IDS];
    const struct dps_enrollment e = {.policy = DPS_ALLOCATION_HASHED};
    unsigned moved = 0;
    link_hubs(4, weights);
    for (unsigned i = 0; i < IDS; i++) {
        before[i] = (uint8_t)hub_of(&e, i);
        CHECK_EQUAL(before[i], hub_of(&e, i));
    }
    link_hubs(5, weights);
    for (unsigned i = 0; i < IDS; i++) {
        const size_t now = hub_of(&e, i);
        CHECK(now == before[i] || now == 4);
        moved += now == 4;
    }
    CHECK(moved > 2500 && moved < 3500); /* 6 of 20 */

    /* The order in which hubs are linked does not matter; nor does removing one for the devices of the others. */
    link_hubs(4, weights);
    const struct dps_hub_config first = config.hubs[0];
    memmove(config.hubs, config.hubs + 1, 3 * sizeof config.hubs[0]);
    config.hubs[3] = first;
    for (unsigned i = 0; i < IDS; i++) {
        CHECK_EQUAL(hub_of(&e, i), (before[i] + 3u) % 4);
    }
    config.hub_count = 3;
    for (unsigned i = 0; i < IDS; i++) {
        CHECK(before[i] == 0 || hub_of(&e, i) == before[i] - 1u);
    }
    return 0;
}

/* The enrollment's list narrows the choice; hubs that are not linked do not count. */
static int own_hub_list(void)
{
    static const uint16_t weights[] = {1, 1, 1, 1};
    struct dps_enrollment e = {.policy = DPS_ALLOCATION_HASHED};
    unsigned counts[5] = {0};
    link_hubs(4, weights);
    e.hubs = bytes_of_text("[\"HUB-1.example\",\"elsewhere.example\",\"hub-3.example\"]");
    for (unsigned i = 0; i < 1000; i++) {
        counts[hub_of(&e, i)]++;
    }
    CHECK(counts[0] == 0 && counts[2] == 0 && counts[4] == 0);
    CHECK(counts[1] > 400 && counts[3] > 400);
    e.hubs = bytes_of_text("[]"); /* as if it were not there */
    memset(counts, 0, sizeof counts);
    for (unsigned i = 0; i < 1000; i++) {
        counts[hub_of(&e, i)]++;
    }
    CHECK(counts[0] > 150 && counts[1] > 150 && counts[2] > 150 && counts[3] > 150);
    e.hubs = bytes_of_text("[\"elsewhere.example\"]");
    CHECK_EQUAL(hub_of(&e, 1), config.hub_count);
    e.hubs = bytes_of(NULL, 0);
    e.single_hub = bytes_of_text("\"hub-2.example\""); /* the legacy member */
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQUAL(hub_of(&e, i), 2);
    }
    return 0;
}

static int static_takes_the_first(void)
{
    static const uint16_t weights[] = {1, 1000, 1, 1};
    struct dps_enrollment e = {.policy = DPS_ALLOCATION_STATIC};
    link_hubs(4, weights);
    e.hubs = bytes_of_text("[\"hub-2.example\"]");
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQUAL(hub_of(&e, i), 2);
    }
    /* The service's own default applies to an enrollment that names no policy. */
    e.policy = DPS_ALLOCATION_DEFAULT;
    e.hubs = bytes_of(NULL, 0);
    config.allocation = DPS_DEFAULT_STATIC;
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQUAL(hub_of(&e, i), 0);
    }
    config.allocation = DPS_DEFAULT_HASHED;
    unsigned second = 0;
    for (unsigned i = 0; i < 100; i++) {
        second += hub_of(&e, i) == 1;
    }
    CHECK(second > 90);
    return 0;
}

/* ---- What an enrollment may say ---------------------------------------------------------------------- */

/* A device with this TPM's EK, enrolled with `more`. */
static int enroll(const char *more)
{
    static uint8_t ek[DPS_EK_PUBLIC_MAX];
    static size_t ek_len;
    if (f.device.ek_len > 0) {
        ek_len = f.device.ek_len;
        memcpy(ek, f.device.ek, ek_len);
    }
    return flow_enroll(&f, "device-1", bytes_of(ek, ek_len), more);
}

static enum dps_refusal parse(const char *more)
{
    static char json[2048];
    uint8_t base64[512] = {0};
    struct bytes_writer w = bytes_writer_over(base64, sizeof base64 - 1);
    struct dps_enrollment e;
    const char *detail;
    dps_write_base64(&w, bytes_of(f.device.ek, f.device.ek_len));
    snprintf(json, sizeof json,
             "{\"registrationId\":\"device-1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":"
             "\"%s\"}}%s}",
             (const char *)base64, more);
    const enum dps_refusal no = dps_enrollment_parse(bytes_of_text(json), &e, &detail);
    return no == DPS_ACCEPTED && detail[0] != '\0' ? DPS_REFUSED_INTERNAL : no;
}

static int policies(void)
{
    CHECK_EQUAL(flow_open(&f, "policies", true), 0);
    CHECK_EQUAL(parse(""), DPS_ACCEPTED);
    CHECK(parse(",\"allocationPolicy\":\"hashed\"") == DPS_ACCEPTED);
    CHECK(parse(",\"allocationPolicy\":\"geoLatency\"") == DPS_ACCEPTED);
    CHECK(parse(",\"allocationPolicy\":\"static\",\"iotHubs\":[\"hub-a.example\"]") == DPS_ACCEPTED);
    CHECK(parse(",\"allocationPolicy\":\"custom\"") == DPS_REFUSED_ENROLLMENT);
    CHECK(parse(",\"allocationPolicy\":\"nearest\"") == DPS_REFUSED_ENROLLMENT);
    CHECK(parse(",\"allocationPolicy\":1") == DPS_REFUSED_ENROLLMENT);
    flow_close(&f);
    return 0;
}

/* Latencies are not known here: geoLatency gives the hub that hashed gives. */
static int geo_latency_is_hashed(void)
{
    char hub[DPS_HOST_MAX + 1];
    CHECK_EQUAL(flow_open(&f, "geo", true), 0);
    CHECK(enroll(",\"allocationPolicy\":\"hashed\"") == 0);
    CHECK_EQUAL(flow_register(&f), 0);
    strcpy(hub, f.device.assigned_hub);
    CHECK(enroll(",\"allocationPolicy\":\"geoLatency\"") == 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(hub, f.device.assigned_hub);
    flow_close(&f);
    return 0;
}

static int no_candidate(void)
{
    CHECK_EQUAL(flow_open(&f, "no-candidate", true), 0);
    CHECK(enroll(",\"iotHubs\":[\"elsewhere.example\"]") == 0);
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK(f.answer.refusal == DPS_REFUSED_NO_HUB && f.device.service_error == 400208);
    /* Nothing was written: the device registers for the first time when there is a hub. */
    CHECK_EQUAL(enroll(""), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.substatus, "initialAssignment");
    flow_close(&f);
    return 0;
}

static int device_ids(void)
{
    static const char *const good[] = {"A", "Z-.+%_#*?!(),:=@$'9", "MixedCase"};
    static const char *const bad[] = {"", "a b", "a/b", "a&b", "\\u00e4", "a\\u0000b", "a\\\"b"};
    char more[256];
    CHECK_EQUAL(flow_open(&f, "device-ids", true), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(more, sizeof more, ",\"deviceId\":\"%s\"", bad[i]);
        CHECK_EQUAL(parse(more), DPS_REFUSED_ENROLLMENT);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(more, sizeof more, ",\"deviceId\":\"%s\"", good[i]);
        CHECK_EQUAL(enroll(more), 0);
        CHECK_EQUAL(flow_register(&f), 0);
        CHECK_EQUAL(f.device.device_id, good[i]);
        f.config.data = bytes_of_text("x");
        CHECK_EQUAL(dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
        CHECK_EQUAL(flow_finish(&f), 0);
    }
    /* 128 characters, and not one more; without one, and with null, the registrationId. */
    snprintf(more, sizeof more, ",\"deviceId\":\"%0128d\"", 7);
    CHECK_EQUAL(enroll(more), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(strlen(f.device.device_id), 128);
    snprintf(more, sizeof more, ",\"deviceId\":\"%0129d\"", 7);
    CHECK_EQUAL(parse(more), DPS_REFUSED_ENROLLMENT);
    CHECK(enroll(",\"deviceId\":null") == 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.device_id, "device-1");
    flow_close(&f);
    return 0;
}

/* ---- Registering again ------------------------------------------------------------------------------- */

/* The device's record at a hub contains this text; null: it has no record there. */
static bool hub_holds(const char *hub, const char *text)
{
    static uint8_t value[DPS_RECORD_MAX];
    uint8_t key[DPS_KEY_MAX];
    struct bytes_writer w = bytes_writer_over(key, sizeof key);
    size_t len;
    uint64_t version;
    dps_hub_device_key(&w, bytes_of_text(hub), bytes_of_text("device-1"));
    const int error = f.service.store.get(f.service.store.context, DPS_TABLE_DEVICES, bytes_written(&w),
                                          value, sizeof value - 1, &len, &version);
    if (error != 0) {
        return text == NULL && error == BYTES_E_NOT_FOUND;
    }
    value[len] = 0;
    return text != NULL && strstr((const char *)value, text) != NULL;
}

#define AT_A ",\"iotHubs\":[\"hub-a.example\"]"
#define AT_B ",\"iotHubs\":[\"hub-b.example\"]"
#define TWIN_1 ",\"initialTwin\":{\"tags\":{\"n\":1},\"properties\":{\"desired\":{}}}"
#define TWIN_2 ",\"initialTwin\":{\"tags\":{\"n\":2}}"
#define ONE "\"twin\":{\"tags\":{\"n\":1},\"properties\":{\"desired\":{}}}"
#define TWO "\"twin\":{\"tags\":{\"n\":2}}"

static int registered_as(const char *hub, const char *substatus)
{
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(f.device.assigned_hub, hub);
    CHECK_EQUAL(f.device.substatus, substatus);
    return 0;
}

static int initial_twin(void)
{
    CHECK_EQUAL(flow_open(&f, "twin", true), 0);
    CHECK_EQUAL(enroll(AT_A TWIN_1), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "initialAssignment"), 0);
    CHECK(hub_holds("hub-a.example", ONE) && hub_holds("hub-b.example", NULL));
    /* It is the initial one: the same hub again, and the enrollment's new one changes nothing. */
    CHECK_EQUAL(enroll(AT_A TWIN_2), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "reprovisionedToInitialAssignment"), 0);
    CHECK(hub_holds("hub-a.example", ONE));
    CHECK_EQUAL(enroll(AT_A), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "reprovisionedToInitialAssignment"), 0);
    CHECK(hub_holds("hub-a.example", ONE));
    flow_close(&f);
    return 0;
}

static int migrate(void)
{
    CHECK_EQUAL(flow_open(&f, "migrate", true), 0);
    CHECK_EQUAL(enroll(AT_A TWIN_1), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "initialAssignment"), 0);
    CHECK(enroll(AT_B TWIN_2
                 ",\"reprovisionPolicy\":{\"updateHubAssignment\":true,\"migrateDeviceData\":true}") == 0);
    CHECK_EQUAL(registered_as("hub-b.example", "deviceDataMigrated"), 0);
    CHECK(hub_holds("hub-a.example", NULL) && hub_holds("hub-b.example", ONE));
    /* The default is the same. */
    CHECK_EQUAL(enroll(AT_A TWIN_2), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "deviceDataMigrated"), 0);
    CHECK(hub_holds("hub-b.example", NULL) && hub_holds("hub-a.example", ONE));
    flow_close(&f);
    return 0;
}

static int reset(void)
{
    CHECK_EQUAL(flow_open(&f, "reset", true), 0);
    CHECK_EQUAL(enroll(AT_A TWIN_1), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "initialAssignment"), 0);
    CHECK(enroll(AT_B TWIN_2 ",\"reprovisionPolicy\":{\"migrateDeviceData\":false}") == 0);
    CHECK_EQUAL(registered_as("hub-b.example", "deviceDataReset"), 0);
    CHECK(hub_holds("hub-a.example", NULL) && hub_holds("hub-b.example", TWO));
    flow_close(&f);
    return 0;
}

#define NEVER ",\"reprovisionPolicy\":{\"updateHubAssignment\":false,\"migrateDeviceData\":false}"

static int never(void)
{
    CHECK_EQUAL(flow_open(&f, "never", true), 0);
    CHECK_EQUAL(enroll(AT_A TWIN_1), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "initialAssignment"), 0);
    CHECK_EQUAL(enroll(AT_B TWIN_2 NEVER), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "reprovisionedToInitialAssignment"), 0);
    CHECK(hub_holds("hub-a.example", ONE) && hub_holds("hub-b.example", NULL));
    /* Unless its hub is no longer linked: then it cannot stay. */
    f.service_config.hubs[0] = f.service_config.hubs[1];
    f.service_config.hub_count = 1;
    CHECK_EQUAL(registered_as("hub-b.example", "deviceDataReset"), 0);
    CHECK(hub_holds("hub-b.example", TWO));
    flow_close(&f);
    return 0;
}

/* The device's record at the old hub has vanished or is damaged: in the first case it is served, in the
 * second an operator has to look. */
static int old_record_is_gone_or_damaged(void)
{
    static const char damaged[] = "{\"twin\":1,\"twin\":2}";
    const struct bytes key = bytes_of_text("hub-a.example/device-1");
    uint64_t version;
    CHECK_EQUAL(flow_open(&f, "damaged", true), 0);
    CHECK_EQUAL(enroll(AT_A TWIN_1), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "initialAssignment"), 0);
    CHECK_EQUAL(f.service.store.remove(f.service.store.context, DPS_TABLE_DEVICES, key, 0), 0);
    CHECK_EQUAL(enroll(AT_B TWIN_2), 0);
    CHECK_EQUAL(registered_as("hub-b.example", "deviceDataMigrated"), 0);
    CHECK(hub_holds("hub-b.example", TWO));
    CHECK_EQUAL(enroll(AT_A), 0);
    CHECK_EQUAL(registered_as("hub-a.example", "deviceDataMigrated"), 0);
    CHECK_EQUAL(f.service.store.remove(f.service.store.context, DPS_TABLE_DEVICES, key, 0), 0);
    CHECK_EQUAL(f.service.store.put(f.service.store.context, DPS_TABLE_DEVICES, key, bytes_of_text(damaged),
                                    0, &version),
                0);
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK_EQUAL(f.answer.refusal, DPS_REFUSED_INTERNAL);
    flow_close(&f);
    return 0;
}

/* ---- Clients older than reprovisioning --------------------------------------------------------------- */

/* Our engine in the role of an old client: the version in its requests is replaced on the way. The loop is
 * flow_run's. */
static int register_with(const char *version)
{
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    enum dps_want want = dps_device_want(&f.device);
    while (want != DPS_WANT_DONE && want != DPS_WANT_FAILED) {
        char *at = want == DPS_WANT_SEND ? strstr((char *)f.device.net, "api-version=") : NULL;
        if (at != NULL) {
            memcpy(at + strlen("api-version="), version, 10);
        }
        want = flow_run(&f, 1);
    }
    return want == DPS_WANT_DONE ? 0 : f.device.error;
}

static int old_versions_stay(void)
{
    CHECK_EQUAL(flow_open(&f, "old", true), 0);
    CHECK_EQUAL(enroll(AT_A), 0);
    CHECK_EQUAL(register_with("2018-04-01"), 0);
    CHECK_EQUAL(f.device.substatus, "initialAssignment");
    CHECK_EQUAL(enroll(AT_B), 0);
    CHECK(register_with("2017-11-15") == 0 && strcmp(f.device.assigned_hub, "hub-a.example") == 0);
    CHECK(register_with("2018-04-01") == 0 && strcmp(f.device.assigned_hub, "hub-a.example") == 0);
    CHECK_EQUAL(f.device.substatus, "reprovisionedToInitialAssignment");
    CHECK(enroll(AT_B ",\"reprovisionPolicy\":null") == 0);
    CHECK(register_with("2018-04-01") == 0 && strcmp(f.device.assigned_hub, "hub-a.example") == 0);
    /* An enrollment that does say something decides for them too, and new clients move by default. */
    CHECK(enroll(AT_B ",\"reprovisionPolicy\":{}") == 0);
    CHECK(register_with("2018-04-01") == 0 && strcmp(f.device.assigned_hub, "hub-b.example") == 0);
    CHECK_EQUAL(enroll(AT_A), 0);
    CHECK(register_with("2018-09-01") == 0 && strcmp(f.device.assigned_hub, "hub-a.example") == 0);
    CHECK_EQUAL(f.device.substatus, "deviceDataMigrated");
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"hashed: shares of 10 000 devices follow the weights", hashed_by_weight},
        {"hashed: a hub that comes or goes moves only its own devices", hashed_is_stable},
        {"the enrollment's own hub list, and the legacy iotHubHostName", own_hub_list},
        {"static, of the enrollment and of the service", static_takes_the_first},
        {"custom and unknown policies are refused", policies},
        {"geoLatency is treated as hashed", geo_latency_is_hashed},
        {"no candidate: 400208, and nothing is written", no_candidate},
        {"deviceId: which characters, how many, and the registrationId by default", device_ids},
        {"initialTwin goes to the hub's record, once", initial_twin},
        {"reprovisionPolicy migrate: deviceDataMigrated, the twin moves", migrate},
        {"reprovisionPolicy reset: deviceDataReset, the twin is the initial one again", reset},
        {"reprovisionPolicy never: reprovisionedToInitialAssignment", never},
        {"the old hub's record is gone, or damaged", old_record_is_gone_or_damaged},
        {"api-version up to 2018-04-01 and no reprovisionPolicy: never moved", old_versions_stay},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
