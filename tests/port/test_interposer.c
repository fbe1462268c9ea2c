/* SPDX-License-Identifier: MIT */
/* Somebody stands on the bus between host and TPM and has the answers at his command. He wants a key; or a password, in
 * clear or as something against which he can try his guesses at home. */
#include "dps/device/device.h"
#include "dps/device/ownership.h"
#include "dps/device/record.h"
#include "dps/protocol/activation.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include "tpm/tools/command_more.h"
#include "tpm/tools/open.h"
#include <string.h>

static struct flow f;

#define OWNER "owner's password"
#define ENDORSEMENT "endorsement's password"

/* ---- The bus ----------------------------------------------------------------------------------------------------- */

static struct port_tpm real;
static bool seen;         /* a password crossed in clear */
static unsigned sessions; /* StartAuthSession since the change of keys */

static bool has(struct bytes bytes, const char *text)
{
    const size_t len = strlen(text);
    for (size_t at = 0; at + len <= bytes.len; at++) {
        if (memcmp(bytes.p + at, text, len) == 0) {
            return true;
        }
    }
    return false;
}

static int listen(void *context, struct bytes command, uint8_t *response, size_t capacity, size_t *len,
                  uint32_t timeout_ms)
{
    (void)context;
    seen = seen || has(command, OWNER) || has(command, ENDORSEMENT);
    return real.transact(real.context, command, response, capacity, len, timeout_ms);
}

