/* SPDX-License-Identifier: MIT */
/* The whole device engine against a TPM and a service that say anything. fuzz_device.h says what the inputs are. */
#include "tests/fuzz/fuzz_device.h"
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/ownership.h"
#include "dps/device/record.h"
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/sas.h"
#include "tests/fuzz/fuzz.h"
#include "tpm/command.h"
#include "tpm/tools/explain.h"
#include <string.h>

#define OWNER_AUTH "the owner's password"
#define NEW_OWNER_AUTH "the next owner's password"

static const uint8_t nonce[32] = {7, 1, 8, 2, 8};

struct run {
    struct dps_device d;
    struct dps_device_config config;
    struct bytes input;
    struct bytes pending; /* of a chunk that came from the network and did not fit yet */
    uint8_t flags;
    unsigned chunks, wants, saves, macs;
    uint8_t mac[32];  /* the last one that the TPM made */
    uint32_t command; /* that the TPM is executing */
    uint8_t record[DPS_RECORD_FILE_MAX + 65536];
};

/* The next chunk; false at the end of the input and for a failure. */
static bool next_chunk(struct run *r, struct bytes *chunk)
{
    struct bytes_reader reader = bytes_reader_over(r->input);
    size_t len = bytes_read_u16(&reader);
    const bool fails = reader.error != 0 || len == DEVICE_CHUNK_FAILS;
    if (len > reader.left || fails) {
        len = fails ? 0 : reader.left;
    }
    *chunk = bytes_read_bytes(&reader, len);
    r->input = bytes_of(reader.p, reader.left);
    r->chunks++;
    return !fails;
}

static void configure(struct run *r)
{
    r->config = (struct dps_device_config){
        .service_host = "dps.example",
        .service_port = 443,
        .hub_port = 443,
        .id_scope = "0ne00000A0A",
        .registration_id = r->flags & DEVICE_NO_ID ? NULL : "device-1",
        .payload = bytes_of_text(r->flags & DEVICE_PAYLOAD ? "{\"a\":[1]}" : ""),
        .ek_template = r->flags & DEVICE_AZURE_SDK ? DPS_EK_AZURE_SDK : DPS_EK_L1,
        .owner_auth = bytes_of_text(OWNER_AUTH),
        .new_owner_auth = bytes_of_text(NEW_OWNER_AUTH),
        .persist = (r->flags & DEVICE_PERSIST) != 0,
        .data = bytes_of_text("what is sent or sealed"),
    };
}

/* The first chunk with the digest that a record ends with. */
static struct bytes make_record(struct run *r)
{
    struct bytes content;
    uint8_t digest[CRYPTO_SHA256_SIZE];
    struct bytes_writer w = bytes_writer_over(r->record, sizeof r->record);
    (void)next_chunk(r, &content);
    crypto_sha256(&content, 1, digest);
    bytes_write_bytes(&w, content);
    bytes_write_bytes(&w, bytes_of(digest, sizeof digest));
    return bytes_written(&w);
}

static int begin(struct run *r, enum device_flow flow)
{
    switch (flow) {
    case DEVICE_TOKEN:
        return dps_device_token(&r->d, &r->config, nonce, make_record(r));
    case DEVICE_SEND:
        return dps_device_send(&r->d, &r->config, nonce, make_record(r));
    case DEVICE_READ_EK:
        return dps_device_read_ek(&r->d, &r->config, nonce);
    case DEVICE_READ_KEYS:
        return dps_device_read_keys(&r->d, &r->config, nonce);
    case DEVICE_OWN:
        return dps_device_own(&r->d, &r->config, nonce);
    case DEVICE_CLEAR:
        return dps_device_clear(&r->d, &r->config, nonce);
    case DEVICE_SEAL:
        return dps_device_seal(&r->d, &r->config, nonce);
    case DEVICE_UNSEAL:
        if (r->flags & DEVICE_DATA) {
            (void)next_chunk(r, &r->config.data);
        }
        return dps_device_unseal(&r->d, &r->config, nonce);
    default:
        return dps_device_register(&r->d, &r->config, nonce);
    }
}

