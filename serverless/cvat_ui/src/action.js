/* The action of CVAT's "Run actions", which the button runs too. */
import { namesOf } from './authorship.js';
import { Sentence, Tracker, chooseTracker, explain, listTrackers } from './calls.js';
import {
    between, isOutline, sameItem, trackable,
} from './identity.js';
import { withKeyframes } from './keying.js';
import { trackAll } from './loop.js';
import { ModalControl } from './modal.js';
import { framesBetween, plan } from './objects.js';
import { assemble, chooseKeys, summarize } from './result.js';
import {
    NAME, OUTPUTS, TOLERANCE, WAYS, loadSettings, reachOf, saveSettings, targetOf,
} from './settings.js';

const PARAMETERS = {
    way: 'Way', target: 'Track to frame', keyframes: 'Make keyframes here where tracks have none', output: 'Result', tolerance: 'Tolerance of tracks (pixels)', keep: 'Keep finished frames when cancelled', model: 'Tracker',
};

/** Settings as the parameters that an action declares, all of them strings. */
export function toParameters(declared, { way, target, keyframes, output, tolerance, keep, model }) {
    const values = { way: WAYS[way], target, keyframes, output: OUTPUTS[output], tolerance, keep, model };
    const used = Object.entries(PARAMETERS).filter(([, label]) => label in declared);
    return Object.fromEntries(used.map(([key, label]) => [label, String(values[key])]));
}

function fromParameters(parameters, defaults) {
    const value = (key) => parameters[PARAMETERS[key]];
    return {
        both: value('way') === WAYS.both,
        target: Number(value('target')),
        keyframes: String(value('keyframes')) === 'true',
        output: Object.keys(OUTPUTS).find((key) => OUTPUTS[key] === value('output')) ?? defaults.output,
        tolerance: Number(value('tolerance')) || defaults.tolerance,
        keep: String(value('keep') ?? defaults.keep) === 'true',
        model: value('model') ?? defaults.model,
    };
}

