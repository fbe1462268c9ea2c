/* SPDX-License-Identifier: MIT */
/* Each of Microsoft's clients as the service meets it: the requests are written as that client writes
 * them, the answers are read with that client's demands. The device is software with known private keys:
 * its EK and SRK claim to be a TPM's, which only EK certificates could tell apart. Which client does
 * what is written in tests/peers/CLIENTS.md. */
#include "dps/protocol/activation.h"
#include "dps/protocol/json.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "tests/port/flow.h"
#include "tests/support/activation_open.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include <stdio.h>
#include <string.h>

#define ID "lab:dev-1"
#define DEVICE_ID "Boiler+7%#(a)" /* what a hub allows and percent-encoding changes */
#define HUB "hub-a.example"

static struct flow f;

/* ---- The software device ----------------------------------------------------------------------------- */

static struct crypto_rsa_private ek_private, srk_private;
static uint8_t ek_storage[5 * 256 + 64], srk_storage[5 * 256 + 64];
static uint8_t ek[DPS_EK_PUBLIC_MAX], srk[DPS_SRK_PUBLIC_MAX];
static size_t ek_len, srk_len;
static uint8_t srk_name[TPM2_NAME_SIZE];

static size_t write_public(uint8_t *out, size_t size, struct tpm2_public area, struct bytes modulus)
{
    struct bytes_writer w = bytes_writer_over(out, size);
    area.unique = modulus;
    tpm2_public_write_2b(&w, &area);
    return w.len;
}

static int make_device(const char *directory, const char *more)
{
    const struct bytes ek_der = bytes_of(vector_ek_private_der, sizeof vector_ek_private_der);
    const struct bytes srk_der = bytes_of(vector_srk_private_der, sizeof vector_srk_private_der);
    const struct bytes ek_modulus = bytes_of(vector_ek_public_2b + sizeof vector_ek_public_2b - 256, 256);
    const struct bytes srk_modulus = bytes_of(vector_srk_public_2b + sizeof vector_srk_public_2b - 256, 256);
    CHECK_EQUAL(flow_open(&f, directory, true), 0);
    CHECK_EQUAL(crypto_rsa_private_decode(ek_der, &ek_private, ek_storage, sizeof ek_storage), 0);
    CHECK_EQUAL(crypto_rsa_private_decode(srk_der, &srk_private, srk_storage, sizeof srk_storage), 0);
    ek_len = write_public(ek, sizeof ek, tpm2_template_ek_l1(), ek_modulus);
    srk_len = write_public(srk, sizeof srk, tpm2_template_srk(), srk_modulus);
    tpm2_name_of(bytes_of(srk, srk_len), srk_name);
    return flow_enroll(&f, ID, bytes_of(ek, ek_len), more);
}

/* The key in a JSON string that holds an activation blob. */
static int open_key(struct bytes json, uint8_t key[DPS_KEY_SIZE])
{
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX / 3 * 4 + 8];
    size_t len;
    CHECK_EQUAL(dps_json_string(json, blob, sizeof blob, &len), 0);
    CHECK_EQUAL(dps_base64_decode(bytes_of(blob, len), blob, sizeof blob, &len), 0);
    CHECK_EQUAL(activation_open(bytes_of(blob, len), &ek_private, &srk_private,
                                bytes_of(srk_name, sizeof srk_name), key),
                0);
    return 0;
}

/* ---- How clients write ------------------------------------------------------------------------------- */

/* A way to percent-encode: which characters stay, besides letters and digits. */
struct encoding {
    const char *stay;
    bool small_hex, small_letters, plus_for_space;
};

static const struct encoding none = {.stay = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"};
static const struct encoding c_shared = {.stay = "!()*-._", .small_hex = true};    /* URL_Encode */
static const struct encoding node = {.stay = "-_.!~*'()"};                         /* encodeURIComponent */
static const struct encoding dotnet = {.stay = "-_.!*()", .plus_for_space = true}; /* WebUtility.UrlEncode */
static const struct encoding java = {.stay = ".-*_", .plus_for_space = true};      /* URLEncoder */
static const struct encoding iis = {.stay = "!$%&'()*+,-./:;@[\\]^_|~",
                                    .small_letters = true}; /* connector.rs */
static const struct encoding iis_sig = {.stay = "-._~"};

static void encode(struct bytes_writer *w, struct bytes text, const struct encoding *how)
{
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.p[i];
        const bool plain = (c >= '0' && c <= '9') || (dps_lower(c) >= 'a' && dps_lower(c) <= 'z');
        char hex[4];
        if (plain || (c != 0 && strchr(how->stay, c) != NULL)) {
            bytes_write_u8(w, how->small_letters ? dps_lower(c) : c);
        } else if (c == ' ' && how->plus_for_space) {
            bytes_write_u8(w, '+');
        } else {
            snprintf(hex, sizeof hex, how->small_hex ? "%%%02x" : "%%%02X", c);
            dps_write_text(w, hex);
        }
    }
}

struct client {
    const char *directory;
    const char *api_version;
    const char *query;   /* more of it */
    const char *headers; /* of every request */
    const char *authorization;
    const char *id; /* how it writes the registrationId */
    const struct encoding *path, *sr, *sig, *hub_sr;
    const char *device_id;
    bool hub_id_twice;           /* encodes the deviceId before it encodes the audience */
    uint32_t lifetime;           /* of its tokens, seconds */
    uint32_t poll_delay;         /* seconds between two of its requests */
    const char *skn;             /* after "&skn=", or null */
    const char *slash, *padding; /* how its JSON writes '/' and '=' */
    const char *payload;         /* member, or empty */
    const char *second_body;     /* null: the first one again */
    const char *poll_body;
};

