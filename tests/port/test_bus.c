/* SPDX-License-Identifier: MIT */
/* What crosses the bus between host and TPM: everything is recorded, and then searched for what nobody may read there.
 * The same search finds it where the device opens no session. This is also the one place that counts the TPM commands
 * of each form of a registration. */
#include "dps/device/device.h"
#include "dps/device/ownership.h"
#include "dps/device/record.h"
#include "dps/protocol/activation.h"
#include "tests/port/flow.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include "tpm/tools/command_more.h"
#include "tpm/tools/open.h"
#include <stdio.h>
#include <string.h>

static struct flow f;

#define OWNER "owner's password"
#define ENDORSEMENT "endorsement's password"
#define LOCKOUT "lockout's password"
#define SESSIONS ((uint32_t)TPM2_HT_LOADED_SESSION << TPM2_HT_SHIFT)

/* ---- The recorder ------------------------------------------------------------------------------------------------ */

static struct port_tpm real;
static uint8_t recorded[1 << 17];
static size_t recorded_len;

/* False if there is no room: what is not kept would not be looked for. */
static bool keep(struct bytes bytes)
{
    if (bytes.len > sizeof recorded - recorded_len) {
        return false;
    }
    memcpy(recorded + recorded_len, bytes.p, bytes.len);
    recorded_len += bytes.len;
    return true;
}

static int record(void *context, struct bytes command, uint8_t *response, size_t capacity, size_t *len,
                  uint32_t timeout_ms)
{
    (void)context;
    const bool kept = keep(command);
    const int error = real.transact(real.context, command, response, capacity, len, timeout_ms);
    if (error != 0) {
        return error;
    }
    return kept && keep(bytes_of(response, *len)) ? 0 : BYTES_E_SPACE;
}

static void start_recording(void)
{
    real = f.tpm_port;
    f.tpm_port.transact = record;
    recorded_len = 0;
}

