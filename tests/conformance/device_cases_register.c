/* SPDX-License-Identifier: MIT */
/* The right path, and right challenges in all the forms that a client may meet. */
#include "tests/conformance/device.h"

#define REST "DPS \"Register device\""
#define TOKENS "DPS \"Security tokens\""
#define CLIENTS "spec-notes: Clients"
#define CAPTURE "capture of the real service, azure-uhttp-c tests/uhttp_ut/uhttp_ut.c"
#define MUST CONFORMANCE_MUST, 0
#define SHOULD CONFORMANCE_SHOULD, 0

const struct conformance_case client_cases_register[] = {
    {"DEV-S04-001",
     "A client must send PUT /{idScope}/registrations/{registrationId}/register and GET .../operations/"
     "{operationId}, and nothing else.",
     REST, MUST, client_run_shape},
    {"DEV-S04-002", "Its requests must name an api-version, which is a date.", REST, MUST, client_run_shape},
    {"DEV-S04-003", "Its requests must have one Host, which is the service's.", "RFC 9112 section 3.2", MUST,
     client_run_shape},
    {"DEV-S04-004", "The body of its registration must have the type application/json.", REST, MUST,
     client_run_shape},
    {"DEV-S04-005",
     "The body must be JSON with the path's registrationId and tpm {endorsementKey, storageRootKey}.", REST,
     MUST, client_run_shape},
    {"DEV-S04-006", "The endorsementKey must be the TPM2B_PUBLIC of a key made from the EK template.",
     "EK Profile 2.5 B.3.3", MUST, client_run_shape},
    {"DEV-S04-007", "The storageRootKey must be the TPM2B_PUBLIC of a storage key that cannot leave its TPM.",
     "spec-notes: Which SRK may be trusted", MUST, client_run_shape},
    {"DEV-S04-008",
     "The first request of a registration must have no token, since every token is for one challenge.",
     CLIENTS, MUST, client_run_shape},

    {"DEV-S04-009", "A client must leave its files as they were if it is refused: they may still be valid.",
     CLIENTS, MUST, client_run_script},

    {"DEV-S04-010", "A client must name the SRK that it was told to use, in each request.",
     "spec-notes: Which SRK may be trusted", MUST, client_run_shape},
    {"DEV-S04-011", "A client must not go on with another SRK if the one that it named is refused (400016).",
     "spec-notes: Which SRK may be trusted", MUST, client_run_script},

    {"DEV-S06-001", "A client must read a challenge that comes in chunks which cut the base64 in two.",
     CAPTURE, MUST, client_run_script},
    {"DEV-S06-002",
     "A client must read chunks of any size, with extensions, leading zeros, either case and a trailer.",
     "RFC 9112 section 7.1", MUST, client_run_script},
    {"DEV-S06-003", "A client must read an answer that arrives one byte at a time.", "RFC 9112 section 2",
     MUST, client_run_script},
    {"DEV-S06-004", "A client must read chunks that arrive one byte at a time.", "RFC 9112 section 7.1", MUST,
     client_run_script},
    {"DEV-S06-005", "A client must open a new connection after Connection: close.", "RFC 9112 section 9.6",
     MUST, client_run_script},
    {"DEV-S06-006",
     "A client must accept header names in any case, with and without white space around values.",
     "RFC 9110 sections 5.1 and 5.5", MUST, client_run_script},
    {"DEV-S06-007", "A client must skip interim responses before the final one.", "RFC 9110 section 15.2",
     MUST, client_run_script},
    {"DEV-S06-008", "A client must ignore members of a challenge that it does not know, in any order.",
     "DPS swagger: additional properties", MUST, client_run_script},
    {"DEV-S06-009", "A client must accept JSON with white space wherever JSON allows it.",
     "RFC 8259 section 2", MUST, client_run_script},
    {"DEV-S06-010", "A client must accept base64 with escaped characters in it.", "RFC 8259 section 7", MUST,
     client_run_script},
    {"DEV-S06-011", "A client must ignore bytes after the blob's sixth field.", CLIENTS, MUST,
     client_run_script},
    {"DEV-S06-012", "A client must ignore 150 bytes after the blob's sixth field.", CLIENTS, MUST,
     client_run_script},
    {"DEV-S06-013", "A client should ignore 1024 bytes after the blob's sixth field.", CLIENTS, SHOULD,
     client_run_script},
    {"DEV-S06-014", "A client should accept an HMAC key without noDA.", "TPM 2.0 Part 2 r1.59 section 8.3",
     SHOULD, client_run_script},
    {"DEV-S06-015", "A client should accept an HMAC key with encryptedDuplication.",
     "TPM 2.0 Part 2 r1.59 section 8.3", SHOULD, client_run_script},
    {"DEV-S06-016",
     "A client must sign with the key in the blob, even if the challenge also has one in clear.", CAPTURE,
     MUST, client_run_script},
    {"DEV-S06-017", "A client must end cleanly, either way, if a challenge has no keyName.", CLIENTS, MUST,
     client_run_script},
    {"DEV-S06-018", "A client must accept a status line without a reason.", "RFC 9112 section 4", MUST,
     client_run_script},
    {"DEV-S06-019", "A client must accept application/json without a charset, and in any case.",
     "RFC 9110 section 8.3.1", MUST, client_run_script},
    {"DEV-S06-020", "A client should accept an answer that ends with its connection.", "RFC 9112 section 6.3",
     SHOULD, client_run_script},
    {"DEV-S06-021", "A client should register although the service's clock is ten years slow.", CLIENTS,
     SHOULD, client_run_script},
    {"DEV-S06-022", "A client should register although the service's clock is ten years fast.", CLIENTS,
     SHOULD, client_run_script},
    {"DEV-S06-023", "A client must accept the headers of the real service.", CAPTURE, MUST,
     client_run_script},
    {"DEV-S06-024", "A client should go on with a new connection if the old one ended after a whole answer.",
     "RFC 9112 section 9.6", SHOULD, client_run_script},
    {"DEV-S06-025", "A client should try again if the service is unavailable at first.",
     "RFC 9110 section 15.6.4", SHOULD, client_run_script},
    {"DEV-S06-026", "A client should try again if there were too many requests at first.",
     "RFC 6585 section 4", SHOULD, client_run_script},
    {"DEV-S06-027", "A client should wait as long as Retry-After says before it tries again.",
     "RFC 9110 section 10.2.3", SHOULD, client_run_script},

    {"DEV-S08-001", "The token must be \"SharedAccessSignature sr=..&sig=..&se=..\".", TOKENS, MUST,
     client_run_shape},
    {"DEV-S08-002", "Its sr must be {idScope}/registrations/{registrationId}, in one of the known encodings.",
     TOKENS, MUST, client_run_shape},
    {"DEV-S08-003",
     "Its sig must be HMAC-SHA-256, by the TPM with the nonce, over sr as it is in the token, line feed, se.",
     TOKENS, MUST, client_run_shape},
    {"DEV-S08-004", "Its se should be in the future, by a day at most.", CLIENTS, SHOULD, client_run_shape},
    {"DEV-S08-005", "Its skn should be the keyName of the challenge, or empty.", CLIENTS, SHOULD,
     client_run_shape},
    {"DEV-S08-006", "If the second request names keys, they must be those of the first.", CLIENTS, MUST,
     client_run_shape},

    {"DEV-S09-001", "A client must poll with its token.", CLIENTS, MUST, client_run_shape},
    {"DEV-S09-002", "A client must succeed when it is assigned, and send no further request.", CLIENTS, MUST,
     client_run_script},
    {"DEV-S09-003", "A client should wait as long as Retry-After says before it polls.", CLIENTS, SHOULD,
     client_run_script},
    {"DEV-S09-004", "A client must poll until it is assigned.", CLIENTS, MUST, client_run_script},
    {"DEV-S09-005", "A client should accept \"assigning\" with status 200, too.", CLIENTS, SHOULD,
     client_run_script},
    {"DEV-S09-006", "A client must accept \"assigning\" without registrationState.", CAPTURE, MUST,
     client_run_script},
    {"DEV-S09-007", "A client should accept an assignment that comes at once.", CLIENTS, SHOULD,
     client_run_script},
    {"DEV-S09-008", "A client should accept a status in any case.", CLIENTS, SHOULD, client_run_script},
    {"DEV-S09-009", "A client must read an assignment in chunks.", CAPTURE, MUST, client_run_script},
    {"DEV-S09-010", "A client must read an assignment that arrives one byte at a time.", "RFC 9112 section 2",
     MUST, client_run_script},
    {"DEV-S09-011", "A client must ignore members of an assignment that it does not know.",
     "DPS swagger: additional properties", MUST, client_run_script},
    {"DEV-S09-012", "A client must open a new connection to poll if necessary.", "RFC 9112 section 9.6", MUST,
     client_run_script},
    {"DEV-S09-013", "A client should poll again if an answer was lost.", "RFC 9112 section 9.3.1", SHOULD,
     client_run_script},
    {"DEV-S09-014", "A client should poll again after 429.", "RFC 6585 section 4", SHOULD, client_run_script},
    {0},
};

