/* SPDX-License-Identifier: MIT */
/* The hardened SRK: what the service accepts as one; that nobody gets around the demand for it; what a registration
 * with it costs; and what TPM2_Rewrap gets. */
#include "dps/device/device.h"
#include "dps/device/ownership.h"
#include "dps/protocol/activation.h"
#include "dps/service/enrollment.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/tools/command_more.h"
#include "tpm/tools/open.h"
#include <string.h>

static struct flow f;
static uint8_t request[4096];

static struct bytes own_ek(void)
{
    return bytes_of(f.device.ek, f.device.ek_len);
}

/* The public area of a key that the vector's TPM might have. */
static struct bytes srk_of(const struct tpm2_public *template_area, uint8_t *out, size_t size)
{
    struct tpm2_public area = *template_area;
    struct bytes_writer w = bytes_writer_over(out, size);
    area.unique = bytes_of(vector_srk_public_2b + 28, 256);
    tpm2_public_write_2b(&w, &area);
    return bytes_written(&w);
}

static enum dps_refusal asked_with(struct bytes srk)
{
    flow_ask(&f, request, flow_write_registration(request, sizeof request, own_ek(), srk, NULL));
    return f.answer.refusal;
}

/* Each byte but the modulus is looked at, in each of its bits. */
static int s05_every_bit_but_the_modulus(void)
{
    const struct tpm2_public hardened = tpm2_template_srk_hardened();
    uint8_t whole[DPS_SRK_PUBLIC_MAX];
    struct tpm2_public area;
    const struct bytes good = srk_of(&hardened, whole, sizeof whole);
    CHECK(tpm2_public_parse_2b(good, &area) == 0 && dps_srk_check(&area) == DPS_ACCEPTED);
    CHECK(dps_srk_is_hardened(&area));
    for (size_t bit = 0; bit < 8 * (good.len - 256); bit++) {
        whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(tpm2_public_parse_2b(good, &area) != 0 || dps_srk_check(&area) != DPS_ACCEPTED);
        whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    return 0;
}

/* Areas that look like one of the two and are neither. */
static int s05_neither(void)
{
    static const uint8_t three[32] = {0x96, 0x6c, 0x7a, 0x32, 0x09, 0x4f, 0xd7, 0x65, 0x7d, 0x14, 0x42,
                                      0xba, 0x13, 0x7e, 0x3c, 0x04, 0xda, 0xa0, 0x06, 0x17, 0x35, 0xc9,
                                      0x95, 0x7b, 0x37, 0x01, 0x4b, 0xcb, 0x73, 0xcd, 0xa7, 0x37};
    uint8_t whole[DPS_SRK_PUBLIC_MAX];
    struct tpm2_public area = tpm2_template_srk_hardened();
    CHECK(flow_open(&f, "neither", true) == 0);
    area.attributes |= TPM2_OBJECT_USER_WITH_AUTH; /* its policy, and the empty password beside it */
    CHECK(asked_with(srk_of(&area, whole, sizeof whole)) == DPS_REFUSED_SRK_POLICY);
    area = tpm2_template_srk_hardened();
    area.attributes |= TPM2_OBJECT_ADMIN_WITH_POLICY;
    CHECK(asked_with(srk_of(&area, whole, sizeof whole)) == DPS_REFUSED_SRK_ATTRIBUTES);
    area = tpm2_template_srk_hardened();
    area.auth_policy = bytes_of(three, sizeof three); /* ActivateCredential, Import or Load */
    CHECK(asked_with(srk_of(&area, whole, sizeof whole)) == DPS_REFUSED_SRK_POLICY);
    area.auth_policy.len = 0;
    CHECK(asked_with(srk_of(&area, whole, sizeof whole)) == DPS_REFUSED_SRK_ATTRIBUTES);
    flow_close(&f);
    return 0;
}

static int s05_demanded(void)
{
    const struct tpm2_public hardened = tpm2_template_srk_hardened();
    uint8_t whole[DPS_SRK_PUBLIC_MAX];
    CHECK(flow_open(&f, "demanded", true) == 0);
    const struct bytes other = srk_of(&hardened, whole, sizeof whole);
    CHECK(asked_with(other) == DPS_ACCEPTED && f.answer.status == 401); /* not demanded: either is taken */
    CHECK(asked_with(bytes_of(vector_srk_public_2b, 284)) == DPS_REFUSED_SRK_ATTRIBUTES);

    f.hardened_srk = true;
    CHECK(flow_enroll(&f, "device-1", own_ek(), "") == 0);
    CHECK(asked_with(other) == DPS_ACCEPTED && f.answer.status == 401);
    CHECK(flow_register(&f) == BYTES_E_HTTP);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD && f.device.service_error == 400016);

    f.hardened_srk = false;
    CHECK(flow_enroll(&f, "device-1", own_ek(), "") == 0);
    CHECK(flow_register(&f) == 0);
    f.service_config.hardened_srk = true; /* of all */
    CHECK(flow_register(&f) == BYTES_E_HTTP);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD && f.answer.status == 400);
    flow_close(&f);
    return 0;
}

