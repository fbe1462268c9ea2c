/* SPDX-License-Identifier: MIT */
/* Certificates and keys for the TLS tests, as PEM text, valid from 22 November 2026 to October 2126.
 * Test keys: worthless anywhere else. Made with OpenSSL 3.0 by these commands:
 *
 *   openssl ecparam -name prime256v1 -genkey -noout -out ca.key
 *   openssl req -x509 -new -key ca.key -sha256 -days 36500 -subj "/CN=tpm-dps test CA" \
 *       -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" -out ca.pem
 *   openssl ecparam -name prime256v1 -genkey -noout -out other.key
 *   openssl req -x509 -new -key other.key -sha256 -days 36500 -subj "/CN=another test CA" -out other.pem
 *
 *   openssl ecparam -name prime256v1 -genkey -noout -out ec.key
 *   openssl req -new -key ec.key -subj "/CN=dps.example" -out ec.csr
 *   printf 'subjectAltName=DNS:dps.example,DNS:*.fleet.example,DNS:192.0.2.7\n' > ec.ext
 *   printf 'keyUsage=critical,digitalSignature\n' >> ec.ext
 *   openssl x509 -req -in ec.csr -CA ca.pem -CAkey ca.key -set_serial 2 -sha256 -days 36500 \
 *       -extfile ec.ext -out ec.pem
 *   openssl ec -in ec.key -out ec_sec1.key
 *   openssl pkcs8 -topk8 -nocrypt -in ec.key -out ec_pkcs8.key
 *   openssl pkcs8 -topk8 -v2 aes-128-cbc -passout pass:test -in ec.key -out ec_enc.key
 *
 *   openssl genrsa -out rsa.key 2048
 *   openssl req -new -key rsa.key -subj "/CN=rsa.example" -out rsa.csr
 *   printf 'subjectAltName=DNS:rsa.example,IP:192.0.2.7\nkeyUsage=critical,digitalSignature\n' > rsa.ext
 *   openssl x509 -req -in rsa.csr -CA ca.pem -CAkey ca.key -set_serial 3 -sha256 -days 36500 \
 *       -extfile rsa.ext -out rsa.pem
 *   openssl rsa -in rsa.key -traditional -out rsa_pkcs1.key
 *
 *   openssl genpkey -algorithm ED25519 -out ed.key
 *   openssl req -x509 -new -key ed.key -days 36500 -subj "/CN=ed25519.example" -out ed.pem
 *   openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp521r1 -out p521.key
 */
#include "tests/vectors/tls_pem.h"

