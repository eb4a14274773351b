/* secret_shape.c - see secret_shape.h; it knows no recipes.
 *
 * The beginnings are those that the providers document or that GitHub's and Gitleaks'
 * secret scanners search for. */
#include "schema/secret_shape.h"

#include <string.h>

#include "m4a1/base/text.h"

#define DIGITS "0123456789"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LETTERS CAPITALS "abcdefghijklmnopqrstuvwxyz"
#define WORD LETTERS DIGITS
#define PEM "-----BEGIN "

/* min signs out of the alphabet follow the beginning, of which run in a row are letters
 * and digits, with at least one of each where is_mixed is set. */
struct shape {
    const char *what, *beginning, *alphabet;
    size_t min, run;
    int is_mixed;
};

static const struct shape shapes[] = {
    { "a key that begins with \"sk-\"", "sk-", WORD "-_", 20, 16, 1 },
    { "a Bearer token", "Bearer ", WORD "-._~+/=", 20, 12, 1 },
    { "a Bearer token", "bearer ", WORD "-._~+/=", 20, 12, 1 },
    { "an AWS access key id", "AKIA", CAPITALS DIGITS, 16, 16, 0 },
    { "an AWS access key id", "ASIA", CAPITALS DIGITS, 16, 16, 0 },
    { "an AWS Bedrock key", "ABSK", WORD "+/=", 80, 20, 1 },
    { "a Google API key", "AIza", WORD "-_", 35, 8, 1 },
    { "a Groq key", "gsk_", WORD, 40, 40, 1 },
    { "a Hugging Face token", "hf_", WORD, 30, 30, 0 },
    { "an xAI key", "xai-", WORD, 40, 40, 1 },
    { "an NVIDIA key", "nvapi-", WORD "-_", 40, 12, 1 },
    { "a Replicate token", "r8_", WORD, 30, 30, 1 },
    { "a GitHub token", "ghp_", WORD, 36, 36, 1 },
    { "a GitHub token", "github_pat_", WORD "_", 36, 20, 1 },
    { "a Slack token", "xoxb-", WORD "-", 20, 10, 0 },
    { "a Slack token", "xoxp-", WORD "-", 20, 10, 0 },
};

static int is_of(char c, const char *alphabet)
{
    return c && strchr(alphabet, c) != NULL;
}

/* True where n signs hold a run of letters and digits that is long and mixed enough. */
static int has_run(const char *s, size_t n, const struct shape *shape)
{
    size_t run = 0, n_digits = 0, n_letters = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_of(s[i], WORD)) {
            run = n_digits = n_letters = 0;
            continue;
        }
        run++;
        n_digits += is_of(s[i], DIGITS) != 0;
        n_letters += is_of(s[i], LETTERS) != 0;
        if (run >= shape->run && (!shape->is_mixed || (n_digits && n_letters)))
            return 1;
    }
    return 0;
}

/* Bytes at s that have the shape; 0 = they have not. */
static size_t match(const char *s, size_t len, const struct shape *shape)
{
    size_t n = strlen(shape->beginning), end = n;
    if (len < n || memcmp(s, shape->beginning, n) != 0)
        return 0;
    while (end < len && is_of(s[end], shape->alphabet))
        end++;
    return end - n >= shape->min && has_run(s + n, end - n, shape) ? end : 0;
}

/* Bytes of a private key in PEM at s, up to its end or that of the text; 0 = none. */
static size_t match_pem(const char *s, size_t len)
{
    static const char key[] = "PRIVATE KEY";
    size_t n = strlen(PEM), end = n;
    if (len < n || memcmp(s, PEM, n) != 0)
        return 0;
    while (end < len && is_of(s[end], CAPITALS DIGITS " "))
        end++;
    if (end - n < strlen(key) || memcmp(s + end - strlen(key), key, strlen(key)) != 0)
        return 0;
    return len;
}

const char *secret_shape_find(const char *s, size_t len, size_t *at, size_t *n_bytes)
{
    for (size_t i = 0; i < len; i++) {
        // Inside a word ("task-", "risk-") none begins; most signs begin none at all.
        if (!strchr("-sBbAghxnr", s[i]) || (i && is_of(s[i - 1], WORD)))
            continue;
        *at = i;
        if ((*n_bytes = match_pem(s + i, len - i)))
            return "a private key";
        for (size_t k = 0; k < COUNT_OF(shapes); k++)
            if ((*n_bytes = match(s + i, len - i, &shapes[k])))
                return shapes[k].what;
    }
    *at = len;
    *n_bytes = 0;
    return NULL;
}

void secret_shape_hide(char *s, size_t len)
{
    size_t at = 0, n = 0;
    while (s && secret_shape_find(s, len, &at, &n)) {
        memset(s + at, '*', n);
        s += at + n;
        len -= at + n;
    }
}
