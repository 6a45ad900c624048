/* The form of the window: what to track, and where to. */
import { button, count, h } from './elements.js';
import {
    NAME, OUTPUTS, TOLERANCE, WAYS, targetOf,
} from './settings.js';

const fieldOf = (label, input, hint) => h('div', { class: 'agss-vos-field' }, h('label', { for: input.id }, label), h('div', {}, input, hint));

function selectOf(id, options, value) {
    const select = h('select', { id, class: 'agss-vos-input' }, Object.entries(options).map(([key, text]) => h('option', { value: key }, text)));
    select.value = value;
    return select;
}

const OUTPUT_HINTS = {
    drawn: 'Masks stay masks, one per frame. Polygons become polygon tracks.',
    mask: 'One mask per frame; the masks of an object share a group.',
    track: 'One track per object, with keyframes only where the tolerance needs them. Holes and smaller separate parts are left out.',
};

/** Resolves to the settings and `only` (a clientID or null); to 'end' when objects are to be ended instead, or to null. */
export function askSettings(panel, facts, settings) {
    return new Promise((resolve) => {
        const { job, frame, shapes, keyable, selected, trackers, between, deleted, drawnAround, endable } = facts;
        const target = h('input', {
            id: 'agss-vos-target', class: 'agss-vos-input agss-vos-number', type: 'number', min: job.startFrame, max: job.stopFrame, step: 1,
            required: true, 'aria-describedby': 'agss-vos-frames', 'data-focus': true,
        });
        target.value = targetOf(settings.reach, frame, job);
        const frames = h('p', { id: 'agss-vos-frames', class: 'agss-vos-hint', 'aria-live': 'polite' });
        const output = selectOf('agss-vos-output', OUTPUTS, settings.output);
        const outputHint = h('p', { class: 'agss-vos-hint' });
        const tolerance = h('input', {
            id: 'agss-vos-tolerance', class: 'agss-vos-input agss-vos-number', type: 'number', required: true,
            min: TOLERANCE.least, max: TOLERANCE.most, step: TOLERANCE.least,
            'aria-describedby': 'agss-vos-tolerance-hint',
        });
        tolerance.value = settings.tolerance;
        const toleranceField = fieldOf('Tolerance', tolerance, h('p', { id: 'agss-vos-tolerance-hint', class: 'agss-vos-hint' },
            'Pixels a track may leave the outline, fewer for small objects; more gives fewer keyframes.'));
        const names = Object.fromEntries(trackers.map((tracker) => [tracker.id, tracker.name || tracker.id]));
        const model = selectOf('agss-vos-model', names, names[settings.model] ? settings.model : trackers[0].id);
        const scope = selected && scopeField(shapes, keyable, selected);
        const again = deleted > 0 ? againField(deleted) : null;
        const here = shapes.length || keyable.length;
        const ways = { ...(here && { to: WAYS.to }), ...(drawnAround.length && { both: WAYS.both }) };
        const way = selectOf('agss-vos-way', ways, here ? 'to' : 'both');
        const wayHint = h('p', { class: 'agss-vos-hint' });
        const keyframes = keyable.length > 0 ? keyframesField(keyable, !shapes.length) : null;
        const only = () => (scope?.querySelector('input:checked').value === 'one' ? selected.clientID : null);
        const submit = h('button', { type: 'submit', class: 'agss-vos-button agss-vos-primary' }, 'Track');
        const jump = (text, to) => button(text, () => { target.value = to; update(); }, { 'aria-label': `${text}: frame ${to}`, disabled: to === frame });
        const targetField = fieldOf('To frame', target, [
            h('span', { class: 'agss-vos-jumps' }, jump('Job start', job.startFrame), jump('Job end', job.stopFrame)), frames,
        ]);
        const update = () => {
            const both = way.value === 'both';
            const list = between(target.valueAsNumber);
            const ends = drawnAround.filter(({ clientIDs }) => only() === null || clientIDs.has(only()));
            frames.textContent = describeFrames(frame, list, job);
            wayHint.textContent = both ? describeBoth(ends) : '';
            targetField.hidden = both;
            target.disabled = both;
            if (keyframes) keyframes.hidden = both;
            const made = keyframes?.querySelector('input').checked ? keyable : [];
            const tracked = both ? ends : [...shapes, ...made];
            submit.disabled = both ? !ends.length : !list.numbers.length || !tracked.length;
            outputHint.textContent = OUTPUT_HINTS[output.value];
            const tracks = output.value === 'track' || (output.value === 'drawn' && tracked.some(({ type }) => type !== 'mask'));
            toleranceField.hidden = !tracks;
            tolerance.disabled = !tracks;
        };
        const form = h('form', {
            oninput: update,
            onsubmit: (event) => {
                event.preventDefault();
                const checked = (field) => Boolean(field?.querySelector('input').checked);
                resolve({
                    way: way.value, target: Number(target.value), keyframes: checked(keyframes), output: output.value,
                    tolerance: Number(tolerance.value), keep: settings.keep, model: model.value, again: checked(again), only: only(),
                });
            },
        },
        scope || h('p', { class: 'agss-vos-lead' }, leadOf(shapes, keyable, frame), facts.note && h('span', { class: 'agss-vos-hint' }, ` ${facts.note}`)),
        drawnAround.length > 0 && fieldOf('Frames', way, wayHint),
        targetField,
        keyframes,
        fieldOf('Result', output, outputHint),
        toleranceField,
        again,
        trackers.length > 1 && fieldOf('Tracker', model),
        h('div', { class: 'agss-vos-buttons' },
            endable.length > 0 && button('Not here any more…', () => resolve('end'), { class: 'agss-vos-link agss-vos-aside' }),
            button('Cancel', () => resolve(null)), submit));
        update();
        panel.show(NAME, form, () => resolve(null));
        target.select();
    });
}

