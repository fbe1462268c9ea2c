#!/usr/bin/env node
// SPDX-License-Identifier: MIT
'use strict';
// azure-iot-provisioning-service manages enrollments and registrations.
const assert = require('assert');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { test } = require('./tap');
const { Service, SoftTpm, device, hubs } = require('./lab');

let service, tpm, management, attestation;

const ids = (list) => list.map((item) => item.registrationId).sort();
const numbered = (count, more = {}) =>
    Array.from({ length: count }, (_, n) => ({ registrationId: `bulk-${n}`, attestation, ...more }));
const get = async (id) => (await management.getIndividualEnrollment(id)).responseBody;
const put = async (enrollment) => (await management.createOrUpdateIndividualEnrollment(enrollment)).responseBody;

// The SDK's error, and the status and errorCode of the answer that it comes from.
const fails = (promise, name, status, errorCode) =>
    assert.rejects(promise, (error) => {
        assert.strictEqual(error.name, name, String(error.stack));
        assert.strictEqual(error.response.statusCode, status);
        assert.strictEqual(JSON.parse(error.responseBody).errorCode, errorCode);
        return true;
    });

// As a promise it is never fulfilled in this version of the SDK.
const bulk = (mode, enrollments) =>
    new Promise((resolve, reject) => {
        const done = (error, result) => (error ? reject(error) : resolve(result));
        management.runBulkEnrollmentOperation({ mode, enrollments }, done);
    });

// All pages. The token is handed over because next() as a promise forgets it in this version of the SDK.
async function pages(query) {
    const all = [];
    do {
        const { responseBody, httpResponse } = await query.next(query.continuationToken);
        all.push({ items: responseBody, headers: httpResponse.headers });
    } while (query.hasMoreResults);
    return all;
}

async function select(where) {
    const query = management.createIndividualEnrollmentQuery({ query: `SELECT * FROM enrollments${where}` });
    return ids((await pages(query)).flatMap((page) => page.items));
}

test('creates an enrollment and reads it', async () => {
    service = await Service.start();
    tpm = await SoftTpm.start();
    management = service.management;
    attestation = { type: 'tpm', tpm: { endorsementKey: tpm.endorsementKey() } };
    const wanted = {
        registrationId: 'boiler-7',
        attestation,
        deviceId: 'Boiler_7',
        provisioningStatus: 'enabled',
        allocationPolicy: 'static',
        iotHubs: [hubs[1]],
        reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
        initialTwin: { tags: { site: 'Gävle' }, properties: { desired: { interval: 60 } } },
    };
    const created = await put(wanted);
    assert.ok(created.etag);
    assert.ok(created.createdDateTimeUtc);
    const read = await get('boiler-7');
    assert.deepStrictEqual(read, created);
    for (const [name, value] of Object.entries(wanted)) {
        assert.deepStrictEqual(read[name], value, name);
    }
});

test('updates it with its etag', async () => {
    const before = await get('boiler-7');
    const after = await put({ ...before, deviceId: 'boiler-seven' });
    assert.strictEqual(after.deviceId, 'boiler-seven');
    assert.notStrictEqual(after.etag, before.etag);
    assert.strictEqual(after.createdDateTimeUtc, before.createdDateTimeUtc);
});

test('an update with a stale etag fails', async () => {
    const stale = await get('boiler-7');
    await put({ ...stale, deviceId: 'boiler-8' });
    await fails(put({ ...stale, deviceId: 'boiler-9' }), 'InvalidEtagError', 412, 412001);
    assert.strictEqual((await get('boiler-7')).deviceId, 'boiler-8');
});

test('any etag: *', async () => {
    const after = await put({ ...(await get('boiler-7')), deviceId: 'boiler-7', etag: '*' });
    assert.strictEqual(after.deviceId, 'boiler-7');
});

test('a creation of what exists fails', async () => {
    await fails(put({ registrationId: 'boiler-7', attestation }), 'DeviceAlreadyExistsError', 409, 409201);
});

test('an ID that has to be escaped', async () => {
    await put({ registrationId: 'a.b:c', attestation });
    assert.strictEqual((await get('a.b:c')).registrationId, 'a.b:c');
    await management.deleteIndividualEnrollment('a.b:c');
});

test('what cannot be served is refused', async () => {
    const key = { registrationId: 'k', attestation: { type: 'symmetricKey', symmetricKey: {} } };
    await fails(put(key), 'ArgumentError', 400, 400007);
    const pem = { type: 'tpm', tpm: { endorsementKey: tpm.tool('ek', '--format', 'pem') } };
    await fails(put({ registrationId: 'k', attestation: pem }), 'ArgumentError', 400, 400004);
    await assert.rejects(get('k'), { message: 'Not found' });
});

test('there are no enrollment groups, and none can be made', async () => {
    for (const query of ['SELECT * FROM enrollmentGroups', '*', '']) {
        const groups = await pages(management.createEnrollmentGroupQuery({ query }));
        assert.deepStrictEqual(groups.map((page) => page.items), [[]], query);
        assert.strictEqual(groups[0].headers['x-ms-item-type'], 'EnrollmentGroup');
    }
    const refused = (promise) => fails(promise, 'ArgumentError', 400, 400007);
    await refused(management.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'g', attestation }));
    await refused(management.getEnrollmentGroup('g'));
    const states = management.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT *' }, 'g');
    await refused(states.next(null));
});

test('asks the attestation mechanism', async () => {
    const { responseBody } = await management.getIndividualEnrollmentAttestationMechanism('boiler-7');
    assert.deepStrictEqual(responseBody, attestation);
});

