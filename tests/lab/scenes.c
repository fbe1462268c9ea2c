/* SPDX-License-Identifier: MIT */
/* The stories. Each says only what is other than in the first one. */
#include "dps/device/device.h"
#include "dps/device/ownership.h"
#include "dps/manage/admin.h"
#include "dps/protocol/text.h"
#include "tests/lab/inside.h"
#include "tests/support/vendor_token.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/command.h"
#include <string.h>

static const uint8_t seed[32] = "what the device's random is from";

/* ---- Acts -------------------------------------------------------------------------------------------------------- */

static int read_ek(struct lab_world *w)
{
    return dps_device_read_ek(&w->device, &w->config, seed);
}

static int enroll(struct lab_world *w)
{
    uint8_t body[1024];
    struct bytes_writer b = bytes_writer_over(body, sizeof body);
    struct bytes_writer r = bytes_writer_over(w->request, sizeof w->request);
    dps_manage_init(&w->service);
    dps_write_text(&b, "{\"registrationId\":\"" LAB_ID
                       "\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(&b, bytes_of(w->device.ek, w->device.ek_len));
    dps_write_text(&b, w->config.srk == DPS_SRK_HARDENED ? "\",\"srk\":\"hardened\"}}}" : "\"}}}");
    dps_write_text(&r, "PUT /enrollments/" LAB_ID "?api-version=2021-10-01 HTTP/1.1\r\nHost: " LAB_HOST
                       "\r\nAuthorization: ");
    vendor_token_write(&r, LAB_HOST, &w->service_config.policies[0], LAB_NOW + 3600);
    dps_write_text(&r, "\r\nContent-Type: application/json\r\nContent-Length: ");
    dps_write_decimal(&r, b.len);
    dps_write_text(&r, "\r\n\r\n");
    bytes_write_bytes(&r, bytes_written(&b));
    w->request_len = r.len;
    w->phase = LAB_DECIDES;
    return b.error != 0 ? b.error : r.error;
}

/* What was set is in force. */
static void adopt(struct lab_world *w)
{
    if (w->config.new_owner_auth.len > 0) {
        w->config.owner_auth = w->config.new_owner_auth;
        w->config.new_owner_auth = bytes_of(NULL, 0);
    }
    if (w->config.new_endorsement_auth.len > 0) {
        w->config.endorsement_auth = w->config.new_endorsement_auth;
        w->config.new_endorsement_auth = bytes_of(NULL, 0);
    }
}

static int own(struct lab_world *w)
{
    return dps_device_own(&w->device, &w->config, seed);
}

static int register_device(struct lab_world *w)
{
    adopt(w);
    return dps_device_register(&w->device, &w->config, seed);
}

static int send_message(struct lab_world *w)
{
    w->config.data = bytes_of_text("{\"temperature\":21}");
    return w->record_len == 0
               ? BYTES_E_STATE
               : dps_device_send(&w->device, &w->config, seed, bytes_of(w->record, w->record_len));
}

static int replay(struct lab_world *w)
{
    memcpy(w->request, w->signed_request, w->signed_request_len);
    w->request_len = w->signed_request_len;
    w->phase = LAB_DECIDES;
    return w->request_len > 0 ? 0 : BYTES_E_STATE;
}

static int clear(struct lab_world *w)
{
    return dps_device_clear(&w->device, &w->config, seed);
}

#define BEGINNING                                                                                            \
    {1, "the vendor reads the EK", read_ek}, {2, "the vendor enrolls it", enroll},                           \
    {                                                                                                        \
        3, "the owner takes the TPM", own                                                                    \
    }
#define REGISTERS                                                                                            \
    {                                                                                                        \
        4, "the device registers", register_device                                                           \
    }
#define SENDS                                                                                                \
    {                                                                                                        \
        10, "the device sends a message", send_message                                                       \
    }
#define END                                                                                                  \
    {                                                                                                        \
        0, NULL, NULL                                                                                        \
    }

static const struct lab_act ordinary[] = {BEGINNING, REGISTERS, SENDS, END};
static const struct lab_act replayed[] = {
    BEGINNING, REGISTERS, SENDS, {11, "the signed request once more", replay}, END};
static const struct lab_act resold[] = {BEGINNING,
                                        REGISTERS,
                                        SENDS,
                                        {11, "the TPM is cleared", clear},
                                        {11, "the device tries with what it has kept", send_message},
                                        {11, "a new owner takes the TPM", own},
                                        {11, "the device registers anew", register_device},
                                        END};

/* ---- What is other ----------------------------------------------------------------------------------------------- */

static void in_clear(struct lab_world *w)
{
    w->config.no_sessions = true;
}

static void password(struct lab_world *w)
{
    w->config.new_owner_auth = bytes_of_text("the owner's password");
    w->config.no_sessions = true;
}

static void passwords(struct lab_world *w)
{
    password(w);
    w->config.new_endorsement_auth = bytes_of_text("another password");
}

static void in_sessions(struct lab_world *w)
{
    passwords(w);
    w->config.no_sessions = false;
}

static void other_template(struct lab_world *w, unsigned stage)
{
    w->config.persist = false;
    w->config.ek_template = stage >= 3 ? DPS_EK_AZURE_SDK : DPS_EK_L1;
}

/* Malware on the device names a key of its own as SRK. */
static void put_key(uint8_t *bytes, size_t len, const char *attributes)
{
    for (size_t i = 0; i < sizeof vector_srk_public_2b; i++) {
        uint8_t byte = vector_srk_public_2b[i];
        if (attributes != NULL && i >= 6 && i < 10) {
            byte = (uint8_t)attributes[i - 6];
        }
        (void)lab_view_set(PORT_TRACE_HTTP_REQUEST, bytes, len, 2, i, byte);
    }
}

static void software_srk(struct lab_world *w, enum port_trace_kind kind, uint8_t *bytes, size_t len)
{
    if (kind == PORT_TRACE_HTTP_REQUEST && w->stage == 4) {
        put_key(bytes, len, NULL);
    }
}

static void lying_srk(struct lab_world *w, enum port_trace_kind kind, uint8_t *bytes, size_t len)
{
    if (kind == PORT_TRACE_HTTP_REQUEST && w->stage == 4) {
        put_key(bytes, len, "\x00\x03\x04\x72");
    }
}

static void rewrap(struct lab_world *w)
{
    password(w);
    w->interposed = true;
    w->interposer.rewrap = true;
}

static void rewrap_hardened(struct lab_world *w)
{
    rewrap(w);
    w->config.srk = DPS_SRK_HARDENED;
}

static void acts_in_clear(struct lab_world *w)
{
    rewrap(w);
    passwords(w);
}

static void acts_in_sessions(struct lab_world *w)
{
    rewrap(w);
    in_sessions(w);
}

static void own_ek(struct lab_world *w, unsigned stage)
{
    w->interposed = stage >= 4;
    w->interposer.own_ek = true;
}

static void listens(struct lab_world *w)
{
    passwords(w);
    w->listens = true;
}

static void listens_in_sessions(struct lab_world *w)
{
    in_sessions(w);
    w->listens = true;
}

/* Somebody else's software, between challenge and answer. */
static void clear_between(struct lab_world *w, unsigned stage)
{
    static uint8_t command[64], response[TINY_BUFFER];
    struct bytes_writer b = bytes_writer_over(command, sizeof command);
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    if (stage == 7) {
        tpm2_clear_build(&b, TPM2_RH_LOCKOUT, &auth);
        (void)tiny_tpm_execute(&w->tpm, bytes_written(&b), response);
    }
}

/* It knows EK_pub, as everybody may, and so can enroll the device as its own. */
static void rogue(struct lab_world *w, unsigned stage)
{
    if (stage == 4) {
        memcpy(w->other.records, w->store.records, sizeof w->other.records);
        w->other.memory.version = w->store.memory.version;
    }
    w->is_rogue = stage >= 4 && stage < 11;
}

static void slow_clock(struct lab_world *w, unsigned stage)
{
    if (stage == 1) {
        w->device_clock = LAB_NOW - UINT64_C(30) * 86400;
    }
}

static void wrong_date(struct lab_world *w, unsigned stage)
{
    if (stage == 1) {
        w->device_clock = 0;
        w->service_clock = 1000000000;
    }
}

static void restored(struct lab_world *w, unsigned stage)
{
    struct posix_memory_record *records = w->store.records, *backup = w->other.records;
    if (stage == 4) {
        memcpy(backup, records, sizeof w->other.records);
    } else if (stage == 11) {
        memcpy(records, backup, sizeof w->other.records);
        w->service_clock += 1200;
        w->device_clock += 1200;
    }
}

static const struct lab_act rogue_acts[] = {
    BEGINNING, REGISTERS, SENDS, {11, "the rogue shows the token to the real service", replay}, END};
static const struct lab_act restored_acts[] = {BEGINNING,
                                               REGISTERS,
                                               SENDS,
                                               {11, "the signed request once more", replay},
                                               {11, "the device sends with its key", send_message},
                                               {11, "the device registers anew", register_device},
                                               END};

const struct lab_scene lab_scene_list[] = {
    {"ordinary", "As it should be",
     "Ten stages, and nobody disturbs them. Begin here, then change something.",
     "Two wraps and one nonce: only a TPM with both keys can answer. Now change a byte, and see who notices.",
     ordinary, password, NULL, NULL},
    {"wrong-template", "The wrong EK template",
     "The vendor has enrolled the EK of template L-1. The device's software makes it from the template that "
     "several SDKs use, with unique empty: same chip, another key.",
     "The template is part of what a key is derived from, so this is another key, and the service cannot "
     "know that it is the same chip. Use one template on both sides.",
     ordinary, password, other_template, NULL},
    {"software-srk", "A key made by software",
     "Malware on the device puts a key of its own in the SRK's place, so that the nonce comes out of the "
     "TPM.",
     "A nonce wrapped to a key of software would be in clear outside of the TPM. The attributes say so, and "
     "the service looks at them.",
     ordinary, password, NULL, software_srk},
    {"lying-srk", "A key that says it cannot leave",
     "Malware on the device puts a key of its own in the SRK's place, and the key's attributes claim that it "
     "is fixed to a TPM. The service cannot see that they lie.",
     "The service believes the attributes. But no TPM has loaded that key: the credential was made for its "
     "Name, and the HMAC does not fit the SRK that is loaded.",
     ordinary, password, NULL, lying_srk},
    {"rewrap", "One command too many",
     "TPM2_Rewrap takes the outer wrap off a key, to put another one on. Software beside the device's sends "
     "it. The SRK is the standard one, which all software may use.",
     "Whoever may use the SRK may take the outer wrap off, and the inner key crosses the bus in clear. So "
     "with the standard SRK, software beside the TPM carries the keys away, and nobody notices.",
     ordinary, rewrap, NULL, NULL},
    {"rewrap-hardened", "One command too many, in vain",
     "Software beside the device's sends TPM2_Rewrap, which takes the outer wrap off a key. But the SRK is "
     "the hardened one: good for TPM2_Import and TPM2_Load only.",
     "The policy of the hardened SRK allows TPM2_Import and TPM2_Load alone. He still has the inner keys, "
     "which open nothing under the outer wrap.",
     ordinary, rewrap_hardened, NULL, NULL},
    {"replay", "A token used twice", "Somebody has recorded the signed request, and sends it once more.",
     "Each registration has a nonce of its own. The old token is worth nothing, and the service says why.",
     replayed, password, NULL, NULL},
    {"cleared", "Cleared between challenge and answer",
     "Somebody clears the TPM while the device has a challenge to answer.",
     "What was loaded is gone, so the device begins again: a new SRK, the same EK, another challenge. The "
     "first one is never answered.",
     ordinary, NULL, clear_between, NULL},
    {"resale", "Resale", "The device is sold. Its new owner clears the TPM and registers it.",
     "The storage seed is another one: what the old owner's SRK had wrapped does not load any more. The EK "
     "is the same, so the service recognises the device.",
     resold, in_clear, NULL, NULL},
    {"listens", "An interposer who listens",
     "Somebody has a probe on the wires to the TPM. Everything crosses them in clear.",
     "He has both passwords and both inner keys. An inner key opens one wrap of two, so he has neither the "
     "nonce nor the hub's key.",
     ordinary, listens, NULL, NULL},
    {"listens-sessions", "He listens, to sessions",
     "Somebody has a probe on the wires to the TPM. The device uses salted sessions, which hide what it "
     "says.",
     "Passwords and inner keys cross the wires encrypted, under a salt that only the TPM can read. He has "
     "learned nothing.",
     ordinary, listens_in_sessions, NULL, NULL},
    {"acts", "An interposer who acts",
     "Somebody on the wires to the TPM sends commands of his own, and wants the imported keys. The "
     "hierarchies have passwords; there are no sessions.",
     "He sends the device's own ActivateCredential with the device's own policy session, passes the answer "
     "on, and then sends TPM2_Rewrap. He needs none of the passwords.",
     ordinary, acts_in_clear, NULL, NULL},
    {"acts-sessions", "He acts, against sessions",
     "Somebody on the wires to the TPM sends commands of his own, and wants the imported keys. The "
     "hierarchies have passwords, and the device uses salted sessions.",
     "The policy session wants an HMAC that he cannot make, and a session of his own wants a password. "
     "TPM2_Rewrap takes the outer wrap off, but the inner key is not his.",
     ordinary, acts_in_sessions, NULL, NULL},
    {"own-ek", "He shows an EK of his own",
     "To read the salts of the sessions, somebody on the wires puts his own public key in the EK's place, "
     "after the right one was enrolled.",
     "To the service he is another chip. A device that has kept its EK's Name notices it even before the "
     "service.",
     ordinary, in_sessions, own_ek, NULL},
    {"rogue", "A rogue service",
     "The device talks to another service, which knows its EK_pub. Here nobody checks a certificate: that is "
     "TLS's part.",
     "Whoever knows EK_pub can challenge. That the device talks to the right service, only TLS's certificate "
     "shows. But the token is good for nobody else: the nonce in it is the rogue's.",
     rogue_acts, password, rogue, NULL},
    {"slow-clock", "A slow clock", "The device's clock is thirty days late.",
     "The token had expired before it was sent. A device without any clock fares better: it uses the "
     "service's.",
     ordinary, password, slow_clock, NULL},
    {"wrong-date", "No clock, and a wrong Date",
     "The device has no clock and believes the service's Date header. The service's clock stands in 2001.",
     "A Date that is older than the program is not believed. So there is no time, and no token.", ordinary,
     password, wrong_date, NULL},
    {"restored", "A restored back-up",
     "The service's store is put back to what it was before the device registered; twenty minutes later.",
     "Each registration draws random bytes of its own: nothing that was issued after the back-up is "
     "accepted, or issued again. The device registers anew.",
     restored_acts, password, restored, NULL},
};
const size_t lab_scene_count = sizeof lab_scene_list / sizeof lab_scene_list[0];
