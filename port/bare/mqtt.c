/* SPDX-License-Identifier: MIT */
/* The message over MQTT: a member `send` of port_bare_board. An image that does not name it has none of this. */
#include "dps/device/device.h"
#include "port/bare/narrate.h"
#include "port/link.h"

#if DPS_WITH_MQTT

#define WAIT_MS 1000 /* a turn of port_link */

/* Returns: BYTES_E_MORE: go on; 0: the hub has the message, and the connection has ended; or an error. */
static int turn(struct port_bare_run *run, struct dps_link *link)
{
    int error;
    run->doing = dps_link_what(link);
    switch (port_link(&run->drive, &run->port, &run->trust, link, WAIT_MS)) {
    case DPS_LINK_TOKEN:
        run->doing = NULL;
        error = port_bare_kept(run, dps_device_token);
        if (error != 0) {
            return error;
        }
        dps_link_token_made(link);
        return BYTES_E_MORE;
    case DPS_LINK_READY:
        dps_link_end(link);
        return BYTES_E_MORE;
    case DPS_LINK_ENDED:
        run->doing = NULL;
        return 0;
    case DPS_LINK_FAILED:
        run->doing = dps_link_what(link);
        run->connack = link->error == BYTES_E_REFUSED ? link->code : 0;
        return link->error;
    default:
        return BYTES_E_MORE;
    }
}

int port_bare_send_mqtt(struct port_bare_run *run)
{
    struct dps_link link;
    int error;
    dps_link_begin(&link, &run->device, 0);
    error = dps_link_publish(&link, bytes_of(NULL, 0), run->board->config.data);
    if (error != 0) {
        return error;
    }
    do {
        error = turn(run, &link);
    } while (error == BYTES_E_MORE);
    run->connections += link.connections;
    return error;
}

#endif
