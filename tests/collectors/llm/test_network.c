/* Certificates and proxies, as for curl: a real TLS server with an authority of its own. */
#include "collectors/llm/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/llm/fetch.h"
#include "collectors/llm/transport.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "tests/support/tls_server.h"

#define SECOND INT64_C(1000000000)

static const char *const variables[] = { "CURL_CA_BUNDLE", "SSL_CERT_FILE",
    "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY",
    "no_proxy" };
static char ca[64], other_ca[64];
static struct body_piece braces = { "{}", 2, NULL };
static const struct body small = { .pieces = &braces, .n_pieces = 1, .len = 2 };

static int clear_variables(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    return 0;
}

static int name_files(void **state)
{
    snprintf(ca, sizeof ca, "/tmp/m4a1-ca-%ld.pem", (long)getpid());
    snprintf(other_ca, sizeof other_ca, "/tmp/m4a1-other-ca-%ld.pem", (long)getpid());
    struct tls_server *other = tls_server_start(TLS_SERVER, "127.0.0.1", other_ca);
    assert_non_null(other);
    tls_server_stop(other);
    return clear_variables(state);
}

static int remove_files(void **state)
{
    (void)state;
    unlink(ca);
    unlink(other_ca);
    return 0;
}

static void on_done(struct exchange *ex)
{
    *(volatile int *)ex->arg = 1;
}

/* One POST with a key to https://HOST, with the server's port where it is the server. */
static void ask(struct tls_server *server, const char *host, struct exchange *ex)
{
    char url[128];
    volatile int done = 0;
    if (strcmp(host, "127.0.0.1"))
        snprintf(url, sizeof url, "https://%s/v1", host);
    else
        snprintf(url, sizeof url, "https://%s:%d/v1", host, tls_server_port(server));
    struct transport *t = NULL;
    assert_int_equal(transport_new(4, &t, NULL), OK);
    *ex = (struct exchange) { .url = url, .body = &small, .done = on_done };
    ex->extra = "X-Secret: key\n";
    ex->arg = (void *)&done;
    ex->timeout_ns = 5 * SECOND;
    ex->connect_timeout_ns = 2 * SECOND;
    transport_send(t, ex);
    while (!done)
        usleep(1000);
    transport_free(t);
}

static void assert_end(enum exchange_end end, const char *why)
{
    struct exchange ex;
    struct tls_server *s = tls_server_start(TLS_SERVER, "127.0.0.1", ca);
    assert_non_null(s);
    ask(s, "127.0.0.1", &ex);
    assert_int_equal(ex.end, end);
    if (end == EXCHANGE_COMPLETE)
        assert_string_equal(buffer_str(&ex.received), "{\"a\":1}");
    else if (!strstr(ex.error, why))
        fail_msg("\"%s\" is not in \"%s\"", why, ex.error);
    exchange_release(&ex);
    tls_server_stop(s);
}

static void test_unknown_authority(void **state)
{
    (void)state;
    assert_end(EXCHANGE_UNREACHED, "unable to get local issuer certificate");
    assert_end(EXCHANGE_UNREACHED, "SSL_CERT_FILE");
}

static void test_private_authority(void **state)
{
    (void)state;
    setenv("SSL_CERT_FILE", ca, 1);
    assert_end(EXCHANGE_COMPLETE, NULL);
    // curl's own variable wins, also where it is the wrong one.
    setenv("CURL_CA_BUNDLE", other_ca, 1);
    assert_end(EXCHANGE_UNREACHED, other_ca);
    setenv("CURL_CA_BUNDLE", ca, 1);
    setenv("SSL_CERT_FILE", other_ca, 1);
    assert_end(EXCHANGE_COMPLETE, NULL);
    // An empty one counts for nothing.
    setenv("CURL_CA_BUNDLE", "", 1);
    setenv("SSL_CERT_FILE", ca, 1);
    assert_end(EXCHANGE_COMPLETE, NULL);
}

static void test_missing_file(void **state)
{
    (void)state;
    setenv("SSL_CERT_FILE", "/nowhere/ca.pem", 1);
    assert_end(EXCHANGE_UNREACHED, "/nowhere/ca.pem");
}

