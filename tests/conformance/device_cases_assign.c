/* SPDX-License-Identifier: MIT */
/* Wrong answers after the right challenge: to the token, and the assignment with the hub's key. */
#include "tests/conformance/device.h"

#define MUST CONFORMANCE_MUST, 0
#define SHOULD CONFORMANCE_SHOULD, 0
#define CLIENTS "spec-notes: Clients"
#define ERRORS "DPS \"ProvisioningServiceErrorDetails\""
#define STATES "DPS \"DeviceRegistrationState\""
#define PATHS "RFC 3986 section 3.3"
#define NAMES "RFC 1123 section 2.1"

const struct conformance_case client_cases_assign[] = {
    {"DEV-S08-020", "A client must stop if its token is refused.", ERRORS, MUST, client_run_script},
    {"DEV-S08-021", "A client should stop if every token is answered with another challenge.", CLIENTS,
     SHOULD, client_run_script},
    {"DEV-S08-022", "A client must refuse 202 without an operationId.", CLIENTS, MUST, client_run_script},
    {"DEV-S08-023", "A client must refuse an operationId that is not text.", CLIENTS, MUST,
     client_run_script},
    {"DEV-S08-024", "A client must not poll another path, whatever the operationId: \"../../..\".", PATHS,
     MUST, client_run_script},
    {"DEV-S08-025", "An operationId with a line end must not become a header of the client's request.",
     "RFC 9112 section 3.2", MUST, client_run_script},
    {"DEV-S08-026", "A client should percent-encode an operationId: \"a b?c=d#e%41\".", PATHS, SHOULD,
     client_run_script},
    {"DEV-S08-027", "A client must give up on an operationId of 65536 letters.", CLIENTS, MUST,
     client_run_script},
    {"DEV-S08-028", "A client must stop if it is not enrolled (404).", ERRORS, MUST, client_run_script},
    {"DEV-S08-029", "A client must stop if its enrollment is disabled (403).", ERRORS, MUST,
     client_run_script},
    {"DEV-S08-030", "A client must stop if another registration came first (409).", ERRORS, MUST,
     client_run_script},
    {"DEV-S08-031", "A client must end cleanly if a refusal is HTML.", ERRORS, MUST, client_run_script},
    {"DEV-S08-032", "A client must end cleanly if a refusal has no body.", ERRORS, MUST, client_run_script},
    {"DEV-S08-033", "A client must end cleanly if a refusal has members of other types.", ERRORS, MUST,
     client_run_script},
    {"DEV-S08-034", "A client must end cleanly if a refusal's message is long and has control characters.",
     ERRORS, MUST, client_run_script},
    {"DEV-S08-035", "A client must refuse an answer that is cut off after its token.", "RFC 9112 section 8",
     MUST, client_run_script},

    {"DEV-S09-101", "A client must refuse a hub key in a blob that is cut off.",
     "TPM 2.0 Part 2 r1.59 section 10.4.2", MUST, client_run_script},
    {"DEV-S09-102", "A client must refuse a hub key if one bit of its wrap is flipped.",
     "TPM 2.0 Part 3 r1.59 section 13.3", MUST, client_run_script},
    {"DEV-S09-103", "A client must refuse a hub key if one bit of its credential is flipped.",
     "TPM 2.0 Part 3 r1.59 section 12.5", MUST, client_run_script},
    {"DEV-S09-104", "A client must refuse a hub key for the Name of another SRK.",
     "TPM 2.0 Part 3 r1.59 section 12.5", MUST, client_run_script},
    {"DEV-S09-105", "A client must refuse a hub key under another inner key.",
     "TPM 2.0 Part 1 r1.59 section 23.3.2.2", MUST, client_run_script},
    {"DEV-S09-106", "A client must refuse a hub key that claims fixedTPM.",
     "TPM 2.0 Part 3 r1.59 section 13.3", MUST, client_run_script},
    {"DEV-S09-107", "A client must refuse a hub key that may not sign.", "TPM 2.0 Part 2 r1.59 section 8.3",
     MUST, client_run_script},
    {"DEV-S09-108", "A client must refuse a hub key without an inner key.",
     "TPM 2.0 Part 3 r1.59 section 13.3", MUST, client_run_script},
    {"DEV-S09-109", "A client must refuse a hub key whose fields have changed places.",
     "spec-notes: The activation blob", MUST, client_run_script},
    {"DEV-S09-110",
     "A client must end cleanly, either way, if the challenge's blob is sent again as the hub's.", CLIENTS,
     MUST, client_run_script},
    {"DEV-S09-111", "A client must ignore bytes after the sixth field of the hub's blob.", CLIENTS, MUST,
     client_run_script},

    {"DEV-S09-120", "A client must refuse an assignment without tpm.", CLIENTS, MUST, client_run_script},
    {"DEV-S09-121", "A client must refuse an assignment whose authenticationKey is null.", CLIENTS, MUST,
     client_run_script},
    {"DEV-S09-122", "A client must refuse an assignment without assignedHub.", CLIENTS, MUST,
     client_run_script},
    {"DEV-S09-123", "A client must refuse an assignment without deviceId.", CLIENTS, MUST, client_run_script},
    {"DEV-S09-124", "A client must refuse an assignment without registrationState.", CLIENTS, MUST,
     client_run_script},
    {"DEV-S09-125", "A client must refuse a hub name with a line end.", NAMES, MUST, client_run_script},
    {"DEV-S09-126", "A client must refuse a hub name with a zero character.", NAMES, MUST, client_run_script},
    {"DEV-S09-127", "A client should refuse a hub name that is an address: \"a@b/c\".", NAMES, SHOULD,
     client_run_script},
    {"DEV-S09-128", "A client should refuse an empty hub name.", NAMES, SHOULD, client_run_script},
    {"DEV-S09-129", "A client must refuse a hub name of 65536 letters.", NAMES, MUST, client_run_script},
    {"DEV-S09-130", "A client should refuse a deviceId with a line end.", "IoT Hub: identity registry",
     SHOULD, client_run_script},
    {"DEV-S09-131", "A client should refuse an empty deviceId.", "IoT Hub: identity registry", SHOULD,
     client_run_script},
    {"DEV-S09-132", "A client must treat a failed registration as a failure.", STATES, MUST,
     client_run_script},
    {"DEV-S09-133", "A client must treat a disabled registration as a failure.", STATES, MUST,
     client_run_script},
    {"DEV-S09-134", "A client must give up on an unknown status.", STATES, MUST, client_run_script},
    {"DEV-S09-135", "A client must give up on an assignment without a status.", STATES, MUST,
     client_run_script},
    {"DEV-S09-136", "A client should stop polling a service that says \"assigning\" for ever.", CLIENTS,
     SHOULD, client_run_script},
    {"DEV-S09-137", "A client must stop polling an operation that does not exist (404).", ERRORS, MUST,
     client_run_script},
    {"DEV-S09-138", "A client should stop polling a service that is always unavailable.", CLIENTS, SHOULD,
     client_run_script},
    {"DEV-S09-139", "A client must not use an assignment that is cut off.", "RFC 9112 section 8", MUST,
     client_run_script},
    {"DEV-S09-140", "A client should refuse an assignment with two hubs.", "RFC 8259 section 4", SHOULD,
     client_run_script},
    {"DEV-S09-141", "A client must end cleanly, either way, on an assignment that is nested 20000 deep.",
     "RFC 8259 section 9", MUST, client_run_script},
    {0},
};

