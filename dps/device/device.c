/* SPDX-License-Identifier: MIT */
/* The device side of the flow, top to bottom in the order in which it happens. */
#include "dps/device/device.h"
#include "dps/device/authorization.h"
#include "dps/device/draw.h"
#include "dps/device/engine.h"
#include "dps/device/record.h"
#include "dps/device/session.h"
#include "dps/device/step.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "tpm/command.h"
#include "tpm/rc.h"
#include <string.h>

/* What a service of this protocol calls the version that we speak. */
#define API_VERSION "2021-06-01"
#define TOKEN_LIFETIME 3600 /* seconds */
#define JSON "application/json; charset=utf-8"

/* Error codes of a service after which a registration begins again (spec-notes.md, "Error codes"). */
#define CHALLENGE_USED 401007
#define OPERATION_GONE 404203
#define SAME_MOMENT 409203

static void build_register(struct dps_device *d, struct bytes_writer *w);
static int read_challenge(struct dps_device *d, struct bytes body);
#if DPS_WITH_SESSIONS
static void build_proof_session(struct dps_device *d, struct bytes_writer *w);
#endif
static void build_policy_session(struct dps_device *d, struct bytes_writer *w);
static int read_policy_session(struct dps_device *d, struct bytes response);
static void build_policy_secret(struct dps_device *d, struct bytes_writer *w);
static int read_policy_secret(struct dps_device *d, struct bytes response);
static void build_activate(struct dps_device *d, struct bytes_writer *w);
static void build_last_activate(struct dps_device *d, struct bytes_writer *w);
static int read_inner_key(struct dps_device *d, struct bytes response);
static int read_last_inner_key(struct dps_device *d, struct bytes response);
static void build_import(struct dps_device *d, struct bytes_writer *w);
static int read_wrapped_key(struct dps_device *d, struct bytes response);
static void build_policy_import(struct dps_device *d, struct bytes_writer *w);
static void build_policy_load(struct dps_device *d, struct bytes_writer *w);
static void build_policy_or(struct dps_device *d, struct bytes_writer *w);
static int read_policy(struct dps_device *d, struct bytes response);
static void build_load(struct dps_device *d, struct bytes_writer *w);
static void build_last_load(struct dps_device *d, struct bytes_writer *w);
static int read_last_loaded_key(struct dps_device *d, struct bytes response);
static void build_kept_key_session(struct dps_device *d, struct bytes_writer *w);
static int read_kept_key_session(struct dps_device *d, struct bytes response);
static int read_time(struct dps_device *d, struct bytes nothing);
static void build_hmac(struct dps_device *d, struct bytes_writer *w);
static int read_signature(struct dps_device *d, struct bytes response);
static void build_drop_key(struct dps_device *d, struct bytes_writer *w);
static int read_dropped_key(struct dps_device *d, struct bytes response);
static void build_register_signed(struct dps_device *d, struct bytes_writer *w);
static int read_accepted(struct dps_device *d, struct bytes body);
static void build_poll(struct dps_device *d, struct bytes_writer *w);
static int read_assigned(struct dps_device *d, struct bytes body);
static void build_hub_hmac(struct dps_device *d, struct bytes_writer *w);
static int read_hub_signature(struct dps_device *d, struct bytes response);
static void build_keep(struct dps_device *d, struct bytes_writer *w);
static int read_time_if_known(struct dps_device *d, struct bytes nothing);
static void build_ask_time(struct dps_device *d, struct bytes_writer *w);
static int read_asked_time(struct dps_device *d, struct bytes body);
static void build_telemetry(struct dps_device *d, struct bytes_writer *w);
static int read_telemetry_accepted(struct dps_device *d, struct bytes body);

#define HARDENED_OR "hardened: which is one of the two uses of the SRK"

/* clang-format off */
/* The device's whole flow, in the order in which it happens. Each row is one message and its answer: who is asked, what
 * for, which function builds the question, which reads the answer. A row's reader returns the next row: normally the
 * one below. Nothing else decides the order. Whatever the TPM loaded on the way is flushed after the last row, and
 * after a row that fails. dps_device_read_ek and dps_device_read_keys walk the same rows, up to the end of their step.
 *
 * Rows marked "a password" open a session in which it crosses the bus only as the key of an HMAC, and what is secret
 * only encrypted; they are passed over where no password is needed. Then the policy session of step 7 does the same for
 * the inner key (dps/device/session.h).
 *
 * Rows marked "hardened" are those of the hardened SRK, which has a policy instead of an empty password: they are
 * passed over with the standard one, and "the public storage root key" with the hardened one. */
