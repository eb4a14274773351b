/* Every fault of docs/faults.md, played by a server of raw bytes: what becomes of the call,
 * what the store holds, and what the user reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "collectors/engine.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "tests/support/raw_server.h"
#include "tests/support/store_fixture.h"

#define RESERVED INT64_C(-1) /* the whole reservation counts against the cap */
#define PRICE 1000           /* pico-dollars a token; an answer has 110 tokens */
#define COST (INT64_C(110) * PRICE)

static struct error err;

typedef int player(struct raw_connection *c, const struct raw_request *request);

/* A fault and all that follows from it. */
struct fault {
    const char *name; /* the row of docs/faults.md */
    player *play;     /* the first request, or each where always is set */
    int always;
    void (*set)(struct llm *llm);
    const char *class; /* of the first attempt; NULL = it is an answer */
    int http_status;   /* of it */
    const char *says;  /* part of its error, or of the answer's text */
    int n_sent, n_answered;
    int64_t counted;   /* by the first attempt, pico-dollars */
    const char *check; /* SQL that gives 1; NULL = nothing more */
    double min_s;      /* the run takes as long at least */
    int has_no_bytes;  /* nothing of an answer was received */
};

/* ---- what servers do ------------------------------------------------------------ */

static int play_408(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 408, "retry-after-ms: 5\r\n", "{\"error\":{\"message\":\"too slow\"}}");
    return 1;
}

static int play_409(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 409, "retry-after-ms: 5\r\n", "{\"error\":{\"message\":\"conflict\"}}");
    return 1;
}

#define LIMITED "{\"error\":{\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}}"

static int play_429_seconds(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 429, "Retry-After: 1\r\n", LIMITED);
    return 1;
}

static int play_429_ms(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 429, "retry-after-ms: 350.5\r\n", LIMITED);
    return 1;
}

static int play_429_date(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    char date[64], header[96];
    time_t at = time(NULL) + 2;
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    snprintf(header, sizeof header, "Retry-After: %s\r\n", date);
    raw_answer(c, 429, header, LIMITED);
    return 1;
}

/* A server that lives three days ahead of this machine. */
static int play_429_far_date(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    char headers[160];
    time_t now = time(NULL) + 3 * 86400, at = now + 1;
    struct tm tm;
    gmtime_r(&now, &tm);
    size_t n =
        strftime(headers, sizeof headers, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    gmtime_r(&at, &tm);
    strftime(headers + n, sizeof headers - n,
        "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    raw_answer(c, 429, headers, LIMITED);
    return 1;
}

static int play_429_zero(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 429, "Retry-After: 0\r\n", LIMITED);
    return 1;
}

static int play_429_silent(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 429, "", LIMITED);
    return 1;
}

static int play_429_in_200(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 200, "", "{\"error\":{\"message\":\"upstream is busy\",\"code\":429}}");
    return 1;
}

static int play_429_gemini(struct raw_connection *c, const struct raw_request *request)
{
    if (request->number == 0)
        raw_answer(c, 429, "",
            "{\"error\":{\"code\":429,\"message\":\"quota per minute\",\"status\":"
            "\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"
            "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"0.4s\"}]}}");
    else
        raw_answer(c, 200, "",
            "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":"
            "\"fine\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":"
            "{\"promptTokenCount\":100,\"candidatesTokenCount\":10,"
            "\"totalTokenCount\":110}}");
    return 1;
}

static int play_429_quota(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 429, "retry-after: 1\r\n",
        "{\"error\":{\"message\":\"You exceeded your current quota\",\"code\":"
        "\"insufficient_quota\"}}");
    return 1;
}

static int play_402(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 402, "x-should-retry: true\r\n",
        "{\"error\":{\"message\":\"your balance is 0\"}}");
    return 1;
}

static int play_401(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 401, "", "{\"error\":{\"message\":\"Incorrect API key provided\"}}");
    return 1;
}

static int play_404(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 404, "", "{\"error\":{\"message\":\"The model does not exist\"}}");
    return 1;
}

static int play_redirect(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 301, "Location: https://new.example/v1?token=abc\r\n",
        "<html>Moved Permanently</html>");
    return 1;
}

