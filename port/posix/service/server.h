/* SPDX-License-Identifier: MIT */
/* The network side of dps-service: an event loop around dps_service_answer, dps_hub_mqtt_answer and
 * dps_amqp_answer.
 *
 *   options.c     the command line
 *   config.c      what is read from files: policies, secrets, certificate
 *   files.c       which process reads them, and how all processes get the same content
 *   store.c       which store
 *   store_health.c  whether it works
 *   transport.c   bytes through one socket, with or without TLS
 *   connection.c  one connection: its states, deadlines and shares, whatever it speaks (protocol.h):
 *   http.c        requests and answers of HTTP
 *   mqtt.c        packets of the hub's MQTT
 *   messages.c    messages to devices that are connected
 *   amqp.c        frames of AMQP
 *   client.c      whose request it is
 *   listen.c      new connections, and when to let them wait
 *   slots.c       which connection has a place, and which has to give it up
 *   log.c         one line per decision
 *   shared.c      the memory that the processes of this node share
 *   workers.c     several of these loops, each in a process of its own
 *   metrics.c     counters, and the answers of the metrics listener
 *   server.c      the loop: turns, time-outs, signals
 *
 * One turn: everything that has arrived is read; each complete request is answered; the store commits once;
 * then the answers go out. An answer that leaves this process is therefore durable, at the cost of one fsync
 * for all that came together.
 *
 * Every event has a budget (transport.c), and a connection one request in each turn: whatever a client
 * sends, it cannot keep the loop from the others, from deadlines or from signals.
 *
 * All memory is taken when the server starts. A connection is a small part that is looked at in every turn, and
 * large buffers that are touched only when it has something to do. Functions return 0 or a value of enum
 * bytes_error unless they say otherwise; a why buffer receives a sentence for the user. */
#ifndef PORT_POSIX_SERVICE_SERVER_H
#define PORT_POSIX_SERVICE_SERVER_H

#include "crypto/tls.h"
#include "dps/protocol/http.h"
#include "dps/protocol/websocket.h"
#include "dps/service/amqp_door.h"
#include "dps/service/answer.h"
#include "dps/service/hub_mqtt.h"
#include "dps/service/state.h"
#include "port/posix/options.h"
#include "port/posix/posix.h"
#include "port/posix/service/transport.h"
#include "port/posix/service/types.h"
#include "port/posix/store.h"
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* How long a peer may take, in milliseconds. */
struct server_timeouts {
    uint32_t handshake; /* TLS, as a whole */
    uint32_t head;      /* a request's head, from its first byte */
    uint32_t body;      /* a request's body, as a whole ... */
    uint32_t stall;     /* ... and between two pieces of it */
    uint32_t idle;      /* until the next request begins */
    uint32_t write;     /* to take an answer */
    uint32_t linger;    /* to close its side after we have closed ours */
    uint32_t stop;      /* SIGTERM: until the listeners close; /readyz says 503 meanwhile */
    uint32_t drain;     /* SIGTERM: for all requests in flight together, once the listeners are closed */
};
extern const struct server_timeouts server_timeouts_default;

/* What was asked for. Texts are the caller's and stay valid. */
struct server_config {
    const char *listen;               /* "ADDR:PORT" for TLS, or null */
    const char *proxy_listen;         /* the same for plain HTTP */
    const char *metrics;              /* the same for /metrics, /healthz and /readyz */
    const char *hub_mqtt;             /* "ADDR:PORT" for the hub's MQTT, with TLS, or null */
    const char *amqp;                 /* the same for provisioning over AMQP */
    bool websocket;                   /* listen and proxy_listen also take WebSocket */
    struct posix_option_list proxies; /* addresses: their connections begin with an introduction */
    const char *certificate;          /* PEM files; null without a listener that has TLS */
    const char *key, *policy_file, *secret_file;
    bool log_json;
    size_t connections;        /* slots of each process */
    size_t client_connections; /* of them for one client address of the listeners with TLS; 0: no limit */
    const char *store;
    struct server_timeouts timeouts;
    struct dps_service_config service; /* policies and secrets are filled in by server_open */
};