static void start_listening(void)
{
    real = f.tpm_port;
    f.tpm_port.transact = listen;
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

static int activations, wanted;
static int stolen; /* bytes of the key that was read; negative: the TPM has refused */

static int ask(struct bytes_writer *w, uint8_t *response, size_t capacity, size_t *len)
{
    return real.transact(real.context, bytes_written(w), response, capacity, len, 60000);
}

/* The device has proved endorsement authority in its policy session. Its ActivateCredential is held back, and the same
 * is asked in clear with that session. Then TPM2_Rewrap. */
static int steal(struct bytes command)
{
    static uint8_t buffer[2048], response[2048], storage[256];
    uint8_t inner[32], name[TPM2_NAME_SIZE];
    uint32_t rc;
    size_t len;
    struct bytes key, duplicate, secret;
    struct tpm2_sensitive sensitive;
    struct bytes_reader r = bytes_reader_over(command);
    (void)bytes_read_bytes(&r, 10);
    const uint32_t srk = bytes_read_u32(&r), ek = bytes_read_u32(&r);
    (void)bytes_read_bytes(&r, bytes_read_u32(&r));
    const struct bytes id_object = bytes_read_2b(&r), encrypted = bytes_read_2b(&r);
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    const struct tpm2_auth auth[2] = {empty, tpm2_auth_policy(f.device.loaded[DPS_LOADED_SESSION], false)};
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_activate_credential_build(&w, srk, ek, auth, id_object, encrypted);
    CHECK_EQUAL(ask(&w, response, sizeof response, &len), 0);
    if (tpm2_activate_credential_parse(bytes_of(response, len), &rc, &key) != 0) {
        return -1;
    }
    memcpy(inner, key.p, key.len);
    struct dps_activation
        parts; /* the service's answer: here from the device; on the bus, from its TPM2_Import */
    CHECK(dps_activation_parse(bytes_of(f.device.net + f.device.blob_at, f.device.blob_len), &parts) == 0);
    tpm2_name_of(parts.key_public_2b, name);
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_rewrap_build(&w, srk, TPM2_RH_NULL, &empty, parts.duplicate, bytes_of(name, sizeof name),
                      parts.duplicate_secret);
    CHECK_EQUAL(ask(&w, response, sizeof response, &len), 0);
    CHECK_EQUAL(tpm2_rewrap_parse(bytes_of(response, len), &rc, &duplicate, &secret), 0);
    CHECK_EQUAL(tpm2_duplicate_open_inner(duplicate, bytes_of(inner, key.len), bytes_of(name, sizeof name),
                                          &sensitive, storage, sizeof storage),
                0);
    return (int)sensitive.key.len;
}

static int take_over(void *context, struct bytes command, uint8_t *response, size_t capacity, size_t *len,
                     uint32_t timeout_ms)
{
    struct bytes_reader r = bytes_reader_over(command);
    (void)bytes_read_bytes(&r, 6);
    if (bytes_read_u32(&r) == TPM2_CC_ACTIVATE_CREDENTIAL && ++activations == wanted) {
        stolen = steal(command);
    }
    return listen(context, command, response, capacity, len, timeout_ms);
}

/* A policy session of the interposer's own, whose handle the device gets for its own one: with the nonce of the one or
 * of the other. On the way to the TPM it is put back where an authorization names it. */
static uint32_t own_session, device_session;
static bool own_nonce;

static int give_own_session(uint8_t *response)
{
    uint8_t buffer[128];
    uint32_t rc;
    size_t len;
    struct bytes nonce;
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_start_auth_session_build(&w, TPM2_SE_POLICY, bytes_of(flow_nonce, sizeof flow_nonce));
    CHECK_EQUAL(ask(&w, buffer, sizeof buffer, &len), 0);
    CHECK_EQUAL(tpm2_start_auth_session_parse(bytes_of(buffer, len), &rc, &own_session, &nonce), 0);
    struct bytes_reader r = bytes_reader_over(bytes_of(response + 10, 4));
    device_session = bytes_read_u32(&r);
    put_u32(response + 10, own_session);
    if (own_nonce) {
        memcpy(response + 16, nonce.p, nonce.len);
    }
    return 0;
}

/* In a command's authorizations, not in its handles: those are in the HMACs. */
static struct bytes put_back(struct bytes command, uint32_t code)
{
    static uint8_t changed[2048];
    uint8_t wrong[4];
    const size_t begin =
        10 + 4 * (code == TPM2_CC_POLICY_SECRET || code == TPM2_CC_ACTIVATE_CREDENTIAL ? 2 : 1);
    memcpy(changed, command.p, command.len);
    put_u32(wrong, own_session);
    for (size_t at = begin; own_session != 0 && at + 4 <= command.len; at++) {
        if (memcmp(changed + at, wrong, 4) == 0) {
            put_u32(changed + at, device_session);
        }
    }
    return bytes_of(changed, command.len);
}

static int swap_sessions(void *context, struct bytes command, uint8_t *response, size_t capacity, size_t *len,
                         uint32_t timeout_ms)
{
    struct bytes_reader r = bytes_reader_over(command);
    (void)bytes_read_bytes(&r, 6);
    const uint32_t code = bytes_read_u32(&r);
    if (code == TPM2_CC_ACTIVATE_CREDENTIAL) {
        stolen = steal(command);
    }
    const bool policy = code == TPM2_CC_START_AUTH_SESSION && command.p[command.len - 9] == TPM2_SE_POLICY;
    const int error = listen(context, put_back(command, code), response, capacity, len, timeout_ms);
    if (policy && error == 0 && own_session == 0) {
        CHECK_EQUAL(give_own_session(response), 0);
    }
    return error;
}

static int own_policy_session(void)
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(take(i == 0 ? "interposer-own" : "interposer-own-nonce", true), 0);
        own_nonce = i == 1;
        own_session = 0;
        stolen = 0;
        f.tpm_port.transact = swap_sessions;
        CHECK(flow_register(&f) != 0);
        CHECK(own_session != 0 && stolen <= 0);
        flow_close(&f);
    }
    return 0;
}

static int authorized_policy_session(void)
{
    CHECK_EQUAL(take("interposer-policy", true), 0);
    f.tpm_port.transact = take_over;
    for (wanted = 1; wanted <= 2; wanted++) { /* of the nonce, of the hub key */
        stolen = activations = 0;
        CHECK_EQUAL(flow_register(&f), 0); /* the attempt has changed nothing */
        CHECK(stolen < 0);
    }
    f.config.no_sessions = true; /* the same attempt, where nothing is in its way */
    for (wanted = 1; wanted <= 2; wanted++) {
        stolen = activations = 0;
        CHECK_EQUAL(flow_register(&f), 0);
        CHECK_EQUAL(stolen, DPS_KEY_SIZE);
    }
    CHECK(seen);
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"no handle in an answer brings out a password", handles_of_persistent_keys},
        {"no handle in an answer brings out a password, keys derived", handles_of_derived_keys},
        {"the policy session, once it is authorized, is the device's", authorized_policy_session},
        {"no other policy session is authorized in its place", own_policy_session},
        {"of a run that has ended nothing remains with which its sessions could be read", nothing_remains},
        {"of a run that will not begin again, either", broken_off_before_a_new_beginning},
        {"after a new beginning the EK is still the same", substituted_later},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
