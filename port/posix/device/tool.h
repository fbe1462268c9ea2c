/* SPDX-License-Identifier: MIT */
/* dps-device: what its files share. dps-device.c describes the commands and calls one; each command is in
 * the file of its subject and returns an exit code, having told the user everything. */
#ifndef PORT_POSIX_DEVICE_TOOL_H
#define PORT_POSIX_DEVICE_TOOL_H

#include "dps/device/record.h"
#include "port/link.h"
#include "port/posix/explain/trace.h"
#include "port/posix/explain/trace_pcapng.h"
#include "port/posix/options.h"
#include "port/posix/posix.h"
#include "port/posix/proxy.h"
#include "tpm/command.h"

/* What the user asked for; zero and null mean "not given". */
struct device_options {
    /* every command */
    const char *tpm;
    const char *owner_auth_file, *endorsement_auth_file, *lockout_auth_file;
    const char *trace, *seed;
    uint64_t now, timeout;
    bool help, version, verbose, quiet, no_sessions, trace_secrets;
    /* ek, register */
    const char *ek_template, *srk, *format, *certificate, *id;
    /* own, clear */
    const char *new_owner_auth_file, *new_endorsement_auth_file, *new_lockout_auth_file;
    bool persist, yes;
    /* register, token, send */
    const char *service, *ca, *scope, *payload, *proxy, *proxy_auth_file, *connect_to, *state;
    uint64_t hub_port;
    const char *message, *message_file;
    bool mqtt;
    /* token, connect */
    uint64_t token_lifetime, keep_alive;
    bool stay;
    /* seal, unseal */
    const char *in, *out;
    /* explain */
    const char *operand, *as, *response_to;
};

enum device_auth {
    DEVICE_AUTH_OWNER,
    DEVICE_AUTH_ENDORSEMENT,
    DEVICE_AUTH_LOCKOUT,
    DEVICE_AUTH_NEW_OWNER,
    DEVICE_AUTH_NEW_ENDORSEMENT,
    DEVICE_AUTH_NEW_LOCKOUT,
    DEVICE_AUTH_COUNT
};
/* An authValue may be as long as the largest digest of the TPM. */
#define DEVICE_AUTH_MAX 64
/* A message of `send`, with its headers beside it in the engine's buffer. */
#define DEVICE_MESSAGE_MAX (DPS_NET_BUFFER - 1536)
/* How long to wait before saying what is waited for. */
#define DEVICE_SILENCE_MAX_MS 5000
/* A --payload, with the longest names, keys and token beside it. */
#define DEVICE_PAYLOAD_MAX (DPS_NET_BUFFER - 2696)
/* What `unseal` reads: a sealed blob, as TPM2_Load takes it. */
#define DEVICE_SEALED_MAX 1024
/* What --trace begins with if a file for Wireshark is wanted. */
#define DEVICE_TRACE_PCAPNG "pcapng:"

/* A command that the TPM refused, as it went over the wire. */
struct device_refusal {
    uint32_t command; /* TPM_CC; 0: none */
    uint32_t handles[3];
    uint32_t rc;
    uint8_t keyed; /* bit n - 1: the nth session is one of the engine's that have a key */
};

/* Sees every message: keeps what an error sentence needs, narrates, and passes on to the trace. */
struct device_watch {
    struct port_trace next;
    struct device_refusal asked; /* the last TPM command, except those that flush */
    struct device_refusal refused;
    struct device_refusal flushing; /* the last one of those */
    uint32_t permanent;             /* TPM_PT_PERMANENT after a refused authorization, if permanent_told */
    bool permanent_told;
    uint64_t asked_at_ms;
    uint64_t silent_ms; /* waited, since the user was last told of it */
    uint64_t lost;      /* until of the link, when the user was last told that it was lost */
    bool answer_begun;  /* an HTTP response comes in pieces; its first line is narrated once */
    char reason[POSIX_STREAM_ERROR_MAX]; /* why the last connection could not be made or the state not be
                                            written; empty: it was */
};

struct device_tool {
    struct device_options options;
    struct dps_device_config config;
    char service_host[DPS_HOST_MAX + 1];
    uint8_t auth[DEVICE_AUTH_COUNT][DEVICE_AUTH_MAX];
    struct bytes auth_value[DEVICE_AUTH_COUNT];

