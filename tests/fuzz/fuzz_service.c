/* SPDX-License-Identifier: MIT */
/* The whole service: bytes of connections in, answers out, on a store with three enrollments, with the clock and the
 * entropy fixed. The harness is also the device and the administrator, so that inputs get past the proofs: control
 * bytes of the input, which no good request contains, are replaced by what only these can make.
 *
 *    01 EK_pub   02 SRK_pub                     03 a management token
 *    04 a device's token, signed with the nonce of the last challenge
 *    05 the last operationId                    06 the end of a connection
 *    07 a minute passes                         08 the last etag
 *    0b a hub token with the last hub key       0c how many bytes follow the empty line, to the end of the connection
 *    0e the next commit fails                   0f the next byte stands for itself */
#include "dps/manage/admin.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/front_door.h"
#include "dps/service/state.h"
#include "port/posix/posix.h"
#include "port/posix/store_memory.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rsa_operations.h"
#include "tests/support/activation_open.h"
#include "tests/vectors/activation_blob.h"
#include <string.h>

#define RECORDS 16
#define CONNECTION_MAX (DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX)
#define RSA_STORAGE (5 * 256 + 64)
#define NOW UINT64_C(1800000000)
#define EXPIRY (NOW + 100000)
#define HOST "dps.example"
#define SCOPE "0ne00000A0A"
#define POLICY_KEY "a key of a policy"

static struct posix_memory_record records[RECORDS];
static struct posix_memory_record undo[2 * RECORDS];
static struct posix_memory memory;
static struct dps_service_config config;
static struct dps_service service;
static struct crypto_drbg drbg;
static uint8_t ek[DPS_EK_PUBLIC_MAX], srk[DPS_SRK_PUBLIC_MAX];
static size_t ek_len, srk_len;
static uint8_t srk_name[TPM2_NAME_SIZE];

/* What the device and the administrator have seen, for what they say next. */
static uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
static size_t blob_len;
static char operation[128];
static char etag[64];
static bool authenticated; /* a token was put into this connection */
static bool commit_fails;

/* ---- Before the first byte ---- */

/* The vector's moduli under the true templates. */
static size_t make_public(struct tpm2_public area, const unsigned char *vector, size_t vector_len,
                          uint8_t *out, size_t capacity)
{
    struct tpm2_public source;
    struct bytes_writer w = bytes_writer_over(out, capacity);
    HOLDS(tpm2_public_parse_2b(bytes_of(vector, vector_len), &source) == 0);
    area.unique = source.unique;
    tpm2_public_write_2b(&w, &area);
    HOLDS(w.error == 0);
    return w.len;
}

