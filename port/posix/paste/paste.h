/* SPDX-License-Identifier: MIT */
/* What people copy: from an encoded text to the bytes that it stands for. The one decoder of dps-admin (endorsement
 * keys) and of `dps-device explain`, in three layers that can be used alone:
 *
 *   encoding   UTF-8 with or without byte order mark, UTF-16 of both byte orders         -> UTF-8
 *   form       hexdump, escaped string, hex, decimal, base64, base64url                   -> bytes
 *   dump       lines of hexdumps, one at a time, also out of a log                        -> bytes
 *
 * What the bytes are is for the caller to find out. Nothing is allocated; every loop ends with its input. */
#ifndef PORT_POSIX_PASTE_PASTE_H
#define PORT_POSIX_PASTE_PASTE_H

#include "crypto/bytes/bytes.h"

/* ---- Encoding (paste_encoding.c) ---- */

enum paste_encoding {
    PASTE_UTF8, /* or any encoding that begins with ASCII: what is wrong with it shows later */
    PASTE_UTF16_LE,
    PASTE_UTF16_BE,
    PASTE_UTF32 /* named, not read */
};

/* By the byte order mark, whose length is *mark; without one by the zeros beside ASCII characters. */
enum paste_encoding paste_encoding_of(struct bytes start, size_t *mark);
/* "UTF-16LE" */
const char *paste_encoding_name(enum paste_encoding encoding);
/* As many whole characters of UTF-16 as are there and fit; *taken is how many bytes of in they were. Half a surrogate
 * pair becomes U+FFFD. Returns how many bytes of UTF-8 were written. */
size_t paste_utf8_from_utf16(enum paste_encoding encoding, struct bytes in, uint8_t *out, size_t capacity,
                             size_t *taken);
/* How many bytes of UTF-16 became this UTF-8. */
size_t paste_utf16_len(struct bytes utf8);
/* What input is when its encoding is undone: a view of it, or of out.
 *   capacity  at least 3 / 2 of input.len
 * *encoding is what it was. Of UTF-32 nothing is left. */
struct bytes paste_utf8(struct bytes input, uint8_t *out, size_t capacity, enum paste_encoding *encoding);

/* No control characters but white space and those of a terminal's colours. */
bool paste_is_text(struct bytes bytes);
/* Without white space at both ends. */
struct bytes paste_trimmed(struct bytes text);
/* The next line without its line end; text moves past it. */
struct bytes paste_next_line(struct bytes *text);
/* Where part first occurs in text, ASCII letters of either case; text.len if nowhere. Does text begin with it? */
size_t paste_find(struct bytes text, const char *part);
bool paste_begins(struct bytes text, const char *part);

/* ---- Form (paste_forms.c) ---- */

/* Text that stands for bytes, as a whole. out may not overlap it. *form names what was seen: "hex".
 * Returns: 0; BYTES_E_FORMAT if it is none of the forms; BYTES_E_SPACE. */
int paste_bytes(struct bytes text, uint8_t *out, size_t capacity, size_t *len, const char **form);

/* ---- Dump (paste_dump.c) ---- */

/* The lines of xxd, hexdump, od, Wireshark, certutil and Format-Hex, and lines of byte pairs in logs. */
struct paste_dump {
    struct bytes rest;  /* set it to the text before the first call */
    bool offsets;       /* the block had offsets in front of its lines: nothing else looks like that */
    struct bytes label; /* the line before the block: what a log says of it; empty: none */
};
/* The next block of such lines. out may not overlap the text.
 * Returns: 0; BYTES_E_NOT_FOUND if there is no more; BYTES_E_FORMAT if lines of this block are missing or cut off: the
 * next call goes on after it; BYTES_E_SPACE. */
int paste_dump_next(struct paste_dump *d, uint8_t *out, size_t capacity, size_t *len);

#endif
