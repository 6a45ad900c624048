/* Masks as CVAT keeps them. */
import { Sentence } from './calls.js';

/** CVAT's mask points (run lengths, background first, then left, top, right, bottom) as a box. */
export function decodeMask(points) {
    const [left, top, right, bottom] = points.slice(-4);
    const width = right - left + 1;
    const data = new Uint8Array(width * (bottom - top + 1));
    let at = 0;
    for (let i = 0; i < points.length - 4; i += 1) {
        if (i % 2) data.fill(1, at, at + points[i]);
        at += points[i];
    }
    return { left, top, width, height: bottom - top + 1, data };
}

/** The points of a box, cut to the pixels that are set; null when there is none. */
export function encodeMask({ left, top, width, height, data }) {
    let [x0, y0, x1, y1] = [width, height, -1, -1];
    for (let y = 0; y < height; y += 1) {
        const row = data.subarray(y * width, (y + 1) * width);
        const first = row.indexOf(1);
        if (first < 0) continue;
        x0 = Math.min(x0, first);
        x1 = Math.max(x1, row.lastIndexOf(1));
        y0 = Math.min(y0, y);
        y1 = y;
    }
    if (x1 < 0) return null;
    const points = [];
    let [value, run] = [0, 0];
    for (let y = y0; y <= y1; y += 1) {
        for (let at = y * width + x0; at <= y * width + x1; at += 1) {
            if (data[at] !== value) {
                points.push(run);
                [value, run] = [data[at], 0];
            }
            run += 1;
        }
    }
    return [...points, run, left + x0, top + y0, left + x1, top + y1];
}

/**
 * Mask points, checked, because CVAT checks nothing: null for an object that is not there (no pixel, or none inside
 * the image). Throws a Sentence, `complaint`, for damaged points.
 */
export function checkedMask(points, { width: imageWidth, height: imageHeight }, complaint = DAMAGED_REPLY) {
    const whole = Array.isArray(points) && points.length >= 5 && points.every(Number.isInteger);
    const runs = whole ? points.slice(0, -4) : [];
    const [left, top, right, bottom] = whole ? points.slice(-4) : [0, 0, -1, -1];
    const area = (right - left + 1) * (bottom - top + 1);
    const filled = runs.every((run) => run >= 0) && runs.reduce((sum, run) => sum + run, 0) === area;
    if (!whole || right < left || bottom < top || !filled) {
        throw new Sentence(complaint);
    }
    const seen = runs.some((run, i) => i % 2 === 1 && run > 0);
    const inside = right >= 0 && bottom >= 0 && left < imageWidth && top < imageHeight;
    return seen && inside ? points : null;
}

const DAMAGED_REPLY = 'The tracker answered with a damaged mask. Its version may not fit this button; ask whoever runs CVAT to update both.';

/** The mask points of a polygon: the pixels whose centre it contains; null when there is none. */
export function maskOfPolygon(ring, { width: imageWidth, height: imageHeight }) {
    const [xs, ys] = [0, 1].map((odd) => ring.filter((_, i) => i % 2 === odd));
    const clip = (value, most) => Math.min(Math.max(value, 0), most);
    const least = (values) => values.reduce((a, b) => Math.min(a, b));
    const most = (values) => values.reduce((a, b) => Math.max(a, b));
    const [left, right] = [clip(Math.floor(least(xs)), imageWidth), clip(Math.ceil(most(xs)), imageWidth)];
    const [top, bottom] = [clip(Math.floor(least(ys)), imageHeight), clip(Math.ceil(most(ys)), imageHeight)];
    const [width, height] = [right - left, bottom - top];
    if (width <= 0 || height <= 0) return null;
    const data = new Uint8Array(width * height);
    xs.forEach((_, i) => {
        const j = (i + 1) % xs.length;
        toggleRightOf({ data, width, height }, xs[i] - left, ys[i] - top, xs[j] - left, ys[j] - top);
    });
    return encodeMask({ left, top, width, height, data });
}

/** Even-odd filling: an edge toggles, in each row it crosses, every pixel to its right. */
function toggleRightOf({ data, width, height }, x0, y0, x1, y1) {
    const row = (y) => Math.min(Math.max(Math.ceil(y - 0.5), 0), height);
    for (let y = row(Math.min(y0, y1)); y < row(Math.max(y0, y1)); y += 1) {
        const crossing = x0 + (y + 0.5 - y0) * ((x1 - x0) / (y1 - y0));
        for (let x = Math.max(Math.ceil(crossing - 0.5), 0); x < width; x += 1) data[y * width + x] ^= 1;
    }
}
