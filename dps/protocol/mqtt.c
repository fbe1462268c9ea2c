/* SPDX-License-Identifier: MIT */
/* Numbers in brackets are those of the standard's rules; mqtt.h says what becomes of a packet that breaks one.
 *
 * Readers and writers of one packet stand together, in the order of the standard's chapter 3. */
#include "dps/protocol/mqtt.h"
#include "dps/protocol/mqtt_part.h"

/* Of the fixed header of PUBLISH. */
#define FLAG_DUP 0x08
#define FLAG_RETAIN 0x01
#define FLAG_QOS 0x06
#define QOS_UNIT 2
/* Of SUBSCRIBE and UNSUBSCRIBE. */
#define FILTERS_FLAGS 0x02

/* ---- The fixed header [MQTT 3.1.1 2.2] ---- */

#define ANY 0xFF
#define BOTH (DPS_MQTT_SERVER | DPS_MQTT_CLIENT)

/* Who may get a packet, its flags, and its length where that is fixed [MQTT 3.1.1 2.2.1, 2.2.2]. */
static const struct kind {
    uint8_t role, flags, length;
    bool spoken;
} kinds[16] = {
    [DPS_MQTT_CONNECT] = {DPS_MQTT_SERVER, 0, ANY, true},
    [DPS_MQTT_CONNACK] = {DPS_MQTT_CLIENT, 0, 2, true},
    [DPS_MQTT_PUBLISH] = {BOTH, ANY, ANY, true},
    [DPS_MQTT_PUBACK] = {BOTH, 0, 2, true},
    [5] = {BOTH, 0, 2, false}, /* PUBREC, PUBREL and PUBCOMP: of QoS 2 */
    [6] = {BOTH, 2, 2, false},
    [7] = {BOTH, 0, 2, false},
    [DPS_MQTT_SUBSCRIBE] = {DPS_MQTT_SERVER, FILTERS_FLAGS, ANY, true}, /* [MQTT-3.8.1-1] */
    [DPS_MQTT_SUBACK] = {DPS_MQTT_CLIENT, 0, ANY, true},
    [DPS_MQTT_UNSUBSCRIBE] = {DPS_MQTT_SERVER, FILTERS_FLAGS, ANY, true}, /* [MQTT-3.10.1-1] */
    [DPS_MQTT_UNSUBACK] = {DPS_MQTT_CLIENT, 0, 2, true},
    [DPS_MQTT_PINGREQ] = {DPS_MQTT_SERVER, 0, 0, true},
    [DPS_MQTT_PINGRESP] = {DPS_MQTT_CLIENT, 0, 0, true},
    [DPS_MQTT_DISCONNECT] = {DPS_MQTT_SERVER, 0, 0, true}, /* [MQTT-3.14.1-1] */
};

static uint8_t qos_of(uint8_t flags)
{
    return (uint8_t)((flags & FLAG_QOS) / QOS_UNIT);
}

static int check_publish_flags(uint8_t flags)
{
    const uint8_t qos = qos_of(flags);
    /* Not both bits [MQTT-3.3.1-4]; nothing with QoS 0 is sent again [MQTT-3.3.1-2]. */
    if (qos == 3 || (qos == 0 && (flags & FLAG_DUP) != 0)) {
        return BYTES_E_FORMAT;
    }
    return qos == 2 ? BYTES_E_ALGORITHM : BYTES_OK;
}

/* What the first byte tells. No role has a type that is reserved. */
static int check_first(uint8_t type, uint8_t flags, enum dps_mqtt_role role)
{
    const struct kind *k = &kinds[type];
    if ((k->role & role) == 0) {
        return BYTES_E_FORMAT;
    }
    if (type == DPS_MQTT_PUBLISH) {
        return check_publish_flags(flags);
    }
    if (flags != k->flags) {
        return BYTES_E_FORMAT; /* [MQTT-2.2.2-1, 2.2.2-2] */
    }
    return k->spoken ? BYTES_OK : BYTES_E_ALGORITHM;
}

/* Seven bits a byte, the lowest first, in at most four bytes [MQTT 3.1.1 2.2.3]. Table 2.4 there has one number of
 * bytes for each length: a zero at the end would be one byte too many. */
static int read_length(struct bytes_reader *r, uint32_t *length)
{
    uint32_t value = 0;
    uint32_t unit = 1;
    *length = 0;
    /*@ loop invariant 0 <= i <= 4 && unit == unit_of(i) && value < unit;
        loop invariant reads(r) && r->error == 0 && r->left <= \at(r->left, Pre) && *length == 0;
        loop invariant within(r->p, r->left, \at(r->p, Pre), \at(r->left, Pre));
        loop assigns i, unit, value, r->p, r->left, r->error, *length;
        loop variant 4 - i; */
    for (int i = 0; i < DPS_MQTT_HEADER_MAX - 1; i++) {
        if (r->left == 0) {
            return BYTES_E_MORE;
        }
        const uint8_t byte = bytes_read_u8(r);
        /*@ assert unit == 1 || unit == 0x80 || unit == 0x4000 || unit == 0x200000; */
        value += (byte & 0x7FU) * unit;
        if (byte < 0x80) {
            *length = value;
            return byte == 0 && i > 0 ? BYTES_E_FORMAT : BYTES_OK;
        }
        unit *= 0x80;
    }
    return BYTES_E_FORMAT;
}

