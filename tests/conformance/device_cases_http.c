/* SPDX-License-Identifier: MIT */
/* Faults of the transport: what is not HTTP; answers that are cut off, never end, or say "later" or "elsewhere". */
#include "tests/conformance/device.h"

#define MUST CONFORMANCE_MUST, 0
#define SHOULD CONFORMANCE_SHOULD, 0
#define INCOMPLETE "RFC 9112 section 8"
#define CHUNKS "RFC 9112 section 7.1"
#define LENGTHS "RFC 9112 section 6.3"
#define BOUNDS "spec-notes: Nobody can stall the device"
#define CLIENTS "spec-notes: Clients"
#define LATER "RFC 9110 section 10.2.3"

const struct conformance_case client_cases_http[] = {
    {"DEV-S00-001", "A client must give up if every connection ends before the answer.", INCOMPLETE, MUST,
     client_run_script},
    {"DEV-S00-002", "A client must not use an answer that is cut off in its head.", INCOMPLETE, MUST,
     client_run_script},
    {"DEV-S00-003", "A client must not use an answer that is cut off in its body.", INCOMPLETE, MUST,
     client_run_script},
    {"DEV-S00-004", "A client must give up if every connection is reset.", INCOMPLETE, MUST,
     client_run_script},
    {"DEV-S00-005", "A client must refuse a chunk size that is not a number.", CHUNKS, MUST,
     client_run_script},
    {"DEV-S00-006", "A client must refuse a chunk size that only fits when it overflows.", CHUNKS, MUST,
     client_run_script},
    {"DEV-S00-007", "A client must refuse a negative chunk size.", CHUNKS, MUST, client_run_script},
    {"DEV-S00-008", "A client must refuse a chunk that is longer than its size.", CHUNKS, MUST,
     client_run_script},
    {"DEV-S00-009", "A client must not use an answer without its last chunk.", INCOMPLETE, MUST,
     client_run_script},
    {"DEV-S00-010", "A client should refuse an answer with both Content-Length and chunks.", LENGTHS, SHOULD,
     client_run_script},
    {"DEV-S00-011", "A client must refuse two Content-Lengths that differ.", LENGTHS, MUST,
     client_run_script},
    {"DEV-S00-012", "A client must refuse a negative Content-Length.", LENGTHS, MUST, client_run_script},
    {"DEV-S00-013", "A client must refuse a Content-Length that is not a number.", LENGTHS, MUST,
     client_run_script},
    {"DEV-S00-014", "A client must refuse a Content-Length that only fits when it overflows.", LENGTHS, MUST,
     client_run_script},
    {"DEV-S00-015", "A client should refuse a transfer coding that it does not know.", "RFC 9112 section 6.1",
     SHOULD, client_run_script},
    {"DEV-S00-016", "A client must not use a body that is shorter than its Content-Length.", INCOMPLETE, MUST,
     client_run_script},
    {"DEV-S00-020", "A client must give up on a head that never ends.", BOUNDS, MUST, client_run_script},
    {"DEV-S00-021", "A client must give up on a header line that never ends.", BOUNDS, MUST,
     client_run_script},
    {"DEV-S00-022", "A client must give up on a body that never ends.", BOUNDS, MUST, client_run_script},
    {"DEV-S00-023", "A client must give up on chunks that never end.", BOUNDS, MUST, client_run_script},
    {"DEV-S00-024", "A client must give up on interim responses that never end.", BOUNDS, MUST,
     client_run_script},
    {"DEV-S00-025", "A client must refuse an answer that is not HTTP.", "RFC 9112 section 4", MUST,
     client_run_script},
    {"DEV-S00-026", "A client must refuse a status that is not a number.", "RFC 9112 section 4", MUST,
     client_run_script},
    {"DEV-S00-027", "A client must not accept 101 as an answer: it has not asked for another protocol.",
     "RFC 9110 section 15.2.2", MUST, client_run_script},
    {"DEV-S00-028", "A client must end cleanly, either way, on a folded header line.", "RFC 9112 section 5.2",
     MUST, client_run_script},
    {"DEV-S00-029", "A client must end cleanly, either way, on lines that end with LF only.",
     "RFC 9112 section 2.2", MUST, client_run_script},
    {"DEV-S00-030", "A client should refuse a control character in a header.", "RFC 9110 section 5.5", SHOULD,
     client_run_script},
    {"DEV-S00-031", "A client must not use an unsolicited answer as the answer to its next request.",
     "RFC 9112 section 9.2", MUST, client_run_script},
    {"DEV-S00-032", "A client should not trust a body without length if TLS was cut off after it.",
     "RFC 9112 section 9.8", SHOULD, client_run_script},

    {"DEV-S00-033", "A client must refuse a challenge that is not JSON.", "RFC 8259", MUST,
     client_run_script},
    {"DEV-S00-034", "A client must refuse a challenge without a body.", "RFC 8259", MUST, client_run_script},
    {"DEV-S00-035", "A client must refuse a challenge whose JSON ends too early.", "RFC 8259", MUST,
     client_run_script},
    {"DEV-S00-036", "A client must end cleanly, either way, on JSON that is nested 20000 deep.",
     "RFC 8259 section 9", MUST, client_run_script},
    {"DEV-S00-037", "A client must end cleanly, either way, on a byte order mark.", "RFC 8259 section 8.1",
     MUST, client_run_script},
    {"DEV-S00-038", "A client must end cleanly, either way, on text that is not UTF-8.",
     "RFC 8259 section 8.1", MUST, client_run_script},
    {"DEV-S00-039", "A client should refuse text after the JSON.", "RFC 8259 section 2", SHOULD,
     client_run_script},

    {"DEV-S00-040", "A client should stop asking a service that is always unavailable.", CLIENTS, SHOULD,
     client_run_script},
    {"DEV-S00-041", "A client should stop asking a service that always has too many requests.", CLIENTS,
     SHOULD, client_run_script},
    {"DEV-S00-042", "A client should not try again at once after 500.", LATER, SHOULD, client_run_script},
    {"DEV-S00-043", "A client should not try again early if Retry-After is larger than its timer.", LATER,
     SHOULD, client_run_script},
    {"DEV-S00-044", "A client should not try again at once if Retry-After is negative.", CLIENTS, SHOULD,
     client_run_script},
    {"DEV-S00-045", "A client should not try again at once if Retry-After is not a number.", CLIENTS, SHOULD,
     client_run_script},
    {"DEV-S00-046", "A client should not try again at once if Retry-After is a date.", LATER, SHOULD,
     client_run_script},
    {"DEV-S00-047", "A client must not carry its token to another origin after 307.", "RFC 9110 section 15.4",
     MUST, client_run_script},
    {"DEV-S00-048", "A client must not carry its token to another origin after 302.", "RFC 9110 section 15.4",
     MUST, client_run_script},
    {"DEV-S00-049", "A client must not carry its token to another origin when it polls.",
     "RFC 9110 section 15.4", MUST, client_run_script},
    {0},
};

