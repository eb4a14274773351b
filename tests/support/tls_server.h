/* tls_server.h - an https server for tests, with a certificate of an authority of its own,
 * which may also stand for the proxy in front of itself. */
#ifndef TESTS_SUPPORT_TLS_SERVER_H
#define TESTS_SUPPORT_TLS_SERVER_H

struct tls_server;

enum tls_role {
    TLS_SERVER,  /* TLS from the first byte */
    TLS_PROXY,   /* takes a CONNECT first, and is then the server that was asked for */
    TLS_REFUSING /* answers 407 to a CONNECT */
};

/* Listens on a free port of 127.0.0.1.  Its certificate is for name (a DNS name, or
 * 127.0.0.1), signed by an authority whose own is written to the file ca_path.  Every
 * request gets the answer {"a":1}.  NULL where that fails. */
struct tls_server *tls_server_start(
    enum tls_role role, const char *name, const char *ca_path);
void tls_server_stop(struct tls_server *s);
int tls_server_port(const struct tls_server *s);

/* The last request's head, and the last CONNECT's; "" before one came. */
const char *tls_server_head(const struct tls_server *s);
const char *tls_server_connect_head(const struct tls_server *s);

#endif
