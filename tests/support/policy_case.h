/* policy_case.h - policies with drawn weights, for tests of their files. */
#ifndef TESTS_SUPPORT_POLICY_CASE_H
#define TESTS_SUPPORT_POLICY_CASE_H

#include "m4a1/tmo/policy.h"

struct policy_case {
    struct dataset *data;
    struct recorded *rec;
    struct environment *env;
    struct policy policy;
};

/* Ten sessions of n_turns turns (tmo_data.h), split 80/20 by seed 12, and a policy of
 * drawn weights for them.  config is JSON as in config.h.  Fails the test where bad. */
struct policy_case policy_case_make(const char *config, size_t n_turns);
void policy_case_release(struct policy_case *c);
void policy_case_save(const struct policy_case *c, const char *path);

#endif
