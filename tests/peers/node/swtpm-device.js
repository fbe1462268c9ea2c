// SPDX-License-Identifier: MIT
'use strict';
// A TPM for tss.js that is reached over swtpm's socket: commands and responses as they are, one at a time. (tss.js
// itself knows /dev/tpm0, /dev/tpmrm0 and the protocol of Microsoft's simulator, which swtpm does not speak.)
const net = require('net');

class SwtpmDevice {
    // where: what net.connect takes, such as {path: '/run/tpm.sock'} or {port: 2321, host: '127.0.0.1'}
    constructor(where) {
        this.where = where;
    }

    // tss.js wants null at once, and the outcome later.
    connect(done) {
        this.socket = net.connect(this.where);
        this.socket.once('connect', () => done(null));
        // TpmSecurityClient does not look at errors of a connection, so that it would wait for ever.
        this.socket.on('error', (error) => {
            throw error;
        });
        return null;
    }

    dispatchCommand(command, done) {
        let response = Buffer.alloc(0);
        const more = (data) => {
            response = Buffer.concat([response, data]);
            // TPM_ST (2 bytes), then the size of the whole response.
            if (response.length >= 10 && response.length >= response.readUInt32BE(2)) {
                this.socket.off('data', more);
                done(null, response);
            }
        };
        this.socket.on('data', more);
        this.socket.write(command);
    }

    close() {
        this.socket.destroy();
    }
}

module.exports = { SwtpmDevice };
