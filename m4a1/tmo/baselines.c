/* baselines.c - Random, Local and Cloud as the authors' evaluator draws them. */
#include "m4a1/tmo/baselines.h"

const char *const baseline_names[N_BASELINES] = { "Random", "Local", "Cloud" };

/* Share weight among the allowed actions of a role; 0 = there is none. */
static int share(const struct episode *ep, int cloud, double weight, double *p)
{
    const struct space *space = &ep->env->rec->space;
    unsigned char allowed[SPACE_MAX_ACTIONS];
    size_t n = 0;
    episode_allowed(ep, allowed);
    for (size_t a = 0; a < space->n_actions; a++)
        n += allowed[a] && space_is_cloud(space, a) == cloud;
    for (size_t a = 0; a < space->n_actions; a++)
        if (space_is_cloud(space, a) == cloud)
            p[a] = n && allowed[a] ? weight / (double)n : 0;
    return n > 0;
}

/* The role that is wanted where it has an allowed action, else the other. */
static void weigh_role(const struct episode *ep, int cloud, double *p)
{
    int has = share(ep, cloud, 1, p);
    share(ep, !cloud, has ? 0 : 1, p);
}

static void weigh_local(void *arg, const struct episode *ep, double *p)
{
    (void)arg;
    weigh_role(ep, 0, p);
}

static void weigh_cloud(void *arg, const struct episode *ep, double *p)
{
    (void)arg;
    weigh_role(ep, 1, p);
}

static void weigh_random(void *arg, const struct episode *ep, double *p)
{
    (void)arg;
    int has_local = share(ep, 0, 0.5, p), has_cloud = share(ep, 1, 0.5, p);
    if (!has_local || !has_cloud)
        weigh_role(ep, has_cloud, p);
}

struct chooser baseline_chooser(enum baseline_kind kind)
{
    struct chooser chooser = { weigh_random, 0 };
    if (kind == BASELINE_LOCAL)
        chooser.weigh = weigh_local;
    else if (kind == BASELINE_CLOUD)
        chooser.weigh = weigh_cloud;
    return chooser;
}
