/* Tracking, frame by frame. */
import { explain } from './calls.js';
import { checkedMask, decodeMask } from './masks.js';
import { ringOf } from './rings.js';

/** Starts every object. */
async function begin(tracker, objects, frame) {
    const states = await tracker.start(frame, objects.map((object) => object.start));
    objects.forEach((object, i) => follow(object, states[i]));
}

/** A tracker gives an object up by a state of null; it is lost from there on, until a person draws it again. */
function follow(object, state) {
    object.state = state;
    object.ended = !state;
}

/**
 * One frame: one call for all objects, and a second one only where a person drew some of them. Nothing is kept before
 * both have succeeded, so a failed frame can be tried again.
 */
async function advance(tracker, objects, frame, image) {
    const followed = objects.filter((object) => object.state && !object.given.has(frame));
    const drawn = objects.filter((object) => object.given.get(frame)?.mask);
    const ended = objects.filter((object) => object.ended && !object.given.has(frame));
    const none = { states: [], shapes: [] };
    const reply = followed.length ? await tracker.step(frame, followed.map((object) => object.state)) : none;
    const masks = reply.shapes.map((shape) => shape && checkedMask(shape.points, image));
    const started = drawn.length ? await tracker.start(frame, drawn.map((object) => object.given.get(frame).mask)) : [];
    return () => {
        objects.filter((object) => object.given.has(frame)).forEach((object) => {
            object.state = null;
            object.ended = false;
        });
        drawn.forEach((object, i) => follow(object, started[i]));
        ended.forEach((object) => record(object, frame, null));
        followed.forEach((object, i) => {
            follow(object, reply.states[i]);
            record(object, frame, masks[i], reply.shapes[i]?.score);
        });
    };
}

function record(object, frame, points, score = undefined) {
    if (object.taken.has(frame)) return;
    if (!points) object.lost.push(frame);
    else if (object.kind === 'track') object.rings.set(frame, ringOf(decodeMask(points)));
    else object.masks.push({ frame, points, score });
}

/**
 * Tracks `objects` over `frames`; returns the frames that are done, or throws a Sentence.
 *
 * `control` decides what the page decides: `progress(done, frame)`, `ended` (a promise of 'keep' or 'discard', when the
 * annotator has enough), `settled()` (waits while the annotator is being asked) and `failed(text, done)` (a promise of
 * 'again', 'keep' or 'discard').
 */
export async function trackAll({ tracker, objects, frame, frames, image, control }) {
    const done = [];
    let begun = false;
    while (done.length < frames.length) {
        const next = frames[done.length];
        control.progress(done.length, begun ? next : frame);
        const work = begun ? advance(tracker, objects, next, image) : begin(tracker, objects, frame);
        // The end does not wait for a running call, which cannot be taken back.
        const outcome = await Promise.race([control.ended, work.then((keep) => ({ keep }), (error) => ({ error }))]);
        const decision = typeof outcome === 'string' ? outcome : await control.settled();
        if (decision === 'keep') return done;
        if (decision === 'discard') return [];
        if (outcome.error) {
            const answer = await control.failed(explain(outcome.error), done.length);
            if (answer !== 'again') return answer === 'keep' ? done : [];
        } else if (!begun) {
            begun = true;
        } else {
            outcome.keep();
            done.push(next);
        }
    }
    return done;
}
