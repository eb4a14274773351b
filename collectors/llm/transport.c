/* transport.c - one thread around epoll and curl_multi_socket_action().
 *
 * A turn of its loop reads all that has come, then lets one upload go on by one buffer, and
 * begins a request only where no upload could go on.  So an answer never waits behind more
 * than a buffer of somebody else's request, and of requests that are handed over together
 * each is sent at once as fast as the network takes it, after the one before.
 *
 * Got wrong elsewhere, so done by hand here (libcurl 7.88.1): CURLINFO_STARTTRANSFER_TIME
 * is off for large uploads, so times come from our callbacks; a body above 1 MiB gets an
 * Expect header, so an empty one is sent; interim 1xx answers reach the header callback
 * first, so each "HTTP/" line starts over; a POST on a dead connection is sent again in
 * silence, so PREREQFUNCTION counts. */
#include "collectors/llm/transport.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "collectors/llm/network.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"

#define MIN_BUFFER 16384L /* curl's smallest for uploads; keeps handles small */
#define MAX_BUFFER 262144L
#define MAX_BUFFERS (16L << 20) /* of uploads, all together */
#define MAX_EVENTS 256
#define NEVER INT64_MAX
#define LONGEST_TURN_NS 100000 /* that beginning requests takes */

static const char body_too_large[] = "the answer is larger than 16 MiB, which no answer "
                                     "of an llm is: is the llm's \"url\" "
                                     "that of an API, and are its tokens bounded?";
static const char headers_too_large[] =
    "the headers of the answer are larger than 64 KiB: is the llm's \"url\" that of an "
    "API, and does a proxy before it add them?";

/* An exchange under way. */
struct transfer {
    struct exchange *ex;
    CURL *easy;
    struct curl_slist *headers;
    struct transfer *next, *previous;
    struct body_place place; /* up to which the body was taken */
    size_t n_left;           /* behind it; 0 = all is taken, and the body may be gone */
    int n_sent;              /* times the request was about to go out */
    int has_head;            /* the blank line behind the headers came */
    const char *too_large;   /* what was beyond its ceiling, in words; NULL = nothing */
};

struct transport {
    pthread_t thread;
    CURLM *multi;
    int epoll, wakeup;
    long upload_buffer;
    pthread_mutex_t lock;   /* guards the four below */
    struct exchange **mail; /* handed over, not taken yet; a ring */
    size_t first_mail, n_mail, mail_size;
    int abort, quit;
    /* the thread's own */
    struct transfer *under_way;
    int64_t due_ns; /* when curl wants to look at its timers */
};

/* ---- exchanges ------------------------------------------------------------------ */

void exchange_release(struct exchange *ex)
{
    buffer_release(&ex->headers);
    buffer_release(&ex->received);
    free(ex->arrivals);
    ex->arrivals = NULL;
    ex->n_arrivals = 0;
}

int64_t exchange_arrival(const struct exchange *ex, size_t n_bytes)
{
    for (size_t i = 0; n_bytes && i < ex->n_arrivals; i++)
        if (ex->arrivals[i].n_bytes >= n_bytes)
            return ex->arrivals[i].mono_ns;
    return 0;
}

static void note_arrival(struct exchange *ex, int64_t now)
{
    if (!ex->arrivals)
        ex->arrivals = malloc(EXCHANGE_MAX_ARRIVALS * sizeof *ex->arrivals);
    if (!ex->arrivals)
        return; // the first token stays unknown
    if (ex->n_arrivals < EXCHANGE_MAX_ARRIVALS)
        ex->n_arrivals++;
    ex->arrivals[ex->n_arrivals - 1] = (struct arrival) { ex->received.len, now };
}

/* ---- curl's callbacks ----------------------------------------------------------- */

static size_t on_upload(char *to, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct exchange *ex = t->ex;
    if (!t->n_left)
        return 0;
    size_t take = body_read(ex->body, &t->place, to, size * n);
    t->n_left -= take;
    if (!t->n_left) {
        ex->uploaded_mono_ns = clock_mono_ns();
        if (ex->uploaded)
            ex->uploaded(ex);
    }
    return take;
}

