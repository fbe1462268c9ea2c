/* SPDX-License-Identifier: MIT */
/* The lab without its page: what each scene comes to, and who notices which wrong byte.
 * Usage: test_lab; or test_lab digests, for SHA-256 of all messages of each scene. */
#include "tests/lab/inside.h"
#include "tests/unit/test.h"
#include "tpm/tpm2.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static unsigned scene(const char *name)
{
    unsigned i = 0;
    while (i < lab_scene_count && strcmp(lab_scene_list[i].name, name) != 0) {
        i++;
    }
    return i;
}

/* What ended the story, or a part of it after the tenth stage; null: nothing did. */
static const struct lab_refusal *fatal(void)
{
    for (size_t i = 0; i < lab_world.refusal_count; i++) {
        if (lab_world.refusals[i].fatal) {
            return &lab_world.refusals[i];
        }
    }
    return NULL;
}

static unsigned find_message(unsigned stage, enum port_trace_kind kind, uint32_t code)
{
    for (unsigned i = 0; i < lab_world.message_count; i++) {
        const struct lab_message_head *m = &lab_world.messages[i];
        if (m->stage == stage && m->kind == kind && (code == 0 || m->command_code == code)) {
            return i;
        }
    }
    return LAB_MESSAGES;
}

static int play(const char *name, unsigned stage)
{
    CHECK(lab_reset(scene(name)));
    lab_run(stage);
    return 0;
}

/* ---- Scenes ------------------------------------------------------------------------------------------------------ */

/* Of all messages: they stand one after the other. */
static void digest(uint8_t out[CRYPTO_SHA256_SIZE])
{
    const struct bytes all = bytes_of(lab_message_bytes(0).p, lab_world.memory_used);
    crypto_sha256(&all, 1, out);
}

static int test_ordinary(void)
{
    uint8_t first[CRYPTO_SHA256_SIZE], second[CRYPTO_SHA256_SIZE];
    CHECK_EQUAL(play("ordinary", 11), 0);
    CHECK(fatal() == NULL);
    CHECK_EQUAL(lab_world.device.assigned_hub, "hub-a.example");
    CHECK_EQUAL(lab_world.answer.status, 204);
    CHECK_EQUAL(lab_world.phase, LAB_OVER);
    CHECK(!lab_step());
    for (unsigned stage = 1; stage <= 10; stage++) { /* in 5 the service thinks */
        CHECK(stage == 5 || find_message(stage, PORT_TRACE_TPM_COMMAND, 0) < LAB_MESSAGES ||
              find_message(stage, PORT_TRACE_HTTP_REQUEST, 0) < LAB_MESSAGES ||
              find_message(stage, PORT_TRACE_HTTP_RESPONSE, 0) < LAB_MESSAGES);
    }
    /* One stage at a time it is the same story. */
    const size_t count = lab_world.message_count, len = lab_world.memory_used;
    digest(first);
    CHECK(lab_reset(0));
    for (unsigned stage = 1; stage <= 10; stage++) {
        lab_run(stage);
        CHECK_EQUAL(lab_world.stage, stage);
    }
    CHECK_EQUAL(lab_world.message_count, count);
    CHECK_EQUAL(lab_world.memory_used, len);
    digest(second);
    CHECK_EQUAL(memcmp(first, second, sizeof first), 0);
    return 0;
}

/* Where each scene ends, and by whose refusal. keys: how many an interposer has carried away. */
static const struct {
    const char *name;
    unsigned stage;
    int who; /* -1: nobody refuses */
    uint32_t code;
    unsigned keys;
    size_t secrets;
} scenes[] = {
    {"ordinary", 10, -1, 0, 0, 0},
    {"wrong-template", 5, LAB_SERVICE, DPS_REFUSED_EK, 0, 0},
    {"software-srk", 5, LAB_SERVICE, DPS_REFUSED_SRK_ATTRIBUTES, 0, 0},
    {"lying-srk", 7, LAB_TPM, TPM2_RC_INTEGRITY | 0x140, 0, 0},
    {"rewrap", 10, -1, 0, 2, 0},
    {"rewrap-hardened", 10, -1, 0, 0, 0},
    {"replay", 11, LAB_SERVICE, DPS_REFUSED_TOKEN_REPLAYED, 0, 0},
    {"cleared", 10, -1, 0, 0, 0},
    {"resale", 11, LAB_TPM, TPM2_RC_INTEGRITY | 0x140, 0, 0},
    {"listens", 10, -1, 0, 0, 4},
    {"listens-sessions", 10, -1, 0, 0, 0},
    {"acts", 10, -1, 0, 2, 0},
    {"acts-sessions", 10, -1, 0, 0, 0},
    {"own-ek", 5, LAB_SERVICE, DPS_REFUSED_EK, 0, 0},
    {"rogue", 11, LAB_SERVICE, DPS_REFUSED_TOKEN_SIGNATURE, 0, 0},
    {"slow-clock", 9, LAB_SERVICE, DPS_REFUSED_TOKEN_EXPIRED, 0, 0},
    {"wrong-date", 8, LAB_DEVICE, -BYTES_E_CLOCK, 0, 0},
    {"restored", 11, LAB_SERVICE, DPS_REFUSED_TOKEN_SIGNATURE, 0, 0},
};

