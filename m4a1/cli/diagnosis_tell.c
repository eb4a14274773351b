/* diagnosis_tell.c - see diagnosis_tell.h. */
#include "m4a1/cli/diagnosis_tell.h"

#include <stdio.h>

void diagnosis_tell(const struct diagnosis *d)
{
    printf("\nDiagnosis (docs/tmo-diagnosis.md):\n");
    for (size_t i = 0; i < N_DIAGNOSES; i++) {
        const struct diagnosis_finding *f = &d->findings[i];
        const char *mark = !f->applies ? "-" : f->found ? "FOUND" : "no";
        printf("  %-5s  %s: %s\n", mark, diagnosis_names[f->kind], f->said);
        if (f->found)
            printf("         Cause: %s.\n         Next: %s\n", f->cause, f->next);
    }
}
