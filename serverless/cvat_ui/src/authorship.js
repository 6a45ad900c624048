/*
 * Who made a shape: a machine of this project, another program, or a person. The same as `agss_model/cvat/authorship.py`,
 * which says what the digits mean; both are held to tests/cvat/cases/authorship.json.
 *
 * Shapes and tracks are CVAT's, as it exports them from an open job.
 */

/** @typedef {'ours' | 'other' | 'person'} Author */
/** @typedef {{labels: Map<number, string>, attributes: Map<number, string>, mutable: Set<number>}} Names */

export const SOURCE = 'auto';
export const PREVIOUS = 1;
export const NEXT = 2;
const SIGNATURES = 1e6;
const CHECKS = 1e4;
const WHOLE = 1e14;
const POINTS = 6; // numbers of a keyframe that carry a digit each

/**
 * Names of labels and attributes by their numbers.
 * @returns {Names}
 */
export function namesOf(labels) {
    const attributes = labels.flatMap((label) => label.attributes ?? []);
    const byId = (entries) => new Map(entries.filter(({ name }) => name !== undefined).map(({ id, name }) => [id, name]));
    const mutable = new Set(attributes.filter((spec) => spec.mutable).map(({ id }) => id));
    return { labels: byId(labels), attributes: byId(attributes), mutable };
}

/**
 * Who made a shape or track: the last one who touched it. A track is ours when all of its keyframes are.
 * @returns {Author}
 */
export function author(item, names) {
    if (!item.shapes) {
        const head = marked(item);
        if (head === null) return item.source === SOURCE ? 'other' : 'person';
        const fits = Math.floor(head / 10) % SIGNATURES === number(mask(item, names), SIGNATURES);
        return fits && item.source === SOURCE ? 'ours' : 'person';
    }
    const authors = new Set(keyframeAuthors(item, names).values());
    if (authors.size !== 1) return 'person';
    if (authors.has('ours')) return item.source === SOURCE ? 'ours' : 'person';
    return authors.has('other') ? 'other' : 'person';
}

/**
 * Who made each keyframe of a track, by frame.
 * @returns {Map<number, Author>}
 */
export function keyframeAuthors(track, names) {
    /** @type {Array<[number, boolean]>} */
    const signed = inOrder(track).map((shape, place) => [shape.frame, isSigned(track, shape, place === 0, names)]);
    const rest = track.source === SOURCE && !signed.some(([, ours]) => ours) ? 'other' : 'person';
    return new Map(signed.map(([frame, ours]) => [frame, ours ? 'ours' : rest]));
}

/** Whether a machine of ours made a shape or a part of a track, whoever edited it since. */
export function wasOurs(item, names) {
    if (!item.shapes) return marked(item) !== null;
    return [...keyframeAuthors(item, names).values()].includes('ours');
}

/**
 * Whether a machine of ours made a track as the object of a drawing, before a person gave it another label: CVAT takes all
 * attributes of the old label away then, and with them every signature.
 */
export function wasOursAs(track, drawing, names) {
    if (!drawing.attributes?.length) return wasOurs(track, names);
    const part = (kind) => drawing.attributes.filter((entry) => names.mutable.has(entry.spec_id) === kind);
    const shapes = track.shapes.map((shape) => ({ ...shape, attributes: part(true) }));
    return wasOurs({ ...track, label_id: drawing.label_id, attributes: part(false), shapes }, names);
}

/** A mask with its signature; `near` says beside which frames the run wrote a mask of the object too. */
export function signMask(shape, names, near = 0) {
    const thousandths = Math.min(Math.floor((shape.score || 0) * 1000 + 1e-6), 999);
    const head = (thousandths * SIGNATURES + number(mask(shape, names), SIGNATURES)) * 10 + near;
    return { ...shape, source: SOURCE, score: (head * CHECKS + number(head, CHECKS)) / WHOLE };
}

/** A track whose keyframes are signed, except those on the frames `kept`; points move by at most 0.1 pixels. */
export function signTrack(item, names, kept = new Set()) {
    const shapes = inOrder(item).map((shape, place) => {
        if (kept.has(shape.frame)) return shape;
        const value = number(keyframe(item, shape, place === 0, names), 10 ** Math.min(POINTS, shape.points.length));
        return { ...shape, points: withDigits(shape.points, value) };
    });
    return { ...item, shapes };
}

