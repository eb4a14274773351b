/* recipe_offers.c - what the llms of a recipe cost and which actions they offer.
 *
 * Both refer to llms by name, so they are read after them. */
#include "schema/recipe_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/text.h"

#define MAX_USD_PER_MTOK 1e6    /* a dollar a token */
#define MAX_PRICES 10000        /* rows; each is compared with all */
#define MAX_SETS 4096           /* of one llm */
#define MAX_ENUMERATED_VIEWS 16 /* "all_subsets": 65,536 of them */

static struct llm *find_llm(struct recipe *recipe, const char *name)
{
    for (size_t i = 0; i < recipe->n_llms; i++)
        if (text_equal(recipe->llms[i].name, name))
            return &recipe->llms[i];
    return NULL;
}

static void wrong_llm(struct recipe_reader *r, const char *path, const char *name)
{
    const struct recipe *recipe = r->recipe;
    if (recipe_is_full(r)) {
        recipe_mistake(r, path, "expected an llm of this recipe");
        return;
    }
    const char **names = recipe_alloc(r, recipe->n_llms, sizeof *names);
    for (size_t i = 0; names && i < recipe->n_llms; i++)
        names[i] = recipe->llms[i].name ? recipe->llms[i].name : "";
    const char *near = names ? text_nearest(name, names, recipe->n_llms) : NULL;
    if (near)
        recipe_mistake(r, path,
            "expected an llm of this recipe (did you mean \"%s\"?), found \"%s\"", near,
            name);
    else
        recipe_mistake(r, path, "expected an llm of this recipe, found \"%s\"", name);
    free(names);
}

/* ---- prices ---- */

/* Days from 1970-01-01 to a date of the Gregorian calendar, month 1 to 12 (Howard
 * Hinnant, "chrono-compatible low-level date algorithms": days_from_civil). */
static int64_t days_from_date(int year, int month, int day)
{
    int y = month <= 2 ? year - 1 : year;
    int era = y / 400, of_era = y - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return (int64_t)era * 146097 + days - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* "2026-11-22" as the first millisecond of that day, UTC; -1 where it is no date. */
static int64_t date_ms(const char *s)
{
    int digits[8], n = 0;
    for (int i = 0; i < 10; i++) {
        if (i == 4 || i == 7) {
            if (s[i] != '-')
                return -1;
        } else if (s[i] < '0' || s[i] > '9') {
            return -1;
        } else {
            digits[n++] = s[i] - '0';
        }
    }
    int year = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3];
    int month = digits[4] * 10 + digits[5], day = digits[6] * 10 + digits[7];
    if (s[10] || year < 2000 || year > 2199 || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month))
        return -1;
    return days_from_date(year, month, day) * 86400000;
}

/* USD per million tokens as pico-dollars a token.  Six decimals make a whole number;
 * the double nearest to such a figure gives it back exactly, any other does not. */
static int64_t read_usd(struct recipe_reader *r, const struct json *row, const char *path,
    const char *key, int64_t otherwise)
{
    char sub[RECIPE_PATH];
    const struct json *j = json_get(row, key);
    if (!j && otherwise >= 0)
        return otherwise;
    recipe_path(sub, path, key);
    double usd =
        recipe_number(r, j, sub, 0, MAX_USD_PER_MTOK, 0, "USD per million tokens");
    int64_t pusd = llround(usd * 1e6);
    if ((double)pusd / 1e6 != usd)
        recipe_wrong(r, sub, j, "USD per million tokens with at most six decimals");
    return pusd;
}

