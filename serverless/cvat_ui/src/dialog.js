/* The window of the button. */
import { button, count, h } from './elements.js';
import { NAME, OUTPUTS, targetOf } from './settings.js';

/**
 * The one window of this script, with four faces: the form, progress, a question, an error. It is modal, as CVAT's
 * own window for actions is: nobody edits what is being tracked, and CVAT's shortcuts do not see the keys.
 */
export class Panel {
    constructor() {
        this.title = h('h2', { id: 'agss-vos-title', class: 'agss-vos-title' }, NAME);
        this.face = h('div', { class: 'agss-vos-face' });
        this.dialog = h('dialog', { class: 'agss-vos-dialog', 'aria-labelledby': 'agss-vos-title', tabindex: -1 }, this.title, this.face);
        this.dialog.addEventListener('cancel', (event) => {
            event.preventDefault();
            this.escape?.();
        });
        this.keys = (event) => {
            if (event.type === 'keydown' && event.key === 'Escape') {
                event.preventDefault();
                this.escape?.();
            }
            if (!this.dialog.contains(event.target)) event.preventDefault();
            if (!this.dialog.contains(event.target) || event.key === 'Escape') event.stopImmediatePropagation();
        };
        this.inside = (event) => event.stopPropagation();
    }

    open() {
        this.before = /** @type {any} */ (document.activeElement);
        document.body.append(this.dialog);
        ['keydown', 'keyup', 'keypress'].forEach((type) => {
            window.addEventListener(type, this.keys, true);
            this.dialog.addEventListener(type, this.inside);
        });
        this.dialog.showModal();
    }

    close() {
        this.escape = null;
        ['keydown', 'keyup', 'keypress'].forEach((type) => window.removeEventListener(type, this.keys, true));
        this.dialog.close();
        this.dialog.remove();
        if (this.before?.isConnected) this.before.focus();
    }

    show(title, content, escape) {
        this.escape = escape;
        this.title.textContent = title;
        this.face.replaceChildren(...[content].flat());
        const wanted = this.face.querySelector('[data-focus]') ?? this.face.querySelector('button, input, select') ?? this.dialog;
        /** @type {HTMLElement} */ (wanted).focus();
    }

    /** Asks; resolves to the value of the button pressed. `answers`: [[value, text, look]]; the last is the calm one. */
    ask(title, lines, answers, escape) {
        return new Promise((resolve) => {
            const buttons = answers.map(([value, text, look]) => button(text, () => resolve(value), look));
            const text = [lines].flat().map((line) => h('p', {}, line));
            this.show(title, [h('div', { role: 'alert' }, text), h('div', { class: 'agss-vos-buttons' }, buttons)],
                escape && (() => resolve(escape)));
        });
    }
}

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

/** The form. Resolves to the settings and `only` (a clientID or null), or to null. */
export function askSettings(panel, facts, settings) {
    return new Promise((resolve) => {
        const { job, frame, shapes, selected, trackers, between, deleted } = facts;
        const target = h('input', {
            id: 'agss-vos-target', class: 'agss-vos-input agss-vos-number', type: 'number', min: job.startFrame, max: job.stopFrame, step: 1,
            required: true, 'aria-describedby': 'agss-vos-frames', 'data-focus': true,
        });
        target.value = targetOf(settings.reach, frame, job);
        const frames = h('p', { id: 'agss-vos-frames', class: 'agss-vos-hint', 'aria-live': 'polite' });
        const output = selectOf('agss-vos-output', OUTPUTS, settings.output);
        const outputHint = h('p', { class: 'agss-vos-hint' });
        const tolerance = h('input', {
            id: 'agss-vos-tolerance', class: 'agss-vos-input agss-vos-number', type: 'number', min: 0.5, max: 20, step: 0.5, required: true,
            'aria-describedby': 'agss-vos-tolerance-hint',
        });
        tolerance.value = settings.tolerance;
        const toleranceField = fieldOf('Tolerance', tolerance, h('p', { id: 'agss-vos-tolerance-hint', class: 'agss-vos-hint' },
            'Pixels a track may leave the outline; more gives fewer keyframes.'));
        const names = Object.fromEntries(trackers.map((tracker) => [tracker.id, tracker.name || tracker.id]));
        const model = selectOf('agss-vos-model', names, names[settings.model] ? settings.model : trackers[0].id);
        const scope = selected && scopeField(shapes, selected);
        const again = deleted > 0 ? againField(deleted) : null;
        const submit = h('button', { type: 'submit', class: 'agss-vos-button agss-vos-primary' }, 'Track');
        const jump = (text, to) => button(text, () => { target.value = to; update(); }, { 'aria-label': `${text}: frame ${to}`, disabled: to === frame });
        const update = () => {
            const list = between(target.valueAsNumber);
            frames.textContent = describeFrames(frame, list, job);
            submit.disabled = !list.numbers.length;
            outputHint.textContent = OUTPUT_HINTS[output.value];
            const tracks = output.value === 'track' || (output.value === 'drawn' && shapes.some((shape) => shape.type !== 'mask'));
            toleranceField.hidden = !tracks;
            tolerance.disabled = !tracks;
        };
        const form = h('form', {
            oninput: update,
            onsubmit: (event) => {
                event.preventDefault();
                resolve({
                    target: Number(target.value), output: output.value, tolerance: Number(tolerance.value), keep: settings.keep,
                    model: model.value, again: Boolean(again?.querySelector('input').checked), only: scope?.querySelector('input:checked').value === 'one' ? selected.clientID : null,
                });
            },
        },
        scope || h('p', { class: 'agss-vos-lead' }, `${countShapes(shapes)} on frame ${frame}.`, facts.note && h('span', { class: 'agss-vos-hint' }, ` ${facts.note}`)),
        fieldOf('To frame', target, [
            h('span', { class: 'agss-vos-jumps' }, jump('Job start', job.startFrame), jump('Job end', job.stopFrame)), frames,
        ]),
        fieldOf('Result', output, outputHint),
        toleranceField,
        again,
        trackers.length > 1 && fieldOf('Tracker', model),
        h('div', { class: 'agss-vos-buttons' }, button('Cancel', () => resolve(null)), submit));
        update();
        panel.show(NAME, form, () => resolve(null));
        target.select();
    });
}

function scopeField(shapes, selected) {
    const choice = (value, text, checked) => h('label', { class: 'agss-vos-choice' },
        h('input', { type: 'radio', name: 'agss-vos-scope', value, checked }), h('span', {}, text));
    return h('fieldset', { class: 'agss-vos-field' }, h('legend', {}, 'Objects'), h('div', {},
        choice('all', `All on this frame: ${countShapes(shapes)}`, true), choice('one', `Only the selected one: ${selected.name}`, false)));
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
