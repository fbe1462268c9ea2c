/* SPDX-License-Identifier: MIT */
#include "port/posix/explain/trace_pcapng.h"
#include "crypto/bytes/bytes.h"
#include "tpm/tools/explain.h"
#include <string.h>
#include <time.h>

/* Blocks are in the writer's byte order, which the section header tells; we write them as TPM bytes are: big-endian. */
#define BLOCK_SECTION 0x0A0D0D0AU
#define BLOCK_INTERFACE 1U
#define BLOCK_PACKET 6U
#define BYTE_ORDER_MAGIC 0x1A2B3C4DU
#define LINKTYPE_RAW 101U /* a packet begins with its IP header */
#define OPTION_COMMENT 1U
#define OPTION_IF_NAME 2U
#define OPTION_USER_APPLICATION 4U

#define MESSAGE_MAX 16384U
#define COMMENT_MAX 8192U
#define BLOCK_MAX (MESSAGE_MAX + COMMENT_MAX + 1024U)
/* Longer ones can be made of the packet. */
#define SECRET_MAX 256U

enum { INTERFACE_TPM, INTERFACE_HTTP };
enum { STREAM_TPM, STREAM_SERVICE, STREAM_HUB, STREAM_MQTT, STREAMS };

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

static void pad(struct bytes_writer *w)
{
    while (w->len % 4 != 0) {
        bytes_write_u8(w, 0);
    }
}

static void write_option(struct bytes_writer *w, uint16_t code, const char *text)
{
    const struct bytes value = bytes_of_text(text);
    bytes_write_u16(w, code);
    bytes_write_u16(w, (uint16_t)value.len);
    bytes_write_bytes(w, value);
    pad(w);
}

static void end_of_options(struct bytes_writer *w)
{
    bytes_write_u32(w, 0);
}

/* A block is its type, its length, its body, and its length again. */
static void write_block(struct trace_pcapng *p, uint32_t type, const struct bytes_writer *body)
{
    uint8_t frame[12];
    struct bytes_writer w = bytes_writer_over(frame, sizeof frame);
    if (body->error != 0) {
        return;
    }
    bytes_write_u32(&w, type);
    bytes_write_u32(&w, (uint32_t)body->len + 12);
    bytes_write_u32(&w, (uint32_t)body->len + 12);
    const struct bytes bytes = bytes_written(body);
    (void)fwrite(frame, 1, 8, p->out);
    (void)fwrite(bytes.p, 1, bytes.len, p->out);
    (void)fwrite(&frame[8], 1, 4, p->out);
}

static void write_interface(struct trace_pcapng *p, const char *name)
{
    uint8_t body[64];
    struct bytes_writer w = bytes_writer_over(body, sizeof body);
    bytes_write_u16(&w, LINKTYPE_RAW);
    bytes_write_u16(&w, 0);
    bytes_write_u32(&w, 0); /* no limit on a packet's length */
    write_option(&w, OPTION_IF_NAME, name);
    end_of_options(&w);
    write_block(p, BLOCK_INTERFACE, &w);
}

void trace_pcapng_open(struct trace_pcapng *p, FILE *out, uint64_t fixed_seconds)
{
    uint8_t body[64];
    struct bytes_writer w = bytes_writer_over(body, sizeof body);
    *p = (struct trace_pcapng){.out = out, .fixed_seconds = fixed_seconds};
    bytes_write_u32(&w, BYTE_ORDER_MAGIC);
    bytes_write_u16(&w, 1); /* version 1.0 */
    bytes_write_u16(&w, 0);
    bytes_write_u64(&w, UINT64_MAX); /* the section is as long as the file */
    write_option(&w, OPTION_USER_APPLICATION, "dps-device");
    end_of_options(&w);
    write_block(p, BLOCK_SECTION, &w);
    write_interface(p, "tpm");
    write_interface(p, "http");
}

/* ---- Packets ----------------------------------------------------------------------------------------------------- */

struct packet {
    unsigned interface, stream, connection;
    bool to_device;
    struct bytes message;
};

#define IP_HEADER 20U
#define TCP_HEADER 20U
#define PORT_DEVICE 49152U /* the first dynamic port [RFC 6335 6] */