const char vector_tls_ca[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBnDCCAUGgAwIBAgIULoC1AKOo3NE7Wc311jpVj6RJOOAwCgYIKoZIzj0EAwIw\n"
                             "GjEYMBYGA1UEAwwPdHBtLWRwcyB0ZXN0IENBMCAXDTI2MTEyMjAyMzAxMFoYDzIx\n"
                             "MjYxMDI5MDIzMDEwWjAaMRgwFgYDVQQDDA90cG0tZHBzIHRlc3QgQ0EwWTATBgcq\n"
                             "hkjOPQIBBggqhkjOPQMBBwNCAATgm1Ml0hV8rnqRT106mcKiGBhlJ/sPSXAAcM+k\n"
                             "/CnbHZzsKQm9SytUP5GJFya0EGBuLS0px4otg5jP2alk/5gto2MwYTAdBgNVHQ4E\n"
                             "FgQUJLJuKbA5+mE1Ahiu2faPDSmO7R4wHwYDVR0jBBgwFoAUJLJuKbA5+mE1Ahiu\n"
                             "2faPDSmO7R4wDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAgQwCgYIKoZI\n"
                             "zj0EAwIDSQAwRgIhAPXk9qidBy5a2Ua2ybARatznCWyjrwoGkrC8gDR18uWXAiEA\n"
                             "nrP3jFycH1uhfs+lCN5s/q1lwTh03hRmYg4JYL/pBt0=\n"
                             "-----END CERTIFICATE-----\n";

const char vector_tls_other_ca[] = "-----BEGIN CERTIFICATE-----\n"
                                   "MIIBizCCATGgAwIBAgIUUTi2lZ5iFXXgaptoZjslVkD3aa8wCgYIKoZIzj0EAwIw\n"
                                   "GjEYMBYGA1UEAwwPYW5vdGhlciB0ZXN0IENBMCAXDTI2MTEyMjAyMzAxMFoYDzIx\n"
                                   "MjYxMDI5MDIzMDEwWjAaMRgwFgYDVQQDDA9hbm90aGVyIHRlc3QgQ0EwWTATBgcq\n"
                                   "hkjOPQIBBggqhkjOPQMBBwNCAARRxGi0sOJgv8wzxQ/Ps7dykELLEBDiWuOWD8Sg\n"
                                   "oxC9F1q1PsX3EeI/C+Gv/WiI7y4X+sctXHsKA9zT6R/Uso/Fo1MwUTAdBgNVHQ4E\n"
                                   "FgQU64/V/c6ehBYYfVfywWuITOgNs8QwHwYDVR0jBBgwFoAU64/V/c6ehBYYfVfy\n"
                                   "wWuITOgNs8QwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAqITl\n"
                                   "1xIxITmlOxXjtsfHJh9t5YopYRuDISv0CIu4q6UCIEd/ayt8Czzw/TfOz+tIc79W\n"
                                   "1JS+YjgCwH0eKXnQHSEX\n"
                                   "-----END CERTIFICATE-----\n";

const char vector_tls_ec_leaf[] = "-----BEGIN CERTIFICATE-----\n"
                                  "MIIBqTCCAU+gAwIBAgIBAjAKBggqhkjOPQQDAjAaMRgwFgYDVQQDDA90cG0tZHBz\n"
                                  "IHRlc3QgQ0EwIBcNMjYxMTIyMDIzMDEwWhgPMjEyNjEwMjkwMjMwMTBaMBYxFDAS\n"
                                  "BgNVBAMMC2Rwcy5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEk0Kw\n"
                                  "1jhz2pJQW5Ba16SwUFB1s4mYtokYFJ8r8Qdy5AvLPkN8+y6kSdMii8fL4MhkHLbL\n"
                                  "+KnAkSamQAyVvToNSaOBhzCBhDAyBgNVHREEKzApggtkcHMuZXhhbXBsZYIPKi5m\n"
                                  "bGVldC5leGFtcGxlggkxOTIuMC4yLjcwDgYDVR0PAQH/BAQDAgeAMB0GA1UdDgQW\n"
                                  "BBSh1MVT/yKvMLTsMe5kYRyaEc3DPTAfBgNVHSMEGDAWgBQksm4psDn6YTUCGK7Z\n"
                                  "9o8NKY7tHjAKBggqhkjOPQQDAgNIADBFAiEAoxFipDB5w7ZXdzjo3kKWf7sAAfr3\n"
                                  "Oid+kLv4J3TNONYCIAPyDOg4g56+THIem7Q/1DsXlg/9QUNHrhjRvQ/3Xdjh\n"
                                  "-----END CERTIFICATE-----\n";

const char vector_tls_ec_key_sec1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                      "MHcCAQEEIOQomRRB2mqkHJFJYr+sJiVcId3qr9r+fn6jQIHjl0XsoAoGCCqGSM49\n"
                                      "AwEHoUQDQgAEk0Kw1jhz2pJQW5Ba16SwUFB1s4mYtokYFJ8r8Qdy5AvLPkN8+y6k\n"
                                      "SdMii8fL4MhkHLbL+KnAkSamQAyVvToNSQ==\n"
                                      "-----END EC PRIVATE KEY-----\n";

const char vector_tls_ec_key_pkcs8[] = "-----BEGIN PRIVATE KEY-----\n"
                                       "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5CiZFEHaaqQckUli\n"
                                       "v6wmJVwh3eqv2v5+fqNAgeOXReyhRANCAASTQrDWOHPaklBbkFrXpLBQUHWziZi2\n"
                                       "iRgUnyvxB3LkC8s+Q3z7LqRJ0yKLx8vgyGQctsv4qcCRJqZADJW9Og1J\n"
                                       "-----END PRIVATE KEY-----\n";

const char vector_tls_ec_key_encrypted[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiujaUT3TXYhgICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEKTno1o0ot3U7540yidCSFQEgZDX\n"
    "NU33PfiX4+8dmW1yYGf2O7SvSq+1D3tGB7maacn11mNnjc1inIel4WLdqqroO3sU\n"
    "OvPTsHvv2JHXPpMiVSVoSCvrClmn/TNN7lmMsQ7B2eRJZVEC4dj1foYkcxjovjhX\n"
    "L/RFa8DTrL9KVJ7n9SQgaHO8/958fos9602iuXVTePCu5nYwahS+cb59fkSjETs=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

const char vector_tls_rsa_leaf[] = "-----BEGIN CERTIFICATE-----\n"
                                   "MIICXDCCAgKgAwIBAgIBAzAKBggqhkjOPQQDAjAaMRgwFgYDVQQDDA90cG0tZHBz\n"
                                   "IHRlc3QgQ0EwIBcNMjYxMTIyMDIzMDEwWhgPMjEyNjEwMjkwMjMwMTBaMBYxFDAS\n"
                                   "BgNVBAMMC3JzYS5leGFtcGxlMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\n"
                                   "AQEAxfgOe9+2KGd3mEPXSMg7rDVpGzztbOCIjeR8gU7OP1brDw8Dq5wTSERsfYg4\n"
                                   "a9zde9CNfn09ddPk3lYw4pWZvlv+0gIEcp6Hq1Qc8wjyhq6LML1GTkcKm8BxDTTz\n"
                                   "i/Y+BmVbNnGlNUU1X97wBo7X/QP+e9vRx+yjgvdxqnNgDEDHzopo4fYfi1ort6Jb\n"
                                   "1jZZI84NOI4zS5YsqesNlV77D4WVJWCrgG1rN+OXiKB4e9boemIQ0jmpsuNyrO9G\n"
                                   "bQSO1EASEs6RjDnpInhpKZebofyG5XV30CudgrJsspr3JjaWgLCPupm3eoLfiSC9\n"
                                   "Gid1dpqS1RIhdZL40LK2UhwTUQIDAQABo3AwbjAcBgNVHREEFTATggtyc2EuZXhh\n"
                                   "bXBsZYcEwAACBzAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFJvV+Sqje338hXyC\n"
                                   "0Zaij1phsng9MB8GA1UdIwQYMBaAFCSybimwOfphNQIYrtn2jw0pju0eMAoGCCqG\n"
                                   "SM49BAMCA0gAMEUCIAMQrXcwkiNMhywWNyI3OBuKKKmFHvr4hBU+kBfRsuv/AiEA\n"
                                   "9AMG4hofGmIGqTbYU3LAxEetwnYFyd1WYhzxYLpO7wU=\n"
                                   "-----END CERTIFICATE-----\n";

const char vector_tls_rsa_key_pkcs8[] = "-----BEGIN PRIVATE KEY-----\n"
                                        "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDF+A5737YoZ3eY\n"
                                        "Q9dIyDusNWkbPO1s4IiN5HyBTs4/VusPDwOrnBNIRGx9iDhr3N170I1+fT110+Te\n"
                                        "VjDilZm+W/7SAgRynoerVBzzCPKGroswvUZORwqbwHENNPOL9j4GZVs2caU1RTVf\n"
                                        "3vAGjtf9A/5729HH7KOC93Gqc2AMQMfOimjh9h+LWiu3olvWNlkjzg04jjNLliyp\n"
                                        "6w2VXvsPhZUlYKuAbWs345eIoHh71uh6YhDSOamy43Ks70ZtBI7UQBISzpGMOeki\n"
                                        "eGkpl5uh/IbldXfQK52CsmyymvcmNpaAsI+6mbd6gt+JIL0aJ3V2mpLVEiF1kvjQ\n"
                                        "srZSHBNRAgMBAAECggEAS1Pk5vury1n7ZsPBoh8WnaNBGC0pxnj1XNBpE6bR0cYX\n"
                                        "8QXshpr/t0rZ4TY5CcnjuN4VSOEMxs3W00cGmOEFvCozHuPHn3l09BswXMW1ysuV\n"
                                        "iPksTFK51aP3IGhal5Id7b8ZYvEBRPDNq2of+M7Xnp2rcqOlAian3QichpgaHu7I\n"
                                        "AbaGdlcr/eV8pjxwMtMLOkm2EQew4e7aE0kEb0UDvJuoSInhrBog7NWKyd/w21i5\n"
                                        "Wn/jYHfuRGNqHJg6VDYAAr1upbdDYNJsJlWD8RAKcwFDWX9XUBoXGSct4KSSatcH\n"
                                        "eVa6+0J67bRk3CLfBLQNgWdpL4GFUVEA/qogh4/MBQKBgQDkTatVLZHO6VqrdzsM\n"
                                        "4bsfIVOIOND6B0bQovRC65KSmAHnsMItRaSCoOyOFuTV+4uvkmspOIZGd3KPVxsL\n"
                                        "Lj5Ti2Z7OFvssS3ecFqhN+vbimz3fCHQXyhASwBGmHridUXC2EwT+W2rIj2JlxeF\n"
                                        "qhSDNcJXqXPmPr4wtovZZov65wKBgQDd/E2BUJH+o3tP4bMzFJnMPlwrg5iy2XHs\n"
                                        "sUN7Byl1Ne6TwhAqNsM7MxVi/Tp2Sxmz63PPkHfzcaCjxNc1lY8CWkwhwmAScWSL\n"
                                        "TH933UM1Lx+4XUxgpLp8EwNZ/3MxVCc47+RnM9EKEvuxXitO0+tMIFVgVWx5dTQL\n"
                                        "tNDvhm4xBwKBgQCWr4z+U22BnBP0SGX5QqQ3D9AKgTWtUVA0NNnzsXi0uQ/I1KnV\n"
                                        "J7pFXeHEhufTNIwl/gYs1toJeJ1sbpmy73rDuaaSfchumSMlRhMLhdVuuhbh4lSP\n"
                                        "K79tcBNmhQ3WmoDI8eqE5IS2B4uGXOtxlaikUb9MDNQqjA8MJ/B2NXD+0QKBgQC2\n"
                                        "k2Lzrt7E/pTXWJzYsGLmd4u7Rlr7DpkCwbDsqTFR8++rm3tMHQpp0FQQvJGu5YnY\n"
                                        "TxlLaFkf4x7qU2Vl7wJWPwpK4eG+iYDWiS512YgDYCTIsAO3oQS4M7MX/GAz/DDe\n"
                                        "RYAn2ZhenspgUUFxbh8i150gxGGZa+pIjokh2AEdVQKBgEPaoVeV9n2SbZ1oinlm\n"
                                        "X5wjAkCvlBe4ip0UA+PNy8w4UFkHrxP2AmuZZpb69Pc1awmABfICCSiQN9Bk6kig\n"
                                        "I9dP+WLroAHoozN8AVZTPLXYGNS07Oi+Ql3b/TFczErK9Helm5FOLzig+RlibJHl\n"
                                        "lBjPjIc+c3rdKslFX6VXn2Yw\n"
                                        "-----END PRIVATE KEY-----\n";

const char vector_tls_rsa_key_pkcs1[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                                        "MIIEpAIBAAKCAQEAxfgOe9+2KGd3mEPXSMg7rDVpGzztbOCIjeR8gU7OP1brDw8D\n"
                                        "q5wTSERsfYg4a9zde9CNfn09ddPk3lYw4pWZvlv+0gIEcp6Hq1Qc8wjyhq6LML1G\n"
                                        "TkcKm8BxDTTzi/Y+BmVbNnGlNUU1X97wBo7X/QP+e9vRx+yjgvdxqnNgDEDHzopo\n"
                                        "4fYfi1ort6Jb1jZZI84NOI4zS5YsqesNlV77D4WVJWCrgG1rN+OXiKB4e9boemIQ\n"
                                        "0jmpsuNyrO9GbQSO1EASEs6RjDnpInhpKZebofyG5XV30CudgrJsspr3JjaWgLCP\n"
                                        "upm3eoLfiSC9Gid1dpqS1RIhdZL40LK2UhwTUQIDAQABAoIBAEtT5Ob7q8tZ+2bD\n"
                                        "waIfFp2jQRgtKcZ49VzQaROm0dHGF/EF7Iaa/7dK2eE2OQnJ47jeFUjhDMbN1tNH\n"
                                        "BpjhBbwqMx7jx595dPQbMFzFtcrLlYj5LExSudWj9yBoWpeSHe2/GWLxAUTwzatq\n"
                                        "H/jO156dq3KjpQImp90InIaYGh7uyAG2hnZXK/3lfKY8cDLTCzpJthEHsOHu2hNJ\n"
                                        "BG9FA7ybqEiJ4awaIOzVisnf8NtYuVp/42B37kRjahyYOlQ2AAK9bqW3Q2DSbCZV\n"
                                        "g/EQCnMBQ1l/V1AaFxknLeCkkmrXB3lWuvtCeu20ZNwi3wS0DYFnaS+BhVFRAP6q\n"
                                        "IIePzAUCgYEA5E2rVS2Rzulaq3c7DOG7HyFTiDjQ+gdG0KL0QuuSkpgB57DCLUWk\n"
                                        "gqDsjhbk1fuLr5JrKTiGRndyj1cbCy4+U4tmezhb7LEt3nBaoTfr24ps93wh0F8o\n"
                                        "QEsARph64nVFwthME/ltqyI9iZcXhaoUgzXCV6lz5j6+MLaL2WaL+ucCgYEA3fxN\n"
                                        "gVCR/qN7T+GzMxSZzD5cK4OYstlx7LFDewcpdTXuk8IQKjbDOzMVYv06dksZs+tz\n"
                                        "z5B383Ggo8TXNZWPAlpMIcJgEnFki0x/d91DNS8fuF1MYKS6fBMDWf9zMVQnOO/k\n"
                                        "ZzPRChL7sV4rTtPrTCBVYFVseXU0C7TQ74ZuMQcCgYEAlq+M/lNtgZwT9Ehl+UKk\n"
                                        "Nw/QCoE1rVFQNDTZ87F4tLkPyNSp1Se6RV3hxIbn0zSMJf4GLNbaCXidbG6Zsu96\n"
                                        "w7mmkn3IbpkjJUYTC4XVbroW4eJUjyu/bXATZoUN1pqAyPHqhOSEtgeLhlzrcZWo\n"
                                        "pFG/TAzUKowPDCfwdjVw/tECgYEAtpNi867exP6U11ic2LBi5neLu0Za+w6ZAsGw\n"
                                        "7KkxUfPvq5t7TB0KadBUELyRruWJ2E8ZS2hZH+Me6lNlZe8CVj8KSuHhvomA1oku\n"
                                        "ddmIA2AkyLADt6EEuDOzF/xgM/ww3kWAJ9mYXp7KYFFBcW4fItedIMRhmWvqSI6J\n"
                                        "IdgBHVUCgYBD2qFXlfZ9km2daIp5Zl+cIwJAr5QXuIqdFAPjzcvMOFBZB68T9gJr\n"
                                        "mWaW+vT3NWsJgAXyAgkokDfQZOpIoCPXT/li66AB6KMzfAFWUzy12BjUtOzovkJd\n"
                                        "2/0xXMxKyvR3pZuRTi84oPkZYmyR5ZQYz4yHPnN63SrJRV+lV59mMA==\n"
                                        "-----END RSA PRIVATE KEY-----\n";

const char vector_tls_ed25519_leaf[] = "-----BEGIN CERTIFICATE-----\n"
                                       "MIIBSjCB/aADAgECAhRFbWPzHhWRuwWreKUQPrCBb7x/LjAFBgMrZXAwGjEYMBYG\n"
                                       "A1UEAwwPZWQyNTUxOS5leGFtcGxlMCAXDTI2MTEyMjAyMzU1MloYDzIxMjYxMDI5\n"
                                       "MDIzNTUyWjAaMRgwFgYDVQQDDA9lZDI1NTE5LmV4YW1wbGUwKjAFBgMrZXADIQB+\n"
                                       "N6TZCCualiL0eO8DiUvISv+pMccQA54VBpO7gDDkAKNTMFEwHQYDVR0OBBYEFJ5B\n"
                                       "4T/0kRJ0z0wGgOsxQ4MMKonGMB8GA1UdIwQYMBaAFJ5B4T/0kRJ0z0wGgOsxQ4MM\n"
                                       "KonGMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EAo3hPwWq+jldVCjmzsP4kZQYG\n"
                                       "hGi6rLiRAj82PyRLAKDrXLAIP4sQCEn0oSGv1JeO3mXKnD59DAN0Re9USss5CQ==\n"
                                       "-----END CERTIFICATE-----\n";

const char vector_tls_p521_key[] = "-----BEGIN PRIVATE KEY-----\n"
                                   "MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBtrRaR8ndso21Bjnp\n"
                                   "UZY5i7Oh90DoK/FUHiNszCLw9rEAAo3qbTE5/pXZ6t0GhmoPmNi1zVo30l74/Q8k\n"
                                   "WLS7ZCyhgYkDgYYABACTtoPCjArrB+NMK4NuYpCoAXh4Y/8IPDu4JPZgvuejCXkm\n"
                                   "b03ydeo1+tf2Z39RvFOt2IJDN3ljG3HTWStL4pzq8wD/U1xrpVgtNDnWPIjfpvGq\n"
                                   "J+HDHWM2HbzyY0WVcN1bezhXxYvStw4P5qHsuSKHZkz41NvH8KilkdzG7uXyaWhk\n"
                                   "Vw==\n"
                                   "-----END PRIVATE KEY-----\n";
