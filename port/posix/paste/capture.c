/* SPDX-License-Identifier: MIT */
#include "port/posix/paste/capture.h"

enum { PCAPNG_SECTION = 0x0A0D0D0A, PCAPNG_BYTE_ORDER = 0x1A2B3C4D };
enum { BLOCK_INTERFACE = 1, BLOCK_OLD_PACKET = 2, BLOCK_SIMPLE_PACKET = 3, BLOCK_PACKET = 6 };

/* ---- Numbers in the file's byte order ---- */

static uint32_t read_u32(const struct capture *c, struct bytes_reader *r)
{
    const uint32_t n = bytes_read_u32(r);
    return c->little_endian ? n >> 24 | (n >> 8 & 0xFF00) | (n << 8 & 0xFF0000) | n << 24 : n;
}

static uint32_t read_u16(const struct capture *c, struct bytes_reader *r)
{
    const uint32_t n = bytes_read_u16(r);
    return c->little_endian ? n >> 8 | (n << 8 & 0xFF00) : n;
}

static struct bytes rest_of(const struct bytes_reader *r)
{
    return bytes_of(r->p, r->left);
}

/* ---- Packets ---- */

/* What precedes the IP header, by link type [draft-ietf-opsawg-pcaplinktype]. */
static const struct {
    uint32_t link;
    size_t header;
} links[] = {
    {0, 4},    /* NULL: loopback of BSD, and of Npcap */
    {1, 14},   /* Ethernet */
    {12, 0},   /* RAW */
    {14, 0},   /* RAW */
    {101, 0},  /* RAW: ours */
    {108, 4},  /* LOOP */
    {113, 16}, /* LINUX_SLL: tcpdump -i any */
    {228, 0},  /* IPV4: tpm2-tss */
    {229, 0},  /* IPV6 */
    {276, 20}, /* LINUX_SLL2 */
};

/* The TCP segment in an IP packet [RFC 791 3.1, RFC 8200 3]. Fails r if there is none. */
static struct bytes_reader tcp_in_ip(struct bytes_reader *r)
{
    enum { TCP = 6, IPV4_LEAST = 20, IPV6_HEADER = 40 };
    struct bytes_reader whole = *r;
    const uint8_t first = bytes_read_u8(r);
    size_t header = (size_t)4 * (first & 0xF), len = 0, payload = 0;
    uint8_t protocol = 0;
    if (first >> 4 == 4 && header >= IPV4_LEAST) {
        (void)bytes_read_u8(r);
        len = bytes_read_u16(r);
        bytes_skip(r, 5);
        protocol = bytes_read_u8(r);
    } else if (first >> 4 == 6) {
        header = IPV6_HEADER;
        bytes_skip(r, 3);
        len = header + bytes_read_u16(r);
        protocol = bytes_read_u8(r);
    }
    if (protocol != TCP || len < header) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
        return whole;
    }
    payload = len - header;
    bytes_skip(&whole, header);
    const struct bytes segment = bytes_read_bytes(&whole, payload);
    bytes_reader_fail(r, whole.error);
    return bytes_reader_over(segment);
}

/* bytes begin with an IP header. */
static bool read_ip(struct bytes bytes, struct capture_packet *packet)
{
    struct bytes_reader r = bytes_reader_over(bytes);
    struct bytes_reader tcp = tcp_in_ip(&r);
    struct bytes_reader whole = tcp;
    packet->from_port = bytes_read_u16(&tcp);
    packet->to_port = bytes_read_u16(&tcp);
    (void)bytes_read_u64(&tcp); /* sequence and acknowledgement numbers */
    bytes_skip(&whole, (size_t)4 * (bytes_read_u8(&tcp) >> 4));
    packet->payload = packet->comment = bytes_of(NULL, 0);
    if (r.error != 0 || tcp.error != 0 || whole.error != 0) {
        return false;
    }
    packet->payload = rest_of(&whole);
    return true;
}

static bool read_link(uint32_t link, struct bytes bytes, struct capture_packet *packet)
{
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        if (links[i].link == link && bytes.len > links[i].header) {
            return read_ip(bytes_of(bytes.p + links[i].header, bytes.len - links[i].header), packet);
        }
    }
    *packet = (struct capture_packet){.from_port = 0};
    return false;
}

bool capture_packet_of(struct bytes bytes, struct capture_packet *packet)
{
    enum { RAW = 101, ETHERNET = 1 };
    return read_link(RAW, bytes, packet) || read_link(ETHERNET, bytes, packet);
}

/* ---- pcapng ---- */

static void read_interface(struct capture *c, struct bytes_reader *body)
{
    if (c->link_count < CAPTURE_INTERFACES) {
        c->links[c->link_count++] = read_u16(c, body);
    }
}

/* The options that follow a packet's bytes and their padding [draft-ietf-opsawg-pcapng 3.5]. */
static struct bytes read_comment(const struct capture *c, size_t captured, struct bytes_reader *body)
{
    enum { OPTION_END = 0, OPTION_COMMENT = 1 };
    bytes_skip(body, (4 - captured % 4) % 4);
    while (body->left > 0 && body->error == 0) {
        const uint32_t code = read_u16(c, body);
        const uint32_t len = read_u16(c, body);
        const struct bytes value = bytes_read_bytes(body, len);
        if (code == OPTION_END || code == OPTION_COMMENT) {
            return code == OPTION_COMMENT && body->error == 0 ? value : bytes_of(NULL, 0);
        }
        bytes_skip(body, (4 - len % 4) % 4);
    }
    return bytes_of(NULL, 0);
}

