/* hash.h - SHA-256 and HMAC over libcrypto, as bytes and as 64 hexadecimal digits. */
#ifndef M4A1_BASE_HASH_H
#define M4A1_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define HASH_BYTES 32
#define HASH_HEX 65 /* 64 lower-case digits and a NUL */

void hash_bytes(const void *data, size_t len, uint8_t out[HASH_BYTES]);
void hash_hex(const void *data, size_t len, char out[HASH_HEX]);

/* The hash of bytes that lie in several places: begin, more, end (which frees). */
struct hash_run;
MUST_CHECK enum status hash_begin(struct hash_run **out, struct error *err);
void hash_more(struct hash_run *run, const void *data, size_t len);
MUST_CHECK enum status hash_end_hex(
    struct hash_run *run, char out[HASH_HEX], struct error *err);

/* HMAC-SHA256 (RFC 2104); a key may have any length below 2 GiB. */
MUST_CHECK enum status hash_hmac(const void *key, size_t n_key, const void *data,
    size_t len, uint8_t out[HASH_BYTES], struct error *err);

/* The digits of a hash. */
void hash_digits(const uint8_t hash[HASH_BYTES], char out[HASH_HEX]);

/* Standard base64 with padding, no line breaks (RFC 4648); out holds
 * base64_size(len) bytes, a closing NUL included. */
size_t base64_size(size_t len);
void base64_encode(const void *data, size_t len, char *out);

/* Decode into out, which holds len / 4 * 3 bytes; E_DATA on anything but canonical base64. */
MUST_CHECK enum status base64_decode(
    const char *text, size_t len, uint8_t *out, size_t *out_len, struct error *err);

#endif
