/* SPDX-License-Identifier: MIT */
/* What went over TCP in a capture file, packet by packet: pcapng [draft-ietf-opsawg-pcapng] as tpm2-tss' pcap TCTI,
 * Wireshark and `--trace=pcapng:` write it, and pcap [draft-ietf-opsawg-pcap] as tcpdump writes it. Packets are not put
 * together: TPM messages and the pieces of HTTP that our own files have come whole. */
#ifndef PORT_POSIX_CAPTURE_H
#define PORT_POSIX_CAPTURE_H

#include "crypto/bytes/bytes.h"

#define POSIX_CAPTURE_INTERFACES 16 /* more are not looked at */

struct posix_capture {
    struct bytes rest; /* of the file */
    bool pcapng, little_endian;
    uint32_t links[POSIX_CAPTURE_INTERFACES]; /* what a packet begins with */
    size_t link_count;
};

struct posix_packet {
    struct bytes payload; /* of TCP; a view of the file; empty: none */
    uint16_t from_port, to_port;
};

/* Is it a capture file? It must outlive c. */
bool posix_capture_open(struct posix_capture *c, struct bytes file);
/* Returns: 0; BYTES_E_NOT_FOUND at the end; BYTES_E_FORMAT if the file is broken or cut off from here on. */
int posix_capture_next(struct posix_capture *c, struct posix_packet *packet);
/* The same for one packet without a file, as it is copied out of Wireshark: from its Ethernet or IP header on. False if
 * it does not look like that. */
bool posix_packet_of(struct bytes bytes, struct posix_packet *packet);

#endif
