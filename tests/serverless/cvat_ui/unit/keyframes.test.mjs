import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { thin } from '../../../../serverless/cvat_ui/src/keyframes.js';

const cases = JSON.parse(readFileSync(new URL('../../../cvat/cases/keyframes.json', import.meta.url), 'utf8'));

cases.forEach(({ case: name, frames, rings, tolerance, keys }) => test(name, () => {
    assert.deepEqual(thin(frames, rings, tolerance), keys);
}));
