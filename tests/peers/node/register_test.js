#!/usr/bin/env node
// SPDX-License-Identifier: MIT
'use strict';
// azure-iot-security-tpm and azure-iot-provisioning-device-http register devices, each registration in a new process.
const assert = require('assert');
const { test } = require('./tap');
const { Service, SoftTpm, device, hubs, scope } = require('./lab');

let service, tpm;

function assigned(outcome, id, substatus) {
    assert.strictEqual(outcome.error, undefined, JSON.stringify(outcome.error));
    const state = outcome.result.registrationState;
    assert.strictEqual(outcome.result.status, 'assigned');
    assert.strictEqual(state.registrationId, id);
    assert.strictEqual(state.deviceId, id);
    assert.ok(hubs.includes(state.assignedHub), state.assignedHub);
    assert.strictEqual(state.substatus, substatus);
    return state;
}

test('a device registers for the first time', async () => {
    service = await Service.start();
    tpm = await SoftTpm.start();
    await service.enroll('boiler-7', tpm);
    assigned(await device(service, tpm, { id: 'boiler-7' }), 'boiler-7', 'initialAssignment');
});

test('it registers again, and stays where it was', async () => {
    const before = await service.management.getDeviceRegistrationState('boiler-7');
    const after = await device(service, tpm, { id: 'boiler-7' });
    const state = assigned(after, 'boiler-7', 'reprovisionedToInitialAssignment');
    assert.strictEqual(state.assignedHub, before.responseBody.assignedHub);
});

test('it registers after its TPM was cleared: the same EK, a new SRK', async () => {
    const before = tpm.endorsementKey();
    assert.match(tpm.tool('info'), /0x81000001/);
    tpm.tool('clear', '--yes');
    assert.doesNotMatch(tpm.tool('info'), /0x8(1000001|1010001|1000100)/, 'no key is left');
    assigned(await device(service, tpm, { id: 'boiler-7' }), 'boiler-7', 'reprovisionedToInitialAssignment');
    assert.strictEqual(tpm.endorsementKey(), before);
});

test('it registers with a payload', async () => {
    const payload = { site: 'Gävle', floors: [1, 2], nested: { a: null } };
    assigned(await device(service, tpm, { id: 'boiler-7', payload }), 'boiler-7', 'reprovisionedToInitialAssignment');
});

test('an ID of every character that is allowed', async () => {
    const id = 'a.b:c-d_1';
    await service.enroll(id, tpm, { deviceId: 'other-id' });
    const outcome = await device(service, tpm, { id });
    assert.strictEqual(outcome.error, undefined, JSON.stringify(outcome.error));
    assert.strictEqual(outcome.result.registrationState.registrationId, id);
    assert.strictEqual(outcome.result.registrationState.deviceId, 'other-id');
});

test('without an ID both sides derive the same one from the EK', async () => {
    const fresh = await SoftTpm.start();
    const id = JSON.parse(fresh.tool('ek', '--ek-template', 'azure-sdk', '--format', 'json')).registrationId;
    await service.enroll(id, fresh);
    const outcome = await device(service, fresh);
    assigned(outcome, id, 'initialAssignment');
    assert.strictEqual(outcome.registrationId, id);
});

test('SDK and dps-device take turns on one device', async () => {
    const fresh = await SoftTpm.start();
    await service.enroll('turns', fresh);
    assigned(await device(service, fresh, { id: 'turns' }), 'turns', 'initialAssignment');
    fresh.tool('register', '--service', 'https://localhost', '--connect-to', `localhost:${service.address.port}`,
        '--ca', service.address.ca, '--scope', scope, '--id', 'turns', '--state', 'turns.state');
    assigned(await device(service, fresh, { id: 'turns' }), 'turns', 'reprovisionedToInitialAssignment');
});
