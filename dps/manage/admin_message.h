/* SPDX-License-Identifier: MIT */
/* Messages to devices. */
#ifndef DPS_MANAGE_ADMIN_MESSAGE_H
#define DPS_MANAGE_ADMIN_MESSAGE_H

#include "dps/service/answer.h"
#include "dps/service/request.h"

/* POST /registrations/{registrationId}/messages/devicebound: put a message into the device's queue (messages.h). The
 * path and the lifetime are ours, since IoT Hub takes messages over AMQP only; the other members have the names of its
 * SDKs:
 *
 *     {"messageId": "m-1", "correlationId": "c-1", "userId": "u", "contentType": "application/json",
 *      "contentEncoding": "utf-8", "properties": {"alert": "yes"}, "timeToLiveSeconds": 3600, "data": "<base64>"}
 *
 * All of them may be left out. The answer has the messageId, which is made if there is none, and expiryTimeUtc. */
enum dps_refusal dps_admin_message(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);

#endif
