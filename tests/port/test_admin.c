/* SPDX-License-Identifier: MIT */
/* The management API (step 2) as its clients see it: requests as bytes, through dps_service_answer, over the
 * memory store. It is among the tests of the port because that store is. test_admin_bulk.c continues with
 * bulk operations and queries. */
#include "dps/manage/admin_auth.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/records.h"
#include "dps/service/registration.h"
#include "dps/service/state.h"
#include "port/posix/store_memory.h"
#include "tests/port/admin_bench.h"
#include "tests/unit/test.h"
#include "tpm/public.h"
#include <stdio.h>
#include <string.h>

static const char *attested(const char *attestation)
{
    static char text[4096];
    snprintf(text, sizeof text, "{\"registrationId\":\"dev1\",\"attestation\":%s}", attestation);
    return text;
}

#define DEV1 "/enrollments/dev1" VERSION

/* ---- Policies ---- */

static int s02_policies(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(strcmp(bench.config.policies[0].name, "owner") == 0 &&
          bench.config.policies[0].rights == DPS_RIGHT_ALL);
    CHECK(bench.config.policies[0].primary_key_len == 20 && bench.config.policies[0].secondary_key_len == 22);
    CHECK(bench.config.policies[1].rights == DPS_RIGHT_ENROLLMENT_READ &&
          bench.config.policies[1].secondary_key_len == 0);
    CHECK_EQUAL(bench.config.policies[5].rights, 0);
    return 0;
}

static int s02_policies_refused(void)
{
#define KEY "\"primaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZg==\""
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"policies\":{}}",
        "{\"policies\":[]}",
        "{\"policies\":[1]}",
        "{\"policies\":[{\"name\":\"a\"}]}",
        "{\"policies\":[{" KEY "}]}",
        "{\"policies\":[{\"name\":\"\"," KEY "}]}",
        "{\"policies\":[{\"name\":1," KEY "}]}",
        "{\"policies\":[{\"name\":\"a\",\"name\":\"b\"," KEY "}]}",
        "{\"policies\":[{\"name\":\"12345678901234567890123456789012345678901234567890123456789012345\"," KEY
        "}]}",
        "{\"policies\":[{\"name\":\"a\",\"primaryKey\":\"MDEyMzQ1Njc4OWFiY2Rl\"}]}",   /* 15 bytes */
        "{\"policies\":[{\"name\":\"a\",\"primaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZg\"}]}", /* no padding */
        "{\"policies\":[{\"name\":\"a\",\"primaryKey\":\"0123456789abcdef0123456789abcdef01234567"
        "89abcdef0123456789abcdef0123456789abcdef0123456789ab\"}]}", /* 69 bytes */
        "{\"policies\":[{\"name\":\"a\",\"primaryKey\":null}]}",
        "{\"policies\":[{\"name\":\"a\"," KEY ",\"secondaryKey\":\"\"}]}",
        "{\"policies\":[{\"name\":\"a\"," KEY ",\"rights\":\"EnrollmentRead\"}]}",
        "{\"policies\":[{\"name\":\"a\"," KEY ",\"rights\":[\"enrollmentread\"]}]}",
        "{\"policies\":[{\"name\":\"a\"," KEY ",\"rights\":[1]}]}",
        "{\"policies\":[{\"name\":\"a\"," KEY "},{\"name\":\"a\"," KEY "}]}",
        "{\"policies\":[{\"name\":\"a\"," KEY "}]} x",
    };
    CHECK_EQUAL(bench_setup(), 0);
    static struct dps_service_config before;
    before = bench.config;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (dps_policies_parse(bytes_of_text(bad[i]), &bench.config) != BYTES_E_FORMAT) {
            printf("# accepted: %s\n", bad[i]);
        }
        CHECK_EQUAL(dps_policies_parse(bytes_of_text(bad[i]), &bench.config), BYTES_E_FORMAT);
    }
    for (size_t len = 0; len < strlen(bench_policy_file); len++) {
        CHECK_EQUAL(dps_policies_parse(bytes_of(bench_policy_file, len), &bench.config), BYTES_E_FORMAT);
    }
    char many[1024] = "{\"policies\":[";
    for (int i = 0; i <= DPS_POLICIES_MAX; i++) {
        snprintf(many + strlen(many), sizeof many - strlen(many), "%s{\"name\":\"p%d\"," KEY "}",
                 i > 0 ? "," : "", i);
    }
    strcat(many, "]}");
    CHECK_EQUAL(dps_policies_parse(bytes_of_text(many), &bench.config), BYTES_E_LIMIT);
    CHECK(memcmp(bench.config.policies, before.policies, sizeof before.policies) == 0);
    CHECK_EQUAL(bench.config.policy_count, before.policy_count);
    return 0;
}

/* ---- Who may do what ---- */

