/* tmo_options.c - data, seeds and splits from the command line. */
#include "m4a1/cli/tmo_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/policy.h"

#define LIST_MAX 100000
#define SEED_MAX (INT64_MAX >> 10) /* what a JSON number of a policy file holds exactly */

enum status tmo_data(struct cli *cli, struct dataset **out, struct error *err)
{
    const char *path = cli_arg(cli, 0);
    enum status s = dataset_read(path, out, err);
    if (s == E_DATA && policy_is_file(path))
        return cli_usage(cli, err,
            "%s is a policy, and DATA comes first: m4a1 evaluate DATA %s", path, path);
    return s;
}

enum status tmo_numbers(const char *text, const char *what, int64_t min, int64_t max,
    int64_t **out, size_t *n, struct error *err)
{
    size_t size = 1;
    *n = 0;
    for (const char *s = text; *s; s++)
        size += *s == ',';
    *out = calloc(size, sizeof **out);
    if (!*out)
        return error_nomem(err, size * sizeof **out);
    enum status s = size > LIST_MAX ? error_set(err, E_ARG, "%s: more than %d entries",
                                          what, LIST_MAX)
                                    : OK;
    for (const char *at = text; !s && (*at || !*n);) {
        size_t len = strcspn(at, ",");
        char *one = text_copy_n(at, len);
        s = one ? text_to_int(one, what, min, max, &(*out)[*n], err)
                : error_nomem(err, len);
        free(one);
        ++*n;
        at += len;
        if (*at == ',')
            at++;
    }
    if (s) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    return s;
}

static enum status one_seed(
    struct cli *cli, uint64_t **seeds, size_t *n, struct error *err)
{
    int64_t seed;
    if (cli_value(cli, "seeds"))
        return cli_usage(cli, err, "--seed is one seed, --seeds are several: give one");
    enum status s = cli_int(cli, "seed", 0, 0, SEED_MAX, &seed, err);
    if (s)
        return s;
    *seeds = calloc(1, sizeof **seeds);
    if (!*seeds)
        return error_nomem(err, sizeof **seeds);
    **seeds = (uint64_t)seed;
    *n = 1;
    return OK;
}

static enum status check_seeds(
    struct cli *cli, const int64_t *list, size_t n, int is_count, struct error *err)
{
    if (n == 0)
        return cli_usage(
            cli, err, "--seeds 0 is no seed at all; for seed 0 alone say --seed 0");
    if (n > EVALUATION_MAX_SEEDS)
        return cli_usage(cli, err, "--seeds: %zu of them, and %d is the most", n,
            EVALUATION_MAX_SEEDS);
    for (size_t i = 0; !is_count && i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (list[i] == list[j])
                return cli_usage(
                    cli, err, "--seeds: %" PRId64 " stands there twice", list[i]);
    return OK;
}

enum status tmo_seeds(struct cli *cli, uint64_t **seeds, size_t *n, struct error *err)
{
    const char *text = cli_value(cli, "seeds");
    int64_t *list;
    *seeds = NULL;
    *n = 0;
    if (cli_value(cli, "seed"))
        return one_seed(cli, seeds, n, err);
    if (!text)
        text = "0,1,2";
    size_t n_listed;
    enum status s = tmo_numbers(text, "--seeds", 0, SEED_MAX, &list, &n_listed, err);
    if (s)
        return s == E_ARG ? cli_usage(cli, err, "%s", err ? err->msg : "--seeds") : s;
    int is_count = !strchr(text, ',');
    size_t n_seeds = is_count ? (size_t)list[0] : n_listed;
    s = check_seeds(cli, list, n_seeds, is_count, err);
    if (!s) {
        *seeds = calloc(n_seeds, sizeof **seeds);
        if (!*seeds)
            s = error_nomem(err, n_seeds * sizeof **seeds);
    }
    for (size_t i = 0; !s && i < n_seeds; i++)
        (*seeds)[i] = is_count ? i : (uint64_t)list[i];
    free(list);
    *n = s ? 0 : n_seeds;
    return s;
}

enum status tmo_split(const struct cli *cli, const struct dataset *data, uint64_t seed,
    struct split *out, struct error *err)
{
    struct tmo_config config;
    tmo_config_init(&config, 0);
    config.split_from = text_copy(cli_value(cli, "split"));
    enum status s = tmo_config_split(&config, data, seed, out, err);
    tmo_config_release(&config);
    return s;
}
