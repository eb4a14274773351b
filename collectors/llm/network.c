/* network.c - see network.h. */
#include "collectors/llm/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

int network_is_loopback(const char *url)
{
    CURLU *u = curl_url();
    char *host = NULL;
    int yes = 0;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        yes = !strcmp(host, "localhost") || text_ends(host, ".localhost") ||
              !strcmp(host, "[::1]") ||
              (text_starts(host, "127.") && !host[strspn(host, "0123456789.")]);
    curl_free(host);
    curl_url_cleanup(u);
    return yes;
}

/* NULL where the variable is missing or empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The order of the program curl: its own variable, else those of OpenSSL. */
static void set_trust(CURL *e)
{
    const char *file = variable("CURL_CA_BUNDLE");
    const char *folder = file ? NULL : variable("SSL_CERT_DIR");
    if (!file)
        file = variable("SSL_CERT_FILE");
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    if (file) {
        curl_easy_setopt(e, CURLOPT_CAINFO, file);
        curl_easy_setopt(e, CURLOPT_PROXY_CAINFO, file);
    }
    if (folder) {
        curl_easy_setopt(e, CURLOPT_CAPATH, folder);
        curl_easy_setopt(e, CURLOPT_PROXY_CAPATH, folder);
    }
}

void network_set(CURL *e, const char *url)
{
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "m4a1/" M4A1_VERSION);
    set_trust(e);
    // What a proxy says to CONNECT is no part of an answer, and keys are not for it.
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    if (network_is_loopback(url))
        curl_easy_setopt(e, CURLOPT_PROXY, "");
}

void network_explain(CURL *easy, CURLcode code, char *why, size_t size)
{
    // A forged signature is but an error of the connection to libcurl.
    long verdict = 0;
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
    if (code != CURLE_PEER_FAILED_VERIFICATION &&
        (code != CURLE_SSL_CONNECT_ERROR || verdict == 0))
        return;
    size_t n = strlen(why);
    const char *file = variable("CURL_CA_BUNDLE");
    if (!file)
        file = variable("SSL_CERT_FILE");
    if (n < size)
        snprintf(why + n, size - n, " (of a private authority? name its file in %s%s%s)",
            "SSL_CERT_FILE", file ? ", not " : "", file ? file : "");
}
