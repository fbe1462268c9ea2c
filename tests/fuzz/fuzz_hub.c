/* SPDX-License-Identifier: MIT */
/* The hub over MQTT: packets of a connection in, packets out, on a store with one registered device, with the clock and
 * the entropy fixed. Nobody but the harness can sign a token.
 * Input: one byte of flags; the bytes of the peer, packet after packet. */
#include "dps/protocol/mqtt_connect.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/hub_mqtt.h"
#include "dps/service/registration.h"
#include "dps/service/service.h"
#include "port/posix/posix.h"
#include "port/posix/store_memory.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/mqtt_again.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/public.h"
#include <string.h>

#define CONNECTED 1 /* the harness has connected as the device */
#define DISABLED 2  /* ... which was disabled then */
#define FEW 4       /* ... and may do five things a minute */
#define WAITING 8   /* messages wait for it */

#define NOW UINT64_C(1800000000)
#define EXPIRY (NOW + 3600)
#define HUB "hub-a.example"
#define RECORDS 8

static struct posix_memory_record records[RECORDS];
static struct posix_memory_record undo[RECORDS];
static struct posix_memory memory;
static struct dps_service_config config;
static struct dps_service service;
static struct crypto_drbg drbg;
static struct dps_hub_session session;
static struct dps_answer answer;
static uint8_t out[16384];

/* ---- Before the first byte ---- */

static void put(enum dps_table table, struct bytes key, const struct bytes_writer *json)
{
    uint64_t version;
    HOLDS(json->error == 0 && service.store.put(&memory, table, key, bytes_written(json), 0, &version) == 0);
}

/* An EK_pub: the vector's modulus under the true template. */
static void write_ek(struct bytes_writer *w)
{
    uint8_t bytes[DPS_EK_PUBLIC_MAX];
    struct bytes_writer ek = bytes_writer_over(bytes, sizeof bytes);
    struct tpm2_public area = tpm2_template_ek_l1();
    struct tpm2_public source;
    HOLDS(tpm2_public_parse_2b(bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b), &source) == 0);
    area.unique = source.unique;
    tpm2_public_write_2b(&ek, &area);
    dps_write_base64(w, bytes_written(&ek));
}

static void enroll(bool disabled)
{
    uint8_t json[1024];
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    dps_write_text(&w, "{\"registrationId\":\"boiler\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{"
                       "\"endorsementKey\":\"");
    write_ek(&w);
    dps_write_text(&w, disabled ? "\"}},\"provisioningStatus\":\"disabled\"}" : "\"}}}");
    (void)service.store.remove(&memory, DPS_TABLE_ENROLLMENTS, bytes_of_text("boiler"), 0);
    put(DPS_TABLE_ENROLLMENTS, bytes_of_text("boiler"), &w);
}

static struct dps_registration make_registration(void)
{
    uint8_t key[DPS_KEY_MAX];
    uint8_t json[2048];
    struct bytes_writer name = bytes_writer_over(key, sizeof key);
    struct bytes_writer w = bytes_writer_over(json, sizeof json);
    const struct dps_hub_device device = {.registration_id = "boiler", .generation = 1, .secret_epoch = 1};
    struct dps_registration r = {.registration_id = "boiler",
                                 .device_id = "boiler",
                                 .hub = HUB,
                                 .generation = 1,
                                 .random_len = DPS_REGISTRATION_RANDOM,
                                 .secret_epoch = 1,
                                 .srk_len = 16};
    dps_registration_write(&w, &r);
    put(DPS_TABLE_REGISTRATIONS, bytes_of_text("boiler"), &w);
    w = bytes_writer_over(json, sizeof json);
    dps_hub_device_write(&w, &device, bytes_of_text("boiler"), bytes_of(NULL, 0));
    dps_hub_device_key(&name, bytes_of_text(HUB), bytes_of_text("boiler"));
    put(DPS_TABLE_DEVICES, bytes_written(&name), &w);
    return r;
}

static void write_token(struct bytes_writer *w, const struct dps_registration *r)
{
    const struct bytes sr = bytes_of_text(HUB "%2Fdevices%2Fboiler");
    uint8_t text[256];
    uint8_t key[DPS_KEY_SIZE];
    uint8_t mac[CRYPTO_SHA256_SIZE];
    struct bytes_writer to_sign = bytes_writer_over(text, sizeof text);
    dps_sas_write_string_to_sign(&to_sign, sr, EXPIRY);
    const struct bytes piece = bytes_written(&to_sign);
    HOLDS(dps_hub_key(&service, r, key));
    crypto_hmac_sha256(bytes_of(key, sizeof key), &piece, 1, mac);
    dps_sas_write_token(w, sr, mac, EXPIRY, bytes_of(NULL, 0));
}

