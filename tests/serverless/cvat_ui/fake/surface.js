/*
 * A stand-in for the annotation page of CVAT's UI, for tests: the plugin surface that agss-vos.js uses, behaving as the
 * project's notes on it describe. It is not CVAT and looks only a little like it.
 *
 * window.fakeConfig (set before this script runs): job, labels, shapes, tracks, deleted, frame, image {width, height},
 * and switches for what other versions lack: noUi, late, noMenuSlot, noCollectionAction, noHeader, prebound.
 * window.fake: what tests look at.
 */
(() => {
    'use strict';

    const config = window.fakeConfig;
    const copy = (value) => JSON.parse(JSON.stringify(value));

    /* ------------------------------------------------ annotations */

    let nextId = 1;
    const objects = { shapes: [], tags: [], tracks: [] };
    const history = { undo: [], redo: [] };
    const withId = (object) => ({ ...object, clientID: nextId++ });
    const kinds = Object.keys(objects);
    const load = () => {
        objects.shapes = copy(config.shapes ?? []).map(withId);
        objects.tracks = copy(config.tracks ?? []).map(withId);
    };

    const refuse = (message) => { throw new Error(message); };

    function checkedShape(shape) {
        if (!Array.isArray(shape.attributes)) refuse('attributes must be an array');
        if (shape.clientID !== undefined) refuse('a created object already has a clientID');
        if (!config.frames.includes(shape.frame)) refuse(`Frame ${shape.frame} is outside of the job`);
        if (shape.type !== 'mask') return shape;
        const [left, top, right, bottom] = shape.points.slice(-4);
        const { width, height } = config.image;
        const set = shape.points.slice(0, -4).some((run, i) => i % 2 && run > 0);
        if (!set || right < 0 || bottom < 0 || left >= width || top >= height) return { ...shape, points: [0, 0, 0, 0, 0] };
        return shape;
    }

    function checkedTrack(track) {
        if (!Array.isArray(track.attributes) || !Array.isArray(track.elements)) refuse('attributes and elements must be arrays');
        if (track.clientID !== undefined) refuse('a created object already has a clientID');
        if (!track.shapes.length || track.shapes[0].frame !== track.frame) refuse('a track starts at its first keyframe');
        track.shapes.forEach((shape, i) => {
            if (shape.type === 'mask') refuse('mask tracks are not supported');
            if (!config.frames.includes(shape.frame)) refuse(`Frame ${shape.frame} is outside of the job`);
            if (i && shape.frame <= track.shapes[i - 1].frame) refuse('keyframes must ascend');
            if (shape.type === 'polygon' && (shape.points.length < 6 || shape.points.length % 2)) refuse('a polygon needs three points');
        });
        return track;
    }

    async function commit(created, deleted) {
        const gone = kinds.flatMap((kind) => deleted[kind].map((object) => {
            const at = objects[kind].findIndex((own) => own.clientID === object.clientID);
            if (at < 0) refuse('a deleted object is not part of the collection');
            return object.clientID;
        }));
        const fresh = {
            shapes: created.shapes.map(checkedShape).map(withId), tags: created.tags.map(withId), tracks: created.tracks.map(checkedTrack).map(withId),
        };
        const before = copy(objects);
        kinds.forEach((kind) => {
            objects[kind] = [...objects[kind].filter((object) => !gone.includes(object.clientID)), ...copy(fresh[kind])];
        });
        history.undo.push({ before, after: copy(objects) });
        history.redo = [];
    }

    /** What CVAT shows of a track in a frame: between keyframes it moves each vertex, and after the last one nothing. */
    function trackState(track, frame) {
        const keys = [...track.shapes].sort((a, b) => a.frame - b.frame);
        const [left] = keys.filter((key) => key.frame <= frame).slice(-1);
        const right = keys.find((key) => key.frame > frame);
        const share = left && right ? (frame - left.frame) / (right.frame - left.frame) : 0;
        const points = left?.points.map((value, i) => value + share * ((right?.points[i] ?? value) - value));
        return { clientID: track.clientID, objectType: 'track', shapeType: keys[0].type, points, outside: left?.outside ?? true, keyframe: left?.frame === frame };
    }

    async function statesOf(frame) {
        const shapes = objects.shapes.filter((shape) => shape.frame === frame);
        return copy([
            ...shapes.map(({ clientID, type, points }) => ({ clientID, objectType: 'shape', shapeType: type, points, outside: false })),
            ...objects.tracks.map((track) => trackState(track, frame)),
        ]);
    }

    /* ------------------------------------------------ store */

    const job = {
        ...config.job,
        labels: config.labels,
        frames: { frameNumbers: async () => [...config.frames] },
        annotations: { export: async () => copy(objects), get: statesOf, commit },
    };
    let state = {
        annotation: {
            job: { instance: config.closed ? null : job },
            player: { frame: { number: config.frame } },
            annotations: { filters: config.filters ?? [], activatedStateID: null },
        },
        plugins: { components: {} },
    };
    const listeners = [];
    const reduce = (action) => {
        const { annotation } = state;
        switch (action.type) {
            case 'ADD_UI_COMPONENT': {
                const { path } = action.payload;
                const list = [...state.plugins.components[path] ?? [], action.payload];
                return { ...state, plugins: { components: { ...state.plugins.components, [path]: list } } };
            }
            case 'FRAME':
                return { ...state, annotation: { ...annotation, player: { frame: { number: action.frame } } } };
            case 'ACTIVE':
                return { ...state, annotation: { ...annotation, annotations: { ...annotation.annotations, activatedStateID: action.id } } };
            case 'JOB':
                return { ...state, annotation: { ...annotation, job: { instance: action.instance } } };
            default:
                return state;
        }
    };
    const store = {
        getState: () => state,
        dispatch(action) {
            if (typeof action === 'function') return action(store.dispatch, store.getState);
            if (typeof action?.type !== 'string') throw new Error('Actions must be plain objects.');
            state = reduce(action);
            listeners.forEach((listener) => listener());
            return action;
        },
    };

    const drawn = [];
    const actionCreators = {
        changeFrameAsync: (frame, fillBuffer = false, frameStep = 1, forceUpdate = false) => (dispatch) => {
            if (!config.frames.includes(frame)) throw new Error(`Frame ${frame} is outside of the job`);
            if (frame === state.annotation.player.frame.number && !forceUpdate) return;
            dispatch({ type: 'FRAME', frame });
            drawn.push(frame);
            draw();
        },
        addUIComponent(path, component, data) {
            const slots = config.noMenuSlot ? [] : ['annotationPage.menuActions.items', 'annotationPage.player.slider'];
            if (!slots.includes(path)) throw new Error(`${path} is not supported`);
            const action = { type: 'ADD_UI_COMPONENT', payload: { path, component, data } };
            return config.prebound ? store.dispatch(action) : action;
        },
    };

    /* ------------------------------------------------ core */

    // What CVAT's client does for its plugins: cookies, the CSRF header, and errors that hold nothing but a status line.
    const cookie = (name) => new RegExp(`(?:^|; )${name}=([^;]*)`).exec(document.cookie)?.[1] ?? '';
    async function request(method, url, body) {
        let response;
        try {
            response = await fetch(url, {
                method, credentials: 'same-origin', body: body && JSON.stringify(body),
                headers: { 'Content-Type': 'application/json', 'X-CSRFTOKEN': cookie('csrftoken') },
            });
        } catch {
            throw new Error('Network Error');
        }
        const text = await response.text();
        if (!response.ok) throw new Error(text.startsWith('<') ? `Request failed with status code ${response.status}` : text);
        try {
            return JSON.parse(text);
        } catch {
            return text; // as CVAT's client does
        }
    }

    class BaseCollectionAction {}

    const actions = [];
    const running = [];
    /** `filtered`: what remains of the job's collection before the action's own filter. */
    async function perform(action, parameters, frame, filtered, onProgress, cancelled) {
        const types = action.parameters;
        if (Object.keys(types).join() !== Object.keys(parameters).join()) refuse('every declared parameter must be passed, and no other');
        const parsed = Object.fromEntries(Object.entries(parameters).map(
            ([name, value]) => [name, types[name].type === 'number' ? Number(value) : value],
        ));
        const frameData = { ...config.image, number: frame };
        running.push(action);
        try {
            await action.init(job, parsed);
            const collection = action.applyFilter({ collection: filtered, frameData });
            if ([...collection.shapes, ...collection.tracks].some(({ clientID }) => !Number.isInteger(clientID))) refuse('clientID is required');
            const byUser = (list) => list.filter((object) => !(config.filters ?? []).some((hidden) => hidden.label_id === object.label_id));
            const { created, deleted } = await action.run({
                collection: { shapes: byUser(collection.shapes), tags: [], tracks: byUser(collection.tracks) }, frameData, onProgress, cancelled,
            });
            await commit(created, deleted);
        } finally {
            await action.destroy();
        }
    }

    const core = {
        classes: config.noCollectionAction ? {} : { BaseCollectionAction },
        actions: {
            async register(action) {
                if (actions.some(({ name }) => name === action.name)) throw new Error(`Action name must be unique. Name "${action.name}" is already exists`);
                actions.push(action);
            },
            run: (instance, action, parameters, from, to, filters, onProgress, cancelled) => perform(action, parameters, from, copy(objects), onProgress, cancelled),
        },
        lambda: {
            async list() {
                const list = await request('GET', '/api/lambda/functions');
                const models = list.map(({ supported_shape_types: types, ...model }) => ({ ...model, supportedShapeTypes: types }));
                return { models, count: models.length };
            },
            call(taskId, model, args) {
                if (!Number.isInteger(taskId) || !model) return Promise.reject(new Error('Bad arguments'));
                return request('POST', `/api/lambda/functions/${model.id}`, { ...args, task: taskId });
            },
        },
        frames: { getMeta: async (type, id) => { if (type !== 'job' || id !== job.id) refuse('no such job'); return { deletedFrames: config.deleted ?? {} }; } },
    };

    /* ------------------------------------------------ page */

    const h = (tag, props = {}, ...children) => {
        const element = Object.assign(document.createElement(tag), props);
        element.append(...children);
        return element;
    };
    const root = document.getElementById('root');
    const canvas = h('canvas', config.image);

    function paint(context, shape, colour) {
        context.fillStyle = colour;
        if (shape.type === 'polygon') {
            context.beginPath();
            for (let i = 0; i < shape.points.length; i += 2) context.lineTo(shape.points[i], shape.points[i + 1]);
            context.closePath();
            context.fill();
            return;
        }
        const [left, top, right] = shape.points.slice(-4);
        const width = right - left + 1;
        let at = 0;
        shape.points.slice(0, -4).forEach((run, i) => {
            for (let end = at + run; at < end; at += 1) if (i % 2) context.fillRect(left + (at % width), top + Math.floor(at / width), 1, 1);
        });
    }

    function draw() {
        const frame = state.annotation.player.frame.number;
        const picture = new Image();
        picture.onload = () => {
            const context = canvas.getContext('2d');
            context.globalAlpha = 1;
            context.drawImage(picture, 0, 0, canvas.width, canvas.height);
            context.globalAlpha = 0.5;
            const colours = ['#ff4d4f', '#40a9ff', '#73d13d', '#ffc53d', '#9254de', '#36cfc9', '#f759ab'];
            objects.shapes.filter((shape) => shape.frame === frame).forEach((shape, i) => paint(context, shape, colours[(shape.group || i + 1) % 7]));
        };
        picture.src = `/frames/${frame}`;
        const label = document.querySelector('.frame-number');
        if (label) label.textContent = `Frame ${frame}`;
    }

    function menu() {
        const items = (state.plugins.components['annotationPage.menuActions.items'] ?? []).map(({ component }) => component());
        const box = h('div', { className: 'menu' }, ...items.map(({ key, label, onClick }) => {
            const entry = h('button', { onclick: () => { box.remove(); onClick(); } }, label);
            entry.dataset.key = key;
            return entry;
        }));
        document.body.append(box);
    }

    function openPage() {
        const button = (text, onclick) => h('button', { className: 'cvat-annotation-header-button', onclick }, text);
        const left = h('div', { className: config.noHeader ? 'other' : 'cvat-annotation-header-left-group' },
            button('Menu', menu), button('Save', () => {}), button('Undo', undo), button('Redo', redo));
        const player = h('div', { className: 'player' }, h('span', { className: 'frame-number' }));
        root.replaceChildren(h('div', { className: 'cvat-annotation-header' }, left, player), h('div', { className: 'canvas' }, canvas));
        draw();
    }

    const restore = (kept) => kinds.forEach((kind) => { objects[kind] = copy(kept[kind]); });
    function undo() {
        const entry = history.undo.pop();
        if (!entry) return;
        history.redo.push(entry);
        restore(entry.before);
        draw();
    }
    function redo() {
        const entry = history.redo.pop();
        if (!entry) return;
        history.undo.push(entry);
        restore(entry.after);
        draw();
    }

    /** CVAT's window of "Run actions": a thrown error becomes a red notification, a finished run redraws, a cancelled one does not. */
    async function runAction(name, changes = {}, selected = null) {
        const action = actions.find((entry) => entry.name === name);
        const frame = state.annotation.player.frame.number;
        const resolved = (value) => (typeof value === 'function' ? value({ instance: job }) : value);
        const parameters = Object.fromEntries(Object.entries(action.parameters).map(([key, value]) => [key, changes[key] ?? resolved(value.defaultValue)]));
        fake.modal = { cancel: false, progress: [] };
        const chosen = copy(objects);
        if (selected !== null) kinds.forEach((kind) => { chosen[kind] = chosen[kind].filter(({ clientID }) => clientID === selected); });
        try {
            await perform(action, parameters, frame, chosen, (text, percent) => fake.modal.progress.push([text, percent]), () => fake.modal.cancel);
            if (!fake.modal.cancel) store.dispatch(actionCreators.changeFrameAsync(frame, false, 1, true));
        } catch (error) {
            fake.errors.push(error.message);
        }
    }

    const shortcuts = [];
    document.addEventListener('keydown', (event) => shortcuts.push(event.key));

    window.fake = {
        objects, history, actions, core, store, job, drawn, shortcuts, errors: [], modal: null, undo, redo, runAction, running,
        parameters: () => {
            const resolved = (value) => (typeof value === 'function' ? value({ instance: job }) : value);
            return Object.fromEntries(Object.entries(actions[0].parameters).map(
                ([key, value]) => [key, { type: value.type, values: resolved(value.values), defaultValue: resolved(value.defaultValue) }],
            ));
        },
        select: (clientID) => store.dispatch({ type: 'ACTIVE', id: clientID }),
        goTo: (frame) => store.dispatch(actionCreators.changeFrameAsync(frame)),
        leave() {
            store.dispatch({ type: 'JOB', instance: null });
            root.replaceChildren();
        },
        reopen() {
            store.dispatch({ type: 'JOB', instance: job });
            openPage();
        },
        pluginNames: [],
    };

    load();
    if (!config.closed) openPage();
    if (config.noUi) return;
    const mount = () => {
        window.cvatUI = {
            registerComponent(builder) {
                const plugin = builder({ core, store, dispatch: store.dispatch, actionCreators, REGISTER_ACTION: 'ADD_UI_COMPONENT', REMOVE_ACTION: 'REMOVE_UI_COMPONENT' });
                window.fake.pluginNames.push(plugin.name);
                window.fake.destructor = plugin.destructor;
            },
        };
        document.dispatchEvent(new CustomEvent('plugins.ready', { bubbles: true }));
    };
    if (config.late) setTimeout(mount, 300);
    else mount();
})();
