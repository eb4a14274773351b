/* bench_peer.c - a child between two pipes. */
#include "tests/support/bench_peer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "m4a1/base/clock.h"

static _Noreturn void stop(const struct bench_peer *peer, const char *what)
{
    fprintf(stderr, "bench_peer: %s: %s\n", peer->name, what);
    exit(1);
}

/* pipes[0] is what the child reads, pipes[1] what it writes. */
static _Noreturn void become(const char *const argv[], int pipes[2][2])
{
    dup2(pipes[0][0], STDIN_FILENO);
    dup2(pipes[1][1], STDOUT_FILENO);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

/* A pipe that other peers do not inherit: they would keep it open. */
static int own_pipe(int ends[2])
{
    return pipe(ends) || fcntl(ends[0], F_SETFD, FD_CLOEXEC) ||
           fcntl(ends[1], F_SETFD, FD_CLOEXEC);
}

int bench_peer_start(const char *name, const char *const argv[], struct bench_peer *out)
{
    int pipes[2][2];
    char line[64] = "";
    *out = (struct bench_peer) { .name = name };
    signal(SIGPIPE, SIG_IGN); // a peer that is gone shows when it does not answer
    fflush(stdout);
    if (own_pipe(pipes[0]) || own_pipe(pipes[1]))
        stop(out, "no pipe");
    out->pid = fork();
    if (out->pid < 0)
        stop(out, "no process");
    if (out->pid == 0)
        become(argv, pipes);
    close(pipes[0][0]);
    close(pipes[1][1]);
    out->ask = fdopen(pipes[0][1], "w");
    out->answers = fdopen(pipes[1][0], "r");
    if (!out->ask || !out->answers)
        stop(out, "no memory");
    if (!fgets(line, sizeof line, out->answers) || strcmp(line, "ready\n") != 0) {
        bench_peer_stop(out);
        return 0;
    }
    return 1;
}

/* CPU time of all processes since the machine's start, with what the host kept, in seconds. */
static double all_cpu(void)
{
    char line[256] = "", *at = line + 4;
    double ticks = 0;
    FILE *f = fopen("/proc/stat", "r");
    if (f) {
        if (!fgets(line, sizeof line, f))
            line[0] = '\0';
        fclose(f);
    }
    for (int i = 0; i < 8; i++) { // user, nice, system, idle, iowait, irq, softirq, steal
        double one = (double)strtoul(at, &at, 10);
        ticks += i == 3 || i == 4 ? 0 : one;
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

double bench_peer_ask(struct bench_peer *peer, const char *line)
{
    char answer[64], *end = answer;
    int64_t begun_ns = clock_mono_ns();
    double all = all_cpu(), own = bench_peer_cpu(peer);
    if (fprintf(peer->ask, "%s\n", line) < 0 || fflush(peer->ask) ||
        !fgets(answer, sizeof answer, peer->answers))
        stop(peer, "no answer");
    double seconds = strtod(answer, &end);
    if (end == answer)
        stop(peer, answer);
    all = all_cpu() - all - (bench_peer_cpu(peer) - own);
    peer->others = all < 0 ? 0 : all * 1e9 / (double)(clock_mono_ns() - begun_ns);
    return seconds;
}

double bench_peer_others(const struct bench_peer *peer)
{
    return peer->others;
}

double bench_peer_cpu(const struct bench_peer *peer)
{
    clockid_t clock;
    struct timespec t = { 0 };
    if (clock_getcpuclockid(peer->pid, &clock) || clock_gettime(clock, &t))
        stop(peer, "no CPU time");
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void bench_peer_stop(struct bench_peer *peer)
{
    struct rusage usage = { 0 };
    if (!peer->pid)
        return;
    fclose(peer->ask);
    fclose(peer->answers);
    wait4(peer->pid, NULL, 0, &usage);
    peer->peak_mb = (double)usage.ru_maxrss / 1000;
    peer->pid = 0;
}