static int s02_rights(void)
{
    static const struct {
        const char *method, *target, *body;
        unsigned right; /* and the status when the policy has it, and nothing is stored */
        unsigned status;
        uint32_t code;
    } operations[] = {
        {"GET", DEV1, "", DPS_RIGHT_ENROLLMENT_READ, 404, 404201},
        {"PUT", DEV1, "", DPS_RIGHT_ENROLLMENT_WRITE, 400, 400002},
        {"DELETE", DEV1, "", DPS_RIGHT_ENROLLMENT_WRITE, 404, 404201},
        {"POST", "/enrollments/query" VERSION, "{\"query\":\"SELECT *\"}", DPS_RIGHT_ENROLLMENT_READ, 200, 0},
        {"POST", "/enrollments/dev1/attestationmechanism" VERSION, "", DPS_RIGHT_ENROLLMENT_WRITE, 404,
         404201},
        {"POST", "/enrollments/" VERSION, "{}", DPS_RIGHT_ENROLLMENT_WRITE, 400, 400002},
        {"GET", "/registrations/dev1" VERSION, "", DPS_RIGHT_REGISTRATION_READ, 404, 404201},
        {"DELETE", "/registrations/dev1" VERSION, "", DPS_RIGHT_REGISTRATION_WRITE, 404, 404201},
        {"POST", "/registrations/group/query" VERSION, "", DPS_RIGHT_REGISTRATION_READ, 400, 400007},
        {"POST", "/enrollmentGroups/query" VERSION, "{\"query\":\"*\"}", DPS_RIGHT_ENROLLMENT_READ, 200, 0},
        {"GET", "/enrollmentGroups/g" VERSION, "", DPS_RIGHT_ENROLLMENT_READ, 400, 400007},
        {"PUT", "/enrollmentGroups/g" VERSION, "{}", DPS_RIGHT_ENROLLMENT_WRITE, 400, 400007},
        {"DELETE", "/enrollmentGroups/g" VERSION, "", DPS_RIGHT_ENROLLMENT_WRITE, 400, 400007},
        {"POST", "/enrollmentGroups" VERSION, "{}", DPS_RIGHT_ENROLLMENT_WRITE, 400, 400007},
    };
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        for (size_t p = 0; p < bench.config.policy_count; p++) {
            bool may = (bench.config.policies[p].rights & operations[i].right) != 0;
            CHECK(bench_gives(bench_token_of(p), operations[i].method, operations[i].target, "",
                              operations[i].body, may ? operations[i].status : 403,
                              may ? operations[i].code : 403001));
        }
        CHECK(bench_gives(NULL, operations[i].method, operations[i].target, "", operations[i].body, 401,
                          401000));
    }
    CHECK(bench_gives(bench_token_of(5), "GET", DEV1, "", "", 403, 403001) &&
          bench_answered("EnrollmentRead"));
    return 0;
}

/* Keys are exchanged one at a time while the other works. */
static int s02_both_keys(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    const struct dps_policy *owner = &bench.config.policies[0], *reader = &bench.config.policies[1];
    CHECK(bench_gives(bench_token(HOST, NOW + 60, owner->primary_key, owner->primary_key_len, "owner"), "GET",
                      DEV1, "", "", 404, 404201));
    CHECK(bench_gives(bench_token(HOST, NOW + 60, owner->secondary_key, owner->secondary_key_len, "owner"),
                      "GET", DEV1, "", "", 404, 404201));
    CHECK(bench_gives(bench_token(HOST, NOW + 60, owner->primary_key, owner->primary_key_len, "reader"),
                      "GET", DEV1, "", "", 401, 401000));
    /* A policy without a secondary key has no empty one. */
    CHECK(bench_gives(bench_token(HOST, NOW + 60, reader->secondary_key, 0, "reader"), "GET", DEV1, "", "",
                      401, 401000));
    CHECK(bench_gives(bench_token(HOST, NOW + 60, owner->primary_key, owner->primary_key_len - 1U, "owner"),
                      "GET", DEV1, "", "", 401, 401000));
    return 0;
}

static int s02_token_refused(void)
{
    static const char *const bad[] = {
        "x",
        "SharedAccessSignature",
        "SharedAccessSignature ",
        "SharedAccessSignature sr=dps.example",
        "SharedAccessSignature sr=dps.example&sig=AAAA&se=1767323105&skn=owner",
        "SharedAccessSignature sr=dps.example&sig=%41&se=1767323105&skn=owner",
        "SharedAccessSignature sr=dps.example&sig=&se=&skn=owner",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Basic b3duZXI6b3duZXI=",
    };
    char text[512];
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(bench_gives(bad[i], "GET", DEV1, "", "", 401, 401000));
    }
    /* A good token with one character changed, left out, or doubled members. */
    const char *good = bench_token_of(0);
    size_t len = strlen(good), accepted = 0;
    for (size_t i = 0; i < len; i++) {
        snprintf(text, sizeof text, "%s", bench_token_of(0));
        text[i] = '!';
        if (bench_ask_as(text, "GET", DEV1, "", "") != 401) {
            accepted++;
        }
        snprintf(text, sizeof text, "%.*s", (int)i, bench_token_of(0));
        CHECK(bench_gives(i > 0 ? text : NULL, "GET", DEV1, "", "", 401, 401000));
    }
    CHECK_EQUAL(accepted, 0);
    static const char *const doubled[] = {"&sr=dps.example", "&se=1867323105", "&skn=owner", "&sig=AAAA"};
    for (size_t i = 0; i < sizeof doubled / sizeof doubled[0]; i++) {
        snprintf(text, sizeof text, "%s%s", bench_token_of(0), doubled[i]);
        CHECK(bench_gives(text, "GET", DEV1, "", "", 401, 401000));
    }
    const struct dps_policy *p = &bench.config.policies[0];
    static const char *const names[] = {"", "nobody-knows", "OWNER", "owner ", "ownerowner"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK(bench_gives(bench_token(HOST, NOW + 60, p->primary_key, p->primary_key_len, names[i]), "GET",
                          DEV1, "", "", 401, 401000));
    }
    /* An unknown policy and a wrong key are not told apart. */
    char first[96];
    strcpy(first, bench.answer.detail);
    CHECK(bench_gives(bench_token(HOST, NOW + 60, p->primary_key, 3, "owner"), "GET", DEV1, "", "", 401,
                      401000));
    CHECK_EQUAL(first, bench.answer.detail);
    return 0;
}

static int s02_token_audience(void)
{
    static const struct {
        const char *sr;
        bool good;
    } audiences[] = {
        {"dps.example", true},
        {"DPS.Example", true},
        {"dps.example:443", true},
        {"dps.example%3A8443", true},
        {"dps.example/", true},
        {"dps.example%2f", true},
        {"dps.example/enrollments", true},
        {"dps.example%2FEnrollments%2FDEV1", true},
        {"dps.example:443/enrollments/dev1/", true},
        {"dps.example/enrollments/dev", false},
        {"dps.example/enrollments/dev10", false},
        {"dps.example/enrollments/dev1/x", false},
        {"dps.example/enrollments//dev1", false},
        {"dps.example/registrations", false},
        {"dps.exampl", false},
        {"dps.example2", false},
        {"other.example", false},
        {"/dps.example", false},
        {":443", false},
        {"dps.example%", false},
        {"dps.example%00", false},
        {"0ne000TEST%2Fregistrations%2Fdev1", false},
    };
    CHECK_EQUAL(bench_setup(), 0);
    const struct dps_policy *p = &bench.config.policies[0];
    for (size_t i = 0; i < sizeof audiences / sizeof audiences[0]; i++) {
        CHECK(bench_gives(bench_token(audiences[i].sr, NOW + 60, p->primary_key, p->primary_key_len, "owner"),
                          "GET", DEV1, "", "", audiences[i].good ? 404 : 401,
                          audiences[i].good ? 404201 : 401000));
    }
    char longest[600];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    CHECK(bench_gives(bench_token(longest, NOW + 60, p->primary_key, p->primary_key_len, "owner"), "GET",
                      DEV1, "", "", 401, 401000));
    return 0;
}

