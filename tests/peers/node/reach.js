// SPDX-License-Identifier: MIT
'use strict';
// The SDK connects to port 443 of the name that it was given, and with MQTT to 8883. Here each name is this machine, at
// the service's ports, with the service's certificate. For https these are Node's own settings; for tls, which MQTT and
// WebSocket use and which has none, its connect is told of another port. The SDK stays as it is.
const fs = require('fs');
const https = require('https');
const tls = require('tls');

function here(name, options, done) {
    return options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4);
}

function reach({ port, mqttPort, ca }) {
    const agent = https.globalAgent;
    agent.defaultPort = port;
    agent.options.ca = fs.readFileSync(ca);
    agent.options.lookup = here;
    const { connect } = tls;
    const moved = { 443: port, 8883: mqttPort };
    tls.connect = (options, ...rest) => {
        const at = { port: moved[options.port], ca: agent.options.ca, lookup: here };
        return connect(options.port in moved ? { ...options, ...at } : options, ...rest);
    };
}

module.exports = { reach };