static int on_ready_to_send(
    void *arg, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    struct transfer *t = arg;
    if (++t->n_sent > 1)
        return CURL_PREREQFUNC_ABORT;
    t->ex->sent_mono_ns = clock_mono_ns();
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct exchange *ex = t->ex;
    size_t len = size * n;
    if (len >= 5 && !memcmp(line, "HTTP/", 5) && !ex->received.len) {
        t->has_head = 0;
        long status = 0;
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        ex->http_status = (int)status;
        ex->first_byte_mono_ns = clock_mono_ns();
        buffer_clear(&ex->headers);
        return len;
    }
    ex->last_byte_mono_ns = clock_mono_ns();
    if (t->has_head) // what comes behind the body is no header: a trailer
        return len;
    t->has_head = len <= 2 && line[len - 1] == '\n';
    if (buffer_add(&ex->headers, line, len) != OK)
        t->too_large = headers_too_large;
    return t->too_large ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    int64_t now = clock_mono_ns();
    t->ex->last_byte_mono_ns = now;
    if (buffer_add(&t->ex->received, data, size * n) != OK)
        t->too_large = body_too_large;
    note_arrival(t->ex, now);
    return t->too_large ? 0 : size * n;
}

/* ---- one transfer --------------------------------------------------------------- */

static int add_header(struct transfer *t, const char *line)
{
    struct curl_slist *more = curl_slist_append(t->headers, line);
    if (more)
        t->headers = more;
    return more != NULL;
}

static void wipe_headers(struct transfer *t)
{
    for (struct curl_slist *h = t->headers; h; h = h->next)
        explicit_bzero(h->data, strlen(h->data));
    curl_slist_free_all(t->headers);
    t->headers = NULL;
}

/* Adds lines "Name: value\n". */
static int add_lines(struct transfer *t, const char *lines)
{
    for (const char *line = lines; line && *line;) {
        size_t n = strcspn(line, "\n");
        char *copy = text_copy_n(line, n);
        int ok = copy && add_header(t, copy);
        if (copy)
            explicit_bzero(copy, n);
        free(copy);
        if (!ok)
            return 0;
        line += line[n] ? n + 1 : n;
    }
    return 1;
}

static enum status add_key(struct transfer *t, struct error *err)
{
    const struct exchange *ex = t->ex;
    struct key_request request = { "POST", ex->url, ex->extra ? ex->extra : "",
        ex->body_sha256, clock_wall_ms() };
    struct buffer lines;
    buffer_init(&lines, EXCHANGE_MAX_HEADERS);
    enum status s = key_lines(&ex->key, ex->token, &request, &lines, err);
    if (s == OK && !add_lines(t, buffer_str(&lines)))
        s = error_nomem(err, lines.len);
    key_wipe(&lines);
    return s;
}

static enum status set_headers(struct transfer *t, struct error *err)
{
    if (!add_header(t, "Content-Type: application/json") || !add_header(t, "Expect:") ||
        !add_header(t, "Accept: application/json, text/event-stream") ||
        !add_lines(t, t->ex->extra))
        return error_nomem(err, 1);
    return add_key(t, err);
}

static long to_ms(int64_t ns)
{
    return ns > 0 ? (long)(ns / 1000000 > 1 ? ns / 1000000 : 1) : 0L;
}

static void set_options(struct transfer *t, long upload_buffer)
{
    CURL *e = t->easy;
    struct exchange *ex = t->ex;
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    network_set(e, ex->url);
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->n_left);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, MIN_BUFFER);
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, upload_buffer);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, to_ms(ex->timeout_ns));
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, to_ms(ex->connect_timeout_ns));
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, ex->error);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(e, CURLOPT_READDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready_to_send);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
    // Nothing compressed is asked for; what comes so all the same is unpacked.
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "identity");
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, ex->is_fresh ? 1L : 0L);
}

static void set_end(struct exchange *ex, enum exchange_end end, const char *why)
{
    ex->end = end;
    if (end == EXCHANGE_COMPLETE) {
        ex->error[0] = '\0';
    } else if (!ex->error[0]) {
        size_t n = strlen(why);
        n = n < sizeof ex->error ? n : sizeof ex->error - 1;
        memcpy(ex->error, why, n);
        ex->error[n] = '\0';
    }
}

