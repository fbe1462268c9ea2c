/* SPDX-License-Identifier: MIT */
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/ownership.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/activation_make.h"
#include "dps/service/registration.h"
#include "dps/service/state.h"
#include "tests/support/vendor_token.h"
#include "tests/walkthrough/walkthrough.h"
#include "tpm/tools/explain.h"
#include <stdlib.h>
#include <string.h>

static struct walk walk;

void walk_must(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "walkthrough_run: %s (device: error %d, rc 0x%x, HTTP %u, %u)\n", what,
                      walk.flow.device.error, (unsigned)walk.flow.device.rc, walk.flow.device.http_status,
                      (unsigned)walk.flow.answer.error_code);
        exit(1);
    }
}

void walk_scene(const char *name)
{
    (void)printf("{\"kind\":\"scene\",\"name\":\"%s\"}\n", name);
}

void walk_value(const char *name, struct bytes bytes)
{
    (void)printf("{\"kind\":\"value\",\"name\":\"%s\",\"hex\":\"", name);
    for (size_t i = 0; i < bytes.len; i++) {
        (void)printf("%02x", bytes.p[i]);
    }
    (void)printf("\"}\n");
}

/* ---- What is sent ------------------------------------------------------------------------------------------------ */

/* The bits of attribute words, which the transcript leaves out. */
static void write_bits(void *context, const struct tpm2_field *field)
{
    const char *separator = "";
    (void)context;
    if (field->bits == NULL || field->value == 0) {
        return;
    }
    (void)printf("{\"kind\":\"bits\",\"offset\":%zu,\"name\":\"%s\",\"bits\":[", field->offset, field->name);
    for (const struct tpm2_bit *bit = field->bits; bit->name != NULL; bit++) {
        if ((field->value & bit->mask) != 0) {
            (void)printf("%s{\"name\":\"%s\",\"meaning\":\"%s\"}", separator, bit->name,
                         bit->meaning != NULL ? bit->meaning : "");
            separator = ",";
        }
    }
    (void)printf("]}\n");
}

static void show(struct walk *k, enum port_trace_kind kind, struct bytes bytes)
{
    const struct port_trace sinks[] = {trace_port(&k->trace), trace_pcapng_port(&k->capture)};
    k->capture.device = k->trace.device;
    for (size_t i = 0; !k->quiet && i < (k->capture.out != NULL ? 2U : 1U); i++) {
        sinks[i].message(sinks[i].context, k->what != NULL ? k->step : dps_device_step(&k->flow.device), kind,
                         k->what != NULL ? k->what : dps_device_what(&k->flow.device), bytes);
    }
}

static int transact(void *context, struct bytes command, uint8_t *response, size_t capacity, size_t *len,
                    uint32_t timeout_ms)
{
    struct walk *k = context;
    const uint32_t code = tpm2_explain_command_code(command);
    show(k, PORT_TRACE_TPM_COMMAND, command);
    if (!k->quiet) {
        (void)tpm2_explain_command(command, write_bits, NULL);
    }
    const int error = k->tpm.transact(k->tpm.context, command, response, capacity, len, timeout_ms);
    walk_must(error == 0, "the TPM does not answer");
    show(k, PORT_TRACE_TPM_RESPONSE, bytes_of(response, *len));
    if (!k->quiet) {
        (void)tpm2_explain_response(code, bytes_of(response, *len), write_bits, NULL);
    }
    return error;
}

struct bytes walk_ask(struct walk *k, const struct bytes_writer *command, uint8_t *response)
{
    size_t len = 0;
    walk_must(command->error == 0, "a command is too long");
    (void)transact(k, bytes_written(command), response, DPS_TPM_BUFFER, &len, 60000);
    return bytes_of(response, len);
}

size_t walk_blob(const struct walk *k, uint8_t *blob, size_t capacity)
{
    const char member[] = "\"authenticationKey\":\"";
    const uint8_t *at = memmem(k->flow.response, k->flow.response_len, member, sizeof member - 1);
    if (at == NULL) {
        return 0;
    }
    at += sizeof member - 1;
    const uint8_t *end = memchr(at, '"', k->flow.response_len - (size_t)(at - k->flow.response));
    size_t len = 0;
    walk_must(end != NULL && dps_base64_decode(bytes_of(at, (size_t)(end - at)), blob, capacity, &len) == 0,
              "the blob is not base64");
    return len;
}

