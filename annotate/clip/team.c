/* team.c - threads that sleep between runs and spin only for a moment within one. */
#include "annotate/clip/team.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* How often a member looks before it goes to sleep: about 50 us.  Longer would burn the
 * processor that another member may need, where there are more threads than processors. */
#define LOOKS 1000

struct member {
    struct team *team;
    size_t rank;
    pthread_t thread;
};

struct team {
    pthread_mutex_t lock;
    pthread_cond_t start, finish, met;
    void (*prepare)(void);

    /* Under the lock. */
    team_work *work;
    void *arg;
    size_t size;      /* of this run */
    size_t n_working; /* members that have not finished it */
    unsigned long n_runs;
    int closing;

    atomic_size_t n_waiting; /* members that came to the present meeting */
    atomic_ulong n_meetings; /* meetings that are over */

    size_t n_members;
    struct member *members;
};

static void look_again(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void *member_main(void *arg)
{
    struct member *m = arg;
    struct team *team = m->team;
    unsigned long n_seen = 0;
    if (team->prepare)
        team->prepare();
    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->n_runs == n_seen && !team->closing)
            pthread_cond_wait(&team->start, &team->lock);
        if (team->closing)
            break;
        n_seen = team->n_runs;
        if (m->rank >= team->size)
            continue;
        team_work *work = team->work;
        void *its_arg = team->arg;
        size_t size = team->size;
        pthread_mutex_unlock(&team->lock);
        work(its_arg, m->rank, size);
        pthread_mutex_lock(&team->lock);
        if (--team->n_working == 0)
            pthread_cond_signal(&team->finish);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

enum status team_new(
    size_t n_threads, void (*prepare)(void), struct team **out, struct error *err)
{
    *out = NULL;
    if (!n_threads) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        n_threads = n > 0 ? (size_t)n : 1;
    }
    struct team *team = calloc(1, sizeof *team);
    if (!team)
        return error_nomem(err, sizeof *team);
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->start, NULL);
    pthread_cond_init(&team->finish, NULL);
    pthread_cond_init(&team->met, NULL);
    team->prepare = prepare;
    team->members = calloc(n_threads, sizeof *team->members);
    if (!team->members) {
        team_free(team);
        return error_nomem(err, n_threads * sizeof *team->members);
    }
    while (team->n_members < n_threads) {
        struct member *m = &team->members[team->n_members];
        *m = (struct member) { .team = team, .rank = team->n_members };
        if (pthread_create(&m->thread, NULL, member_main, m) != 0) {
            size_t n = team->n_members;
            team_free(team);
            return error_set(
                err, E_NOMEM, "thread %zu of %zu could not be started", n + 1, n_threads);
        }
        team->n_members++;
    }
    *out = team;
    return OK;
}

void team_free(struct team *team)
{
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    team->closing = 1;
    pthread_cond_broadcast(&team->start);
    pthread_mutex_unlock(&team->lock);
    for (size_t i = 0; i < team->n_members; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_cond_destroy(&team->met);
    pthread_cond_destroy(&team->finish);
    pthread_cond_destroy(&team->start);
    pthread_mutex_destroy(&team->lock);
    free(team->members);
    free(team);
}

size_t team_size(const struct team *team)
{
    return team->n_members;
}

void team_run(struct team *team, size_t size, team_work *work, void *arg)
{
    pthread_mutex_lock(&team->lock);
    team->work = work;
    team->arg = arg;
    team->size = team->n_working = size;
    team->n_runs++;
    pthread_cond_broadcast(&team->start);
    while (team->n_working)
        pthread_cond_wait(&team->finish, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

void team_meet(struct team *team)
{
    if (team->size == 1)
        return;
    unsigned long now = atomic_load(&team->n_meetings);
    if (atomic_fetch_add(&team->n_waiting, 1) + 1 == team->size) {
        atomic_store(&team->n_waiting, 0); // before the others may come to the next one
        pthread_mutex_lock(&team->lock);
        atomic_store(&team->n_meetings, now + 1);
        pthread_cond_broadcast(&team->met);
        pthread_mutex_unlock(&team->lock);
        return;
    }
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load(&team->n_meetings) != now)
            return;
        look_again();
    }
    pthread_mutex_lock(&team->lock);
    while (atomic_load(&team->n_meetings) == now)
        pthread_cond_wait(&team->met, &team->lock);
    pthread_mutex_unlock(&team->lock);
}
