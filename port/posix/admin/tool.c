/* SPDX-License-Identifier: MIT */
/* dps-admin: the connection to the management API. */
#include "port/posix/admin/tool.h"
#include "dps/protocol/date.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "port/posix/pki/pem.h"
#include "port/posix/private.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A token is made for each request: it need not live longer than clocks may differ. */
#define TOKEN_SECONDS 600
#define CLOCK_SKEW 300
#define API_VERSION "2021-10-01"

void admin_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    options_say("dps-admin", format, arguments);
    va_end(arguments);
}

/* ---- The connection string: HostName=HOST[:PORT];SharedAccessKeyName=NAME;SharedAccessKey=BASE64 ------ */

static int refuse_string(const char *what)
{
    admin_say("the connection string %s; it must be "
              "HostName=HOST[:PORT];SharedAccessKeyName=NAME;SharedAccessKey=KEY, as "
              "dps-admin connection-string prints it",
              what);
    return POSIX_EXIT_USAGE;
}

static int take_host(struct admin_tool *t, struct bytes value)
{
    char url[DPS_HOST_MAX + 32], why[512];
    int n = snprintf(url, sizeof url, "https://%.*s", (int)value.len, (const char *)value.p);
    if (n < 0 || (size_t)n >= sizeof url ||
        options_service_url(url, t->host, sizeof t->host, &t->port, why, sizeof why) != 0) {
        return refuse_string("has a HostName that is not a host name");
    }
    return 0;
}

static int take_string(struct admin_tool *t, struct bytes text)
{
    const struct posix_connection_string given = options_connection_string(text);
    if (given.host.len == 0 || given.key_name.len == 0 || given.key.len == 0) {
        return refuse_string("is not complete");
    }
    if (given.key_name.len >= sizeof t->key_name) {
        return refuse_string("has too long a SharedAccessKeyName");
    }
    memcpy(t->key_name, given.key_name.p, given.key_name.len);
    if (dps_base64_decode(given.key, t->key, sizeof t->key, &t->key_len) != 0 || t->key_len == 0) {
        return refuse_string("has a SharedAccessKey that is not base64");
    }
    return take_host(t, given.host);
}

static int read_string(struct admin_tool *t)
{
    char why[512];
    size_t len;
    const char *path = t->options.connection_string_file;
    const char *text = getenv("DPS_CONNECTION_STRING");
    if (path != NULL) {
        if (posix_secret_read(path, t->file, sizeof t->file, &len, why, sizeof why) != 0) {
            admin_say("%s", why);
            return POSIX_EXIT_STORE;
        }
        int exit_code = take_string(t, bytes_of(t->file, len));
        bytes_wipe(t->file, len);
        return exit_code;
    }
    if (text == NULL || text[0] == 0) {
        admin_say("how to reach the service? Give --connection-string-file FILE, or the environment variable "
                  "DPS_CONNECTION_STRING");
        return POSIX_EXIT_USAGE;
    }
    return take_string(t, bytes_of_text(text));
}

static void note(const char *sentence)
{
    admin_say("%s", sentence);
}

static int read_trust(struct admin_tool *t)
{
    char why[1024];
    if (t->options.ca == NULL) {
        admin_say("--ca FILE is missing: the trusted issuers of the service's certificate");
        return POSIX_EXIT_USAGE;
    }
    if (pki_trust_read(t->options.ca, &t->trust, note, why, sizeof why) == 0) {
        return 0;
    }
    admin_say("%s", why);
    return POSIX_EXIT_STORE;
}

static int read_proxy(struct admin_tool *t)
{
    char why[640];
    const int error =
        posix_proxy_choose(&t->proxy, t->options.proxy, t->options.proxy_auth_file, why, sizeof why);
    if (error == 0) {
        return 0;
    }
    admin_say("%s", why);
    return error == BYTES_E_USAGE || error == BYTES_E_SPACE ? POSIX_EXIT_USAGE : POSIX_EXIT_STORE;
}

