#!/usr/bin/env node
// SPDX-License-Identifier: MIT
'use strict';
// azure-iot-provisioning-device-amqp registers devices over AMQP, as it is and in WebSocket, each registration in a new
// process.
const assert = require('assert');
const { test } = require('./tap');
const { Service, SoftTpm, device, hubs, until } = require('./lab');

let service, tpm;

const register = (id, by = tpm, more = {}) => device(service, by, { id, road: 'Amqp', ...more });

async function assigned(id, substatus, by = tpm, more = {}) {
    const outcome = await register(id, by, more);
    assert.strictEqual(outcome.error, undefined, JSON.stringify(outcome.error));
    const state = outcome.result.registrationState;
    assert.strictEqual(outcome.result.status, 'assigned');
    assert.strictEqual(state.registrationId, id);
    assert.ok(hubs.includes(state.assignedHub), state.assignedHub);
    assert.strictEqual(state.substatus, substatus);
    return state;
}

// What the log says about an ID over AMQP.
const told = (id, since = 0) => {
    const lines = service.logOf(id).filter(({ method }) => ['sasl-response', 'transfer'].includes(method));
    return lines.slice(since).map(({ method, route, status, errorCode }) => [method, route, status, errorCode]);
};

// Refused before there is a challenge. The package does not tell: it waits for the outcome of SASL only when it has
// answered one.
async function refused(id, code, by = tpm) {
    const before = told(id).length;
    const running = register(id, by);
    await until(() => told(id).length > before, () => `nothing in the log: ${service.logText()}`);
    running.child.kill();
    const outcome = await running;
    assert.strictEqual(outcome.error && outcome.error.name, 'died', JSON.stringify(outcome));
    assert.deepStrictEqual(told(id, before), [['sasl-response', 'register', Math.floor(code / 1000), code]]);
}

test('a device registers for the first time', async () => {
    service = await Service.start('--challenge-rate', '6');
    tpm = await SoftTpm.start();
    await service.enroll('boiler-7', tpm);
    const before = told('boiler-7').length;
    await assigned('boiler-7', 'initialAssignment');
    const whole = () => told('boiler-7', before).length === 3;
    await until(whole, () => JSON.stringify(told('boiler-7', before)));
    assert.deepStrictEqual(told('boiler-7', before), [
        ['sasl-response', 'register', 401, undefined],
        ['transfer', 'register', 202, undefined],
        ['transfer', 'operation', 200, undefined],
    ]);
});

test('it registers again, and stays where it was', async () => {
    const before = await service.management.getDeviceRegistrationState('boiler-7');
    const state = await assigned('boiler-7', 'reprovisionedToInitialAssignment');
    assert.strictEqual(state.assignedHub, before.responseBody.assignedHub);
});

test('it registers over WebSocket', async () => {
    const lines = (count) => until(() => told('boiler-7').length === count, () => JSON.stringify(told('boiler-7')));
    await lines(6);
    await assigned('boiler-7', 'reprovisionedToInitialAssignment', tpm, { road: 'AmqpWs' });
    await lines(9);
});

test('it registers after its TPM was cleared: the same EK, a new SRK', async () => {
    tpm.tool('clear', '--yes');
    await assigned('boiler-7', 'reprovisionedToInitialAssignment');
});

test('over HTTPS and over AMQP in turns, with a payload', async () => {
    await service.enroll('a.b:c-d_1', tpm, { deviceId: 'other-id' });
    const payload = { site: 'Gävle', nested: { a: null } };
    const state = await assigned('a.b:c-d_1', 'initialAssignment', tpm, { payload });
    assert.strictEqual(state.deviceId, 'other-id');
    const outcome = await device(service, tpm, { id: 'a.b:c-d_1' });
    assert.strictEqual(outcome.result && outcome.result.status, 'assigned', JSON.stringify(outcome));
    await assigned('a.b:c-d_1', 'reprovisionedToInitialAssignment');
});

// With azure-iot-device beside it npm gives the package two copies of azure-iot-common, so that it does not recognise
// its own ThrottlingError, and fails. With one copy it waits as long as it is told, and asks again.
test('too many registrations in a minute', async () => {
    const fast = await SoftTpm.start();
    await service.enroll('fast', fast);
    let outcome = {};
    for (let tries = 0; !outcome.error && tries < 20; tries++) {
        outcome = await register('fast', fast);
    }
    assert.strictEqual((outcome.error || {}).condition, 'com.microsoft:device-container-throttled');
    await until(() => told('fast').pop()[2] === 429, () => JSON.stringify(told('fast')));
    assert.deepStrictEqual(told('fast').pop(), ['transfer', 'operation', 429, 429001]);
});

test('a token that is not signed with the key of the challenge', async () => {
    const before = told('boiler-7').length;
    const outcome = await register('boiler-7', tpm, { forge: true });
    assert.strictEqual(outcome.error && outcome.error.name, 'NotConnectedError', JSON.stringify(outcome));
    await until(() => told('boiler-7', before).length === 2, () => JSON.stringify(told('boiler-7', before)));
    assert.deepStrictEqual(told('boiler-7', before).pop(), ['sasl-response', 'register', 401, 401002]);
});

test('an unknown ID', () => refused('unknown', 404201));

test('another TPM than the enrolled one', async () => refused('boiler-7', 401003, await SoftTpm.start()));

test('a disabled enrollment', async () => {
    const { responseBody } = await service.management.getIndividualEnrollment('boiler-7');
    await service.management.createOrUpdateIndividualEnrollment({ ...responseBody, provisioningStatus: 'disabled' });
    await refused('boiler-7', 403201);
});
