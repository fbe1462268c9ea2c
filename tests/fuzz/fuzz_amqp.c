/* SPDX-License-Identifier: MIT */
/* Provisioning over AMQP: bytes of a connection in, frames out, on a store with one enrollment, with the clock and the
 * entropy fixed. The harness is also the device, so that inputs get past the proof. Input: a byte of flags, then steps:
 *
 *    01 header of SASL   02 header of AMQP   03 sasl-init   04 the SRK   05 a response: 00   06 the token
 *    07 open   08 begin   09, 0a attach (to receive, to send)   0b credit   0c register   0d the status
 *    0e the next commit fails      0f a byte of length, and that many bytes as the body of a frame
 *    others: bytes of the connection, to its end */
#include "dps/protocol/amqp.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/amqp_door.h"
#include "port/posix/posix.h"
#include "port/posix/store_memory.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rsa_operations.h"
#include "tests/support/amqp_device.h"
#include <string.h>

#define NOT_ENROLLED 1 /* the device's EK is another one */
#define DISABLED 2     /* its enrollment is disabled */
#define FEW 4          /* it may do one thing a minute */
#define PROVEN 8       /* the harness has gone through SASL, and attached */

#define NOW UINT64_C(1800000000)
#define RECORDS 8

static struct posix_memory_record records[RECORDS], undo[RECORDS];
static struct posix_memory memory;
static struct dps_service_config config;
static struct dps_service service;
static struct crypto_drbg drbg;
static struct amqp_device device;
static struct dps_amqp_door door;
static struct dps_answer answer;
static uint8_t out[DPS_AMQP_OUT_MAX], json[DPS_AMQP_JSON_MAX];
static char operation[80];
static uint8_t token[600];
static size_t token_len;
static bool proven, commit_fails;
static unsigned writes;

static int (*store_put)(void *context, enum dps_table table, struct bytes key, struct bytes value,
                        uint64_t expected, uint64_t *version);

/* All but the list of runs. */
static int counted_put(void *context, enum dps_table table, struct bytes key, struct bytes value,
                       uint64_t expected, uint64_t *version)
{
    writes += !bytes_equal_public(key, bytes_of_text("/runs"));
    return store_put(context, table, key, value, expected, version);
}

/* ---- Before the first byte ---- */

static void enroll(uint8_t flags)
{
    uint8_t text[1024];
    uint64_t version;
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_write_text(&w, "{\"registrationId\":\"boiler\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{"
                       "\"endorsementKey\":\"");
    dps_write_base64(&w, bytes_of(device.ek, device.ek_len));
    dps_write_text(&w, flags & DISABLED ? "\"}},\"provisioningStatus\":\"disabled\"}" : "\"}}}");
    HOLDS(store_put(&memory, DPS_TABLE_ENROLLMENTS, bytes_of_text("boiler"), bytes_written(&w), 0,
                    &version) == 0);
    HOLDS(service.store.commit(&memory) == 0);
}

static void begin(uint8_t flags)
{
    memset(&config, 0, sizeof config);
    strcpy(config.host, "dps.example");
    strcpy(config.id_scope, "0ne00000A0A");
    strcpy(config.hubs[0].name, "hub-a.example");
    config.hubs[0].weight = 1;
    config.hub_count = config.secret_count = 1;
    config.secrets[0].epoch = 1;
    config.challenges_per_minute = flags & FEW ? 1 : 0;
    posix_memory_init(&memory, records, RECORDS, undo, RECORDS);
    const struct dps_store store = posix_memory_store(&memory);
    const struct crypto_entropy entropy = posix_entropy_seeded(&drbg, "fuzz");
    HOLDS(dps_service_init(&service, &config, &store, &entropy) == 0);
    service.now = NOW;
    store_put = service.store.put;
    service.store.put = counted_put;
    HOLDS(amqp_device_begin(&device, "0ne00000A0A", "boiler", NOW + 3600));
    enroll(flags);
    if (flags & NOT_ENROLLED) {
        device.ek[100] ^= 1;
    }
    memset(&door, 0, sizeof door);
    token_len = 0;
    operation[0] = 0;
    proven = commit_fails = false;
}

