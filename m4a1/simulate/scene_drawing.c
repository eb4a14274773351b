/* scene_drawing.c - a ray tracer for boxes and balls on a kitchen counter.
 *
 * Metres; x to the right, y up, z away from the person at the counter. */
#include "m4a1/simulate/scene_drawing.h"

#include <math.h>
#include <stdlib.h>

#include "collectors/source/picture.h"
#include "m4a1/base/files.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"

#define WIDTH_PX 512
#define HEIGHT_PX 384
#define QUALITY 90
#define MAX_SOLIDS 24
#define FAR 1e9

struct vec {
    double x, y, z;
};

struct solid {
    int is_ball;
    struct vec centre, half; /* half sides of a box; half.x is a ball's radius */
    struct vec colour;       /* 0 to 1 */
};

struct kitchen {
    struct solid solids[MAX_SOLIDS];
    int n;
};

struct camera {
    const char *view;
    struct vec eye, target;
    double focal; /* of a picture that is 1 wide */
};

static const struct camera cameras[] = {
    { "first_person", { 0.05, 1.62, -0.35 }, { 0.0, 0.92, 0.45 }, 0.75 },
    { "side", { 1.9, 1.35, -0.3 }, { 0.0, 0.95, 0.4 }, 0.95 },
    { "overhead", { 0.0, 2.6, 0.3 }, { 0.0, 0.9, 0.42 }, 0.95 },
};

static struct vec add(struct vec a, struct vec b)
{
    return (struct vec) { a.x + b.x, a.y + b.y, a.z + b.z };
}

static struct vec scale(struct vec a, double k)
{
    return (struct vec) { a.x * k, a.y * k, a.z * k };
}

