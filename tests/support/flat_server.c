#include "tests/support/flat_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "m4a1/base/clock.h"

#define MAX_CONNECTIONS 4096
#define MAX_HEAD 8192

static const char answer[] =
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":"
    "\"flat\","
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The "
    "knife "
    "lies on the board, its blade turned away from the edge.\",\"refusal\":null},"
    "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":2400,"
    "\"completion_tokens\":14,\"total_tokens\":2414,\"prompt_tokens_details\":"
    "{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}},"
    "\"system_fingerprint\":\"fp_flat\"}";

struct connection {
    char head[MAX_HEAD];
    size_t n_head, body_left;
    int in_body;
    int64_t begun_ns, due_ns;
};

/* Of the child. */
static struct {
    int epoll, listener, timer;
    int64_t delay_ns, gap_ns, last_due_ns;
    struct connection *of[MAX_CONNECTIONS]; /* by descriptor */
    int waiting[MAX_CONNECTIONS]; /* a ring, oldest first, in the order of due_ns */
    size_t first, n_waiting;
    char sink[1 << 18];
} me;

static void drop(int fd)
{
    // A connection that waits for its answer is closed when that is due.
    free(me.of[fd]);
    me.of[fd] = NULL;
    close(fd);
}

static void say(int fd)
{
    char out[2048];
    struct connection *c = me.of[fd];
    int n = snprintf(out, sizeof out,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
        "x-request-id: %lld\r\n\r\n%s",
        sizeof answer - 1, (long long)(clock_mono_ns() - c->begun_ns), answer);
    c->n_head = 0;
    c->in_body = 0;
    if (send(fd, out, (size_t)n, MSG_NOSIGNAL) != n)
        drop(fd);
}

static void set_timer(void)
{
    struct itimerspec when = { 0 };
    if (me.n_waiting) {
        const struct connection *c = me.of[me.waiting[me.first]];
        int64_t due = c ? c->due_ns : 1;
        when.it_value.tv_sec = (time_t)(due / 1000000000);
        when.it_value.tv_nsec = (long)(due % 1000000000);
    }
    timerfd_settime(me.timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void say_what_is_due(void)
{
    while (me.n_waiting) {
        int fd = me.waiting[me.first];
        if (me.of[fd] && me.of[fd]->due_ns > clock_mono_ns())
            break;
        me.first = (me.first + 1) % MAX_CONNECTIONS;
        me.n_waiting--;
        if (me.of[fd])
            say(fd);
    }
    set_timer();
}

static void have_all(int fd)
{
    if (!me.delay_ns) {
        say(fd);
        return;
    }
    int64_t due_ns = clock_mono_ns() + me.delay_ns;
    if (due_ns < me.last_due_ns + me.gap_ns)
        due_ns = me.last_due_ns + me.gap_ns;
    me.of[fd]->due_ns = me.last_due_ns = due_ns;
    me.waiting[(me.first + me.n_waiting) % MAX_CONNECTIONS] = fd;
    if (me.n_waiting++ == 0)
        set_timer();
}

static size_t content_length(const char *head)
{
    static const char name[] = "\ncontent-length:";
    for (const char *line = head; (line = strchr(line, '\n')); line++)
        if (!strncasecmp(line, name, sizeof name - 1))
            return strtoull(line + sizeof name - 1, NULL, 10);
    return 0;
}

/* Takes what can be read of a head; false where the connection is of no more use. */
static int read_head(int fd, struct connection *c)
{
    ssize_t n = recv(fd, c->head + c->n_head, MAX_HEAD - 1 - c->n_head, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    if (!c->n_head)
        c->begun_ns = clock_mono_ns();
    c->n_head += (size_t)n;
    c->head[c->n_head] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end)
        return c->n_head < MAX_HEAD - 1;
    size_t n_body = c->n_head - (size_t)(end + 4 - c->head),
           n_all = content_length(c->head);
    c->body_left = n_all > n_body ? n_all - n_body : 0;
    c->in_body = 1;
    return 1;
}

/* One piece of it, so that heads of other requests do not wait long to be stamped. */
static int read_body(int fd, struct connection *c)
{
    size_t most = c->body_left < sizeof me.sink ? c->body_left : sizeof me.sink;
    ssize_t n = most ? recv(fd, me.sink, most, 0) : 0;
    if (most && n <= 0)
        return n < 0 && errno == EAGAIN;
    c->body_left -= (size_t)n;
    if (!c->body_left)
        have_all(fd);
    return 1;
}

static void hear(int fd)
{
    struct connection *c = me.of[fd];
    int ok = c != NULL;
    if (ok && !c->in_body)
        ok = read_head(fd, c);
    if (ok && c->in_body)
        ok = read_body(fd, c);
    if (!ok)
        drop(fd);
}

static void take_connection(void)
{
    int one = 1;
    int fd = accept(me.listener, NULL, NULL);
    if (fd < 0)
        return;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };
    struct connection *c = fd < MAX_CONNECTIONS ? calloc(1, sizeof *c) : NULL;
    if (!c || epoll_ctl(me.epoll, EPOLL_CTL_ADD, fd, &ev)) {
        free(c);
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    me.of[fd] = c;
}

static int is_in_body(int fd)
{
    return fd >= 0 && fd < MAX_CONNECTIONS && me.of[fd] && me.of[fd]->in_body;
}

static _Noreturn void serve(void)
{
    struct epoll_event events[256];
    for (;;) {
        int n = epoll_wait(me.epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            uint64_t ticks;
            int fd = events[i].data.fd;
            if (fd == me.listener)
                take_connection();
            else if (fd == me.timer && read(fd, &ticks, sizeof ticks) > 0)
                say_what_is_due();
            else if (fd != me.timer && !is_in_body(fd))
                hear(fd);
            else
                continue;
            events[i].data.fd = -1; // done with
        }
        for (int i = 0; i < n; i++)
            if (is_in_body(events[i].data.fd))
                hear(events[i].data.fd);
    }
}

static int begin(int *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    me.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    me.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    me.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event heard = { .events = EPOLLIN, .data.fd = me.listener };
    struct epoll_event due = { .events = EPOLLIN, .data.fd = me.timer };
    if (me.listener < 0 || me.timer < 0 || me.epoll < 0 ||
        bind(me.listener, (struct sockaddr *)&at, sizeof at) ||
        listen(me.listener, 1024) ||
        getsockname(me.listener, (struct sockaddr *)&at, &len) ||
        epoll_ctl(me.epoll, EPOLL_CTL_ADD, me.listener, &heard) ||
        epoll_ctl(me.epoll, EPOLL_CTL_ADD, me.timer, &due))
        return 0;
    *port = ntohs(at.sin_port);
    return 1;
}

int flat_server_start(int64_t delay_ns, int64_t gap_ns, struct flat_server *out)
{
    memset(&me, 0, sizeof me);
    me.delay_ns = delay_ns;
    me.gap_ns = gap_ns;
    if (!begin(&out->port))
        return 0;
    out->pid = fork();
    if (out->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); // a bench that dies leaves no server behind
        (void)!setpriority(
            PRIO_PROCESS, 0, -19); // where it may: it plays a machine of its own
        serve();
    }
    close(me.listener);
    close(me.timer);
    close(me.epoll);
    return out->pid > 0;
}

double flat_server_stop(struct flat_server *s)
{
    struct rusage used = { 0 };
    int status;
    kill(s->pid, SIGTERM);
    if (wait4(s->pid, &status, 0, &used) < 0)
        return 0;
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}