static int s02_token_expiry(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    const struct dps_policy *p = &bench.config.policies[0];
    static const struct {
        uint64_t expiry;
        bool good;
    } times[] = {{0, false},  {NOW - 3600, false},    {NOW - 301, false}, {NOW - 300, true},
                 {NOW, true}, {NOW + 31536000, true}, {INT64_MAX, true},  {UINT64_MAX, false}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        CHECK(bench_gives(bench_token(HOST, times[i].expiry, p->primary_key, p->primary_key_len, "owner"),
                          "GET", DEV1, "", "", times[i].good ? 404 : 401, times[i].good ? 404201 : 401000));
    }
    return 0;
}

/* ---- Routes ---- */

static int s02_routes_refused(void)
{
    static const struct {
        const char *method, *target;
        unsigned status;
        uint32_t code;
    } wrong[] = {
        {"GET", "/", 404, 404001},
        {"GET", "/enrollments" VERSION, 405, 405001},
        {"PUT", "/enrollments" VERSION, 405, 405001},
        {"POST", DEV1, 405, 405001},
        {"PATCH", DEV1, 405, 405001},
        {"get", DEV1, 405, 405001},
        {"GET", "/enrollments/dev1/attestationmechanism" VERSION, 405, 405001},
        {"GET", "/enrollments/dev1/other" VERSION, 404, 404001},
        {"POST", "/enrollments/dev1/attestationmechanism/x" VERSION, 404, 404001},
        {"PUT", "/registrations/dev1" VERSION, 405, 405001},
        {"GET", "/registrations" VERSION, 404, 404001},
        {"POST", "/registrations/group/query" VERSION, 400, 400007},
        {"POST", "/registrations/query" VERSION, 405, 405001},
        {"POST", "/registrations" VERSION, 404, 404001},
        {"DELETE", "/enrollments/" VERSION, 405, 405001},
        {"POST", "/enrollments/dev1/" VERSION, 405, 405001},
        {"GET", "/enrollmentGroups/g" VERSION, 400, 400007},
        {"PUT", "/enrollmentgroups/g" VERSION, 400, 400007},
        {"GET", "/enrollmentGroups/query" VERSION, 400, 400007},
        {"POST", "/enrollmentGroups" VERSION, 400, 400007},
        {"POST", "/enrollmentGroups/g/attestationmechanism" VERSION, 400, 400007},
        {"PATCH", "/enrollmentGroups/g" VERSION, 405, 405001},
        {"POST", "/enrollmentGroups/g/other" VERSION, 404, 404001},
        {"GET", "/enrollmentGroups/g", 400, 400003},
        {"GET", "/enrollments/dev1", 400, 400003},
        {"GET", "/enrollments/dev1?api-version=", 400, 400003},
        {"GET", "/enrollments/dev1?api-version=2016-01-01", 400, 400003},
        {"GET", "/enrollments/dev1?api-version=latest-one", 400, 400003},
        {"GET", "/enrollments/dev1?api-version=2021-10-01&api-version=2019-03-31", 400, 400003},
        {"GET", "/enrollments/dev%ZZ" VERSION, 400, 400001},
        {"GET", "/enrollments/dev%001" VERSION, 400, 400001},
        {"GET", "/enrollments/dev%2F1" VERSION, 400, 400005},
        {"GET", "/enrollments/dev1." VERSION, 400, 400005},
        {"PUT", "/enrollments/d%20v" VERSION, 400, 400005},
        {"DELETE", "/enrollments/%C3%A4" VERSION, 400, 400005},
        {"GET", "/registrations/d*v" VERSION, 400, 400005},
        {"DELETE", "/registrations/d*v" VERSION, 400, 400005},
        {"POST", "/enrollments/d*v/attestationmechanism" VERSION, 400, 400005},
    };
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK(bench_ok(wrong[i].method, wrong[i].target, "", "{}", wrong[i].status, wrong[i].code));
    }
    CHECK(bench_ok("POST", "/registrations/group/query" VERSION, "", "{}", 400, 400007) &&
          bench_answered("groups"));
    CHECK(bench_ok("POST", "/enrollmentGroups" VERSION, "", "{}", 400, 400007) && bench_answered("groups"));
    /* 128 characters are an id, 129 are not. */
    char target[256];
    snprintf(target, sizeof target, "/enrollments/%0128d" VERSION, 1);
    CHECK(bench_ok("GET", target, "", "", 404, 404201));
    snprintf(target, sizeof target, "/enrollments/%0129d" VERSION, 1);
    CHECK(bench_ok("GET", target, "", "", 400, 400005));
    return 0;
}

/* Step 2, from enrolling to forgetting, in every byte that a client sees. */
static int s02_enroll_get_delete(void)
{
    char expected[2048];
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 200, 0));
    snprintf(
        expected, sizeof expected,
        "{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"%s\"}},"
        "\"provisioningStatus\":\"enabled\",\"createdDateTimeUtc\":\"2026-01-02T03:04:05.0000000Z\","
        "\"lastUpdatedDateTimeUtc\":\"2026-01-02T03:04:05.0000000Z\",\"etag\":\"\\\"0000000000000001\\\"\"}",
        bench.ek);
    CHECK(strcmp((char *)bench.body, expected) == 0 && bench.answer.wrote);
    CHECK(bytes_equal_public(bench.answer.etag_header, bytes_of_text("\"0000000000000001\"")));
    CHECK_EQUAL(bench.answer.registration_id, "dev1");
    bench.service.now = NOW + 1;
    CHECK(bench_ok("GET", DEV1, "", "", 200, 0) && strcmp((char *)bench.body, expected) == 0 &&
          !bench.answer.wrote);
    CHECK(bench_ok("POST", "/enrollments/dev1/attestationmechanism" VERSION, "", "", 200, 0));
    snprintf(expected, sizeof expected, "{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"%s\"}}", bench.ek);
    CHECK_EQUAL((char *)bench.body, expected);
    CHECK(bench_ok("DELETE", DEV1, "", "", 204, 0) && bench.answer.wrote && bench.answer.body.len == 0);
    CHECK(bench_ok("GET", DEV1, "", "", 404, 404201));
    CHECK(bench_ok("DELETE", DEV1, "", "", 404, 404201));
    return 0;
}

