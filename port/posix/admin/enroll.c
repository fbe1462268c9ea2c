/* SPDX-License-Identifier: MIT */
/* dps-admin enroll: step 2, in which EK_pub goes to the service. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/admin/tool.h"
#include "port/posix/paste/ek_forms.h"
#include <string.h>

/* Which members of --json the options replace. */
static bool replaced(const struct admin_options *o, struct bytes name)
{
    return bytes_equal_public(name, bytes_of_text("registrationId")) ||
           (o->ek != NULL && bytes_equal_public(name, bytes_of_text("attestation"))) ||
           (o->device_id != NULL && bytes_equal_public(name, bytes_of_text("deviceId"))) ||
           (o->hubs.count > 0 && bytes_equal_public(name, bytes_of_text("iotHubs"))) ||
           (o->disabled && bytes_equal_public(name, bytes_of_text("provisioningStatus")));
}

static int write_json_file(struct admin_tool *t, struct bytes_writer *w)
{
    const struct admin_options *o = &t->options;
    struct bytes content, root, name, value;
    size_t cursor = 0;
    int exit_code = admin_input(t, o->json, &content);
    if (exit_code != 0) {
        return exit_code;
    }
    if (dps_json_check(content, &root) != 0 || dps_json_kind(root) != DPS_JSON_OBJECT) {
        admin_say("%s is not one JSON object", o->json);
        return POSIX_EXIT_STORE;
    }
    while (dps_json_next(root, &cursor, &name, &value)) {
        if (replaced(o, name)) {
            continue;
        }
        dps_write_text(w, ",\"");
        bytes_write_bytes(w, name);
        dps_write_text(w, "\":");
        bytes_write_bytes(w, value);
    }
    return 0;
}

/* The service whose API this is: it may refuse a member that it does not know, and would not act on it. */
static bool is_foreign(const struct admin_tool *t)
{
    static const char domain[] = ".azure-devices-provisioning.net";
    const struct bytes host = bytes_of_text(t->host);
    const size_t len = sizeof domain - 1;
    return host.len > len &&
           dps_text_equal_nocase(bytes_of(host.p + host.len - len, len), bytes_of_text(domain));
}

static int write_key(struct admin_tool *t, struct bytes_writer *w, struct ek *ek)
{
    char why[512];
    struct bytes content;
    int exit_code = admin_input(t, t->options.ek, &content);
    if (exit_code != 0) {
        return exit_code;
    }
    if (ek_read(content, ek, why, sizeof why) != 0) {
        admin_say("%s is not an endorsement key that can be enrolled: %s", t->options.ek, why);
        return POSIX_EXIT_STORE;
    }
    dps_write_text(w, ",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(w, bytes_of(ek->public_2b, ek->len));
    dps_write_text(w, "\"");
    if (t->options.srk != NULL && !is_foreign(t)) {
        dps_write_text(w, ",\"srk\":\"hardened\"");
    }
    dps_write_text(w, "}}");
    return 0;
}

static int write_body(struct admin_tool *t, struct bytes_writer *w, struct ek *ek)
{
    const struct admin_options *o = &t->options;
    int exit_code = 0;
    dps_write_text(w, "{\"registrationId\":");
    dps_write_json_string(w, bytes_of_text(o->arguments[0]));
    if (o->ek != NULL) {
        exit_code = write_key(t, w, ek);
    }
    if (exit_code == 0 && o->json != NULL) {
        exit_code = write_json_file(t, w);
    }
    if (o->device_id != NULL) {
        dps_write_text(w, ",\"deviceId\":");
        dps_write_json_string(w, bytes_of_text(o->device_id));
    }
    for (size_t i = 0; i < o->hubs.count; i++) {
        dps_write_text(w, i == 0 ? ",\"iotHubs\":[" : ",");
        dps_write_json_string(w, bytes_of_text(o->hubs.values[i]));
    }
    dps_write_text(w, o->hubs.count > 0 ? "]" : "");
    dps_write_text(w, o->disabled ? ",\"provisioningStatus\":\"disabled\"}" : "}");
    if (exit_code == 0 && w->error != 0) {
        admin_say(w->error == BYTES_E_FORMAT ? "an option is not UTF-8"
                                             : "the enrollment is larger than the service accepts");
        exit_code = POSIX_EXIT_USAGE;
    }
    return exit_code;
}

static void tell(const struct admin_tool *t, const struct ek *ek, struct bytes answer)
{
    struct bytes root;
    if (admin_json(t)) {
        printf("%.*s\n", (int)answer.len, (const char *)answer.p);
    } else if (dps_json_check(answer, &root) == 0) {
        if (t->options.ek != NULL) {
            printf("%-18s%s\n", "key seen as", ek->form);
        }
        admin_print_enrollment(stdout, root);
    }
    (void)fflush(stdout);
    if (ek->from_modulus) {
        fputs(
            "\nNote: only the RSA key was given. It was taken for an EK of the TCG's template L-1, which is "
            "what EK\n"
            "certificates are for. If the device is refused because its key does not match, it uses another\n"
            "template: then enroll what \"dps-device ek\" prints on it.\n",
            stderr);
    }
}

int admin_enroll(struct admin_tool *t)
{
    const struct admin_options *o = &t->options;
    struct ek ek = {.len = 0};
    struct bytes_writer w = bytes_writer_over(t->body, sizeof t->body);
    struct bytes answer;
    if (o->ek == NULL && o->json == NULL) {
        admin_say("enroll: which key? Give --ek FILE, in any form, or --json FILE with an attestation");
        return POSIX_EXIT_USAGE;
    }
    if (o->update && o->if_match != NULL) {
        admin_say("enroll: --update replaces whatever is there, --if-match only the version that you have "
                  "seen: give one "
                  "of them");
        return POSIX_EXIT_USAGE;
    }
    if (o->ek != NULL && o->json != NULL && strcmp(o->ek, "-") == 0 && strcmp(o->json, "-") == 0) {
        admin_say("enroll: standard input can be only one of --ek and --json");
        return POSIX_EXIT_USAGE;
    }
    if (o->srk != NULL && (strcmp(o->srk, "hardened") != 0 || o->ek == NULL)) {
        admin_say("enroll: --srk hardened is the only demand there is, and belongs to --ek; with --json the "
                  "attestation says it itself");
        return POSIX_EXIT_USAGE;
    }
    int exit_code = admin_check_id(o->arguments[0]);
    if (exit_code == 0) {
        exit_code = admin_open(t);
    }
    if (exit_code == 0) {
        exit_code = write_body(t, &w, &ek);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    if (o->srk != NULL && is_foreign(t)) {
        admin_say("note: %s takes any SRK, so --srk is left out there", t->host);
    }
    const struct admin_request request = {.method = "PUT",
                                          .collection = "enrollments",
                                          .name = o->arguments[0],
                                          .if_match = o->update ? "*" : o->if_match,
                                          .body = bytes_written(&w)};
    exit_code = admin_ask(t, &request, &answer);
    if (exit_code == 0) {
        tell(t, &ek, answer);
    }
    return exit_code;
}