static int play_not_modified(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_send(c, "HTTP/1.1 304 Not Modified\r\n\r\n");
    return 1;
}

static int play_500(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 500, "retry-after-ms: 5\r\n",
        "{\"error\":{\"code\":500,\"message\":\"got exception: Chunk not found\"}}");
    return 1;
}

static int play_502(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 502, "retry-after-ms: 5\r\n", "<html>Bad Gateway</html>");
    return 1;
}

static int play_503(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 503, "retry-after-ms: 5\r\n",
        "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":"
        "\"unavailable_error\"}}");
    return 1;
}

static int play_529(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 529, "retry-after-ms: 5\r\n",
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
        "\"Overloaded\"}}");
    return 1;
}

static int play_half_header(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_send(c, "HTTP/1.1 200 OK\r\nContent-Ty");
    return 0;
}

static int play_nothing(struct raw_connection *c, const struct raw_request *request)
{
    (void)c, (void)request;
    return 0;
}

#define FIRST_WORD "data: {\"choices\":[{\"delta\":{\"content\":\"Half\"}}]}\n\n"

static int play_reset(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_stream_begin(c, "");
    raw_stream_chunk(c, FIRST_WORD);
    raw_sleep_ms(50);
    raw_reset(c);
    return 0;
}

static int play_no_end_mark(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_stream_begin(c, "");
    raw_stream_chunk(c, FIRST_WORD);
    raw_stream_end(c);
    return 1;
}

static int play_error_in_stream(
    struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_stream_begin(c, "");
    raw_stream_chunk(c, FIRST_WORD);
    raw_stream_chunk(
        c, "data: {\"error\":{\"message\":\"the engine died\",\"code\":500}}\n\n");
    raw_stream_end(c);
    return 1;
}

static int play_stall(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_stream_begin(c, "");
    raw_stream_chunk(c, FIRST_WORD);
    raw_sleep_ms(700);
    return 0;
}

/* Never silent for long, and never done. */
static int play_drip(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_stream_begin(c, "");
    for (int i = 0; i < 20; i++) {
        raw_stream_chunk(c, i ? ": wait\n\n" : FIRST_WORD);
        raw_sleep_ms(30);
    }
    return 0;
}

static int play_truncated(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 200, "", "{\"choices\":[{\"message\":{\"content\":\"Ha");
    return 1;
}

static int play_short_body(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"choices\":[");
    return 0;
}

static int play_html(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_printf(c,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 27\r\n\r\n"
        "<html>Please log in.</html>");
    return 1;
}

#define FINE_BODY(text)                                                                  \
    "{\"choices\":[{\"message\":{\"content\":\"" text                                    \
    "\"},\"finish_reason\":\"stop\"}],"                                                  \
    "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":110}}"

static int play_wrong_type(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    static const char body[] = FINE_BODY("fine");
    raw_printf(c,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(body), body);
    return 1;
}

