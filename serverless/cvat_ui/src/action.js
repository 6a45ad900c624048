/* The action of CVAT's "Run actions", which the button runs too. */
import { namesOf } from './authorship.js';
import { Sentence, Tracker, chooseTracker, explain, listTrackers } from './calls.js';
import { trackAll } from './loop.js';
import { ModalControl } from './modal.js';
import { framesBetween, plan, trackable } from './objects.js';
import { assemble, chooseKeys, summarize } from './result.js';
import {
    NAME, OUTPUTS, loadSettings, reachOf, saveSettings, targetOf,
} from './settings.js';

const PARAMETERS = {
    target: 'Track to frame', output: 'Result', tolerance: 'Tolerance of tracks (pixels)', keep: 'Keep finished frames when cancelled', model: 'Tracker',
};

/** Settings as the parameters that an action declares, all of them strings. */
export function toParameters(declared, { target, output, tolerance, keep, model }) {
    const values = { target, output: OUTPUTS[output], tolerance, keep, model };
    const used = Object.entries(PARAMETERS).filter(([, label]) => label in declared);
    return Object.fromEntries(used.map(([key, label]) => [label, String(values[key])]));
}

function fromParameters(parameters, defaults) {
    const value = (key) => parameters[PARAMETERS[key]];
    return {
        target: Number(value('target')),
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
                [text('target')]: {
                    type: 'number',
                    values: ({ instance }) => [String(instance.startFrame), String(instance.stopFrame), '1'],
                    defaultValue: ({ instance }) => String(targetOf(settings.reach, frame(), instance)),
                },
                [text('output')]: { type: 'select', values: Object.values(OUTPUTS), defaultValue: OUTPUTS[settings.output] },
                [text('tolerance')]: { type: 'number', values: ['0.5', '20', '0.5'], defaultValue: String(settings.tolerance) },
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

        applyFilter({ collection, frameData }) {
            const { shapes, tracks, tags } = trackable(collection, frameData.number);
            const wanted = ({ clientID }) => this.only === null || clientID === this.only;
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
            const { job, settings } = this;
            const frame = image.number;
            const [trackers, { frames, deleted, present }, all] = await Promise.all([
                explained(listTrackers(core)), framesOf(core, job, frame, settings.target), job.annotations.export(),
            ]);
            const tracker = new Tracker(core, job, chooseTracker(trackers, settings.model));
            const names = namesOf(job.labels);
            const objects = plan({
                chosen, all, frame, frames, numbers: present, output: settings.output, labels: job.labels, image, names, again: this.again,
            });
            const reason = deleted ? `Frame ${frame} is deleted. Restore it, or start from another frame.` : refusal(objects, frames, frame);
            if (reason) throw new Sentence(reason);
            saveSettings({ ...settings, reach: reachOf(settings.target, frame, job) });
            control.begin(frames.length, objects);
            const done = await trackAll({ tracker, objects, frame, frames, image, control });
            if (!done.length) return control.nothing();
            await chooseKeys(objects, settings.tolerance);
            const result = assemble(objects, {
                start: frame, done, numbers: present, names, tolerance: settings.tolerance, lastFrame: job.stopFrame,
                now: await job.annotations.export(),
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

function refusal(objects, frames, frame) {
    if (!objects.length) return `There is no mask or polygon to track on frame ${frame}. Draw the objects first.`;
    return frames.length ? null : 'There is no frame to track to. Choose another target frame of this job.';
}
