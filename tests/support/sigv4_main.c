/* sigv4_main.c - our AWS signature as a program, to be compared with other signers.
 *
 *   sigv4_main METHOD URL REGION SERVICE WALL_MS <body
 *
 * Keys come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if set, AWS_SESSION_TOKEN;
 * SIGV4_HEADERS may hold lines "Name: value" that are signed, too.  Prints the lines that
 * would be sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/sigv4.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"

#define MAX_BODY (16u << 20)

static enum status read_body(char hash[HASH_HEX], struct error *err)
{
    struct buffer body;
    char piece[4096];
    buffer_init(&body, MAX_BODY);
    for (size_t n; (n = fread(piece, 1, sizeof piece, stdin)) > 0;)
        buffer_add(&body, piece, n);
    hash_hex(buffer_str(&body), body.len, hash);
    enum status s = buffer_status(&body, "body", err);
    buffer_release(&body);
    return s;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct buffer lines;
    char hash[HASH_HEX];
    if (argc != 6) {
        fputs("usage: sigv4_main METHOD URL REGION SERVICE WALL_MS <body\n", stderr);
        return 2;
    }
    const char *headers = getenv("SIGV4_HEADERS"), *access = getenv("AWS_ACCESS_KEY_ID"),
               *secret = getenv("AWS_SECRET_ACCESS_KEY");
    struct sigv4 in = { .method = argv[1],
        .url = argv[2],
        .headers = headers ? headers : "",
        .body_sha256 = hash,
        .region = argv[3],
        .service = argv[4],
        .access_key = access ? access : "",
        .secret_key = secret ? secret : "",
        .session_token = getenv("AWS_SESSION_TOKEN") };
    buffer_init(&lines, 1u << 16);
    enum status s = text_to_int(argv[5], "WALL_MS", 0, INT64_MAX, &in.wall_ms, &err);
    if (s == OK)
        s = read_body(hash, &err);
    if (s == OK)
        s = sigv4_sign(&in, &lines, &err);
    if (s == OK)
        fputs(buffer_str(&lines), stdout);
    else
        fprintf(stderr, "%s\n", err.msg);
    buffer_release(&lines);
    return s == OK ? 0 : 1;
}