/* FINE_BODY("fine") in a gzip file with one stored block. */
static int play_gzip(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    static const char body[] = FINE_BODY("fine");
    uint32_t crc = 0xffffffff, len = (uint32_t)strlen(body);
    for (uint32_t i = 0; i < len; i++) {
        crc ^= (unsigned char)body[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    crc = ~crc;
    unsigned char head[15] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, (uint8_t)len,
        (uint8_t)(len >> 8), (uint8_t)~len, (uint8_t)(~len >> 8) };
    unsigned char tail[8] = { (uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16),
        (uint8_t)(crc >> 24), (uint8_t)len, (uint8_t)(len >> 8), 0, 0 };
    raw_printf(c,
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
        sizeof head + len + sizeof tail);
    raw_send_bytes(c, head, sizeof head);
    raw_send_bytes(c, body, len);
    raw_send_bytes(c, tail, sizeof tail);
    return 1;
}

/* Adds the n lowest bits of value to a deflate stream, the lowest first. */
static void put_bits(
    struct buffer *to, unsigned *held, int *n_held, unsigned value, int n)
{
    *held |= value << *n_held;
    for (*n_held += n; *n_held >= 8; *n_held -= 8, *held >>= 8)
        if (buffer_add_char(to, (char)(*held & 0xff)) != OK)
            fail();
}

/* 17 MiB of blanks in a tenth of a MiB: a blank, and then again and again "the 258 bytes that
 * begin one before", with the fixed codes of RFC 1951. */
static int play_gzip_bomb(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    static const char head[10] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
    struct buffer b;
    unsigned held = 0;
    int n_held = 0;
    buffer_init(&b, 1 << 20);
    if (buffer_add(&b, head, sizeof head) != OK)
        fail();
    put_bits(&b, &held, &n_held, 3, 3);    // the last block, fixed codes
    put_bits(&b, &held, &n_held, 0x0a, 8); // a blank: 0x30 + 0x20, turned round
    for (int i = 0; i < 17 * (1 << 20) / 258; i++)
        put_bits(&b, &held, &n_held, 0xa3, 13); // length 258, distance 1
    put_bits(&b, &held, &n_held, 0, 7 + 7);     // the end, and to a whole byte
    raw_printf(c,
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
        b.len + 8);
    raw_send_bytes(c, b.data, b.len);
    raw_send_bytes(c, "\0\0\0\0\0\0\0\0", 8);
    buffer_release(&b);
    return 0;
}

/* The same bytes as a proxy leaves them that forgot the header, in front of any answer. */
static int play_bare_gzip(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    static const unsigned char body[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0,
        0, 0, 0, 0, 0, 0 };
    raw_printf(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizeof body);
    raw_send_bytes(c, body, sizeof body);
    return 1;
}

static int play_large_headers(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    for (int i = 0; i < 100; i++)
        raw_printf(c, "%sX-%d: %01000d\r\n", i ? "" : "HTTP/1.1 200 OK\r\n", i, i);
    return 0;
}

static int play_split_emoji(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_stream_begin(c, "");
    raw_stream_chunk(
        c, "data: {\"choices\":[{\"delta\":{\"content\":\"Hi \\ud83d\"}}]}\n\n");
    raw_stream_chunk(c, "data: {\"choices\":[{\"delta\":{\"content\":\"\\ude00!\"},"
                        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":100,"
                        "\"completion_tokens\":10}}\n\ndata: [DONE]\n\n");
    raw_stream_end(c);
    return 1;
}

static int play_mad_usage(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 200, "",
        "{\"choices\":[{\"message\":{\"content\":\"dear\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":9223372036854775807,\"completion_tokens\":-4,"
        "\"cost\":1e300}}");
    return 1;
}

static int play_100_mb(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    char *block = malloc((1 << 20) + 1);
    memset(block, 'x', 1 << 20);
    block[1 << 20] = '\0';
    raw_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n");
    for (int i = 0; i < 100; i++)
        raw_send(c, block);
    free(block);
    return 0;
}

static int play_bad_utf8(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 200, "", FINE_BODY("caf\xe9 \xff"));
    return 1;
}

static int play_no_usage(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_answer(c, 200, "",
        "{\"choices\":[{\"message\":{\"content\":\"no bill\"},\"finish_reason\":"
        "\"stop\"}]}");
    return 1;
}

static int play_double_usage(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_stream_begin(c, "");
    raw_stream_chunk(c,
        "data: {\"choices\":[{\"delta\":{\"content\":\"twice\"},\"finish_reason\":"
        "\"stop\"}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":1}}\n\n"
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":"
        "10}}\n\ndata: [DONE]\n\n");
    raw_stream_end(c);
    return 1;
}

static int play_slow_token(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_stream_begin(c, "");
    raw_stream_chunk(c, ": waiting\n\ndata: {\"choices\":[{\"delta\":{\"role\":"
                        "\"assistant\",\"content\":\"\"}}]}\n\n");
    raw_sleep_ms(200);
    raw_stream_chunk(c, "data: {\"choices\":[{\"delta\":{\"content\":\"late\"},"
                        "\"finish_reason\":\"stop\"}]}\n\n");
    raw_sleep_ms(100);
    raw_stream_chunk(c, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,"
                        "\"completion_tokens\":10}}\n\ndata: [DONE]\n\n");
    raw_stream_end(c);
    return 1;
}

