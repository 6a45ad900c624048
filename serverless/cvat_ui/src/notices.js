/* Messages at the corner of the page. */
import { button, h } from './elements.js';
import { NAME } from './settings.js';

export class Notices {
    constructor() {
        this.list = h('div', { class: 'agss-vos-notices', role: 'region', 'aria-label': `${NAME}: messages` });
        document.body.append(this.list);
    }

    /** `lines`: text, or [text, button, ...]. Stays until closed unless `seconds` is given. */
    show({ kind, title, lines = [], seconds = 0 }) {
        const notice = h('div', { class: `agss-vos-notice agss-vos-${kind}`, role: kind === 'error' ? 'alert' : 'status' },
            h('div', { class: 'agss-vos-notice-title' }, title),
            lines.map((line) => h('p', {}, line)),
            button('×', () => notice.remove(), { class: 'agss-vos-close', 'aria-label': 'Close this message' }));
        this.list.append(notice);
        while (this.list.children.length > 4) this.list.firstChild.remove();
        if (seconds) setTimeout(() => notice.matches(':hover, :focus-within') || notice.remove(), seconds * 1000);
    }
}

/** Frames as people write them: 3, 7-12, 20. */
export function spans(frames, shown = 4) {
    const parts = [];
    frames.forEach((frame) => {
        const last = parts[parts.length - 1];
        if (last && last[1] === frame - 1) last[1] = frame;
        else parts.push([frame, frame]);
    });
    const text = parts.slice(0, shown).map(([a, b]) => (a === b ? String(a) : `${a}-${b}`)).join(', ');
    return parts.length > shown ? `${text} and more` : text;
}
