/* SPDX-License-Identifier: MIT */
/* Somebody stands on the bus between host and TPM, has the answers at his command, and wants a password: in clear, or
 * as something against which he can try his guesses at home. */
#include "dps/device/device.h"
#include "dps/device/ownership.h"
#include "dps/device/record.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
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
        }
    }
    flow_close(&f);
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

int main(void)
{
    static const struct test tests[] = {
        {"no handle in an answer brings out a password", handles_of_persistent_keys},
        {"no handle in an answer brings out a password, keys derived", handles_of_derived_keys},
        {"after a new beginning the EK is still the same", substituted_later},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