/* A standard SRK that the service remembers is refused like one that is named: from the first request of a client that
 * then leaves the keys out, from the last registration, and when the hub's key is asked for. */
static int s05_demanded_later(void)
{
    static const char without_keys[] =
        "PUT /" FLOW_SCOPE "/registrations/device-1/register?api-version=2019-03-31 HTTP/1.1\r\n"
        "Host: " FLOW_HOST "\r\nAuthorization: SharedAccessSignature sr=" FLOW_SCOPE
        "%2Fregistrations%2Fdevice-1&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D&se=1800000100\r\n"
        "Content-Length: 2\r\n\r\n{}";
    CHECK(flow_open(&f, "later", true) == 0);
    flow_ask(&f, without_keys, sizeof without_keys - 1);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_MISSING);
    CHECK(dps_device_register(&f.device, &f.config, flow_nonce) == 0);
    while (f.device.http_requests < 1) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    f.service_config.hardened_srk = true;
    flow_ask(&f, without_keys, sizeof without_keys - 1);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD); /* the hint */

    f.service_config.hardened_srk = false;
    CHECK(dps_device_register(&f.device, &f.config, flow_nonce) == 0);
    while (f.device.http_requests < 2) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    CHECK(f.answer.status == 202);
    f.service_config.hardened_srk = true;
    CHECK(flow_finish(&f) == BYTES_E_HTTP); /* assigned, and then asks for the hub's key */
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD);
    memset(f.service.memory.hints, 0, sizeof f.service.memory.hints);
    flow_ask(&f, without_keys, sizeof without_keys - 1);
    CHECK(f.answer.refusal == DPS_REFUSED_SRK_STANDARD); /* the last registration's */
    flow_close(&f);
    return 0;
}

/* ---- The device ---- */

/* With persistent keys: as the standard SRK's 15 (test_flow.c), and 4 times PolicyCommandCode and PolicyOR; the SRK is
 * derived instead of read, and flushed in the end. A kept key: StartAuthSession, PolicyCommandCode, PolicyOR more. */
#define REGISTRATION_COMMANDS (15 + 4 * 2 + 1)

static int s07_registers(void)
{
    uint8_t record[sizeof f.record];
    CHECK(flow_open(&f, "registers", true) == 0);
    f.hardened_srk = true;
    CHECK(flow_enroll(&f, "device-1", own_ek(), "") == 0);
    f.config.srk = DPS_SRK_HARDENED;
    CHECK(flow_register(&f) == 0);
    CHECK(f.tpm_commands == REGISTRATION_COMMANDS && f.device.tpm_commands == REGISTRATION_COMMANDS);
    CHECK(f.nv_writes == 0 && f.saves == 1);
    CHECK(flow_handles(&f, TPM2_HR_TRANSIENT) == 0);
    CHECK(flow_handles(&f, (uint32_t)TPM2_HT_LOADED_SESSION << TPM2_HT_SHIFT) == 0);
    CHECK(memcmp(f.record, "DPS4", 4) == 0);

    /* The record knows its SRK, whatever is configured by now. */
    f.config.srk = DPS_SRK_STANDARD;
    CHECK(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)) == 0);
    CHECK(flow_finish(&f) == 0 && f.device.token_len > 0);
    CHECK(f.tpm_commands ==
          3 + 4 + 1); /* Create SRK, Load, HMAC, flush the key; the session; flush the SRK */
    f.config.data = bytes_of_text("21");
    CHECK(dps_device_send(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)) == 0);
    CHECK(flow_finish(&f) == 0 && f.answer.status == 204);
    CHECK(flow_handles(&f, (uint32_t)TPM2_HT_LOADED_SESSION << TPM2_HT_SHIFT) == 0);

    /* A record that says the other SRK is torn: its digest covers the mark. */
    memcpy(record, f.record, f.record_len);
    record[3] = '1';
    CHECK(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(record, f.record_len)) ==
          BYTES_E_STATE);
    flow_close(&f);
    return 0;
}

