/* SPDX-License-Identifier: MIT */
/* What the server keeps of its files and its log; the functions for them are in files.h and log.h. */
#ifndef PORT_POSIX_SERVICE_TYPES_H
#define PORT_POSIX_SERVICE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_FILE_MAX 65536

/* The files' last good content, as one process has read it for all: those that run and those that are restarted.
 * Versions begin with 1 and grow with each change. */
enum server_file { SERVER_POLICIES, SERVER_SECRETS, SERVER_CHAIN, SERVER_KEY, SERVER_FILES };
struct server_files {
    uint64_t policies, secrets, identity; /* versions */
    unsigned refused;                     /* of the last reload: how many of the three stay as they were */
    size_t len[SERVER_FILES];
    uint8_t content[SERVER_FILES][SERVER_FILE_MAX];
};

/* The last session of a device at the hub's MQTT; devices whose numbers fall together share a place. */
#define SERVER_HUB_PLACES 16384
struct server_hub_place {
    uint64_t name;    /* 0: none */
    uint64_t session; /* grows with each */
};

/* When a process looks next for messages to the devices that listen here (messages.c). */
struct server_messages {
    uint64_t look_at;     /* in monotonic milliseconds; UINT64_MAX: nobody listens */
    uint64_t round_begun; /* all that listen are looked at in a round */
    size_t next;          /* connection */
};

#define SERVER_LOG_BUFFER 65536
#define SERVER_LOG_CLIENTS 256 /* addresses that fall together share */
struct server_log {
    int fd;
    bool json;
    uint64_t second;           /* of the monotonic clock, that the following are about */
    unsigned refusals, events; /* lines */
    uint64_t kinds;            /* 1 << enum dps_refusal: those that have a line */
    uint8_t refusals_of[SERVER_LOG_CLIENTS], events_of[SERVER_LOG_CLIENTS];
    uint64_t left_out_refusals, left_out_events, left_out_full;
    size_t len;
    uint8_t buffer[SERVER_LOG_BUFFER];
};

#endif
