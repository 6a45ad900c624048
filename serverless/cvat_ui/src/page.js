/* CVAT's page as the button sees it, and the button on it. */
import { explained, framesOf, toParameters } from './action.js';
import { namesOf } from './authorship.js';
import { Discarded, Sentence, chooseTracker, listTrackers } from './calls.js';
import { Panel, askSettings } from './dialog.js';
import { button, count, h, icon } from './elements.js';
import { Notices, spans } from './notices.js';
import { deletedOf, framesBetween, trackable } from './objects.js';
import { DialogControl } from './progress.js';
import { NAME, loadSettings } from './settings.js';

/** What the parts above need to know of CVAT's page, and the buttons on it. */
export class Page {
    /** @type {any} */ store;
    /** @type {any} */ dispatch;
    /** @type {any} */ actionCreators;
    /** @type {any} */ running;
    /** @type {any} */ Action;
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
        const facts = await Promise.race([this.facts(job, frame), cancelled]);
        if (!facts) return;
        const chosen = await askSettings(panel, facts, loadSettings());
        if (!chosen) return;
        panel.show(NAME, h('p', {}, 'Starting…'), null);
        const { only, again, ...settings } = chosen;
        /** @type {any} */ let control = null;
        const action = new this.Action({ only, again, control: () => { control = new DialogControl(this, panel, job); return control; } });
        const filters = this.annotation.annotations?.filters ?? [];
        await this.core.actions.run(job, action, toParameters(action.parameters, settings), frame, frame, filters, () => {}, () => false);
        if (!control?.summary) return;
        this.redraw();
        this.report(job, control.summary);
    }

    /** What the form shows: the objects of the frame, the trackers, the frames. */
    async facts(job, frame) {
        const [all, listed, { numbers, present, allDeleted, deleted }] = await Promise.all([
            job.annotations.export(), this.listTrackers(), framesOf(this.core, job, frame, frame),
        ]);
        if (deleted) throw new Sentence(`Frame ${frame} is deleted. Restore it, or start from another frame.`);
        const { shapes, tracks } = trackable(all, frame);
        const found = [...shapes, ...tracks.map((track) => ({ ...track, type: 'track' }))];
        chooseTracker(listed);
        const without = all.tracks.filter((track) => track.shapes.some(({ type }) => type === 'polygon')).length - tracks.length;
        if (!found.length) {
            const hint = without > 0 ? ' Polygon tracks need a keyframe on this frame.' : '';
            throw new Sentence(`There is no mask or polygon on frame ${frame}. Draw the objects first, then track them.${hint}`);
        }
        const names = namesOf(job.labels);
        const gone = new Set(shapes.flatMap((shape) => [...deletedOf(all, shape, present, names)]));
        const active = found.find(({ clientID }) => clientID === this.annotation.annotations?.activatedStateID);
        const between = (target) => {
            const inside = Number.isInteger(target) && target >= job.startFrame && target <= job.stopFrame;
            const every = inside ? framesBetween(numbers, {}, frame, target) : [];
            const present = every.filter((number) => !allDeleted[number]);
            return { target, inside, numbers: present, deleted: every.length - present.length };
        };
        return {
            job, frame, shapes: found, trackers: listed, between, deleted: gone.size,
            selected: active && found.length > 1 && { clientID: active.clientID, name: this.nameOf(job, active) },
            note: this.annotation.annotations?.filters?.length ? 'Those that your filter hides are left out.' : '',
        };
    }

    nameOf(job, object) {
        const label = job.labels.find(({ id }) => id === object.label_id)?.name ?? 'object';
        return object.group ? `${label} (group ${object.group})` : label;
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
