/* SPDX-License-Identifier: MIT */
#include "port/posix/posix.h"
#include "tests/support/versions.h"
#include "tests/tiny_tpm/compare.h"
#include "tests/vectors/activation_blob.h"
#include <libtpms/tpm_error.h>
#include <libtpms/tpm_library.h>
#include <stdio.h>

#define TIMEOUT_MS 120000
#define PRINTED_MAX 6

const struct both_command both_commands[] = {
    {TPM2_CC_EVICT_CONTROL, 2},
    {TPM2_CC_CLEAR, 1},
    {TPM2_CC_HIERARCHY_CHANGE_AUTH, 1},
    {TPM2_CC_CREATE_PRIMARY, 1},
    {0x143, 0},
    {TPM2_CC_STARTUP, 0},
    {TPM2_CC_SHUTDOWN, 0},
    {TPM2_CC_ACTIVATE_CREDENTIAL, 2},
    {TPM2_CC_POLICY_SECRET, 2},
    {TPM2_CC_REWRAP, 2},
    {TPM2_CC_CREATE, 1},
    {TPM2_CC_HMAC, 1},
    {TPM2_CC_IMPORT, 1},
    {TPM2_CC_LOAD, 1},
    {TPM2_CC_UNSEAL, 1},
    {TPM2_CC_FLUSH_CONTEXT, 0},
    {TPM2_CC_LOAD_EXTERNAL, 0},
    {TPM2_CC_POLICY_COMMAND_CODE, 1},
    {TPM2_CC_POLICY_OR, 1},
    {TPM2_CC_READ_PUBLIC, 1},
    {TPM2_CC_START_AUTH_SESSION, 2},
    {TPM2_CC_GET_CAPABILITY, 0},
    {TPM2_CC_GET_RANDOM, 0},
    {0x180, 1},
    {TPM2_CC_POLICY_GET_DIGEST, 1},
};
const size_t both_commands_count = sizeof both_commands / sizeof both_commands[0];

static struct posix_tpm libtpms;
static struct port_tpm port;
static struct tiny_tpm tiny;
static uint8_t command[TINY_BUFFER], responses[2][TINY_BUFFER];
static size_t lens[2];
static struct bytes_writer writer;
static size_t random_from;
static unsigned differences, commands;
static uint8_t parent_name[TPM2_NAME_SIZE];
static uint8_t key_storage[5 * 256 + 64];
static struct crypto_rsa_private known;

/* ---- The command ---- */

struct bytes_writer *both_begin(void)
{
    writer = bytes_writer_over(command, sizeof command);
    return &writer;
}

struct bytes_writer *both_writer(void)
{
    return &writer;
}

void both_command(uint16_t tag, uint32_t code)
{
    (void)both_begin();
    bytes_write_u16(&writer, tag);
    bytes_write_u32(&writer, 0);
    bytes_write_u32(&writer, code);
}

void both_set_size(uint32_t size)
{
    struct bytes_writer at = bytes_writer_over(command + 2, 4);
    bytes_write_u32(&at, size);
}

void both_cut(size_t len)
{
    writer.len = len;
}

struct bytes both_known_prime(void)
{
    return known.p;
}

struct bytes both_parent_name(void)
{
    return bytes_of(parent_name, sizeof parent_name);
}

void both_import_in_clear(uint32_t parent, struct bytes public_2b, uint16_t type, struct bytes secret)
{
    static const uint8_t seed[32] = {1, 2, 3};
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    both_command(TPM2_ST_SESSIONS, TPM2_CC_IMPORT);
    bytes_write_u32(&writer, parent);
    tpm2_auth_area_write(&writer, &empty, 1);
    bytes_write_u16(&writer, 0); /* encryptionKey */
    bytes_write_bytes(&writer, public_2b);
    const size_t duplicate = bytes_write_size_begin(&writer), sensitive = bytes_write_size_begin(&writer);
    bytes_write_u16(&writer, type);
    bytes_write_u16(&writer, 0); /* authValue */
    bytes_write_2b(&writer, bytes_of(seed, sizeof seed));
    bytes_write_2b(&writer, secret);
    bytes_write_size_end(&writer, sensitive);
    bytes_write_size_end(&writer, duplicate);
    bytes_write_u16(&writer, 0); /* inSymSeed */
    bytes_write_u16(&writer, TPM2_ALG_NULL);
}

struct tpm2_public both_known_area(uint32_t attributes)
{
    struct tpm2_public area = tpm2_template_srk();
    static struct tpm2_public vector;
    (void)tpm2_public_parse_2b(bytes_of(vector_srk_public_2b, sizeof vector_srk_public_2b), &vector);
    area.attributes = attributes;
    area.unique = vector.unique;
    return area;
}

/* ---- The responses ---- */