static void show_token(struct walk *k, const uint8_t *request, size_t request_len)
{
    const char name[] = "Authorization: ";
    const uint8_t *at = memmem(request, request_len, name, sizeof name - 1);
    if (at != NULL) {
        at += sizeof name - 1;
        const uint8_t *end = memchr(at, '\r', request_len - (size_t)(at - request));
        (void)trace_explain(&k->trace, TRACE_SAS_TOKEN, 0, "the SAS token in it",
                            bytes_of(at, (size_t)(end - at)));
    }
}

static void show_exchange(struct walk *k, const uint8_t *request, size_t request_len)
{
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    show(k, PORT_TRACE_HTTP_REQUEST, bytes_of(request, request_len));
    if (k->quiet) {
        return;
    }
    show_token(k, request, request_len);
    show(k, PORT_TRACE_HTTP_RESPONSE, bytes_of(k->flow.response, k->flow.response_len));
    const size_t len = walk_blob(k, blob, sizeof blob);
    if (len > 0) {
        (void)trace_explain(&k->trace, TRACE_ACTIVATION_BLOB, 0, "the activation blob in it",
                            bytes_of(blob, len));
        (void)tpm2_explain_activation_blob(bytes_of(blob, len), write_bits, NULL);
    }
}

/* The service has answered the device. The device is still where it asked. */
static void answered(struct flow *f)
{
    struct walk *k = &walk;
    show_exchange(k, f->last_request, f->last_request_len);
    if (f->answer.status == 202 && f->last_request_len <= sizeof k->signed_request) {
        memcpy(k->signed_request, f->last_request, f->last_request_len);
        k->signed_request_len = f->last_request_len;
    }
}

void walk_request(struct walk *k, const void *request, size_t len)
{
    k->flow.change_answer = NULL;
    flow_ask(&k->flow, request, len);
    k->flow.change_answer = answered;
    show_exchange(k, request, len);
}

/* What is drawn is recognised by its size: the random bytes of an activation blob, for example, are drawn at once. */
static int fill(void *context, uint8_t *out, size_t len)
{
    struct walk *k = context;
    const int error = k->entropy.fill(k->entropy.context, out, len);
    if (error == 0 && !k->quiet && len == sizeof(struct dps_memory_random)) {
        walk_value("run", bytes_of(((const struct dps_memory_random *)(const void *)out)->run, DPS_RUN_SIZE));
    }
    if (error == 0 && !k->quiet && len == DPS_REGISTRATION_RANDOM) {
        walk_value("registrationRandom", bytes_of(out, len));
    }
    if (error == 0 && !k->quiet && len == sizeof(struct dps_activation_random)) {
        const struct dps_activation_random *r = (const void *)out;
        walk_value("innerKey", bytes_of(r->inner_key, sizeof r->inner_key));
        walk_value("seedValue", bytes_of(r->seed_value, sizeof r->seed_value));
        walk_value("credentialSeed", bytes_of(r->credential.seed, sizeof r->credential.seed));
        walk_value("credentialOaep", bytes_of(r->credential.oaep, sizeof r->credential.oaep));
        walk_value("duplicateSeed", bytes_of(r->duplicate.seed, sizeof r->duplicate.seed));
        walk_value("duplicateOaep", bytes_of(r->duplicate.oaep, sizeof r->duplicate.oaep));
    }
    return error;
}

/* ---- The ten steps ----------------------------------------------------------------------------------------------- */

