/* show_similar.h - m4a1 show STORE --similar TEXT: the frames nearest to a text. */
#ifndef M4A1_CLI_SHOW_SIMILAR_H
#define M4A1_CLI_SHOW_SIMILAR_H

#include "m4a1/cli/cli.h"

MUST_CHECK enum status show_similar(struct cli *cli, struct error *err);

#endif
