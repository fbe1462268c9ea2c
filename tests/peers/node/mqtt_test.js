#!/usr/bin/env node
// SPDX-License-Identifier: MIT
'use strict';
// Step 10 over MQTT, and over MQTT in WebSocket: azure-iot-device-mqtt sends telemetry to the hub, with tokens signed
// by the key that step 9 put into the TPM.
const assert = require('assert');
const { Client, Message } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { test } = require('./tap');
const { device, registered, until } = require('./lab');
const { measurement, restarted } = require('./restarted');

let service, tpm, hub;

// The package renews its token after 45 minutes. Here these have passed when a test says so.
const MINUTES_45 = 45 * 60 * 1000;
const { setTimeout } = global;
let renew;
global.setTimeout = (body, ms, ...rest) => {
    if (ms === MINUTES_45) {
        renew = body;
    }
    return setTimeout(body, ms, ...rest);
};

const connected = (transport, id, body) => restarted({ id, hub, tpm, transport }, body);

const packets = (type) => service.logOf('boiler-7').filter((line) => line.method === type && line.status === 204);

test('the device registers', async () => {
    ({ service, tpm, hub } = await registered('boiler-7'));
});

for (const [road, transport] of [['MQTT', Mqtt], ['WebSocket', MqttWs]]) {
    test(`${road}: a message with properties`, async () => {
        const before = packets('PUBLISH').length;
        await connected(transport, 'boiler-7', async (client) => {
            const answer = await client.sendEvent(measurement());
            assert.strictEqual(answer.constructor.name, 'MessageEnqueued');
        });
        await until(() => packets('PUBLISH').length === before + 1, () => 'no PUBLISH in the log');
    });

    test(`${road}: many messages over one connection, up to 64 KB`, async () => {
        await connected(transport, 'boiler-7', async (client) => {
            for (let n = 0; n < 17; n++) {
                await client.sendEvent(new Message('x'.repeat(n * 4000)));
            }
        });
    });

    test(`${road}: a device that listens: to messages, to methods, to its twin`, async () => {
        await connected(transport, 'boiler-7', async (client) => {
            client.on('message', () => assert.fail('a message has come'));
            client.onDeviceMethod('reboot', () => assert.fail('a method was called'));
            await assert.rejects(client.getTwin(), { message: 'This hub keeps no twins.' });
            await client.sendEvent(new Message('a'));
        });
        await until(() => packets('SUBSCRIBE').length >= 3, () => 'not three SUBSCRIBEs in the log');
    });

    test(`${road}: a new token after 45 minutes: the device connects again, and sends`, async () => {
        await connected(transport, 'boiler-7', async (client, provider) => {
            await client.sendEvent(new Message('before'));
            const before = packets('CONNECT').length;
            const renewed = new Promise((resolve) => provider.once('newTokenAvailable', resolve));
            renew();
            await renewed;
            await until(() => packets('CONNECT').length > before, () => 'it did not connect again');
            await client.sendEvent(new Message('after'));
        });
    });

    test(`${road}: a second device of that name replaces the first, which comes back`, async () => {
        await connected(transport, 'boiler-7', async (client, provider) => {
            await client.sendEvent(new Message('a'));
            const token = await new Promise((resolve) => provider.getDeviceCredentials((_, found) => resolve(found)));
            const other = Client.fromSharedAccessSignature(token.sharedAccessSignature, transport);
            await other.open();
            await other.sendEvent(new Message('b'));
            await other.close();
            await client.sendEvent(new Message('c'));
        });
    });

    test(`${road}: in the name of another device: refused`, async () => {
        const sent = connected(transport, 'boiler-8', (client) => client.sendEvent(new Message('a')));
        const error = await sent.catch((e) => e);
        assert.strictEqual(error && error.name, 'UnauthorizedError', String(error && error.stack));
    });

    test(`${road}: after the device has registered again`, async () => {
        const outcome = await device(service, tpm, { id: 'boiler-7' });
        hub = outcome.result.registrationState.assignedHub;
        await connected(transport, 'boiler-7', (client) => client.sendEvent(new Message('a')));
    });
}