static int test_scenes(void)
{
    CHECK_EQUAL(sizeof scenes / sizeof scenes[0], lab_scene_count);
    for (size_t i = 0; i < lab_scene_count; i++) {
        CHECK_EQUAL(lab_scene_list[i].name, scenes[i].name);
        CHECK_EQUAL(play(scenes[i].name, 11), 0);
        const struct lab_refusal *r = fatal();
        printf("# %s: stage %u, who %d, code 0x%x, %u keys, %zu secrets\n", scenes[i].name, lab_world.stage,
               r != NULL ? r->who : -1, r != NULL ? (unsigned)r->code : 0, lab_world.interposer.keys,
               lab_world.secret_count);
        CHECK_EQUAL(lab_world.stage, scenes[i].stage);
        CHECK_EQUAL(r != NULL ? r->who : -1, scenes[i].who);
        CHECK_EQUAL(r != NULL ? r->code : 0, scenes[i].code);
        CHECK_EQUAL(lab_world.interposer.keys, scenes[i].keys);
        CHECK_EQUAL(lab_world.secret_count, scenes[i].secrets);
        CHECK(lab_world.hidden_count < LAB_HIDDEN && lab_world.hidden_used < LAB_HIDDEN_BYTES - 1024);
    }
    return 0;
}

static int test_texts(void)
{
    CHECK(lab_scenes() > 1000);
    CHECK_EQUAL(memcmp(lab_text(), "[{\"name\":\"ordinary\",", 20), 0);
    CHECK_EQUAL(play("listens", 11), 0);
    const size_t len = lab_state();
    CHECK(memmem(lab_text(), len, "\"name\":\"a new password\"", 23) != NULL);
    CHECK_EQUAL(lab_text()[len - 1], '}');
    const unsigned load = find_message(7, PORT_TRACE_TPM_COMMAND, TPM2_CC_LOAD);
    CHECK(memmem(lab_text(), lab_message(load), "TPM2B_PRIVATE", 13) != NULL);
    CHECK_EQUAL(lab_message(LAB_MESSAGES), 0);
    return 0;
}

/* ---- Wrong bytes ------------------------------------------------------------------------------------------------- */

/* Offsets in the activation blob of step 6; which layer notices. */
static const struct {
    unsigned offset;
    const char *layer; /* null: the device itself, by the form */
} blob_bytes[] = {
    {4, "the credential's HMAC, over the inner key and the SRK's Name"},
    {53, "the credential's HMAC, over the inner key and the SRK's Name"},
    {56, "the EK's OAEP padding"},
    {311, "the EK's OAEP padding"},
    {316, "the outer HMAC, over the wrapped key and its Name"},
    {455, "the outer HMAC, over the wrapped key and its Name"},
    {458, "the SRK's OAEP padding"},
    {713, "the SRK's OAEP padding"},
    {732, "the outer HMAC, over the wrapped key and its Name"},
    {763, "the outer HMAC, over the wrapped key and its Name"},
    {0, NULL},
    {54, NULL},
    {312, NULL},
};

static int test_blob(void)
{
    CHECK_EQUAL(play("ordinary", 6), 0);
    const unsigned answer = find_message(6, PORT_TRACE_HTTP_RESPONSE, 0);
    CHECK(answer < LAB_MESSAGES);
    for (size_t i = 0; i < sizeof blob_bytes / sizeof blob_bytes[0]; i++) {
        uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
        size_t len;
        CHECK_EQUAL(lab_view(PORT_TRACE_HTTP_RESPONSE, lab_message_bytes(answer), 4, blob, sizeof blob, &len),
                    TRACE_ACTIVATION_BLOB);
        CHECK(lab_change_message(answer, 4, blob_bytes[i].offset, blob[blob_bytes[i].offset] ^ 1U));
        lab_run(11);
        CHECK(lab_world.messages[answer].changed);
        const struct lab_refusal *r = fatal();
        CHECK(r != NULL);
        if (blob_bytes[i].layer == NULL) {
            CHECK_EQUAL(r->who, LAB_DEVICE);
        } else {
            CHECK_EQUAL(r->who, LAB_TPM);
            CHECK_EQUAL(lab_layer(r->command_code, r->code), blob_bytes[i].layer);
        }
        CHECK(lab_undo());
        lab_run(6);
    }
    /* Field 6: nothing protects it, and nobody needs it. */
    CHECK(lab_change_message(answer, 4, 770, 1));
    lab_run(11);
    CHECK(fatal() == NULL);
    return 0;
}