/* The registrationId has no case, neither in the path nor in the body, and neither has the path. */
static int s02_id_without_case(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("PUT", "/Enrollments/Dev-A.b%3ac" VERSION, "", bench_enrollment("dEV-a.B:C", ""), 200, 0));
    CHECK(bench_answered("\"registrationId\":\"dev-a.b:c\""));
    CHECK(bench_ok("GET", "/ENROLLMENTS/DEV-A.B:C/" VERSION, "", "", 200, 0));
    CHECK(bench_ok("PUT", "/enrollments/dev-a.b:c" VERSION, "", bench_enrollment("dev-a.b:c", ""), 409,
                   409201));
    CHECK(bench_ok("POST", "/enrollments/DEV-A.B:C/AttestationMechanism" VERSION, "", "", 200, 0));
    CHECK(bench_ok("DELETE", "/enrollments/DEV-a.b:c" VERSION, "", "", 204, 0));
    return 0;
}

/* ---- What an enrollment may say ---- */

static int s02_members_kept(void)
{
    static const char more[] =
        ",\"deviceId\":\"Dev_1\",\"iotHubHostName\":\"hub-a.example\",\"iotHubs\":[ \"hub-a.example\" ],"
        "\"allocationPolicy\":\"static\",\"reprovisionPolicy\":{\"updateHubAssignment\":false,"
        "\"migrateDeviceData\":false},"
        "\"initialTwin\":{\"tags\":{\"\\u00e4\":null}},\"payload\":[1],\"capabilities\":{\"iotEdge\":false},"
        "\"optionalDeviceInformation\":{\"a\":1}";
    char text[2048];
    CHECK_EQUAL(bench_setup(), 0);
    snprintf(text, sizeof text, "%s%s", more,
             ",\"provisioningStatus\":\"disabled\",\"etag\":\"\\\"7\\\"\",\"createdDateTimeUtc\":\"1999\","
             "\"lastUpdatedDateTimeUtc\":\"1999\",\"registrationState\":{\"status\":\"assigned\"},"
             "\"unheard\":null");
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", text), 200, 0));
    CHECK(bench_answered(more) && bench_answered("\"provisioningStatus\":\"disabled\""));
    CHECK(!bench_answered("unheard") && !bench_answered("1999") && !bench_answered("registrationState") &&
          !bench_answered("\\\"7\\\""));
    /* What was read can be sent back, with its etag. */
    char back[sizeof bench.body], header[128];
    memcpy(back, bench.body, bench.answer.body.len + 1);
    snprintf(header, sizeof header, "If-Match: %s\r\n", bench_etag());
    CHECK(bench_ok("PUT", DEV1, header, back, 200, 0) && bench_answered(more));
    /* null counts as absent; an update replaces everything. */
    CHECK(bench_ok(
        "PUT", DEV1, "If-Match: *\r\n",
        bench_enrollment(
            "dev1", ",\"deviceId\":null,\"iotHubs\":null,\"capabilities\":null,\"provisioningStatus\":null,"
                    "\"initialTwin\":null,\"payload\":null"),
        200, 0));
    CHECK(!bench_answered("null") && !bench_answered("deviceId") && !bench_answered("iotHub") &&
          bench_answered("\"enabled\""));
    return 0;
}

/* TPMs say 65537 or 0; what is stored and compared in step 5 is one form. */
static int s02_key_is_canonical(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    char canonical[512];
    strcpy(canonical, bench.ek);
    bench_make_ek(65537);
    CHECK(strcmp(canonical, bench.ek) != 0);
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 200, 0));
    CHECK(bench_answered(canonical) && !bench_answered(bench.ek));
    return 0;
}

static int s02_storage_root_key(void)
{
    uint8_t modulus[256], bytes[DPS_SRK_PUBLIC_MAX];
    char base64[512], text[2048];
    CHECK_EQUAL(bench_setup(), 0);
    struct tpm2_public area = tpm2_template_srk();
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    struct bytes_writer b = bytes_writer_over((uint8_t *)base64, sizeof base64 - 1);
    memset(modulus, 0xD7, sizeof modulus);
    area.unique = bytes_of(modulus, sizeof modulus);
    tpm2_public_write_2b(&w, &area);
    dps_write_base64(&b, bytes_written(&w));
    base64[b.len] = 0;
    static const struct {
        const char *form;
        bool good, kept;
    } forms[] = {{"\"%s\"", true, true},      {"null%.0s", true, false}, {"\"\"%.0s", true, false},
                 {"7%.0s", false, false},     {"\"%s=\"", false, false}, {"\"%.40s\"", false, false},
                 {"\"AAAA%s\"", false, false}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char srk[600];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(srk, sizeof srk, forms[i].form, base64);
#pragma GCC diagnostic pop
        snprintf(text, sizeof text,
                 "{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"%s\",\"storageRootKey\":%s}}", bench.ek,
                 srk);
        CHECK(bench_ok("PUT", DEV1, i > 0 ? "If-Match: *\r\n" : "", attested(text), forms[i].good ? 200 : 400,
                       forms[i].good ? 0 : 400011));
        CHECK(!forms[i].good || bench_answered("storageRootKey") == forms[i].kept);
    }
    return 0;
}