static enum exchange_end end_of(const struct transfer *t, CURLcode code)
{
    if (code == CURLE_OK)
        return EXCHANGE_COMPLETE;
    if (t->n_sent > 1 || code == CURLE_SEND_FAIL_REWIND)
        return EXCHANGE_STALE;
    if (t->n_sent == 0)
        return EXCHANGE_UNREACHED;
    if (t->too_large)
        return EXCHANGE_TOO_LARGE;
    return code == CURLE_OPERATION_TIMEDOUT ? EXCHANGE_TIMED_OUT : EXCHANGE_BROKEN;
}

static void read_connection(struct transfer *t, enum exchange_end end)
{
    curl_off_t lookup_us = 0, connect_us = 0, tls_us = 0;
    long n_connects = 0;
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &n_connects);
    curl_easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &lookup_us);
    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
    curl_easy_getinfo(t->easy, CURLINFO_APPCONNECT_TIME_T, &tls_us);
    // A stale one was reused, though curl has connected anew by now.
    t->ex->reused = end == EXCHANGE_STALE || (t->n_sent > 0 && n_connects == 0);
    if (t->ex->reused)
        return;
    connect_us = tls_us > connect_us ? tls_us : connect_us;
    t->ex->name_lookup_ns = lookup_us * 1000;
    t->ex->connect_ns = connect_us > lookup_us ? (connect_us - lookup_us) * 1000 : 0;
}