static void begin(uint8_t flags)
{
    memset(&config, 0, sizeof config);
    strcpy(config.host, "dps.example");
    strcpy(config.id_scope, "0ne00000A0A");
    strcpy(config.hubs[0].name, HUB);
    config.hubs[0].weight = 1;
    config.hub_count = config.secret_count = 1;
    config.secrets[0].epoch = 1;
    posix_memory_init(&memory, records, RECORDS, undo, RECORDS);
    const struct dps_store store = posix_memory_store(&memory);
    const struct crypto_entropy entropy = posix_entropy_seeded(&drbg, "fuzz");
    HOLDS(dps_service_init(&service, &config, &store, &entropy) == 0);
    service.now = NOW;
    memset(&session, 0, sizeof session);
    enroll(false);
    const struct dps_registration r = make_registration();
    if (flags & CONNECTED) {
        uint8_t token[512];
        uint8_t packet[1024];
        struct bytes_writer t = bytes_writer_over(token, sizeof token);
        struct bytes_writer w = bytes_writer_over(packet, sizeof packet);
        struct dps_mqtt_packet p;
        write_token(&t, &r);
        const struct dps_mqtt_connect c = {.client_id = bytes_of_text("boiler"),
                                           .user_name = bytes_of_text(HUB "/boiler/?api-version=2021-04-12"),
                                           .password = bytes_written(&t),
                                           .has_user_name = true,
                                           .has_password = true};
        dps_mqtt_connect_write(&w, &c);
        HOLDS(dps_mqtt_packet_read(bytes_written(&w), DPS_MQTT_SERVER, sizeof packet, &p) == 0);
        HOLDS(dps_hub_mqtt_answer(&service, &session, &p, out, sizeof out, &answer) && session.connected);
        enroll((flags & DISABLED) != 0);
        config.challenges_per_minute = flags & FEW ? 1 : 0;
    }
}

static void queue_messages(void)
{
    const struct dps_message m = {bytes_of_text("a=b"), bytes_of_text("\"YQ==\""), NOW + 60};
    for (size_t i = 0; i < DPS_MESSAGES_IN_FLIGHT + 1; i++) {
        HOLDS(dps_messages_add(&service, bytes_of_text("boiler"), &m, &answer) == DPS_ACCEPTED);
        HOLDS(service.store.commit(&memory) == 0);
    }
}

/* ---- Every packet ---- */

static int no_put(void *context, enum dps_table table, struct bytes key, struct bytes value,
                  uint64_t expected, uint64_t *version)
{
    (void)context, (void)table, (void)key, (void)value, (void)expected, (void)version;
    HOLDS(false);
    return BYTES_E_STORE;
}

/* What goes back is packets for a client, in their one form. Returns: how many. */
static unsigned check_answer(void)
{
    struct bytes sent = bytes_written(&answer.body);
    unsigned count = 0;
    while (sent.len > 0) {
        struct dps_mqtt_packet p;
        HOLDS(dps_mqtt_packet_read(sent, DPS_MQTT_CLIENT, sizeof out, &p) == 0);
        HOLDS(mqtt_again_is_same(bytes_of(sent.p, p.len), DPS_MQTT_CLIENT));
        sent = bytes_of(sent.p + p.len, sent.len - p.len);
        count++;
    }
    return count;
}

/* Returns: whether the connection stays. */
static bool give(const struct dps_mqtt_packet *p, uint8_t flags)
{
    const bool was_connected = session.connected;
    const bool stays = dps_hub_mqtt_answer(&service, &session, p, out, sizeof out, &answer);
    const unsigned count = check_answer();
    HOLDS(stays == (answer.refusal == DPS_ACCEPTED && p->type != DPS_MQTT_DISCONNECT));
    HOLDS((!answer.wrote || (flags & WAITING)) && answer.refusal < DPS_REFUSAL_COUNT);
    HOLDS(answer.messages_sent <= DPS_MESSAGES_IN_FLIGHT);
    /* Refused without a word, but for a CONNECT; and nobody else can connect. */
    HOLDS(answer.refusal == DPS_ACCEPTED || !was_connected || count == 0);
    HOLDS(session.connected == ((flags & CONNECTED) != 0) && was_connected == session.connected);
    HOLDS(was_connected || (count <= 1 && !stays));
    HOLDS(!(flags & DISABLED) || !stays);
    HOLDS((dps_hub_session_rest_ms(&service, &session) == UINT64_MAX) == !session.connected);
    if (stays && p->type == DPS_MQTT_PUBLISH && (p->flags & 2) != 0) {
        HOLDS(count >= 1 && out[0] == DPS_MQTT_PUBACK << 4);
    }
    return stays;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = bytes_of(data, size);
    const uint8_t flags = fuzz_byte(&bytes);
    struct dps_mqtt_packet p;
    bool stays = true;
    begin(flags);
    if (flags & WAITING) {
        queue_messages();
    } else {
        service.store.put = no_put;
    }
    for (unsigned count = 0; stays; count++) {
        const int error = dps_mqtt_packet_read(bytes, DPS_MQTT_SERVER, 4096, &p);
        if (error != 0) {
            dps_hub_mqtt_unreadable(&service, error, out, sizeof out, &answer);
            HOLDS(answer.refusal != DPS_ACCEPTED && check_answer() == 0);
            break;
        }
        HOLDS(!(flags & FEW) || count <= 20);
        stays = give(&p, flags);
        bytes = bytes_of(bytes.p + p.len, bytes.len - p.len);
    }
    return 0;
}
