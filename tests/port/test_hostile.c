/* SPDX-License-Identifier: MIT */
/* The device engine against a TPM that misbehaves: it ends with the right result or with an error that names the fault,
 * waits for a limited time, leaves nothing in the TPM that it could know of, and nothing half-written; and the next
 * honest run succeeds.
 *
 * HOSTILE_SEEDS=n runs n seeds of each flow instead of SEEDS_DEFAULT. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/ownership.h"
#include "dps/protocol/text.h"
#include "tests/hostile/hostile.h"
#include "tests/port/flow.h"
#include "tests/port/tpm_calls.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include "tpm/rc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct flow f;
static char honest_name[200];
static char hostile_name[300];

#define TRANSIENT UINT32_C(0x80000000)
#define SESSIONS UINT32_C(0x02000000)
#define WANTS_MAX 2000
#define PATIENCE_MS 60000 /* 41 s for one command, 2.5 s for the flushing, and the service's polls */
#define SEEDS_DEFAULT 40
#define SEEDS_PATIENCE_MS 600000 /* several storms in one run, each shorter than what ends it */
#define BIT(fault) (UINT32_C(1) << HOSTILE_##fault)

/* ---- Flows ------------------------------------------------------------------------------------------------------- */

static int begin_register(void)
{
    return dps_device_register(&f.device, &f.config, flow_nonce);
}

static int begin_token(void)
{
    return dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len));
}

static int begin_send(void)
{
    f.config.data = bytes_of_text("{\"temperature\":21}");
    return dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len));
}

static int begin_keys(void)
{
    return dps_device_read_keys(&f.device, &f.config, flow_nonce);
}

#define SECRET "a secret to be sealed"
static uint8_t sealed[512];
static size_t sealed_len;

static int begin_seal(void)
{
    f.config.data = bytes_of_text(SECRET);
    return dps_device_seal(&f.device, &f.config, flow_nonce);
}

static int begin_unseal(void)
{
    f.config.data = bytes_of(sealed, sealed_len);
    return dps_device_unseal(&f.device, &f.config, flow_nonce);
}

static uint8_t the_ek[DPS_EK_PUBLIC_MAX], the_srk[DPS_SRK_PUBLIC_MAX];

/* Is the result right? Only asked after DONE. */
static int right_keys(void)
{
    CHECK(memcmp(f.device.ek, the_ek, sizeof the_ek) == 0);
    CHECK(memcmp(f.device.srk, the_srk, sizeof the_srk) == 0);
    return 0;
}

/* The hub takes the token: asked as anyone would who was given it. */
static int right_token(void)
{
    uint8_t request[2048];
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    dps_write_text(&w, "POST /devices/device-1/messages/events?api-version=2021-04-12 HTTP/1.1\r\nHost: ");
    dps_write_text(&w, f.device.assigned_hub);
    dps_write_text(&w, "\r\nAuthorization: ");
    bytes_write_bytes(&w, dps_device_token_text(&f.device));
    dps_write_text(&w, "\r\nContent-Length: 2\r\n\r\n{}");
    CHECK_EQUAL(w.error, 0);
    flow_ask(&f, request, w.len);
    CHECK_EQUAL(f.answer.status, 204);
    return 0;
}

static int right_telemetry(void)
{
    CHECK_EQUAL(f.answer.status, 204);
    return 0;
}

static int right_seal(void)
{
    const struct bytes result = dps_device_result(&f.device);
    CHECK(result.len > 64);
    return 0;
}

static int right_secret(void)
{
    CHECK(bytes_equal_public(dps_device_result(&f.device), bytes_of_text(SECRET)));
    return 0;
}