/** Beside which frames a mask of the same object was written too; 0 for a shape that never was ours. */
export function nearOf(shape) {
    return (marked(shape) ?? 0) % 10;
}

/**
 * Frames from which somebody deleted masks of ours.
 * @param {number[]} frames of the job, ascending, without deleted ones
 * @param {Set<number>} occupied those in which CVAT shows something of the object
 * @param {Map<number, number>} near what its masks that are or were ours say, by frame; see `nearOf`
 */
export function emptied(frames, occupied, near) {
    const place = new Map(frames.map((frame, row) => [frame, row]));
    const gone = new Set();
    near.forEach((bits, frame) => {
        [[PREVIOUS, -1], [NEXT, 1]].forEach(([bit, step]) => {
            let row = place.has(frame) && bits & bit ? place.get(frame) + step : -1;
            for (; row >= 0 && row < frames.length && !occupied.has(frames[row]); row += step) gone.add(frames[row]);
        });
    });
    return gone;
}

/** Everything of a shape or track that a person can change, as one text. */
export function content(item, names) {
    if (!item.shapes) return JSON.stringify(mask(item, names));
    return JSON.stringify([about(item, names), inOrder(item).map((shape) => form(shape, names, shape.points.map(hundredths)))]);
}

export const inOrder = (track) => [...track.shapes].sort((a, b) => a.frame - b.frame);

/** The digits of a score before its check, where that fits; else null. */
function marked({ score }) {
    if (typeof score !== 'number' || !(score > 0 && score < 1)) return null;
    const digits = Math.round(score * WHOLE);
    const head = Math.floor(digits / CHECKS);
    return digits % CHECKS === number(head, CHECKS) ? head : null;
}

function isSigned(track, shape, first, names) {
    const { points } = shape;
    const count = Math.min(POINTS, points.length);
    const digits = points.slice(0, count).map(hundredths).map((value) => (value - 10 * tenths(value) + 10) % 10);
    return count > 3 && Number(digits.join('')) === number(keyframe(track, shape, first, names), 10 ** count);
}

/** A number from 1 to `most` - 1; never 0, so that no round score or coordinate looks signed. */
function number(what, most) {
    return (crc32(new TextEncoder().encode(JSON.stringify(what))) % (most - 1)) + 1;
}

function crc32(bytes) {
    let sum = -1;
    for (const byte of bytes) {
        sum ^= byte;
        for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
    return (sum ^ -1) >>> 0;
}

const mask = (shape, names) => [...owner(shape, names), ...form(shape, names, shape.points.map(hundredths))];

/** What the signature of a keyframe covers; that of the first one also what belongs to the whole track. */
function keyframe(track, shape, first, names) {
    // The signature must not depend on itself.
    const points = shape.points.map(hundredths).map((value, i) => (i < POINTS ? tenths(value) : value));
    return [...form(shape, names, points), ...(first ? [about(track, names)] : [])];
}

const about = (track, names) => [...owner(track, names), values(track, names)];
const owner = (item, names) => [names.labels.get(item.label_id) ?? String(item.label_id), item.group || 0];

function form(shape, names, points) {
    const flags = [Boolean(shape.occluded), Boolean(shape.outside)];
    return [shape.frame, shape.type, points, ...flags, shape.z_order || 0, values(shape, names)];
}

function values(item, names) {
    const given = (item.attributes ?? []).map(({ spec_id: id, value }) => [names.attributes.get(id) ?? String(id), String(value)]);
    return given.sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
}

const compare = (a, b) => Number(a > b) - Number(a < b);
const hundredths = (value) => Math.floor(value * 100 + 0.5);
const tenths = (value) => Math.floor((value + 5) / 10);

function withDigits(points, value) {
    const count = Math.min(POINTS, points.length);
    const digits = [...String(value).padStart(count, '0')].map(Number);
    return points.map((point, i) => {
        if (i >= count) return point;
        return (10 * tenths(hundredths(point)) + (digits[i] < 5 ? digits[i] : digits[i] - 10)) / 100;
    });
}
