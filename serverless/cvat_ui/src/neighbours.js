/* What masks say of the frames beside theirs: where one of ours was written too, so that its absence is a deletion. */
import {
    NEXT, PREVIOUS, author, nearOf, signMask,
} from './authorship.js';
import { sameObject } from './identity.js';

/** The frames beside one, each with its bit; `numbers` are those of the job, ascending. */
function beside(frame, numbers) {
    const place = numbers.indexOf(frame);
    return [[PREVIOUS, numbers[place - 1]], [NEXT, numbers[place + 1]]].filter(([, at]) => place >= 0 && at !== undefined);
}

/** What a mask says of the frames beside it, of which those in `there` hold one of ours or did so. */
export const nearIn = (there, frame, numbers) => beside(frame, numbers).reduce(
    (near, [bit, at]) => near | (there.has(at) ? bit : 0), 0,
);

/** Masks of ours of an object that a run leaves as they are. */
export function staying({ source, group }, items, names) {
    const object = { ...source, group };
    return items.filter((item) => item.type === 'mask' && sameObject(item, object, names) && author(item, names) === 'ours');
}

/** Of the masks that stay those beside the frames that are done, told of what is there now: [before, after]. */
export function told(masks, there, { done, numbers, names }) {
    const settled = new Set(done);
    return masks.map((mask) => {
        const sides = beside(mask.frame, numbers).filter(([, at]) => settled.has(at));
        const near = sides.reduce((bits, [bit, at]) => (there.has(at) ? bits | bit : bits & ~bit), nearOf(mask));
        return [mask, near === nearOf(mask) ? mask : signMask(mask, names, near)];
    }).filter(([before, after]) => before !== after);
}
