import assert from 'node:assert/strict';
import test from 'node:test';

import { trackAll } from '../../../../serverless/cvat_ui/src/loop.js';

const MASK = [0, 4, 1, 1, 2, 2];
const image = { width: 8, height: 8 };
const control = () => ({
    progress() {}, ended: new Promise(() => {}), settled: async () => null, failed: async () => 'discard',
});
const objectOf = (given = [], changes = {}) => ({
    kind: 'mask', given: new Map([[0, { shape: {}, mask: MASK }], ...given]), low: -Infinity, high: Infinity, taken: new Set(), masks: [],
    lost: [], rings: new Map(), state: null, ...changes,
});
const run = (tracker, objects) => trackAll({
    tracker, objects, frame: 0, frames: [1, 2, 3, 4], image, control: control(),
});

test('an object that the tracker gives up is lost on all frames to come, and no more asked for', async () => {
    const asked = [];
    const tracker = {
        start: async (frame, masks) => masks.map((_, i) => `state ${i}`),
        step: async (frame, states) => {
            asked.push(states);
            const up = (state) => frame === 2 && state === 'state 1';
            return {
                states: states.map((state) => (up(state) ? null : state)),
                shapes: states.map((state) => (up(state) ? null : { type: 'mask', points: MASK })),
            };
        },
    };
    const objects = [objectOf(), objectOf()];
    assert.deepEqual(await run(tracker, objects), [1, 2, 3, 4]);
    assert.deepEqual(objects.map(({ lost }) => lost), [[], [2, 3, 4]]);
    assert.deepEqual(objects.map(({ masks }) => masks.map(({ frame }) => frame)), [[1, 2, 3, 4], [1]]);
    assert.deepEqual(asked[2], ['state 0']);
});

test('an object that cannot be started is lost until a person draws it', async () => {
    const tracker = {
        start: async (frame, masks) => masks.map(() => (frame === 0 ? null : 'state')),
        step: async (frame, states) => ({ states, shapes: states.map(() => ({ type: 'mask', points: MASK })) }),
    };
    const object = objectOf([[3, { shape: {}, mask: MASK }]]);
    await run(tracker, [object]);
    assert.deepEqual(object.lost, [1, 2]);
    assert.deepEqual(object.masks.map(({ frame }) => frame), [4]);
});

test('what a person ended is not called lost', async () => {
    const tracker = {
        start: async (frame, masks) => masks.map(() => 'state'),
        step: async (frame, states) => ({ states, shapes: states.map(() => ({ type: 'mask', points: MASK })) }),
    };
    const object = objectOf([[2, { shape: {}, mask: null }]]);
    await run(tracker, [object]);
    assert.deepEqual(object.lost, []);
    assert.deepEqual(object.masks.map(({ frame }) => frame), [1]);
});

/** A tracker that leaves masks where they are and remembers what it was asked. */
const still = () => {
    const asked = [];
    return {
        asked,
        start: async (frame, masks) => { asked.push(['start', frame, masks.length]); return masks.map((points) => ({ points })); },
        step: async (frame, states) => {
            asked.push(['step', frame, states.length]);
            return { states, shapes: states.map(({ points }) => ({ type: 'mask', points })) };
        },
    };
};
const LEFT = [0, 4, 0, 0, 1, 1];
const RIGHT = [0, 4, 4, 0, 5, 1];
const at = (mask) => ({ shape: {}, mask });
const bothWays = (tracker, objects, frames, own = control()) => trackAll({ tracker, objects, frames, image, control: own });
const masksOf = (object) => Object.fromEntries(object.masks.map(({ frame, points }) => [frame, points]));

test('both ways: from behind first, then from the front, and the nearer drawing wins', async () => {
    const tracker = still();
    const object = objectOf([[0, at(LEFT)], [4, at(RIGHT)]]);
    assert.deepEqual(await bothWays(tracker, [object], [0, 1, 2, 3, 4]), [0, 1, 2, 3, 4]);
    assert.deepEqual(tracker.asked.map(([kind, frame]) => `${kind} ${frame}`), [
        'start 4', 'step 3', 'step 2', 'step 1', 'start 0', 'start 0', 'step 1', 'step 2', 'step 3', 'start 4',
    ]);
    assert.deepEqual(masksOf(object), { 1: LEFT, 2: LEFT, 3: RIGHT });
    assert.deepEqual(object.masks.map(({ score }) => score), [0.7, 0.7, 0.7]);
});

test('both ways: each object between its own drawings', async () => {
    const tracker = still();
    const first = objectOf([[0, at(LEFT)], [4, at(LEFT)]], { low: 0, high: 4 });
    const second = objectOf([[1, at(RIGHT)], [3, at(RIGHT)]], { low: 1, high: 3 });
    second.given.delete(0);
    await bothWays(tracker, [first, second], [0, 1, 2, 3, 4]);
    assert.deepEqual(masksOf(first), { 1: LEFT, 2: LEFT, 3: LEFT });
    assert.deepEqual(masksOf(second), { 2: RIGHT });
    assert.deepEqual(first.lost, []);
});

test('both ways: what a drawing of another object covers is not kept', async () => {
    const object = objectOf([[0, at(LEFT)], [2, at(LEFT)]]);
    const above = objectOf([[0, { shape: {}, mask: null }], [1, at([0, 2, 0, 0, 0, 1])]], { low: 0, high: 1 });
    await bothWays(still(), [object, above], [0, 1, 2]);
    assert.deepEqual(masksOf(object), { 1: [0, 2, 1, 0, 1, 1] });
});

test('both ways: where the object is said to be absent nothing is added from either side', async () => {
    const gone = { shape: {}, mask: null };
    const object = objectOf([[0, at(LEFT)], [2, gone], [3, gone], [4, at(LEFT)], [6, at(LEFT)]]);
    await bothWays(still(), [object], [0, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(Object.keys(masksOf(object)), ['1', '5']);
    assert.deepEqual(object.lost, []);
});

test('both ways: an end during the first half keeps nothing, during the second what is fused', async () => {
    const stopped = (step) => {
        let end;
        const own = control();
        own.ended = new Promise((resolve) => { end = resolve; });
        own.progress = (done, frame, steps) => { if (steps === step) end('keep'); };
        return own;
    };
    const object = () => objectOf([[0, at(LEFT)], [4, at(RIGHT)]]);
    assert.deepEqual(await bothWays(still(), [object()], [0, 1, 2, 3, 4], stopped(3)), []);
    assert.deepEqual(await bothWays(still(), [object()], [0, 1, 2, 3, 4], stopped(7)), [0, 1]);
});
