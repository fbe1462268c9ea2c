/* SPDX-License-Identifier: MIT */
/* What went over TCP in a capture file, packet by packet: pcapng [draft-ietf-opsawg-pcapng] as tpm2-tss' pcap TCTI,
 * Wireshark and `--trace=pcapng:` write it, and pcap [draft-ietf-opsawg-pcap] as tcpdump writes it. Packets are not put
 * together: TPM messages and the pieces of HTTP that our own files have come whole. */
#ifndef PORT_POSIX_PASTE_CAPTURE_H
#define PORT_POSIX_PASTE_CAPTURE_H

#include "crypto/bytes/bytes.h"

#define CAPTURE_INTERFACES 16 /* more are not looked at */

struct capture {
    struct bytes rest; /* of the file */
    bool pcapng, little_endian;
    uint32_t links[CAPTURE_INTERFACES]; /* what a packet begins with */
    size_t link_count;
};

struct capture_packet {
    struct bytes payload; /* of TCP; a view of the file; empty: none */
    struct bytes comment; /* the packet's first one, of pcapng; a view of the file; empty: none */
    uint16_t from_port, to_port;
};

/* Is it a capture file? It must outlive c. */
bool capture_open(struct capture *c, struct bytes file);
/* Returns: 0; BYTES_E_NOT_FOUND at the end; BYTES_E_FORMAT if the file is broken or cut off from here on. */
int capture_next(struct capture *c, struct capture_packet *packet);
/* The same for one packet without a file, as it is copied out of Wireshark: from its Ethernet or IP header on. False if
 * it does not look like that. */
bool capture_packet_of(struct bytes bytes, struct capture_packet *packet);

#endif