/* SharedAccessSignature sr=...&sig=...&se=...[&skn=...] */
static void write_token(struct bytes_writer *w, const struct client *c, struct bytes sr, struct bytes key,
                        const char *skn)
{
    const uint64_t expiry = f.now + c->lifetime;
    uint8_t text[512];
    uint8_t mac[32];
    uint8_t base64[44];
    struct bytes_writer to_sign = bytes_writer_over(text, sizeof text);
    struct bytes_writer sig = bytes_writer_over(base64, sizeof base64);
    dps_sas_write_string_to_sign(&to_sign, sr, expiry);
    const struct bytes piece = bytes_written(&to_sign);
    crypto_hmac_sha256(key, &piece, 1, mac);
    dps_write_base64(&sig, bytes_of(mac, sizeof mac));
    dps_write_text(w, "SharedAccessSignature sr=");
    bytes_write_bytes(w, sr);
    dps_write_text(w, "&sig=");
    encode(w, bytes_written(&sig), c->sig);
    dps_write_text(w, "&se=");
    dps_write_decimal(w, expiry);
    if (skn != NULL) {
        dps_write_text(w, "&skn=");
        dps_write_text(w, skn);
    }
}

static void write_json_base64(struct bytes_writer *w, const struct client *c, struct bytes bytes)
{
    uint8_t base64[(DPS_EK_PUBLIC_MAX + 2) / 3 * 4];
    struct bytes_writer b = bytes_writer_over(base64, sizeof base64);
    dps_write_base64(&b, bytes);
    for (size_t i = 0; i < b.len; i++) {
        const char text[2] = {(char)base64[i], 0};
        dps_write_text(w, text[0] == '/' ? c->slash : text[0] == '=' ? c->padding : text);
    }
}

static void write_first_body(struct bytes_writer *w, const struct client *c)
{
    dps_write_text(w, "{\"registrationId\":\"");
    dps_write_text(w, c->id);
    dps_write_text(w, "\",\"tpm\":{\"endorsementKey\":\"");
    write_json_base64(w, c, bytes_of(ek, ek_len));
    dps_write_text(w, "\",\"storageRootKey\":\"");
    write_json_base64(w, c, bytes_of(srk, srk_len));
    dps_write_text(w, "\"}");
    dps_write_text(w, c->payload);
    dps_write_text(w, "}");
}

/* What a client remembers during its conversation. */
static struct {
    uint8_t key[DPS_KEY_SIZE];
    uint8_t token[1024];
    size_t token_len; /* 0: none yet */
    uint8_t operation[DPS_OPERATION_ID_MAX];
    size_t operation_len;
    char device_id[DPS_DEVICE_ID_MAX + 1];
    char hub[DPS_HOST_MAX + 1];
} held;

/* One request of the device API; tail follows the registrationId in the path. */
static void ask(const struct client *c, const char *method, const char *tail, struct bytes body)
{
    static uint8_t request[8192];
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    dps_write_text(&w, method);
    dps_write_text(&w, " /" FLOW_SCOPE "/registrations/");
    encode(&w, bytes_of_text(c->id), c->path);
    dps_write_text(&w, tail);
    dps_write_text(&w, "?api-version=");
    dps_write_text(&w, c->api_version);
    dps_write_text(&w, c->query);
    dps_write_text(&w, " HTTP/1.1\r\n");
    dps_write_text(&w, c->headers);
    if (held.token_len > 0) {
        dps_write_text(&w, c->authorization);
        dps_write_text(&w, ": ");
        bytes_write_bytes(&w, bytes_of(held.token, held.token_len));
        dps_write_text(&w, "\r\n");
    }
    if (body.len > 0) {
        dps_write_text(&w, "Content-Length: ");
        dps_write_decimal(&w, body.len);
        dps_write_text(&w, "\r\n");
    }
    dps_write_text(&w, "\r\n");
    bytes_write_bytes(&w, body);
    flow_ask(&f, request, w.error == 0 ? w.len : 0);
}

/* ---- How clients read -------------------------------------------------------------------------------- */

static struct bytes member(struct bytes object, const char *name)
{
    struct bytes value;
    return dps_json_member(object, name, &value) == 0 ? value : bytes_of(NULL, 0);
}

static struct bytes answer_json(void)
{
    struct bytes root;
    return dps_json_check(bytes_written(&f.answer.body), &root) == 0 ? root : bytes_of(NULL, 0);
}

static bool head_has(const char *line)
{
    const char *end = strstr((const char *)f.response, "\r\n\r\n");
    const char *at = strstr((const char *)f.response, line);
    return end != NULL && at != NULL && at < end;
}

/* What every client relies on, whatever the answer says: JSON of a known length, and a connection that
 * stays. */
static int check_form(unsigned status)
{
    char line[64];
    f.response[f.response_len] = 0;
    CHECK_EQUAL(f.answer.status, status);
    snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
    CHECK(memcmp(f.response, line, strlen(line)) == 0);
    CHECK(head_has("\r\nConnection: keep-alive"));
    CHECK(head_has("\r\nx-ms-request-id: "));
    if (status != 204) {
        CHECK(head_has("\r\nContent-Type: application/json; charset=utf-8\r\n"));
        snprintf(line, sizeof line, "\r\nContent-Length: %zu\r\n", f.answer.body.len);
        CHECK(head_has(line));
        CHECK_EQUAL(dps_json_kind(answer_json()), DPS_JSON_OBJECT);
    }
    return 0;
}