#define STATE_OTHER_ORDER                                                                                    \
    "{\"extra\":[{\"a\":null}],\"registrationState\":{\"tpm\":{\"more\":0,\"authenticationKey\":\"%K\"},"    \
    "\"deviceId\":\"%I\",\"x\":{\"y\":[1.5e3,true]},\"assignedHub\":\"%H\"," CLIENT_STATE_BEGIN              \
    ",\"payload\":{\"a\":1}},\"status\":\"assigned\",\"operationId\":\"%O\"}"
#define SPACED                                                                                               \
    "\r\n { \"authenticationKey\" :\t\"%K\" ,\n \"keyName\" : \"registration\" , \"message\" : \"\" } \n"
#define UNKNOWN                                                                                              \
    "{\"keyName\":\"registration\",\"new\":{\"deep\":[[],{\"authenticationKey\":\"AAAA\"}]},\"n\":-1.5e-7,"  \
    "\"authenticationKey\":\"%K\",\"t\":true,\"message\":\"\\u00e4\\ud83d\\ude00\"}"
#define ESCAPED "{\"authenticationKey\":\"%E\",\"keyName\":\"regi\\u0073tration\"}"
#define IN_CLEAR                                                                                             \
    "{\"authenticationKey\":\"%K\",\"keyName\":\"registration\",\"unencryptedAuthenticationKey\":"           \
    "\"x/xWHdMlhXeTVAiV2y3L1p9s9IpN5q4GP3Hc6Fhp1HM=\"}"
