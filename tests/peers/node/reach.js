// SPDX-License-Identifier: MIT
'use strict';
// The SDK connects to port 443 of the name that it was given, with MQTT to 8883, and with AMQP to 5671. Here each name is this machine, at
// the service's ports, with the service's certificate. For https these are Node's own settings; for tls, which has none,
// its connect is told of another port. The SDK stays as it is.
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
    const ports = { 8883: mqttPort, 5671: amqpPort };
    const moved = (port, options) => ({ ...options, port: ports[port], ca: agent.options.ca, lookup: here });
    tls.connect = (...args) => {
        const [port, host, options, ...rest] = args;
        if (typeof port === 'object') {
            const { 0: all, ...others } = args;
            return connect(ports[all.port] ? moved(all.port, all) : all, ...Object.values(others));
        }
        return ports[port] ? connect(moved(port, { ...options, host }), ...rest) : connect(...args);
    };
}

module.exports = { reach };