static void end_transfer(
    struct transport *tr, struct transfer *t, enum exchange_end end, const char *why)
{
    struct exchange *ex = t->ex;
    if (t->easy) {
        read_connection(t, end);
        curl_multi_remove_handle(tr->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    wipe_headers(t);
    if (t->previous)
        t->previous->next = t->next;
    else if (tr->under_way == t)
        tr->under_way = t->next;
    if (t->next)
        t->next->previous = t->previous;
    free(t);
    set_end(ex, end, why);
    ex->done(ex);
}

/* NULL where it has ended already. */
static struct transfer *start_transfer(struct transport *tr, struct exchange *ex)
{
    struct error err = ERROR_INIT;
    struct transfer *t = calloc(1, sizeof *t);
    if (!t) {
        set_end(ex, EXCHANGE_UNREACHED, "no memory for a request");
        ex->done(ex);
        return NULL;
    }
    t->ex = ex;
    t->n_left = ex->body->len;
    t->easy = curl_easy_init();
    enum status s = t->easy ? set_headers(t, &err) : error_nomem(&err, sizeof *t);
    if (s == OK) {
        set_options(t, tr->upload_buffer);
        if (curl_multi_add_handle(tr->multi, t->easy) != CURLM_OK)
            s = error_set(&err, E_NET, "libcurl took no more requests");
    }
    t->next = tr->under_way;
    if (t->next)
        t->next->previous = t;
    tr->under_way = t;
    if (s == OK)
        return t;
    end_transfer(tr, t, EXCHANGE_UNREACHED, err.msg);
    return NULL;
}

/* ---- the thread ----------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    (void)easy;
    struct transport *tr = arg;
    struct epoll_event ev = { .data.fd = fd,
        .events = (what & CURL_POLL_IN ? EPOLLIN : 0u) |
                  (what & CURL_POLL_OUT ? EPOLLOUT : 0u) };
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(tr->epoll, EPOLL_CTL_DEL, fd, NULL);
    } else if (of_socket) {
        epoll_ctl(tr->epoll, EPOLL_CTL_MOD, fd, &ev);
    } else if (epoll_ctl(tr->epoll, EPOLL_CTL_ADD, fd, &ev) == 0) {
        curl_multi_assign(tr->multi, fd, tr); // so that it is known the next time
    }
    // One that cannot be watched times out; a failure here would end all the others.
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct transport *tr = arg;
    tr->due_ns = timeout_ms < 0 ? NEVER : clock_mono_ns() + timeout_ms * INT64_C(1000000);
    return 0;
}

/* How many there were. */
static int take_ended(struct transport *tr)
{
    int n_left = 0, n = 0;
    CURLMsg *msg = NULL;
    while ((msg = curl_multi_info_read(tr->multi, &n_left))) {
        char *private = NULL;
        if (msg->msg != CURLMSG_DONE ||
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private) != CURLE_OK)
            continue;
        struct transfer *t = (struct transfer *)(void *)private;
        CURLcode code = msg->data.result;
        enum exchange_end end = end_of(t, code);
        const char *why = end == EXCHANGE_STALE ? "the kept-alive connection was dead"
                          : end == EXCHANGE_TOO_LARGE ? t->too_large
                                                      : NULL;
        if (why) // libcurl tells how it noticed, not what it is
            t->ex->error[0] = '\0';
        network_explain(t->easy, code, t->ex->error, sizeof t->ex->error);
        end_transfer(tr, t, end, why ? why : curl_easy_strerror(code));
        n++;
    }
    return n;
}

/* Everything between two waits happens at one go. */
static void note_lag(struct transport *tr, int64_t lag_ns)
{
    for (struct transfer *t = tr->under_way; t; t = t->next)
        if (lag_ns > t->ex->loop_lag_ns)
            t->ex->loop_lag_ns = lag_ns;
}

/* Reads all that has come, then lets one upload go on; true where there was one. */
static int move_bytes(struct transport *tr, const struct epoll_event *events, int n)
{
    int n_running = 0, writable = -1;
    for (int i = 0; i < n; i++) {
        uint64_t count;
        int fd = events[i].data.fd;
        if (fd == tr->wakeup)
            (void)!read(fd, &count, sizeof count);
        else if (events[i].events & ~(unsigned)EPOLLOUT)
            curl_multi_socket_action(tr->multi, fd, CURL_CSELECT_IN, &n_running);
        else if (writable < 0)
            writable = fd;
    }
    if (writable >= 0)
        curl_multi_socket_action(tr->multi, writable, CURL_CSELECT_OUT, &n_running);
    return writable >= 0;
}

static struct exchange *next_mail(struct transport *tr)
{
    struct exchange *ex = NULL;
    pthread_mutex_lock(&tr->lock);
    if (tr->n_mail) {
        ex = tr->mail[tr->first_mail];
        tr->first_mail = (tr->first_mail + 1) % tr->mail_size;
        tr->n_mail--;
    }
    pthread_mutex_unlock(&tr->lock);
    return ex;
}

static void abort_all(struct transport *tr)
{
    static const char why[] = "given up on request";
    struct exchange *ex = NULL;
    while (tr->under_way)
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it takes the transfer out of the list
        end_transfer(tr, tr->under_way, EXCHANGE_ABORTED, why);
    while ((ex = next_mail(tr))) {
        set_end(ex, EXCHANGE_ABORTED, why);
        ex->done(ex);
    }
}

/* What curl wants to do at a certain time. */
static void look_at_timers(struct transport *tr)
{
    int n_running = 0;
    if (tr->due_ns > clock_mono_ns())
        return;
    tr->due_ns = NEVER;
    curl_multi_socket_action(tr->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
}

/* The next exchange, and more as long as they are out at once. */
static void begin(struct transport *tr)
{
    int64_t until_ns = clock_mono_ns() + LONGEST_TURN_NS;
    struct exchange *ex = NULL;
    while (clock_mono_ns() < until_ns && (ex = next_mail(tr))) {
        const struct transfer *t = start_transfer(tr, ex);
        look_at_timers(tr); // where curl begins it
        if (t && t->n_left)
            return;
    }
}

/* Does what others ask for.  *has_more: exchanges wait.  False where the thread is to end. */
static int take_mail(struct transport *tr, int may_begin, int *has_more)
{
    if (may_begin)
        begin(tr);
    pthread_mutex_lock(&tr->lock);
    int quit = tr->quit, abort = tr->abort || quit;
    tr->abort = 0;
    *has_more = tr->n_mail > 0;
    pthread_mutex_unlock(&tr->lock);
    if (abort)
        abort_all(tr);
    return !quit;
}

static int wait_ms(const struct transport *tr)
{
    if (tr->due_ns == NEVER)
        return -1;
    int64_t left_ns = tr->due_ns - clock_mono_ns();
    return left_ns > 0 ? (int)((left_ns + 999999) / 1000000) : 0;
}

static void *run(void *arg)
{
    struct transport *tr = arg;
    struct epoll_event events[MAX_EVENTS];
    int goes_on = 1, has_more = 0;
    while (goes_on) {
        int n = epoll_wait(tr->epoll, events, MAX_EVENTS, has_more ? 0 : wait_ms(tr));
        int64_t woken_ns = clock_mono_ns();
        int is_uploading = move_bytes(tr, events, n);
        goes_on = take_mail(tr, !is_uploading, &has_more);
        look_at_timers(tr);
        note_lag(tr, clock_mono_ns() - woken_ns);
        if (take_ended(tr))
            note_lag(tr, clock_mono_ns() - woken_ns);
    }
    return NULL;
}

static void free_all(struct transport *tr)
{
    curl_multi_cleanup(tr->multi); // closes connections, and says so
    if (tr->epoll >= 0)
        close(tr->epoll);
    if (tr->wakeup >= 0)
        close(tr->wakeup);
    pthread_mutex_destroy(&tr->lock);
    free(tr->mail);
    free(tr);
    curl_global_cleanup();
}

static long upload_buffer(unsigned max_idle)
{
    long each = MAX_BUFFERS / (long)(max_idle ? max_idle : 1);
    return each < MIN_BUFFER ? MIN_BUFFER : each > MAX_BUFFER ? MAX_BUFFER : each;
}

enum status transport_new(unsigned max_idle, struct transport **out, struct error *err)
{
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, E_NET, "libcurl could not be started");
    struct transport *tr = calloc(1, sizeof *tr);
    if (!tr) {
        curl_global_cleanup();
        return error_nomem(err, sizeof *tr);
    }
    pthread_mutex_init(&tr->lock, NULL);
    tr->upload_buffer = upload_buffer(max_idle);
    tr->due_ns = NEVER;
    tr->multi = curl_multi_init();
    tr->epoll = epoll_create1(EPOLL_CLOEXEC);
    tr->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event heard = { .events = EPOLLIN, .data.fd = tr->wakeup };
    if (!tr->multi || tr->epoll < 0 || tr->wakeup < 0 ||
        epoll_ctl(tr->epoll, EPOLL_CTL_ADD, tr->wakeup, &heard) != 0)
        goto fail;
    curl_multi_setopt(tr->multi, CURLMOPT_MAXCONNECTS, (long)(max_idle ? max_idle : 1));
    curl_multi_setopt(tr->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(tr->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(tr->multi, CURLMOPT_SOCKETDATA, tr);
    curl_multi_setopt(tr->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(tr->multi, CURLMOPT_TIMERDATA, tr);
    if (pthread_create(&tr->thread, NULL, run, tr) != 0)
        goto fail;
    *out = tr;
    return OK;
fail:
    free_all(tr);
    return error_set(err, E_NOMEM,
        "no memory, no descriptors or no thread left for the connections to servers");
}

static void wake(struct transport *tr)
{
    (void)!write(tr->wakeup, &(uint64_t) { 1 }, sizeof(uint64_t));
}

/* Room for one more in the ring; the lock is held. */
static int make_room(struct transport *tr)
{
    if (tr->n_mail < tr->mail_size)
        return 1;
    size_t size = tr->mail_size ? tr->mail_size * 2 : 32;
    struct exchange **more = malloc(size * sizeof(struct exchange *));
    if (!more)
        return 0;
    for (size_t i = 0; i < tr->n_mail; i++) {
        size_t at = tr->first_mail + i;
        more[i] = tr->mail[at < tr->mail_size ? at : at - tr->mail_size];
    }
    free(tr->mail);
    tr->mail = more;
    tr->mail_size = size;
    tr->first_mail = 0;
    return 1;
}

void transport_send(struct transport *tr, struct exchange *ex)
{
    buffer_init(&ex->headers, EXCHANGE_MAX_HEADERS);
    buffer_init(&ex->received, EXCHANGE_MAX_BODY);
    pthread_mutex_lock(&tr->lock);
    int ok = make_room(tr);
    if (ok)
        tr->mail[(tr->first_mail + tr->n_mail++) % tr->mail_size] = ex;
    pthread_mutex_unlock(&tr->lock);
    if (ok) {
        wake(tr);
        return;
    }
    set_end(ex, EXCHANGE_UNREACHED, "no memory for a request");
    ex->done(ex);
}

void transport_abort(struct transport *tr)
{
    pthread_mutex_lock(&tr->lock);
    tr->abort = 1;
    pthread_mutex_unlock(&tr->lock);
    wake(tr);
}

void transport_free(struct transport *tr)
{
    if (!tr)
        return;
    pthread_mutex_lock(&tr->lock);
    tr->quit = 1;
    pthread_mutex_unlock(&tr->lock);
    wake(tr);
    pthread_join(tr->thread, NULL);
    free_all(tr);
}
