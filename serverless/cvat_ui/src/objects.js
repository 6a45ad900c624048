/* What a run tracks, and what is there of it already. */
import { author, inOrder, keyframeAuthors } from './authorship.js';
import { Sentence } from './calls.js';
import {
    around, deletedOf, isOutline, isShown, keyframeAt, sameItem, sameObject, trackable,
} from './identity.js';
import { checkedMask, maskOfPolygon } from './masks.js';

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
 * there, or deleted it. Frames before `low` and after `high` are not touched.
 */
export class TrackedObject {
    constructor({ source, drawn, low = -Infinity, high = Infinity }, label, output, image) {
        this.source = source;
        this.first = drawn.frame;
        this.low = low;
        this.high = high;
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
        this.give(drawn, this.start);
    }

    /** As people can find it; a group that it got in this run counts only once something is saved with it. */
    get name() {
        const label = this.label?.name ?? `label ${this.source.label_id}`;
        const group = this.newGroup && !this.masks.length ? this.source.group : this.group;
        return group ? `${label} (group ${group})` : label;
    }

    /** Sorts what is already there of this object on the frames to come. */
    meet(all, { frames: every, numbers, image, names, again }) {
        const frames = every.filter((frame) => frame >= this.low && frame <= this.high);
        const coming = new Set(frames);
        if (this.source.shapes) {
            this.meetKeys(frames, image, names);
            return;
        }
        if (!this.group || this.newGroup) return;
        const same = (item) => sameObject(item, this.source, names);
        all.shapes.filter((shape) => coming.has(shape.frame) && isOutline(shape) && same(shape))
            .forEach((shape) => this.meetShape(shape, author(shape, names), image));
        all.tracks.filter((track) => same(track)).forEach((track) => this.meetTrack(track, author(track, names), frames, numbers));
        if (this.kind === 'mask') this.deleted = deletedOf(all, this.source, numbers, names);
        if (!again) this.keepDeleted(frames);
    }

    /** What was deleted up to where the object is drawn again, or to the end, is not there: it takes nothing from others. */
    keepDeleted(frames) {
        this.deleted.forEach((frame) => this.taken.add(frame));
        let ending = true;
        [...frames].sort((a, b) => b - a).forEach((frame) => {
            if (this.given.has(frame) || !this.deleted.has(frame)) ending = this.given.has(frame);
            else if (ending) this.given.set(frame, { shape: null, mask: null });
        });
    }

    /** Keyframes of the object's own track that are not ours; one that says "outside" holds up to the next keyframe. */
    meetKeys(frames, image, names) {
        const authors = keyframeAuthors(this.source, names);
        const keys = inOrder(this.source);
        keys.forEach((shape, i) => {
            if (authors.get(shape.frame) === 'ours') return;
            const held = shape.outside ? (keys[i + 1]?.frame ?? Infinity) : shape.frame + 1;
            frames.filter((frame) => frame >= shape.frame && frame < held)
                .forEach((frame) => this.given.set(frame, { shape, mask: shape.outside ? null : toMask(shape, image) }));
        });
    }

    meetShape(shape, by, image) {
        if (by === 'ours') {
            this.replace(shape, shape.frame);
            return;
        }
        if (by === 'other') this.taken.add(shape.frame);
        const known = this.given.get(shape.frame)?.shape.clientID ?? shape.clientID;
        const mask = by === 'person' && known === shape.clientID ? toMask(shape, image) : null;
        if (!mask) return;
        this.give(shape, mask);
        // A track takes the place of what was drawn; masks stand beside it.
        if (this.kind === 'track') this.replace(shape, shape.frame);
    }

    /** A track beside a drawing: one of ours gives way as a whole, and beside one of people nothing is added. */
    meetTrack(track, by, frames, numbers) {
        const first = Math.min(...track.shapes.map(({ frame }) => frame));
        if (by !== 'ours') {
            frames.filter((frame) => frame >= first).forEach((frame) => this.taken.add(frame));
            return;
        }
        const visible = numbers.filter((frame) => isShown(track, frame));
        const inside = visible.filter((frame) => frames.includes(frame) || frame === this.first);
        if (inside.length === visible.length) this.replace(track, frames[0]);
        else if (inside.length) throw new Sentence(cutting(this.name, visible));
    }

    give(shape, mask) {
        this.given.set(shape.frame, { shape, mask });
    }

    replace({ clientID }, frame) {
        this.replaced.set(frame, [...this.replaced.get(frame) ?? [], clientID]);
    }
}

const cutting = (name, frames) => `An earlier run wrote a polygon track of ${name} over frames ${frames[0]} to ${frames[frames.length - 1]}, which would be cut. `
    + 'Track over all of these frames, or delete that track first.';

const AS_MASK = {
    mask: (shape, image) => checkedMask(shape.points, image, `A mask on frame ${shape.frame} is damaged. Draw it again, then start tracking.`),
    polygon: (shape, image) => maskOfPolygon(shape.points, image),
};

function toMask(shape, image) {
    if (Object.hasOwn(AS_MASK, shape.type)) return AS_MASK[shape.type](shape, image);
    throw new Sentence(`The shape on frame ${shape.frame} is of type ${shape.type}, which cannot be tracked here. Draw a mask or a polygon.`);
}

/**
 * The objects of a run, from what CVAT hands over (`chosen`) and everything in the job (`all`). An object that becomes
 * masks needs a group of its own; where two of one label share a group, the first keeps it.
 */
export function plan(run) {
    const { chosen, all, frame, output, labels, both } = run;
    const label = new Map(labels.map((entry) => [entry.id, entry]));
    const items = [...chosen.shapes, ...chosen.tracks];
    const isChosen = ({ source }) => items.some((item) => sameItem(item, source, run.names));
    const starts = both ? around(all, frame, run.numbers, run.names).filter(isChosen) : items.map(
        (source) => ({ source, drawn: source.shapes ? keyframeAt(source, frame) : source }),
    );
    const objects = starts.map((start) => new TrackedObject(start, label.get(start.source.label_id), output, run.image));
    if (!both) group(objects, all, frame);
    objects.forEach((object) => object.meet(all, run));
    return objects.filter((object) => object.start);
}

/** Gives groups to objects that need one. */
function group(objects, all, frame) {
    const neighbours = trackable(all, frame).shapes;
    const alike = (a, b) => a.label_id === b.label_id && a.group === b.group;
    objects.filter((object) => !object.source.shapes).forEach((object) => {
        const first = neighbours.find((shape) => alike(shape, object.source));
        const shared = Boolean(object.group && first && first.clientID !== object.source.clientID);
        object.newGroup = object.kind === 'mask' ? shared || !object.group : shared;
    });
    let most = Math.max(0, ...[all.shapes, all.tracks].map(
        (list) => list.reduce((highest, { group: value }) => Math.max(highest, value || 0), 0),
    ));
    objects.filter((object) => object.newGroup && object.kind === 'mask').forEach((object) => {
        most += 1;
        object.group = most;
    });
}
