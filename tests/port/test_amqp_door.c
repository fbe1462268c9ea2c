/* SPDX-License-Identifier: MIT */
/* dps/service/amqp_door.h: a device whose TPM is software, frame by frame; what is refused, and what that changes. */
#include "dps/protocol/text.h"
#include "dps/service/amqp_door.h"
#include "dps/service/front_door.h"
#include "dps/service/run.h"
#include "port/posix/posix.h"
#include "port/posix/store_memory.h"
#include "tests/support/amqp_device.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

#define NOW UINT64_C(1800000000)
#define SCOPE "0ne00000A0A"
#define RECORDS 16
#define REGISTER "iotdps-register"
#define STATUS "iotdps-get-operationstatus"

static struct posix_memory_record records[RECORDS], undo[RECORDS];
static struct posix_memory memory;
static struct dps_service_config config;
static struct dps_service service;
static struct crypto_drbg drbg;
static struct amqp_device device;
static struct dps_amqp_door door;
static struct dps_answer answer;
static uint8_t frames[4096], out[DPS_AMQP_OUT_MAX], json[DPS_AMQP_JSON_MAX];
static struct bytes_writer w; /* what the client says next */
static unsigned writes;

static int (*store_put)(void *context, enum dps_table table, struct bytes key, struct bytes value,
                        uint64_t expected, uint64_t *version);

/* Which run of the service it is stands in the store as well; that is about no device. */
static int counted_put(void *context, enum dps_table table, struct bytes key, struct bytes value,
                       uint64_t expected, uint64_t *version)
{
    writes += table == DPS_TABLE_REGISTRATIONS || key.len == 0 || key.p[0] != '/';
    return store_put(context, table, key, value, expected, version);
}