test('reads and deletes the state of a registration', async () => {
    await assert.rejects(management.getDeviceRegistrationState('boiler-7'), { message: 'Not found' });
    const outcome = await device(service, tpm, { id: 'boiler-7' });
    assert.strictEqual(outcome.result && outcome.result.status, 'assigned', JSON.stringify(outcome));
    const { responseBody: state } = await management.getDeviceRegistrationState('boiler-7');
    assert.strictEqual(state.status, 'assigned');
    assert.strictEqual(state.assignedHub, hubs[1]);
    assert.strictEqual(state.deviceId, 'boiler-7');
    assert.strictEqual((await get('boiler-7')).registrationState.assignedHub, hubs[1]);
    await fails(management.deleteDeviceRegistrationState('boiler-7', '"stale"'), 'InvalidEtagError', 412, 412001);
    await management.deleteDeviceRegistrationState(state);
    await assert.rejects(management.getDeviceRegistrationState('boiler-7'), { message: 'Not found' });
    assert.strictEqual((await get('boiler-7')).registrationState, undefined);
});

test('deletes an enrollment: only with the right etag if one is given', async () => {
    await fails(management.deleteIndividualEnrollment('boiler-7', '"stale"'), 'InvalidEtagError', 412, 412001);
    await management.deleteIndividualEnrollment(await get('boiler-7'));
    await assert.rejects(get('boiler-7'), { message: 'Not found' });
    await assert.rejects(management.deleteIndividualEnrollment('boiler-7'), { message: 'Not found' });
});

test('creates in bulk', async () => {
    assert.deepStrictEqual(await bulk('create', numbered(10)), { isSuccessful: true, errors: [] });
    assert.strictEqual((await get('bulk-9')).registrationId, 'bulk-9');
});

test('in bulk, one that fails does not stop the others', async () => {
    const mixed = [...numbered(1), { registrationId: 'bulk-new', attestation }];
    const result = await bulk('create', mixed);
    assert.strictEqual(result.isSuccessful, false);
    assert.deepStrictEqual(result.errors.map((error) => [error.registrationId, error.errorCode]), [['bulk-0', 409201]]);
    assert.ok(result.errors[0].errorStatus);
    assert.strictEqual((await get('bulk-new')).registrationId, 'bulk-new');
    await management.deleteIndividualEnrollment('bulk-new');
});

test('updates in bulk, with and without etags', async () => {
    const disabled = await bulk('update', numbered(2, { provisioningStatus: 'disabled' }));
    assert.deepStrictEqual(disabled, { isSuccessful: true, errors: [] });
    const one = { ...(await get('bulk-2')), deviceId: 'Two' };
    // This spelling is the one of the SDK's type declaration; the service's documentation writes ETag.
    assert.deepStrictEqual(await bulk('updateIfMatchEtag', [one]), { isSuccessful: true, errors: [] });
    const stale = await bulk('updateIfMatchEtag', [one]);
    assert.deepStrictEqual(stale.errors.map((error) => [error.registrationId, error.errorCode]), [['bulk-2', 412001]]);
    assert.strictEqual((await get('bulk-2')).deviceId, 'Two');
});

test('eleven at once are too many', async () => {
    await assert.rejects(bulk('create', numbered(11)), { name: 'ArgumentError' });
    await assert.rejects(get('bulk-10'), { message: 'Not found' });
});

test('queries by pages', async () => {
    const query = management.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' }, 4);
    const all = await pages(query);
    assert.deepStrictEqual(all.map((page) => page.items.length), [4, 4, 2]);
    assert.deepStrictEqual(ids(all.flatMap((page) => page.items)), ids(numbered(10)));
    assert.deepStrictEqual(new Set(all.map((page) => page.headers['x-ms-item-type'])), new Set(['Enrollment']));
});

test('queries by pages, with callbacks', async () => {
    const query = management.createIndividualEnrollmentQuery({ query: 'SELECT *' }, 7);
    const next = () =>
        new Promise((resolve, reject) => {
            query.next((error, page) => (error ? reject(error) : resolve(page)));
        });
    assert.strictEqual((await next()).length, 7);
    assert.strictEqual(query.hasMoreResults, true);
    assert.strictEqual((await next()).length, 3);
    assert.strictEqual(query.hasMoreResults, false);
});

test('queries with WHERE', async () => {
    assert.deepStrictEqual(await select(" WHERE registrationId = 'bulk-3'"), ['bulk-3']);
    assert.deepStrictEqual(await select(" WHERE provisioningStatus = 'disabled'"), ['bulk-0', 'bulk-1']);
    assert.deepStrictEqual(await select(" WHERE deviceId = 'Two'"), ['bulk-2']);
    assert.deepStrictEqual(await select(" WHERE registrationId = 'none'"), []);
});

test('refuses a query that it does not answer', async () => {
    const query = management.createIndividualEnrollmentQuery({ query: 'SELECT COUNT() FROM enrollments' });
    await fails(query.next(query.continuationToken), 'ArgumentError', 400, 400008);
});

test('deletes in bulk', async () => {
    const all = await Promise.all(numbered(10).map(({ registrationId }) => get(registrationId)));
    const items = all.map(({ registrationId, etag }) => ({ registrationId, etag, attestation }));
    assert.deepStrictEqual(await bulk('delete', items), { isSuccessful: true, errors: [] });
    assert.deepStrictEqual(await select(''), []);
});

test('a wrong key or policy is refused', async () => {
    for (const name of ['provisioningserviceowner', 'nobody']) {
        const key = Buffer.alloc(32).toString('base64');
        const client = ProvisioningServiceClient.fromConnectionString(
            `HostName=localhost;SharedAccessKeyName=${name};SharedAccessKey=${key}`);
        await fails(client.getIndividualEnrollment('boiler-7'), 'UnauthorizedError', 401, 401000);
    }
});
