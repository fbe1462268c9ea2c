/* SPDX-License-Identifier: MIT */
/* The device side as a sans-I/O engine: it says what it wants next, the driver supplies it (port/drive.c is the whole
 * blocking driver). It draws no randomness, reads no clock and touches no socket, so it runs in a loop, in an event
 * loop, on bare metal, and in a test that splits every message.
 *
 * All memory is in struct dps_device, which holds no pointer into itself: it may be copied, compared and kept. The
 * configuration, and the texts and secrets that it views, stay the caller's and must outlive the engine's run.
 *
 * One run: dps_device_register (or another beginning below), then until DPS_WANT_DONE or DPS_WANT_FAILED:
 *
 *   dps_device_want     the driver then calls
 *   DPS_WANT_TPM        dps_device_tpm_command, has the TPM execute it, dps_device_tpm_response
 *   DPS_WANT_CONNECT    dps_device_host, connects there (TLS included; closes what was open), dps_device_connected
 *   DPS_WANT_SEND       dps_device_net_out, sends some or all of it, dps_device_net_sent
 *   DPS_WANT_RECEIVE    dps_device_net_in, receives some bytes, dps_device_net_received (0 bytes: the peer closed)
 *   DPS_WANT_TIME       dps_device_time
 *   DPS_WANT_WAIT       dps_device_wait_ms, waits, dps_device_waited
 *   DPS_WANT_SAVE       dps_device_record, keeps it durably, dps_device_saved
 *
 * The engine fails once: the first error is kept, and before FAILED it still wants the TPM commands that flush every
 * session and object it has loaded. A TPM that has forgotten what was loaded (it was reset, or someone else flushed it)
 * is no failure the first time: the flow begins again with its keys. Neither is a persistent SRK with an authValue.
 * Answers that do not fit what was wanted are ignored. */
#ifndef DPS_DEVICE_DEVICE_H
#define DPS_DEVICE_DEVICE_H

#include "crypto/limits.h"
#include "dps/protocol/http.h"
#include "tpm/public.h"

enum dps_want {
    DPS_WANT_TPM,
    DPS_WANT_CONNECT,
    DPS_WANT_SEND,
    DPS_WANT_RECEIVE,
    DPS_WANT_TIME,
    DPS_WANT_WAIT,
    DPS_WANT_SAVE,
    DPS_WANT_DONE,
    DPS_WANT_FAILED
};

enum dps_ek_template {
    DPS_EK_L1,       /* TCG EK Credential Profile: matches the EK certificate and other tools */
    DPS_EK_AZURE_SDK /* unique empty, as Microsoft's C, Node and Java SDKs create it */
};

/* Under which key of the owner's the nonce and the hub key come into the TPM. */
enum dps_srk {
    DPS_SRK_STANDARD, /* TCG's template: on a TPM that has TPM2_Rewrap, software beside it takes these keys out */
    DPS_SRK_HARDENED /* good for TPM2_Import and TPM2_Load only; derived anew in each run, and 8 commands more in a
                         registration, 3 in a later run with the kept key */
};

/* What the owner of the device decides. Zero-terminated texts; a null pointer or an empty span means "not given". */
struct dps_device_config {
    const char *service_host; /* as in the certificate, without port */
    uint16_t service_port;
    uint16_t hub_port;
    const char *id_scope;
    const char
        *registration_id; /* null: base32 of SHA-256 of EK_pub, as Microsoft's C, Node and Java SDKs do */
    struct bytes payload; /* JSON for custom allocation, or empty */
    enum dps_ek_template ek_template;
    enum dps_srk srk; /* register, read_keys; a kept key knows its own, all else takes the standard one */
    struct bytes owner_auth;       /* authValue of the owner hierarchy */
    struct bytes endorsement_auth; /* authValue of the endorsement hierarchy */
    struct bytes lockout_auth;     /* authValue that allows TPM2_Clear */
    struct bytes new_owner_auth;   /* dps_device_own: what they become */
    struct bytes new_endorsement_auth;
    struct bytes new_lockout_auth;
    bool persist;      /* dps_device_own: keep EK and SRK at 0x81010001 and 0x81000001 */
    struct bytes data; /* send: the message; seal: the secret; unseal: the sealed blob */
};

/* Objects and sessions that the engine has loaded and must flush. */
enum dps_loaded { DPS_LOADED_SESSION, DPS_LOADED_EK, DPS_LOADED_SRK, DPS_LOADED_KEY, DPS_LOADED_COUNT };