const struct conformance_case client_cases_hub[] = {
    {"DEV-S10-001", "Telemetry must have a token for {hub}/devices/{deviceId}, signed with the hub's key.",
     "IoT Hub \"Send device event\"", MUST, client_run_script},
    {"DEV-S10-002", "A client must report it if its hub refuses it.", "IoT Hub \"Send device event\"", MUST,
     client_run_script},
    {"DEV-S10-003", "A client must not carry its hub token to another origin.", "RFC 9110 section 15.4", MUST,
     client_run_script},
    {"DEV-S10-004", "A client should stop if its hub is always unavailable.", CLIENTS, SHOULD,
     client_run_script},
    {"DEV-S10-005", "A client must not treat a cut-off answer as success.", "RFC 9112 section 8", MUST,
     client_run_script},
    {0},
};

#define ID "\"operationId\":\"%O\""
#define KEY ",\"tpm\":{\"authenticationKey\":\"%K\"}"
#define HUB ",\"assignedHub\":\"%H\""
#define DEVICE ",\"deviceId\":\"%I\""
#define ENDED(word)                                                                                          \
    "{" ID ",\"status\":\"" word "\",\"registrationState\":{\"registrationId\":\"%I\",\"status\":\"" word    \
    "\",\"errorCode\":400209,\"errorMessage\":\"because\"" HUB DEVICE KEY "}}"