/* ---- What comes back ---- */

static void keep_operation(void)
{
    struct bytes root;
    struct bytes value;
    size_t len;
    if (answer.body.len > 0) {
        HOLDS(dps_json_check(bytes_written(&answer.body), &root) == 0);
        if (dps_json_member(root, "operationId", &value) == 0 &&
            dps_json_string(value, (uint8_t *)operation, sizeof operation - 1, &len) == 0) {
            operation[len] = 0;
        }
    }
}

/* Frames in their form, of kinds that a client gets; the device keeps the blob. */
static void check_out(bool sasl)
{
    struct bytes left = bytes_written(&door.out);
    HOLDS(door.out.error == 0);
    while (left.len > 0) {
        struct dps_amqp_frame f;
        HOLDS(dps_amqp_frame_read(left, sasl ? DPS_AMQP_SASL_FRAME_MAX : DPS_AMQP_PEER_FRAME_MIN, &f) == 0);
        HOLDS(f.kind != DPS_AMQP_SASL_INIT && f.kind != DPS_AMQP_SASL_RESPONSE &&
              f.kind != DPS_AMQP_HEARTBEAT);
        HOLDS(amqp_device_take(&device, &f));
        left = bytes_of(left.p + f.len, left.len - f.len);
    }
}

/* The private keys take most of the time, and fixed entropy makes the same blobs. */
static void make_token(void)
{
    static struct {
        uint8_t digest[CRYPTO_SHA256_SIZE];
        uint8_t token[600];
        size_t len;
    } known[16];
    const struct bytes blob = bytes_of(device.blob, device.blob_len);
    uint8_t digest[CRYPTO_SHA256_SIZE];
    crypto_sha256(&blob, 1, digest);
    const size_t i = digest[0] % (sizeof known / sizeof known[0]);
    if (memcmp(known[i].digest, digest, sizeof digest) != 0) {
        struct bytes_writer w = bytes_writer_over(known[i].token, sizeof known[i].token);
        memcpy(known[i].digest, digest, sizeof digest);
        known[i].len = amqp_device_token(&device, &w) ? w.len : 0;
    }
    memcpy(token, known[i].token, known[i].len);
    token_len = known[i].len;
}

/* ---- Every frame ---- */

/* Byte by byte there is more to come, until it is what it is for the whole. */
static void receive(struct bytes bytes, int wanted, const struct dps_amqp_frame *whole)
{
    const size_t step = bytes.len > 600 ? bytes.len / 300 : 1;
    for (size_t len = 0; len < bytes.len; len += step) {
        struct dps_amqp_frame f;
        const int error = dps_amqp_frame_read(bytes_of(bytes.p, len), dps_amqp_frame_max(&door), &f);
        HOLDS(error == BYTES_E_MORE || (error == wanted && f.len == whole->len));
        HOLDS(error != BYTES_E_MORE || f.len == 0 || f.len == whole->len);
    }
}

/* Returns: whether the connection stays. */
static bool give(struct bytes bytes, size_t *used)
{
    struct dps_amqp_frame f;
    uint8_t *copy = fuzz_copy(bytes);
    const bool sasl = door.state < DPS_AMQP_WAITS_HEADER;
    const int error = dps_amqp_frame_read(bytes_of(copy, bytes.len), dps_amqp_frame_max(&door), &f);
    bool stays = false;
    receive(bytes, error, &f);
    *used = f.len;
    rsa_operations = writes = 0;
    if (error == BYTES_E_MORE) {
        free(copy);
        return false;
    }
    if (error == 0) {
        HOLDS(f.len <= bytes.len && fuzz_views(f.payload, bytes_of(copy, f.len)));
        stays = dps_amqp_answer(&service, &door, &f, out, json, &answer);
    } else {
        dps_amqp_unreadable(&service, &door, error, out, json, &answer);
        HOLDS(answer.refusal != DPS_ACCEPTED);
    }
    HOLDS(rsa_operations <= 2 && answer.refusal < DPS_REFUSAL_COUNT);
    HOLDS(writes == 0 || (answer.wrote && proven && door.asked == DPS_AMQP_REGISTER));
    if (commit_fails && answer.wrote) {
        service.store.rollback(&memory);
        stays = dps_amqp_uncommitted(&service, &door, &answer) && stays;
        HOLDS(answer.refusal == DPS_REFUSED_STORE && !answer.wrote);
        commit_fails = false;
    } else {
        HOLDS(service.store.commit(&memory) == 0);
    }
    proven = proven || door.state == DPS_AMQP_WAITS_HEADER;
    HOLDS(proven == (door.state >= DPS_AMQP_WAITS_HEADER) || !stays);
    HOLDS(stays || door.out.len > 0);
    check_out(sasl);
    keep_operation();
    free(copy);
    return stays;
}

