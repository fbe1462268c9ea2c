/* SPDX-License-Identifier: MIT */
/* What the service remembers of requests that prove nothing: limits and hints, and to whom a request is charged. */
#include "dps/service/answer.h"
#include "dps/service/memory.h"
#include "dps/service/state.h"
#include "port/posix/posix.h"
#include "port/posix/service/server.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

#define NOW UINT64_C(1800000000)

static struct dps_service_config config;
static struct dps_service s, worker; /* worker shares s's memory */
static struct crypto_drbg drbg;
static struct dps_answer answer;

static void begin(const char *seed)
{
    memset(&config, 0, sizeof config);
    memset(&s, 0, sizeof s);
    s.config = &config;
    s.entropy = posix_entropy_seeded(&drbg, seed);
    s.now = NOW;
    s.client = bytes_of_text("192.0.2.1");
}

/* How many of count requests are admitted. */
static unsigned ask(struct dps_service *at, enum dps_ration kind, const char *id, bool known,
                    const char *client, unsigned count)
{
    unsigned admitted = 0;
    at->client = bytes_of_text(client);
    for (unsigned i = 0; i < count; i++) {
        admitted += dps_ration(at, kind, bytes_of_text(id), known, &answer) == DPS_ACCEPTED;
    }
    return admitted;
}

static unsigned challenges(const char *id, const char *client, unsigned count)
{
    return ask(&s, DPS_RATION_CHALLENGE, id, false, client, count);
}

static int the_client_comes_first(void)
{
    begin("client");
    config.challenges_per_minute = 30;
    config.challenges_per_client = 2;
    config.challenges_per_second = 1;
    CHECK_EQUAL(challenges("boiler", "attacker", 1000), 2);
    CHECK(answer.has_retry_after && answer.retry_after == 30);
    CHECK_EQUAL(challenges("boiler", "device", 3), 2);
    /* The refused ones were not charged: of 60 in total 56 are left. */
    config.challenges_per_client = config.challenges_per_minute = 0;
    CHECK_EQUAL(challenges("boiler", "device", 100), 56);
    return 0;
}

/* Whoever knows EK_pub and registrationId uses up only his own limit: from one address, and from many the device's
 * other share. */
static int a_device_counts_for_each_client(void)
{
    char client[16];
    begin("device");
    config.challenges_per_minute = 3;
    for (unsigned i = 0; i < 12; i++) {
        snprintf(client, sizeof client, "client-%u", i);
        CHECK_EQUAL(challenges("boiler", client, 50), (i < 10 ? 3 : 0));
        CHECK_EQUAL(challenges("pump", client, 1), 1);
    }
    CHECK_EQUAL(ask(&s, DPS_RATION_CHALLENGE, "boiler", true, "client-0", 50), 3);
    CHECK_EQUAL(ask(&s, DPS_RATION_CHALLENGE, "boiler", true, "client-11", 50), 3);
    return 0;
}

static int each_kind_for_itself(void)
{
    begin("kinds");
    config.challenges_per_minute = 2;
    config.challenges_per_client = 5;
    config.management_per_client = 7;
    CHECK_EQUAL(challenges("boiler", "a", 50), 2);
    CHECK_EQUAL(ask(&s, DPS_RATION_HUB_KEY, "boiler", true, "a", 50), 2);
    CHECK_EQUAL(ask(&s, DPS_RATION_HUB, "boiler", true, "a", 200), 40);
    CHECK_EQUAL(ask(&s, DPS_RATION_MANAGEMENT, "", true, "a", 50), 7);
    CHECK_EQUAL(ask(&s, DPS_RATION_MANAGEMENT, "", true, "b", 50), 7);
    config.challenges_per_second = 1;
    CHECK_EQUAL(ask(&s, DPS_RATION_MANAGEMENT, "", true, "c", 50), 7);
    config.management_per_client = 0;
    CHECK_EQUAL(ask(&s, DPS_RATION_MANAGEMENT, "", true, "c", 100), 53);
    /* An unknown client is not counted as one. */
    config.challenges_per_second = 0;
    CHECK_EQUAL(ask(&s, DPS_RATION_CHALLENGE, "pump", false, "", 50), 2);
    return 0;
}

static int retry_after_is_true(void)
{
    static const uint32_t rates[] = {1, 3, 7, 30, 59, 60, 61, 6000, 1000000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        begin("retry");
        config.challenges_per_minute = rates[i];
        CHECK_EQUAL(challenges("boiler", "a", rates[i]), rates[i]);
        CHECK_EQUAL(challenges("boiler", "a", 1), 0);
        CHECK_EQUAL(answer.retry_after, (rates[i] < 60 ? (60 + rates[i] - 1) / rates[i] : 1));
        s.now += answer.retry_after;
        CHECK_EQUAL(challenges("boiler", "a", 1), 1);
        s.now += 60;
        CHECK_EQUAL(challenges("boiler", "a", rates[i] + 5), rates[i]);
    }
    return 0;
}

