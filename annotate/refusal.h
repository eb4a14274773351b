/* refusal.h - does an answer refuse?
 *
 * A rule is a pure function of the answer's text; scores that come from it carry the
 * rule's version, and the raw score is never changed by it. */
#ifndef ANNOTATE_REFUSAL_H
#define ANNOTATE_REFUSAL_H

#define REFUSAL_SCORER "refusal"
#define REFUSAL_VERSION "published"

/* The published refusal rule: "sorry", "I don't have" or "can't" as a case-sensitive
 * substring (TMO's authors, tmo/data.py).  1 = it holds, 0 = it does not. */
int refusal_published(const char *answer);

/* The same words in any case, and with a typeset apostrophe (U+2019) as well as a straight
 * one: what training takes unless it is as published. */
int refusal_mended(const char *answer);

#endif
