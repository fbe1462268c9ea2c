/* SPDX-License-Identifier: MIT */
/* What the cases for a service share: the connection, an administrator, and devices whose TPM is software.
 *
 * Functions that return bool have recorded why they return false (conformance_check or conformance_skip): the case then
 * just ends. Enrolling, a challenge, its blob, its answer, the operation: each depends on the case that is about it.
 * `what` begins the sentence that says which variant failed. */
#ifndef TESTS_CONFORMANCE_SERVICE_H
#define TESTS_CONFORMANCE_SERVICE_H

#include "crypto/tls.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/http.h"
#include "dps/service/limits.h"
#include "tests/conformance/conformance.h"
#include "tpm/protect.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define SERVICE_API "api-version=2021-06-01"
/* Nonce and hub key may have 16 to 64 bytes; the others here are zeros, with which HMAC fills up a shorter key itself,
 * so that no length is needed to sign (RFC 2104 section 2). */
#define SERVICE_SECRET_SIZE 64
#define SERVICE_SECRET_MIN 16
#define SERVICE_TEXT_MAX 2048 /* one target, one token, one body that a case writes itself */

/* A connection to the service. It holds interior pointers: not to be moved. */
struct service_link {
    struct posix_stream stream;
    struct port_stream io;
    struct crypto_tls_client tls;
    uint8_t tls_buffer[CRYPTO_TLS_BUFFER_BIDI];
    bool open;
    bool orderly;          /* closed by the service with close_notify */
    int tls_error;         /* of the last connection */
    unsigned versions_max; /* 0: as usual; else only this TLS version and older are offered */
    bool static_rsa;       /* offer only cipher suites without forward secrecy */
    /* the answer */
    struct dps_http http;
    uint8_t buffer[DPS_HTTP_HEAD_MAX + 4 * DPS_HTTP_BODY_MAX];
    size_t len;
};

/* An RSA-2048 key whose public half looks like that of a TPM. */
struct service_key {
    bool made;
    uint8_t public_2b[DPS_EK_PUBLIC_MAX]; /* TPM2B_PUBLIC */
    size_t public_len;
    uint8_t name[TPM2_NAME_SIZE];
    uint8_t modulus[256];
    uint8_t storage[BR_RSA_KBUF_PRIV_SIZE(2048)];
    struct crypto_rsa_private rsa;
};
enum { SERVICE_EK, SERVICE_SRK, SERVICE_OTHER_EK, SERVICE_OTHER_SRK, SERVICE_KEYS };

/* A management policy, out of a connection string. */
struct service_policy {
    char name[128];
    uint8_t key[64];
    size_t key_len; /* 0: not given */
};

/* A device, as far as it has come. */
struct service_device {
    char id[DPS_REGISTRATION_ID_MAX + 1];
    const struct service_key *ek, *srk;
    uint8_t nonce[SERVICE_SECRET_SIZE];
    char operation[256];
    uint8_t hub_key[SERVICE_SECRET_SIZE];
    char hub[DPS_HOST_MAX + 1];
    char device_id[DPS_DEVICE_ID_MAX + 1];
    char substatus[64];
};

/* An activation blob, opened. */
struct service_blob {
    uint8_t bytes[8192];
    size_t len;
    struct dps_activation fields;
    size_t trailing; /* bytes after the sixth field */
    uint8_t inner_key[32];
    size_t inner_len;
    uint8_t storage[256];
    struct tpm2_sensitive sensitive;
    char uri[DPS_ENC_URI_MAX];
};

#define SERVICE_CREATED_MAX 32 /* enrollments that one case may make */
struct service {
    char host[DPS_HOST_MAX + 1];
    uint16_t port;
    char hub_host[DPS_HOST_MAX + 1]; /* where `hub` goes to */
    struct crypto_trust trust;
    struct service_policy owner, reader;
    struct service_link link;  /* of ordinary requests; kept */
    struct service_link other; /* of cases that misbehave */
    struct service_link hub;
    struct service_link road; /* of AMQP or MQTT */
    const char *road_at;      /* where it goes: HOST:PORT, or empty */
    uint16_t road_port;
    struct service_key keys[SERVICE_KEYS];
    struct service_blob blob; /* the last one that was opened */
    /* the last answer */
    unsigned status;
    struct bytes body; /* views the link's buffer, until the next request */
    struct bytes json; /* its root; empty if it is not JSON */
    const struct dps_http *head;
    const uint8_t *head_bytes;
    /* what must be deleted again */
    char created[SERVICE_CREATED_MAX][DPS_REGISTRATION_ID_MAX + 1];
    size_t created_count;
    bool obey_rate_off; /* show 429 to the case instead of waiting */
};

/* What the user has given; null or 0 if not. */
struct service_options {
    const char *url, *ca, *scope, *connection_string_file, *reader_file, *connect_to, *hub, *amqp, *mqtt;
    uint64_t timeout; /* seconds for one answer */
};
extern struct service_options service_given;

