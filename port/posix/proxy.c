/* SPDX-License-Identifier: MIT */
#include "port/posix/proxy.h"
#include "dps/protocol/text.h"
#include "port/posix/private.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The URL ---- */

static int refuse(const struct posix_proxy *p, const char *url, const char *what, char *why, size_t why_size)
{
    /* A URL that may contain a password is never repeated. */
    const bool secret = strchr(url, '@') != NULL;
    snprintf(why, why_size, "%s%s%s%s %s", p->source, secret ? "" : " \"", secret ? "" : url,
             secret ? "" : "\"", what);
    return BYTES_E_USAGE;
}

static bool has_control(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < 0x20 || text.p[i] == 0x7F) {
            return true;
        }
    }
    return false;
}

/* A user's name ends at the first colon, so it holds none [RFC 7617 2]. */
static int take_credentials(struct posix_proxy *p, struct bytes userinfo)
{
    struct bytes user;
    size_t user_len;
    size_t password_len;
    const struct bytes password = dps_split(userinfo, ':', &user);
    int error = dps_percent_decode(user, false, p->credentials, sizeof p->credentials - 1, &user_len);
    if (error == 0 && memchr(p->credentials, ':', user_len) != NULL) {
        error = BYTES_E_FORMAT;
    }
    if (error != 0) {
        return error;
    }
    p->credentials[user_len++] = ':';
    error = dps_percent_decode(password, false, p->credentials + user_len, sizeof p->credentials - user_len,
                               &password_len);
    p->credentials_len = user_len + password_len;
    return error == 0 && has_control(bytes_of(p->credentials, p->credentials_len)) ? BYTES_E_FORMAT : error;
}

static int refuse_credentials(const struct posix_proxy *p, const char *url, int error, char *why,
                              size_t why_size)
{
    char what[160];
    snprintf(what, sizeof what, "has too long a name and password: together they may have %zu bytes",
             sizeof p->credentials - 1);
    return refuse(
        p, url,
        error == BYTES_E_SPACE
            ? what
            : "has a name or password that is not percent-encoded as in URLs: write %25 for a %, %40 for an "
              "@, %2F for a /; or leave them out and use --proxy-auth-file FILE",
        why, why_size);
}

static int take_place(struct posix_proxy *p, const char *url, struct bytes place, char *why, size_t why_size)
{
    char text[DPS_HOST_MAX + 16];
    if (place.len > 0 && place.p[place.len - 1] == '/') {
        place.len--;
    }
    if (place.len >= sizeof text || memchr(place.p, '/', place.len) != NULL) {
        return refuse(p, url, "is not an address of a proxy: it must be http://HOST:PORT", why, why_size);
    }
    memcpy(text, place.p, place.len);
    text[place.len] = 0;
    if (posix_host_port(text, p->host, sizeof p->host, &p->port) == 0) {
        return 0;
    }
    const char *colon = strrchr(text, ':');
    if (place.len > 0 && (colon == NULL || text[place.len - 1] == ']')) {
        return refuse(p, url, "names no port: write http://HOST:PORT; many proxies have 3128 or 8080", why,
                      why_size);
    }
    return refuse(p, url, "is not an address of a proxy: it must be http://HOST:PORT, or http://[IPV6]:PORT",
                  why, why_size);
}

static int take_url(struct posix_proxy *p, const char *url, char *why, size_t why_size)
{
    struct bytes rest = bytes_of_text(url);
    const char *scheme_end = strstr(url, "://");
    if (scheme_end != NULL) {
        const struct bytes scheme = bytes_of(url, (size_t)(scheme_end - url));
        if (!dps_text_equal_nocase(scheme, bytes_of_text("http"))) {
            return refuse(
                p, url,
                "is of a kind that is not supported: it must be http://HOST:PORT, through which HTTPS "
                "passes unread",
                why, why_size);
        }
        rest = bytes_of_text(scheme_end + 3);
    }
    const char *at = strrchr(url, '@');
    if (at != NULL) {
        const struct bytes userinfo = bytes_of(rest.p, (size_t)((const uint8_t *)at - rest.p));
        const int error = userinfo.len > 0 ? take_credentials(p, userinfo) : 0;
        if (error != 0) {
            return refuse_credentials(p, url, error, why, why_size);
        }
        rest = bytes_of_text(at + 1);
    }
    return take_place(p, url, rest, why, why_size);
}

/* ---- Who names it ---- */

static char *variable(const char *const names[], size_t count, const char **found)
{
    for (size_t i = 0; i < count; i++) {
        char *value = getenv(names[i]);
        *found = names[i];
        if (value != NULL && value[0] != 0) {
            return value;
        }
    }
    *found = NULL;
    return NULL;
}

static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
#define PROXIES (sizeof proxies / sizeof proxies[0])

/* Also from the variables that were not used: often all of them contain the password. */
static void wipe_environment(void)
{
    for (size_t i = 0; i < PROXIES; i++) {
        char *url = getenv(proxies[i]);
        if (url != NULL && strchr(url, '@') != NULL) {
            bytes_wipe(url, strlen(url));
        }
    }
}

