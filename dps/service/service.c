/* SPDX-License-Identifier: MIT */
/* The service side of the flow: steps 5, 6 and 9, top to bottom. Every request comes in through front_door.c; the hub
 * of step 10 stands in hub.c. */
#include "dps/service/service.h"
#include "crypto/crypto.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/activation_make.h"
#include "dps/service/allocation.h"
#include "dps/service/answer.h"
#include "dps/service/enrollment.h"
#include "dps/service/hub_registry.h"
#include "dps/service/memory.h"
#include "dps/service/records.h"
#include "dps/service/registration.h"
#include "dps/service/request.h"
#include "dps/service/run.h"
#include "dps/service/state.h"
#include <string.h>

#define POLL_GRACE 300 /* a token may be this much later when the operation is asked for, seconds */
#define RETRY_AFTER 0  /* the assignment is complete when we say "assigning": it may be fetched at once */

/* One request of a device, and what has been learned from it so far. */
struct registering {
    const struct dps_request *request;
    uint8_t id[DPS_REGISTRATION_ID_MAX]; /* registrationId, lower case */
    size_t id_len;
    struct dps_sas token;
    bool has_token;
    bool keys_left_out;
    uint8_t ek_bytes[DPS_EK_PUBLIC_MAX]; /* EK_pub as the device gives it; empty: not given */
    size_t ek_len;
    uint8_t srk_bytes[DPS_SRK_PUBLIC_MAX]; /* SRK_pub, likewise */
    size_t srk_len;
    struct tpm2_public ek, srk;
    uint8_t ek_name[TPM2_NAME_SIZE], srk_name[TPM2_NAME_SIZE];
    struct dps_enrollment enrollment;
    struct dps_registration registration; /* the last one, if any */
    uint64_t registration_version;        /* 0: there is none */
    uint32_t proved_epoch;                /* secret and challenge of the nonce that signed the token */
    uint8_t proved_challenge[CRYPTO_SHA256_SIZE];
};

static enum dps_refusal register_device(struct dps_service *s, struct registering *r, struct dps_answer *a);
static enum dps_refusal read_keys(struct registering *r);
static enum dps_refusal check_ek(struct registering *r);
static enum dps_refusal check_srk(const struct dps_service *s, struct registering *r);
static void recall_srk(struct dps_service *s, struct registering *r);
static enum dps_refusal ration_challenge(struct dps_service *s, const struct registering *r,
                                         struct dps_answer *a);
static enum dps_refusal challenge(struct dps_service *s, const struct registering *r, struct dps_answer *a);
static enum dps_refusal check_token(struct dps_service *s, struct registering *r);
static enum dps_refusal assign(struct dps_service *s, struct registering *r, struct dps_answer *a);
static enum dps_refusal operation_status(struct dps_service *s, struct registering *r, struct bytes operation,
                                         struct dps_answer *a);
static enum dps_refusal look_up(struct dps_service *s, struct registering *r, struct dps_answer *a);

static struct bytes id_of(const struct registering *r)
{
    return bytes_of(r->id, r->id_len);
}

static bool is_registered(const struct registering *r)
{
    return r->registration_version != 0 && !r->registration.deleted;
}

/* For the log: which EK was shown, whatever the answer is. */
static void note_ek(const struct registering *r, struct dps_answer *a)
{
    const struct bytes ek = bytes_of(r->ek_bytes, r->ek_len);
    a->has_ek = ek.len > 0;
    if (a->has_ek) {
        crypto_sha256(&ek, 1, a->ek_digest);
    }
}

/* Steps 5, 6 and 9: one registration request, one answer. Nothing is written about a device unless it has proved
 * itself, and no RSA work is done for an EK that is not enrolled. */
static enum dps_refusal register_device(struct dps_service *s, struct registering *r, struct dps_answer *a)
{
    enum dps_refusal no = read_keys(r);
    uint64_t version;
    note_ek(r, a);