/* ---- store.c ---- */

struct server_store {
    const struct posix_store_kind *kind; /* null: not open */
    void *state;
    struct dps_store interface;
};
/* "sqlite:FILE", "postgres:CONNINFO" or "memory:". Returns: 0; BYTES_E_USAGE; BYTES_E_STORE. A process that forks
 * opens its own. */
int server_store_open(struct server_store *s, const char *name, char *why, size_t why_size);
void server_store_close(struct server_store *s);
/* Is there something of that name already that server_store_remove would remove? */
bool server_store_exists(const char *name);
/* Remove what a failed start has made: a database of SQLite. The other stores make no files. */
void server_store_remove(const char *name);
/* The part of a name that may be shown: a connection string may have a password in it. */
void server_store_write_name(struct bytes_writer *w, const char *name);
/* Can only one process open it? */
bool server_store_is_of_one_process(const char *name);

/* ---- connection.c ---- */

enum server_listener_kind {
    SERVER_TLS,
    SERVER_PROXY,
    SERVER_METRICS,
    SERVER_HUB_MQTT,
    SERVER_AMQP,
    SERVER_LISTENERS
};

enum server_state {
    SERVER_FREE,
    SERVER_HANDSHAKE,
    SERVER_IDLE,     /* no byte of a request yet */
    SERVER_HEAD,     /* a part of a request's head */
    SERVER_BODY,     /* the head, and a part of the body */
    SERVER_COMPLETE, /* a request that can be answered */
    SERVER_ANSWERED, /* the answer waits for the commit */
    SERVER_SENDING,
    SERVER_CLOSING,  /* close_notify is under way */
    SERVER_LINGERING /* we have closed; the peer has not */
};

#define SERVER_RESPONSE_HEAD_MAX                                                                             \
    2048 /* of an answer with all its headers, the longest continuation included */
#define SERVER_PEER_MAX (INET6_ADDRSTRLEN + 8)