static const struct dps_step register_flow[] = {
    /*   step, asks, for what,                                             built by,              read by */
    STEP( 1, TPM,     "the public endorsement key",                        dps_build_read_ek,     dps_read_ek),
#if DPS_WITH_SESSIONS
    STEP( 1, TPM,     EK_SESSION,                                          dps_build_ek_session,  dps_read_session),
#endif
    STEP( 1, TPM,     "the endorsement key, from the TPM's seed",          dps_build_create_ek,   dps_read_created_ek),
    STEP( 3, TPM,     "the public storage root key",                       dps_build_read_srk,    dps_read_srk),
#if DPS_WITH_SESSIONS
    STEP( 3, TPM,     SALTED_SESSION,                                      dps_build_srk_session, dps_read_session),
#endif
    STEP( 3, TPM,     "the storage root key, from the owner's seed",       dps_build_create_srk,  dps_read_created_srk),

    STEP( 4, SERVICE, "provisioning: registration ID, EK_pub, SRK_pub",    build_register,        read_challenge),

#if DPS_WITH_SESSIONS
    STEP( 7, TPM,     SALTED_SESSION,                                      build_proof_session,   dps_read_session),
#endif
    STEP( 7, TPM,     "a policy session, the way into the EK",             build_policy_session,  read_policy_session),
    STEP( 7, TPM,     "proof of endorsement authority",                    build_policy_secret,   read_policy_secret),
    STEP( 7, TPM,     "the inner key: only this EK opens it",              build_activate,        read_inner_key),
    STEP( 7, TPM,     "hardened: the session is for TPM2_Import",          build_policy_import,   read_policy),
    STEP( 7, TPM,     HARDENED_OR,                                         build_policy_or,       read_policy),
    STEP( 7, TPM,     "the nonce, imported under this SRK as an HMAC key", build_import,          read_wrapped_key),
    STEP( 7, TPM,     "hardened: the session is for TPM2_Load",            build_policy_load,     read_policy),
    STEP( 7, TPM,     HARDENED_OR,                                         build_policy_or,       read_policy),
    STEP( 7, TPM,     "that key, loaded",                                  build_load,            dps_read_loaded_key),

    STEP( 8, CLOCK,   "the time, for the token's expiry",                  NULL,                  read_time),
    STEP( 8, TPM,     "the signature of a SAS token",                      build_hmac,            read_signature),
    STEP( 8, TPM,     "to forget the nonce key",                           build_drop_key,        read_dropped_key),
    STEP( 8, SERVICE, "provisioning, now with the token",                  build_register_signed, read_accepted),

    STEP( 9, SERVICE, "the hub that was assigned, and its device key",     build_poll,            read_assigned),
    STEP( 9, TPM,     "proof of endorsement authority",                    build_policy_secret,   read_policy_secret),
    STEP( 9, TPM,     "the inner key of the hub's device key",             build_last_activate,   read_last_inner_key),
    STEP( 9, TPM,     "hardened: the session is for TPM2_Import",          build_policy_import,   read_policy),
    STEP( 9, TPM,     HARDENED_OR,                                         build_policy_or,       read_policy),
    STEP( 9, TPM,     "the hub's device key, imported under this SRK",     build_import,          read_wrapped_key),
    STEP( 9, TPM,     "hardened: the session is for TPM2_Load",            build_policy_load,     read_policy),
    STEP( 9, TPM,     HARDENED_OR,                                         build_policy_or,       read_policy),
    STEP( 9, TPM,     "that key, loaded",                                  build_last_load,       read_last_loaded_key),

    /* Only after the new key has signed is the old one replaced. */
    STEP(10, TPM,     "the signature of a hub token",                      build_hub_hmac,        read_hub_signature),
    STEP(10, STORAGE, "the hub's device key, wrapped, for the next boot",  build_keep,            NULL),
    STEP(10, NOBODY,  "done",                                              NULL,                  NULL),
};

/* Step 10 again, at any later time: the kept key, loaded under the same SRK. Only dps_device_send has a message. */
static const struct dps_step kept_key_flow[] = {
    STEP( 3, TPM,    "the public storage root key",                 dps_build_read_srk,       dps_read_srk),
#if DPS_WITH_SESSIONS
    STEP( 1, TPM,    SALT_EK,                                       dps_build_salt_ek,        dps_read_salt_ek),
    STEP( 1, TPM,    EK_SESSION,                                    dps_build_salt_session,   dps_read_session),
    STEP( 1, TPM,    SALT_EK_CREATED,                               dps_build_create_salt_ek, dps_read_created_salt_ek),
    STEP( 3, TPM,    SALTED_SESSION,                                dps_build_srk_session,    dps_read_session),
#endif
    STEP( 3, TPM,    "the storage root key, from the owner's seed", dps_build_create_srk,     dps_read_created_srk),
    STEP(10, TPM,    "hardened: a policy session",                  build_kept_key_session,   read_kept_key_session),
    STEP(10, TPM,    "hardened: the session is for TPM2_Load",      build_policy_load,        read_policy),
    STEP(10, TPM,    HARDENED_OR,                                   build_policy_or,          read_policy),
    STEP(10, TPM,    "the kept hub key, loaded",                    build_last_load,          read_last_loaded_key),
    STEP(10, CLOCK,  "the time, for the token's expiry",            NULL,                     read_time_if_known),
    STEP(10, HUB,    "the time, which this device does not know",   build_ask_time,           read_asked_time),
    STEP(10, TPM,    "the signature of a hub token",                build_hub_hmac,           read_hub_signature),
    STEP(10, HUB,    "to accept a message",                         build_telemetry,          read_telemetry_accepted),
    STEP(10, NOBODY, "done",                                        NULL,                     NULL),
};
/* clang-format on */

/* ---- Steps 1 and 3: the two keys ----------------------------------------------------------------------- */

/* EK: two templates are in use, and they give two EKs from one seed (spec-notes.md, "The right EK").
 *
 * SRK: the hardened one has no place of its own in the TPM: the same seed and template give the same key each time.
 * Nobody can use it for anything but TPM2_Import and TPM2_Load, so no other key is affected, and seal takes the
 * standard one. */
static struct tpm2_public template_of(const struct dps_device *d, enum dps_loaded slot)
{
    if (slot == DPS_LOADED_EK) {
        return d->config->ek_template == DPS_EK_AZURE_SDK ? tpm2_template_ek_azure_sdk()
                                                          : tpm2_template_ek_l1();
    }
    return d->hardened ? tpm2_template_srk_hardened() : tpm2_template_srk();
}

_Static_assert(DPS_EK_PUBLIC_MAX == DPS_SRK_PUBLIC_MAX, "check_key knows one limit");

/* Is it what the template gives? */
static int check_key(const struct dps_device *d, enum dps_loaded slot, struct bytes public_2b)
{
    const struct tpm2_public wanted = template_of(d, slot);
    struct tpm2_public parsed;
    const int error = tpm2_public_parse_2b(public_2b, &parsed);
    if (error != 0) {
        return error;
    }
    if (!tpm2_public_matches(&parsed, &wanted)) {
        return BYTES_E_ALGORITHM;
    }
    return public_2b.len > DPS_SRK_PUBLIC_MAX ? BYTES_E_LIMIT : 0;
}

/* A key that someone has made persistent is used if it is what the template would give. Anything else that stands there
 * (an ECC key, another hash, another policy, sealed data) is somebody else's and is passed over: the seed gives the key
 * of the template again, as a transient object [P1 r1.59 14]. We are a guest in the TPM. */
