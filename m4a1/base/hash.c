/* hash.c - SHA-256, HMAC and base64 over libcrypto. */
#include "m4a1/base/hash.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

void hash_bytes(const void *data, size_t len, uint8_t out[HASH_BYTES])
{
    SHA256(data, len, out);
}

void hash_digits(const uint8_t hash[HASH_BYTES], char out[HASH_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < HASH_BYTES; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[2 * HASH_BYTES] = '\0';
}

void hash_hex(const void *data, size_t len, char out[HASH_HEX])
{
    uint8_t hash[HASH_BYTES];
    hash_bytes(data, len, hash);
    hash_digits(hash, out);
}

struct hash_run {
    EVP_MD_CTX *md;
    int ok;
};

enum status hash_begin(struct hash_run **out, struct error *err)
{
    struct hash_run *run = calloc(1, sizeof *run);
    *out = run;
    if (!run)
        return error_nomem(err, sizeof *run);
    run->md = EVP_MD_CTX_new();
    run->ok = run->md && EVP_DigestInit_ex(run->md, EVP_sha256(), NULL);
    return OK;
}

void hash_more(struct hash_run *run, const void *data, size_t len)
{
    run->ok = run->ok && EVP_DigestUpdate(run->md, data, len);
}

enum status hash_end_hex(struct hash_run *run, char out[HASH_HEX], struct error *err)
{
    uint8_t hash[HASH_BYTES] = { 0 };
    int ok = run->ok && EVP_DigestFinal_ex(run->md, hash, NULL);
    EVP_MD_CTX_free(run->md);
    free(run);
    hash_digits(hash, out);
    return ok ? OK : error_nomem(err, HASH_BYTES);
}

enum status hash_hmac(const void *key, size_t n_key, const void *data, size_t len,
    uint8_t out[HASH_BYTES], struct error *err)
{
    unsigned int n = 0;
    memset(out, 0, HASH_BYTES);
    if (n_key > INT_MAX)
        return error_set(err, E_ARG, "hmac: a key of %zu bytes", n_key);
    if (!HMAC(EVP_sha256(), key, (int)n_key, data, len, out, &n))
        return error_nomem(err, n_key);
    return OK;
}

size_t base64_size(size_t len)
{
    return (len + 2) / 3 * 4 + 1;
}

/* libcrypto counts in int, so long runs go in pieces of whole triplets. */
#define BASE64_PIECE ((size_t)3 << 24)

void base64_encode(const void *data, size_t len, char *out)
{
    const unsigned char *in = data;
    out[0] = '\0';
    while (len > 0) {
        size_t n = len < BASE64_PIECE ? len : BASE64_PIECE;
        out += EVP_EncodeBlock((unsigned char *)out, in, (int)n);
        in += n;
        len -= n;
    }
}

enum status base64_decode(
    const char *text, size_t len, uint8_t *out, size_t *out_len, struct error *err)
{
    *out_len = 0;
    size_t padding = 0;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    size_t symbols = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789+/");
    if (len % 4 || len > INT_MAX || symbols < len - padding)
        return error_set(err, E_DATA, "base64: not canonical at byte %zu of %zu",
            symbols < len ? symbols : len, len);
    if (!len)
        return OK;
    int n = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
    if (n < 0)
        return error_set(err, E_DATA, "base64: broken run of %zu bytes", len);
    *out_len = (size_t)n - padding;
    return OK;
}
