/* SPDX-License-Identifier: MIT */
/* Steps 4 to 9 over AMQP 1.0, as Microsoft's clients speak it with the real service: another door to the device API of
 * service.h, with the same refusals, limits and log as over HTTPS.
 *
 *     a device sends                                  it gets
 *     header of SASL                                  header, mechanism TPM
 *     sasl-init: 00 idScope 00 registrationId         challenge: 00
 *         00 EK_pub
 *     response: 00 SRK_pub                            step 6, the blob in two challenges: 80 and the first 486 bytes;
 *     response: 00                                    C1 and the rest (one client takes nothing else)
 *     response: 00 token                              step 9, the check of the token: outcome 0. Nothing is stored
 *     header, open, begin                             the same
 *     attach of a link to receive, and one to send,   the same, with the address that was asked for; credit for
 *         with {idScope}/registrations/{id}           requests
 *     transfer: iotdps-operation-type is              step 9, the assignment: accepted, and a message with the JSON of
 *         iotdps-register                             HTTPS, the request's correlation-id, and retry-after
 *     transfer: iotdps-get-operationstatus            the same with the hub and its key
 *     detach, end, close                              the same
 *
 * Who the device is, and its keys, is what SASL has said; a message's body is not looked at.
 *
 * A request that is refused is rejected, with the error JSON of HTTPS as description, and a condition that makes
 * clients try again (429: com.microsoft:device-container-throttled; 500 and more: amqp:internal-error) or end (others).
 * What breaks the protocol, or needs what is not offered here (a second session, link or channel; a message in several
 * transfers; a peer that takes no frames of DPS_AMQP_PEER_FRAME_MIN), gets a close with such a condition.
 *
 * In SASL a refusal is an outcome, 4 if it may pass and 1 otherwise, in the place of the blob or after the token. It
 * has no room for its reason, so that is in the log only. A rejected message would have room. But to come so far, a
 * device that is unknown, disabled or has another EK would need a challenge, which is RSA work for whoever asks; or an
 * outcome 0 without one, which no client expects: one waits for ever then, and another one breaks off.
 *
 * Sans I/O: the driver gives whole frames, from whatever carries them. */
#ifndef DPS_SERVICE_AMQP_DOOR_H
#define DPS_SERVICE_AMQP_DOOR_H

#include "dps/service/amqp_api.h"

/* The longest frame that may come now. */
size_t dps_amqp_frame_max(const struct dps_amqp_door *d);

/* Answer one frame. What is to be sent back, perhaps nothing, is in d->out, within out; what happened is in a, for the
 * log, if d->asked or a->refusal is set. json receives a's body, and is not sent itself.
 * Returns: whether the connection stays. */
bool dps_amqp_answer(struct dps_service *s, struct dps_amqp_door *d, const struct dps_amqp_frame *f,
                     uint8_t out[DPS_AMQP_OUT_MAX], uint8_t json[DPS_AMQP_JSON_MAX], struct dps_answer *a);
/* The same for bytes that are no frame, with the error of dps_amqp_frame_read. The connection must end. */
void dps_amqp_unreadable(struct dps_service *s, struct dps_amqp_door *d, int error,
                         uint8_t out[DPS_AMQP_OUT_MAX], uint8_t json[DPS_AMQP_JSON_MAX],
                         struct dps_answer *a);
/* The commit has failed: an answer that relies on it becomes a refusal. Returns: whether the connection may stay. */
bool dps_amqp_uncommitted(struct dps_service *s, struct dps_amqp_door *d, struct dps_answer *a);
/* Has it begun, no longer than a challenge is good for, and has not yet been told its hub or that there is none? */
bool dps_amqp_is_midway(const struct dps_service *s, const struct dps_amqp_door *d);

#endif
