/* progress.c - one live line on a terminal, a line now and then elsewhere. */
#include "m4a1/base/progress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"

#define TERMINAL_NS 100000000 /* between redraws of the live line */
#define PIPE_NS 10000000000   /* between lines in a log */

struct progress {
    char what[64], note[96];
    FILE *stream;
    int64_t total, done, started_ns, shown_ns;
    int live;
};

struct progress *progress_new(const char *what, int64_t total, FILE *stream)
{
    struct progress *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    snprintf(p->what, sizeof p->what, "%s", what);
    p->total = total;
    p->stream = stream;
    p->live = isatty(fileno(stream));
    p->started_ns = p->shown_ns = clock_mono_ns();
    return p;
}

static void progress_show(struct progress *p, int last)
{
    double seconds = (double)(clock_mono_ns() - p->started_ns) / 1e9;
    double rate = seconds > 0 ? (double)p->done / seconds : 0;
    char took[32], left[48] = "";
    text_duration(seconds, took, sizeof took);
    if (!last && p->total > p->done && rate > 0) {
        char buf[32];
        text_duration((double)(p->total - p->done) / rate, buf, sizeof buf);
        snprintf(left, sizeof left, ", %s left", buf);
    }
    char count[64];
    if (p->total > 0)
        snprintf(
            count, sizeof count, "%lld of %lld", (long long)p->done, (long long)p->total);
    else
        snprintf(count, sizeof count, "%lld", (long long)p->done);
    fprintf(p->stream, "%s%s: %s in %s%s%s%s%s", p->live ? "\r\033[K" : "", p->what,
        count, took, left, p->note[0] ? " (" : "", p->note, p->note[0] ? ")" : "");
    if (!p->live || last)
        fputc('\n', p->stream);
    fflush(p->stream);
}

void progress_total(struct progress *p, int64_t total)
{
    if (p)
        p->total = total;
}

void progress_step(struct progress *p, int64_t n, const char *note)
{
    if (!p)
        return;
    p->done += n;
    snprintf(p->note, sizeof p->note, "%s", note ? note : "");
    int64_t now_ns = clock_mono_ns();
    if (now_ns - p->shown_ns < (p->live ? TERMINAL_NS : PIPE_NS))
        return;
    p->shown_ns = now_ns;
    progress_show(p, 0);
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_show(p, 1);
    free(p);
}
