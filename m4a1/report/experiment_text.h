/* experiment_text.h - the results of an experiment for people and papers.
 * Takes what experiment_results() gives. */
#ifndef M4A1_REPORT_EXPERIMENT_TEXT_H
#define M4A1_REPORT_EXPERIMENT_TEXT_H

#include "m4a1/base/buffer.h"
#include "m4a1/base/json.h"

/* A table in Markdown, aligned so that it reads well as it stands; claims below it. */
void experiment_markdown(const struct json *results, struct buffer *out);

/* Of estimators: a table in Markdown of how well they are calibrated by support, for each
 * number of exact matches.  Nothing for policies. */
void experiment_support(const struct json *results, struct buffer *out);

/* The same table in LaTeX (booktabs). */
void experiment_latex(const struct json *results, struct buffer *out);

/* What the figures of the table are, in a sentence or two. */
const char *experiment_meaning(const struct json *results);

/* A paragraph for a paper's methods section; command is what was run. */
void experiment_methods(
    const struct json *results, const char *command, struct buffer *out);

#endif
