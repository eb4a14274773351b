/* tls_server.c - see tls_server.h. */
#include "tests/support/tls_server.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_SIZE 4096

struct tls_server {
    int fd, port;
    enum tls_role role;
    SSL_CTX *context;
    pthread_t thread;
    char head[HEAD_SIZE], connect_head[HEAD_SIZE];
};

/* ---- certificates --------------------------------------------------------------- */

static int add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    int ok = e && X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

/* A certificate of key for name, valid for a day; signed by issuer, or by itself. */
static X509 *make_certificate(
    EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    X509_NAME *subject = cert ? X509_get_subject_name(cert) : NULL;
    char names[256];
    snprintf(
        names, sizeof names, "%s:%s", strcmp(name, "127.0.0.1") ? "DNS" : "IP", name);
    if (cert && X509_set_version(cert, 2) &&
        ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer ? 2 : 1) &&
        X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
        X509_gmtime_adj(X509_getm_notAfter(cert), 86400) && X509_set_pubkey(cert, key) &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
            (const unsigned char *)(issuer ? name : "Laboratory"), -1, -1, 0) &&
        X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject) &&
        (issuer ? add_extension(cert, NID_subject_alt_name, names)
                : add_extension(cert, NID_basic_constraints, "critical,CA:TRUE")) &&
        X509_sign(cert, issuer_key, EVP_sha256()))
        return cert;
    X509_free(cert);
    return NULL;
}

static int write_certificate(X509 *cert, const char *path)
{
    FILE *f = fopen(path, "w");
    int ok = f && PEM_write_X509(f, cert);
    return f && fclose(f) == 0 && ok;
}

static SSL_CTX *make_context(const char *name, const char *ca_path)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = ca_key ? make_certificate(ca_key, "Laboratory", NULL, ca_key) : NULL;
    X509 *cert = ca && key ? make_certificate(key, name, ca, ca_key) : NULL;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!cert || !context || !write_certificate(ca, ca_path) ||
        SSL_CTX_use_certificate(context, cert) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1) {
        SSL_CTX_free(context);
        context = NULL;
    }
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return context;
}

/* ---- connections ---------------------------------------------------------------- */

/* Reads up to the empty line, and takes no byte behind it. */
static int read_head(int fd, SSL *ssl, char head[HEAD_SIZE])
{
    size_t n = 0;
    head[0] = '\0';
    while (n + 1 < HEAD_SIZE && !strstr(head, "\r\n\r\n")) {
        int got = ssl ? SSL_read(ssl, head + n, 1) : (int)recv(fd, head + n, 1, 0);
        if (got != 1)
            return 0;
        head[++n] = '\0';
    }
    return 1;
}

static void answer(struct tls_server *s, int fd)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{\"a\":1}";
    char body[16];
    SSL *ssl = SSL_new(s->context);
    if (ssl && SSL_set_fd(ssl, fd) && SSL_accept(ssl) == 1 &&
        read_head(fd, ssl, s->head)) {
        if (!strncmp(s->head, "POST", 4)) // the body is {}
            SSL_read(ssl, body, sizeof body);
        SSL_write(ssl, text, sizeof text - 1);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
}

static void *serve(void *arg)
{
    struct tls_server *s = arg;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0; close(fd)) {
        const char *said = s->role == TLS_PROXY
                               ? "HTTP/1.1 200 Connected\r\nX-Proxy: 1\r\n\r\n"
                               : "HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n";
        if (s->role != TLS_SERVER && (!read_head(fd, NULL, s->connect_head) ||
                                         send(fd, said, strlen(said), MSG_NOSIGNAL) < 0))
            continue;
        if (s->role != TLS_REFUSING)
            answer(s, fd);
    }
    return NULL;
}

struct tls_server *tls_server_start(
    enum tls_role role, const char *name, const char *ca_path)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    signal(SIGPIPE, SIG_IGN); // a client that does not trust us hangs up
    struct tls_server *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->role = role;
    s->context = make_context(name, ca_path);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->context && s->fd >= 0 &&
        bind(s->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(s->fd, 16) == 0 &&
        getsockname(s->fd, (struct sockaddr *)&address, &len) == 0) {
        s->port = ntohs(address.sin_port);
        if (pthread_create(&s->thread, NULL, serve, s) == 0)
            return s;
    }
    SSL_CTX_free(s->context);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
    return NULL;
}

void tls_server_stop(struct tls_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    SSL_CTX_free(s->context);
    free(s);
}

int tls_server_port(const struct tls_server *s)
{
    return s->port;
}

const char *tls_server_head(const struct tls_server *s)
{
    return s->head;
}

const char *tls_server_connect_head(const struct tls_server *s)
{
    return s->connect_head;
}
