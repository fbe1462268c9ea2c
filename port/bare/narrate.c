/* SPDX-License-Identifier: MIT */
#include "port/bare/narrate.h"
#include "dps/device/engine.h"

static void text(const struct port_bare_run *run, const char *words)
{
    port_bare_text(&run->board->console, words);
}

static bool asks_network(const struct port_bare_run *run)
{
    return run->doing != NULL || dps_device_asks_network(&run->device);
}

static void number(const struct port_bare_run *run, uint64_t value)
{
    port_bare_number(&run->board->console, value);
}

void port_bare_narrate_begin(const struct port_bare_run *run)
{
    text(run, "\ntpm-dps on ");
    text(run, run->board->name);
    text(run, ": scope ");
    text(run, run->board->config.id_scope);
    text(run, " at ");
    text(run, run->board->config.service_host);
    text(run, "\n");
}

void port_bare_narrate_step(const struct port_bare_run *run, unsigned step, const char *what)
{
    text(run, step < 10 ? "Step  " : "Step ");
    number(run, step);
    text(run, asks_network(run) ? "  network: " : "  TPM: ");
    text(run, what);
    text(run, "\n");
}

void port_bare_narrate_registered(const struct port_bare_run *run)
{
    text(run, "Registered ");
    text(run, run->device.registration_id);
    text(run, ": assigned to ");
    text(run, run->device.assigned_hub);
    text(run, " as ");
    text(run, run->device.device_id);
    text(run, "\n");
}

void port_bare_narrate_record(const struct port_bare_run *run, int error)
{
    switch (error) {
    case BYTES_E_NOT_FOUND:
        text(run, "No record: this device registers.\n");
        break;
    case BYTES_E_TPM_RC:
        text(run, "The TPM does not load the kept hub key (");
        port_bare_hex(&run->board->console, run->device.rc);
        text(run, "): it was cleared, or is another one. This device registers again.\n");
        break;
    case BYTES_E_HTTP:
        text(run, "The hub does not accept the kept key (HTTP ");
        number(run, run->device.http_status);
        text(run, "). This device registers again.\n");
        break;
    case BYTES_E_REFUSED:
        text(run, "The hub does not accept the kept key (CONNACK ");
        number(run, run->connack);
        text(run, "). This device registers again.\n");
        break;
    default:
        text(run, "The record is damaged. This device registers again.\n");
        break;
    }
}

void port_bare_narrate_wait(const struct port_bare_run *run, uint32_t ms)
{
    text(run, "Again in ");
    number(run, ms);
    text(run, " ms.\n");
}

void port_bare_narrate_end(const struct port_bare_run *run)
{
    text(run, "Done: ");
    text(run, run->device.assigned_hub);
    text(run, " accepted the message; ");
    number(run, run->tpm_commands);
    text(run, " TPM commands in ");
    number(run, run->tpm_ms);
    text(run, " ms, ");
    number(run, run->http_requests);
    text(run, " requests, ");
    number(run, run->connections);
    text(run, " connections, stack ");
    number(run, port_bare_stack_used(run->board->stack_bottom, run->board->stack_top));
    text(run, " of ");
    number(run, (uint64_t)(run->board->stack_top - run->board->stack_bottom));
    text(run, " bytes.\n");
}

int port_bare_narrate_trust(const struct port_bare_run *run)
{
    text(run, "Error: this image holds no usable trust anchor. Build it with a PEM certificate.\n");
    return PORT_BARE_USAGE;
}

/* The peer's own words. */
static int refused(const struct port_bare_run *run)
{
    if (run->connack != 0) {
        text(run, "refused with CONNACK ");
        number(run, run->connack);
        return PORT_BARE_REFUSED;
    }
    text(run, "refused with HTTP ");
    number(run, run->device.http_status);
    text(run, ", error ");
    number(run, run->device.service_error);
    text(run, ": ");
    port_bare_bytes(&run->board->console, bytes_of(run->device.message, run->device.message_len));
    return PORT_BARE_REFUSED;
}

static int explain(const struct port_bare_run *run, int error)
{
    const bool network = asks_network(run);
    switch (error) {
    case BYTES_E_HTTP:
    case BYTES_E_REFUSED:
        return refused(run);
    case BYTES_E_TLS:
        text(run, crypto_tls_error_text(run->drive.tls_error));
        text(run, "\n  Nothing was sent. Is this the right service, and the right trust anchor?");
        return PORT_BARE_NETWORK;
    case BYTES_E_STREAM:
        text(run, "no connection, or it broke off.");
        return PORT_BARE_NETWORK;
    case BYTES_E_CLOCK:
        text(run, "the answer had no plausible Date header, and this board has no clock.");
        return PORT_BARE_NETWORK;
    case BYTES_E_TIMEOUT:
        text(run, run->device.late ? "all of this together took too long."
                  : network        ? "the network does not answer, or an answer never ends."
                                   : "the TPM does not answer.");
        return network ? PORT_BARE_NETWORK : PORT_BARE_TPM;
    case BYTES_E_TPM_RC:
        text(run, "the TPM answered ");
        port_bare_hex(&run->board->console, run->device.rc);
        text(run, ".");
        return PORT_BARE_TPM;
    case BYTES_E_ENTROPY:
    case BYTES_E_TPM_TRANSPORT:
        text(run, "the TPM does not answer as it should.");
        return PORT_BARE_TPM;
    case BYTES_E_FILE:
    case BYTES_E_STATE:
    case BYTES_E_NOT_FOUND:
        text(run, "the record cannot be saved or read: is the flash in order?");
        return PORT_BARE_STORAGE;
    case BYTES_E_USAGE:
        text(run, "this image was built with a wrong configuration.");
        return PORT_BARE_USAGE;
    default:
        text(run, "an answer that is not understood (");
        number(run, (uint64_t)-error);
        text(run, ").");
        return network ? PORT_BARE_NETWORK : PORT_BARE_TPM;
    }
}

int port_bare_narrate_error(const struct port_bare_run *run, int error)
{
    text(run, "Error");
    if (run->device.flow != NULL) {
        text(run, " at step ");
        number(run, dps_device_step(&run->device));
        text(run, " (");
        text(run, run->doing != NULL ? run->doing : dps_device_what(&run->device));
        text(run, ")");
    }
    text(run, ": ");
    const int status = explain(run, error);
    text(run, "\n");
    return status;
}
