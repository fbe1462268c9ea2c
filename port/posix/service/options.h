/* SPDX-License-Identifier: MIT */
/* The command line of dps-service. */
#ifndef PORT_POSIX_SERVICE_OPTIONS_H
#define PORT_POSIX_SERVICE_OPTIONS_H

#include "port/posix/service/server.h"

/* Texts view argv. */
struct server_options {
    bool help, version, log_json;
    size_t workers;
    const char *port_file; /* or null */
    struct server_config config;
};
/* Once. help, version and log_json are right even if it fails. Returns: 0; BYTES_E_USAGE. */
int server_options_read(int argc, char *const *argv, struct server_options *o, char *why, size_t why_size);
void server_options_help(void);

#endif
