/* CVAT's page as the button sees it, and the button on it. */
import { explained, toParameters } from './action.js';
import { Discarded, Sentence, listTrackers } from './calls.js';
import { askSettings } from './dialog.js';
import { button, count, h, icon } from './elements.js';
import { askEnding } from './endform.js';
import { factsOf, nameOf } from './facts.js';
import { Notices, spans } from './notices.js';
import { Panel } from './panel.js';
import { DialogControl } from './progress.js';
import { END, NAME, loadSettings } from './settings.js';

/** What the parts above need to know of CVAT's page, and the buttons on it. */
export class Page {
    /** @type {any} */ store;
    /** @type {any} */ dispatch;
    /** @type {any} */ actionCreators;
    /** @type {any} */ running;
    /** @type {any} */ Action;
    /** @type {any} */ EndAction;
    /** @type {any} */ core;

    constructor({ core, store, dispatch, actionCreators }) {
        Object.assign(this, { core, store, dispatch, actionCreators, trackers: [], running: false });
        this.notices = new Notices();
    }

    get annotation() {
        return this.store.getState().annotation ?? {};
    }

    isOpen(job) {
        return this.annotation.job?.instance?.id === job.id;
    }

    redraw() {
        const frame = this.annotation.player?.frame?.number;
        if (Number.isInteger(frame)) this.dispatch(this.actionCreators.changeFrameAsync(frame, false, 1, true));
    }

    goTo(job, frame) {
        if (this.isOpen(job)) this.dispatch(this.actionCreators.changeFrameAsync(frame));
    }

    notify({ kind, title, text }) {
        this.notices.show({ kind, title, lines: text ? [text] : [], seconds: kind === 'info' ? 8 : 0 });
    }

    report(job, { objects, frames, last, lost, regrouped, kept, unchanged, reason, partial }) {
        const lines = [
            reason,
            ...lost.slice(0, 5).map((object) => [
                `${object.name}: lost on frame${object.frames.length === 1 ? '' : 's'} ${spans(object.frames)} `,
                button('Look', () => this.goTo(job, object.frames[0]), { class: 'agss-vos-link', 'aria-label': `Go to frame ${object.frames[0]}` }),
            ]),
            lost.length > 5 && `${count(lost.length - 5, 'more object')} lost on some frames.`,
            regrouped && `${count(regrouped, 'object')} shared a group with another of the same label and got a new one.`,
            kept && `What was deleted of ${count(kept, 'object')} stays deleted.`,
            !unchanged && 'Undo takes all of it back; save to keep it.',
        ].filter(Boolean);
        const calm = !lost.length && !reason;
        const until = partial ? `, up to frame ${last}` : '';
        this.notices.show({
            kind: calm ? 'success' : 'warning', title: unchanged ? `Nothing changed: ${count(objects, 'object')} over ${count(frames, 'frame')}${until} came out as before` : `Tracked ${count(objects, 'object')} over ${count(frames, 'frame')}${until}`, lines, seconds: calm ? 10 : 0,
        });
    }

    /** Everything the button does. Never throws: what goes wrong becomes a sentence. */
    async track() {
        if (this.panel || this.running) return;
        const job = this.annotation.job?.instance;
        if (!job) return;
        this.panel = new Panel();
        this.panel.open();
        try {
            await this.trackWith(this.panel, job);
        } catch (error) {
            if (!(error instanceof Discarded)) await this.explainIn(this.panel, job, error);
        } finally {
            this.panel.close();
            this.panel = null;
        }
    }

    async trackWith(panel, job) {
        const { frame: { number: frame } } = this.annotation.player;
        const cancelled = new Promise((resolve) => {
            const cancel = () => resolve(null);
            panel.show(NAME, [h('p', {}, 'Reading this frame…'), h('div', { class: 'agss-vos-buttons' }, button('Cancel', cancel))], cancel);
        });
        const facts = await Promise.race([factsOf(this, job, frame), cancelled]);
        if (!facts) return;
        const chosen = await askSettings(panel, facts, loadSettings());
        if (chosen === 'end') await this.endWith(panel, job, facts);
        else if (chosen) await this.trackAs(panel, job, frame, chosen);
    }

    async trackAs(panel, job, frame, /** @type {any} */ { only, again, ...settings }) {
        panel.show(NAME, h('p', {}, 'Starting…'), null);
        /** @type {any} */ let control = null;
        const action = new this.Action({ only, again, control: () => { control = new DialogControl(this, panel, job); return control; } });
        const filters = this.annotation.annotations?.filters ?? [];
        await this.core.actions.run(job, action, toParameters(action.parameters, settings), frame, frame, filters, () => {}, () => false);
        if (!control?.summary) return;
        this.redraw();
        this.report(job, control.summary);
    }

    async endWith(panel, job, facts) {
        const chosen = await askEnding(panel, facts);
        if (chosen === 'back') await this.trackWith(panel, job);
        if (!Array.isArray(chosen)) return;
        panel.show(END, h('p', {}, 'Ending…'), null);
        const action = new this.EndAction(chosen);
        await this.core.actions.run(job, action, {}, facts.frame, facts.frame, [], () => {}, () => false);
        this.redraw();
        const again = action.nexts.filter(({ next }) => next !== undefined)
            .map(({ item, next }) => `${nameOf(job, item)} is drawn again on frame ${next} and stays from there on.`);
        this.notices.show({
            kind: 'success', title: `Ended ${count(action.nexts.length, 'object')} on frame ${facts.frame}`,
            lines: [...again, 'Undo takes it back; save to keep it.'], seconds: again.length ? 0 : 10,
        });
    }

    async listTrackers() {
        this.trackers = await explained(listTrackers(this.core));
        return this.trackers;
    }

    /** An error as a sentence: in the window while its job is open, as a notice after that. */
    async explainIn(panel, job, error) {
        const text = error instanceof Sentence ? error.message : `Tracking could not be finished, and nothing was added: ${error?.message ?? error}`;
        if (!(error instanceof Sentence)) console.error(error);
        if (!this.isOpen(job)) this.notify({ kind: 'warning', title: NAME, text });
        else await panel.ask(NAME, text, [['close', 'Close', { primary: true }]], 'close');
    }

    /* Buttons. Class names of CVAT are no promise, so everything here may be missing. */

    addMenuItem() {
        const item = () => ({ key: 'agss-vos-track-all', label: NAME, onClick: () => this.track() });
        const before = this.store.getState();
        const action = this.actionCreators.addUIComponent('annotationPage.menuActions.items', item, { weight: 41 });
        if (action && this.store.getState() === before) this.dispatch(action);
    }

    addHeaderButton() {
        this.header = h('button', {
            type: 'button', class: 'ant-btn ant-btn-link cvat-annotation-header-button agss-vos-header', title: `${NAME} of this frame`,
            onclick: () => this.track(),
        }, icon(), h('span', {}, 'Track all'));
        let waiting = false;
        const place = () => {
            waiting = false;
            const group = document.querySelector('.cvat-annotation-header-left-group');
            if (!group || this.header.parentElement === group) return;
            group.append(this.header);
            // Known early, so that "Run actions" can offer the choice.
            this.listTrackers().catch(() => {});
        };
        this.observer = new MutationObserver(() => {
            if (waiting || this.header.isConnected) return;
            waiting = true;
            this.placing = requestAnimationFrame(place);
        });
        this.observer.observe(document.body, { childList: true, subtree: true });
        place();
    }

    remove() {
        this.observer?.disconnect();
        cancelAnimationFrame(this.placing);
        this.header?.remove();
        this.notices.list.remove();
    }
}