static int s02_bodies_refused(void)
{
    static const struct {
        const char *more; /* after a good attestation */
        uint32_t code;
    } members[] = {
        {",\"registrationId\":\"dev1\"", 400006},
        {",\"deviceId\":\"\"", 400006},
        {",\"deviceId\":\"a b\"", 400006},
        {",\"deviceId\":7", 400006},
        {",\"deviceId\":\"a\",\"deviceId\":\"b\"", 400006},
        {",\"provisioningStatus\":\"enabled \"", 400006},
        {",\"provisioningStatus\":true", 400006},
        {",\"allocationPolicy\":\"custom\"", 400006},
        {",\"allocationPolicy\":1", 400006},
        {",\"iotHubs\":\"hub-a.example\"", 400006},
        {",\"iotHubs\":[\"hub a\"]", 400006},
        {",\"iotHubs\":[1]", 400006},
        {",\"iotHubHostName\":\"-\\u0000\"", 400006},
        {",\"reprovisionPolicy\":[]", 400006},
        {",\"reprovisionPolicy\":{\"updateHubAssignment\":\"true\"}", 400006},
        {",\"initialTwin\":\"{}\"", 400006},
        {",\"payload\":1,\"payload\":2", 400006},
        {",\"capabilities\":true", 400006},
        {",\"capabilities\":{},\"capabilities\":{}", 400006},
        {",\"optionalDeviceInformation\":[]", 400006},
    };
    static const struct {
        const char *body;
        uint32_t code;
    } bodies[] = {
        {"", 400002},
        {"null", 400002},
        {"[]", 400002},
        {"{", 400002},
        {"{}x", 400002},
        {"\xEF\xBB\xBF{}", 400002},
        {"{\"a\":\"\xFF\"}", 400002},
        {"{}", 400006},
        {"{\"registrationId\":1}", 400006},
        {"{\"registrationId\":\"dev1\"}", 400006},
        {"{\"registrationId\":\"dev1\",\"attestation\":{}}", 400007},
        {"{\"registrationId\":\"dev1\",\"attestation\":1}", 400007},
        {"{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"x509\",\"x509\":{}}}", 400007},
        {"{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"symmetricKey\"}}", 400007},
        {"{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"TPM2\"}}", 400007},
        {"{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\"}}", 400006},
        {"{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":null}}", 400006},
        {"{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":7}}}",
         400006},
        {"{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"\"}}}",
         400004},
        {"{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":"
         "\"AToAAQ==\"}}}",
         400004},
        {"{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"-----"
         "BEGIN PUBLIC "
         "KEY-----\\nMIIBIjANBg\"}}}",
         400004},
    };
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", members[i].more), 400, members[i].code));
        CHECK(bench.answer.detail[0] != 0 || strstr(members[i].more, "capabilities\":{},") != NULL);
    }
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        CHECK(bench_ok("PUT", DEV1, "", bodies[i].body, 400, bodies[i].code));
    }
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev2", ""), 400, 400005));
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev", ""), 400, 400005));
    /* Cut anywhere, it is never taken for a whole one. */
    char body[4096];
    size_t len = strlen(bench_enrollment("dev1", ""));
    for (size_t i = 0; i < len; i++) {
        snprintf(body, sizeof body, "%.*s", (int)i, bench_enrollment("dev1", ""));
        CHECK(bench_ok("PUT", DEV1, "", body, 400, 400002));
    }
    CHECK_EQUAL(bench.memory.version, 0);
    return 0;
}

/* A record may be exactly as large as its limit, and no larger. */
static int s02_large_enrollment(void)
{
    static char more[DPS_RECORD_MAX + 64];
    size_t refused = 0;
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t pad = DPS_RECORD_MAX - 800; pad < DPS_RECORD_MAX; pad += 1) {
        snprintf(more, sizeof more, ",\"payload\":\"%0*d\"", (int)pad, 0);
        unsigned status = bench_ask("PUT", DEV1, bench.memory.version > 0 ? "If-Match: *\r\n" : "",
                                    bench_enrollment("dev1", more));
        CHECK(status == 200 || (status == 413 && bench.answer.error_code == 413001 && !bench.answer.wrote));
        CHECK(status != 200 || refused == 0);
        refused += status == 413;
        if (refused > 1) {
            break;
        }
    }
    CHECK(refused > 1);
    CHECK(bench_ok("GET", DEV1, "", "", 200, 0) && bench.answer.body.len > DPS_RECORD_MAX);
    return 0;
}

/* ---- Etags ---- */

static int s02_preconditions(void)
{
    char header[128], first[32], second[32];
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n", bench_enrollment("dev1", ""), 404, 404201));
    CHECK(bench_ok("PUT", DEV1, "If-Match: \"0000000000000001\"\r\n", bench_enrollment("dev1", ""), 404,
                   404201));
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 200, 0));
    snprintf(first, sizeof first, "%s", bench_etag());
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 409, 409201));
    bench.service.now = NOW + 3600;
    snprintf(header, sizeof header, "If-Match: %s\r\n", first);
    CHECK(bench_ok("PUT", DEV1, header, bench_enrollment("dev1", ",\"deviceId\":\"two\""), 200, 0));
    CHECK(bench_answered("\"createdDateTimeUtc\":\"2026-01-02T03:04:05.0000000Z\""));
    CHECK(bench_answered("\"lastUpdatedDateTimeUtc\":\"2026-01-02T04:04:05.0000000Z\""));
    snprintf(second, sizeof second, "%s", bench_etag());
    CHECK(strcmp(first, second) != 0);
    /* Stale: neither PUT nor DELETE, and nothing has changed. */
    CHECK(bench_ok("PUT", DEV1, header, bench_enrollment("dev1", ""), 412, 412001));
    CHECK(bench_ok("DELETE", DEV1, header, "", 412, 412001));
    CHECK(bench_ok("GET", DEV1, "", "", 200, 0) && strcmp(bench_etag(), second) == 0 &&
          bench_answered("two"));
    snprintf(header, sizeof header, "If-Match: %s\r\n", second);
    CHECK(bench_ok("DELETE", DEV1, header, "", 204, 0));
    CHECK(bench_ok("DELETE", DEV1, header, "", 404, 404201));
    CHECK(bench_ok("DELETE", DEV1, "If-Match: *\r\n", "", 404, 404201));
    /* Made again, it is not the one that the old etag named. */
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 200, 0));
    CHECK(bench_ok("DELETE", DEV1, header, "", 412, 412001));
    CHECK(bench_ok("DELETE", DEV1, "If-Match: \"*\"\r\n", "", 204, 0));
    return 0;
}

