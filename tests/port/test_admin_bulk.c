/* SPDX-License-Identifier: MIT */
/* The management API (step 2) for many enrollments: bulk operations and queries with conditions;
 * and what an enrollment may say, member by member. */
#include "port/posix/store_memory.h"
#include "tests/port/admin_bench.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

#define BULK "/enrollments/" VERSION
#define QUERY "/enrollments/query" VERSION

static char bulk[DPS_HTTP_BODY_MAX];

static void begin(const char *mode)
{
    snprintf(bulk, sizeof bulk, "{\"mode\":\"%s\",\"enrollments\":[", mode);
}

static void add(const char *item)
{
    size_t len = strlen(bulk);
    snprintf(bulk + len, sizeof bulk - len, "%s%s", bulk[len - 1] == '[' ? "" : ",", item);
}

static bool send(const char *path, unsigned status, uint32_t code)
{
    strcat(bulk, "]}");
    return bench_ok("POST", path, "", bulk, status, code);
}

/* One whole bulk operation of one mode over these ids, "more" in each of them. */
static bool do_bulk(const char *mode, const char *ids, const char *more)
{
    char id[200];
    begin(mode);
    for (int used = 0; sscanf(ids, "%199s%n", id, &used) == 1; ids += used) {
        add(bench_enrollment(id, more));
    }
    return send(BULK, 200, 0);
}

static bool succeeded(void)
{
    return strcmp((char *)bench.body, "{\"errors\":[],\"isSuccessful\":true}") == 0;
}

static bool exists(const char *id, const char *part)
{
    char target[256];
    snprintf(target, sizeof target, "/enrollments/%s" VERSION, id);
    return bench_ask("GET", target, "", "") == 200 && bench_answered(part);
}

static unsigned count(const char *part)
{
    unsigned n = 0;
    for (const char *at = (const char *)bench.body; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    return n;
}

/* ---- Bulk ---- */

static int s02_bulk_modes(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(do_bulk("create", "dev1 DEV2 dev3", "") && succeeded() && bench.answer.wrote);
    CHECK(bench.answer.detail[0] == 0 && bench.answer.error_code == 0);
    CHECK(exists("dev1", "") && exists("dev2", "\"dev2\"") && exists("dev3", ""));
    CHECK(do_bulk("UPDATE", "dev1 dev2", ",\"deviceId\":\"x\"") && succeeded());
    CHECK(exists("dev1", "\"deviceId\":\"x\"") && exists("dev2", "\"deviceId\":\"x\""));
    CHECK(exists("dev3", "") && !bench_answered("deviceId"));
    /* With etags as they were read, in the case in which Node's and others' SDKs spell the mode. */
    char more[128];
    CHECK(exists("dev2", ""));
    snprintf(more, sizeof more, ",\"etag\":\"\\\"%016llx\\\"\"", (unsigned long long)bench.memory.version);
    CHECK(do_bulk("updateIfMatchEtag", "dev2", more) && succeeded() && exists("dev2", ""));
    CHECK(!bench_answered("deviceId"));
    CHECK(do_bulk("updateIfMatchETag", "dev2", more) && bench_answered("412001"));
    CHECK(do_bulk("updateIfMatchETag", "dev2", ",\"etag\":\"*\"") && succeeded());
    /* To delete, the id is enough. */
    begin("delete");
    add("{\"registrationId\":\"Dev1\"}");
    add(bench_enrollment("dev2", ",\"etag\":\"\\\"1\\\"\""));
    CHECK(send("/enrollments" VERSION, 200, 0) && succeeded());
    CHECK(!exists("dev1", "") && !exists("dev2", "") && exists("dev3", ""));
    return 0;
}

/* What fails leaves nothing, the others stay, and the answer says for each what is wrong. */
static int s02_bulk_item_errors(void)
{
    static const struct {
        const char *mode, *item;
        uint32_t code;
        const char *says;
    } items[] = {
        {"create", "7", 400005, "\"registrationId\":\"\""},
        {"create", "{}", 400005, ""},
        {"create", "{\"registrationId\":\"a b\"}", 400005, "\"registrationId\":\"a b\""},
        {"create", "{\"registrationId\":\"\\u0000\"}", 400005, "\"registrationId\":\"\""},
        {"create", "{\"registrationId\":\"there\"}", 400006, "attestation is missing"},
        {"create", "{\"registrationId\":\"there\",\"attestation\":{\"type\":\"x509\"}}", 400007,
         "certificates"},
        {"create", NULL, 409201, "exists"},
        {"update", "{\"registrationId\":\"there\"}", 400006, ""},
        {"updateIfMatchETag", NULL, 400006, "etag is missing"},
        {"delete", "{\"registrationId\":\"absent\"}", 404201, "\"registrationId\":\"absent\""},
        {"delete", "{\"registrationId\":\"absent.\"}", 400005, ""},
        {"delete", "[]", 400005, ""},
    };
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        char code[64];
        CHECK_EQUAL(bench_setup(), 0);
        CHECK(do_bulk("create", "there good", ""));
        begin(items[i].mode);
        add(items[i].item != NULL ? items[i].item : bench_enrollment("there", ""));
        const bool creates = strcmp(items[i].mode, "create") == 0;
        add(bench_enrollment(creates ? "new" : "good", ",\"etag\":\"*\",\"deviceId\":\"second\""));
        CHECK(send(BULK, 200, 0) && bench.answer.wrote && bench.answer.detail[0] == 0);
        snprintf(code, sizeof code, "\"errorCode\":%u,\"errorStatus\":\"", (unsigned)items[i].code);
        CHECK(bench_answered("],\"isSuccessful\":false}") && bench_answered(code) &&
              bench_answered(items[i].says));
        CHECK(count("\"errorCode\"") == 1);
        CHECK(exists("there", "") && !bench_answered("second"));
        if (strcmp(items[i].mode, "delete") == 0) {
            CHECK(!exists("good", ""));
        } else {
            CHECK(exists(creates ? "new" : "good", "\"deviceId\":\"second\""));
        }
    }
    return 0;
}

