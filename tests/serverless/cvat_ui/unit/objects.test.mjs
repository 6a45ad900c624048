import assert from 'node:assert/strict';
import test from 'node:test';

import { TrackedObject } from '../../../../serverless/cvat_ui/src/objects.js';

const image = { width: 4, height: 4 };

['ellipse', 'rectangle', 'skeleton', 'toString'].forEach((type) => test(`a shape of type ${type} is never taken for a mask`, () => {
    const drawn = { type, frame: 3, points: [0, 0, 3, 3], label_id: 1 };
    assert.throws(() => new TrackedObject({ source: drawn, drawn }, { name: 'car' }, 'mask', image), new RegExp(`frame 3.*${type}`));
}));
