/* What the window shows of a frame: its objects, the trackers, the frames. */
import { BOTH_SIDES, framesOf } from './action.js';
import { namesOf } from './authorship.js';
import { Sentence, chooseTracker } from './calls.js';
import { endable } from './ending.js';
import {
    around, between, deletedOf, sameItem, trackable,
} from './identity.js';
import { framesBetween } from './objects.js';

export async function factsOf(page, job, frame) {
    const [all, listed, { numbers, present, allDeleted, deleted }] = await Promise.all([
        job.annotations.export(), page.listTrackers(), framesOf(page.core, job, frame, frame),
    ]);
    if (deleted) throw new Sentence(`Frame ${frame} is deleted. Restore it, or start from another frame.`);
    const names = namesOf(job.labels);
    const { shapes, tracks } = trackable(all, frame);
    const asTrack = (track) => ({ ...track, type: 'track' });
    const [found, keyable] = [[...shapes, ...tracks.map(asTrack)], between(all, frame).map(asTrack)];
    chooseTracker(listed);
    const everything = [...all.shapes, ...all.tracks];
    const drawnAround = around(all, frame, present, names).map(({ source, low, high }) => ({
        low, high, type: source.type ?? 'track', clientIDs: new Set(everything.filter((item) => sameItem(item, source, names)).map(({ clientID }) => clientID)),
    }));
    if (!found.length && !keyable.length && !drawnAround.length) {
        throw new Sentence(`There is no mask or polygon on frame ${frame}, and no object is drawn on both sides of it. Draw the objects first, then track them. `
            + `To track both ways: ${BOTH_SIDES}`);
    }
    const gone = new Set(shapes.flatMap((shape) => [...deletedOf(all, shape, present, names)]));
    const { filters, activatedStateID } = page.annotation.annotations ?? {};
    const active = [...found, ...keyable].find(({ clientID }) => clientID === activatedStateID);
    return {
        job, frame, shapes: found, keyable, drawnAround, trackers: listed, deleted: gone.size, endable: endable(all, frame), active: activatedStateID,
        between: (target) => {
            const inside = Number.isInteger(target) && target >= job.startFrame && target <= job.stopFrame;
            const every = inside ? framesBetween(numbers, {}, frame, target) : [];
            const left = every.filter((number) => !allDeleted[number]);
            return { target, inside, numbers: left, deleted: every.length - left.length };
        },
        selected: active && found.length + keyable.length > 1 && { clientID: active.clientID, name: nameOf(job, active) },
        nameOf: (item) => nameOf(job, item),
        note: filters?.length ? 'Those that your filter hides are left out.' : '',
    };
}

export function nameOf(job, object) {
    const label = job.labels.find(({ id }) => id === object.label_id)?.name ?? 'object';
    return object.group ? `${label} (group ${object.group})` : label;
}