static void ignore(void *context, const struct tpm2_field *field)
{
    (void)context, (void)field;
}

static void ask_tpm(struct run *r)
{
    const struct bytes command = dps_device_tpm_command(&r->d);
    struct bytes chunk;
    struct bytes mac;
    uint32_t rc;
    /* Whatever the service has sent, what goes to the TPM is a well-formed command. */
    HOLDS(command.len >= 10 && command.len <= DPS_TPM_BUFFER);
    r->command = tpm2_explain_command_code(command);
    const int explained = tpm2_explain_command(command, ignore, NULL);
    HOLDS(explained == 0 || r->command == TPM2_CC_LOAD); /* a record may hold any public area */
    if (!next_chunk(r, &chunk)) {
        dps_device_fail(&r->d, BYTES_E_TPM_TRANSPORT);
        return;
    }
    if (r->command == TPM2_CC_HMAC && tpm2_hmac_parse(chunk, &rc, &mac) == 0 && mac.len == sizeof r->mac) {
        memcpy(r->mac, mac.p, sizeof r->mac);
        r->macs++;
    }
    uint8_t *response = fuzz_copy(chunk);
    dps_device_tpm_response(&r->d, bytes_of(response, chunk.len));
    free(response);
}

/* What goes to the network is one whole HTTP request, and a token in it carries the TPM's last signature. */
static void check_request(struct run *r, struct bytes request)
{
    static uint8_t buffer[DPS_NET_BUFFER];
    struct dps_http http;
    struct dps_sas sas;
    struct bytes value;
    size_t len = request.len;
    HOLDS(len > 0 && len <= sizeof buffer);
    memcpy(buffer, request.p, len);
    dps_http_init(&http, DPS_HTTP_REQUEST);
    HOLDS(dps_http_advance(&http, buffer, &len, sizeof buffer, false) == 0 && http.consumed == len);
    if (dps_http_header(&http, buffer, "Authorization", &value) == 0) {
        HOLDS(r->macs > 0 && dps_sas_parse(value, &sas) == 0);
        HOLDS(memcmp(sas.signature, r->mac, sizeof r->mac) == 0);
    }
}

static void receive(struct run *r)
{
    size_t room;
    uint8_t *in = dps_device_net_in(&r->d, &room);
    HOLDS(room > 0 && room <= DPS_NET_BUFFER);
    if (r->pending.len == 0 && !next_chunk(r, &r->pending)) {
        dps_device_fail(&r->d, BYTES_E_TIMEOUT);
        return;
    }
    size_t len = r->pending.len < room ? r->pending.len : room;
    len = len > 0 && (r->flags & DEVICE_SPLIT) != 0 ? 1 : len;
    if (len > 0) {
        memcpy(in, r->pending.p, len);
        r->pending = bytes_of(r->pending.p + len, r->pending.len - len);
    }
    dps_device_net_received(&r->d, len);
}

/* Only what a device has that proved itself: two signatures, and then a record that can be read. */
static void save(struct run *r)
{
    static struct dps_device other;
    other.config = &r->config;
    HOLDS(r->macs >= 2 && dps_record_read(dps_device_record(&r->d), &other) == 0);
    r->saves++;
    dps_device_saved(&r->d);
}