/* Enrollments of one request meet what those before them have made. */
static int s02_bulk_in_order(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(do_bulk("create", "a A b", "") && bench_answered("\"registrationId\":\"A\",\"errorCode\":409201"));
    CHECK(exists("a", "") && exists("b", ""));
    CHECK(do_bulk("delete", "a b a", "") && bench_answered("404201") && !exists("a", "") && !exists("b", ""));
    /* If nothing was done, nothing was written. */
    CHECK(do_bulk("delete", "a b", "") && !bench.answer.wrote);
    /* After a success, a failure does not hide that something was written. */
    CHECK(do_bulk("create", "a a", "") && bench.answer.wrote);
    return 0;
}

static int s02_bulk_refused(void)
{
    static const struct {
        const char *body, *says;
    } bodies[] = {
        {"", ""},
        {"[]", ""},
        {"{}", "mode must be"},
        {"{\"mode\":\"create\"}", "array"},
        {"{\"mode\":\"replace\",\"enrollments\":[{}]}", "mode must be"},
        {"{\"mode\":7,\"enrollments\":[{}]}", "mode must be"},
        {"{\"mode\":\"createcreatecreatecreate\",\"enrollments\":[{}]}", "mode must be"},
        {"{\"mode\":\"create\",\"mode\":\"create\",\"enrollments\":[{}]}", "mode must be"},
        {"{\"mode\":\"create\",\"enrollments\":{}}", "array"},
        {"{\"mode\":\"create\",\"enrollments\":null}", "array"},
        {"{\"mode\":\"create\",\"enrollments\":[]}", "1 to 10"},
        {"{\"mode\":\"create\",\"enrollments\":[{},{},{},{},{},{},{},{},{},{},{}]}", "1 to 10"},
        {"{\"mode\":\"create\",\"enrollments\":[{}]", ""},
    };
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        CHECK(bench_ok("POST", BULK, "", bodies[i].body, 400, 400002) && bench_answered(bodies[i].says));
    }
    CHECK(do_bulk("create", "d0 d1 d2 d3 d4 d5 d6 d7 d8 d9", "") && succeeded());
    begin("delete");
    for (int i = 0; i < 10; i++) {
        add("{\"registrationId\":\"d*\"}");
    }
    CHECK(send(BULK, 200, 0) && bench_answered("false"));
    /* Cut anywhere it is not done in part. */
    begin("update");
    add(bench_enrollment("d0", ",\"deviceId\":\"new\""));
    const size_t len = strlen(bulk);
    for (size_t i = 0; i < len; i++) {
        char cut[2048];
        snprintf(cut, sizeof cut, "%.*s", (int)i, bulk);
        CHECK(bench_ok("POST", BULK, "", cut, 400, 400002));
    }
    CHECK(exists("d0", "") && !bench_answered("deviceId"));
    return 0;
}