static void test_other_name(void **state)
{
    (void)state;
    struct exchange ex;
    struct tls_server *s = tls_server_start(TLS_SERVER, "llm.test", ca);
    assert_non_null(s);
    setenv("SSL_CERT_FILE", ca, 1);
    ask(s, "127.0.0.1", &ex);
    assert_int_equal(ex.end, EXCHANGE_UNREACHED);
    assert_non_null(strstr(ex.error, "subject name"));
    assert_string_equal(tls_server_head(s), "");
    exchange_release(&ex);
    tls_server_stop(s);
}

static struct tls_server *start_proxy(enum tls_role role)
{
    char proxy[64];
    struct tls_server *s = tls_server_start(role, "llm.test", ca);
    assert_non_null(s);
    snprintf(proxy, sizeof proxy, "http://user:word@127.0.0.1:%d", tls_server_port(s));
    setenv("HTTPS_PROXY", proxy, 1);
    setenv("SSL_CERT_FILE", ca, 1);
    return s;
}

static void test_proxy(void **state)
{
    (void)state;
    struct exchange ex;
    struct tls_server *s = start_proxy(TLS_PROXY);
    int64_t before_ns = clock_mono_ns();
    ask(s, "llm.test", &ex);
    assert_int_equal(ex.end, EXCHANGE_COMPLETE);
    assert_int_equal(ex.http_status, 200);
    assert_string_equal(buffer_str(&ex.received), "{\"a\":1}");
    assert_non_null(strstr(tls_server_connect_head(s), "CONNECT llm.test:443 HTTP/1.1"));
    assert_non_null(strstr(tls_server_connect_head(s), "Proxy-Authorization: Basic"));
    // What is for the server alone goes through the tunnel, and nothing of the proxy's stays.
    assert_null(strstr(tls_server_connect_head(s), "X-Secret"));
    assert_non_null(strstr(tls_server_head(s), "X-Secret: key"));
    assert_null(strstr(tls_server_head(s), "Proxy-Authorization"));
    assert_null(strstr(buffer_str(&ex.headers), "X-Proxy"));
    assert_true(ex.sent_mono_ns > before_ns && ex.first_byte_mono_ns >= ex.sent_mono_ns);
    exchange_release(&ex);
    tls_server_stop(s);
}

static void test_proxy_refuses(void **state)
{
    (void)state;
    struct exchange ex;
    struct tls_server *s = start_proxy(TLS_REFUSING);
    ask(s, "llm.test", &ex);
    assert_int_equal(ex.end, EXCHANGE_UNREACHED);
    assert_int_equal(ex.http_status, 0);
    assert_non_null(strstr(ex.error, "407"));
    assert_null(strstr(ex.error, "word"));
    exchange_release(&ex);
    tls_server_stop(s);
}

static void test_fetch(void **state)
{
    (void)state;
    char url[64];
    struct fetched f;
    struct error err = ERROR_INIT;
    struct tls_server *s = tls_server_start(TLS_SERVER, "127.0.0.1", ca);
    assert_non_null(s);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", tls_server_port(s));
    assert_int_equal(fetch(url, NULL, NULL, 5 * SECOND, &f, &err), E_NET);
    assert_non_null(strstr(err.msg, "SSL_CERT_FILE"));
    fetched_release(&f);
    setenv("SSL_CERT_FILE", ca, 1);
    assert_int_equal(fetch(url, NULL, NULL, 5 * SECOND, &f, &err), OK);
    assert_string_equal(buffer_str(&f.body), "{\"a\":1}");
    fetched_release(&f);
    tls_server_stop(s);
}

static void test_loopback(void **state)
{
    (void)state;
    assert_true(network_is_loopback("http://127.0.0.1:8080/v1"));
    assert_true(network_is_loopback("http://localhost"));
    assert_true(network_is_loopback("http://[::1]:8080"));
    assert_true(network_is_loopback("http://box.localhost"));
    assert_false(network_is_loopback("http://127.example.com"));
    assert_false(network_is_loopback("https://llm.test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_unknown_authority, clear_variables),
        cmocka_unit_test_setup(test_private_authority, clear_variables),
        cmocka_unit_test_setup(test_missing_file, clear_variables),
        cmocka_unit_test_setup(test_other_name, clear_variables),
        cmocka_unit_test_setup(test_proxy, clear_variables),
        cmocka_unit_test_setup(test_proxy_refuses, clear_variables),
        cmocka_unit_test_setup(test_fetch, clear_variables),
        cmocka_unit_test(test_loopback),
    };
    return cmocka_run_group_tests_name("network", tests, name_files, remove_files);
}
