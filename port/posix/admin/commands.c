/* SPDX-License-Identifier: MIT */
/* dps-admin: the commands besides enroll and import. */
#include "dps/manage/admin_auth.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/state.h"
#include "port/posix/admin/tool.h"
#include <string.h>

bool admin_json(const struct admin_tool *t)
{
    return t->options.format != NULL && strcmp(t->options.format, "json") == 0;
}

int admin_check_id(const char *id)
{
    if (dps_registration_id_valid(bytes_of_text(id))) {
        return 0;
    }
    admin_say(
        "\"%s\" is not a registration ID: it has 1 to 128 letters, digits, '-', '.', '_' or ':', and ends "
        "with a letter, "
        "digit or '-'",
        id);
    return POSIX_EXIT_USAGE;
}

/* Open the connection and ask for one named thing. */
static int ask_named(struct admin_tool *t, const char *method, const char *collection, const char *name,
                     struct bytes *answer)
{
    int exit_code = admin_check_id(name);
    if (exit_code == 0) {
        exit_code = admin_open(t);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    const struct admin_request request = {
        .method = method, .collection = collection, .name = name, .if_match = t->options.if_match};
    return admin_ask(t, &request, answer);
}

int admin_get(struct admin_tool *t)
{
    struct bytes answer, root;
    int exit_code = ask_named(t, "GET", "enrollments", t->options.arguments[0], &answer);
    if (exit_code != 0) {
        return exit_code;
    }
    if (dps_json_check(answer, &root) != 0) {
        return admin_explain_malformed();
    }
    if (admin_json(t)) {
        printf("%.*s\n", (int)root.len, (const char *)root.p);
    } else {
        admin_print_enrollment(stdout, root);
    }
    return 0;
}

int admin_delete(struct admin_tool *t)
{
    struct bytes answer;
    int exit_code = ask_named(t, "DELETE", "enrollments", t->options.arguments[0], &answer);
    if (exit_code == 0 && !admin_json(t)) {
        printf("deleted: %s\n", t->options.arguments[0]);
    }
    return exit_code;
}

/* After this many pages in a row without an enrollment, something is wrong. */
#define EMPTY_PAGES_MAX 10000

static bool is_empty(struct bytes page)
{
    struct bytes name, item;
    size_t cursor = 0;
    return !dps_json_next(page, &cursor, &name, &item);
}

int admin_each_page(struct admin_tool *t, int (*take)(void *context, struct bytes page), void *context)
{
    static const char query[] = "{\"query\":\"SELECT * FROM enrollments\"}";
    uint8_t continuation[1024];
    struct admin_request request = {.method = "POST",
                                    .collection = "enrollments",
                                    .name = "query",
                                    .page = t->options.page,
                                    .body = bytes_of_text(query)};
    unsigned empty = 0;
    for (;;) {
        struct bytes answer, page, next;
        int exit_code = admin_ask(t, &request, &answer);
        if (exit_code != 0) {
            return exit_code;
        }
        if (dps_json_check(answer, &page) != 0 || dps_json_kind(page) != DPS_JSON_ARRAY) {
            return admin_explain_malformed();
        }
        empty = is_empty(page) ? empty + 1 : 0;
        exit_code = take(context, page);
        if (exit_code != 0 ||
            dps_http_header(&t->https.http, t->https.buffer, "x-ms-continuation", &next) != 0 ||
            next.len == 0) {
            return exit_code;
        }
        /* A continuation that leads to the same place, or empty pages, would never end. */
        if (empty == EMPTY_PAGES_MAX || next.len > sizeof continuation ||
            bytes_equal_public(next, request.continuation)) {
            return admin_explain_malformed();
        }
        memcpy(continuation, next.p, next.len);
        request.continuation = bytes_of(continuation, next.len);
    }
}

static int print_page(void *context, struct bytes page)
{
    const struct admin_tool *t = context;
    struct bytes name, item;
    size_t cursor = 0;
    while (dps_json_next(page, &cursor, &name, &item)) {
        if (admin_json(t)) {
            printf("%.*s\n", (int)item.len, (const char *)item.p);
        } else {
            admin_print_line(stdout, item);
        }
    }
    return 0;
}

/* Printed as they come, so that a large service needs no memory here. */
int admin_list(struct admin_tool *t)
{
    int exit_code = admin_open(t);
    return exit_code != 0 ? exit_code : admin_each_page(t, print_page, t);
}

int admin_registration(struct admin_tool *t)
{
    struct bytes answer, root;
    const char *what = t->options.arguments[0], *id = t->options.arguments[1];
    bool get = strcmp(what, "get") == 0;
    if (!get && strcmp(what, "delete") != 0) {
        admin_say("registration: give get or delete: registration get ID, registration delete ID");
        return POSIX_EXIT_USAGE;
    }
    int exit_code = ask_named(t, get ? "GET" : "DELETE", "registrations", id, &answer);
    if (exit_code != 0) {
        return exit_code;
    }
    if (get && dps_json_check(answer, &root) != 0) {
        return admin_explain_malformed();
    }
    if (get && admin_json(t)) {
        printf("%.*s\n", (int)root.len, (const char *)root.p);
    } else if (get) {
        printf("%-18s%s\n", "registration ID", id);
        admin_print_registration(stdout, root, "");
    } else if (!admin_json(t)) {
        printf("deleted: the registration of %s\n", id);
    }
    return 0;
}

/* ---- A connection string from what dps-service reads: works without a connection ---------------------- */

static const struct dps_policy *choose(const struct dps_service_config *config, const char *name)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        if (name == NULL || strcmp(config->policies[i].name, name) == 0) {
            return &config->policies[i];
        }
    }
    admin_say("connection-string: the file has no policy \"%s\"; it has:", name);
    for (size_t i = 0; i < config->policy_count; i++) {
        fprintf(stderr, "  %s\n", config->policies[i].name);
    }
    return NULL;
}