static bool crossed(struct bytes secret)
{
    for (size_t at = 0; secret.len > 0 && at + secret.len <= recorded_len; at++) {
        if (memcmp(recorded + at, secret.p, secret.len) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- What must not cross ----------------------------------------------------------------------------------------- */

struct secrets {
    uint8_t inner[2][DPS_INNER_KEY_SIZE]; /* of steps 7 and 9 */
    uint8_t key[2][DPS_KEY_SIZE];         /* nonce and hub key, where TPM2_Rewrap gives them out */
    size_t inner_count, key_count;
};
static struct secrets secrets;

/* The key in the blob at hand, by the attack that the standard SRK admits (test_hardened.c). Not recorded. */
static int take_key(void)
{
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    uint8_t buffer[1024], storage[256], name[TPM2_NAME_SIZE];
    struct dps_activation parts;
    struct tpm2_sensitive sensitive;
    struct bytes duplicate, secret;
    size_t len = 0;
    uint32_t rc;
    CHECK(dps_activation_parse(bytes_of(f.device.net + f.device.blob_at, f.device.blob_len), &parts) == 0);
    tpm2_name_of(parts.key_public_2b, name);
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_rewrap_build(&w, f.device.srk_handle, TPM2_RH_NULL, &empty, parts.duplicate,
                      bytes_of(name, sizeof name), parts.duplicate_secret);
    CHECK_EQUAL(real.transact(real.context, bytes_written(&w), buffer, sizeof buffer, &len, 60000), 0);
    CHECK_EQUAL(tpm2_rewrap_parse(bytes_of(buffer, len), &rc, &duplicate, &secret), 0);
    CHECK_EQUAL(tpm2_duplicate_open_inner(duplicate, bytes_of(f.device.inner_key, sizeof f.device.inner_key),
                                          bytes_of(name, sizeof name), &sensitive, storage, sizeof storage),
                0);
    CHECK_EQUAL(sensitive.key.len, DPS_KEY_SIZE);
    memcpy(secrets.key[secrets.key_count++], sensitive.key.p, DPS_KEY_SIZE);
    return 0;
}

/* A registration, from which the secrets are taken as they appear in the host. */
static int registration(void)
{
    static const uint8_t none[DPS_INNER_KEY_SIZE];
    memset(&secrets, 0, sizeof secrets);
    flow_count_anew(&f);
    CHECK_EQUAL(dps_device_register(&f.device, &f.config, flow_nonce), 0);
    for (;;) {
        const enum dps_want want = flow_run(&f, 1);
        if (want == DPS_WANT_FAILED) {
            return f.device.error;
        }
        if (want == DPS_WANT_DONE) {
            break;
        }
        const uint8_t *last = secrets.inner_count > 0 ? secrets.inner[secrets.inner_count - 1] : none;
        if (memcmp(f.device.inner_key, none, sizeof none) != 0 &&
            memcmp(f.device.inner_key, last, sizeof none) != 0) {
            memcpy(secrets.inner[secrets.inner_count++], f.device.inner_key, sizeof none);
            CHECK(f.config.srk == DPS_SRK_HARDENED || take_key() == 0);
        }
    }
    CHECK_EQUAL(secrets.inner_count, 2);
    return 0;
}

/* ---- The forms of a registration --------------------------------------------------------------------------------- */

/* Commands of a registration, flushes included. With keys at hand: ReadPublic ×2, StartAuthSession, 2 × (PolicySecret,
 * ActivateCredential, Import, Load), HMAC ×2, FlushContext ×2. More:
 *   a key that is derived    CreatePrimary, FlushContext
 *   a password               StartAuthSession of the session for it; one more if it derives the EK
 *   the hardened SRK         4 × (PolicyCommandCode, PolicyOR); CreatePrimary instead of ReadPublic, FlushContext
 */
static const struct form {
    const char *name;
    bool persist;
    const char *owner, *endorsement;
    enum dps_srk srk;
    unsigned commands, without_sessions;
} forms[] = {
    {"plain", true, "", "", DPS_SRK_STANDARD, 15, 15},
    {"derived", false, "", "", DPS_SRK_STANDARD, 15 + 4, 15 + 4},
    {"passwords", true, OWNER, ENDORSEMENT, DPS_SRK_STANDARD, 16, 15},
    {"endorsement", true, "", ENDORSEMENT, DPS_SRK_STANDARD, 16, 15},
    {"passwords-derived", false, OWNER, ENDORSEMENT, DPS_SRK_STANDARD, 15 + 4 + 2, 15 + 4},
    {"owner-derived", false, OWNER, "", DPS_SRK_STANDARD, 15 + 4 + 1, 15 + 4},
    {"hardened", true, "", "", DPS_SRK_HARDENED, 15 + 8 + 1, 15 + 8 + 1},
    {"hardened-passwords", true, OWNER, ENDORSEMENT, DPS_SRK_HARDENED, 15 + 8 + 1 + 1, 15 + 8 + 1},
    {"hardened-derived", false, OWNER, ENDORSEMENT, DPS_SRK_HARDENED, 15 + 8 + 3 + 2, 15 + 8 + 3},
};
#define FORM_COUNT (sizeof forms / sizeof forms[0])

/* A TPM with its passwords, and keys persistent or not. */
static int open_form(const struct form *form)
{
    static unsigned number;
    char directory[80];
    snprintf(directory, sizeof directory, "%s-%u", form->name, number++); /* each time a new TPM */
    CHECK_EQUAL(flow_open(&f, directory, form->persist), 0);
    f.config.new_owner_auth = bytes_of_text(form->owner);
    f.config.new_endorsement_auth = bytes_of_text(form->endorsement);
    CHECK(dps_device_own(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
    f.config.owner_auth = f.config.new_owner_auth;
    f.config.endorsement_auth = f.config.new_endorsement_auth;
    f.config.srk = form->srk;
    start_recording();
    return 0;
}

static int nothing_is_left(void)
{
    CHECK_EQUAL(flow_handles(&f, TPM2_HR_TRANSIENT), 0);
    CHECK_EQUAL(flow_handles(&f, SESSIONS), 0);
    return 0;
}

/* Did what was recorded show any of the run's secrets, or all of those that it uses? */
static int seen(const struct form *form, bool expected)
{
    const bool owner_used = !form->persist || form->srk == DPS_SRK_HARDENED;
    CHECK_EQUAL(crossed(bytes_of(secrets.inner[0], DPS_INNER_KEY_SIZE)), expected);
    CHECK_EQUAL(crossed(bytes_of(secrets.inner[1], DPS_INNER_KEY_SIZE)), expected);
    CHECK_EQUAL(crossed(bytes_of_text(form->owner)), expected && owner_used && form->owner[0] != 0);
    CHECK_EQUAL(crossed(bytes_of_text(form->endorsement)), expected && form->endorsement[0] != 0);
    for (size_t i = 0; i < secrets.key_count; i++) { /* these never do */
        CHECK(!crossed(bytes_of(secrets.key[i], DPS_KEY_SIZE)));
    }
    return 0;
}

static int each_form(void)
{
    for (size_t i = 0; i < FORM_COUNT; i++) {
        const struct form *form = &forms[i];
        printf("# %s\n", form->name);
        CHECK_EQUAL(open_form(form), 0);
        CHECK_EQUAL(registration(), 0);
        CHECK_EQUAL(f.tpm_commands, form->commands);
        CHECK_EQUAL(f.nv_writes, 0);
        CHECK_EQUAL(seen(form, false), 0);
        CHECK_EQUAL(nothing_is_left(), 0);

        f.config.no_sessions = true;
        recorded_len = 0;
        CHECK_EQUAL(registration(), 0);
        CHECK_EQUAL(f.tpm_commands, form->without_sessions);
        CHECK_EQUAL(seen(form, true), 0);
        CHECK_EQUAL(nothing_is_left(), 0);
        flow_close(&f);
    }
    return 0;
}

/* The kept key, later: no session where no password is needed. */
static int later_tokens(void)
{
    static const struct {
        size_t form;
        unsigned
            commands; /* ReadPublic or CreatePrimary, Load, HMAC, FlushContext; and what a password takes */
        unsigned sessions;
    } cases[] = {
        {0, 4, 0}, /* nothing to hide */
        {2, 4, 0}, /* the SRK is at hand: no password is needed */
        {4, 1 + 4 + 1 + 1 + 4,
         2},               /* ReadPublic SRK; EK: read, session, derived; session; and FlushContext of both */
        {6, 4 + 3 + 1, 1}, /* the policy session of the hardened SRK has no key */
        {7, 4 + 3 + 1 + 2, 2}, /* EK read; session */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct form *form = &forms[cases[i].form];
        printf("# %s\n", form->name);
        CHECK_EQUAL(open_form(form), 0);
        CHECK_EQUAL(registration(), 0);
        recorded_len = 0;
        CHECK_EQUAL(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
        CHECK_EQUAL(flow_finish(&f), 0);
        CHECK(f.device.token_len > 0 && strcmp(f.device.registration_id, "device-1") == 0);
        CHECK_EQUAL(f.tpm_commands, cases[i].commands);
        CHECK(!crossed(bytes_of_text(OWNER)) && !crossed(bytes_of_text(ENDORSEMENT)));
        CHECK_EQUAL(nothing_is_left(), 0);
        unsigned sessions = 0;
        for (size_t k = 0; k < sizeof f.tpm_counts / sizeof f.tpm_counts[0]; k++) {
            sessions += f.tpm_counts[k].code == TPM2_CC_START_AUTH_SESSION ? f.tpm_counts[k].count : 0;
        }
        CHECK_EQUAL(sessions, cases[i].sessions);
        flow_close(&f);
    }
    return 0;
}

/* ---- Ownership --------------------------------------------------------------------------------------------------- */

#define SECRET "what is sealed under the SRK"

static int own(const char *owner, const char *endorsement, const char *lockout)
{
    f.config.new_owner_auth = bytes_of_text(owner);
    f.config.new_endorsement_auth = bytes_of_text(endorsement);
    f.config.new_lockout_auth = bytes_of_text(lockout);
    CHECK(dps_device_own(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
    f.config.owner_auth = f.config.new_owner_auth;
    f.config.endorsement_auth = f.config.new_endorsement_auth;
    f.config.lockout_auth = f.config.new_lockout_auth;
    CHECK_EQUAL(nothing_is_left(), 0);
    return 0;
}

/* Take a TPM, change all passwords, seal, unseal, and give it up again. *commands: of each. */
static int ownership(const char *directory, bool persist, unsigned commands[5])
{
    static uint8_t sealed[512];
    CHECK_EQUAL(flow_open(&f, directory, false), 0);
    start_recording();
    f.config.persist = persist;
    f.config.no_sessions = commands == NULL;
    unsigned none[5];
    unsigned *counted = commands != NULL ? commands : none;
    CHECK_EQUAL(own(OWNER, ENDORSEMENT, LOCKOUT), 0);
    counted[0] = f.tpm_commands;
    CHECK_EQUAL(own(OWNER "2", ENDORSEMENT "2", LOCKOUT "2"), 0);
    counted[1] = f.tpm_commands;

    f.config.data = bytes_of_text(SECRET);
    CHECK(dps_device_seal(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
    counted[2] = f.tpm_commands;
    const size_t len = dps_device_result(&f.device).len;
    CHECK(len <= sizeof sealed);
    memcpy(sealed, dps_device_result(&f.device).p, len);
    f.config.data = bytes_of(sealed, len);
    CHECK(dps_device_unseal(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
    CHECK(bytes_equal_public(dps_device_result(&f.device), bytes_of_text(SECRET)));
    counted[3] = f.tpm_commands;
    CHECK_EQUAL(nothing_is_left(), 0);

    CHECK(dps_device_clear(&f.device, &f.config, flow_nonce) == 0 && flow_finish(&f) == 0);
    counted[4] = f.tpm_commands;
    CHECK_EQUAL(nothing_is_left(), 0);
    return 0;
}

static int ownership_shows(bool expected)
{
    CHECK_EQUAL(crossed(bytes_of_text(OWNER)), expected);
    CHECK_EQUAL(crossed(bytes_of_text(ENDORSEMENT)), expected);
    CHECK_EQUAL(crossed(bytes_of_text(LOCKOUT)), expected);
    CHECK_EQUAL(crossed(bytes_of_text(SECRET)), expected);
    flow_close(&f);
    return 0;
}

static int ownership_is_not_seen(void)
{
    /* Three HierarchyChangeAuth; EK and SRK: ReadPublic, CreatePrimary, FlushContext; two EvictControl; sessions. */
    static const unsigned derived[5] = {3 + 6 + 2, 3 + 6 + 1 + 2, 7 + 2, 8 + 3, 7 + 4};
    static const unsigned persistent[5] = {3 + 6 + 2 + 2, 3 + 2 + 2, 3, 5, 7 + 2};
    unsigned commands[5];
    CHECK_EQUAL(ownership("own-derived", false, commands), 0);
    for (size_t i = 0; i < 5; i++) {
        CHECK_EQUAL(commands[i], derived[i]);
    }
    CHECK_EQUAL(ownership_shows(false), 0);
    CHECK_EQUAL(ownership("own-persistent", true, commands), 0);
    for (size_t i = 0; i < 5; i++) {
        CHECK_EQUAL(commands[i], persistent[i]);
    }
    CHECK_EQUAL(ownership_shows(false), 0);
    CHECK_EQUAL(ownership("own-in-clear", true, NULL), 0);
    return ownership_shows(true);
}

/* An EK that is not the one of an earlier run: nothing is salted to it, so no password goes out, in no form. */
static int another_ek(void)
{
    uint8_t known[TPM2_NAME_SIZE], name[TPM2_NAME_SIZE];
    CHECK_EQUAL(open_form(&forms[5]), 0); /* the owner's password is needed before the service sees EK_pub */
    CHECK_EQUAL(registration(), 0);
    CHECK_EQUAL(dps_record_ek_name(bytes_of(f.record, f.record_len), known), 0);
    tpm2_name_of(bytes_of(f.device.ek, f.device.ek_len), name);
    CHECK(memcmp(known, name, sizeof known) == 0);
    f.config.ek_name = bytes_of(known, sizeof known);
    CHECK_EQUAL(flow_register(&f), 0);
    CHECK(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)) == 0 &&
          flow_finish(&f) == 0);

    known[20] ^= 1;
    recorded_len = 0;
    CHECK_EQUAL(flow_register(&f), BYTES_E_STATE);
    CHECK_EQUAL(f.device.http_requests, 0);
    CHECK_EQUAL(nothing_is_left(), 0);
    f.config.new_lockout_auth = bytes_of_text(LOCKOUT);
    CHECK_EQUAL(dps_device_own(&f.device, &f.config, flow_nonce), 0);
    CHECK_EQUAL(flow_finish(&f), BYTES_E_STATE);
    CHECK(!f.device.lockout_changed);
    CHECK_EQUAL(f.tpm_counts[0].code, TPM2_CC_READ_PUBLIC);
    for (size_t i = 0; i < sizeof f.tpm_counts / sizeof f.tpm_counts[0]; i++) {
        CHECK(f.tpm_counts[i].code != TPM2_CC_START_AUTH_SESSION);
    }
    f.config.new_lockout_auth = bytes_of(NULL, 0);
    /* A kept key: the record of another TPM. */
    uint8_t digest[CRYPTO_SHA256_SIZE];
    f.record[f.record_len - sizeof digest - 1] ^= 1; /* the last byte of Name(EK) */
    const struct bytes content = {f.record, f.record_len - sizeof digest};
    crypto_sha256(&content, 1, digest);
    memcpy(f.record + content.len, digest, sizeof digest);
    CHECK_EQUAL(dps_device_token(&f.device, &f.config, flow_nonce, bytes_of(f.record, f.record_len)), 0);
    CHECK_EQUAL(flow_finish(&f), BYTES_E_STATE);
    CHECK_EQUAL(nothing_is_left(), 0);
    CHECK(!crossed(bytes_of_text(OWNER)) && !crossed(bytes_of_text(LOCKOUT)));
    flow_close(&f);
    return 0;
}

static int begin_own(void)
{
    return dps_device_own(&f.device, &f.config, flow_nonce);
}

static int begin_clear(void)
{
    return dps_device_clear(&f.device, &f.config, flow_nonce);
}

static int begin_seal(void)
{
    return dps_device_seal(&f.device, &f.config, flow_nonce);
}

static int begin_unseal(void)
{
    return dps_device_unseal(&f.device, &f.config, flow_nonce);
}

/* A TPM without passwords, and sealed data. */
static int open_known(uint8_t known[TPM2_NAME_SIZE], uint8_t sealed[512])
{
    CHECK_EQUAL(open_form(&forms[0]), 0);
    CHECK_EQUAL(registration(), 0);
    CHECK_EQUAL(dps_record_ek_name(bytes_of(f.record, f.record_len), known), 0);
    f.config.data = bytes_of_text(SECRET);
    CHECK(begin_seal() == 0 && flow_finish(&f) == 0);
    const struct bytes result = dps_device_result(&f.device);
    CHECK(result.len <= 512);
    memcpy(sealed, result.p, result.len);
    f.config.data = bytes_of(sealed, result.len);
    f.config.ek_name = bytes_of(known, TPM2_NAME_SIZE);
    return 0;
}

/* Nor is anything done to another TPM where there is nothing to hide. */
static int another_tpm(void)
{
    int (*const flows[])(void) = {begin_own, begin_clear, begin_seal, begin_unseal};
    uint8_t known[TPM2_NAME_SIZE], sealed[512];
    CHECK_EQUAL(open_known(known, sealed), 0);
    f.config.persist = true;
    known[20] ^= 1;
    const struct bytes blob = f.config.data;
    for (size_t i = 0; i < sizeof flows / sizeof flows[0]; i++) {
        f.config.data = flows[i] == begin_seal ? bytes_of_text(SECRET) : blob;
        flow_count_anew(&f);
        CHECK_EQUAL(flows[i](), 0);
        CHECK_EQUAL(flow_finish(&f), BYTES_E_STATE);
        CHECK(!f.device.cleared);
        for (size_t k = 0; k < sizeof f.tpm_counts / sizeof f.tpm_counts[0]; k++) {
            const uint32_t code = f.tpm_counts[k].code;
            CHECK(code == 0 || code == TPM2_CC_READ_PUBLIC);
        }
        f.config.no_sessions = true;
        CHECK_EQUAL(flows[i](), BYTES_E_USAGE); /* nothing would prove it */
        f.config.no_sessions = false;
    }
    flow_close(&f);
    return 0;
}

/* Success, with the answer to a password. */
static void say_cleared(struct flow *g, uint8_t *response, size_t *len)
{
    static const uint8_t success[] = {0x80, 2, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    if (g->tpm_code == TPM2_CC_CLEAR) {
        *len = sizeof success;
        memcpy(response, success, sizeof success);
    }
}

/* A bit of the SRK's modulus: to that key sealed data would be encrypted. */
static void put_other_srk(struct flow *g, uint8_t *response, size_t *len)
{
    if (flow_is_at(g, TPM2_CC_READ_PUBLIC, 1)) {
        response[*len - 100] ^= 0x55;
    }
}

/* What the TPM of an earlier run has not answered is not believed, and no salt is for a key that may be another's. */
static int known_ek(void)
{
    static uint8_t known[TPM2_NAME_SIZE]; /* the fixture keeps it */
    uint8_t sealed[512];
    CHECK_EQUAL(open_known(known, sealed), 0);
    for (unsigned i = 0; i < 2; i++) {
        f.config.ek_name = bytes_of(known, i == 0 ? sizeof known : 0);
        f.change_response = put_other_srk;
        flow_count_anew(&f);
        CHECK(begin_unseal() == 0);
        CHECK_EQUAL(flow_finish(&f) == 0, i == 0); /* the salt is the EK's, and then the SRK another one */
        CHECK(i == 1 || bytes_equal_public(dps_device_result(&f.device), bytes_of_text(SECRET)));
        CHECK_EQUAL(nothing_is_left(), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        f.config.ek_name = bytes_of(known, i == 0 ? sizeof known : 0);
        f.change_response = say_cleared;
        CHECK(begin_clear() == 0);
        CHECK_EQUAL(flow_finish(&f), i == 0 ? BYTES_E_INTEGRITY : 0);
        CHECK_EQUAL(f.device.cleared, i == 1);
    }
    flow_close(&f);
    return 0;
}

/* Somebody on the bus puts a key of his own in the EK's place: the service refuses it before anything is salted to it,
 * and so before any password is used. */
static void put_other_ek(struct flow *g, uint8_t *response, size_t *len)
{
    if (flow_is_at(g, TPM2_CC_READ_PUBLIC, 1)) {
        response[*len - 100] ^= 0x55; /* inside the modulus; two Names follow it */
    }
}

static int substituted_ek(void)
{
    CHECK_EQUAL(open_form(&forms[2]), 0);
    f.change_response = put_other_ek;
    CHECK_EQUAL(flow_register(&f), BYTES_E_HTTP);
    CHECK_EQUAL(f.device.service_error, 401003);
    for (size_t i = 0; i < sizeof f.tpm_counts / sizeof f.tpm_counts[0]; i++) {
        CHECK(f.tpm_counts[i].code != TPM2_CC_START_AUTH_SESSION);
    }
    CHECK(!crossed(bytes_of_text(OWNER)) && !crossed(bytes_of_text(ENDORSEMENT)));
    flow_close(&f);
    return 0;
}

/* ---- What is changed on the way ---------------------------------------------------------------------------------- */

/* One bit of the byte `counter` of the at-th response. */
static size_t changed_len;
static bool changed_is_protected; /* that response has a session with a key, */
static bool changed_is_covered;   /* whose HMAC covers this byte */

/* Covered are the parameters and the session's own authorization: not the handle, which the TPM refuses if it is wrong,
 * and not the authorization of a password or of a session without a key. */
static bool is_covered(const struct dps_guard *guard, struct bytes response, size_t at)
{
    struct bytes_reader r = bytes_reader_over(response);
    const bool handle = guard->code == TPM2_CC_LOAD || guard->code == TPM2_CC_CREATE_PRIMARY;
    bytes_skip(&r, handle ? 14 : 10);
    const size_t len = bytes_read_u32(&r);
    const size_t parameters = response.len - r.left;
    bytes_skip(&r, len);
    size_t begin = response.len - r.left;
    bool covered = at >= parameters && at < begin;
    for (size_t i = 0; r.left > 0 && r.error == 0; i++) {
        (void)bytes_read_2b(&r);
        (void)bytes_read_u8(&r);
        (void)bytes_read_2b(&r);
        const size_t end = response.len - r.left;
        const bool session = i + 1 == guard->session_at || i + 1 == guard->policy_at;
        covered = covered || (session && at >= begin && at < end);
        begin = end;
    }
    return covered;
}

static void change_bit(struct flow *g, uint8_t *response, size_t *len)
{
    if (g->tpm_commands != g->at) {
        return;
    }
    changed_len = *len;
    changed_is_protected = g->device.guard.code != 0 && response[0] == 0x80 && response[1] == 0x02;
    changed_is_covered =
        changed_is_protected && is_covered(&g->device.guard, bytes_of(response, *len), g->counter);
    if (g->counter < *len) {
        response[g->counter] ^= (uint8_t)(1U << g->counter % 8);
    }
}

/* Every byte that the HMAC of a session covers counts. The others are wrong in form, or refused by the TPM, or say
 * nothing. */
static int every_byte_of_a_response(const struct form *form)
{
    CHECK_EQUAL(open_form(form), 0);
    unsigned found = 0;
    const unsigned whole = form->commands;
    f.change_response = change_bit;
    for (f.at = 1; f.at <= whole; f.at++) {
        changed_len = 1;
        changed_is_protected = true;
        for (f.counter = 0; f.counter < changed_len && changed_is_protected; f.counter++) {
            f.saves = 0;
            const int error = flow_register(&f);
            if (!changed_is_protected) {
                break;
            }
            if (changed_is_covered) {
                CHECK(error == BYTES_E_INTEGRITY || error == BYTES_E_FORMAT);
                found++;
            }
            CHECK(error == 0 || f.saves == 0);
            const bool left = flow_handles(&f, TPM2_HR_TRANSIENT) + flow_handles(&f, SESSIONS) > 0;
            CHECK(!left || flow_reset_tpm(&f) == 0);
        }
        CHECK_EQUAL(flow_reset_tpm(&f), 0);
    }
    f.change_response = NULL;
    printf("# %s: %u changes\n", form->name, found);
    CHECK(found > 100);
    flow_close(&f);
    return 0;
}

static int changed_responses(void)
{
    return every_byte_of_a_response(&forms[0]);
}

static int changed_responses_with_passwords(void)
{
    return every_byte_of_a_response(&forms[2]);
}

int main(void)
{
    static const struct test tests[] = {
        {"no secret crosses the bus, in each form of a registration", each_form},
        {"later tokens open a session only for a password", later_tokens},
        {"own, seal, unseal and clear show no secret", ownership_is_not_seen},
        {"no password for an EK that is not the one of before", another_ek},
        {"nothing is done to a TPM that is not the one of before", another_tpm},
        {"nothing else is believed where that TPM is known", known_ek},
        {"an EK in another's place is refused before any password", substituted_ek},
        {"a changed response is refused", changed_responses},
        {"a changed response is refused, with passwords", changed_responses_with_passwords},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