int admin_open(struct admin_tool *t)
{
    int exit_code = read_string(t);
    if (exit_code == 0) {
        exit_code = read_trust(t);
    }
    if (exit_code == 0) {
        exit_code = read_proxy(t);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    https_init(&t->https, t->host, t->port, &t->trust);
    t->https.stream.connect_to = t->options.connect_to;
    t->https.stream.proxy = &t->proxy;
    return 0;
}

void admin_close(struct admin_tool *t)
{
    https_end(&t->https);
    bytes_wipe(t, sizeof *t);
}

int admin_file_error(const char *path)
{
    char reason[POSIX_FILE_ERROR_MAX];
    admin_say("%s: %s", path, posix_file_error(errno, reason, sizeof reason));
    return POSIX_EXIT_STORE;
}

int admin_input(struct admin_tool *t, const char *path, struct bytes *content)
{
    char why[512];
    const int exit_code = options_input(path, t->file, sizeof t->file, content, why, sizeof why);
    if (exit_code != 0) {
        admin_say("%s", why);
    }
    return exit_code;
}

/* ---- One request ---- */

static void write_token(struct bytes_writer *w, const struct admin_tool *t, uint64_t now)
{
    uint8_t sr[3 * DPS_HOST_MAX], string[3 * DPS_HOST_MAX + 32], mac[CRYPTO_SHA256_SIZE];
    struct bytes_writer audience = bytes_writer_over(sr, sizeof sr);
    struct bytes_writer to_sign = bytes_writer_over(string, sizeof string);
    dps_write_percent(&audience, bytes_of_text(t->host));
    dps_sas_write_string_to_sign(&to_sign, bytes_written(&audience), now + TOKEN_SECONDS);
    const struct bytes piece = bytes_written(&to_sign);
    crypto_hmac_sha256(bytes_of(t->key, t->key_len), &piece, 1, mac);
    dps_sas_write_token(w, bytes_written(&audience), mac, now + TOKEN_SECONDS, bytes_of_text(t->key_name));
}

static void write_request(struct bytes_writer *w, const struct admin_tool *t, const struct admin_request *r,
                          uint64_t now)
{
    dps_write_text(w, r->method);
    dps_write_text(w, " /");
    dps_write_text(w, r->collection);
    dps_write_text(w, "/");
    dps_write_percent(w, bytes_of_text(r->name));
    dps_write_text(w, r->part != NULL ? r->part : "");
    dps_write_text(w, "?api-version=" API_VERSION " HTTP/1.1\r\nHost: ");
    dps_write_text(w, t->host);
    dps_write_text(w, ":");
    dps_write_decimal(w, t->port);
    dps_write_text(w, "\r\nUser-Agent: dps-admin\r\nAccept: application/json\r\nAuthorization: ");
    write_token(w, t, now);
    if (r->if_match != NULL) {
        dps_write_text(w, "\r\nIf-Match: ");
        dps_write_text(w, r->if_match);
    }
    if (r->page > 0) {
        dps_write_text(w, "\r\nx-ms-max-item-count: ");
        dps_write_decimal(w, r->page);
    }
    if (r->continuation.len > 0) {
        dps_write_text(w, "\r\nx-ms-continuation: ");
        bytes_write_bytes(w, r->continuation);
    }
    dps_write_text(w, "\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ");
    dps_write_decimal(w, r->body.len);
    dps_write_text(w, "\r\n\r\n");
    bytes_write_bytes(w, r->body);
}

static int report_network(const struct admin_tool *t, int error)
{
    char text[POSIX_STREAM_ERROR_MAX];
    if (error == BYTES_E_TLS) {
        admin_say("%s:%u: no secure connection: %s. What to do: %s", t->host, t->port,
                  crypto_tls_error_text(t->https.tls_error), posix_tls_advice(t->https.tls_error));
    } else if (!t->https.reached && error != BYTES_E_ENTROPY) {
        posix_stream_explain(&t->https.stream, error, text, sizeof text);
        admin_say("%s", text);
    } else {
        admin_say("%s:%u: %s. What to do: see whether that port speaks HTTPS, and try again", t->host,
                  t->port, posix_error_text(error));
    }
    return error == BYTES_E_USAGE ? POSIX_EXIT_USAGE : POSIX_EXIT_NETWORK;
}

bool admin_clock_difference(const struct admin_tool *t, int64_t *ahead)
{
    struct port_clock clock = posix_clock();
    struct bytes date;
    uint64_t theirs;
    if (dps_http_header(&t->https.http, t->https.buffer, "Date", &date) != 0 ||
        dps_http_date_parse(date, &theirs) != 0) {
        return false;
    }
    *ahead = (int64_t)(clock.unix_seconds(clock.context) - theirs);
    return true;
}

/* A wrong clock is a frequent reason for a refused token, and the service's answer cannot say so. */
static void report_clock(const struct admin_tool *t)
{
    int64_t ahead;
    if (admin_clock_difference(t, &ahead) && (ahead > CLOCK_SKEW || ahead < -CLOCK_SKEW)) {
        fprintf(stderr, "  the clock of this machine is %lld seconds %s that of the service\n",
                (long long)(ahead > 0 ? ahead : -ahead), ahead > 0 ? "ahead of" : "behind");
    }
}

static int report_refusal(const struct admin_tool *t, const struct admin_request *r)
{
    struct bytes root, info, code;
    uint64_t number = 0;
    const struct dps_http *http = &t->https.http;
    if (dps_json_check(dps_http_body(http, t->https.buffer), &root) != 0 ||
        dps_json_member(root, "errorCode", &code) != 0 || dps_json_uint(code, UINT32_MAX, &number) != 0) {
        admin_say("%s:%u answered with HTTP status %u (%s) and nothing that explains it: is this a "
                  "provisioning service?",
                  t->host, t->port, http->status, dps_http_reason(http->status));
        return POSIX_EXIT_REFUSED;
    }
    fprintf(stderr, "dps-admin: the service refused: %llu ", (unsigned long long)number);
    admin_print_string(stderr, root, "message");
    if (dps_json_member(root, "info", &info) == 0 && dps_json_kind(info) == DPS_JSON_OBJECT) {
        fputs("\n  ", stderr);
        admin_print_string(stderr, info, "detail");
    }
    fputs("\n  tracking id: ", stderr);
    admin_print_string(stderr, root, "trackingId");
    fputc('\n', stderr);
    if (http->status == 401) {
        report_clock(t);
    }
    if (http->status == 409 && strcmp(r->method, "PUT") == 0) {
        fputs("  --update replaces it, --if-match ETAG only if nobody else has changed it\n", stderr);
    }
    return POSIX_EXIT_REFUSED;
}

int admin_exchange(struct admin_tool *t, const struct admin_request *request)
{
    struct bytes_writer w = bytes_writer_over(t->request, sizeof t->request);
    struct port_clock clock = posix_clock();
    write_request(&w, t, request, clock.unix_seconds(clock.context));
    int error = w.error != 0 ? BYTES_E_SPACE : https_request(&t->https, bytes_written(&w));
    bytes_wipe(t->request, sizeof t->request);
    return error;
}

int admin_explain(const struct admin_tool *t, const struct admin_request *request, int error)
{
    if (error == BYTES_E_SPACE) {
        admin_say("the request is larger than the service accepts");
        return POSIX_EXIT_USAGE;
    }
    return error != 0 ? report_network(t, error) : report_refusal(t, request);
}

int admin_explain_malformed(void)
{
    admin_say("the service's answer is not the JSON that was expected");
    return POSIX_EXIT_NETWORK;
}

int admin_ask(struct admin_tool *t, const struct admin_request *request, struct bytes *answer)
{
    int error = admin_exchange(t, request);
    if (error != 0 || t->https.http.status < 200 || t->https.http.status > 299) {
        return admin_explain(t, request, error);
    }
    *answer = dps_http_body(&t->https.http, t->https.buffer);
    return 0;
}
