import assert from 'node:assert/strict';
import test from 'node:test';

import { trackAll } from '../../../../serverless/cvat_ui/src/loop.js';

const MASK = [0, 4, 1, 1, 2, 2];
const image = { width: 8, height: 8 };
const control = () => ({
    progress() {}, ended: new Promise(() => {}), settled: async () => null, failed: async () => 'discard',
});
const objectOf = (given = []) => ({
    start: MASK, kind: 'mask', given: new Map(given), taken: new Set(), masks: [], lost: [], rings: new Map(), state: null,
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