/* One process began its turn in the previous second: that gives nobody more. */
static int clocks_that_differ(void)
{
    unsigned admitted = 0;
    begin("skew");
    config.challenges_per_minute = 30;
    config.challenges_per_second = 1000;
    worker = (struct dps_service){.config = &config, .entropy = s.entropy, .shared = &s.memory};
    for (unsigned i = 0; i < 2000; i++) {
        s.now = NOW + i / 100;
        worker.now = s.now - 1 - i % 3;
        admitted += ask(i % 2 == 0 ? &s : &worker, DPS_RATION_CHALLENGE, "boiler", false, "a", 1);
    }
    CHECK_EQUAL(admitted, 30 + 19 / 2);
    return 0;
}

/* When a clock is set, everybody starts afresh, and nobody is locked out. */
static int clocks_that_step(void)
{
    static const int64_t steps[] = {-3600, 7200, -86400 * 365, 86400 * 365, 121, -121};
    begin("step");
    config.challenges_per_minute = 4;
    config.challenges_per_client = 100;
    config.challenges_per_second = 100;
    CHECK_EQUAL(challenges("boiler", "a", 9), 4);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        s.now += (uint64_t)steps[i];
        CHECK_EQUAL(challenges("boiler", "a", 9), 4);
        CHECK_EQUAL(answer.retry_after, 15);
    }
    s.now -= 30; /* too little to be told from processes that differ: nothing is gained, and little lost */
    CHECK(challenges("boiler", "a", 9) == 0 && answer.retry_after == 45);
    return 0;
}

/* Rates that do not fit 32 bits when they are multiplied. */
static int large_rates(void)
{
    static const uint32_t rates[] = {715827, 715828, 1000000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        begin("large");
        config.challenges_per_second = rates[i];
        s.memory.all[DPS_RATION_CHALLENGE] = (struct dps_bucket){0, (NOW + 60) * 1000000000};
        CHECK_EQUAL(challenges("", "", 10), 0);
        s.now++;
        const unsigned admitted = challenges("", "", 2 * rates[i]);
        CHECK(admitted >= rates[i] && admitted - rates[i] <= rates[i] / 500);
    }
    begin("largest");
    config.challenges_per_second = config.challenges_per_minute = config.challenges_per_client = UINT32_MAX;
    CHECK_EQUAL(ask(&s, DPS_RATION_HUB, "boiler", true, "a", 1000), 1000);
    return 0;
}

/* More names than there is room for: no first request is refused, and a client that has used up its share does not get
 * it back. */
static int a_full_table(void)
{
    char name[16];
    begin("flood");
    config.challenges_per_client = 10;
    CHECK_EQUAL(challenges("", "attacker", 50), 10);
    for (unsigned i = 0; i < 4 * DPS_BUCKETS; i++) {
        snprintf(name, sizeof name, "flood-%u", i);
        CHECK_EQUAL(challenges("", name, 1), 1);
    }
    CHECK_EQUAL(challenges("", "attacker", 50), 0);
    CHECK_EQUAL(challenges("", "honest", 50), 10);
    /* After a step of the clock what is there counts as empty. */
    s.now -= 3600;
    CHECK_EQUAL(challenges("", "attacker", 50), 10);
    for (unsigned i = 0; i < 4 * DPS_BUCKETS; i++) {
        snprintf(name, sizeof name, "again-%u", i);
        CHECK_EQUAL(challenges("", name, 1), 1);
    }
    CHECK_EQUAL(challenges("", "attacker", 50), 0);
    return 0;
}

static size_t place_in_use(void)
{
    size_t i = 0;
    while (i < DPS_BUCKETS && s.memory.buckets[i].name == 0) {
        i++;
    }
    return i / DPS_WAYS;
}

/* Only the node knows where a name goes: its key is drawn at the start. */
static int names_cannot_be_chosen(void)
{
    char seed[16];
    size_t places[4];
    for (unsigned i = 0; i < 4; i++) {
        snprintf(seed, sizeof seed, "seed-%u", i);
        begin(seed);
        config.challenges_per_client = 10;
        CHECK_EQUAL(challenges("", "192.0.2.1", 1), 1);
        places[i] = place_in_use();
        CHECK(i == 0 || places[i] != places[i - 1]);
    }
    /* Moving a character from the end of one name to the beginning of the next gives other names. */
    begin("fields");
    config.challenges_per_minute = 1;
    CHECK(challenges("ab", "c", 2) == 1 && challenges("a", "bc", 2) == 1);
    return 0;
}

static int no_fill(void *context, uint8_t *out, size_t len)
{
    (void)context, (void)out, (void)len;
    return BYTES_E_ENTROPY;
}

static int without_entropy(void)
{
    uint8_t srk[DPS_SRK_PUBLIC_MAX];
    size_t len;
    begin("none");
    s.entropy = (struct crypto_entropy){NULL, no_fill};
    CHECK_EQUAL(dps_ration(&s, DPS_RATION_HUB, bytes_of_text("a"), true, &answer), DPS_REFUSED_INTERNAL);
    dps_hint_remember(&s, bytes_of_text("a"), bytes_of_text("srk"));
    CHECK(!dps_hint_recall(&s, bytes_of_text("a"), 0, srk, &len));
    return 0;
}

