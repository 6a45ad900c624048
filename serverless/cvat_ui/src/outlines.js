/*
 * Outlines of masks and the polygons that stand for them. The same as `agss_model/cvat/polygons/outlines.py`, bit for bit: sums run
 * in the same order in both. Both are held to tests/cvat/cases/keyframes.json.
 *
 * A polygon is a flat Float64Array or list [x0, y0, x1, y1, ...]; an outline the same, of all corners of pixels it passes.
 */

const REACH = 100; // squared pixels beyond which a point tells nothing about how an outline moved
const SAMPLES = 48;
const SMALL = 5; // area over length of the outline, in pixels, from which on a tolerance counts as it is

/** All corners of pixels that a ring along the borders of pixels passes, one pixel apart. */
export function outlineOf(ring) {
    const points = [];
    for (let i = 0; i < ring.length; i += 2) {
        let [x, y] = [ring[i], ring[i + 1]];
        const [toX, toY] = [ring[(i + 2) % ring.length], ring[(i + 3) % ring.length]];
        const [dx, dy] = [Math.sign(toX - x), Math.sign(toY - y)];
        for (; x !== toX || y !== toY; x += dx, y += dy) points.push(x, y);
    }
    return Float64Array.from(points);
}

/** A tolerance in pixels for one outline, less for small ones; see `fitting` in agss_model/masks/polygons.py for why. */
export function fitting(tolerance, outline) {
    let twice = 0;
    for (let i = 0; i < outline.length; i += 2) {
        const next = (i + 2) % outline.length;
        twice += outline[i] * outline[next + 1] - outline[i + 1] * outline[next];
    }
    return tolerance * Math.min(1, Math.abs(twice) / 2 / (outline.length / 2) / SMALL);
}

/** Places of few points (at least 3) from whose polygon no point of the outline is further than the tolerance. */
export function simplified(outline, tolerance) {
    const count = outline.length / 2;
    let [far, most] = [0, -1];
    for (let i = 0; i < count; i += 1) {
        const away = (outline[2 * i] - outline[0]) ** 2 + (outline[2 * i + 1] - outline[1]) ** 2;
        if (away > most) [far, most] = [i, away];
    }
    const kept = new Set([0, far]);
    const spans = [[0, far], [far, count]];
    while (spans.length) {
        const [start, stop] = spans.pop();
        let [worst, at] = [-1, -1];
        for (let i = start + 1; i < stop; i += 1) {
            const away = fromLine(outline, i, start, stop % count);
            if (away > worst) [worst, at] = [away, i];
        }
        if (worst <= tolerance * tolerance) continue;
        kept.add(at);
        spans.push([start, at], [at, stop]);
    }
    if (kept.size < 3) [Math.floor(count / 3), Math.floor((2 * count) / 3)].forEach((place) => kept.add(place));
    return [...kept].sort((a, b) => a - b);
}

function fromLine(points, i, one, two) {
    const dx = points[2 * two] - points[2 * one];
    const dy = points[2 * two + 1] - points[2 * one + 1];
    const length = dx * dx + dy * dy;
    let x = points[2 * i] - points[2 * one];
    let y = points[2 * i + 1] - points[2 * one + 1];
    const share = clip((x * dx + y * dy) / (length > 0 ? length : 1));
    x -= share * dx;
    y -= share * dy;
    return x * x + y * y;
}

export const clip = (share) => (share < 0 ? 0 : share > 1 ? 1 : share);

/** Points of an outline at places, as a polygon. */
export const pointsAt = (outline, places) => Float64Array.from(places.flatMap((i) => [outline[2 * i], outline[2 * i + 1]]));

/** Whole pixels [x, y] by which an outline moved on the whole; `before` is the movement one frame earlier. */
export function shift(here, there, /** @type {number[]} */ before) {
    const step = Math.max(1, Math.floor(here.length / 2 / SAMPLES));
    const some = [];
    for (let i = 0; i < here.length / 2; i += step) some.push(here[2 * i], here[2 * i + 1]);
    const [a, b] = [extent(here), extent(there)];
    const low = [b.low[0] - a.low[0], b.low[1] - a.low[1]];
    const high = [b.high[0] - a.high[0], b.high[1] - a.high[1]];
    const middle = [0, 1].map((axis) => Math.floor(b.middle[axis] - a.middle[axis] + 0.5));
    const tried = [before, middle, low, high, [low[0], high[1]], [high[0], low[1]]];
    const costs = tried.map((by) => cost(some, by, there));
    let least = Math.min(...costs);
    let by = tried[costs.indexOf(least)];
    for (let size = 4; size >= 1;) {
        let moved = false;
        for (const [dx, dy] of [[size, 0], [-size, 0], [0, size], [0, -size]]) {
            const to = [by[0] + dx, by[1] + dy];
            const now = cost(some, to, there);
            if (now < least) [by, least, moved] = [to, now, true];
        }
        if (!moved) size = Math.floor(size / 2);
    }
    return by;
}

function extent(outline) {
    const [low, high, sums] = [[Infinity, Infinity], [-Infinity, -Infinity], [0, 0]];
    outline.forEach((value, i) => {
        low[i % 2] = Math.min(low[i % 2], value);
        high[i % 2] = Math.max(high[i % 2], value);
        sums[i % 2] += value;
    });
    return { low, high, middle: sums.map((sum) => sum / (outline.length / 2)) };
}

function cost(some, by, outline) {
    const [byX, byY] = by;
    let sum = 0;
    for (let i = 0; i < some.length; i += 2) {
        const [px, py] = [some[i] + byX, some[i + 1] + byY];
        let nearest = REACH;
        for (let k = 0; k < outline.length; k += 2) {
            const x = px - outline[k];
            const y = py - outline[k + 1];
            const away = x * x + y * y;
            if (away < nearest) nearest = away;
        }
        sum += nearest;
    }
    return sum;
}
