/* SPDX-License-Identifier: MIT */
/* The suite for device clients: a service whose answers are right except for one, and how the client reacts.
 *
 *   device.c             the suite: options, open, close
 *   device_script.c      a case as data: which answer is wrong, and what must follow; and the verdict
 *   device_service.c     the service that plays a script: reads requests, checks them, gives the next answer
 *   device_answer.c      one answer: text, framing, pieces, how it ends
 *   device_blob.c        the activation blob, right or wrong in one thing
 *   device_listen.c      TLS connections
 *   device_command.c     the client as a process, and the files that it keeps
 *   device_cases_*.c     the cases */
#ifndef TESTS_CONFORMANCE_DEVICE_H
#define TESTS_CONFORMANCE_DEVICE_H

#include "dps/protocol/activation.h"
#include "dps/protocol/http.h"
#include "port/posix/service/server.h"
#include "tests/conformance/conformance.h"
#include <sys/types.h>

/* ---- A case as data ---- */

/* Whose answer: in the order in which a client gets them. */
enum client_stage { CLIENT_CHALLENGE, CLIENT_ACCEPTED, CLIENT_ASSIGNED, CLIENT_HUB };

/* What is wrong with a blob, if anything. Everything else in it is right: the layers around a change are made again. */
enum client_blob_fault {
    CLIENT_BLOB_RIGHT,
    CLIENT_BLOB_ENDS_IN,       /* the blob ends within this field; variants: where */
    CLIENT_BLOB_SIZE_LESS,     /* the field's size is one less than its content */
    CLIENT_BLOB_SIZE_MORE,     /* ... one more */
    CLIENT_BLOB_SIZE_PAST,     /* ... 0xFFFF */
    CLIENT_BLOB_EMPTY,         /* the field has no content */
    CLIENT_BLOB_SWAPPED,       /* this field and the next one have changed places */
    CLIENT_BLOB_FLIPPED,       /* one bit of the content is flipped; variants: where */
    CLIENT_BLOB_TRAILING,      /* value bytes after the sixth field */
    CLIENT_BLOB_OTHER_NAME,    /* the credential is for the Name of another SRK */
    CLIENT_BLOB_OTHER_KEYS,    /* wrapped to the SRK where the EK is due, and the other way round */
    CLIENT_BLOB_OTHER_INNER,   /* field 3 is wrapped with another inner key than field 1 gives */
    CLIENT_BLOB_INNER_SIZE,    /* the credential holds value bytes; the first 16 are the inner key */
    CLIENT_BLOB_SEED_SIZE,     /* its seedValue has value bytes */
    CLIENT_BLOB_PUBLIC_16,     /* the 16 bits at offset `field` of field 5 are value, and its Name follows */
    CLIENT_BLOB_ATTRIBUTES,    /* the HMAC key's attributes are value */
    CLIENT_BLOB_PUBLIC_UNIQUE, /* unique is not that of the key, and the Name follows */
    CLIENT_BLOB_REPLAYED,      /* the challenge of the previous registration */
    CLIENT_BLOB_NONCE          /* as the hub's key: the blob of this registration's challenge again */
};
struct client_blob {
    enum client_blob_fault fault;
    unsigned field; /* 1..6 */
    uint32_t value;
};

enum client_framing {
    CLIENT_LENGTH,
    CLIENT_CHUNKED,       /* in chunks of 1024, as the real service does */
    CLIENT_CHUNKED_ODDLY, /* chunks of 1, 2, 3 ... bytes, extensions, upper-case hex, leading zeros, a trailer */
    CLIENT_CHUNK_SIZE_BAD,    /* "12z" */
    CLIENT_CHUNK_SIZE_HUGE,   /* does not fit 64 bits: modulo 2^64 it is right */
    CLIENT_CHUNK_SIZE_SIGNED, /* "-5" */
    CLIENT_CHUNK_NO_LINE_END, /* after the data */
    CLIENT_CHUNK_NO_LAST,     /* the connection ends where the last chunk is due */
    CLIENT_UNTIL_CLOSE,       /* neither length nor chunks */
    CLIENT_ENDLESS_HEAD,      /* header lines without end */
    CLIENT_ENDLESS_LINE,      /* one header line without end */
    CLIENT_ENDLESS_BODY,      /* as long as announced, but far too long */
    CLIENT_ENDLESS_CHUNKS,
    CLIENT_ENDLESS_INTERIM /* 1xx responses without end */
};