static int play_reasoning(struct raw_connection *c, const struct raw_request *request)
{
    (void)request;
    raw_stream_begin(c, "");
    raw_stream_chunk(
        c, "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm.\"}}]}\n\n");
    raw_sleep_ms(200);
    raw_stream_chunk(c,
        "data: {\"choices\":[{\"delta\":{\"content\":\"thought\"},\"finish_reason\":"
        "\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,"
        "\"completion_tokens\":10,\"completion_tokens_details\":{\"reasoning_tokens\":"
        "4}}}\n\ndata: [DONE]\n\n");
    raw_stream_end(c);
    return 1;
}

/* A kept-alive connection that is closed without a word when it is used again. */
static int play_dead(struct raw_connection *c, const struct raw_request *request)
{
    if (request->on_connection > 0)
        return 0;
    raw_chat(c, "", "fine");
    return 1;
}

static int play(struct raw_connection *c, const struct raw_request *request, void *arg)
{
    const struct fault *f = arg;
    if (request->number == 0 || f->always)
        return f->play(c, request);
    raw_chat(c, "", "fine");
    return 1;
}

/* ---- llms ----------------------------------------------------------------------- */

static void use_short_timeout(struct llm *llm)
{
    llm->timeout_s = 0.3;
}

static void use_stream(struct llm *llm)
{
    llm->stream = 1;
}

static void use_8_attempts(struct llm *llm)
{
    llm->max_attempts = 8;
}

static void use_gemini(struct llm *llm)
{
    free(llm->protocol);
    llm->protocol = text_copy("gemini");
    json_free(llm->parameters);
    llm->parameters = json_new_object();
    struct json *config = json_set_object(llm->parameters, "generationConfig");
    json_set_int(config, "maxOutputTokens", 100);
}

static void use_no_server(struct llm *llm)
{
    free(llm->url);
    llm->url = text_copy("http://127.0.0.1:1");
    llm->max_attempts = 2;
}

/* ---- the table ------------------------------------------------------------------ */

