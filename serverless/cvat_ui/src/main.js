/* The entry: one classic script, bundled from these modules. */
import { actionClass } from './action.js';
import { explain } from './calls.js';
import { endActionClass } from './endaction.js';
import { thin } from './keyframes.js';
import { checkedMask, decodeMask, encodeMask, maskOfPolygon } from './masks.js';
import { Notices, spans } from './notices.js';
import { framesBetween } from './objects.js';
import { Page } from './page.js';
import { outlineOf, simplified } from './outlines.js';
import { ringOf } from './rings.js';
import { NAME } from './settings.js';
import { addStyle } from './style.js';

const page = /** @type {any} */ (window);

const OLD_CVAT = 'The button "Track all objects" needs a newer CVAT: version 2.40 or later, with its plugin interface.';

/** Says once why there is no button, and only to people who annotate. */
function sayUnsupported(reason) {
    console.warn(`agss-vos.js: ${reason}`);
    const look = setInterval(() => {
        if (!document.querySelector('.cvat-annotation-header-left-group')) return;
        clearInterval(look);
        new Notices().show({ kind: 'warning', title: NAME, lines: [reason] });
    }, 1000);
}

/** Parts that other versions of CVAT may lack fail alone. */
async function optional(what, part) {
    try {
        await part();
    } catch (error) {
        console.warn(`agss-vos.js: ${what} could not be added: ${error?.message ?? error}`);
    }
}

function build(surface) {
    const plugin = { name: 'AGSS-VOS', destructor: () => {} };
    const { core } = surface;
    if (typeof core?.classes?.BaseCollectionAction !== 'function' || typeof core.actions?.run !== 'function' || typeof core.lambda?.call !== 'function') {
        sayUnsupported(OLD_CVAT);
        return plugin;
    }
    const ours = new Page(surface);
    ours.Action = actionClass(ours);
    ours.EndAction = endActionClass(ours);
    optional('The action in "Run actions"', () => core.actions.register(new ours.Action()));
    optional('The menu item', () => ours.addMenuItem());
    optional('The button in the header', () => ours.addHeaderButton());
    return { ...plugin, destructor: () => ours.remove() };
}

function start() {
    addStyle();
    const register = () => page.cvatUI.registerComponent(build);
    if (page.cvatUI) {
        register();
        return;
    }
    // CVAT announces its interface once its page stands; one that never does has none.
    const late = setTimeout(() => sayUnsupported(OLD_CVAT), 30000);
    addEventListener('plugins.ready', () => {
        clearTimeout(late);
        register();
    }, { once: true });
}

// Loaded twice, for example by nginx and by a userscript.
if (!page.agssVos) {
    page.agssVos = Object.freeze({
        decodeMask, encodeMask, checkedMask, maskOfPolygon, ringOf, outlineOf, simplified, thin, framesBetween, explain, spans,
    });
    start();
}