static bool ask_one(int which)
{
    const struct bytes bytes = bytes_of(command, writer.len);
    lens[which] = 0;
    commands += which == 1;
    if (which == 1) {
        lens[1] = tiny_tpm_execute(&tiny, bytes, responses[1]);
        return true;
    }
    return port.transact(port.context, bytes, responses[0], sizeof responses[0], &lens[0], TIMEOUT_MS) == 0;
}

bool both_ask(void)
{
    both_set_size((uint32_t)writer.len);
    return ask_one(0) && ask_one(1);
}

struct bytes both_answer(int which)
{
    return bytes_of(responses[which], lens[which]);
}

uint32_t both_last_u32(struct bytes response)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(response.p + response.len - 4, 4));
    return bytes_read_u32(&r);
}

uint32_t both_code(int which)
{
    struct bytes_reader r = bytes_reader_over(both_answer(which));
    bytes_skip(&r, 6);
    return bytes_read_u32(&r);
}

static void print(const char *what, const uint8_t *bytes, size_t len)
{
    printf("# %s", what);
    for (size_t i = 0; i < len && i < 200; i++) {
        printf("%02x", bytes[i]);
    }
    printf("%s\n", len > 200 ? "..." : "");
}

/* Where they differ on purpose, and with which versions of libtpms. */
static struct {
    const char *why;
    uint32_t command, libtpms, tiny;
    uint32_t from, before; /* versions */
    unsigned seen;
} listed[] = {
    {"a seed that does not decrypt: the tiny TPM blames the parameter", TPM2_CC_ACTIVATE_CREDENTIAL,
     TPM2_RC_FAILURE, 0x2C4, VERSION_FIRST, VERSION(0, 10, 0), 0},
    {"a seed that does not decrypt: likewise", TPM2_CC_IMPORT, TPM2_RC_FAILURE, 0x4C4, VERSION_FIRST,
     VERSION(0, 10, 0), 0},
    {"firmwareLimited, which libtpms has from r1.83 and r1.59 reserves", TPM2_CC_LOAD, 0x1DF, 0x2E1,
     VERSION(0, 10, 0), VERSION_NONE, 0},
    {"data for a key that the TPM is to make: P3 r1.59 24.1 refuses it", TPM2_CC_CREATE_PRIMARY, 0, 0x2C2,
     VERSION_FIRST, VERSION_NONE, 0},
    {"x509sign, of which the tiny TPM knows nothing", TPM2_CC_LOAD_EXTERNAL, 0, 0x2E1, VERSION_FIRST,
     VERSION_NONE, 0},
    {"another exponent than 65537: likewise", TPM2_CC_LOAD_EXTERNAL, TPM2_RC_BINDING, 0x2C4, VERSION_FIRST,
     VERSION_NONE, 0},
    {"a session that is bound (to a PCR)", TPM2_CC_START_AUTH_SESSION, 0, 0x284, VERSION_FIRST, VERSION_NONE,
     0},
};
#define LISTED (sizeof listed / sizeof listed[0])

static uint32_t command_code(void)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(command, writer.len));
    bytes_skip(&r, 6);
    return bytes_read_u32(&r);
}

/* The digest of a ticket is as long as the TPM's own hash, which in libtpms is SHA-512. */
static size_t longer(void)
{
    const bool ticket = command_code() == TPM2_CC_CREATE || command_code() == TPM2_CC_CREATE_PRIMARY;
    return ticket && both_code(0) == 0 ? 32 : 0;
}

static bool is_listed(void)
{
    const uint32_t code = command_code(), version = TPMLIB_GetVersion();
    for (size_t i = 0; i < LISTED; i++) {
        if (version_in(version, listed[i].from, listed[i].before) && listed[i].command == code &&
            listed[i].libtpms == both_code(0) && listed[i].tiny == both_code(1)) {
            listed[i].seen++;
            return true;
        }
    }
    return false;
}

unsigned both_not_seen(void)
{
    const uint32_t version = TPMLIB_GetVersion();
    unsigned missing = 0;
    printf("# %u commands\n", commands);
    version_say("libtpms", version, VERSION(0, 9, 0), VERSION(0, 11, 0));
    for (size_t i = 0; i < LISTED; i++) {
        if (version_in(version, listed[i].from, listed[i].before)) {
            printf("# listed, %u times: %s (0x%03x: 0x%03x, 0x%03x)\n", listed[i].seen, listed[i].why,
                   listed[i].command, listed[i].libtpms, listed[i].tiny);
            missing += listed[i].seen == 0;
        }
    }
    return missing;
}