size_t walk_write_registration(uint8_t *out, size_t size, struct bytes ek, struct bytes srk,
                               const char *token)
{
    uint8_t body[2048];
    struct bytes_writer b = bytes_writer_over(body, sizeof body);
    struct bytes_writer w = bytes_writer_over(out, size);
    dps_write_text(&b, "{\"registrationId\":\"" WALK_ID "\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&b, ek);
    dps_write_text(&b, "\",\"storageRootKey\":\"");
    dps_write_base64(&b, srk);
    dps_write_text(&b, "\"}}");
    dps_write_text(&w, "PUT /" FLOW_SCOPE "/registrations/" WALK_ID
                       "/register?api-version=2021-06-01 HTTP/1.1\r\n"
                       "Host: " FLOW_HOST "\r\n");
    if (token != NULL) {
        dps_write_text(&w, "Authorization: ");
        dps_write_text(&w, token);
        dps_write_text(&w, "\r\n");
    }
    dps_write_text(&w, "Content-Type: application/json\r\nContent-Length: ");
    dps_write_decimal(&w, b.len);
    dps_write_text(&w, "\r\n\r\n");
    bytes_write_bytes(&w, bytes_written(&b));
    walk_must(b.error == 0 && w.error == 0, "a request is too long");
    return w.len;
}

static void enroll(struct walk *k)
{
    struct dps_policy *policy = &k->flow.service_config.policies[0];
    uint8_t request[4096];
    uint8_t body[2048];
    struct bytes_writer b = bytes_writer_over(body, sizeof body);
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    strcpy(policy->name, "provisioningserviceowner");
    memcpy(policy->primary_key, "the vendor's key for enrollments", 32);
    policy->primary_key_len = 32;
    policy->rights = DPS_RIGHT_ALL;
    k->flow.service_config.policy_count = 1;
    walk_value("policyKey", bytes_of(policy->primary_key, 32));

    dps_write_text(&b, "{\"registrationId\":\"" WALK_ID
                       "\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&b, bytes_of(k->flow.device.ek, k->flow.device.ek_len));
    dps_write_text(&b, "\"}}}");
    dps_write_text(&w, "PUT /enrollments/" WALK_ID "?api-version=2021-10-01 HTTP/1.1\r\nHost: " FLOW_HOST
                       "\r\nAuthorization: ");
    vendor_token_write(&w, FLOW_HOST, policy, FLOW_NOW + 3600);
    dps_write_text(&w, "\r\nContent-Type: application/json\r\nContent-Length: ");
    dps_write_decimal(&w, b.len);
    dps_write_text(&w, "\r\n\r\n");
    bytes_write_bytes(&w, bytes_written(&b));
    k->step = 2;
    k->what = "to let this EK in, under a registration ID";
    walk_request(k, request, w.len);
    k->what = NULL;
    walk_must(k->flow.answer.status == 200, "the enrollment is refused");
}

static void run(struct walk *k, int begun, const char *what)
{
    walk_must(begun == 0 && flow_finish(&k->flow) == 0, what);
}

static void ten_steps(struct walk *k)
{
    struct flow *f = &k->flow;
    walk_scene("vendor");
    run(k, dps_device_read_ek(&f->device, &f->config, flow_nonce), "step 1");
    char id[DPS_DEFAULT_REGISTRATION_ID_SIZE];
    dps_registration_id_default(bytes_of(f->device.ek, f->device.ek_len), id);
    walk_value("defaultRegistrationId", bytes_of_text(id));
    walk_scene("enrollment");
    enroll(k);

    walk_scene("owner");
    f->config.persist = true;
    f->config.new_owner_auth = bytes_of_text("the owner's password");
    run(k, dps_device_own(&f->device, &f->config, flow_nonce), "step 3");
    f->config.owner_auth = f->config.new_owner_auth;
    f->config.new_owner_auth = bytes_of(NULL, 0);

    walk_scene("register");
    run(k, dps_device_register(&f->device, &f->config, flow_nonce), "steps 4 to 10");
    k->ek_len = f->device.ek_len;
    k->srk_len = f->device.srk_len;
    memcpy(k->ek, f->device.ek, k->ek_len);
    memcpy(k->srk, f->device.srk, k->srk_len);
    walk_scene("send");
    f->config.data = bytes_of_text("{\"temperature\":21}");
    run(k, dps_device_send(&f->device, &f->config, flow_nonce, bytes_of(f->record, f->record_len)),
        "step 10");
    walk_must(f->answer.status == 204, "the hub refuses the message");
}

static void begin(struct walk *k, const char *capture)
{
    struct flow *f = &k->flow;
    const struct bytes words = bytes_of_text("the service secret of the walk-through");
    walk_must(flow_open(f, "walkthrough", false) == 0, "the flow does not open");
    f->config.registration_id = WALK_ID;
    f->config.no_sessions = true; /* until their own chapter, so that every byte can be read */
    crypto_sha256(&words, 1, f->service_config.secrets[0].key);
    k->tpm = f->tpm_port;
    f->tpm_port = (struct port_tpm){k, transact};
    k->entropy = f->service.entropy;
    f->service.entropy = (struct crypto_entropy){k, fill};
    f->change_answer = answered;
    trace_open(&k->trace, stdout, true);
    if (capture != NULL) {
        FILE *file = fopen(capture, "wb");
        walk_must(file != NULL, "the capture cannot be written");
        trace_pcapng_open(&k->capture, file, FLOW_NOW);
    }
    walk_value("serviceSecret", bytes_of(f->service_config.secrets[0].key, 32));
    walk_value("deviceNonce", bytes_of(flow_nonce, sizeof flow_nonce));
}

/* Usage: run [FILE.pcapng] */
int main(int argc, char **argv)
{
    begin(&walk, argc > 1 ? argv[1] : NULL);
    ten_steps(&walk);
    walk_what_goes_wrong(&walk);
    walk_roads(&walk);
    trace_close(&walk.trace);
    walk_must(walk.capture.out == NULL || fclose(walk.capture.out) == 0, "the capture is not whole");
    flow_close(&walk.flow);
    return 0;
}
