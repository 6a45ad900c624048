/* What a run commits, and what it says. */
import {
    SOURCE, author, content, inOrder, keyframeAuthors, nearOf, signMask, signTrack,
} from './authorship.js';
import { thinning } from './keyframes.js';
import { decodeMask } from './masks.js';
import { nearIn, staying, told } from './neighbours.js';
import {
    fitting, outlineOf, pointsAt, simplified,
} from './outlines.js';
import { ringOf } from './rings.js';

export const emptyCollection = () => ({ shapes: [], tags: [], tracks: [] });

/** A copy that CVAT takes for a new object. */
function copyOf(object, changes) {
    const { id, clientID, ...rest } = object;
    return { ...rest, ...changes };
}

/**
 * Attributes of an object in a frame, all of its label: those that may change are carried on from the drawing that
 * tracking comes from, in the direction from its first one. Returns [fixed, mutable].
 */
function attributesAt(object, at) {
    const passed = [...object.given].filter(([other, { shape }]) => shape && (object.first < at ? other <= at : other >= at));
    passed.sort(([a], [b]) => Math.abs(a - at) - Math.abs(b - at));
    const values = (item) => new Map((item?.attributes ?? []).map(({ spec_id: id, value }) => [id, value]));
    const [first, here] = [new Map([...values(object.drawn), ...values(object.source)]), values(passed[0]?.[1].shape)];
    const specs = object.label?.attributes ?? [];
    const known = specs.map(({ id, mutable, defaultValue = '' }) => ({
        mutable, entry: { spec_id: id, value: (mutable ? here.get(id) : undefined) ?? first.get(id) ?? defaultValue },
    }));
    return [false, true].map((kind) => known.filter(({ mutable }) => Boolean(mutable) === kind).map(({ entry }) => entry));
}

function maskShape(object, { frame, points, score }, there, { numbers, names }) {
    const { label_id, z_order = 0 } = object.source;
    return signMask({
        type: 'mask', frame, points, label_id, group: object.group, source: SOURCE, z_order, rotation: 0,
        occluded: false, outside: false, elements: [], attributes: attributesAt(object, frame).flat(),
        score: Number.isFinite(score) ? score : 1,
    }, names, nearIn(there, frame, numbers));
}

/** The masks of an object, and of earlier ones beside them what they are and what they become. */
function maskShapes(object, items, run) {
    const stay = staying(object, items, run.names);
    const there = new Set([...object.masks, ...stay].map(({ frame }) => frame).concat([...object.deleted]));
    return [object.masks.map((mask) => maskShape(object, mask, there, run)), told(stay, there, run)];
}

/** Keyframes that are exactly what a person drew, by frame. */
function exactKeys(object, tolerance) {
    const ring = (shape, mask) => {
        if (shape.type === 'polygon') return shape.points;
        const outline = outlineOf(ringOf(decodeMask(mask)));
        return [...pointsAt(outline, simplified(outline, fitting(tolerance, outline)))];
    };
    return new Map([...object.given].map(([at, { shape, mask }]) => [at, { shape, points: mask && ring(shape, mask) }]));
}

/** Chooses the keyframes of all objects that become tracks; returns now and then to the page. */
export async function chooseKeys(objects, tolerance) {
    for (const object of objects.filter(({ kind }) => kind === 'track')) {
        const frames = [...object.rings.keys()].sort((a, b) => a - b);
        object.keys = [];
        for (const span of spansOf(frames, object)) {
            const work = thinning(span, span.map((frame) => object.rings.get(frame)), tolerance);
            let step = work.next();
            for (; !step.done; step = work.next()) await new Promise((resolve) => { setTimeout(resolve); });
            object.keys.push(...step.value);
        }
    }
}

/** Frames in which the object is seen without interruption by what people drew, or by frames without it. */
function spansOf(frames, object) {
    const breaks = [...object.given.keys(), ...object.lost, ...object.taken];
    const spans = [];
    frames.forEach((frame, i) => {
        const before = frames[i - 1];
        if (i && !breaks.some((at) => at > before && at < frame)) spans[spans.length - 1].push(frame);
        else spans.push([frame]);
    });
    return spans;
}

/** The keyframes of an object in ascending order, with an `outside` one wherever it stops being visible. */
function trackShapes(object, { done, lastFrame, tolerance, later }) {
    const exact = exactKeys(object, tolerance);
    const make = (frame, points, outside, occluded = false) => ({
        type: 'polygon', rotation: 0, z_order: object.drawn.z_order ?? 0, frame, points, outside, occluded,
        attributes: attributesAt(object, frame)[1],
    });
    const keys = new Map(object.keys.map(({ frame, points }) => [frame, points]));
    const frames = [...new Set([object.first, ...reached(object, done)])].sort((a, b) => a - b);
    const shapes = [];
    let shown = null; // what CVAT goes on showing
    [...frames, frames[frames.length - 1] + 1].forEach((frame) => {
        const drawn = exact.get(frame);
        if (drawn ? drawn.points : keys.has(frame)) {
            shown = drawn ? drawn.points : keys.get(frame);
            shapes.push(make(frame, shown, false, drawn?.shape.occluded));
        } else if (shown && !object.rings.has(frame) && frame <= (later ? frames[frames.length - 1] : lastFrame)) {
            shapes.push(make(frame, shown, true));
            shown = null;
        }
    });
    return shapes;
}