    struct posix_tpm tpm;
    struct posix_proxy proxy;
    struct posix_stream stream;
    struct port_stream stream_port; /* the one below ours, which adds reasons and the end by a signal */
    struct posix_storage storage;
    int state_lock; /* of register, while state_locked */
    bool state_locked;
    struct crypto_drbg drbg;
    struct trace trace;
    struct trace_pcapng pcapng;
    FILE *pcapng_file; /* null: none */
    struct port port;
    struct crypto_trust trust;
    struct port_drive drive;
    struct device_watch watch;

    struct dps_device engine;
    struct dps_link link;
    uint8_t seed[32]; /* of the engine's next run */
    uint64_t run_ms;
    uint8_t data[DPS_NET_BUFFER]; /* message, secret or sealed blob; lines of standard input */
    uint8_t record[DPS_RECORD_FILE_MAX];
    uint8_t ek_name[TPM2_NAME_SIZE]; /* of an earlier record */
    uint8_t answer[DPS_TPM_BUFFER];  /* of the TPM to a question outside of the engine */
};

/* ---- tool.c: the surroundings of a command ---- */

/* Authorizations, EK template, TPM, ports. Returns 0 or an exit code, then the user has been told. */
int device_open(struct device_tool *t);
/* Wipes everything, so it may also be called after a failed open. Returns 0, or an exit code if the trace is not
 * complete. */
int device_close(struct device_tool *t);
/* Called once by each command that relies on the EK as if the TPM were real. */
void device_warn_software(const struct device_tool *t);
/* Fresh random bytes for the engine, in t->seed. Returns 0 or an exit code. */
int device_seed(struct device_tool *t);
/* Run the engine; begin_error is what its begin returned. Returns 0 or an exit code, then the user has been told.
 * */
int device_run(struct device_tool *t, int begin_error);
/* The Name of the EK of an earlier registration, by which passwords are not given to another one. Returns 0,
 * BYTES_E_NOT_FOUND: there is no state file, or another error: it does not say the Name. */
int device_expect_ek(struct device_tool *t);
/* Read the CA file into t->trust. Returns 0 or an exit code. */
int device_trust(struct device_tool *t);
/* A whole file or, for "-", standard input, into buffer. Returns 0 or an exit code. */
int device_input(const char *path, uint8_t *buffer, size_t capacity, struct bytes *content);
/* Bytes into a file of mode 0600 or, for "-", to standard output. Returns 0 or an exit code. */
int device_output(const char *path, struct bytes content);
/* --id into the configuration. Returns 0 or an exit code. */
int device_take_id(struct device_tool *t);
/* Exit code POSIX_EXIT_USAGE unless value is given. */
int device_require(const char *value, const char *option);

/* ---- service.c: what commands that talk to the hub begin with ---- */

/* Ports, proxy, --connect-to, the state file, the CA and the TPM; the clock. Each returns 0 or an exit code, then the
 * user has been told. */
int device_open_for_hub(struct device_tool *t, struct bytes *record);
int device_check_clock(const struct device_tool *t);

/* ---- watch.c: what goes over the wire ---- */

/* Returns 0 or an exit code: the file of --trace=pcapng:FILE cannot be written. */
int device_watch_begin(struct device_tool *t);
/* End the trace. Returns 0 or an exit code: it could not all be written. */
int device_watch_end(struct device_tool *t);

/* ---- error.c: sentences ---- */