/* The same etag in all forms in which clients send it back. */
static int s02_etag_forms(void)
{
    static const struct {
        const char *form;
        bool good;
    } forms[] = {
        {"\"%s\"", true},
        {"%s", true},
        {"\"%s", true},
        {"W/\"%s\"", true},
        {"\\\"%s\\\"", true},
        {"\"\\\"%s\\\"\"", true},
        {"\"\"%s\"\"", true},
        {"*%.0s", true},
        {"\"*\"%.0s", true},
        {"\"1\"%.0s", false},
        {"\"1%s\"", false},
        {"\"%.15s\"", false},
        {"\"%s\", \"7\"", true},
        {"\"7\",\"%s\"", true},
        {"\"7\" ,\t W/\"%s\",", true},
        {"\"7\", \"8\"%.0s", false},
        {"\"7\", *%.0s", false},
        {"\"\"%.0s", false},
        {",%.0s", false},
        {"**%.0s", false},
    };
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 200, 0));
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char number[24], form[64], header[96];
        snprintf(number, sizeof number, "%016llx", (unsigned long long)bench.memory.version);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(form, sizeof form, forms[i].form, number);
#pragma GCC diagnostic pop
        snprintf(header, sizeof header, "If-Match: %s\r\n", form);
        CHECK(bench_ok("PUT", DEV1, header, bench_enrollment("dev1", ""), forms[i].good ? 200 : 412,
                       forms[i].good ? 0 : 412001));
    }
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\nIf-Match: *\r\n", bench_enrollment("dev1", ""), 400, 400001));
    return 0;
}

/* Somebody else writes between our reading and writing: the store notices, and the later one gets the refusal. */
static int s02_races(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    bench.fail_put = BYTES_E_CONFLICT;
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 409, 409201));
    bench.fail_put = 0;
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 200, 0));
    bench.fail_put = bench.fail_remove = BYTES_E_CONFLICT;
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n", bench_enrollment("dev1", ""), 412, 412001));
    CHECK(bench_ok("DELETE", DEV1, "If-Match: \"0000000000000001\"\r\n", "", 412, 412001));
    return 0;
}

static int s02_store_fails(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 200, 0));
    bench.fail_get = bench.fail_put = bench.fail_remove = bench.fail_next = BYTES_E_STORE;
    CHECK(bench_ok("GET", DEV1, "", "", 503, 503001) && bench.answer.has_retry_after);
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n", bench_enrollment("dev1", ""), 503, 503001));
    CHECK(bench_ok("DELETE", DEV1, "", "", 503, 503001));
    CHECK(bench_ok("POST", "/enrollments/query" VERSION, "", "{\"query\":\"SELECT *\"}", 503, 503001));
    CHECK(bench_ok("POST", "/enrollments/dev1/attestationmechanism" VERSION, "", "", 503, 503001));
    CHECK(bench_ok("GET", "/registrations/dev1" VERSION, "", "", 503, 503001));
    CHECK(bench_ok("DELETE", "/registrations/dev1" VERSION, "", "", 503, 503001));
    bench.fail_get = 0;
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n", bench_enrollment("dev1", ""), 503, 503001));
    return 0;
}

/* Somebody wrote into the database by hand: no broken JSON goes out, and DELETE gets rid of it. */
static int s02_damaged_record(void)
{
    static const char *const damaged[] = {
        "", "{", "[]", "{}", "7", "{\"registrationId\":1,\"registrationId\":2}", "\xFF"};
    CHECK_EQUAL(bench_setup(), 0);
    struct dps_store store = posix_memory_store(&bench.memory);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        uint64_t version = 0;
        CHECK_EQUAL(store.put(store.context, DPS_TABLE_ENROLLMENTS, bytes_of_text("dev1"),
                              bytes_of_text(damaged[i]), 0, &version),
                    0);
        CHECK(bench_ok("GET", DEV1, "", "", 500, 500001));
        CHECK(bench_ok("POST", "/enrollments/dev1/attestationmechanism" VERSION, "", "", 500, 500001));
        CHECK(bench_ok("POST", "/enrollments/query" VERSION, "", "{\"query\":\"SELECT *\"}", 500, 500001));
        CHECK_EQUAL(bench.answer.registration_id, "dev1");
        CHECK(bench_ok("DELETE", DEV1, "", "", 204, 0));
    }
    return 0;
}

/* ---- Queries ---- */

#define QUERY "/enrollments/query" VERSION
#define ALL "{\"query\":\"SELECT * FROM enrollments\"}"