/* clang-format off */
#define TOKEN(id, ...) {id, CLIENT_ACCEPTED, .expected = CLIENT_GIVES_UP, __VA_ARGS__}
#define STATE(id, ...) {id, CLIENT_ASSIGNED, .expected = CLIENT_GIVES_UP, __VA_ARGS__}
const struct client_script client_scripts_assign[] = {
    TOKEN("DEV-S08-020", .answer = {.status = "401 Unauthorized"}),
    TOKEN("DEV-S08-021", .answer = {.status = "401 Unauthorized", .body = CLIENT_BODY_CHALLENGE}),
    TOKEN("DEV-S08-022", .answer = {.body = "{\"status\":\"assigning\"}"}),
    TOKEN("DEV-S08-023", .answer = {.body = "{\"operationId\":{\"a\":1},\"status\":\"assigning\"}"}),
    {"DEV-S08-024", CLIENT_ACCEPTED, .expected = CLIENT_SURVIVES, .operation = "../../../enrollments"},
    {"DEV-S08-025", CLIENT_ACCEPTED, .expected = CLIENT_SURVIVES, .operation = "1.2 HTTP/1.1\r\nX-Injected: 1\r\nX: "},
    {"DEV-S08-026", CLIENT_ACCEPTED, .expected = CLIENT_SURVIVES, .operation = "a b?c=d#e%41"},
    TOKEN("DEV-S08-027", .answer = {.body = "{\"operationId\":\"%A\",\"status\":\"assigning\"}"}),
    TOKEN("DEV-S08-028", .answer = {.status = "404 Not Found"}),
    TOKEN("DEV-S08-029", .answer = {.status = "403 Forbidden"}),
    TOKEN("DEV-S08-030", .answer = {.status = "409 Conflict", .body = CLIENT_BODY_ACCEPTED}),
    TOKEN("DEV-S08-031", .answer = {.status = "400 Bad Request", .body = "<html>400</html>"}),
    TOKEN("DEV-S08-032", .answer = {.status = "401 Unauthorized", .body = ""}),
    TOKEN("DEV-S08-033", .answer = {.status = "400 Bad Request", .body =
        "{\"errorCode\":\"400001\",\"message\":{\"a\":[]},\"trackingId\":null,\"info\":5,\"timestampUtc\":-1e99}"}),
    TOKEN("DEV-S08-034", .answer = {.status = "400 Bad Request", .body =
        "{\"errorCode\":400001,\"message\":\"\\u001b[2J\\u0007\\u202e %s%n%A\"}"}),
    TOKEN("DEV-S08-035", .variants = 2, .answer = {.ending = CLIENT_CUT_BODY}),

    STATE("DEV-S09-101", .variants = 2, .blob = {CLIENT_BLOB_ENDS_IN, .field = 3}),
    STATE("DEV-S09-102", .variants = 2, .blob = {CLIENT_BLOB_FLIPPED, .field = 3}),
    STATE("DEV-S09-103", .variants = 2, .blob = {CLIENT_BLOB_FLIPPED, .field = 1}),
    STATE("DEV-S09-104", .blob = {CLIENT_BLOB_OTHER_NAME, .value = 0}),
    STATE("DEV-S09-105", .blob = {CLIENT_BLOB_OTHER_INNER, .value = 0}),
    STATE("DEV-S09-106", .blob = {CLIENT_BLOB_ATTRIBUTES, .value = 0x00040442}),
    STATE("DEV-S09-107", .blob = {CLIENT_BLOB_ATTRIBUTES, .value = 0x00000440}),
    STATE("DEV-S09-108", .blob = {CLIENT_BLOB_INNER_SIZE, .value = 0}),
    STATE("DEV-S09-109", .blob = {CLIENT_BLOB_SWAPPED, .field = 2}),
    {"DEV-S09-110", CLIENT_ASSIGNED, .expected = CLIENT_SURVIVES, .blob = {CLIENT_BLOB_NONCE, .value = 0}},
    {"DEV-S09-111", CLIENT_ASSIGNED, .blob = {CLIENT_BLOB_TRAILING, .value = 100}},

    STATE("DEV-S09-120", .answer = {.body = CLIENT_BODY_STATE(HUB DEVICE)}),
    STATE("DEV-S09-121", .answer = {.body = CLIENT_BODY_STATE(HUB DEVICE ",\"tpm\":{\"authenticationKey\":null}")}),
    STATE("DEV-S09-122", .answer = {.body = CLIENT_BODY_STATE(DEVICE KEY)}),
    STATE("DEV-S09-123", .answer = {.body = CLIENT_BODY_STATE(HUB KEY)}),
    STATE("DEV-S09-124", .answer = {.body = "{" ID ",\"status\":\"assigned\"}"}),
    STATE("DEV-S09-125", .answer = {.body = CLIENT_BODY_STATE(DEVICE KEY ",\"assignedHub\":\"a\\r\\nX-Injected: 1\"")}),
    STATE("DEV-S09-126", .answer = {.body = CLIENT_BODY_STATE(DEVICE KEY ",\"assignedHub\":\"%H\\u0000.example\"")}),
    STATE("DEV-S09-127", .answer = {.body = CLIENT_BODY_STATE(DEVICE KEY ",\"assignedHub\":\"%H@b/c\"")}),
    STATE("DEV-S09-128", .answer = {.body = CLIENT_BODY_STATE(DEVICE KEY ",\"assignedHub\":\"\"")}),
    STATE("DEV-S09-129", .answer = {.body = CLIENT_BODY_STATE(DEVICE KEY ",\"assignedHub\":\"%A\"")}),
    STATE("DEV-S09-130", .answer = {.body = CLIENT_BODY_STATE(HUB KEY ",\"deviceId\":\"a\\r\\nb\"")}),
    STATE("DEV-S09-131", .answer = {.body = CLIENT_BODY_STATE(HUB KEY ",\"deviceId\":\"\"")}),
    STATE("DEV-S09-132", .answer = {.body = ENDED("failed")}),
    STATE("DEV-S09-133", .answer = {.body = ENDED("disabled")}),
    STATE("DEV-S09-134", .answer = {.body = ENDED("splendid")}),
    STATE("DEV-S09-135", .answer = {.body = "{" ID ",\"registrationState\":{}}"}),
    STATE("DEV-S09-136", .answer = {.status = "202 Accepted", .body = CLIENT_BODY_ACCEPTED}),
    STATE("DEV-S09-137", .answer = {.status = "404 Not Found", .body = CLIENT_BODY_ASSIGNED}),
    STATE("DEV-S09-138", .answer = {.status = "503 Service Unavailable", .headers = "Retry-After: 0\r\n"}),
    STATE("DEV-S09-139", .variants = 2, .answer = {.ending = CLIENT_CUT_BODY}),
    STATE("DEV-S09-140", .answer = {.body = CLIENT_BODY_STATE(HUB DEVICE KEY ",\"assignedHub\":\"other.example\"")}),
    {"DEV-S09-141", CLIENT_ASSIGNED, .expected = CLIENT_SURVIVES,
     .answer = {.body = CLIENT_BODY_STATE(HUB DEVICE KEY ",\"payload\":%[%]")}},
    {0},
};

const struct client_script client_scripts_hub[] = {
    {"DEV-S10-001", CLIENT_HUB, .expected = CLIENT_SENDS},
    {"DEV-S10-002", CLIENT_HUB, .expected = CLIENT_KEEPS, .answer = {.status = "401 Unauthorized"}},
    {"DEV-S10-003", CLIENT_HUB, .expected = CLIENT_KEEPS,
     .answer = {.status = "307 Temporary Redirect", .headers = "Location: %J/devices\r\n"}},
    {"DEV-S10-004", CLIENT_HUB, .expected = CLIENT_KEEPS,
     .answer = {.status = "503 Service Unavailable", .headers = "Retry-After: 0\r\n"}},
    {"DEV-S10-005", CLIENT_HUB, .expected = CLIENT_KEEPS, .answer = {.status = "200 OK", .ending = CLIENT_CUT_HEAD}},
    {0},
};
/* clang-format on */
