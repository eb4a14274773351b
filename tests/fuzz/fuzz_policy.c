/* fuzz_policy.c - any bytes as a policy file: refused, or played on its own. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "m4a1/base/error.h"
#include "m4a1/tmo/policy_player.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Its probabilities are some, and add up to 1. */
static void play(struct policy_player *player)
{
    size_t n = policy_player_space(player)->n_actions;
    double *p = calloc(n, sizeof *p), sum = 0;
    if (!p)
        abort();
    if (policy_player_weigh(player, NULL, 0, 0, p, NULL))
        abort();
    for (size_t a = 0; a < n; a++) {
        if (!(p[a] >= 0))
            abort();
        sum += p[a];
    }
    if (fabs(sum - 1) > 1e-6)
        abort();
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_player *player = NULL;
    struct error err = ERROR_INIT;
    char path[] = "/tmp/m4a1-fuzz-policy.XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
    if (policy_player_open(path, &player, &err) == OK)
        play(player);
    else if (player || !err.msg[0])
        abort();
    policy_player_free(player);
    unlink(path);
    return 0;
}