static int take_environment(struct posix_proxy *p, char *why, size_t why_size)
{
    static const char *const exceptions[] = {"no_proxy", "NO_PROXY"};
    const char *name;
    const char *url = variable(proxies, PROXIES, &p->source);
    p->except = variable(exceptions, sizeof exceptions / sizeof exceptions[0], &name);
    return url != NULL ? take_url(p, url, why, why_size) : 0;
}

static int take_file(struct posix_proxy *p, const char *path, char *why, size_t why_size)
{
    size_t len;
    if (p->source == NULL) {
        snprintf(why, why_size,
                 "--proxy-auth-file is for a proxy, and none is named: give --proxy http://HOST:PORT");
        return BYTES_E_USAGE;
    }
    const int error = posix_secret_read(path, p->credentials, sizeof p->credentials, &len, why, why_size);
    if (error != 0) {
        return error;
    }
    p->credentials_len = len;
    if (memchr(p->credentials, ':', len) != NULL && !has_control(bytes_of(p->credentials, len))) {
        return 0;
    }
    snprintf(why, why_size, "%s must hold USER:PASSWORD, in one line", path);
    return BYTES_E_USAGE;
}

int posix_proxy_choose(struct posix_proxy *p, const char *url, const char *auth_file, char *why,
                       size_t why_size)
{
    *p = (struct posix_proxy){.port = 0};
    int error = 0;
    if (url == NULL) {
        error = take_environment(p, why, why_size);
    } else if (strcmp(url, "none") != 0) {
        p->source = "--proxy";
        error = take_url(p, url, why, why_size);
    }
    wipe_environment();
    if (error == 0 && auth_file != NULL) {
        error = take_file(p, auth_file, why, why_size);
    }
    if (error != 0) {
        bytes_wipe(p->credentials, sizeof p->credentials);
    }
    return error;
}

/* ---- NO_PROXY: names, which include their subdomains, and addresses, perhaps with the length of a prefix;
 * each perhaps with a port; or '*' ---- */

struct address {
    int family; /* AF_UNSPEC: it is a name */
    uint8_t bytes[16];
};

static struct address address_of(const char *text)
{
    struct address a = {.family = AF_INET};
    if (inet_pton(AF_INET, text, a.bytes) != 1) {
        a.family = inet_pton(AF_INET6, text, a.bytes) == 1 ? AF_INET6 : AF_UNSPEC;
    }
    return a;
}

static bool same_prefix(const struct address *a, const struct address *b, uint64_t bits)
{
    const size_t whole = (size_t)bits / 8;
    const unsigned mask = 0xFF00U >> (bits % 8) & 0xFF;
    return memcmp(a->bytes, b->bytes, whole) == 0 &&
           (mask == 0 || ((a->bytes[whole] ^ b->bytes[whole]) & mask) == 0);
}

static bool address_matches(const char *entry, const struct address *host)
{
    char text[INET6_ADDRSTRLEN];
    uint64_t bits = host->family == AF_INET ? 32 : 128;
    const size_t len = strcspn(entry, "/");
    if (len >= sizeof text) {
        return false;
    }
    memcpy(text, entry, len);
    text[len] = 0;
    const struct address a = address_of(text);
    if (a.family != host->family ||
        (entry[len] == '/' && dps_decimal_parse(bytes_of_text(entry + len + 1), bits, &bits) != 0)) {
        return false;
    }
    return same_prefix(&a, host, bits);
}

static bool name_matches(const char *entry, const char *host)
{
    struct bytes name = bytes_of_text(entry);
    struct bytes whole = bytes_of_text(host);
    if (whole.len > 0 && whole.p[whole.len - 1] == '.') {
        whole.len--;
    }
    if (name.len > 0 && name.p[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len > whole.len) {
        return false;
    }
    const size_t above = whole.len - name.len;
    return dps_text_equal_nocase(bytes_of(whole.p + above, name.len), name) &&
           (above == 0 || whole.p[above - 1] == '.');
}

/* entry is a copy that may be changed: its port and brackets are taken off. */
static bool entry_matches(char *entry, const char *host, uint16_t port)
{
    char *bracket = strchr(entry, ']');
    char *colon = strchr(bracket != NULL ? bracket : entry, ':');
    uint64_t number;
    if (strcmp(entry, "*") == 0) {
        return true;
    }
    if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = 0;
        if (dps_decimal_parse(bytes_of_text(colon + 1), 65535, &number) != 0 || number != port) {
            return false;
        }
    }
    if (bracket != NULL) {
        *bracket = 0;
    }
    const struct address address = address_of(host);
    if (address.family != AF_UNSPEC) {
        return address_matches(entry + (entry[0] == '['), &address);
    }
    return name_matches(entry + strspn(entry, "*."), host);
}

bool posix_proxy_leads_to(const struct posix_proxy *p, const char *host, uint16_t port)
{
    char entry[DPS_HOST_MAX + 16];
    if (p->source == NULL) {
        return false;
    }
    for (const char *rest = p->except; rest != NULL && *rest != 0;) {
        rest += strspn(rest, ", \t");
        const size_t len = strcspn(rest, ", \t");
        if (len > 0 && len < sizeof entry) {
            memcpy(entry, rest, len);
            entry[len] = 0;
            if (entry_matches(entry, host, port)) {
                return false;
            }
        }
        rest += len;
    }
    return true;
}