static int read_fixed_header(struct bytes_reader *r, enum dps_mqtt_role role, struct dps_mqtt_packet *p,
                             uint32_t *length)
{
    if (r->left == 0) {
        return BYTES_E_MORE;
    }
    const uint8_t first = bytes_read_u8(r);
    p->type = first >> 4;
    p->flags = first & 0x0F;
    int error = check_first(p->type, p->flags, role);
    if (error == 0) {
        error = read_length(r, length);
    }
    const uint8_t fixed = kinds[p->type].length;
    return error == 0 && fixed != ANY && fixed != *length ? BYTES_E_FORMAT : error;
}

int dps_mqtt_packet_read(struct bytes input, enum dps_mqtt_role role, size_t maximum,
                         struct dps_mqtt_packet *p)
{
    struct bytes_reader r = bytes_reader_over(input);
    uint32_t length;
    p->type = 0;
    p->flags = 0;
    p->len = 0;
    p->body = bytes_of(NULL, 0);
    const int error = read_fixed_header(&r, role, p, &length);
    if (error != 0) {
        return error == BYTES_E_MORE && input.len >= maximum ? BYTES_E_LIMIT : error;
    }
    const size_t header = input.len - r.left;
    if (header > maximum || length > maximum - header) {
        return BYTES_E_LIMIT;
    }
    p->len = header + (size_t)length;
    if (length > r.left) {
        return BYTES_E_MORE;
    }
    p->body = bytes_read_bytes(&r, (size_t)length);
    return BYTES_OK;
}

/* ---- PUBLISH [MQTT 3.1.1 3.3] ---- */

int dps_mqtt_publish_read(const struct dps_mqtt_packet *p, struct dps_mqtt_publish *m)
{
    struct bytes_reader r = bytes_reader_over(p->body);
    const uint8_t qos = qos_of(p->flags);
    const struct bytes topic = dps_mqtt_topic_read(&r);     /* [MQTT-3.3.2-1] */
    const uint16_t id = qos > 0 ? dps_mqtt_id_read(&r) : 0; /* QoS 0 has none [MQTT-2.3.1-5] */
    const struct bytes payload = bytes_read_bytes(&r, r.left);
    const bool right = r.error == 0;
    m->topic = right ? topic : bytes_of(NULL, 0);
    m->payload = right ? payload : bytes_of(NULL, 0);
    m->packet_id = right ? id : 0;
    m->qos = right ? qos : 0;
    m->dup = right && (p->flags & FLAG_DUP) != 0;
    m->retain = right && (p->flags & FLAG_RETAIN) != 0;
    return r.error;
}

void dps_mqtt_publish_write(struct bytes_writer *w, const struct dps_mqtt_publish *m)
{
    const uint8_t qos = m->qos & 1;
    const uint8_t flags = (uint8_t)((m->dup ? FLAG_DUP : 0) + qos * QOS_UNIT + (m->retain ? FLAG_RETAIN : 0));
    dps_mqtt_need(w, qos == m->qos && check_publish_flags(flags) == 0 && dps_mqtt_topic_valid(m->topic));
    dps_mqtt_header_write(w, DPS_MQTT_PUBLISH, flags,
                          dps_mqtt_plus(dps_mqtt_plus(m->qos > 0 ? 4 : 2, m->topic.len), m->payload.len));
    bytes_write_2b(w, m->topic);
    if (m->qos > 0) {
        dps_mqtt_id_write(w, m->packet_id);
    }
    bytes_write_bytes(w, m->payload);
}

/* ---- SUBSCRIBE and UNSUBSCRIBE [MQTT 3.1.1 3.8, 3.10] ---- */