    /* Step 5: known, enabled, the enrolled EK, and an SRK that cannot leave a TPM, hardened if that is demanded. Whose
     * SRK it is, and who owns the TPM, is not checked. */
    if (no == DPS_ACCEPTED) {
        no = dps_load_enrollment(s, id_of(r), &r->enrollment, &version);
    }
    if (no == DPS_ACCEPTED && !r->enrollment.enabled) {
        no = DPS_REFUSED_DISABLED;
    }
    if (no == DPS_ACCEPTED) {
        no = check_ek(r);
    }
    if (no == DPS_ACCEPTED) {
        no = dps_load_registration(s, id_of(r), &r->registration, &r->registration_version);
    }
    if (no == DPS_ACCEPTED && r->keys_left_out) {
        recall_srk(s, r);
    }
    if (no == DPS_ACCEPTED) {
        no = check_srk(s, r);
    }
    if (no != DPS_ACCEPTED) {
        return no;
    }

    /* Step 6: no token yet, so here is the challenge. The nonce is derived, not stored (spec-notes.md, "No state before
     * proof"). */
    if (!r->has_token) {
        no = ration_challenge(s, r, a);
        return no != DPS_ACCEPTED ? no : challenge(s, r, a);
    }

    /* Step 9: the token is signed with a nonce that only this EK and this SRK together could open. */
    no = check_token(s, r);
    return no != DPS_ACCEPTED || r->request->proves_only ? no : assign(s, r, a);
}

/* ---- The request of step 4 ----------------------------------------------------------------------------- */

/* Some clients send null for a member that they leave out: absent and null are the same. */
static int optional(struct bytes object, const char *name, struct bytes *value)
{
    const int error = dps_json_member(object, name, value);
    return error == 0 && dps_json_kind(*value) == DPS_JSON_NULL ? BYTES_E_NOT_FOUND : error;
}

/* The body's registrationId, if it has one, must be the path's. */
static enum dps_refusal check_body_id(const struct registering *r, struct bytes root)
{
    struct bytes value;
    uint8_t text[DPS_REGISTRATION_ID_MAX];
    size_t len;
    const int error = optional(root, "registrationId", &value);
    if (error == BYTES_E_NOT_FOUND) {
        return DPS_ACCEPTED;
    }
    if (error != 0 || dps_json_string(value, text, sizeof text, &len) != 0 ||
        !dps_text_equal_nocase(bytes_of(text, len), id_of(r))) {
        return DPS_REFUSED_REGISTRATION_ID;
    }
    return DPS_ACCEPTED;
}

static enum dps_refusal read_srk(struct registering *r, struct bytes tpm)
{
    struct bytes value;
    uint8_t base64[(DPS_SRK_PUBLIC_MAX + 2) / 3 * 4];
    size_t len;
    int error = optional(tpm, "storageRootKey", &value);
    if (error == BYTES_E_NOT_FOUND) {
        return DPS_ACCEPTED;
    }
    if (error == 0) {
        error = dps_json_string(value, base64, sizeof base64, &len);
    }
    if (error == 0) {
        error = dps_base64_decode(bytes_of(base64, len), r->srk_bytes, sizeof r->srk_bytes, &r->srk_len);
    }
    return error != 0 ? DPS_REFUSED_SRK_FORM : DPS_ACCEPTED;
}

static enum dps_refusal read_ek(struct registering *r, struct bytes tpm)
{
    struct bytes value;
    uint8_t base64[(DPS_EK_PUBLIC_MAX + 2) / 3 * 4];
    size_t len;
    int error = dps_json_member(tpm, "endorsementKey", &value);
    if (error == 0) {
        error = dps_json_string(value, base64, sizeof base64, &len);
    }
    if (error == 0) {
        error = dps_ek_from_base64(bytes_of(base64, len), r->ek_bytes, &r->ek_len, NULL);
    }
    return error != 0 ? DPS_REFUSED_EK_FORM : DPS_ACCEPTED;
}

/* {"registrationId":..., "tpm":{"endorsementKey":..., "storageRootKey":...}, "payload":...} */
static enum dps_refusal read_keys(struct registering *r)
{
    struct bytes root;
    struct bytes tpm;
    if (dps_json_check(r->request->body, &root) != 0 || dps_json_kind(root) != DPS_JSON_OBJECT) {
        return DPS_REFUSED_BODY;
    }
    enum dps_refusal no = check_body_id(r, root);
    if (no != DPS_ACCEPTED) {
        return no;
    }
    const int error = optional(root, "tpm", &tpm);
    if (error == 0) {
        no = read_ek(r, tpm);
        return no != DPS_ACCEPTED ? no : read_srk(r, tpm);
    }
    if (error != BYTES_E_NOT_FOUND) {
        return DPS_REFUSED_BODY;
    }
    if (!r->has_token) {
        return DPS_REFUSED_EK_FORM;
    }
    r->keys_left_out = true;
    return DPS_ACCEPTED;
}

