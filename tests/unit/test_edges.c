/* SPDX-License-Identifier: MIT */
/* What fuzzing has found, and what no other test reaches, as the coverage report showed: records that are damaged,
 * configurations that break a limit, keys that nothing may be wrapped to. */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/record.h"
#include "dps/manage/admin_auth.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/registration.h"
#include "dps/service/state.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/protect.h"
#include <string.h>

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SIG "cKXhH%2BZAWFB%2BwQrULAWqIpCfTABLWmYUg4eJbEvMaik%3D"

/* ---- What fuzzing has found ---- */

static const uint8_t *find(const uint8_t *p, size_t len, const char *text, size_t text_len)
{
    for (size_t i = 0; i + text_len <= len; i++) {
        if (memcmp(p + i, text, text_len) == 0) {
            return p + i;
        }
    }
    return NULL;
}

/* A name without its '=' was taken for an absent one. */
static int token_with_bare_name(void)
{
    struct dps_sas sas;
    CHECK_EQUAL(dps_sas_parse(bytes_of_text("SharedAccessSignature sr=a&sig=" SIG "&se=1"), &sas), 0);
    CHECK_EQUAL(dps_sas_parse(bytes_of_text("SharedAccessSignature sr&sr=a&sig=" SIG "&se=1"), &sas),
                BYTES_E_FORMAT);
    CHECK_EQUAL(dps_sas_parse(bytes_of_text("SharedAccessSignature sr=a&sig=" SIG "&se=1&skn"), &sas),
                BYTES_E_FORMAT);
    CHECK_EQUAL(dps_sas_parse(bytes_of_text("SharedAccessSignature sr=a&sig=" SIG "&se=1&x"), &sas), 0);
    return 0;
}

static int policies_in_an_object(void)
{
    static struct dps_service_config config;
    static const char list[] = "{\"policies\":[{\"name\":\"a\",\"primaryKey\":\"" KEY "\"}]}";
    static const char object[] = "{\"policies\":{\"a\":{\"name\":\"a\",\"primaryKey\":\"" KEY "\"}}}";
    CHECK(dps_policies_parse(bytes_of_text(object), &config) == BYTES_E_FORMAT && config.policy_count == 0);
    CHECK(dps_policies_parse(bytes_of_text(list), &config) == 0 && config.policy_count == 1);
    return 0;
}

static int broken_blob_gives_nothing(void)
{
    struct dps_activation a;
    CHECK(dps_activation_parse(bytes_of(vector_blob, sizeof vector_blob), &a) == 0 && a.duplicate.len > 0);
    CHECK_EQUAL(dps_activation_parse(bytes_of(vector_blob, sizeof vector_blob - 1), &a), BYTES_E_FORMAT);
    CHECK(a.id_object.len == 0 && a.duplicate.len == 0 && a.key_public_2b.len == 0);
    return 0;
}

