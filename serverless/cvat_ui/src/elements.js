/* Elements of the page. */

/** A DOM element. Text is always a text node: names of labels come from people. */
export function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    Object.entries(attributes).forEach(([key, value]) => {
        if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
        else if (value === true) element.setAttribute(key, '');
        else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
    });
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
}

/** @param {string} text @param {(event: any) => void} onclick @param {Record<string, any>} [look] */
export function button(text, onclick, { primary = false, danger = false, ...attributes } = {}) {
    const kind = `${primary ? ' agss-vos-primary' : ''}${danger ? ' agss-vos-danger' : ''}`;
    return h('button', { type: 'button', class: `agss-vos-button${kind}`, onclick, ...attributes }, text);
}

/** The button's picture: a shape, followed. */
export function icon() {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    Object.entries({
        viewBox: '2 2 20 19', width: '22', height: '21', fill: 'none', stroke: 'currentColor', 'stroke-width': '1.6',
        'stroke-linejoin': 'round', 'stroke-linecap': 'round', 'aria-hidden': 'true',
    }).forEach(([key, value]) => svg.setAttribute(key, value));
    ['M3 6.5 7 4l4 2.5v5L7 14l-4-2.5z', 'M13 12.5 17 10l4 2.5v5L17 20l-4-2.5z', 'M14.5 4.5h5m-2-2 2 2-2 2'].forEach((d) => {
        const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
        path.setAttribute('d', d);
        svg.append(path);
    });
    return svg;
}

export const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;