#define NAMELESS "{\"authenticationKey\":\"%K\"}"
#define ODD_HEAD                                                                                             \
    "HTTP/1.1 401 Unauthorized\r\ncontent-TYPE:application/json\r\nCONTENT-length: \t%L \t\r\nx:\r\n"
#define NO_REASON "HTTP/1.1 401 \r\nContent-Type: application/json\r\nContent-Length: %L\r\n"
#define OTHER_TYPE "HTTP/1.1 401 Unauthorized\r\nContent-Type: Application/JSON\r\nContent-Length: %L\r\n"
#define AT_TIME(year)                                                                                        \
    "HTTP/1.1 401 Unauthorized\r\nDate: " year "\r\nContent-Type: application/json\r\nContent-Length: "      \
    "%L\r\n"
#define REAL_HEADERS                                                                                         \
    "WWW-Authenticate: SharedAccessSignature\r\nStrict-Transport-Security: max-age=31536000; "               \
    "includeSubDomains\r\n"                                                                                  \
    "x-ms-request-id: 4d0d2a6c-1f67-4a5c-8d0b-6e5f1a2b3c4d\r\nVary: Origin\r\nServer: "                      \
    "Microsoft-HTTPAPI/2.0\r\n"
#define NEXT_TO_NO_TIME "Retry-After: 0\r\n"