/* When the store fails in the middle, nothing of the request stays. */
static int s02_bulk_store_fails(void)
{
    for (unsigned working = 0; working < 3; working++) {
        CHECK_EQUAL(bench_setup(), 0);
        CHECK(do_bulk("create", "old", ""));
        bench.fail_put = BYTES_E_STORE;
        bench.put_before_failing = working;
        begin("create");
        add(bench_enrollment("new1", ""));
        add(bench_enrollment("new2", ""));
        add(bench_enrollment("new3", ""));
        CHECK(send(BULK, 503, 503001) && bench.answer.has_retry_after && !bench.answer.wrote);
        CHECK(!exists("new1", "") && !exists("new2", "") && !exists("new3", "") && exists("old", ""));
    }
    bench.fail_put = 0;
    bench.fail_get = BYTES_E_STORE;
    begin("update");
    add(bench_enrollment("old", ""));
    CHECK(send(BULK, 503, 503001));
    bench.fail_get = 0;
    bench.fail_remove = BYTES_E_STORE;
    begin("delete");
    add(bench_enrollment("old", ""));
    CHECK(send(BULK, 503, 503001));
    /* Somebody else came in between: that is one enrollment's error. */
    bench.fail_remove = 0;
    bench.fail_put = BYTES_E_CONFLICT;
    CHECK(do_bulk("create", "new1", "") && bench_answered("409201"));
    CHECK(do_bulk("update", "old", "") && bench_answered("412001"));
    return 0;
}

/* ---- Queries with conditions ---- */

static bool finds(const char *where, unsigned expected)
{
    char body[1024];
    snprintf(body, sizeof body, "{\"query\":\"SELECT * FROM enrollments WHERE %s\"}", where);
    return bench_ok("POST", QUERY, "", body, 200, 0) && count("\"attestation\"") == expected;
}