static int read_persistent_key(struct dps_device *d, struct bytes response, enum dps_loaded slot,
                               struct bytes *public_2b)
{
    struct bytes name;
    int error = tpm2_read_public_parse(response, &d->rc, public_2b, &name);
    if (error == BYTES_E_TPM_RC && tpm2_rc_code(d->rc) == TPM2_RC_HANDLE) {
        d->rc = 0;
        return BYTES_E_NOT_FOUND;
    }
    if (error == 0) {
        error = check_key(d, slot, *public_2b);
    }
    return error == BYTES_E_ALGORITHM || error == BYTES_E_LIMIT ? BYTES_E_NOT_FOUND : error;
}

/* TPM2_CreatePrimary [P3 r1.59 24.1]. */
static void create_primary(struct dps_device *d, struct bytes_writer *w, enum dps_loaded slot)
{
    const bool ek = slot == DPS_LOADED_EK;
    const struct tpm2_public wanted = template_of(d, slot);
    const struct tpm2_auth auth = tpm2_auth_password(ek ? dps_endorsement_auth(d) : dps_owner_auth(d));
    tpm2_create_primary_build(w, ek ? TPM2_RH_ENDORSEMENT : TPM2_RH_OWNER, &auth, &wanted);
}

/* The new object's handle is recorded before anything else can fail: whatever happens now, it is flushed. */
static int read_primary(struct dps_device *d, struct bytes response, enum dps_loaded slot,
                        struct bytes *public_2b)
{
    struct bytes name;
    const int error = tpm2_create_primary_parse(response, &d->rc, &d->loaded[slot], public_2b, &name);
    if (error == 0 && !dps_is_of_kind(d->loaded[slot], TPM2_HT_TRANSIENT)) {
        return BYTES_E_FORMAT;
    }
    return error == 0 ? check_key(d, slot, *public_2b) : error;
}

/* A flow that begins again reads the EK once more, and somebody on the bus can bring that about: refusals are not
 * signed. So it must still be the same. */
static int use_ek(struct dps_device *d, uint32_t handle, struct bytes public_2b)
{
    if (d->ek_len > 0 && !bytes_equal_public(public_2b, bytes_of(d->ek, d->ek_len))) {
        return BYTES_E_INTEGRITY;
    }
    memcpy(d->ek, public_2b.p, public_2b.len);
    d->ek_len = (uint16_t)public_2b.len;
    d->ek_handle = handle;
    tpm2_name_of(public_2b, d->ek_name);
    return 0;
}

static int use_srk(struct dps_device *d, uint32_t handle, struct bytes public_2b)
{
    memcpy(d->srk, public_2b.p, public_2b.len);
    d->srk_len = (uint16_t)public_2b.len;
    d->srk_handle = handle;
    tpm2_name_of(public_2b, d->srk_name);
    return 0;
}

/* The answer to TPM2_ReadPublic of a persistent handle, or to TPM2_CreatePrimary: persistent is 0. */
static int take_key(struct dps_device *d, struct bytes response, enum dps_loaded slot, uint32_t persistent)
{
    struct bytes public_2b;
    const int error = persistent != 0 ? read_persistent_key(d, response, slot, &public_2b)
                                      : read_primary(d, response, slot, &public_2b);
    if (error != 0) {
        return error == BYTES_E_NOT_FOUND ? ROW_BELOW : error;
    }
    const uint32_t handle = persistent != 0 ? persistent : d->loaded[slot];
    return slot == DPS_LOADED_EK ? use_ek(d, handle, public_2b) : use_srk(d, handle, public_2b);
}

/* A device without a configured name is named after its EK: base32 of SHA-256 of EK_pub. */
static int name_device(struct dps_device *d)
{
    const char *given = d->config->registration_id;
    if (given != NULL) {
        return dps_keep_text(d->registration_id, sizeof d->registration_id, bytes_of_text(given));
    }
    dps_registration_id_default(bytes_of(d->ek, d->ek_len), d->registration_id);
    return 0;
}

/* Step 1: TPM2_ReadPublic [P3 r1.59 12.4]. The EK is read once in a run: what the service judges in step 5 is what a
 * session is salted to. */
void dps_build_read_ek(struct dps_device *d, struct bytes_writer *w)
{
    if (d->ek_handle == 0) {
        tpm2_read_public_build(w, TPM2_HANDLE_EK);
    }
}

int dps_known_ek(const struct dps_device *d)
{
    const bool another = d->ek_is_expected && memcmp(d->ek_name, d->ek_expected, sizeof d->ek_name) != 0;
    return another ? BYTES_E_STATE : 0;
}

int dps_read_ek(struct dps_device *d, struct bytes response)
{
    const int error = take_key(d, response, DPS_LOADED_EK, TPM2_HANDLE_EK);
    return error == 0 && d->ek_handle != 0 ? name_device(d) : error;
}

void dps_build_create_ek(struct dps_device *d, struct bytes_writer *w)
{
    if (d->ek_handle == 0) {
        d->session_ends = !d->session.keyed; /* the one that was made for this */
        create_primary(d, w, DPS_LOADED_EK);
    }
}

int dps_read_created_ek(struct dps_device *d, struct bytes response)
{
    const int error = take_key(d, response, DPS_LOADED_EK, 0);
    return error == 0 ? name_device(d) : error;
}

/* Step 3: the owner's storage root key. One with an authValue of its own, which shows when it is used, is passed over
 * likewise: the authValue is not part of what a key is derived from [P1 r1.59 14]. */
void dps_build_read_srk(struct dps_device *d, struct bytes_writer *w)
{
    if (!d->srk_locked && !d->hardened && d->srk_handle == 0) {
        tpm2_read_public_build(w, TPM2_HANDLE_SRK);
    }
}

int dps_read_srk(struct dps_device *d, struct bytes response)
{
    return take_key(d, response, DPS_LOADED_SRK, TPM2_HANDLE_SRK);
}

void dps_build_create_srk(struct dps_device *d, struct bytes_writer *w)
{
    if (d->srk_handle == 0) {
        create_primary(d, w, DPS_LOADED_SRK);
    }
}

int dps_read_created_srk(struct dps_device *d, struct bytes response)
{
    return take_key(d, response, DPS_LOADED_SRK, 0);
}

