/* SPDX-License-Identifier: MIT */
/* Somebody stands on the bus between host and TPM and has the answers at his command. He wants a key; or a password, in
 * clear or as something against which he can try his guesses at home. */
#include "dps/device/device.h"
#include "dps/device/ownership.h"
#include "dps/device/record.h"
#include "dps/protocol/activation.h"
#include "tests/hostile/interpose.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include <string.h>

static struct flow f;

#define OWNER "owner's password"
#define ENDORSEMENT "endorsement's password"

/* ---- The bus ----------------------------------------------------------------------------------------------------- */

static struct interposer bus;
static bool seen;         /* a password crossed in clear */
static unsigned sessions; /* StartAuthSession since the change of keys */

static bool has(struct bytes bytes, const char *text)
{
    return memmem(bytes.p, bytes.len, text, strlen(text)) != NULL;
}

static void look(void *context, unsigned step, enum port_trace_kind kind, const char *who, struct bytes bytes)
{
    (void)context, (void)step, (void)kind, (void)who;
    seen = seen || has(bytes, OWNER) || has(bytes, ENDORSEMENT);
}

static void start_listening(void)
{
    bus = (struct interposer){.tpm = f.tpm_port, .record = {NULL, look}, .own = {NULL, look}};
    f.tpm_port = (struct port_tpm){&bus, interposer_transact};
}

static int take(const char *directory, bool persist)
{
    CHECK_EQUAL(flow_open(&f, directory, persist), 0);
    f.config.new_owner_auth = bytes_of_text(OWNER);
    f.config.new_endorsement_auth = bytes_of_text(ENDORSEMENT);
    CHECK(dps_device_own(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
    f.config.owner_auth = f.config.new_owner_auth;
    f.config.endorsement_auth = f.config.new_endorsement_auth;
    f.config.new_owner_auth = f.config.new_endorsement_auth = bytes_of(NULL, 0);
    start_listening();
    seen = false;
    return 0;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    struct bytes_writer w = bytes_writer_over(at, 4);
    bytes_write_u32(&w, value);
}

/* ---- Handles ----------------------------------------------------------------------------------------------------- */

/* The handle in the answer to the at-th command that gives one: no HMAC covers it. */
static uint32_t lie;

static void lie_about_handle(struct flow *g, uint8_t *response, size_t *len)
{
    const bool gives = g->tpm_code == TPM2_CC_START_AUTH_SESSION || g->tpm_code == TPM2_CC_CREATE_PRIMARY ||
                       g->tpm_code == TPM2_CC_LOAD;
    if (gives && *len > 14 && ++g->counter == g->at) {
        g->touched = true;
        put_u32(response + 10, lie);
    }
}

static int begin_register(void)
{
    return dps_device_register(&f.device, &f.config, flow_nonce);
}

static int begin_token(void)
{
    return dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len));
}

static int begin_own(void)
{
    f.config.new_owner_auth = bytes_of_text(OWNER); /* to itself */
    return dps_device_own(&f.device, &f.config, flow_nonce);
}

/* 0 would be no session; that of the one session would make the other take its place; the others are what else could be
 * mistaken. Whatever comes of the run, no password is seen. */
static int each_handle(const char *directory, bool persist)
{
    static const uint32_t handles[] = {0,
                                       UINT32_C(0x02000000),
                                       UINT32_C(0x02000001),
                                       UINT32_C(0x03000000),
                                       UINT32_C(0x03000001),
                                       UINT32_C(0x80000000),
                                       TPM2_HANDLE_SRK,
                                       TPM2_RS_PW,
                                       TPM2_RH_OWNER};
    int (*const flows[])(void) = {begin_register, begin_token, begin_own};
    CHECK_EQUAL(take(directory, persist), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK(!seen);
    f.change_response = lie_about_handle;
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        lie = handles[i];
        for (size_t k = 0; k < sizeof flows / sizeof flows[0]; k++) {
            f.touched = true;
            for (f.at = 1; f.touched; f.at++) {
                f.counter = 0;
                f.touched = false;
                CHECK_EQUAL(flows[k](), 0);
                const int error = flow_finish(&f);
                CHECK(error != 0 || lie != 0 || !f.touched);
                CHECK(!seen);
                CHECK_EQUAL(flow_reset_tpm(&f), 0);
                start_listening();
            }
            CHECK(f.at > 2); /* some handle was changed */
        }
    }
    flow_close(&f);
    return 0;
}