enum client_ending {
    CLIENT_KEEP,       /* the connection stays open */
    CLIENT_CLOSE,      /* Connection: close, close_notify */
    CLIENT_HANG_UP,    /* the answer, then the end of TCP without close_notify */
    CLIENT_CUT_HEAD,   /* the connection ends within the head; variants: where */
    CLIENT_CUT_BODY,   /* ... within the body */
    CLIENT_CUT_BEFORE, /* ... before the first byte */
    CLIENT_RESET       /* TCP reset before the first byte */
};

/* The right bodies; other templates consist of the same parts (device_answer.c says what they mean). */
#define CLIENT_BODY_CHALLENGE                                                                                \
    "{\"message\":\"Authorization required, resend request using supplied "                                  \
    "key\",\"authenticationKey\":\"%K\","                                                                    \
    "\"unencryptedAuthenticationKey\":null,\"keyName\":\"registration\"}"
#define CLIENT_BODY_ACCEPTED                                                                                 \
    "{\"operationId\":\"%O\",\"status\":\"assigning\",\"registrationState\":"                                \
    "{\"registrationId\":\"%I\",\"status\":\"assigning\"}}"
#define CLIENT_STATE_BEGIN                                                                                   \
    "\"registrationId\":\"%I\",\"createdDateTimeUtc\":\"2019-01-10T19:03:53.4156117Z\","                     \
    "\"lastUpdatedDateTimeUtc\":\"2019-01-10T19:03:53.4156117Z\",\"etag\":\"IjEi\","                         \
    "\"substatus\":\"initialAssignment\",\"status\":\"assigned\""
#define CLIENT_BODY_STATE(members)                                                                           \
    "{\"operationId\":\"%O\",\"status\":\"assigned\",\"registrationState\":{" CLIENT_STATE_BEGIN members "}" \
    "}"
#define CLIENT_BODY_ASSIGNED                                                                                 \
    CLIENT_BODY_STATE(",\"assignedHub\":\"%H\",\"deviceId\":\"%I\",\"tpm\":{\"authenticationKey\":\"%K\"}")

/* How one answer differs from the right one; null or zero: it does not. Templates are those of
 * device_answer.c. */
struct client_answer {
    const char *status;  /* "503 Service Unavailable" */
    const char *headers; /* more lines, each ended by CR LF */
    const char *head;    /* the whole head, without its empty line */
    const char *body;
    const char *before; /* bytes in front of the answer */
    const char *after;  /* bytes after it, in a record of their own */
    enum client_framing framing;
    enum client_ending ending;
    size_t piece; /* at most so many bytes in a TLS record */
};

enum client_expected {
    CLIENT_REGISTERS, /* the right path to its end */
    CLIENT_GIVES_UP, /* ends with an error, within the time, and leaves its files as they were; a wrong challenge is not
                         answered with a token */
    CLIENT_SURVIVES, /* one of the two above */
    CLIENT_WAITS,    /* sends nothing for wait_ms after the answer; it is then ended */
    CLIENT_PAUSES,   /* sends nothing for wait_ms, and registers */
    CLIENT_SENDS,    /* telemetry is accepted */
    CLIENT_KEEPS     /* telemetry fails, and it says so */
};

struct client_script {
    const char *id; /* of its case */
    enum client_stage stage;
    unsigned times; /* the first so many answers of that stage; 0: all */
    enum client_expected expected;
    unsigned wait_ms;
    unsigned variants;     /* the client runs once for each; 0: once */
    const char *operation; /* the operationId; null: an ordinary one */
    struct client_blob blob;
    struct client_answer answer;
};

/* What a case runs: its script, found by the id of the case, in one of the tables of the cases. */
void client_run_script(struct conformance *c);
/* Ended by an id of null. */
extern const struct client_script client_scripts_register[], client_scripts_blob[], client_scripts_http[],
    client_scripts_assign[], client_scripts_hub[];
extern const struct conformance_case client_cases_register[], client_cases_blob[], client_cases_http[],
    client_cases_assign[], client_cases_hub[], client_cases_tls[];