static int s02_where(void)
{
    static const struct {
        const char *where;
        unsigned found;
    } good[] = {
        {"registrationId = 'dev1'", 1},
        {"registrationId='DEV1'", 1},
        {"REGISTRATIONID  =\\n\\\"dev1\\\"", 1},
        {"registrationId = 'dev'", 0},
        {"registrationId = ''", 0},
        {"registrationId = 'not an id'", 0},
        {"provisioningStatus = 'enabled'", 3},
        {"provisioningStatus = 'Enabled'", 3},
        {"enrollments.registrationId = 'dev1'", 1},
        {"Enrollments . deviceId='Pump'AND enrollments.provisioningStatus='DISABLED'", 1},
        {"provisioningStatus = 'disabled'", 2},
        {"deviceId = 'Pump'", 2},
        {"deviceId = 'pump'", 0},
        {"deviceId = 'dev1'", 0}, /* it has none of its own: it gets one when it registers */
        {"deviceId = \\\"it's\\\"", 1},
        {"deviceId = ''", 0},
        {"deviceId='Pump'AND provisioningStatus='disabled'", 1},
        {"deviceId = 'Pump' and provisioningStatus = 'disabled' and registrationId = 'dev4'", 1},
        {"registrationId = 'dev4' AND deviceId = 'other'", 0},
        {"registrationId = 'dev4' AND provisioningStatus = 'enabled'", 0},
    };
    static const char *const bad[] = {
        "",
        "registrationId",
        "registrationId =",
        "registrationId = dev1",
        "registrationId = 'dev1",
        "registrationId = 'dev1\\\"",
        "registrationId = '",
        "registrationId == 'dev1'",
        "registrationId <> 'dev1'",
        "registrationId > 'dev1'",
        "NOT registrationId = 'dev1'",
        "registrationId = 'dev1' OR registrationId = 'dev2'",
        "registrationId = 'dev1' AND",
        "registrationId = 'dev1';",
        "(registrationId = 'dev1')",
        "'dev1' = registrationId",
        "etag = 'x'",
        "attestation.type = 'tpm'",
        "registrationId = 'a' AND registrationId = 'a'",
        "provisioningStatus = 'on'",
        "registrationId = 'dev1' ORDER BY deviceId",
        "enrollments registrationId = 'dev1'",
        "enrollments. = 'dev1'",
        "enrollments.enrollments.registrationId = 'dev1'",
        "groups.registrationId = 'dev1'",
    };
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(do_bulk("create", "dev1", "") && do_bulk("create", "dev2", ",\"provisioningStatus\":\"disabled\""));
    CHECK(do_bulk("create", "dev3", ",\"deviceId\":\"Pump\""));
    CHECK(do_bulk("create", "dev4", ",\"deviceId\":\"Pump\",\"provisioningStatus\":\"disabled\""));
    CHECK(do_bulk("create", "dev5", ",\"deviceId\":\"it's\""));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!finds(good[i].where, good[i].found)) {
            printf("# %s\n", good[i].where);
        }
        CHECK(finds(good[i].where, good[i].found));
        CHECK_EQUAL(bench.answer.continuation_len, 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"query\":\"SELECT * FROM enrollments WHERE %s\"}", bad[i]);
        CHECK(bench_ok("POST", QUERY, "", body, 400, 400008) && bench.answer.detail[0] != 0);
    }
    CHECK(bench_ok("POST", QUERY, "", "{\"query\":\"SELECT * WHERE deviceId = 'Pump'\"}", 200, 0));
    CHECK(count("\"attestation\"") == 2);
    CHECK(bench_ok("POST", QUERY, "", "{\"query\":\"SELECT id\"}", 400, 400008) &&
          bench_answered("offered is SELECT"));
    return 0;
}

static int s02_where_pages(void)
{
    char id[32], header[512] = "x-ms-max-item-count: 2\r\n";
    unsigned found = 0, pages = 0;
    static const char query[] = "{\"query\":\"SELECT * WHERE deviceId = 'rare'\"}";
    CHECK_EQUAL(bench_setup(), 0);
    for (unsigned i = 0; i < 1200; i++) {
        snprintf(id, sizeof id, "dev-%04u", i);
        CHECK(do_bulk("create", id, i % 240 == 239 ? ",\"deviceId\":\"rare\"" : "") && succeeded());
    }
    do {
        CHECK(bench_ok("POST", QUERY, header, query, 200, 0));
        CHECK(count("\"attestation\"") <= 2);
        found += count("\"attestation\"");
        snprintf(header, sizeof header, "x-ms-max-item-count: 2\r\nx-ms-continuation: %.*s\r\n",
                 (int)bench.answer.continuation_len, (const char *)bench.answer.continuation);
    } while (++pages < 10 && bench.answer.continuation_len > 0);
    CHECK(found == 5 && pages == 3);
    /* No request reads for ever: if nothing is found among the first thousand, the page is empty and has a
     * continuation. */
    static const char none[] = "{\"query\":\"SELECT * WHERE deviceId = 'none'\"}";
    CHECK(bench_ok("POST", QUERY, "", none, 200, 0) && strcmp((char *)bench.body, "[]") == 0);
    CHECK(bench.answer.continuation_len > 0);
    snprintf(header, sizeof header, "x-ms-continuation: %.*s\r\n", (int)bench.answer.continuation_len,
             (const char *)bench.answer.continuation);
    CHECK(bench_ok("POST", QUERY, header, none, 200, 0) && bench.answer.continuation_len == 0);
    return 0;
}

