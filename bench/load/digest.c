/* SPDX-License-Identifier: Apache-2.0 */
/* What is the digest of a text, in hexadecimal? MD5 (RFC 1321) and SHA-256 (FIPS 180-4), so that no library is needed. */

#include "load.h"

#include <math.h>
#include <string.h>

#define ROTATE_LEFT(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define ROTATE_RIGHT(x, n) ((x) >> (n) | (x) << (32 - (n)))

static uint32_t md5_sines[64];

static void md5_block(uint32_t *state, const uint8_t *block)
{
    static const int turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], word[16];
    if (!md5_sines[0])
        for (int i = 0; i < 64; i++)
            md5_sines[i] = (uint32_t)(fabs(sin(i + 1)) * 4294967296.0);
    memcpy(word, block, 64);
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int which;
        if (i < 16)
            f = (b & c) | (~b & d), which = i;
        else if (i < 32)
            f = (d & b) | (~d & c), which = (5 * i + 1) & 15;
        else if (i < 48)
            f = b ^ c ^ d, which = (3 * i + 5) & 15;
        else
            f = c ^ (b | ~d), which = (7 * i) & 15;
        f += a + md5_sines[i] + word[which];
        a = d, d = c, c = b;
        b += ROTATE_LEFT(f, turns[i / 16][i % 4]);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

static const uint32_t sha_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void sha256_block(uint32_t *state, const uint8_t *block)
{
    uint32_t word[64], s[8];
    for (int i = 0; i < 16; i++)
        word[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t low = word[i - 15], high = word[i - 2];
        word[i] = word[i - 16] + word[i - 7] + (ROTATE_RIGHT(low, 7) ^ ROTATE_RIGHT(low, 18) ^ low >> 3) +
                  (ROTATE_RIGHT(high, 17) ^ ROTATE_RIGHT(high, 19) ^ high >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t one = s[7] + (ROTATE_RIGHT(s[4], 6) ^ ROTATE_RIGHT(s[4], 11) ^ ROTATE_RIGHT(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
                       sha_constants[i] + word[i];
        uint32_t two = (ROTATE_RIGHT(s[0], 2) ^ ROTATE_RIGHT(s[0], 13) ^ ROTATE_RIGHT(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

void digest_hex(bool sha256, const char *text, size_t size, char *hex)
{
    uint32_t md5[8] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    uint32_t sha[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint32_t *state = sha256 ? sha : md5;
    void (*block)(uint32_t *, const uint8_t *) = sha256 ? sha256_block : md5_block;
    uint8_t last[128] = {0};
    size_t whole = size / 64 * 64, rest = size - whole, padded = rest < 56 ? 64 : 128;
    for (size_t at = 0; at < whole; at += 64)
        block(state, (const uint8_t *)text + at);
    memcpy(last, text + whole, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)((uint64_t)size * 8 >> (8 * i));
        last[sha256 ? padded - 1 - (size_t)i : padded - 8 + (size_t)i] = byte;
    }
    for (size_t at = 0; at < padded; at += 64)
        block(state, last + at);
    for (int i = 0; i < (sha256 ? 32 : 16); i++) {
        uint8_t byte = (uint8_t)(state[i / 4] >> (sha256 ? 24 - i % 4 * 8 : i % 4 * 8));
        *hex++ = "0123456789abcdef"[byte >> 4];
        *hex++ = "0123456789abcdef"[byte & 15];
    }
    *hex = 0;
}