struct server_buffers {
    uint8_t io[CRYPTO_TLS_BUFFER_BIDI];
    uint8_t request[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    uint8_t head[SERVER_RESPONSE_HEAD_MAX];
    uint8_t body[DPS_HTTP_BODY_MAX];
    struct dps_answer answer;
    struct crypto_tls_server tls; /* from here on: what an idle connection needs */
    union {
        struct dps_hub_session hub; /* of MQTT */
        struct dps_amqp_door amqp;
    };
};

/* Pages that hold nothing while a connection is idle are given back to the system. */
#define SERVER_PAGE 4096

/* In which order connections have to give up their places to new ones (slots.c). */
enum server_waiting {
    SERVER_WAITS_NEW,  /* it has not brought what an answer could be given to: no ClientHello, no request */
    SERVER_WAITS_PEER, /* in the middle of a handshake, request, answer or end, and the peer has to go on */
    SERVER_WAITS_IDLE, /* after an answer, until the next request begins */
    SERVER_WAITS_SESSION, /* the same, of a device that has shown its token */
    SERVER_WAITS,
    SERVER_WAITS_NOT = SERVER_WAITS /* it has a complete request, or there is none */
};

/* A certificate with its key. Connections keep the one that they began with, so a new one is read beside it. */
struct server_identity {
    struct crypto_identity identity;
    size_t users; /* connections */
};

struct server_protocol;

/* Of a connection that speaks WebSocket (websocket.c). */
struct server_websocket {
    const struct server_protocol *inside; /* what its messages carry; null: it does not */
    size_t content;                       /* bytes without frames that the request's buffer begins with */
    size_t frames;                        /* where in it frames begin */
    struct dps_websocket_frame frame;     /* that is arriving */
    uint64_t arrived;                     /* of its content */
    bool in_message;                      /* its last frame is still to come */
    uint8_t asked;                        /* the opcode of a frame of control that is to be answered, or 0 */
    uint8_t control_len, control[DPS_WEBSOCKET_CONTROL_MAX]; /* its content */
    uint16_t refused;                                        /* why the connection is closed, or 0 */
};

struct server_connection {
    enum server_state state;               /* changed by one function only */
    uint64_t deadline;                     /* of this state, in monotonic milliseconds */
    uint64_t latest;                       /* no deadline is later: the end of a session; else UINT64_MAX */
    uint64_t head_deadline, body_deadline; /* of the request that arrives, or 0 */
    struct server_transport transport;
    struct server_identity *identity;       /* null: plain HTTP */
    enum server_listener_kind kind;         /* the listener that it came through */
    const struct server_protocol *protocol; /* what it speaks */
    struct server_websocket websocket;
    uint32_t events; /* that epoll knows */
    enum server_waiting waits;
    uint64_t since; /* in monotonic milliseconds: since when it is the peer's turn */
    struct server_connection *before,
        *after;          /* of those that wait for the same, the one that waits longer, shorter */
    uint32_t peer_index; /* among the server's peers; SERVER_NO_PEER: not counted */
    bool slim;           /* idle, and its buffers' memory was given back */
    uint64_t idle_deadline;
    bool unnamed;    /* its proxy has still to say who its client is */
    bool served;     /* a request was answered */
    bool continued;  /* HTTP: "100 Continue" was sent for this request */
    bool keep_alive; /* after this answer */
    bool stays;      /* request and answer allow it */
    int unreadable;  /* why the request cannot be read, or 0 */
    bool head_read;  /* of the request that arrives: its length is known */
    size_t consumed; /* the length of the request */
    struct dps_http http;
    struct dps_mqtt_packet packet; /* views the buffer; so does frame */
    struct dps_amqp_frame frame;
    uint64_t hub_name;         /* of a session of the hub: whose it is; 0: none */
    uint64_t hub_session;      /* grows with each */
    bool replaced;             /* the device has a later one */
    bool prompted, delivering; /* it is to be looked for messages to it; that is what is answered now */
    uint64_t quiet_until;      /* when the session ends, if its device says nothing more */
    size_t request_len;        /* bytes in the buffer: this request, and perhaps the begin of the next one */
    size_t request_peak;       /* the most that was ever there */
    size_t head_len, body_len, sent; /* of the answer */
    uint64_t complete_us;            /* when the request was complete */
    char peer[SERVER_PEER_MAX];
    char peer_address[SERVER_PEER_MAX]; /* without port */
    char client[SERVER_PEER_MAX]; /* the address of this request's client: peer's, or what a proxy says */
    struct server_buffers *buffers;
};

/* What epoll reports: the slot of a connection, or one of these. */
#define SERVER_ID_SIGNAL UINT32_MAX
#define SERVER_ID_LISTENER(i) (UINT32_MAX - 1 - (uint32_t)(i))

struct server_listener {
    int fd; /* -1: none */
    enum server_listener_kind kind;
    uint16_t port;
};

/* ---- client.c ---- */

/* Of an address as proxies write it, the address alone in its usual form: without port, brackets, quotes and zone, and
 * IPv4 where it is mapped into IPv6. Returns: false if it is not an address, and then out is unchanged. */
bool server_address_read(struct bytes text, char out[SERVER_PEER_MAX]);
/* What limits count as one client: an IPv4 address, or the /64 of an IPv6 address, since one client has all of that.
 * Text that is not an address counts as it is. */
void server_client_share(const char *address, char share[SERVER_PEER_MAX]);
/* Who has sent this request? Sets c->client. */
void server_client_note(struct server_connection *c);

/* ---- shared.c ---- */

#define SERVER_CACHED_SESSIONS 16384
#define SERVER_SESSION_SIZE 100 /* as crypto/tls.h says */
#define SERVER_WORKERS_MAX 64

/* Upper bounds of a latency histogram, in microseconds; the last one has none. */
#define SERVER_BOUNDS 12
struct server_histogram {
    _Atomic uint64_t count[SERVER_BOUNDS + 1];
    _Atomic uint64_t sum_us;
};

/* Routes as the log names them: which kind of thing a request is about; paths contain what clients choose. */
enum server_route {
    SERVER_ROUTE_REGISTER,
    SERVER_ROUTE_OPERATION,
    SERVER_ROUTE_REGISTRATION,
    SERVER_ROUTE_ENROLLMENTS,
    SERVER_ROUTE_REGISTRATIONS,
    SERVER_ROUTE_HUB,
    SERVER_ROUTE_OTHER,
    SERVER_ROUTES
};

/* What one process counts; only it writes here, anybody reads. */
struct server_counters {
    _Atomic uint64_t accepted[DPS_REFUSAL_COUNT]; /* answers by refusal; the first: answered */
    _Atomic uint64_t challenges, assignments;
    _Atomic uint64_t messages_queued, messages_sent, messages_acknowledged;
    struct server_histogram answer[SERVER_ROUTES]; /* from the whole request to the answer's release */
    struct server_histogram commit;
    _Atomic uint64_t turns, turn_requests; /* requests answered in one turn: their queue */
    _Atomic uint64_t handshakes, handshakes_failed, connections_opened;
    _Atomic uint64_t connections; /* now */
    _Atomic uint64_t evicted, turned_away;
    _Atomic uint64_t log_left_out;
    _Atomic uint64_t store_failures;
    _Atomic bool ready;
};

/* Lies in memory that all processes of this node see at the same address. */
struct server_shared {
    pthread_mutex_t mutex;
    struct dps_memory memory;
    struct crypto_tls_cache cache;
    uint8_t cache_storage[SERVER_CACHED_SESSIONS * SERVER_SESSION_SIZE];
    size_t workers;
    _Atomic uint64_t restarts;
    _Atomic bool store_down;          /* it failed a request, and no write has succeeded since */
    _Atomic uint64_t store_failed_ms; /* when it did so last, by the monotonic clock */
    struct server_files files;        /* guarded by the mutex, as are these two */
    uint64_t hub_sessions;
    struct server_hub_place hub_places[SERVER_HUB_PLACES];
    struct server_counters counters[SERVER_WORKERS_MAX];
};
/* Null if there is no memory. Processes that are forked afterwards share it. */
struct server_shared *server_shared_open(size_t workers);
void server_shared_close(struct server_shared *shared);
struct crypto_lock server_shared_lock(struct server_shared *shared);

/* ---- slots.c ---- */

/* Places for connections. The last one is always kept free, so that a new connection can be looked at before it is
 * decided who has to go. */
struct server_list {
    struct server_connection *first, *last; /* the first waits for the longest time */
    size_t count;
};
struct server_pool {
    uint32_t *free; /* a stack of the free slots */
    size_t free_count, count;
    struct server_list waiting[SERVER_WAITS];
    bool paused;     /* its listeners are not looked at: there is no place, or no descriptor */
    uint64_t resume; /* when to try again, although nothing has happened */
};

/* Connections by client address: an IPv4 address, or the /64 of an IPv6 one, of which a client has all. */
#define SERVER_NO_PEER UINT32_MAX
struct server_peer {
    uint8_t address[16];
    uint32_t next; /* with the same hash, or free */
    uint32_t connections;
};
struct server_peers {
    uint8_t key[16]; /* of the hash, random: addresses cannot be chosen to collide */
    struct server_peer *all;
    uint32_t *heads; /* by hash */
    uint32_t head_count, free;
};

/* ---- server.c ---- */

struct server {
    const struct server_config *config;
    struct dps_service_config service_config; /* in use; SIGHUP replaces policies and secrets */
    struct dps_service service;
    struct dps_store store;
    struct crypto_entropy entropy;
    struct server_log log;
    struct server_timeouts timeouts;
    uint64_t now_ms;