/* Nothing persistent, an owner's password, and a TPM that forgets everything once in the middle. */
static int s07_registers_anyhow(void)
{
    CHECK(flow_open(&f, "anyhow", false) == 0);
    f.config.new_owner_auth = bytes_of_text("owner");
    CHECK(dps_device_own(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
    f.config.owner_auth = f.config.new_owner_auth;
    f.config.srk = DPS_SRK_HARDENED;
    CHECK(flow_register(&f) == 0);
    CHECK(f.tpm_counts[0].count > 0 && flow_handles(&f, TPM2_HR_TRANSIENT) == 0);
    CHECK(dps_device_register(&f.device, &f.config, flow_nonce) == 0);
    while (test_is_zero(f.device.inner_key, sizeof f.device.inner_key)) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    CHECK(flow_reset_tpm(&f) == 0);
    CHECK(flow_finish(&f) == 0 && f.device.restarted);
    CHECK(flow_handles(&f, (uint32_t)TPM2_HT_LOADED_SESSION << TPM2_HT_SHIFT) == 0);
    flow_close(&f);
    return 0;
}

/* Sealing goes on under the standard SRK, whatever is configured: the hardened one allows no TPM2_Create. */
static int s03_seals_under_the_standard_srk(void)
{
    CHECK(flow_open(&f, "seals", false) == 0);
    f.config.srk = DPS_SRK_HARDENED;
    f.config.data = bytes_of_text("a secret");
    CHECK(dps_device_seal(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
    flow_close(&f);
    return 0;
}

/* ---- The attack: software as root, in the middle of a registration ---- */

/* Up to the moment when the inner key is in the host's hands and the SRK is loaded. */
static int until_inner_key(enum dps_srk srk)
{
    f.config.srk = srk;
    CHECK(dps_device_register(&f.device, &f.config, flow_nonce) == 0);
    while (test_is_zero(f.device.inner_key, sizeof f.device.inner_key)) {
        CHECK(flow_run(&f, 1) != DPS_WANT_FAILED);
    }
    return 0;
}

static struct dps_activation blob(void)
{
    struct dps_activation parts;
    (void)dps_activation_parse(bytes_of(f.device.net + f.device.blob_at, f.device.blob_len), &parts);
    return parts;
}

static struct bytes ask(const struct bytes_writer *w, uint8_t *answer, size_t size)
{
    size_t len = 0;
    (void)f.tpm_port.transact(f.tpm_port.context, bytes_written(w), answer, size, &len, 60000);
    return bytes_of(answer, len);
}

/* TPM2_Rewrap(SRK, TPM_RH_NULL, field 3, Name of field 5, field 4). */
static int rewrap(const struct tpm2_auth *auth, uint32_t *rc, uint8_t *answer, size_t size,
                  struct bytes *duplicate)
{
    uint8_t command[1024], name[TPM2_NAME_SIZE];
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    const struct dps_activation parts = blob();
    struct bytes secret;
    tpm2_name_of(parts.key_public_2b, name);
    tpm2_rewrap_build(&w, f.device.srk_handle, TPM2_RH_NULL, auth, parts.duplicate,
                      bytes_of(name, sizeof name), parts.duplicate_secret);
    return tpm2_rewrap_parse(ask(&w, answer, size), rc, duplicate, &secret);
}

/* TPM2_PolicyCommandCode, and TPM2_PolicyOR if the command has a branch. Returns the last one's response code. */
static uint32_t policy(uint32_t command, bool either)
{
    static const uint8_t import[] = TPM2_POLICY_IMPORT_SHA256, load[] = TPM2_POLICY_LOAD_SHA256;
    const struct bytes branches[] = {bytes_of(import, sizeof import), bytes_of(load, sizeof load)};
    uint8_t bytes[256], answer[256];
    uint32_t rc = 0;
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    const uint32_t session = f.device.loaded[DPS_LOADED_SESSION];
    tpm2_policy_command_code_build(&w, session, command);
    (void)tpm2_policy_command_code_parse(ask(&w, answer, sizeof answer), &rc);
    if (either) {
        w = bytes_writer_over(bytes, sizeof bytes);
        tpm2_policy_or_build(&w, session, branches, 2);
        (void)tpm2_policy_or_parse(ask(&w, answer, sizeof answer), &rc);
    }
    return rc;
}

/* TPM2_PolicyRestart [P3 r1.59 11.2], by hand: only attackers need it. */
static uint32_t restart_policy(void)
{
    uint8_t bytes[14], answer[64];
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    bytes_write_u16(&w, TPM2_ST_NO_SESSIONS);
    bytes_write_u32(&w, sizeof bytes);
    bytes_write_u32(&w, 0x180);
    bytes_write_u32(&w, f.device.loaded[DPS_LOADED_SESSION]);
    struct bytes_reader r = bytes_reader_over(ask(&w, answer, sizeof answer));
    bytes_skip(&r, 6);
    return bytes_read_u32(&r);
}

/* The standard SRK: one command, and the nonce is there in clear. */
static int s07_rewrap_takes_the_nonce(void)
{
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    uint8_t answer[1024], storage[256], name[TPM2_NAME_SIZE];
    struct tpm2_sensitive sensitive;
    struct bytes duplicate;
    struct tpm2_public area;
    uint32_t rc = 0;
    CHECK(flow_open(&f, "rewrap", true) == 0);
    CHECK(until_inner_key(DPS_SRK_STANDARD) == 0);
    CHECK(rewrap(&empty, &rc, answer, sizeof answer, &duplicate) == 0);
    tpm2_name_of(blob().key_public_2b, name);
    CHECK(tpm2_duplicate_open_inner(duplicate, bytes_of(f.device.inner_key, sizeof f.device.inner_key),
                                    bytes_of(name, sizeof name), &sensitive, storage, sizeof storage) == 0);
    uint8_t digest[32];
    CHECK(tpm2_public_parse_2b(blob().key_public_2b, &area) == 0 && sensitive.key.len == DPS_KEY_SIZE);
    crypto_sha256((const struct bytes[]){sensitive.seed_value, sensitive.key}, 2, digest);
    CHECK(bytes_equal_public(area.unique, bytes_of(digest, sizeof digest))); /* the key that field 5 names */
    CHECK(flow_finish(&f) == 0); /* and the device has noticed nothing */
    flow_close(&f);
    return 0;
}

static int s07_rewrap_is_refused(void)
{
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    uint8_t answer[1024];
    struct bytes duplicate;
    uint32_t rc = 0;
    CHECK(flow_open(&f, "refused", true) == 0);
    CHECK(until_inner_key(DPS_SRK_HARDENED) == 0);
    const struct tpm2_auth session = tpm2_auth_policy(f.device.loaded[DPS_LOADED_SESSION], true);
    CHECK(rewrap(&empty, &rc, answer, sizeof answer, &duplicate) == BYTES_E_TPM_RC && rc == 0x12f);
    /* Either branch is for its own command only, and Rewrap has none. */
    static const uint32_t commands[] = {TPM2_CC_IMPORT, TPM2_CC_LOAD};
    for (size_t i = 0; i < 2; i++) {
        CHECK(restart_policy() == 0 && policy(commands[i], true) == 0);
        CHECK(rewrap(&session, &rc, answer, sizeof answer, &duplicate) == BYTES_E_TPM_RC && rc == 0x9a4);
    }
    CHECK(restart_policy() == 0 && policy(TPM2_CC_REWRAP, false) == 0);
    CHECK(rewrap(&session, &rc, answer, sizeof answer, &duplicate) == BYTES_E_TPM_RC && rc == 0x99d);
    CHECK(restart_policy() == 0 && policy(TPM2_CC_REWRAP, true) == 0x1c4);
    CHECK(restart_policy() == 0);
    CHECK(flow_finish(&f) == 0); /* the device goes on */
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s05 every bit but the modulus", s05_every_bit_but_the_modulus},
        {"s05 what is neither of the two", s05_neither},
        {"s05 the hardened SRK is demanded", s05_demanded},
        {"s05 it is demanded later", s05_demanded_later},
        {"s07 registers, and keeps which SRK it was", s07_registers},
        {"s07 registers without persistent keys, with a password, after a reset", s07_registers_anyhow},
        {"s03 seals under the standard SRK", s03_seals_under_the_standard_srk},
        {"s07 Rewrap takes the nonce out of the standard SRK", s07_rewrap_takes_the_nonce},
        {"s07 Rewrap gets nothing from the hardened SRK", s07_rewrap_is_refused},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
