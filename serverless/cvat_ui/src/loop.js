/* Tracking, frame by frame. */
import { explain } from './calls.js';
import { fuse, progressAt } from './fusing.js';
import { maskPoints, painted } from './labels.js';
import { checkedMask, decodeMask } from './masks.js';
import { ringOf } from './rings.js';

/** A tracker gives an object up by a state of null; it is lost from there on, until a person draws it again. */
function follow(object, state) {
    object.state = state;
    object.ended = !state;
}

function forget(object) {
    object.state = null;
    object.ended = false;
}

/**
 * One frame: one call for all objects, and a second one only where a person drew some of them. Nothing is kept before
 * both have succeeded, so a failed frame can be tried again.
 *
 * Resolves to a function that keeps it and returns what was found: object -> {points (null where it is lost), score}.
 */
async function advance(tracker, objects, frame, image) {
    const here = objects.filter((object) => frame >= object.low && frame <= object.high);
    const followed = here.filter((object) => object.state && !object.given.has(frame));
    const drawn = here.filter((object) => object.given.get(frame)?.mask);
    const none = { states: [], shapes: [] };
    const reply = followed.length ? await tracker.step(frame, followed.map((object) => object.state)) : none;
    const masks = reply.shapes.map((shape) => shape && checkedMask(shape.points, image));
    const started = drawn.length ? await tracker.start(frame, drawn.map((object) => object.given.get(frame).mask)) : [];
    return () => {
        const found = new Map(here.filter((object) => object.ended && !object.given.has(frame)).map((object) => [object, { points: null }]));
        here.filter((object) => object.given.has(frame)).forEach(forget);
        drawn.forEach((object, i) => follow(object, started[i]));
        followed.forEach((object, i) => {
            follow(object, reply.states[i]);
            found.set(object, { points: masks[i], score: reply.shapes[i]?.score });
        });
        return found;
    };
}

/** What was found in a frame, with what was drawn laid over it; objects go by their place in the list, from 1. */
function resultOf(found, objects, frame, image) {
    const number = new Map(objects.map((object, i) => [object, i + 1]));
    const drawn = objects.filter((object) => !found.has(object) && object.given.get(frame)?.mask);
    const all = [
        ...[...found].map(([object, { points, score = 1 }]) => ({ object, points, score })),
        ...drawn.map((object) => ({ object, points: object.given.get(frame).mask, score: 1 })),
    ].map(({ object, ...rest }) => ({ number: number.get(object), ...rest }));
    return {
        ids: all.map((one) => one.number),
        labels: painted(all.filter(({ points }) => points), image),
        scores: new Map(all.map((one) => [one.number, one.points ? one.score : 0])),
    };
}

/** What was tracked in a frame without what drawings lie over. */
function beneath(found, objects, frame, image) {
    if (!found.size || !objects.some((object) => object.given.get(frame)?.mask)) return found;
    const result = resultOf(found, objects, frame, image);
    return seenIn(result, objects, new Set(found.keys()), image);
}

/** What both directions found in a frame, made one. */
function fused(ahead, behind, objects, frame, image) {
    const results = [ahead, behind].map((found) => resultOf(found, objects, frame, image));
    const known = new Set([...ahead.keys(), ...behind.keys()]);
    if (!known.size) return ahead;
    const told = objects.map(({ given }, i) => [i + 1, new Map([...given].map(([at, { mask }]) => [at, Boolean(mask)]))]);
    const progress = told.map(([number, of]) => [number, progressAt(of, frame)]).filter(([, place]) => place !== undefined);
    return seenIn(fuse(results[0], results[1], new Map(/** @type {any} */ (progress))), objects, known, image);
}

/** The masks of some of the objects in a result. */
function seenIn({ labels, scores }, objects, which, image) {
    const numbers = objects.map((object, i) => [object, i + 1]).filter(([object]) => which.has(object));
    const masks = maskPoints(labels, numbers.map(([, number]) => number), image);
    return new Map(numbers.map(([object, number]) => [object, { points: masks.get(number), score: scores.get(number) }]));
}

function record(object, frame, { points, score }) {
    if (object.taken.has(frame)) return;
    if (!points) object.lost.push(frame);
    else if (object.kind === 'track') object.rings.set(frame, ringOf(decodeMask(points)));
    else object.masks.push({ frame, points, score });
}

/** What becomes of a step that is under way: {keep}, or 'again', or how the whole run ends: 'keep', 'discard'. */
async function outcomeOf(work, control, done) {
    // The end does not wait for a running call, which cannot be taken back.
    const outcome = await Promise.race([control.ended, work.then((keep) => ({ keep }), (error) => ({ error }))]);
    const decision = typeof outcome === 'string' ? outcome : await control.settled();
    if (decision) return decision;
    return outcome.error ? control.failed(explain(outcome.error), done) : outcome;
}

/**
 * Tracks `objects` over `frames`, from `frame` on; or, without one, over ascending frames from both ends, fused. Returns
 * the frames that are done, or throws a Sentence.
 *
 * `control` decides what the page decides: `progress(done, frame, steps)`, `ended` (a promise of 'keep' or 'discard', when
 * the annotator has enough), `settled()` (waits while the annotator is being asked) and `failed(text, done)` (a promise of
 * 'again', 'keep' or 'discard').
 */
export async function trackAll({ tracker, objects, frame = null, frames, image, control }) {
    const [done, behind] = [[], new Map()];
    const both = frame === null;
    const orders = both ? [[...frames].reverse(), frames] : [[frame, ...frames]];
    const steps = orders.flatMap((order, pass) => order.map((at, place) => ({ at, place, last: pass === orders.length - 1 })));
    for (let step = 0; step < steps.length;) {
        const { at, place, last } = steps[step];
        if (!place) objects.forEach(forget);
        control.progress(done.length, at, both ? step : done.length);
        const outcome = await outcomeOf(advance(tracker, objects, at, image), control, done.length);
        if (outcome === 'keep') return done;
        if (outcome === 'discard') return [];
        if (outcome === 'again') continue;
        step += 1;
        const found = outcome.keep();
        if (!last) {
            behind.set(at, found);
            continue;
        }
        const result = both ? fused(found, behind.get(at), objects, at, image) : beneath(found, objects, at, image);
        behind.delete(at);
        result.forEach((one, object) => record(object, at, one));
        if (both || place) done.push(at);
    }
    return done;
}
