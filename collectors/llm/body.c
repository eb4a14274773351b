/* body.c - see body.h. */
#include "collectors/llm/body.h"

#include <stdlib.h>
#include <string.h>

#define MARK "sha256:"
#define N_MARK (sizeof MARK - 1 + HASH_HEX - 1)

void body_init(struct body *body)
{
    *body = (struct body) { 0 };
    buffer_init(&body->text, BODY_MAX);
}

void body_release(struct body *body)
{
    for (size_t i = 0; i < body->n_pieces; i++)
        frame_release(body->pieces[i].frame);
    free(body->pieces);
    buffer_release(&body->text);
    body_init(body);
}

/* Takes over the reference, also where it fails. */
static enum status add_piece(
    struct body *body, struct body_piece piece, struct error *err)
{
    if (body->n_pieces == body->n_room) {
        size_t n = body->n_room ? body->n_room * 2 : 8;
        struct body_piece *more = realloc(body->pieces, n * sizeof *more);
        if (!more) {
            frame_release(piece.frame);
            return error_nomem(err, n * sizeof *more);
        }
        body->pieces = more;
        body->n_room = n;
    }
    body->pieces[body->n_pieces++] = piece;
    body->len += piece.len;
    return OK;
}

static enum status add_text(struct body *body, size_t end, struct error *err)
{
    struct body_piece piece = { buffer_str(&body->text) + body->n_taken,
        end - body->n_taken, NULL };
    body->n_taken = end;
    return piece.len ? add_piece(body, piece, err) : OK;
}

enum status body_add_frame(
    struct body *body, size_t at, struct frame *frame, int is_data_url, struct error *err)
{
    const char *mark = buffer_str(&body->text) + at;
    if (at < body->n_taken || at > body->text.len || body->text.len - at < N_MARK ||
        strncmp(mark, MARK, strlen(MARK)) != 0 ||
        strncmp(mark + strlen(MARK), frame_sha256(frame), HASH_HEX - 1) != 0)
        return error_set(err, E_DATA, "a frame got lost in a request");
    struct body_piece piece = { 0 };
    enum status s = frame_encoded(frame, is_data_url, &piece.data, &piece.len, err);
    if (s == OK)
        s = add_text(body, at, err);
    if (s != OK)
        return s;
    body->n_taken += N_MARK;
    frame_hold(frame);
    piece.frame = frame;
    return add_piece(body, piece, err);
}

enum status body_close(struct body *body, struct error *err)
{
    enum status s = buffer_status(&body->text, "request body", err);
    if (s == OK)
        s = add_text(body, body->text.len, err);
    if (s == OK && body->len > BODY_MAX)
        s = error_set(err, E_LIMIT,
            "request body: %zu bytes, beyond the ceiling of %u; send fewer or smaller "
            "views",
            body->len, BODY_MAX);
    return s;
}

size_t body_read(const struct body *body, struct body_place *place, char *to, size_t n)
{
    size_t done = 0;
    while (done < n && place->piece < body->n_pieces) {
        const struct body_piece *piece = &body->pieces[place->piece];
        size_t left = piece->len - place->at, take = n - done < left ? n - done : left;
        memcpy(to + done, piece->data + place->at, take);
        done += take;
        place->at += take;
        if (place->at == piece->len)
            *place = (struct body_place) { place->piece + 1, 0 };
    }
    return done;
}

enum status body_hash(const struct body *body, char out[HASH_HEX], struct error *err)
{
    struct hash_run *run = NULL;
    enum status s = hash_begin(&run, err);
    if (s != OK)
        return s;
    for (size_t i = 0; i < body->n_pieces; i++)
        hash_more(run, body->pieces[i].data, body->pieces[i].len);
    return hash_end_hex(run, out, err);
}