static bool compare(bool codes_only, const char *what)
{
    size_t len = random_from > 0 && both_code(0) == 0 && random_from < lens[0] ? random_from : lens[0];
    if (codes_only ? both_code(0) == both_code(1)
                   : both_code(0) == both_code(1) && lens[0] == lens[1] + longer() &&
                         memcmp(responses[0], responses[1], len) == 0) {
        return true;
    }
    if (is_listed()) {
        return true;
    }
    if (differences++ < PRINTED_MAX) {
        printf("# %s: libtpms and the tiny TPM differ\n", what);
        print("command  ", command, writer.len);
        print("libtpms  ", responses[0], lens[0]);
        print("tiny TPM ", responses[1], lens[1]);
    }
    return false;
}

bool both_same(const char *what)
{
    return both_ask() && compare(false, what);
}

bool both_same_as_is(const char *what)
{
    return ask_one(0) && ask_one(1) && compare(false, what);
}

bool both_same_code(const char *what)
{
    return both_ask() && compare(true, what);
}

bool both_ask_one(int which)
{
    both_set_size((uint32_t)writer.len);
    return ask_one(which);
}

bool both_compare_codes(const char *what)
{
    return compare(true, what);
}

void both_cut_everywhere(size_t begin, const char *what)
{
    const size_t len = writer.len;
    for (size_t i = begin; i < len; i++) {
        writer.len = i;
        (void)both_same(what);
    }
    writer.len = len;
}

void both_random_from(size_t at)
{
    random_from = at;
}

unsigned both_differences(void)
{
    const unsigned count = differences;
    differences = 0;
    random_from = 0;
    return count;
}

void both_flush(uint32_t handle)
{
    tpm2_flush_context_build(both_begin(), handle);
    (void)both_ask();
}

void both_flush_new(void)
{
    uint32_t handles[2] = {0};
    for (int i = 0; i < 2; i++) {
        struct bytes_reader r = bytes_reader_over(both_answer(i));
        bytes_skip(&r, 10);
        handles[i] = both_code(i) == 0 ? bytes_read_u32(&r) : 0;
    }
    for (int i = 0; i < 2; i++) {
        if (handles[i] != 0 && (i == 0 || handles[0] == 0)) {
            both_flush(handles[i]);
        }
    }
}

/* ---- The storage key that both hold ---- */

bool both_create_srk(void)
{
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    const struct tpm2_public area = tpm2_template_srk();
    tpm2_create_primary_build(both_begin(), TPM2_RH_OWNER, &empty, &area);
    return both_ask() && both_code(0) == 0 && both_code(1) == 0;
}

/* What each of them has imported, only that one can load. */
static bool load_each(struct bytes public_2b)
{
    const struct tpm2_auth empty = tpm2_auth_password(bytes_of(NULL, 0));
    bool loaded = true;
    uint8_t privates[2][1024];
    struct bytes private_2b[2];
    for (int i = 0; i < 2; i++) {
        uint32_t rc;
        if (tpm2_import_parse(both_answer(i), &rc, &private_2b[i]) != 0) {
            return false;
        }
        memcpy(privates[i], private_2b[i].p, private_2b[i].len);
    }
    for (int i = 0; i < 2; i++) {
        tpm2_load_build(both_begin(), TPM2_HR_TRANSIENT, &empty, bytes_of(privates[i], private_2b[i].len),
                        public_2b);
        loaded = loaded && ask_one(i);
    }
    return loaded && compare(false, "TPM2_Load of the storage key") && both_code(0) == 0;
}

static bool load_parent(void)
{
    uint8_t bytes[TINY_PUBLIC_MAX];
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    const struct tpm2_public area = both_known_area(BOTH_PARENT_ATTRIBUTES);
    tpm2_public_write_2b(&w, &area);
    tpm2_name_of(bytes_written(&w), parent_name);
    both_import_in_clear(TPM2_HR_TRANSIENT, bytes_written(&w), TPM2_ALG_RSA, known.p);
    if (!both_ask() || !load_each(bytes_written(&w))) {
        return false;
    }
    tpm2_flush_context_build(both_begin(), TPM2_HR_TRANSIENT);
    return both_same("TPM2_FlushContext of the SRK");
}

int both_open(const char *directory)
{
    char name[512], why[512] = "the storage key cannot be loaded";
    snprintf(name, sizeof name, "libtpms:%s", directory);
    tiny_tpm_make(&tiny, bytes_of_text("compare"));
    tiny_tpm_power_on(&tiny);
    int error = posix_tpm_open(&libtpms, name, why, sizeof why);
    if (error == 0) {
        port = posix_tpm_port(&libtpms);
        tpm2_startup_build(both_begin(), TPM2_SU_CLEAR);
        error = crypto_rsa_private_decode(bytes_of(vector_srk_private_der, sizeof vector_srk_private_der),
                                          &known, key_storage, sizeof key_storage);
    }
    if (error == 0 && (!ask_one(1) || !both_create_srk() || !load_parent())) {
        error = BYTES_E_STATE;
    }
    if (error != 0) {
        printf("Bail out! %s\n", why);
    }
    return error;
}

void both_close(void)
{
    posix_tpm_close(&libtpms);
}