/* c recognises a challenge by the missing "status" and wants keyName; the others want
 * authenticationKey alone. */
static int read_challenge(void)
{
    CHECK_EQUAL(check_form(401), 0);
    CHECK(member(answer_json(), "status").len == 0 && member(answer_json(), "errorCode").len == 0);
    CHECK(dps_json_string_is(member(answer_json(), "keyName"), "registration"));
    CHECK_EQUAL(dps_json_kind(member(answer_json(), "unencryptedAuthenticationKey")), DPS_JSON_NULL);
    return open_key(member(answer_json(), "authenticationKey"), held.key);
}

/* cs and iis take 202 only; iis and java read registrationState, which must name the device and a
 * status; node puts the operationId into a path as it is. */
static int read_assigning(void)
{
    const char *plain = "0123456789abcdefghijklmnopqrstuvwxyz.-";
    CHECK_EQUAL(check_form(202), 0);
    CHECK(head_has("\r\nRetry-After: 0\r\n")); /* digits only: c and cs read nothing else */
    const struct bytes root = answer_json();
    const struct bytes state = member(root, "registrationState");
    CHECK(dps_json_string_is(member(root, "status"), "assigning"));
    CHECK(dps_json_string_is(member(state, "status"), "assigning"));
    CHECK(dps_json_string_is(member(state, "registrationId"), ID));
    CHECK_EQUAL(dps_json_string(member(root, "operationId"), held.operation, sizeof held.operation,
                                &held.operation_len),
                0);
    for (size_t i = 0; i < held.operation_len; i++) {
        CHECK(strchr(plain, held.operation[i]) != NULL);
    }
    return 0;
}

static int read_text(struct bytes json, char *out, size_t size)
{
    size_t len;
    CHECK_EQUAL(dps_json_string(json, (uint8_t *)out, size - 1, &len), 0);
    out[len] = '\0';
    return 0;
}

static int read_assigned(void)
{
    CHECK_EQUAL(check_form(200), 0);
    const struct bytes root = answer_json();
    const struct bytes state = member(root, "registrationState");
    CHECK(dps_json_string_is(member(root, "status"), "assigned"));
    CHECK(member(root, "operationId").len > 0);
    CHECK(dps_json_string_is(member(state, "status"), "assigned")); /* lower case: cs and iis */
    CHECK(dps_json_string_is(member(state, "registrationId"), ID));
    CHECK_EQUAL(dps_json_kind(member(state, "createdDateTimeUtc")), DPS_JSON_STRING);
    CHECK_EQUAL(dps_json_kind(member(state, "lastUpdatedDateTimeUtc")), DPS_JSON_STRING);
    CHECK_EQUAL(dps_json_kind(member(state, "etag")), DPS_JSON_STRING);
    CHECK_EQUAL(dps_json_kind(member(state, "substatus")), DPS_JSON_STRING);
    CHECK_EQUAL(read_text(member(state, "deviceId"), held.device_id, sizeof held.device_id), 0);
    CHECK_EQUAL(read_text(member(state, "assignedHub"), held.hub, sizeof held.hub), 0);
    return open_key(member(member(state, "tpm"), "authenticationKey"), held.key);
}

/* iis demands errorCode and message of every refusal; cs divides the code by 1000. */
static int read_error(unsigned status, unsigned code)
{
    uint64_t number;
    char line[64];
    CHECK_EQUAL(check_form(status), 0);
    const struct bytes root = answer_json();
    CHECK_EQUAL(dps_json_uint(member(root, "errorCode"), 999999, &number), 0);
    CHECK(number == code && number / 1000 == status);
    CHECK_EQUAL(dps_json_kind(member(root, "message")), DPS_JSON_STRING);
    CHECK_EQUAL(dps_json_kind(member(root, "timestampUtc")), DPS_JSON_STRING);
    snprintf(line, sizeof line, "\r\nx-ms-error-code: %u\r\n", code);
    CHECK(head_has(line));
    CHECK_EQUAL(read_text(member(root, "trackingId"), line, sizeof line), 0);
    CHECK(strlen(line) == 36 && memcmp(line, f.answer.tracking_id, 36) == 0);
    char header[96];
    snprintf(header, sizeof header, "\r\nx-ms-request-id: %s\r\n", line);
    CHECK(head_has(header));
    return 0;
}

/* ---- A conversation ---------------------------------------------------------------------------------- */

static void sign_registration(const struct client *c)
{
    uint8_t audience[512];
    struct bytes_writer sr = bytes_writer_over(audience, sizeof audience);
    struct bytes_writer token = bytes_writer_over(held.token, sizeof held.token);
    char text[256];
    snprintf(text, sizeof text, FLOW_SCOPE "/registrations/%s", c->id);
    encode(&sr, bytes_of_text(text), c->sr);
    write_token(&token, c, bytes_written(&sr), bytes_of(held.key, sizeof held.key), c->skn);
    held.token_len = token.len;
}

static struct bytes first_body(const struct client *c)
{
    static uint8_t body[4096];
    struct bytes_writer w = bytes_writer_over(body, sizeof body);
    write_first_body(&w, c);
    return bytes_written(&w);
}

static void put_first(const struct client *c)
{
    memset(&held, 0, sizeof held);
    ask(c, "PUT", "/register", first_body(c));
}