static int print_string(const struct admin_tool *t, const struct dps_policy *policy)
{
    uint8_t key[(sizeof policy->primary_key + 2) / 3 * 4];
    struct bytes_writer w = bytes_writer_over(key, sizeof key);
    if (strpbrk(policy->name, ";\r\n") != NULL) {
        admin_say("connection-string: a connection string cannot contain the policy's name \"%s\"",
                  policy->name);
        return POSIX_EXIT_STORE;
    }
    dps_write_base64(&w, bytes_of(policy->primary_key, policy->primary_key_len));
    printf("HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=%.*s\n", t->options.host, policy->name,
           (int)w.len, (const char *)key);
    bytes_wipe(key, sizeof key);
    return 0;
}

int admin_connection_string(struct admin_tool *t)
{
    const struct admin_options *o = &t->options;
    struct dps_service_config config = {.policy_count = 0};
    char why[512], url[DPS_HOST_MAX + 32];
    size_t len;
    if (o->policy_file == NULL || o->host == NULL) {
        admin_say("connection-string: give --policy-file FILE and --host NAME[:PORT]");
        return POSIX_EXIT_USAGE;
    }
    int n = snprintf(url, sizeof url, "https://%s", o->host);
    if (n < 0 || (size_t)n >= sizeof url ||
        options_service_url(url, t->host, sizeof t->host, &t->port, why, sizeof why) != 0) {
        admin_say("connection-string: --host takes NAME or NAME:PORT, not \"%s\"", o->host);
        return POSIX_EXIT_USAGE;
    }
    const int error = posix_secret_read(o->policy_file, t->file, sizeof t->file, &len, why, sizeof why);
    if (error == BYTES_E_NOT_FOUND) {
        admin_say("there is no policy file %s yet. What to do: start dps-service with --policy-file %s, "
                  "which makes "
                  "it; or name the one that it has",
                  o->policy_file, o->policy_file);
    } else if (error != 0) {
        admin_say("%s", why);
    }
    if (error != 0) {
        return POSIX_EXIT_STORE;
    }
    if (dps_policies_parse(bytes_of(t->file, len), &config) != 0) {
        admin_say("%s is not a policy file of dps-service", o->policy_file);
        return POSIX_EXIT_STORE;
    }
    const struct dps_policy *policy = choose(&config, o->policy);
    int exit_code = policy != NULL ? print_string(t, policy) : POSIX_EXIT_USAGE;
    bytes_wipe(&config, sizeof config);
    return exit_code;
}