/* ---- Hints ------------------------------------------------------------------------------------------------------- */

static bool remembered(const char *id, const char *client, const char *srk)
{
    uint8_t found[DPS_SRK_PUBLIC_MAX];
    size_t len;
    s.client = bytes_of_text(client);
    for (size_t n = 0; dps_hint_recall(&s, bytes_of_text(id), n, found, &len); n++) {
        if (bytes_equal_public(bytes_of(found, len), bytes_of_text(srk))) {
            return true;
        }
    }
    return false;
}

static void remember(const char *id, const char *client, const char *srk)
{
    s.client = bytes_of_text(client);
    dps_hint_remember(&s, bytes_of_text(id), bytes_of_text(srk));
}

static int hints_are_kept_apart(void)
{
    char srk[16];
    begin("hints");
    remember("boiler", "device", "its SRK");
    CHECK(remembered("boiler", "device", "its SRK") && !remembered("boiler", "attacker", "its SRK") &&
          !remembered("pump", "device", "its SRK"));
    /* Others who know EK_pub and registrationId, from elsewhere and from the same address. */
    for (unsigned i = 0; i < 200; i++) {
        snprintf(srk, sizeof srk, "no-%u", i);
        remember("boiler", "attacker", srk);
    }
    for (unsigned i = 1; i < DPS_WAYS; i++) {
        snprintf(srk, sizeof srk, "no-%u", i);
        remember("boiler", "device", srk);
        remember("boiler", "device", srk);
    }
    CHECK(remembered("boiler", "device", "its SRK"));
    /* A hint that is named again becomes the youngest; the oldest makes room. */
    remember("boiler", "device", "its SRK");
    remember("boiler", "device", "one more");
    CHECK(remembered("boiler", "device", "its SRK") && !remembered("boiler", "device", "no-1"));
    return 0;
}

/* ---- Which client sent a request --------------------------------------------------------------------------------- */

static int addresses(void)
{
    static const struct {
        const char *text, *address, *share; /* null: it is not an address */
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", "192.0.2.1"},
        {" \t192.0.2.1\t ", "192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:4711", "192.0.2.1", "192.0.2.1"},
        {"\"192.0.2.1:4711\"", "192.0.2.1", "192.0.2.1"},
        {"[192.0.2.1]:80", "192.0.2.1", "192.0.2.1"},
        {"2001:DB8:0:1:2:3:4:5", "2001:db8:0:1:2:3:4:5", "2001:db8:0:1::"},
        {"2001:db8:0:1::9", "2001:db8:0:1::9", "2001:db8:0:1::"},
        {"[2001:db8::1]", "2001:db8::1", "2001:db8::"},
        {"[2001:db8::1]:443", "2001:db8::1", "2001:db8::"},
        {"\"[2001:db8::1]:443\"", "2001:db8::1", "2001:db8::"},
        {"fe80::1%eth0", "fe80::1", "fe80::"},
        {"[fe80::1%25eth0]:443", "fe80::1", "fe80::"},
        {"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"},
        {"::FFFF:c000:0201", "192.0.2.1", "192.0.2.1"},
        {"[::ffff:192.0.2.1]:80", "192.0.2.1", "192.0.2.1"},
        {"", NULL, NULL},
        {"unknown", NULL, NULL},
        {"_hidden", NULL, NULL},
        {"192.0.2", NULL, NULL},
        {"192.0.2.1.1", NULL, NULL},
        {"192.0.2.256", NULL, NULL},
        {"[", NULL, NULL},
        {"2001:db8:::1", NULL, NULL},
        {"192.0.2.1 192.0.2.2", NULL, NULL},
        {"1111111111111111111111111111111111111111111111111111111111111111111111111111111111", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char address[SERVER_PEER_MAX] = "as it was", share[SERVER_PEER_MAX];
        CHECK_EQUAL(server_address_read(bytes_of_text(cases[i].text), address), (cases[i].address != NULL));
        CHECK_EQUAL(address, cases[i].address != NULL ? cases[i].address : "as it was");
        server_client_share(address, share);
        CHECK_EQUAL(share, cases[i].share != NULL ? cases[i].share : "as it was");
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s06 the client's limit is judged first, and a refusal is charged to nobody",
         the_client_comes_first},
        {"s06 a device's limit counts for each client address", a_device_counts_for_each_client},
        {"challenges, hub keys, telemetry and management are counted apart", each_kind_for_itself},
        {"Retry-After is when the next one is admitted", retry_after_is_true},
        {"processes whose clocks differ do not refill a bucket", clocks_that_differ},
        {"a clock that is set locks nobody out", clocks_that_step},
        {"rates of a million a second", large_rates},
        {"a table full of an attacker's names", a_full_table},
        {"nobody can choose names that collide", names_cannot_be_chosen},
        {"no entropy, no limits, no service", without_entropy},
        {"s08 several hints for each registrationId and client address", hints_are_kept_apart},
        {"addresses as proxies write them", addresses},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