/* The TPM broke off while a command with an authorization was waiting for its answer. */
static int broken_off_leaves_no_secret(void)
{
    static struct dps_device d;
    static const char secret[] = "the owner's password";
    static const uint8_t nonce[32] = {1};
    static const uint8_t refusal[] = {0x80, 0x01, 0, 0, 0, 0x0a, 0, 0, 0x01, 0x8b};
    /* In a session it would not stand there in clear. */
    const struct dps_device_config config = {.owner_auth = bytes_of_text(secret), .no_sessions = true};
    CHECK_EQUAL(dps_device_read_keys(&d, &config, nonce), 0);
    /* No persistent key: each is derived, the second one with the owner's authorization. */
    for (unsigned i = 0; i < 8 && find(d.tpm, d.tpm_len, secret, strlen(secret)) == NULL; i++) {
        CHECK_EQUAL(dps_device_want(&d), DPS_WANT_TPM);
        if (d.asked_handle != TPM2_RH_ENDORSEMENT) {
            dps_device_tpm_response(&d, bytes_of(refusal, sizeof refusal));
            continue;
        }
        /* The EK's CreatePrimary is answered with the vector's public area under the true template. */
        uint8_t area_2b[DPS_EK_PUBLIC_MAX];
        uint8_t response[DPS_TPM_BUFFER];
        struct tpm2_public source;
        struct tpm2_public area = tpm2_template_ek_l1();
        CHECK_EQUAL(tpm2_public_parse_2b(bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b), &source),
                    0);
        area.unique = source.unique;
        struct bytes_writer p = bytes_writer_over(area_2b, sizeof area_2b);
        tpm2_public_write_2b(&p, &area);
        struct bytes_writer w = bytes_writer_over(response, sizeof response);
        const size_t parameters = p.len + 2 + 2 + 8 + 2 + TPM2_NAME_SIZE;
        bytes_write_u16(&w, TPM2_ST_SESSIONS);
        bytes_write_u32(&w, (uint32_t)(10 + 4 + 4 + parameters + 5));
        bytes_write_u32(&w, TPM2_RC_SUCCESS);
        bytes_write_u32(&w, 0x80000000);
        bytes_write_u32(&w, (uint32_t)parameters);
        bytes_write_bytes(&w, bytes_written(&p));
        bytes_write_u32(&w, 0); /* creationData, creationHash */
        bytes_write_u16(&w, TPM2_ST_CREATION);
        bytes_write_u32(&w, TPM2_RH_NULL);
        bytes_write_u16(&w, 0);
        uint8_t name[TPM2_NAME_SIZE];
        tpm2_name_of(bytes_written(&p), name);
        bytes_write_2b(&w, bytes_of(name, sizeof name));
        bytes_write_u32(&w, 0x00000100); /* the session: nonce, attributes, HMAC */
        bytes_write_u8(&w, 0);
        dps_device_tpm_response(&d, bytes_written(&w));
    }
    CHECK(find(d.tpm, d.tpm_len, secret, strlen(secret)) != NULL);
    dps_device_fail(&d, BYTES_E_TPM_TRANSPORT);
    CHECK_EQUAL(d.error, BYTES_E_TPM_TRANSPORT);
    CHECK_EQUAL(find(d.tpm, sizeof d.tpm, secret, strlen(secret)), NULL);
    return 0;
}

/* ---- Damaged records ---- */

static const char *const registration[] = {
    "{",
    "\"registrationId\":\"device-1\"",
    "\"deviceId\":\"Pump 3\"",
    "\"assignedHub\":\"hub-a.example\"",
    "\"status\":\"assigned\"",
    "\"substatus\":\"initialAssignment\"",
    "\"created\":1800000000",
    "\"lastUpdated\":1800000001",
    "\"generation\":1",
    "\"secretEpoch\":1",
    "\"storageRootKey\":\"AAEC\"",
    "\"random\":\"000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\"",
    "\"challenge\":\"f00102030405060708090a0b0c0d0e0ff00102030405060708090a0b0c0d0e0f\"",
};
#define MEMBERS (sizeof registration / sizeof registration[0])
#define OPTIONAL_FROM 11 /* records of earlier versions do not have these */

/* The record with one member replaced; member 0: as it is. */
static struct bytes registration_with(uint8_t text[1024], size_t member, const char *instead)
{
    struct bytes_writer w = bytes_writer_over(text, 1024);
    for (size_t i = 0; i < MEMBERS; i++) {
        dps_write_text(&w, i > 1 ? "," : "");
        dps_write_text(&w, i == member && i > 0 ? instead : registration[i]);
    }
    dps_write_text(&w, "}");
    return bytes_written(&w);
}

