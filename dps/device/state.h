/* SPDX-License-Identifier: MIT */
/* A device's run: what its owner decides, and all that the run remembers.
 *
 * All memory is in struct dps_device, which holds no pointer into itself: it may be copied, compared and kept. The
 * configuration, and the texts and secrets that it views, stay the caller's and must outlive the engine's run. */
#ifndef DPS_DEVICE_STATE_H
#define DPS_DEVICE_STATE_H

#include "dps/device/limits.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/http.h"
#include "tpm/public.h"
#include "tpm/session.h"

enum dps_ek_template {
    DPS_EK_L1,       /* TCG EK Credential Profile: matches the EK certificate and other tools */
    DPS_EK_AZURE_SDK /* unique empty, as Microsoft's C, Node and Java SDKs create it */
};

/* Which SRK imports the nonce and the hub key into the TPM. */
enum dps_srk {
    DPS_SRK_STANDARD, /* TCG's template: on a TPM that has TPM2_Rewrap, software beside it can take these keys out */
    DPS_SRK_HARDENED /* good for TPM2_Import and TPM2_Load only; derived anew in each run: more commands */
};

/* What the owner of the device decides. Zero-terminated texts; a null pointer or an empty span means "not given". */
struct dps_device_config {
    const char *service_host; /* as in the certificate, without port */
    uint16_t service_port;
    uint16_t hub_port;
    uint16_t hub_mqtt_port;  /* a link (dps/device/link.h); 0: 8883 */
    uint16_t keep_alive;     /* likewise: seconds of silence; 0: 180 */
    uint32_t token_lifetime; /* seconds; 0: an hour */
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
    struct bytes
        ek_name; /* Name of the EK from an earlier run, if known: no salt is made for another one before the
                             service has seen it. TPM2_NAME_SIZE bytes */
    bool
        no_sessions; /* for a TPM that refuses salted sessions: inner key and passwords cross its bus in clear */
    bool persist;    /* dps_device_own: keep EK and SRK at 0x81010001 and 0x81000001 */
    struct bytes data; /* send: the message; seal: the secret; unseal: the sealed blob */
};

/* Objects and sessions that the engine has loaded and must flush. */
enum dps_loaded {
    DPS_LOADED_SESSION,
    DPS_LOADED_HMAC_SESSION,
    DPS_LOADED_EK,
    DPS_LOADED_SRK,
    DPS_LOADED_KEY,
    DPS_LOADED_COUNT
};

struct dps_step;

/* What the sessions with a key (dps/device/session.h) do in the command that is under way. */
struct dps_guard {
    uint32_t code; /* of the command; 0: nothing */
    uint8_t built; /* authorizations that the row has written */
    uint8_t session_at,
        policy_at; /* places of the HMAC and of the policy session, from 1; 0: it takes no part */
    uint8_t session_attributes, policy_attributes;
};

/* What is small and often used stands first: a Cortex-M reaches the beginning of a structure with shorter
 * instructions. */
struct dps_device {
    const struct dps_device_config *config;
    const struct dps_step *flow; /* the table being walked; ends with a row that asks nothing */
    uint8_t row;
    uint8_t attempts;   /* of the current row */
    uint8_t connected;  /* which host the open connection leads to, 0: none */
    uint8_t failed_row; /* where the error happened */
    uint8_t last_step;  /* no row of a later one is walked */
    bool closing;       /* the flow has ended, well or badly; what remains is flushing */
    bool restarting;    /* ... and then it begins again, */
    bool restarted;     /* which it does once for lost handles, */
    bool hardened;      /* the SRK in use is the hardened one */
    bool sends;         /* the run has a message for the hub */
    bool srk_locked;    /* and once because the persistent SRK has an authValue: it is passed over */
    bool overtaken;     /* and once because another registration of this device came first */
    bool reused;        /* the connection has already carried an exchange */
    bool answering;     /* the request is out, its answer is being received */
    bool late;          /* BYTES_E_TIMEOUT: of the whole run, not of one answer */
    bool retry_after_given;
    bool session_ends; /* the TPM is to close the session with a key after this command */
    bool unprotected;  /* the command in tpm is as its row has built it */
    bool ek_is_expected;
    bool lockout_changed, owner_changed, endorsement_changed,
        cleared;         /* which authorizations are in force by now */
    uint8_t message_len; /* of the array below, as the next ones */
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

    struct dps_http http; /* the answer being received */
    uint8_t
        seed[32];   /* from the driver's entropy, and secret: all random numbers of the run follow from it */
    uint32_t draws; /* how many there were */
    struct dps_guard guard;
    struct tpm2_session session;            /* the HMAC session; handle 0: none is open */
    struct tpm2_session policy;             /* the policy session, likewise: none is open, or it has no key */
    uint8_t inner_key[DPS_INNER_KEY_SIZE];  /* of the activation blob that is being opened */
    uint8_t key_public[DPS_KEY_PUBLIC_MAX]; /* TPM2B_PUBLIC of the key that travels in it */
    uint8_t ek_name[TPM2_NAME_SIZE], srk_name[TPM2_NAME_SIZE],
        object_name[TPM2_NAME_SIZE];     /* of what is in use */
    uint8_t ek_expected[TPM2_NAME_SIZE]; /* of an earlier run, if ek_is_expected */
    char key_name[32];                   /* skn of the next token */
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

#endif
