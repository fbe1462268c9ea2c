/* SPDX-License-Identifier: MIT */
/* dps-admin message: a message to a device. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/admin/tool.h"
#include <string.h>

static void write_member(struct bytes_writer *w, const char *name, const char *value)
{
    if (value != NULL) {
        dps_write_json_string(w, bytes_of_text(name));
        dps_write_text(w, ":");
        dps_write_json_string(w, bytes_of_text(value));
        dps_write_text(w, ",");
    }
}

/* NAME=VALUE each. Returns: null, or the first that is not. */
static const char *write_properties(struct bytes_writer *w, const struct posix_option_list *list)
{
    dps_write_text(w, "\"properties\":{");
    for (size_t i = 0; i < list->count; i++) {
        const char *equals = strchr(list->values[i], '=');
        if (equals == NULL) {
            return list->values[i];
        }
        dps_write_text(w, i > 0 ? "," : "");
        dps_write_json_string(w, bytes_of(list->values[i], (size_t)(equals - list->values[i])));
        dps_write_text(w, ":");
        dps_write_json_string(w, bytes_of_text(equals + 1));
    }
    dps_write_text(w, "},");
    return NULL;
}

static int write_body(struct admin_tool *t, struct bytes_writer *w)
{
    const struct admin_options *o = &t->options;
    struct bytes data = bytes_of_text(o->arguments[1]);
    if (strcmp(o->arguments[1], "-") == 0) {
        const int exit_code = admin_input(t, "-", &data);
        if (exit_code != 0) {
            return exit_code;
        }
    }
    dps_write_text(w, "{");
    write_member(w, "messageId", o->message_id);
    write_member(w, "contentType", o->content_type);
    const char *wrong = write_properties(w, &o->properties);
    if (wrong != NULL || w->error == BYTES_E_FORMAT) {
        admin_say("message: --property takes NAME=VALUE in UTF-8, not \"%s\"", wrong != NULL ? wrong : "?");
        return POSIX_EXIT_USAGE;
    }
    if (o->lifetime > 0) {
        dps_write_text(w, "\"timeToLiveSeconds\":");
        dps_write_decimal(w, o->lifetime);
        dps_write_text(w, ",");
    }
    dps_write_text(w, "\"data\":\"");
    dps_write_base64(w, data);
    dps_write_text(w, "\"}");
    if (w->error != 0) {
        admin_say("message: it is too large");
        return POSIX_EXIT_USAGE;
    }
    return 0;
}

int admin_message(struct admin_tool *t)
{
    struct bytes_writer w = bytes_writer_over(t->body, sizeof t->body);
    struct bytes answer, root;
    int exit_code = admin_check_id(t->options.arguments[0]);
    if (exit_code == 0) {
        exit_code = write_body(t, &w);
    }
    if (exit_code == 0) {
        exit_code = admin_open(t);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    const struct admin_request request = {.method = "POST",
                                          .collection = "registrations",
                                          .name = t->options.arguments[0],
                                          .part = "/messages/devicebound",
                                          .body = bytes_written(&w)};
    exit_code = admin_ask(t, &request, &answer);
    if (exit_code != 0) {
        return exit_code;
    }
    if (dps_json_check(answer, &root) != 0 || dps_json_kind(root) != DPS_JSON_OBJECT) {
        return admin_explain_malformed();
    }
    if (admin_json(t)) {
        printf("%.*s\n", (int)root.len, (const char *)root.p);
        return 0;
    }
    printf("queued for %s: ", t->options.arguments[0]);
    (void)admin_print_string(stdout, root, "messageId");
    printf(", until ");
    (void)admin_print_string(stdout, root, "expiryTimeUtc");
    printf("\n");
    return 0;
}
