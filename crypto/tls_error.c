/* SPDX-License-Identifier: MIT */
/* What was wrong with the peer, in words. */
#include "crypto/tls_error.h"
#include "crypto/tls_chain.h"

struct sentence {
    int error;
    char text[80]; /* not a pointer: constant data with pointers has to be relocated */
};

/* BearSSL's own errors: local ones below 32, certificates below 64, then a fatal alert received (256 + number) or
 * sent (512 + number) [RFC 5246 7.2]. Only those that an operator can meet and act upon have their own sentence. */
static const struct sentence sentences[] = {
    {BR_ERR_OK, "no TLS error"},
    {BR_ERR_BAD_PARAM, "TLS was started with an invalid setting"},
    {BR_ERR_UNSUPPORTED_VERSION, "the peer does not offer TLS 1.2"},
    {BR_ERR_BAD_VERSION, "the peer does not speak TLS, or not version 1.2"},
    {BR_ERR_TOO_LARGE, "the peer sent a record that is larger than our buffer"},
    {BR_ERR_BAD_MAC, "a record was altered on the way, or is not the peer's"},
    {BR_ERR_NO_RANDOM, "there is no entropy for TLS"},
    {BR_ERR_UNKNOWN_TYPE, "the peer does not speak TLS"},
    {BR_ERR_UNEXPECTED, "the peer sent a TLS message out of order"},
    {BR_ERR_BAD_CIPHER_SUITE, "the peer chose a cipher suite that was not offered"},
    {BR_ERR_BAD_FINISHED, "the handshake was altered on the way"},
    {BR_ERR_RESUME_MISMATCH, "the server resumed a session with other parameters"},
    {BR_ERR_INVALID_ALGORITHM, "the peer has no algorithm in common with us"},
    {BR_ERR_BAD_SIGNATURE, "the server's handshake signature is wrong"},
    {BR_ERR_WRONG_KEY_USAGE, "the certificate's key may not be used for TLS"},
    {BR_ERR_NO_CLIENT_AUTH, "the server demands a client certificate"},
    {BR_ERR_IO, "the connection was closed before TLS was finished"},
    {BR_ERR_X509_EMPTY_CHAIN, "the server sent no certificate"},
    {BR_ERR_X509_UNSUPPORTED, "the certificate uses an algorithm that is not supported"},
    {BR_ERR_X509_WRONG_KEY_TYPE, "the certificate's key does not fit the cipher suite"},
    {BR_ERR_X509_BAD_SIGNATURE, "a signature in the certificate chain is wrong"},
    {BR_ERR_X509_TIME_UNKNOWN, "the certificate cannot be checked without the time"},
    {BR_ERR_X509_EXPIRED, "the certificate is expired or not yet valid; is the clock right?"},
    {BR_ERR_X509_DN_MISMATCH, "the certificates of the chain do not follow each other"},
    {BR_ERR_X509_BAD_SERVER_NAME, "the certificate is for another host name"},
    {BR_ERR_X509_CRITICAL_EXTENSION, "the certificate has a critical extension that is not supported"},
    {BR_ERR_X509_NOT_CA, "the certificate chain contains an issuer that is not a CA"},
    {BR_ERR_X509_FORBIDDEN_KEY_USAGE, "the certificate's key usage forbids TLS"},
    {BR_ERR_X509_WEAK_PUBLIC_KEY, "the certificate's RSA key is shorter than 2048 bits"},
    {BR_ERR_X509_NOT_TRUSTED, "the certificate chain does not end at a trusted CA"},
    {CRYPTO_TLS_BAD_PURPOSE, "a certificate of the chain is not for TLS servers (extended key usage)"},
    {CRYPTO_TLS_NAME_CONSTRAINTS, "a CA of the chain has name constraints, which are not supported"},
    {CRYPTO_TLS_NO_SUBJECT_ALT_NAME, "the certificate has no subjectAltName; its CN does not count"},
    {CRYPTO_TLS_TOO_MANY_ANCHORS, "too many trusted CAs have the name of the certificate's issuer"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_BAD_RECORD_MAC, "the peer says that a record was altered on the way"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_HANDSHAKE_FAILURE, "the peer has no TLS setting in common with us"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_BAD_CERTIFICATE, "the peer refused our certificate as malformed"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_UNSUPPORTED_CERTIFICATE, "the peer does not support our certificate"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_CERTIFICATE_REVOKED, "the peer says that our certificate is revoked"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_CERTIFICATE_EXPIRED, "the peer says that our certificate is expired"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_CERTIFICATE_UNKNOWN, "the peer refused our certificate"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_UNKNOWN_CA, "the peer does not trust the CA of our certificate"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_ACCESS_DENIED, "the peer denied access"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_DECRYPT_ERROR, "the peer could not verify our handshake"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_PROTOCOL_VERSION, "the peer does not accept TLS 1.2"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_INSUFFICIENT_SECURITY, "the peer demands stronger cipher suites"},
    {BR_ERR_RECV_FATAL_ALERT + BR_ALERT_INTERNAL_ERROR, "the peer had an internal error"},
    {BR_ERR_RECV_FATAL_ALERT + 112, "the peer does not know the host name that was asked for"},
    {BR_ERR_SEND_FATAL_ALERT + BR_ALERT_HANDSHAKE_FAILURE,
     "the peer offered no cipher suite or curve that we accept"},
    {BR_ERR_SEND_FATAL_ALERT + BR_ALERT_PROTOCOL_VERSION, "the peer does not offer TLS 1.2"},
};

const char *crypto_tls_error_text(int error)
{
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        if (sentences[i].error == error) {
            return sentences[i].text;
        }
    }
    if (error >= BR_ERR_SEND_FATAL_ALERT) {
        return "TLS was refused by us with a fatal alert";
    }
    if (error >= BR_ERR_RECV_FATAL_ALERT) {
        return "TLS was refused by the peer with a fatal alert";
    }
    if (error >= BR_ERR_X509_OK) {
        return "the certificate is malformed";
    }
    return "the peer violated the TLS protocol";
}
