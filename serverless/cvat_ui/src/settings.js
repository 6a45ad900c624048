/* What was chosen last. */

export const NAME = 'Track all objects';
export const END = 'Not here any more';
const SETTINGS_KEY = 'agss-vos.settings.1';

export const OUTPUTS = { drawn: 'As drawn', mask: 'Masks', track: 'Polygon tracks' };
export const WAYS = { to: 'To a frame', both: 'Both ways between what people drew' };
/** Of tracks, in pixels: the least, the most and the usual one, as in agss_model/cvat/polygons/keyframes.py. */
export const TOLERANCE = { least: 0.5, most: 20, usual: 2 };
const DEFAULTS = { output: 'drawn', tolerance: TOLERANCE.usual, reach: 'end', keep: true, model: '' };

/** What was chosen last; anything unreadable, or out of range, is the default again. */
export function loadSettings() {
    let saved = null;
    try {
        saved = JSON.parse(localStorage.getItem(SETTINGS_KEY));
    } catch { /* no storage, or not ours */ }
    const valid = {
        output: (value) => Object.hasOwn(OUTPUTS, value),
        tolerance: (value) => Number.isFinite(value) && value >= TOLERANCE.least && value <= TOLERANCE.most,
        reach: (value) => value === 'start' || value === 'end' || (Number.isInteger(value) && value !== 0),
        keep: (value) => typeof value === 'boolean',
        model: (value) => typeof value === 'string',
    };
    const read = (key) => (valid[key](saved?.[key]) ? saved[key] : DEFAULTS[key]);
    return Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, read(key)]));
}

export function saveSettings(settings) {
    try {
        localStorage.setItem(SETTINGS_KEY, JSON.stringify(settings));
    } catch { /* private windows and full storages remember nothing */ }
}

/** A target as a wish that fits the next job too: to the end, to the start, or so many frames on. */
export function reachOf(target, frame, { startFrame, stopFrame }) {
    if (target === stopFrame) return 'end';
    return target === startFrame ? 'start' : target - frame;
}

export function targetOf(reach, frame, { startFrame, stopFrame }) {
    const target = { start: startFrame, end: stopFrame }[reach] ?? Math.min(Math.max(frame + reach, startFrame), stopFrame);
    if (target !== frame) return target;
    return frame === stopFrame ? startFrame : stopFrame;
}