static int registration_damaged(void)
{
    uint8_t text[1024];
    struct dps_registration r;
    struct dps_hub_device device;
    CHECK(dps_registration_parse(registration_with(text, 0, ""), &r) == 0 && r.generation == 1 && !r.deleted);
    CHECK(r.random_len == 32 && r.random[31] == 0x0f && r.challenge[0] == 0xf0);
    for (size_t i = 1; i < MEMBERS; i++) {
        uint8_t wrong[128];
        struct bytes_writer w = bytes_writer_over(wrong, sizeof wrong);
        bytes_write_bytes(
            &w, bytes_of(registration[i], (size_t)(strchr(registration[i], ':') - registration[i])));
        dps_write_text(&w, ":[]");
        bytes_write_u8(&w, 0);
        CHECK_EQUAL(w.error, 0);
        CHECK_EQUAL(dps_registration_parse(registration_with(text, i, (const char *)wrong), &r),
                    BYTES_E_FORMAT);
        CHECK(dps_registration_parse(registration_with(text, i, "\"a\":1"), &r) ==
              (i < OPTIONAL_FROM ? BYTES_E_FORMAT : 0));
    }
    CHECK(dps_registration_parse(registration_with(text, 11, "\"window\":6000000"), &r) == 0);
    CHECK_EQUAL(r.random_len, 0);
    CHECK(dps_registration_parse(registration_with(text, 11, "\"random\":\"0001\""), &r) == BYTES_E_FORMAT);
    CHECK(dps_registration_parse(registration_with(text, 12, "\"challenge\":\"xx\""), &r) == BYTES_E_FORMAT);
    CHECK(dps_registration_parse(registration_with(text, 4, "\"status\":\"gone\""), &r) == BYTES_E_FORMAT);
    CHECK(dps_registration_parse(registration_with(text, 5, "\"substatus\":\"other\""), &r) ==
          BYTES_E_FORMAT);
    CHECK(dps_registration_parse(registration_with(text, 9, "\"secretEpoch\":4294967296"), &r) ==
          BYTES_E_FORMAT);
    CHECK(dps_registration_parse(registration_with(text, 10, "\"storageRootKey\":\"AAE\""), &r) ==
          BYTES_E_FORMAT);
    CHECK_EQUAL(dps_registration_parse(bytes_of_text("[]"), &r), BYTES_E_FORMAT);
    /* The hub's record has three of these members. */
    CHECK_EQUAL(dps_hub_device_parse(registration_with(text, 0, ""), &device), 0);
    CHECK(dps_hub_device_parse(registration_with(text, 1, "\"a\":1"), &device) == BYTES_E_FORMAT);
    CHECK(dps_hub_device_parse(registration_with(text, 8, "\"a\":1"), &device) == BYTES_E_FORMAT);
    CHECK(dps_hub_device_parse(registration_with(text, 9, "\"a\":1"), &device) == BYTES_E_FORMAT);
    CHECK_EQUAL(dps_hub_device_parse(bytes_of_text("{"), &device), BYTES_E_FORMAT);
    return 0;
}

/* A device's record with one field of the given length; its digest is right. */
static struct dps_device d;
static bool pinned; /* the caller has said which EK it must be */

static int read_record(const char *mark, size_t field, size_t len, bool more)
{
    static const uint8_t filler[400] = {'a'};
    static const struct dps_device_config config = {.id_scope = "0ne"};
    uint8_t record[1024];
    uint8_t digest[CRYPTO_SHA256_SIZE];
    struct bytes_writer w = bytes_writer_over(record, sizeof record);
    dps_write_text(&w, mark);
    const size_t fields = mark[3] < '3' ? 7 : 8; /* the eighth: Name of the EK */
    for (size_t i = 0; i < fields; i++) {
        bytes_write_2b(&w, bytes_of(filler, i == field ? len : i == 7 ? TPM2_NAME_SIZE : 1));
    }
    if (more) {
        bytes_write_u8(&w, 0);
    }
    const struct bytes all = bytes_written(&w);
    crypto_sha256(&all, 1, digest);
    bytes_write_bytes(&w, bytes_of(digest, sizeof digest));
    memset(&d, 0, sizeof d);
    d.config = &config;
    d.ek_is_expected = pinned;
    return dps_record_read(bytes_written(&w), &d);
}

static int device_record_damaged(void)
{
    static const size_t limits[7] = {65535, DPS_REGISTRATION_ID_MAX, DPS_HOST_MAX,      DPS_DEVICE_ID_MAX,
                                     65535, DPS_WRAPPED_KEY_MAX,     DPS_KEY_PUBLIC_MAX};
    CHECK(read_record("DPS1", 0, 1, false) == 0);
    CHECK(read_record("DPS2", 0, 1, false) == 0);
    CHECK(read_record("DPS3", 0, 1, false) == 0);
    CHECK(read_record("DPS4", 0, 1, false) == 0);
    CHECK(read_record("DPS5", 0, 1, false) == BYTES_E_STATE);
    CHECK(read_record("DPS3", 7, TPM2_NAME_SIZE - 1, false) == BYTES_E_STATE);
    CHECK(read_record("DPS3", 7, 0, false) == BYTES_E_STATE);
    CHECK(read_record("DPS1", 0, 1, true) == BYTES_E_STATE);
    for (size_t i = 0; i < 7; i++) {
        CHECK_EQUAL(read_record("DPS1", i, 0, false), 0);
        if (limits[i] < 65535) {
            CHECK_EQUAL(read_record("DPS1", i, limits[i] + 1, false), BYTES_E_STATE);
        }
    }
    CHECK_EQUAL(read_record("DPS1", 1, 2, false), BYTES_E_STATE); /* a zero inside */
    return 0;
}