static const struct fault faults[] = {
    { "408", play_408, 0, NULL, "timeout", 408, "too slow", 2, 1, 0, NULL, 0, 0 },
    { "409", play_409, 0, NULL, "request", 409, "conflict", 2, 1, 0, NULL, 0, 0 },
    { "429, Retry-After in seconds", play_429_seconds, 0, NULL, "rate_limit", 429,
        "slow down", 2, 1, 0, NULL, 1.0, 0 },
    { "429, Retry-After as a date", play_429_date, 0, NULL, "rate_limit", 429,
        "slow down", 2, 1, 0, NULL, 0.9, 0 },
    { "429, Retry-After as a date, clocks apart", play_429_far_date, 0, NULL,
        "rate_limit", 429, "slow down", 2, 1, 0, NULL, 0.9, 0 },
    { "429, Retry-After: 0", play_429_zero, 0, NULL, "rate_limit", 429, "slow down", 2, 1,
        0, NULL, 0.37, 0 },
    { "429, retry-after-ms", play_429_ms, 0, NULL, "rate_limit", 429, "slow down", 2, 1,
        0, NULL, 0.35, 0 },
    { "429 without a word", play_429_silent, 0, NULL, "rate_limit", 429, "slow down", 2,
        1, 0, NULL, 0.37, 0 },
    { "429 inside a 200", play_429_in_200, 0, NULL, "rate_limit", 200, "upstream is busy",
        2, 1, RESERVED, NULL, 0.37, 0 },
    { "429, Gemini's retryDelay", play_429_gemini, 1, use_gemini, "rate_limit", 429,
        "quota per minute", 2, 1, 0, NULL, 0.4, 0 },
    { "429, the quota is gone", play_429_quota, 0, NULL, "quota", 429, "current quota", 1,
        0, 0, NULL, 0, 0 },
    { "402", play_402, 0, NULL, "quota", 402, "balance is 0", 1, 0, 0, NULL, 0, 0 },
    { "401", play_401, 0, NULL, "auth", 401, "Incorrect API key", 1, 0, 0, NULL, 0, 0 },
    { "404", play_404, 0, NULL, "request", 404, "does not exist", 1, 0, 0, NULL, 0, 0 },
    { "redirect", play_redirect, 0, NULL, "request", 301,
        "redirects to https://new.example/v1?... (HTTP 301)", 1, 0, 0, NULL, 0, 0 },
    { "304", play_not_modified, 0, NULL, "request", 304, "HTTP 304 without an address", 1,
        0, 0, NULL, 0, 1 },
    { "500, the same for ever", play_500, 1, use_8_attempts, "server", 500,
        "Chunk not found", 3, 0, 0, "SELECT sum(final) = 1 FROM attempt", 0, 0 },
    { "500 once", play_500, 0, NULL, "server", 500, "Chunk not found", 2, 1, 0, NULL, 0,
        0 },
    { "502", play_502, 0, NULL, "server", 502, "Bad Gateway", 2, 1, 0, NULL, 0, 0 },
    { "503", play_503, 0, NULL, "server", 503, "Loading model", 2, 1, 0, NULL, 0, 0 },
    { "503 for ever", play_503, 1, NULL, "server", 503, "Loading model", 3, 0, 0,
        "SELECT sum(final) = 1 FROM attempt", 0, 0 },
    { "529", play_529, 0, NULL, "server", 529, "Overloaded", 2, 1, 0, NULL, 0, 0 },
    { "refused connection", play_nothing, 0, use_no_server, "connect", 0,
        "Failed to connect", 2, 0, 0,
        "SELECT count(*) = 2 FROM attempt WHERE latency_ns IS NULL", 0.37, 1 },
    { "closed without an answer", play_nothing, 0, NULL, "network", 0, "Empty reply", 2,
        1, RESERVED, NULL, 0.37, 1 },
    { "half a header", play_half_header, 0, NULL, "malformed", 200, "empty", 2, 1,
        RESERVED, NULL, 0.37, 1 },
    { "reset mid-stream", play_reset, 0, use_stream, "network", 200, "reset", 2, 1,
        RESERVED, NULL, 0.37, 0 },
    { "stream without its end mark", play_no_end_mark, 0, use_stream, "truncated", 200,
        "end mark", 2, 1, RESERVED, NULL, 0.37, 0 },
    { "error inside a stream", play_error_in_stream, 0, use_stream, "server", 200,
        "the engine died", 2, 1, RESERVED, NULL, 0.37, 0 },
    { "stall", play_stall, 0, use_short_timeout, "timeout", 200, "timed out", 2, 1,
        RESERVED, NULL, 0.67, 0 },
    { "a drip without end", play_drip, 0, use_short_timeout, "timeout", 200, "timed out",
        2, 1, RESERVED, NULL, 0.67, 0 },
    { "truncated JSON", play_truncated, 0, NULL, "malformed", 200,
        "answer:1:36: not JSON from here on", 2, 1, RESERVED, NULL, 0.37, 0 },
    { "body shorter than announced", play_short_body, 0, NULL, "network", 200, "", 2, 1,
        RESERVED, NULL, 0.37, 0 },
    { "HTML instead of JSON", play_html, 0, NULL, "malformed", 200, "Please log in", 2, 1,
        RESERVED, NULL, 0.37, 0 },
    { "JSON that is called HTML", play_wrong_type, 0, NULL, NULL, 200, "fine", 1, 1, COST,
        NULL, 0, 0 },
    { "gzip", play_gzip, 0, NULL, NULL, 200, "fine", 1, 1, COST, NULL, 0, 0 },
    { "gzip without its header", play_bare_gzip, 0, NULL, "malformed", 200,
        "compressed (gzip)", 2, 1, RESERVED, NULL, 0.37, 0 },
    { "a gzip bomb", play_gzip_bomb, 0, NULL, "too_large", 200, "larger than 16 MiB", 1,
        0, RESERVED, "SELECT final AND length(received) < 1000000 FROM attempt", 0, 0 },
    { "100 MB", play_100_mb, 0, NULL, "too_large", 200, "larger than 16 MiB", 1, 0,
        RESERVED, "SELECT final AND length(received) < 1000000 FROM attempt", 0, 0 },
    { "headers without end", play_large_headers, 0, NULL, "too_large", 200,
        "headers of the answer are larger than 64 KiB", 1, 0, RESERVED, NULL, 0, 1 },
    { "an emoji cut in two", play_split_emoji, 0, use_stream, NULL, 200,
        "Hi \xF0\x9F\x98\x80!", 1, 1, COST, NULL, 0, 0 },
    { "mad usage", play_mad_usage, 0, NULL, NULL, 200, "dear", 1, 1, RESERVED,
        "SELECT count(*) = 1 FROM response JOIN response_cost USING (response_id) WHERE"
        " input_tokens IS NULL AND output_tokens IS NULL AND cost_pusd IS NULL AND"
        " usage LIKE '%\"completion_tokens\":-4%' AND provider_cost_usd IS NULL",
        0, 0 },
    { "invalid UTF-8", play_bad_utf8, 0, NULL, "malformed", 200, "UTF-8", 2, 1, RESERVED,
        NULL, 0.37, 0 },
    { "no usage", play_no_usage, 0, NULL, NULL, 200, "no bill", 1, 1, RESERVED,
        "SELECT count(*) = 1 FROM response JOIN response_cost USING (response_id) WHERE"
        " input_tokens IS NULL AND output_tokens IS NULL AND cost_pusd IS NULL",
        0, 0 },
    { "usage twice", play_double_usage, 0, use_stream, NULL, 200, "twice", 1, 1, COST,
        "SELECT output_tokens = 10 FROM response", 0, 0 },
    { "slow first token", play_slow_token, 0, use_stream, NULL, 200, "late", 1, 1, COST,
        "SELECT first_token_ns - first_byte_ns BETWEEN 190e6 AND 290e6"
        " AND latency_ns - first_token_ns BETWEEN 90e6 AND 190e6 FROM attempt",
        0, 0 },
    { "reasoning first", play_reasoning, 0, use_stream, NULL, 200, "thought", 1, 1, COST,
        "SELECT latency_ns - first_token_ns BETWEEN 190e6 AND 290e6 AND reasoning_tokens "
        "="
        " 4 AND output_tokens = 6 FROM attempt JOIN response USING (attempt_id)",
        0, 0 },
    { "dead kept-alive connection", play_dead, 1, NULL, NULL, 200, "fine", 3, 2, COST,
        "SELECT count(*) = 1 FROM attempt WHERE error_class = 'stale_connection' AND NOT"
        " final AND reused",
        0, 0 },
};