static void put_signed(const struct client *c)
{
    ask(c, "PUT", "/register", c->second_body != NULL ? bytes_of_text(c->second_body) : first_body(c));
}

static void poll(const struct client *c)
{
    char tail[160];
    snprintf(tail, sizeof tail, "/operations/%.*s", (int)held.operation_len, (const char *)held.operation);
    ask(c, "GET", tail, bytes_of_text(c->poll_body));
}

static int provision(const struct client *c)
{
    put_first(c);
    CHECK_EQUAL(read_challenge(), 0);
    sign_registration(c);
    f.now += c->poll_delay;
    put_signed(c);
    CHECK_EQUAL(read_assigning(), 0);
    f.now += c->poll_delay;
    poll(c);
    CHECK_EQUAL(read_assigned(), 0);
    return 0;
}

/* Step 10 as this client does it: {hub}/devices/{deviceId}, without skn. */
static void ask_hub(const struct client *c, const char *method, const char *tail, const char *headers,
                    struct bytes body)
{
    uint8_t request[2048];
    uint8_t audience[768];
    uint8_t id[512];
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    struct bytes_writer sr = bytes_writer_over(audience, sizeof audience);
    struct bytes_writer once = bytes_writer_over(id, sizeof id);
    encode(&once, bytes_of_text(held.device_id), c->hub_id_twice ? c->hub_sr : &none);
    encode(&sr, bytes_of_text(held.hub), c->hub_sr);
    encode(&sr, bytes_of_text("/devices/"), c->hub_sr);
    encode(&sr, bytes_written(&once), c->hub_sr);
    dps_write_text(&w, method);
    dps_write_text(&w, " /devices/");
    encode(&w, bytes_of_text(held.device_id), &node); /* a path can hold it in no other way */
    dps_write_text(&w, tail);
    dps_write_text(&w, "?api-version=2021-04-12 HTTP/1.1\r\nHost: ");
    dps_write_text(&w, held.hub);
    dps_write_text(&w, "\r\nAuthorization: ");
    write_token(&w, c, bytes_written(&sr), bytes_of(held.key, sizeof held.key), NULL);
    dps_write_text(&w, "\r\n");
    dps_write_text(&w, headers);
    dps_write_text(&w, "\r\n");
    bytes_write_bytes(&w, body);
    flow_ask(&f, request, w.error == 0 ? w.len : 0);
}

static int send_telemetry(const struct client *c)
{
    ask_hub(c, "POST", "/messages/events", "Content-Length: 5\r\n", bytes_of_text("hello"));
    return check_form(204);
}

/* First time, again, and to the hub. */
static int whole_conversation(const struct client *c)
{
    char more[128];
    snprintf(more, sizeof more, ",\"deviceId\":\"%s\",\"iotHubs\":[\"" HUB "\"]", c->device_id);
    CHECK_EQUAL(make_device(c->directory, more), 0);
    CHECK_EQUAL(provision(c), 0);
    CHECK(strcmp(held.device_id, c->device_id) == 0 && strcmp(held.hub, HUB) == 0);
    CHECK_EQUAL(send_telemetry(c), 0);
    CHECK_EQUAL(provision(c), 0);
    CHECK_EQUAL(send_telemetry(c), 0);
    flow_close(&f);
    return 0;
}

/* ---- The clients ------------------------------------------------------------------------------------- */

#define JSON_HEADERS "Accept: application/json\r\nContent-Type: application/json; charset=utf-8\r\n"
#define AGAIN NULL

static const struct client client_c = {
    .directory = "client-c",
    .api_version = "2021-06-01",
    .query = "",
    .headers = "Host: " FLOW_HOST ":443\r\nUserAgent: prov_device_client/1.0\r\n" JSON_HEADERS
               "Connection: keep-alive\r\n",
    .authorization = "Authorization",
    .id = ID,
    .path = &c_shared,
    .sr = &c_shared,
    .sig = &c_shared,
    .hub_sr = &none,
    .device_id = DEVICE_ID,
    .lifetime = 2400,
    .poll_delay = 1,
    .skn = "registration",
    .slash = "\\/", /* its JSON library escapes them */
    .padding = "=",
    .payload = "",
    .second_body = AGAIN,
    .poll_body = "",
};

static const struct client client_node = {
    .directory = "client-node",
    .api_version = "2019-03-31",
    .query = "&forceRegistration=true",
    .headers = "Accept: application/json\r\nContent-Type: application/json; charset=utf-8\r\n"
               "Request-Id: abb6432c-fe59-4e53-ad55-1ca44d2754b8\r\n"
               "User-Agent: azure-iot-provisioning-device/1.9.1\r\nHost: " FLOW_HOST
               "\r\nConnection: keep-alive\r\n",
    .authorization = "Authorization",
    .id = ID,
    .path = &none,
    .sr = &node,
    .sig = &node,
    .hub_sr = &node,
    .device_id = DEVICE_ID,
    .lifetime = 3600,
    .poll_delay = 2,
    .skn = "registration",
    .slash = "/",
    .padding = "=",
    .payload = ",\"payload\":{\"model\":\"x\",\"list\":[1,null,true]}",
    .second_body = AGAIN,
    .poll_body = "{}",
};