/* The cases that have no script. */
void client_run_shape(struct conformance *c);
void client_run_certificate(struct conformance *c);

/* ---- The options ---- */

struct client_options {
    const char *listen, *certificate, *key, *ca, *host, *scope, *id, *hub, *srk;
    const char *command, *send_command;
    const char *other_name, *expired, *untrusted; /* certificates that a client must refuse */
    uint64_t timeout_seconds;
};
extern struct client_options client_options;
/* What --device-srk may say. */
extern const char *const client_srks[2];

/* ---- What a client did ---- */

/* What is looked at in every request. A case of its own asks for each; other cases only need the route. */
enum client_shape {
    CLIENT_SHAPE_HTTP,
    CLIENT_SHAPE_ROUTE,
    CLIENT_SHAPE_VERSION,
    CLIENT_SHAPE_HOST,
    CLIENT_SHAPE_TYPE,
    CLIENT_SHAPE_BODY,
    CLIENT_SHAPE_EK,
    CLIENT_SHAPE_SRK,
    CLIENT_SHAPE_SRK_CHOICE,
    CLIENT_SHAPE_FIRST,
    CLIENT_SHAPE_SAME,
    CLIENT_SHAPE_POLL,
    CLIENT_SHAPE_TOKEN,
    CLIENT_SHAPE_AUDIENCE,
    CLIENT_SHAPE_SIGNATURE,
    CLIENT_SHAPE_EXPIRY,
    CLIENT_SHAPE_KEY_NAME,
    CLIENT_SHAPES
};

struct client_seen {
    unsigned connections; /* with TLS completed */
    unsigned refused;     /* ended within the handshake */
    unsigned requests;
    unsigned challenges; /* requests without a token, each answered with a challenge or its replacement */
    unsigned tokens;     /* requests with a token, of any kind */
    unsigned wrong_tokens;
    unsigned polls;
    unsigned telemetry;
    unsigned too_large; /* requests that this suite does not read */
    unsigned after;     /* requests after the assignment */
    unsigned special;   /* wrong answers given */
    unsigned elsewhere; /* requests at the other origin */
    unsigned elsewhere_tokens;
    bool assigned;                   /* a right assignment was delivered */
    bool injected;                   /* a header that only an injection can have made */
    uint64_t special_at;             /* moment of the last wrong answer, 0: none */
    uint64_t pause_ms;               /* from there to the next request, at least 1; 0: none came */
    uint64_t last_at;                /* moment of the last request */
    char faults[CLIENT_SHAPES][200]; /* the first thing that was wrong, of each kind; empty: nothing */
    /* the process */
    bool ran, timed_out, stopped;
    int exit_code; /* valid if it has ended by itself */
    int signal;    /* 0: none */
    uint64_t ms;
    char said[256]; /* the last line of its standard error */
};

/* What a client does when nothing is wrong, or when it is simply refused: the cases about that judge it, and no other
 * case does so again. */
struct client_usual {
    bool tried, works;  /* the right path */
    char told[512];     /* how it went, if it does not work */
    bool misroutes;     /* it asks for something that is not in the API */
    bool no_http;       /* it sends what is not HTTP */
    bool asks_on;       /* it goes on after it was assigned */
    bool refusal_tried; /* a plain refusal */
    bool writes;        /* then it changes its files */
};

/* ---- The bench: everything that lives as long as the suite ---- */

#define CLIENT_CONNECTIONS 8
#define CLIENT_ANSWER_MAX (512 * 1024)

struct client_connection {
    bool used, elsewhere;
    bool ready;   /* the handshake is over */
    bool refused; /* a request was too large: nothing more is read from it */
    struct server_transport transport;
    struct crypto_tls_server tls;
    struct dps_http http;
    uint8_t io[CRYPTO_TLS_BUFFER_BIDI];
    uint8_t request[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    size_t len;
};

struct client_bench {
    struct conformance *c;
    struct crypto_identity identity;
    struct crypto_identity wrong_identity;
    bool use_wrong_identity;
    int listener, other_listener; /* other_listener: another origin, where no token may go */
    uint16_t port, other_port;
    struct client_connection connections[CLIENT_CONNECTIONS];
    char directory[512]; /* ours, temporary; below it: state/ of the client, and its log */

