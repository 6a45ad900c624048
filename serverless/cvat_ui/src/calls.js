/* Calls of the tracker through CVAT, and what their failures mean. */

/** An error whose message is meant for the annotator. */
export class Sentence extends Error {}

/** Thrown to leave a run of the dialog without a commit, and so without an empty undo step. */
export class Discarded extends Error {}

const BUSY = new Set([429, 502, 503]);
const PAUSES = [1, 2, 4]; // seconds before each new attempt

// CVAT passes on the status of the function and drops its body, so the status is all there is to tell.
const SENTENCES = {
    400: 'The tracker could not use this request. The function may have been updated meanwhile; start again from this frame.',
    401: 'CVAT has signed you out. Sign in again in another tab, then try again.',
    403: 'Your account may not run trackers on this job. Ask the owner of the project.',
    404: 'The tracker is no longer there. Ask whoever runs CVAT whether the AGSS-VOS function is deployed.',
    408: 'The tracker took too long for this frame and was restarted. Try again, or track fewer objects at once.',
    413: 'This is more than the tracker accepts at once (100 objects, or a very large picture). Track fewer objects.',
    422: 'The tracker cannot use this frame or one of its masks. Check the shapes of this frame.',
    429: 'The tracker is busy with other work. Try again in a minute.',
    500: 'The tracker failed on this frame. Try again; if it happens again, whoever runs CVAT finds the reason in the log of the function.',
    502: 'CVAT could not reach the tracker. Ask whoever runs CVAT whether the AGSS-VOS function is running.',
    503: 'The tracker is busy, just starting, or short of memory. Try again in a minute, or track fewer objects at once.',
    504: 'The tracker took too long for this frame. Try again, or track fewer objects at once.',
};

/** The HTTP status in an error of CVAT, or 0 when no server answered. */
function statusOf(error) {
    if (Number.isInteger(error?.code)) return error.code;
    return Number(/\b([45]\d\d)\b/.exec(String(error?.message ?? error))?.[1] ?? 0);
}

export function explain(error) {
    if (error instanceof Sentence) return error.message;
    const text = String(error?.message ?? error);
    if (/tracker state/i.test(text)) {
        return 'What the tracker knew about this video is too old (8 hours) or belongs to an earlier version of it. Start again from this frame.';
    }
    const status = statusOf(error);
    if (!status && /network|fetch|timeout|abort/i.test(text)) {
        return `CVAT did not answer. Check the network connection and try again. (${text})`;
    }
    if (!status) return `Something went wrong that this button does not know. Please report it: ${text}`;
    return `${SENTENCES[status] ?? SENTENCES[status < 500 ? 400 : 500]} (${status})`;
}

/** The trackers that this button can drive: those called AGSS, or else every one that takes masks. */
export async function listTrackers(core) {
    const { models } = await core.lambda.list();
    const takesMasks = (model) => {
        const types = model.supportedShapeTypes ?? model.supported_shape_types;
        return !Array.isArray(types) || types.includes('mask');
    };
    const trackers = models.filter((model) => model.kind === 'tracker' && takesMasks(model));
    const ours = trackers.filter((model) => /agss/i.test(`${model.id} ${model.name}`));
    return ours.length ? ours : trackers.filter((model) => model.supportedShapeTypes ?? model.supported_shape_types);
}

export function chooseTracker(trackers, id) {
    if (!trackers.length) {
        throw new Sentence('No AGSS-VOS tracker is deployed on this CVAT. Ask whoever runs CVAT to deploy the AGSS-VOS function.');
    }
    return trackers.find((tracker) => tracker.id === id) ?? trackers[0];
}

/** One tracker on one job: every method is one call for all objects given. */
export class Tracker {
    /** @type {any} */ core;
    /** @type {any} */ job;
    /** @type {any} */ model;

    constructor(core, job, model) {
        Object.assign(this, { core, job, model });
    }

    /** Starts objects from their masks; returns a state for each. */
    async start(frame, masks) {
        const shapes = masks.map((points) => ({ type: 'mask', points }));
        const { states } = await this.call({ type: 'init_tracking', frame, shapes }, masks.length);
        return states;
    }

    /** The next frame: {states, shapes}, one each per state sent; a shape may be null. */
    async step(frame, states) {
        const reply = await this.call({ type: 'track', frame, states }, states.length);
        if (reply.shapes?.length !== states.length) throw new Sentence(MISFIT);
        return reply;
    }

    async call(message, count) {
        for (let attempt = 0; ; attempt += 1) {
            try {
                const reply = await this.core.lambda.call(this.job.taskId, this.model, { job: this.job.id, ...message });
                if (reply?.states?.length !== count) throw new Sentence(MISFIT);
                return reply;
            } catch (error) {
                // A call that found no free worker did nothing, and states may be sent again.
                if (attempt === PAUSES.length || !BUSY.has(statusOf(error))) throw error;
                await sleep(PAUSES[attempt] * 1000);
            }
        }
    }
}

const MISFIT = 'The tracker answered with something else than masks of the objects it was asked about. Ask whoever runs CVAT to look at the log of the function.';
const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
