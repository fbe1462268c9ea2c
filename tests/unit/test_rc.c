/* SPDX-License-Identifier: MIT */
/* Known codes come from captured answers (vectors/commands.c) and from issues that users reported. */
#include "crypto/bytes/bytes.h"
#include "tests/unit/test.h"
#include "tpm/rc.h"
#include "tpm/tools/rc_text.h"
#include "tpm/tpm2.h"
#include <string.h>

struct known {
    uint32_t rc;
    enum tpm2_rc_kind kind;
    uint32_t code;
    unsigned number;
    bool retry;
};

static const struct known known[] = {
    {0x000, TPM2_RC_KIND_SUCCESS, TPM2_RC_SUCCESS, 0, false},
    {0x01E, TPM2_RC_KIND_TPM12, TPM2_RC_BAD_TAG, 0, false},
    {0x100, TPM2_RC_KIND_ERROR, TPM2_RC_INITIALIZE, 0, false},
    {0x101, TPM2_RC_KIND_ERROR, TPM2_RC_FAILURE, 0, false},
    {0x12F, TPM2_RC_KIND_ERROR, TPM2_RC_AUTH_UNAVAILABLE, 0, false},
    {0x143, TPM2_RC_KIND_ERROR, TPM2_RC_COMMAND_CODE, 0, false},
    {0x18B, TPM2_RC_KIND_HANDLE, TPM2_RC_HANDLE, 1, false},
    {0x28B, TPM2_RC_KIND_HANDLE, TPM2_RC_HANDLE, 2, false},
    {0x1DF, TPM2_RC_KIND_PARAMETER, TPM2_RC_INTEGRITY, 1, false},
    {0x2C2, TPM2_RC_KIND_PARAMETER, TPM2_RC_ATTRIBUTES, 2, false},
    {0x2E5, TPM2_RC_KIND_PARAMETER, TPM2_RC_BINDING, 2, false},
    {0xFC4, TPM2_RC_KIND_PARAMETER, TPM2_RC_VALUE, 15, false},
    {0x9A2, TPM2_RC_KIND_SESSION, TPM2_RC_BAD_AUTH, 1, false},
    {0x98E, TPM2_RC_KIND_SESSION, TPM2_RC_AUTH_FAIL, 1, false},
    {0xA9D, TPM2_RC_KIND_SESSION, TPM2_RC_POLICY_FAIL, 2, false},
    {0x084, TPM2_RC_KIND_HANDLE, TPM2_RC_VALUE, 0, false},
    {0x902, TPM2_RC_KIND_WARNING, TPM2_RC_OBJECT_MEMORY, 0, false},
    {0x908, TPM2_RC_KIND_WARNING, TPM2_RC_YIELDED, 0, true},
    {0x909, TPM2_RC_KIND_WARNING, TPM2_RC_CANCELED, 0, true},
    {0x90A, TPM2_RC_KIND_WARNING, TPM2_RC_TESTING, 0, true},
    {0x910, TPM2_RC_KIND_WARNING, TPM2_RC_REFERENCE_H0, 0, false},
    {0x920, TPM2_RC_KIND_WARNING, TPM2_RC_NV_RATE, 0, true},
    {0x921, TPM2_RC_KIND_WARNING, TPM2_RC_LOCKOUT, 0, false},
    {0x922, TPM2_RC_KIND_WARNING, TPM2_RC_RETRY, 0, true},
    {0x923, TPM2_RC_KIND_WARNING, TPM2_RC_NV_UNAVAILABLE, 0, true},
    {0x501, TPM2_RC_KIND_VENDOR, 0x501, 0, false},
    {0xD22, TPM2_RC_KIND_VENDOR, 0xD22, 0, false},
    {0x000B0143, TPM2_RC_KIND_LAYER, 0x000B0143, 0, false},
    {0x000B0922, TPM2_RC_KIND_LAYER, 0x000B0922, 0, false},
    {0x80280400, TPM2_RC_KIND_LAYER, 0x80280400, 0, false},
    {0x00001922, TPM2_RC_KIND_LAYER, 0x00001922, 0, false},
};

static int test_known(void)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct tpm2_rc rc = tpm2_rc_decode(known[i].rc);
        CHECK_EQUAL(rc.kind, known[i].kind);
        CHECK_EQUAL(rc.code, known[i].code);
        CHECK_EQUAL(rc.number, known[i].number);
        CHECK_EQUAL(rc.retry, known[i].retry);
    }
    return 0;
}

/* All 4096 codes that a TPM can send: exactly one kind, numbers in range, and code and number make the
 * code again. */