/* clang-format off */
const struct client_script client_scripts_register[] = {
    {"DEV-S04-009", CLIENT_CHALLENGE, .expected = CLIENT_GIVES_UP, .answer = {.status = "404 Not Found"}},

    {"DEV-S04-011", CLIENT_CHALLENGE, .expected = CLIENT_GIVES_UP, .answer = {.status = "400 Bad Request", .body =
        "{\"errorCode\":400016,\"trackingId\":\"0\",\"message\":\"The hardened SRK is demanded\"}"}},

    {"DEV-S06-001", CLIENT_CHALLENGE, .answer = {.framing = CLIENT_CHUNKED}},
    {"DEV-S06-002", CLIENT_CHALLENGE, .answer = {.framing = CLIENT_CHUNKED_ODDLY}},
    {"DEV-S06-003", CLIENT_CHALLENGE, .answer = {.piece = 1}},
    {"DEV-S06-004", CLIENT_CHALLENGE, .answer = {.framing = CLIENT_CHUNKED_ODDLY, .piece = 1}},
    {"DEV-S06-005", CLIENT_CHALLENGE, .answer = {.ending = CLIENT_CLOSE}},
    {"DEV-S06-006", CLIENT_CHALLENGE, .answer = {.head = ODD_HEAD}},
    {"DEV-S06-007", CLIENT_CHALLENGE, .answer = {.before = "HTTP/1.1 100 Continue\r\n\r\n"
                                                           "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"}},
    {"DEV-S06-008", CLIENT_CHALLENGE, .answer = {.body = UNKNOWN}},
    {"DEV-S06-009", CLIENT_CHALLENGE, .answer = {.body = SPACED}},
    {"DEV-S06-010", CLIENT_CHALLENGE, .answer = {.body = ESCAPED}},
    {"DEV-S06-011", CLIENT_CHALLENGE, .blob = {CLIENT_BLOB_TRAILING, .value = 1}},
    {"DEV-S06-012", CLIENT_CHALLENGE, .blob = {CLIENT_BLOB_TRAILING, .value = 150}},
    {"DEV-S06-013", CLIENT_CHALLENGE, .blob = {CLIENT_BLOB_TRAILING, .value = 1024}},
    {"DEV-S06-014", CLIENT_CHALLENGE, .blob = {CLIENT_BLOB_ATTRIBUTES, .value = 0x00040040}},
    {"DEV-S06-015", CLIENT_CHALLENGE, .blob = {CLIENT_BLOB_ATTRIBUTES, .value = 0x00040c40}},
    {"DEV-S06-016", CLIENT_CHALLENGE, .answer = {.body = IN_CLEAR}},
    {"DEV-S06-017", CLIENT_CHALLENGE, .expected = CLIENT_SURVIVES, .answer = {.body = NAMELESS}},
    {"DEV-S06-018", CLIENT_CHALLENGE, .answer = {.head = NO_REASON}},
    {"DEV-S06-019", CLIENT_CHALLENGE, .answer = {.head = OTHER_TYPE}},
    {"DEV-S06-020", CLIENT_CHALLENGE, .answer = {.framing = CLIENT_UNTIL_CLOSE}},
    {"DEV-S06-021", CLIENT_CHALLENGE, .answer = {.head = AT_TIME("Sun, 10 Jan 2016 19:03:53 GMT")}},
    {"DEV-S06-022", CLIENT_CHALLENGE, .answer = {.head = AT_TIME("Thu, 10 Jan 2036 19:03:53 GMT")}},
    {"DEV-S06-023", CLIENT_CHALLENGE, .answer = {.headers = REAL_HEADERS}},
    {"DEV-S06-024", CLIENT_CHALLENGE, .answer = {.ending = CLIENT_HANG_UP}},
    {"DEV-S06-025", CLIENT_CHALLENGE, 1, .answer = {.status = "503 Service Unavailable", .headers = NEXT_TO_NO_TIME}},
    {"DEV-S06-026", CLIENT_CHALLENGE, 1, .answer = {.status = "429 Too Many Requests", .headers = NEXT_TO_NO_TIME}},
    {"DEV-S06-027", CLIENT_CHALLENGE, 1, CLIENT_PAUSES, 1000,
     .answer = {.status = "429 Too Many Requests", .headers = "Retry-After: 1\r\n"}},

    {"DEV-S09-002", CLIENT_CHALLENGE, .times = 0},
    {"DEV-S09-003", CLIENT_ACCEPTED, 1, CLIENT_PAUSES, 2000, .answer = {.headers = "Retry-After: 2\r\n"}},
    {"DEV-S09-004", CLIENT_ASSIGNED, 3, .answer = {.status = "202 Accepted", .body = CLIENT_BODY_ACCEPTED}},
    {"DEV-S09-005", CLIENT_ASSIGNED, 2, .answer = {.body = CLIENT_BODY_ACCEPTED}},
    {"DEV-S09-006", CLIENT_ACCEPTED, .answer = {.body = "{\"operationId\":\"%O\",\"status\":\"assigning\"}"}},
    {"DEV-S09-007", CLIENT_ACCEPTED, .answer = {.status = "200 OK", .body = CLIENT_BODY_ASSIGNED}},
    {"DEV-S09-008", CLIENT_ASSIGNED, .answer = {.body =
        "{\"operationId\":\"%O\",\"status\":\"Assigned\",\"registrationState\":{\"status\":\"Assigned\","
        "\"registrationId\":\"%I\",\"assignedHub\":\"%H\",\"deviceId\":\"%I\",\"tpm\":{"
        "\"authenticationKey\":\"%K\"}}}"}},
    {"DEV-S09-009", CLIENT_ASSIGNED, .answer = {.framing = CLIENT_CHUNKED}},
    {"DEV-S09-010", CLIENT_ASSIGNED, .answer = {.piece = 1}},
    {"DEV-S09-011", CLIENT_ASSIGNED, .answer = {.body = STATE_OTHER_ORDER}},
    {"DEV-S09-012", CLIENT_ACCEPTED, .answer = {.ending = CLIENT_CLOSE}},
    {"DEV-S09-013", CLIENT_ASSIGNED, 1, .answer = {.ending = CLIENT_CUT_BEFORE}},
    {"DEV-S09-014", CLIENT_ASSIGNED, 1, .answer = {.status = "429 Too Many Requests", .headers = NEXT_TO_NO_TIME}},
    {0},
};
/* clang-format on */
