/* SPDX-License-Identifier: MIT */
/* The lab: device, TPM, service and hub in one place, message by message. Any byte of a message, of a key, of a record
 * or of a clock can be changed, and what follows is computed by the programs' own code. The TPM is tests/tiny_tpm.
 *
 * There is one lab. A scene is a story in ten stages, which are the ten steps of the flow; stage 11 is what comes after
 * them. Everything is fixed by seeds, so the same scene with the same changes gives the same bytes. The page
 * (build/lab.html) calls these functions as WebAssembly, the tests as they are. */
#ifndef TESTS_LAB_LAB_H
#define TESTS_LAB_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_STAGES 11

/* A scene from its beginning, without changes. Returns: false if there is none of this number. */
bool lab_reset(unsigned scene);
/* Until this stage has been done, or the story has ended. */
void lab_run(unsigned stage);
/* One message. Returns: false if there is none left. */
bool lab_step(void);

/* Change a byte; the lab goes back to the beginning of that stage, and later changes are forgotten. More bytes of the
 * same can be changed before it goes on. Returns: false if there is no such byte, or no room for another change.
 *   lab_change_message  view 0: the message itself; others: what is inside it, decoded, as lab_message shows it
 *   lab_change_thing    what somebody has, at the beginning of a stage that was reached */
bool lab_change_message(unsigned message, unsigned view, unsigned offset, unsigned value);
bool lab_change_thing(unsigned thing, unsigned stage, unsigned offset, unsigned value);
/* Back to the beginning of the stage of the last change, without it. Returns: false if there is none. */
bool lab_undo(void);

/* What follows writes text into lab_text() and returns its length; 0: there is no such thing. */
const char *lab_text(void);
/* [{"name":N,"title":T,"text":X,"lesson":L}...]. */
size_t lab_scenes(void);
/* One line for each view of a message, in the form of port/posix/explain/trace.h, with another member "view"; and
 * between them lines {"kind":"bits",...} as in tests/walkthrough/walkthrough.h. At the end a line
 * {"kind":"secrets",...} as in port/posix/explain/trace.h: what the device's sessions hide in this message. */
size_t lab_message(unsigned message);
/* Everything else, as one object:
 *   scene, stage (the last one begun), over (nothing is left), changes (how many)
 *   messages  array: kind, stage, step, what, name, len, attacker, changed
 *   refusals  array, in order: message, stage, who ("TPM", "service", "hub", "device"), attacker (was it his message?),
 *             fatal (did it end something?), code (TPM_RC, enum dps_refusal, enum bytes_error without sign), what,
 *             text; TPM: command, name, about, layer, reached (enum tiny_reached); service and hub: status, errorCode,
 *             detail
 *   outcomes  array: what each part of the story came to: stage, what, ok
 *   secrets   array: what somebody has learned who should not: name, hex, how
 *   stolen    what an interposer who acts has got: innerKeys, keys, refused (numbers) */
size_t lab_state(void);
/* What TPM, device and service have at the beginning of a stage that was reached:
 * [{"name":N,"text":X,"kind":K,"hex":H}...]; hex is empty if there is none yet. */
size_t lab_things(unsigned stage);

#endif
