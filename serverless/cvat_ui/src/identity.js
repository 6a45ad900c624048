/* Which shapes and tracks are the same object, and where people drew it. */
import {
    author, emptied, inOrder, keyframeAuthors, nearOf, wasOurs, wasOursAs,
} from './authorship.js';

export const isOutline = (shape) => shape.type === 'mask' || shape.type === 'polygon';
export const keyframeAt = (track, frame) => track.shapes.find(
    (shape) => shape.frame === frame && shape.type === 'polygon' && !shape.outside,
);

/** Keyframes by which people say where an object of a polygon track is. */
const drawnKeys = (track, names) => {
    const authors = keyframeAuthors(track, names);
    return track.shapes.filter(({ frame, type, outside }) => type === 'polygon' && !outside && authors.get(frame) === 'person');
};

/** The objects of one frame that can be tracked: masks, polygons, and polygon tracks with a keyframe there. */
export function trackable({ shapes = [], tracks = [] }, frame) {
    return {
        shapes: shapes.filter((shape) => shape.frame === frame && isOutline(shape)),
        tracks: tracks.filter((track) => keyframeAt(track, frame)),
        tags: [],
    };
}

/** Polygon tracks that show something in a frame but have no keyframe there. */
export const between = ({ tracks = [] }, frame) => tracks.filter(
    (track) => track.shapes.some(({ type }) => type === 'polygon') && isShown(track, frame) && !keyframeAt(track, frame),
);

/** Of one group and label; what is ours and got another label from a person stays the object of its group. */
export function sameObject(item, source, names) {
    if (item.group !== source.group) return false;
    return item.label_id === source.label_id || wasOurs(item, names) || Boolean(item.shapes && !source.shapes && wasOursAs(item, source, names));
}

/** The same track, or shapes of one object. */
export const sameItem = (item, source, names) => item.clientID === source.clientID
    || Boolean(source.group && !item.shapes && !source.shapes && sameObject(item, source, names));

/** Frames from which somebody deleted masks that a machine of ours made of an object. */
export function deletedOf(all, source, numbers, names) {
    if (!source.group) return new Set();
    const own = all.shapes.filter((shape) => sameObject(shape, source, names));
    const shown = all.tracks.filter((track) => sameObject(track, source, names))
        .flatMap((track) => numbers.filter((number) => number >= track.shapes[0].frame));
    const near = new Map(own.filter(({ type }) => type === 'mask').map((shape) => [shape.frame, nearOf(shape)]));
    return emptied(numbers, new Set([...own.map(({ frame }) => frame), ...shown]), near);
}

/** Whether a track shows something in a frame. */
export function isShown(track, frame) {
    const before = inOrder(track).filter((shape) => shape.frame <= frame).pop();
    return Boolean(before && !before.outside);
}

/**
 * Objects that people drew before and after a frame, or on it and on one side, each with the nearest of these frames:
 * [{source, drawn, low, high}]. Shapes are one object by their group; those without one are nobody's.
 */
export function around({ shapes, tracks }, frame, numbers, names) {
    const present = ({ frame: at }) => numbers.includes(at);
    const drawn = shapes.filter((shape) => shape.group && isOutline(shape) && present(shape) && author(shape, names) === 'person');
    drawn.sort((a, b) => Number(wasOurs(a, names)) - Number(wasOurs(b, names)) || a.frame - b.frame);
    const sets = [];
    drawn.forEach((shape) => {
        const known = sets.find(({ source }) => sameObject(shape, source, names));
        if (known) known.keys.push(shape);
        else sets.push({ source: shape, keys: [shape] });
    });
    sets.push(...tracks.map((track) => ({ source: track, keys: drawnKeys(track, names).filter(present) })));
    return sets.map(({ source, keys }) => {
        const frames = keys.map((key) => key.frame).sort((a, b) => a - b);
        const here = frames.includes(frame) ? frame : undefined;
        const low = frames.filter((at) => at < frame).pop() ?? here;
        const high = frames.find((at) => at > frame) ?? here;
        return { source, drawn: keys.find((key) => key.frame === low), low, high };
    }).filter(({ low, high }) => low < high);
}