/* "dps-device: " and a sentence to standard error. */
void device_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Say why the engine failed, or did not begin, and what to do. Returns the exit code. */
int device_report(struct device_tool *t, int error);
/* The same for a command outside of the engine: error as port_tpm_ask or a parse function returned it. */
int device_report_tpm(struct device_tool *t, const char *what, int error);
/* Foreign text, made harmless for a terminal. */
void device_print_text(FILE *out, struct bytes text);
/* Say what the program is about to wait for, if it is time to. */
void device_tell_wait(struct device_tool *t, uint32_t ms);
/* Ask the TPM what a sentence about its refusal needs: before its first word, since --verbose and --trace write too. */
void device_ask_why(struct device_tool *t);
/* error_tpm.c: the TPM's refusal in t->watch: command, code, what it is about, its meaning, what to do. */
void device_explain_refusal(const struct device_tool *t);
/* BYTES_E_TPM_DRIVER: the kernel's refusal of the last command. */
void device_explain_driver(const struct device_tool *t);
/* error_link.c: say why the link failed, and what to do. Returns the exit code. */
int device_report_link(struct device_tool *t);
/* Say why a connection was lost that is to be made again. */
void device_tell_lost(struct device_tool *t);
/* error_service.c: likewise what the service or hub answered, and how the connection failed. */
void device_explain_http(const struct device_tool *t);
void device_explain_refused(const struct device_tool *t);
void device_explain_network(const struct device_tool *t, int error);
void device_explain_tls(const struct device_tool *t, const char *host, uint16_t port);
/* error.c: is the EK of this run another one than that of the state file? And what to do then. */
bool device_ek_is_another(const struct device_tool *t);
void device_explain_other_ek(const struct device_tool *t, const char *assurance);

/* ---- query.c: questions to the TPM outside of a flow ---- */

/* Each returns 0 or an error as port_tpm_ask or a parse function returns it. */
/* One TPM_PT; BYTES_E_NOT_FOUND if this TPM does not have it. */
int device_property(struct device_tool *t, uint32_t property, uint32_t *value);
/* The handles (of the kind of first), commands or algorithms from first on, without their attributes: *count says how
 * many there are; the first of them, at most capacity, stand in values. */
#define DEVICE_HANDLES_MAX 64
#define DEVICE_LOADED_SESSIONS ((uint32_t)TPM2_HT_LOADED_SESSION << TPM2_HT_SHIFT)
#define DEVICE_SAVED_SESSIONS ((uint32_t)TPM2_HT_SAVED_SESSION << TPM2_HT_SHIFT)
int device_list(struct device_tool *t, uint32_t capability, uint32_t first, uint32_t *values, size_t capacity,
                size_t *count);
/* Is this TPM shared with running programs, by the kernel's resource manager? */
bool device_is_shared(const struct device_tool *t);
/* A whole NV index; BYTES_E_NOT_FOUND if there is none, it was never written, or nobody but the platform may read it.
 * */
int device_nv_read(struct device_tool *t, uint32_t index, uint8_t *out, size_t capacity, size_t *len);
/* What the object at a handle is, in words: an EK or SRK of the templates, or whatever else.
 * BYTES_E_NOT_FOUND if there is none. */
#define DEVICE_KIND_MAX 128
#define DEVICE_KIND_EK "an EK: RSA-2048, policy of the TCG's template"
#define DEVICE_KIND_SRK "an SRK: RSA-2048, the TCG's template"
int device_key_kind(struct device_tool *t, uint32_t handle, char *kind, size_t size);
/* The public area of a primary EK, derived and flushed at once. */
int device_derive_ek(struct device_tool *t, const struct tpm2_public *area,
                     uint8_t public_2b[DPS_EK_PUBLIC_MAX], size_t *len);

/* ---- The commands ---- */

int device_ek(struct device_tool *t); /* ek.c */
/* The digest of EK_pub by which people compare keys: dps-admin shows it, too. */
void device_print_ek_digest(const struct device_tool *t, int width);
int device_own(struct device_tool *t); /* owner.c */
int device_clear(struct device_tool *t);
int device_seal(struct device_tool *t);
int device_unseal(struct device_tool *t);
int device_register(struct device_tool *t); /* service.c */
int device_token(struct device_tool *t);
int device_send(struct device_tool *t);
/* connect.c. check_mqtt: 0, or an exit code where there is none. */
int device_check_mqtt(void);
int device_connect(struct device_tool *t);
int device_send_mqtt(struct device_tool *t, struct bytes record);
int device_info(struct device_tool *t);  /* info.c */
int device_flush(struct device_tool *t); /* query.c */

/* ---- Between the files of `info` ---- */

/* The longest line. */
#define DEVICE_LINE_END 100
/* Returns: as device_list. */
int device_print_algorithms(struct device_tool *t);

#endif
