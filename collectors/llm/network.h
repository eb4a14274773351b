/* network.h - whom a request of ours trusts, and which way it takes; as for curl itself.
 *
 * TLS is always verified; there is no switch against it.  Certificates of authority come
 * from the system, or from the file in CURL_CA_BUNDLE, else from SSL_CERT_FILE and the
 * folder SSL_CERT_DIR (of which libcurl itself, unlike the program curl, reads none).
 * Proxies come from HTTPS_PROXY, http_proxy, ALL_PROXY and NO_PROXY, which libcurl reads;
 * loopback is never reached through one.  Only http and https, and no redirects. */
#ifndef COLLECTORS_LLM_NETWORK_H
#define COLLECTORS_LLM_NETWORK_H

#include <curl/curl.h>
#include <stddef.h>

/* Sets all of this on a handle that will ask url. */
void network_set(CURL *easy, const char *url);

/* Adds to libcurl's sentence what to do, where the certificate was not trusted. */
void network_explain(CURL *easy, CURLcode code, char *why, size_t size);

/* True where the address is this machine's loopback. */
int network_is_loopback(const char *url);

#endif
