/* The four sums that a RADIUS load needs: MD5, SHA-1, HMAC over either, and HOTP on top.
 *
 * Written out here so that the generator needs nothing but libc; never used by the daemon, never meant to be constant-time.
 * RFC 1321 (MD5), RFC 3174 (SHA-1), RFC 2104 (HMAC), RFC 4226 5.3 (HOTP).
 */
#ifndef BENCH_DIGEST_H
#define BENCH_DIGEST_H

#include <stdint.h>
#include <string.h>

enum { BLOCK = 64, MD5_SIZE = 16, SHA1_SIZE = 20 };

struct digest {
    uint32_t words[5];
    uint64_t length;
    uint8_t rest[BLOCK];
    void (*compress)(uint32_t *words, const uint8_t *block);
};

static inline uint32_t rotate(uint32_t x, int n) { return (x << n) | (x >> (32 - n)); }

static inline uint32_t little(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint32_t big(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline void put_big(uint8_t *p, uint32_t x) {
    p[0] = (uint8_t)(x >> 24), p[1] = (uint8_t)(x >> 16), p[2] = (uint8_t)(x >> 8), p[3] = (uint8_t)x;
}

static inline void put_little(uint8_t *p, uint32_t x) {
    p[0] = (uint8_t)x, p[1] = (uint8_t)(x >> 8), p[2] = (uint8_t)(x >> 16), p[3] = (uint8_t)(x >> 24);
}

/* RFC 1321 3.4: T[i] = floor(2^32 * abs(sin(i))). */
static const uint32_t MD5_T[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

#define MD5_STEP(f, a, b, c, d, k, s, i) (a) = (b) + rotate((a) + (f) + x[k] + MD5_T[i], s)
#define MD5_F(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define MD5_G(b, c, d) ((c) ^ ((d) & ((b) ^ (c))))
#define MD5_H(b, c, d) ((b) ^ (c) ^ (d))
#define MD5_I(b, c, d) ((c) ^ ((b) | ~(d)))
#define MD5_ROUND(F, first, k0, dk, s0, s1, s2, s3)                                       \
    for (int i = 0; i < 16; i += 4) {                                                     \
        MD5_STEP(F(b, c, d), a, b, c, d, (k0 + dk * i) & 15, s0, first + i);              \
        MD5_STEP(F(a, b, c), d, a, b, c, (k0 + dk * (i + 1)) & 15, s1, first + i + 1);    \
        MD5_STEP(F(d, a, b), c, d, a, b, (k0 + dk * (i + 2)) & 15, s2, first + i + 2);    \
        MD5_STEP(F(c, d, a), b, c, d, a, (k0 + dk * (i + 3)) & 15, s3, first + i + 3);    \
    }

static void md5_compress(uint32_t *words, const uint8_t *block) {
    uint32_t x[16], a = words[0], b = words[1], c = words[2], d = words[3];
    for (int i = 0; i < 16; i++) x[i] = little(block + 4 * i);
    MD5_ROUND(MD5_F, 0, 0, 1, 7, 12, 17, 22)
    MD5_ROUND(MD5_G, 16, 1, 5, 5, 9, 14, 20)
    MD5_ROUND(MD5_H, 32, 5, 3, 4, 11, 16, 23)
    MD5_ROUND(MD5_I, 48, 0, 7, 6, 10, 15, 21)
    words[0] += a, words[1] += b, words[2] += c, words[3] += d;
}

static void sha1_compress(uint32_t *words, const uint8_t *block) {
    uint32_t w[80], a = words[0], b = words[1], c = words[2], d = words[3], e = words[4];
    for (int i = 0; i < 16; i++) w[i] = big(block + 4 * i);
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
#define SHA1_ROUND(from, to, f, k)                              \
    for (int i = from; i < to; i++) {                           \
        uint32_t next = rotate(a, 5) + (f) + e + w[i] + (k);    \
        e = d, d = c, c = rotate(b, 30), b = a, a = next;       \
    }
    SHA1_ROUND(0, 20, (b & c) | (~b & d), 0x5a827999)
    SHA1_ROUND(20, 40, b ^ c ^ d, 0x6ed9eba1)
    SHA1_ROUND(40, 60, (b & c) | (b & d) | (c & d), 0x8f1bbcdc)
    SHA1_ROUND(60, 80, b ^ c ^ d, 0xca62c1d6)
    words[0] += a, words[1] += b, words[2] += c, words[3] += d, words[4] += e;
}

static inline void md5_start(struct digest *d) {
    static const uint32_t first[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0};
    memcpy(d->words, first, sizeof first);
    d->length = 0, d->compress = md5_compress;
}

static inline void sha1_start(struct digest *d) {
    static const uint32_t first[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(d->words, first, sizeof first);
    d->length = 0, d->compress = sha1_compress;
}

static inline void digest_add(struct digest *d, const void *data, size_t size) {
    const uint8_t *p = data;
    size_t held = d->length % BLOCK, room = BLOCK - held;
    d->length += size;
    if (size < room) {
        memcpy(d->rest + held, p, size);
        return;
    }
    if (held) {
        memcpy(d->rest + held, p, room);
        d->compress(d->words, d->rest);
        p += room, size -= room;
    }
    for (; size >= BLOCK; p += BLOCK, size -= BLOCK) d->compress(d->words, p);
    memcpy(d->rest, p, size);
}

static inline void digest_end(struct digest *d, uint8_t *out) {
    size_t held = d->length % BLOCK;
    uint64_t bits = d->length * 8;
    d->rest[held++] = 0x80;
    if (held > BLOCK - 8) {
        memset(d->rest + held, 0, BLOCK - held);
        d->compress(d->words, d->rest);
        held = 0;
    }
    memset(d->rest + held, 0, BLOCK - 8 - held);
    if (d->compress == md5_compress) {
        put_little(d->rest + 56, (uint32_t)bits), put_little(d->rest + 60, (uint32_t)(bits >> 32));
        d->compress(d->words, d->rest);
        for (int i = 0; i < 4; i++) put_little(out + 4 * i, d->words[i]);
    } else {
        put_big(d->rest + 56, (uint32_t)(bits >> 32)), put_big(d->rest + 60, (uint32_t)bits);
        d->compress(d->words, d->rest);
        for (int i = 0; i < 5; i++) put_big(out + 4 * i, d->words[i]);
    }
}

/* The two pads of RFC 2104, already absorbed: a key that is used often pays for them once. */
struct hmac_key {
    struct digest inner, outer;
};

static inline void hmac_prepare(struct hmac_key *key, void (*start)(struct digest *), const uint8_t *secret, size_t size) {
    uint8_t pad[BLOCK] = {0};
    struct digest shortened;
    if (size > BLOCK) {
        start(&shortened);
        digest_add(&shortened, secret, size);
        digest_end(&shortened, pad);
    } else {
        memcpy(pad, secret, size);
    }
    for (int i = 0; i < BLOCK; i++) pad[i] ^= 0x36;
    start(&key->inner);
    digest_add(&key->inner, pad, BLOCK);
    for (int i = 0; i < BLOCK; i++) pad[i] ^= 0x36 ^ 0x5c;
    start(&key->outer);
    digest_add(&key->outer, pad, BLOCK);
}

/* `d` is a copy of key->inner that has taken in the message; `size` is the digest's own. */
static inline void hmac_end(const struct hmac_key *key, struct digest *d, size_t size, uint8_t *out) {
    uint8_t inner[SHA1_SIZE];
    struct digest outer = key->outer;
    digest_end(d, inner);
    digest_add(&outer, inner, size);
    digest_end(&outer, out);
}

/* RFC 4226 5.3: "the counter is hashed high-order byte first", then four octets at an offset that the last nibble names. */
static inline void hotp(const uint8_t *seed, size_t size, uint64_t counter, char code[7]) {
    uint8_t moving_factor[8], sum[SHA1_SIZE];
    struct hmac_key key;
    put_big(moving_factor, (uint32_t)(counter >> 32)), put_big(moving_factor + 4, (uint32_t)counter);
    hmac_prepare(&key, sha1_start, seed, size);
    struct digest d = key.inner;
    digest_add(&d, moving_factor, sizeof moving_factor);
    hmac_end(&key, &d, SHA1_SIZE, sum);
    uint32_t number = (big(sum + (sum[19] & 15)) & 0x7fffffff) % 1000000;
    for (int i = 5; i >= 0; i--, number /= 10) code[i] = (char)('0' + number % 10);
    code[6] = 0;
}

#endif