static void enroll(const char *id, const char *more)
{
    uint8_t json[2048];
    uint64_t version;
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    dps_write_text(&w, "{\"registrationId\":\"");
    dps_write_text(&w, id);
    dps_write_text(&w, "\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&w, bytes_of(ek, ek_len));
    dps_write_text(&w, "\"}}");
    dps_write_text(&w, more);
    dps_write_text(&w, "}");
    HOLDS(service.store.put(&memory, DPS_TABLE_ENROLLMENTS, bytes_of_text(id), bytes_written(&w), 0,
                            &version) == 0);
}

static void configure(void)
{
    memset(&config, 0, sizeof config);
    strcpy(config.host, HOST);
    strcpy(config.id_scope, SCOPE);
    strcpy(config.hubs[0].name, "hub-a.example");
    strcpy(config.hubs[1].name, "hub-b.example");
    config.hubs[0].weight = config.hubs[1].weight = 1;
    config.hub_count = 2;
    config.secret_count = 1;
    config.secrets[0].epoch = 1;
    strcpy(config.policies[0].name, "owner");
    memcpy(config.policies[0].primary_key, POLICY_KEY, sizeof POLICY_KEY - 1);
    config.policies[0].primary_key_len = sizeof POLICY_KEY - 1;
    config.policies[0].rights = DPS_RIGHT_ALL;
    config.policy_count = 1;
    config.challenges_per_minute = 4;
}

static void begin(void)
{
    if (ek_len == 0) {
        configure();
        ek_len = make_public(tpm2_template_ek_l1(), vector_ek_public_2b, sizeof vector_ek_public_2b, ek,
                             sizeof ek);
        srk_len = make_public(tpm2_template_srk(), vector_srk_public_2b, sizeof vector_srk_public_2b, srk,
                              sizeof srk);
        tpm2_name_of(bytes_of(srk, srk_len), srk_name);
    }
    posix_memory_init(&memory, records, RECORDS, undo, 2 * RECORDS);
    const struct dps_store store = posix_memory_store(&memory);
    const struct crypto_entropy entropy = posix_entropy_seeded(&drbg, "fuzz");
    HOLDS(dps_service_init(&service, &config, &store, &entropy) == 0);
    dps_manage_init(&service);
    service.now = NOW;
    enroll("device-1", "");
    enroll("device-2", ",\"provisioningStatus\":\"disabled\"");
    enroll("device-3",
           ",\"deviceId\":\"Pump 3\",\"allocationPolicy\":\"static\",\"iotHubs\":[\"hub-b.example\"],"
           "\"initialTwin\":{\"properties\":{\"desired\":{\"a\":1}}}");
    HOLDS(service.store.commit(&memory) == 0);
    blob_len = 0;
    operation[0] = etag[0] = 0;
    commit_fails = false;
}

/* ---- What the other side can say ---- */

static void write_token(struct bytes_writer *w, const char *sr, struct bytes key, const char *skn)
{
    uint8_t text[256];
    uint8_t mac[CRYPTO_SHA256_SIZE];
    struct bytes_writer to_sign = bytes_writer_over(text, sizeof text);
    dps_sas_write_string_to_sign(&to_sign, bytes_of_text(sr), EXPIRY);
    const struct bytes piece = bytes_written(&to_sign);
    crypto_hmac_sha256(key, &piece, 1, mac);
    dps_sas_write_token(w, bytes_of_text(sr), mac, EXPIRY, bytes_of_text(skn));
    authenticated = true;
}

/* What the TPM would do with a blob. */
static bool open_blob(struct bytes bytes, uint8_t key[DPS_KEY_SIZE])
{
    static uint8_t numbers[2][RSA_STORAGE];
    static struct crypto_rsa_private keys[2];
    if (keys[0].modulus_bits == 0) {
        HOLDS(crypto_rsa_private_decode(bytes_of(vector_ek_private_der, sizeof vector_ek_private_der),
                                        &keys[0], numbers[0], RSA_STORAGE) == 0);
        HOLDS(crypto_rsa_private_decode(bytes_of(vector_srk_private_der, sizeof vector_srk_private_der),
                                        &keys[1], numbers[1], RSA_STORAGE) == 0);
    }
    return activation_open(bytes, &keys[0], &keys[1], bytes_of(srk_name, sizeof srk_name), key) == 0;
}

/* The same with a memory, since the private keys take most of the time, and fixed entropy makes the same blobs. */
static bool open_last_blob(uint8_t key[DPS_KEY_SIZE])
{
    static struct {
        uint8_t digest[CRYPTO_SHA256_SIZE];
        uint8_t key[DPS_KEY_SIZE];
        bool opens;
    } known[64];
    const struct bytes bytes = bytes_of(blob, blob_len);
    uint8_t digest[CRYPTO_SHA256_SIZE];
    crypto_sha256(&bytes, 1, digest);
    const size_t i = digest[0] % (sizeof known / sizeof known[0]);
    if (memcmp(known[i].digest, digest, sizeof digest) != 0) {
        memcpy(known[i].digest, digest, sizeof digest);
        known[i].opens = open_blob(bytes, known[i].key);
    }
    memcpy(key, known[i].key, DPS_KEY_SIZE);
    return known[i].opens;
}

static void write_device_token(struct bytes_writer *w, bool hub)
{
    uint8_t key[DPS_KEY_SIZE] = {0};
    if (blob_len > 0 && open_last_blob(key)) {
        write_token(w, hub ? "hub-b.example%2Fdevices%2FPump%203" : SCOPE "%2Fregistrations%2Fdevice-3",
                    bytes_of(key, sizeof key), hub ? "" : "registration");
    }
}

/* 0c: the length, when all that follows is known. */
static void write_length(struct bytes_writer *w, size_t at)
{
    uint8_t digits[20];
    struct bytes_writer number = bytes_writer_over(digits, sizeof digits);
    const uint8_t *body = memmem(w->p + at, w->len - at, "\r\n\r\n", 4);
    dps_write_decimal(&number, body == NULL ? 0 : (uint64_t)(w->p + w->len - body - 4));
    const size_t rest = w->len - at;
    if (bytes_write_room(w, number.len) == NULL) {
        return;
    }
    memmove(w->p + at + number.len, w->p + at, rest);
    memcpy(w->p + at, digits, number.len);
}

/* One byte of the input, or what it stands for. */
static void write_one(struct bytes_writer *w, uint8_t byte, size_t *length_at)
{
    switch (byte) {
    case 1:
        dps_write_base64(w, bytes_of(ek, ek_len));
        break;
    case 2:
        dps_write_base64(w, bytes_of(srk, srk_len));
        break;
    case 3:
        write_token(w, HOST, bytes_of_text(POLICY_KEY), "owner");
        break;
    case 4:
        write_device_token(w, false);
        break;
    case 5:
        dps_write_text(w, operation);
        break;
    case 7:
        service.now += 60;
        break;
    case 8:
        dps_write_text(w, etag);
        break;
    case 0x0b:
        write_device_token(w, true);
        break;
    case 0x0c:
        *length_at = w->len;
        break;
    case 0x0e:
        commit_fails = true;
        break;
    default:
        bytes_write_u8(w, byte);
        break;
    }
}

/* The bytes of one connection, up to 06 or the end. Returns where the next one begins. */
static struct bytes expand(struct bytes input, struct bytes_writer *w)
{
    size_t length_at = SIZE_MAX;
    authenticated = false;
    while (input.len > 0 && input.p[0] != 6) {
        const uint8_t byte = fuzz_byte(&input);
        if (byte == 0x0f) {
            bytes_write_u8(w, fuzz_byte(&input));
        } else {
            write_one(w, byte, &length_at);
        }
    }
    if (length_at != SIZE_MAX && w->error == 0) {
        write_length(w, length_at);
    }
    (void)fuzz_byte(&input);
    return input;
}

/* ---- What must hold of the answer ---- */

static void keep_text(struct bytes object, const char *name, char *field, size_t size)
{
    struct bytes value;
    size_t len;
    if (dps_json_member(object, name, &value) == 0 &&
        dps_json_string(value, (uint8_t *)field, size - 1, &len) == 0) {
        field[len] = 0;
    }
}

/* What the device keeps of a good answer. */
static void keep(struct bytes root)
{
    struct bytes state = root;
    struct bytes value;
    uint8_t base64[2048];
    size_t len;
    keep_text(root, "operationId", operation, sizeof operation);
    keep_text(root, "etag", etag, sizeof etag);
    if (dps_json_member(root, "registrationState", &value) == 0) {
        state = value;
    }
    if (dps_json_member(state, "tpm", &value) == 0) {
        state = value;
    }
    if (dps_json_member(state, "authenticationKey", &value) == 0) {
        HOLDS(dps_json_string(value, base64, sizeof base64, &len) == 0);
        HOLDS(dps_base64_decode(bytes_of(base64, len), blob, sizeof blob, &blob_len) == 0);
    }
}

static bool is_known_status(unsigned status)
{
    static const uint16_t known[] = {200, 201, 202, 204, 400, 401, 403, 404,
                                     405, 409, 412, 413, 429, 500, 503};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == status) {
            return true;
        }
    }
    return false;
}

