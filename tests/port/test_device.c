/* SPDX-License-Identifier: MIT */
/* The device side on a TPM that others have used: their keys at the fixed handles; keys with a policy in a blob; and a
 * service that tells a wrong time. The TPM is a real one (libtpms). */
#include "crypto/crypto.h"
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/ownership.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/command.h"
#include "tpm/protect.h"
#include "tpm/rc.h"
#include <stdio.h>
#include <string.h>

static struct flow f;

/* ---- Keys of others ---------------------------------------------------------------------------------------------- */

/* The TCG's SRK on P-256, as systemd and tpm2-tools make it, and the RSA one with names by SHA-384: TPMT_PUBLIC with
 * an empty unique. */
static const uint8_t ecc_area[] = {0,   0x23, 0,    0x0b, 0,    3, 4, 0x72, 0,    0, 0, 6, 0,
                                   128, 0,    0x43, 0,    0x10, 0, 3, 0,    0x10, 0, 0, 0, 0};
static const uint8_t sha384_area[] = {0,   1, 0,    0x0c, 0,    3, 4, 0x72, 0, 0, 0, 6, 0,
                                      128, 0, 0x43, 0,    0x10, 8, 0, 0,    0, 0, 0, 0, 0};

static int execute(struct bytes_writer *w, struct bytes *response)
{
    static uint8_t answer[DPS_TPM_BUFFER];
    size_t len = 0;
    CHECK(w->error == 0);
    CHECK_EQUAL(f.tpm_port.transact(f.tpm_port.context, bytes_written(w), answer, sizeof answer, &len, 60000),
                0);
    *response = bytes_of(answer, len);
    return 0;
}

/* TPM2_CreatePrimary under the owner with an authValue, and a public area of any kind; what the project's own function
 * cannot make. */
static int create_primary(struct bytes area, const char *auth, uint32_t *handle)
{
    uint8_t command[DPS_TPM_BUFFER];
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    struct bytes response;
    static const uint8_t head[] = {0x80, 2, 0, 0, 0, 0, 0, 0, 1, 0x31, 0x40, 0, 0, 1};
    static const uint8_t password[] = {0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0};
    bytes_write_bytes(&w, bytes_of(head, sizeof head));
    bytes_write_bytes(&w, bytes_of(password, sizeof password));
    const size_t sensitive = bytes_write_size_begin(&w);
    bytes_write_2b(&w, bytes_of_text(auth));
    bytes_write_2b(&w, bytes_of(NULL, 0));
    bytes_write_size_end(&w, sensitive);
    bytes_write_2b(&w, area);
    bytes_write_2b(&w, bytes_of(NULL, 0)); /* outsideInfo */
    bytes_write_u32(&w, 0);                /* creationPCR */
    command[4] = (uint8_t)(w.len >> 8);
    command[5] = (uint8_t)w.len;
    CHECK_EQUAL(execute(&w, &response), 0);
    struct bytes_reader r = bytes_reader_over(response);
    bytes_skip(&r, 6);
    CHECK_EQUAL(bytes_read_u32(&r), 0);
    *handle = bytes_read_u32(&r);
    return 0;
}

/* Make it, keep it at that handle, forget the transient one. */
static int occupy(uint32_t place, struct bytes area, const char *auth)
{
    uint8_t command[128];
    uint32_t object = 0;
    uint32_t rc;
    struct bytes response;
    const struct tpm2_auth owner = tpm2_auth_password(bytes_of(NULL, 0));
    CHECK_EQUAL(create_primary(area, auth, &object), 0);
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_evict_control_build(&w, TPM2_RH_OWNER, &owner, object, place);
    CHECK(execute(&w, &response) == 0 && tpm2_evict_control_parse(response, &rc) == 0);
    w = bytes_writer_over(command, sizeof command);
    tpm2_flush_context_build(&w, object);
    CHECK(execute(&w, &response) == 0 && tpm2_flush_context_parse(response, &rc) == 0);
    return 0;
}