    struct server_connection *connections;
    uint8_t *buffers; /* a struct server_buffers on pages of its own for each */
    size_t buffers_len;
    struct server_pool pools[2]; /* of clients; and of the metrics listener, which clients cannot fill */
    struct server_peers peers;
    uint32_t
        *complete[2]; /* slots with a complete request: of this turn, and what the next one begins with */
    size_t connection_count;
    size_t complete_count;
    unsigned complete_now;
    uint64_t next_expiry; /* no deadline is earlier */
    struct server_messages messages;

    struct server_identity identities[2];
    struct server_identity *identity; /* for new connections */
    struct server_shared *shared;
    struct server_counters *counters; /* of this process */

    int epoll_fd, signal_fd;
    struct server_listener listeners[SERVER_LISTENERS];
    uint64_t say_descriptors_at;           /* when to say that there are too few, if there still are */
    uint64_t policies, secrets, certified; /* versions of the files in use */
    uint64_t stop_at;                      /* while stopping: when the listeners close */
    uint64_t drain_deadline;               /* while draining */
    bool reload;                           /* SIGHUP has come */
    bool certificate_waits; /* a new one waits for the users of the last one; the log has said so */
    bool stopping;          /* SIGTERM has come; at first the listeners are still open */
    bool draining;
};

/* Take the files' content from shared, and take all memory.
 *   listeners   open sockets; the server gets copies of their descriptors, which it closes
 *   worker      which of shared's counters are its own
 * s may be uninitialised, and is closed again unless 0 is returned; it must not be moved.
 * Returns: 0; BYTES_E_USAGE; BYTES_E_ENTROPY; BYTES_E_FILE; BYTES_E_TLS; BYTES_E_STREAM. */
int server_open(struct server *s, const struct server_config *config,
                const struct server_listener listeners[SERVER_LISTENERS], struct server_shared *shared,
                size_t worker, const struct dps_store *store, char *why, size_t why_size);
/* Serve until SIGTERM or SIGINT, then finish what is in flight. Returns: 0; BYTES_E_STREAM if epoll fails. */
int server_run(struct server *s);
void server_close(struct server *s);

/* ---- between these files ---- */

struct server_buffers *server_buffers_of(const struct server *s, uint32_t index);

/* Take memory for the configured connections. Returns: 0; BYTES_E_USAGE; BYTES_E_ENTROPY. */
int server_slots_open(struct server *s, char *why, size_t why_size);
void server_slots_close(struct server *s);
struct server_pool *server_pool_of(struct server *s, enum server_listener_kind kind);
bool server_slots_all_free(const struct server *s);
uint32_t server_slot_take(struct server_pool *pool);
void server_slot_give(struct server *s, struct server_connection *c);
/* To be called when the state of a connection, or what it was sent, has changed. */
void server_slot_note(struct server *s, struct server_connection *c, enum server_state before);
/* Count a new connection at its client's address. */
void server_peer_note(struct server *s, struct server_connection *c, const struct sockaddr_storage *address);
/* Close the connection (of peer, or SERVER_NO_PEER) that may be closed with the least harm. Returns: false if none may
 * be closed now. */
bool server_slots_evict(struct server *s, struct server_pool *pool, uint32_t peer,
                        const struct server_connection *except);
/* When it is worth trying again, although nothing has happened. */
uint64_t server_slots_evict_at(const struct server *s, const struct server_pool *pool);
/* A connection begins in its slot, where socket, kind and addresses are set; it owns the socket from now on. */
void server_connection_open(struct server *s, struct server_connection *c);
/* Go on as far as possible without waiting. */
void server_connection_io(struct server *s, struct server_connection *c);
/* Answer the complete request; then let the answer go. */
void server_connection_answer(struct server *s, struct server_connection *c);
/* Between the two: the store did not keep what the answer relies on. */
void server_connection_uncommitted(struct server *s, struct server_connection *c);
void server_connection_release(struct server *s, struct server_connection *c);
/* The deadline has passed. */
void server_connection_expire(struct server *s, struct server_connection *c);
/* Sessions that wait for nothing end, if they began with this certificate. */
void server_connections_leave(struct server *s, const struct server_identity *identity);
/* Close properly, or at once. */
void server_connection_finish(struct server *s, struct server_connection *c);
void server_connection_abort(struct server *s, struct server_connection *c);

/* Open the sockets that the configuration names. Returns: 0; BYTES_E_USAGE; BYTES_E_STREAM. */
int server_listen(struct server_listener listeners[SERVER_LISTENERS], const struct server_config *config,
                  char *why, size_t why_size);
void server_listen_close(struct server_listener listeners[SERVER_LISTENERS]);
/* Begin, or begin again, to watch the listeners of a pool. Returns: 0; BYTES_E_STREAM. */
int server_listen_watch(struct server *s, const struct server_pool *pool);
/* Do its connections begin with TLS, and count at their clients' addresses? */
bool server_has_tls(enum server_listener_kind kind);
void server_accept(struct server *s, const struct server_listener *l);
/* The client's address is known: it counts, and may have no more than its share. Returns: false if the connection is
 * closed for that. */
bool server_accept_named(struct server *s, struct server_connection *c,
                         const struct sockaddr_storage *address);
/* In every turn: is there room again? */
void server_accept_resume(struct server *s);
/* Accept the clients that wait already, and no others. */
void server_listen_end(struct server *s);

/* One line for one answered request. */
void server_log_answer(struct server *s, const struct server_connection *c);
/* What happened to a connection (c may be null) or the server. level is "info", "warn" or "error". detail may
 * be null. */
void server_log_event(struct server *s, const char *level, const struct server_connection *c,
                      const char *event, const char *detail);
/* In every turn: write what can be written, and say what was left out in the second that has ended. */
void server_log_turn(struct server *s);
uint64_t server_now_us(void);
extern const char *const server_route_names[SERVER_ROUTES];

/* ---- store_health.c ---- */

/* Every process reports how its uses of the store end; when that changes the state of the node, the log says so once,
 * in the store's own words. worked: a write was made durable. */
void server_store_failed(struct server *s);
void server_store_worked(struct server *s);
/* Does the store take a write? One is made and taken back in each table; it is durable, and the proof complete, with
 * the commit of this turn. */
bool server_store_takes_writes(struct server *s);
/* Of its last failure in this process; empty: none. */
const char *server_store_reason(const struct server *s);

/* ---- metrics.c ---- */

/* One answered request. */
void server_count_answer(struct server *s, const struct server_connection *c);
void server_count_commit(struct server *s, uint64_t us, bool failed);
/* The answer to a request on the metrics listener. */
void server_metrics_answer(struct server *s, struct server_connection *c);

/* ---- workers.c ---- */

struct server_work {
    void *context;
    int (*serve)(void *context, size_t worker); /* in a process of its own; returns its exit code */
    int (*ready)(void *context);                /* once, when all serve; not 0: an exit code, end at once */
    void (*reload)(void *context);              /* SIGHUP, before the processes get it */
    void (*ending)(void *context);              /* once: no process will be restarted any more */
    struct server_log *log;
};
/* Run serve in count processes until SIGTERM or SIGINT, which is passed on to them, as SIGHUP is. One that ends by
 * itself is restarted, unless it failed before all were ready.
 * Returns: the first exit code that was not 0 before all were ready or after the end had begun; else 0. */
int server_workers_run(struct server_shared *shared, size_t count, const struct server_work *work);
/* Called by a process when it serves. */
void server_worker_ready(struct server_shared *shared, size_t worker);

#endif