/* A record does not take back which EK the caller has named, and names one where nobody has. */
static int record_and_caller(void)
{
    static const char *const marks[] = {"DPS1", "DPS3"};
    for (unsigned i = 0; i < 2; i++) {
        pinned = true;
        CHECK_EQUAL(read_record(marks[i], 0, 1, false), 0);
        CHECK(d.ek_is_expected && d.ek_expected[0] == 0);
        pinned = false;
        CHECK_EQUAL(read_record(marks[i], 0, 1, false), 0);
        CHECK_EQUAL(d.ek_is_expected, i == 1);
        CHECK_EQUAL(d.ek_expected[0], i == 1 ? 'a' : 0);
    }
    return 0;
}

/* ---- Limits ---- */

static int configuration_limits(void)
{
    static struct dps_service service;
    static struct dps_service_config good;
    static struct dps_service_config bad;
    static const struct dps_store store = {.context = NULL};
    static const struct crypto_entropy entropy = {.context = NULL};
    strcpy(good.host, "dps.example");
    strcpy(good.id_scope, "0ne");
    good.hub_count = 1;
    good.secret_count = 1;
    CHECK_EQUAL(dps_service_init(&service, &good, &store, &entropy), 0);
    for (unsigned i = 0; i < 6; i++) {
        bad = good;
        switch (i) {
        case 0:
            strcpy(bad.host, "dps..example");
            break;
        case 1:
            bad.id_scope[0] = 0;
            break;
        case 2:
            bad.hub_count = 0;
            break;
        case 3:
            bad.hub_count = DPS_HUBS_MAX + 1;
            break;
        case 4:
            bad.secret_count = 0;
            break;
        default:
            bad.secret_count = DPS_SECRETS_MAX + 1;
            break;
        }
        CHECK_EQUAL(dps_service_init(&service, &bad, &store, &entropy), BYTES_E_USAGE);
    }
    return 0;
}

/* Nothing is wrapped to a key that could not protect it. */
static int keys_not_to_wrap_to(void)
{
    struct tpm2_public good;
    const struct tpm2_wrap_random random = {.seed = {1}, .oaep = {2}};
    uint8_t out[1024];
    CHECK_EQUAL(tpm2_public_parse_2b(bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b), &good), 0);
    for (unsigned i = 0; i < 9; i++) {
        struct tpm2_public key = good;
        struct bytes_writer w = bytes_writer_over(out, sizeof out);
        switch (i) {
        case 0:
            key.type = TPM2_ALG_KEYEDHASH;
            break;
        case 1:
            key.name_alg = TPM2_ALG_SHA384;
            break;
        case 2:
            key.attributes |= TPM2_OBJECT_SIGN_ENCRYPT;
            break;
        case 3:
            key.attributes &= ~(uint32_t)TPM2_OBJECT_RESTRICTED;
            break;
        case 4:
            key.symmetric = TPM2_ALG_NULL;
            break;
        case 5:
            key.symmetric_key_bits = 256;
            break;
        case 6:
            key.symmetric_mode = TPM2_ALG_NULL;
            break;
        case 7:
            key.key_bits = 3072;
            break;
        default:
            key.unique = bytes_of(out, CRYPTO_RSA_MAX + 1);
            key.key_bits = 8 * (CRYPTO_RSA_MAX + 1);
            break;
        }
        tpm2_credential_make(&w, &key, bytes_of(vector_inner_key, 16),
                             bytes_of(vector_srk_name, TPM2_NAME_SIZE), &random);
        CHECK_EQUAL(w.error, BYTES_E_ALGORITHM);
    }
    return 0;
}

static const struct test tests[] = {
    {"found: a token with a bare name", token_with_bare_name},
    {"found: policies in an object", policies_in_an_object},
    {"found: a broken blob gives nothing", broken_blob_gives_nothing},
    {"found: a TPM that breaks off leaves no secret behind", broken_off_leaves_no_secret},
    {"registrations, damaged in every member", registration_damaged},
    {"the device's record, damaged in every field", device_record_damaged},
    {"a device's record, and which EK the caller has named", record_and_caller},
    {"configurations that break a limit", configuration_limits},
    {"keys that nothing may be wrapped to", keys_not_to_wrap_to},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