/* Every flow that needs EK or SRK. sealed: by the same SRK, before it was made persistent or its handle was taken. */
static int all_flows(struct bytes sealed)
{
    CHECK_EQUAL(flow_register(&f), 0);
    f.config.data = bytes_of_text("{}");
    CHECK_EQUAL(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK_EQUAL(dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    f.config.persist = false;
    CHECK_EQUAL(dps_device_own(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    f.config.data = sealed;
    CHECK_EQUAL(dps_device_unseal(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK(bytes_equal_public(dps_device_result(&f.device), bytes_of_text("secret")));
    f.config.data = bytes_of_text("secret");
    CHECK_EQUAL(dps_device_seal(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    CHECK(flow_handles(&f, TPM2_HR_TRANSIENT) == 0 && flow_handles(&f, 0x02000000) == 0);
    return 0;
}

static int seal(uint8_t *sealed, size_t *len)
{
    f.config.data = bytes_of_text("secret");
    CHECK_EQUAL(dps_device_seal(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), 0);
    const struct bytes result = dps_device_result(&f.device);
    memcpy(sealed, result.p, result.len);
    *len = result.len;
    return 0;
}

static int s03_foreign_keys_are_passed_over(void)
{
    static uint8_t sealed[512]; /* the flow looks at it for as long as it lives */
    uint8_t signing[64];
    size_t len;
    struct tpm2_public area = tpm2_template_srk();
    struct bytes_writer w = bytes_writer_over(signing, sizeof signing);
    area.attributes &= ~(uint32_t)(TPM2_OBJECT_RESTRICTED | TPM2_OBJECT_DECRYPT);
    area.attributes |= TPM2_OBJECT_SIGN_ENCRYPT;
    area.symmetric = TPM2_ALG_NULL;
    tpm2_public_write(&w, &area);
    const struct bytes foreign[] = {bytes_of(ecc_area, sizeof ecc_area),
                                    bytes_of(sha384_area, sizeof sha384_area), bytes_written(&w)};
    static const char *const names[] = {"foreign-ecc", "foreign-sha384", "foreign-signing"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        CHECK_EQUAL(flow_open(&f, names[i], false), 0);
        CHECK_EQUAL(seal(sealed, &len), 0);
        CHECK_EQUAL(occupy(TPM2_HANDLE_SRK, foreign[i], ""), 0);
        CHECK_EQUAL(occupy(TPM2_HANDLE_EK, foreign[i], ""), 0);
        CHECK_EQUAL(all_flows(bytes_of(sealed, len)), 0);
        flow_close(&f);
    }
    return 0;
}

/* It is the same key as the derived one, except for its authValue. */
static int s03_an_srk_with_a_password_is_passed_over(void)
{
    static uint8_t sealed[512]; /* likewise */
    uint8_t bytes[64];
    size_t len;
    const struct tpm2_public area = tpm2_template_srk();
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    tpm2_public_write(&w, &area);
    CHECK_EQUAL(flow_open(&f, "srk-password", false), 0);
    CHECK_EQUAL(seal(sealed, &len), 0);
    CHECK_EQUAL(occupy(TPM2_HANDLE_SRK, bytes_written(&w), "of the owner"), 0);
    CHECK_EQUAL(all_flows(bytes_of(sealed, len)), 0);
    CHECK(f.device.srk_locked);
    flow_close(&f);
    return 0;
}

/* ---- A key with a policy ----------------------------------------------------------------------------------------- */

static struct bytes policy;
static uint32_t attributes;

/* The service's challenge, with a key of the test's own in it, whose public area has a policy. */
static void write_blob(struct bytes_writer *w)
{
    static const struct tpm2_wrap_random random = {{1}, {2}};
    static const uint8_t inner_key[DPS_INNER_KEY_SIZE] = {3};
    const struct tpm2_sensitive sensitive = {
        .seed_value = bytes_of(vector_seed_value, sizeof vector_seed_value),
        .key = bytes_of(vector_hmac_key, sizeof vector_hmac_key),
    };
    uint8_t bytes[DPS_KEY_PUBLIC_MAX];
    uint8_t name[TPM2_NAME_SIZE];
    struct tpm2_public ek;
    struct tpm2_public srk;
    struct tpm2_public key = tpm2_template_hmac_key(bytes_of(vector_unique, sizeof vector_unique));
    struct bytes_writer area = bytes_writer_over(bytes, sizeof bytes);
    key.auth_policy = policy;
    key.attributes ^= attributes;
    tpm2_public_write_2b(&area, &key);
    tpm2_name_of(bytes_written(&area), name);
    bytes_writer_fail(w, tpm2_public_parse_2b(bytes_of(f.device.ek, f.device.ek_len), &ek));
    bytes_writer_fail(w, tpm2_public_parse_2b(bytes_of(f.device.srk, f.device.srk_len), &srk));
    tpm2_credential_make(w, &ek, bytes_of(inner_key, sizeof inner_key),
                         bytes_of(f.device.srk_name, TPM2_NAME_SIZE), &random);
    tpm2_duplicate_make(w, &srk, bytes_of(inner_key, sizeof inner_key), bytes_of(name, sizeof name),
                        &sensitive, &random);
    bytes_write_bytes(w, bytes_written(&area));
    bytes_write_2b(w, bytes_of(NULL, 0));
}

static void challenge_with_policy(struct flow *g)
{
    uint8_t blob[1200];
    uint8_t text[2048];
    char length[64];
    struct bytes_writer w = bytes_writer_over(blob, sizeof blob);
    struct bytes_writer body = bytes_writer_over(text, sizeof text);
    struct bytes_writer answer = bytes_writer_over(g->response, sizeof g->response);
    if (g->counter++ > 0) {
        return; /* the test checks the token */
    }
    write_blob(&w);
    dps_write_text(&body, "{\"authenticationKey\":\"");
    dps_write_base64(&body, bytes_written(&w));
    dps_write_text(&body, "\",\"keyName\":\"registration\"}");
    snprintf(length, sizeof length, "HTTP/1.1 401 X\r\nContent-Length: %zu\r\n\r\n", body.len);
    dps_write_text(&answer, length);
    bytes_write_bytes(&answer, bytes_written(&body));
    g->response_len = answer.len;
}

/* The end of a registration in which the first blob had this policy. */
static int register_with(size_t policy_len, uint32_t changed)
{
    static const uint8_t digest[64] = {0x5a};
    policy = bytes_of(digest, policy_len);
    attributes = changed;
    f.counter = 0;
    f.change_answer = challenge_with_policy;
    return flow_register(&f);
}

/* The token that its key would have signed. */
static int token_is_right(void)
{
    uint8_t text[DPS_TOKEN_MAX];
    uint8_t mac[CRYPTO_SHA256_SIZE];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    const struct bytes sr = bytes_of_text(FLOW_SCOPE "%2Fregistrations%2Fdevice-1");
    dps_sas_write_string_to_sign(&w, sr, f.device.expiry);
    const struct bytes signed_text = bytes_written(&w);
    crypto_hmac_sha256(bytes_of(vector_hmac_key, sizeof vector_hmac_key), &signed_text, 1, mac);
    w = bytes_writer_over(text, sizeof text);
    dps_sas_write_token(&w, sr, mac, f.device.expiry, bytes_of_text("registration"));
    CHECK(bytes_equal_public(bytes_written(&w), dps_device_token_text(&f.device)));
    return 0;
}

static int s07_a_key_with_a_policy(void)
{
    CHECK_EQUAL(flow_open(&f, "policy", true), 0);
    /* It is loaded and signs; our service has sent another nonce, and says so. */
    CHECK(register_with(32, 0) == BYTES_E_HTTP && dps_device_step(&f.device) == 8);
    CHECK_EQUAL(token_is_right(), 0);
    CHECK(register_with(32, TPM2_OBJECT_ADMIN_WITH_POLICY) == BYTES_E_HTTP && token_is_right() == 0);
    /* Of another hash: that is for the TPM to judge. */
    static const size_t others[] = {20, 48, 64};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CHECK(register_with(others[i], 0) == BYTES_E_TPM_RC && dps_device_step(&f.device) == 7);
        CHECK_EQUAL(tpm2_rc_decode(f.device.rc).code, TPM2_RC_SIZE);
    }
    /* Under its policy only. */
    CHECK(register_with(32, TPM2_OBJECT_USER_WITH_AUTH) == BYTES_E_POLICY && dps_device_step(&f.device) == 4);
    CHECK_EQUAL(register_with(0, TPM2_OBJECT_USER_WITH_AUTH), BYTES_E_POLICY);
    CHECK(dps_device_asks_network(&f.device));
    flow_close(&f);
    return 0;
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

/* A device without a clock believes no Date from before its release or after the end of the service's certificate. */
static int s08_impossible_dates(void)
{
    static const struct {
        uint64_t now, date_max;
        int error;
    } cases[] = {
        {CRYPTO_TLS_TIME_FLOOR, 0, 0},
        {CRYPTO_TLS_TIME_FLOOR - 1, 0, BYTES_E_CLOCK},
        {FLOW_NOW, FLOW_NOW, 0},
        {FLOW_NOW, FLOW_NOW - 1, BYTES_E_CLOCK},
    };
    CHECK_EQUAL(flow_open(&f, "dates", true), 0);
    f.no_clock = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f.now = cases[i].now;
        f.date_max = cases[i].date_max;
        CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
        enum dps_want want = dps_device_want(&f.device);
        while (f.device.now == 0 && want != DPS_WANT_FAILED) {
            want = flow_run(&f, 1);
        }
        CHECK_EQUAL(f.device.error, cases[i].error);
        CHECK(f.device.now == (cases[i].error == 0 ? cases[i].now : 0));
        CHECK(cases[i].error == 0 || dps_device_step(&f.device) == 8);
        dps_device_fail(&f.device, BYTES_E_USAGE); /* enough is known */
        (void)flow_finish(&f);
    }
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s03 foreign keys at the fixed handles are passed over", s03_foreign_keys_are_passed_over},
        {"s03 so is an SRK with an authValue of its own", s03_an_srk_with_a_password_is_passed_over},
        {"s07 a key with a policy is taken and used", s07_a_key_with_a_policy},
        {"s08 a Date that cannot be right", s08_impossible_dates},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
