// SPDX-License-Identifier: MIT
'use strict';
// Tests one after the other, told in TAP. node:test speaks TAP only to some outputs in some versions.
const tests = [];
const PATIENCE = 300000; // ms; the SDK does not call back at all after some errors

function test(name, body) {
    tests.push({ name, body });
    if (tests.length === 1) {
        setImmediate(run);
    }
}

async function run() {
    console.log(`1..${tests.length}`);
    let failed = 0;
    for (const [index, { name, body }] of tests.entries()) {
        try {
            await inTime(body());
            console.log(`ok ${index + 1} - ${name}`);
        } catch (error) {
            failed++;
            console.log(`not ok ${index + 1} - ${name}`);
            console.log(String((error && error.stack) || error).replace(/^/gm, '# '));
        }
    }
    // Not only exitCode: a TpmAuthenticationProvider that was not stopped holds the process for 45 minutes.
    process.exit(failed ? 1 : 0);
}

function inTime(promise) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`nothing happened for ${PATIENCE} ms`)), PATIENCE);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

module.exports = { test };