struct dps_step;

/* What is small and often used stands first: a Cortex-M reaches the beginning of a structure with shorter
 * instructions. */
struct dps_device {
    const struct dps_device_config *config;
    const struct dps_step *flow; /* the table being walked; ends with a row that asks nothing */
    uint8_t row;
    uint8_t attempts;   /* of the current row */
    uint8_t connected;  /* which host the open connection leads to, 0: none */
    uint8_t failed_row; /* where the error happened */
    bool closing;       /* the flow has ended, well or badly; what remains is flushing */
    bool restarting;    /* ... and then it begins again, */
    bool restarted;     /* which it does once for lost handles, */
    bool hardened;      /* the SRK in use is the hardened one */
    bool srk_locked;    /* and once because the persistent SRK has an authValue: it is passed over */
    bool reused;        /* the connection has already carried an exchange */
    bool answering;     /* the request is out, its answer is being received */
    bool late;          /* BYTES_E_TIMEOUT: of the whole run, not of one answer */
    bool retry_after_given;
    bool owner_changed, endorsement_changed, cleared; /* which authorizations are in force by now */
    uint8_t message_len, inner_key_len;               /* of the arrays below, as the next ones */
    uint16_t tpm_len, net_len, net_sent;
    uint16_t ek_len, srk_len, wrapped_key_len, key_public_len, token_len;
    uint16_t blob_at, blob_len; /* the activation blob inside net */
    uint16_t polls;

    /* what went wrong, and what the TPM or the service said beside it */
    uint16_t http_status;
    int error; /* 0 or the first error */
    uint32_t rc;
    uint32_t service_error; /* errorCode of the error JSON, 0 if none */

    uint32_t wait_ms;
    uint32_t retry_after_ms;           /* of the last answer, if retry_after_given */
    uint32_t loaded[DPS_LOADED_COUNT]; /* handles to flush; 0: none */
    uint32_t ek_handle, srk_handle;    /* handles in use, persistent or loaded */
    uint32_t asked_handle; /* the first one of the last command, whose authorization comes first */
    uint64_t now;          /* seconds since 1970; 0: unknown */
    uint64_t server_date;  /* from the last Date header that can be right; 0: none */
    uint64_t date_max;     /* no Date of this connection can be later; 0: unknown */
    uint64_t expiry;       /* of the token */

    /* counters that tools print */
    uint16_t tpm_commands, http_requests, connections;

    struct dps_http http;                   /* the answer being received */
    uint8_t nonce[32];                      /* from the driver's entropy: nonceCaller, and jitter */
    uint8_t inner_key[32];                  /* of the activation blob that is being opened */
    uint8_t key_public[DPS_KEY_PUBLIC_MAX]; /* TPM2B_PUBLIC of the key that travels in it */
    uint8_t srk_name[TPM2_NAME_SIZE];
    char key_name[32]; /* skn of the next token */
    char substatus[40];
    uint8_t message[DPS_MESSAGE_MAX];
    uint8_t wrapped_key[DPS_WRAPPED_KEY_MAX]; /* the hub key: TPM2B_PRIVATE under the SRK */
    char registration_id[DPS_REGISTRATION_ID_MAX + 1];
    char operation_id[DPS_OPERATION_ID_MAX + 1];
    char assigned_hub[DPS_HOST_MAX + 1];
    char device_id[DPS_DEVICE_ID_MAX + 1];
    uint8_t ek[DPS_EK_PUBLIC_MAX]; /* TPM2B_PUBLIC with size field */
    uint8_t srk[DPS_SRK_PUBLIC_MAX];
    uint8_t token[DPS_TOKEN_MAX]; /* string to sign, then the whole token */
    uint8_t tpm[DPS_TPM_BUFFER];
    uint8_t net[DPS_NET_BUFFER]; /* request, then response; also results of seal and unseal */
};

/* Begin a run. nonce: 32 fresh random bytes. Each returns 0, or BYTES_E_USAGE if the configuration lacks
 * something or breaks a limit (no run begins then). record is what DPS_WANT_SAVE gave in an earlier run;
 * BYTES_E_STATE if it is not one.
 *
 *   register   steps 1, 3, 4-9 and the first hub token; ends with token, assigned_hub, device_id, and one SAVE
 *   token      a fresh hub token with the saved key (step 10)
 *   send       the same, and one telemetry message config->data to the hub
 *   read_ek    step 1 only: ek, registration_id; read_keys: step 3 as well: srk (config->srk says which)
 * With DPS_WITH_OWNERSHIP:
 *   own        step 3: sets authorizations, derives the SRK, persists if asked
 *   clear      TPM2_Clear: a new owner; afterwards ek and srk are read again
 *   seal       config->data sealed under the SRK; unseal gives it back: dps_device_result */