static const struct client client_cs = {
    .directory = "client-cs",
    .api_version = "2019-03-31",
    .query = "",
    .headers = "Host: " FLOW_HOST "\r\nUser-Agent: .NET/1.19.2 (.NET 6.0.1; Linux; X64)\r\n"
               "accept: application/json\r\nContent-Type: application/json; charset=utf-8\r\n",
    .authorization = "Authorization",
    .id = ID,
    .path = &dotnet,
    .sr = &dotnet,
    .sig = &dotnet,
    .hub_sr = &dotnet,
    .device_id = DEVICE_ID,
    .hub_id_twice = true,
    .lifetime = 86400,
    .poll_delay = 2,
    .skn = "registration",
    .slash = "/",
    .padding = "=",
    .payload = ",\"payload\":null",
    .second_body = AGAIN,
    .poll_body = "",
};

static const struct client client_java = {
    .directory = "client-java",
    .api_version = "2019-03-31",
    .query = "",
    .headers = "authority: x\r\nhost: " FLOW_HOST ":443\r\naccept: application/json\r\n"
               "content-type: application/json; charset=utf-8\r\nuser-agent: com.microsoft.azure.sdk\r\n",
    .authorization = "authorization",
    .id = ID,
    .path = &none,
    .sr = &none,
    .sig = &java,
    .hub_sr = &java,
    .device_id = DEVICE_ID,
    .lifetime = 3600,
    .poll_delay = 5,
    .skn = "",
    .slash = "/",
    .padding = "\\u003d", /* Gson escapes what HTML gives a meaning */
    .payload = ",\"payload\":\"{\\\"model\\\":\\\"x\\\"}\"",
    .second_body = AGAIN,
    .poll_body = "",
};

/* It makes one token of 30 seconds, and its first poll comes five seconds later, on a slow line later
 * still. */
static const struct client client_iis = {
    .directory = "client-iis",
    .api_version = "2021-06-01",
    .query = "",
    .headers = "content-type: application/json\r\nuser-agent: aziot-identityd/1.4\r\nhost: " FLOW_HOST "\r\n",
    .authorization = "authorization",
    .id = "Lab:Dev-1",
    .path = &none,
    .sr = &iis,
    .sig = &iis_sig,
    .hub_sr = &iis,
    .device_id = "Boiler+7#(a)", /* it leaves '%' as it is, which no service could decode */
    .lifetime = 30,
    .poll_delay = 40,
    .skn = "registration",
    .slash = "/",
    .padding = "=",
    .payload = "",
    .second_body = "{\"registrationId\":\"Lab:Dev-1\"}",
    .poll_body = "",
};

static int c_whole(void)
{
    return whole_conversation(&client_c);
}
static int node_whole(void)
{
    return whole_conversation(&client_node);
}
static int cs_whole(void)
{
    return whole_conversation(&client_cs);
}
static int java_whole(void)
{
    return whole_conversation(&client_java);
}
static int iis_whole(void)
{
    return whole_conversation(&client_iis);
}

/* ---- One quirk at a time ----------------------------------------------------------------------------- */

static int c_lower_case_hex(void)
{
    CHECK_EQUAL(make_device("c-hex", ""), 0);
    CHECK_EQUAL(provision(&client_c), 0);
    held.token[held.token_len] = 0;
    CHECK(strstr((const char *)held.token, "%2fregistrations%2flab%3adev-1&sig=") != NULL);
    CHECK(strstr((const char *)held.token, "%3d&se=") != NULL);
    flow_close(&f);
    return 0;
}

/* c asks again for ever if a challenge answers a bad token. */
static int c_bad_token_is_no_challenge(void)
{
    CHECK_EQUAL(make_device("c-bad", ""), 0);
    put_first(&client_c);
    CHECK_EQUAL(read_challenge(), 0);
    held.key[0] ^= 1;
    sign_registration(&client_c);
    put_signed(&client_c);
    CHECK_EQUAL(read_error(401, 401002), 0);
    CHECK_EQUAL(member(answer_json(), "authenticationKey").len, 0);
    flow_close(&f);
    return 0;
}

static int iis_second_put_with_null(void)
{
    struct client c = client_iis;
    c.second_body = "{\"registrationId\":null,\"tpm\":null}";
    CHECK_EQUAL(make_device("iis-null", ""), 0);
    CHECK_EQUAL(provision(&c), 0);
    flow_close(&f);
    return 0;
}

/* The grace ends after ten minutes. */
static int iis_token_grace(void)
{
    CHECK_EQUAL(make_device("iis-grace", ""), 0);
    CHECK_EQUAL(provision(&client_iis), 0);
    f.now += 500;
    poll(&client_iis);
    CHECK_EQUAL(check_form(200), 0);
    f.now += 200;
    poll(&client_iis);
    CHECK_EQUAL(read_error(401, 401006), 0);
    flow_close(&f);
    return 0;
}

/* c after its network failed: it begins again, and again, and each challenge is valid. */
static int c_begins_again(void)
{
    uint8_t first[DPS_KEY_SIZE];
    CHECK_EQUAL(make_device("c-again", ""), 0);
    put_first(&client_c);
    CHECK_EQUAL(read_challenge(), 0);
    memcpy(first, held.key, sizeof first);
    put_first(&client_c);
    CHECK_EQUAL(read_challenge(), 0);
    memcpy(held.key, first, sizeof first);
    sign_registration(&client_c);
    put_signed(&client_c);
    CHECK_EQUAL(read_assigning(), 0);
    poll(&client_c);
    CHECK_EQUAL(read_assigned(), 0);
    poll(&client_c); /* the answer was lost */
    CHECK_EQUAL(read_assigned(), 0);
    CHECK_EQUAL(held.device_id, ID);
    flow_close(&f);
    return 0;
}