static char *read_tier(
    struct recipe_reader *r, const struct json *j, const char *price_path)
{
    static const char what[] =
        "a service tier as the provider names it, in small letters, like \"batch\"";
    char path[RECIPE_PATH];
    if (!j)
        return recipe_copy(r, "standard");
    recipe_path(path, price_path, "service_tier");
    char *tier = recipe_word(r, j, path, what);
    if (tier && strpbrk(tier, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        recipe_wrong(r, path, j, what);
    return tier;
}

static int is_same_day(const struct recipe_price *a, const struct recipe_price *b)
{
    return text_equal(a->llm, b->llm) && text_equal(a->service_tier, b->service_tier) &&
           a->valid_from_ms == b->valid_from_ms;
}

/* Every prompt has a price: one row of each llm, tier and day begins at 0 tokens. */
static void check_small_prompts(struct recipe_reader *r)
{
    const struct recipe *recipe = r->recipe;
    char path[RECIPE_PATH];
    for (size_t i = 0; i < recipe->n_prices; i++) {
        const struct recipe_price *p = &recipe->prices[i];
        size_t k = 0;
        while (k < recipe->n_prices && !(is_same_day(p, &recipe->prices[k]) &&
                                           !recipe->prices[k].min_input_tokens))
            k++;
        if (p->llm && p->min_input_tokens && k == recipe->n_prices)
            recipe_mistake(r, recipe_path_at(path, "prices", i),
                "expected another row of this llm, tier and day for smaller prompts "
                "(without "
                "\"min_input_tokens\"), found none");
    }
}

static void read_price(struct recipe_reader *r, const struct json *row, const char *path,
    struct recipe_price *price)
{
    static const char *const keys[] = { "llm", "from", "service_tier", "min_input_tokens",
        "input_usd", "cached_input_usd", "cache_write_usd", "output_usd", "source" };
    char sub[RECIPE_PATH];
    if (!json_is_object(row)) {
        recipe_wrong(r, path, row, "an object {\"llm\", \"from\", \"input_usd\", ...}");
        return;
    }
    recipe_known_keys(r, row, path, keys, COUNT_OF(keys));
    recipe_path(sub, path, "llm");
    price->llm = recipe_text(r, json_get(row, "llm"), sub, "an llm of this recipe");
    if (price->llm && !find_llm(r->recipe, price->llm))
        wrong_llm(r, sub, price->llm);
    recipe_path(sub, path, "from");
    price->valid_from_ms = date_ms(json_text(json_get(row, "from"), ""));
    if (price->valid_from_ms < 0)
        recipe_wrong(r, sub, json_get(row, "from"), "a day like \"2026-11-22\"");
    price->service_tier = read_tier(r, json_get(row, "service_tier"), path);
    const struct json *least = json_get(row, "min_input_tokens");
    if (least)
        price->min_input_tokens =
            recipe_int(r, least, recipe_path(sub, path, "min_input_tokens"), 0,
                1000000000, 0, "the prompt's tokens from which on this price holds");
    price->input_pusd = read_usd(r, row, path, "input_usd", -1);
    price->output_pusd = read_usd(r, row, path, "output_usd", -1);
    price->cache_read_pusd =
        read_usd(r, row, path, "cached_input_usd", price->input_pusd);
    price->cache_write_pusd =
        read_usd(r, row, path, "cache_write_usd", price->input_pusd);
    price->source = recipe_text(r, json_get(row, "source"),
        recipe_path(sub, path, "source"), "where the price was read");
}

void recipe_read_prices(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    const struct json *list = json_get(r->root, "prices");
    char path[RECIPE_PATH];
    if (r->prices_unread || !list)
        return;
    if (!json_is_array(list)) {
        recipe_wrong(
            r, "prices", list, "a list of dated rows, or the name of their file");
        return;
    }
    if (json_size(list) > MAX_PRICES) {
        recipe_wrong(r, "prices", list, "at most %d rows", MAX_PRICES);
        return;
    }
    recipe->prices = recipe_alloc(r, json_size(list), sizeof *recipe->prices);
    if (!recipe->prices)
        return;
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        struct recipe_price *price = &recipe->prices[recipe->n_prices++];
        recipe_path_at(path, "prices", recipe->n_prices - 1);
        read_price(r, j, path, price);
        for (const struct recipe_price *p = recipe->prices; price->llm && p < price; p++)
            if (is_same_day(p, price) && p->min_input_tokens == price->min_input_tokens)
                recipe_mistake(r, path,
                    "expected one price an llm and day (and tier and size of the "
                    "prompt), "
                    "found another in prices[%zu]",
                    (size_t)(p - recipe->prices));
    }
    check_small_prompts(r);
}

/* ---- actions ---- */

uint32_t recipe_read_set(struct recipe_reader *r, const struct json *j, const char *path)
{
    const struct recipe *recipe = r->recipe;
    const char *s = json_text(j, "");
    uint32_t set = 0;
    while (*s) {
        size_t len = strcspn(s, "+"), i = 0;
        while (i < recipe->n_views &&
               !(recipe->views[i].name && strlen(recipe->views[i].name) == len &&
                   !strncmp(recipe->views[i].name, s, len)))
            i++;
        if (i == recipe->n_views) {
            recipe_wrong(r, path, j, "names of views joined by + (\"\" = no view)");
            return 0;
        }
        if (set >> i & 1)
            recipe_wrong(r, path, j, "each view once in a set");
        set |= (uint32_t)1 << i;
        s += len;
        if (*s == '+' && !*++s) {
            recipe_wrong(r, path, j, "a view behind the last +");
            return 0;
        }
    }
    return set;
}

const struct recipe_actions *recipe_actions_of(
    const struct recipe *recipe, const char *llm)
{
    const struct recipe_actions *others = NULL;
    for (size_t i = 0; i < recipe->n_actions; i++) {
        if (text_equal(recipe->actions[i].llm, llm))
            return &recipe->actions[i];
        if (text_equal(recipe->actions[i].llm, "*"))
            others = &recipe->actions[i];
    }
    return others;
}

struct accepts_view recipe_accepts_view(const struct recipe *recipe, size_t i)
{
    const struct recipe_view *view = &recipe->views[i];
    int n_pictures =
        view->kind == VIEW_VIDEO ? view->clip_frames : view->kind == VIEW_IMAGE;
    return (struct accepts_view) { view->name, view->kind, n_pictures };
}

static void check_accepted(struct recipe_reader *r, const struct json *j,
    const char *path, const struct llm *llm, uint32_t set)
{
    struct accepts_view views[ACCEPTS_MAX_VIEWS] = { { 0 } };
    for (size_t i = 0; i < r->recipe->n_views; i++)
        views[i] = recipe_accepts_view(r->recipe, i);
    struct accepts_why why;
    if (accepts_all(llm->accepts, views, set, &why))
        return;
    struct buffer names;
    buffer_init(&names, RECIPE_PATH);
    accepts_names(views, why.views, &names);
    recipe_wrong(r, path, j, "at most %d %s, as llm %s accepts (this set has %d: %s)",
        why.most, accepts_noun(why.kind, why.most), llm->name ? llm->name : "", why.n,
        buffer_str(&names));
    buffer_release(&names);
}

static void read_sets(struct recipe_reader *r, const struct json *list, const char *path,
    const struct llm *llm, struct recipe_actions *out)
{
    char sub[RECIPE_PATH];
    if (json_size(list) > MAX_SETS) {
        recipe_wrong(r, path, list, "at most %d sets (or \"all_subsets\")", MAX_SETS);
        return;
    }
    out->sets = recipe_alloc(r, json_size(list), sizeof *out->sets);
    if (!out->sets)
        return;
    size_t i = 0;
    for (const struct json *j = json_first(list); j; j = json_next(j), i++) {
        recipe_path_at(sub, path, i);
        if (!json_is_string(j)) {
            recipe_wrong(r, sub, j, "names of views joined by + (\"\" = no view)");
            continue;
        }
        size_t before = r->n_problems;
        uint32_t set = recipe_read_set(r, j, sub);
        if (r->n_problems != before)
            continue;
        for (size_t k = 0; k < out->n_sets; k++)
            if (out->sets[k] == set)
                recipe_wrong(r, sub, j, "each set of views once");
        if (llm)
            check_accepted(r, j, sub, llm, set);
        out->sets[out->n_sets++] = set;
    }
}

static void read_offer(struct recipe_reader *r, const struct json *j, const char *path,
    struct recipe_actions *out)
{
    const char *name = json_key(j);
    const struct llm *llm = find_llm(r->recipe, name);
    out->llm = recipe_copy(r, name);
    if (!llm && strcmp(name, "*") != 0)
        wrong_llm(r, path, name);
    else if (llm && (llm->role == LLM_REFERENCE || llm->role == LLM_JUDGE))
        recipe_mistake(r, path,
            "expected a local or cloud llm, found one of role \"%s\", which plays no "
            "action",
            llm_role_names[llm->role]);
    if (text_equal(json_text(j, NULL), "all_subsets")) {
        out->all_subsets = 1;
        if (r->recipe->n_views > MAX_ENUMERATED_VIEWS)
            recipe_wrong(r, path, j, "a list of sets, as %zu views have too many subsets",
                r->recipe->n_views);
    } else if (json_is_array(j) && json_size(j)) {
        read_sets(r, j, path, llm, out);
    } else {
        recipe_wrong(
            r, path, j, "\"all_subsets\" or a list of sets like [\"\", \"side\"]");
    }
}

static int has_offer(const struct recipe *recipe, const char *llm)
{
    for (size_t i = 0; i < recipe->n_actions; i++)
        if (text_equal(recipe->actions[i].llm, llm) ||
            text_equal(recipe->actions[i].llm, "*"))
            return 1;
    return 0;
}

/* Without "actions" every llm offers every subset. */
static void offer_all(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    recipe->actions = recipe_alloc(r, 1, sizeof *recipe->actions);
    if (!recipe->actions)
        return;
    recipe->actions[recipe->n_actions++] =
        (struct recipe_actions) { .llm = recipe_copy(r, "*"), .all_subsets = 1 };
    if (recipe->n_views > MAX_ENUMERATED_VIEWS)
        recipe_mistake(r, "actions",
            "expected lists of sets, found nothing: %zu views have too many subsets",
            recipe->n_views);
}

void recipe_read_actions(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    char path[RECIPE_PATH];
    if (!json_get(r->root, "actions")) {
        offer_all(r);
        return;
    }
    const struct json *actions = recipe_object(r, r->root, "", "actions", 1,
        "an object: \"all_subsets\" or a list of sets for an llm or \"*\"");
    recipe->actions = recipe_alloc(r, json_size(actions), sizeof *recipe->actions);
    if (!actions || !recipe->actions)
        return;
    for (const struct json *j = json_first(actions); j; j = json_next(j)) {
        recipe_path(path, "actions", json_key(j));
        read_offer(r, j, path, &recipe->actions[recipe->n_actions++]);
    }
    for (size_t i = 0; i < recipe->n_llms; i++) {
        const struct llm *llm = &recipe->llms[i];
        if ((llm->role == LLM_LOCAL || llm->role == LLM_CLOUD) && llm->name &&
            !r->role_unknown[i] && !has_offer(recipe, llm->name))
            recipe_mistake(r, "actions",
                "expected an entry for llm \"%s\" (or \"*\"), found none", llm->name);
    }
}