int dps_device_register(struct dps_device *d, const struct dps_device_config *config,
                        const uint8_t nonce[32]);
int dps_device_token(struct dps_device *d, const struct dps_device_config *config, const uint8_t nonce[32],
                     struct bytes record);
int dps_device_send(struct dps_device *d, const struct dps_device_config *config, const uint8_t nonce[32],
                    struct bytes record);
int dps_device_read_ek(struct dps_device *d, const struct dps_device_config *config, const uint8_t nonce[32]);
int dps_device_read_keys(struct dps_device *d, const struct dps_device_config *config,
                         const uint8_t nonce[32]);
int dps_device_own(struct dps_device *d, const struct dps_device_config *config, const uint8_t nonce[32]);
int dps_device_clear(struct dps_device *d, const struct dps_device_config *config, const uint8_t nonce[32]);
int dps_device_seal(struct dps_device *d, const struct dps_device_config *config, const uint8_t nonce[32]);
int dps_device_unseal(struct dps_device *d, const struct dps_device_config *config, const uint8_t nonce[32]);

/* What the engine wants now: computed from its data, never stored. */
enum dps_want dps_device_want(const struct dps_device *d);

struct bytes dps_device_tpm_command(const struct dps_device *d);
/* A buffer of DPS_TPM_BUFFER bytes that the response may be received into: the engine's own, where the command
 * stands. */
uint8_t *dps_device_tpm_in(struct dps_device *d, size_t *room);
void dps_device_tpm_response(struct dps_device *d, struct bytes response);
const char *dps_device_host(const struct dps_device *d, uint16_t *port);
/* date_max: when the certificate of that host ends (crypto_tls_client_not_after); a Date beyond it is not believed.
 * 0: not known. */
void dps_device_connected(struct dps_device *d, uint64_t date_max);
struct bytes dps_device_net_out(const struct dps_device *d);
void dps_device_net_sent(struct dps_device *d, size_t len);
uint8_t *dps_device_net_in(struct dps_device *d, size_t *room);
void dps_device_net_received(struct dps_device *d, size_t len);
/* unix_seconds 0: this device has no clock; the service's Date header is used instead, unless it lies before
 * CRYPTO_TLS_TIME_FLOOR or after date_max: BYTES_E_CLOCK. */
void dps_device_time(struct dps_device *d, uint64_t unix_seconds);
uint32_t dps_device_wait_ms(const struct dps_device *d);
void dps_device_waited(struct dps_device *d);
struct bytes dps_device_record(const struct dps_device *d);
void dps_device_saved(struct dps_device *d);

/* The driver could not do what was wanted (TPM gone, connection refused, nothing saved): give up with its error. What
 * is loaded is still to be flushed, once for each handle, also after a transport that broke off; it is forgotten when
 * the TPM did not answer in time (BYTES_E_TIMEOUT): nobody is there to flush it. A flow of which only the flushing is
 * left does not fail by it. */
void dps_device_fail(struct dps_device *d, int error);

/* The run has taken longer than its driver allows: it fails with BYTES_E_TIMEOUT and d->late, and what is loaded is
 * flushed. A flow of which only the flushing is left goes on. */
void dps_device_late(struct dps_device *d);

/* Where the engine is: the step of the flow (1..10) and what is asked for there, for traces and errors (an
 * empty text without DPS_WITH_STEP_TEXTS). After a failure: where it failed. */
unsigned dps_device_step(const struct dps_device *d);
const char *dps_device_what(const struct dps_device *d);
/* Likewise: does it ask the service or the hub there, and not the TPM? False before a flow has begun. */
bool dps_device_asks_network(const struct dps_device *d);

/* After DONE: the token, or the bytes that seal and unseal made. View the engine's memory. */
struct bytes dps_device_token_text(const struct dps_device *d);
struct bytes dps_device_result(const struct dps_device *d);

/* Wipe everything. */
void dps_device_wipe(struct dps_device *d);

#endif