/* ---- Step 5: the two keys ------------------------------------------------------------------------------ */

/* EK_pub equals the enrolled one, byte for byte of its canonical form. A second request may leave it out: the token
 * proves it. */
static enum dps_refusal check_ek(struct registering *r)
{
    const struct bytes enrolled = bytes_of(r->enrollment.ek, r->enrollment.ek_len);
    if (r->ek_len > 0 && !bytes_equal_public(bytes_of(r->ek_bytes, r->ek_len), enrolled)) {
        return DPS_REFUSED_EK;
    }
    if (tpm2_public_parse_2b(enrolled, &r->ek) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    tpm2_name_of(enrolled, r->ek_name);
    return DPS_ACCEPTED;
}

/* The device names its SRK, unauthenticated: unless the hardened one is demanded, software beside the TPM would name
 * the standard one and take the keys out by TPM2_Rewrap. */
static enum dps_refusal check_demand(const struct dps_service *s, const struct registering *r)
{
    const bool demanded = s->config->hardened_srk || r->enrollment.hardened_srk;
    return demanded && !dps_srk_is_hardened(&r->srk) ? DPS_REFUSED_SRK_STANDARD : DPS_ACCEPTED;
}

static enum dps_refusal check_srk(const struct dps_service *s, struct registering *r)
{
    const struct bytes whole = bytes_of(r->srk_bytes, r->srk_len);
    if (r->srk_len == 0) {
        return DPS_REFUSED_SRK_MISSING;
    }
    if (tpm2_public_parse_2b(whole, &r->srk) != 0 || r->srk.type != TPM2_ALG_RSA) {
        return DPS_REFUSED_SRK_FORM;
    }
    tpm2_name_of(whole, r->srk_name);
    const enum dps_refusal no = dps_srk_check(&r->srk);
    return no == DPS_ACCEPTED ? check_demand(s, r) : no;
}

/* ---- Step 6: the challenge ----------------------------------------------------------------------------- */

/* HMAC of the service secret over a label and length-prefixed fields: no two different lists of fields collide. */
static void derive(const struct dps_secret *secret, struct bytes_writer *fields, uint8_t out[32])
{
    const struct bytes text = bytes_written(fields);
    crypto_hmac_sha256(bytes_of(secret->key, sizeof secret->key), &text, 1, out);
}

/* What makes each challenge new: how often the device has registered, with the random bytes of the last time; in
 * which run the challenge is given, and when. */
static void derive_challenge(const struct dps_registration *last, const struct dps_run *run, uint64_t window,
                             uint8_t challenge[CRYPTO_SHA256_SIZE])
{
    uint8_t buffer[128];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_u64(&w, last->generation);
    bytes_write_2b(&w, bytes_of(last->random, last->random_len));
    bytes_write_2b(&w, bytes_of(run->name, sizeof run->name));
    bytes_write_u64(&w, window);
    const struct bytes text = bytes_written(&w);
    crypto_sha256(&text, 1, challenge);
}

/* The nonce. It depends on the device, both of its keys, and the challenge: so it is valid for this TPM under this
 * owner, once, and for a short time. */
static void derive_nonce(const struct dps_service *s, const struct dps_secret *secret,
                         const struct registering *r, const uint8_t challenge[CRYPTO_SHA256_SIZE],
                         uint8_t nonce[32])
{
    uint8_t buffer[512];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_2b(&w, bytes_of_text("tpm-dps registration nonce"));
    bytes_write_2b(&w, bytes_of_text(s->config->id_scope));
    bytes_write_2b(&w, id_of(r));
    bytes_write_2b(&w, bytes_of(r->ek_name, sizeof r->ek_name));
    bytes_write_2b(&w, bytes_of(r->srk_name, sizeof r->srk_name));
    bytes_write_2b(&w, bytes_of(challenge, CRYPTO_SHA256_SIZE));
    derive(secret, &w, nonce);
}

/* A registration that an earlier version stored has no random bytes, and keeps the key that it has. */
bool dps_hub_key(const struct dps_service *s, const struct dps_registration *r, uint8_t key[DPS_KEY_SIZE])
{
    uint8_t buffer[768];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_2b(&w, bytes_of_text("tpm-dps hub device key"));
    bytes_write_2b(&w, bytes_of_text(r->registration_id));
    bytes_write_2b(&w, bytes_of_text(r->hub));
    bytes_write_2b(&w, bytes_of_text(r->device_id));
    bytes_write_u64(&w, r->generation);
    if (r->random_len > 0) {
        bytes_write_2b(&w, bytes_of(r->random, r->random_len));
    }
    for (size_t i = 0; i < s->config->secret_count; i++) {
        if (s->config->secrets[i].epoch == r->secret_epoch) {
            derive(&s->config->secrets[i], &w, key);
            return true;
        }
    }
    return false;
}

/* Wrap a key to the device's SRK and then to its EK, as a JSON string. */
static enum dps_refusal write_blob(struct dps_service *s, const struct registering *r, const uint8_t key[32],
                                   struct bytes host, struct bytes id, struct bytes_writer *json)
{
    struct dps_activation_random random;
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    struct bytes_writer w = bytes_writer_over(blob, sizeof blob);
    if (s->entropy.fill(s->entropy.context, (uint8_t *)&random, sizeof random) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    dps_activation_make(&w, &r->ek, &r->srk, r->srk_name, key, host, id, &random);
    bytes_wipe(&random, sizeof random);
    dps_write_text(json, "\"");
    dps_write_base64(json, bytes_written(&w));
    dps_write_text(json, "\"");
    return w.error != 0 ? DPS_REFUSED_INTERNAL : DPS_ACCEPTED;
}

/* Challenges cost RSA work. EK_pub and registrationId are not secret: whoever knows only these is counted apart from
 * whoever names the SRK of the last registration, and cannot keep the device from coming back. */
static enum dps_refusal ration_challenge(struct dps_service *s, const struct registering *r,
                                         struct dps_answer *a)
{
    const struct dps_registration *last = &r->registration;
    const bool known =
        bytes_equal_public(bytes_of(r->srk_bytes, r->srk_len), bytes_of(last->srk, last->srk_len));
    return dps_ration(s, DPS_RATION_CHALLENGE, id_of(r), known, a);
}

/* 401 without "status", with the blob and the name of the key: that is what makes it a challenge to all clients. */
static enum dps_refusal challenge(struct dps_service *s, const struct registering *r, struct dps_answer *a)
{
    struct dps_runs runs;
    uint8_t name[CRYPTO_SHA256_SIZE];
    uint8_t nonce[DPS_KEY_SIZE];
    const struct dps_secret *secret = &s->config->secrets[s->config->secret_count - 1];
    enum dps_refusal no = dps_run_own(s, &runs);
    if (no == DPS_ACCEPTED) {
        no = dps_run_announce(s, &runs.run[0], a);
    }
    if (no != DPS_ACCEPTED) {
        return no;
    }
    derive_challenge(&r->registration, &runs.run[0], runs.run[0].window, name);
    derive_nonce(s, secret, r, name, nonce);
    a->status = 401;
    dps_write_text(&a->body, "{\"message\":\"Authorization required, resend request using supplied key\","
                             "\"authenticationKey\":");
    no = write_blob(s, r, nonce, bytes_of_text(s->config->host), id_of(r), &a->body);
    dps_write_text(&a->body, ",\"unencryptedAuthenticationKey\":null,\"keyName\":\"registration\"}");
    bytes_wipe(nonce, sizeof nonce);
    dps_hint_remember(s, id_of(r), bytes_of(r->srk_bytes, r->srk_len));
    return no;
}

/* ---- Step 9: the proof --------------------------------------------------------------------------------- */

/* {idScope}/registrations/{registrationId} */
static bool audience_is_right(const struct dps_service *s, const struct registering *r)
{
    uint8_t buffer[DPS_ID_SCOPE_MAX + sizeof "/registrations/" + DPS_REGISTRATION_ID_MAX];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    dps_write_text(&w, s->config->id_scope);
    dps_write_text(&w, "/registrations/");
    bytes_write_bytes(&w, id_of(r));
    return dps_sas_audience_is(&r->token, bytes_written(&w));
}

/* Is the token signed with the nonce of this challenge, under any secret that is still configured? */
static bool signed_with_nonce(const struct dps_service *s, struct registering *r,
                              const uint8_t challenge[CRYPTO_SHA256_SIZE])
{
    bool found = false;
    for (size_t i = 0; i < s->config->secret_count && !found; i++) {
        uint8_t nonce[DPS_KEY_SIZE];
        derive_nonce(s, &s->config->secrets[i], r, challenge, nonce);
        found = dps_sas_signed_with(&r->token, bytes_of(nonce, sizeof nonce));
        r->proved_epoch = s->config->secrets[i].epoch;
        bytes_wipe(nonce, sizeof nonce);
    }
    memcpy(r->proved_challenge, challenge, sizeof r->proved_challenge);
    return found;
}

/* A nonce is valid in its own window and in the next one. A run has given none in a window that the store does not
 * know of. */
static bool signed_in_run(const struct dps_service *s, struct registering *r, const struct dps_run *run)
{
    bool found = false;
    for (uint64_t age = 0; age < 2 && !found; age++) {
        uint8_t challenge[CRYPTO_SHA256_SIZE];
        const uint64_t window = dps_window(s) - age;
        derive_challenge(&r->registration, run, window, challenge);
        found = window <= run->window && signed_with_nonce(s, r, challenge);
    }
    return found;
}

/* The challenge is most likely our own; it may be another node's, or from before a restart. */
static enum dps_refusal check_signature(struct dps_service *s, struct registering *r)
{
    struct dps_runs runs;
    enum dps_refusal no = dps_run_own(s, &runs);
    if (no != DPS_ACCEPTED || signed_in_run(s, r, &runs.run[0])) {
        return no;
    }
    no = dps_runs_load(s, &runs);
    for (size_t i = 1; i < runs.count && no == DPS_ACCEPTED; i++) {
        if (signed_in_run(s, r, &runs.run[i])) {
            return DPS_ACCEPTED;
        }
    }
    return no != DPS_ACCEPTED ? no : DPS_REFUSED_TOKEN_SIGNATURE;
}

/* One client leaves the keys out of its second request. SRK_pub is then that of the last registration, or one that was
 * named a moment ago from the same address: the one that the token proves. */
static void recall_srk(struct dps_service *s, struct registering *r)
{
    const struct dps_registration *last = &r->registration;
    for (size_t n = 0; dps_hint_recall(s, id_of(r), n, r->srk_bytes, &r->srk_len); n++) {
        if (check_srk(s, r) == DPS_ACCEPTED && check_signature(s, r) == DPS_ACCEPTED) {
            return;
        }
    }
    if (last->srk_len > 0) {
        memcpy(r->srk_bytes, last->srk, last->srk_len);
        r->srk_len = last->srk_len;
    }
}

/* A bad token gets an error, never a new challenge, which clients would answer again, for ever. */
static enum dps_refusal check_token(struct dps_service *s, struct registering *r)
{
    if (!audience_is_right(s, r)) {
        return DPS_REFUSED_TOKEN_AUDIENCE;
    }
    enum dps_refusal no = dps_token_time(s, &r->token, 0);
    if (no == DPS_ACCEPTED) {
        no = check_signature(s, r);
    }
    /* To hear that its nonce was used already helps a device whose first answer was lost, and nobody else. */
    return no == DPS_REFUSED_TOKEN_SIGNATURE && signed_with_nonce(s, r, r->registration.challenge)
               ? DPS_REFUSED_TOKEN_REPLAYED
               : no;
}

/* ---- Step 9: the assignment ---------------------------------------------------------------------------- */

/* An operation's name is derived from what it made: unique, and nothing to store. */
static void write_operation_id(struct bytes_writer *w, const struct dps_service *s,
                               const struct dps_registration *made)
{
    uint8_t buffer[256];
    uint8_t mac[32];
    struct bytes_writer fields = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_2b(&fields, bytes_of_text("tpm-dps operation"));
    bytes_write_2b(&fields, bytes_of_text(made->registration_id));
    bytes_write_u64(&fields, made->generation);
    bytes_write_2b(&fields, bytes_of(made->random, made->random_len));
    memset(mac, 0, sizeof mac);
    for (size_t i = 0; i < s->config->secret_count; i++) {
        if (s->config->secrets[i].epoch == made->secret_epoch) {
            derive(&s->config->secrets[i], &fields, mac);
        }
    }
    dps_write_decimal(w, made->generation);
    dps_write_text(w, ".");
    dps_write_hex(w, bytes_of(mac, 16));
}

/* The deviceId: the enrollment's, or else the registrationId. */
static enum dps_refusal choose_device_id(const struct registering *r, struct dps_registration *made)
{
    size_t len = r->id_len;
    if (r->enrollment.device_id.len == 0) {
        memcpy(made->device_id, r->id, len);
    } else if (dps_json_string(r->enrollment.device_id, (uint8_t *)made->device_id, DPS_DEVICE_ID_MAX,
                               &len) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    made->device_id[len] = '\0';
    return DPS_ACCEPTED;
}

/* Clients with an api-version older than reprovisioning do not expect to move: they stay, unless the enrollment
 * has a reprovisionPolicy [DPS "Reprovisioning"]. */
static bool expects_to_stay(const struct registering *r)
{
    struct bytes version;
    return !r->enrollment.has_reprovision_policy &&
           dps_http_query(r->request->target, "api-version", &version) == 0 &&
           memcmp(version.p, "2018-04-01", 10) <= 0;
}

/* The hub: the one it had, if the enrollment says never to move it; otherwise the allocation decides anew
 * [DPS "Reprovisioning"]. */
static enum dps_refusal choose_hub(struct dps_service *s, const struct registering *r,
                                   struct dps_registration *made)
{
    const struct dps_registration *old = &r->registration;
    const bool again = is_registered(r);
    size_t index = s->config->hub_count;
    if (again && (!r->enrollment.update_hub_assignment || expects_to_stay(r))) {
        index = dps_hub_index(s->config, bytes_of_text(old->hub));
    }
    if (index == s->config->hub_count) {
        const enum dps_refusal no = dps_allocate(s->config, &r->enrollment, id_of(r), &index);
        if (no != DPS_ACCEPTED) {
            return no;
        }
    }
    memcpy(made->hub, s->config->hubs[index].name, sizeof made->hub);
    if (!again) {
        made->substatus = DPS_SUBSTATUS_INITIAL;
    } else if (strcmp(made->hub, old->hub) == 0) {
        made->substatus = DPS_SUBSTATUS_REPROVISIONED;
    } else {
        made->substatus = r->enrollment.migrate_device_data ? DPS_SUBSTATUS_MIGRATED : DPS_SUBSTATUS_RESET;
    }
    return DPS_ACCEPTED;
}

/* The registration moves to its next generation by compare-and-set: of two requests with the same nonce one wins, and
 * the nonce is dead. All writes of one request are committed together. */
static enum dps_refusal store_assignment(struct dps_service *s, struct registering *r,
                                         const struct dps_registration *made)
{
    struct bytes_writer value = bytes_writer_over(s->draft, sizeof s->draft);
    uint64_t version;
    dps_registration_write(&value, made);
    if (value.error != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    const int error = s->store.put(s->store.context, DPS_TABLE_REGISTRATIONS, id_of(r), bytes_written(&value),
                                   r->registration_version, &version);
    if (error != 0) {
        return error == BYTES_E_CONFLICT ? DPS_REFUSED_CONCURRENT : DPS_REFUSED_STORE;
    }
    return dps_hub_register(s, r->registration_version != 0 ? &r->registration : NULL, made,
                            r->enrollment.initial_twin);
}

static void write_operation(struct dps_service *s, struct dps_answer *a, const struct dps_registration *made,
                            const char *status)
{
    dps_write_text(&a->body, "{\"operationId\":\"");
    write_operation_id(&a->body, s, made);
    dps_write_text(&a->body, "\",\"status\":\"");
    dps_write_text(&a->body, status);
    dps_write_text(&a->body, "\",\"registrationState\":{");
}

static enum dps_refusal assign(struct dps_service *s, struct registering *r, struct dps_answer *a)
{
    struct dps_registration made = {.generation = r->registration.generation + 1,
                                    .random_len = sizeof made.random,
                                    .secret_epoch = r->proved_epoch,
                                    .created = s->now,
                                    .updated = s->now};
    memcpy(made.challenge, r->proved_challenge, sizeof made.challenge);
    memcpy(made.registration_id, r->id, r->id_len);
    memcpy(made.srk, r->srk_bytes, r->srk_len);
    made.srk_len = (uint16_t)r->srk_len;
    if (is_registered(r)) {
        made.created = r->registration.created;
    }
    if (s->entropy.fill(s->entropy.context, made.random, sizeof made.random) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    enum dps_refusal no = choose_device_id(r, &made);
    if (no == DPS_ACCEPTED) {
        no = choose_hub(s, r, &made);
    }
    if (no == DPS_ACCEPTED) {
        no = store_assignment(s, r, &made);
    }
    if (no != DPS_ACCEPTED) {
        return no;
    }
    /* 202 with a state that says "assigning" is the one answer that every client understands. */
    a->status = 202;
    a->wrote = true;
    a->has_retry_after = true;
    a->retry_after = RETRY_AFTER;
    write_operation(s, a, &made, "assigning");
    dps_write_text(&a->body, "\"registrationId\":");
    dps_write_json_string(&a->body, id_of(r));
    dps_write_text(&a->body, ",\"status\":\"assigning\"}}");
    return DPS_ACCEPTED;
}

/* ---- Step 9: the answer that carries the hub's device key ---------------------------------------------- */

/* The registration that is asked for, if the device is known and enabled and the request has a token. */
static enum dps_refusal find_registration(struct dps_service *s, struct registering *r)
{
    uint64_t version;
    enum dps_refusal no = dps_load_enrollment(s, id_of(r), &r->enrollment, &version);
    if (no == DPS_ACCEPTED && !r->enrollment.enabled) {
        no = DPS_REFUSED_DISABLED;
    }
    if (no == DPS_ACCEPTED) {
        no = check_ek(r);
    }
    if (no == DPS_ACCEPTED) {
        no = dps_load_registration(s, id_of(r), &r->registration, &r->registration_version);
    }
    return no == DPS_ACCEPTED && !r->has_token ? DPS_REFUSED_TOKEN_FORM : no;
}

/* The token must be signed with the nonce that this registration was made with: its challenge stands in it. */
static enum dps_refusal check_proof(struct dps_service *s, struct registering *r)
{
    const struct dps_registration *made = &r->registration;
    memcpy(r->srk_bytes, made->srk, made->srk_len);
    r->srk_len = made->srk_len;
    const enum dps_refusal no = check_srk(s, r);
    if (no != DPS_ACCEPTED) {
        return no;
    }
    if (!audience_is_right(s, r)) {
        return DPS_REFUSED_TOKEN_AUDIENCE;
    }
    /* One client makes its token last 30 seconds and polls with it: it may be late while its operation is young. */
    const enum dps_refusal late = dps_token_time(s, &r->token, POLL_GRACE);
    if (late != DPS_ACCEPTED) {
        return late;
    }
    return signed_with_nonce(s, r, made->challenge) ? DPS_ACCEPTED : DPS_REFUSED_TOKEN_SIGNATURE;
}

static enum dps_refusal check_operation(struct dps_service *s, struct registering *r, struct bytes operation)
{
    uint8_t name[80];
    struct bytes_writer w = bytes_writer_over(name, sizeof name);
    if (!is_registered(r)) {
        return DPS_REFUSED_OPERATION;
    }
    write_operation_id(&w, s, &r->registration);
    return bytes_equal_public(operation, bytes_written(&w)) ? check_proof(s, r) : DPS_REFUSED_OPERATION;
}

static void write_state(const struct registering *r, struct dps_answer *a)
{
    dps_registration_write_state(&a->body, &r->registration, r->registration_version);
    if (r->enrollment.payload.len > 0) {
        dps_write_text(&a->body, ",\"payload\":");
        bytes_write_bytes(&a->body, r->enrollment.payload);
    }
}

static enum dps_refusal operation_status(struct dps_service *s, struct registering *r, struct bytes operation,
                                         struct dps_answer *a)
{
    uint8_t key[DPS_KEY_SIZE];
    const struct dps_registration *made = &r->registration;
    enum dps_refusal no = find_registration(s, r);
    if (no == DPS_ACCEPTED) {
        no = check_operation(s, r, operation);
    }
    if (no == DPS_ACCEPTED) {
        no = dps_ration(s, DPS_RATION_HUB_KEY, id_of(r), true, a);
    }
    if (no != DPS_ACCEPTED) {
        return no;
    }
    const struct bytes hub = bytes_of_text(made->hub);
    const struct bytes device_id = bytes_of_text(made->device_id);
    if (!dps_hub_key(s, made, key)) {
        return DPS_REFUSED_INTERNAL;
    }
    a->status = 200;
    write_operation(s, a, made, "assigned");
    dps_write_text(&a->body, "\"tpm\":{\"authenticationKey\":");
    no = write_blob(s, r, key, hub, device_id, &a->body);
    bytes_wipe(key, sizeof key);
    dps_write_text(&a->body, "},");
    write_state(r, a);
    dps_write_text(&a->body, "}}");
    return no;
}

/* The registration as it is now [DPS "Device Registration Status Lookup"], for the token that made it. It comes without
 * the key: the operation delivers that. */
static enum dps_refusal look_up(struct dps_service *s, struct registering *r, struct dps_answer *a)
{
    struct bytes root;
    enum dps_refusal no = DPS_ACCEPTED;
    if (r->request->body.len > 0) {
        const bool object =
            dps_json_check(r->request->body, &root) == 0 && dps_json_kind(root) == DPS_JSON_OBJECT;
        no = object ? check_body_id(r, root) : DPS_REFUSED_BODY;
    }
    if (no == DPS_ACCEPTED) {
        no = find_registration(s, r);
    }
    if (no == DPS_ACCEPTED) {
        no = is_registered(r) ? check_proof(s, r) : DPS_REFUSED_UNKNOWN;
    }
    if (no != DPS_ACCEPTED) {
        return no;
    }
    a->status = 200;
    dps_write_text(&a->body, "{");
    write_state(r, a);
    dps_write_text(&a->body, "}");
    return DPS_ACCEPTED;
}

/* ---- The device API's routes --------------------------------------------------------------------------- */

static bool word_is(struct bytes segment, const char *word)
{
    return dps_text_equal_nocase(segment, bytes_of_text(word));
}

/* /{idScope}/registrations/{registrationId} with nothing after it, /register, or /operations/{operationId}; and
 * the method that belongs to it. */
enum dps_refusal dps_device_api(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    struct registering r;
    memset(&r, 0, sizeof r);
    r.request = q;
    const bool looking_up = q->segment_count == 3;
    const bool registering = q->segment_count == 4 && word_is(q->segments[3], "register");
    const bool polling = q->segment_count == 5 && word_is(q->segments[3], "operations");
    if (!looking_up && !registering && !polling) {
        return DPS_REFUSED_ROUTE;
    }
    if (!dps_request_is(q, registering ? "PUT" : polling ? "GET" : "POST")) {
        return DPS_REFUSED_METHOD;
    }
    enum dps_refusal no = dps_request_version(q);
    if (no != DPS_ACCEPTED) {
        return no;
    }
    if (!dps_text_equal_nocase(q->segments[0], bytes_of_text(s->config->id_scope))) {
        return DPS_REFUSED_SCOPE;
    }
    if (dps_registration_id_lower(q->segments[2], r.id, &r.id_len) != 0) {
        return DPS_REFUSED_REGISTRATION_ID;
    }
    memcpy(a->registration_id, r.id, r.id_len);
    r.has_token = q->authorization.len > 0;
    if (r.has_token && dps_sas_parse(q->authorization, &r.token) != 0) {
        return DPS_REFUSED_TOKEN_FORM;
    }
    if (looking_up) {
        return look_up(s, &r, a);
    }
    return registering ? register_device(s, &r, a) : operation_status(s, &r, q->segments[4], a);
}
