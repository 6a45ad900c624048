/*
 * One result from two directions of tracking. The same as `agss_model/fusing.py`, which says why it is done so; both are
 * held to tests/cvat/cases/fusing.json.
 */

const SHARPNESS = 6; // of the score in the weight of a side
const TINY = 2.2250738585072014e-308;

/**
 * What one direction says of a frame: the objects it knows by number, a label map (0 is background), and scores.
 * @typedef {{ids: number[], labels: ArrayLike<number>, scores: Map<number, number>}} Result
 */

/**
 * Place of a frame between the two keyframes of an object around it, in [0, 1); undefined where it is not drawn on both.
 * @param {Map<number, boolean>} told frame -> whether the object is drawn there, or said to be absent
 * @param {number} frame
 */
export function progressAt(told, frame) {
    const frames = [...told.keys()].sort((a, b) => a - b);
    const after = frames.find((at) => at > frame);
    const before = frames.filter((at) => at <= frame).pop();
    if (before === undefined || after === undefined || !told.get(before) || !told.get(after)) return undefined;
    return (frame - before) / (after - before);
}

/**
 * @param {Result} forward from the keyframe before
 * @param {Result} backward from the keyframe after, of the same frame
 * @param {Map<number, number>} progress place of each object; one left out was drawn on one side only
 * @returns {Result}
 */
export function fuse(forward, backward, progress) {
    const ids = [...new Set([...forward.ids, ...backward.ids])].sort((a, b) => a - b);
    const most = ids.length ? ids[ids.length - 1] : 0;
    const ahead = weights(forward, most, (id) => (progress.has(id) ? 1 - progress.get(id) : 1));
    const behind = weights(backward, most, (id) => progress.get(id) ?? 1);
    const total = ahead.map((weight, id) => Math.max(weight + behind[id], TINY));
    const [shareOne, shareTwo] = [ahead, behind].map((weight) => weight.map((value, id) => value / total[id]));
    const labels = new (most > 255 ? Uint16Array : Uint8Array)(forward.labels.length);
    for (let at = 0; at < labels.length; at += 1) {
        const [one, two] = [forward.labels[at], backward.labels[at]];
        // A side that says "background" speaks with the share it has of the object that the other side sees.
        labels[at] = one === two || shareOne[one || two] >= shareTwo[two || one] ? one : two;
    }
    const overlap = overlaps(forward.labels, backward.labels, most);
    const scores = new Map(ids.map((id) => {
        const better = shareOne[id] >= shareTwo[id] ? forward : backward;
        const agree = forward.ids.includes(id) && backward.ids.includes(id) ? overlap[id] : 1;
        return [id, Number(((better.scores.get(id) ?? 0) * (0.7 + 0.3 * agree)).toFixed(4))];
    }));
    return { ids, labels, scores };
}

/** By object number; one that this side does not know weighs nothing, a lost one little. */
function weights({ ids, scores }, most, nearness) {
    const table = new Float64Array(most + 1);
    ids.forEach((id) => { table[id] = nearness(id) * (0.05 + 0.95 * (scores.get(id) ?? 0)) ** SHARPNESS; });
    return table;
}

/** Intersection over union of each object in two label maps. */
function overlaps(one, two, most) {
    const [both, either] = [new Float64Array(most + 1), new Float64Array(most + 1)];
    for (let at = 0; at < one.length; at += 1) {
        either[one[at]] += 1;
        if (one[at] === two[at]) both[one[at]] += 1;
        else either[two[at]] += 1;
    }
    return both.map((value, id) => (either[id] ? value / either[id] : 1));
}