#if DPS_WITH_SESSIONS

/* ---- A session for the passwords ------------------------------------------------------------------------ */

/* Before the EK there is nothing to salt a session with. Its key is then the password alone: it does not cross the bus,
 * but whoever listens can try at home whether he guesses it. Only that of a key that has to be derived. */
void dps_build_ek_session(struct dps_device *d, struct bytes_writer *w)
{
    if (dps_session_allowed(d) && d->ek_handle == 0 && dps_endorsement_auth(d).len > 0) {
        dps_session_build_unsalted(d, w);
    }
}

int dps_read_session(struct dps_device *d, struct bytes response)
{
    return dps_session_read(d, response, DPS_LOADED_HMAC_SESSION);
}

/* The owner's password is needed if the SRK has to be derived; all further rows that need one use the same session. It
 * comes before the service has seen EK_pub. So whoever stands on the bus with a key of his own in the EK's place gets
 * the salt, and can try his guesses at home: unless this EK is the one of an earlier run. */
static bool owner_is_asked(const struct dps_device *d)
{
    return dps_session_allowed(d) && d->srk_handle == 0 && dps_owner_auth(d).len > 0;
}

void dps_build_srk_session(struct dps_device *d, struct bytes_writer *w)
{
    if (owner_is_asked(d)) {
        dps_build_session(d, w);
    }
}

void dps_build_session(struct dps_device *d, struct bytes_writer *w)
{
    if (!dps_session_allowed(d) || d->session.handle != 0) {
        return;
    }
    if (d->ek_handle != 0) {
        bytes_writer_fail(w, dps_known_ek(d));
    }
    dps_session_build_salted(d, w, TPM2_SE_HMAC);
}

/* A kept key needs no EK, but for this. */
void dps_build_salt_ek(struct dps_device *d, struct bytes_writer *w)
{
    if (owner_is_asked(d)) {
        dps_build_read_ek(d, w);
    }
}

int dps_read_salt_ek(struct dps_device *d, struct bytes response)
{
    return take_key(d, response, DPS_LOADED_EK, TPM2_HANDLE_EK);
}

void dps_build_salt_session(struct dps_device *d, struct bytes_writer *w)
{
    if (owner_is_asked(d)) {
        dps_build_ek_session(d, w);
    }
}

void dps_build_create_salt_ek(struct dps_device *d, struct bytes_writer *w)
{
    if (owner_is_asked(d)) {
        dps_build_create_ek(d, w);
    }
}

int dps_read_created_salt_ek(struct dps_device *d, struct bytes response)
{
    return take_key(d, response, DPS_LOADED_EK, 0);
}

#endif

/* ---- Steps 4 and 8: the two registration requests ------------------------------------------------------ */

static void write_percent(struct bytes_writer *w, const char *text)
{
    dps_write_percent(w, bytes_of_text(text));
}

static void write_registration_path(struct dps_device *d, struct bytes_writer *w)
{
    write_percent(w, d->config->id_scope);
    dps_write_text(w, "/registrations/");
    write_percent(w, d->registration_id);
}

#define HEAD_END "\r\n\r\n"

/* Headers, and the body's length as five characters that are filled in when the body stands: no second buffer. Returns
 * where the body begins. */
static size_t write_headers(struct dps_device *d, struct bytes_writer *w, const char *content_type)
{
    uint16_t port;
    const char *host = dps_device_host(d, &port);
    dps_write_text(w, "?api-version=" API_VERSION " HTTP/1.1\r\nHost: ");
    dps_write_text(w, host);
    if (port != 443) {
        dps_write_text(w, ":");
        dps_write_decimal(w, port);
    }
    dps_write_text(w, "\r\nUser-Agent: tpm-dps/1\r\nAccept: application/json\r\nConnection: keep-alive\r\n");
    if (d->token_len > 0) {
        dps_write_text(w, "Authorization: ");
        bytes_write_bytes(w, bytes_of(d->token, d->token_len));
        dps_write_text(w, "\r\n");
    }
    dps_write_text(w, "Content-Type: ");
    dps_write_text(w, content_type);
    dps_write_text(w, "\r\nContent-Length:      " HEAD_END);
    return w->len;
}

static void fill_in_length(struct bytes_writer *w, size_t body)
{
    if (w->error != 0) {
        return;
    }
    size_t length = w->len - body;
    size_t at = body - (sizeof HEAD_END - 1);
    do {
        w->p[--at] = (uint8_t)('0' + length % 10);
        length /= 10;
    } while (length > 0);
}