/* A record that cannot be read is reported, not skipped. */
static int s02_where_damaged(void)
{
    struct dps_store store;
    uint64_t version;
    CHECK_EQUAL(bench_setup(), 0);
    store = posix_memory_store(&bench.memory);
    CHECK_EQUAL(store.put(store.context, DPS_TABLE_ENROLLMENTS, bytes_of_text("dev1"), bytes_of_text("{"), 0,
                          &version),
                0);
    CHECK(bench_ok("POST", QUERY, "", "{\"query\":\"SELECT * WHERE deviceId = 'x'\"}", 500, 500001));
    CHECK(bench_ok("POST", QUERY, "", "{\"query\":\"SELECT * WHERE registrationId = 'dev1'\"}", 500, 500001));
    CHECK_EQUAL(bench.answer.registration_id, "dev1");
    bench.fail_get = BYTES_E_STORE;
    CHECK(bench_ok("POST", QUERY, "", "{\"query\":\"SELECT * WHERE registrationId = 'dev1'\"}", 503, 503001));
    return 0;
}

/* ---- What an enrollment may say ---- */

static int s02_members_judged(void)
{
    static const struct {
        const char *more;
        const char *says; /* null: it is right */
    } members[] = {
        {",\"capabilities\":{\"iotEdge\":true}", NULL},
        {",\"capabilities\":{\"iotEdge\":null}", NULL},
        {",\"capabilities\":{}", NULL},
        {",\"capabilities\":{\"iotEdge\":\"yes\"}", "iotEdge true or false"},
        {",\"capabilities\":{\"iotEdge\":1}", "capabilities"},
        {",\"capabilities\":{\"iotEdge\":true,\"iotEdge\":true}", "capabilities"},
        {",\"capabilities\":[]", "capabilities"},
        {",\"initialTwin\":{}", NULL},
        {",\"initialTwin\":{\"tags\":{},\"properties\":{\"desired\":{\"a\":[1]}}}", NULL},
        {",\"initialTwin\":{\"tags\":null,\"properties\":null}", NULL},
        {",\"initialTwin\":{\"properties\":{}}", NULL},
        {",\"initialTwin\":{\"desired\":{}}", "initialTwin must be {"},
        {",\"initialTwin\":{\"tags\":[]}", "initialTwin"},
        {",\"initialTwin\":{\"properties\":{\"reported\":{}}}", "initialTwin"},
        {",\"initialTwin\":{\"properties\":{\"desired\":7}}", "initialTwin"},
        {",\"initialTwin\":{\"properties\":\"desired\"}", "initialTwin"},
        {",\"initialTwin\":{\"tags\":{},\"tags\":{}}", "initialTwin"},
        {",\"initialTwin\":[]", "initialTwin"},
        {",\"optionalDeviceInformation\":{\"a\":1}", NULL},
        {",\"optionalDeviceInformation\":\"a\"", "optionalDeviceInformation must be one object"},
        {",\"iotHubs\":[]", NULL},
        {",\"iotHubs\":[\"HUB-A.example\"],\"iotHubHostName\":\"hub-a.example\"", NULL},
        {",\"iotHubs\":[\"hub-a.example\",\"hub-b.example\"]", "hub-b.example is not a hub that is linked"},
        {",\"iotHubHostName\":\"hub-b.example\"", "hub-b.example is not a hub that is linked"},
        {",\"provisioningStatus\":\"DISABLED\",\"allocationPolicy\":\"Static\"", NULL},
        {",\"customAllocationDefinition\":{\"webhookUrl\":\"https://x\"}",
         "customAllocationDefinition is not"},
        {",\"customAllocationDefinition\":null,\"clientCertificateIssuancePolicy\":null", NULL},
        {",\"clientCertificateIssuancePolicy\":{}", "clientCertificateIssuancePolicy is not offered"},
        {",\"provisioningstatus\":\"disabled\"", "provisioningstatus is not offered"},
        {",\"\\u00e4\":1,\"\":1", "\\u00e4 is not offered"},
        {",\"a b\":1", "this name is not offered"},
        {",\"reprovisionPolicy\":{\"updateHubAssignment\":true,\"migrateDeviceDate\":false}", "and no other"},
        {",\"capabilities\":{\"iotedge\":true}", "and nothing else"},
        {",\"iotHubs\":[7]", "iotHubs must be an array of host names"},
        {",\"iotHubHostName\":7", "iotHubHostName must be a host name"},
        {",\"allocationPolicy\":\"geoLatency\"", NULL},
        {",\"allocationPolicy\":\"custom\",\"customAllocationDefinition\":{\"webhookUrl\":\"https://x\"}",
         "custom allocation is not offered"},
        {",\"reprovisionPolicy\":{\"updateHubAssignment\":1}", "reprovisionPolicy must be"},
        {",\"provisioningStatus\":\"on\"", "provisioningStatus must be"},
        {",\"deviceId\":\"a b\"", "deviceId must be"},
        /* Read-only members are what a client read and sends back. */
        {",\"etag\":7,\"registrationState\":[],\"createdDateTimeUtc\":null,\"lastUpdatedDateTimeUtc\":"
         "\"never\"",
         NULL},
    };
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *body = bench_enrollment("dev1", members[i].more);
        if (members[i].says == NULL) {
            CHECK(bench_ok("PUT", "/enrollments/dev1" VERSION, "", body, 200, 0));
            CHECK(bench_ok("DELETE", "/enrollments/dev1" VERSION, "", "", 204, 0));
        } else {
            CHECK(bench_ok("PUT", "/enrollments/dev1" VERSION, "", body, 400, 400006));
            CHECK(strstr(bench.answer.detail, members[i].says) != NULL);
        }
    }
    return 0;
}

