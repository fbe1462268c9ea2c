/* SPDX-License-Identifier: MIT */
/* What a connection speaks. connection.c has all that connections have in common: TLS, deadlines, turns, places and
 * shares, the commit before an answer goes out. Of requests and answers it knows what stands here. */
#ifndef PORT_POSIX_SERVICE_PROTOCOL_H
#define PORT_POSIX_SERVICE_PROTOCOL_H

#include "port/posix/service/server.h"

struct server_protocol {
    /* The next request may come; until c->served it is the connection's first. */
    void (*begin)(struct server_connection *c);
    /* Look at what has arrived. Sets c->head_read, and when the request is complete c->consumed. Returns: 0 if it is
     * complete; BYTES_E_MORE; why it cannot be read. */
    int (*read)(struct server_connection *c);
    /* After BYTES_E_MORE: ask the client to go on, if it waits for that. Returns: false if that failed. */
    bool (*invite)(struct server_connection *c);
    /* Answer the request, or what cannot be read (c->unreadable), in c->buffers. Sets c->stays. */
    void (*answer)(struct server *s, struct server_connection *c);
    /* The store did not keep what the answer relies on. */
    void (*uncommitted)(struct server *s, struct server_connection *c);
    /* The answer goes out: append to head what is sent before its body, and set c->body_len. */
    void (*release)(struct server *s, struct server_connection *c, struct bytes_writer *head);
    /* An answer is gone. Until when, in monotonic milliseconds, may the connection be silent? UINT64_MAX: as long as
     * server_timeouts say. */
    uint64_t (*latest)(const struct server *s, const struct server_connection *c);
    /* The connection ends: wipe what the protocol keeps. */
    void (*end)(struct server_connection *c);
    /* Does its client need more requests, on this connection, for what it has begun? */
    bool (*is_midway)(const struct server *s, const struct server_connection *c);

    /* For log and metrics, of a request that could be read. */
    struct bytes (*method)(const struct server_connection *c);
    enum server_route (*route)(const struct server_connection *c);
    /* Is the answer counted, and may it have a line in the log? Has it one although it was not refused? */
    bool (*counts)(const struct server_connection *c);
    bool (*is_news)(const struct server_connection *c);
    const char *silence; /* what the log says when latest has passed; null: nothing */
};

extern const struct server_protocol server_http;         /* http.c: the service */
extern const struct server_protocol server_http_metrics; /* and the metrics listener */
extern const struct server_protocol server_mqtt;      /* mqtt.c: the hub; not there without DPS_WITH_MQTT */
extern const struct server_protocol server_websocket; /* websocket.c: one of these in messages */
extern const struct server_protocol server_amqp; /* amqp.c: provisioning; not there without DPS_WITH_AMQP */

/* What is so in protocols that need nothing else. */
uint64_t server_no_session(const struct server *s, const struct server_connection *c);

/* ---- introduction.c ---- */

/* Is this the address of a proxy that introduces its clients? */
bool server_introduction_expected(const struct server *s, const char *peer_address);
/* Read the introduction of a connection that is c->unnamed. Returns: whether it has a name now; it may be closed
 * otherwise. */
bool server_introduction_take(struct server *s, struct server_connection *c);

/* ---- messages.c ---- */

/* In every turn: ask the store for messages to the devices that listen here, and begin to deliver them. */
void server_messages_turn(struct server *s);
/* A device has begun to listen: look from now on. */
void server_messages_watch(struct server *s);
/* The answer of this connection has put a message into a queue: if the device listens here it need not wait. */
void server_messages_queued(struct server *s, const struct server_connection *c);

/* ---- websocket.c ---- */

/* Is this request of HTTP one for the path of WebSocket, which is spoken? */
bool server_websocket_is_asked_for(const struct server *s, const struct server_connection *c);
/* Answer it. If c->websocket.inside is set then, the answer's body is all of the answer, and the connection speaks
 * WebSocket after it. */
void server_websocket_shake_hands(struct server *s, struct server_connection *c);
/* Add the header that a refusal needs to a head [RFC 6455 4.2.2]. */
void server_websocket_write_version(struct bytes_writer *head);

#endif
