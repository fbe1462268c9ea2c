/* SPDX-License-Identifier: MIT */
/* Connections of the hub's MQTT, --hub-mqtt. They have everything that those of HTTPS have: TLS, budgets, turns,
 * deadlines, places and shares, the commit before an answer goes out. What differs is here: how a request is read and
 * answered, how long a connection may be silent, and that a device has only one. */
#ifndef PORT_POSIX_SERVICE_MQTT_H
#define PORT_POSIX_SERVICE_MQTT_H

#include "port/posix/service/server.h"

/* A connection of the hub's MQTT begins. */
void server_mqtt_begin(struct server_connection *c);
/* Look at the packet that arrives. Returns: 0 if it is complete; BYTES_E_MORE; why it cannot be read. */
int server_mqtt_read(struct server_connection *c);
/* Answer it. */
void server_mqtt_answer(struct server *s, struct server_connection *c);
/* Its answer goes out: a device that has connected has no other connection any more. Those of this process end at once;
 * one of another process ends with the answer to its next packet. */
void server_mqtt_released(struct server *s, const struct server_connection *c);
/* Until when the session goes on, if nothing comes. */
uint64_t server_mqtt_latest(const struct server *s, const struct server_connection *c);
/* The type of the packet, as the standard calls it. */
const char *server_mqtt_name(const struct server_connection *c);
/* Is the packet worth a line of the log, if it was not refused? */
bool server_mqtt_is_news(const struct server_connection *c);

#endif