static void check_first(struct store_fixture *f, const struct fault *x)
{
    char *class = store_fixture_text(f, "SELECT error_class FROM attempt LIMIT 1");
    char *said = store_fixture_text(f,
        "SELECT coalesce(error, text) FROM attempt LEFT JOIN response USING (attempt_id)"
        " LIMIT 1");
    int64_t status =
        store_fixture_int(f, "SELECT coalesce(http_status, 0) FROM attempt LIMIT 1");
    int64_t counted =
        store_fixture_int(f, "SELECT counted_pusd FROM attempt_cost LIMIT 1");
    int64_t reserved = store_fixture_int(f, "SELECT reserved_pusd FROM attempt LIMIT 1");
    int64_t has_bytes =
        store_fixture_int(f, "SELECT received IS NOT NULL FROM attempt LIMIT 1");
    if (!text_equal(class, x->class) || status != x->http_status ||
        !strstr(said ? said : "", x->says) ||
        counted != (x->counted == RESERVED ? reserved : x->counted) ||
        has_bytes == x->has_no_bytes)
        fail_msg("%s: class %s, HTTP %lld, \"%s\", counts %lld of %lld, bytes %lld",
            x->name, class ? class : "(answer)", (long long)status, said,
            (long long)counted, (long long)reserved, (long long)has_bytes);
    free(class);
    free(said);
}

