/* What a run tracks, and what is there of it already. */
import { author, emptied, keyframeAuthors, nearOf, wasOurs } from './authorship.js';
import { checkedMask, maskOfPolygon } from './masks.js';

const isOutline = (shape) => shape.type === 'mask' || shape.type === 'polygon';
const keyframeAt = (track, frame) => track.shapes.find(
    (shape) => shape.frame === frame && shape.type === 'polygon' && !shape.outside,
);

/** The objects of one frame that can be tracked: masks, polygons, and polygon tracks with a keyframe there. */
export function trackable({ shapes = [], tracks = [] }, frame) {
    return {
        shapes: shapes.filter((shape) => shape.frame === frame && isOutline(shape)),
        tracks: tracks.filter((track) => keyframeAt(track, frame)),
        tags: [],
    };
}

/** Mask or track: what was asked for, unless the label takes only one of them; a track stays a track. */
function resultKind(output, source, label) {
    if (source.shapes || label?.type === 'polygon') return 'track';
    if (label?.type === 'mask') return 'mask';
    if (output === 'drawn') return source.type === 'polygon' ? 'track' : 'mask';
    return output;
}

/** The frames from `frame` (not included) to `target`, in the order of tracking, without the deleted ones. */
export function framesBetween(numbers, deleted, frame, target) {
    const backward = target < frame;
    const [low, high] = backward ? [target, frame - 1] : [frame + 1, target];
    const between = numbers.filter((number) => number >= low && number <= high && !deleted[number]);
    return between.sort((a, b) => (backward ? b - a : a - b));
}

/**
 * One object of a run. `given` holds what people drew of it on the way (kept, and tracking goes on from there), `replaced`
 * what machines of ours left there, `taken` the frames on which nothing is added: somebody else has something of it
 * there, or deleted it.
 */
export class Tracked {
    constructor(source, frame, label, output, image) {
        const drawn = source.shapes ? keyframeAt(source, frame) : source;
        this.source = source;
        this.label = label;
        this.kind = resultKind(output, source, label);
        this.start = toMask(drawn, image);
        this.group = source.group || 0;
        this.newGroup = false;
        this.given = new Map(); // frame -> {shape, mask: points, or null for "not there"}
        this.replaced = new Map(); // frame -> clientIDs
        this.taken = new Set();
        this.deleted = new Set();
        this.masks = []; // {frame, points, score}
        this.rings = new Map(); // frame -> outline, of an object that becomes a track
        this.keys = []; // {frame, points} chosen among them
        this.lost = []; // frames
        this.state = null;
        this.ended = false; // given up by the tracker
        this.drawn = drawn;
    }

    /** As people can find it; a group that it got in this run counts only once something is saved with it. */
    get name() {
        const label = this.label?.name ?? `label ${this.source.label_id}`;
        const group = this.newGroup && !this.masks.length ? this.source.group : this.group;
        return group ? `${label} (group ${group})` : label;
    }

    /** Sorts what is already there of this object on the frames to come. */
    meet(all, { frames, numbers, image, names, again }) {
        const coming = new Set(frames);
        if (this.source.shapes) {
            const authors = keyframeAuthors(this.source, names);
            const ahead = this.source.shapes.filter(({ frame }) => coming.has(frame) && authors.get(frame) !== 'ours');
            ahead.forEach((shape) => this.give(shape, shape.outside ? null : toMask(shape, image)));
            return;
        }
        if (!this.group || this.newGroup) return;
        const same = (item) => sameObject(item, this.source, names);
        all.shapes.filter((shape) => coming.has(shape.frame) && isOutline(shape) && same(shape))
            .forEach((shape) => this.meetShape(shape, author(shape, names), image));
        all.tracks.filter((track) => same(track)).forEach((track) => this.meetTrack(track, author(track, names), frames));
        if (this.kind === 'mask') this.deleted = deletedOf(all, this.source, numbers, names);
        if (!again) this.deleted.forEach((frame) => this.taken.add(frame));
    }

    meetShape(shape, by, image) {
        if (by === 'ours') {
            this.replace(shape, shape.frame);
            return;
        }
        if (by === 'other') this.taken.add(shape.frame);
        const mask = by === 'person' && !this.given.has(shape.frame) ? toMask(shape, image) : null;
        if (!mask) return;
        this.give(shape, mask);
        // A track takes the place of what was drawn; masks stand beside it.
        if (this.kind === 'track') this.replace(shape, shape.frame);
    }

    /** A track beside a drawing: one of ours gives way, and beside one of people nothing is added. */
    meetTrack(track, by, frames) {
        const first = Math.min(...track.shapes.map(({ frame }) => frame));
        if (by === 'ours') this.replace(track, frames[0]);
        else frames.filter((frame) => frame >= first).forEach((frame) => this.taken.add(frame));
    }

    give(shape, mask) {
        this.given.set(shape.frame, { shape, mask });
    }

    replace({ clientID }, frame) {
        this.replaced.set(frame, [...this.replaced.get(frame) ?? [], clientID]);
    }
}

/** Of one group and label; a shape of ours that a person gave another label stays the object of its group. */
function sameObject(item, source, names) {
    return item.group === source.group && (item.label_id === source.label_id || wasOurs(item, names));
}

/** Frames from which somebody deleted masks that a machine of ours made of an object. */
export function deletedOf(all, source, numbers, names) {
    if (!source.group) return new Set();
    const own = all.shapes.filter((shape) => sameObject(shape, source, names));
    const shown = all.tracks.filter((track) => sameObject(track, source, names))
        .flatMap((track) => numbers.filter((number) => number >= track.shapes[0].frame));
    const near = new Map(own.filter(({ type }) => type === 'mask').map((shape) => [shape.frame, nearOf(shape)]));
    return emptied(numbers, new Set([...own.map(({ frame }) => frame), ...shown]), near);
}

function toMask(shape, image) {
    if (shape.type === 'polygon') return maskOfPolygon(shape.points, image);
    return checkedMask(shape.points, image, `A mask on frame ${shape.frame} is damaged. Draw it again, then start tracking.`);
}

/**
 * The objects of a run, from what CVAT hands over (`chosen`) and everything in the job (`all`). An object that becomes
 * masks needs a group of its own; where two of one label share a group, the first keeps it.
 */
export function plan(run) {
    const { chosen, all, frame, output, labels } = run;
    const label = new Map(labels.map((entry) => [entry.id, entry]));
    const sources = [...chosen.shapes, ...chosen.tracks];
    const objects = sources.map((source) => new Tracked(source, frame, label.get(source.label_id), output, run.image));
    const neighbours = trackable(all, frame).shapes;
    const alike = (a, b) => a.label_id === b.label_id && a.group === b.group;
    objects.filter((object) => !object.source.shapes).forEach((object) => {
        const first = neighbours.find((shape) => alike(shape, object.source));
        const shared = Boolean(object.group && first && first.clientID !== object.source.clientID);
        object.newGroup = object.kind === 'mask' ? shared || !object.group : shared;
    });
    let group = Math.max(0, ...[all.shapes, all.tracks].map(
        (list) => list.reduce((most, { group: value }) => Math.max(most, value || 0), 0),
    ));
    objects.filter((object) => object.newGroup && object.kind === 'mask').forEach((object) => {
        group += 1;
        object.group = group;
    });
    objects.forEach((object) => object.meet(all, run));
    return objects.filter((object) => object.start);
}
