#!/usr/bin/env node
// SPDX-License-Identifier: MIT
'use strict';
// Step 10: azure-iot-device-http sends telemetry to the hub, with tokens signed by the key that step 9 put into the
// TPM.
const assert = require('assert');
const { Tpm } = require('tss.js');
const { TpmAuthenticationProvider, TpmSecurityClient } = require('azure-iot-security-tpm');
const { Client, Message } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { SwtpmDevice } = require('./swtpm-device');
const { test } = require('./tap');
const { Service, SoftTpm, device } = require('./lab');

let service, tpm, hub;

// The device after a restart: it knows its name and its hub, and the key is in the TPM.
async function connected(id, body) {
    const chip = new Tpm(false);
    chip.device = new SwtpmDevice({ path: tpm.socket });
    const provider = TpmAuthenticationProvider.fromTpmSecurityClient(id, hub, new TpmSecurityClient(id, chip));
    const client = Client.fromAuthenticationProvider(provider, Http);
    try {
        await client.open();
        return await body(client);
    } finally {
        await client.close();
        provider.stop(); // its timer
        chip.close();
    }
}

test('a message with properties', async () => {
    service = await Service.start();
    tpm = await SoftTpm.start();
    await service.enroll('boiler-7', tpm);
    const outcome = await device(service, tpm, { id: 'boiler-7' });
    hub = outcome.result.registrationState.assignedHub;
    await connected('boiler-7', async (client) => {
        const message = new Message(JSON.stringify({ temperature: 21 }));
        message.messageId = 'm-1';
        message.contentType = 'application/json';
        message.contentEncoding = 'utf-8';
        message.properties.add('floor', '1st & 2nd');
        const answer = await client.sendEvent(message);
        assert.strictEqual(answer.transportObj.statusCode, 204);
    });
});

test('a batch', async () => {
    await connected('boiler-7', async (client) => {
        const answer = await client.sendEventBatch([new Message('a'), new Message('b')]);
        assert.strictEqual(answer.transportObj.statusCode, 204);
    });
});

test('many messages over one connection, with one token', async () => {
    await connected('boiler-7', async (client) => {
        for (let n = 0; n < 20; n++) {
            const answer = await client.sendEvent(new Message('x'.repeat(n * 1000)));
            assert.strictEqual(answer.transportObj.statusCode, 204);
        }
    });
});

test('in the name of another device: refused', async () => {
    await connected('boiler-8', async (client) => {
        await assert.rejects(client.sendEvent(new Message('a')), { name: 'UnauthorizedError' });
    });
});

test('after the device has registered again', async () => {
    const outcome = await device(service, tpm, { id: 'boiler-7' });
    hub = outcome.result.registrationState.assignedHub;
    await connected('boiler-7', (client) => client.sendEvent(new Message('a')));
});

test('after the TPM was cleared the key is gone', async () => {
    tpm.tool('clear', '--yes');
    await connected('boiler-7', (client) => client.sendEvent(new Message('a'))).then(
        () => assert.fail('it was sent'),
        (error) => assert.strictEqual(error.name, 'InvalidOperationError', String(error.stack)),
    );
});