/** Of the frames that are done, those in which an object was tracked. */
const reached = (object, done) => done.filter((frame) => frame >= object.low && frame <= object.high);

function newTrack(object, shapes, { names }) {
    const { label_id, group = 0 } = object.source;
    const [fixed] = attributesAt(object, object.first);
    const track = { label_id, group, source: SOURCE, frame: shapes[0].frame, attributes: fixed, elements: [], shapes };
    return signTrack(track, names, new Set(object.given.keys()));
}

/** An existing track: keyframes of ours on the tracked frames are new, all others stay as they are. */
function continuedTrack(object, run) {
    const { names } = run;
    const done = reached(object, run.done);
    const [low, high] = [Math.min(...done), Math.max(...done)];
    const authors = keyframeAuthors(object.source, names);
    const stays = ({ frame }) => frame === object.first || frame < low || frame > high || authors.get(frame) !== 'ours';
    const kept = object.source.shapes.filter(stays);
    const taken = new Set(kept.map(({ frame }) => frame));
    const later = kept.some(({ frame }) => frame >= high);
    const fresh = trackShapes(object, { ...run, later }).filter(({ frame }) => !taken.has(frame));
    const merged = inOrder({ shapes: [...kept, ...fresh] }).map(({ id, ...shape }) => shape);
    const track = copyOf(object.source, { frame: merged[0].frame, shapes: merged });
    return signTrack(track, names, taken);
}

/** What is committed: {created, deleted}. `run.now` is everything in the job, as CVAT exports it at this moment. */
export function assemble(objects, run) {
    const { done, now, names } = run;
    const [created, deleted] = [emptyCollection(), emptyCollection()];
    if (!done.length) return { created, deleted };
    const present = new Map([...now.shapes, ...now.tracks].map((object) => [object.clientID, object]));
    const remove = (clientID) => {
        const object = present.get(clientID);
        if (object) (object.shapes ? deleted.tracks : deleted.shapes).push(object);
        present.delete(clientID);
    };
    objects.filter((object) => present.has(object.source.clientID) && reached(object, done).length).forEach((object) => {
        object.replaced.forEach((clientIDs, at) => done.includes(at) && clientIDs.forEach(remove));
        if (object.kind === 'mask') {
            const [made, beside] = maskShapes(object, [...present.values()], run);
            created.shapes.push(...made, ...beside.map(([, after]) => copyOf(after, {})));
            beside.forEach(([{ clientID }]) => remove(clientID));
            if (!object.masks.length || object.source.group === object.group) return;
            created.shapes.push(copyOf(object.source, { group: object.group }));
        } else if (object.source.shapes) {
            const track = continuedTrack(object, run);
            if (content(track, names) === content(present.get(object.source.clientID), names)) return;
            created.tracks.push(track);
        } else {
            const shapes = trackShapes(object, { ...run, later: false });
            if (shapes.every((shape) => shape.frame === object.first || shape.outside)) return;
            created.tracks.push(newTrack(object, shapes, run));
        }
        remove(object.source.clientID);
    });
    return withoutRepeats({ created, deleted }, names);
}

/** What would be deleted only to be made again stays. */
function withoutRepeats({ created, deleted }, names) {
    const key = (shape) => `${content(shape, names)} ${nearOf(shape)}`;
    const old = new Map(deleted.shapes.filter((shape) => author(shape, names) === 'ours').map((shape) => [key(shape), shape]));
    const same = new Set(created.shapes.map(key).filter((text) => old.has(text)));
    const stays = new Set([...same].map((text) => old.get(text)));
    return {
        created: { ...created, shapes: created.shapes.filter((shape) => !same.has(key(shape))) },
        deleted: { ...deleted, shapes: deleted.shapes.filter((shape) => !stays.has(shape)) },
    };
}

/** What the annotator is told: how much there is, and where to look. */
export function summarize(objects, done, { created, deleted }) {
    const lists = [created.shapes, created.tracks, deleted.shapes, deleted.tracks];
    return {
        objects: objects.length,
        frames: done.length,
        last: done[done.length - 1],
        unchanged: lists.every((list) => !list.length),
        kept: objects.filter((object) => [...object.deleted].some((frame) => object.taken.has(frame))).length,
        regrouped: objects.filter((object) => object.newGroup && object.source.group && object.masks.length).length,
        lost: objects.filter((object) => object.lost.length)
            .map((object) => ({ name: object.name, frames: [...object.lost].sort((a, b) => a - b) })),
    };
}
