// SPDX-License-Identifier: MIT
'use strict';
// A device with Microsoft's SDK that registers once. Its argument is JSON: port, ca, scope, socket (of swtpm) and, if
// wanted, id, payload, forge (its TPM signs wrongly), road (Amqp, AmqpWs; Http if not given). It prints what came of it
// as JSON.
const { Tpm } = require('tss.js');
const { TpmSecurityClient } = require('azure-iot-security-tpm');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { Amqp, AmqpWs } = require('azure-iot-provisioning-device-amqp');
const { SwtpmDevice } = require('./swtpm-device');
const { reach } = require('./reach');

const TPM_CC_HMAC = 0x155;

class ForgingDevice extends SwtpmDevice {
    dispatchCommand(command, done) {
        super.dispatchCommand(command, (error, response) => {
            if (command.readUInt32BE(6) === TPM_CC_HMAC) {
                response[16] ^= 1; // after the header, parameterSize and the digest's size
            }
            done(error, response);
        });
    }
}

async function main(config) {
    reach(config);
    const tpm = new Tpm(false);
    tpm.device = new (config.forge ? ForgingDevice : SwtpmDevice)({ path: config.socket });
    const security = new TpmSecurityClient(config.id, tpm);
    const transport = new { Http, Amqp, AmqpWs }[config.road || 'Http']();
    const client = ProvisioningDeviceClient.create('localhost', config.scope, transport, security);
    if (config.payload) {
        client.setProvisioningPayload(config.payload);
    }
    try {
        const result = await client.register();
        return { registrationId: await registrationId(security), result };
    } catch (error) {
        const { name, message, condition } = error; // the last, of AMQP
        return { error: { name, message, condition } };
    } finally {
        tpm.close();
    }
}

function registrationId(security) {
    return new Promise((resolve, reject) => {
        security.getRegistrationId((error, id) => (error ? reject(error) : resolve(id)));
    });
}

main(JSON.parse(process.argv[2])).then((outcome) => {
    console.log(JSON.stringify(outcome));
    process.exit(0); // connections that are kept alive would hold it
});