static const struct flow_kind {
    const char *name;
    int (*begin)(void);
    int (*right)(void);
    uint32_t
        carrier; /* the command whose answer carries the result: a bit that is wrong there shows to nobody here. 0:
                         somebody else has checked the result */
} kinds[] = {
    {"register", begin_register, right_token, 0}, /* in a session: the device sees it */
    {"token", begin_token, right_token, TPM2_CC_HMAC},      {"send", begin_send, right_telemetry, 0},
    {"keys", begin_keys, right_keys, TPM2_CC_READ_PUBLIC},  {"seal", begin_seal, right_seal, TPM2_CC_CREATE},
    {"unseal", begin_unseal, right_secret, TPM2_CC_UNSEAL},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

/* ---- One run ----------------------------------------------------------------------------------------------------- */

static int open_honest(void)
{
    f.tpm_name = honest_name;
    return flow_reset_tpm(&f);
}

static int open_hostile(const char *options)
{
    snprintf(hostile_name, sizeof hostile_name, "hostile:%s/%s", options, honest_name);
    f.tpm_name = hostile_name;
    return flow_reset_tpm(&f);
}

/* A registered device with a sealed secret, on an honest TPM. */
static int prepare(const char *directory, bool persist)
{
    CHECK_EQUAL(flow_open(&f, directory, persist), 0);
    snprintf(honest_name, sizeof honest_name, "%s", f.tpm_name);
    CHECK_EQUAL(flow_register(&f), 0);
    memcpy(the_ek, f.device.ek, sizeof the_ek);
    memcpy(the_srk, f.device.srk, sizeof the_srk);
    CHECK(begin_seal() == 0 && flow_finish(&f) == 0);
    sealed_len = dps_device_result(&f.device).len;
    CHECK(sealed_len <= sizeof sealed);
    memcpy(sealed, dps_device_result(&f.device).p, sealed_len);
    return 0;
}

/* Drive the flow on the hostile TPM to its end, whichever that is. */
static int run(const struct flow_kind *kind)
{
    f.waited_ms = 0;
    f.response_len = 0;
    CHECK(kind->begin() == 0);
    const enum dps_want want = flow_run(&f, WANTS_MAX);
    CHECK(want == DPS_WANT_DONE || want == DPS_WANT_FAILED);
    CHECK((want == DPS_WANT_DONE) == (f.device.error == 0));
    CHECK((f.device.error == BYTES_E_TPM_RC) == (f.device.rc != 0));
    hostile_state()->on = false; /* what follows are questions of the test */
    return 0;
}

static bool storm_still_on(void)
{
    return hostile_state()->storm_left > 0;
}

/* The TPM holds only what no answer has reported, or what could not be flushed. */
static int nothing_known_is_left(void)
{
    const size_t left = flow_handles(&f, TRANSIENT) + flow_handles(&f, SESSIONS);
    const struct hostile *h = hostile_state();
    CHECK(left < 999);
    if (!storm_still_on()) {
        CHECK(left <= h->untold + h->unflushed);
    }
    return 0;
}

/* TPM2_HMAC answers with 32 bytes, and without the key nobody can see that they are wrong; likewise the others. */
static bool changed_unseen(const struct flow_kind *kind, bool one_fault)
{
    const struct hostile *h = hostile_state();
    return (h->injected & (BIT(CORRUPT) | BIT(PREVIOUS))) != 0 && kind->carrier != 0 &&
           (!one_fault || h->last_code == kind->carrier);
}

static int right_if_done(const struct flow_kind *kind, bool one_fault)
{
    return f.device.error != 0 || changed_unseen(kind, one_fault) ? 0 : kind->right();
}

/* Nothing that the device keeps is worse than before. */
static int honest_run_succeeds(void)
{
    CHECK_EQUAL(open_honest(), 0);
    CHECK(begin_register() == 0 && flow_finish(&f) == 0);
    CHECK(begin_send() == 0 && flow_finish(&f) == 0);
    CHECK_EQUAL(f.answer.status, 204);
    CHECK(begin_unseal() == 0 && flow_finish(&f) == 0);
    CHECK_EQUAL(right_secret(), 0);
    CHECK(flow_handles(&f, TRANSIENT) == 0 && flow_handles(&f, SESSIONS) == 0);
    return 0;
}

static int trouble(const char *kind, const char *options, int line)
{
    const struct hostile *h = hostile_state();
    printf("# %s on hostile:%s: line %d; error %d, rc 0x%X at \"%s\"; faults 0x%X, last at command 0x%X; "
           "untold %u, "
           "unflushed %u\n",
           kind, options, line, f.device.error, (unsigned)f.device.rc, dps_device_what(&f.device),
           (unsigned)h->injected, (unsigned)h->last_code, h->untold, h->unflushed);
    return line;
}

/* ---- One fault at each command ----------------------------------------------------------------------------------- */

/* Does this end fit the one fault that was injected? */
static bool fits(enum hostile_fault fault, bool while_flushing)
{
    const int error = f.device.error;
    const uint32_t rc = f.device.rc;
    const struct hostile *h = hostile_state();
    if (while_flushing) {
        return error == 0;
    }
    switch (fault) {
    case HOSTILE_DELAY:
    case HOSTILE_RESET: /* begun again */
        return error == 0;
    case HOSTILE_RETRY:
    case HOSTILE_TESTING:
    case HOSTILE_NVRATE:
    case HOSTILE_YIELDED:
        return storm_still_on() ? error == BYTES_E_TPM_RC && rc == h->storm_rc : error == 0;
    case HOSTILE_LOCKOUT:
        return error == BYTES_E_TPM_RC && rc == TPM2_RC_LOCKOUT;
    case HOSTILE_SESSIONS:
    case HOSTILE_OBJECTS:
        return error == BYTES_E_TPM_RC && rc >= TPM2_RC_OBJECT_MEMORY && rc <= TPM2_RC_OBJECT_HANDLES;
    case HOSTILE_VENDOR:
        return error == BYTES_E_TPM_RC && tpm2_rc_decode(rc).kind == TPM2_RC_KIND_VENDOR;
    case HOSTILE_LAYER:
        return error == BYTES_E_TPM_RC && tpm2_rc_decode(rc).kind == TPM2_RC_KIND_LAYER;
    case HOSTILE_LOST:
    case HOSTILE_BROKEN:
        return error == BYTES_E_TPM_TRANSPORT;
    case HOSTILE_TRUNCATE:
    case HOSTILE_LONGER:
    case HOSTILE_SHORTER:
    case HOSTILE_SIZE:
    case HOSTILE_TAG:
    case HOSTILE_PARAMETERS:
    case HOSTILE_TRAILING:
    case HOSTILE_AUTH:
        return error == BYTES_E_FORMAT || error == BYTES_E_INTEGRITY;
    case HOSTILE_NONCE: /* used in a session only, unless it stands where none belongs */
        return error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_INTEGRITY;
    case HOSTILE_HANDLE:
        return error == 0 || error == BYTES_E_TPM_RC || error == BYTES_E_FORMAT;
    case HOSTILE_CORRUPT:
    case HOSTILE_PREVIOUS: /* depends on the bit, and on what came before */
        return error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_ALGORITHM ||
               error == BYTES_E_INTEGRITY || error == BYTES_E_LIMIT || error == BYTES_E_TPM_RC ||
               error == BYTES_E_HTTP;
    case HOSTILE_COUNT:
        break;
    }
    return false;
}

/* One fault at one command. *ended is set when the flow has no such command. */
static int one_fault(const struct flow_kind *kind, enum hostile_fault fault, unsigned at, const char *options,
                     bool *ended)
{
    CHECK(open_hostile(options) == 0);
    CHECK(run(kind) == 0);
    *ended = hostile_state()->commands < at;
    CHECK(f.waited_ms <= PATIENCE_MS);
    CHECK(nothing_known_is_left() == 0);
    if (hostile_state()->injected == 0) { /* it did not fit this command */
        CHECK(f.device.error == 0);
        return kind->right();
    }
    CHECK(hostile_state()->injected == UINT32_C(1) << fault);
    CHECK(fits(fault, hostile_state()->last_code == TPM2_CC_FLUSH_CONTEXT && f.device.error == 0));
    return right_if_done(kind, true);
}

static int each_fault_at_each_command(const struct flow_kind *kind, bool persist)
{
    unsigned runs = 0;
    CHECK(prepare(kind->name, persist) == 0);
    for (unsigned fault = 0; fault < HOSTILE_COUNT; fault++) {
        bool ended = false;
        for (unsigned at = 1; !ended; at++, runs++) {
            char options[80];
            snprintf(options, sizeof options, "%u-%u,at=%u,faults=%s", fault, at, at,
                     hostile_fault_name((enum hostile_fault)fault));
            const int line = one_fault(kind, (enum hostile_fault)fault, at, options, &ended);
            if (line != 0) {
                return trouble(kind->name, options, line);
            }
        }
        CHECK_EQUAL(honest_run_succeeds(), 0);
    }
    printf("# %s: %u runs\n", kind->name, runs);
    flow_close(&f);
    return 0;
}

static int register_one_fault(void)
{
    return each_fault_at_each_command(&kinds[0], true);
}

static int send_one_fault(void)
{
    return each_fault_at_each_command(&kinds[2], true);
}

static int unseal_one_fault(void)
{
    return each_fault_at_each_command(&kinds[5], true);
}

/* ---- Many seeds, several faults in a run ------------------------------------------------------------------------- */

static unsigned seeds_wanted(void)
{
    const char *given = getenv("HOSTILE_SEEDS");
    const unsigned long n = given != NULL ? strtoul(given, NULL, 10) : 0;
    return n > 0 && n < 1000000 ? (unsigned)n : SEEDS_DEFAULT;
}

static int one_seed(const struct flow_kind *kind, const char *options)
{
    CHECK_EQUAL(open_hostile(options), 0);
    CHECK_EQUAL(run(kind), 0);
    CHECK(f.waited_ms <= SEEDS_PATIENCE_MS);
    CHECK(nothing_known_is_left() == 0);
    if (hostile_state()->injected == 0) {
        CHECK(f.device.error == 0);
    }
    return right_if_done(kind, false);
}

static int many_seeds(bool persist, unsigned seeds)
{
    unsigned done = 0;
    unsigned failed = 0;
    CHECK_EQUAL(prepare(persist ? "seeds" : "seeds-bare", persist), 0);
    for (unsigned seed = 0; seed < seeds; seed++) {
        for (size_t k = 0; k < KIND_COUNT; k++) {
            char options[80];
            snprintf(options, sizeof options, "%s-%u,rate=%u", kinds[k].name, seed, 3 + seed % 20);
            const int line = one_seed(&kinds[k], options);
            if (line != 0) {
                return trouble(kinds[k].name, options, line);
            }
            done += f.device.error == 0;
            failed += f.device.error != 0;
            /* A registration that failed may have got as far as a new hub key: then the kept one is worth nothing. */
            if (f.device.error != 0 && kinds[k].begin == begin_register) {
                CHECK_EQUAL(honest_run_succeeds(), 0);
            }
        }
    }
    CHECK_EQUAL(honest_run_succeeds(), 0);
    printf("# %u runs ended with the right result, %u with an error\n", done, failed);
    CHECK(done > 0 && failed > 0);
    flow_close(&f);
    return 0;
}

static int seeds_of_all_flows(void)
{
    return many_seeds(true, seeds_wanted());
}

/* Every run derives two RSA keys here. */
static int seeds_without_persistent_keys(void)
{
    return many_seeds(false, (seeds_wanted() + 19) / 20);
}

/* ---- Ownership: each change is made once ------------------------------------------------------------------------- */

static int own(const char *old_auth, const char *new_auth)
{
    f.config.owner_auth = bytes_of_text(old_auth);
    f.config.new_owner_auth = bytes_of_text(new_auth);
    return dps_device_own(&f.device, &f.config, flow_nonce);
}

/* Does the TPM take this owner authorization? To itself it is changed. */
static bool owner_is(const char *auth)
{
    return own(auth, auth) == 0 && flow_finish(&f) == 0;
}

static int ownership(void)
{
    static const char *const auths[2] = {"owner authorization A", "owner authorization B"};
    unsigned now = 0;
    unsigned changed = 0;
    CHECK_EQUAL(prepare("own", true), 0);
    CHECK(own("", auths[now]) == 0 && flow_finish(&f) == 0);
    for (unsigned seed = 0; seed < seeds_wanted(); seed++) {
        char options[80];
        snprintf(options, sizeof options, "own-%u,rate=2", seed);
        CHECK_EQUAL(open_hostile(options), 0);
        CHECK_EQUAL(own(auths[now], auths[1 - now]), 0);
        const enum dps_want want = flow_run(&f, WANTS_MAX);
        hostile_state()->on = false;
        CHECK(want == DPS_WANT_DONE || want == DPS_WANT_FAILED);
        CHECK_EQUAL(nothing_known_is_left(), 0);
        const bool done = want == DPS_WANT_DONE;
        CHECK_EQUAL(open_honest(), 0);
        const bool is_new = owner_is(auths[1 - now]);
        CHECK(is_new || (!done && owner_is(auths[now])));
        now = is_new ? 1 - now : now;
        changed += is_new;
    }
    printf("# changed %u times in %u runs\n", changed, seeds_wanted());
    CHECK(changed > 0);
    flow_close(&f);
    return 0;
}

/* ---- What the engine does about it ------------------------------------------------------------------------------- */

static int busy_for_ever(void)
{
    CHECK_EQUAL(prepare("busy", true), 0);
    CHECK_EQUAL(open_hostile("2,rate=1,faults=retry"), 0);
    CHECK_EQUAL(begin_token(), 0);
    f.waited_ms = 0;
    hostile_state()->storm_rc = TPM2_RC_RETRY;
    hostile_state()->storm_left = UINT32_MAX;
    CHECK(flow_run(&f, WANTS_MAX) == DPS_WANT_FAILED);
    CHECK(f.device.error == BYTES_E_TPM_RC && f.device.rc == TPM2_RC_RETRY);
    CHECK(f.device.tpm_commands == 13 && f.waited_ms == 10 * 4095);
    flow_close(&f);
    return 0;
}

/* The TPM is busy when everything is done and is to be flushed: it is asked again, but the end is not delayed for
 * ever. */
static int busy_when_flushing(void)
{
    static const struct {
        uint32_t length;
        size_t left;
        unsigned wants;
    } cases[] = {{1, 0, 3}, {8, 0, 17}, {9, 1, 17}};
    CHECK_EQUAL(prepare("busy-flush", true), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQUAL(open_hostile("1,rate=1000000000"), 0);
        CHECK_EQUAL(begin_token(), 0);
        while (!f.device.closing) {
            CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
        }
        hostile_state()->storm_rc = TPM2_RC_TESTING;
        hostile_state()->storm_left = cases[i].length;
        CHECK(flow_run(&f, WANTS_MAX) == DPS_WANT_DONE);
        CHECK(f.wants == cases[i].wants);
        CHECK(flow_handles(&f, TRANSIENT) == cases[i].left);
        CHECK(right_token() == 0);
    }
    flow_close(&f);
    return 0;
}

/* A reset before each command: begun again once, then the error that says so. */
static int reset_again_and_again(void)
{
    CHECK_EQUAL(prepare("resets", true), 0);
    CHECK_EQUAL(open_hostile("1,rate=1,faults=reset"), 0);
    CHECK_EQUAL(run(&kinds[0]), 0);
    CHECK(f.device.error == BYTES_E_TPM_RC && f.device.restarted);
    const uint32_t code = tpm2_rc_decode(f.device.rc).code;
    CHECK(code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_S6);
    CHECK_EQUAL(honest_run_succeeds(), 0);
    flow_close(&f);
    return 0;
}

/* The rows of a flow above the keys are neither repeated nor skipped: there a lost handle is an error. */
static uint32_t answered_code; /* the first command of this code */
static void answer_handle(struct flow *flow, uint8_t *response, size_t *len)
{
    static const uint8_t lost[] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x8B};
    if (flow_is_at(flow, answered_code, 1)) {
        memcpy(response, lost, sizeof lost);
        *len = sizeof lost;
    }
}

