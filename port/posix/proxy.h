/* SPDX-License-Identifier: MIT */
/* Which HTTP proxy to use, decided as curl does, and its credentials [RFC 9110 9.3.6, RFC 7617 2]. */
#ifndef PORT_POSIX_PROXY_H
#define PORT_POSIX_PROXY_H

#include "crypto/crypto.h"
#include "dps/protocol/limits.h"

#define POSIX_PROXY_CREDENTIALS_MAX 512

struct posix_proxy {
    char host[DPS_HOST_MAX + 1];
    uint16_t port;
    const char *source; /* who named it: "--proxy", "HTTPS_PROXY", ...; null: there is no proxy */
    const char *except; /* NO_PROXY, or null */
    uint8_t credentials[POSIX_PROXY_CREDENTIALS_MAX]; /* USER:PASSWORD, a secret: wipe it */
    size_t credentials_len;                           /* 0: none */
};

/* Choose, and take it apart.
 *   url        of --proxy: [http://][USER[:PASSWORD]@]HOST:PORT, where USER and PASSWORD are percent-encoded; or
 *              "none"; or null: then the environment says it, https_proxy, HTTPS_PROXY, all_proxy and ALL_PROXY in this
 *              order, and no_proxy or NO_PROXY for the hosts without one. A password is wiped from the environment.
 *   auth_file  of --proxy-auth-file, or null: a secret file with USER:PASSWORD as it is, instead of what the URL says
 * p views the environment. why receives a sentence for the user when it fails; it never contains a password.
 * Returns: 0; BYTES_E_USAGE; BYTES_E_FILE, BYTES_E_NOT_FOUND or BYTES_E_SPACE for the file. */
int posix_proxy_choose(struct posix_proxy *p, const char *url, const char *auth_file, char *why,
                       size_t why_size);

/* Is this place reached through it? */
bool posix_proxy_leads_to(const struct posix_proxy *p, const char *host, uint16_t port);

/* The options of a program that connects. */
#define POSIX_OPTIONS_PROXY(url_, auth_file_)                                                                \
    {.name = "proxy",                                                                                        \
     .argument = "http://HOST:PORT",                                                                         \
     .text = (url_),                                                                                         \
     .help = "connect through an HTTP proxy; none: directly. Default: the environment\n"                     \
             "variables https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY; NO_PROXY: hosts without one"},       \
    {                                                                                                        \
        .name = "proxy-auth-file", .argument = "FILE", .text = (auth_file_),                                 \
        .help = "USER:PASSWORD for the proxy (mode 0600). They may be in the URL as well,\n"                 \
                "http://USER:PASSWORD@HOST:PORT, percent-encoded, but other users see a command line"        \
    }

#endif