static inline struct service *service_of(const struct conformance *c)
{
    return (struct service *)c->suite_state;
}

/* ---- The connection (service_link.c) ---- */

/* One handshake. Returns 0, or the error, with link->tls_error. */
/* spoil_bearssl.c, spoil_openssl.c: offer what an old client would offer. The engine was started with today's settings;
 * these are changed, and it is started again. Returns: 0; BYTES_E_TLS. */
int service_spoil(struct service_link *l, const char *host);
int service_link_open(struct service *s, struct service_link *l, const char *host);
int service_link_send(struct service_link *l, struct bytes bytes);
/* Make one record of what was sent so far. */
int service_link_flush(struct service_link *l);
/* The next whole answer, within the given time. Returns 0; BYTES_E_TIMEOUT; BYTES_E_STREAM if it was closed without
 * one. */
int service_link_receive(struct service_link *l, uint32_t timeout_ms);
/* The same, with s->status and the rest. */
int service_next(struct service *s, struct service_link *l, uint32_t timeout_ms);
/* Wait for bytes, and append them to the buffer. Returns as service_link_receive. */
int service_link_more(struct service_link *l, uint32_t timeout_ms);
/* Wait until the service closes, at most so long. Returns true if it did; link->orderly says how. */
bool service_link_ended(struct service_link *l, uint32_t timeout_ms);
/* Close; abruptly: without close_notify. */
void service_link_close(struct service_link *l, bool abruptly);

/* One ordinary request and its answer, of any status, on the kept connection; waits and asks again after 429. headers:
 * lines, each with its line end. body: text, or null. False if there was no answer. */
bool service_ask(struct conformance *c, const char *method, const char *target, const char *headers,
                 const char *body);
/* The same on any link, with any bytes for a body. */
bool service_ask_on(struct conformance *c, struct service_link *l, const char *host, const char *method,
                    const char *target, const char *headers, struct bytes body);

/* Bytes as they are, on a connection of their own. What came of it: */
enum service_outcome {
    SERVICE_SILENT,  /* nothing within the time */
    SERVICE_CLOSED,  /* closed without an answer */
    SERVICE_ANSWERED /* s->status and the rest are set; the connection is still open */
};
enum service_outcome service_raw(struct conformance *c, struct bytes bytes, uint32_t timeout_ms);

/* ---- AMQP and MQTT (service_road.c) ---- */

/* A connection to the host, or to at. A case ends if there is none. */
bool service_road_open(struct conformance *c, const char *at, uint16_t port, const char *host);
/* Send; that the service has closed meanwhile is what reading finds. */
void service_road_send(struct conformance *c, struct bytes bytes);
/* What has arrived and was not taken. */
struct bytes service_road_arrived(const struct service *s);
void service_road_take(struct service *s, size_t len);
/* Wait for more. Returns: 0; BYTES_E_TIMEOUT; BYTES_E_STREAM. */
int service_road_more(struct service *s);
/* Does the service close, without another word, within the time? */
bool service_road_ends(struct conformance *c, const char *what);

/* ---- Answers (service_answer.c) ---- */

struct bytes service_header(const struct service *s, const char *name); /* empty if absent */
/* A member of the answer, by a path of names separated by '.'; empty if there is none. */
struct bytes service_member(const struct service *s, const char *path);
/* The same, as text; empty if it is not a string. */
const char *service_text(const struct service *s, const char *path, char *text, size_t size);
/* A refusal: 4xx (or exactly status, unless 0), and no challenge. */
bool service_refused(struct conformance *c, const char *what, unsigned status);
/* The same, with the error JSON that clients rely on: only for the cases that are about it. */
bool service_refused_in_form(struct conformance *c, const char *what, unsigned status);
/* The refusal's errorCode. */
unsigned service_error_code(const struct service *s);
/* The answer's body, or its beginning, to be shown; until the next call. */
const char *service_shown(const struct service *s);
bool service_status(struct conformance *c, const char *what, unsigned status);

/* ---- Devices (service_device.c, service_keys.c) ---- */

const struct service_key *service_key(struct conformance *c, size_t which);
/* A public area as text, in base64. */
void service_base64(struct bytes bytes, char *text, size_t size);
/* Write {"registrationId":..,"tpm":{..}} for a device. */
void service_body(const struct service_device *d, char *text, size_t size);
/* A new registrationId, enrolled with the first TPM's EK; `more` (",...") is appended to the enrollment. Skips
 * the case if there is no administrator. enroll leaves it to the case what the answer must be. */
