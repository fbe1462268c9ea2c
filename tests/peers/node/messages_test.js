#!/usr/bin/env node
// SPDX-License-Identifier: MIT
'use strict';
// Messages to devices, over MQTT and over MQTT in WebSocket: dps-admin queues them, and azure-iot-device-mqtt receives
// them.
const assert = require('assert');
const { Message } = require('azure-iot-device');
const { NoRetry } = require('azure-iot-common');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');
const { test } = require('./tap');
const { registered, until } = require('./lab');
const { restarted } = require('./restarted');

let service, tpm, hub;

const connected = (transport, body) => restarted({ id: 'boiler-7', hub, tpm, transport }, body);

const packets = (method) => service.logOf('boiler-7').filter((line) => line.method === method).length;
const acknowledged = () => packets('PUBACK');
const subscribed = () => packets('SUBSCRIBE');

// The messages that a client gets, one after the other.
function inbox(client) {
    const waiting = [];
    const wanted = [];
    client.on('message', (message) => (wanted.length > 0 ? wanted.shift()(message) : waiting.push(message)));
    return () => (waiting.length > 0 ? waiting.shift() : new Promise((resolve) => wanted.push(resolve)));
}

test('the device registers', async () => {
    ({ service, tpm, hub } = await registered('boiler-7'));
});

for (const [road, transport] of [['MQTT', Mqtt], ['WebSocket', MqttWs]]) {
    test(`${road}: a message that waits, and one that comes while the device listens`, async () => {
        const before = acknowledged();
        service.message('boiler-7', '{"restart":true}', '--message-id', 'm-1', '--content-type', 'application/json',
            '--property', 'alert=yes & no');
        await connected(transport, async (client) => {
            const next = inbox(client);
            const first = await next();
            assert.strictEqual(first.getData().toString(), '{"restart":true}');
            assert.strictEqual(first.messageId, 'm-1');
            assert.strictEqual(first.to, '/devices/boiler-7/messages/devicebound');
            assert.strictEqual(first.contentType, 'application/json');
            assert.ok(Date.parse(first.expiryTimeUtc) > Date.now(), String(first.expiryTimeUtc));
            assert.strictEqual(first.properties.getItem(0).key, 'alert');
            assert.strictEqual(first.properties.getItem(0).value, 'yes & no');
            await client.complete(first);
            service.message('boiler-7', 'now');
            const second = await next();
            assert.strictEqual(second.getData().toString(), 'now');
            assert.match(second.messageId, /^[-0-9a-f]{36}$/);
            await client.complete(second);
            await client.sendEvent(new Message('a'));
        });
        await until(() => acknowledged() === before + 2, () => 'not two PUBACKs in the log');
    });

    // The package acknowledges by itself; complete() does nothing.
    test(`${road}: the connection is lost before it has acknowledged: the next one gets the message again`, async () => {
        const before = acknowledged();
        await connected(transport, async (client) => {
            client.setRetryPolicy(new NoRetry());
            const listening = subscribed();
            const next = inbox(client);
            await until(() => subscribed() > listening, () => 'no SUBSCRIBE in the log');
            service.network.mute();
            service.message('boiler-7', 'once more');
            assert.strictEqual((await next()).getData().toString(), 'once more');
            service.network.cut();
        });
        assert.strictEqual(acknowledged(), before);
        await connected(transport, async (client) => {
            assert.strictEqual((await inbox(client)()).getData().toString(), 'once more');
            await until(() => acknowledged() === before + 1, () => 'no PUBACK in the log');
        });
    });

    test(`${road}: while it was away they have waited, in order, and what was acknowledged does not come again`,
        async () => {
            for (const text of ['1', '2', '3']) {
                service.message('boiler-7', text);
            }
            await connected(transport, async (client) => {
                const next = inbox(client);
                for (const text of ['1', '2', '3']) {
                    assert.strictEqual((await next()).getData().toString(), text);
                }
                service.message('boiler-7', '4');
                assert.strictEqual((await next()).getData().toString(), '4');
            });
        });
}
