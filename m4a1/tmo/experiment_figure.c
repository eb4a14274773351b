/* experiment_figure.c - the table of figures. */
#include "m4a1/tmo/experiment_figure.h"

#include <string.h>

#define POLICIES FIGURE_OF_POLICIES
#define ESTIMATORS FIGURE_OF_ESTIMATORS
#define BY_SESSION (FIGURE_OF_POLICIES | FIGURE_BY_SESSION)

/* Four figures of one bin. */
#define SUPPORT_AT(bin, figure) [EX_SUPPORT + (bin)*N_SUPPORT_FIGURES + (figure)]
#define SUPPORT(bin, name, label)                                                        \
    SUPPORT_AT(bin, SUPPORT_ROWS) = { "support_" name "_rows",                           \
        "rows with " label " matches %", 100, 1, ESTIMATORS },                           \
                    SUPPORT_AT(bin, SUPPORT_ESTIMATE) = { "support_" name "_estimate",   \
                        "estimate with " label " matches", 1, 3, ESTIMATORS },           \
                    SUPPORT_AT(bin, SUPPORT_SCORE) = { "support_" name "_score",         \
                        "score with " label " matches", 1, 3, ESTIMATORS },              \
                    SUPPORT_AT(bin, SUPPORT_MSE) = { "support_" name "_mse",             \
                        "squared error with " label " matches", 1, 3, ESTIMATORS }

const struct experiment_figure_name experiment_figures[N_EX_FIGURES] = {
    [EX_REWARD] = { "reward", "reward", 1, 3, BY_SESSION },
    [EX_SHARE] = { "share", "% of bound", 100, 1, POLICIES },
    [EX_REWARD_TEST] = { "reward_test", "reward, test-fitted", 1, 3, POLICIES },
    [EX_RESPONSE] = { "response", "response", 1, 3, BY_SESSION },
    [EX_ASSOCIATION] = { "association", "association", 1, 3, POLICIES },
    [EX_LATENCY_S] = { "latency_s", "latency s", 1, 2, BY_SESSION },
    [EX_USAGE_USD] = { "usage_usd", "usage mUSD", 1000, 2, BY_SESSION },
    [EX_PRIVACY] = { "privacy", "privacy", 1, 2, POLICIES },
    [EX_VIOLATION] = { "violation", "violations %", 100, 1, BY_SESSION },
    [EX_AVOIDABLE] = { "avoidable", "avoidable %", 100, 1, BY_SESSION },
    [EX_EXCESS] = { "excess", "excess %", 100, 1, POLICIES },
    [EX_LOCAL] = { "local", "local %", 100, 1, POLICIES },
    [EX_VIEWS] = { "views", "views a turn", 1, 2, POLICIES },
    [EX_FEATURES] = { "features", "inputs", 1, 0, POLICIES },
    [EX_PARAMETERS] = { "parameters", "parameters", 1, 0, POLICIES },
    [EX_UNPROVED] = { "unproved", "unproved %", 100, 1, POLICIES },
    [EX_CPU_S] = { "cpu_s", "CPU s", 1, 2, POLICIES | ESTIMATORS },
    [EX_MSE] = { "mse", "squared error", 1, 3, ESTIMATORS },
    [EX_MAE] = { "mae", "absolute error", 1, 3, ESTIMATORS },
    [EX_PEARSON] = { "pearson", "Pearson r", 1, 3, ESTIMATORS },
    [EX_SPEARMAN] = { "spearman", "Spearman r", 1, 3, ESTIMATORS },
    [EX_SLOPE] = { "slope", "slope", 1, 2, ESTIMATORS },
    [EX_GAIN] = { "gain", "error gone %", 100, 1, ESTIMATORS },
    [EX_BEST_SHARE] = { "best_share", "best action %", 100, 1, ESTIMATORS },
    [EX_CHANCE_SHARE] = { "chance_share", "by chance %", 100, 1, ESTIMATORS },
    [EX_HELD_OUT_MSE] = { "held_out_mse", "held-out error", 1, 3, ESTIMATORS },
    [EX_HELD_OUT_PEARSON] = { "held_out_pearson", "held-out r", 1, 3, ESTIMATORS },
    SUPPORT(SUPPORT_NONE, "0", "0"),
    SUPPORT(SUPPORT_ONE, "1", "1"),
    SUPPORT(SUPPORT_FEW, "2_4", "2-4"),
    SUPPORT(SUPPORT_MANY, "5", "5+"),
};

enum experiment_figure experiment_figure_of(const char *name)
{
    int f = 0;
    while (f < N_EX_FIGURES && strcmp(experiment_figures[f].name, name) != 0)
        f++;
    return (enum experiment_figure)f;
}

void experiment_figure_list(unsigned kinds, struct buffer *out)
{
    const char *comma = "";
    for (int f = 0; f < N_EX_FIGURES; f++)
        if ((experiment_figures[f].kinds & kinds) == kinds) {
            buffer_printf(out, "%s%s", comma, experiment_figures[f].name);
            comma = ", ";
        }
}