bool service_device_new(struct conformance *c, struct service_device *d, const char *more);
bool service_device_enroll(struct conformance *c, struct service_device *d, const char *more);
void service_device_name(struct conformance *c, struct service_device *d);
/* The target of the device API: suffix "/register", "/operations/..", or "". */
void service_target(const struct service_device *d, const char *suffix, char *target, size_t size);
/* Ask for a challenge with any keys and judge nothing. */
bool service_ask_challenge(struct conformance *c, const struct service_device *d, const char *body);
/* Step 4: ask; a challenge must come. */
bool service_ask_challenged(struct conformance *c, const struct service_device *d);
/* Steps 4 to 7: ask, receive, open; d->nonce. */
bool service_challenge(struct conformance *c, struct service_device *d);
/* The last answer's member must be text that may be a blob. */
bool service_has_blob(struct conformance *c, const char *path);
/* Take the blob in the last answer's member apart, into s->blob: six structures, whatever is in them. */
bool service_take_blob(struct conformance *c, const char *path);
/* The same, and open it with the device's keys. */
bool service_open_blob(struct conformance *c, const struct service_device *d, const char *path);
/* Steps 8 and 9. */
bool service_send_proof(struct conformance *c, const struct service_device *d, const char *token);
/* The same without the keys, which the token proves. */
bool service_send_token(struct conformance *c, const struct service_device *d, const char *token);
bool service_prove(struct conformance *c, struct service_device *d);
bool service_poll(struct conformance *c, struct service_device *d);
/* The last answer assigns the device. */
bool service_take_assignment(struct conformance *c, struct service_device *d);
bool service_register(struct conformance *c, struct service_device *d);
/* The operation of the last 202. */
bool service_take_operation(struct conformance *c, struct service_device *d);
/* Ask once for the operation. */
bool service_ask_operation(struct conformance *c, const struct service_device *d, const char *token);

/* A public area that is not quite its template: what is changed. 0: as it is. */
enum service_modulus {
    SERVICE_MODULUS_AS_IT_IS,
    SERVICE_MODULUS_EVEN,
    SERVICE_MODULUS_LEADING_ZERO,
    SERVICE_MODULUS_SHORT, /* 128 bytes */
    SERVICE_MODULUS_LONG,  /* 257 bytes */
    SERVICE_MODULUS_EMPTY,
    SERVICE_MODULUS_ONES /* the number 1 */
};
struct service_variant {
    const char *name;
    uint32_t set, clear; /* attributes */
    uint32_t exponent;
    uint16_t key_bits, name_alg, symmetric, symmetric_bits, mode, scheme, scheme_hash;
    bool no_policy, other_policy;
    enum service_modulus modulus;
    unsigned code; /* the errorCode of this project's service */
};
/* The TPM2B_PUBLIC; empty if it cannot be made. */
struct bytes service_variant_make(const struct service_key *key, const struct tpm2_public *base,
                                  const struct service_variant *v, uint8_t *out, size_t size);

/* A token over sr as it stands; se may be any text. form: how sig and skn are written. */
struct service_token {
    const char *sr;
    const char *se;
    const char *skn; /* null: none */
    bool lower_hex;
    bool last_bit;       /* of the signature is flipped */
    const char *pattern; /* null: "SharedAccessSignature sr=$r&sig=$g&se=$e&skn=$n" */
};
void service_sign(struct bytes key, const struct service_token *t, char *text, size_t size);
/* The usual token of a device: valid for an hour. */
void service_device_token(const struct service_device *d, const uint8_t key[SERVICE_SECRET_SIZE], char *text,
                          size_t size);
uint64_t service_now(void);
/* se: now and so many seconds. */
void service_expiry(int64_t age, char *text, size_t size);

/* ---- The administrator (service_admin.c) ---- */

/* Skips the case if no connection string was given. */
bool service_has_admin(struct conformance *c);
/* A management request with the owner's token. headers may be "". */
bool service_manage(struct conformance *c, const char *method, const char *target, const char *headers,
                    const char *body);
void service_policy_token(const struct service *s, const struct service_policy *p, char *text, size_t size);
void service_enrollment_path(const char *id, char *target, size_t size);
/* The enrollment of a device as JSON, with more members. */
void service_enrollment(const struct service_device *d, const char *more, char *text, size_t size);
/* Remember to delete it. */
void service_created(struct conformance *c, const char *id);
/* Delete everything that this suite has made. */
void service_clean(struct conformance *c);

/* Enrollment and registration as the administrator sees them. */
struct service_snapshot {
    uint8_t digest[CRYPTO_SHA256_SIZE];
};
bool service_look(struct conformance *c, const char *id, struct service_snapshot *now);
/* what: what has happened, and must have changed nothing. */
bool service_unchanged(struct conformance *c, const char *id, const struct service_snapshot *before,
                       const char *what);

/* ---- The cases, a file each ---- */

extern const struct conformance_case service_cases_tls[], service_cases_http[], service_cases_enrollment[],
    service_cases_management[], service_cases_request[], service_cases_ek[], service_cases_srk[],
    service_cases_srk_hardened[], service_cases_challenge[], service_cases_token[],
    service_cases_assignment[], service_cases_hub[], service_cases_amqp[], service_cases_amqp_clients[],
    service_cases_mqtt[];

#endif