/* A key in another form is refused with the name of that form, and the name fits into the answer. */
static int s02_key_forms_named(void)
{
    static const struct {
        const char *key, *says;
    } forms[] = {
        {"-----BEGIN PUBLIC KEY-----\\nMIIBIjANBg", "is PEM"},
        {"-----BEGIN CERTIFICATE-----\\nMIID", "EK certificate in PEM"},
        {"-----BEGIN TSS2 PRIVATE KEY-----\\nMIIB", "TSS2"},
        {"LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0=", "base64 of a PEM file"},
        {"MIIBCgKCAQEAxcXFxcXF", "Get-TpmEndorsementKeyInfo"},
        {"3082010A0282010100C5C5", "Get-TpmEndorsementKeyInfo"},
        {"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", "DER public key"},
        {"MIIEejCCA2KgAwIBAgIUB", "certificate"},
        {"308204003082", "hex of a DER"},
        {"013a0001000b000300b2", "is hex"},
        {"013A0001000B000300B2", "is hex"},
        {"AAEACwADALIAIIOX", "without its two size bytes"},
        {"utzA3gAAAAFAAAAB", "context file"},
        {"name: 000b1234", "tpm2_readpublic"},
        {"AToAAQALAAMAsgAg", "cut off"},
        {"AToAAQALAAMAsgAg\\nAAAA", "cut off or has line ends"},
        {"\\u0001:\\u0000\\u0001\\u0000\\u000b", "raw bytes"},
        {"", "is not base64"},
        {"hello", "is not base64"},
    };
    char body[512];
    CHECK_EQUAL(bench_setup(), 0);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        snprintf(body, sizeof body,
                 "{\"registrationId\":\"dev1\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":"
                 "\"%s\"}}}",
                 forms[i].key);
        CHECK(bench_ok("PUT", "/enrollments/dev1" VERSION, "", body, 400, 400004));
        if (strstr(bench.answer.detail, forms[i].says) == NULL) {
            printf("# %s: %s\n", forms[i].key, bench.answer.detail);
        }
        CHECK(strstr(bench.answer.detail, forms[i].says) != NULL);
        CHECK(strlen(bench.answer.detail) < sizeof bench.answer.detail - 1);
    }
    return 0;
}

static int s02_offered_fits(void)
{
    CHECK_EQUAL(bench_setup(), 0);
    CHECK(bench_ok("POST", QUERY, "", "{\"query\":\"DELETE\"}", 400, 400008));
    CHECK(bench_answered("provisioningStatus = 'enabled']"));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s02_bulk_modes", s02_bulk_modes},
        {"s02_bulk_item_errors", s02_bulk_item_errors},
        {"s02_bulk_in_order", s02_bulk_in_order},
        {"s02_bulk_refused", s02_bulk_refused},
        {"s02_bulk_store_fails", s02_bulk_store_fails},
        {"s02_where", s02_where},
        {"s02_where_pages", s02_where_pages},
        {"s02_where_damaged", s02_where_damaged},
        {"s02_members_judged", s02_members_judged},
        {"s02_key_forms_named", s02_key_forms_named},
        {"s02_offered_fits", s02_offered_fits},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