static int no_restart_above_the_keys(void)
{
    CHECK_EQUAL(prepare("above", true), 0);
    f.change_response = answer_handle;
    answered_code = TPM2_CC_HIERARCHY_CHANGE_AUTH;
    CHECK_EQUAL(own("", "new owner"), 0);
    CHECK(flow_finish(&f) == BYTES_E_TPM_RC && f.device.rc == 0x18B && !f.device.restarted);
    answered_code = TPM2_CC_READ_PUBLIC;
    CHECK(begin_register() == 0 && flow_finish(&f) == 0); /* no EK is kept, so it is derived */
    CHECK(!f.device.restarted);
    f.change_response = NULL;
    flow_close(&f);
    return 0;
}

/* ---- The name ---------------------------------------------------------------------------------------------------- */

static int names(void)
{
    static const char *const refused[] = {
        "hostile:",
        "hostile:1",
        "hostile:/libtpms:x",
        "hostile:1,/",
        "hostile:1/nothing",
        "hostile:1,rate=0/%s",
        "hostile:1,rate=/%s",
        "hostile:1,rate=x/%s",
        "hostile:1,at=0/%s",
        "hostile:1,faults=/%s",
        "hostile:1,faults=no/%s",
        "hostile:1,faults=retry+no/%s",
        "hostile:1,no/%s",
        "hostile:1,,log/%s",
        "hostile:1/hostile:2/%s",
        "hostile:a-seed-of-more-than-thirty-one-characters/%s",
    };
    struct posix_tpm t;
    CHECK_EQUAL(prepare("names", true), 0);
    flow_close(&f);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char name[400];
        const char *mark = strstr(refused[i], "%s");
        snprintf(name, sizeof name, "%.*s%s", mark != NULL ? (int)(mark - refused[i]) : 100, refused[i],
                 mark != NULL ? honest_name : "");
        CHECK(tpm_call_open(&t, name) == BYTES_E_USAGE && tpm_call_why[0] != 0);
    }
    snprintf(hostile_name, sizeof hostile_name, "hostile:any text,log,at=7,rate=3,faults=lost+nonce/%s",
             honest_name);
    CHECK(tpm_call_open(&t, hostile_name) == 0);
    CHECK(hostile_state()->on && hostile_state()->log && hostile_state()->at == 7 &&
          hostile_state()->rate == 3);
    CHECK(hostile_state()->faults == (BIT(LOST) | BIT(NONCE)));
    posix_tpm_close(&t);
    return 0;
}