static double dot(struct vec a, struct vec b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static struct vec cross(struct vec a, struct vec b)
{
    return (struct vec) { a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z,
        a.x * b.y - a.y * b.x };
}

static struct vec unit(struct vec a)
{
    return scale(a, 1 / sqrt(dot(a, a)));
}

static double hit_ball(
    const struct solid *s, struct vec eye, struct vec ray, struct vec *normal)
{
    struct vec to = add(eye, scale(s->centre, -1));
    double b = dot(to, ray), c = dot(to, to) - s->half.x * s->half.x, d = b * b - c;
    double t = d < 0 ? FAR : -b - sqrt(d);
    if (t < 1e-6 || t >= FAR)
        return FAR;
    *normal = unit(add(to, scale(ray, t)));
    return t;
}

/* Slabs: the ray is inside the box where it is inside all three pairs of planes. */
static double hit_box(
    const struct solid *s, struct vec eye, struct vec ray, struct vec *normal)
{
    const double e[3] = { eye.x, eye.y, eye.z }, r[3] = { ray.x, ray.y, ray.z };
    const double c[3] = { s->centre.x, s->centre.y, s->centre.z };
    const double h[3] = { s->half.x, s->half.y, s->half.z };
    double enter = -FAR, leave = FAR;
    int axis = 0;
    for (int i = 0; i < 3; i++) {
        double inverse = 1 / (fabs(r[i]) < 1e-12 ? 1e-12 : r[i]);
        double near = (c[i] - h[i] - e[i]) * inverse,
               far = (c[i] + h[i] - e[i]) * inverse;
        if (near > far) {
            double swap = near;
            near = far;
            far = swap;
        }
        if (near > enter) {
            enter = near;
            axis = i;
        }
        leave = far < leave ? far : leave;
    }
    if (enter > leave || enter < 1e-6)
        return FAR;
    double side = r[axis] > 0 ? -1 : 1;
    *normal =
        (struct vec) { axis == 0 ? side : 0, axis == 1 ? side : 0, axis == 2 ? side : 0 };
    return enter;
}

static const struct solid *nearest(const struct kitchen *k, struct vec eye,
    struct vec ray, double *distance, struct vec *normal)
{
    const struct solid *best = NULL;
    *distance = FAR;
    for (int i = 0; i < k->n; i++) {
        struct vec n;
        const struct solid *s = &k->solids[i];
        double t = s->is_ball ? hit_ball(s, eye, ray, &n) : hit_box(s, eye, ray, &n);
        if (t < *distance) {
            *distance = t;
            *normal = n;
            best = s;
        }
    }
    return best;
}

static struct vec shade(const struct kitchen *k, struct vec eye, struct vec ray)
{
    double t, shadow_t;
    struct vec normal, unused;
    const struct solid *s = nearest(k, eye, ray, &t, &normal);
    if (!s)
        return (struct vec) { 0.75, 0.8, 0.85 };
    struct vec at = add(eye, scale(ray, t));
    struct vec lamp = add((struct vec) { -0.7, 2.45, -0.2 }, scale(at, -1));
    double lamp_distance = sqrt(dot(lamp, lamp));
    lamp = scale(lamp, 1 / lamp_distance);
    double light = dot(normal, lamp);
    int dark = nearest(k, add(at, scale(normal, 1e-4)), lamp, &shadow_t, &unused) &&
               shadow_t < lamp_distance;
    double brightness = 0.35 + (light > 0 && !dark ? 0.65 * light : 0);
    return scale(s->colour, brightness);
}

static void put(
    struct kitchen *k, int is_ball, struct vec centre, struct vec half, struct vec colour)
{
    k->solids[k->n++] = (struct solid) { is_ball, centre, half, colour };
}

/* Room, counter, sink and board stay; what lies on the counter is drawn. */
static void furnish(struct kitchen *k, struct rng *rng)
{
    static const struct vec colours[] = {
        { 0.85, 0.15, 0.12 },
        { 0.95, 0.75, 0.1 },
        { 0.2, 0.6, 0.2 },
        { 0.15, 0.35, 0.8 },
        { 0.9, 0.45, 0.1 },
        { 0.55, 0.3, 0.15 },
        { 0.85, 0.85, 0.8 },
        { 0.5, 0.2, 0.5 },
    };
    k->n = 0;
    put(k, 0, (struct vec) { 0, -0.05, 0 }, (struct vec) { 3, 0.05, 3 },
        (struct vec) { 0.5, 0.42, 0.35 });
    put(k, 0, (struct vec) { 0, 1.25, 1.0 }, (struct vec) { 3, 1.3, 0.05 },
        (struct vec) { 0.85, 0.87, 0.83 });
    put(k, 0, (struct vec) { 0, 0.45, 0.45 }, (struct vec) { 1.1, 0.45, 0.4 },
        (struct vec) { 0.72, 0.7, 0.68 });
    put(k, 0, (struct vec) { -0.1, 0.91, 0.35 }, (struct vec) { 0.2, 0.01, 0.14 },
        (struct vec) { 0.7, 0.5, 0.3 });
    put(k, 0, (struct vec) { 0.75, 0.905, 0.45 }, (struct vec) { 0.2, 0.008, 0.2 },
        (struct vec) { 0.3, 0.32, 0.34 });
    int n = 5 + (int)rng_below(rng, 8);
    for (int i = 0; i < n; i++) {
        double size = 0.03 + 0.05 * rng_uniform(rng);
        double x = -0.9 + 1.4 * rng_uniform(rng), z = 0.15 + 0.6 * rng_uniform(rng);
        struct vec colour = colours[rng_below(rng, COUNT_OF(colours))];
        int is_ball = rng_below(rng, 2) != 0;
        double height = is_ball ? size : size * (0.5 + 2 * rng_uniform(rng));
        put(k, is_ball, (struct vec) { x, 0.9 + height, z },
            (struct vec) { size, height, size }, colour);
    }
}

static enum status take_picture(const struct kitchen *k, const struct camera *camera,
    const char *path, struct error *err)
{
    struct picture picture = { 0 };
    struct buffer jpeg;
    buffer_init(&jpeg, 8u << 20);
    enum status s = picture_new(WIDTH_PX, HEIGHT_PX, 3, &picture, err);
    struct vec forward = unit(add(camera->target, scale(camera->eye, -1)));
    struct vec right = unit(cross((struct vec) { 0, 1, 0 }, forward));
    struct vec up = cross(forward, right);
    for (int row = 0; row < HEIGHT_PX && !s; row++) {
        for (int column = 0; column < WIDTH_PX; column++) {
            double u = (column + 0.5) / WIDTH_PX - 0.5;
            double v = (0.5 * HEIGHT_PX - row - 0.5) / WIDTH_PX;
            struct vec ray = unit(
                add(scale(forward, camera->focal), add(scale(right, u), scale(up, v))));
            struct vec colour = shade(k, camera->eye, ray);
            uint8_t *pixel = picture.data + 3 * ((size_t)row * WIDTH_PX + (size_t)column);
            pixel[0] = (uint8_t)(255 * fmin(colour.x, 1));
            pixel[1] = (uint8_t)(255 * fmin(colour.y, 1));
            pixel[2] = (uint8_t)(255 * fmin(colour.z, 1));
        }
    }
    if (!s)
        s = picture_encode_jpeg(&picture, QUALITY, &jpeg, err);
    if (!s)
        s = file_write(path, jpeg.data, jpeg.len, err);
    picture_release(&picture);
    buffer_release(&jpeg);
    return s;
}

enum status scenes_draw(const char *folder, int n, uint64_t seed,
    struct progress *progress, struct error *err)
{
    enum status s = OK;
    for (int i = 0; i < n && !s; i++) {
        struct rng rng;
        struct kitchen kitchen;
        rng_init(&rng, seed, "simulate/scene", (uint64_t)i);
        furnish(&kitchen, &rng);
        char *scene = text_format("%s/kitchen_%02d", folder, i + 1);
        s = scene ? folder_make(scene, err) : error_nomem(err, 64);
        for (size_t v = 0; v < COUNT_OF(cameras) && !s; v++) {
            char *path = text_format("%s/%s.jpg", scene, cameras[v].view);
            s = path ? take_picture(&kitchen, &cameras[v], path, err)
                     : error_nomem(err, 64);
            free(path);
        }
        free(scene);
        progress_step(progress, 1, NULL);
    }
    return s;
}
