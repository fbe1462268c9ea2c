// SPDX-License-Identifier: MIT
'use strict';
// The SDK connects to port 443 of the name that it was given, with MQTT to 8883, and with AMQP to 5671. Here each name
// is this machine, at the service's ports, with the service's certificate. For https these are Node's own settings; for
// tls, which has none, and which WebSocket uses as well, its connect is told of another port. The SDK stays as it is.
const fs = require('fs');
const https = require('https');
const tls = require('tls');

function here(name, options, done) {
    return options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4);
}

function reach({ port, mqttPort, amqpPort, ca }) {
    const agent = https.globalAgent;
    agent.defaultPort = port;
    agent.options.ca = fs.readFileSync(ca);
    agent.options.lookup = here;
    const { connect } = tls;
    const ports = { 443: port, 8883: mqttPort, 5671: amqpPort };
    const open = new Set();
    tls.connect = (...args) => {
        // connect(options, ...), or connect(port, host, options, ...)
        const whole = typeof args[0] === 'object';
        const options = whole ? args[0] : { ...args[2], port: args[0], host: args[1] };
        const at = ports[options.port];
        const moved = { ...options, port: at, ca: agent.options.ca, lookup: here };
        if (!at) {
            return connect(...args);
        }
        const socket = connect(moved, ...args.slice(whole ? 1 : 3));
        open.add(socket);
        socket.on('close', () => open.delete(socket));
        return socket;
    };
    return {
        // What is written to the connections of now gets lost.
        mute: () => open.forEach((socket) => {
            socket.write = (...rest) => {
                const done = rest.pop();
                return typeof done === 'function' ? (process.nextTick(done), true) : true;
            };
        }),
        // And so do the connections.
        cut: () => open.forEach((socket) => socket.destroy()),
    };
}

module.exports = { reach };