/** The class needs CVAT's base class, so it is made when the page hands that over. */
export function actionClass(page) {
    const { core, store } = page;
    return class TrackAllObjects extends core.classes.BaseCollectionAction {
        /** `only`: clientID of the one object to track. `again`: also what was deleted. `control`: see trackAll; CVAT's own window by default. */
        constructor({ only = null, again = false, control = null } = {}) {
            super();
            Object.assign(this, { only, again, makeControl: control ?? ((input) => new ModalControl(page, input)) });
        }

        get name() {
            return NAME;
        }

        get parameters() {
            const settings = loadSettings();
            const frame = () => store.getState().annotation.player.frame.number;
            const models = page.trackers.map((tracker) => tracker.id);
            const text = (key) => PARAMETERS[key];
            return {
                [text('way')]: { type: 'select', values: Object.values(WAYS), defaultValue: WAYS.to },
                [text('target')]: {
                    type: 'number',
                    values: ({ instance }) => [String(instance.startFrame), String(instance.stopFrame), '1'],
                    defaultValue: ({ instance }) => String(targetOf(settings.reach, frame(), instance)),
                },
                [text('keyframes')]: { type: 'checkbox', values: ['true', 'false'], defaultValue: 'false' },
                [text('output')]: { type: 'select', values: Object.values(OUTPUTS), defaultValue: OUTPUTS[settings.output] },
                [text('tolerance')]: { type: 'number', values: [TOLERANCE.least, TOLERANCE.most, TOLERANCE.least].map(String), defaultValue: String(settings.tolerance) },
                [text('keep')]: { type: 'checkbox', values: ['true', 'false'], defaultValue: String(settings.keep) },
                ...(models.length > 1 && {
                    [text('model')]: {
                        type: 'select', values: models, defaultValue: models.includes(settings.model) ? settings.model : models[0],
                    },
                }),
            };
        }

        async init(job, parameters) {
            this.job = job;
            this.settings = fromParameters(parameters, loadSettings());
        }

        async destroy() {
            // CVAT's window does not redraw after a partial result. The commit may still be under way.
            if (this.mustRedraw) setTimeout(() => page.redraw(), 300);
            this.mustRedraw = false;
        }

        isApplicableForObject({ objectType, shapeType }) {
            return shapeType === 'polygon' || (shapeType === 'mask' && objectType === 'shape');
        }

        applyFilter({ collection, frameData: { number } }) {
            const { both, keyframes } = this.settings;
            const { shapes, tracks, tags } = both ? everywhere(collection) : trackable(collection, number);
            if (keyframes && !both) tracks.push(...between(collection, number));
            const names = namesOf(this.job.labels);
            const only = [...shapes, ...tracks].find(({ clientID }) => clientID === this.only);
            const wanted = (item) => this.only === null || Boolean(only && sameItem(item, only, names));
            return { shapes: shapes.filter(wanted), tracks: tracks.filter(wanted), tags };
        }

        async run({ collection, frameData, onProgress, cancelled }) {
            if (page.running) throw new Sentence('Tracking is already running. Wait until it has ended.');
            page.running = true;
            const control = this.makeControl({ onProgress, cancelled, job: this.job, settings: this.settings });
            try {
                return await this.track(collection, frameData, control);
            } finally {
                control.close();
                page.running = false;
            }
        }

        async track(chosen, image, control) {
            const { job, settings: { both, output, target, tolerance, model } } = this;
            const frame = image.number;
            const [trackers, { frames: ahead, deleted, present }, all] = await Promise.all([
                explained(listTrackers(core)), framesOf(core, job, frame, target), job.annotations.export(),
            ]);
            const tracker = new Tracker(core, job, chooseTracker(trackers, model));
            const names = namesOf(job.labels);
            const tracks = both ? chosen.tracks : await withKeyframes(job, chosen.tracks, frame);
            const objects = plan({
                chosen: { ...chosen, tracks }, all, frame, both, output, labels: job.labels, image, names, again: this.again,
                frames: both ? present : ahead, numbers: present,
            });
            const inside = (number) => objects.some(({ low, high }) => number >= low && number <= high);
            const frames = both ? present.filter(inside) : ahead;
            const reason = refusal({ objects, frames, frame, deleted, both });
            if (reason) throw new Sentence(reason);
            saveSettings({ ...this.settings, reach: both ? loadSettings().reach : reachOf(target, frame, job) });
            control.begin(frames.length, objects, frames.length * (both ? 2 : 1));
            const done = await trackAll({ tracker, objects, frame: both ? null : frame, frames, image, control });
            if (!done.length) return control.nothing();
            await chooseKeys(objects, tolerance);
            const result = assemble(objects, {
                done, numbers: present, names, tolerance, lastFrame: job.stopFrame, now: await job.annotations.export(),
            });
            const partial = done.length < frames.length;
            this.mustRedraw = partial && control instanceof ModalControl;
            control.finish({ ...summarize(objects, done, result), partial });
            return result;
        }
    };
}

export const explained = (promise) => promise.catch((error) => { throw new Sentence(explain(error)); });

export async function framesOf(core, job, frame, target) {
    const [numbers, meta] = await explained(Promise.all([job.frames.frameNumbers(), core.frames.getMeta('job', job.id)]));
    const deleted = meta.deletedFrames ?? {};
    const present = numbers.filter((number) => !deleted[number]).sort((a, b) => a - b);
    return { frames: framesBetween(numbers, deleted, frame, target), deleted: Boolean(deleted[frame]), numbers, present, allDeleted: deleted };
}

/** Everything that can be a part of an object in some frame. */
const everywhere = ({ shapes, tracks }) => ({
    shapes: shapes.filter((shape) => shape.group && isOutline(shape)),
    tracks: tracks.filter((track) => track.shapes.some(({ type }) => type === 'polygon')),
    tags: [],
});

function refusal({ objects, frames, frame, deleted, both }) {
    if (both) return objects.length ? null : `No object is drawn on both sides of frame ${frame}. ${BOTH_SIDES}`;
    if (deleted) return `Frame ${frame} is deleted. Restore it, or start from another frame.`;
    if (!objects.length) return `There is no mask or polygon to track on frame ${frame}. Draw the objects first.`;
    return frames.length ? null : 'There is no frame to track to. Choose another target frame of this job.';
}

export const BOTH_SIDES = 'Draw it before and after this frame; masks and polygons of one object need one group (G).';
