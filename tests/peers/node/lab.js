// SPDX-License-Identifier: MIT
'use strict';
// What a test needs around the SDK: a dps-service, software TPMs, and devices in processes of their own.
const { execFileSync, spawn } = require('child_process');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { reach } = require('./reach');

const build = path.resolve(process.env.BUILD || 'build');
const PATIENCE = 120000; // ms for a program to start

const scope = '0ne00000A0A';
const hubs = ['hub-a.example', 'hub-b.example'];

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tpm-dps-peers-'));
const processes = [];
process.on('SIGINT', () => process.exit(1));
process.on('SIGTERM', () => process.exit(1));
process.on('exit', () => {
    processes.forEach((child) => child.kill());
    fs.rmSync(directory, { recursive: true, force: true });
});

function run(name, ...args) {
    const stdio = ['ignore', 'pipe', 'pipe'];
    return execFileSync(path.join(build, name), args, { encoding: 'utf8', cwd: directory, stdio });
}

function start(command, args, log) {
    const output = log ? fs.openSync(log, 'w') : 'ignore';
    const child = spawn(command, args, { cwd: directory, stdio: ['ignore', 'ignore', output] });
    processes.push(child);
    return child;
}

// Waits until the condition holds; if it never does, complaint() says why that may be.
async function until(condition, complaint) {
    const deadline = Date.now() + PATIENCE;
    while (!(await condition())) {
        if (Date.now() > deadline) {
            throw new Error(complaint());
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

// Whether somebody takes connections there: a socket exists a moment before it does.
function listens(socket) {
    return new Promise((resolve) => {
        const probe = net.connect(socket, () => resolve(true));
        probe.on('error', () => resolve(false));
        probe.on('connect', () => probe.destroy());
    });
}

// The service's certificate for all of its names, into the directory.
function makeCertificate() {
    const names = ['localhost', ...hubs].map((name) => `DNS:${name}`).join(',');
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const subject = ['-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`];
    const files = ['-keyout', 'key.pem', '-out', 'cert.pem'];
    execFileSync('openssl', ['req', ...kind, ...subject, ...files], { cwd: directory, stdio: 'ignore' });
}

// A fresh dps-service: device and management API, and both hubs. One for each process.
class Service {
    static async start(...more) {
        const service = new Service();
        const file = (name) => path.join(directory, name);
        makeCertificate();
        service.log = file('service.log');
        const any = '127.0.0.1:0';
        const network = ['--listen', any, '--hub-mqtt', any, '--amqp', any, '--websocket'];
        const certificate = ['--cert', 'cert.pem', '--key', 'key.pem'];
        const files = ['--store', 'memory:', '--policy-file', 'policies.json', '--secret-file', 'secret'];
        const names = ['--scope', scope, ...hubs.flatMap((hub) => ['--hub', hub])];
        const program = path.join(build, 'dps-service');
        const output = ['--port-file', 'port', '--log', 'json'];
        start(program, [...network, ...certificate, ...files, ...names, ...output, ...more], service.log);
        const ports = () => (fs.existsSync(file('port')) ? fs.readFileSync(file('port'), 'utf8') : '');
        await until(() => ports().endsWith('\n'), () => `dps-service did not start: ${service.logText()}`);
        const [port, mqttPort, amqpPort] = ports().split(/\s+/).map(Number);
        service.address = { port, mqttPort, amqpPort, ca: file('cert.pem') };
        service.network = reach(service.address);
        // Made the way that an administrator makes it. The port goes, because the SDK has no place for one.
        const policy = ['--policy-file', 'policies.json', '--host', 'localhost'];
        const connection = run('dps-admin', 'connection-string', ...policy).trim();
        fs.writeFileSync(file('connection.txt'), connection, { mode: 0o600 });
        service.management = ProvisioningServiceClient.fromConnectionString(connection);
        return service;
    }

    logText() {
        return fs.existsSync(this.log) ? fs.readFileSync(this.log, 'utf8') : '';
    }

    // The lines of the log about one registration ID.
    logOf(id) {
        const lines = this.logText().split('\n').filter((line) => line.startsWith('{'));
        return lines.map((line) => JSON.parse(line)).filter((line) => line.id === id);
    }

    // Puts a message for a device into its queue.
    message(id, text, ...options) {
        const where = ['--connection-string-file', 'connection.txt', '--ca', 'cert.pem'];
        const to = ['--connect-to', `localhost:${this.address.port}`];
        run('dps-admin', ...where, ...to, 'message', id, text, ...options);
    }

    // Step 2, with the endorsement key that our own tool has read from the TPM.
    async enroll(id, tpm, more = {}) {
        const attestation = { type: 'tpm', tpm: { endorsementKey: tpm.endorsementKey() } };
        await this.management.createOrUpdateIndividualEnrollment({ registrationId: id, attestation, ...more });
    }
}

// A TPM as it leaves the factory.
class SoftTpm {
    static async start() {
        const tpm = new SoftTpm();
        const state = fs.mkdtempSync(path.join(directory, 'tpm-'));
        tpm.socket = path.join(state, 's');
        const files = ['--tpmstate', `dir=${state}`, '--server', `type=unixio,path=${tpm.socket}`];
        start('swtpm', ['socket', '--tpm2', ...files, '--flags', 'not-need-init,startup-clear']);
        await until(() => listens(tpm.socket), () => 'swtpm did not start');
        return tpm;
    }

    tool(...args) {
        return run('dps-device', '--tpm', `swtpm:${this.socket}`, '--quiet', ...args).trim();
    }

    // Step 3, which the SDK does not expect.
    own(password) {
        const file = `${this.socket}.owner`;
        fs.writeFileSync(file, password, { mode: 0o600 });
        this.tool('own', '--new-owner-auth-file', file);
    }

    // The one that the SDK will derive; a TPM out of the factory holds none yet.
    endorsementKey() {
        return this.tool('ek', '--ek-template', 'azure-sdk', '--format', 'base64');
    }
}

// One run of the SDK on a device, as a process: it may die of an exception, and a power cycle forgets what it knew.
// Gives {registrationId, result} or {error: {name, message, condition}}; its process is child.
function device(service, tpm, options = {}) {
    const config = { ...service.address, scope, socket: tpm.socket, ...options };
    const child = spawn(process.execPath, [path.join(__dirname, 'device.js'), JSON.stringify(config)]);
    processes.push(child);
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    const outcome = new Promise((resolve) => {
        const died = () => ({ error: { name: 'died', message: err } });
        child.on('close', (code) => resolve(code === 0 ? JSON.parse(out) : died()));
    });
    return Object.assign(outcome, { child });
}

// A service, and a device of this name that has registered with it.
async function registered(id) {
    const service = await Service.start();
    const tpm = await SoftTpm.start();
    await service.enroll(id, tpm);
    const outcome = await device(service, tpm, { id });
    return { service, tpm, hub: outcome.result.registrationState.assignedHub };
}

module.exports = { Service, SoftTpm, device, registered, until, scope, hubs };
