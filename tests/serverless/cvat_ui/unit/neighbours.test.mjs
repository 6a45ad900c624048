import assert from 'node:assert/strict';
import test from 'node:test';

import { nearOf } from '../../../../serverless/cvat_ui/src/authorship.js';
import { deletedOf } from '../../../../serverless/cvat_ui/src/identity.js';
import { assemble } from '../../../../serverless/cvat_ui/src/result.js';

const MASK = [0, 4, 1, 1, 2, 2];
const names = { labels: new Map(), attributes: new Map(), mutable: new Set() };
const numbers = [0, 1, 2, 3, 4, 5, 6, 7];

/** A job with a drawing on frame 0, in which runs of the button leave what they commit. */
class Job {
    constructor() {
        this.next = 1;
        this.shapes = [];
        this.add({ type: 'mask', frame: 0, points: MASK, label_id: 1, group: 4, source: 'manual', attributes: [] });
    }

    add(shape) {
        this.shapes.push({ ...shape, clientID: this.next });
        this.next += 1;
    }

    at(frame) {
        return this.shapes.find((shape) => shape.frame === frame);
    }

    /** Tracks from a frame over others; on those in `lost` nothing is found. */
    press(from, done, lost = []) {
        const source = this.at(from);
        const ours = this.shapes.filter((shape) => done.includes(shape.frame) && shape.source === 'auto');
        const object = {
            kind: 'mask', source, drawn: source, first: from, low: -Infinity, high: Infinity, group: 4, given: new Map(),
            masks: done.filter((frame) => !lost.includes(frame)).map((frame) => ({ frame, points: MASK, score: 0.5 })),
            replaced: new Map(ours.map((shape) => [shape.frame, [shape.clientID]])), deleted: this.deleted(), lost,
        };
        const { created, deleted } = assemble([object], { done, now: { shapes: this.shapes, tracks: [] }, names, numbers });
        this.shapes = this.shapes.filter((shape) => !deleted.shapes.includes(shape));
        created.shapes.forEach((shape) => this.add(shape));
    }

    deleted() {
        return deletedOf({ shapes: this.shapes, tracks: [] }, this.at(0), numbers, names);
    }

    near() {
        const masks = this.shapes.filter(({ source }) => source === 'auto').sort((a, b) => a.frame - b.frame);
        return masks.map((shape) => [shape.frame, nearOf(shape)]);
    }
}

test('what two runs wrote joins where they meet, and a deletion from there on is noticed', () => {
    const job = new Job();
    job.press(0, [1, 2, 3]);
    assert.deepEqual(job.near(), [[1, 2], [2, 3], [3, 1]]);
    job.press(3, [4, 5, 6, 7]);
    assert.deepEqual(job.near(), [[1, 2], [2, 3], [3, 3], [4, 3], [5, 3], [6, 3], [7, 1]]);
    assert.deepEqual([...job.deleted()], []);
    job.shapes = job.shapes.filter(({ frame }) => frame < 4);
    assert.deepEqual([...job.deleted()], [4, 5, 6, 7]);
});

test('where a later run loses the object it is not taken for deleted', () => {
    const job = new Job();
    job.press(0, [1, 2, 3, 4, 5, 6, 7]);
    const before = job.at(7);
    job.press(0, [1, 2, 3, 4], [4]);
    assert.deepEqual(job.near(), [[1, 2], [2, 3], [3, 1], [5, 2], [6, 3], [7, 1]]);
    assert.deepEqual([...job.deleted()], []);
    assert.equal(job.at(7), before);
});

test('a run that finds everything as it was changes nothing', () => {
    const job = new Job();
    job.press(0, [1, 2, 3, 4, 5, 6, 7]);
    const before = [...job.shapes];
    job.press(0, [1, 2, 3, 4, 5, 6, 7]);
    job.press(0, [1, 2, 3]);
    assert.deepEqual(job.shapes, before);
});
