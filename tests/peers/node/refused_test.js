#!/usr/bin/env node
// SPDX-License-Identifier: MIT
'use strict';
// Registrations that have to fail: what the SDK reports, and what the service's log says. The SDK hides the error code
// of an answer to its first request, so that the log is where a person finds the reason.
const assert = require('assert');
const { test } = require('./tap');
const { Service, SoftTpm, device } = require('./lab');

let service, tpm;

async function refused(id, error, code, options = {}, by = tpm) {
    const before = service.logOf(id).length;
    const outcome = await device(service, by, { id, ...options });
    assert.strictEqual(outcome.error && outcome.error.name, error, JSON.stringify(outcome));
    const codes = service.logOf(id).slice(before).map((line) => line.errorCode).filter(Boolean);
    assert.deepStrictEqual(codes, [code]);
}

test('an unknown ID', async () => {
    service = await Service.start();
    tpm = await SoftTpm.start();
    await service.enroll('known', tpm);
    await refused('unknown', 'InvalidOperationError', 404201);
});

test('another TPM than the enrolled one: no challenge', async () => {
    await refused('known', 'FormatError', 401003, {}, await SoftTpm.start());
});

test('a token that is not signed with the key of the challenge', async () => {
    await refused('known', 'UnauthorizedError', 401002, { forge: true });
});

test('the device can register after that', async () => {
    const outcome = await device(service, tpm, { id: 'known' });
    assert.strictEqual(outcome.result && outcome.result.status, 'assigned', JSON.stringify(outcome));
});

test('a disabled enrollment', async () => {
    const { responseBody } = await service.management.getIndividualEnrollment('known');
    await service.management.createOrUpdateIndividualEnrollment({ ...responseBody, provisioningStatus: 'disabled' });
    await refused('known', 'InvalidOperationError', 403201);
});

test('a deleted enrollment', async () => {
    await service.management.deleteIndividualEnrollment('known');
    await refused('known', 'InvalidOperationError', 404201);
});

test('another ID scope', async () => {
    const before = service.logText().length;
    const outcome = await device(service, tpm, { id: 'known', scope: '0neOTHER' });
    assert.strictEqual(outcome.error && outcome.error.name, 'InvalidOperationError', JSON.stringify(outcome));
    assert.match(service.logText().slice(before), /"errorCode":404202/);
});

test("a TPM with an owner's password: the SDK does not get as far as the service", async () => {
    const owned = await SoftTpm.start();
    await service.enroll('owned', owned);
    // The service writes its log after the answer.
    for (let tries = 0; service.logOf('owned').length === 0 && tries < 6000; tries++)
        await new Promise((resolve) => setTimeout(resolve, 10));
    const before = service.logOf('owned').length;
    owned.own('my owner password');
    const outcome = await device(service, owned, { id: 'owned' });
    assert.match((outcome.error || {}).message, /EvictControl.* failed/, JSON.stringify(outcome));
    assert.strictEqual(service.logOf('owned').length, before);
});
