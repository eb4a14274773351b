/* diagnosis_tell.h - the diagnosis at the end of train and evaluate, for people. */
#ifndef M4A1_CLI_DIAGNOSIS_TELL_H
#define M4A1_CLI_DIAGNOSIS_TELL_H

#include "m4a1/tmo/diagnosis.h"

void diagnosis_tell(const struct diagnosis *d); /* on standard output */

#endif