    /* the client's keys, from its request */
    uint8_t ek[DPS_EK_PUBLIC_MAX], srk[DPS_SRK_PUBLIC_MAX];
    size_t ek_len, srk_len;
    char id[DPS_REGISTRATION_ID_MAX + 1];

    /* the run */
    const struct client_script *script; /* null: everything is right */
    unsigned variant;
    uint8_t nonce[DPS_KEY_SIZE], hub_key[DPS_KEY_SIZE];
    uint8_t challenge[DPS_ACTIVATION_BLOB_MAX]; /* the last right one, for a replay */
    size_t challenge_len;
    uint8_t old_challenge[DPS_ACTIVATION_BLOB_MAX];
    size_t old_challenge_len;
    char operation[160];
    bool quiet;  /* without a command: the client has come to an end */
    pid_t pid;   /* of the command; 0: it has ended, or there is none */
    pid_t group; /* its process group, which may outlive it; 0: none */
    struct client_seen seen;
    struct client_usual usual;
    uint8_t blob[128 * 1024];
    size_t blob_len;
    uint8_t text[CLIENT_ANSWER_MAX]; /* the body as text */
    uint8_t answer[CLIENT_ANSWER_MAX];
};

/* ---- device_script.c ---- */

/* Let the client register (or send) once under a script, and record what it does. */
void client_play(struct client_bench *b, const struct client_script *script, unsigned variant);
/* "3 requests on 1 connection, 1 token, exit code 4: ..." */
void client_tell(const struct client_bench *b, char *text, size_t size);
/* The files must be as they were, unless the client changes them whenever it is refused. told: see client_tell. */
bool client_kept_files(struct client_bench *b, const uint8_t before[CRYPTO_SHA256_SIZE], const char *told);

/* ---- device_service.c ---- */

/* A whole request has arrived: judge it and answer. Returns: false if the connection ends with this answer. */
bool client_request(struct client_bench *b, struct client_connection *k);

/* ---- device_answer.c ---- */

/* The answer of a stage into b->answer, and send it. Returns: false if the connection ends with it. */
bool client_answer(struct client_bench *b, struct client_connection *k, enum client_stage stage,
                   const struct client_answer *special);
/* Any answer. */
bool client_answer_text(struct client_bench *b, struct client_connection *k, const char *status,
                        const char *headers, const char *body);

/* ---- device_blob.c ---- */

/* Make a blob for the client's keys into b->blob: the right one with key inside, or with what fault says. Returns its
 * length, 0 if the keys do not serve. */
size_t client_blob_make(struct client_bench *b, const uint8_t key[DPS_KEY_SIZE],
                        const struct client_blob *change);

/* ---- device_listen.c ---- */

/* Returns: 0; BYTES_E_STREAM or BYTES_E_USAGE with a sentence in why. */
int client_listen(struct client_bench *b, char *why, size_t why_size);
void client_listen_end(struct client_bench *b);
/* Serve for at most ms milliseconds: one round of whatever is ready. */
void client_serve(struct client_bench *b, int ms);
void client_drop_all(struct client_bench *b);
bool client_is_connected(const struct client_bench *b);
/* All of it, blocking. Returns: false if the connection is gone. */
bool client_send(struct client_connection *k, const uint8_t *bytes, size_t len, size_t piece);

/* ---- device_command.c ---- */

/* Start a shell command with the variables of the suite. Returns: 0; BYTES_E_USAGE with errno. */
int client_start(struct client_bench *b, const char *command);
/* Has it ended? If so, `seen` says how. */
bool client_ended(struct client_bench *b);
/* End it with its process group, and wait until all of them are gone: a client that is killed still has its TPM. */
void client_stop(struct client_bench *b);
/* The last line that it wrote. */
void client_last_words(struct client_bench *b);
/* One digest over the names and contents of the client's files. */
void client_files(struct client_bench *b, uint8_t digest[CRYPTO_SHA256_SIZE]);
/* Make and remove the temporary directory. */
int client_directory_make(struct client_bench *b, char *why, size_t why_size);
void client_directory_remove(struct client_bench *b);

#endif