static int test_token(void)
{
    uint8_t token[512];
    size_t len;
    CHECK_EQUAL(play("ordinary", 10), 0);
    const unsigned request = find_message(8, PORT_TRACE_HTTP_REQUEST, 0);
    CHECK_EQUAL(lab_view(PORT_TRACE_HTTP_REQUEST, lab_message_bytes(request), 3, token, sizeof token, &len),
                TRACE_SAS_TOKEN);
    const uint8_t *sig = memmem(token, len, "&sig=", 5);
    CHECK(sig != NULL);
    unsigned at = (unsigned)(sig - token) + 5;
    while (!isalnum(token[at]) || token[at - 1] == '%' || token[at - 2] == '%') {
        at++;
    }
    CHECK(lab_change_message(request, 3, at, token[at] == 'A' ? 'B' : 'A'));
    CHECK(lab_world.stage == 8 && lab_world.message_count < request);
    lab_run(11);
    CHECK_EQUAL(fatal() != NULL ? fatal()->code : 0, DPS_REFUSED_TOKEN_SIGNATURE);
    CHECK_EQUAL(lab_world.stage, 9);
    return 0;
}

/* A later change is forgotten when an earlier one is made; undo leads back. */
static int test_changes(void)
{
    CHECK_EQUAL(play("ordinary", 10), 0);
    const size_t count = lab_world.message_count;
    const unsigned request = find_message(8, PORT_TRACE_HTTP_REQUEST, 0);
    CHECK(lab_change_message(request, 0, 0, 'X'));
    lab_run(11);
    CHECK_EQUAL(fatal() != NULL ? fatal()->who : 99, LAB_SERVICE);
    CHECK(lab_change_message(find_message(4, PORT_TRACE_HTTP_REQUEST, 0), 1, 300, 0));
    CHECK_EQUAL(lab_change_count(), 1);
    lab_run(11);
    CHECK_EQUAL(fatal() != NULL ? fatal()->code : 0, DPS_REFUSED_EK);
    CHECK(lab_undo());
    CHECK(!lab_undo());
    lab_run(11);
    CHECK(fatal() == NULL);
    CHECK_EQUAL(lab_world.message_count, count);
    CHECK(!lab_change_message(LAB_MESSAGES, 0, 0, 0));
    CHECK(!lab_change_message(0, 1, 0, 0));
    CHECK(!lab_change_message(0, 0, 5000, 0));
    CHECK(!lab_change_thing(99, 1, 0, 0));
    CHECK(!lab_reset(99));
    return 0;
}

/* ---- Wrong things ------------------------------------------------------------------------------------------------ */

static unsigned thing(const char *name)
{
    unsigned i = 0;
    while (i < lab_thing_count && strcmp(lab_thing_list[i].name, name) != 0) {
        i++;
    }
    return i;
}

static const struct {
    const char *name;
    unsigned stage, offset;
    int who;
    uint32_t code;
} things[] = {
    {"The EK's private half", 7, 0, LAB_TPM, TPM2_RC_VALUE | 0x240},
    {"The SRK's private half", 7, 0, LAB_TPM, TPM2_RC_VALUE | 0x440},
    {"The service's secret", 8, 3, LAB_SERVICE, DPS_REFUSED_TOKEN_SIGNATURE},
    {"The service's clock", 8, 3, LAB_SERVICE, DPS_REFUSED_TOKEN_SIGNATURE}, /* a nonce of another time */
    {"The device's record", 10, 5, LAB_DEVICE, -BYTES_E_STATE},
    {"The enrollment", 4, 3, LAB_SERVICE, 0},
    {"The owner's password in the TPM", 4, 0, -1, 0}, /* the SRK is persistent: nobody asks for it */
};

static int test_things(void)
{
    for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
        size_t len = 0;
        CHECK_EQUAL(play("ordinary", things[i].stage), 0);
        const unsigned number = thing(things[i].name);
        CHECK(number < lab_thing_count);
        CHECK(lab_things(things[i].stage) > 1000);
        const uint8_t *bytes = lab_thing_list[number].find(lab_at(things[i].stage), &len);
        CHECK(bytes != NULL);
        CHECK(lab_change_thing(number, things[i].stage, things[i].offset, bytes[things[i].offset] ^ 1U));
        lab_run(11);
        const struct lab_refusal *r = fatal();
        printf("# %s: who %d, code 0x%x\n", things[i].name, r != NULL ? r->who : -1,
               r != NULL ? (unsigned)r->code : 0);
        CHECK_EQUAL(r != NULL ? r->who : -1, things[i].who);
        if (things[i].code != 0) {
            CHECK_EQUAL(r != NULL ? r->code : 0, things[i].code);
        }
    }
    return 0;
}

