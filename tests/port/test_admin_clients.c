/* SPDX-License-Identifier: MIT */
/* The management API (step 2) with what clients and their users really send: bulk operations and pages of full size,
 * keys in the wrong place, words in any case, hubs that are gone. */
#include "dps/protocol/text.h"
#include "dps/service/front_door.h"
#include "tests/port/admin_bench.h"
#include "tests/unit/test.h"
#include "tpm/public.h"
#include <stdio.h>
#include <string.h>

#define DEV1 "/enrollments/dev1" VERSION
#define BULK "/enrollments" VERSION
#define QUERY "/enrollments/query" VERSION

static char body[DPS_HTTP_BODY_MAX + DPS_RECORD_MAX];

static size_t count(const char *part)
{
    size_t n = 0;
    for (const char *at = (const char *)bench.body; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    return n;
}

/* ---- Sizes ---- */

/* A bulk operation of so many enrollments, each with a payload of so many bytes. */
static unsigned ask_bulk(unsigned items, unsigned payload)
{
    static char more[2 * DPS_RECORD_MAX];
    char id[32];
    size_t len = (size_t)snprintf(body, sizeof body, "{\"mode\":\"create\",\"enrollments\":[");
    snprintf(more, sizeof more, ",\"payload\":\"%0*d\"", (int)payload, 0);
    for (unsigned i = 0; i < items; i++) {
        snprintf(id, sizeof id, "dev-%u", i);
        len += (size_t)snprintf(body + len, sizeof body - len, "%s%s", i > 0 ? "," : "",
                                bench_enrollment(id, more));
    }
    snprintf(body + len, sizeof body - len, "]}");
    return bench_ask("POST", BULK, "", body);
}

/* Ten enrollments that each fill a record. What is larger says which limit it met. */
static int s02_bulk_full(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(ask_bulk(10, DPS_RECORD_MAX - 700) == 200 && bench_answered("\"isSuccessful\":true"));
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(ask_bulk(1, DPS_RECORD_MAX) == 200 && bench_answered("413001") &&
          bench_answered("an enrollment may have 8192 bytes"));
    CHECK(ask_bulk(11, 10) == 400 && bench_answered("1 to 10 enrollments"));
    return 0;
}

static int s02_request_limit_named(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    dps_service_answer_unreadable(&bench.service, BYTES_E_LIMIT, bench.body, sizeof bench.body - 1,
                                  &bench.answer);
    bench.body[bench.answer.body.len] = 0;
    CHECK(bench.answer.status == 413 && bench.answer.error_code == 413001);
    CHECK(bench_answered("4096 bytes of head and 131072 of body"));
    dps_service_answer_unreadable(&bench.service, BYTES_E_FORMAT, bench.body, sizeof bench.body - 1,
                                  &bench.answer);
    CHECK(bench.answer.status == 400 && bench.answer.detail[0] == 0);
    return 0;
}

/* A page has as many enrollments as were asked for, a hundred at the most, of an ordinary size. */
static int s02_pages_as_asked(void)
{
    static const struct {
        const char *header;
        size_t items;
    } pages[] = {{"", 100},
                 {"x-ms-max-item-count: 1\r\n", 1},
                 {"x-ms-max-item-count: 73\r\n", 73},
                 {"x-ms-max-item-count: 100\r\n", 100},
                 {"x-ms-max-item-count: 101\r\n", 100}};
    CHECK_EQUAL(bench_setup(), 0);
    for (unsigned i = 0; i < 120; i++) {
        char target[96];
        char id[32];
        snprintf(id, sizeof id, "dev-%03u", i);
        snprintf(target, sizeof target, "/enrollments/%s" VERSION, id);
        CHECK(bench_ok("PUT", target, "",
                       bench_enrollment(id, ",\"deviceId\":\"pump\",\"iotHubs\":[\"hub-a.example\"],"
                                            "\"initialTwin\":{\"tags\":{\"site\":\"north\"}}"),
                       200, 0));
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        CHECK(bench_ok("POST", QUERY, pages[i].header, "{\"query\":\"*\"}", 200, 0));
        CHECK(count("\"attestation\"") == pages[i].items && bench.answer.continuation_len > 0);
    }
    return 0;
}

/* ---- Words ---- */

/* Whatever their case was, one spelling is kept. */
static int s02_words_without_case(void)
{
    static const char *const words[][2] = {{"Hashed", "hashed"},
                                           {"STATIC", "static"},
                                           {"GeoLatency", "geoLatency"},
                                           {"geolatency", "geoLatency"}};
    char more[128];
    char expected[64];
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(more, sizeof more, ",\"allocationPolicy\":\"%s\",\"provisioningStatus\":\"%s\"", words[i][0],
                 i % 2 == 0 ? "Disabled" : "ENABLED");
        snprintf(expected, sizeof expected, "\"allocationPolicy\":\"%s\"", words[i][1]);
        CHECK(bench_ok("PUT", DEV1, i > 0 ? "If-Match: *\r\n" : "", bench_enrollment("dev1", more), 200, 0));
        CHECK(bench_answered(expected) &&
              bench_answered(i % 2 == 0 ? "\"provisioningStatus\":\"disabled\"" : "\"enabled\""));
    }
    /* What is a name and not a word keeps its case. */
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n", bench_enrollment("dev1", ",\"deviceId\":\"STATIC\""), 200,
                   0));
    CHECK(bench_answered("\"deviceId\":\"STATIC\""));
    snprintf(
        body, sizeof body,
        "{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"TPM\",\"tpm\":{\"endorsementKey\":\"%s\"},"
        "\"x509\":null,\"symmetricKey\":null}}",
        bench.ek);
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n", body, 200, 0) && bench_answered("\"type\":\"tpm\""));
    return 0;
}