function leadOf(shapes, keyable, frame) {
    if (shapes.length) return `${countShapes(shapes)} on frame ${frame}.`;
    return keyable.length ? `No keyframe on frame ${frame}.` : `Nothing is drawn on frame ${frame} itself.`;
}

/** Tracks that are shown here without a keyframe can get one. */
function keyframesField(tracks, checked) {
    const box = h('input', { id: 'agss-vos-keyframes', type: 'checkbox', checked });
    return fieldOf('Keyframes', h('label', { class: 'agss-vos-choice' }, box, h('span', {}, `Make one here for ${count(tracks.length, 'polygon track')}`)),
        h('p', { class: 'agss-vos-hint' }, 'CVAT shows a shape here without a keyframe. It becomes one, which counts as yours, and tracking starts from it.'));
}

function describeBoth(ends) {
    if (!ends.length) return 'The selected object is not drawn on both sides of this frame.';
    const [low, high] = [Math.min(...ends.map((end) => end.low)), Math.max(...ends.map((end) => end.high))];
    return `${count(ends.length, 'object')} between frames ${low} and ${high}, tracked from both ends and fused, each between its own nearest drawings.`;
}

function scopeField(shapes, keyable, selected) {
    const choice = (value, text, checked) => h('label', { class: 'agss-vos-choice' },
        h('input', { type: 'radio', name: 'agss-vos-scope', value, checked }), h('span', {}, text));
    return h('fieldset', { class: 'agss-vos-field' }, h('legend', {}, 'Objects'), h('div', {},
        choice('all', `All on this frame: ${countShapes([...shapes, ...keyable])}`, true), choice('one', `Only the selected one: ${selected.name}`, false)));
}

/** What somebody deleted of an earlier run stays deleted, unless it is asked for. */
function againField(frames) {
    const box = h('input', { id: 'agss-vos-again', type: 'checkbox' });
    return fieldOf('Deleted', h('label', { class: 'agss-vos-choice' }, box, h('span', {}, 'Track again')),
        h('p', { class: 'agss-vos-hint' }, `Masks of an earlier run were deleted on ${count(frames, 'frame')} and stay deleted.`));
}

export function countShapes(shapes) {
    const kinds = { mask: 'mask', polygon: 'polygon', track: 'polygon track' };
    const parts = Object.keys(kinds).map((kind) => [shapes.filter(({ type }) => type === kind).length, kinds[kind]]);
    return parts.filter(([number]) => number).map(([number, noun]) => count(number, noun)).join(', ');
}

function describeFrames(frame, { numbers, deleted, target, inside }, { startFrame, stopFrame }) {
    if (!inside) return `Choose a frame of this job, ${startFrame} to ${stopFrame}.`;
    if (target === frame) return 'This is the current frame. Choose another one.';
    if (!numbers.length) return 'All frames up to there are deleted.';
    const left = deleted ? ` ${count(deleted, 'deleted frame')} left out.` : '';
    return `${target > frame ? 'Forward' : 'Backward'} over ${count(numbers.length, 'frame')}.${left}`;
}