static int s02_queries(void)
{
    static const struct {
        const char *body;
        uint32_t code;
    } queries[] = {
        {ALL, 0},
        {"{\"query\":\"SELECT *\"}", 0},
        {"{\"query\":\"  select\\t*\\n from   Enrollments  \"}", 0},
        {"{\"query\":\"SELECT *\",\"other\":1}", 0},
        {"", 400002},
        {"\"SELECT *\"", 400002},
        {"{}", 400008},
        {"{\"query\":null}", 400008},
        {"{\"query\":\"\"}", 0},
        {"{\"query\":\" \"}", 0},
        {"{\"query\":\"*\"}", 0},
        {"{\"query\":\"**\"}", 400008},
        {"{\"query\":\"* x\"}", 400008},
        {"{\"query\":\"FROM enrollments\"}", 400008},
        {"{\"query\":\"SELECT\"}", 400008},
        {"{\"query\":\"SELECT*FROM enrollments\"}", 0},
        {"{\"query\":\"SELECT registrationId FROM enrollments\"}", 400008},
        {"{\"query\":\"SELECT * FROM\"}", 400008},
        {"{\"query\":\"SELECT * FROM enrollmentGroups\"}", 400008},
        {"{\"query\":\"SELECT * FROM enrollments WHERE deviceId = 'a'\"}", 0},
        {"{\"query\":\"SELECT * WHERE deviceId = 'a'\"}", 0},
        {"{\"query\":\"SELECT * FROM enrollments;\"}", 400008},
        {"{\"query\":\"SELECT * FROM enrollments ORDER\"}", 400008},
        {"{\"query\":\"DROP TABLE enrollments\"}", 400008},
        {"{\"query\":\"SELECT *\",\"query\":\"SELECT *\"}", 400008},
    };
    static const struct {
        const char *header;
        uint32_t code;
    } headers[] = {
        {"x-ms-max-item-count: 1\r\n", 0},
        {"x-ms-max-item-count: 100000\r\n", 0},
        {"x-ms-max-item-count: 0\r\n", 400008},
        {"x-ms-max-item-count: -1\r\n", 400008},
        {"x-ms-max-item-count: ten\r\n", 400008},
        {"x-ms-max-item-count: 99999999999999999999\r\n", 400008},
        {"x-ms-max-item-count: 1\r\nx-ms-max-item-count: 1\r\n", 400001},
        {"x-ms-continuation: ZGV2MQ==\r\n", 0},
        {"x-ms-continuation: dev1\r\n", 400008},     /* base64, of bytes that are not an id */
        {"x-ms-continuation: REVWMQ==\r\n", 400008}, /* DEV1 */
        {"x-ms-continuation: ZGV2MQ\r\n", 400008},
        {"x-ms-continuation: ZGV2IDE=\r\n", 400008}, /* "dev 1" */
    };
    char text[1024];
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        CHECK(
            bench_ok("POST", QUERY, "", queries[i].body, queries[i].code == 0 ? 200 : 400, queries[i].code));
    }
    CHECK(bench_ok("POST", QUERY, "", "{\"query\":\"SELECT * FROM enrollments WHERE 1\"}", 400, 400008) &&
          bench_answered("WHERE"));
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        CHECK(bench_ok("POST", QUERY, headers[i].header, ALL, headers[i].code == 0 ? 200 : 400,
                       headers[i].code));
    }
    snprintf(text, sizeof text, "{\"query\":\"SELECT * %600s\"}", "");
    CHECK(bench_ok("POST", QUERY, "", text, 400, 400008));
    snprintf(text, sizeof text, "x-ms-continuation: %0400d\r\n", 0);
    CHECK(bench_ok("POST", QUERY, text, ALL, 400, 400008));
    /* Nothing enrolled: an empty page, and no other one. */
    CHECK(bench_ok("POST", QUERY, "", ALL, 200, 0) && strcmp((char *)bench.body, "[]") == 0);
    CHECK(strcmp(bench.answer.item_type, "Enrollment") == 0 && bench.answer.continuation_len == 0);
    /* A query is not an enrollment, but an enrollment may be called like one. */
    CHECK(bench_ok("PUT", QUERY, "", bench_enrollment("query", ""), 200, 0));
    CHECK(bench_ok("GET", QUERY, "", "", 200, 0) && bench_answered("\"registrationId\":\"query\""));
    return 0;
}

/* Read all pages of at most size items. Every enrollment comes once and in order. Returns the number of pages,
 * 0 if that does not hold. */
static unsigned read_all(unsigned size, unsigned expected)
{
    char header[1024] = "", last[160] = "";
    unsigned pages = 0, items = 0;
    do {
        struct bytes page, name, item, value;
        size_t cursor = 0;
        unsigned here = 0;
        if (size > 0) {
            snprintf(header + strlen(header), sizeof header - strlen(header), "x-ms-max-item-count: %u\r\n",
                     size);
        }
        if (!bench_ok("POST", QUERY, header, ALL, 200, 0) ||
            dps_json_check(bytes_of(bench.body, bench.answer.body.len), &page) != 0) {
            return 0;
        }
        while (dps_json_next(page, &cursor, &name, &item)) {
            char id[160];
            size_t len;
            if (dps_json_member(item, "registrationId", &value) != 0 ||
                dps_json_string(value, (uint8_t *)id, sizeof id - 1, &len) != 0 ||
                dps_json_member(item, "etag", &value) != 0) {
                return 0;
            }
            id[len] = 0;
            if (strcmp(id, last) <= 0) {
                return 0;
            }
            strcpy(last, id);
            here++;
        }
        pages++;
        items += here;
        if (here == 0 || (size > 0 && here > size) || here > 100) {
            return 0;
        }
        snprintf(header, sizeof header, "x-ms-continuation: %.*s\r\n", (int)bench.answer.continuation_len,
                 (const char *)bench.answer.continuation);
    } while (bench.answer.continuation_len > 0);
    return items == expected ? pages : 0;
}

static int s02_paging(void)
{
    char target[96], id[32];
    CHECK_EQUAL(bench_setup(), 0);
    for (unsigned i = 0; i < 250; i++) {
        snprintf(id, sizeof id, "dev-%03u", i * 77 % 250);
        snprintf(target, sizeof target, "/enrollments/%s" VERSION, id);
        CHECK(bench_ok("PUT", target, "", bench_enrollment(id, ""), 200, 0));
    }
    CHECK_EQUAL(read_all(1, 250), 250);
    CHECK_EQUAL(read_all(7, 250), 36);
    CHECK_EQUAL(read_all(25, 250), 10);
    CHECK(read_all(99, 250) == 3 && read_all(0, 250) == 3);
    CHECK_EQUAL(read_all(1000, 250), 3); /* a hundred at the most */
    /* A continuation works even if its enrollment was deleted meanwhile. */
    CHECK(bench_ok("POST", QUERY, "x-ms-max-item-count: 3\r\n", ALL, 200, 0));
    char header[256];
    snprintf(header, sizeof header, "x-ms-continuation: %.*s\r\nx-ms-max-item-count: 1\r\n",
             (int)bench.answer.continuation_len, (const char *)bench.answer.continuation);
    CHECK(bench_ok("DELETE", "/enrollments/dev-002" VERSION, "", "", 204, 0));
    CHECK(bench_ok("POST", QUERY, header, ALL, 200, 0) && bench_answered("\"dev-003\""));
    return 0;
}