/* Tools list groups beside enrollments; C's and Node.js's samples ask for "*". */
static int s02_no_groups(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("POST", "/enrollmentGroups/query" VERSION, "", "{\"query\":\"*\"}", 200, 0));
    CHECK(strcmp((char *)bench.body, "[]") == 0 && bench.answer.continuation_len == 0);
    CHECK(bench.answer.item_type != NULL && strcmp(bench.answer.item_type, "EnrollmentGroup") == 0);
    CHECK(bench_ok("POST", "/enrollmentGroups/query" VERSION, "", "[", 400, 400002));
    CHECK(bench_gives(NULL, "POST", "/enrollmentGroups/query" VERSION, "", "{}", 401, 401000));
    return 0;
}

/* ---- Attestation ---- */

static void write_2b(char *base64, size_t size, struct tpm2_public area)
{
    static const uint8_t modulus[256] = {[0] = 0xD7, [255] = 0xD7};
    uint8_t bytes[DPS_EK_PUBLIC_MAX];
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    struct bytes_writer b = bytes_writer_over((uint8_t *)base64, size - 1);
    area.unique = bytes_of(modulus, sizeof modulus);
    tpm2_public_write_2b(&w, &area);
    dps_write_base64(&b, bytes_written(&w));
    base64[b.len] = 0;
}

static bool put_srk(struct tpm2_public area, unsigned status, uint32_t code)
{
    char srk[512];
    write_2b(srk, sizeof srk, area);
    snprintf(
        body, sizeof body,
        "{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"%s\","
        "\"storageRootKey\":\"%s\"}}}",
        bench.ek, srk);
    return bench_ok("PUT", DEV1, "", body, status, code);
}

/* An EK, or a key that can leave its TPM, is not an SRK, and is refused as step 5 would refuse it. */
static int s02_wrong_srk(void)
{
    struct tpm2_public loose = tpm2_template_srk();
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(put_srk(tpm2_template_ek_l1(), 400, 400012));
    loose.attributes &= ~(uint32_t)TPM2_OBJECT_FIXED_TPM;
    CHECK(put_srk(loose, 400, 400012));
    CHECK(put_srk(tpm2_template_srk(), 200, 0));
    return 0;
}

/* Nothing besides the TPM's keys is dropped silently: it is refused. */
static int s02_attestation_members(void)
{
    static const char *const more[][2] = {{",\"x509\":{\"clientCertificates\":{}}", ""},
                                          {",\"symmetricKey\":{\"primaryKey\":\"AAAA\"}", ""},
                                          {"", ",\"ekCertificate\":\"AAAA\""}};
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        snprintf(body, sizeof body,
                 "{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":"
                 "\"%s\"%s}%s}}",
                 bench.ek, more[i][1], more[i][0]);
        CHECK(bench_ok("PUT", DEV1, "", body, 400, 400007) && bench_answered("every other must be null"));
    }
    return 0;
}

/* ---- Hubs ---- */

/* A hub that is unlinked after the enrollment: it may stay, and the device can be disabled; no new enrollment may name
 * it. */
static int s02_unlinked_hub_stays(void)
{
    static const char named[] = ",\"iotHubs\":[\"hub-a.example\"],\"provisioningStatus\":\"disabled\"";
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ",\"iotHubs\":[\"hub-a.example\"]"), 200, 0));
    strcpy(bench.config.hubs[0].name, "hub-b.example");
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n", bench_enrollment("dev1", named), 200, 0));
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n",
                   bench_enrollment("dev1", ",\"iotHubHostName\":\"HUB-A.example\""), 200, 0));
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n", bench_enrollment("dev1", named), 200, 0));
    CHECK(bench_ok("PUT", "/enrollments/dev2" VERSION, "", bench_enrollment("dev2", named), 400, 400006));
    CHECK(bench_answered("hub-a.example is not a hub that is linked"));
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n",
                   bench_enrollment("dev1", ",\"iotHubs\":[\"hub-b.example\",\"hub-c.example\"]"), 400,
                   400006));
    CHECK(bench_answered("hub-c.example is not a hub that is linked"));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s02_bulk_full", s02_bulk_full},
        {"s02_request_limit_named", s02_request_limit_named},
        {"s02_pages_as_asked", s02_pages_as_asked},
        {"s02_words_without_case", s02_words_without_case},
        {"s02_no_groups", s02_no_groups},
        {"s02_wrong_srk", s02_wrong_srk},
        {"s02_attestation_members", s02_attestation_members},
        {"s02_unlinked_hub_stays", s02_unlinked_hub_stays},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
