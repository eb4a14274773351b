/* cmd_evaluate.c - m4a1 evaluate: what policies are worth, and how sure that is. */
#include <string.h>

#include "m4a1/cli/cli.h"
#include "m4a1/cli/evaluate_live.h"
#include "m4a1/cli/evaluate_run.h"
#include "m4a1/cli/evaluate_tell.h"
#include "m4a1/cli/tmo_options.h"

#define WITHOUT "without policies: "

static const struct cli_option options[] = {
    { "oracle", NULL, "the best sequence of every test session, and shares of it" },
    { "baselines", "LIST",
        "further rows: best-fixed, best-by-task, best-by-prompt, planner, planner:D, "
        "epsilon-greedy, ucb, linucb, thompson, llm:NAME" },
    { "against", "ROW", "what rows are compared with (default Local)" },
    { "by", "UNIT", "intervals over sessions (default), scenes or prompts" },
    { "all-sessions", NULL,
        "off-policy values over all sessions, of what learned nothing from them" },
    { "observed-costs", NULL,
        "off-policy values with the seconds and USD of the answers, not of the table" },
    { "resamples", "N", "of the bootstrap (default 10000)" },
    { "folds", "N", "that the outcome model is cross-fitted by (default 5)" },
    { "bootstrap-seed", "N", "of resamples and folds (default 0)" },
    { "seeds", "N|LIST", WITHOUT "seeds of the splits and baselines (default 0,1,2)" },
    { "seed", "N", WITHOUT "one seed" },
    { "split", "FILE|NAME", WITHOUT "as in train (default: 80/20 by seed)" },
    TMO_ACTIONS_OPTION("actions", WITHOUT),
    TMO_SETUP_OPTIONS(WITHOUT),
    EVALUATE_AGENT_OPTION,
    EVALUATE_LIVE_OPTIONS,
    { "json", NULL, "every figure as JSON, with those of each seed" },
    { NULL, NULL, NULL },
};

/* A policy says in which world it was trained, and that is where it is evaluated. */
static enum status check_usage(struct cli *cli, struct error *err)
{
    for (const struct cli_option *o = options; cli_n_args(cli) > 1 && o->name; o++) {
        if (strncmp(o->help, WITHOUT, sizeof WITHOUT - 1) != 0)
            continue;
        if (o->value ? cli_value(cli, o->name) != NULL : cli_flag(cli, o->name))
            return cli_usage(cli, err,
                "--%s: a policy file says this itself, and each is evaluated on its own "
                "test sessions; leave the option away",
                o->name);
    }
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct dataset *data = NULL;
    struct evaluate_report report = { 0 };
    cli_catch_interrupts();
    enum status s = check_usage(cli, err);
    if (!s)
        s = evaluate_live_usage(cli, err);
    if (!s)
        s = tmo_data(cli, &data, err);
    if (!s && cli_flag(cli, "live")) {
        s = evaluate_live(cli, data, err);
        dataset_free(data);
        return s;
    }
    report.data = data;
    if (!s)
        s = evaluate_run(cli, &report, err);
    if (!s && cli_flag(cli, "json"))
        s = evaluate_json(&report, err);
    else if (!s)
        evaluate_tell(&report);
    if (!s && !cli_flag(cli, "json"))
        evaluate_agent_tell(&report.agent);
    evaluate_release(&report);
    dataset_free(data);
    return s;
}

const struct verb verb_evaluate = {
    .name = "evaluate",
    .stage = STAGE_TRAIN,
    .args = "DATA [POLICY...]",
    .min_args = 1,
    .max_args = -1,
    .summary = "what policies are worth, and how sure that is",
    .help =
        "Puts each POLICY beside Random, Local, Cloud and the recorded behaviour, on "
        "its\n"
        "own test sessions, and says what each figure trusts:\n\n"
        "  1. the return inside the simulator, whose estimator was fitted on training\n"
        "     sessions (the paper's measure); and of the same actions by an estimator\n"
        "     that was fitted on the test sessions only\n"
        "  2. off-policy values: recorded answers, weighted by how likely the random\n"
        "     behaviour was to do what the policy would; per turn and for whole\n"
        "     sessions, self-normalised and doubly robust, with the effective number\n"
        "  3. direct values, where fan-out measured every action\n\n"
        "Every figure has a 95 % interval, and a difference from Local; p is corrected\n"
        "for the number of rows. Seeds measure training and splits only. With each "
        "table\n"
        "stands what test and training sessions share; a store counts how often its "
        "test\n"
        "sessions were looked at. At the end, for policies, a diagnosis of four ways to\n"
        "fail. Policies of one call share a world (estimator, costs, reward, "
        "constraints,\n"
        "actions, tau). A policy of other data is refused, and the message says what\n"
        "differs. docs/tmo-evaluation.md tells how to read it all.\n\n"
        "With --live the policies play their test sessions against the llms themselves, "
        "in\n"
        "a store of their own: planned, collected and judged as m4a1 collect and "
        "annotate\n"
        "do, under the same caps, and resumed by the same command. docs/tmo-live.md has "
        "it,\n"
        "and --agent, which asks an llm for the actions.\n\n"
        "  m4a1 evaluate study.m4a1 policies/*.json --oracle\n"
        "  m4a1 evaluate M4A1.json --as-published --all-sessions\n"
        "  m4a1 evaluate M4A1.json --baselines best-by-prompt,planner --by scenes\n"
        "  m4a1 evaluate M4A1.json policies/a2c-seed0.json --json\n"
        "  m4a1 evaluate study.m4a1 policies/ppo-seed0.json --live --dry-run\n"
        "  m4a1 evaluate study.m4a1 policies/ppo-seed0.json --live --max-usd 5\n"
        "  m4a1 evaluate study.m4a1 --split main --seed 0 --agent cloud --max-usd 5\n",
    .options = options,
    .run = run,
};