static void supply(struct run *r, enum dps_want want)
{
    uint16_t port = 0;
    switch (want) {
    case DPS_WANT_TPM:
        ask_tpm(r);
        break;
    case DPS_WANT_CONNECT:
        HOLDS(dps_device_host(&r->d, &port) != NULL && port == 443);
        r->pending = bytes_of(NULL, 0);
        dps_device_connected(&r->d, 0);
        break;
    case DPS_WANT_SEND:
        check_request(r, dps_device_net_out(&r->d));
        dps_device_net_sent(&r->d, dps_device_net_out(&r->d).len);
        break;
    case DPS_WANT_RECEIVE:
        receive(r);
        break;
    case DPS_WANT_TIME:
        dps_device_time(&r->d, r->flags & DEVICE_NO_CLOCK ? 0 : 1800000000);
        break;
    case DPS_WANT_WAIT:
        HOLDS(dps_device_wait_ms(&r->d) > 0 && dps_device_wait_ms(&r->d) <= 600000);
        dps_device_waited(&r->d);
        break;
    default:
        save(r);
        break;
    }
    HOLDS(dps_device_step(&r->d) <= 10 && dps_device_what(&r->d) != NULL);
}

/* Nothing that is said after the end changes anything. */
static void check_final(struct run *r)
{
    static struct dps_device before;
    size_t room;
    memcpy(&before, &r->d, sizeof before);
    dps_device_tpm_response(&r->d, bytes_of("\x80\x01\0\0\0\x0a\0\0\0\0", 10));
    dps_device_connected(&r->d, 0);
    dps_device_net_sent(&r->d, 1);
    dps_device_net_received(&r->d, 0);
    dps_device_time(&r->d, 1);
    dps_device_waited(&r->d);
    dps_device_saved(&r->d);
    (void)dps_device_net_in(&r->d, &room);
    HOLDS(room == 0 && dps_device_net_out(&r->d).len == 0 && dps_device_tpm_command(&r->d).len == 0);
    HOLDS(bytes_equal_public(bytes_of(&before, sizeof before), bytes_of(&r->d, sizeof r->d)));
}

static void check_end(struct run *r, enum dps_want want, enum device_flow flow)
{
    static const uint8_t zero[sizeof r->d.inner_key];
    HOLDS((want == DPS_WANT_FAILED) == (r->d.error != 0));
    for (size_t i = 0; i < DPS_LOADED_COUNT; i++) {
        HOLDS(r->d.loaded[i] == 0);
    }
    /* No secret is left behind: neither the inner key nor an authorization. */
    HOLDS(memcmp(r->d.inner_key, zero, sizeof zero) == 0);
    HOLDS(memmem(r->d.tpm, sizeof r->d.tpm, OWNER_AUTH, strlen(OWNER_AUTH)) == NULL);
    HOLDS(memmem(r->d.tpm, sizeof r->d.tpm, NEW_OWNER_AUTH, strlen(NEW_OWNER_AUTH)) == NULL);
    if (want == DPS_WANT_DONE && (flow == DEVICE_REGISTER || flow == DEVICE_TOKEN)) {
        struct dps_sas sas;
        HOLDS(r->macs >= (flow == DEVICE_REGISTER ? 2 : 1) && r->saves == (flow == DEVICE_REGISTER));
        HOLDS(dps_sas_parse(dps_device_token_text(&r->d), &sas) == 0);
        HOLDS(memcmp(sas.signature, r->mac, sizeof r->mac) == 0);
    }
    check_final(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    memset(&r, 0, sizeof r);
    r.input = bytes_of(data, size);
    const enum device_flow flow = (enum device_flow)(fuzz_byte(&r.input) % DEVICE_FLOWS);
    r.flags = fuzz_byte(&r.input);
    configure(&r);
    if (begin(&r, flow) != 0) {
        return 0;
    }
    enum dps_want want = dps_device_want(&r.d);
    for (; want != DPS_WANT_DONE && want != DPS_WANT_FAILED; want = dps_device_want(&r.d)) {
        supply(&r, want);
        r.wants++;
        /* A want that takes nothing from the input leads to one that does. */
        HOLDS(r.wants <= 64 + 8 * r.chunks + (r.flags & DEVICE_SPLIT ? size : 0));
    }
    check_end(&r, want, flow);
    dps_device_wipe(&r.d);
    return 0;
}