static int enroll(const char *id, const char *more)
{
    uint8_t text[2048];
    uint64_t version;
    struct bytes_writer t = bytes_writer_over(text, sizeof text);
    dps_write_text(&t, "{\"registrationId\":\"");
    dps_write_text(&t, id);
    dps_write_text(&t, "\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&t, bytes_of(device.ek, device.ek_len));
    dps_write_text(&t, "\"}}");
    dps_write_text(&t, more);
    dps_write_text(&t, "}");
    (void)service.store.remove(&memory, DPS_TABLE_ENROLLMENTS, bytes_of_text(id), 0);
    return store_put(&memory, DPS_TABLE_ENROLLMENTS, bytes_of_text(id), bytes_written(&t), 0, &version);
}

static void connect_again(void)
{
    memset(&door, 0, sizeof door);
    w = bytes_writer_over(frames, sizeof frames);
}

static int begin(void)
{
    memset(&config, 0, sizeof config);
    strcpy(config.host, "dps.example");
    strcpy(config.id_scope, SCOPE);
    strcpy(config.hubs[0].name, "hub-a.example");
    config.hubs[0].weight = 1;
    config.hub_count = config.secret_count = 1;
    config.secrets[0].epoch = 1;
    posix_memory_init(&memory, records, RECORDS, undo, RECORDS);
    const struct dps_store store = posix_memory_store(&memory);
    const struct crypto_entropy entropy = posix_entropy_seeded(&drbg, "amqp");
    CHECK_EQUAL(dps_service_init(&service, &config, &store, &entropy), 0);
    service.now = NOW;
    store_put = service.store.put;
    service.store.put = counted_put;
    CHECK(amqp_device_begin(&device, SCOPE, "boiler", NOW + 3600));
    CHECK_EQUAL(enroll("boiler", ""), 0);
    writes = 0;
    connect_again();
    return 0;
}

/* Give the service what the client says. Returns: whether the connection stays. */
static bool say(void)
{
    struct dps_amqp_frame f;
    const struct bytes all = bytes_written(&w);
    w = bytes_writer_over(frames, sizeof frames);
    return dps_amqp_frame_read(all, dps_amqp_frame_max(&door), &f) == 0 && f.len == all.len &&
           dps_amqp_answer(&service, &door, &f, out, json, &answer);
}

static bool header(bool sasl)
{
    dps_amqp_header_write(&w, sasl);
    return say();
}

static bool respond(const void *data, size_t len)
{
    amqp_client_response(&w, bytes_of(data, len));
    return say();
}

static bool respond_with(uint8_t control, struct bytes data)
{
    uint8_t text[600];
    struct bytes_writer t = bytes_writer_over(text, sizeof text);
    bytes_write_u8(&t, control);
    bytes_write_bytes(&t, data);
    return respond(text, t.len);
}

/* The number-th frame of the answer. */
static struct dps_amqp_frame got(unsigned number)
{
    struct bytes left = bytes_written(&door.out);
    struct dps_amqp_frame f = {0};
    for (unsigned i = 0; i <= number; i++) {
        if (left.len == 0 || dps_amqp_frame_read(left, DPS_AMQP_PEER_FRAME_MIN, &f) != 0) {
            return (struct dps_amqp_frame){0};
        }
        left = bytes_of(left.p + f.len, left.len - f.len);
    }
    return f;
}

/* Are these all the frames of the answer? Ends with 0. */
static bool got_kinds(const uint8_t *kinds)
{
    unsigned count = 0;
    for (; kinds[count] != 0; count++) {
        if (got(count).kind != kinds[count]) {
            return false;
        }
    }
    return got(count).len == 0;
}

static bool challenge(void)
{
    const struct dps_amqp_frame f = got(0);
    return f.kind == DPS_AMQP_SASL_CHALLENGE && f.len <= DPS_AMQP_SASL_FRAME_MAX && got(1).len == 0 &&
           amqp_device_take(&device, &f);
}

/* The code of a SASL outcome; 255: something else. */
static unsigned outcome(void)
{
    const struct dps_amqp_frame f = got(0);
    struct dps_amqp_fields fields = dps_amqp_fields_of(&f.performative, DPS_AMQP_SASL_OUTCOME);
    const struct dps_amqp_value code = dps_amqp_any(&fields);
    return code.code == 0x50 ? code.inside.p[0] : 255;
}

/* Up to the SRK. */
static bool name_keys(void)
{
    connect_again();
    if (!header(true) || got(0).kind != DPS_AMQP_SASL_HEADER || got(1).kind != DPS_AMQP_SASL_MECHANISMS) {
        return false;
    }
    amqp_client_init(&w, &device);
    return say() && challenge() && respond_with(0, bytes_of(device.srk, device.srk_len));
}

/* The whole of SASL with a token; null: the right one. */
static bool prove(const char *token)
{
    uint8_t text[600];
    struct bytes_writer t = bytes_writer_over(text, sizeof text);
    if (!name_keys() || !challenge() || device.blob_len != DPS_AMQP_CHALLENGE_MAX - 1 || !respond("", 1) ||
        !challenge()) {
        return false;
    }
    if (token != NULL) {
        dps_write_text(&t, token);
    } else if (!amqp_device_token(&device, &t)) {
        return false;
    }
    return respond_with(0, bytes_written(&t));
}

/* ... and both links. */
static bool attach(void)
{
    if (!header(false) || got(0).kind != DPS_AMQP_HEADER) {
        return false;
    }
    amqp_client_open(&w, DPS_AMQP_PEER_FRAME_MIN);
    if (!say() || !got_kinds((const uint8_t[]){DPS_AMQP_OPEN, 0})) {
        return false;
    }
    amqp_client_begin(&w, 100);
    if (!say() || !got_kinds((const uint8_t[]){DPS_AMQP_BEGIN, 0})) {
        return false;
    }
    amqp_client_attach(&w, &device, true, 7, NULL);
    if (!say() || !got_kinds((const uint8_t[]){DPS_AMQP_ATTACH, 0})) {
        return false;
    }
    amqp_client_attach(&w, &device, false, 8, NULL);
    if (!say() || !got_kinds((const uint8_t[]){DPS_AMQP_ATTACH, DPS_AMQP_FLOW, 0})) {
        return false;
    }
    amqp_client_credit(&w, 7, 10);
    return say() && door.out.len == 0;
}

static bool request(const char *type, const char *operation)
{
    amqp_client_request(&w, 8, 100, false, type, operation);
    return say();
}

static const uint8_t accepted[] = {DPS_AMQP_DISPOSITION, DPS_AMQP_TRANSFER, DPS_AMQP_FLOW, 0};
static const uint8_t rejected[] = {DPS_AMQP_DISPOSITION, DPS_AMQP_FLOW, 0};
static const uint8_t closed[] = {DPS_AMQP_CLOSE, 0};

static bool has_text(struct bytes all, const char *text)
{
    const size_t len = strlen(text);
    for (size_t i = 0; i + len <= all.len; i++) {
        if (memcmp(all.p + i, text, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool out_has(const char *text)
{
    return has_text(bytes_written(&door.out), text);
}

/* The last operationId, out of the JSON of the answer. */
static const char *operation(void)
{
    static char text[80];
    const struct bytes all = bytes_written(&answer.body);
    const size_t begin_at = strlen("{\"operationId\":\"");
    size_t len = 0;
    while (len + 1 < sizeof text && begin_at + len < all.len && all.p[begin_at + len] != '"') {
        text[len] = (char)all.p[begin_at + len];
        len++;
    }
    text[len] = 0;
    return text;
}

/* ---- What is accepted ---- */

static int a_registration(void)
{
    uint8_t key[DPS_KEY_SIZE];
    CHECK_EQUAL(begin(), 0);
    CHECK(prove(NULL));
    CHECK_EQUAL(outcome(), DPS_AMQP_SASL_OK);
    CHECK(door.midway && door.asked == DPS_AMQP_PROOF && writes == 0 && !answer.wrote);
    CHECK_EQUAL(answer.registration_id, "boiler");
    CHECK(attach());
    CHECK(writes == 0 && door.midway);
    CHECK(request(REGISTER, NULL));
    CHECK(got_kinds(accepted) && writes == 2 && answer.wrote && answer.status == 202);
    CHECK(out_has("correlation") && out_has("retry-after") && out_has("\"status\":\"assigning\""));
    CHECK(request(STATUS, operation()));
    CHECK(got_kinds(accepted) && answer.status == 200 && !door.midway && writes == 2);
    struct dps_amqp_frame f = got(1);
    CHECK(amqp_device_take(&device, &f) && amqp_device_open(&device, key));
    /* Asked again, it is answered again. */
    CHECK(request(STATUS, operation()) && got_kinds(accepted));
    dps_amqp_detach_write(&w, 8);
    CHECK(say() && got_kinds((const uint8_t[]){DPS_AMQP_DETACH, 0}));
    dps_amqp_detach_write(&w, 7);
    CHECK(say() && got_kinds((const uint8_t[]){DPS_AMQP_DETACH, 0}));
    dps_amqp_end_write(&w);
    CHECK(say() && got_kinds((const uint8_t[]){DPS_AMQP_END, 0}));
    const struct dps_amqp_error none = {0};
    dps_amqp_close_write(&w, &none);
    CHECK(!say() && got_kinds(closed) && answer.refusal == DPS_ACCEPTED);
    return 0;
}

/* A token is good for one registration, whatever it was shown to before; the log says which. */
static int a_token_is_used_once(void)
{
    uint8_t text[600];
    struct bytes_writer t = bytes_writer_over(text, sizeof text);
    CHECK_EQUAL(begin(), 0);
    CHECK(prove(NULL) && outcome() == DPS_AMQP_SASL_OK);
    CHECK(amqp_device_token(&device, &t));
    text[t.len] = 0;
    CHECK(prove((const char *)text) && outcome() == DPS_AMQP_SASL_OK); /* shown twice: nothing was stored */
    CHECK(attach() && request(REGISTER, NULL) && got_kinds(accepted));
    CHECK(request(REGISTER, NULL) && got_kinds(rejected) && answer.refusal == DPS_REFUSED_TOKEN_REPLAYED);
    CHECK(!prove((const char *)text) && outcome() == DPS_AMQP_SASL_AUTH);
    CHECK_EQUAL(answer.refusal, DPS_REFUSED_TOKEN_REPLAYED);
    CHECK(prove(NULL) && outcome() == DPS_AMQP_SASL_OK);
    return 0;
}

/* A client may end its session, begin another one, and attach again, as each SDK names its addresses. */
static int sessions_and_addresses(void)
{
    static const char *const addresses[] = {SCOPE "/registrations/boiler", "/" SCOPE "/registrations/BOILER",
                                            "amqps://dps.example/" SCOPE "/registrations/boiler"};
    CHECK_EQUAL(begin(), 0);
    CHECK(prove(NULL) && attach());
    for (size_t i = 0; i < 3; i++) {
        dps_amqp_end_write(&w);
        CHECK(say());
        amqp_client_begin(&w, 100);
        CHECK(say());
        amqp_client_attach(&w, &device, true, 0, addresses[i]);
        CHECK(say() && out_has(addresses[i]));
        amqp_client_attach(&w, &device, false, 1, addresses[i]);
        CHECK(say() && out_has(addresses[i]));
    }
    CHECK(!request(REGISTER, NULL) && got_kinds(closed)); /* handle 8 was that of a session that has ended */
    return 0;
}

/* What flow says, and what drain asks for [AMQP 1.0 2.6.7]. */
static int flows(void)
{
    struct dps_amqp_flow flow = {.incoming_window = 5, .outgoing_window = 5, .echo = true};
    CHECK_EQUAL(begin(), 0);
    CHECK(prove(NULL) && attach());
    dps_amqp_flow_write(&w, &flow);
    CHECK(say() && got_kinds((const uint8_t[]){DPS_AMQP_FLOW, 0}) && door.window == 5);
    CHECK(request(STATUS, "1.0") && got_kinds(rejected) && door.window == 5 && door.answers.credit == 10);
    CHECK(request(REGISTER, NULL) && got_kinds(accepted) && door.window == 4 && door.answers.credit == 9);
    /* Counted from where the client was when it wrote. */
    flow = (struct dps_amqp_flow){.incoming_window = 5, .has_handle = true, .handle = 7, .credit = 3};
    dps_amqp_flow_write(&w, &flow);
    CHECK(say() && door.window == 4 && door.answers.credit == 2);
    flow.next_incoming_id = flow.delivery_count = 1;
    flow.drain = true;
    dps_amqp_flow_write(&w, &flow);
    CHECK(say() && got_kinds((const uint8_t[]){DPS_AMQP_FLOW, 0}) && door.answers.delivery_count == 4);
    flow.drain = false;
    flow.delivery_count = 4;
    flow.credit = 0;
    dps_amqp_flow_write(&w, &flow);
    CHECK(say() && door.window == 5 && door.answers.credit == 0);
    CHECK(!request(STATUS, operation()) && got_kinds(closed)); /* it could not be answered */
    return 0;
}

/* ---- Refusals ---- */

static int refused_in_sasl(void)
{
    CHECK_EQUAL(begin(), 0);
    device.id = "nobody";
    CHECK(!name_keys() && outcome() == DPS_AMQP_SASL_AUTH && answer.refusal == DPS_REFUSED_UNKNOWN);
    CHECK(answer.has_ek && !door.midway);
    CHECK_EQUAL(answer.registration_id, "nobody");
    device.id = "boiler";
    device.scope = "0neOTHER";
    CHECK(!name_keys() && outcome() == DPS_AMQP_SASL_AUTH && answer.refusal == DPS_REFUSED_SCOPE);
    device.scope = "enrollments"; /* a path of the management API */
    CHECK(!name_keys() && answer.refusal == DPS_REFUSED_SCOPE);
    device.scope = SCOPE;
    device.ek[100] ^= 1;
    CHECK(!name_keys() && outcome() == DPS_AMQP_SASL_AUTH && answer.refusal == DPS_REFUSED_EK);
    device.ek[100] ^= 1;
    device.srk[9] ^= 2; /* fixedTPM */
    CHECK(!name_keys() && outcome() == DPS_AMQP_SASL_AUTH && answer.refusal == DPS_REFUSED_SRK_ATTRIBUTES);
    device.srk[9] ^= 2;
    CHECK_EQUAL(enroll("boiler", ",\"provisioningStatus\":\"disabled\""), 0);
    CHECK(!name_keys() && outcome() == DPS_AMQP_SASL_AUTH && answer.refusal == DPS_REFUSED_DISABLED);
    CHECK_EQUAL(enroll("boiler", ""), 0);
    static const char *const tokens[] = {"", "a",
                                         "SharedAccessSignature sr=" SCOPE
                                         "%2Fregistrations%2Fboiler&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                         "AAAAAA%3D&se=1800003600&skn=registration"};
    for (size_t i = 0; i < 3; i++) {
        CHECK(!prove(tokens[i]) && outcome() == DPS_AMQP_SASL_AUTH);
        CHECK_EQUAL(answer.refusal, i < 2 ? DPS_REFUSED_TOKEN_FORM : DPS_REFUSED_TOKEN_SIGNATURE);
    }
    CHECK_EQUAL(writes, 0);
    return 0;
}

/* SASL out of order, and what is no SASL. */
static int sasl_order(void)
{
    CHECK_EQUAL(begin(), 0);
    CHECK(!header(false) && got_kinds((const uint8_t[]){DPS_AMQP_SASL_HEADER, 0}));
    connect_again();
    amqp_client_init(&w, &device);
    CHECK(!say() && got_kinds((const uint8_t[]){DPS_AMQP_SASL_HEADER, 0}));
    connect_again();
    CHECK(header(true));
    CHECK(!respond("", 1) && outcome() == DPS_AMQP_SASL_AUTH);
    CHECK(name_keys() && !respond("\1", 1) && outcome() == DPS_AMQP_SASL_AUTH);
    CHECK(name_keys() && !respond("\0\0", 2) && outcome() == DPS_AMQP_SASL_AUTH);
    CHECK(name_keys() && !respond("", 0) && outcome() == DPS_AMQP_SASL_AUTH);
    connect_again();
    CHECK(header(true));
    amqp_client_init(&w, &device);
    CHECK(say() && !respond_with(0x80, bytes_of(device.srk, device.srk_len)));
    connect_again();
    CHECK(header(true));
    amqp_client_init(&w, &device);
    CHECK(say() && !respond_with(0, bytes_of(NULL, DPS_SRK_PUBLIC_MAX + 1)));
    connect_again();
    CHECK(header(true));
    amqp_client_open(&w, DPS_AMQP_PEER_FRAME_MIN);
    CHECK(!say() && outcome() == DPS_AMQP_SASL_AUTH && answer.refusal == DPS_REFUSED_REQUEST);
    return 0;
}

/* After it: what is out of order, or not offered, ends with a close. */
static int session_order(void)
{
    CHECK_EQUAL(begin(), 0);
    CHECK(prove(NULL));
    amqp_client_open(&w, DPS_AMQP_PEER_FRAME_MIN); /* no header before it */
    CHECK(!say() && got_kinds((const uint8_t[]){DPS_AMQP_HEADER, DPS_AMQP_OPEN, DPS_AMQP_CLOSE, 0}));
    CHECK(prove(NULL) && header(false));
    amqp_client_begin(&w, 1);
    CHECK(!say() && got_kinds((const uint8_t[]){DPS_AMQP_OPEN, DPS_AMQP_CLOSE, 0}));
    CHECK(prove(NULL) && header(false));
    amqp_client_open(&w, DPS_AMQP_PEER_FRAME_MIN - 1);
    CHECK(!say() && got_kinds((const uint8_t[]){DPS_AMQP_OPEN, DPS_AMQP_CLOSE, 0}));
    for (int i = 0; i < 6; i++) {
        CHECK(prove(NULL) && attach());
        switch (i) {
        case 0: /* twice */
            amqp_client_attach(&w, &device, true, 3, NULL);
            break;
        case 1:
            amqp_client_begin(&w, 1);
            break;
        case 2:
            dps_amqp_detach_write(&w, 9);
            break;
        case 3:
            amqp_client_credit(&w, 9, 1);
            break;
        case 4: /* on the link of the answers */
            amqp_client_request(&w, 7, 1, false, REGISTER, NULL);
            break;
        default:
            dps_amqp_header_write(&w, false);
            break;
        }
        CHECK(!say() && got_kinds(closed) && out_has("amqp:not-allowed"));
    }
    CHECK(prove(NULL) && attach());
    amqp_client_request(&w, 8, 1, false, REGISTER, NULL);
    frames[7] = 1; /* channel 1 */
    CHECK(!say() && got_kinds(closed));
    CHECK_EQUAL(writes, 0);
    return 0;
}

static int other_addresses(void)
{
    static const char *const addresses[] = {"",
                                            "boiler",
                                            SCOPE "/registrations/pump",
                                            "x" SCOPE "/registrations/boiler",
                                            SCOPE "/registrations/boiler/",
                                            "0neOTHER/registrations/boiler"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        CHECK_EQUAL(begin(), 0);
        CHECK(prove(NULL) && attach());
        dps_amqp_detach_write(&w, 7);
        CHECK(say());
        amqp_client_attach(&w, &device, true, 7, addresses[i]);
        CHECK(!say() && got_kinds(closed) && out_has("amqp:not-found"));
    }
    return 0;
}

/* Rejections: the condition, and the JSON of HTTPS. */
static int rejections(void)
{
    CHECK_EQUAL(begin(), 0);
    CHECK(prove(NULL) && attach());
    CHECK(request("iotdps-get-registration", NULL) && got_kinds(rejected) && out_has("amqp:not-found"));
    CHECK(out_has("{\"errorCode\":404001,\"trackingId\":\""));
    CHECK(request(STATUS, "1.0") && got_kinds(rejected) && out_has("\"errorCode\":404203"));
    CHECK_EQUAL(enroll("boiler", ",\"provisioningStatus\":\"disabled\""), 0);
    CHECK(request(REGISTER, NULL) && got_kinds(rejected) && out_has("amqp:unauthorized-access"));
    CHECK(out_has("\"errorCode\":403201") && writes == 0 && !door.midway);
    CHECK_EQUAL(enroll("boiler", ""), 0);
    service.now += 7200;
    CHECK(request(REGISTER, NULL) && out_has("\"errorCode\":401006"));
    service.now -= 7200;
    CHECK(request(REGISTER, NULL) && got_kinds(accepted));
    config.challenges_per_minute = 1;
    CHECK(request(STATUS, operation()) && got_kinds(accepted));
    CHECK(request(STATUS, operation()) && got_kinds(rejected) && dps_amqp_is_midway(&service, &door));
    CHECK(out_has("com.microsoft:device-container-throttled") && out_has("\"errorCode\":429001"));
    CHECK(out_has("retry-after") && out_has("60"));
    service.now +=
        DPS_WINDOW_SECONDS + 1; /* nobody waits for a device for longer, whether it says something or not */
    CHECK(!dps_amqp_is_midway(&service, &door));
    amqp_client_credit(&w, 7, 10);
    CHECK(say() && !dps_amqp_is_midway(&service, &door));
    service.now -= DPS_WINDOW_SECONDS + 1;
    /* A settled request has no outcome: it ends with a close. */
    amqp_client_request(&w, 8, 200, true, STATUS, "1.0");
    CHECK(!say() && got_kinds(closed) && out_has("404203"));
    /* Throttled in SASL. */
    config.challenges_per_minute = 1;
    CHECK(name_keys() && challenge());
    CHECK(!name_keys() && outcome() == DPS_AMQP_SASL_TEMPORARY && answer.refusal == DPS_REFUSED_RATE);
    return 0;
}

/* The commit fails: a challenge is taken back, and so is a registration, which may be tried again. */
static int uncommitted(void)
{
    CHECK_EQUAL(begin(), 0);
    CHECK(name_keys() && answer.wrote); /* the run of this node */
    CHECK(!dps_amqp_uncommitted(&service, &door, &answer) && outcome() == DPS_AMQP_SASL_TEMPORARY);
    CHECK_EQUAL(answer.refusal, DPS_REFUSED_STORE);
    service.store.rollback(&memory);
    CHECK_EQUAL(enroll("boiler", ""), 0);
    CHECK_EQUAL(service.store.commit(&memory), 0);
    CHECK(prove(NULL) && attach());
    CHECK(dps_amqp_uncommitted(&service, &door, &answer)); /* a flow relies on nothing */
    CHECK(request(REGISTER, NULL) && got_kinds(accepted) && door.next_outgoing_id == 1);
    service.store.rollback(&memory);
    CHECK(dps_amqp_uncommitted(&service, &door, &answer) && got_kinds(rejected) && door.midway);
    CHECK(out_has("amqp:internal-error") && out_has("\"errorCode\":503001") && out_has("retry-after"));
    CHECK(door.next_outgoing_id == 0 && door.answers.credit == 10 && door.window == 100);
    CHECK(request(REGISTER, NULL) && got_kinds(accepted));
    amqp_client_request(&w, 8, 101, true, STATUS, operation());
    CHECK(say() && got_kinds((const uint8_t[]){DPS_AMQP_TRANSFER, DPS_AMQP_FLOW, 0}));
    CHECK(!dps_amqp_uncommitted(&service, &door, &answer) && got_kinds(closed) && out_has("503001"));
    return 0;
}

/* Bytes that are no frame. */
static int unreadable(void)
{
    CHECK_EQUAL(begin(), 0);
    dps_amqp_unreadable(&service, &door, BYTES_E_ALGORITHM, out, json, &answer);
    CHECK(got_kinds((const uint8_t[]){DPS_AMQP_SASL_HEADER, 0}) && answer.refusal == DPS_REFUSED_REQUEST);
    CHECK(header(true));
    dps_amqp_unreadable(&service, &door, BYTES_E_LIMIT, out, json, &answer);
    CHECK(outcome() == DPS_AMQP_SASL_AUTH && answer.refusal == DPS_REFUSED_TOO_LARGE);
    CHECK(prove(NULL) && attach());
    dps_amqp_unreadable(&service, &door, BYTES_E_FORMAT, out, json, &answer);
    CHECK(got_kinds(closed) && out_has("\"errorCode\":400001"));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"s09 a registration over AMQP", a_registration},
        {"s09 over AMQP a token is shown twice and used once", a_token_is_used_once},
        {"sessions and addresses", sessions_and_addresses},
        {"flow, credit and windows", flows},
        {"s05 refused in SASL", refused_in_sasl},
        {"SASL out of order", sasl_order},
        {"a session out of order", session_order},
        {"other addresses", other_addresses},
        {"rejections", rejections},
        {"a failed commit", uncommitted},
        {"no frames", unreadable}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
