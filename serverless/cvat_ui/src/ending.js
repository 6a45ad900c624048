/* "Not here any more": objects that end on a frame. */
import {
    author, inOrder, keyframeAuthors, signTrack,
} from './authorship.js';
import { isOutline, isShown, sameObject } from './identity.js';
import { shownPoints, withKeyframe } from './keying.js';

const KINDS = new Set(['polygon', 'rectangle']); // of tracks

/** What can be ended on a frame: tracks that show something there, and masks and polygons of a group. */
export function endable({ shapes, tracks }, frame) {
    return [
        ...shapes.filter((shape) => shape.frame === frame && shape.group && isOutline(shape)),
        ...tracks.filter((track) => track.shapes.every(({ type }) => KINDS.has(type)) && isShown(track, frame)),
    ];
}

/**
 * What is committed so that an object is not there from a frame on, up to where a person drew it again: {created,
 * deleted, next}; `next` is that frame, or undefined. On the frame itself everything of it goes, later only what is ours.
 */
function endOf(item, frame, all, names, frozen) {
    return item.shapes ? endOfTrack(item, frame, names, frozen) : endOfShapes(item, frame, all, names);
}

function endOfShapes(item, frame, all, names) {
    const own = all.shapes.filter((shape) => shape.frame >= frame && isOutline(shape) && sameObject(shape, item, names));
    const later = own.filter((shape) => shape.frame > frame && author(shape, names) !== 'ours').map((shape) => shape.frame);
    const next = later.length ? Math.min(...later) : undefined;
    return { created: [], deleted: own.filter((shape) => shape.frame === frame || shape.frame < (next ?? Infinity)), next };
}

function endOfTrack(track, frame, names, frozen) {
    const authors = keyframeAuthors(track, names);
    const keys = inOrder(track);
    const next = keys.find((key) => key.frame > frame && authors.get(key.frame) !== 'ours')?.frame;
    const before = keys.filter((key) => key.frame < frame).pop();
    const kept = keys.filter((key) => key.frame < frame || key.frame >= (next ?? Infinity));
    if (!kept.some(({ outside }) => !outside)) return { created: [], deleted: [track], next: undefined };
    const { id, clientID, ...copy } = track;
    let ended = { ...copy, frame: kept[0].frame, shapes: kept };
    const stays = new Set(kept.map((key) => key.frame));
    // What CVAT shows up to here must not move towards where the object is said to be outside.
    const moves = before && frozen && String(frozen.points) !== String(before.points);
    if (moves && !stays.has(frozen.frame)) ended = withKeyframe(ended, frozen.frame, { points: frozen.points, outside: false });
    if (before) ended = withKeyframe(ended, frame, { outside: true });
    const shapes = ended.shapes.map(({ id: old, ...shape }) => shape);
    return { created: [signTrack({ ...ended, shapes }, names, stays.add(frame))], deleted: [track], next };
}

/** All of it for several objects: {created, deleted} as CVAT takes them, and where each goes on. */
export async function endAll(job, items, frame, numbers, names) {
    const all = await job.annotations.export();
    const previous = numbers.filter((number) => number < frame).pop();
    const shown = previous === undefined ? new Map() : await shownPoints(job, previous);
    const [created, deleted] = [0, 0].map(() => ({ shapes: [], tracks: [], tags: [] }));
    const nexts = items.map((item) => {
        const points = shown.get(item.clientID);
        const end = endOf(item, frame, all, names, points && { frame: previous, points });
        created.tracks.push(...end.created);
        deleted[item.shapes ? 'tracks' : 'shapes'].push(...end.deleted);
        return { item, next: end.next };
    });
    return { created, deleted, nexts };
}
