/*
 * Few keyframes of a polygon track for many outlines. The same as `agss_model/cvat/keyframes.py`, which says how it is
 * done, with the same results; tests/cvat/cases/keyframes.json holds both to it.
 */
import { fits, outlineOf, pointsAt, settled, shift, simplified } from './polygons.js';

const LONGEST = 64; // frames of a stretch, which bounds memory
const SHARE = 0.7; // of the tolerance that leaving out corners may use up; the rest is for movement
const ROUNDS = 20;
const PATIENCE = 2; // frames that may fail before no further one is tried
const MARGIN = 0.5; // pixels along the outline

/**
 * Keyframes [{frame, points}] for frames (ascending) in which an object is seen without interruption: in each, the polygon
 * that CVAT shows and the outline are nowhere further apart than `tolerance`. Yields now and then, to let the page live.
 * @param {number[]} frames
 * @param {ArrayLike<number>[]} rings the exact outline in each
 * @param {number} tolerance pixels
 */
export function* thinning(frames, rings, tolerance) {
    const keys = [];
    for (let place = 0; place < frames.length;) {
        const stretch = new Stretch(frames, rings, place, tolerance);
        let last = null;
        for (const key of stretch.keys()) {
            keys.push({ frame: frames[key.place], points: [...key.points] });
            last = key;
            yield;
        }
        place = last.place + 1;
    }
    return keys;
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

    constructor(frames, rings, start, tolerance) {
        Object.assign(this, { frames, rings, start, tolerance });
        this.last = Math.min(start + LONGEST, frames.length - 1);
        const first = outlineOf(rings[start]);
        this.outlines = [first];
        this.lies = [settled(pointsAt(first, simplified(first, SHARE * tolerance)), first, ROUNDS)];
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
        for (let end = this.start + 1, misses = 0; end <= this.last && misses <= PATIENCE; end += 1) {
            const lies = this.lie(this.start, end);
            const at = this.at(this.start, end);
            const mean = scaled(sum(lies), lies.length);
            const middle = at.reduce((a, b) => a + b) / at.length;
            const slope = slopeOf(at.map((value) => value - middle), lies, mean);
            const ends = [at[0], at[at.length - 1]].map((value) => along(mean, slope, value - middle));
            const pairs = [[mean, mean], ends, [lies[0], lies[lies.length - 1]]];
            const good = pairs.map((pair) => pair.map(rounded)).find(([one, two]) => this.holds(this.start, end, one, two));
            misses = good ? 0 : misses + 1;
            if (good) best = [{ place: this.start, points: good[0] }, { place: end, points: good[1] }];
        }
        const [outline] = this.outlines;
        return best ?? [{ place: this.start, points: pointsAt(outline, simplified(outline, this.tolerance)) }];
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
            if (!fits(shown, this.outlines[place - this.start], this.tolerance)) return false;
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
            const carried = this.lies[this.lies.length - 1].map((value, i) => value + this.moved[i % 2]);
            this.lies.push(settled(carried, there, ROUNDS));
        }
        return this.lies.slice(start - this.start, end - this.start + 1);
    }
}

const sum = (polygons) => polygons.reduce((total, polygon) => total.map((value, i) => value + polygon[i]));
const scaled = (polygon, by) => polygon.map((value) => value / by);
const along = (polygon, slope, by) => polygon.map((value, i) => value + slope[i] * by);
const rounded = (polygon) => polygon.map((value) => Math.floor(value * 10 + 0.5) / 10);

/** Of the straight lines through polygons over time, as far as they leave `from`. */
function slopeOf(at, lies, from) {
    const above = sum(lies.map((polygon, row) => polygon.map((value, i) => at[row] * (value - from[i]))));
    return scaled(above, at.reduce((total, value) => total + value * value, 0));
}

/** Whether CVAT pairs vertex i of both polygons, for every i; the same as `agss_model/cvat/pairing.py`. */
export function paired(one, two) {
    if (one.length !== two.length) return false;
    const [a, b] = [relative(one), relative(two)];
    const margin = MARGIN / Math.min(lengthOf(one), lengthOf(two));
    return a.every((value, i) => {
        const meant = Math.abs(value - b[i]) + margin;
        return (i === 0 || meant < Math.abs(value - b[i - 1])) && (i === a.length - 1 || meant < Math.abs(value - b[i + 1]));
    });
}

function edges(ring) {
    const n = ring.length;
    return Array.from({ length: n / 2 }, (_, i) => {
        const dx = ring[(2 * i + 2) % n] - ring[2 * i];
        const dy = ring[(2 * i + 3) % n] - ring[2 * i + 1];
        return Math.sqrt(dx * dx + dy * dy);
    });
}

const lengthOf = (ring) => edges(ring).reduce((total, length) => total + length);

/** Relative length along a closed ring at each vertex, and 1 at the end. */
function relative(ring) {
    const sums = [];
    edges(ring).forEach((length, i) => sums.push((i ? sums[i - 1] : 0) + (length + 1e-9)));
    return [0, ...sums].map((value) => value / sums[sums.length - 1]);
}