static int api_versions(void)
{
    static const char *const good[] = {
        "2017-11-15", "2018-04-01", "2018-09-01-preview", "2018-11-01", "2019-03-31",
        "2021-06-01", "2021-10-01", "2025-07-01-preview", "2026-11-01", "2026-11-01-Preview",
    };
    static const char *const bad[] = {"", "2017-08-31-preview", "2019-03-31x", "2019/03/31", "1.0", "latest"};
    struct client c = client_node;
    CHECK_EQUAL(make_device("versions", ""), 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        c.api_version = good[i];
        CHECK_EQUAL(provision(&c), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        c.api_version = bad[i];
        put_first(&c);
        CHECK_EQUAL(read_error(400, 400003), 0);
    }
    flow_close(&f);
    return 0;
}

/* Raw requests that stand for one and the same resource. */
static int routes(void)
{
    static const char *const targets[] = {
        "/" FLOW_SCOPE "/registrations/" ID "/register?api-version=2019-03-31",
        "/" FLOW_SCOPE "/registrations/" ID "/register/?api-version=2019-03-31",
        "//" FLOW_SCOPE "//registrations/" ID "/register?api-version=2019-03-31",
        "/0NE00000a0a/Registrations/LAB:DEV-1/Register?API-Version=2019-03-31",
        "/" FLOW_SCOPE
        "/registrations/lab%3adev-1/register?x=1&api-version=2019-03-31&forceRegistration=true",
        "/" FLOW_SCOPE "/registrations/lab%3Adev%2D1/%72egister?api-version=2019-03-31&forceRegistration=",
        "https://" FLOW_HOST ":443/" FLOW_SCOPE "/registrations/" ID "/register?api-version=2019-03-31",
    };
    static uint8_t request[4096];
    CHECK_EQUAL(make_device("routes", ""), 0);
    const struct bytes body = first_body(&client_node);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct bytes_writer w = bytes_writer_over(request, sizeof request);
        dps_write_text(&w, "PUT ");
        dps_write_text(&w, targets[i]);
        dps_write_text(&w, " HTTP/1.1\r\nhOsT: " FLOW_HOST "\r\nCONTENT-LENGTH: ");
        dps_write_decimal(&w, body.len);
        dps_write_text(&w, "\r\n\r\n");
        bytes_write_bytes(&w, body);
        flow_ask(&f, request, w.len);
        CHECK_EQUAL(read_challenge(), 0);
    }
    flow_close(&f);
    return 0;
}

/* An encoded slash is part of a name and not a separator. */
static int encoded_slash(void)
{
    static const char request[] = "PUT /" FLOW_SCOPE "%2fregistrations%2f" ID
                                  "%2fregister?api-version=2019-03-31 HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char inside[] = "PUT /" FLOW_SCOPE "/registrations/a%2Fb/register?api-version=2019-03-31"
                                 " HTTP/1.1\r\nHost: x\r\n\r\n";
    CHECK_EQUAL(make_device("slash", ""), 0);
    flow_ask(&f, request, sizeof request - 1);
    CHECK_EQUAL(read_error(404, 404001), 0);
    flow_ask(&f, inside, sizeof inside - 1);
    CHECK_EQUAL(read_error(400, 400005), 0);
    flow_close(&f);
    return 0;
}

static int registration_id_in_any_case(void)
{
    struct client c = client_node;
    c.id = "LAB:Dev-1";
    CHECK_EQUAL(make_device("case", ""), 0);
    CHECK_EQUAL(provision(&c), 0);
    c.id = "lab:DEV-1";
    CHECK_EQUAL(provision(&c), 0);
    CHECK(dps_json_string_is(member(member(answer_json(), "registrationState"), "substatus"),
                             "reprovisionedToInitialAssignment"));
    c.payload =
        ",\"RegistrationId\":\"other\""; /* names of members, unlike their values, are case-sensitive */
    CHECK_EQUAL(provision(&c), 0);
    c.id = "other:dev";
    put_first(&c);
    CHECK_EQUAL(read_error(404, 404201), 0);
    flow_close(&f);
    return 0;
}

static int any_payload(void)
{
    static const char *const payloads[] = {
        "",
        ",\"payload\":{}",
        ",\"payload\":\"{\\\"a\\\":1}\"",
        ",\"payload\":[1,2]",
        ",\"payload\":17.5e3",
        ",\"payload\":null",
        ",\"csr\":\"MIIB\",\"unknown\":{\"tpm\":{}}",
    };
    struct client c = client_java;
    CHECK(make_device("payload", ",\"payload\":{\"from\":\"the enrollment\"}") == 0);
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        c.payload = payloads[i];
        CHECK_EQUAL(provision(&c), 0);
        const struct bytes back = member(member(answer_json(), "registrationState"), "payload");
        CHECK(bytes_equal_public(back, bytes_of_text("{\"from\":\"the enrollment\"}")));
    }
    flow_close(&f);
    return 0;
}

