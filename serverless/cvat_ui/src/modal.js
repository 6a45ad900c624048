import { Sentence } from './calls.js';
import { emptyCollection } from './result.js';

/** Progress and cancel in CVAT's own window, which knows only "cancel": the setting says what becomes of the rest. */
export class ModalControl {
    /** @type {any} */ onProgress;
    /** @type {any} */ total;
    /** @type {any} */ keep;
    /** @type {any} */ page;
    /** @type {any} */ job;
    /** @type {any} */ steps;

    constructor(page, { onProgress, cancelled, job, settings }) {
        Object.assign(this, { page, onProgress, job, keep: settings.keep });
        this.ended = new Promise((resolve) => {
            this.timer = setInterval(() => {
                if (!page.isOpen(job)) resolve('discard');
                else if (cancelled()) resolve(settings.keep ? 'keep' : 'discard');
            }, 200);
        });
    }

    begin(total, objects, steps) {
        Object.assign(this, { total, objects, steps });
    }

    progress(done, frame, steps) {
        this.onProgress(`Frame ${frame}: ${done} of ${this.total} frames done`, Math.floor((steps / this.steps) * 100));
    }

    async settled() {}

    async failed(text, done) {
        if (!done || !this.keep) throw new Sentence(text);
        this.reason = text;
        return 'keep';
    }

    nothing() {
        return { created: emptyCollection(), deleted: emptyCollection() };
    }

    finish(summary) {
        this.page.report(this.job, { ...summary, reason: this.reason });
    }

    close() {
        clearInterval(this.timer);
    }
}
