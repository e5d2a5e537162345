/* One RADIUS packet as the generators write and read it, and the fobs of their people.
 *
 * It sends nothing and remembers nothing; both generators include it, so that they speak the same way.
 * RFC 2865 3, 5.2 (User-Password, Response Authenticator), RFC 3579 3.2 (Message-Authenticator), RFC 4226 (the codes).
 */
#ifndef BENCH_RADIUS_H
#define BENCH_RADIUS_H

#include <stdbool.h>
#include <stdlib.h>

#include "digest.h"

enum { ACCESS_REQUEST = 1, ACCESS_ACCEPT = 2, ACCESS_REJECT = 3, ACCESS_CHALLENGE = 11 };
enum { USER_NAME = 1, USER_PASSWORD = 2, NAS_IP_ADDRESS = 4, NAS_PORT = 5, STATE = 24, NAS_IDENTIFIER = 32, MESSAGE_AUTHENTICATOR = 80 };
enum { HEADER = 20 };

/* A shared secret, as far as it can be worked out beforehand. */
struct secret {
    const char *text;
    struct hmac_key signing;
    struct digest hiding;
};

static inline void prepare_secret(struct secret *secret, const char *text) {
    secret->text = text;
    hmac_prepare(&secret->signing, md5_start, (const uint8_t *)text, strlen(text));
    md5_start(&secret->hiding);
    digest_add(&secret->hiding, text, strlen(text));
}

/* User INDEX has the seed SHA-1("bench" || INDEX in 8 octets). */
static inline void seed_of(uint64_t index, uint8_t seed[SHA1_SIZE]) {
    uint8_t text[13] = "bench";
    struct digest d;
    put_big(text + 5, (uint32_t)(index >> 32)), put_big(text + 9, (uint32_t)index);
    sha1_start(&d);
    digest_add(&d, text, sizeof text);
    digest_end(&d, seed);
}

static inline void code_of(uint64_t index, uint64_t counter, char code[7]) {
    uint8_t seed[SHA1_SIZE];
    seed_of(index, seed);
    hotp(seed, sizeof seed, counter, code);
}

static inline int put(uint8_t *packet, int at, uint8_t type, const void *value, size_t size) {
    packet[at] = type, packet[at + 1] = (uint8_t)(size + 2);
    memcpy(packet + at + 2, value, size);
    return at + 2 + (int)size;
}

/* RFC 2865 5.2, for a password of up to 16 octets. */
static inline int put_password(const struct secret *secret, uint8_t *packet, int at, const char *password) {
    uint8_t hidden[16] = {0}, sum[MD5_SIZE];
    struct digest d = secret->hiding;
    digest_add(&d, packet + 4, 16);
    digest_end(&d, sum);
    memcpy(hidden, password, strlen(password));
    for (int i = 0; i < 16; i++) hidden[i] ^= sum[i];
    return put(packet, at, USER_PASSWORD, hidden, sizeof hidden);
}

static inline void sign(const struct secret *secret, const uint8_t *packet, int length, uint8_t *where) {
    struct digest d = secret->signing.inner;
    memset(where, 0, MD5_SIZE);
    digest_add(&d, packet, (size_t)length);
    hmac_end(&secret->signing, &d, MD5_SIZE, where);
}

/* The last attribute and the length: what every request ends with. */
static inline int put_signature(const struct secret *secret, uint8_t *packet, int at) {
    static const uint8_t zeros[MD5_SIZE];
    int mark = at + 2;
    at = put(packet, at, MESSAGE_AUTHENTICATOR, zeros, sizeof zeros);
    packet[2] = (uint8_t)(at >> 8), packet[3] = (uint8_t)at;
    sign(secret, packet, at, packet + mark);
    return at;
}

/* Whether this reply answers the request with that authenticator: both sums, every attribute inside the packet. */
static inline bool is_reply(const struct secret *secret, const uint8_t asked[16], uint8_t *reply, int length, bool must_be_signed) {
    uint8_t claimed[MD5_SIZE], sum[MD5_SIZE], *mark = NULL;
    if (length < HEADER || (reply[2] << 8 | reply[3]) != length) return false;
    memcpy(claimed, reply + 4, MD5_SIZE);
    memcpy(reply + 4, asked, MD5_SIZE);
    struct digest d;
    md5_start(&d);
    digest_add(&d, reply, (size_t)length);
    digest_add(&d, secret->text, strlen(secret->text));
    digest_end(&d, sum);
    if (memcmp(sum, claimed, MD5_SIZE)) return false;
    for (int at = HEADER; at < length; at += reply[at + 1]) {
        if (at + 2 > length || reply[at + 1] < 2 || at + reply[at + 1] > length) return false;
        if (reply[at] == MESSAGE_AUTHENTICATOR && reply[at + 1] == 2 + MD5_SIZE) mark = reply + at + 2;
    }
    if (!mark) return !must_be_signed;
    memcpy(claimed, mark, MD5_SIZE);
    sign(secret, reply, length, mark);
    return !memcmp(mark, claimed, MD5_SIZE);
}

#endif