/* [RFC 1071 1] over an IP header with a checksum of zero. */
static uint16_t checksum(struct bytes header)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < header.len; i += 2) {
        sum += (uint32_t)header.p[i] << 8 | header.p[i + 1];
    }
    while (sum > 0xFFFF) {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

/* [RFC 791 3.1]: 127.0.0.1 is the device. */
static void write_ip(struct bytes_writer *w, const struct packet *p)
{
    static const uint32_t peers[] = {0x7F000001, 0x7F000002, 0x7F000003, 0x7F000003};
    const uint32_t device = 0x7F000001;
    uint8_t header[IP_HEADER];
    struct bytes_writer h = bytes_writer_over(header, sizeof header);
    bytes_write_u16(&h, 0x4500);
    bytes_write_u16(&h, (uint16_t)(IP_HEADER + TCP_HEADER + p->message.len));
    bytes_write_u32(&h, 0x00004000); /* not to be fragmented */
    bytes_write_u16(&h, 0x4006);     /* time to live, TCP */
    bytes_write_u16(&h, 0);
    bytes_write_u32(&h, p->to_device ? peers[p->stream] : device);
    bytes_write_u32(&h, p->to_device ? device : peers[p->stream]);
    const uint16_t sum = checksum(bytes_written(&h));
    header[10] = (uint8_t)(sum >> 8);
    header[11] = (uint8_t)sum;
    bytes_write_bytes(w, bytes_written(&h));
}

/* [RFC 9293 3.1]. The checksum stays zero: Wireshark does not look at it unless asked. */
static void write_tcp(struct bytes_writer *w, const struct packet *p, const struct trace_pcapng_stream *s)
{
    static const uint16_t ports[] = {2321, 80, 80, 1883};
    const uint16_t peer = ports[p->stream];
    const uint16_t device = (uint16_t)(PORT_DEVICE + p->stream + STREAMS * p->connection);
    bytes_write_u16(w, p->to_device ? peer : device);
    bytes_write_u16(w, p->to_device ? device : peer);
    bytes_write_u32(w, p->to_device ? s->received : s->sent);
    bytes_write_u32(w, p->to_device ? s->sent : s->received);
    bytes_write_u32(w, 0x5018FFFF); /* header of five words; PSH and ACK; window */
    bytes_write_u32(w, 0);
}

static uint64_t now_us(const struct trace_pcapng *p)
{
    struct timespec now;
    if (p->fixed_seconds != 0) {
        return p->fixed_seconds * 1000000 + p->count;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void write_packet(struct trace_pcapng *p, const struct packet *packet, const char *comment)
{
    uint8_t body[BLOCK_MAX];
    struct bytes_writer w = bytes_writer_over(body, sizeof body);
    struct trace_pcapng_stream *stream = &p->streams[packet->stream];
    const uint32_t len = (uint32_t)(IP_HEADER + TCP_HEADER + packet->message.len);
    bytes_write_u32(&w, packet->interface);
    bytes_write_u64(&w, now_us(p));
    bytes_write_u32(&w, len); /* captured, and sent */
    bytes_write_u32(&w, len);
    write_ip(&w, packet);
    write_tcp(&w, packet, stream);
    bytes_write_bytes(&w, packet->message);
    pad(&w);
    write_option(&w, OPTION_COMMENT, comment);
    end_of_options(&w);
    write_block(p, BLOCK_PACKET, &w);
    bytes_wipe(body, w.len);
    (void)fflush(p->out);
    if (packet->to_device) {
        stream->received += (uint32_t)packet->message.len;
    } else {
        stream->sent += (uint32_t)packet->message.len;
    }
    p->count++;
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

static void blank_secret(void *context, const struct tpm2_field *field)
{
    uint8_t *bytes = context;
    if (field->leaf && field->secret) {
        memset(&bytes[field->offset], 0, field->len);
    }
}

static struct bytes without_secrets(struct bytes command, uint8_t out[MESSAGE_MAX])
{
    if (command.len > MESSAGE_MAX) {
        return bytes_of(NULL, 0);
    }
    memcpy(out, command.p, command.len);
    (void)tpm2_explain_command(command, blank_secret, out);
    return bytes_of(out, command.len);
}

static void add(char comment[COMMENT_MAX], const char *text)
{
    const size_t len = strlen(comment);
    (void)snprintf(comment + len, COMMENT_MAX - len, "%s", text);
}

static void add_secret(void *context, const struct trace_secret *secret)
{
    char *comment = context;
    char digits[3];
    if (secret->bytes.len > SECRET_MAX) {
        return;
    }
    add(comment, "\n");
    add(comment, secret->name);
    add(comment, ": ");
    for (size_t i = 0; i < secret->bytes.len; i++) {
        (void)snprintf(digits, sizeof digits, "%02x", secret->bytes.p[i]);
        add(comment, digits);
    }
}

static void write_comment(struct trace_pcapng *p, char comment[COMMENT_MAX], unsigned step, const char *what,
                          enum port_trace_kind kind, struct bytes bytes)
{
    char text[TRACE_SESSIONS_TEXT] = "";
    (void)snprintf(comment, COMMENT_MAX, step > 0 ? "Step %u: %s" : "%.0u%s", step, what != NULL ? what : "");
    if (kind != PORT_TRACE_TPM_COMMAND && kind != PORT_TRACE_TPM_RESPONSE) {
        return;
    }
    trace_sessions_read(&p->sessions, kind == PORT_TRACE_TPM_COMMAND, p->sessions.code, bytes, text);
    if (text[0] != 0) {
        add(comment, "\n");
        add(comment, text);
    }
    if (p->device != NULL) {
        trace_secrets(p->device, &p->sessions, add_secret, comment);
    }
}

static void saw(void *context, unsigned step, enum port_trace_kind kind, const char *what, struct bytes bytes)
{
    struct trace_pcapng *p = context;
    uint8_t blanked[MESSAGE_MAX];
    char comment[COMMENT_MAX];
    const bool tpm = kind == PORT_TRACE_TPM_COMMAND || kind == PORT_TRACE_TPM_RESPONSE;
    const bool mqtt = kind == PORT_TRACE_MQTT_SENT || kind == PORT_TRACE_MQTT_RECEIVED;
    struct packet packet = {
        .interface = tpm ? INTERFACE_TPM : INTERFACE_HTTP,
        .stream = tpm          ? STREAM_TPM
                  : mqtt       ? STREAM_MQTT
                  : step == 10 ? STREAM_HUB
                               : STREAM_SERVICE,
        .connection = tpm ? p->connection : 0,
        .to_device = kind == PORT_TRACE_TPM_RESPONSE || kind == PORT_TRACE_HTTP_RESPONSE ||
                     kind == PORT_TRACE_MQTT_RECEIVED,
        .message = bytes,
    };
    if (kind == PORT_TRACE_TPM_COMMAND && !p->passwords) {
        packet.message = without_secrets(bytes, blanked);
    }
    if (packet.message.len == 0 || packet.message.len > MESSAGE_MAX) {
        return;
    }
    write_comment(p, comment, step, what, kind, bytes);
    write_packet(p, &packet, comment);
    bytes_wipe(comment, sizeof comment);
}

struct port_trace trace_pcapng_port(struct trace_pcapng *p)
{
    return (struct port_trace){.context = p, .message = saw};
}