const struct conformance_case client_cases_tls[] = {
    {"DEV-S00-050", "A client must not speak to a service whose certificate is for another name.",
     "RFC 9110 section 4.3.4", MUST, client_run_certificate},
    {"DEV-S00-051", "A client must not speak to a service whose certificate has expired.",
     "RFC 5280 section 6.1.3", MUST, client_run_certificate},
    {"DEV-S00-052", "A client must not speak to a service whose certificate is from an untrusted issuer.",
     "RFC 5280 section 6.1", MUST, client_run_certificate},
    {0},
};

#define HEAD "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
#define UNAVAILABLE .status = "503 Service Unavailable"
#define MOVED .headers = "Location: %J/elsewhere\r\n"
#define REDIRECTED .status = "307 Temporary Redirect", MOVED
/* A whole answer that would end the flow. */
#define UNASKED                                                                                              \
    "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nRetry-After: 0\r\nContent-Length: "          \
    "48\r\n\r\n"                                                                                             \
    "{\"operationId\":\"1.unasked\",\"status\":\"assigning\"}"
#define KEY_BEGIN "{\"authenticationKey\":\"%K\",\"keyName\":\"registration\""

/* clang-format off */
#define REFUSED(id, ...) {id, CLIENT_CHALLENGE, .expected = CLIENT_GIVES_UP, __VA_ARGS__}
#define EITHER(id, ...) {id, CLIENT_CHALLENGE, .expected = CLIENT_SURVIVES, __VA_ARGS__}
#define PATIENT(id, ms, ...) {id, CLIENT_CHALLENGE, 0, CLIENT_WAITS, ms, __VA_ARGS__}
const struct client_script client_scripts_http[] = {
    REFUSED("DEV-S00-001", .answer = {.ending = CLIENT_CUT_BEFORE}),
    REFUSED("DEV-S00-002", .variants = 4, .answer = {.ending = CLIENT_CUT_HEAD}),
    REFUSED("DEV-S00-003", .variants = 4, .answer = {.ending = CLIENT_CUT_BODY}),
    REFUSED("DEV-S00-004", .answer = {.ending = CLIENT_RESET}),
    REFUSED("DEV-S00-005", .answer = {.framing = CLIENT_CHUNK_SIZE_BAD}),
    REFUSED("DEV-S00-006", .answer = {.framing = CLIENT_CHUNK_SIZE_HUGE}),
    REFUSED("DEV-S00-007", .answer = {.framing = CLIENT_CHUNK_SIZE_SIGNED}),
    REFUSED("DEV-S00-008", .answer = {.framing = CLIENT_CHUNK_NO_LINE_END}),
    REFUSED("DEV-S00-009", .answer = {.framing = CLIENT_CHUNK_NO_LAST}),
    REFUSED("DEV-S00-010", .answer = {.framing = CLIENT_CHUNKED, .headers = "Content-Length: %L\r\n"}),
    REFUSED("DEV-S00-011", .answer = {.headers = "Content-Length: 5\r\n"}),
    REFUSED("DEV-S00-012", .answer = {.head = HEAD "Content-Length: -%L\r\n", .ending = CLIENT_CLOSE}),
    REFUSED("DEV-S00-013", .answer = {.head = HEAD "Content-Length: %Lx\r\n", .ending = CLIENT_CLOSE}),
    REFUSED("DEV-S00-014", .answer = {.head = HEAD "Content-Length: 1844674407370955%L\r\n", .ending = CLIENT_CLOSE}),
    REFUSED("DEV-S00-015", .answer = {.head = HEAD "Transfer-Encoding: xchunked\r\n", .ending = CLIENT_CLOSE}),
    REFUSED("DEV-S00-016", .answer = {.head = HEAD "Content-Length: %M\r\n", .ending = CLIENT_CLOSE}),
    REFUSED("DEV-S00-020", .answer = {.framing = CLIENT_ENDLESS_HEAD}),
    REFUSED("DEV-S00-021", .answer = {.framing = CLIENT_ENDLESS_LINE}),
    REFUSED("DEV-S00-022", .answer = {.framing = CLIENT_ENDLESS_BODY}),
    REFUSED("DEV-S00-023", .answer = {.framing = CLIENT_ENDLESS_CHUNKS}),
    REFUSED("DEV-S00-024", .answer = {.framing = CLIENT_ENDLESS_INTERIM}),
    REFUSED("DEV-S00-025", .answer = {.head = "SSH-2.0-OpenSSH_9.2p1\r\n", .ending = CLIENT_CLOSE}),
    REFUSED("DEV-S00-026", .answer = {.head = "HTTP/1.1 4x1 Unauthorized\r\nContent-Length: %L\r\n"}),
    REFUSED("DEV-S00-027", .answer = {.status = "101 Switching Protocols", .headers = "Upgrade: x\r\n"}),
    EITHER("DEV-S00-028", .answer = {.headers = "X-Folded: a\r\n b\r\n"}),
    EITHER("DEV-S00-029",
           .answer = {.head = "HTTP/1.1 401 Unauthorized\nContent-Length: %L\n", .ending = CLIENT_CLOSE}),
    REFUSED("DEV-S00-030", .answer = {.headers = "X-Control: a\001b\r\n"}),
    EITHER("DEV-S00-031", .answer = {.after = UNASKED}), /* a client that uses it polls a wrong operation */
    REFUSED("DEV-S00-032", .answer = {.framing = CLIENT_UNTIL_CLOSE, .ending = CLIENT_HANG_UP}),

    REFUSED("DEV-S00-033", .answer = {.body = "<html>authenticationKey</html>"}),
    REFUSED("DEV-S00-034", .answer = {.body = ""}),
    REFUSED("DEV-S00-035", .answer = {.body = KEY_BEGIN}),
    EITHER("DEV-S00-036",
           .answer = {.body = "{\"authenticationKey\":\"%K\",\"deep\":%[%],\"keyName\":\"registration\"}"}),
    EITHER("DEV-S00-037", .answer = {.body = "\xef\xbb\xbf" KEY_BEGIN "}"}),
    EITHER("DEV-S00-038", .answer = {.body = KEY_BEGIN ",\"message\":\"\xff\xc0\x80\"}"}),
    REFUSED("DEV-S00-039", .answer = {.body = KEY_BEGIN "} {\"more\":1}"}),

    REFUSED("DEV-S00-040", .answer = {UNAVAILABLE, .headers = "Retry-After: 0\r\n"}),
    REFUSED("DEV-S00-041", .answer = {.status = "429 Too Many Requests", .headers = "Retry-After: 0\r\n"}),
    PATIENT("DEV-S00-042", 300, .answer = {.status = "500 Internal Server Error"}),
    PATIENT("DEV-S00-043", 1500, .answer = {UNAVAILABLE, .headers = "Retry-After: 4294968\r\n"}),
    PATIENT("DEV-S00-044", 300, .answer = {UNAVAILABLE, .headers = "Retry-After: -1\r\n"}),
    PATIENT("DEV-S00-045", 300, .answer = {UNAVAILABLE, .headers = "Retry-After: soon\r\n"}),
    PATIENT("DEV-S00-046", 300, .answer = {UNAVAILABLE, .headers = "Retry-After: Thu, 10 Jan 2036 19:03:53 GMT\r\n"}),
    {"DEV-S00-047", CLIENT_ACCEPTED, .expected = CLIENT_GIVES_UP, .answer = {REDIRECTED}},
    {"DEV-S00-048", CLIENT_ACCEPTED, .expected = CLIENT_GIVES_UP, .answer = {.status = "302 Found", MOVED}},
    {"DEV-S00-049", CLIENT_ASSIGNED, .expected = CLIENT_GIVES_UP, .answer = {REDIRECTED}},
    {0},
};
/* clang-format on */