static int test_all(void)
{
    for (uint32_t raw = 1; raw < 0x1000; raw++) {
        struct tpm2_rc rc = tpm2_rc_decode(raw);
        bool numbered = (raw & 0x80) != 0;
        CHECK(rc.kind != TPM2_RC_KIND_SUCCESS && rc.kind != TPM2_RC_KIND_LAYER);
        CHECK(numbered == (rc.kind == TPM2_RC_KIND_HANDLE || rc.kind == TPM2_RC_KIND_PARAMETER ||
                           rc.kind == TPM2_RC_KIND_SESSION));
        CHECK(!(numbered && rc.retry));
        CHECK(rc.number <= (rc.kind == TPM2_RC_KIND_PARAMETER ? 15U : 7U));
        uint32_t kind_bits = rc.kind == TPM2_RC_KIND_PARAMETER ? 0x40
                             : rc.kind == TPM2_RC_KIND_SESSION ? 0x800
                                                               : 0;
        CHECK_EQUAL((rc.code | rc.number << 8 | kind_bits), raw);
    }
    return 0;
}

static int test_text(void)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t code = tpm2_rc_decode(known[i].rc).code;
        const char *name = tpm2_rc_name(code);
        CHECK((name == NULL) == (tpm2_rc_meaning(code) == NULL));
        if (known[i].kind != TPM2_RC_KIND_VENDOR && known[i].kind != TPM2_RC_KIND_LAYER) {
            CHECK(name != NULL && strncmp(name, "TPM_RC_", 7) == 0);
        }
    }
    CHECK_EQUAL(tpm2_rc_name(TPM2_RC_INTEGRITY), "TPM_RC_INTEGRITY");
    CHECK(tpm2_rc_name(0x000B0143) != NULL && tpm2_rc_name(0x80280400) != NULL);
    CHECK(tpm2_rc_name(0x501) == NULL && tpm2_rc_meaning(0x501) == NULL);
    for (uint32_t code = 0; code < 0x1000; code++) {
        const char *meaning = tpm2_rc_meaning(code);
        CHECK(meaning == NULL || meaning[strlen(meaning) - 1] == '.');
    }
    return 0;
}

/* What layers above a TPM say: their own codes, and the TPM's that they pass on. */
static int test_layers(void)
{
    static const struct {
        uint32_t rc, below;
        const char *layer, *name;
    } cases[] = {
        {0x00000922, 0, NULL, "TPM_RC_RETRY"},
        {0x000B0143, 0x143, "the resource manager (/dev/tpmrm0, tpm2-abrmd)",
         "TSS2_RESMGR_TPM_RC_COMMAND_CODE"},
        {0x000C01DF, 0x1DF, "the resource manager, from the TPM", "TPM_RC_INTEGRITY"},
        {0x000B000B, 0, "the resource manager (/dev/tpmrm0, tpm2-abrmd)", "TSS2_BASE_RC_BAD_VALUE"},
        {0x000A000A, 0, "TCTI (tpm2-tss): the transport to the TPM", "TSS2_BASE_RC_IO_ERROR"},
        {0x0007001B, 0, "ESAPI (tpm2-tss)", "TSS2_BASE_RC_RSP_AUTH_FAILED"},
        {0x0007001C, 0, "ESAPI (tpm2-tss)", NULL},
        {0x00070000, 0, "ESAPI (tpm2-tss)", NULL},
        {0x8028018B, 0x18B, "Windows (TBS)", "TPM_RC_HANDLE"},
        {0x8028400F, 0, "Windows (TBS)", "TBS_E_TPM_NOT_FOUND"},
        {0x81010001, 0, NULL, NULL}, /* a handle */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t below;
        const char *layer = tpm2_rc_layer(cases[i].rc, &below), *name = tpm2_rc_name(cases[i].rc);
        CHECK_EQUAL(below, cases[i].below);
        CHECK((layer == NULL) == (cases[i].layer == NULL) &&
              (layer == NULL || strcmp(layer, cases[i].layer) == 0));
        CHECK((name == NULL) == (cases[i].name == NULL) &&
              (name == NULL || strcmp(name, cases[i].name) == 0));
        CHECK((name == NULL) == (tpm2_rc_meaning(cases[i].rc) == NULL));
    }
    uint32_t code = 1;
    CHECK(tpm2_rc_named(bytes_of_text("TPM_RC_INTEGRITY"), &code) && code == TPM2_RC_INTEGRITY);
    CHECK(!tpm2_rc_named(bytes_of_text("TPM_RC_INTEGRIT"), &code));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"known response codes", test_known},
        {"every response code a TPM can send", test_all},
        {"names and meanings", test_text},
        {"layers above the TPM", test_layers},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
