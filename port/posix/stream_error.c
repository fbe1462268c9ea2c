/* SPDX-License-Identifier: MIT */
/* Why a connection failed, and what to do. The text contains no password. */
#include "crypto/tls.h"
#include "port/posix/private.h"
#include "port/posix/proxy.h"
#include <errno.h>
#include <stdio.h>

/* "HOST:PORT", with brackets around an IPv6 address. */
#define PLACE_MAX (DPS_HOST_MAX + 16)
static const char *place(const char *host, uint16_t port, char text[PLACE_MAX])
{
    const bool ipv6 = strchr(host, ':') != NULL;
    snprintf(text, PLACE_MAX, "%s%s%s:%u", ipv6 ? "[" : "", host, ipv6 ? "]" : "", (unsigned)port);
    return text;
}

static void explain_directly(const struct posix_stream *s, int error, char *text, size_t text_size)
{
    char there[PLACE_MAX];
    if (error == BYTES_E_USAGE) {
        snprintf(text, text_size, "--connect-to takes HOST:PORT, not \"%s\"",
                 s->connect_to != NULL ? s->connect_to : "");
    } else {
        snprintf(text, text_size,
                 "cannot connect to %s%s: %s. What to do: see whether the service runs there and can be "
                 "reached from "
                 "here, perhaps only through a proxy (--proxy http://HOST:PORT)",
                 place(s->host, s->port, there), s->connect_to != NULL ? " (--connect-to)" : "",
                 posix_connect_reason(s->cause));
    }
}

/* 407 [RFC 9110 11.7]. */
static const char *credentials_advice(const struct posix_stream *s)
{
    if (s->proxy_wants[0] != 0) {
        return "and this program knows only Basic. What to do: ask whoever runs it for Basic, or to let this "
               "device "
               "through without a password; or go through a local proxy that speaks it";
    }
    if (s->through->credentials_len > 0) {
        return "and does not take the name and password that were given. What to do: correct them; whoever "
               "runs "
               "the proxy "
               "knows them";
    }
    return "and wants a name and a password. What to do: write USER:PASSWORD into a file (mode 0600) and "
           "give it with "
           "--proxy-auth-file FILE";
}

static const char *status_advice(const struct posix_stream *s)
{
    switch (s->proxy_status) {
    case 407:
        return credentials_advice(s);
    case 403:
        return "and does not let us there. What to do: ask whoever runs it to allow CONNECT to that place";
    case 502:
    case 503:
    case 504:
        return "and cannot reach that place itself. What to do: see whether its name is right and the "
               "service runs; "
               "else ask whoever runs the proxy";
    default:
        return "and not 200. What to do: see whether an HTTP proxy that knows CONNECT listens there";
    }
}

void posix_stream_explain(const struct posix_stream *s, int error, char *text, size_t text_size)
{
    char proxy[PLACE_MAX];
    char there[PLACE_MAX];
    const struct posix_proxy *p = s->through;
    if (p == NULL) {
        explain_directly(s, error, text, text_size);
        return;
    }
    place(p->host, p->port, proxy);
    place(s->host, s->port, there);
    if (!s->reached) {
        snprintf(
            text, text_size,
            "cannot connect to the proxy http://%s (%s): %s. What to do: see whether the proxy runs there; "
            "--proxy none goes without",
            proxy, p->source, posix_connect_reason(s->cause));
    } else if (s->proxy_status != 0) {
        snprintf(text, text_size, "asked for %s, the proxy http://%s (%s) answered %u%s%s, %s", there, proxy,
                 p->source, s->proxy_status, s->proxy_wants[0] != 0 ? ", takes only " : "", s->proxy_wants,
                 status_advice(s));
    } else {
        snprintf(text, text_size,
                 "asked for %s, the proxy http://%s (%s) %s. What to do: see whether an HTTP proxy that "
                 "knows CONNECT "
                 "listens there",
                 there, proxy, p->source,
                 error == BYTES_E_TIMEOUT ? "did not answer in time"
                                          : "closed the connection, or its answer is not HTTP");
    }
}

static const char *listen_advice(int cause)
{
    switch (cause) {
    case EADDRINUSE:
        return "end the program that listens there (`ss -ltnp` names it), or choose another port";
    case EACCES:
    case EPERM:
        return "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE, or sysctl "
               "net.ipv4.ip_unprivileged_port_start); "
               "or choose a higher port";
    case EADDRNOTAVAIL:
        return "name an address that this machine has (`ip address` lists them), or 0.0.0.0 or [::] for all";
    default:
        return "see whether the address is right";
    }
}

const char *posix_listen_error(int cause, char *text, size_t text_size)
{
    snprintf(text, text_size, "%s. What to do: %s", posix_connect_reason(cause), listen_advice(cause));
    return text;
}

const char *posix_tls_advice(int error)
{
    switch (error) {
    case BR_ERR_X509_NOT_TRUSTED:
    case BR_ERR_X509_BAD_SIGNATURE:
        return "give the CA that issued the service's certificate with --ca";
    case BR_ERR_X509_BAD_SERVER_NAME:
        return "the certificate must contain that name as a DNS name; use the name that it contains, and "
               "--connect-to "
               "HOST:PORT if that one leads elsewhere";
    case BR_ERR_X509_EXPIRED:
        return "compare `date` with the dates of the certificate (openssl s_client -connect HOST:PORT)";
    case BR_ERR_UNKNOWN_TYPE:
    case BR_ERR_BAD_VERSION:
    case BR_ERR_UNSUPPORTED_VERSION:
        return "see whether this port speaks TLS, version 1.2 or with 1.2 allowed";
    default:
        return "TLS 1.2 with ECDHE and AES-GCM or ChaCha20, RSA or P-256 certificates is what is offered "
               "here";
    }
}
