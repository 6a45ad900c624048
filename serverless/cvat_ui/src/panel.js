/* The window of the button. */
import { button, h } from './elements.js';
import { NAME } from './settings.js';

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