/* What was recorded on the bus can be opened with a salt, and that follows from the seed. */
static int nothing_remains(void)
{
    static const char *const names[] = {"interposer-wiped", "interposer-wiped-failed"};
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQUAL(take(names[i], false), 0);
        if (i == 1) {
            f.config.endorsement_auth = bytes_of_text("another one");
        }
        CHECK_EQUAL(flow_register(&f), i == 0 ? 0 : BYTES_E_TPM_RC);
        CHECK(test_is_zero(f.device.seed, sizeof f.device.seed));
        CHECK(test_is_zero(&f.device.session, sizeof f.device.session));
        CHECK(test_is_zero(&f.device.policy, sizeof f.device.policy));
        CHECK(test_is_zero(f.device.inner_key, sizeof f.device.inner_key));
        flow_close(&f);
    }
    return 0;
}

static int handles_of_persistent_keys(void)
{
    return each_handle("interposer-persistent", true);
}

static int handles_of_derived_keys(void)
{
    return each_handle("interposer-derived", false);
}

/* ---- Another EK after a new beginning ---------------------------------------------------------------------------- */

/* An unsigned refusal: the flow begins again, and now another key stands in the EK's place. */
static void refuse_and_substitute(struct flow *g, uint8_t *response, size_t *len)
{
    if (flow_is_at(g, TPM2_CC_POLICY_SECRET, 1) && !g->touched) {
        g->touched = true;
        sessions = 0;
        *len = 10;
        response[0] = 0x80;
        response[1] = 0x01;
        put_u32(response + 2, 10);
        put_u32(response + 6, 0x910); /* REFERENCE_H0 */
    } else if (g->touched && flow_is_at(g, TPM2_CC_READ_PUBLIC, 2) && *len > 200) {
        response[*len - 100] ^= 0x55;
    }
    sessions += g->tpm_code == TPM2_CC_START_AUTH_SESSION;
}

static int substituted_later(void)
{
    uint8_t known[TPM2_NAME_SIZE];
    CHECK_EQUAL(take("interposer-later", true), 0);
    f.config.srk = DPS_SRK_HARDENED; /* derived: the owner's password is needed */
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(dps_record_ek_name(bytes_of(f.record, f.record_len), known), 0);
    f.config.ek_name = bytes_of(known, sizeof known);
    f.change_response = refuse_and_substitute;
    f.touched = false;
    const int error = flow_register(&f);
    CHECK(f.touched);
    CHECK_EQUAL(sessions, 0);
    CHECK_EQUAL(error, BYTES_E_INTEGRITY);
    flow_close(&f);
    return 0;
}

/* The flow would begin again, but the TPM does not answer any more while what is loaded is flushed: it will not. */
static int broken_off_before_a_new_beginning(void)
{
    CHECK_EQUAL(take("interposer-broken", true), 0);
    f.config.srk = DPS_SRK_HARDENED;
    f.change_response = refuse_and_substitute;
    f.touched = false;
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    while (!f.device.closing) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    CHECK(f.touched && f.device.restarting && !test_is_zero(f.device.seed, sizeof f.device.seed));
    dps_device_fail(&f.device, BYTES_E_TPM_TRANSPORT);
    CHECK(test_is_zero(f.device.seed, sizeof f.device.seed));
    flow_close(&f);
    return 0;
}

/* ---- The policy session, once it is authorized ------------------------------------------------------------------- */

/* The device has proved endorsement authority in its policy session. Before each ActivateCredential the same is asked
 * in clear with that session, and with one of the interposer's own. Then TPM2_Rewrap. */