/* The answer as it goes out is one whole HTTP message with a JSON body. */
static void check_form(const struct dps_answer *a, bool keep_alive)
{
    static uint8_t message[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    struct bytes_writer w = bytes_writer_over(message, sizeof message);
    struct dps_http http;
    struct bytes root;
    HOLDS(is_known_status(a->status) && a->body.error == 0);
    dps_answer_write_head(&w, a, service.now, keep_alive);
    bytes_write_bytes(&w, bytes_written(&a->body));
    HOLDS(w.error == 0);
    size_t len = w.len;
    dps_http_init(&http, DPS_HTTP_RESPONSE);
    HOLDS(dps_http_advance(&http, message, &len, sizeof message, true) == 0);
    HOLDS(http.consumed == len && http.status == a->status && http.keep_alive == keep_alive);
    const struct bytes body = dps_http_body(&http, message);
    HOLDS(http.body_len == a->body.len);
    HOLDS(body.len > 0 || a->status == 204);
    if (body.len == 0) {
        return;
    }
    HOLDS(dps_json_check(body, &root) == 0);
    uint64_t code = 0;
    struct bytes value;
    if (a->status >= 400 && dps_json_member(root, "authenticationKey", &value) != 0) {
        HOLDS(dps_json_member(root, "errorCode", &value) == 0 &&
              dps_json_uint(value, UINT32_MAX, &code) == 0 && code == a->error_code);
    }
    keep(root);
}

/* A digest of all that the store holds, except the list of runs, which a challenge may write once in five minutes
 * (dps/service/run.c). */
static void digest_store(uint8_t digest[CRYPTO_SHA256_SIZE])
{
    struct bytes pieces[3 * RECORDS];
    size_t count = 0;
    for (size_t i = 0; i < RECORDS; i++) {
        const struct bytes key = bytes_of(records[i].key, records[i].key_len);
        if (records[i].table == 0 || bytes_equal_public(key, bytes_of_text("/runs"))) {
            continue;
        }
        pieces[count++] = bytes_of(&records[i].version, sizeof records[i].version);
        pieces[count++] = key;
        pieces[count++] = bytes_of(records[i].value, records[i].len);
    }
    crypto_sha256(pieces, count, digest);
}

static bool is_enrolled(const char *id)
{
    static uint8_t value[DPS_RECORD_MAX];
    size_t len;
    uint64_t version;
    return service.store.get(&memory, DPS_TABLE_ENROLLMENTS, bytes_of_text(id), value, sizeof value, &len,
                             &version) == 0;
}

static void answer(const struct dps_http *http, struct bytes request, int error)
{
    static uint8_t body[DPS_HTTP_BODY_MAX];
    static struct dps_answer a;
    uint8_t before[CRYPTO_SHA256_SIZE], after[CRYPTO_SHA256_SIZE];
    uint8_t *copy = fuzz_copy(request);
    rsa_operations = 0;
    digest_store(before);
    if (error == 0) {
        dps_service_answer(&service, http, copy, body, sizeof body, &a);
    } else {
        dps_service_answer_unreadable(&service, error, body, sizeof body, &a);
    }
    HOLDS(memcmp(copy, request.p, request.len) == 0);
    /* Without an enrollment nothing is encrypted. */
    HOLDS(rsa_operations <= 2 && (rsa_operations == 0 || is_enrolled(a.registration_id)));
    HOLDS(rsa_operations == 0 || a.status == 401 || authenticated);
    if (commit_fails && a.wrote) {
        service.store.rollback(&memory);
        dps_service_uncommitted(&service, &a);
        commit_fails = false;
        HOLDS(a.status == 503 && !a.wrote);
    } else {
        HOLDS(service.store.commit(&memory) == 0);
    }
    digest_store(after);
    /* Without a proof nothing of a device is written. */
    HOLDS((a.wrote && authenticated) || memcmp(before, after, sizeof before) == 0);
    check_form(&a, error == 0 && http->keep_alive);
    free(copy);
}

/* All requests of one connection. */
static void serve(uint8_t *bytes, size_t len)
{
    for (;;) {
        struct dps_http http;
        dps_http_init(&http, DPS_HTTP_REQUEST);
        const int error = dps_http_advance(&http, bytes, &len, CONNECTION_MAX, true);
        if (len == 0) {
            return;
        }
        answer(&http, bytes_of(bytes, len), error);
        if (error != 0 || !http.keep_alive) {
            return;
        }
        len -= http.consumed;
        memmove(bytes, bytes + http.consumed, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t connection[CONNECTION_MAX];
    struct bytes input = bytes_of(data, size);
    begin();
    while (input.len > 0) {
        struct bytes_writer w = bytes_writer_over(connection, sizeof connection);
        input = expand(input, &w);
        if (w.error == 0) {
            serve(connection, w.len);
        }
    }
    return 0;
}