static struct dps_mqtt_filter read_filter(struct bytes_reader *r, bool with_qos)
{
    struct dps_mqtt_filter one;
    one.filter = bytes_read_2b(r);
    one.qos = with_qos ? bytes_read_u8(r) : 0;
    if (!dps_mqtt_filter_valid(one.filter) || one.qos > 2) { /* [MQTT-3.8.3-1, 3.10.3-1], [MQTT-3-8.3-4] */
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    return one;
}

/* At least one [MQTT-3.8.3-3, 3.10.3-2]. */
int dps_mqtt_filters_read(const struct dps_mqtt_packet *p, struct dps_mqtt_filters *all)
{
    struct bytes_reader r = bytes_reader_over(p->body);
    const bool with_qos = p->type == DPS_MQTT_SUBSCRIBE;
    const uint16_t id = dps_mqtt_id_read(&r);
    struct bytes_reader whole = r;
    const struct bytes list = bytes_read_bytes(&whole, whole.left);
    size_t count = 0;
    all->packet_id = 0;
    all->with_qos = false;
    all->count = 0;
    all->rest = bytes_of(NULL, 0);
    if (r.error != 0) {
        return BYTES_E_FORMAT;
    }
    /*@ loop invariant reads(&r) && count <= list.len - r.left && r.left <= list.len;
        loop invariant (count > 0 ==> r.error == 0) && (id == 0 ==> r.error != 0);
        loop assigns r, count;
        loop variant r.left; */
    while (r.left > 0) {
        (void)read_filter(&r, with_qos);
        if (r.error != 0) {
            return BYTES_E_FORMAT;
        }
        count++;
    }
    if (count == 0) {
        return BYTES_E_FORMAT;
    }
    all->packet_id = id;
    all->with_qos = with_qos;
    all->count = count;
    all->rest = list;
    return BYTES_OK;
}

bool dps_mqtt_filters_next(struct dps_mqtt_filters *all, struct dps_mqtt_filter *next)
{
    struct bytes_reader r = bytes_reader_over(all->rest);
    next->filter = bytes_of(NULL, 0);
    next->qos = 0;
    if (r.left == 0) {
        return false;
    }
    *next = read_filter(&r, all->with_qos);
    all->rest = bytes_read_bytes(&r, r.left);
    return r.error == 0;
}

void dps_mqtt_filters_write(struct bytes_writer *w, enum dps_mqtt_type type, uint16_t packet_id,
                            const struct dps_mqtt_filter *filters, size_t count)
{
    const bool with_qos = type == DPS_MQTT_SUBSCRIBE;
    uint32_t len = 2;
    /*@ loop invariant i <= count && len <= DPS_MQTT_REMAINING_MAX + 1;
        loop assigns i, len;
        loop variant count - i; */
    for (size_t i = 0; i < count; i++) {
        len = dps_mqtt_plus(dps_mqtt_plus(len, with_qos ? 3 : 2), filters[i].filter.len);
    }
    dps_mqtt_need(w, count > 0);
    dps_mqtt_header_write(w, (uint8_t)type, FILTERS_FLAGS, len);
    dps_mqtt_id_write(w, packet_id);
    /*@ loop invariant i <= count && writes(w) && w->len >= \at(w->len, Pre) && sticky(\at(w->error, Pre), w->error);
        loop invariant (\at(w->error, Pre) != 0 ==> w->len == \at(w->len, Pre)) && (count == 0 ==> w->error != 0);
        loop invariant packet_id == 0 ==> w->error != 0;
        loop assigns i, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant count - i; */
    for (size_t i = 0; i < count; i++) {
        dps_mqtt_need(w, dps_mqtt_filter_valid(filters[i].filter) && filters[i].qos <= 2);
        bytes_write_2b(w, filters[i].filter);
        if (with_qos) {
            bytes_write_u8(w, filters[i].qos);
        }
    }
}

/* ---- SUBACK [MQTT 3.1.1 3.9] ---- */

/* Other codes are reserved [MQTT-3.9.3-2]. */
static bool codes_are_right(struct bytes codes)
{
    /*@ loop invariant i <= codes.len;
        loop assigns i;
        loop variant codes.len - i; */
    for (size_t i = 0; i < codes.len; i++) {
        if (codes.p[i] > 2 && codes.p[i] != DPS_MQTT_SUBSCRIPTION_FAILED) {
            return false;
        }
    }
    return codes.len > 0;
}

int dps_mqtt_suback_read(const struct dps_mqtt_packet *p, uint16_t *packet_id, struct bytes *codes)
{
    struct bytes_reader r = bytes_reader_over(p->body);
    const uint16_t id = dps_mqtt_id_read(&r);
    const struct bytes all = bytes_read_bytes(&r, r.left);
    const bool right = r.error == 0 && codes_are_right(all);
    *packet_id = right ? id : 0;
    *codes = right ? all : bytes_of(NULL, 0);
    return right ? BYTES_OK : BYTES_E_FORMAT;
}

void dps_mqtt_suback_write(struct bytes_writer *w, uint16_t packet_id, struct bytes codes)
{
    dps_mqtt_need(w, codes_are_right(codes));
    dps_mqtt_header_write(w, DPS_MQTT_SUBACK, 0, dps_mqtt_plus(2, codes.len));
    dps_mqtt_id_write(w, packet_id);
    bytes_write_bytes(w, codes);
}

/* ---- PUBACK, UNSUBACK [MQTT 3.1.1 3.4, 3.11]; PINGREQ, PINGRESP, DISCONNECT [MQTT 3.1.1 3.12, 3.13, 3.14] ---- */

int dps_mqtt_ack_read(const struct dps_mqtt_packet *p, uint16_t *packet_id)
{
    struct bytes_reader r = bytes_reader_over(p->body);
    const uint16_t id = dps_mqtt_id_read(&r);
    const int error = bytes_reader_end(&r);
    *packet_id = error == 0 ? id : 0;
    return error;
}

void dps_mqtt_ack_write(struct bytes_writer *w, enum dps_mqtt_type type, uint16_t packet_id)
{
    dps_mqtt_header_write(w, (uint8_t)type, 0, 2);
    dps_mqtt_id_write(w, packet_id);
}

void dps_mqtt_empty_write(struct bytes_writer *w, enum dps_mqtt_type type)
{
    dps_mqtt_header_write(w, (uint8_t)type, 0, 0);
}
