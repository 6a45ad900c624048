import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { fuse, progressAt } from '../../../../serverless/cvat_ui/src/fusing.js';

const table = JSON.parse(readFileSync(new URL('../../../cvat/cases/fusing.json', import.meta.url), 'utf8'));
const byNumber = (entries) => new Map(Object.entries(entries).map(([id, value]) => [Number(id), value]));
const resultOf = ({ ids, labels, scores }) => ({ ids, labels, scores: byNumber(scores) });

table.fuse.forEach(({ case: name, forward, backward, progress, fused }) => test(name, () => {
    const { ids, labels, scores } = fuse(resultOf(forward), resultOf(backward), byNumber(progress));
    assert.deepEqual([...labels], fused.labels);
    assert.deepEqual(ids, fused.ids);
    assert.deepEqual(scores, byNumber(fused.scores));
}));

table.progress.forEach(({ case: name, told, frame, progress }) => test(name, () => {
    assert.equal(progressAt(byNumber(told), frame) ?? null, progress);
}));
