/*
 * Few keyframes of a polygon track for many outlines. The same as `agss_model/cvat/polygons/keyframes.py`, which says how it is
 * done, with the same results; tests/cvat/cases/keyframes.json holds both to it.
 */
import {
    fitting, outlineOf, pointsAt, shift, simplified,
} from './outlines.js';
import { bestStart, paired } from './pairing.js';
import { fits, settled } from './settling.js';

const SIGNATURE_SHIFT = 0.1; // pixels by which the signature of a keyframe can move a point
const LONGEST = 64; // frames of a stretch, which bounds memory
const SHARES = [1.0, 0.7]; // of the tolerance that leaving out corners may use up; few corners are paired for longer
const ROUNDS = 20;
const PATIENCE = 2; // frames that may fail before no further one is tried

/**
 * Keyframes [{frame, points}] for frames (ascending) in which an object is seen without interruption: in each, the polygon
 * that CVAT shows and the outline are nowhere further apart than `tolerance`, or less for small ones. Yields now and then, to let the page live.
 * @param {number[]} frames
 * @param {ArrayLike<number>[]} rings the exact outline in each
 * @param {number} tolerance pixels
 */
export function* thinning(frames, rings, tolerance) {
    const keys = [];
    const within = tolerance - SIGNATURE_SHIFT;
    for (let place = 0; place < frames.length;) {
        let best = [];
        for (const share of SHARES) {
            const found = [];
            for (const key of new Stretch(frames, rings, place, within, share).keys()) {
                found.push(key);
                yield;
            }
            if (!best.length || better(found, best, place)) best = found;
        }
        keys.push(...best.map((key) => ({ frame: frames[key.place], points: [...key.points] })));
        place = best[best.length - 1].place + 1;
    }
    return keys;
}

/** Whether keyframes from a place on last longer each, or as long with fewer corners. */
function better(found, best, place) {
    const [one, two] = [found, best].map((keys) => (keys[keys.length - 1].place - place + 1) / keys.length);
    return one > two || (one === two && found[0].points.length < best[0].points.length);
}

/** All of it at once. */
export function thin(frames, rings, tolerance) {
    const work = thinning(frames, rings, tolerance);
    let step = work.next();
    while (!step.done) step = work.next();
    return step.value;
}

/** Vertices chosen on one outline and carried along. */
class Stretch {
    /** @type {any} */ start;
    /** @type {any} */ tolerance;
    /** @type {any} */ frames;
    /** @type {any} */ rings;

    constructor(frames, rings, start, tolerance, share) {
        Object.assign(this, { frames, rings, start, tolerance });
        this.last = Math.min(start + LONGEST, frames.length - 1);
        const first = outlineOf(rings[start]);
        this.outlines = [first];
        this.within = [fitting(tolerance, first)];
        this.lies = [settled(pointsAt(first, simplified(first, share * this.within[0])), first, ROUNDS)];
        this.moved = [0, 0];
    }

    /** Keyframes {place, points}, by place in the list of frames. */
    * keys() {
        const found = this.first();
        yield* found;
        for (let key = found[1]; key; key = this.farthest(key)) if (key !== found[1]) yield key;
    }

    /** The first two keyframes, both chosen freely; or a single one, with the fewest corners. */
    first() {
        let best = null;
        let begin = 0;
        for (let end = this.start + 1, misses = 0; end <= this.last && misses <= PATIENCE; end += 1) {
            const carried = this.lie(this.start, end);
            const turn = bestStart(carried[0], carried[carried.length - 1]);
            const lies = carried.map((polygon) => turned(polygon, turn));
            const at = this.at(this.start, end);
            const mean = scaled(sum(lies), lies.length);
            const middle = at.reduce((a, b) => a + b) / at.length;
            const slope = slopeOf(at.map((value) => value - middle), lies, mean);
            const ends = [at[0], at[at.length - 1]].map((value) => along(mean, slope, value - middle));
            const pairs = [[mean, mean], ends, [lies[0], lies[lies.length - 1]]];
            const good = pairs.map((pair) => pair.map(rounded)).find(([one, two]) => this.holds(this.start, end, one, two));
            misses = good ? 0 : misses + 1;
            if (!good) continue;
            best = [{ place: this.start, points: good[0] }, { place: end, points: good[1] }];
            begin = turn;
        }
        this.lies = this.lies.map((polygon) => turned(polygon, begin));
        const [outline] = this.outlines;
        return best ?? [{ place: this.start, points: pointsAt(outline, simplified(outline, this.within[0])) }];
    }

    /** The farthest keyframe that can follow one; null where no frame can. */
    farthest({ place: start, points }) {
        let best = null;
        for (let end = start + 1, misses = 0; end <= this.last && misses <= PATIENCE; end += 1) {
            const lies = this.lie(start, end);
            const at = this.at(start, end);
            const tries = [points, along(points, slopeOf(at, lies, points), at[at.length - 1]), lies[lies.length - 1]];
            const good = tries.map(rounded).find((to) => this.holds(start, end, points, to));
            misses = good ? 0 : misses + 1;
            if (good) best = { place: end, points: good };
        }
        return best;
    }

    /** CVAT pairs the vertices as they are meant, and every frame on the way keeps within the tolerance. */
    holds(start, end, one, two) {
        if (!paired(one, two)) return false;
        const at = this.at(start, end);
        for (let place = end; place >= start; place -= 1) { // the far ones fail first
            const share = at[place - start] / at[at.length - 1];
            const shown = one.map((value, i) => value + (two[i] - value) * share);
            if (!fits(shown, this.outlines[place - this.start], this.within[place - this.start])) return false;
        }
        return true;
    }

    /** Numbers of the frames from `start` on. */
    at(start, end) {
        return this.frames.slice(start, end + 1).map((frame) => frame - this.frames[start]);
    }

    /** Where the vertices lie in these frames, carried on as far as is asked for. */
    lie(start, end) {
        while (this.lies.length <= end - this.start) {
            const here = this.outlines[this.outlines.length - 1];
            const there = outlineOf(this.rings[this.start + this.lies.length]);
            this.moved = shift(here, there, this.moved);
            this.outlines.push(there);
            this.within.push(fitting(this.tolerance, there));
            const carried = this.lies[this.lies.length - 1].map((value, i) => value + this.moved[i % 2]);
            this.lies.push(settled(carried, there, ROUNDS));
        }
        return this.lies.slice(start - this.start, end - this.start + 1);
    }
}

const sum = (polygons) => polygons.reduce((total, polygon) => total.map((value, i) => value + polygon[i]));
const turned = (polygon, by) => Float64Array.of(...polygon.slice(2 * by), ...polygon.slice(0, 2 * by));
const scaled = (polygon, by) => polygon.map((value) => value / by);
const along = (polygon, slope, by) => polygon.map((value, i) => value + slope[i] * by);
const rounded = (polygon) => polygon.map((value) => Math.floor(value * 10 + 0.5) / 10);

/** Of the straight lines through polygons over time, as far as they leave `from`. */
function slopeOf(at, lies, from) {
    const above = sum(lies.map((polygon, row) => polygon.map((value, i) => at[row] * (value - from[i]))));
    return scaled(above, at.reduce((total, value) => total + value * value, 0));
}