/* Large enrollments and every size of page: it ends where the buffer does, and no enrollment is lost or cut. */
static int s02_paging_large(void)
{
    static char more[8192];
    char target[96], id[32];
    CHECK_EQUAL(bench_setup(), 0);
    for (unsigned i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "dev-%02u", i);
        snprintf(target, sizeof target, "/enrollments/%s" VERSION, id);
        snprintf(more, sizeof more, ",\"payload\":\"%0*u\"", (int)(1 + i * i * 2), i);
        CHECK(bench_ok("PUT", target, "", bench_enrollment(id, more), 200, 0));
    }
    CHECK(read_all(0, 60) > 1);
    CHECK_EQUAL(read_all(1, 60), 60);
    return 0;
}

/* ---- Registrations ---- */

static int register_dev1(void)
{
    uint8_t value[DPS_RECORD_MAX];
    uint64_t version = 0;
    struct dps_registration r = {.registration_id = "dev1",
                                 .device_id = "Device-1",
                                 .hub = "hub-a.example",
                                 .generation = 3,
                                 .secret_epoch = 1,
                                 .created = NOW - 60,
                                 .updated = NOW};
    struct bytes_writer w = bytes_writer_over(value, sizeof value);
    struct dps_store store = posix_memory_store(&bench.memory);
    dps_registration_write(&w, &r);
    CHECK_EQUAL(store.put(store.context, DPS_TABLE_REGISTRATIONS, bytes_of_text("dev1"), bytes_written(&w), 0,
                          &version),
                0);
    return 0;
}

static int s09_registration_is_shown(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 200, 0) &&
          !bench_answered("registrationState"));
    CHECK_EQUAL(register_dev1(), 0);
    CHECK(bench_ok("GET", DEV1, "", "", 200, 0));
    CHECK(bench_answered("\"registrationState\":{\"registrationId\":\"dev1\"") &&
          bench_answered("\"deviceId\":\"Device-1\""));
    CHECK(bench_ok("POST", QUERY, "", ALL, 200, 0) && bench_answered("\"registrationState\":{"));
    CHECK(bench_ok("PUT", DEV1, "If-Match: *\r\n", bench_enrollment("dev1", ""), 200, 0) &&
          bench_answered("\"registrationState\":{"));
    CHECK(bench_ok("GET", "/registrations/DEV1" VERSION, "", "", 200, 0));
    CHECK(strncmp((char *)bench.body, "{\"registrationId\":\"dev1\"", 24) == 0);
    CHECK(bench_answered("\"status\":\"assigned\"") && bench_answered("\"assignedHub\":\"hub-a.example\""));
    /* Nothing of how keys are derived is shown. */
    CHECK(!bench_answered("generation") && !bench_answered("storageRootKey") &&
          !bench_answered("secretEpoch"));
    CHECK(bench.answer.etag_header.len > 2);
    return 0;
}

static int s09_registration_is_deleted(void)
{
    char stale[] = "If-Match: \"00000000000000ff\"\r\n", fresh[64];
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("PUT", DEV1, "", bench_enrollment("dev1", ""), 200, 0) && register_dev1() == 0);
    /* Deleting an enrollment leaves the registration. */
    CHECK(bench_ok("DELETE", DEV1, "", "", 204, 0));
    CHECK(bench_ok("GET", "/registrations/dev1" VERSION, "", "", 200, 0));
    snprintf(fresh, sizeof fresh, "If-Match: %s\r\n",
             bench_etag()); /* here it is base64, as in the real service */
    CHECK(bench_ok("DELETE", "/registrations/dev1" VERSION, stale, "", 412, 412001));
    CHECK(bench_ok("DELETE", "/registrations/dev1" VERSION, fresh, "", 204, 0) && bench.answer.wrote);
    CHECK(bench_ok("DELETE", "/registrations/dev1" VERSION, "", "", 404, 404201));
    CHECK(bench_ok("GET", "/registrations/dev1" VERSION, "", "", 404, 404201) &&
          bench_answered("no registration"));
    /* The generation stays in the store, so that no nonce and no hub key comes back. */
    struct dps_registration kept;
    uint64_t version;
    CHECK_EQUAL(dps_load_registration(&bench.service, bytes_of_text("dev1"), &kept, &version), DPS_ACCEPTED);
    CHECK(version != 0 && kept.deleted && kept.generation > 0);
    return 0;
}

/* Without dps_manage_init its paths do not exist, whoever asks. */
static int s02_service_without_management(void)
{
    static const char *const paths[] = {DEV1, "/registrations/dev1?api-version=2021-10-01",
                                        "/enrollmentGroups/a?api-version=2021-10-01"};
    CHECK(bench_setup() == 0);
    bench.service.manage = NULL;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        CHECK(bench_ask("GET", paths[i], "", "") == 404);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s02_policies", s02_policies},
        {"s02_policies_refused", s02_policies_refused},
        {"s02_rights", s02_rights},
        {"s02_both_keys", s02_both_keys},
        {"s02_token_refused", s02_token_refused},
        {"s02_token_audience", s02_token_audience},
        {"s02_token_expiry", s02_token_expiry},
        {"s02_routes_refused", s02_routes_refused},
        {"s02_service_without_management", s02_service_without_management},
        {"s02_enroll_get_delete", s02_enroll_get_delete},
        {"s02_id_without_case", s02_id_without_case},
        {"s02_members_kept", s02_members_kept},
        {"s02_key_is_canonical", s02_key_is_canonical},
        {"s02_storage_root_key", s02_storage_root_key},
        {"s02_bodies_refused", s02_bodies_refused},
        {"s02_large_enrollment", s02_large_enrollment},
        {"s02_preconditions", s02_preconditions},
        {"s02_etag_forms", s02_etag_forms},
        {"s02_races", s02_races},
        {"s02_store_fails", s02_store_fails},
        {"s02_damaged_record", s02_damaged_record},
        {"s02_queries", s02_queries},
        {"s02_paging", s02_paging},
        {"s02_paging_large", s02_paging_large},
        {"s09_registration_is_shown", s09_registration_is_shown},
        {"s09_registration_is_deleted", s09_registration_is_deleted},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
