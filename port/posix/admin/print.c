/* SPDX-License-Identifier: MIT */
/* dps-admin: answers for people. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/admin/tool.h"

/* What the service sends may have been chosen by a device or another administrator: nothing in it may control the
 * terminal. */
static int print_value(FILE *out, struct bytes value)
{
    uint8_t text[1024];
    size_t len;
    if (dps_json_string(value, text, sizeof text, &len) != 0) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        fputc(text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i], out);
    }
    return (int)len;
}

int admin_print_string(FILE *out, struct bytes object, const char *member)
{
    struct bytes value;
    return dps_json_member(object, member, &value) == 0 ? print_value(out, value) : 0;
}

/* JSON has no control characters outside of strings but line ends and tabs, and escapes them inside. */
static void print_any(FILE *out, struct bytes value)
{
    if (dps_json_kind(value) == DPS_JSON_STRING) {
        print_value(out, value);
    } else {
        fwrite(value.p, 1, value.len, out);
    }
}

static void print_member(FILE *out, const char *indent, const char *title, struct bytes object,
                         const char *member)
{
    struct bytes value;
    if (dps_json_member(object, member, &value) == 0) {
        fprintf(out, "%s%-18s", indent, title);
        print_any(out, value);
        fputc('\n', out);
    }
}

/* The key's base64 is for programs; people compare the digest, which dps-device shows as well. */
static void print_key(FILE *out, struct bytes enrollment)
{
    struct bytes attestation, tpm, value;
    uint8_t text[1024], digest[CRYPTO_SHA256_SIZE], hex[2 * CRYPTO_SHA256_SIZE];
    size_t len;
    if (dps_json_member(enrollment, "attestation", &attestation) != 0 ||
        dps_json_member(attestation, "tpm", &tpm) != 0 ||
        dps_json_member(tpm, "endorsementKey", &value) != 0 ||
        dps_json_string(value, text, sizeof text, &len) != 0 ||
        dps_base64_decode(bytes_of(text, len), text, sizeof text, &len) != 0) {
        return;
    }
    const struct bytes bytes = bytes_of(text, len);
    struct bytes_writer w = bytes_writer_over(hex, sizeof hex);
    crypto_sha256(&bytes, 1, digest);
    dps_write_hex(&w, bytes_of(digest, sizeof digest));
    fprintf(out, "%-18sSHA-256 %.*s\n", "endorsement key", (int)w.len, (const char *)hex);
    print_member(out, "", "SRK demanded", tpm, "srk");
}

void admin_print_registration(FILE *out, struct bytes state, const char *indent)
{
    print_member(out, indent, "status", state, "status");
    print_member(out, indent, "substatus", state, "substatus");
    print_member(out, indent, "hub", state, "assignedHub");
    print_member(out, indent, "device ID", state, "deviceId");
    print_member(out, indent, "first registered", state, "createdDateTimeUtc");
    print_member(out, indent, "last registered", state, "lastUpdatedDateTimeUtc");
    print_member(out, indent, "etag", state, "etag");
}

void admin_print_enrollment(FILE *out, struct bytes enrollment)
{
    static const struct {
        const char *title, *member;
    } members[] = {
        {"status", "provisioningStatus"},
        {"device ID", "deviceId"},
        {"hub", "iotHubHostName"},
        {"hubs", "iotHubs"},
        {"allocation", "allocationPolicy"},
        {"reprovisioning", "reprovisionPolicy"},
        {"initial twin", "initialTwin"},
        {"created", "createdDateTimeUtc"},
        {"updated", "lastUpdatedDateTimeUtc"},
        {"etag", "etag"},
    };
    struct bytes state;
    print_member(out, "", "registration ID", enrollment, "registrationId");
    print_key(out, enrollment);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        print_member(out, "", members[i].title, enrollment, members[i].member);
    }
    if (dps_json_member(enrollment, "registrationState", &state) == 0) {
        fputs("registration\n", out);
        admin_print_registration(out, state, "  ");
    }
}

static void print_column(FILE *out, struct bytes object, const char *member, int width)
{
    int len = admin_print_string(out, object, member);
    fprintf(out, "%*s", len < width ? width - len + 2 : 2, "");
}

void admin_print_line(FILE *out, struct bytes enrollment)
{
    struct bytes state;
    print_column(out, enrollment, "registrationId", 52);
    print_column(out, enrollment, "provisioningStatus", 8);
    if (dps_json_member(enrollment, "registrationState", &state) == 0) {
        admin_print_string(out, state, "status");
        fputs(" to ", out);
        admin_print_string(out, state, "assignedHub");
        fputs(" as ", out);
        admin_print_string(out, state, "deviceId");
    } else {
        fputs("not registered yet", out);
    }
    fputc('\n', out);
}
