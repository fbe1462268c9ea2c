// SPDX-License-Identifier: MIT
'use strict';
// What a test needs around the SDK: a dps-service, software TPMs, and devices in processes of their own.
const { execFileSync, spawn } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { reach } = require('./reach');

const build = path.resolve(process.env.BUILD || 'build');
const PATIENCE = 15000; // ms for a program to start

const scope = '0ne00000A0A';
const hubs = ['hub-a.example', 'hub-b.example'];

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tpm-dps-peers-'));
const processes = [];
process.on('exit', () => {
    processes.forEach((child) => child.kill());
    fs.rmSync(directory, { recursive: true, force: true });
});

function program(name, ...args) {
    return execFileSync(path.join(build, name), args, { encoding: 'utf8', cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
}

function start(command, args, log) {
    const output = log ? fs.openSync(log, 'w') : 'ignore';
    const child = spawn(command, args, { cwd: directory, stdio: ['ignore', 'ignore', output] });
    processes.push(child);
    return child;
}

async function until(condition, what) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
        const result = condition();
        if (result) {
            return result;
        }
        if (Date.now() > deadline) {
            throw new Error(`never: ${what}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

// A fresh dps-service: device and management API, and both hubs.
class Service {
    static async start() {
        const service = new Service();
        const file = (name) => path.join(directory, name);
        const names = ['localhost', ...hubs].map((name) => `DNS:${name}`).join(',');
        execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
            '-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`, '-keyout', file('key.pem'), '-out', file('cert.pem')],
        { stdio: 'ignore' });
        service.log = file('service.log');
        service.process = start(path.join(build, 'dps-service'), ['--listen', '127.0.0.1:0', '--cert', 'cert.pem', '--key', 'key.pem',
            '--scope', scope, ...hubs.flatMap((hub) => ['--hub', hub]), '--store', 'memory:', '--policy-file', 'policies.json',
            '--secret-file', 'secret', '--port-file', 'port', '--log', 'json'], service.log);
        const written = () => fs.existsSync(file('port')) && fs.readFileSync(file('port'), 'utf8').endsWith('\n');
        await until(written, `dps-service ready; it said: ${service.logText()}`);
        service.address = { port: Number(fs.readFileSync(file('port'), 'utf8')), ca: file('cert.pem') };
        reach(service.address);
        // Made the way that an administrator makes it. The port goes, because the SDK has no place for one.
        const connection = program('dps-admin', 'connection-string', '--policy-file', 'policies.json', '--host', 'localhost');
        service.management = ProvisioningServiceClient.fromConnectionString(connection.trim());
        return service;
    }

    logText() {
        return fs.existsSync(this.log) ? fs.readFileSync(this.log, 'utf8') : '';
    }

    // The lines of the log about one registration ID.
    logOf(id) {
        return this.logText().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
            .filter((line) => line.id === id);
    }

    // Step 2, with the endorsement key that our own tool has read from the TPM.
    async enroll(id, tpm, more = {}) {
        const attestation = { type: 'tpm', tpm: { endorsementKey: tpm.endorsementKey() } };
        const answer = await this.management.createOrUpdateIndividualEnrollment({ registrationId: id, attestation, ...more });
        return answer.responseBody;
    }
}

// A TPM as it leaves the factory.
class SoftTpm {
    static async start() {
        const tpm = new SoftTpm();
        const state = fs.mkdtempSync(path.join(directory, 'tpm-'));
        tpm.socket = path.join(state, 's');
        start('swtpm', ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--server', `type=unixio,path=${tpm.socket}`,
            '--flags', 'not-need-init,startup-clear']);
        await until(() => fs.existsSync(tpm.socket), 'swtpm ready (is it installed?)');
        return tpm;
    }

    tool(...args) {
        return program('dps-device', '--tpm', `swtpm:${this.socket}`, '--quiet', ...args).trim();
    }

    // The one that the SDK will derive; a TPM out of the factory holds none yet.
    endorsementKey() {
        return this.tool('ek', '--ek-template', 'azure-sdk', '--format', 'base64');
    }
}

// One run of the SDK on a device, as a process: it may die of an exception, and a power cycle forgets what it knew.
// Gives {registrationId, result} or {error: {name, message}}.
function device(service, tpm, options = {}) {
    const config = { ...service.address, scope, socket: tpm.socket, ...options };
    const child = spawn(process.execPath, [path.join(__dirname, 'device.js'), JSON.stringify(config)]);
    processes.push(child);
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    return new Promise((resolve) => {
        child.on('close', (code) => resolve(code === 0 ? JSON.parse(out) : { error: { name: 'died', message: err } }));
    });
}

module.exports = { Service, SoftTpm, device, scope, hubs };