/* Pairs of a token in any order, unknown ones, and the scheme in any case: what a hand-made client sends. */
static int token_in_any_order(void)
{
    static const char *const forms[] = {
        "SharedAccessSignature skn=registration&se=%s&sig=%s&sr=%s",
        "sharedaccesssignature se=%s&sig=%s&sr=%s&skn=",
        "SharedAccessSignature se=%s&x=y&sig=%s&&sr=%s",
    };
    CHECK_EQUAL(make_device("order", ""), 0);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct dps_sas sas;
        char pieces[3][256];
        char token[1024];
        put_first(&client_c);
        CHECK_EQUAL(read_challenge(), 0);
        sign_registration(&client_c);
        CHECK_EQUAL(dps_sas_parse(bytes_of(held.token, held.token_len), &sas), 0);
        const char *sig = strstr((const char *)held.token, "sig=") + 4;
        snprintf(pieces[0], sizeof pieces[0], "%.*s", (int)sas.se.len, (const char *)sas.se.p);
        snprintf(pieces[1], sizeof pieces[1], "%.*s", (int)strcspn(sig, "&"), sig);
        snprintf(pieces[2], sizeof pieces[2], "%.*s", (int)sas.sr.len, (const char *)sas.sr.p);
        snprintf(token, sizeof token, forms[i], pieces[0], pieces[1], pieces[2]);
        memcpy(held.token, token, strlen(token));
        held.token_len = strlen(token);
        put_signed(&client_c);
        CHECK_EQUAL(read_assigning(), 0);
    }
    flow_close(&f);
    return 0;
}

/* Whatever goes wrong, the form of the answer is the same. */
static int every_refusal_has_one_form(void)
{
    struct client c = client_node;
    CHECK_EQUAL(make_device("refusals", ""), 0);
    c.id = "nobody";
    put_first(&c);
    CHECK_EQUAL(read_error(404, 404201), 0);
    c.id = "bad id";
    c.path = &node;
    put_first(&c);
    CHECK_EQUAL(read_error(400, 400005), 0);
    ask(&client_node, "POST", "/register", first_body(&client_node));
    CHECK_EQUAL(read_error(405, 405001), 0);
    ask(&client_node, "PUT", "/register", bytes_of_text("no json"));
    CHECK_EQUAL(read_error(400, 400002), 0);
    ask(&client_node, "PUT", "/register", bytes_of_text("{\"registrationId\":\"" ID "\"}"));
    CHECK_EQUAL(read_error(400, 400004), 0);
    ask(&client_node, "GET", "/operations/1.00", bytes_of_text("{}"));
    CHECK_EQUAL(read_error(401, 401004), 0);
    ask(&client_node, "GET", "/elsewhere", bytes_of_text(""));
    CHECK_EQUAL(read_error(404, 404001), 0);
    CHECK(flow_enroll(&f, ID, bytes_of(ek, ek_len), ",\"provisioningStatus\":\"disabled\"") == 0);
    put_first(&client_node);
    CHECK_EQUAL(read_error(403, 403201), 0);
    flow_close(&f);
    return 0;
}

/* ---- Lookup ------------------------------------------------------------------------------------------ */

/* The command line tool sends {"registrationId":...}; the swagger allows an empty body. */
static int cli_looks_up(void)
{
    CHECK(make_device("lookup", ",\"payload\":{\"a\":1}") == 0);
    memset(&held, 0, sizeof held);
    ask(&client_node, "POST", "", bytes_of_text("{\"registrationId\":\"LAB:dev-1\"}"));
    CHECK_EQUAL(read_error(401, 401004), 0);
    CHECK_EQUAL(provision(&client_node), 0);
    for (int with_body = 0; with_body < 2; with_body++) {
        ask(&client_node, "POST", with_body ? "/" : "",
            bytes_of_text(with_body ? "{\"registrationId\":\"LAB:dev-1\"}" : ""));
        CHECK_EQUAL(check_form(200), 0);
        const struct bytes root = answer_json();
        CHECK(dps_json_string_is(member(root, "registrationId"), ID));
        CHECK(dps_json_string_is(member(root, "status"), "assigned"));
        CHECK(dps_json_string_is(member(root, "substatus"), "initialAssignment"));
        CHECK(member(root, "payload").len > 0 && member(root, "etag").len > 0);
        CHECK_EQUAL(member(root, "tpm").len, 0);
    }
    ask(&client_node, "POST", "", bytes_of_text("{\"registrationId\":\"other\"}"));
    CHECK_EQUAL(read_error(400, 400005), 0);
    ask(&client_node, "POST", "", bytes_of_text("[]"));
    CHECK_EQUAL(read_error(400, 400002), 0);
    ask(&client_node, "GET", "", bytes_of_text(""));
    CHECK_EQUAL(read_error(405, 405001), 0);
    flow_close(&f);
    return 0;
}

static int lookup_is_for_the_token_that_made_it(void)
{
    CHECK_EQUAL(make_device("lookup-token", ""), 0);
    put_first(&client_node);
    CHECK_EQUAL(read_challenge(), 0);
    sign_registration(&client_node);
    ask(&client_node, "POST", "", bytes_of_text("")); /* not registered yet */
    CHECK_EQUAL(read_error(404, 404201), 0);
    put_signed(&client_node);
    CHECK_EQUAL(read_assigning(), 0);
    ask(&client_node, "POST", "", bytes_of_text(""));
    CHECK_EQUAL(check_form(200), 0);
    held.key[31] ^= 1;
    sign_registration(&client_node);
    ask(&client_node, "POST", "", bytes_of_text(""));
    CHECK_EQUAL(read_error(401, 401002), 0);
    held.key[31] ^= 1;
    sign_registration(&client_node);
    CHECK(flow_enroll(&f, ID, bytes_of(ek, ek_len), ",\"provisioningStatus\":\"disabled\"") == 0);
    ask(&client_node, "POST", "", bytes_of_text(""));
    CHECK_EQUAL(read_error(403, 403201), 0);
    flow_close(&f);
    return 0;
}