static int authorized_policy_session(void)
{
    CHECK_EQUAL(take("interposer-policy", true), 0);
    bus.rewrap = true;
    CHECK_EQUAL(flow_register(&f), 0); /* the attempts have changed nothing */
    CHECK_EQUAL(bus.inner_keys, 0);
    CHECK_EQUAL(bus.keys, 0);
    CHECK_EQUAL(bus.refusals, 2 * 2); /* of the nonce, of the hub key: ActivateCredential, PolicySecret */
    CHECK(!seen);
    f.config.no_sessions = true; /* the same attempt, where nothing is in its way */
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(bus.inner_keys, 2);
    CHECK_EQUAL(bus.keys, 2);
    CHECK_EQUAL(bus.key_len, DPS_KEY_SIZE);
    CHECK(seen);
    flow_close(&f);
    return 0;
}

/* The device's own authorization of the EK, but in the place of its first session the empty password. If that session
 * were the one that encrypts, the answer would be in clear. Afterwards the policy session is used up: the device begins
 * again, once, as with an SRK that has an authValue. */
static int taken_out_session(void)
{
    CHECK_EQUAL(take("interposer-strip", true), 0);
    for (unsigned i = 0; i < 2; i++) {
        f.config.srk = i == 0 ? DPS_SRK_STANDARD : DPS_SRK_HARDENED;
        bus.strip = true;
        bus.stripped = 0;
        (void)flow_register(&f);
        CHECK(bus.stripped > 0);
        CHECK_EQUAL(bus.inner_keys, 0);
    }
    flow_close(&f);
    return 0;
}

/* What is sealed under the SRK has no password: a session hides it from whoever listens, but who sends a command of his
 * own gets it (spec-notes.md, "What a listener on the bus reads"). */
static int sealed_data(void)
{
    static uint8_t sealed[512];
    static const char secret[] = "what is sealed";
    static uint8_t known[TPM2_NAME_SIZE]; /* the fixture keeps it */
    CHECK_EQUAL(take("interposer-seal", true), 0);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK_EQUAL(dps_record_ek_name(bytes_of(f.record, f.record_len), known), 0);
    f.config.ek_name = bytes_of(known, sizeof known);
    f.config.data = bytes_of_text(secret);
    CHECK(dps_device_seal(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
    const struct bytes blob = dps_device_result(&f.device);
    CHECK(blob.len <= sizeof sealed);
    memcpy(sealed, blob.p, blob.len);
    f.config.data = bytes_of(sealed, blob.len);
    for (unsigned i = 0; i < 2; i++) {
        bus.strip = i == 1;
        CHECK(dps_device_unseal(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
        CHECK(bytes_equal_public(dps_device_result(&f.device), bytes_of_text(secret)));
        CHECK_EQUAL(bus.stripped, i);
    }
    CHECK(bytes_equal_public(bytes_of(bus.key, bus.key_len), bytes_of_text(secret)));
    flow_close(&f);
    return 0;
}

static int own_policy_session(void)
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(take(i == 0 ? "interposer-own" : "interposer-own-nonce", true), 0);
        bus.rewrap = bus.own_session = true;
        bus.own_nonce = i == 1;
        /* PolicySecret has nonceTPM of the device's session; the answer with the nonce, too, has not its HMAC. */
        CHECK_EQUAL(flow_register(&f), i == 0 ? BYTES_E_TPM_RC : BYTES_E_INTEGRITY);
        CHECK(i == 1 || f.device.rc == 0x1CF); /* TPM_RC_NONCE, parameter 1 */
        CHECK(bus.given_session != 0 && bus.inner_keys == 0 && bus.keys == 0);
        flow_close(&f);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"no handle in an answer brings out a password", handles_of_persistent_keys},
        {"no handle in an answer brings out a password, keys derived", handles_of_derived_keys},
        {"the policy session, once it is authorized, is the device's", authorized_policy_session},
        {"the session that encrypts cannot be taken out of a command", taken_out_session},
        {"sealed data are hidden from who listens, not from who asks", sealed_data},
        {"no other policy session is authorized in its place", own_policy_session},
        {"of a run that has ended nothing remains with which its sessions could be read", nothing_remains},
        {"of a run that will not begin again, either", broken_off_before_a_new_beginning},
        {"after a new beginning the EK is still the same", substituted_later},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