/* Step 4 [DPS "Register device"]: EK_pub and SRK_pub travel as base64 of TPM2B_PUBLIC, size field included. */
static void write_registration(struct dps_device *d, struct bytes_writer *w)
{
    dps_write_text(w, "PUT /");
    write_registration_path(d, w);
    dps_write_text(w, "/register");
    const size_t body = write_headers(d, w, JSON);
    /* A registration ID has no character that JSON would escape (dps_registration_id_valid). */
    dps_write_text(w, "{\"registrationId\":\"");
    dps_write_text(w, d->registration_id);
    dps_write_text(w, "\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(w, bytes_of(d->ek, d->ek_len));
    dps_write_text(w, "\",\"storageRootKey\":\"");
    dps_write_base64(w, bytes_of(d->srk, d->srk_len));
    dps_write_text(w, "\"}");
    if (d->config->payload.len > 0) {
        dps_write_text(w, ",\"payload\":");
        bytes_write_bytes(w, d->config->payload);
    }
    dps_write_text(w, "}");
    fill_in_length(w, body);
}

static void build_register(struct dps_device *d, struct bytes_writer *w)
{
    d->token_len = 0;
    write_registration(d, w);
}

static void build_register_signed(struct dps_device *d, struct bytes_writer *w)
{
    write_registration(d, w);
}

/* A JSON string into a field. A member that is missing, or there twice, is empty, and that is no string. */
static int keep_string(struct bytes value, char *field, size_t size)
{
    size_t len;
    const int error = dps_json_string(value, (uint8_t *)field, size - 1, &len);
    if (error == 0) {
        field[len] = '\0';
    }
    return error;
}

/* An activation blob in a JSON member, decoded where it stands: it stays in the network buffer until the TPM has it. */
static int take_blob(struct dps_device *d, struct bytes text)
{
    struct dps_activation parts;
    if (dps_json_kind(text) != DPS_JSON_STRING) {
        return BYTES_E_FORMAT;
    }
    const size_t at = (size_t)(text.p - d->net);
    size_t len;
    int error = dps_json_string(text, d->net + at, text.len, &len);
    if (error == 0) {
        error = dps_base64_decode(bytes_of(d->net + at, len), d->net + at, len, &len);
    }
    if (error == 0) {
        error = dps_activation_parse(bytes_of(d->net + at, len), &parts);
    }
    if (error != 0) {
        return error;
    }
    d->blob_at = (uint16_t)at;
    d->blob_len = (uint16_t)len;
    return dps_keep_bytes(d->key_public, sizeof d->key_public, &d->key_public_len, parts.key_public_2b);
}

static void read_blob(const struct dps_device *d, struct dps_activation *parts)
{
    /* It was checked by take_blob. */
    (void)dps_activation_parse(bytes_of(d->net + d->blob_at, d->blob_len), parts);
}

/* errorCode, and the first of the texts that are there, for the user. */
static void keep_failure(struct dps_device *d, struct bytes object, const char *text, const char *other_text)
{
    struct bytes value;
    uint64_t number;
    size_t len;
    if (dps_json_member(object, "errorCode", &value) == 0 && dps_json_uint(value, UINT32_MAX, &number) == 0) {
        d->service_error = (uint32_t)number;
    }
    const bool found =
        dps_json_member(object, text, &value) == 0 || dps_json_member(object, other_text, &value) == 0;
    if (found && dps_json_string(value, d->message, sizeof d->message, &len) == 0) {
        d->message_len = (uint8_t)len;
    }
}

/* The error JSON [DPS "ProvisioningServiceErrorDetails"]. A hub writes the message with a capital. */
static int refused(struct dps_device *d, struct bytes body)
{
    struct bytes root;
    if (dps_json_check(body, &root) == 0) {
        keep_failure(d, root, "message", "Message");
    }
    return BYTES_E_HTTP;
}

/* Steps 8 and 9. Somebody has registered this device since its challenge was made: another program on the same machine,
 * or this one by a request whose answer was lost. A challenge is good for one registration, so a new one is asked for,
 * but once: two that only ever undo each other's work must come to an end. */
static int refused_or_overtaken(struct dps_device *d, struct bytes body)
{
    const int error = refused(d, body);
    const bool overtaken = d->service_error == CHALLENGE_USED || d->service_error == OPERATION_GONE ||
                           d->service_error == SAME_MOMENT;
    if (!overtaken || d->overtaken) {
        return error;
    }
    d->overtaken = true;
    d->service_error = 0;
    d->message_len = 0;
    d->polls = 0;
    return ROW_FIRST;
}

/* The answer of step 6: a 401 whose body is not an error but a challenge. */
static int read_challenge(struct dps_device *d, struct bytes body)
{
    struct bytes root;
    struct bytes key;
    struct bytes name;
    if (d->http_status != 401) {
        return refused(d, body);
    }
    int error = dps_json_check(body, &root);
    if (error != 0) {
        return error;
    }
    error = dps_json_member(root, "authenticationKey", &key);
    if (error != 0) {
        return error == BYTES_E_NOT_FOUND ? refused(d, body) : error;
    }
    /* The key's name goes into the token's skn; the real service always says "registration", and means it if it
     * says nothing. */
    if (dps_json_member(root, "keyName", &name) != 0 || dps_json_kind(name) == DPS_JSON_NULL) {
        name = bytes_of_text("\"registration\"");
    }
    error = keep_string(name, d->key_name, sizeof d->key_name);
    return error == 0 ? take_blob(d, key) : error;
}

/* ---- Step 7, and again in step 9: a key travels from the service into the TPM -------------------------- */

#if DPS_WITH_SESSIONS
/* Only now: the service has refused every EK_pub but the enrolled one, so nobody else has the salt. */
static void build_proof_session(struct dps_device *d, struct bytes_writer *w)
{
    if (dps_endorsement_auth(d).len > 0) {
        d->ek_is_expected = false;
        dps_build_session(d, w);
    }
}
#endif

/* A policy session without a key: for a kept key, and where sessions with one are not wanted. */
static void build_plain_policy_session(struct dps_device *d, struct bytes_writer *w)
{
    uint8_t nonce[TPM2_NONCE_SIZE];
    dps_draw(d, nonce);
    tpm2_start_auth_session_build(w, TPM2_SE_POLICY, bytes_of(nonce, sizeof nonce));
}

/* TPM2_StartAuthSession [P3 r1.59 11.1]. One session serves both activations: the TPM resets its policy after
 * each use [P1 r1.59 19.7]. It is salted, so that nobody else on the bus can use it once it is authorized; and it is
 * the one that encrypts the inner key. */
static void build_policy_session(struct dps_device *d, struct bytes_writer *w)
{
    if (dps_session_allowed(d)) {
        dps_session_build_salted(d, w, TPM2_SE_POLICY);
    } else {
        build_plain_policy_session(d, w);
    }
}

static int read_policy_session(struct dps_device *d, struct bytes response)
{
    if (dps_session_allowed(d)) {
        return dps_session_read(d, response, DPS_LOADED_SESSION);
    }
    return read_kept_key_session(d, response);
}

/* TPM2_PolicySecret(endorsement) [P3 r1.59 23.4] is the whole policy of an EK
 * [TCG EK Credential Profile v2.5 B.6.2]. */
static void build_policy_secret(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(dps_endorsement_auth(d));
    tpm2_policy_secret_build(w, TPM2_RH_ENDORSEMENT, d->loaded[DPS_LOADED_SESSION], &auth,
                             dps_session_policy_nonce(d));
}

static int read_policy_secret(struct dps_device *d, struct bytes response)
{
    return tpm2_policy_secret_parse(response, &d->rc);
}

/* TPM2_ActivateCredential [P3 r1.59 12.5]: the EK decrypts, and the TPM gives the inner key only if the SRK that the
 * service named is loaded beside it. */
static void activate(struct dps_device *d, struct bytes_writer *w, bool keep_session)
{
    struct dps_activation parts;
    const struct tpm2_auth auth[2] = {
        tpm2_auth_password(bytes_of(NULL, 0)),
        tpm2_auth_policy(d->loaded[DPS_LOADED_SESSION], keep_session),
    };
    read_blob(d, &parts);
    tpm2_activate_credential_build(w, d->srk_handle, d->ek_handle, auth, parts.id_object,
                                   parts.encrypted_secret);
}

static void build_activate(struct dps_device *d, struct bytes_writer *w)
{
    activate(d, w, true);
}

/* Nothing needs the session afterwards, unless the SRK does, or it is the only one that can encrypt. */
static void build_last_activate(struct dps_device *d, struct bytes_writer *w)
{
    activate(d, w, d->hardened || dps_session_is_policy(d));
}

static int read_inner_key(struct dps_device *d, struct bytes response)
{
    struct bytes inner_key;
    const int error = tpm2_activate_credential_parse(response, &d->rc, &inner_key);
    if (error != 0) {
        return error;
    }
    if (inner_key.len != DPS_INNER_KEY_SIZE) {
        return BYTES_E_ALGORITHM;
    }
    memcpy(d->inner_key, inner_key.p, sizeof d->inner_key);
    return ROW_BELOW;
}

/* The TPM has closed the session with this command, so there is nothing left to flush. */
static int session_closed(struct dps_device *d, int next)
{
    if (next >= 0) {
        d->loaded[DPS_LOADED_SESSION] = 0;
    }
    return next;
}

static int read_last_inner_key(struct dps_device *d, struct bytes response)
{
    const int next = read_inner_key(d, response);
    return d->hardened || dps_session_is_policy(d) ? next : session_closed(d, next);
}

/* Before each use of the hardened SRK: TPM2_PolicyCommandCode [P3 r1.59 23.11] for this use, and TPM2_PolicyOR
 * [P3 r1.59 23.6] to the digest of both. The session is the one that served the EK: each use has reset its policy
 * [P1 r1.59 19.7]. The policy has no branch for TPM2_Rewrap, so nobody gets it authorized. */
static void allow(struct dps_device *d, struct bytes_writer *w, uint32_t command)
{
    if (d->hardened) {
        tpm2_policy_command_code_build(w, d->loaded[DPS_LOADED_SESSION], command);
    }
}

static void build_policy_import(struct dps_device *d, struct bytes_writer *w)
{
    allow(d, w, TPM2_CC_IMPORT);
}

static void build_policy_load(struct dps_device *d, struct bytes_writer *w)
{
    allow(d, w, TPM2_CC_LOAD);
}

static void build_policy_or(struct dps_device *d, struct bytes_writer *w)
{
    static const uint8_t import[] = TPM2_POLICY_IMPORT_SHA256, load[] = TPM2_POLICY_LOAD_SHA256;
    const struct bytes either[] = {bytes_of(import, sizeof import), bytes_of(load, sizeof load)};
    if (d->hardened) {
        tpm2_policy_or_build(w, d->loaded[DPS_LOADED_SESSION], either, 2);
    }
}

/* The responses to PolicyCommandCode and PolicyOR have no parameters. */
static int read_policy(struct dps_device *d, struct bytes response)
{
    return tpm2_policy_or_parse(response, &d->rc);
}

static struct tpm2_auth srk_auth(const struct dps_device *d, bool keep_session)
{
    return d->hardened ? tpm2_auth_policy(d->loaded[DPS_LOADED_SESSION], keep_session)
                       : tpm2_auth_password(bytes_of(NULL, 0));
}

/* TPM2_Import [P3 r1.59 13.3]: the SRK opens the outer wrap, the inner key the inner one. The HMAC key itself
 * never leaves the TPM: what comes back is wrapped under the SRK. */
static void build_import(struct dps_device *d, struct bytes_writer *w)
{
    struct dps_activation parts;
    const struct tpm2_auth auth = srk_auth(d, true);
    read_blob(d, &parts);
    tpm2_import_build(w, d->srk_handle, &auth, bytes_of(d->inner_key, sizeof d->inner_key),
                      parts.key_public_2b, parts.duplicate, parts.duplicate_secret);
}

static int read_wrapped_key(struct dps_device *d, struct bytes response)
{
    struct bytes private_2b;
    const int error = tpm2_import_parse(response, &d->rc, &private_2b);
    bytes_wipe(d->inner_key, sizeof d->inner_key);
    return error != 0
               ? error
               : dps_keep_bytes(d->wrapped_key, sizeof d->wrapped_key, &d->wrapped_key_len, private_2b);
}

/* TPM2_Load [P3 r1.59 12.2]. After TPM2_Clear the SRK is another one, and the TPM refuses a key that was wrapped under
 * the old one with TPM_RC_INTEGRITY: the old owner's keys are dead. */
static void load(struct dps_device *d, struct bytes_writer *w, bool keep_session)
{
    const struct tpm2_auth auth = srk_auth(d, keep_session);
    tpm2_name_of(bytes_of(d->key_public, d->key_public_len), d->object_name);
    tpm2_load_build(w, d->srk_handle, &auth, bytes_of(d->wrapped_key, d->wrapped_key_len),
                    bytes_of(d->key_public, d->key_public_len));
}

static void build_load(struct dps_device *d, struct bytes_writer *w)
{
    load(d, w, true);
}

static void build_last_load(struct dps_device *d, struct bytes_writer *w)
{
    load(d, w, dps_session_is_policy(d));
}

int dps_read_loaded_key(struct dps_device *d, struct bytes response)
{
    struct bytes name;
    const int error = tpm2_load_parse(response, &d->rc, &d->loaded[DPS_LOADED_KEY], &name);
    return error == 0 && !dps_is_of_kind(d->loaded[DPS_LOADED_KEY], TPM2_HT_TRANSIENT) ? BYTES_E_FORMAT
                                                                                       : error;
}

static int read_last_loaded_key(struct dps_device *d, struct bytes response)
{
    const int next = dps_read_loaded_key(d, response);
    return d->hardened && !dps_session_is_policy(d) ? session_closed(d, next) : next;
}

/* ---- Step 8: the token that proves both keys ----------------------------------------------------------- */

static int read_time(struct dps_device *d, struct bytes nothing)
{
    (void)nothing;
    return d->now == 0 ? BYTES_E_CLOCK : ROW_BELOW;
}

/* The audience of a token: {idScope}/registrations/{registrationId}, or {hub}/devices/{deviceId}; percent-encoded, and
 * signed as it stands [DPS "Security tokens"]. It is written into the network buffer, which always has room for it:
 * once a key is loaded, nothing of the answer that brought it is needed any more. */
static struct bytes audience(struct dps_device *d, bool hub)
{
    struct bytes_writer w = bytes_writer_over(d->net, sizeof d->net);
    write_percent(&w, hub ? d->assigned_hub : d->config->id_scope);
    dps_write_text(&w, hub ? "%2Fdevices%2F" : "%2Fregistrations%2F");
    write_percent(&w, hub ? d->device_id : d->registration_id);
    return bytes_written(&w);
}

/* TPM2_HMAC [P3 r1.59 15.5]. */
static void ask_signature(struct dps_device *d, struct bytes_writer *w, bool hub)
{
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    struct bytes_writer text = bytes_writer_over(d->token, sizeof d->token);
    d->expiry = d->now + (d->config->token_lifetime != 0 ? d->config->token_lifetime : TOKEN_LIFETIME);
    dps_sas_write_string_to_sign(&text, audience(d, hub), d->expiry);
    bytes_writer_fail(w, text.error);
    tpm2_hmac_build(w, d->loaded[DPS_LOADED_KEY], &auth, bytes_written(&text));
}

static int keep_signature(struct dps_device *d, struct bytes response, bool hub)
{
    struct bytes_writer token = bytes_writer_over(d->token, sizeof d->token);
    struct bytes mac;
    int error = tpm2_hmac_parse(response, &d->rc, &mac);
    if (error == 0 && mac.len != CRYPTO_SHA256_SIZE) {
        error = BYTES_E_ALGORITHM;
    }
    if (error != 0) {
        return error;
    }
    dps_sas_write_token(&token, audience(d, hub), mac.p, d->expiry, bytes_of_text(hub ? "" : d->key_name));
    d->token_len = (uint16_t)token.len;
    return token.error;
}

static void build_hmac(struct dps_device *d, struct bytes_writer *w)
{
    ask_signature(d, w, false);
}

static int read_signature(struct dps_device *d, struct bytes response)
{
    return keep_signature(d, response, false);
}

/* TPM2_FlushContext [P3 r1.59 28.4]: the nonce has done its work, and a small TPM needs the slot. A TPM that was reset
 * meanwhile has forgotten it already. */
static void build_drop_key(struct dps_device *d, struct bytes_writer *w)
{
    tpm2_flush_context_build(w, d->loaded[DPS_LOADED_KEY]);
}

static int read_dropped_key(struct dps_device *d, struct bytes response)
{
    const int error = tpm2_flush_context_parse(response, &d->rc);
    if (error != 0 && tpm2_rc_code(d->rc) != TPM2_RC_HANDLE) {
        return error;
    }
    d->rc = 0;
    d->loaded[DPS_LOADED_KEY] = 0;
    return ROW_BELOW;
}

/* ---- Step 9: the answer -------------------------------------------------------------------------------- */

/* A working service assigns within seconds; one that still says "assigning" after this many polls is broken. */
#define POLLS_MAX 150
#define POLL_MS 2000

static uint32_t poll_delay(const struct dps_device *d)
{
    return d->retry_after_given ? d->retry_after_ms : POLL_MS;
}

static int take_text(struct bytes object, const char *name, char *field, size_t size)
{
    struct bytes value;
    (void)dps_json_member(object, name, &value);
    return keep_string(value, field, size);
}

/* registrationState of an assigned device: everything that is needed must be there together, or nothing is taken. */
static int take_assignment(struct dps_device *d, struct bytes state)
{
    struct bytes tpm;
    struct bytes key;
    int error = take_text(state, "assignedHub", d->assigned_hub, sizeof d->assigned_hub);
    if (error == 0) {
        error = take_text(state, "deviceId", d->device_id, sizeof d->device_id);
    }
    if (error != 0) {
        return error;
    }
    /* Both go into requests, files and terminals later on, so they must be a host name and a device ID. */
    if (!dps_host_valid(bytes_of_text(d->assigned_hub)) ||
        !dps_device_id_valid(bytes_of_text(d->device_id))) {
        return BYTES_E_FORMAT;
    }
    if (take_text(state, "substatus", d->substatus, sizeof d->substatus) != 0) {
        d->substatus[0] = '\0'; /* informative, and absent in old versions of the protocol */
    }
    (void)dps_json_member(state, "tpm", &tpm);
    (void)dps_json_member(tpm, "authenticationKey", &key);
    return take_blob(d, key);
}

/* Returns 0: assigned, everything taken; BYTES_E_MORE: the service is still assigning; or an error. */
static int read_registration(struct dps_device *d, struct bytes body)
{
    struct bytes root;
    struct bytes status;
    struct bytes state;
    const int error = dps_json_check(body, &root);
    if (error != 0) {
        return error;
    }
    if (dps_json_member(root, "status", &status) != 0) {
        return BYTES_E_FORMAT;
    }
    /* Services and their versions differ in the case of a status. */
    if (dps_json_word_is(status, "assigning")) {
        return BYTES_E_MORE;
    }
    /* It was called registrationStatus before 2017-11-15. */
    const bool found = dps_json_member(root, "registrationState", &state) == 0 ||
                       dps_json_member(root, "registrationStatus", &state) == 0;
    if (!dps_json_word_is(status, "assigned")) {
        /* The reason why it failed is inside registrationState. */
        keep_failure(d, found ? state : root, "errorMessage", "message");
        return BYTES_E_REFUSED;
    }
    return found ? take_assignment(d, state) : BYTES_E_FORMAT;
}

/* The second request is normally accepted with 202 and polled; a service may also answer at once. */
static int read_accepted(struct dps_device *d, struct bytes body)
{
    struct bytes root;
    if (d->http_status == 200) {
        const int error = read_registration(d, body);
        if (error != BYTES_E_MORE) {
            return error != 0 ? error : ROW_AFTER_NEXT;
        }
    } else if (d->http_status != 202) {
        return refused_or_overtaken(d, body);
    }
    int error = dps_json_check(body, &root);
    if (error == 0) {
        error = take_text(root, "operationId", d->operation_id, sizeof d->operation_id);
    }
    if (error != 0) {
        return error;
    }
    d->wait_ms = poll_delay(d);
    return ROW_BELOW;
}

static void build_poll(struct dps_device *d, struct bytes_writer *w)
{
    dps_write_text(w, "GET /");
    write_registration_path(d, w);
    dps_write_text(w, "/operations/");
    write_percent(w, d->operation_id);
    fill_in_length(w, write_headers(d, w, JSON));
}

static int read_assigned(struct dps_device *d, struct bytes body)
{
    if (d->http_status != 200 && d->http_status != 202) {
        return refused_or_overtaken(d, body);
    }
    const int error = read_registration(d, body);
    if (error == BYTES_E_MORE) {
        return ++d->polls < POLLS_MAX ? row_again(d, poll_delay(d)) : BYTES_E_TIMEOUT;
    }
    return error;
}

/* ---- Step 10: the hub ---------------------------------------------------------------------------------- */

/* A kept key needs a session only under the hardened SRK. */
static void build_kept_key_session(struct dps_device *d, struct bytes_writer *w)
{
    if (d->hardened) {
        build_plain_policy_session(d, w);
    }
}

static int read_kept_key_session(struct dps_device *d, struct bytes response)
{
    struct bytes nonce_tpm;
    uint32_t *handle = &d->loaded[DPS_LOADED_SESSION];
    const int error = tpm2_start_auth_session_parse(response, &d->rc, handle, &nonce_tpm);
    return error == 0 && !dps_is_of_kind(*handle, TPM2_HT_POLICY_SESSION) ? BYTES_E_FORMAT : error;
}

static void build_hub_hmac(struct dps_device *d, struct bytes_writer *w)
{
    d->session_ends = true;
    ask_signature(d, w, true);
}

static int read_hub_signature(struct dps_device *d, struct bytes response)
{
    return keep_signature(d, response, true);
}

static void build_keep(struct dps_device *d, struct bytes_writer *w)
{
    dps_record_write(w, d);
}

/* A device without a clock that starts with a kept key has not yet seen a Date. Any answer of its hub brings one
 * [RFC 9110 6.6.1], a refusal too; the connection then serves for the message. */
static int read_time_if_known(struct dps_device *d, struct bytes nothing)
{
    (void)nothing;
    return d->now == 0 ? ROW_BELOW : ROW_AFTER_NEXT;
}

static void build_ask_time(struct dps_device *d, struct bytes_writer *w)
{
    dps_write_text(w, "GET /");
    fill_in_length(w, write_headers(d, w, JSON));
}

static int read_asked_time(struct dps_device *d, struct bytes body)
{
    (void)body;
    d->now = d->server_date;
    return d->now == 0 ? BYTES_E_CLOCK : ROW_BELOW;
}

/* [IoT Hub "Send device event"]: device to cloud, one message. */
static void build_telemetry(struct dps_device *d, struct bytes_writer *w)
{
    if (!d->sends) {
        return;
    }
    dps_write_text(w, "POST /devices/");
    write_percent(w, d->device_id);
    dps_write_text(w, "/messages/events");
    const size_t body = write_headers(d, w, "application/octet-stream");
    bytes_write_bytes(w, d->config->data);
    fill_in_length(w, body);
}

static int read_telemetry_accepted(struct dps_device *d, struct bytes body)
{
    return d->http_status == 200 || d->http_status == 204 ? ROW_BELOW : refused(d, body);
}

/* ---- The beginnings of a run --------------------------------------------------------------------------- */

static int begin(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32],
                 uint8_t last_step)
{
    dps_engine_prepare(d, config, seed, register_flow);
    d->last_step = last_step;
    d->hardened = config->srk == DPS_SRK_HARDENED;
    return dps_engine_start(d);
}

