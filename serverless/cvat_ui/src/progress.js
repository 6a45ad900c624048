/* A run that was started from the dialog. */
import { Discarded, Sentence } from './calls.js';
import { button, count, h } from './elements.js';

function duration(seconds) {
    if (seconds < 5) return 'a few seconds';
    if (seconds < 55) return `${Math.ceil(seconds / 5) * 5} seconds`;
    const minutes = Math.round(seconds / 60);
    return count(minutes || 1, 'minute');
}

/** Progress, questions and the end of a run that was started from the dialog. */
export class DialogControl {
    /** @type {any} */ panel;
    /** @type {any} */ objects;
    /** @type {any} */ total;
    /** @type {any} */ steps;

    constructor(page, panel, job) {
        Object.assign(this, { page, panel });
        this.ended = new Promise((resolve) => { this.end = resolve; });
        this.timer = setInterval(() => {
            if (page.isOpen(job)) return;
            this.left = true;
            this.end('discard');
        }, 300);
        this.warn = (event) => event.preventDefault();
        window.addEventListener('beforeunload', this.warn);
        this.done = 0;
    }

    /** `steps`: calls in all, more than there are frames where they are gone through twice. */
    begin(total, objects, steps) {
        Object.assign(this, { total, objects, steps });
        this.started = null;
        this.bar = h('progress', { class: 'agss-vos-bar', max: steps, 'aria-label': 'Frames done' });
        this.where = h('p', { 'aria-live': 'off' });
        this.rest = h('p', { class: 'agss-vos-hint' });
        this.view();
    }

    view() {
        const stop = button('Stop', () => this.stop());
        this.panel.show(`Tracking ${count(this.objects.length, 'object')}`,
            [this.where, this.bar, this.rest, h('div', { class: 'agss-vos-buttons' }, stop)], () => this.stop());
    }

    progress(done, frame, steps) {
        this.done = done;
        if (!this.started && steps) this.started = { at: performance.now(), steps };
        this.where.textContent = `Frame ${frame}, ${done} of ${this.total} done${steps > done ? ', tracked from both ends' : ''}`;
        if (steps) this.bar.value = steps;
        this.rest.textContent = [this.remaining(steps), this.lostNow()].filter(Boolean).join(' ');
    }

    remaining(steps) {
        if (!this.started || steps <= this.started.steps) return 'The tracker is starting; the first frame takes longer.';
        const perStep = (performance.now() - this.started.at) / 1000 / (steps - this.started.steps);
        return `About ${duration(perStep * (this.steps - steps))} left.`;
    }

    lostNow() {
        const last = this.done && this.objects.filter((object) => object.lost.length);
        return last && last.length ? `Lost on some frames: ${last.map((object) => object.name).join(', ')}.` : '';
    }

    answers(goOn) {
        const keep = this.done > 0 && ['keep', `Keep ${count(this.done, 'frame')}`, { primary: true, 'data-focus': true }];
        const look = keep ? {} : { primary: true, 'data-focus': true };
        return [['discard', keep ? 'Discard' : 'End', { danger: Boolean(keep) }], [...goOn, look], keep].filter(Boolean);
    }

    /** Stop asks first: minutes of tracking are not lost to one key. Tracking pauses meanwhile. */
    stop() {
        const lines = this.done ? `${this.done} of ${this.total} frames are done.` : 'No frame is done yet.';
        this.question = this.panel.ask('Stop tracking?', lines, this.answers(['on', 'Continue']), 'on').then((answer) => {
            this.question = null;
            if (answer !== 'on') this.end(answer);
            else this.view();
            return answer === 'on' ? undefined : answer;
        });
    }

    async settled() {
        return this.question ?? undefined;
    }

    async failed(text, done) {
        const lines = done ? [text, `${done} of ${this.total} frames are done.`] : text;
        // Finished frames are not thrown away, and nothing is sent again, by a stray key.
        const asked = this.panel.ask('Tracking stopped', lines, this.answers(['again', 'Try again']), done ? null : 'discard');
        const answer = await Promise.race([asked, this.ended]);
        if (answer === 'again') this.view();
        else if (answer === 'keep') this.reason = text;
        return answer;
    }

    nothing() {
        throw this.left ? new Sentence('Tracking stopped because the job was closed. Nothing was added.') : new Discarded();
    }

    finish(summary) {
        this.summary = { ...summary, reason: this.reason };
    }

    close() {
        clearInterval(this.timer);
        window.removeEventListener('beforeunload', this.warn);
    }
}