/* ---- Whatever is changed ----------------------------------------------------------------------------------------- */

/* Many bytes of a message can be changed before the story goes on; of no other one, since it is not there. */
static int test_at_once(void)
{
    CHECK_EQUAL(play("ordinary", 6), 0);
    const unsigned answer = (unsigned)lab_world.message_count - 1;
    for (unsigned at = 56; at < 312; at++) {
        CHECK(lab_change_message(answer, 4, at, 0x5A));
    }
    CHECK(!lab_change_message(answer, 4, 5000, 0));
    CHECK_EQUAL(lab_change_count(), 256);
    lab_run(7);
    CHECK_EQUAL(lab_layer(fatal()->command_code, fatal()->code), "the EK's OAEP padding");
    CHECK(memmem(lab_text(), lab_message(answer), "5a5a5a5a5a5a5a5a", 16) != NULL);
    while (lab_undo()) {
    }
    CHECK(!lab_change_message(answer, 4, 56, 0x5A)); /* it is not there yet */
    lab_run(11);
    CHECK(fatal() == NULL);
    return 0;
}

/* What the sessions hide, in clear; empty if nothing of the message is. */
static struct bytes clear_in(unsigned message)
{
    for (size_t i = 0; i < lab_world.hidden_count; i++) {
        if (lab_world.hidden[i].message == message && strcmp(lab_world.hidden[i].name, "clear") == 0) {
            return lab_world.hidden[i].bytes;
        }
    }
    return bytes_of(NULL, 0);
}

/* The inner key leaves the TPM hidden, and comes back hidden otherwise. */
static int test_hidden(void)
{
    CHECK_EQUAL(play("listens-sessions", 10), 0);
    const unsigned from = find_message(7, PORT_TRACE_TPM_RESPONSE, TPM2_CC_ACTIVATE_CREDENTIAL);
    const unsigned to = find_message(7, PORT_TRACE_TPM_COMMAND, TPM2_CC_IMPORT);
    const struct bytes key = clear_in(from);
    CHECK_EQUAL(key.len, 16);
    CHECK(bytes_equal_public(key, clear_in(to)));
    CHECK(memmem(lab_message_bytes(from).p, lab_message_bytes(from).len, key.p, key.len) == NULL);
    CHECK(memmem(lab_message_bytes(to).p, lab_message_bytes(to).len, key.p, key.len) == NULL);
    CHECK(memmem(lab_text(), lab_message(to), "\"clear\"", 7) != NULL);
    CHECK(lab_world.hidden_count > 100);
    CHECK_EQUAL(play("ordinary", 10), 0);
    CHECK_EQUAL(lab_world.hidden_count, 0);
    return 0;
}

/* One byte of each message: the story ends, and it can be told. */
static int test_everything(void)
{
    CHECK_EQUAL(play("ordinary", 10), 0);
    const unsigned count = (unsigned)lab_world.message_count;
    for (unsigned i = 0; i < count; i++) {
        while (lab_world.message_count <= i && lab_step()) {
        }
        const struct bytes message = lab_message_bytes(i);
        const unsigned at = (i * 7 + 10) % (unsigned)message.len;
        CHECK(lab_change_message(i, 0, at, message.p[at] ^ 1U));
        lab_run(11);
        CHECK_EQUAL(lab_world.phase, LAB_OVER);
        CHECK(lab_world.outcome_count > 0);
        CHECK(fatal() != NULL || lab_world.outcomes[lab_world.outcome_count - 1].ok);
        CHECK(lab_state() > 300);
        CHECK(lab_message(i) > 100);
        CHECK(lab_undo());
    }
    lab_run(11);
    CHECK(fatal() == NULL);
    return 0;
}

/* For page_test.js, which compares them with what the module says. */
static int print_digests(void)
{
    for (size_t i = 0; i < lab_scene_count; i++) {
        uint8_t out[CRYPTO_SHA256_SIZE];
        CHECK_EQUAL(play(lab_scene_list[i].name, LAB_STAGES), 0);
        digest(out);
        printf("%s ", lab_scene_list[i].name);
        for (size_t k = 0; k < sizeof out; k++) {
            printf("%02x", out[k]);
        }
        printf("\n");
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "digests") == 0) {
        return print_digests();
    }
    static const struct test tests[] = {
        {"the ten stages, at once and one at a time", test_ordinary},
        {"each scene ends where it should, and nobody gets more than he should", test_scenes},
        {"what is said about it", test_texts},
        {"each layer of a blob answers for its bytes", test_blob},
        {"a token with a wrong signature", test_token},
        {"changes, and the way back", test_changes},
        {"keys, records and clocks", test_things},
        {"many bytes at once", test_at_once},
        {"what sessions hide can be read with their keys", test_hidden},
        {"a wrong byte in any message: the story ends", test_everything},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
