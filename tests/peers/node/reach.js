// SPDX-License-Identifier: MIT
'use strict';
// The SDK connects to port 443 of the name that it was given. Here each name is this machine, at the service's port,
// with the service's certificate. These are Node's own settings for https, so that the SDK stays as it is.
const fs = require('fs');
const https = require('https');

function reach({ port, ca }) {
    const agent = https.globalAgent;
    agent.defaultPort = port;
    agent.options.ca = fs.readFileSync(ca);
    agent.options.lookup = (name, options, done) =>
        options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4);
}

module.exports = { reach };
