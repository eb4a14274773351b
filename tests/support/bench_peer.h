/* bench_peer.h - programs that do the same work, one beside the other, for benchmarks.
 *
 * A peer says "ready" when it has loaded what it needs.  Then it is asked line by line and
 * answers each line with seconds; between lines it waits.  So all peers stay loaded, and
 * runs of one and of another can alternate. */
#ifndef TESTS_SUPPORT_BENCH_PEER_H
#define TESTS_SUPPORT_BENCH_PEER_H

#include <stdio.h>
#include <sys/types.h>

struct bench_peer {
    const char *name;
    pid_t pid; /* 0 = not to be had */
    FILE *ask, *answers;
    double others;
    double peak_mb; /* resident, after bench_peer_stop() */
};

/* Start argv (ends with NULL, found in PATH); its standard error is ours.  0 when it ends
 * before it says "ready". */
int bench_peer_start(const char *name, const char *const argv[], struct bench_peer *out);

/* Send a line (without its end) and wait for the seconds; aborts when there is no number. */
double bench_peer_ask(struct bench_peer *peer, const char *line);

/* How many processors others used during the last bench_peer_ask(), on average. */
double bench_peer_others(const struct bench_peer *peer);

/* CPU time of the whole process since its start, in seconds. */
double bench_peer_cpu(const struct bench_peer *peer);

void bench_peer_stop(struct bench_peer *peer); /* one that is not to be had is fine */

#endif
