#!/usr/bin/env node
// SPDX-License-Identifier: MIT
'use strict';
// Step 10: azure-iot-device-http sends telemetry to the hub, with tokens signed by the key that step 9 put into the
// TPM.
const assert = require('assert');
const { Message } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { test } = require('./tap');
const { Service, SoftTpm, device } = require('./lab');
const { measurement, restarted } = require('./restarted');

let service, tpm, hub;

const connected = (id, body) => restarted({ id, hub, tpm, transport: Http }, body);

test('a message with properties', async () => {
    service = await Service.start();
    tpm = await SoftTpm.start();
    await service.enroll('boiler-7', tpm);
    const outcome = await device(service, tpm, { id: 'boiler-7' });
    hub = outcome.result.registrationState.assignedHub;
    await connected('boiler-7', async (client) => {
        const answer = await client.sendEvent(measurement());
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
