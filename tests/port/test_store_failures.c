/* SPDX-License-Identifier: MIT */
/* The flow with a store or an entropy source that fails at each moment once, and with records that are damaged: the
 * device succeeds by asking again, or gets an error; nothing is half written. */
#include "dps/service/registration.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include <string.h>

static struct flow f;

/* Stands between service and store, and lets one call fail. */
static struct failing {
    struct dps_store store;
    struct crypto_entropy entropy;
    unsigned calls, fail_at; /* the calls are counted from 1; 0: none fails */
    int error;               /* what the call answers */
    bool failed;
} between;

static bool fails(void)
{
    between.calls++;
    const bool now = between.calls == between.fail_at;
    between.failed = between.failed || now;
    return now;
}

static int failing_get(void *context, enum dps_table table, struct bytes key, uint8_t *value, size_t capacity,
                       size_t *len, uint64_t *version)
{
    return fails() ? BYTES_E_STORE : between.store.get(context, table, key, value, capacity, len, version);
}

static int failing_put(void *context, enum dps_table table, struct bytes key, struct bytes value,
                       uint64_t expected, uint64_t *version)
{
    return fails() ? between.error : between.store.put(context, table, key, value, expected, version);
}

static int failing_remove(void *context, enum dps_table table, struct bytes key, uint64_t expected)
{
    return fails() ? between.error : between.store.remove(context, table, key, expected);
}

static int failing_mark(void *context)
{
    return fails() ? BYTES_E_STORE : between.store.mark(context);
}

static int failing_commit(void *context)
{
    if (fails()) {
        between.store.rollback(context);
        return BYTES_E_STORE;
    }
    return between.store.commit(context);
}

static int failing_fill(void *context, uint8_t *out, size_t len)
{
    return fails() ? BYTES_E_ENTROPY : between.entropy.fill(context, out, len);
}

static void reset(unsigned fail_at, int error)
{
    between.calls = 0;
    between.fail_at = fail_at;
    between.error = error;
    between.failed = false;
}

static int open_with_failing_store(const char *directory)
{
    CHECK_EQUAL(flow_open(&f, directory, true), 0);
    between.store = f.service.store;
    f.service.store.get = failing_get;
    f.service.store.put = failing_put;
    f.service.store.remove = failing_remove;
    f.service.store.mark = failing_mark;
    f.service.store.commit = failing_commit;
    reset(0, 0);
    return 0;
}

static int read_registration(struct dps_registration *r)
{
    static uint8_t value[DPS_RECORD_MAX];
    size_t len;
    uint64_t version;
    const int error = between.store.get(f.service.store.context, DPS_TABLE_REGISTRATIONS,
                                        bytes_of_text("device-1"), value, sizeof value, &len, &version);
    return error != 0 ? error : dps_registration_parse(bytes_of(value, len), r);
}

/* A registration while call number `fail_at` fails: 503, and the device asks again. */
static int store_fails_once(void)
{
    struct dps_registration r;
    unsigned fail_at = 1;
    CHECK_EQUAL(open_with_failing_store("store-fails"), 0);
    for (;; fail_at++) {
        reset(fail_at, BYTES_E_STORE);
        CHECK_EQUAL(flow_register(&f), 0);
        if (!between.failed) {
            break;
        }
        /* Each registration counts once, whatever had to be asked twice. */
        CHECK(read_registration(&r) == 0 && r.generation == fail_at);
        CHECK_EQUAL(r.hub, f.device.assigned_hub);
    }
    CHECK(fail_at > 8);
    flow_close(&f);
    return 0;
}

/* Someone else has written in between: 409, nothing is written, and the device begins again, once. */
static int store_conflicts(void)
{
    struct dps_registration before;
    struct dps_registration after;
    unsigned conflicts = 0;
    CHECK_EQUAL(open_with_failing_store("store-conflicts"), 0);
    CHECK(flow_register(&f) == 0 && read_registration(&before) == 0);
    for (unsigned fail_at = 1;; fail_at++) {
        reset(fail_at, BYTES_E_CONFLICT);
        CHECK_EQUAL(flow_register(&f), 0);
        CHECK_EQUAL(read_registration(&after), 0);
        CHECK_EQUAL(after.generation, before.generation + 1);
        conflicts += f.device.overtaken;
        before = after;
        if (!between.failed) {
            break;
        }
    }
    CHECK(conflicts > 0);
    flow_close(&f);
    return 0;
}

static int entropy_fails_once(void)
{
    unsigned fail_at = 1;
    CHECK_EQUAL(flow_open(&f, "entropy-fails", true), 0);
    between.entropy = f.service.entropy;
    f.service.entropy.fill = failing_fill;
    for (;; fail_at++) {
        reset(fail_at, 0);
        CHECK_EQUAL(flow_register(&f), 0);
        if (!between.failed) {
            break;
        }
    }
    CHECK(fail_at > 4);
    flow_close(&f);
    return 0;
}

/* A record that cannot be read is not repaired by guessing. */
static int damaged_records(void)
{
    static const struct {
        enum dps_table table;
        const char *key;
    } damaged[] = {{DPS_TABLE_ENROLLMENTS, "device-1"}, {DPS_TABLE_REGISTRATIONS, "device-1"}};
    uint64_t version;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        CHECK(flow_open(&f, i == 0 ? "damaged-0" : "damaged-1", true) == 0);
        const struct dps_store *store = &f.service.store;
        const struct bytes key = bytes_of_text(damaged[i].key);
        (void)store->remove(store->context, damaged[i].table, key, 0);
        CHECK(store->put(store->context, damaged[i].table, key, bytes_of_text("{\"a\":1}"), 0, &version) ==
              0);
        CHECK(store->commit(store->context) == 0);
        CHECK(flow_register(&f) == BYTES_E_HTTP && f.device.http_status == 500);
        CHECK(f.answer.refusal == DPS_REFUSED_INTERNAL && !f.answer.wrote);
        flow_close(&f);
    }
    return 0;
}

static const struct test tests[] = {
    {"s09 the store fails at each call once", store_fails_once},
    {"s09 each write meets a conflict once", store_conflicts},
    {"s06 entropy fails at each call once", entropy_fails_once},
    {"s05 damaged records", damaged_records},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