static void read_block_packet(const struct capture *c, uint32_t type, struct bytes_reader *body,
                              struct capture_packet *packet)
{
    size_t interface = 0, len;
    if (type == BLOCK_PACKET) {
        interface = read_u32(c, body);
    } else if (type == BLOCK_OLD_PACKET) {
        interface = read_u16(c, body);
        (void)read_u16(c, body);
    }
    if (type != BLOCK_SIMPLE_PACKET) {
        (void)bytes_read_u64(body); /* time */
        len = read_u32(c, body);
        (void)read_u32(c, body);
    } else {
        len = read_u32(c, body);
        len = len < body->left ? len : body->left;
    }
    const struct bytes bytes = bytes_read_bytes(body, len);
    if (interface < c->link_count) {
        (void)read_link(c->links[interface], bytes, packet);
    }
    packet->comment = type != BLOCK_SIMPLE_PACKET ? read_comment(c, len, body) : bytes_of(NULL, 0);
}

/* A section may have the other byte order. */
static int begin_section(struct capture *c)
{
    struct bytes_reader r = bytes_reader_over(c->rest);
    (void)bytes_read_u64(&r);
    c->little_endian = false;
    struct bytes_reader order = r;
    c->little_endian = bytes_read_u32(&order) != PCAPNG_BYTE_ORDER;
    order = r;
    c->link_count = 0;
    return read_u32(c, &order) == PCAPNG_BYTE_ORDER ? 0 : BYTES_E_FORMAT;
}

static int next_block(struct capture *c, uint32_t *type, struct bytes_reader *body)
{
    enum { AROUND = 12 };
    struct bytes_reader r = bytes_reader_over(c->rest);
    *type = bytes_read_u32(&r);
    if (r.error == 0 && *type == PCAPNG_SECTION && begin_section(c) != 0) {
        return BYTES_E_FORMAT;
    }
    r = bytes_reader_over(c->rest);
    *type = read_u32(c, &r);
    const uint32_t len = read_u32(c, &r);
    if (r.error != 0 || len < AROUND || len % 4 != 0 || len > c->rest.len) {
        return BYTES_E_FORMAT;
    }
    *body = bytes_reader_over(bytes_read_bytes(&r, len - AROUND));
    c->rest = bytes_of(c->rest.p + len, c->rest.len - len);
    return 0;
}

/* ---- pcap ---- */

static const struct {
    uint32_t magic;
    bool little_endian;
} pcap_magics[] = {{0xA1B2C3D4, false}, {0xA1B23C4D, false}, {0xD4C3B2A1, true}, {0x4D3CB2A1, true}};

static bool open_pcap(struct capture *c, uint32_t magic, struct bytes_reader *r)
{
    for (size_t i = 0; i < sizeof pcap_magics / sizeof pcap_magics[0]; i++) {
        if (pcap_magics[i].magic == magic) {
            c->little_endian = pcap_magics[i].little_endian;
            bytes_skip(r, 16); /* version, time zone, snap length */
            c->links[0] = read_u32(c, r) & 0xFFFF;
            c->link_count = 1;
            c->rest = rest_of(r);
            return r->error == 0;
        }
    }
    return false;
}

static int next_record(struct capture *c, struct capture_packet *packet)
{
    struct bytes_reader r = bytes_reader_over(c->rest);
    (void)bytes_read_u64(&r); /* time */
    const uint32_t len = read_u32(c, &r);
    (void)read_u32(c, &r);
    const struct bytes bytes = bytes_read_bytes(&r, len);
    if (r.error != 0) {
        return BYTES_E_FORMAT;
    }
    c->rest = rest_of(&r);
    (void)read_link(c->links[0], bytes, packet);
    return 0;
}

/* ---- Both ---- */

bool capture_open(struct capture *c, struct bytes file)
{
    struct bytes_reader r = bytes_reader_over(file);
    const uint32_t magic = bytes_read_u32(&r);
    *c = (struct capture){.rest = file, .pcapng = r.error == 0 && magic == PCAPNG_SECTION};
    return c->pcapng ? begin_section(c) == 0 : open_pcap(c, magic, &r);
}

int capture_next(struct capture *c, struct capture_packet *packet)
{
    *packet = (struct capture_packet){.from_port = 0};
    if (c->rest.len == 0) {
        return BYTES_E_NOT_FOUND;
    }
    if (!c->pcapng) {
        return next_record(c, packet);
    }
    uint32_t type;
    struct bytes_reader body;
    const int error = next_block(c, &type, &body);
    if (error == 0 && type == BLOCK_INTERFACE) {
        read_interface(c, &body);
    } else if (error == 0 &&
               (type == BLOCK_PACKET || type == BLOCK_SIMPLE_PACKET || type == BLOCK_OLD_PACKET)) {
        read_block_packet(c, type, &body, packet);
    }
    return error;
}
