/* SPDX-License-Identifier: MIT */
/* The log of dps-service: lines in logfmt or JSON, with the time in milliseconds.
 *
 * Lines are gathered and written once a turn, without waiting: if nobody reads the log, lines are lost but the service
 * goes on. Lines that clients can cause at will are bounded per second and per client address; what was left out is
 * counted in a line of its own. */
#ifndef PORT_POSIX_SERVICE_LOG_H
#define PORT_POSIX_SERVICE_LOG_H

#include "port/posix/service/types.h"

/* What happened to the program as a whole. level is "info", "warn" or "error". detail may be null. */
void server_log_line(struct server_log *log, const char *level, const char *event, const char *detail);
/* A sentence for whoever starts the program: as it is, or with --log json an object. */
void server_log_sentence(struct server_log *log, const char *level, const char *sentence);
/* When the log needs a turn even if nothing happens, in monotonic milliseconds; UINT64_MAX: never. */
uint64_t server_log_turn_at(const struct server_log *log);
/* Wait a little for a slow reader, but not for ever. */
void server_log_close(struct server_log *log);

#endif
