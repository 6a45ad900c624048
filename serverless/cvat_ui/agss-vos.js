(() => {
  // src/authorship.js
  var SOURCE = "auto";
  var PREVIOUS = 1;
  var NEXT = 2;
  var SIGNATURES = 1e6;
  var CHECKS = 1e4;
  var WHOLE = 1e14;
  var POINTS = 6;
  function namesOf(labels) {
    const attributes = labels.flatMap((label) => label.attributes ?? []);
    const byId = (entries) => new Map(entries.filter(({ name }) => name !== void 0).map(({ id, name }) => [id, name]));
    const mutable = new Set(attributes.filter((spec) => spec.mutable).map(({ id }) => id));
    return { labels: byId(labels), attributes: byId(attributes), mutable };
  }
  function author(item, names) {
    if (!item.shapes) {
      const head = marked(item);
      if (head === null) return item.source === SOURCE ? "other" : "person";
      const fits2 = Math.floor(head / 10) % SIGNATURES === number(mask(item, names), SIGNATURES);
      return fits2 && item.source === SOURCE ? "ours" : "person";
    }
    const authors = new Set(keyframeAuthors(item, names).values());
    if (authors.size !== 1) return "person";
    if (authors.has("ours")) return item.source === SOURCE ? "ours" : "person";
    return authors.has("other") ? "other" : "person";
  }
  function keyframeAuthors(track, names) {
    const signed = inOrder(track).map((shape, place) => [shape.frame, isSigned(track, shape, place === 0, names)]);
    const rest = track.source === SOURCE && !signed.some(([, ours]) => ours) ? "other" : "person";
    return new Map(signed.map(([frame, ours]) => [frame, ours ? "ours" : rest]));
  }
  function wasOurs(item, names) {
    if (!item.shapes) return marked(item) !== null;
    return [...keyframeAuthors(item, names).values()].includes("ours");
  }
  function wasOursAs(track, drawing, names) {
    if (!drawing.attributes?.length) return wasOurs(track, names);
    const part = (kind) => drawing.attributes.filter((entry) => names.mutable.has(entry.spec_id) === kind);
    const shapes = track.shapes.map((shape) => ({ ...shape, attributes: part(true) }));
    return wasOurs({ ...track, label_id: drawing.label_id, attributes: part(false), shapes }, names);
  }
  function signMask(shape, names, near = 0) {
    const thousandths = Math.min(Math.floor((shape.score || 0) * 1e3 + 1e-6), 999);
    const head = (thousandths * SIGNATURES + number(mask(shape, names), SIGNATURES)) * 10 + near;
    return { ...shape, source: SOURCE, score: (head * CHECKS + number(head, CHECKS)) / WHOLE };
  }
  function signTrack(item, names, kept = /* @__PURE__ */ new Set()) {
    const shapes = inOrder(item).map((shape, place) => {
      if (kept.has(shape.frame)) return shape;
      const value = number(keyframe(item, shape, place === 0, names), 10 ** Math.min(POINTS, shape.points.length));
      return { ...shape, points: withDigits(shape.points, value) };
    });
    return { ...item, shapes };
  }
  function nearOf(shape) {
    return (marked(shape) ?? 0) % 10;
  }
  function emptied(frames, occupied, near) {
    const place = new Map(frames.map((frame, row) => [frame, row]));
    const gone = /* @__PURE__ */ new Set();
    near.forEach((bits, frame) => {
      [[PREVIOUS, -1], [NEXT, 1]].forEach(([bit, step]) => {
        let row = place.has(frame) && bits & bit ? place.get(frame) + step : -1;
        for (; row >= 0 && row < frames.length && !occupied.has(frames[row]); row += step) gone.add(frames[row]);
      });
    });
    return gone;
  }
  function content(item, names) {
    if (!item.shapes) return JSON.stringify(mask(item, names));
    return JSON.stringify([about(item, names), inOrder(item).map((shape) => form(shape, names, shape.points.map(hundredths)))]);
  }
  var inOrder = (track) => [...track.shapes].sort((a, b) => a.frame - b.frame);
  function marked({ score }) {
    if (typeof score !== "number" || !(score > 0 && score < 1)) return null;
    const digits = Math.round(score * WHOLE);
    const head = Math.floor(digits / CHECKS);
    return digits % CHECKS === number(head, CHECKS) ? head : null;
  }
  function isSigned(track, shape, first, names) {
    const { points } = shape;
    const count2 = Math.min(POINTS, points.length);
    const digits = points.slice(0, count2).map(hundredths).map((value) => (value - 10 * tenths(value) + 10) % 10);
    return count2 > 3 && Number(digits.join("")) === number(keyframe(track, shape, first, names), 10 ** count2);
  }
  function number(what, most) {
    return crc32(new TextEncoder().encode(JSON.stringify(what))) % (most - 1) + 1;
  }
  function crc32(bytes) {
    let sum2 = -1;
    for (const byte of bytes) {
      sum2 ^= byte;
      for (let bit = 0; bit < 8; bit += 1) sum2 = sum2 >>> 1 ^ (sum2 & 1 ? 3988292384 : 0);
    }
    return (sum2 ^ -1) >>> 0;
  }
  var mask = (shape, names) => [...owner(shape, names), ...form(shape, names, shape.points.map(hundredths))];
  function keyframe(track, shape, first, names) {
    const points = shape.points.map(hundredths).map((value, i) => i < POINTS ? tenths(value) : value);
    return [...form(shape, names, points), ...first ? [about(track, names)] : []];
  }
  var about = (track, names) => [...owner(track, names), values(track, names)];
  var owner = (item, names) => [names.labels.get(item.label_id) ?? String(item.label_id), item.group || 0];
  function form(shape, names, points) {
    const flags = [Boolean(shape.occluded), Boolean(shape.outside)];
    return [shape.frame, shape.type, points, ...flags, shape.z_order || 0, values(shape, names)];
  }
  function values(item, names) {
    const given = (item.attributes ?? []).map(({ spec_id: id, value }) => [names.attributes.get(id) ?? String(id), String(value)]);
    return given.sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
  }
  var compare = (a, b) => Number(a > b) - Number(a < b);
  var hundredths = (value) => Math.floor(value * 100 + 0.5);
  var tenths = (value) => Math.floor((value + 5) / 10);
  function withDigits(points, value) {
    const count2 = Math.min(POINTS, points.length);
    const digits = [...String(value).padStart(count2, "0")].map(Number);
    return points.map((point, i) => {
      if (i >= count2) return point;
      return (10 * tenths(hundredths(point)) + (digits[i] < 5 ? digits[i] : digits[i] - 10)) / 100;
    });
  }

  // src/calls.js
  var Sentence = class extends Error {
  };
  var Discarded = class extends Error {
  };
  var BUSY = /* @__PURE__ */ new Set([429, 502, 503]);
  var PAUSES = [1, 2, 4];
  var SENTENCES = {
    400: "The tracker could not use this request. The function may have been updated meanwhile; start again from this frame.",
    401: "CVAT has signed you out. Sign in again in another tab, then try again.",
    403: "Your account may not run trackers on this job. Ask the owner of the project.",
    404: "The tracker is no longer there. Ask whoever runs CVAT whether the AGSS-VOS function is deployed.",
    408: "The tracker took too long for this frame and was restarted. Try again, or track fewer objects at once.",
    413: "This is more than the tracker accepts at once (100 objects, or a very large picture). Track fewer objects.",
    422: "The tracker cannot use this frame or one of its masks. Check the shapes of this frame.",
    429: "The tracker is busy with other work. Try again in a minute.",
    500: "The tracker failed on this frame. Try again; if it happens again, whoever runs CVAT finds the reason in the log of the function.",
    502: "CVAT could not reach the tracker. Ask whoever runs CVAT whether the AGSS-VOS function is running.",
    503: "The tracker is busy, just starting, or short of memory. Try again in a minute, or track fewer objects at once.",
    504: "The tracker took too long for this frame. Try again, or track fewer objects at once."
  };
  function statusOf(error) {
    if (Number.isInteger(error?.code)) return error.code;
    return Number(/\b([45]\d\d)\b/.exec(String(error?.message ?? error))?.[1] ?? 0);
  }
  function explain(error) {
    if (error instanceof Sentence) return error.message;
    const text = String(error?.message ?? error);
    if (/tracker state/i.test(text)) {
      return "What the tracker knew about this video is too old (8 hours) or belongs to an earlier version of it. Start again from this frame.";
    }
    const status = statusOf(error);
    if (!status && /network|fetch|timeout|abort/i.test(text)) {
      return `CVAT did not answer. Check the network connection and try again. (${text})`;
    }
    if (!status) return `Something went wrong that this button does not know. Please report it: ${text}`;
    return `${SENTENCES[status] ?? SENTENCES[status < 500 ? 400 : 500]} (${status})`;
  }
  async function listTrackers(core) {
    const { models } = await core.lambda.list();
    const takesMasks = (model) => {
      const types = model.supportedShapeTypes ?? model.supported_shape_types;
      return !Array.isArray(types) || types.includes("mask");
    };
    const trackers = models.filter((model) => model.kind === "tracker" && takesMasks(model));
    const ours = trackers.filter((model) => /agss/i.test(`${model.id} ${model.name}`));
    return ours.length ? ours : trackers.filter((model) => model.supportedShapeTypes ?? model.supported_shape_types);
  }
  function chooseTracker(trackers, id) {
    if (!trackers.length) {
      throw new Sentence("No AGSS-VOS tracker is deployed on this CVAT. Ask whoever runs CVAT to deploy the AGSS-VOS function.");
    }
    return trackers.find((tracker) => tracker.id === id) ?? trackers[0];
  }
  var Tracker = class {
    /** @type {any} */
    core;
    /** @type {any} */
    job;
    /** @type {any} */
    model;
    constructor(core, job, model) {
      Object.assign(this, { core, job, model });
    }
    /** Starts objects from their masks; returns a state for each. */
    async start(frame, masks) {
      const shapes = masks.map((points) => ({ type: "mask", points }));
      const { states } = await this.call({ type: "init_tracking", frame, shapes }, masks.length);
      return states;
    }
    /** The next frame: {states, shapes}, one each per state sent; a shape may be null. */
    async step(frame, states) {
      const reply = await this.call({ type: "track", frame, states }, states.length);
      if (reply.shapes?.length !== states.length) throw new Sentence(MISFIT);
      return reply;
    }
    async call(message, count2) {
      for (let attempt = 0; ; attempt += 1) {
        try {
          const reply = await this.core.lambda.call(this.job.taskId, this.model, { job: this.job.id, ...message });
          if (reply?.states?.length !== count2) throw new Sentence(MISFIT);
          return reply;
        } catch (error) {
          if (attempt === PAUSES.length || !BUSY.has(statusOf(error))) throw error;
          await sleep(PAUSES[attempt] * 1e3);
        }
      }
    }
  };
  var MISFIT = "The tracker answered with something else than masks of the objects it was asked about. Ask whoever runs CVAT to look at the log of the function.";
  var sleep = (milliseconds) => new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

  // src/identity.js
  var isOutline = (shape) => shape.type === "mask" || shape.type === "polygon";
  var keyframeAt = (track, frame) => track.shapes.find(
    (shape) => shape.frame === frame && shape.type === "polygon" && !shape.outside
  );
  var drawnKeys = (track, names) => {
    const authors = keyframeAuthors(track, names);
    return track.shapes.filter(({ frame, type, outside }) => type === "polygon" && !outside && authors.get(frame) === "person");
  };
  function trackable({ shapes = [], tracks = [] }, frame) {
    return {
      shapes: shapes.filter((shape) => shape.frame === frame && isOutline(shape)),
      tracks: tracks.filter((track) => keyframeAt(track, frame)),
      tags: []
    };
  }
  var between = ({ tracks = [] }, frame) => tracks.filter(
    (track) => track.shapes.some(({ type }) => type === "polygon") && isShown(track, frame) && !keyframeAt(track, frame)
  );
  function sameObject(item, source, names) {
    if (item.group !== source.group) return false;
    return item.label_id === source.label_id || wasOurs(item, names) || Boolean(item.shapes && !source.shapes && wasOursAs(item, source, names));
  }
  var sameItem = (item, source, names) => item.clientID === source.clientID || Boolean(source.group && !item.shapes && !source.shapes && sameObject(item, source, names));
  function deletedOf(all, source, numbers, names) {
    if (!source.group) return /* @__PURE__ */ new Set();
    const own = all.shapes.filter((shape) => sameObject(shape, source, names));
    const shown = all.tracks.filter((track) => sameObject(track, source, names)).flatMap((track) => numbers.filter((number2) => number2 >= track.shapes[0].frame));
    const near = new Map(own.filter(({ type }) => type === "mask").map((shape) => [shape.frame, nearOf(shape)]));
    return emptied(numbers, /* @__PURE__ */ new Set([...own.map(({ frame }) => frame), ...shown]), near);
  }
  function isShown(track, frame) {
    const before = inOrder(track).filter((shape) => shape.frame <= frame).pop();
    return Boolean(before && !before.outside);
  }
  function around({ shapes, tracks }, frame, numbers, names) {
    const present = ({ frame: at }) => numbers.includes(at);
    const drawn = shapes.filter((shape) => shape.group && isOutline(shape) && present(shape) && author(shape, names) === "person");
    drawn.sort((a, b) => Number(wasOurs(a, names)) - Number(wasOurs(b, names)) || a.frame - b.frame);
    const sets = [];
    drawn.forEach((shape) => {
      const known = sets.find(({ source }) => sameObject(shape, source, names));
      if (known) known.keys.push(shape);
      else sets.push({ source: shape, keys: [shape] });
    });
    sets.push(...tracks.map((track) => ({ source: track, keys: drawnKeys(track, names).filter(present) })));
    return sets.map(({ source, keys }) => {
      const frames = keys.map((key) => key.frame).sort((a, b) => a - b);
      const here = frames.includes(frame) ? frame : void 0;
      const low = frames.filter((at) => at < frame).pop() ?? here;
      const high = frames.find((at) => at > frame) ?? here;
      return { source, drawn: keys.find((key) => key.frame === low), low, high };
    }).filter(({ low, high }) => low < high);
  }

  // src/keying.js
  async function shownPoints(job, frame) {
    const states = await job.annotations.get(frame, false, []);
    const shown = states.filter(({ objectType, outside }) => objectType === "track" && !outside);
    return new Map(shown.map(({ clientID, points }) => [clientID, [...points]]));
  }
  function withKeyframe(track, frame, changes) {
    const { id, ...before } = inOrder(track).filter((shape) => shape.frame <= frame).pop();
    const rest = track.shapes.filter((shape) => shape.frame !== frame);
    return { ...track, shapes: inOrder({ shapes: [...rest, { ...before, frame, ...changes }] }) };
  }
  async function withKeyframes(job, tracks, frame) {
    if (tracks.every((track) => keyframeAt(track, frame))) return tracks;
    const shown = await shownPoints(job, frame);
    return tracks.filter((track) => keyframeAt(track, frame) || shown.has(track.clientID)).map((track) => {
      if (keyframeAt(track, frame)) return track;
      return withKeyframe(track, frame, { points: shown.get(track.clientID), outside: false });
    });
  }

  // src/fusing.js
  var SHARPNESS = 6;
  var TINY = 22250738585072014e-324;
  function progressAt(told2, frame) {
    const frames = [...told2.keys()].sort((a, b) => a - b);
    const after = frames.find((at) => at > frame);
    const before = frames.filter((at) => at <= frame).pop();
    if (before === void 0 || after === void 0 || !told2.get(before) || !told2.get(after)) return void 0;
    return (frame - before) / (after - before);
  }
  function fuse(forward, backward, progress) {
    const ids = [.../* @__PURE__ */ new Set([...forward.ids, ...backward.ids])].sort((a, b) => a - b);
    const most = ids.length ? ids[ids.length - 1] : 0;
    const ahead = weights(forward, most, (id) => progress.has(id) ? 1 - progress.get(id) : 1);
    const behind = weights(backward, most, (id) => progress.get(id) ?? 1);
    const total = ahead.map((weight, id) => Math.max(weight + behind[id], TINY));
    const [shareOne, shareTwo] = [ahead, behind].map((weight) => weight.map((value, id) => value / total[id]));
    const labels = new (most > 255 ? Uint16Array : Uint8Array)(forward.labels.length);
    for (let at = 0; at < labels.length; at += 1) {
      const [one, two] = [forward.labels[at], backward.labels[at]];
      labels[at] = one === two || shareOne[one || two] >= shareTwo[two || one] ? one : two;
    }
    const overlap = overlaps(forward.labels, backward.labels, most);
    const scores = new Map(ids.map((id) => {
      const better2 = shareOne[id] >= shareTwo[id] ? forward : backward;
      const agree = forward.ids.includes(id) && backward.ids.includes(id) ? overlap[id] : 1;
      return [id, Number(((better2.scores.get(id) ?? 0) * (0.7 + 0.3 * agree)).toFixed(4))];
    }));
    return { ids, labels, scores };
  }
  function weights({ ids, scores }, most, nearness) {
    const table = new Float64Array(most + 1);
    ids.forEach((id) => {
      table[id] = nearness(id) * (0.05 + 0.95 * (scores.get(id) ?? 0)) ** SHARPNESS;
    });
    return table;
  }
  function overlaps(one, two, most) {
    const [both, either] = [new Float64Array(most + 1), new Float64Array(most + 1)];
    for (let at = 0; at < one.length; at += 1) {
      either[one[at]] += 1;
      if (one[at] === two[at]) both[one[at]] += 1;
      else either[two[at]] += 1;
    }
    return both.map((value, id) => either[id] ? value / either[id] : 1);
  }

  // src/masks.js
  function decodeMask(points) {
    const [left, top, right, bottom] = points.slice(-4);
    const width = right - left + 1;
    const data = new Uint8Array(width * (bottom - top + 1));
    let at = 0;
    for (let i = 0; i < points.length - 4; i += 1) {
      if (i % 2) data.fill(1, at, at + points[i]);
      at += points[i];
    }
    return { left, top, width, height: bottom - top + 1, data };
  }
  function encodeMask({ left, top, width, height, data }) {
    let [x0, y0, x1, y1] = [width, height, -1, -1];
    for (let y = 0; y < height; y += 1) {
      const row = data.subarray(y * width, (y + 1) * width);
      const first = row.indexOf(1);
      if (first < 0) continue;
      x0 = Math.min(x0, first);
      x1 = Math.max(x1, row.lastIndexOf(1));
      y0 = Math.min(y0, y);
      y1 = y;
    }
    if (x1 < 0) return null;
    const points = [];
    let [value, run] = [0, 0];
    for (let y = y0; y <= y1; y += 1) {
      for (let at = y * width + x0; at <= y * width + x1; at += 1) {
        if (data[at] !== value) {
          points.push(run);
          [value, run] = [data[at], 0];
        }
        run += 1;
      }
    }
    return [...points, run, left + x0, top + y0, left + x1, top + y1];
  }
  function checkedMask(points, { width: imageWidth, height: imageHeight }, complaint = DAMAGED_REPLY) {
    const whole = Array.isArray(points) && points.length >= 5 && points.every(Number.isInteger);
    const runs = whole ? points.slice(0, -4) : [];
    const [left, top, right, bottom] = whole ? points.slice(-4) : [0, 0, -1, -1];
    const area = (right - left + 1) * (bottom - top + 1);
    const filled = runs.every((run) => run >= 0) && runs.reduce((sum2, run) => sum2 + run, 0) === area;
    if (!whole || right < left || bottom < top || !filled) {
      throw new Sentence(complaint);
    }
    const seen = runs.some((run, i) => i % 2 === 1 && run > 0);
    const inside = right >= 0 && bottom >= 0 && left < imageWidth && top < imageHeight;
    return seen && inside ? points : null;
  }
  var DAMAGED_REPLY = "The tracker answered with a damaged mask. Its version may not fit this button; ask whoever runs CVAT to update both.";
  function maskOfPolygon(ring, { width: imageWidth, height: imageHeight }) {
    const [xs, ys] = [0, 1].map((odd) => ring.filter((_, i) => i % 2 === odd));
    const clip2 = (value, most2) => Math.min(Math.max(value, 0), most2);
    const least = (values2) => values2.reduce((a, b) => Math.min(a, b));
    const most = (values2) => values2.reduce((a, b) => Math.max(a, b));
    const [left, right] = [clip2(Math.floor(least(xs)), imageWidth), clip2(Math.ceil(most(xs)), imageWidth)];
    const [top, bottom] = [clip2(Math.floor(least(ys)), imageHeight), clip2(Math.ceil(most(ys)), imageHeight)];
    const [width, height] = [right - left, bottom - top];
    if (width <= 0 || height <= 0) return null;
    const data = new Uint8Array(width * height);
    xs.forEach((_, i) => {
      const j = (i + 1) % xs.length;
      toggleRightOf({ data, width, height }, xs[i] - left, ys[i] - top, xs[j] - left, ys[j] - top);
    });
    return encodeMask({ left, top, width, height, data });
  }
  function toggleRightOf({ data, width, height }, x0, y0, x1, y1) {
    const row = (y) => Math.min(Math.max(Math.ceil(y - 0.5), 0), height);
    for (let y = row(Math.min(y0, y1)); y < row(Math.max(y0, y1)); y += 1) {
      const crossing = x0 + (y + 0.5 - y0) * ((x1 - x0) / (y1 - y0));
      for (let x = Math.max(Math.ceil(crossing - 0.5), 0); x < width; x += 1) data[y * width + x] ^= 1;
    }
  }

  // src/labels.js
  function painted(masks, { width, height }) {
    const most = masks.reduce((a, { number: number2 }) => Math.max(a, number2), 0);
    const labels = new (most > 255 ? Uint16Array : Uint8Array)(width * height);
    masks.forEach(({ number: number2, points }) => {
      const box = decodeMask(points);
      for (let y = Math.max(0, -box.top); y < box.height && box.top + y < height; y += 1) {
        for (let x = Math.max(0, -box.left); x < box.width && box.left + x < width; x += 1) {
          if (box.data[y * box.width + x]) labels[(box.top + y) * width + box.left + x] = number2;
        }
      }
    });
    return labels;
  }
  function maskPoints(labels, numbers, { width }) {
    const boxes = new Map(numbers.map((number2) => [number2, [Infinity, Infinity, -1, -1]]));
    for (let at = 0; at < labels.length; at += 1) {
      const box = labels[at] ? boxes.get(labels[at]) : void 0;
      if (!box) continue;
      const [x, y] = [at % width, Math.floor(at / width)];
      if (x < box[0]) box[0] = x;
      if (y < box[1]) box[1] = y;
      if (x > box[2]) box[2] = x;
      if (y > box[3]) box[3] = y;
    }
    return new Map([...boxes].map(([number2, [left, top, right, bottom]]) => {
      if (right < 0) return [number2, null];
      const [wide, high] = [right - left + 1, bottom - top + 1];
      const data = new Uint8Array(wide * high);
      for (let y = 0; y < high; y += 1) {
        for (let x = 0; x < wide; x += 1) data[y * wide + x] = Number(labels[(top + y) * width + left + x] === number2);
      }
      return [number2, encodeMask({ left, top, width: wide, height: high, data })];
    }));
  }

  // src/rings.js
  function signedArea(ring) {
    let [area, n] = [0, ring.length];
    for (let i = 0; i < n; i += 2) area += ring[i] * ring[(i + 3) % n] - ring[(i + 2) % n] * ring[i + 1];
    return area;
  }
  function ringOf({ left, top, width, height, data }) {
    const set = (x, y) => x >= 0 && y >= 0 && x < width && y < height && data[y * width + x] === 1;
    const seen = new Uint8Array((width + 1) * (height + 1));
    let [best, bestArea] = [null, 0];
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        if (!set(x, y) || set(x, y - 1) || seen[y * (width + 1) + x]) continue;
        const ring = walk(set, seen, width + 1, x, y);
        const area = signedArea(ring);
        if (area > bestArea) [best, bestArea] = [ring, area];
      }
    }
    return best && best.map((value, i) => value + (i % 2 ? top : left));
  }
  var EAST_SOUTH_WEST_NORTH = [[1, 0], [0, 1], [-1, 0], [0, -1]];
  function walk(set, seen, stride, startX, startY) {
    const edge = (x2, y2, heading2) => {
      switch (heading2) {
        case 0:
          return set(x2, y2) && !set(x2, y2 - 1);
        case 1:
          return set(x2 - 1, y2) && !set(x2, y2);
        case 2:
          return set(x2 - 1, y2 - 1) && !set(x2 - 1, y2);
        default:
          return set(x2, y2 - 1) && !set(x2 - 1, y2 - 1);
      }
    };
    const ring = [];
    let [x, y, heading] = [startX, startY, 0];
    do {
      if (heading === 0) seen[y * stride + x] = 1;
      x += EAST_SOUTH_WEST_NORTH[heading][0];
      y += EAST_SOUTH_WEST_NORTH[heading][1];
      const next = [heading + 1, heading, heading + 3].map((turn) => turn % 4).find((turn) => edge(x, y, turn));
      if (next !== heading) ring.push(x, y);
      heading = next;
    } while (x !== startX || y !== startY || heading !== 0);
    return ring;
  }

  // src/loop.js
  function follow(object, state) {
    object.state = state;
    object.ended = !state;
  }
  function forget(object) {
    object.state = null;
    object.ended = false;
  }
  async function advance(tracker, objects, frame, image) {
    const here = objects.filter((object) => frame >= object.low && frame <= object.high);
    const followed = here.filter((object) => object.state && !object.given.has(frame));
    const drawn = here.filter((object) => object.given.get(frame)?.mask);
    const none = { states: [], shapes: [] };
    const reply = followed.length ? await tracker.step(frame, followed.map((object) => object.state)) : none;
    const masks = reply.shapes.map((shape) => shape && checkedMask(shape.points, image));
    const started = drawn.length ? await tracker.start(frame, drawn.map((object) => object.given.get(frame).mask)) : [];
    return () => {
      const found = new Map(here.filter((object) => object.ended && !object.given.has(frame)).map((object) => [object, { points: null }]));
      here.filter((object) => object.given.has(frame)).forEach(forget);
      drawn.forEach((object, i) => follow(object, started[i]));
      followed.forEach((object, i) => {
        follow(object, reply.states[i]);
        found.set(object, { points: masks[i], score: reply.shapes[i]?.score });
      });
      return found;
    };
  }
  function resultOf(found, objects, frame, image) {
    const number2 = new Map(objects.map((object, i) => [object, i + 1]));
    const drawn = objects.filter((object) => !found.has(object) && object.given.get(frame)?.mask);
    const all = [
      ...[...found].map(([object, { points, score = 1 }]) => ({ object, points, score })),
      ...drawn.map((object) => ({ object, points: object.given.get(frame).mask, score: 1 }))
    ].map(({ object, ...rest }) => ({ number: number2.get(object), ...rest }));
    return {
      ids: all.map((one) => one.number),
      labels: painted(all.filter(({ points }) => points), image),
      scores: new Map(all.map((one) => [one.number, one.points ? one.score : 0]))
    };
  }
  function beneath(found, objects, frame, image) {
    if (!found.size || !objects.some((object) => object.given.get(frame)?.mask)) return found;
    const result = resultOf(found, objects, frame, image);
    return seenIn(result, objects, new Set(found.keys()), image);
  }
  function fused(ahead, behind, objects, frame, image) {
    const results = [ahead, behind].map((found) => resultOf(found, objects, frame, image));
    const known = /* @__PURE__ */ new Set([...ahead.keys(), ...behind.keys()]);
    if (!known.size) return ahead;
    const told2 = objects.map(({ given }, i) => [i + 1, new Map([...given].map(([at, { mask: mask2 }]) => [at, Boolean(mask2)]))]);
    const progress = told2.map(([number2, of]) => [number2, progressAt(of, frame)]).filter(([, place]) => place !== void 0);
    return seenIn(fuse(results[0], results[1], new Map(
      /** @type {any} */
      progress
    )), objects, known, image);
  }
  function seenIn({ labels, scores }, objects, which, image) {
    const numbers = objects.map((object, i) => [object, i + 1]).filter(([object]) => which.has(object));
    const masks = maskPoints(labels, numbers.map(([, number2]) => number2), image);
    return new Map(numbers.map(([object, number2]) => [object, { points: masks.get(number2), score: scores.get(number2) }]));
  }
  function record(object, frame, { points, score }) {
    if (object.taken.has(frame)) return;
    if (!points) object.lost.push(frame);
    else if (object.kind === "track") object.rings.set(frame, ringOf(decodeMask(points)));
    else object.masks.push({ frame, points, score });
  }
  async function outcomeOf(work, control, done) {
    const outcome = await Promise.race([control.ended, work.then((keep) => ({ keep }), (error) => ({ error }))]);
    const decision = typeof outcome === "string" ? outcome : await control.settled();
    if (decision) return decision;
    return outcome.error ? control.failed(explain(outcome.error), done) : outcome;
  }
  async function trackAll({ tracker, objects, frame = null, frames, image, control }) {
    const [done, behind] = [[], /* @__PURE__ */ new Map()];
    const both = frame === null;
    const orders = both ? [[...frames].reverse(), frames] : [[frame, ...frames]];
    const steps = orders.flatMap((order, pass) => order.map((at, place) => ({ at, place, last: pass === orders.length - 1 })));
    for (let step = 0; step < steps.length; ) {
      const { at, place, last } = steps[step];
      if (!place) objects.forEach(forget);
      control.progress(done.length, at, both ? step : done.length);
      const outcome = await outcomeOf(advance(tracker, objects, at, image), control, done.length);
      if (outcome === "keep") return done;
      if (outcome === "discard") return [];
      if (outcome === "again") continue;
      step += 1;
      const found = outcome.keep();
      if (!last) {
        behind.set(at, found);
        continue;
      }
      const result = both ? fused(found, behind.get(at), objects, at, image) : beneath(found, objects, at, image);
      behind.delete(at);
      result.forEach((one, object) => record(object, at, one));
      if (both || place) done.push(at);
    }
    return done;
  }

  // src/outlines.js
  var REACH = 100;
  var SAMPLES = 48;
  var SMALL = 5;
  function outlineOf(ring) {
    const points = [];
    for (let i = 0; i < ring.length; i += 2) {
      let [x, y] = [ring[i], ring[i + 1]];
      const [toX, toY] = [ring[(i + 2) % ring.length], ring[(i + 3) % ring.length]];
      const [dx, dy] = [Math.sign(toX - x), Math.sign(toY - y)];
      for (; x !== toX || y !== toY; x += dx, y += dy) points.push(x, y);
    }
    return Float64Array.from(points);
  }
  function fitting(tolerance, outline) {
    let twice = 0;
    for (let i = 0; i < outline.length; i += 2) {
      const next = (i + 2) % outline.length;
      twice += outline[i] * outline[next + 1] - outline[i + 1] * outline[next];
    }
    return tolerance * Math.min(1, Math.abs(twice) / 2 / (outline.length / 2) / SMALL);
  }
  function simplified(outline, tolerance) {
    const count2 = outline.length / 2;
    let [far, most] = [0, -1];
    for (let i = 0; i < count2; i += 1) {
      const away = (outline[2 * i] - outline[0]) ** 2 + (outline[2 * i + 1] - outline[1]) ** 2;
      if (away > most) [far, most] = [i, away];
    }
    const kept = /* @__PURE__ */ new Set([0, far]);
    const spans2 = [[0, far], [far, count2]];
    while (spans2.length) {
      const [start2, stop] = spans2.pop();
      let [worst, at] = [-1, -1];
      for (let i = start2 + 1; i < stop; i += 1) {
        const away = fromLine(outline, i, start2, stop % count2);
        if (away > worst) [worst, at] = [away, i];
      }
      if (worst <= tolerance * tolerance) continue;
      kept.add(at);
      spans2.push([start2, at], [at, stop]);
    }
    if (kept.size < 3) [Math.floor(count2 / 3), Math.floor(2 * count2 / 3)].forEach((place) => kept.add(place));
    return [...kept].sort((a, b) => a - b);
  }
  function fromLine(points, i, one, two) {
    const dx = points[2 * two] - points[2 * one];
    const dy = points[2 * two + 1] - points[2 * one + 1];
    const length = dx * dx + dy * dy;
    let x = points[2 * i] - points[2 * one];
    let y = points[2 * i + 1] - points[2 * one + 1];
    const share = clip((x * dx + y * dy) / (length > 0 ? length : 1));
    x -= share * dx;
    y -= share * dy;
    return x * x + y * y;
  }
  var clip = (share) => share < 0 ? 0 : share > 1 ? 1 : share;
  var pointsAt = (outline, places) => Float64Array.from(places.flatMap((i) => [outline[2 * i], outline[2 * i + 1]]));
  function shift(here, there, before) {
    const step = Math.max(1, Math.floor(here.length / 2 / SAMPLES));
    const some = [];
    for (let i = 0; i < here.length / 2; i += step) some.push(here[2 * i], here[2 * i + 1]);
    const [a, b] = [extent(here), extent(there)];
    const low = [b.low[0] - a.low[0], b.low[1] - a.low[1]];
    const high = [b.high[0] - a.high[0], b.high[1] - a.high[1]];
    const middle = [0, 1].map((axis) => Math.floor(b.middle[axis] - a.middle[axis] + 0.5));
    const tried = [before, middle, low, high, [low[0], high[1]], [high[0], low[1]]];
    const costs = tried.map((by2) => cost(some, by2, there));
    let least = Math.min(...costs);
    let by = tried[costs.indexOf(least)];
    for (let size = 4; size >= 1; ) {
      let moved = false;
      for (const [dx, dy] of [[size, 0], [-size, 0], [0, size], [0, -size]]) {
        const to = [by[0] + dx, by[1] + dy];
        const now = cost(some, to, there);
        if (now < least) [by, least, moved] = [to, now, true];
      }
      if (!moved) size = Math.floor(size / 2);
    }
    return by;
  }
  function extent(outline) {
    const [low, high, sums] = [[Infinity, Infinity], [-Infinity, -Infinity], [0, 0]];
    outline.forEach((value, i) => {
      low[i % 2] = Math.min(low[i % 2], value);
      high[i % 2] = Math.max(high[i % 2], value);
      sums[i % 2] += value;
    });
    return { low, high, middle: sums.map((sum2) => sum2 / (outline.length / 2)) };
  }
  function cost(some, by, outline) {
    const [byX, byY] = by;
    let sum2 = 0;
    for (let i = 0; i < some.length; i += 2) {
      const [px, py] = [some[i] + byX, some[i + 1] + byY];
      let nearest = REACH;
      for (let k = 0; k < outline.length; k += 2) {
        const x = px - outline[k];
        const y = py - outline[k + 1];
        const away = x * x + y * y;
        if (away < nearest) nearest = away;
      }
      sum2 += nearest;
    }
    return sum2;
  }

  // src/pairing.js
  var MARGIN = 0.5;
  function paired(one, two) {
    if (one.length !== two.length) return false;
    const [a, b] = [relative(one), relative(two)];
    const margin = MARGIN / Math.min(lengthOf(one), lengthOf(two));
    return a.every((value, i) => {
      const meant = Math.abs(value - b[i]) + margin;
      return (i === 0 || meant < Math.abs(value - b[i - 1])) && (i === a.length - 1 || meant < Math.abs(value - b[i + 1]));
    });
  }
  function edges(ring) {
    const n = ring.length;
    return Array.from({ length: n / 2 }, (_, i) => {
      const dx = ring[(2 * i + 2) % n] - ring[2 * i];
      const dy = ring[(2 * i + 3) % n] - ring[2 * i + 1];
      return Math.sqrt(dx * dx + dy * dy);
    });
  }
  var lengthOf = (ring) => edges(ring).reduce((total, length) => total + length);
  function relative(ring) {
    const sums = [];
    edges(ring).forEach((length, i) => sums.push((i ? sums[i - 1] : 0) + (length + 1e-9)));
    return [0, ...sums].map((value) => value / sums[sums.length - 1]);
  }
  function bestStart(one, two) {
    const [a, b] = [relative(one), relative(two)];
    const ahead = a.slice(0, -1).map((value, i) => value - b[i]);
    const middle = (Math.max(...ahead) + Math.min(...ahead)) / 2;
    const away = ahead.map((value) => Math.abs(value - middle));
    return away.indexOf(Math.min(...away));
  }

  // src/settling.js
  var PULL = 1;
  var STAY = 0.1;
  function settled(start2, outline, rounds) {
    let polygon = Float64Array.from(start2);
    const [count2, length] = [polygon.length / 2, outline.length / 2];
    for (let round = 0; round < rounds; round += 1) {
      const feet = feetOf(polygon, outline);
      const weight = new Float64Array(count2).fill(STAY);
      const pull = new Float64Array(2 * count2);
      for (const ahead of [0, 1]) {
        for (let row = 0; row < length; row += 1) {
          const vertex = (feet.edge[row] + ahead) % count2;
          const by = ahead ? feet.share[row] : 1 - feet.share[row];
          weight[vertex] += by;
          pull[2 * vertex] += by * feet.x[row];
          pull[2 * vertex + 1] += by * feet.y[row];
        }
      }
      const moved = new Float64Array(2 * count2);
      for (let i = 0; i < count2; i += 1) {
        const nearest = nearestTo(polygon, i, outline).place;
        for (const axis of [0, 1]) {
          const way = pull[2 * i + axis] + PULL * (outline[2 * nearest + axis] - polygon[2 * i + axis]);
          moved[2 * i + axis] = polygon[2 * i + axis] + way / (weight[i] + PULL);
        }
      }
      polygon = moved;
    }
    return polygon;
  }
  function feetOf(polygon, outline, all = null) {
    const [count2, length] = [polygon.length / 2, outline.length / 2];
    const [share, x, y] = [0, 0, 0].map(() => new Float64Array(length));
    const least = new Float64Array(length).fill(Infinity);
    const edge = new Int32Array(length);
    for (let one = 0; one < count2; one += 1) {
      const next = (one + 1) % count2;
      const [fromX, fromY] = [polygon[2 * one], polygon[2 * one + 1]];
      const dx = polygon[2 * next] - fromX;
      const dy = polygon[2 * next + 1] - fromY;
      let squared = dx * dx + dy * dy;
      if (!(squared > 0)) squared = 1;
      for (let row = 0; row < length; row += 1) {
        const wayX = outline[2 * row] - fromX;
        const wayY = outline[2 * row + 1] - fromY;
        const part = clip((wayX * dx + wayY * dy) / squared);
        const restX = wayX - part * dx;
        const restY = wayY - part * dy;
        const away = restX * restX + restY * restY;
        if (all) all[one * length + row] = away;
        if (away < least[row]) {
          least[row] = away;
          edge[row] = one;
          share[row] = part;
          x[row] = restX;
          y[row] = restY;
        }
      }
    }
    return { edge, share, x, y, least };
  }
  function nearestTo(polygon, vertex, outline) {
    let [place, least] = [0, Infinity];
    for (let row = 0; row < outline.length / 2; row += 1) {
      const away = squaredTo(polygon, vertex, outline, row);
      if (away < least) [place, least] = [row, away];
    }
    return { place, least };
  }
  function squaredTo(polygon, vertex, outline, row) {
    const x = outline[2 * row] - polygon[2 * vertex];
    const y = outline[2 * row + 1] - polygon[2 * vertex + 1];
    return x * x + y * y;
  }
  function fits(polygon, outline, tolerance) {
    const [count2, length, most] = [polygon.length / 2, outline.length / 2, tolerance * tolerance];
    const away = new Float64Array(count2 * length);
    if (feetOf(polygon, outline, away).least.some((least) => least > most)) return false;
    const vertices = Array.from({ length: count2 }, (_, vertex) => nearestTo(polygon, vertex, outline));
    if (vertices.some(({ least }) => least > most)) return false;
    const first = vertices.reduce((best, { least }, i) => least < vertices[best].least ? i : best, 0);
    const start2 = vertices[first].place;
    let reached2 = new Uint8Array(length + 1);
    reached2[0] = 1;
    for (let step = 0; step < count2; step += 1) {
      const edge = (first + step) % count2;
      const onward = new Uint8Array(length + 1);
      let going = false;
      let any = false;
      for (let place = 0; place <= length; place += 1) {
        const row = (start2 + place) % length;
        going = away[edge * length + row] <= most && (going || reached2[place] === 1);
        if (going && squaredTo(polygon, (edge + 1) % count2, outline, row) <= most) {
          onward[place] = 1;
          any = true;
        }
      }
      if (!any) return false;
      reached2 = onward;
    }
    return reached2[length] === 1;
  }

  // src/keyframes.js
  var SIGNATURE_SHIFT = 0.1;
  var LONGEST = 64;
  var SHARES = [1, 0.7];
  var ROUNDS = 20;
  var PATIENCE = 2;
  function* thinning(frames, rings, tolerance) {
    const keys = [];
    const within = tolerance - SIGNATURE_SHIFT;
    for (let place = 0; place < frames.length; ) {
      let best = [];
      for (const share of SHARES) {
        const found = [];
        for (const key of new Stretch(frames, rings, place, within, share).keys()) {
          found.push(key);
          yield;
        }
        if (!best.length || better(found, best, place)) best = found;
      }
      keys.push(...best.map((key) => ({ frame: frames[key.place], points: [...key.points] })));
      place = best[best.length - 1].place + 1;
    }
    return keys;
  }
  function better(found, best, place) {
    const [one, two] = [found, best].map((keys) => (keys[keys.length - 1].place - place + 1) / keys.length);
    return one > two || one === two && found[0].points.length < best[0].points.length;
  }
  function thin(frames, rings, tolerance) {
    const work = thinning(frames, rings, tolerance);
    let step = work.next();
    while (!step.done) step = work.next();
    return step.value;
  }
  var Stretch = class {
    /** @type {any} */
    start;
    /** @type {any} */
    tolerance;
    /** @type {any} */
    frames;
    /** @type {any} */
    rings;
    constructor(frames, rings, start2, tolerance, share) {
      Object.assign(this, { frames, rings, start: start2, tolerance });
      this.last = Math.min(start2 + LONGEST, frames.length - 1);
      const first = outlineOf(rings[start2]);
      this.outlines = [first];
      this.within = [fitting(tolerance, first)];
      this.lies = [settled(pointsAt(first, simplified(first, share * this.within[0])), first, ROUNDS)];
      this.moved = [0, 0];
    }
    /** Keyframes {place, points}, by place in the list of frames. */
    *keys() {
      const found = this.first();
      yield* found;
      for (let key = found[1]; key; key = this.farthest(key)) if (key !== found[1]) yield key;
    }
    /** The first two keyframes, both chosen freely; or a single one, with the fewest corners. */
    first() {
      let best = null;
      let begin = 0;
      for (let end = this.start + 1, misses = 0; end <= this.last && misses <= PATIENCE; end += 1) {
        const carried = this.lie(this.start, end);
        const turn = bestStart(carried[0], carried[carried.length - 1]);
        const lies = carried.map((polygon) => turned(polygon, turn));
        const at = this.at(this.start, end);
        const mean = scaled(sum(lies), lies.length);
        const middle = at.reduce((a, b) => a + b) / at.length;
        const slope = slopeOf(at.map((value) => value - middle), lies, mean);
        const ends = [at[0], at[at.length - 1]].map((value) => along(mean, slope, value - middle));
        const pairs = [[mean, mean], ends, [lies[0], lies[lies.length - 1]]];
        const good = pairs.map((pair) => pair.map(rounded)).find(([one, two]) => this.holds(this.start, end, one, two));
        misses = good ? 0 : misses + 1;
        if (!good) continue;
        best = [{ place: this.start, points: good[0] }, { place: end, points: good[1] }];
        begin = turn;
      }
      this.lies = this.lies.map((polygon) => turned(polygon, begin));
      const [outline] = this.outlines;
      return best ?? [{ place: this.start, points: pointsAt(outline, simplified(outline, this.within[0])) }];
    }
    /** The farthest keyframe that can follow one; null where no frame can. */
    farthest({ place: start2, points }) {
      let best = null;
      for (let end = start2 + 1, misses = 0; end <= this.last && misses <= PATIENCE; end += 1) {
        const lies = this.lie(start2, end);
        const at = this.at(start2, end);
        const tries = [points, along(points, slopeOf(at, lies, points), at[at.length - 1]), lies[lies.length - 1]];
        const good = tries.map(rounded).find((to) => this.holds(start2, end, points, to));
        misses = good ? 0 : misses + 1;
        if (good) best = { place: end, points: good };
      }
      return best;
    }
    /** CVAT pairs the vertices as they are meant, and every frame on the way keeps within the tolerance. */
    holds(start2, end, one, two) {
      if (!paired(one, two)) return false;
      const at = this.at(start2, end);
      for (let place = end; place >= start2; place -= 1) {
        const share = at[place - start2] / at[at.length - 1];
        const shown = one.map((value, i) => value + (two[i] - value) * share);
        if (!fits(shown, this.outlines[place - this.start], this.within[place - this.start])) return false;
      }
      return true;
    }
    /** Numbers of the frames from `start` on. */
    at(start2, end) {
      return this.frames.slice(start2, end + 1).map((frame) => frame - this.frames[start2]);
    }
    /** Where the vertices lie in these frames, carried on as far as is asked for. */
    lie(start2, end) {
      while (this.lies.length <= end - this.start) {
        const here = this.outlines[this.outlines.length - 1];
        const there = outlineOf(this.rings[this.start + this.lies.length]);
        this.moved = shift(here, there, this.moved);
        this.outlines.push(there);
        this.within.push(fitting(this.tolerance, there));
        const carried = this.lies[this.lies.length - 1].map((value, i) => value + this.moved[i % 2]);
        this.lies.push(settled(carried, there, ROUNDS));
      }
      return this.lies.slice(start2 - this.start, end - this.start + 1);
    }
  };
  var sum = (polygons) => polygons.reduce((total, polygon) => total.map((value, i) => value + polygon[i]));
  var turned = (polygon, by) => Float64Array.of(...polygon.slice(2 * by), ...polygon.slice(0, 2 * by));
  var scaled = (polygon, by) => polygon.map((value) => value / by);
  var along = (polygon, slope, by) => polygon.map((value, i) => value + slope[i] * by);
  var rounded = (polygon) => polygon.map((value) => Math.floor(value * 10 + 0.5) / 10);
  function slopeOf(at, lies, from) {
    const above = sum(lies.map((polygon, row) => polygon.map((value, i) => at[row] * (value - from[i]))));
    return scaled(above, at.reduce((total, value) => total + value * value, 0));
  }

  // src/neighbours.js
  function beside(frame, numbers) {
    const place = numbers.indexOf(frame);
    return [[PREVIOUS, numbers[place - 1]], [NEXT, numbers[place + 1]]].filter(([, at]) => place >= 0 && at !== void 0);
  }
  var nearIn = (there, frame, numbers) => beside(frame, numbers).reduce(
    (near, [bit, at]) => near | (there.has(at) ? bit : 0),
    0
  );
  function staying({ source, group: group2 }, items, names) {
    const object = { ...source, group: group2 };
    return items.filter((item) => item.type === "mask" && sameObject(item, object, names) && author(item, names) === "ours");
  }
  function told(masks, there, { done, numbers, names }) {
    const settled2 = new Set(done);
    return masks.map((mask2) => {
      const sides = beside(mask2.frame, numbers).filter(([, at]) => settled2.has(at));
      const near = sides.reduce((bits, [bit, at]) => there.has(at) ? bits | bit : bits & ~bit, nearOf(mask2));
      return [mask2, near === nearOf(mask2) ? mask2 : signMask(mask2, names, near)];
    }).filter(([before, after]) => before !== after);
  }

  // src/result.js
  var emptyCollection = () => ({ shapes: [], tags: [], tracks: [] });
  function copyOf(object, changes) {
    const { id, clientID, ...rest } = object;
    return { ...rest, ...changes };
  }
  function attributesAt(object, at) {
    const passed = [...object.given].filter(([other, { shape }]) => shape && (object.first < at ? other <= at : other >= at));
    passed.sort(([a], [b]) => Math.abs(a - at) - Math.abs(b - at));
    const values2 = (item) => new Map((item?.attributes ?? []).map(({ spec_id: id, value }) => [id, value]));
    const [first, here] = [new Map([...values2(object.drawn), ...values2(object.source)]), values2(passed[0]?.[1].shape)];
    const specs = object.label?.attributes ?? [];
    const known = specs.map(({ id, mutable, defaultValue = "" }) => ({
      mutable,
      entry: { spec_id: id, value: (mutable ? here.get(id) : void 0) ?? first.get(id) ?? defaultValue }
    }));
    return [false, true].map((kind) => known.filter(({ mutable }) => Boolean(mutable) === kind).map(({ entry }) => entry));
  }
  function maskShape(object, { frame, points, score }, there, { numbers, names }) {
    const { label_id, z_order = 0 } = object.source;
    return signMask({
      type: "mask",
      frame,
      points,
      label_id,
      group: object.group,
      source: SOURCE,
      z_order,
      rotation: 0,
      occluded: false,
      outside: false,
      elements: [],
      attributes: attributesAt(object, frame).flat(),
      score: Number.isFinite(score) ? score : 1
    }, names, nearIn(there, frame, numbers));
  }
  function maskShapes(object, items, run) {
    const stay = staying(object, items, run.names);
    const there = new Set([...object.masks, ...stay].map(({ frame }) => frame).concat([...object.deleted]));
    return [object.masks.map((mask2) => maskShape(object, mask2, there, run)), told(stay, there, run)];
  }
  function exactKeys(object, tolerance) {
    const ring = (shape, mask2) => {
      if (shape.type === "polygon") return shape.points;
      const outline = outlineOf(ringOf(decodeMask(mask2)));
      return [...pointsAt(outline, simplified(outline, fitting(tolerance, outline)))];
    };
    return new Map([...object.given].map(([at, { shape, mask: mask2 }]) => [at, { shape, points: mask2 && ring(shape, mask2) }]));
  }
  async function chooseKeys(objects, tolerance) {
    for (const object of objects.filter(({ kind }) => kind === "track")) {
      const frames = [...object.rings.keys()].sort((a, b) => a - b);
      object.keys = [];
      for (const span of spansOf(frames, object)) {
        const work = thinning(span, span.map((frame) => object.rings.get(frame)), tolerance);
        let step = work.next();
        for (; !step.done; step = work.next()) await new Promise((resolve) => {
          setTimeout(resolve);
        });
        object.keys.push(...step.value);
      }
    }
  }
  function spansOf(frames, object) {
    const breaks = [...object.given.keys(), ...object.lost, ...object.taken];
    const spans2 = [];
    frames.forEach((frame, i) => {
      const before = frames[i - 1];
      if (i && !breaks.some((at) => at > before && at < frame)) spans2[spans2.length - 1].push(frame);
      else spans2.push([frame]);
    });
    return spans2;
  }
  function trackShapes(object, { done, lastFrame, tolerance, later }) {
    const exact = exactKeys(object, tolerance);
    const make = (frame, points, outside, occluded = false) => ({
      type: "polygon",
      rotation: 0,
      z_order: object.drawn.z_order ?? 0,
      frame,
      points,
      outside,
      occluded,
      attributes: attributesAt(object, frame)[1]
    });
    const keys = new Map(object.keys.map(({ frame, points }) => [frame, points]));
    const frames = [.../* @__PURE__ */ new Set([object.first, ...reached(object, done)])].sort((a, b) => a - b);
    const shapes = [];
    let shown = null;
    [...frames, frames[frames.length - 1] + 1].forEach((frame) => {
      const drawn = exact.get(frame);
      if (drawn ? drawn.points : keys.has(frame)) {
        shown = drawn ? drawn.points : keys.get(frame);
        shapes.push(make(frame, shown, false, drawn?.shape.occluded));
      } else if (shown && !object.rings.has(frame) && frame <= (later ? frames[frames.length - 1] : lastFrame)) {
        shapes.push(make(frame, shown, true));
        shown = null;
      }
    });
    return shapes;
  }
  var reached = (object, done) => done.filter((frame) => frame >= object.low && frame <= object.high);
  function newTrack(object, shapes, { names }) {
    const { label_id, group: group2 = 0 } = object.source;
    const [fixed] = attributesAt(object, object.first);
    const track = { label_id, group: group2, source: SOURCE, frame: shapes[0].frame, attributes: fixed, elements: [], shapes };
    return signTrack(track, names, new Set(object.given.keys()));
  }
  function continuedTrack(object, run) {
    const { names } = run;
    const done = reached(object, run.done);
    const [low, high] = [Math.min(...done), Math.max(...done)];
    const authors = keyframeAuthors(object.source, names);
    const stays = ({ frame }) => frame === object.first || frame < low || frame > high || authors.get(frame) !== "ours";
    const kept = object.source.shapes.filter(stays);
    const taken = new Set(kept.map(({ frame }) => frame));
    const later = kept.some(({ frame }) => frame >= high);
    const fresh = trackShapes(object, { ...run, later }).filter(({ frame }) => !taken.has(frame));
    const merged = inOrder({ shapes: [...kept, ...fresh] }).map(({ id, ...shape }) => shape);
    const track = copyOf(object.source, { frame: merged[0].frame, shapes: merged });
    return signTrack(track, names, taken);
  }
  function assemble(objects, run) {
    const { done, now, names } = run;
    const [created, deleted] = [emptyCollection(), emptyCollection()];
    if (!done.length) return { created, deleted };
    const present = new Map([...now.shapes, ...now.tracks].map((object) => [object.clientID, object]));
    const remove = (clientID) => {
      const object = present.get(clientID);
      if (object) (object.shapes ? deleted.tracks : deleted.shapes).push(object);
      present.delete(clientID);
    };
    objects.filter((object) => present.has(object.source.clientID) && reached(object, done).length).forEach((object) => {
      object.replaced.forEach((clientIDs, at) => done.includes(at) && clientIDs.forEach(remove));
      if (object.kind === "mask") {
        const [made, beside2] = maskShapes(object, [...present.values()], run);
        created.shapes.push(...made, ...beside2.map(([, after]) => copyOf(after, {})));
        beside2.forEach(([{ clientID }]) => remove(clientID));
        if (!object.masks.length || object.source.group === object.group) return;
        created.shapes.push(copyOf(object.source, { group: object.group }));
      } else if (object.source.shapes) {
        const track = continuedTrack(object, run);
        if (content(track, names) === content(present.get(object.source.clientID), names)) return;
        created.tracks.push(track);
      } else {
        const shapes = trackShapes(object, { ...run, later: false });
        if (shapes.every((shape) => shape.frame === object.first || shape.outside)) return;
        created.tracks.push(newTrack(object, shapes, run));
      }
      remove(object.source.clientID);
    });
    return withoutRepeats({ created, deleted }, names);
  }
  function withoutRepeats({ created, deleted }, names) {
    const key = (shape) => `${content(shape, names)} ${nearOf(shape)}`;
    const old = new Map(deleted.shapes.filter((shape) => author(shape, names) === "ours").map((shape) => [key(shape), shape]));
    const same = new Set(created.shapes.map(key).filter((text) => old.has(text)));
    const stays = new Set([...same].map((text) => old.get(text)));
    return {
      created: { ...created, shapes: created.shapes.filter((shape) => !same.has(key(shape))) },
      deleted: { ...deleted, shapes: deleted.shapes.filter((shape) => !stays.has(shape)) }
    };
  }
  function summarize(objects, done, { created, deleted }) {
    const lists = [created.shapes, created.tracks, deleted.shapes, deleted.tracks];
    return {
      objects: objects.length,
      frames: done.length,
      last: done[done.length - 1],
      unchanged: lists.every((list) => !list.length),
      kept: objects.filter((object) => [...object.deleted].some((frame) => object.taken.has(frame))).length,
      regrouped: objects.filter((object) => object.newGroup && object.source.group && object.masks.length).length,
      lost: objects.filter((object) => object.lost.length).map((object) => ({ name: object.name, frames: [...object.lost].sort((a, b) => a - b) }))
    };
  }

  // src/modal.js
  var ModalControl = class {
    /** @type {any} */
    onProgress;
    /** @type {any} */
    total;
    /** @type {any} */
    keep;
    /** @type {any} */
    page;
    /** @type {any} */
    job;
    /** @type {any} */
    steps;
    constructor(page2, { onProgress, cancelled, job, settings }) {
      Object.assign(this, { page: page2, onProgress, job, keep: settings.keep });
      this.ended = new Promise((resolve) => {
        this.timer = setInterval(() => {
          if (!page2.isOpen(job)) resolve("discard");
          else if (cancelled()) resolve(settings.keep ? "keep" : "discard");
        }, 200);
      });
    }
    begin(total, objects, steps) {
      Object.assign(this, { total, objects, steps });
    }
    progress(done, frame, steps) {
      this.onProgress(`Frame ${frame}: ${done} of ${this.total} frames done`, Math.floor(steps / this.steps * 100));
    }
    async settled() {
    }
    async failed(text, done) {
      if (!done || !this.keep) throw new Sentence(text);
      this.reason = text;
      return "keep";
    }
    nothing() {
      return { created: emptyCollection(), deleted: emptyCollection() };
    }
    finish(summary) {
      this.page.report(this.job, { ...summary, reason: this.reason });
    }
    close() {
      clearInterval(this.timer);
    }
  };

  // src/objects.js
  function resultKind(output, source, label) {
    if (source.shapes || label?.type === "polygon") return "track";
    if (label?.type === "mask") return "mask";
    if (output === "drawn") return source.type === "polygon" ? "track" : "mask";
    return output;
  }
  function framesBetween(numbers, deleted, frame, target) {
    const backward = target < frame;
    const [low, high] = backward ? [target, frame - 1] : [frame + 1, target];
    const between2 = numbers.filter((number2) => number2 >= low && number2 <= high && !deleted[number2]);
    return between2.sort((a, b) => backward ? b - a : a - b);
  }
  var TrackedObject = class {
    constructor({ source, drawn, low = -Infinity, high = Infinity }, label, output, image) {
      this.source = source;
      this.first = drawn.frame;
      this.low = low;
      this.high = high;
      this.label = label;
      this.kind = resultKind(output, source, label);
      this.start = toMask(drawn, image);
      this.group = source.group || 0;
      this.newGroup = false;
      this.given = /* @__PURE__ */ new Map();
      this.replaced = /* @__PURE__ */ new Map();
      this.taken = /* @__PURE__ */ new Set();
      this.deleted = /* @__PURE__ */ new Set();
      this.masks = [];
      this.rings = /* @__PURE__ */ new Map();
      this.keys = [];
      this.lost = [];
      this.state = null;
      this.ended = false;
      this.drawn = drawn;
      this.give(drawn, this.start);
    }
    /** As people can find it; a group that it got in this run counts only once something is saved with it. */
    get name() {
      const label = this.label?.name ?? `label ${this.source.label_id}`;
      const group2 = this.newGroup && !this.masks.length ? this.source.group : this.group;
      return group2 ? `${label} (group ${group2})` : label;
    }
    /** Sorts what is already there of this object on the frames to come. */
    meet(all, { frames: every, numbers, image, names, again }) {
      const frames = every.filter((frame) => frame >= this.low && frame <= this.high);
      const coming = new Set(frames);
      if (this.source.shapes) {
        this.meetKeys(frames, image, names);
        return;
      }
      if (!this.group || this.newGroup) return;
      const same = (item) => sameObject(item, this.source, names);
      all.shapes.filter((shape) => coming.has(shape.frame) && isOutline(shape) && same(shape)).forEach((shape) => this.meetShape(shape, author(shape, names), image));
      all.tracks.filter((track) => same(track)).forEach((track) => this.meetTrack(track, author(track, names), frames, numbers));
      if (this.kind === "mask") this.deleted = deletedOf(all, this.source, numbers, names);
      if (!again) this.keepDeleted(frames);
    }
    /** What was deleted up to where the object is drawn again, or to the end, is not there: it takes nothing from others. */
    keepDeleted(frames) {
      this.deleted.forEach((frame) => this.taken.add(frame));
      let ending = true;
      [...frames].sort((a, b) => b - a).forEach((frame) => {
        if (this.given.has(frame) || !this.deleted.has(frame)) ending = this.given.has(frame);
        else if (ending) this.given.set(frame, { shape: null, mask: null });
      });
    }
    /** Keyframes of the object's own track that are not ours; one that says "outside" holds up to the next keyframe. */
    meetKeys(frames, image, names) {
      const authors = keyframeAuthors(this.source, names);
      const keys = inOrder(this.source);
      keys.forEach((shape, i) => {
        if (authors.get(shape.frame) === "ours") return;
        const held = shape.outside ? keys[i + 1]?.frame ?? Infinity : shape.frame + 1;
        frames.filter((frame) => frame >= shape.frame && frame < held).forEach((frame) => this.given.set(frame, { shape, mask: shape.outside ? null : toMask(shape, image) }));
      });
    }
    meetShape(shape, by, image) {
      if (by === "ours") {
        this.replace(shape, shape.frame);
        return;
      }
      if (by === "other") this.taken.add(shape.frame);
      const known = this.given.get(shape.frame)?.shape.clientID ?? shape.clientID;
      const mask2 = by === "person" && known === shape.clientID ? toMask(shape, image) : null;
      if (!mask2) return;
      this.give(shape, mask2);
      if (this.kind === "track") this.replace(shape, shape.frame);
    }
    /** A track beside a drawing: one of ours gives way as a whole, and beside one of people nothing is added. */
    meetTrack(track, by, frames, numbers) {
      const first = Math.min(...track.shapes.map(({ frame }) => frame));
      if (by !== "ours") {
        frames.filter((frame) => frame >= first).forEach((frame) => this.taken.add(frame));
        return;
      }
      const visible = numbers.filter((frame) => isShown(track, frame));
      const inside = visible.filter((frame) => frames.includes(frame) || frame === this.first);
      if (inside.length === visible.length) this.replace(track, frames[0]);
      else if (inside.length) throw new Sentence(cutting(this.name, visible));
    }
    give(shape, mask2) {
      this.given.set(shape.frame, { shape, mask: mask2 });
    }
    replace({ clientID }, frame) {
      this.replaced.set(frame, [...this.replaced.get(frame) ?? [], clientID]);
    }
  };
  var cutting = (name, frames) => `An earlier run wrote a polygon track of ${name} over frames ${frames[0]} to ${frames[frames.length - 1]}, which would be cut. Track over all of these frames, or delete that track first.`;
  var AS_MASK = {
    mask: (shape, image) => checkedMask(shape.points, image, `A mask on frame ${shape.frame} is damaged. Draw it again, then start tracking.`),
    polygon: (shape, image) => maskOfPolygon(shape.points, image)
  };
  function toMask(shape, image) {
    if (Object.hasOwn(AS_MASK, shape.type)) return AS_MASK[shape.type](shape, image);
    throw new Sentence(`The shape on frame ${shape.frame} is of type ${shape.type}, which cannot be tracked here. Draw a mask or a polygon.`);
  }
  function plan(run) {
    const { chosen, all, frame, output, labels, both } = run;
    const label = new Map(labels.map((entry) => [entry.id, entry]));
    const items = [...chosen.shapes, ...chosen.tracks];
    const isChosen = ({ source }) => items.some((item) => sameItem(item, source, run.names));
    const starts = both ? around(all, frame, run.numbers, run.names).filter(isChosen) : items.map(
      (source) => ({ source, drawn: source.shapes ? keyframeAt(source, frame) : source })
    );
    const objects = starts.map((start2) => new TrackedObject(start2, label.get(start2.source.label_id), output, run.image));
    if (!both) group(objects, all, frame);
    objects.forEach((object) => object.meet(all, run));
    return objects.filter((object) => object.start);
  }
  function group(objects, all, frame) {
    const neighbours = trackable(all, frame).shapes;
    const alike = (a, b) => a.label_id === b.label_id && a.group === b.group;
    objects.filter((object) => !object.source.shapes).forEach((object) => {
      const first = neighbours.find((shape) => alike(shape, object.source));
      const shared = Boolean(object.group && first && first.clientID !== object.source.clientID);
      object.newGroup = object.kind === "mask" ? shared || !object.group : shared;
    });
    let most = Math.max(0, ...[all.shapes, all.tracks].map(
      (list) => list.reduce((highest, { group: value }) => Math.max(highest, value || 0), 0)
    ));
    objects.filter((object) => object.newGroup && object.kind === "mask").forEach((object) => {
      most += 1;
      object.group = most;
    });
  }

  // src/settings.js
  var NAME = "Track all objects";
  var END = "Not here any more";
  var SETTINGS_KEY = "agss-vos.settings.1";
  var OUTPUTS = { drawn: "As drawn", mask: "Masks", track: "Polygon tracks" };
  var WAYS = { to: "To a frame", both: "Both ways between what people drew" };
  var TOLERANCE = { least: 0.5, most: 20, usual: 2 };
  var DEFAULTS = { output: "drawn", tolerance: TOLERANCE.usual, reach: "end", keep: true, model: "" };
  function loadSettings() {
    let saved = null;
    try {
      saved = JSON.parse(localStorage.getItem(SETTINGS_KEY));
    } catch {
    }
    const valid = {
      output: (value) => Object.hasOwn(OUTPUTS, value),
      tolerance: (value) => Number.isFinite(value) && value >= TOLERANCE.least && value <= TOLERANCE.most,
      reach: (value) => value === "start" || value === "end" || Number.isInteger(value) && value !== 0,
      keep: (value) => typeof value === "boolean",
      model: (value) => typeof value === "string"
    };
    const read = (key) => valid[key](saved?.[key]) ? saved[key] : DEFAULTS[key];
    return Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, read(key)]));
  }
  function saveSettings(settings) {
    try {
      localStorage.setItem(SETTINGS_KEY, JSON.stringify(settings));
    } catch {
    }
  }
  function reachOf(target, frame, { startFrame, stopFrame }) {
    if (target === stopFrame) return "end";
    return target === startFrame ? "start" : target - frame;
  }
  function targetOf(reach, frame, { startFrame, stopFrame }) {
    const target = { start: startFrame, end: stopFrame }[reach] ?? Math.min(Math.max(frame + reach, startFrame), stopFrame);
    if (target !== frame) return target;
    return frame === stopFrame ? startFrame : stopFrame;
  }

  // src/action.js
  var PARAMETERS = {
    way: "Way",
    target: "Track to frame",
    keyframes: "Make keyframes here where tracks have none",
    output: "Result",
    tolerance: "Tolerance of tracks (pixels)",
    keep: "Keep finished frames when cancelled",
    model: "Tracker"
  };
  function toParameters(declared, { way, target, keyframes, output, tolerance, keep, model }) {
    const values2 = { way: WAYS[way], target, keyframes, output: OUTPUTS[output], tolerance, keep, model };
    const used = Object.entries(PARAMETERS).filter(([, label]) => label in declared);
    return Object.fromEntries(used.map(([key, label]) => [label, String(values2[key])]));
  }
  function fromParameters(parameters, defaults) {
    const value = (key) => parameters[PARAMETERS[key]];
    return {
      both: value("way") === WAYS.both,
      target: Number(value("target")),
      keyframes: String(value("keyframes")) === "true",
      output: Object.keys(OUTPUTS).find((key) => OUTPUTS[key] === value("output")) ?? defaults.output,
      tolerance: Number(value("tolerance")) || defaults.tolerance,
      keep: String(value("keep") ?? defaults.keep) === "true",
      model: value("model") ?? defaults.model
    };
  }
  function actionClass(page2) {
    const { core, store } = page2;
    return class TrackAllObjects extends core.classes.BaseCollectionAction {
      /** `only`: clientID of the one object to track. `again`: also what was deleted. `control`: see trackAll; CVAT's own window by default. */
      constructor({ only = null, again = false, control = null } = {}) {
        super();
        Object.assign(this, { only, again, makeControl: control ?? ((input) => new ModalControl(page2, input)) });
      }
      get name() {
        return NAME;
      }
      get parameters() {
        const settings = loadSettings();
        const frame = () => store.getState().annotation.player.frame.number;
        const models = page2.trackers.map((tracker) => tracker.id);
        const text = (key) => PARAMETERS[key];
        return {
          [text("way")]: { type: "select", values: Object.values(WAYS), defaultValue: WAYS.to },
          [text("target")]: {
            type: "number",
            values: ({ instance }) => [String(instance.startFrame), String(instance.stopFrame), "1"],
            defaultValue: ({ instance }) => String(targetOf(settings.reach, frame(), instance))
          },
          [text("keyframes")]: { type: "checkbox", values: ["true", "false"], defaultValue: "false" },
          [text("output")]: { type: "select", values: Object.values(OUTPUTS), defaultValue: OUTPUTS[settings.output] },
          [text("tolerance")]: { type: "number", values: [TOLERANCE.least, TOLERANCE.most, TOLERANCE.least].map(String), defaultValue: String(settings.tolerance) },
          [text("keep")]: { type: "checkbox", values: ["true", "false"], defaultValue: String(settings.keep) },
          ...models.length > 1 && {
            [text("model")]: {
              type: "select",
              values: models,
              defaultValue: models.includes(settings.model) ? settings.model : models[0]
            }
          }
        };
      }
      async init(job, parameters) {
        this.job = job;
        this.settings = fromParameters(parameters, loadSettings());
      }
      async destroy() {
        if (this.mustRedraw) setTimeout(() => page2.redraw(), 300);
        this.mustRedraw = false;
      }
      isApplicableForObject({ objectType, shapeType }) {
        return shapeType === "polygon" || shapeType === "mask" && objectType === "shape";
      }
      applyFilter({ collection, frameData: { number: number2 } }) {
        const { both, keyframes } = this.settings;
        const { shapes, tracks, tags } = both ? everywhere(collection) : trackable(collection, number2);
        if (keyframes && !both) tracks.push(...between(collection, number2));
        const names = namesOf(this.job.labels);
        const only = [...shapes, ...tracks].find(({ clientID }) => clientID === this.only);
        const wanted = (item) => this.only === null || Boolean(only && sameItem(item, only, names));
        return { shapes: shapes.filter(wanted), tracks: tracks.filter(wanted), tags };
      }
      async run({ collection, frameData, onProgress, cancelled }) {
        if (page2.running) throw new Sentence("Tracking is already running. Wait until it has ended.");
        page2.running = true;
        const control = this.makeControl({ onProgress, cancelled, job: this.job, settings: this.settings });
        try {
          return await this.track(collection, frameData, control);
        } finally {
          control.close();
          page2.running = false;
        }
      }
      async track(chosen, image, control) {
        const { job, settings: { both, output, target, tolerance, model } } = this;
        const frame = image.number;
        const [trackers, { frames: ahead, deleted, present }, all] = await Promise.all([
          explained(listTrackers(core)),
          framesOf(core, job, frame, target),
          job.annotations.export()
        ]);
        const tracker = new Tracker(core, job, chooseTracker(trackers, model));
        const names = namesOf(job.labels);
        const tracks = both ? chosen.tracks : await withKeyframes(job, chosen.tracks, frame);
        const objects = plan({
          chosen: { ...chosen, tracks },
          all,
          frame,
          both,
          output,
          labels: job.labels,
          image,
          names,
          again: this.again,
          frames: both ? present : ahead,
          numbers: present
        });
        const inside = (number2) => objects.some(({ low, high }) => number2 >= low && number2 <= high);
        const frames = both ? present.filter(inside) : ahead;
        const reason = refusal({ objects, frames, frame, deleted, both });
        if (reason) throw new Sentence(reason);
        saveSettings({ ...this.settings, reach: both ? loadSettings().reach : reachOf(target, frame, job) });
        control.begin(frames.length, objects, frames.length * (both ? 2 : 1));
        const done = await trackAll({ tracker, objects, frame: both ? null : frame, frames, image, control });
        if (!done.length) return control.nothing();
        await chooseKeys(objects, tolerance);
        const result = assemble(objects, {
          done,
          numbers: present,
          names,
          tolerance,
          lastFrame: job.stopFrame,
          now: await job.annotations.export()
        });
        const partial = done.length < frames.length;
        this.mustRedraw = partial && control instanceof ModalControl;
        control.finish({ ...summarize(objects, done, result), partial });
        return result;
      }
    };
  }
  var explained = (promise) => promise.catch((error) => {
    throw new Sentence(explain(error));
  });
  async function framesOf(core, job, frame, target) {
    const [numbers, meta] = await explained(Promise.all([job.frames.frameNumbers(), core.frames.getMeta("job", job.id)]));
    const deleted = meta.deletedFrames ?? {};
    const present = numbers.filter((number2) => !deleted[number2]).sort((a, b) => a - b);
    return { frames: framesBetween(numbers, deleted, frame, target), deleted: Boolean(deleted[frame]), numbers, present, allDeleted: deleted };
  }
  var everywhere = ({ shapes, tracks }) => ({
    shapes: shapes.filter((shape) => shape.group && isOutline(shape)),
    tracks: tracks.filter((track) => track.shapes.some(({ type }) => type === "polygon")),
    tags: []
  });
  function refusal({ objects, frames, frame, deleted, both }) {
    if (both) return objects.length ? null : `No object is drawn on both sides of frame ${frame}. ${BOTH_SIDES}`;
    if (deleted) return `Frame ${frame} is deleted. Restore it, or start from another frame.`;
    if (!objects.length) return `There is no mask or polygon to track on frame ${frame}. Draw the objects first.`;
    return frames.length ? null : "There is no frame to track to. Choose another target frame of this job.";
  }
  var BOTH_SIDES = "Draw it before and after this frame; masks and polygons of one object need one group (G).";

  // src/ending.js
  var KINDS = /* @__PURE__ */ new Set(["polygon", "rectangle"]);
  function endable({ shapes, tracks }, frame) {
    return [
      ...shapes.filter((shape) => shape.frame === frame && shape.group && isOutline(shape)),
      ...tracks.filter((track) => track.shapes.every(({ type }) => KINDS.has(type)) && isShown(track, frame))
    ];
  }
  function endOf(item, frame, all, names, frozen) {
    return item.shapes ? endOfTrack(item, frame, names, frozen) : endOfShapes(item, frame, all, names);
  }
  function endOfShapes(item, frame, all, names) {
    const own = all.shapes.filter((shape) => shape.frame >= frame && isOutline(shape) && sameObject(shape, item, names));
    const later = own.filter((shape) => shape.frame > frame && author(shape, names) !== "ours").map((shape) => shape.frame);
    const next = later.length ? Math.min(...later) : void 0;
    return { created: [], deleted: own.filter((shape) => shape.frame === frame || shape.frame < (next ?? Infinity)), next };
  }
  function endOfTrack(track, frame, names, frozen) {
    const authors = keyframeAuthors(track, names);
    const keys = inOrder(track);
    const next = keys.find((key) => key.frame > frame && authors.get(key.frame) !== "ours")?.frame;
    const before = keys.filter((key) => key.frame < frame).pop();
    const kept = keys.filter((key) => key.frame < frame || key.frame >= (next ?? Infinity));
    if (!kept.some(({ outside }) => !outside)) return { created: [], deleted: [track], next: void 0 };
    const { id, clientID, ...copy } = track;
    let ended = { ...copy, frame: kept[0].frame, shapes: kept };
    const stays = new Set(kept.map((key) => key.frame));
    const moves = before && frozen && String(frozen.points) !== String(before.points);
    if (moves && !stays.has(frozen.frame)) ended = withKeyframe(ended, frozen.frame, { points: frozen.points, outside: false });
    if (before) ended = withKeyframe(ended, frame, { outside: true });
    const shapes = ended.shapes.map(({ id: old, ...shape }) => shape);
    return { created: [signTrack({ ...ended, shapes }, names, stays.add(frame))], deleted: [track], next };
  }
  async function endAll(job, items, frame, numbers, names) {
    const all = await job.annotations.export();
    const previous = numbers.filter((number2) => number2 < frame).pop();
    const shown = previous === void 0 ? /* @__PURE__ */ new Map() : await shownPoints(job, previous);
    const [created, deleted] = [0, 0].map(() => ({ shapes: [], tracks: [], tags: [] }));
    const nexts = items.map((item) => {
      const points = shown.get(item.clientID);
      const end = endOf(item, frame, all, names, points && { frame: previous, points });
      created.tracks.push(...end.created);
      deleted[item.shapes ? "tracks" : "shapes"].push(...end.deleted);
      return { item, next: end.next };
    });
    return { created, deleted, nexts };
  }

  // src/endaction.js
  function endActionClass({ core }) {
    return class EndObjects extends core.classes.BaseCollectionAction {
      /** `clientIDs`: of what is ended on the frame. */
      constructor(clientIDs) {
        super();
        this.clientIDs = new Set(clientIDs);
      }
      get name() {
        return END;
      }
      get parameters() {
        return {};
      }
      async init(job) {
        this.job = job;
      }
      async destroy() {
      }
      isApplicableForObject() {
        return false;
      }
      applyFilter({ collection, frameData }) {
        const chosen = endable(collection, frameData.number).filter(({ clientID }) => this.clientIDs.has(clientID));
        return { shapes: chosen.filter((item) => !item.shapes), tracks: chosen.filter((item) => item.shapes), tags: [] };
      }
      /** `nexts` is then {item, next} of each: the frame on which a person drew it again. */
      async run({ collection, frameData: { number: number2 } }) {
        const { present } = await framesOf(core, this.job, number2, number2);
        const items = [...collection.shapes, ...collection.tracks];
        const { created, deleted, nexts } = await endAll(this.job, items, number2, present, namesOf(this.job.labels));
        this.nexts = nexts;
        return { created, deleted };
      }
    };
  }

  // src/elements.js
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    Object.entries(attributes).forEach(([key, value]) => {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== null && value !== void 0) element.setAttribute(key, value);
    });
    element.append(...children.flat().filter((child) => child !== null && child !== void 0 && child !== false));
    return element;
  }
  function button(text, onclick, { primary = false, danger = false, ...attributes } = {}) {
    const kind = `${primary ? " agss-vos-primary" : ""}${danger ? " agss-vos-danger" : ""}`;
    return h("button", { type: "button", class: `agss-vos-button${kind}`, onclick, ...attributes }, text);
  }
  function icon() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    Object.entries({
      viewBox: "2 2 20 19",
      width: "22",
      height: "21",
      fill: "none",
      stroke: "currentColor",
      "stroke-width": "1.6",
      "stroke-linejoin": "round",
      "stroke-linecap": "round",
      "aria-hidden": "true"
    }).forEach(([key, value]) => svg.setAttribute(key, value));
    ["M3 6.5 7 4l4 2.5v5L7 14l-4-2.5z", "M13 12.5 17 10l4 2.5v5L17 20l-4-2.5z", "M14.5 4.5h5m-2-2 2 2-2 2"].forEach((d) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", d);
      svg.append(path);
    });
    return svg;
  }
  var count = (number2, noun) => `${number2} ${noun}${number2 === 1 ? "" : "s"}`;

  // src/notices.js
  var Notices = class {
    constructor() {
      this.list = h("div", { class: "agss-vos-notices", role: "region", "aria-label": `${NAME}: messages` });
      document.body.append(this.list);
    }
    /** `lines`: text, or [text, button, ...]. Stays until closed unless `seconds` is given. */
    show({ kind, title, lines = [], seconds = 0 }) {
      const notice = h(
        "div",
        { class: `agss-vos-notice agss-vos-${kind}`, role: kind === "error" ? "alert" : "status" },
        h("div", { class: "agss-vos-notice-title" }, title),
        lines.map((line) => h("p", {}, line)),
        button("×", () => notice.remove(), { class: "agss-vos-close", "aria-label": "Close this message" })
      );
      this.list.append(notice);
      while (this.list.children.length > 4) this.list.firstChild.remove();
      if (seconds) setTimeout(() => notice.matches(":hover, :focus-within") || notice.remove(), seconds * 1e3);
    }
  };
  function spans(frames, shown = 4) {
    const parts = [];
    frames.forEach((frame) => {
      const last = parts[parts.length - 1];
      if (last && last[1] === frame - 1) last[1] = frame;
      else parts.push([frame, frame]);
    });
    const text = parts.slice(0, shown).map(([a, b]) => a === b ? String(a) : `${a}-${b}`).join(", ");
    return parts.length > shown ? `${text} and more` : text;
  }

  // src/dialog.js
  var fieldOf = (label, input, hint) => h("div", { class: "agss-vos-field" }, h("label", { for: input.id }, label), h("div", {}, input, hint));
  function selectOf(id, options, value) {
    const select = h("select", { id, class: "agss-vos-input" }, Object.entries(options).map(([key, text]) => h("option", { value: key }, text)));
    select.value = value;
    return select;
  }
  var OUTPUT_HINTS = {
    drawn: "Masks stay masks, one per frame. Polygons become polygon tracks.",
    mask: "One mask per frame; the masks of an object share a group.",
    track: "One track per object, with keyframes only where the tolerance needs them. Holes and smaller separate parts are left out."
  };
  function askSettings(panel, facts, settings) {
    return new Promise((resolve) => {
      const { job, frame, shapes, keyable, selected, trackers, between: between2, deleted, drawnAround, endable: endable2 } = facts;
      const target = h("input", {
        id: "agss-vos-target",
        class: "agss-vos-input agss-vos-number",
        type: "number",
        min: job.startFrame,
        max: job.stopFrame,
        step: 1,
        required: true,
        "aria-describedby": "agss-vos-frames",
        "data-focus": true
      });
      target.value = targetOf(settings.reach, frame, job);
      const frames = h("p", { id: "agss-vos-frames", class: "agss-vos-hint", "aria-live": "polite" });
      const output = selectOf("agss-vos-output", OUTPUTS, settings.output);
      const outputHint = h("p", { class: "agss-vos-hint" });
      const tolerance = h("input", {
        id: "agss-vos-tolerance",
        class: "agss-vos-input agss-vos-number",
        type: "number",
        required: true,
        min: TOLERANCE.least,
        max: TOLERANCE.most,
        step: TOLERANCE.least,
        "aria-describedby": "agss-vos-tolerance-hint"
      });
      tolerance.value = settings.tolerance;
      const toleranceField = fieldOf("Tolerance", tolerance, h(
        "p",
        { id: "agss-vos-tolerance-hint", class: "agss-vos-hint" },
        "Pixels a track may leave the outline, fewer for small objects; more gives fewer keyframes."
      ));
      const names = Object.fromEntries(trackers.map((tracker) => [tracker.id, tracker.name || tracker.id]));
      const model = selectOf("agss-vos-model", names, names[settings.model] ? settings.model : trackers[0].id);
      const scope = selected && scopeField(shapes, keyable, selected);
      const again = deleted > 0 ? againField(deleted) : null;
      const here = shapes.length || keyable.length;
      const ways = { ...here && { to: WAYS.to }, ...drawnAround.length && { both: WAYS.both } };
      const way = selectOf("agss-vos-way", ways, here ? "to" : "both");
      const wayHint = h("p", { class: "agss-vos-hint" });
      const keyframes = keyable.length > 0 ? keyframesField(keyable, !shapes.length) : null;
      const only = () => scope?.querySelector("input:checked").value === "one" ? selected.clientID : null;
      const submit = h("button", { type: "submit", class: "agss-vos-button agss-vos-primary" }, "Track");
      const jump = (text, to) => button(text, () => {
        target.value = to;
        update();
      }, { "aria-label": `${text}: frame ${to}`, disabled: to === frame });
      const targetField = fieldOf("To frame", target, [
        h("span", { class: "agss-vos-jumps" }, jump("Job start", job.startFrame), jump("Job end", job.stopFrame)),
        frames
      ]);
      const update = () => {
        const both = way.value === "both";
        const list = between2(target.valueAsNumber);
        const ends = drawnAround.filter(({ clientIDs }) => only() === null || clientIDs.has(only()));
        frames.textContent = describeFrames(frame, list, job);
        wayHint.textContent = both ? describeBoth(ends) : "";
        targetField.hidden = both;
        target.disabled = both;
        if (keyframes) keyframes.hidden = both;
        const made = keyframes?.querySelector("input").checked ? keyable : [];
        const tracked = both ? ends : [...shapes, ...made];
        submit.disabled = both ? !ends.length : !list.numbers.length || !tracked.length;
        outputHint.textContent = OUTPUT_HINTS[output.value];
        const tracks = output.value === "track" || output.value === "drawn" && tracked.some(({ type }) => type !== "mask");
        toleranceField.hidden = !tracks;
        tolerance.disabled = !tracks;
      };
      const form2 = h(
        "form",
        {
          oninput: update,
          onsubmit: (event) => {
            event.preventDefault();
            const checked = (field) => Boolean(field?.querySelector("input").checked);
            resolve({
              way: way.value,
              target: Number(target.value),
              keyframes: checked(keyframes),
              output: output.value,
              tolerance: Number(tolerance.value),
              keep: settings.keep,
              model: model.value,
              again: checked(again),
              only: only()
            });
          }
        },
        scope || h("p", { class: "agss-vos-lead" }, leadOf(shapes, keyable, frame), facts.note && h("span", { class: "agss-vos-hint" }, ` ${facts.note}`)),
        drawnAround.length > 0 && fieldOf("Frames", way, wayHint),
        targetField,
        keyframes,
        fieldOf("Result", output, outputHint),
        toleranceField,
        again,
        trackers.length > 1 && fieldOf("Tracker", model),
        h(
          "div",
          { class: "agss-vos-buttons" },
          endable2.length > 0 && button("Not here any more…", () => resolve("end"), { class: "agss-vos-link agss-vos-aside" }),
          button("Cancel", () => resolve(null)),
          submit
        )
      );
      update();
      panel.show(NAME, form2, () => resolve(null));
      target.select();
    });
  }
  function leadOf(shapes, keyable, frame) {
    if (shapes.length) return `${countShapes(shapes)} on frame ${frame}.`;
    return keyable.length ? `No keyframe on frame ${frame}.` : `Nothing is drawn on frame ${frame} itself.`;
  }
  function keyframesField(tracks, checked) {
    const box = h("input", { id: "agss-vos-keyframes", type: "checkbox", checked });
    return fieldOf(
      "Keyframes",
      h("label", { class: "agss-vos-choice" }, box, h("span", {}, `Make one here for ${count(tracks.length, "polygon track")}`)),
      h("p", { class: "agss-vos-hint" }, "CVAT shows a shape here without a keyframe. It becomes one, which counts as yours, and tracking starts from it.")
    );
  }
  function describeBoth(ends) {
    if (!ends.length) return "The selected object is not drawn on both sides of this frame.";
    const [low, high] = [Math.min(...ends.map((end) => end.low)), Math.max(...ends.map((end) => end.high))];
    return `${count(ends.length, "object")} between frames ${low} and ${high}, tracked from both ends and fused, each between its own nearest drawings.`;
  }
  function scopeField(shapes, keyable, selected) {
    const choice = (value, text, checked) => h(
      "label",
      { class: "agss-vos-choice" },
      h("input", { type: "radio", name: "agss-vos-scope", value, checked }),
      h("span", {}, text)
    );
    return h("fieldset", { class: "agss-vos-field" }, h("legend", {}, "Objects"), h(
      "div",
      {},
      choice("all", `All on this frame: ${countShapes([...shapes, ...keyable])}`, true),
      choice("one", `Only the selected one: ${selected.name}`, false)
    ));
  }
  function againField(frames) {
    const box = h("input", { id: "agss-vos-again", type: "checkbox" });
    return fieldOf(
      "Deleted",
      h("label", { class: "agss-vos-choice" }, box, h("span", {}, "Track again")),
      h("p", { class: "agss-vos-hint" }, `Masks of an earlier run were deleted on ${count(frames, "frame")} and stay deleted.`)
    );
  }
  function countShapes(shapes) {
    const kinds = { mask: "mask", polygon: "polygon", track: "polygon track" };
    const parts = Object.keys(kinds).map((kind) => [shapes.filter(({ type }) => type === kind).length, kinds[kind]]);
    return parts.filter(([number2]) => number2).map(([number2, noun]) => count(number2, noun)).join(", ");
  }
  function describeFrames(frame, { numbers, deleted, target, inside }, { startFrame, stopFrame }) {
    if (!inside) return `Choose a frame of this job, ${startFrame} to ${stopFrame}.`;
    if (target === frame) return "This is the current frame. Choose another one.";
    if (!numbers.length) return "All frames up to there are deleted.";
    const left = deleted ? ` ${count(deleted, "deleted frame")} left out.` : "";
    return `${target > frame ? "Forward" : "Backward"} over ${count(numbers.length, "frame")}.${left}`;
  }

  // src/endform.js
  function askEnding(panel, { frame, endable: endable2, active, nameOf: nameOf2 }) {
    return new Promise((resolve) => {
      const boxes = endable2.map((item) => [item, h("input", { type: "checkbox", checked: item.clientID === active })]);
      const submit = h("button", { type: "submit", class: "agss-vos-button agss-vos-primary" }, "End them");
      const chosen = () => boxes.filter(([, box]) => box.checked).map(([{ clientID }]) => clientID);
      const update = () => {
        submit.disabled = !chosen().length;
      };
      const kind = (item) => item.shapes ? "track" : item.type;
      const form2 = h(
        "form",
        {
          oninput: update,
          onsubmit: (event) => {
            event.preventDefault();
            resolve(chosen());
          }
        },
        h("p", { class: "agss-vos-lead" }, `From frame ${frame} on, up to where a person drew it again, this is not there:`),
        h("fieldset", { class: "agss-vos-field" }, h("legend", {}, "Objects"), h("div", {}, boxes.map(([item, box]) => h(
          "label",
          { class: "agss-vos-choice" },
          box,
          h("span", {}, `${nameOf2(item)}: ${kind(item)}`)
        )))),
        h(
          "p",
          { class: "agss-vos-hint" },
          "Tracks go outside here. Masks and polygons of this frame are removed, and those that machines made on later frames."
        ),
        h("div", { class: "agss-vos-buttons" }, button("Back", () => resolve("back")), submit)
      );
      update();
      panel.show(END, form2, () => resolve(null));
    });
  }

  // src/facts.js
  async function factsOf(page2, job, frame) {
    const [all, listed, { numbers, present, allDeleted, deleted }] = await Promise.all([
      job.annotations.export(),
      page2.listTrackers(),
      framesOf(page2.core, job, frame, frame)
    ]);
    if (deleted) throw new Sentence(`Frame ${frame} is deleted. Restore it, or start from another frame.`);
    const names = namesOf(job.labels);
    const { shapes, tracks } = trackable(all, frame);
    const asTrack = (track) => ({ ...track, type: "track" });
    const [found, keyable] = [[...shapes, ...tracks.map(asTrack)], between(all, frame).map(asTrack)];
    chooseTracker(listed);
    const everything = [...all.shapes, ...all.tracks];
    const drawnAround = around(all, frame, present, names).map(({ source, low, high }) => ({
      low,
      high,
      type: source.type ?? "track",
      clientIDs: new Set(everything.filter((item) => sameItem(item, source, names)).map(({ clientID }) => clientID))
    }));
    if (!found.length && !keyable.length && !drawnAround.length) {
      throw new Sentence(`There is no mask or polygon on frame ${frame}, and no object is drawn on both sides of it. Draw the objects first, then track them. To track both ways: ${BOTH_SIDES}`);
    }
    const gone = new Set(shapes.flatMap((shape) => [...deletedOf(all, shape, present, names)]));
    const { filters, activatedStateID } = page2.annotation.annotations ?? {};
    const active = [...found, ...keyable].find(({ clientID }) => clientID === activatedStateID);
    return {
      job,
      frame,
      shapes: found,
      keyable,
      drawnAround,
      trackers: listed,
      deleted: gone.size,
      endable: endable(all, frame),
      active: activatedStateID,
      between: (target) => {
        const inside = Number.isInteger(target) && target >= job.startFrame && target <= job.stopFrame;
        const every = inside ? framesBetween(numbers, {}, frame, target) : [];
        const left = every.filter((number2) => !allDeleted[number2]);
        return { target, inside, numbers: left, deleted: every.length - left.length };
      },
      selected: active && found.length + keyable.length > 1 && { clientID: active.clientID, name: nameOf(job, active) },
      nameOf: (item) => nameOf(job, item),
      note: filters?.length ? "Those that your filter hides are left out." : ""
    };
  }
  function nameOf(job, object) {
    const label = job.labels.find(({ id }) => id === object.label_id)?.name ?? "object";
    return object.group ? `${label} (group ${object.group})` : label;
  }

  // src/panel.js
  var Panel = class {
    constructor() {
      this.title = h("h2", { id: "agss-vos-title", class: "agss-vos-title" }, NAME);
      this.face = h("div", { class: "agss-vos-face" });
      this.dialog = h("dialog", { class: "agss-vos-dialog", "aria-labelledby": "agss-vos-title", tabindex: -1 }, this.title, this.face);
      this.dialog.addEventListener("cancel", (event) => {
        event.preventDefault();
        this.escape?.();
      });
      this.keys = (event) => {
        if (event.type === "keydown" && event.key === "Escape") {
          event.preventDefault();
          this.escape?.();
        }
        if (!this.dialog.contains(event.target)) event.preventDefault();
        if (!this.dialog.contains(event.target) || event.key === "Escape") event.stopImmediatePropagation();
      };
      this.inside = (event) => event.stopPropagation();
    }
    open() {
      this.before = /** @type {any} */
      document.activeElement;
      document.body.append(this.dialog);
      ["keydown", "keyup", "keypress"].forEach((type) => {
        window.addEventListener(type, this.keys, true);
        this.dialog.addEventListener(type, this.inside);
      });
      this.dialog.showModal();
    }
    close() {
      this.escape = null;
      ["keydown", "keyup", "keypress"].forEach((type) => window.removeEventListener(type, this.keys, true));
      this.dialog.close();
      this.dialog.remove();
      if (this.before?.isConnected) this.before.focus();
    }
    show(title, content2, escape) {
      this.escape = escape;
      this.title.textContent = title;
      this.face.replaceChildren(...[content2].flat());
      const wanted = this.face.querySelector("[data-focus]") ?? this.face.querySelector("button, input, select") ?? this.dialog;
      wanted.focus();
    }
    /** Asks; resolves to the value of the button pressed. `answers`: [[value, text, look]]; the last is the calm one. */
    ask(title, lines, answers, escape) {
      return new Promise((resolve) => {
        const buttons = answers.map(([value, text2, look]) => button(text2, () => resolve(value), look));
        const text = [lines].flat().map((line) => h("p", {}, line));
        this.show(
          title,
          [h("div", { role: "alert" }, text), h("div", { class: "agss-vos-buttons" }, buttons)],
          escape && (() => resolve(escape))
        );
      });
    }
  };

  // src/progress.js
  function duration(seconds) {
    if (seconds < 5) return "a few seconds";
    if (seconds < 55) return `${Math.ceil(seconds / 5) * 5} seconds`;
    const minutes = Math.round(seconds / 60);
    return count(minutes || 1, "minute");
  }
  var DialogControl = class {
    /** @type {any} */
    panel;
    /** @type {any} */
    objects;
    /** @type {any} */
    total;
    /** @type {any} */
    steps;
    constructor(page2, panel, job) {
      Object.assign(this, { page: page2, panel });
      this.ended = new Promise((resolve) => {
        this.end = resolve;
      });
      this.timer = setInterval(() => {
        if (page2.isOpen(job)) return;
        this.left = true;
        this.end("discard");
      }, 300);
      this.warn = (event) => event.preventDefault();
      window.addEventListener("beforeunload", this.warn);
      this.done = 0;
    }
    /** `steps`: calls in all, more than there are frames where they are gone through twice. */
    begin(total, objects, steps) {
      Object.assign(this, { total, objects, steps });
      this.started = null;
      this.bar = h("progress", { class: "agss-vos-bar", max: steps, "aria-label": "Frames done" });
      this.where = h("p", { "aria-live": "off" });
      this.rest = h("p", { class: "agss-vos-hint" });
      this.view();
    }
    view() {
      const stop = button("Stop", () => this.stop());
      this.panel.show(
        `Tracking ${count(this.objects.length, "object")}`,
        [this.where, this.bar, this.rest, h("div", { class: "agss-vos-buttons" }, stop)],
        () => this.stop()
      );
    }
    progress(done, frame, steps) {
      this.done = done;
      if (!this.started && steps) this.started = { at: performance.now(), steps };
      this.where.textContent = `Frame ${frame}, ${done} of ${this.total} done${steps > done ? ", tracked from both ends" : ""}`;
      if (steps) this.bar.value = steps;
      this.rest.textContent = [this.remaining(steps), this.lostNow()].filter(Boolean).join(" ");
    }
    remaining(steps) {
      if (!this.started || steps <= this.started.steps) return "The tracker is starting; the first frame takes longer.";
      const perStep = (performance.now() - this.started.at) / 1e3 / (steps - this.started.steps);
      return `About ${duration(perStep * (this.steps - steps))} left.`;
    }
    lostNow() {
      const last = this.done && this.objects.filter((object) => object.lost.length);
      return last && last.length ? `Lost on some frames: ${last.map((object) => object.name).join(", ")}.` : "";
    }
    answers(goOn) {
      const keep = this.done > 0 && ["keep", `Keep ${count(this.done, "frame")}`, { primary: true, "data-focus": true }];
      const look = keep ? {} : { primary: true, "data-focus": true };
      return [["discard", keep ? "Discard" : "End", { danger: Boolean(keep) }], [...goOn, look], keep].filter(Boolean);
    }
    /** Stop asks first: minutes of tracking are not lost to one key. Tracking pauses meanwhile. */
    stop() {
      const lines = this.done ? `${this.done} of ${this.total} frames are done.` : "No frame is done yet.";
      this.question = this.panel.ask("Stop tracking?", lines, this.answers(["on", "Continue"]), "on").then((answer) => {
        this.question = null;
        if (answer !== "on") this.end(answer);
        else this.view();
        return answer === "on" ? void 0 : answer;
      });
    }
    async settled() {
      return this.question ?? void 0;
    }
    async failed(text, done) {
      const lines = done ? [text, `${done} of ${this.total} frames are done.`] : text;
      const asked = this.panel.ask("Tracking stopped", lines, this.answers(["again", "Try again"]), done ? null : "discard");
      const answer = await Promise.race([asked, this.ended]);
      if (answer === "again") this.view();
      else if (answer === "keep") this.reason = text;
      return answer;
    }
    nothing() {
      throw this.left ? new Sentence("Tracking stopped because the job was closed. Nothing was added.") : new Discarded();
    }
    finish(summary) {
      this.summary = { ...summary, reason: this.reason };
    }
    close() {
      clearInterval(this.timer);
      window.removeEventListener("beforeunload", this.warn);
    }
  };

  // src/page.js
  var Page = class {
    /** @type {any} */
    store;
    /** @type {any} */
    dispatch;
    /** @type {any} */
    actionCreators;
    /** @type {any} */
    running;
    /** @type {any} */
    Action;
    /** @type {any} */
    EndAction;
    /** @type {any} */
    core;
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
      this.notices.show({ kind, title, lines: text ? [text] : [], seconds: kind === "info" ? 8 : 0 });
    }
    report(job, { objects, frames, last, lost, regrouped, kept, unchanged, reason, partial }) {
      const lines = [
        reason,
        ...lost.slice(0, 5).map((object) => [
          `${object.name}: lost on frame${object.frames.length === 1 ? "" : "s"} ${spans(object.frames)} `,
          button("Look", () => this.goTo(job, object.frames[0]), { class: "agss-vos-link", "aria-label": `Go to frame ${object.frames[0]}` })
        ]),
        lost.length > 5 && `${count(lost.length - 5, "more object")} lost on some frames.`,
        regrouped && `${count(regrouped, "object")} shared a group with another of the same label and got a new one.`,
        kept && `What was deleted of ${count(kept, "object")} stays deleted.`,
        !unchanged && "Undo takes all of it back; save to keep it."
      ].filter(Boolean);
      const calm = !lost.length && !reason;
      const until = partial ? `, up to frame ${last}` : "";
      this.notices.show({
        kind: calm ? "success" : "warning",
        title: unchanged ? `Nothing changed: ${count(objects, "object")} over ${count(frames, "frame")}${until} came out as before` : `Tracked ${count(objects, "object")} over ${count(frames, "frame")}${until}`,
        lines,
        seconds: calm ? 10 : 0
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
        panel.show(NAME, [h("p", {}, "Reading this frame…"), h("div", { class: "agss-vos-buttons" }, button("Cancel", cancel))], cancel);
      });
      const facts = await Promise.race([factsOf(this, job, frame), cancelled]);
      if (!facts) return;
      const chosen = await askSettings(panel, facts, loadSettings());
      if (chosen === "end") await this.endWith(panel, job, facts);
      else if (chosen) await this.trackAs(panel, job, frame, chosen);
    }
    async trackAs(panel, job, frame, { only, again, ...settings }) {
      panel.show(NAME, h("p", {}, "Starting…"), null);
      let control = null;
      const action = new this.Action({ only, again, control: () => {
        control = new DialogControl(this, panel, job);
        return control;
      } });
      const filters = this.annotation.annotations?.filters ?? [];
      await this.core.actions.run(job, action, toParameters(action.parameters, settings), frame, frame, filters, () => {
      }, () => false);
      if (!control?.summary) return;
      this.redraw();
      this.report(job, control.summary);
    }
    async endWith(panel, job, facts) {
      const chosen = await askEnding(panel, facts);
      if (chosen === "back") await this.trackWith(panel, job);
      if (!Array.isArray(chosen)) return;
      panel.show(END, h("p", {}, "Ending…"), null);
      const action = new this.EndAction(chosen);
      await this.core.actions.run(job, action, {}, facts.frame, facts.frame, [], () => {
      }, () => false);
      this.redraw();
      const again = action.nexts.filter(({ next }) => next !== void 0).map(({ item, next }) => `${nameOf(job, item)} is drawn again on frame ${next} and stays from there on.`);
      this.notices.show({
        kind: "success",
        title: `Ended ${count(action.nexts.length, "object")} on frame ${facts.frame}`,
        lines: [...again, "Undo takes it back; save to keep it."],
        seconds: again.length ? 0 : 10
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
      if (!this.isOpen(job)) this.notify({ kind: "warning", title: NAME, text });
      else await panel.ask(NAME, text, [["close", "Close", { primary: true }]], "close");
    }
    /* Buttons. Class names of CVAT are no promise, so everything here may be missing. */
    addMenuItem() {
      const item = () => ({ key: "agss-vos-track-all", label: NAME, onClick: () => this.track() });
      const before = this.store.getState();
      const action = this.actionCreators.addUIComponent("annotationPage.menuActions.items", item, { weight: 41 });
      if (action && this.store.getState() === before) this.dispatch(action);
    }
    addHeaderButton() {
      this.header = h("button", {
        type: "button",
        class: "ant-btn ant-btn-link cvat-annotation-header-button agss-vos-header",
        title: `${NAME} of this frame`,
        onclick: () => this.track()
      }, icon(), h("span", {}, "Track all"));
      let waiting = false;
      const place = () => {
        waiting = false;
        const group2 = document.querySelector(".cvat-annotation-header-left-group");
        if (!group2 || this.header.parentElement === group2) return;
        group2.append(this.header);
        this.listTrackers().catch(() => {
        });
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
  };

  // src/style.js
  var STYLE = `
    .agss-vos-dialog { width: 500px; max-width: calc(100vw - 32px); margin: 72px auto auto; padding: 20px 24px; border: 0; border-radius: 8px; color: #1f1f1f;
        background: #fff; font: 14px/1.57 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
        box-shadow: 0 6px 16px rgb(0 0 0 / 8%), 0 3px 6px -4px rgb(0 0 0 / 12%), 0 9px 28px 8px rgb(0 0 0 / 5%); outline: 0; }
    .agss-vos-dialog::backdrop { background: rgb(0 0 0 / 30%); }
    .agss-vos-dialog p { margin: 0 0 8px; }
    .agss-vos-title { margin: 0 0 12px; font-size: 16px; font-weight: 600; line-height: 24px; color: inherit; }
    .agss-vos-lead { padding-bottom: 4px; }
    .agss-vos-field { display: grid; grid-template-columns: 92px 1fr; column-gap: 12px; margin: 0 0 10px; padding: 0; border: 0; }
    .agss-vos-field[hidden] { display: none; }
    .agss-vos-field > label, .agss-vos-field > legend { float: left; padding: 5px 0; margin: 0; width: auto; font-size: 14px; border: 0; color: inherit; }
    .agss-vos-choice { display: flex; gap: 8px; align-items: baseline; padding: 5px 0; cursor: pointer; overflow-wrap: anywhere; }
    .agss-vos-choice input { accent-color: #0958d9; }
    .agss-vos-input { height: 32px; padding: 4px 11px; border: 1px solid #d9d9d9; border-radius: 6px; color: inherit; background: #fff; font: inherit; box-sizing: border-box; max-width: 100%; }
    .agss-vos-input:hover { border-color: #4096ff; }
    .agss-vos-number { width: 96px; }
    select.agss-vos-input { min-width: 200px; }
    .agss-vos-jumps { display: inline-flex; gap: 8px; margin-left: 8px; }
    .agss-vos-dialog .agss-vos-hint { margin: 4px 0 0; color: #595959; font-size: 13px; }
    .agss-vos-buttons { display: flex; justify-content: flex-end; flex-wrap: wrap; gap: 8px; margin-top: 20px; }
    .agss-vos-aside { margin-right: auto; }
    .agss-vos-button { height: 32px; padding: 4px 15px; border: 1px solid #d9d9d9; border-radius: 6px; background: #fff; color: #1f1f1f; font: inherit; line-height: 1.4; cursor: pointer; }
    .agss-vos-button:hover:enabled { border-color: #4096ff; color: #0958d9; }
    .agss-vos-primary, .agss-vos-primary:hover:enabled { border-color: #0958d9; background: #0958d9; color: #fff; }
    .agss-vos-primary:hover:enabled { background: #003eb3; }
    .agss-vos-danger, .agss-vos-danger:hover:enabled { color: #cf1322; }
    .agss-vos-danger:hover:enabled { border-color: #cf1322; }
    .agss-vos-button:disabled { background: #f5f5f5; border-color: #d9d9d9; color: #8c8c8c; cursor: not-allowed; }
    .agss-vos-dialog :focus-visible, .agss-vos-notices :focus-visible, .agss-vos-header:focus-visible { outline: 2px solid #0958d9; outline-offset: 2px; }
    .agss-vos-bar { display: block; width: 100%; height: 8px; margin: 4px 0 8px; border: 0; border-radius: 4px; overflow: hidden; appearance: none; background: #f0f0f0; accent-color: #0958d9; }
    .agss-vos-bar::-webkit-progress-bar { background: #f0f0f0; }
    .agss-vos-bar::-webkit-progress-value { background: #0958d9; border-radius: 4px; }
    .agss-vos-bar::-moz-progress-bar { background: #0958d9; border-radius: 4px; }
    .agss-vos-notices { position: fixed; bottom: 24px; right: 24px; z-index: 2100; display: flex; flex-direction: column; gap: 12px; width: 384px; max-width: calc(100vw - 48px);
        font: 14px/1.57 -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; pointer-events: none; }
    .agss-vos-notice { position: relative; padding: 16px 40px 12px 20px; border-radius: 8px; border-left: 4px solid #0958d9; background: #fff; color: #1f1f1f; overflow-wrap: anywhere;
        box-shadow: 0 6px 16px rgb(0 0 0 / 8%), 0 3px 6px -4px rgb(0 0 0 / 12%), 0 9px 28px 8px rgb(0 0 0 / 5%); pointer-events: auto; }
    .agss-vos-success { border-left-color: #389e0d; }
    .agss-vos-warning { border-left-color: #d48806; }
    .agss-vos-error { border-left-color: #cf1322; }
    .agss-vos-notice p { margin: 4px 0 0; color: #434343; }
    .agss-vos-notice-title { font-weight: 600; }
    .agss-vos-close { position: absolute; top: 10px; right: 10px; width: 26px; height: 26px; border: 0; background: none; color: #595959; font-size: 18px; line-height: 1; cursor: pointer; }
    .agss-vos-link { padding: 0 2px; border: 0; background: none; color: #0958d9; font: inherit; text-decoration: underline; cursor: pointer; }
    .agss-vos-header { display: flex; flex-direction: column; align-items: center; justify-content: center; padding: 0 8px; height: auto; border: 0; background: none; color: #000; line-height: 1.4; cursor: pointer; }
    .agss-vos-header:hover { color: #0958d9; }
`;
  function addStyle() {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  }

  // src/main.js
  var page = (
    /** @type {any} */
    window
  );
  var OLD_CVAT = 'The button "Track all objects" needs a newer CVAT: version 2.40 or later, with its plugin interface.';
  function sayUnsupported(reason) {
    console.warn(`agss-vos.js: ${reason}`);
    const look = setInterval(() => {
      if (!document.querySelector(".cvat-annotation-header-left-group")) return;
      clearInterval(look);
      new Notices().show({ kind: "warning", title: NAME, lines: [reason] });
    }, 1e3);
  }
  async function optional(what, part) {
    try {
      await part();
    } catch (error) {
      console.warn(`agss-vos.js: ${what} could not be added: ${error?.message ?? error}`);
    }
  }
  function build(surface) {
    const plugin = { name: "AGSS-VOS", destructor: () => {
    } };
    const { core } = surface;
    if (typeof core?.classes?.BaseCollectionAction !== "function" || typeof core.actions?.run !== "function" || typeof core.lambda?.call !== "function") {
      sayUnsupported(OLD_CVAT);
      return plugin;
    }
    const ours = new Page(surface);
    ours.Action = actionClass(ours);
    ours.EndAction = endActionClass(ours);
    optional('The action in "Run actions"', () => core.actions.register(new ours.Action()));
    optional("The menu item", () => ours.addMenuItem());
    optional("The button in the header", () => ours.addHeaderButton());
    return { ...plugin, destructor: () => ours.remove() };
  }
  function start() {
    addStyle();
    const register = () => page.cvatUI.registerComponent(build);
    if (page.cvatUI) {
      register();
      return;
    }
    const late = setTimeout(() => sayUnsupported(OLD_CVAT), 3e4);
    addEventListener("plugins.ready", () => {
      clearTimeout(late);
      register();
    }, { once: true });
  }
  if (!page.agssVos) {
    page.agssVos = Object.freeze({
      decodeMask,
      encodeMask,
      checkedMask,
      maskOfPolygon,
      ringOf,
      outlineOf,
      simplified,
      thin,
      framesBetween,
      explain,
      spans
    });
    start();
  }
})();