/* ---- The hub ----------------------------------------------------------------------------------------- */

static int node_hub_headers_and_chunks(void)
{
    CHECK_EQUAL(make_device("hub-node", ""), 0);
    CHECK_EQUAL(provision(&client_node), 0);
    ask_hub(&client_node, "POST", "/messages/events",
            "iothub-to: /devices/x/messages/events\r\niothub-app-k: v\r\nIoTHub-MessageId: m1\r\n"
            "User-Agent: azure-iot-device/1.18.4 (node v20.20.2; Debian 12; x64)\r\n"
            "Transfer-Encoding: chunked\r\n",
            bytes_of_text("5\r\nhello\r\n0\r\n\r\n"));
    CHECK_EQUAL(check_form(204), 0);
    ask_hub(&client_node, "POST", "/messages/events",
            "Content-Type: application/vnd.microsoft.iothub.json\r\nContent-Length: 16\r\n",
            bytes_of_text("[{\"body\":\"YQ==\"}]"));
    CHECK_EQUAL(check_form(204), 0);
    flow_close(&f);
    return 0;
}

/* A client that also listens asks now and then whether there is a message for it. */
static int node_hub_poll(void)
{
    CHECK_EQUAL(make_device("hub-poll", ""), 0);
    CHECK_EQUAL(provision(&client_node), 0);
    ask_hub(&client_node, "GET", "/messages/devicebound", "", bytes_of_text(""));
    CHECK_EQUAL(check_form(204), 0);
    held.key[0] ^= 1;
    ask_hub(&client_node, "GET", "/messages/devicebound", "", bytes_of_text(""));
    CHECK_EQUAL(read_error(401, 401001), 0);
    ask_hub(&client_node, "POST", "/messages/devicebound", "", bytes_of_text(""));
    CHECK_EQUAL(read_error(405, 405001), 0);
    ask_hub(&client_node, "GET", "/messages/events", "", bytes_of_text(""));
    CHECK_EQUAL(read_error(405, 405001), 0);
    ask_hub(&client_node, "GET", "/messages", "", bytes_of_text(""));
    CHECK_EQUAL(read_error(404, 404001), 0);
    flow_close(&f);
    return 0;
}

static int hub_with_port_and_case(void)
{
    CHECK(make_device("hub-port", ",\"iotHubs\":[\"Hub-A.example\"]") == 0);
    CHECK_EQUAL(provision(&client_node), 0);
    CHECK_EQUAL(held.hub, HUB);
    strcpy(held.hub,
           "HUB-A.Example:443"); /* as Host; and then the audience has the port, which no client does */
    CHECK(send_telemetry(&client_node) != 0);
    CHECK_EQUAL(read_error(401, 401001), 0);
    strcpy(held.hub, "HUB-A.Example");
    CHECK_EQUAL(send_telemetry(&client_node), 0);
    flow_close(&f);
    return 0;
}

/* A token for one device is refused for any other, however it is encoded. */
static int hub_token_of_another_device(void)
{
    static const char *const others[] = {"Boiler+7%#(b)", "Boiler 7%#(a)", "boiler%2B7%25#(a)", "lab:dev-1"};
    CHECK(make_device("hub-other", ",\"deviceId\":\"" DEVICE_ID "\"") == 0);
    CHECK_EQUAL(provision(&client_cs), 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        strcpy(held.device_id, others[i]);
        ask_hub(&client_cs, "POST", "/messages/events", "", bytes_of_text(""));
        CHECK_EQUAL(read_error(401, 401001), 0);
    }
    flow_close(&f);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"c: Host with port, header UserAgent, escaped slashes in JSON, hub audience unencoded", c_whole},
        {"c: lower-case percent-hex in sr and sig", c_lower_case_hex},
        {"c: a bad token gets an error and no new challenge", c_bad_token_is_no_challenge},
        {"c: begins again before the first challenge is used; polls twice", c_begins_again},
        {"node: forceRegistration=true, path unencoded, sr upper-case, GET with a body {}", node_whole},
        {"cs: a token for a day, deviceId encoded twice for the hub, payload null", cs_whole},
        {"java: sr not encoded, skn empty, lower-case headers, payload as a string, \\u003d in base64",
         java_whole},
        {"iis: sr lower-cased, 30 s token reused for polling, second PUT without tpm object", iis_whole},
        {"iis: an expired token may still poll, but not for long", iis_token_grace},
        {"second PUT with null for what is left out", iis_second_put_with_null},
        {"api-versions from 2017-11-15 to the newest, preview or not", api_versions},
        {"routes: trailing and doubled slashes, cases, escapes, absolute form, odd header names", routes},
        {"routes: an encoded slash separates nothing", encoded_slash},
        {"registrationId in any case, in path, body and token", registration_id_in_any_case},
        {"payload of any kind; unknown members", any_payload},
        {"token: pairs in any order, unknown pairs, scheme in any case", token_in_any_order},
        {"errors: int errorCode that begins with the status, x-ms-error-code, trackingId; the connection "
         "stays",
         every_refusal_has_one_form},
        {"cli: looks its registration up", cli_looks_up},
        {"lookup: for the token that made the registration, and not when disabled",
         lookup_is_for_the_token_that_made_it},
        {"node: hub headers, chunked and batched telemetry", node_hub_headers_and_chunks},
        {"node: polls for messages", node_hub_poll},
        {"hub: its name in any case", hub_with_port_and_case},
        {"hub: a token for another device", hub_token_of_another_device},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
