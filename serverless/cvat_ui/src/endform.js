/* The form that ends objects. */
import { button, h } from './elements.js';
import { END } from './settings.js';

/** Which objects are not there any more from a frame on; resolves to their clientIDs, to 'back', or to null. */
export function askEnding(panel, { frame, endable, active, nameOf }) {
    return new Promise((resolve) => {
        const boxes = endable.map((item) => [item, h('input', { type: 'checkbox', checked: item.clientID === active })]);
        const submit = h('button', { type: 'submit', class: 'agss-vos-button agss-vos-primary' }, 'End them');
        const chosen = () => boxes.filter(([, box]) => box.checked).map(([{ clientID }]) => clientID);
        const update = () => { submit.disabled = !chosen().length; };
        const kind = (item) => (item.shapes ? 'track' : item.type);
        const form = h('form', {
            oninput: update,
            onsubmit: (event) => {
                event.preventDefault();
                resolve(chosen());
            },
        },
        h('p', { class: 'agss-vos-lead' }, `From frame ${frame} on, up to where a person drew it again, this is not there:`),
        h('fieldset', { class: 'agss-vos-field' }, h('legend', {}, 'Objects'), h('div', {}, boxes.map(([item, box]) => h(
            'label', { class: 'agss-vos-choice' }, box, h('span', {}, `${nameOf(item)}: ${kind(item)}`),
        )))),
        h('p', { class: 'agss-vos-hint' },
            'Tracks go outside here. Masks and polygons of this frame are removed, and those that machines made on later frames.'),
        h('div', { class: 'agss-vos-buttons' }, button('Back', () => resolve('back')), submit));
        update();
        panel.show(END, form, () => resolve(null));
    });
}