/* The same seed and the same commands: the same end. */
static int reproducible(void)
{
    struct {
        uint32_t injected, last_code, commands, rc;
        int error;
    } first = {0}, second = {0};
    uint32_t seen = 0;
    CHECK_EQUAL(prepare("again", true), 0);
    for (unsigned seed = 0; seed < 10; seed++) {
        char options[80];
        snprintf(options, sizeof options, "%u,rate=5", seed);
        for (unsigned i = 0; i < 2; i++) {
            CHECK(open_hostile(options) == 0 && run(&kinds[0]) == 0);
            const struct hostile *h = hostile_state();
            first = second;
            memset(&second, 0, sizeof second);
            second.injected = h->injected;
            second.last_code = h->last_code;
            second.commands = h->commands;
            second.rc = f.device.rc;
            second.error = f.device.error;
        }
        CHECK(memcmp(&first, &second, sizeof first) == 0);
        seen |= first.injected;
    }
    CHECK((seen & (seen - 1)) != 0); /* and not one fault for all */
    flow_close(&f);
    return 0;
}

static const struct test tests[] = {
    {"the name of a hostile TPM", names},
    {"the same seed gives the same faults", reproducible},
    {"a TPM that is busy for ever", busy_for_ever},
    {"a TPM that is busy when all is done", busy_when_flushing},
    {"a TPM that is reset before every command", reset_again_and_again},
    {"a lost handle where nothing is loaded yet", no_restart_above_the_keys},
    {"register: each fault at each command", register_one_fault},
    {"send: each fault at each command", send_one_fault},
    {"unseal: each fault at each command", unseal_one_fault},
    {"all flows, many seeds", seeds_of_all_flows},
    {"all flows, keys derived each time", seeds_without_persistent_keys},
    {"taking ownership", ownership},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
