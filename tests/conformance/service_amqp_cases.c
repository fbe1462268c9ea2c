/* SPDX-License-Identifier: MIT */
/* SVC-S06 and SVC-S09 over AMQP: what the service must do, and each of Microsoft's SDKs in its own manner. */
#include "tests/conformance/service_amqp.h"
#include <string.h>

static bool new_device(struct conformance *c, struct service_device *d)
{
    return amqp_wanted(c) && service_device_new(c, d, "");
}

/* ---- SASL -------------------------------------------------------------------------------------------------------- */

static void mechanism(struct conformance *c)
{
    if (amqp_wanted(c)) {
        (void)amqp_begin(c);
    }
}

static void first_challenge(struct conformance *c)
{
    struct service_device d;
    uint8_t bytes[8] = {0};
    size_t len;
    if (new_device(c, &d) && amqp_begin(c)) {
        amqp_send_init(c, &d, AMQP_NODE, bytes_of(d.ek->public_2b, d.ek->public_len));
        const bool came = amqp_challenge(c, bytes, sizeof bytes, &len);
        conformance_check(c, came && len == 1 && bytes[0] == 0,
                          "expected one byte, 0, got %u bytes, first %#x", (unsigned)len, bytes[0]);
    }
}

static void segments(struct conformance *c)
{
    struct service_device d;
    if (new_device(c, &d)) {
        (void)amqp_prove(c, &d, AMQP_NODE);
    }
}

/* Neither a blob nor success: an outcome that is not 0, or the end of the connection. Silence is none of these. */
static bool refused(struct conformance *c, const char *what)
{
    struct dps_amqp_frame f;
    if (!amqp_next(c, &f)) {
        return service_road_ends(c, what);
    }
    if (f.kind == DPS_AMQP_SASL_CHALLENGE) { /* the one that asks for the SRK tells nobody anything */
        uint8_t bytes[DPS_AMQP_SASL_FRAME_MAX];
        size_t len;
        const bool first = amqp_challenge(c, bytes, sizeof bytes, &len) && len == 1;
        if (!conformance_check(c, first, "%s: a blob has come", what)) {
            return false;
        }
        const struct service_key *srk = service_key(c, SERVICE_SRK);
        amqp_send_response(c, 0, bytes_of(srk->public_2b, srk->public_len));
        if (!amqp_next(c, &f)) {
            return service_road_ends(c, what);
        }
    }
    const bool outcome = f.kind == DPS_AMQP_SASL_OUTCOME;
    return conformance_check(c, outcome && amqp_outcome(c) != 0,
                             "%s: expected a refusal in SASL, got the frame %#x", what, f.kind);
}

static void strangers(struct conformance *c)
{
    struct service_device d;
    struct service_device nobody;
    if (!new_device(c, &d) || !amqp_prove(c, &d, AMQP_NODE) || !amqp_begin(c)) {
        return;
    }
    nobody = d;
    service_device_name(c, &nobody);
    amqp_send_init(c, &nobody, AMQP_NODE, bytes_of(d.ek->public_2b, d.ek->public_len));
    if (!refused(c, "a device that is not enrolled") || !amqp_begin(c)) {
        return;
    }
    const struct service_key *other = service_key(c, SERVICE_OTHER_EK);
    amqp_send_init(c, &d, AMQP_NODE, bytes_of(other->public_2b, other->public_len));
    if (refused(c, "another EK") && amqp_begin(c)) {
        amqp_send_init(c, &d, AMQP_NODE, bytes_of("\0\5short", 7));
        refused(c, "an EK that is none");
    }
}

static void wrong_token(struct conformance *c)
{
    struct service_device d;
    char token[1024];
    if (!new_device(c, &d) || !amqp_prove(c, &d, AMQP_NODE)) {
        return;
    }
    d.nonce[0] ^= 1;
    service_device_token(&d, d.nonce, token, sizeof token);
    amqp_send_response(c, 0, bytes_of_text(token));
    const unsigned code = amqp_outcome(c);
    if (code == AMQP_NO_OUTCOME) {
        (void)service_road_ends(c, "a token that another key has signed");
    }
    conformance_check(c, code != 0 && code != DPS_AMQP_SASL_TEMPORARY,
                      "a token that another key has signed: expected an outcome that says no, got %u", code);
}