int dps_device_register(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32])
{
    const bool complete = config->service_host != NULL && config->service_port != 0 &&
                          config->id_scope != NULL && config->id_scope[0] != '\0' &&
                          strlen(config->id_scope) <= DPS_ID_SCOPE_MAX &&
                          strlen(config->service_host) <= DPS_HOST_MAX;
    if (!complete || (config->registration_id != NULL &&
                      !dps_registration_id_valid(bytes_of_text(config->registration_id)))) {
        return BYTES_E_USAGE;
    }
    struct bytes payload;
    if (config->payload.len > 0 && dps_json_check(config->payload, &payload) != 0) {
        return BYTES_E_USAGE;
    }
    return begin(d, config, seed, 10);
}

int dps_device_token(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32],
                     struct bytes record)
{
    dps_engine_prepare(d, config, seed, kept_key_flow);
    const int error = dps_record_read(record, d);
    return error != 0 ? error : dps_engine_start(d);
}

int dps_device_send(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32],
                    struct bytes record)
{
    if (config->hub_port == 0) {
        return BYTES_E_USAGE;
    }
    const int error = dps_device_token(d, config, seed, record);
    d->sends = true;
    return error;
}

int dps_device_read_ek(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32])
{
    return begin(d, config, seed, 1);
}

int dps_device_read_keys(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32])
{
    return begin(d, config, seed, 3);
}

/* ---- Its results ---------------------------------------------------------------------------------------- */

struct bytes dps_device_token_text(const struct dps_device *d)
{
    return bytes_of(d->token, d->token_len);
}

struct bytes dps_device_result(const struct dps_device *d)
{
    return bytes_of(d->net, d->net_len);
}
