import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import {
    author, emptied, keyframeAuthors, nearOf, signMask, signTrack, wasOurs,
    wasOursAs,
} from '../../../../serverless/cvat_ui/src/authorship.js';

const table = JSON.parse(readFileSync(new URL('../../../cvat/cases/authorship.json', import.meta.url), 'utf8'));
const byNumber = (entries) => new Map(Object.entries(entries).map(([id, name]) => [Number(id), name]));
const names = { labels: byNumber(table.names.labels), attributes: byNumber(table.names.attributes), mutable: new Set(table.names.mutable) };

table.sign.forEach(({ item, near, kept, signed }, row) => test(`sign ${row}`, () => {
    assert.deepEqual(item.shapes ? signTrack(item, names, new Set(kept)) : signMask(item, names, near), signed);
}));

table.author.forEach((entry) => test(entry.case, () => {
    assert.equal(author(entry.item, names), entry.author);
    assert.equal(wasOurs(entry.item, names), entry.was_ours);
    if (entry.item.shapes) assert.deepEqual(Object.fromEntries(keyframeAuthors(entry.item, names)), entry.keyframes);
    else assert.equal(nearOf(entry.item), entry.near);
}));

table.emptied.forEach(({ frames, occupied, near, gone }, row) => test(`emptied ${row}`, () => {
    assert.deepEqual([...emptied(frames, new Set(occupied), byNumber(near))].sort((a, b) => a - b), gone);
}));

table.relabelled.forEach(({ case: name, track, drawing, was_ours: ours }) => test(name, () => {
    assert.equal(wasOursAs(track, drawing, names), ours);
    assert.equal(wasOurs(track, names), false);
}));