static void malformed(struct conformance *c)
{
    static const struct {
        const char *name;
        size_t len;
        const char *bytes;
    } frames[] = {
        {"a frame that is shorter than its head", 8, "\0\0\0\7\2\1\0\0"},
        {"a frame whose data begin outside", 8, "\0\0\0\x08\3\1\0\0"},
        {"a SASL frame that has no performative", 12, "\0\0\0\x0c\2\1\0\0\x40\x40\x40\x40"},
        {"an unknown performative", 12, "\0\0\0\x0c\2\1\0\0\0\x53\x45\x45"},
        {"a list that is longer than its frame", 14, "\0\0\0\x0e\2\1\0\0\0\x53\x41\xc0\xff\1"},
        {"a frame of 4 GB", 8, "\xff\xff\xff\xff\2\1\0\0"},
        {"a SASL frame of 64 KB", 8, "\0\1\0\0\2\1\0\0"},
        {"a frame of AMQP in SASL", 12, "\0\0\0\x0c\2\0\0\0\0\x53\x10\x45"},
    };
    if (!amqp_wanted(c)) {
        return;
    }
    for (size_t i = 0; i < COUNT(frames); i++) {
        if (!amqp_begin(c)) {
            return;
        }
        service_road_send(c, bytes_of(frames[i].bytes, frames[i].len));
        if (!refused(c, frames[i].name)) {
            return;
        }
    }
    (void)amqp_begin(c);
}

/* AMQP without SASL would be a device that has proved nothing. */
static void without_sasl(struct conformance *c)
{
    struct dps_amqp_frame f;
    if (!amqp_wanted(c) || !amqp_begin(c) || !amqp_begin(c)) {
        return;
    }
    service_link_close(&service_of(c)->road, true);
    if (service_road_open(c, service_given.amqp, 5671, service_of(c)->host)) {
        amqp_header(c, false);
        const bool came = amqp_next(c, &f);
        conformance_check(c, !came || f.kind == DPS_AMQP_SASL_HEADER,
                          "AMQP without SASL: expected the header of SASL or the end, got the frame %#x",
                          came ? f.kind : 0);
    }
}

const struct conformance_case service_cases_amqp[] = {
    {"SVC-S06-101", "Over AMQP the service must offer the SASL mechanism TPM.",
     "AMQP 1.0 §5.3.3; all SDKs: know no other", CONFORMANCE_MUST, 0, mechanism},
    {"SVC-S06-102", "The first challenge must be one byte, 0.",
     "Java SDK: takes nothing else; C# SDK: wants 0 first", CONFORMANCE_MUST, 0, first_challenge},
    {"SVC-S06-103",
     "The blob must come in two challenges that begin with 0x80 and 0xC1, in frames of at most 512 bytes.",
     "Java SDK: takes no other number; AMQP 1.0 §5.3.1", CONFORMANCE_MUST, 0, segments},
    {"SVC-S06-104",
     "Over AMQP a device that is not enrolled, or has another EK, must be refused without a blob.",
     "spec-notes: Why it is safe, and against whom", CONFORMANCE_MUST, 0, strangers},
    {"SVC-S06-105", "A frame that is malformed or too large must be refused at once.",
     "AMQP 1.0 §2.3, §5.3.1; CWE-400", CONFORMANCE_MUST, 0, malformed},
    {"SVC-S06-106", "AMQP without SASL must not be spoken.", "AMQP 1.0 §5.3.2", CONFORMANCE_MUST, 0,
     without_sasl},
    {"SVC-S09-101", "Over AMQP a token that another key has signed must be refused.",
     "spec-notes: Why it is safe, and against whom", CONFORMANCE_MUST, 0, wrong_token},
    {0},
};

/* ---- As the SDKs do it ------------------------------------------------------------------------------------------- */

static void as_client(struct conformance *c, const struct amqp_client *as)
{
    struct service_device d;
    if (new_device(c, &d) && amqp_prove(c, &d, as)) {
        (void)amqp_register(c, &d, as);
    }
}

static void as_node(struct conformance *c)
{
    as_client(c, &amqp_clients[0]);
}

static void as_cs(struct conformance *c)
{
    as_client(c, &amqp_clients[1]);
}

static void as_java(struct conformance *c)
{
    as_client(c, &amqp_clients[2]);
}

static void as_c(struct conformance *c)
{
    as_client(c, &amqp_clients[3]);
}

const struct conformance_case service_cases_amqp_clients[] = {
    {"SVC-S09-102",
     "A device must be assigned that speaks AMQP as Node's SDK: JSON, answers matched by correlation-id.",
     "Node SDK: waits for ever for an answer with another correlation-id or without a data section",
     CONFORMANCE_MUST, 0, as_node},
    {"SVC-S09-103",
     "A device must be assigned that speaks AMQP as C#'s SDK: its name as SASL's host name, an empty body.",
     "C# SDK: sends scope/registrations/id as hostname", CONFORMANCE_MUST, 0, as_cs},
    {"SVC-S09-104",
     "A device must be assigned that speaks AMQP as Java's SDK: /address, both links at once, no "
     "correlation-id, no body.",
     "Java SDK", CONFORMANCE_MUST, 0, as_java},
    {"SVC-S09-105",
     "A device must be assigned that speaks AMQP as the C SDK: amqps://address, no host name in SASL, no "
     "correlation-id.",
     "C SDK", CONFORMANCE_MUST, 0, as_c},
    {0},
};