static bool write_step(uint8_t step, struct bytes *input, struct bytes_writer *w)
{
    uint8_t text[700];
    struct bytes_writer t = bytes_writer_over(text, sizeof text);
    bytes_write_u8(&t, 0);
    switch (step) {
    case 1:
    case 2:
        dps_amqp_header_write(w, step == 1);
        break;
    case 3:
        amqp_client_init(w, &device);
        break;
    case 4:
        bytes_write_bytes(&t, bytes_of(device.srk, device.srk_len));
        amqp_client_response(w, bytes_written(&t));
        break;
    case 5:
        amqp_client_response(w, bytes_written(&t));
        break;
    case 6:
        make_token();
        bytes_write_bytes(&t, bytes_of(token, token_len));
        amqp_client_response(w, bytes_written(&t));
        break;
    case 7:
        amqp_client_open(w, DPS_AMQP_PEER_FRAME_MIN);
        break;
    case 8:
        amqp_client_begin(w, 3);
        break;
    case 9:
    case 10:
        amqp_client_attach(w, &device, step == 9, step, NULL);
        break;
    case 11:
        amqp_client_credit(w, 9, 3);
        break;
    case 12:
        amqp_client_request(w, 10, fuzz_byte(input), false, "iotdps-register", NULL);
        break;
    case 13:
        amqp_client_request(w, 10, fuzz_byte(input), false, "iotdps-get-operationstatus", operation);
        break;
    default:
        return false;
    }
    return w->error == 0;
}

static void write_body(struct bytes *input, struct bytes_writer *w)
{
    const size_t wanted = fuzz_byte(input);
    const size_t len = wanted < input->len ? wanted : input->len;
    const struct dps_amqp_size frame = dps_amqp_frame_begin(w, door.state < DPS_AMQP_WAITS_HEADER ? 1 : 0);
    bytes_write_bytes(w, bytes_of(input->p, len));
    dps_amqp_frame_end(w, frame);
    *input = bytes_of(input->p + len, input->len - len);
}

/* Returns: whether the connection stays. */
static bool take_step(struct bytes *input)
{
    uint8_t frame[2048];
    struct bytes_writer w = bytes_writer_over(frame, sizeof frame);
    const uint8_t step = input->p[0];
    size_t used;
    if (step == 0 || step > 15) {
        const bool stays = give(*input, &used);
        *input = bytes_of(input->p + used, stays ? input->len - used : 0);
        return stays;
    }
    (void)fuzz_byte(input);
    if (step == 14) {
        commit_fails = true;
        return true;
    }
    if (step == 15) {
        write_body(input, &w);
    } else if (!write_step(step, input, &w)) {
        return true;
    }
    return give(bytes_written(&w), &used) && used == w.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t steps[] = {1, 3, 4, 5, 6, 2, 7, 8, 9, 10, 11};
    struct bytes input = bytes_of(data, size);
    struct bytes first = bytes_of(steps, sizeof steps);
    const uint8_t flags = fuzz_byte(&input);
    bool stays = true;
    begin(flags);
    while ((flags & PROVEN) != 0 && stays && first.len > 0) {
        stays = take_step(&first);
    }
    HOLDS(stays == ((flags & PROVEN) == 0 || (flags & (NOT_ENROLLED | DISABLED)) == 0));
    while (stays && input.len > 0) {
        stays = take_step(&input);
        HOLDS((flags & (NOT_ENROLLED | DISABLED)) == 0 || (rsa_operations == 0 && !proven));
    }
    return 0;
}