static void play_one(const struct fault *x)
{
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(play, (void *)(uintptr_t)x);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), x->set);
    store_fixture_price(&f, llm, PRICE, PRICE);
    store_fixture_session(&f, llm, x->play == play_dead ? 2 : 1, 0);
    engine_options_init(&o);
    if (x->set == use_no_server)
        o.max_attempts = 2; /* else a server that is never reached uses up none */
    err = (struct error)ERROR_INIT;
    int64_t begun = clock_mono_ns();
    enum status s = engine_run(f.store, &o, &r, &err);
    double took_s = (double)(clock_mono_ns() - begun) / 1e9;
    if (s != (r.n_answered == r.counts.n_calls ? OK : E_PARTIAL) ||
        r.n_sent != x->n_sent || r.n_answered != x->n_answered)
        fail_msg("%s: status %d, %lld sent, %lld answered: %s", x->name, (int)s,
            (long long)r.n_sent, (long long)r.n_answered, err.msg);
    if (took_s < x->min_s || took_s > x->min_s + 2.5)
        fail_msg("%s: took %.3f s", x->name, took_s);
    check_first(&f, x);
    if (x->check && store_fixture_int(&f, x->check) != 1)
        fail_msg("%s: not so: %s", x->name, x->check);
    // Whatever happened: no error is an answer, and what counts is what the store says.
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM response"), r.n_answered);
    assert_int_equal(r.counted_pusd,
        store_fixture_int(&f, "SELECT sum(counted_pusd) FROM attempt_cost"));
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_every_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(faults); i++)
        play_one(&faults[i]);
}

/* With one attempt a call no request is repeated, and none goes over a connection that may
 * be dead. */
static void test_one_attempt_is_one_request(void **state)
{
    (void)state;
    static const struct fault dead = { .play = play_dead, .always = 1 };
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(play, (void *)(uintptr_t)&dead);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, PRICE, PRICE);
    store_fixture_session(&f, llm, 3, 0);
    engine_options_init(&o);
    o.max_attempts = 1;
    err = (struct error)ERROR_INIT;
    assert_int_equal(engine_run(f.store, &o, &r, &err), OK);
    assert_int_equal(r.n_sent, 3);
    assert_int_equal(r.n_answered, 3);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* The cell of a row of the page with this number, from 0; "the same" is that of the row
 * above. */
static char *cell_of(const char *page, const char *row, int number)
{
    const char *at = row + 2, *end = NULL;
    for (int i = 0; i < number; i++)
        at = strstr(at, " | ") + 3;
    end = strstr(at, " |");
    char *cell = text_copy_n(at, (size_t)(end - at));
    if (!text_equal(cell, "the same"))
        return cell;
    free(cell);
    for (row--; row > page && row[-1] != '\n'; row--)
        ;
    return cell_of(page, row, number);
}

/* What the page says of class, HTTP status and money is what is tested. */
static void check_row(const char *page, const char *row, const struct fault *x)
{
    char *store = cell_of(page, row, 2), *counts = cell_of(page, row, 3);
    char *wanted = !x->class         ? text_copy("none")
                   : !x->http_status ? text_format("`%s`, no status", x->class)
                                     : text_format("`%s`, %d", x->class, x->http_status);
    if (!text_starts(store, wanted))
        fail_msg("docs/faults.md, %s: \"%s\" instead of \"%s\"", x->name, store, wanted);
    if (!text_equal(counts, x->counted == RESERVED ? "reservation"
                            : x->counted           ? "its cost"
                                                   : "0"))
        fail_msg("docs/faults.md, %s: \"%s\"", x->name, counts);
    free(store);
    free(counts);
    free(wanted);
}

/* docs/faults.md has a row for each fault that is played, and for no other. */
static void test_page_has_every_fault(void **state)
{
    (void)state;
    struct buffer page;
    size_t n_rows = 0;
    buffer_init(&page, 1 << 20);
    if (file_read("docs/faults.md", &page, &err) != OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        char *row = text_format("\n| %s |", faults[i].name);
        const char *at = strstr(page.data, row);
        if (!at)
            fail_msg("docs/faults.md has no row \"%s\"", faults[i].name);
        else if (faults[i].play != play_dead) // its first attempt is the one before
            check_row(page.data, at + 1, &faults[i]);
        free(row);
    }
    for (const char *at = page.data; (at = strstr(at, "\n| ")); at++)
        n_rows++;
    assert_int_equal(n_rows, COUNT_OF(faults) + 1); // and its head
    buffer_release(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_fault),
        cmocka_unit_test(test_one_attempt_is_one_request),
        cmocka_unit_test(test_page_has_every_fault),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
