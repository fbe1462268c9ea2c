// SPDX-License-Identifier: MIT
'use strict';
// Step 10 with Microsoft's device client: a device after a restart knows its name and its hub, and the key that step 9
// has put into the TPM is still there.
const { Tpm } = require('tss.js');
const { TpmAuthenticationProvider, TpmSecurityClient } = require('azure-iot-security-tpm');
const { Client, Message } = require('azure-iot-device');
const { SwtpmDevice } = require('./swtpm-device');

// Connects it over transport (Http, Mqtt) for the time that body takes.
async function restarted({ id, hub, tpm, transport }, body) {
    const chip = new Tpm(false);
    chip.device = new SwtpmDevice({ path: tpm.socket });
    const provider = TpmAuthenticationProvider.fromTpmSecurityClient(id, hub, new TpmSecurityClient(id, chip));
    const client = Client.fromAuthenticationProvider(provider, transport);
    try {
        await client.open();
        return await body(client, provider);
    } finally {
        await client.close();
        provider.stop(); // its timer
        chip.close();
    }
}

// Telemetry with all that a device may say about it.
function measurement() {
    const message = new Message(JSON.stringify({ temperature: 21 }));
    message.messageId = 'm-1';
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    message.properties.add('floor', '1st & 2nd');
    return message;
}

module.exports = { restarted, measurement };
